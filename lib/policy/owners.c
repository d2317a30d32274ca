/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who owns which address. Of all that claim one: an endpoint of this node, a pod, this node,
 * another node, in this order. Two live pods that claim one address are both judged as pending
 * there: neither may use the other's rights.
 *
 * A claimant is a tagged pointer: an object (Pod or Node), a subject, or this node's own list of
 * addresses. Most addresses have one claimant, which stands in the entry itself.
 */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/shared.h"
#include "lib/policy/compiler.h"

#define TAG_MASK    UINT64_C(3)
#define TAG_SUBJECT UINT64_C(1)
#define TAG_CONTEST UINT64_C(2) /* index of a contest << 2 */
#define OWNER_HOST  UINT64_C(3)

uintptr_t fence_owner_of_subject(struct fence_subject *subject)
{
    return (uintptr_t)subject | TAG_SUBJECT;
}

uintptr_t fence_owner_of_object(const struct fence_object *object)
{
    return (uintptr_t)object;
}

static const struct fence_object *object_of(uintptr_t owner)
{
    return (owner & TAG_MASK) == 0 ? (const struct fence_object *)owner : NULL;
}

static const struct fence_subject *subject_of(uintptr_t owner)
{
    return (owner & TAG_MASK) == TAG_SUBJECT ? (const struct fence_subject *)(owner - TAG_SUBJECT)
                                             : NULL;
}

static struct fence_contest *contest_of(const struct fence_compiler *compiler, uintptr_t owner)
{
    return (owner & TAG_MASK) == TAG_CONTEST ? &compiler->contests[owner >> 2] : NULL;
}

/* ---- claims --------------------------------------------------------------------------------- */

static int new_contest(struct fence_compiler *compiler, struct fence_address *entry)
{
    uint32_t index = (uint32_t)compiler->contest_count;
    struct fence_contest contest = {.addr = entry->addr};

    if (FENCE_GROW(contest.owners, contest.capacity, contest.count) < 0)
        return -ENOMEM;
    if (compiler->free_contests.count) {
        index = compiler->free_contests.items[--compiler->free_contests.count];
    } else if (FENCE_GROW(compiler->contests, compiler->contest_capacity, compiler->contest_count) <
               0) {
        free(contest.owners);
        return -ENOMEM;
    } else {
        compiler->contest_count++;
    }
    contest.owners[contest.count++] = entry->owner;
    compiler->contests[index] = contest;
    entry->owner = (uintptr_t)index << 2 | TAG_CONTEST;
    return 0;
}

int fence_claim(struct fence_compiler *compiler, const struct fence_addr *addr, uintptr_t owner)
{
    struct fence_address *entry = fence_addresses_obtain(&compiler->plan->addresses, addr);
    struct fence_contest *contest;

    if (!entry || fence_addresses_mark(&compiler->plan->addresses, entry) < 0)
        return -ENOMEM;
    if (!entry->owner) {
        entry->owner = owner;
        return 0;
    }
    if (!contest_of(compiler, entry->owner) && new_contest(compiler, entry) < 0)
        return -ENOMEM;
    contest = contest_of(compiler, entry->owner);
    if (!contest || FENCE_GROW(contest->owners, contest->capacity, contest->count) < 0)
        return -ENOMEM;
    contest->owners[contest->count++] = owner;
    compiler->notes_old = true;
    return 0;
}

/* One is left: there is nothing to settle any more. */
static int end_contest(struct fence_compiler *compiler, struct fence_address *entry)
{
    uint32_t index = (uint32_t)(entry->owner >> 2);
    struct fence_contest *contest = &compiler->contests[index];

    entry->owner = contest->owners[0];
    free(contest->owners);
    *contest = (struct fence_contest){0};
    return fence_indices_add(&compiler->free_contests, index);
}

int fence_unclaim(struct fence_compiler *compiler, const struct fence_addr *addr, uintptr_t owner)
{
    struct fence_address *entry = fence_addresses_find(&compiler->plan->addresses, addr);
    struct fence_contest *contest;
    size_t i = 0;

    if (!entry)
        return 0;
    if (fence_addresses_mark(&compiler->plan->addresses, entry) < 0)
        return -ENOMEM;
    if (entry->owner == owner)
        entry->owner = 0;
    contest = contest_of(compiler, entry->owner);
    while (contest && i < contest->count && contest->owners[i] != owner)
        i++;
    if (!contest || i == contest->count)
        return 0;
    contest->owners[i] = contest->owners[--contest->count];
    compiler->notes_old = true;
    return contest->count == 1 ? end_contest(compiler, entry) : 0;
}

/* ---- pods ----------------------------------------------------------------------------------- */

static bool owns_addresses(const struct fence_object *pod)
{
    return pod && !pod->pod.host_network && !pod->pod.finished && pod->pod.addr_count;
}

static struct fence_shape_key shape_key(const struct fence_object *pod, uint32_t namespace_index)
{
    return (struct fence_shape_key){
        .namespace_index = namespace_index,
        .labels = pod->pod.labels,
        .ports = pod->pod.ports,
        .name = *pod->pod.owner ? pod->pod.owner : pod->name,
    };
}

static int claim_pod(struct fence_compiler *compiler, const struct fence_object *pod)
{
    struct fence_shape_key key;
    uint32_t index, shape;
    int r = fence_namespace_use(compiler, pod->namespace_name, &index);

    if (r < 0)
        return r;
    key = shape_key(pod, index);
    r = fence_shape_use(compiler, &key, &shape);
    fence_namespace_leave(compiler, index);
    for (size_t i = 0; r == 0 && i < pod->pod.addr_count; i++)
        r = fence_claim(compiler, &pod->pod.addrs[i], fence_owner_of_object(pod));
    return r;
}

static bool find_shape(const struct fence_compiler *compiler, const struct fence_object *pod,
                       uint32_t *ret_shape)
{
    struct fence_shape_key key;
    uint32_t index;

    if (!fence_intern_find(&compiler->namespace_names, pod->namespace_name,
                           strlen(pod->namespace_name), &index))
        return false;
    key = shape_key(pod, index);
    return fence_shape_find(compiler, &key, ret_shape);
}

static int unclaim_pod(struct fence_compiler *compiler, const struct fence_object *pod)
{
    uint32_t shape;
    int r = 0;

    for (size_t i = 0; r == 0 && i < pod->pod.addr_count; i++)
        r = fence_unclaim(compiler, &pod->pod.addrs[i], fence_owner_of_object(pod));
    if (find_shape(compiler, pod, &shape))
        fence_shape_leave(compiler, shape);
    return r;
}

int fence_owners_pod(struct fence_compiler *compiler, const struct fence_change *change)
{
    int r = 0;

    if (owns_addresses(change->before))
        r = unclaim_pod(compiler, change->before);
    if (r == 0 && owns_addresses(change->after))
        r = claim_pod(compiler, change->after);
    return r;
}

/* ---- nodes ---------------------------------------------------------------------------------- */

static bool is_own_node(const struct fence_compiler *compiler, const struct fence_object *node)
{
    return node && compiler->options.node_name &&
           strcmp(node->name, compiler->options.node_name) == 0;
}

static const struct fence_object *own_node(const struct fence_compiler *compiler)
{
    for (size_t i = 0; i < compiler->node_count; i++)
        if (is_own_node(compiler, compiler->nodes[i]))
            return compiler->nodes[i];
    return NULL;
}

static int claim_addrs(struct fence_compiler *compiler, const struct fence_object *node)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < node->node.addr_count; i++)
        r = fence_claim(compiler, &node->node.addrs[i], fence_owner_of_object(node));
    return r;
}

static int forget_node(struct fence_compiler *compiler, const struct fence_object *node)
{
    int r = 0;

    for (size_t i = 0; i < compiler->node_count; i++)
        if (compiler->nodes[i] == node) {
            compiler->nodes[i] = compiler->nodes[--compiler->node_count];
            break;
        }
    for (size_t i = 0; r == 0 && i < node->node.addr_count; i++)
        r = fence_unclaim(compiler, &node->node.addrs[i], fence_owner_of_object(node));
    return r;
}

static int mark_host(struct fence_compiler *compiler)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < compiler->host_addr_count; i++) {
        struct fence_address *entry =
            fence_addresses_find(&compiler->plan->addresses, &compiler->host_addrs[i]);

        if (entry)
            r = fence_addresses_mark(&compiler->plan->addresses, entry);
    }
    return r;
}

int fence_owners_node(struct fence_compiler *compiler, const struct fence_change *change)
{
    int r = change->before ? forget_node(compiler, change->before) : 0;

    if (r == 0 && change->after) {
        r = fence_array_grow((void **)&compiler->nodes, &compiler->node_capacity,
                             compiler->node_count, sizeof(void *));
        if (r == 0)
            compiler->nodes[compiler->node_count++] = change->after;
        if (r == 0)
            r = claim_addrs(compiler, change->after);
    }
    /* the labels of this node are those of its host addresses */
    if (r == 0 && (is_own_node(compiler, change->before) || is_own_node(compiler, change->after)))
        r = mark_host(compiler);
    compiler->unknowns_old = true;
    return r;
}

static bool has_addr(const struct fence_addr *addrs, size_t count, const struct fence_addr *addr)
{
    for (size_t i = 0; i < count; i++)
        if (fence_addr_equal(&addrs[i], addr))
            return true;
    return false;
}

int fence_owners_host(struct fence_compiler *compiler, const struct fence_addr *addrs, size_t count)
{
    FENCE_FREE struct fence_addr *copy = calloc(count + 1, sizeof(*copy));
    struct fence_addr *before = compiler->host_addrs;
    size_t kept = 0;
    int r = copy ? 0 : -ENOMEM;

    for (size_t i = 0; copy && i < count; i++)
        if (!has_addr(copy, kept, &addrs[i]))
            copy[kept++] = addrs[i];
    for (size_t i = 0; r == 0 && i < compiler->host_addr_count; i++)
        if (!has_addr(copy, kept, &before[i]))
            r = fence_unclaim(compiler, &before[i], OWNER_HOST);
    for (size_t i = 0; r == 0 && i < kept; i++)
        if (!has_addr(before, compiler->host_addr_count, &copy[i]))
            r = fence_claim(compiler, &copy[i], OWNER_HOST);
    if (r < 0)
        return r;
    compiler->host_addrs = TAKE_PTR(copy);
    compiler->host_addr_count = kept;
    free(before);
    return 0;
}

/* ---- judgement ------------------------------------------------------------------------------ */

/* What the claims on an address come to. */
struct verdict {
    const struct fence_subject *local;
    const struct fence_object *pod;
    const struct fence_object *node;
    const struct fence_object *rival_pod;    /* one more */
    const struct fence_subject *rival_local; /* one more */
    bool host;
};

/* Is this object the pod of an endpoint of this node, which claims for it? */
static bool is_local(const struct fence_compiler *compiler, const struct fence_object *pod)
{
    for (size_t i = 0; i < compiler->subject_count; i++)
        if (compiler->subjects[i]->pod == pod)
            return true;
    return false;
}

static void hear_object(const struct fence_compiler *compiler, const struct fence_object *object,
                        struct verdict *verdict)
{
    if (object->kind == FENCE_OBJECT_NODE) {
        if (is_own_node(compiler, object))
            verdict->host = true;
        else if (!verdict->node || strcmp(object->name, verdict->node->name) < 0)
            verdict->node = object;
        return;
    }
    /* whatever order they came in, the same ones are named */
    if (!verdict->pod || fence_object_compare(object, verdict->pod) < 0) {
        verdict->rival_pod = verdict->pod;
        verdict->pod = object;
    } else if (!verdict->rival_pod || fence_object_compare(object, verdict->rival_pod) < 0) {
        verdict->rival_pod = object;
    }
}

static void hear_local(const struct fence_subject *subject, struct verdict *verdict)
{
    if (!verdict->local || subject->local.ifindex < verdict->local->local.ifindex) {
        verdict->rival_local = verdict->local;
        verdict->local = subject;
    } else {
        verdict->rival_local = subject;
    }
}

static void hear(const struct fence_compiler *compiler, uintptr_t owner, struct verdict *verdict)
{
    if (owner == OWNER_HOST)
        verdict->host = true;
    else if (subject_of(owner))
        hear_local(subject_of(owner), verdict);
    else if (object_of(owner))
        hear_object(compiler, object_of(owner), verdict);
}

static void hear_all(const struct fence_compiler *compiler, const struct fence_contest *contest,
                     struct verdict *verdict)
{
    for (size_t i = 0; i < contest->count; i++) {
        const struct fence_object *object = object_of(contest->owners[i]);

        if (!object || !is_local(compiler, object))
            hear(compiler, contest->owners[i], verdict);
    }
}

static struct verdict judge(const struct fence_compiler *compiler, uintptr_t owner)
{
    const struct fence_contest *contest = contest_of(compiler, owner);
    struct verdict verdict = {0};

    if (contest)
        hear_all(compiler, contest, &verdict);
    else if (owner)
        hear(compiler, owner, &verdict);
    return verdict;
}

/* ---- peers of owners ------------------------------------------------------------------------ */

static int draft_shape(struct fence_compiler *compiler, uint32_t index,
                       struct fence_peer_draft *draft)
{
    const struct fence_shape *shape = &compiler->shapes[index];
    const struct fence_book_namespace *home = &compiler->namespaces[shape->namespace_index];

    if (shape->identity == FENCE_PLAN_NONE)
        return fence_peer_draft_reserved(compiler, FENCE_IDENTITY_INCOMPLETE, draft);
    *draft = (struct fence_peer_draft){
        .identity = shape->identity,
        .view = {.kind = FENCE_VIEW_POD,
                 .namespace_name = home->name,
                 .namespace_labels = home->labels,
                 .labels = compiler->plan->identities[shape->identity].labels,
                 .ports = shape->named},
    };
    return 0;
}

static int draft_subject(struct fence_compiler *compiler, const struct fence_subject *subject,
                         struct fence_peer_draft *draft)
{
    if (subject->incomplete)
        return fence_peer_draft_reserved(compiler, FENCE_IDENTITY_INCOMPLETE, draft);
    if (subject->pending)
        return fence_peer_draft_reserved(compiler, FENCE_IDENTITY_PENDING, draft);
    return draft_shape(compiler, subject->shape, draft);
}

static int draft_pod(struct fence_compiler *compiler, const struct fence_object *pod,
                     struct fence_peer_draft *draft)
{
    uint32_t shape;

    if (!find_shape(compiler, pod, &shape))
        return -ENOMEM; /* it was made with the claim */
    return draft_shape(compiler, shape, draft);
}

static int draft_host(struct fence_compiler *compiler, struct fence_peer_draft *draft)
{
    const struct fence_object *node = own_node(compiler);
    int r = fence_peer_draft_reserved(compiler, FENCE_IDENTITY_HOST, draft);

    draft->view.kind = FENCE_VIEW_HOST;
    draft->view.labels = node ? node->node.labels : fence_shared_labels_none();
    draft->flags = FENCE_PEER_IS_HOST;
    return r;
}

static int draft_node(struct fence_compiler *compiler, const struct fence_object *node,
                      struct fence_peer_draft *draft)
{
    struct fence_text *text = &compiler->text;
    struct fence_identity_draft identity = {
        .kind = FENCE_KIND_NODE,
        .namespace_name = "",
        .app = node->name,
        .labels = node->node.labels,
    };

    fence_text_clear(text);
    fence_text_add(text, "node ");
    fence_text_string(text, node->name);
    fence_text_labels(text, node->node.labels);
    if (text->failed)
        return -ENOMEM;
    identity.content = text->data;
    *draft = (struct fence_peer_draft){
        .view = {.kind = FENCE_VIEW_NODE, .labels = node->node.labels},
    };
    return fence_identity_get(compiler, &identity, &draft->identity);
}

static int draft_owner(struct fence_compiler *compiler, const struct verdict *verdict,
                       struct fence_peer_draft *draft)
{
    if (verdict->rival_local || (!verdict->local && verdict->rival_pod))
        return fence_peer_draft_reserved(compiler, FENCE_IDENTITY_PENDING, draft);
    if (verdict->local)
        return draft_subject(compiler, verdict->local, draft);
    if (verdict->pod)
        return draft_pod(compiler, verdict->pod, draft);
    return verdict->host ? draft_host(compiler, draft) : draft_node(compiler, verdict->node, draft);
}

int fence_owner_resolve(struct fence_compiler *compiler, struct fence_address *entry)
{
    struct fence_plan *plan = compiler->plan;
    struct verdict verdict = judge(compiler, entry->owner);
    struct fence_prefix where = {.addr = entry->addr, .length = 128};
    uint32_t before = entry->peer;
    uint32_t peer = FENCE_ADDRESS_NONE;
    struct fence_peer_draft draft;
    int r = 0;

    if (verdict.local || verdict.pod || verdict.host || verdict.node) {
        r = draft_owner(compiler, &verdict, &draft);
        if (r == 0)
            r = fence_peer_get(compiler, &draft, &where, &peer);
        if (r < 0)
            return r;
        FENCE_PLAN_REF(plan, peers, peer);
    }
    if (before != FENCE_ADDRESS_NONE)
        FENCE_PLAN_UNREF(plan, peers, before);
    entry->peer = peer;
    return fence_addresses_mark(&plan->addresses, entry);
}

int fence_owners_resolve(struct fence_compiler *compiler)
{
    const struct fence_addresses *addresses = &compiler->plan->addresses;
    int r = 0;

    for (size_t i = 0; r == 0 && i < addresses->marked_count; i++) {
        struct fence_address *entry = fence_addresses_find(addresses, &addresses->marked[i]);

        if (entry)
            r = fence_owner_resolve(compiler, entry);
    }
    return r;
}

static bool is_stale(const struct fence_compiler *compiler, uintptr_t owner)
{
    const struct fence_object *object = object_of(owner);
    uint32_t index;

    /* whoever is contested is few */
    if (contest_of(compiler, owner) || subject_of(owner))
        return true;
    return object && object->kind == FENCE_OBJECT_POD &&
           fence_intern_find(&compiler->namespace_names, object->namespace_name,
                             strlen(object->namespace_name), &index) &&
           compiler->namespaces[index].stale;
}

int fence_owners_refresh(struct fence_compiler *compiler)
{
    struct fence_addresses *addresses = &compiler->plan->addresses;
    struct fence_address *entry;
    size_t position = 0;
    bool any = false;
    int r = 0;

    for (size_t i = 0; i < compiler->namespace_count; i++)
        any |= compiler->namespaces[i].stale;
    while (any && r == 0 && (entry = fence_addresses_next(addresses, &position)))
        if (is_stale(compiler, entry->owner))
            r = fence_addresses_mark(addresses, entry);
    for (size_t i = 0; i < compiler->namespace_count; i++)
        compiler->namespaces[i].stale = false;
    return r;
}

/* ---- notes ---------------------------------------------------------------------------------- */

static void describe(const struct fence_subject *subject, const struct fence_object *pod,
                     char *text, size_t size)
{
    if (!pod && subject)
        pod = subject->pod;
    if (pod)
        snprintf(text, size, "%s/%s", pod->namespace_name, pod->name);
    else if (subject && *subject->local.pod)
        snprintf(text, size, "%s/%s", subject->local.namespace_name, subject->local.pod);
    else
        snprintf(text, size, "container %s", subject ? subject->local.container_id : "");
}

static int note(struct fence_compiler *compiler, const struct fence_contest *contest,
                const struct verdict *verdict)
{
    struct fence_plan *plan = compiler->plan;
    struct fence_plan_note made = {0};
    char shown[FENCE_ADDR_TEXT], first[600], second[600];
    bool kept = verdict->local && !verdict->rival_local;

    if (FENCE_GROW(plan->notes, plan->notes_capacity, plan->notes_count) < 0)
        return -ENOMEM;
    describe(verdict->local, verdict->local ? NULL : verdict->pod, first, sizeof(first));
    describe(verdict->rival_local,
             verdict->rival_local ? NULL
             : verdict->local     ? verdict->pod
                                  : verdict->rival_pod,
             second, sizeof(second));
    made.subject = strdup(fence_addr_format(&contest->addr, shown));
    if (!made.subject || asprintf(&made.text, "claimed by the pods %s and %s: %s", first, second,
                                  kept ? "the one on this node keeps it"
                                       : "judged as pending until one of them is gone") < 0) {
        free(made.subject);
        return -ENOMEM;
    }
    plan->notes[plan->notes_count++] = made;
    return 0;
}

int fence_owners_note(struct fence_compiler *compiler)
{
    int r = 0;

    if (!compiler->notes_old)
        return 0;
    fence_plan_forget_notes(compiler->plan);
    for (size_t i = 0; r == 0 && i < compiler->contest_count; i++) {
        const struct fence_contest *contest = &compiler->contests[i];
        struct verdict verdict = {0};

        hear_all(compiler, contest, &verdict);
        if (verdict.rival_local || (verdict.local && verdict.pod) || verdict.rival_pod)
            r = note(compiler, contest, &verdict);
    }
    compiler->notes_old = r < 0;
    return r;
}

void fence_owners_done(struct fence_compiler *compiler)
{
    for (size_t i = 0; i < compiler->contest_count; i++)
        free(compiler->contests[i].owners);
    free(compiler->contests);
    free(compiler->free_contests.items);
    free(compiler->nodes);
    free(compiler->host_addrs);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who owns which address. Of all that claim one: a service, an endpoint of this node, a pod, this
 * node, another node, in this order. Two live pods that claim one address are both judged as
 * pending there: neither may use the other's rights.
 *
 * A Service may name whatever address its author likes. So only one that the cluster gave to it is
 * the service's alone; a node keeps what its object states, and what denies anybody else still
 * denies him there (routes.c).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/shared.h"
#include "lib/policy/claims.h"

/* ---- judgement ------------------------------------------------------------------------------ */

/* Is this object the pod of an endpoint of this node, which claims for it what the pod has? */
static bool is_local(const struct fence_contest *contest, const struct fence_object *pod)
{
    for (size_t i = 0; i < contest->count; i++) {
        const struct fence_subject *subject = subject_of(contest->owners[i]);

        if (subject && subject->pod == pod)
            return true;
    }
    return false;
}

static void hear_object(const struct fence_compiler *compiler, const struct fence_object *object,
                        struct fence_ownership *verdict)
{
    if (object->kind == FENCE_OBJECT_SERVICE) {
        verdict->cluster |= fence_service_has_cluster_ip(object, verdict->addr);
        if (!verdict->service || fence_object_compare(object, verdict->service) < 0)
            verdict->service = object;
        return;
    }
    if (object->kind == FENCE_OBJECT_NODE) {
        if (fence_is_own_node(compiler, object))
            verdict->host = verdict->stated = true;
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

static void hear_local(const struct fence_subject *subject, struct fence_ownership *verdict)
{
    if (!verdict->local || subject->local.ifindex < verdict->local->local.ifindex) {
        verdict->rival_local = verdict->local;
        verdict->local = subject;
    } else {
        verdict->rival_local = subject;
    }
}

static void hear(const struct fence_compiler *compiler, uintptr_t owner,
                 struct fence_ownership *verdict)
{
    if (owner == OWNER_HOST)
        verdict->host = true;
    else if (subject_of(owner))
        hear_local(subject_of(owner), verdict);
    else if (object_of(owner))
        hear_object(compiler, object_of(owner), verdict);
}

static void hear_all(const struct fence_compiler *compiler, const struct fence_contest *contest,
                     struct fence_ownership *verdict)
{
    for (size_t i = 0; i < contest->count; i++) {
        const struct fence_object *object = object_of(contest->owners[i]);

        if (!object || !is_local(contest, object))
            hear(compiler, contest->owners[i], verdict);
    }
}

struct fence_ownership fence_ownership_of(const struct fence_compiler *compiler,
                                          const struct fence_address *entry)
{
    const struct fence_contest *contest = contest_of(compiler, entry->owner);
    struct fence_ownership verdict = {.addr = &entry->addr};

    if (contest)
        hear_all(compiler, contest, &verdict);
    else if (entry->owner)
        hear(compiler, entry->owner, &verdict);
    return verdict;
}

bool fence_ownership_has_base(const struct fence_ownership *ownership)
{
    return ownership->local || ownership->pod || ownership->host || ownership->node;
}

bool fence_ownership_is_node(const struct fence_ownership *ownership)
{
    if (ownership->cluster || ownership->local || ownership->pod)
        return false;
    return ownership->stated || (ownership->node && !ownership->host);
}

bool fence_ownership_is_routed(const struct fence_compiler *compiler,
                               const struct fence_ownership *ownership)
{
    bool node = !ownership->local && !ownership->pod && (ownership->host || ownership->node);

    return ownership->service || (node && fence_nodes_have_ports(compiler));
}

/* ---- peers of owners ------------------------------------------------------------------------ */

static const struct fence_object *own_node(const struct fence_compiler *compiler)
{
    for (size_t i = 0; i < compiler->node_count; i++)
        if (fence_is_own_node(compiler, compiler->nodes[i]))
            return compiler->nodes[i];
    return NULL;
}

static int draft_shape(struct fence_compiler *compiler, uint32_t index,
                       struct fence_peer_draft *draft)
{
    const struct fence_shape *shape = &compiler->shapes[index];
    const struct fence_book_namespace *home = &compiler->namespaces[shape->namespace_index];

    if (shape->identity == FENCE_PLAN_NONE)
        return fence_peer_draft_reserved(compiler, FENCE_IDENTITY_INCOMPLETE, draft);
    *draft = (struct fence_peer_draft){
        .identity = shape->identity,
        .under = FENCE_PLAN_NONE,
        .route = FENCE_PLAN_NONE,
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

    if (!fence_claim_shape(compiler, pod, &shape))
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
        .under = FENCE_PLAN_NONE,
        .route = FENCE_PLAN_NONE,
    };
    return fence_identity_get(compiler, &identity, &draft->identity);
}

int fence_ownership_draft(struct fence_compiler *compiler, const struct fence_ownership *ownership,
                          struct fence_peer_draft *draft)
{
    if (ownership->rival_local || (!ownership->local && ownership->rival_pod))
        return fence_peer_draft_reserved(compiler, FENCE_IDENTITY_PENDING, draft);
    if (ownership->local)
        return draft_subject(compiler, ownership->local, draft);
    if (ownership->pod)
        return draft_pod(compiler, ownership->pod, draft);
    return ownership->host ? draft_host(compiler, draft)
                           : draft_node(compiler, ownership->node, draft);
}

int fence_owner_set(struct fence_compiler *compiler, struct fence_address *entry, uint32_t peer)
{
    struct fence_plan *plan = compiler->plan;
    uint32_t before = entry->peer;

    if (peer != FENCE_ADDRESS_NONE)
        FENCE_PLAN_REF(plan, peers, peer);
    if (before != FENCE_ADDRESS_NONE)
        FENCE_PLAN_UNREF(plan, peers, before);
    entry->peer = peer;
    return fence_addresses_mark(&plan->addresses, entry);
}

/* Where its ports lead is seen when every address has its peer: see routes.c. */
static int resolve(struct fence_compiler *compiler, struct fence_address *entry)
{
    struct fence_ownership ownership = fence_ownership_of(compiler, entry);
    struct fence_prefix where = {.addr = entry->addr, .length = 128};
    uint32_t before = entry->peer;
    uint32_t peer = FENCE_ADDRESS_NONE;
    struct fence_peer_draft draft;
    int r = 0;

    if (fence_ownership_is_routed(compiler, &ownership)) {
        compiler->routed = true;
        return fence_backend_moved(compiler, &where.addr);
    }
    if (fence_ownership_has_base(&ownership)) {
        r = fence_ownership_draft(compiler, &ownership, &draft);
        if (r == 0)
            r = fence_peer_get(compiler, &draft, &where, &peer);
    }
    if (r == 0)
        r = fence_owner_set(compiler, entry, peer);
    return r < 0 || peer == before ? r : fence_backend_moved(compiler, &where.addr);
}

int fence_owners_resolve(struct fence_compiler *compiler)
{
    const struct fence_addresses *addresses = &compiler->plan->addresses;
    int r = 0;

    for (size_t i = 0; r == 0 && i < addresses->marked_count; i++) {
        struct fence_address *entry = fence_addresses_find(addresses, &addresses->marked[i]);

        if (entry)
            r = resolve(compiler, entry);
    }
    return r;
}

/* Names of namespaces whose labels have changed; shared, as those of objects are. */
struct stale_names {
    const char **items;
    size_t count;
};

static bool is_stale(const struct fence_compiler *compiler, const struct stale_names *names,
                     uintptr_t owner)
{
    const struct fence_object *object = object_of(owner);

    /* whoever is contested is few */
    if (contest_of(compiler, owner) || subject_of(owner))
        return true;
    for (size_t i = 0; i < names->count; i++)
        if (object && object->namespace_name == names->items[i])
            return object->kind == FENCE_OBJECT_POD;
    return false;
}

static int mark_stale(struct fence_compiler *compiler, const struct stale_names *names)
{
    struct fence_addresses *addresses = &compiler->plan->addresses;
    struct fence_address *entry;
    size_t position = 0;
    int r = 0;

    while (names->count && r == 0 && (entry = fence_addresses_next(addresses, &position)))
        if (is_stale(compiler, names, entry->owner))
            r = fence_addresses_mark(addresses, entry);
    return r;
}

int fence_owners_refresh(struct fence_compiler *compiler)
{
    FENCE_FREE const char **items = calloc(compiler->namespace_count + 1, sizeof(*items));
    struct stale_names names = {.items = items};

    if (!items)
        return -ENOMEM;
    for (size_t i = 0; i < compiler->namespace_count; i++) {
        struct fence_book_namespace *home = &compiler->namespaces[i];

        if (home->name && home->stale)
            items[names.count++] = home->name;
        home->stale = false;
    }
    return mark_stale(compiler, &names);
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
                const struct fence_ownership *verdict)
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
        struct fence_ownership verdict = {.addr = &contest->addr};

        hear_all(compiler, contest, &verdict);
        if (verdict.rival_local || (verdict.local && verdict.pod) || verdict.rival_pod)
            r = note(compiler, contest, &verdict);
    }
    compiler->notes_old = r < 0;
    return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Local endpoints: the pods behind them, the policies that select them, their sets. */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/shared.h"
#include "lib/policy/compiler.h"
#include "lib/policy/lookup.h"

int fence_out_of_memory(struct fence_err *err)
{
    return fence_err_set(err, -ENOMEM, "out of memory");
}

/* ---- the list of endpoints ------------------------------------------------------------------ */

static void free_subject(struct fence_subject **subject)
{
    struct fence_subject *gone = TAKE_PTR(*subject);

    fence_shared_string_unref(&gone->local.namespace_name);
    fence_shared_string_unref(&gone->local.pod);
    fence_shared_string_unref(&gone->local.uid);
    fence_shared_string_unref(&gone->local.container_id);
    fence_shared_string_unref(&gone->local.ifname);
    fence_shared_labels_unref(&gone->given);
    fence_shared_labels_unref(&gone->labels);
    free(gone->addrs);
    free(gone->claims);
    free(gone->policies.items);
    free(gone);
}

static int copy_local(const struct fence_local *local, struct fence_subject *subject)
{
    struct fence_local *copy = &subject->local;

    *copy = *local;
    copy->labels = NULL;
    copy->addrs = NULL;
    copy->namespace_name = fence_shared_string(local->namespace_name);
    copy->pod = fence_shared_string(local->pod);
    copy->uid = fence_shared_string(local->uid);
    copy->container_id = fence_shared_string(local->container_id);
    copy->ifname = fence_shared_string(local->ifname);
    subject->addrs = calloc(local->addr_count + 1, sizeof(*subject->addrs));
    if (local->labels)
        subject->given = fence_shared_labels(local->labels);
    if (!copy->namespace_name || !copy->pod || !copy->uid || !copy->container_id || !copy->ifname ||
        !subject->addrs || (local->labels && !subject->given))
        return -ENOMEM;
    if (local->addr_count)
        memcpy(subject->addrs, local->addrs, local->addr_count * sizeof(*subject->addrs));
    copy->addrs = subject->addrs;
    copy->labels = subject->given;
    return 0;
}

static bool same_labels(const struct fence_labels *a, const struct fence_labels *b)
{
    return a && b ? fence_labels_equal(a, b) : a == b;
}

static bool is_same(const struct fence_subject *subject, const struct fence_local *local)
{
    const struct fence_local *have = &subject->local;

    return have->ifindex == local->ifindex && have->created_ns == local->created_ns &&
           have->exempt == local->exempt && have->addr_count == local->addr_count &&
           strcmp(have->namespace_name, local->namespace_name) == 0 &&
           strcmp(have->pod, local->pod) == 0 && strcmp(have->uid, local->uid) == 0 &&
           strcmp(have->container_id, local->container_id) == 0 &&
           same_labels(have->labels, local->labels) &&
           (!local->addr_count ||
            memcmp(have->addrs, local->addrs, local->addr_count * sizeof(*local->addrs)) == 0);
}

/* The item is the plan's. */
static void put_new(const struct fence_local *local, struct fence_plan_endpoint *endpoint)
{
    *endpoint = (struct fence_plan_endpoint){
        .item = endpoint->item,
        .created_ns = local->created_ns,
        .ifindex = local->ifindex,
        .identity = FENCE_PLAN_NONE,
        .set = FENCE_PLAN_NONE,
    };
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(endpoint->ends); i++)
        endpoint->ends[i] = fence_plan_no_end();
}

static int add_subject(struct fence_compiler *compiler, const struct fence_local *local)
{
    struct fence_subject *subject = calloc(1, sizeof(*subject));
    int r = -ENOMEM;

    if (!subject)
        return r;
    subject->namespace_index = FENCE_PLAN_NONE;
    subject->shape = FENCE_PLAN_NONE;
    subject->resolve = subject->seen = true;
    if (copy_local(local, subject) == 0 &&
        fence_array_grow((void **)&compiler->subjects, &compiler->subject_capacity,
                         compiler->subject_count, sizeof(void *)) == 0)
        r = FENCE_PLAN_ADD(compiler->plan, endpoints, &subject->endpoint);
    if (r < 0) {
        free_subject(&subject);
        return r;
    }
    put_new(local, &compiler->plan->endpoints[subject->endpoint]);
    compiler->subjects[compiler->subject_count++] = subject;
    return 0;
}

static int claim_all(struct fence_compiler *compiler, struct fence_subject *subject, bool claims)
{
    uintptr_t owner = fence_owner_of_subject(subject);
    int r = 0;

    for (size_t i = 0; r == 0 && i < subject->claim_count; i++)
        r = claims ? fence_claim(compiler, &subject->claims[i], owner)
                   : fence_unclaim(compiler, &subject->claims[i], owner);
    return r;
}

/* Nothing is known of the pod any more. */
static int forget_pod(struct fence_compiler *compiler, struct fence_subject *subject)
{
    int r = claim_all(compiler, subject, false);

    free(TAKE_PTR(subject->claims));
    subject->claim_count = 0;
    subject->pod = NULL;
    fence_shared_labels_unref(&subject->labels);
    if (subject->shape != FENCE_PLAN_NONE)
        fence_shape_leave(compiler, subject->shape);
    if (subject->namespace_index != FENCE_PLAN_NONE)
        fence_namespace_leave(compiler, subject->namespace_index);
    subject->shape = FENCE_PLAN_NONE;
    subject->namespace_index = FENCE_PLAN_NONE;
    subject->pending = NULL;
    subject->incomplete = false;
    return r;
}

/* An index of the endpoint: the new one is referred to before the old one is left. */
#define POINT_AT(plan, list, field, value)                                                         \
    do {                                                                                           \
        uint32_t left_ = (field);                                                                  \
        (field) = (value);                                                                         \
        if ((field) != FENCE_PLAN_NONE)                                                            \
            FENCE_PLAN_REF(plan, list, field);                                                     \
        if (left_ != FENCE_PLAN_NONE)                                                              \
            FENCE_PLAN_UNREF(plan, list, left_);                                                   \
    } while (0)

static int remove_subject(struct fence_compiler *compiler, size_t index)
{
    struct fence_subject *subject = compiler->subjects[index];
    struct fence_plan *plan = compiler->plan;
    struct fence_plan_endpoint *endpoint = &plan->endpoints[subject->endpoint];
    int r = forget_pod(compiler, subject);

    fence_rulebook_leave(compiler, subject);
    POINT_AT(plan, identities, endpoint->identity, FENCE_PLAN_NONE);
    POINT_AT(plan, sets, endpoint->set, FENCE_PLAN_NONE);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(endpoint->ends); i++)
        POINT_AT(plan, sets, endpoint->ends[i].set, FENCE_PLAN_NONE);
    FENCE_PLAN_DROP(plan, endpoints, subject->endpoint);
    compiler->subjects[index] = compiler->subjects[--compiler->subject_count];
    free_subject(&subject);
    return r;
}

int fence_subjects_put(struct fence_compiler *compiler, const struct fence_local *locals,
                       size_t count)
{
    int r = 0;

    for (size_t i = 0; i < compiler->subject_count; i++)
        compiler->subjects[i]->seen = false;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < compiler->subject_count; j++)
            if (!compiler->subjects[j]->seen && is_same(compiler->subjects[j], &locals[i])) {
                compiler->subjects[j]->seen = true;
                break;
            }
    for (size_t i = 0; r == 0 && i < compiler->subject_count;) {
        if (compiler->subjects[i]->seen)
            i++;
        else
            r = remove_subject(compiler, i);
    }
    for (size_t i = 0; r == 0 && i < count; i++) {
        size_t j = 0;

        while (j < compiler->subject_count && !is_same(compiler->subjects[j], &locals[i]))
            j++;
        if (j == compiler->subject_count)
            r = add_subject(compiler, &locals[i]);
    }
    return r;
}

/* ---- pods ----------------------------------------------------------------------------------- */

static bool may_be(const struct fence_subject *subject, const struct fence_object *pod)
{
    return pod && (subject->pod == pod || (subject->local.namespace_name == pod->namespace_name &&
                                           strcmp(subject->local.pod, pod->name) == 0));
}

static bool is_annotated(const struct fence_object *pod)
{
    return pod && *pod->pod.container_id;
}

static int annotate(struct fence_compiler *compiler, const struct fence_change *change)
{
    for (size_t i = 0; is_annotated(change->before) && i < compiler->annotated_count; i++)
        if (compiler->annotated[i] == change->before) {
            compiler->annotated[i] = compiler->annotated[--compiler->annotated_count];
            break;
        }
    if (!is_annotated(change->after))
        return 0;
    if (fence_array_grow((void **)&compiler->annotated, &compiler->annotated_capacity,
                         compiler->annotated_count, sizeof(void *)) < 0)
        return -ENOMEM;
    compiler->annotated[compiler->annotated_count++] = change->after;
    return 0;
}

int fence_subjects_pod(struct fence_compiler *compiler, const struct fence_change *change)
{
    bool any = is_annotated(change->before) || is_annotated(change->after);

    for (size_t i = 0; i < compiler->subject_count; i++)
        if (any || may_be(compiler->subjects[i], change->before) ||
            may_be(compiler->subjects[i], change->after))
            compiler->subjects[i]->resolve = true;
    return any ? annotate(compiler, change) : 0;
}

static const struct fence_object *find(const struct fence_compiler *compiler, const char *home,
                                       const char *name)
{
    return compiler->options.find(compiler->options.find_context, FENCE_OBJECT_POD, home, name);
}

/* As fence_world_pod_of. */
static const struct fence_object *pod_of(const struct fence_compiler *compiler,
                                         const struct fence_local *local)
{
    const struct fence_object *pod = find(compiler, local->namespace_name, local->pod);
    const struct fence_object *first = NULL;

    if (pod && fence_pod_is(pod, local->namespace_name, local->pod, local->uid))
        return pod;
    for (size_t i = 0; *local->container_id && i < compiler->annotated_count; i++) {
        pod = compiler->annotated[i];
        if (fence_pod_names_container(pod, local) &&
            (!first || fence_object_compare(pod, first) < 0))
            first = pod;
    }
    return first;
}

static const char *why_pending(const struct fence_compiler *compiler,
                               const struct fence_local *local)
{
    if (!*local->pod)
        return "the runtime gave no pod name and no labels, and no Pod object names the container";
    if (find(compiler, local->namespace_name, local->pod))
        return "the Pod object of this name is of another pod: its uid differs, it has finished "
               "or it uses the host's network";
    return "there is no Pod object for it, and the runtime gave no labels";
}

static int use_shape(struct fence_compiler *compiler, struct fence_subject *subject)
{
    const struct fence_object *pod = subject->pod;
    struct fence_shape_key key = {
        .namespace_index = subject->namespace_index,
        .labels = subject->labels,
        .ports = pod ? pod->pod.ports : fence_ports_none(),
        .name = pod && *pod->pod.owner ? pod->pod.owner : subject->local.pod,
    };

    if (pod && !*pod->pod.owner)
        key.name = pod->name;
    return fence_shape_use(compiler, &key, &subject->shape);
}

static int resolve_labels(struct fence_compiler *compiler, struct fence_subject *subject)
{
    const struct fence_local *local = &subject->local;
    const char *home = local->namespace_name;
    int r;

    subject->pod = pod_of(compiler, local);
    if (subject->pod) {
        home = subject->pod->namespace_name;
        subject->labels = fence_shared_labels_ref(subject->pod->pod.labels);
    } else if (subject->given) {
        subject->labels = fence_shared_labels_ref(subject->given);
    } else {
        subject->pending = why_pending(compiler, local);
        return 0;
    }
    r = fence_namespace_use(compiler, home, &subject->namespace_index);
    if (r < 0)
        return r;
    if (fence_missing_label(&compiler->options, subject->labels)) {
        subject->pending = "it misses a label that the operator requires";
        subject->incomplete = true;
        return 0;
    }
    return use_shape(compiler, subject);
}

static int make_claims(struct fence_subject *subject)
{
    size_t more = subject->pod ? subject->pod->pod.addr_count : 0;

    subject->claims = calloc(subject->local.addr_count + more + 1, sizeof(*subject->claims));
    if (!subject->claims)
        return -ENOMEM;
    for (size_t i = 0; i < subject->local.addr_count + more; i++) {
        const struct fence_addr *addr =
            i < subject->local.addr_count ? &subject->addrs[i]
                                          : &subject->pod->pod.addrs[i - subject->local.addr_count];
        size_t j = 0;

        while (j < subject->claim_count && !fence_addr_equal(&subject->claims[j], addr))
            j++;
        if (j == subject->claim_count)
            subject->claims[subject->claim_count++] = *addr;
    }
    return 0;
}

static int resolve(struct fence_compiler *compiler, struct fence_subject *subject)
{
    int r = forget_pod(compiler, subject);

    if (r == 0)
        r = resolve_labels(compiler, subject);
    if (r == 0)
        r = make_claims(subject);
    if (r == 0)
        r = claim_all(compiler, subject, true);
    subject->resolve = false;
    subject->select = true;
    return r;
}

int fence_subjects_resolve(struct fence_compiler *compiler)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < compiler->subject_count; i++) {
        struct fence_subject *subject = compiler->subjects[i];

        if (subject->resolve)
            r = resolve(compiler, subject);
        if (r == 0 && subject->select)
            r = fence_rulebook_select(compiler, subject);
        subject->select = false;
    }
    return r;
}

/* ---- endpoints of the plan ------------------------------------------------------------------ */

static int plan_sets(struct fence_compiler *compiler, const struct fence_subject *subject,
                     struct fence_plan_endpoint *wanted)
{
    int r = fence_set_get(compiler, subject, &subject->policies, &wanted->set);

    if (r == 0)
        r = fence_subject_ends(compiler, subject, wanted);
    if (r == 0 && compiler->plan->sets[wanted->set].problem)
        wanted->flags |= FENCE_EP_NOT_APPLIED;
    return r;
}

static int plan_endpoint(struct fence_compiler *compiler, const struct fence_subject *subject,
                         struct fence_plan_endpoint *ret_wanted)
{
    struct fence_plan_endpoint wanted = {0};
    int r = 0;

    put_new(&subject->local, &wanted);
    if (subject->local.exempt)
        wanted.flags |= FENCE_EP_EXEMPT;
    if (!subject->pending) {
        wanted.identity = compiler->shapes[subject->shape].identity;
        if (!subject->local.exempt)
            r = plan_sets(compiler, subject, &wanted);
    } else if (!subject->local.exempt) {
        wanted.flags |= FENCE_EP_PENDING | (subject->incomplete ? FENCE_EP_INCOMPLETE : 0);
        wanted.pending = subject->pending;
    }
    if (r == 0)
        *ret_wanted = wanted;
    return r;
}

static bool same_ends(const struct fence_plan_endpoint *a, const struct fence_plan_endpoint *b)
{
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(a->ends); i++)
        if (a->ends[i].at != b->ends[i].at || a->ends[i].set != b->ends[i].set)
            return false;
    return a->end_count == b->end_count;
}

/* But for the item, which is the plan's. */
static bool same_endpoint(const struct fence_plan_endpoint *a, const struct fence_plan_endpoint *b)
{
    return a->created_ns == b->created_ns && a->ifindex == b->ifindex && a->flags == b->flags &&
           a->identity == b->identity && a->set == b->set && same_ends(a, b) &&
           a->pending == b->pending;
}

static int compile(struct fence_compiler *compiler, struct fence_subject *subject)
{
    struct fence_plan *plan = compiler->plan;
    struct fence_plan_endpoint wanted, *endpoint;
    int r = plan_endpoint(compiler, subject, &wanted);

    if (r < 0)
        return r;
    endpoint = &plan->endpoints[subject->endpoint];
    wanted.item = endpoint->item;
    if (same_endpoint(&wanted, endpoint))
        return 0;
    POINT_AT(plan, identities, endpoint->identity, wanted.identity);
    POINT_AT(plan, sets, endpoint->set, wanted.set);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(wanted.ends); i++)
        POINT_AT(plan, sets, endpoint->ends[i].set, wanted.ends[i].set);
    *endpoint = wanted;
    FENCE_PLAN_TOUCH(plan, endpoints, subject->endpoint);
    return 0;
}

int fence_subjects_compile(struct fence_compiler *compiler)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < compiler->subject_count; i++) {
        struct fence_subject *subject = compiler->subjects[i];

        /* its identity follows its shape without it being asked */
        if (!subject->compile &&
            (subject->pending || compiler->plan->endpoints[subject->endpoint].identity ==
                                     compiler->shapes[subject->shape].identity))
            continue;
        r = compile(compiler, subject);
        subject->compile = false;
    }
    return r;
}

void fence_subjects_done(struct fence_compiler *compiler)
{
    for (size_t i = 0; i < compiler->subject_count; i++)
        free_subject(&compiler->subjects[i]);
    free(compiler->subjects);
    free(compiler->annotated);
}

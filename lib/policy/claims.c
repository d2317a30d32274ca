/* SPDX-License-Identifier: Apache-2.0 */
/* Who claims which address: pods, nodes, endpoints of this node (subjects.c), this node itself. */
#include "lib/policy/claims.h"

#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"

uintptr_t fence_owner_of_subject(struct fence_subject *subject)
{
    return (uintptr_t)subject | TAG_SUBJECT;
}

uintptr_t fence_owner_of_object(const struct fence_object *object)
{
    return (uintptr_t)object;
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
    if (!is_contest(entry->owner) && new_contest(compiler, entry) < 0)
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

bool fence_claim_shape(const struct fence_compiler *compiler, const struct fence_object *pod,
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
    if (fence_claim_shape(compiler, pod, &shape))
        fence_shape_leave(compiler, shape);
    return r;
}

int fence_claims_pod(struct fence_compiler *compiler, const struct fence_change *change)
{
    int r = 0;

    if (owns_addresses(change->before))
        r = unclaim_pod(compiler, change->before);
    if (r == 0 && owns_addresses(change->after))
        r = claim_pod(compiler, change->after);
    return r;
}

/* ---- nodes ---------------------------------------------------------------------------------- */

bool fence_is_own_node(const struct fence_compiler *compiler, const struct fence_object *node)
{
    return node && compiler->options.node_name &&
           strcmp(node->name, compiler->options.node_name) == 0;
}

/* Those that it states, and where its pods' ranges begin: Flannel's tunnel device sends by that. If
 * this node has such a device it is among the host's. */
static int change_claims(struct fence_compiler *compiler, const struct fence_object *object,
                         int (*change)(struct fence_compiler *compiler,
                                       const struct fence_addr *addr, uintptr_t owner))
{
    const struct fence_node *node = &object->node;
    size_t ranges = fence_is_own_node(compiler, object) ? 0 : node->pod_prefix_count;
    int r = 0;

    for (size_t i = 0; r == 0 && i < node->addr_count; i++)
        r = change(compiler, &node->addrs[i], fence_owner_of_object(object));
    for (size_t i = 0; r == 0 && i < ranges; i++)
        r = change(compiler, &node->pod_prefixes[i].addr, fence_owner_of_object(object));
    return r;
}

static int forget_node(struct fence_compiler *compiler, const struct fence_object *node)
{
    for (size_t i = 0; i < compiler->node_count; i++)
        if (compiler->nodes[i] == node) {
            compiler->nodes[i] = compiler->nodes[--compiler->node_count];
            break;
        }
    return change_claims(compiler, node, fence_unclaim);
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

int fence_claims_node(struct fence_compiler *compiler, const struct fence_change *change)
{
    int r = change->before ? forget_node(compiler, change->before) : 0;

    if (r == 0 && change->after) {
        r = fence_array_grow((void **)&compiler->nodes, &compiler->node_capacity,
                             compiler->node_count, sizeof(void *));
        if (r == 0)
            compiler->nodes[compiler->node_count++] = change->after;
        if (r == 0)
            r = change_claims(compiler, change->after, fence_claim);
    }
    /* the labels of this node are those of its host addresses */
    if (r == 0 &&
        (fence_is_own_node(compiler, change->before) || fence_is_own_node(compiler, change->after)))
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

int fence_claims_host(struct fence_compiler *compiler, const struct fence_addr *addrs, size_t count)
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

void fence_claims_done(struct fence_compiler *compiler)
{
    for (size_t i = 0; i < compiler->contest_count; i++)
        free(compiler->contests[i].owners);
    free(compiler->contests);
    free(compiler->free_contests.items);
    free(compiler->nodes);
    free(compiler->host_addrs);
}

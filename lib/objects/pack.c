/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A decoded object is a tree of small allocations, and a node keeps 100,000 pods and 10,000
 * policies. Behind a packed object lie, in the same allocation: of a pod its addresses and
 * host ports, of a policy, a service or a slice all its arrays; then the name.
 *
 * Arrays are walked twice, to count them and to move them.
 */
#include "lib/objects/pack.h"

#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/shared.h"
#include "lib/objects/model.h"

struct mover {
    char *memory; /* NULL while counting */
    size_t used;
};

/* To its place, out of an allocation of its own. Aligned for whatever comes next. */
static void *place(struct mover *mover, void *from, size_t size)
{
    size_t at = mover->used;

    mover->used += (size + 7) & ~(size_t)7;
    if (!mover->memory)
        return from;
    if (size)
        memcpy(mover->memory + at, from, size);
    free(from);
    return size ? mover->memory + at : NULL;
}

/* What is in the selector; the selector itself is where it is. */
static void place_requirements(struct mover *mover, struct fence_selector *selector)
{
    selector->items = place(mover, selector->items, selector->count * sizeof(*selector->items));
    for (size_t i = 0; i < selector->count; i++) {
        struct fence_requirement *item = &selector->items[i];

        item->values = place(mover, item->values, item->value_count * sizeof(char *));
    }
}

static void place_selector(struct mover *mover, struct fence_selector **selector)
{
    if (!*selector)
        return;
    *selector = place(mover, *selector, sizeof(**selector));
    place_requirements(mover, *selector);
}

static void place_block(struct mover *mover, struct fence_ip_block **block)
{
    if (!*block)
        return;
    *block = place(mover, *block, sizeof(**block));
    (*block)->except =
        place(mover, (*block)->except, (*block)->except_count * sizeof(*(*block)->except));
}

static void place_rule(struct mover *mover, struct fence_rule *rule)
{
    rule->ports = place(mover, rule->ports, rule->port_count * sizeof(*rule->ports));
    rule->peers = place(mover, rule->peers, rule->peer_count * sizeof(*rule->peers));
    for (size_t i = 0; i < rule->peer_count; i++) {
        place_selector(mover, &rule->peers[i].namespaces);
        place_selector(mover, &rule->peers[i].pods);
        place_selector(mover, &rule->peers[i].nodes);
        place_block(mover, &rule->peers[i].block);
    }
}

static void place_policy(struct mover *mover, struct fence_policy *policy)
{
    place_requirements(mover, &policy->namespaces);
    place_requirements(mover, &policy->pods);
    for (unsigned int direction = 0; direction < FENCE_DIRECTIONS; direction++) {
        size_t count = policy->rule_count[direction];

        policy->rules[direction] =
            place(mover, policy->rules[direction], count * sizeof(*policy->rules[direction]));
        for (size_t i = 0; i < count; i++)
            place_rule(mover, &policy->rules[direction][i]);
    }
}

static void place_pod(struct mover *mover, struct fence_pod *pod)
{
    pod->addrs = place(mover, pod->addrs, pod->addr_count * sizeof(*pod->addrs));
    pod->host_ports =
        place(mover, pod->host_ports, pod->host_port_count * sizeof(*pod->host_ports));
}

static void place_addrs(struct mover *mover, struct fence_addr_list *addrs)
{
    addrs->items = place(mover, addrs->items, addrs->count * sizeof(*addrs->items));
}

static void place_service(struct mover *mover, struct fence_service *service)
{
    place_addrs(mover, &service->addrs);
    service->ports = place(mover, service->ports, service->port_count * sizeof(*service->ports));
}

static void place_slice(struct mover *mover, struct fence_endpoint_slice *slice)
{
    place_addrs(mover, &slice->addrs);
    slice->ports = place(mover, slice->ports, slice->port_count * sizeof(*slice->ports));
}

static void place_arrays(struct mover *mover, struct fence_object *object)
{
    if (object->kind == FENCE_OBJECT_POD)
        place_pod(mover, &object->pod);
    else if (fence_kind_is_policy(object->kind))
        place_policy(mover, &object->policy);
    else if (object->kind == FENCE_OBJECT_SERVICE)
        place_service(mover, &object->service);
    else if (object->kind == FENCE_OBJECT_ENDPOINT_SLICE)
        place_slice(mover, &object->slice);
}

/* What an object of this kind takes without what it points to. */
static size_t size_of_kind(enum fence_kind kind)
{
    size_t head = offsetof(struct fence_object, pod);

    if (fence_kind_is_policy(kind))
        return head + sizeof(struct fence_policy);
    if (kind == FENCE_OBJECT_POD)
        return head + sizeof(struct fence_pod);
    if (kind == FENCE_OBJECT_NODE)
        return head + sizeof(struct fence_node);
    if (kind == FENCE_OBJECT_SERVICE)
        return head + sizeof(struct fence_service);
    if (kind == FENCE_OBJECT_ENDPOINT_SLICE)
        return head + sizeof(struct fence_endpoint_slice);
    return head + sizeof(const struct fence_labels *);
}

int fence_object_pack(struct fence_object **object)
{
    struct fence_object *from = *object;
    struct mover mover = {.used = size_of_kind(from->kind)};
    size_t name = strlen(from->name) + 1;
    struct fence_object *packed;

    place_arrays(&mover, from);
    mover.memory = malloc(mover.used + name);
    if (!mover.memory)
        return -ENOMEM;
    mover.used = size_of_kind(from->kind);
    packed = memcpy(mover.memory, from, mover.used);
    packed->packed = true;
    place_arrays(&mover, packed);
    packed->name = memcpy(mover.memory + mover.used, from->name, name);
    free(from->name);
    free(from);
    *object = packed;
    return 0;
}

/* ---- the end of a packed policy ------------------------------------------------------------- */

static void unref_selector(struct fence_selector *selector)
{
    for (size_t i = 0; selector && i < selector->count; i++) {
        struct fence_requirement *item = &selector->items[i];

        for (size_t j = 0; j < item->value_count; j++)
            fence_shared_string_unref(&item->values[j]);
        fence_shared_string_unref(&item->key);
    }
}

static void unref_rule(struct fence_rule *rule)
{
    for (size_t i = 0; i < rule->peer_count; i++) {
        unref_selector(rule->peers[i].namespaces);
        unref_selector(rule->peers[i].pods);
        unref_selector(rule->peers[i].nodes);
    }
    for (size_t i = 0; i < rule->port_count; i++)
        free(rule->ports[i].name);
}

void fence_policy_packed_done(struct fence_policy *policy)
{
    unref_selector(&policy->namespaces);
    unref_selector(&policy->pods);
    for (unsigned int direction = 0; direction < FENCE_DIRECTIONS; direction++)
        for (size_t i = 0; i < policy->rule_count[direction]; i++)
            unref_rule(&policy->rules[direction][i]);
}

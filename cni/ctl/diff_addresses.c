/* SPDX-License-Identifier: Apache-2.0 */
/* Which addresses outside no rule can tell apart: those of each block that are in none within. */
#include <errno.h>
#include <string.h>

#include "cni/ctl/diff.h"
#include "lib/base/memory.h"
#include "lib/policy/lookup.h"

/* ---- blocks --------------------------------------------------------------------------------- */

static int add_prefix(struct diff_blocks *blocks, const struct fence_prefix *prefix)
{
    if (FENCE_GROW(blocks->items, blocks->capacity, blocks->count) < 0)
        return -ENOMEM;
    blocks->items[blocks->count++] = *prefix;
    return 0;
}

static int add_block(struct diff_blocks *blocks, const struct fence_ip_block *block)
{
    int r = add_prefix(blocks, &block->cidr);

    for (size_t i = 0; r == 0 && i < block->except_count; i++)
        r = add_prefix(blocks, &block->except[i]);
    return r;
}

static int add_rule_blocks(struct diff_blocks *blocks, const struct fence_rule *rule)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < rule->peer_count; i++)
        if (rule->peers[i].block)
            r = add_block(blocks, rule->peers[i].block);
    return r;
}

static int add_policy_blocks(struct diff_blocks *blocks, const struct fence_policy *policy)
{
    int r = 0;

    for (int direction = 0; direction < FENCE_DIRECTIONS; direction++)
        for (size_t i = 0; r == 0 && i < policy->rule_count[direction]; i++)
            r = add_rule_blocks(blocks, &policy->rules[direction][i]);
    return r;
}

static int compare_blocks(const void *a, const void *b)
{
    return fence_prefix_compare(a, b);
}

static void sort_blocks(struct diff_blocks *blocks)
{
    size_t kept = 0;

    qsort(blocks->items, blocks->count, sizeof(*blocks->items), compare_blocks);
    for (size_t i = 0; i < blocks->count; i++)
        if (i == 0 || fence_prefix_compare(&blocks->items[i], &blocks->items[kept - 1]) != 0)
            blocks->items[kept++] = blocks->items[i];
    blocks->count = kept;
}

int diff_blocks_find(const struct diff *diff, struct diff_blocks *ret_blocks)
{
    static const char *const all[] = {"0.0.0.0/0", "::/0"};
    int r = 0;

    for (size_t i = 0; r == 0 && i < FENCE_ARRAY_SIZE(all); i++) {
        struct fence_prefix prefix;

        r = fence_prefix_parse(all[i], &prefix, NULL);
        if (r == 0)
            r = add_prefix(ret_blocks, &prefix);
    }
    for (int side = 0; side < DIFF_SIDES; side++) {
        const struct fence_world *world = diff->worlds[side];

        for (size_t i = 0; r == 0 && i < world->object_count; i++)
            if (fence_kind_is_policy(world->objects[i]->kind))
                r = add_policy_blocks(ret_blocks, &world->objects[i]->policy);
    }
    if (r == 0)
        sort_blocks(ret_blocks);
    return r;
}

/* ---- addresses outside ---------------------------------------------------------------------- */

/* Where an address is looked for. */
struct field {
    const struct diff *diff;
    const struct diff_blocks *blocks;
};

static struct fence_addr last_of(const struct fence_prefix *prefix)
{
    struct fence_addr addr = prefix->addr;

    for (unsigned int bit = prefix->length; bit < 128; bit++)
        addr.bytes[bit / 8] |= (unsigned char)(0x80 >> (bit % 8));
    return addr;
}

static struct fence_addr next_of(struct fence_addr addr)
{
    for (int i = 15; i >= 0 && ++addr.bytes[i] == 0; i--)
        ;
    return addr;
}

/* Does the address belong to the cluster, as pods', nodes' or yet unknown pods' do? */
static bool is_inside(const struct diff *diff, const char *address, enum diff_side side)
{
    const struct fence_world *world = diff->worlds[side];
    struct fence_object_range nodes = fence_world_kind(world, FENCE_OBJECT_NODE);
    struct fence_object_range pods = fence_world_kind(world, FENCE_OBJECT_POD);
    struct fence_addr addr;

    if (fence_addr_parse(address, &addr) < 0 || diff_is_service(diff, side, &addr))
        return true;
    for (size_t i = 0; i < pods.count; i++)
        for (size_t j = 0; j < pods.items[i]->pod.addr_count; j++)
            if (fence_addr_equal(&pods.items[i]->pod.addrs[j], &addr))
                return true;
    for (size_t i = 0; i < nodes.count; i++) {
        const struct fence_node *node = &nodes.items[i]->node;

        for (size_t j = 0; j < node->addr_count; j++)
            if (fence_addr_equal(&node->addrs[j], &addr))
                return true;
        for (size_t j = 0; j < node->pod_prefix_count; j++)
            if (fence_prefix_contains(&node->pod_prefixes[j], &addr))
                return true;
    }
    return false;
}

/* In this block and in none within it, and outside the cluster. */
static bool stands_for(const struct field *field, size_t index, const struct fence_addr *addr,
                       char text[FENCE_ADDR_TEXT])
{
    const struct diff_blocks *blocks = field->blocks;
    const struct fence_prefix *block = &blocks->items[index];

    if (!fence_prefix_contains(block, addr) ||
        fence_addr_is_ipv4(addr) != fence_prefix_is_ipv4(block))
        return false;
    for (size_t i = 0; i < blocks->count; i++)
        if (blocks->items[i].length > block->length &&
            fence_prefix_contains(&blocks->items[i], addr))
            return false;
    fence_addr_format(addr, text);
    return !is_inside(field->diff, text, DIFF_OLD) && !is_inside(field->diff, text, DIFF_NEW);
}

/* Outside for sure; the first addresses of 0.0.0.0/0 and ::/0 are none that hosts have. */
static bool find_documented(const struct field *field, size_t index, char text[FENCE_ADDR_TEXT])
{
    static const char *const documented[] = {"192.0.2.1", "198.51.100.1", "2001:db8::1"};
    struct fence_addr addr;

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(documented); i++)
        if (fence_addr_parse(documented[i], &addr) == 0 && stands_for(field, index, &addr, text))
            return true;
    return false;
}

static bool find_behind_pods(const struct field *field, size_t index, enum diff_side side,
                             char text[FENCE_ADDR_TEXT])
{
    struct fence_object_range nodes =
        fence_world_kind(field->diff->worlds[side], FENCE_OBJECT_NODE);

    for (size_t i = 0; i < nodes.count; i++) {
        const struct fence_node *node = &nodes.items[i]->node;

        for (size_t j = 0; j < node->pod_prefix_count; j++) {
            struct fence_addr behind = next_of(last_of(&node->pod_prefixes[j]));

            if (stands_for(field, index, &behind, text))
                return true;
        }
    }
    return false;
}

/* The address behind each that is taken, until one is free. */
static bool find_free(const struct field *field, size_t index, char text[FENCE_ADDR_TEXT])
{
    const struct diff_blocks *blocks = field->blocks;
    const struct fence_prefix *block = &blocks->items[index];
    struct fence_addr first = block->addr, second = next_of(first), last = last_of(block);

    if (find_documented(field, index, text) || stands_for(field, index, &second, text) ||
        stands_for(field, index, &first, text) || stands_for(field, index, &last, text))
        return true;
    for (size_t i = 0; i < blocks->count; i++) {
        struct fence_addr behind = next_of(last_of(&blocks->items[i]));

        if (stands_for(field, index, &behind, text))
            return true;
    }
    return find_behind_pods(field, index, DIFF_OLD, text) ||
           find_behind_pods(field, index, DIFF_NEW, text);
}

int diff_addresses_add(struct diff *diff, const struct diff_blocks *blocks)
{
    const struct field field = {diff, blocks};

    for (size_t i = 0; i < blocks->count; i++) {
        struct diff_workload workload = {0};
        char name[FENCE_PREFIX_TEXT];

        if (!find_free(&field, i, workload.address))
            continue;
        workload.name = strdup(fence_prefix_format(&blocks->items[i], name));
        if (!workload.name || FENCE_GROW(diff->workloads, diff->capacity, diff->count) < 0) {
            free(workload.name);
            return -ENOMEM;
        }
        diff->workloads[diff->count++] = workload;
    }
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "test/flows/world.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/names.h"

struct fence_flow_end world_workload(const char *name, const char *labels)
{
    return (struct fence_flow_end){FENCE_FLOW_WORKLOAD, "shop", name, labels};
}

int world_setup(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    const struct fence_flow_end web = world_workload("web", "app=web"),
                                api = world_workload("api", "app=api,tier=back"),
                                db = world_workload("db", "app=db");
    const struct fence_flow_end node = {FENCE_FLOW_NODE, "", "n2", ""};

    if (!world || fence_flow_book_new(WALL * SECOND, &world->book) < 0)
        return -1;
    world->jiffies = 10 * HZ;
    world_name(world, 300, &web);
    world_name(world, 301, &api);
    world_name(world, 302, &db);
    world_name(world, 400, &node);
    world->rules[0].number = 7;
    world->rules[0].rule = (struct fence_flow_rule){"NetworkPolicy/shop/api-in", 2};
    world->rules[1].number = 8;
    world->rules[1].rule = (struct fence_flow_rule){"SegmentPolicy/shop/db", FENCE_RULE_NONE};
    world->rule_count = 2;
    *state = world;
    return 0;
}

int world_teardown(void **state)
{
    struct world *world = *state;

    fence_flow_book_free(&world->book);
    free(world);
    return 0;
}

void world_unname(struct world *world, uint32_t number)
{
    for (size_t i = 0; i < world->name_count; i++)
        if (world->names[i].number == number)
            world->names[i--] = world->names[--world->name_count];
}

void world_name(struct world *world, uint32_t number, const struct fence_flow_end *end)
{
    world_unname(world, number);
    assert_true(world->name_count < WORLD_MAX);
    world->names[world->name_count++] = (struct world_name){number, *end};
}

static int name_end(void *context, uint32_t identity, struct fence_flow_end *ret_end)
{
    const struct world *world = context;

    if (identity < FENCE_IDENTITY_FIRST) {
        *ret_end = (struct fence_flow_end){FENCE_FLOW_RESERVED, "",
                                           fence_identity_reserved_name(identity), ""};
        return 0;
    }
    for (size_t i = 0; i < world->name_count; i++)
        if (world->names[i].number == identity) {
            *ret_end = world->names[i].end;
            return 0;
        }
    return -ENOENT;
}

static int name_rule(void *context, uint32_t number, struct fence_flow_rule *ret_rule)
{
    const struct world *world = context;

    for (size_t i = 0; i < world->rule_count; i++)
        if (world->rules[i].number == number) {
            *ret_rule = world->rules[i].rule;
            return 0;
        }
    return -ENOENT;
}

struct fence_flow_names world_names(struct world *world)
{
    return (struct fence_flow_names){name_end, name_rule, world};
}

struct fence_flow_key world_key(uint32_t source, uint32_t destination, uint16_t port)
{
    return (struct fence_flow_key){
        .source = source,
        .destination = destination,
        .port = port,
        .protocol = IPPROTO_TCP,
        .direction = FENCE_INGRESS,
        .verdict = FENCE_ALLOW,
        .shadow = FENCE_ALLOW,
    };
}

static struct world_entry *find(struct world *world, const struct fence_flow_key *key)
{
    for (size_t i = 0; i < world->entry_count; i++)
        if (memcmp(&world->entries[i].key, key, sizeof(*key)) == 0)
            return &world->entries[i];
    return NULL;
}

struct world_entry *world_count(struct world *world, const struct fence_flow_key *key)
{
    struct world_entry *entry = find(world, key);

    if (!entry) {
        assert_true(world->entry_count < WORLD_MAX);
        entry = &world->entries[world->entry_count++];
        *entry = (struct world_entry){.key = *key, .flow.first_seen = world->jiffies};
    }
    entry->flow.count++;
    entry->flow.last_seen = world->jiffies;
    entry->flow.reason = key->verdict == FENCE_DENY ? FENCE_REASON_NO_RULE : FENCE_REASON_RULE;
    entry->flow.shadow_reason =
        key->shadow == FENCE_DENY ? FENCE_REASON_NO_RULE : FENCE_REASON_RULE;
    return entry;
}

void world_evict(struct world *world, const struct fence_flow_key *key)
{
    struct world_entry *entry = find(world, key);

    if (!entry)
        fail();
    else
        *entry = world->entries[--world->entry_count];
}

void world_look(struct world *world, unsigned int seconds)
{
    const struct fence_flow_names names = world_names(world);
    struct fence_flow_moment moment = {.hz = HZ};

    world->jiffies += (uint64_t)seconds * HZ;
    moment.jiffies = world->jiffies;
    moment.wall_ns = WALL * SECOND + world->jiffies * (SECOND / HZ);
    fence_flow_book_begin(world->book, &moment, &names);
    for (size_t i = 0; i < world->entry_count; i++)
        assert_int_equal(
            fence_flow_book_count(world->book, &world->entries[i].key, &world->entries[i].flow), 0);
    fence_flow_book_end(world->book);
}

struct wanted {
    const char *source;
    uint16_t port;
    size_t count;
    struct fence_flow_seen seen;
};

static int is_wanted(void *context, const struct fence_flow_seen *seen)
{
    struct wanted *wanted = context;

    if (!wanted->source ||
        (strcmp(seen->source.name, wanted->source) == 0 && seen->port == wanted->port)) {
        wanted->seen = *seen;
        wanted->count++;
    }
    return 0;
}

struct fence_flow_seen world_flow(const struct world *world, const char *source, uint16_t port)
{
    struct wanted wanted = {.source = source, .port = port};

    fence_flow_book_each(world->book, 0, is_wanted, &wanted);
    assert_int_equal(wanted.count, 1);
    return wanted.seen;
}

size_t world_flows(const struct world *world)
{
    struct wanted wanted = {0};

    fence_flow_book_each(world->book, 0, is_wanted, &wanted);
    return wanted.count;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/ctl/policy_set.h"

#include <stdlib.h>
#include <string.h>

#include "cni/ctl/names.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"
#include "lib/datapath/read.h"

struct table {
    struct fence_policy_key key;
    struct fence_policy_table where;
};

struct tables {
    __u32 set;
    struct table *items;
    size_t count;
    size_t capacity;
};

static int visit_table(void *context, const void *key_bytes, const void *value)
{
    struct tables *tables = context;
    const struct fence_policy_key *key = key_bytes;

    if (key->set != tables->set)
        return 0;
    if (FENCE_GROW(tables->items, tables->capacity, tables->count) < 0)
        return -1;
    tables->items[tables->count].key = *key;
    memcpy(&tables->items[tables->count++].where, value, sizeof(struct fence_policy_table));
    return 0;
}

/* Egress first; within a direction the peers, and "every other peer" last. */
static int by_key(const void *a_item, const void *b_item)
{
    const struct fence_policy_key *a = &((const struct table *)a_item)->key;
    const struct fence_policy_key *b = &((const struct table *)b_item)->key;

    if (a->direction != b->direction)
        return a->direction < b->direction ? -1 : 1;
    if ((a->peer == FENCE_PEER_ANY) != (b->peer == FENCE_PEER_ANY))
        return a->peer == FENCE_PEER_ANY ? 1 : -1;
    return (a->peer > b->peer) - (a->peer < b->peer);
}

static void add_peer(cJSON *row, const struct fence_pins *pins, __u32 number)
{
    struct fence_peer peer;
    char text[CTL_SHOW_MAX] = "every other peer";

    if (number != FENCE_PEER_ANY && fence_peer_read(pins, number, &peer) == 0)
        fence_identity_show(pins, peer.identity, text, sizeof(text));
    else if (number != FENCE_PEER_ANY)
        snprintf(text, sizeof(text), "unknown");
    cJSON_AddNumberToObject(row, "peer", number);
    cJSON_AddStringToObject(row, "peerName", text);
}

static cJSON *row_of(const struct fence_pins *pins, const struct table *table,
                     const struct fence_interval *interval, __u32 high)
{
    cJSON *row = cJSON_CreateObject();

    cJSON_AddStringToObject(row, "direction", fence_direction_name(table->key.direction));
    add_peer(row, pins, table->key.peer);
    cJSON_AddItemToObject(row, "traffic", ctl_positions(interval->low, high));
    cJSON_AddStringToObject(row, "verdict", fence_verdict_name(interval->verdict));
    cJSON_AddStringToObject(row, "audit", fence_verdict_name(interval->shadow));
    cJSON_AddStringToObject(row, "reason", fence_reason_name(interval->reason));
    ctl_add_rule(row, pins, interval->rule);
    return row;
}

static int add_table(cJSON *rows, const struct fence_pins *pins, const struct table *table)
{
    for (__u32 i = 0; i < table->where.count && i < FENCE_TABLE_MAX; i++) {
        struct fence_interval interval, next = {.low = FENCE_POSITION_END};
        int r = fence_interval_read(pins, table->where.offset + i, &interval);

        if (r == 0 && i + 1 < table->where.count)
            r = fence_interval_read(pins, table->where.offset + i + 1, &next);
        if (r < 0)
            return r;
        if (interval.low < next.low)
            cJSON_AddItemToArray(rows, row_of(pins, table, &interval, next.low - 1));
    }
    return 0;
}

static void print_text(const struct ctl *ctl, const cJSON *value)
{
    static const struct ctl_column columns[] = {
        {"DIRECTION", "direction", NULL, 0}, {"PEER", "peerName", NULL, 60},
        {"NUMBER", "peer", NULL, 0},         {"TRAFFIC", "traffic", NULL, 0},
        {"VERDICT", "verdict", NULL, 0},     {"AUDIT", "audit", NULL, 0},
        {"REASON", "reason", NULL, 0},       {"POLICY", "policy", NULL, 80},
        {"RULE", "rule", NULL, 0},
    };

    printf("Policy set %.0f\n", ctl_member_number(value, "policySet"));
    ctl_table_print(stdout, ctl->output.color, ctl_member(value, "entries"), columns,
                    FENCE_ARRAY_SIZE(columns));
}

static int show(struct ctl *ctl, const struct fence_pins *pins, struct tables *tables)
{
    struct fence_err err = {0};
    cJSON *value, *rows;
    int r = fence_map_each(pins, FENCE_MAP_POLICIES, visit_table, tables, &err);

    if (r != 0)
        return ctl_fail(ctl, "%s", *err.text ? err.text : "out of memory");
    if (!tables->count)
        return ctl_fail(ctl, "there is no policy set %u; \"%s endpoints\" shows those in use",
                        tables->set, ctl->program);
    qsort(tables->items, tables->count, sizeof(*tables->items), by_key);
    value = cJSON_CreateObject();
    cJSON_AddNumberToObject(value, "policySet", tables->set);
    rows = cJSON_AddArrayToObject(value, "entries");
    for (size_t i = 0; r == 0 && i < tables->count; i++)
        r = add_table(rows, pins, &tables->items[i]);
    if (r == 0)
        return ctl_show(ctl, value, print_text);
    cJSON_Delete(value);
    return ctl_fail(ctl, "cannot read the intervals of policy set %u: %s", tables->set,
                    strerror(-r));
}

int ctl_policy_set(struct ctl *ctl, __u32 set)
{
    struct tables tables = {.set = set};
    struct fence_pins pins;
    int r = ctl_open_pins(ctl, &pins);

    if (r != CTL_DONE)
        return r;
    r = show(ctl, &pins, &tables);
    fence_pins_close(&pins);
    free(tables.items);
    return r;
}

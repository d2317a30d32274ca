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

/* Whom a class stands for. */
struct member {
    __u32 class;
    __u32 identity;
};

struct tables {
    __u32 set;
    struct table *items;
    size_t count;
    size_t capacity;
    struct member *members; /* sorted by class, then identity */
    size_t member_count;
    size_t member_capacity;
};

/* Names shown of one class; the others are counted. */
#define NAMES_MAX 3

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

/* Egress first; within a direction the classes, and "every other peer" last. */
static int by_key(const void *a_item, const void *b_item)
{
    const struct fence_policy_key *a = &((const struct table *)a_item)->key;
    const struct fence_policy_key *b = &((const struct table *)b_item)->key;

    if (a->direction != b->direction)
        return a->direction < b->direction ? -1 : 1;
    if ((a->class == FENCE_CLASS_ANY) != (b->class == FENCE_CLASS_ANY))
        return a->class == FENCE_CLASS_ANY ? 1 : -1;
    return (a->class > b->class) - (a->class < b->class);
}

static int visit_peer(void *context, const void *key, const void *value)
{
    struct tables *tables = context;
    const struct fence_peer *peer = value;

    (void)key;
    if (!peer->class)
        return 0;
    if (FENCE_GROW(tables->members, tables->member_capacity, tables->member_count) < 0)
        return -1;
    tables->members[tables->member_count++] =
        (struct member){.class = peer->class, .identity = peer->identity};
    return 0;
}

static int by_class(const void *a_item, const void *b_item)
{
    const struct member *a = a_item;
    const struct member *b = b_item;

    if (a->class != b->class)
        return a->class < b->class ? -1 : 1;
    return (a->identity > b->identity) - (a->identity < b->identity);
}

/* "shop/web, shop/api and 3 more"; an identity at several places counts once. */
static void name_class(const struct fence_pins *pins, const struct tables *tables, __u32 class,
                       char *text, size_t size)
{
    size_t used = 0, shown = 0, more = 0;
    __u32 last = FENCE_IDENTITY_NONE;

    snprintf(text, size, "nobody");
    for (size_t i = 0; i < tables->member_count; i++) {
        const struct member *member = &tables->members[i];
        char name[CTL_SHOW_MAX];

        if (member->class != class || member->identity == last)
            continue;
        last = member->identity;
        if (shown == NAMES_MAX) {
            more++;
            continue;
        }
        fence_identity_show(pins, member->identity, name, sizeof(name));
        used += (size_t)snprintf(text + used, size - used, "%s%.80s", shown++ ? ", " : "", name);
    }
    if (more)
        snprintf(text + used, size - used, " and %zu more", more);
}

static void add_class(cJSON *row, const struct fence_pins *pins, const struct tables *tables,
                      __u32 class)
{
    char text[NAMES_MAX * 100] = "every other peer";

    if (class != FENCE_CLASS_ANY)
        name_class(pins, tables, class, text, sizeof(text));
    cJSON_AddNumberToObject(row, "class", class);
    cJSON_AddStringToObject(row, "peers", text);
}

/* A row of the answer: `interval` up to `high`. */
struct row {
    const struct tables *tables;
    const struct table *table;
    const struct fence_interval *interval;
    __u32 high;
};

static cJSON *row_of(const struct fence_pins *pins, const struct row *from)
{
    const struct fence_interval *interval = from->interval;
    cJSON *row = cJSON_CreateObject();

    cJSON_AddStringToObject(row, "direction", fence_direction_name(from->table->key.direction));
    add_class(row, pins, from->tables, from->table->key.class);
    cJSON_AddItemToObject(row, "traffic", ctl_positions(interval->low, from->high));
    cJSON_AddStringToObject(row, "verdict", fence_verdict_name(interval->verdict));
    cJSON_AddStringToObject(row, "audit", fence_verdict_name(interval->shadow));
    cJSON_AddStringToObject(row, "reason", fence_reason_name(interval->reason));
    ctl_add_rule(row, pins, interval->rule);
    return row;
}

static int add_table(cJSON *rows, const struct fence_pins *pins, const struct tables *tables,
                     const struct table *table)
{
    for (__u32 i = 0; i < table->where.count && i < FENCE_TABLE_MAX; i++) {
        struct fence_interval interval, next = {.low = FENCE_POSITION_END};
        int r = fence_interval_read(pins, table->where.offset + i, &interval);

        if (r == 0 && i + 1 < table->where.count)
            r = fence_interval_read(pins, table->where.offset + i + 1, &next);
        if (r < 0)
            return r;
        if (interval.low < next.low) {
            const struct row row = {tables, table, &interval, next.low - 1};

            cJSON_AddItemToArray(rows, row_of(pins, &row));
        }
    }
    return 0;
}

static void print_text(const struct ctl *ctl, const cJSON *value)
{
    static const struct ctl_column columns[] = {
        {"DIRECTION", "direction", NULL, 0}, {"PEERS", "peers", NULL, 60},
        {"CLASS", "class", NULL, 0},         {"TRAFFIC", "traffic", NULL, 0},
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

    if (r == 0)
        r = fence_map_each(pins, FENCE_MAP_PEERS, visit_peer, tables, &err);
    if (r != 0)
        return ctl_fail(ctl, "%s", *err.text ? err.text : "out of memory");
    if (!tables->count)
        return ctl_fail(ctl, "there is no policy set %u; \"%s endpoints\" shows those in use",
                        tables->set, ctl->program);
    qsort(tables->items, tables->count, sizeof(*tables->items), by_key);
    if (tables->member_count)
        qsort(tables->members, tables->member_count, sizeof(*tables->members), by_class);
    value = cJSON_CreateObject();
    cJSON_AddNumberToObject(value, "policySet", tables->set);
    rows = cJSON_AddArrayToObject(value, "entries");
    for (size_t i = 0; r == 0 && i < tables->count; i++)
        r = add_table(rows, pins, tables, &tables->items[i]);
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
    free(tables.members);
    return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/ctl/diff_live.h"

#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/names.h"

/* Equal connections, whichever pods of the two workloads made them. */
struct row {
    char *from;
    char *to;
    const struct fence_flow_seen *seen;
    uint64_t count;
    uint64_t first_ns;
    uint64_t last_ns;
};

struct rows {
    struct row *items;
    size_t count;
    size_t capacity;
};

static void rows_done(struct rows *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        free(rows->items[i].from);
        free(rows->items[i].to);
    }
    free(rows->items);
}

/* "shop/web", "node n1", "world"; NULL when out of memory. */
static char *end_text(const struct fence_flow_end *end)
{
    char *text = NULL;
    int length;

    if (end->kind == FENCE_FLOW_WORKLOAD)
        length = asprintf(&text, "%s/%s", end->namespace_name, end->name);
    else
        length = asprintf(&text, "%s%s", end->kind == FENCE_FLOW_NODE ? "node " : "", end->name);
    return length < 0 ? NULL : text;
}

static int compare_numbers(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int compare_rows(const void *left, const void *right)
{
    const struct row *a = left, *b = right;
    int order = strcmp(a->from, b->from);

    if (order == 0)
        order = strcmp(a->to, b->to);
    if (order == 0)
        order = compare_numbers(a->seen->protocol, b->seen->protocol);
    if (order == 0)
        order = compare_numbers(a->seen->port, b->seen->port);
    if (order == 0)
        order = compare_numbers(a->seen->direction, b->seen->direction);
    if (order == 0)
        order = strcmp(a->seen->audit_rule.policy, b->seen->audit_rule.policy);
    return order ? order : compare_numbers(a->seen->audit_rule.index, b->seen->audit_rule.index);
}

static int add_row(struct rows *rows, const struct fence_flow_seen *seen)
{
    struct row *row;

    if (FENCE_GROW(rows->items, rows->capacity, rows->count) < 0)
        return -ENOMEM;
    row = &rows->items[rows->count++];
    *row = (struct row){
        .from = end_text(&seen->source),
        .to = end_text(&seen->destination),
        .seen = seen,
        .count = seen->count,
        .first_ns = seen->first_ns,
        .last_ns = seen->last_ns,
    };
    return row->from && row->to ? 0 : -ENOMEM;
}

static void join(struct row *into, const struct row *from)
{
    into->count += from->count;
    if (from->first_ns < into->first_ns)
        into->first_ns = from->first_ns;
    if (from->last_ns > into->last_ns)
        into->last_ns = from->last_ns;
}

/* Sorted, equal ones as one. */
static int find_rows(const struct ctl_flows *flows, struct rows *rows)
{
    size_t kept = 0;
    int r = 0;

    for (size_t i = 0; r == 0 && i < flows->count; i++)
        if (flows->items[i].seen.verdict == FENCE_FLOW_AUDIT)
            r = add_row(rows, &flows->items[i].seen);
    if (r < 0 || !rows->count)
        return r;
    qsort(rows->items, rows->count, sizeof(rows->items[0]), compare_rows);
    for (size_t i = 1; i < rows->count; i++) {
        if (compare_rows(&rows->items[kept], &rows->items[i]) == 0) {
            join(&rows->items[kept], &rows->items[i]);
            free(rows->items[i].from);
            free(rows->items[i].to);
        } else {
            rows->items[++kept] = rows->items[i];
        }
    }
    rows->count = kept + 1;
    return 0;
}

/* ---- as JSON -------------------------------------------------------------------------------- */

static bool add_port(cJSON *object, const struct fence_flow_seen *seen)
{
    if (fence_flow_is_icmp(seen->protocol))
        return cJSON_AddNumberToObject(object, "type", seen->port >> 8) &&
               cJSON_AddNumberToObject(object, "code", seen->port & 255);
    return !fence_flow_has_port(seen->protocol) ||
           cJSON_AddNumberToObject(object, "port", seen->port);
}

static bool add_policy(cJSON *object, const struct fence_flow_seen *seen)
{
    const struct fence_flow_rule *rule = &seen->audit_rule;

    return (*rule->policy ? cJSON_AddStringToObject(object, "policy", rule->policy)
                          : cJSON_AddNullToObject(object, "policy")) &&
           (*rule->policy && rule->index != FENCE_RULE_NONE
                ? cJSON_AddNumberToObject(object, "rule", rule->index)
                : cJSON_AddNullToObject(object, "rule")) &&
           cJSON_AddStringToObject(object, "reason", fence_reason_name(seen->audit_reason));
}

static bool add_pair(cJSON *list, const struct row *row)
{
    const struct fence_flow_seen *seen = row->seen;
    cJSON *object = cJSON_CreateObject();
    char protocol[8], first[FENCE_FLOW_TIME], last[FENCE_FLOW_TIME];

    return cJSON_AddItemToArray(list, object) &&
           cJSON_AddStringToObject(object, "from", row->from) &&
           cJSON_AddStringToObject(object, "to", row->to) &&
           cJSON_AddStringToObject(object, "protocol",
                                   fence_protocol_name(seen->protocol, protocol)) &&
           add_port(object, seen) &&
           cJSON_AddStringToObject(object, "direction", fence_direction_name(seen->direction)) &&
           add_policy(object, seen) &&
           cJSON_AddNumberToObject(object, "count", (double)row->count) &&
           cJSON_AddStringToObject(object, "firstSeen",
                                   fence_flow_time_format(row->first_ns, first)) &&
           cJSON_AddStringToObject(object, "lastSeen", fence_flow_time_format(row->last_ns, last));
}

/* NULL when out of memory. */
static cJSON *to_json(const struct ctl_flows *flows, const struct rows *rows)
{
    cJSON *value = cJSON_CreateObject();
    cJSON *pairs = cJSON_AddArrayToObject(value, "pairs");
    char since[FENCE_FLOW_TIME];
    uint64_t connections = 0;
    bool ok = pairs;

    for (size_t i = 0; ok && i < rows->count; i++) {
        ok = add_pair(pairs, &rows->items[i]);
        connections += rows->items[i].count;
    }
    ok = ok && cJSON_AddNumberToObject(value, "connections", (double)connections) &&
         cJSON_AddStringToObject(value, "since", fence_flow_time_format(flows->since_ns, since)) &&
         cJSON_AddNumberToObject(value, "lost", (double)flows->lost);
    if (ok)
        return value;
    cJSON_Delete(value);
    return NULL;
}

/* ---- for people ----------------------------------------------------------------------------- */

static void print_text(const struct ctl *ctl, const cJSON *value)
{
    static const struct ctl_column columns[] = {
        {.title = "FROM", .member = "from", .max = 48},
        {.title = "TO", .member = "to", .max = 48},
        {.title = "PROTOCOL", .member = "protocol"},
        {.title = "PORT", .member = "port"},
        {.title = "TYPE", .member = "type"},
        {.title = "DIRECTION", .member = "direction"},
        {.title = "COUNT", .member = "count"},
        {.title = "LAST SEEN", .member = "lastSeen"},
        {.title = "POLICY", .member = "policy"},
        {.title = "RULE", .member = "rule"},
        {.title = "REASON", .member = "reason"},
    };
    const cJSON *pairs = ctl_member(value, "pairs");

    if (cJSON_GetArraySize(pairs))
        ctl_table_print(stdout, ctl->output.color, pairs, columns, FENCE_ARRAY_SIZE(columns));
    printf("%.0f connections would have been refused by Audit policies, %d different ones, seen "
           "since %s\n",
           ctl_member_number(value, "connections"), cJSON_GetArraySize(pairs),
           ctl_member_text(value, "since"));
    if (ctl_member_number(value, "lost") > 0)
        printf("%.0f flows were lost: there may be more\n", ctl_member_number(value, "lost"));
}

int diff_live(struct ctl *ctl, const struct ctl_flows_wanted *wanted, bool expect_none)
{
    struct ctl_flows flows = {0};
    struct rows rows = {0};
    struct fence_err err = {0};
    int r = ctl_flows_read(ctl, wanted, &flows, &err);

    if (r == -EINVAL)
        return ctl_misuse(ctl, "diff", "%s", err.text);
    if (r < 0)
        return ctl_fail(ctl, "%s", err.text);
    r = find_rows(&flows, &rows);
    r = ctl_show(ctl, r == 0 ? to_json(&flows, &rows) : NULL, print_text);
    if (r == CTL_DONE && expect_none && rows.count)
        r = CTL_OTHERWISE;
    rows_done(&rows);
    ctl_flows_done(&flows);
    return r;
}

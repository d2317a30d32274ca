/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cni/ctl/daemon.h"
#include "cni/ctl/options.h"
#include "cni/ctl/policy_set.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"
#include "lib/datapath/read.h"
#include "lib/policy/intern.h"

/* A policy as the rules map knows it. */
struct entry {
    char *name;
    size_t rules[FENCE_DIRECTIONS];
    bool isolates[FENCE_DIRECTIONS];
};

struct entries {
    struct fence_intern names; /* to the index in items */
    struct entry *items;
    size_t count;
    size_t capacity;
};

static int entry_of(struct entries *entries, const char *name, struct entry **ret_entry)
{
    uint32_t number = 0;
    struct entry entry = {0};
    int r =
        fence_intern_put(&entries->names, name, strlen(name), (uint32_t)entries->count, &number);

    if (r == 1) {
        entry.name = strdup(name);
        if (!entry.name || FENCE_GROW(entries->items, entries->capacity, entries->count) < 0) {
            free(entry.name);
            return -ENOMEM;
        }
        entries->items[entries->count++] = entry;
    }
    if (r < 0)
        return r;
    *ret_entry = &entries->items[number];
    return 0;
}

static int visit_rule(void *context, const void *key, const void *value)
{
    const struct fence_rule_info *rule = value;
    struct entry *entry;
    int r;

    (void)key;
    if (rule->direction >= FENCE_DIRECTIONS)
        return 0;
    r = entry_of(context, rule->policy, &entry);
    if (r < 0)
        return r;
    if (rule->index == FENCE_RULE_NONE)
        entry->isolates[rule->direction] = true;
    else
        entry->rules[rule->direction]++;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static cJSON *row_of(const struct entry *entry)
{
    cJSON *row = cJSON_CreateObject();
    cJSON *isolates;

    cJSON_AddStringToObject(row, "id", entry->name);
    cJSON_AddStringToObject(row, "state", "in force");
    cJSON_AddNumberToObject(row, "egressRules", (double)entry->rules[FENCE_EGRESS]);
    cJSON_AddNumberToObject(row, "ingressRules", (double)entry->rules[FENCE_INGRESS]);
    isolates = cJSON_AddArrayToObject(row, "isolates");
    for (unsigned int i = 0; i < FENCE_DIRECTIONS; i++)
        if (entry->isolates[i])
            cJSON_AddItemToArray(isolates, cJSON_CreateString(fence_direction_name(i)));
    return row;
}

/* Hands the rows over to `list` and frees the rest. */
static void entries_done(struct entries *entries, cJSON *list)
{
    if (entries->count)
        qsort(entries->items, entries->count, sizeof(*entries->items), by_name);
    for (size_t i = 0; i < entries->count; i++) {
        cJSON_AddItemToArray(list, row_of(&entries->items[i]));
        free(entries->items[i].name);
    }
    free(entries->items);
    fence_intern_done(&entries->names);
}

/* What the pins say without the daemon: names, and how many rules decide something. */
static int from_pins(const struct ctl *ctl, cJSON *list)
{
    struct entries entries = {0};
    struct fence_pins pins;
    struct fence_err err = {0};
    int r = ctl_open_pins(ctl, &pins);

    if (r != CTL_DONE)
        return r;
    r = fence_map_each(&pins, FENCE_MAP_RULES, visit_rule, &entries, &err);
    fence_pins_close(&pins);
    entries_done(&entries, list);
    return r == 0 ? CTL_DONE : ctl_fail(ctl, "%s", *err.text ? err.text : "out of memory");
}

/* "Kind/ns/name: TEXT" where the row has such a text. */
static void print_why(const cJSON *row, const char *member)
{
    const char *text = ctl_member_text(row, member);

    if (!*text)
        return;
    fence_print_safe(stdout, ctl_member_text(row, "id"));
    printf(": %s", strcmp(member, "why") ? "refused: " : "not in force: ");
    fence_print_safe(stdout, text);
    putchar('\n');
}

static void print_from_daemon(const struct ctl *ctl, const cJSON *value)
{
    static const struct ctl_column columns[] = {
        {"POLICY", "id", NULL, 80},
        {"STATE", "state", NULL, 0},
        {"IN FORCE SINCE", "inForceSince", NULL, 0},
        {"ENDPOINTS", "endpoints", NULL, 60},
        {"FILE", "file", "line", 0},
    };
    const cJSON *rows = ctl_member(value, "policies"), *row;

    ctl_table_print(stdout, ctl->output.color, rows, columns, FENCE_ARRAY_SIZE(columns));
    cJSON_ArrayForEach(row, rows)
    {
        print_why(row, "why");
        print_why(row, "refused");
    }
}

static void print_from_pins(const struct ctl *ctl, const cJSON *value)
{
    static const struct ctl_column columns[] = {
        {"POLICY", "id", NULL, 80},
        {"STATE", "state", NULL, 0},
        {"ISOLATES", "isolates", NULL, 0},
        {"EGRESS RULES", "egressRules", NULL, 0},
        {"INGRESS RULES", "ingressRules", NULL, 0},
    };

    ctl_table_print(stdout, ctl->output.color, ctl_member(value, "policies"), columns,
                    FENCE_ARRAY_SIZE(columns));
    puts("The daemon is not running: this is what the pinned maps hold.");
}

static int list(struct ctl *ctl)
{
    struct fence_err err = {0};
    cJSON *answer = NULL, *value, *rows;
    int r = ctl_daemon_ask(ctl, "policies", &answer, &err);

    if (r < 0 && r != -ENOENT)
        return ctl_fail(ctl, "%s", err.text);
    value = cJSON_CreateObject();
    cJSON_AddBoolToObject(value, "daemon", r == 0);
    if (r == 0) {
        rows = cJSON_DetachItemFromObjectCaseSensitive(answer, "policies");
        cJSON_AddItemToObject(value, "policies", rows);
        cJSON_Delete(answer);
        return ctl_show(ctl, value, print_from_daemon);
    }
    r = from_pins(ctl, cJSON_AddArrayToObject(value, "policies"));
    if (r == CTL_DONE)
        return ctl_show(ctl, value, print_from_pins);
    cJSON_Delete(value);
    return r;
}

int ctl_policies(struct ctl *ctl, int argc, char **argv)
{
    const char *set = NULL;
    const struct ctl_option options[] = {
        {.name = "set",
         .argument = "N",
         .help = "the compiled tables of policy set N (see endpoints)",
         .text = &set},
    };
    const struct ctl_usage usage = {
        .verb = "policies",
        .arguments = "",
        .about = "Lists the policies with their files, states and endpoints when the daemon runs, "
                 "else those\nthat the pinned maps hold. --set N shows what the kernel looks up "
                 "for one policy set.",
        .example = "  podfencectl policies\n  podfencectl policies --set 3",
        .options = options,
        .option_count = FENCE_ARRAY_SIZE(options),
    };
    unsigned long number;
    char *end = NULL;
    int first = 0, r = ctl_parse(ctl, &usage, argc, argv, &first);

    if (r != CTL_GO_ON)
        return r;
    if (!set)
        return list(ctl);
    number = strtoul(set, &end, 10);
    if (*set < '0' || *set > '9' || *end || number == 0 || number > UINT32_MAX)
        return ctl_misuse(ctl, "policies", "--set %s: it is the number of a policy set", set);
    return ctl_policy_set(ctl, (__u32)number);
}

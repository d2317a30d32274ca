/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "cni/ctl/daemon.h"
#include "cni/ctl/options.h"
#include "cni/ctl/policy_set.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"
#include "lib/datapath/read.h"

/* A policy as the rules map knows it. */
struct entry {
    char *name;
    size_t rules[FENCE_DIRECTIONS];
    bool isolates[FENCE_DIRECTIONS];
    UT_hash_handle hh;
};

static int visit_rule(void *context, const void *key, const void *value)
{
    struct entry **entries = context, *entry = NULL;
    const struct fence_rule_info *rule = value;

    (void)key;
    if (rule->direction >= FENCE_DIRECTIONS)
        return 0;
    HASH_FIND_STR(*entries, rule->policy, entry);
    if (!entry) {
        entry = calloc(1, sizeof(*entry));
        if (!entry)
            return -ENOMEM;
        entry->name = strdup(rule->policy);
        if (!entry->name) {
            free(entry);
            return -ENOMEM;
        }
        HASH_ADD_KEYPTR(hh, *entries, entry->name, strlen(entry->name), entry);
    }
    if (rule->index == FENCE_RULE_NONE)
        entry->isolates[rule->direction] = true;
    else
        entry->rules[rule->direction]++;
    return 0;
}

static int by_name(const struct entry *a, const struct entry *b)
{
    return strcmp(a->name, b->name);
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

/* What the pins say without the daemon: names, and how many rules decide something. */
static int from_pins(const struct ctl *ctl, cJSON *list)
{
    struct entry *entries = NULL, *entry, *next;
    struct fence_pins pins;
    struct fence_err err = {0};
    int r = ctl_open_pins(ctl, &pins);

    if (r != CTL_DONE)
        return r;
    r = fence_map_each(&pins, FENCE_MAP_RULES, visit_rule, &entries, &err);
    fence_pins_close(&pins);
    HASH_SORT(entries, by_name);
    HASH_ITER (hh, entries, entry, next) {
        HASH_DEL(entries, entry);
        cJSON_AddItemToArray(list, row_of(entry));
        free(entry->name);
        free(entry);
    }
    return r == 0 ? CTL_DONE : ctl_fail(ctl, "%s", *err.text ? err.text : "out of memory");
}

static void print_from_daemon(const struct ctl *ctl, const cJSON *value)
{
    static const struct ctl_column columns[] = {
        {"POLICY", "id", NULL, 80},
        {"STATE", "state", NULL, 0},
        {"ENDPOINTS", "endpoints", NULL, 60},
        {"FILE", "file", "line", 0},
    };

    ctl_table_print(stdout, ctl->output.color, ctl_member(value, "policies"), columns,
                    FENCE_ARRAY_SIZE(columns));
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

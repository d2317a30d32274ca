/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/ctl/cut.h"

#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/names.h"

#define NAMES_SHOWN 20

static void print_names(const cJSON *names)
{
    const cJSON *name;
    int shown = 0;

    cJSON_ArrayForEach(name, names)
    {
        if (shown++ >= NAMES_SHOWN)
            break;
        fputs(shown > 1 ? ", " : ": ", stdout);
        fence_print_safe(stdout, cJSON_IsString(name) ? name->valuestring : "");
    }
    if (shown > NAMES_SHOWN)
        fputs(", ...", stdout);
    putchar('\n');
}

static void print_reach(const cJSON *cut)
{
    const cJSON *exempt = ctl_member(cut, "exempt");
    double count = ctl_member_number(cut, "endpointCount");

    if (count > 0)
        printf("%.0f %s on this node %s", count, count == 1 ? "endpoint" : "endpoints",
               count == 1 ? "matches" : "match");
    else
        fputs("0 endpoints on this node match now; pods that come later will be cut", stdout);
    print_names(ctl_member(cut, "endpoints"));
    if (cJSON_GetArraySize(exempt) > 0) {
        fputs("not cut, since their namespaces are exempt", stdout);
        print_names(exempt);
    }
}

static void print_failures(const cJSON *cut)
{
    const cJSON *failure;

    cJSON_ArrayForEach(failure, ctl_member(cut, "failures"))
    {
        fputs("  ", stdout);
        fence_print_safe(stdout, ctl_member_text(failure, "endpoint"));
        fputs(": ", stdout);
        fence_print_safe(stdout, ctl_member_text(failure, "text"));
        putchar('\n');
    }
}

void ctl_cut_print_one(const struct ctl *ctl, const cJSON *cut)
{
    bool dry = cJSON_IsTrue(ctl_member(cut, "dryRun"));

    if (dry) {
        fputs("nothing was changed; this cut would end at ", stdout);
    } else {
        fputs("cut ", stdout);
        fence_print_safe(stdout, ctl_member_text(cut, "id"));
        fputs(cJSON_IsTrue(ctl_member(cut, "inForce")) ? " is in force until "
                                                       : " is NOT in force yet, and ends at ",
              stdout);
    }
    fence_print_safe(stdout, ctl_member_text(cut, "endsAt"));
    putchar('\n');
    print_reach(cut);
    print_failures(cut);
    if (dry)
        return;
    printf("to undo it before: %s cut undo ", ctl->program);
    fence_print_safe(stdout, ctl_member_text(cut, "id"));
    putchar('\n');
}

void ctl_cut_print_list(const struct ctl *ctl, const cJSON *value)
{
    static const struct ctl_column columns[] = {
        {"ID", "id", NULL, 0},
        {"ENDS", "endsAt", NULL, 0},
        {"SECONDS LEFT", "secondsLeft", NULL, 0},
        {"NAMESPACE", "namespace", NULL, 0},
        {"PODS", "selector", NULL, 60},
        {"PEER", "peer", NULL, 60},
        {"PORTS", "ports", NULL, 40},
        {"DIRECTION", "direction", NULL, 0},
        {"ENDPOINTS", "endpointCount", NULL, 0},
        {"BY", "origin", NULL, 0},
        {"REASON", "reason", NULL, 60},
    };

    ctl_table_print(stdout, ctl->output.color, ctl_member(value, "cuts"), columns,
                    FENCE_ARRAY_SIZE(columns));
}

void ctl_cut_print_undone(const struct ctl *ctl, const cJSON *value)
{
    const cJSON *undone = ctl_member(value, "undone");

    (void)ctl;
    if (cJSON_GetArraySize(undone) > 0) {
        fputs("undone", stdout);
        print_names(undone);
    } else {
        puts("there was no cut");
    }
}

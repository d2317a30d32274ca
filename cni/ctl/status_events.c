/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/ctl/status.h"

#include "lib/base/names.h"

/* What the event log lacks, and why. */
static void print_log(const cJSON *log)
{
    printf("%-12s ", "event log:");
    fence_print_safe(stdout, ctl_member_text(log, "file"));
    printf(", %.0f lines", ctl_member_number(log, "lines"));
    if (ctl_member_number(log, "dropped") > 0)
        printf(", %.0f left out", ctl_member_number(log, "dropped"));
    if (*ctl_member_text(log, "problem")) {
        fputs("; ", stdout);
        fence_print_safe(stdout, ctl_member_text(log, "problem"));
    }
    putchar('\n');
}

void ctl_status_print_events(const cJSON *events)
{
    if (!cJSON_IsObject(events))
        return;
    printf("%-12s %.0f since the start, %.0f lost, %.0f observers\n",
           "events:", ctl_member_number(events, "seen"), ctl_member_number(events, "lost"),
           ctl_member_number(events, "observers"));
    if (cJSON_IsObject(ctl_member(events, "log")))
        print_log(ctl_member(events, "log"));
}

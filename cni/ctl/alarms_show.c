/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/ctl/alarms.h"

#include <string.h>

#include "cni/ctl/output.h"
#include "cni/ctl/text.h"
#include "lib/base/names.h"

/* Raised as what is denied, cleared as what is allowed. */
static const char *color_of(bool color, const cJSON *alarm)
{
    bool raised = strcmp(ctl_member_text(alarm, "state"), "raised") == 0;

    return ctl_color_of(color, raised ? "deny" : "allow");
}

static void print_who(FILE *out, const cJSON *alarm)
{
    const char *pod = ctl_member_text(alarm, "subject.pod");
    const char *peer = ctl_member_text(alarm, "peer");

    fence_print_safe(out, ctl_member_text(alarm, "subject.name"));
    if (*pod) {
        fputs(" (pod ", out);
        fence_print_safe(out, pod);
        fputc(')', out);
    }
    if (*peer) {
        fputs(", about ", out);
        fence_print_safe(out, peer);
    }
    if (ctl_member_number(alarm, "others") > 0)
        fprintf(out, " and %.0f more", ctl_member_number(alarm, "others"));
}

static void print_time(FILE *out, const char *title, const char *time)
{
    if (!*time)
        return;
    fprintf(out, "%s", title);
    fence_print_safe(out, time);
}

void ctl_alarm_print(FILE *out, bool color, const cJSON *alarm)
{
    const char *sequence = color_of(color, alarm), *response = ctl_member_text(alarm, "response");
    const char *change = ctl_member_text(alarm, "change");

    fprintf(out, "%.0f  %s", ctl_member_number(alarm, "id"), sequence);
    fence_print_safe(out, *change ? change : ctl_member_text(alarm, "state"));
    fprintf(out, "%s  ", *sequence ? CTL_COLOR_END : "");
    fence_print_safe(out, ctl_member_text(alarm, "severity"));
    fputs("  ", out);
    fence_print_safe(out, ctl_member_text(alarm, "rule"));
    fputs("  ", out);
    print_who(out, alarm);
    fprintf(out, "\n    %.0f times", ctl_member_number(alarm, "count"));
    print_time(out, ", since ", ctl_member_text(alarm, "firstSeen"));
    print_time(out, ", last ", ctl_member_text(alarm, "lastSeen"));
    print_time(out, ", cleared ", ctl_member_text(alarm, "clearedAt"));
    fputs("\n    ", out);
    fence_print_safe(out, ctl_member_text(alarm, "evidence"));
    if (*response) {
        fputs("\n    ", out);
        fence_print_safe(out, response);
    }
    fputc('\n', out);
}

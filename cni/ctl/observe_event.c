/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "cni/ctl/observe.h"
#include "cni/ctl/output.h"
#include "cni/ctl/text.h"
#include "lib/base/memory.h"

#define CELL_MAX 1024

/* What a column begins with, and how far it grows. */
static const struct {
    size_t least;
    size_t most;
} limits[CTL_OBSERVE_COLUMNS] = {
    [CTL_OBSERVE_TIME] = {24, 24},   [CTL_OBSERVE_VERDICT] = {9, 9},
    [CTL_OBSERVE_SOURCE] = {20, 48}, [CTL_OBSERVE_DESTINATION] = {20, 48},
    [CTL_OBSERVE_PORT] = {9, 16},    [CTL_OBSERVE_DIRECTION] = {7, 7},
    [CTL_OBSERVE_REASON] = {8, 24},
};

/* Milliseconds are enough for people. */
static void time_text(const cJSON *event, char text[CELL_MAX])
{
    const char *time = ctl_member_text(event, "time");
    const char *point = strchr(time, '.');

    if (point && strlen(point) > 4)
        snprintf(text, CELL_MAX, "%.*sZ", (int)(point - time) + 4, time);
    else
        snprintf(text, CELL_MAX, "%s", time);
}

/* "world", "node/n2", "" when it is a workload or unknown. */
static void special_text(const cJSON *end, char text[CELL_MAX])
{
    static const char reserved[] = "reserved:";
    const cJSON *label = cJSON_GetArrayItem(ctl_member(end, "labels"), 0);

    text[0] = '\0';
    if (*ctl_member_text(end, "node"))
        snprintf(text, CELL_MAX, "node/%s", ctl_member_text(end, "node"));
    else if (cJSON_IsString(label) &&
             strncmp(label->valuestring, reserved, sizeof(reserved) - 1) == 0)
        snprintf(text, CELL_MAX, "%s", label->valuestring + sizeof(reserved) - 1);
}

/* The address tells something where there is no name, or where it is not the name's. */
static bool wants_address(const cJSON *event, bool has_name)
{
    return !has_name || strncmp(ctl_member_text(event, "reason"), "spoofed", 7) == 0;
}

/* "shop/web-1 (web)", "shop/web (10.0.0.1)", "service shop/db", "world 192.0.2.7". */
static void end_text(const cJSON *event, const char *name, char text[CELL_MAX])
{
    const cJSON *end = ctl_member(event, name);
    const char *namespace_name = ctl_member_text(end, "namespace");
    const char *pod = ctl_member_text(end, "pod_name"), *app = ctl_member_text(end, "app");
    const char *service = ctl_member_text(
        ctl_member(event, *name == 's' ? "source_service" : "destination_service"), "name");
    const char *address = ctl_member_text(ctl_member(event, "IP"), name);
    char special[CELL_MAX];
    size_t used;

    special_text(end, special);
    if (*service)
        used = (size_t)snprintf(text, CELL_MAX, "service %s/%s", namespace_name, service);
    else if (*pod && *app && strcmp(pod, app) != 0)
        used = (size_t)snprintf(text, CELL_MAX, "%s/%s (%s)", namespace_name, pod, app);
    else if (*pod || *app)
        used = (size_t)snprintf(text, CELL_MAX, "%s/%s", namespace_name, *pod ? pod : app);
    else
        used = (size_t)snprintf(text, CELL_MAX, "%s", *special ? special : "?");
    if (*address && used < CELL_MAX && wants_address(event, *pod || *service))
        snprintf(text + used, CELL_MAX - used, " %s", address);
}

/* "5432/TCP", "ICMP 8/0", or the protocol's number. */
static void port_text(const cJSON *event, char text[CELL_MAX])
{
    const cJSON *l4 = ctl_member(event, "l4") ? ctl_member(event, "l4")->child : NULL;
    const cJSON *port = ctl_member(l4, "destination_port");

    text[0] = '\0';
    if (l4 && cJSON_IsNumber(port))
        snprintf(text, CELL_MAX, "%.0f/%s", port->valuedouble, l4->string);
    else if (l4 && ctl_member(l4, "type"))
        snprintf(text, CELL_MAX, "%s %.0f/%.0f", l4->string, ctl_member_number(l4, "type"),
                 ctl_member_number(l4, "code"));
    else if (strcmp(ctl_member_text(event, "event"), "suppressed") != 0)
        snprintf(text, CELL_MAX, "%s", ctl_member_text(event, "Summary"));
}

static void print_cell(FILE *out, struct ctl_observe_widths *widths, enum ctl_observe_column column,
                       const char *text, const char *sequence)
{
    FENCE_FREE char *safe = ctl_safe_text(text);
    const size_t width = safe ? ctl_text_width(safe) : 0;
    size_t *grown = &widths->columns[column];

    if (*grown < limits[column].least)
        *grown = limits[column].least;
    if (*grown < width)
        *grown = width < limits[column].most ? width : limits[column].most;
    fprintf(out, "%s%s%s", sequence, safe ? safe : "", *sequence ? CTL_COLOR_END : "");
    fprintf(out, "%*s", (int)(*grown > width ? *grown - width : 0) + 2, "");
}

/* What has no column: who decided, and how many there were. */
static void print_rest(FILE *out, const cJSON *event)
{
    const bool audit = *ctl_member_text(event, "audit_reason") != '\0';
    const char *policy = ctl_member_text(event, audit ? "audit_policy" : "policy");
    const cJSON *rule = ctl_member(event, audit ? "audit_rule" : "rule");
    const cJSON *suppressed = ctl_member(event, "suppressed");
    FENCE_FREE char *safe = ctl_safe_text(policy);

    fputs(safe ? safe : "", out);
    if (*policy && cJSON_IsNumber(rule))
        fprintf(out, " rule %.0f", rule->valuedouble);
    if (cJSON_IsNumber(suppressed))
        fprintf(out, "%s(%.0f more left out)", *policy ? "  " : "", suppressed->valuedouble);
    fputc('\n', out);
}

static void print_lost(FILE *out, bool color, const cJSON *event)
{
    const char *source = ctl_member_text(event, "lost_events.source");
    const char *sequence = ctl_color_of(color, "AUDIT");
    char time[CELL_MAX];
    FENCE_FREE char *safe = NULL;

    time_text(event, time);
    safe = ctl_safe_text(time);
    fprintf(out, "%s  %s%.0f events lost%s: %s\n", safe ? safe : "", sequence,
            ctl_member_number(event, "lost_events.num_events_lost"), *sequence ? CTL_COLOR_END : "",
            strcmp(source, FENCE_LOST_BY_KERNEL) == 0
                ? "the kernel's ring was full (podfenced --map-size events=BYTES)"
                : "they came faster than they were read here");
}

void ctl_observe_print(FILE *out, bool color, struct ctl_observe_widths *widths, const cJSON *event)
{
    const char *verdict = ctl_member_text(event, "verdict");
    const char *audit = ctl_member_text(event, "audit_reason");
    char text[CELL_MAX];

    if (ctl_member(event, "lost_events")) {
        print_lost(out, color, event);
        return;
    }
    time_text(event, text);
    print_cell(out, widths, CTL_OBSERVE_TIME, text, "");
    print_cell(out, widths, CTL_OBSERVE_VERDICT, verdict, ctl_color_of(color, verdict));
    end_text(event, "source", text);
    print_cell(out, widths, CTL_OBSERVE_SOURCE, text, "");
    fputs("-> ", out);
    end_text(event, "destination", text);
    print_cell(out, widths, CTL_OBSERVE_DESTINATION, text, "");
    port_text(event, text);
    print_cell(out, widths, CTL_OBSERVE_PORT, text, "");
    print_cell(out, widths, CTL_OBSERVE_DIRECTION, ctl_member_text(event, "traffic_direction"), "");
    print_cell(out, widths, CTL_OBSERVE_REASON, *audit ? audit : ctl_member_text(event, "reason"),
               "");
    print_rest(out, event);
}

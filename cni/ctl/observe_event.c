/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cni/ctl/names.h"
#include "cni/ctl/observe.h"
#include "cni/ctl/output.h"
#include "cni/ctl/text.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"

/* "shop/web", "n1", "world". */
static void identity_of(const cJSON *end, char text[CTL_SHOW_MAX])
{
    static const char reserved[] = "reserved:";
    const cJSON *label = cJSON_GetArrayItem(ctl_member(end, "labels"), 0);

    text[0] = '\0';
    if (*ctl_member_text(end, "app"))
        snprintf(text, CTL_SHOW_MAX, "%s/%s", ctl_member_text(end, "namespace"),
                 ctl_member_text(end, "app"));
    else if (*ctl_member_text(end, "node"))
        snprintf(text, CTL_SHOW_MAX, "node/%s", ctl_member_text(end, "node"));
    else if (cJSON_IsString(label) &&
             strncmp(label->valuestring, reserved, sizeof(reserved) - 1) == 0)
        snprintf(text, CTL_SHOW_MAX, "%s", label->valuestring + sizeof(reserved) - 1);
}

/* What the address of the end `name` belongs to, when that is a service. */
static const char *service_of(const cJSON *event, const char *name)
{
    return ctl_member_text(
        ctl_member(event, *name == 's' ? "source_service" : "destination_service"), "name");
}

/* Of the pod or of the service, "" when it is neither. */
static const char *name_of(const cJSON *event, const char *name)
{
    const char *service = service_of(event, name);

    return *service ? service : ctl_member_text(ctl_member(event, name), "pod_name");
}

/* The ports are in a member that is named by the protocol. */
static const cJSON *l4_of(const cJSON *event)
{
    const cJSON *l4 = ctl_member(event, "l4");

    return l4 ? l4->child : NULL;
}

static bool end_fits(const cJSON *event, const char *name, const char *wanted)
{
    const cJSON *end = ctl_member(event, name);
    char identity[CTL_SHOW_MAX];
    struct ctl_end fits = {
        .namespace_name = ctl_member_text(end, "namespace"),
        .pod = name_of(event, name),
        .identity = identity,
        .addr = ctl_member_text(ctl_member(event, "IP"), name),
    };

    identity_of(end, identity);
    return ctl_end_fits(&fits, wanted);
}

const char *ctl_observe_verdict(const char *text)
{
    static const struct {
        const char *text;
        const char *verdict;
    } names[] = {
        {"FORWARDED", "FORWARDED"}, {"DROPPED", "DROPPED"}, {"AUDIT", "AUDIT"},
        {"allow", "FORWARDED"},     {"deny", "DROPPED"}, /* as elsewhere in this program */
    };

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(names); i++)
        if (strcasecmp(names[i].text, text) == 0)
            return names[i].verdict;
    return NULL;
}

bool ctl_observe_fits(const struct ctl_observe_filter *filter, const cJSON *event)
{
    if (filter->verdict && strcmp(filter->verdict, ctl_member_text(event, "verdict")) != 0)
        return false;
    if (filter->port) {
        const cJSON *port = ctl_member(l4_of(event), "destination_port");

        if (!cJSON_IsNumber(port) || port->valuedouble != strtod(filter->port, NULL))
            return false;
    }
    return end_fits(event, "source", filter->from) && end_fits(event, "destination", filter->to);
}

/* "shop/web-1 (10.0.0.1:43210)" */
static void print_end(FILE *out, const cJSON *event, const char *name, const char *port)
{
    const cJSON *end = ctl_member(event, name), *ip = ctl_member(event, "IP");
    const struct ctl_column address = {"", name, NULL, 0};
    const cJSON *number = ctl_member(l4_of(event), port);
    char identity[CTL_SHOW_MAX];
    char *text = ip ? ctl_cell_text(ip, &address) : NULL;

    identity_of(end, identity);
    if (*name_of(event, name))
        snprintf(identity, sizeof(identity), "%s%s/%s", *service_of(event, name) ? "service " : "",
                 ctl_member_text(end, "namespace"), name_of(event, name));
    fence_print_safe(out, *identity ? identity : "?");
    if (text && cJSON_IsNumber(number))
        fprintf(out, strchr(text, ':') ? " ([%s]:%.0f)" : " (%s:%.0f)", text, number->valuedouble);
    else if (text)
        fprintf(out, " (%s)", text);
    free(text);
}

void ctl_observe_print(FILE *out, bool color, const cJSON *event)
{
    const char *verdict = ctl_member_text(event, "verdict");
    const char *sequence = ctl_color_of(color, verdict);
    const char *policy = ctl_member_text(event, "policy");
    const cJSON *suppressed = ctl_member(event, "suppressed");

    fence_print_safe(out, ctl_member_text(event, "time"));
    fputs("  ", out);
    print_end(out, event, "source", "source_port");
    fputs(" -> ", out);
    print_end(out, event, "destination", "destination_port");
    fputs("  ", out);
    fence_print_safe(out, ctl_member_text(event, "Summary"));
    fprintf(out, "  %s", sequence);
    fence_print_safe(out, verdict);
    fprintf(out, "%s  ", *sequence ? CTL_COLOR_END : "");
    fence_print_safe(out, ctl_member_text(event, "traffic_direction"));
    fputs("  ", out);
    fence_print_safe(out, ctl_member_text(event, "reason"));
    if (*policy) {
        fputs("  ", out);
        fence_print_safe(out, policy);
    }
    if (cJSON_IsNumber(suppressed))
        fprintf(out, "  (and %.0f more like it before)", suppressed->valuedouble);
    fputc('\n', out);
}

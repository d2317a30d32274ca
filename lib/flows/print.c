/* SPDX-License-Identifier: Apache-2.0 */
/* A flow as JSON text, without a tree in between: the daemon writes thousands at once. */
#include <string.h>

#include "lib/base/addr.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"
#include "lib/flows/flow.h"

static const char *const kinds[] = {
    [FENCE_FLOW_RESERVED] = "reserved",
    [FENCE_FLOW_WORKLOAD] = "workload",
    [FENCE_FLOW_NODE] = "node",
};
_Static_assert(FENCE_ARRAY_SIZE(kinds) == FENCE_FLOW_END_KINDS, "every kind has a name");

static void print_bytes(FILE *out, const char *text, size_t size)
{
    size_t plain = 0; /* begins what is written as it is */

    fputc('"', out);
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)text[i];

        if (byte >= 0x20 && byte != '"' && byte != '\\')
            continue;
        fwrite(text + plain, 1, i - plain, out);
        fprintf(out, byte < 0x20 ? "\\u%04x" : "\\%c", byte);
        plain = i + 1;
    }
    fwrite(text + plain, 1, size - plain, out);
    fputc('"', out);
}

void fence_flow_print_text(FILE *out, const char *text)
{
    print_bytes(out, text, strlen(text));
}

static void print_member(FILE *out, const char *name, const char *text)
{
    fprintf(out, ",\"%s\":", name);
    fence_flow_print_text(out, text);
}

/* "a=1,b=2" as an object; what is not of this form is left out. */
static void print_labels(FILE *out, const char *text)
{
    const char *between = "";

    fputs(",\"labels\":{", out);
    while (*text) {
        size_t size = strcspn(text, ",");
        const char *value = memchr(text, '=', size);

        if (value) {
            fputs(between, out);
            print_bytes(out, text, (size_t)(value - text));
            fputc(':', out);
            print_bytes(out, value + 1, size - (size_t)(value + 1 - text));
            between = ",";
        }
        text += size + (text[size] == ',');
    }
    fputc('}', out);
}

static void print_remotes(FILE *out, const struct fence_flow_seen *flow)
{
    fputs(",\"addresses\":[", out);
    for (size_t i = 0; i < flow->remote_count; i++) {
        struct fence_prefix prefix = {.addr = flow->remotes[i], .length = 128};
        char text[FENCE_PREFIX_TEXT];

        fprintf(out, "%s\"%s\"", i ? "," : "", fence_prefix_format(&prefix, text));
    }
    fprintf(out, "],\"addressesOmitted\":%llu,\"addressesHeard\":%llu",
            (unsigned long long)flow->remotes_omitted, (unsigned long long)flow->remotes_heard);
}

static void print_end(FILE *out, const char *name, const struct fence_flow_seen *flow,
                      const struct fence_flow_end *end)
{
    fprintf(out, "\"%s\":{\"kind\":\"%s\"", name, kinds[end->kind]);
    if (end->kind == FENCE_FLOW_NODE) {
        print_member(out, "node", end->name);
    } else if (end->kind == FENCE_FLOW_RESERVED) {
        print_member(out, "name", end->name);
        if (flow->remotes_heard)
            print_remotes(out, flow);
    } else {
        print_member(out, "namespace", end->namespace_name);
        print_member(out, "app", end->name);
        print_labels(out, end->labels);
    }
    fputs("},", out);
}

static void print_position(FILE *out, const struct fence_flow_seen *flow)
{
    if (fence_flow_is_icmp(flow->protocol))
        fprintf(out, ",\"type\":%d,\"code\":%d", flow->port >> 8, flow->port & 0xff);
    else if (fence_flow_has_port(flow->protocol))
        fprintf(out, ",\"port\":%d", flow->port);
}

static void print_rule(FILE *out, const char *policy, const char *index,
                       const struct fence_flow_rule *rule)
{
    if (!*rule->policy) {
        fprintf(out, ",\"%s\":null,\"%s\":null", policy, index);
        return;
    }
    print_member(out, policy, rule->policy);
    if (rule->index == FENCE_RULE_NONE)
        fprintf(out, ",\"%s\":null", index);
    else
        fprintf(out, ",\"%s\":%u", index, rule->index);
}

void fence_flow_print(FILE *out, const struct fence_flow_seen *flow)
{
    char number[8], first[FENCE_FLOW_TIME], last[FENCE_FLOW_TIME];

    fputc('{', out);
    print_end(out, "source", flow, &flow->source);
    print_end(out, "destination", flow, &flow->destination);
    fprintf(out, "\"protocol\":\"%s\"", fence_protocol_name(flow->protocol, number));
    print_position(out, flow);
    fprintf(out, ",\"direction\":\"%s\",\"verdict\":\"%s\",\"reason\":\"%s\"",
            flow->direction == FENCE_INGRESS ? "INGRESS" : "EGRESS",
            fence_flow_verdict_name(flow->verdict), fence_reason_name(flow->reason));
    if (flow->verdict == FENCE_FLOW_AUDIT)
        fprintf(out, ",\"auditReason\":\"%s\"", fence_reason_name(flow->audit_reason));
    print_rule(out, "policy", "rule", &flow->rule);
    print_rule(out, "auditPolicy", "auditRule", &flow->audit_rule);
    fprintf(out, ",\"count\":%llu,\"firstSeen\":\"%s\",\"lastSeen\":\"%s\"}",
            (unsigned long long)flow->count, fence_flow_time_format(flow->first_ns, first),
            fence_flow_time_format(flow->last_ns, last));
}

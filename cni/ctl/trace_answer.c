/* SPDX-License-Identifier: Apache-2.0 */
/* Answers: the families put together, as JSON, as sentences. */
#include <errno.h>
#include <string.h>

#include "cni/ctl/text.h"
#include "cni/ctl/trace.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"

static const char *summarize(const struct fence_answer *answer, bool shadow)
{
    bool unknown = false, mixed = false;

    for (int i = 0; i < FENCE_DIRECTIONS; i++) {
        const struct fence_side *side = &answer->sides[i];
        uint8_t verdict = shadow ? side->shadow : side->verdict;

        if (side->unknown)
            unknown = true;
        else if (verdict == FENCE_DENY)
            return "deny";
        else if (verdict == FENCE_DEFER)
            mixed = true;
    }
    if (mixed)
        return "mixed";
    return unknown ? "unknown" : "allow";
}

const char *trace_verdict(const struct trace_answer *answer)
{
    return answer->mixed ? "mixed" : summarize(&answer->first, false);
}

const char *trace_audit(const struct trace_answer *answer)
{
    return answer->audit_mixed ? "mixed" : summarize(&answer->first, true);
}

int trace_ask(const struct trace_source *source, const struct fence_query *query,
              struct trace_answer *ret_answer, struct fence_err *err)
{
    struct fence_answer answers[2];
    size_t count = 0;
    int r;

    for (int family = 4; family <= 6; family += 2) {
        struct fence_query one = *query;
        struct fence_err unused;

        one.family = family;
        if (query->family && query->family != family)
            continue;
        r = source->ask(source->context, &one, &answers[count], query->family ? err : &unused);
        if (r == 0)
            count++;
        else if (query->family)
            return r;
    }
    if (count == 0) { /* for the error that fits the question */
        r = source->ask(source->context, query, &answers[0], err);
        if (r < 0)
            return r;
        count = 1;
    }
    *ret_answer = (struct trace_answer){
        .first = answers[0],
        .mixed =
            count == 2 && strcmp(summarize(&answers[0], false), summarize(&answers[1], false)) != 0,
        .audit_mixed =
            count == 2 && strcmp(summarize(&answers[0], true), summarize(&answers[1], true)) != 0,
    };
    return 0;
}

static bool add_text_or_null(cJSON *object, const char *name, const char *text)
{
    return *text ? cJSON_AddStringToObject(object, name, text) != NULL
                 : cJSON_AddNullToObject(object, name) != NULL;
}

static bool add_rule(cJSON *object, uint32_t rule)
{
    return rule == FENCE_RULE_NONE ? cJSON_AddNullToObject(object, "rule") != NULL
                                   : cJSON_AddNumberToObject(object, "rule", rule) != NULL;
}

static bool add_nearest(cJSON *object, const struct fence_side *side)
{
    cJSON *nearest;

    if (!*side->nearest_policy)
        return cJSON_AddNullToObject(object, "nearest") != NULL;
    nearest = cJSON_AddObjectToObject(object, "nearest");
    return add_text_or_null(nearest, "policy", side->nearest_policy) &&
           add_rule(nearest, side->nearest_rule) &&
           cJSON_AddStringToObject(nearest, "failed", side->nearest_failed);
}

static bool add_backend(cJSON *list, const struct fence_backend_verdict *backend)
{
    cJSON *value = cJSON_CreateObject();
    char text[FENCE_ADDR_TEXT];

    if (!cJSON_AddItemToArray(list, value)) {
        cJSON_Delete(value);
        return false;
    }
    return cJSON_AddStringToObject(value, "address", fence_addr_format(&backend->addr, text)) &&
           cJSON_AddNumberToObject(value, "port", backend->port) &&
           cJSON_AddStringToObject(value, "verdict", fence_verdict_name(backend->verdict)) &&
           cJSON_AddStringToObject(value, "audit", fence_verdict_name(backend->shadow));
}

/* Where it leads: at an address of a service, or at a port of a node. */
static bool add_service(cJSON *object, const struct fence_side *side)
{
    size_t shown =
        side->backend_count < FENCE_BACKENDS_MAX ? side->backend_count : FENCE_BACKENDS_MAX;
    cJSON *list;

    if (!*side->service && !side->backend_count)
        return true;
    if (!add_text_or_null(object, "service", side->service))
        return false;
    list = cJSON_AddArrayToObject(object, "backends");
    for (size_t i = 0; i < shown; i++)
        if (!add_backend(list, &side->backends[i]))
            return false;
    return list && (shown == side->backend_count ||
                    cJSON_AddNumberToObject(object, "backendsLeftOut",
                                            (double)(side->backend_count - shown)));
}

static bool add_side(cJSON *object, const char *name, const struct fence_side *side)
{
    cJSON *value = cJSON_AddObjectToObject(object, name);

    if (side->unknown)
        return cJSON_AddStringToObject(value, "verdict", "unknown") &&
               cJSON_AddNullToObject(value, "policy") && cJSON_AddNullToObject(value, "rule") &&
               cJSON_AddNullToObject(value, "reason");
    return cJSON_AddStringToObject(value, "verdict", fence_verdict_name(side->verdict)) &&
           add_text_or_null(value, "policy", side->policy) &&
           add_rule(value, *side->policy ? side->rule : FENCE_RULE_NONE) &&
           cJSON_AddStringToObject(value, "reason", fence_reason_name(side->reason)) &&
           (side->verdict != FENCE_DENY || add_nearest(value, side)) && add_service(value, side);
}

cJSON *trace_json(const struct trace_answer *answer)
{
    cJSON *object = cJSON_CreateObject();

    if (cJSON_AddStringToObject(object, "verdict", trace_verdict(answer)) &&
        cJSON_AddStringToObject(object, "audit", trace_audit(answer)) &&
        add_side(object, "egress", &answer->first.sides[FENCE_EGRESS]) &&
        add_side(object, "ingress", &answer->first.sides[FENCE_INGRESS]))
        return object;
    cJSON_Delete(object);
    return NULL;
}

/* What a reason means to somebody who meets it here for the first time. */
static const char *explain(const char *reason)
{
    static const struct {
        enum fence_reason reason;
        const char *text;
    } texts[] = {
        {FENCE_REASON_RULE, "a rule allows it"},
        {FENCE_REASON_NOT_ISOLATED, "no policy isolates it in this direction"},
        {FENCE_REASON_NO_POLICY, "no policy selects it"},
        {FENCE_REASON_FROM_HOST, "the pod's own node may always reach it"},
        {FENCE_REASON_OWN_NODE, "a pod may always reach its own node"},
        {FENCE_REASON_NOT_AN_ENDPOINT, "podfence does not enforce this end"},
        {FENCE_REASON_EXEMPT, "its namespace is exempt"},
        {FENCE_REASON_PENDING_OPEN, "it is not resolved yet, and starts open"},
        {FENCE_REASON_NO_RULE, "it is isolated, and no rule allows this"},
        {FENCE_REASON_DENYLIST, "a Denylist matches"},
        {FENCE_REASON_DENY_RULE, "a Deny rule matches"},
        {FENCE_REASON_PENDING, "it has no identity or policy yet"},
        {FENCE_REASON_INCOMPLETE, "it misses a required label"},
        {FENCE_REASON_PEER_PENDING, "it is isolated, and the other end is not known yet"},
        {FENCE_REASON_NOT_APPLIED, "its policy could not be written, so it is closed"},
        {FENCE_REASON_SERVICE_MIXED, "the service has backends that are allowed and others"},
        {FENCE_REASON_MARTIAN,
         "no packet with such an address passes (loopback, multicast source)"},
        {FENCE_REASON_WOULD_BE_DENIED, "its own node may reach it although a Denylist matches"},
    };

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(texts); i++)
        if (strcmp(fence_reason_name(texts[i].reason), reason) == 0)
            return texts[i].text;
    return reason;
}

static const char *verdict_word(const char *verdict)
{
    if (strcmp(verdict, "allow") == 0)
        return "allowed";
    return strcmp(verdict, "deny") == 0 ? "denied" : verdict;
}

static void print_word(const struct ctl *ctl, const char *verdict)
{
    const char *color = ctl_color_of(ctl->output.color, verdict);

    printf("%s%s%s", color, verdict_word(verdict), *color ? CTL_COLOR_END : "");
}

static void print_policy(const cJSON *object)
{
    const cJSON *rule = ctl_member(object, "rule");

    if (cJSON_IsNumber(rule))
        printf("rule %.0f of ", rule->valuedouble);
    fence_print_safe(stdout, ctl_member_text(object, "policy"));
}

static void print_service(const struct ctl *ctl, const cJSON *side)
{
    const cJSON *backend, *left_out = ctl_member(side, "backendsLeftOut");

    if (!ctl_member(side, "backends"))
        return;
    if (*ctl_member_text(side, "service")) {
        fputs("    service ", stdout);
        fence_print_safe(stdout, ctl_member_text(side, "service"));
    } else {
        fputs("    a port of the node", stdout);
    }
    fputs(cJSON_GetArraySize(ctl_member(side, "backends")) ? ", which leads to\n"
                                                           : ": nothing is behind this port\n",
          stdout);
    cJSON_ArrayForEach(backend, ctl_member(side, "backends"))
    {
        printf("      %s port %.0f: ", ctl_member_text(backend, "address"),
               ctl_member(backend, "port")->valuedouble);
        print_word(ctl, ctl_member_text(backend, "verdict"));
        putchar('\n');
    }
    if (left_out)
        printf("      and %.0f more\n", left_out->valuedouble);
}

static void print_side(const struct ctl *ctl, const char *way, const char *end, const cJSON *side)
{
    const char *verdict = ctl_member_text(side, "verdict");
    const char *reason = ctl_member_text(side, "reason");
    const cJSON *nearest = ctl_member(side, "nearest");

    printf("  %s ", way);
    fence_print_safe(stdout, end);
    fputs(": ", stdout);
    print_word(ctl, verdict);
    if (strcmp(verdict, "unknown") == 0)
        fputs(": this side is on another node; ask there, or ask the objects with --objects",
              stdout);
    else
        printf(": %s (%s)", explain(reason), reason);
    if (*ctl_member_text(side, "policy")) {
        fputs(": ", stdout);
        print_policy(side);
    }
    putchar('\n');
    print_service(ctl, side);
    if (!cJSON_IsObject(nearest))
        return;
    fputs("    closest to allowing it: ", stdout);
    print_policy(nearest);
    fputs(", but ", stdout);
    fence_print_safe(stdout, ctl_member_text(nearest, "failed"));
    putchar('\n');
}

static void print_target(const struct fence_query *query)
{
    char buffer[8];
    const char *name = fence_protocol_name(query->protocol, buffer);

    if (strncmp(name, "ICMP", 4) == 0)
        printf("%s type %u code %u", name, query->port >> 8, query->port & 0xff);
    else
        printf("%u/%s", query->port, name);
}

void trace_print(const struct ctl *ctl, const struct fence_query *query, const cJSON *answer)
{
    const char *verdict = ctl_member_text(answer, "verdict");
    const char *audit = ctl_member_text(answer, "audit");

    fence_print_safe(stdout, query->from);
    fputs(" -> ", stdout);
    fence_print_safe(stdout, query->to);
    fputs(", ", stdout);
    print_target(query);
    fputs(": ", stdout);
    print_word(ctl, verdict);
    putchar('\n');
    if (strcmp(verdict, "mixed") == 0 &&
        strcmp(ctl_member_text(ctl_member(answer, "egress"), "verdict"), "mixed") != 0)
        fputs("  IPv4 and IPv6 differ; what follows is IPv4, see --family\n", stdout);
    print_side(ctl, "out of", query->from, ctl_member(answer, "egress"));
    print_side(ctl, "into", query->to, ctl_member(answer, "ingress"));
    if (strcmp(audit, verdict) != 0) {
        fputs("  with Audit policies counted in: ", stdout);
        print_word(ctl, audit);
        putchar('\n');
    }
}

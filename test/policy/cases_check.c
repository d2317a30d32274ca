/* SPDX-License-Identifier: Apache-2.0 */
#include "test/policy/cases_check.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/names.h"

static const char *string_of(const cJSON *json, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, key));

    return text ? text : "";
}

static unsigned int number_of(const cJSON *json, const char *key)
{
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(json, key);

    return cJSON_IsNumber(number) ? (unsigned int)number->valuedouble : 0;
}

/* ---- the line as a question ------------------------------------------------------------------ */

static bool end_has_family(const struct leg_stage *stage, const char *text, int family)
{
    const char *slash = strchr(text, '/');
    const struct fence_object *pod;
    struct fence_addr addr;

    if (!slash)
        return fence_addr_parse(text, &addr) == 0 && fence_addr_is_ipv4(&addr) == (family == 4);

    FENCE_FREE char *namespace_name = strndup(text, (size_t)(slash - text));

    pod = namespace_name ? lab_pod(&stage->file.lab, namespace_name, slash + 1) : NULL;
    for (size_t i = 0; pod && i < pod->pod.addr_count; i++)
        if (fence_addr_is_ipv4(&pod->pod.addrs[i]) == (family == 4))
            return true;
    return false;
}

bool case_has_family(const struct leg_stage *stage, const cJSON *line, int family)
{
    const char *only = string_of(line, "family");

    if (*only && strcmp(only, family == 4 ? "v4" : "v6") != 0)
        return false;
    return end_has_family(stage, string_of(line, "from"), family) &&
           end_has_family(stage, string_of(line, "to"), family);
}

static int find_query(const cJSON *line, int family, struct fence_query *ret_query)
{
    struct fence_query query = {
        .from = string_of(line, "from"), .to = string_of(line, "to"), .family = family};

    if (fence_protocol_parse(string_of(line, "protocol"), &query.protocol) < 0)
        return -EINVAL;
    query.port = number_of(line, "port");
    if (query.protocol == IPPROTO_ICMP || query.protocol == IPPROTO_ICMPV6)
        query.port = number_of(line, "type") << 8 | number_of(line, "code");
    *ret_query = query;
    return 0;
}

/* ---- the answers ----------------------------------------------------------------------------- */

/* All legs' answers to one line. */
struct hearing {
    const cJSON *line;
    struct leg_answer answers[LEGS];
    size_t reference; /* the first leg that explains itself: the evaluator */
};

/* true, false, or "mixed": where the backends of a service differ. */
static uint8_t wanted(const cJSON *line, const char *key)
{
    if (strcmp(string_of(line, key), "mixed") == 0)
        return FENCE_DEFER;
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(line, key)) ? FENCE_ALLOW : FENCE_DENY;
}

static bool is_expected(const cJSON *line, const struct leg_answer *answer)
{
    const struct leg_side *from = &answer->sides[FENCE_EGRESS];
    const struct leg_side *to = &answer->sides[FENCE_INGRESS];

    if (leg_verdict_of_both(from->verdict, to->verdict) != wanted(line, "allowed"))
        return false;
    return !cJSON_HasObjectItem(line, "audit") ||
           leg_verdict_of_both(from->shadow, to->shadow) == wanted(line, "audit");
}

static int hear(const struct leg_stage *stage, const struct fence_query *query,
                struct hearing *hearing, struct case_outcome *outcome)
{
    struct fence_err err = {0};

    hearing->reference = LEGS;
    for (size_t i = 0; i < LEGS; i++) {
        int r;

        if (!leg_can_answer(&leg_table[i], stage))
            continue;
        if (hearing->reference == LEGS && leg_table[i].explains)
            hearing->reference = i;
        outcome->asked[i] = true;
        r = leg_table[i].ask(stage, query, &hearing->answers[i], &err);
        if (r < 0) {
            outcome->failed[i] = true;
            snprintf(outcome->text, sizeof(outcome->text), "the %s has no answer: %s",
                     leg_table[i].name, err.text);
            return r;
        }
    }
    return 0;
}

static bool judge(const struct hearing *hearing, struct case_outcome *outcome)
{
    const struct leg_answer *reference = &hearing->answers[hearing->reference];
    bool all = true;

    for (size_t i = 0; i < LEGS; i++) {
        if (!outcome->asked[i])
            continue;
        outcome->failed[i] =
            !is_expected(hearing->line, &hearing->answers[i]) ||
            !leg_answers_agree(&hearing->answers[i], reference, leg_table[i].explains);
        all = all && !outcome->failed[i];
    }
    return all;
}

static void tell(const struct hearing *hearing, struct case_outcome *outcome)
{
    char *text = outcome->text;
    size_t size = sizeof(outcome->text);
    size_t used = (size_t)snprintf(text, size, "expected %s",
                                   fence_verdict_name(wanted(hearing->line, "allowed")));

    if (cJSON_HasObjectItem(hearing->line, "audit"))
        used += (size_t)snprintf(text + used, size - used, ", with Audit policies %s",
                                 fence_verdict_name(wanted(hearing->line, "audit")));
    for (size_t i = 0; i < LEGS && used < size; i++) {
        if (!outcome->asked[i])
            continue;
        leg_describe(&leg_table[i], &hearing->answers[i], text + used, size - used);
        used += strlen(text + used);
        if (outcome->failed[i] && used < size)
            used += (size_t)snprintf(text + used, size - used, "  <- wrong");
    }
}

int case_check(const struct leg_stage *stage, const cJSON *line, int family,
               struct case_outcome *ret_outcome)
{
    struct hearing hearing = {.line = line};
    struct fence_query query;
    int r = find_query(line, family, &query);

    *ret_outcome = (struct case_outcome){0};
    if (r < 0) {
        snprintf(ret_outcome->text, sizeof(ret_outcome->text), "its protocol is none");
        return r;
    }
    r = hear(stage, &query, &hearing, ret_outcome);
    if (r < 0)
        return r;
    if (judge(&hearing, ret_outcome))
        return 1;
    tell(&hearing, ret_outcome);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* One line of a reachability file, asked of the evaluator and of the compiled plans. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/base/names.h"
#include "test/policy/cases.h"

/* An end of a line: a pod or an address. */
struct party {
    const char *text;
    const struct fence_object *pod; /* NULL: an address outside */
    struct fence_addr addr;
};

/* A line for one family. */
struct line {
    const struct case_file *file;
    struct party from;
    struct party to;
    struct fence_query query;
};

static const struct fence_object *pod_named(const struct case_file *file, const char *text)
{
    const char *slash = strchr(text, '/');
    size_t length = slash ? (size_t)(slash - text) : 0;

    for (size_t i = 0; slash && i < file->lab.world.object_count; i++) {
        const struct fence_object *object = file->lab.objects[i];

        if (object->kind == FENCE_OBJECT_POD && strlen(object->namespace_name) == length &&
            strncmp(object->namespace_name, text, length) == 0 &&
            strcmp(object->name, slash + 1) == 0)
            return object;
    }
    return NULL;
}

static bool find_party(const struct case_file *file, const char *text, int family,
                       struct party *ret_party)
{
    struct party party = {.text = text, .pod = pod_named(file, text)};

    if (!party.pod) {
        if (fence_addr_parse(text, &party.addr) < 0 ||
            fence_addr_is_ipv4(&party.addr) != (family == 4))
            return false;
        *ret_party = party;
        return true;
    }
    for (size_t i = 0; i < party.pod->pod.addr_count; i++) {
        party.addr = party.pod->pod.addrs[i];
        if (fence_addr_is_ipv4(&party.addr) != (family == 4))
            continue;
        *ret_party = party;
        return true;
    }
    return false;
}

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

static int find_line(const struct case_file *file, const cJSON *json, int family,
                     struct line *ret_line)
{
    struct line line = {.file = file, .query = {.family = family}};

    if (!find_party(file, string_of(json, "from"), family, &line.from) ||
        !find_party(file, string_of(json, "to"), family, &line.to) ||
        fence_protocol_parse(string_of(json, "protocol"), &line.query.protocol) < 0)
        return -EINVAL;
    line.query.from = line.from.text;
    line.query.to = line.to.text;
    line.query.port = number_of(json, "port");
    if (line.query.protocol == IPPROTO_ICMP || line.query.protocol == IPPROTO_ICMPV6)
        line.query.port = number_of(json, "type") << 8 | number_of(json, "code");
    *ret_line = line;
    return 0;
}

bool case_has_family(const struct case_file *file, const cJSON *line, int family)
{
    const char *only = string_of(line, "family");
    struct party ignored;

    if (*only && strcmp(only, family == 4 ? "v4" : "v6") != 0)
        return false;
    return find_party(file, string_of(line, "from"), family, &ignored) &&
           find_party(file, string_of(line, "to"), family, &ignored);
}

/* ---- the plan ------------------------------------------------------------------------------- */

/* What one side's hook would say. */
struct hook {
    bool judged; /* by the plan; else allowed before any policy */
    struct fence_interval interval;
    const char *policy;
    uint32_t rule;
    char kernel_policy[512];
};

static const struct case_node *home_of(const struct case_file *file, const struct party *party,
                                       uint32_t *ret_ifindex)
{
    for (size_t i = 0; party->pod && i < file->node_count; i++)
        for (size_t j = 0; j < file->nodes[i].local_count; j++)
            if (file->nodes[i].locals[j].addrs == party->pod->pod.addrs) {
                *ret_ifindex = file->nodes[i].locals[j].ifindex;
                return &file->nodes[i];
            }
    return NULL;
}

/* Sent by a process of the node itself: lets in above every tier. */
static bool from_host(const struct case_node *home, const struct line *line)
{
    uint32_t peer = plan_peer_of(home->plan, &line->from.addr);

    return home->plan->peers[peer].flags & FENCE_PEER_IS_HOST;
}

static int ask_plan(const struct line *line, enum fence_direction direction, struct hook *hook)
{
    bool egress = direction == FENCE_EGRESS;
    const struct party *subject = egress ? &line->from : &line->to;
    struct plan_query query = {.direction = direction,
                               .remote = egress ? line->to.addr : line->from.addr,
                               .protocol = line->query.protocol,
                               .port = line->query.port};
    const struct case_node *home = home_of(line->file, subject, &query.ifindex);
    const struct fence_interval *interval;

    *hook = (struct hook){.policy = "", .rule = FENCE_RULE_NONE};
    if (!home || line->from.pod == line->to.pod || (!egress && from_host(home, line)))
        return 0;
    interval = plan_interval(home->plan, &query, plan_peer_of(home->plan, &query.remote));
    if (!interval)
        return -ENOENT;
    hook->judged = true;
    hook->interval = *interval;
    if (interval->rule) {
        hook->policy = home->plan->rules[interval->rule - 1].policy;
        hook->rule = home->plan->rules[interval->rule - 1].index;
        if (home->plan->rules[interval->rule - 1].direction != direction)
            return -EBADMSG;
    }
    return 0;
}

/* ---- the kernel ----------------------------------------------------------------------------- */

/* The same of the live maps, by a probe program; `hook` has the plan's answer, then the kernel's.
 */
static int ask_kernel(const struct line *line, enum fence_direction direction, struct hook *hook,
                      struct fence_err *err)
{
    bool egress = direction == FENCE_EGRESS;
    const struct party *subject = egress ? &line->from : &line->to;
    const struct party *other = egress ? &line->to : &line->from;
    struct reconciler_query query = {.direction = direction,
                                     .local = subject->addr,
                                     .remote = other->addr,
                                     .protocol = line->query.protocol,
                                     .port = line->query.port};
    const struct case_node *home = home_of(line->file, subject, &query.ifindex);
    struct reconciler_answer answer;
    int r;

    if (!home || line->from.pod == line->to.pod)
        return 0;
    if (!egress && from_host(home, line))
        query.origin = FENCE_ORIGIN_LOCAL;
    r = reconciler_ask(home->live, &query, &answer, err);
    if (r < 0)
        return r;
    if (!hook->judged)
        return answer.result.verdict == FENCE_ALLOW
                   ? 0
                   : fence_err_set(err, -EBADMSG, "the kernel denies what no policy judges");
    hook->interval.verdict = answer.result.verdict;
    hook->interval.reason = answer.result.reason;
    hook->interval.shadow = answer.result.shadow;
    hook->rule = answer.rule.index;
    snprintf(hook->kernel_policy, sizeof(hook->kernel_policy), "%s", answer.rule.policy);
    hook->policy = hook->kernel_policy;
    return 0;
}

/* ---- all ------------------------------------------------------------------------------------ */

static bool hook_agrees(const struct hook *hook, const struct fence_side *side)
{
    if (!hook->judged)
        return side->verdict == FENCE_ALLOW && (side->reason == FENCE_REASON_FROM_HOST ||
                                                side->reason == FENCE_REASON_NOT_AN_ENDPOINT);
    return hook->interval.verdict == side->verdict && hook->interval.shadow == side->shadow &&
           hook->interval.reason == side->reason && hook->rule == side->rule &&
           strcmp(hook->policy, side->policy) == 0;
}

/* What one leg makes of a line. */
struct tally {
    const char *leg;
    bool allowed;
    bool shadow;
};

static int compare_side(const struct hook *hook, enum fence_direction direction,
                        const struct fence_side *side, struct tally *tally, struct fence_err *err)
{
    if (hook->judged) {
        tally->allowed &= hook->interval.verdict == FENCE_ALLOW;
        tally->shadow &= hook->interval.shadow == FENCE_ALLOW;
    }
    if (hook_agrees(hook, side))
        return 1;
    return fence_err_set(err, 0,
                         "%s: the %s says %s, %s, %s rule %d; the evaluator %s, %s, %s rule %d",
                         fence_direction_name(direction), tally->leg,
                         hook->judged ? fence_verdict_name(hook->interval.verdict) : "nothing",
                         fence_reason_name(hook->interval.reason), hook->policy, (int)hook->rule,
                         fence_verdict_name(side->verdict), fence_reason_name(side->reason),
                         side->policy, (int)side->rule);
}

static int compare_sides(const struct line *line, const struct fence_answer *answer,
                         struct tally tallies[2], struct fence_err *err)
{
    int r = 1;

    for (int direction = 0; r > 0 && direction < FENCE_DIRECTIONS; direction++) {
        const struct fence_side *side = &answer->sides[direction];
        struct hook hook;

        r = ask_plan(line, direction, &hook);
        if (r < 0)
            return fence_err_set(err, r, "%s: the plan has no answer",
                                 fence_direction_name(direction));
        r = compare_side(&hook, direction, side, &tallies[0], err);
        if (r <= 0 || !line->file->nodes[0].live)
            continue;
        r = ask_kernel(line, direction, &hook, err);
        r = r < 0 ? r : compare_side(&hook, direction, side, &tallies[1], err);
    }
    return r;
}

int case_check(const struct case_file *file, const cJSON *json, int family, struct fence_err *err)
{
    bool expected = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "allowed"));
    const cJSON *audit = cJSON_GetObjectItemCaseSensitive(json, "audit");
    struct fence_answer answer = {0};
    struct tally tallies[2] = {{"plan", true, true}, {"kernel", true, true}};
    struct line line;
    int r = find_line(file, json, family, &line);

    if (r < 0)
        return fence_err_set(err, r, "the line cannot be understood");
    r = fence_evaluate(&file->lab.world, &line.query, &answer, err);
    if (r < 0)
        return r;
    if ((answer.verdict == FENCE_ALLOW) != expected)
        return fence_err_set(err, 0, "the evaluator says %s (egress %s, ingress %s)",
                             fence_verdict_name(answer.verdict),
                             fence_reason_name(answer.sides[FENCE_EGRESS].reason),
                             fence_reason_name(answer.sides[FENCE_INGRESS].reason));
    r = compare_sides(&line, &answer, tallies, err);
    for (int i = 0; r > 0 && i < (file->nodes[0].live ? 2 : 1); i++) {
        bool shadow = tallies[i].shadow;

        if (tallies[i].allowed != expected)
            return fence_err_set(err, 0, "the %s says %s", tallies[i].leg,
                                 fence_verdict_name(tallies[i].allowed));
        if (audit && (shadow != cJSON_IsTrue(audit) || answer.shadow != shadow))
            return fence_err_set(err, 0, "with Audit policies counted in the %s says %s",
                                 tallies[i].leg, fence_verdict_name(shadow));
    }
    return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of judgement once more, straight from the rules: the first rule that means the other
 * end and the port decides. Shares with the compiler what matching means (match.h) and nothing of
 * how it is carried out.
 */
#include "lib/policy/evaluate.h"

#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/policy/evaluator.h"
#include "lib/policy/lookup.h"

/* ---- the policies of a pod ------------------------------------------------------------------ */

static int compare_names(const struct fence_object *a, const struct fence_object *b)
{
    FENCE_FREE char *left = fence_object_id(a);
    FENCE_FREE char *right = fence_object_id(b);

    return left && right ? strcmp(left, right) : 0;
}

static int compare_policies(const void *a, const void *b)
{
    const struct fence_object *left = *(const struct fence_object *const *)a;
    const struct fence_object *right = *(const struct fence_object *const *)b;
    bool ordered =
        left->policy.tier == FENCE_TIER_ADMIN || left->policy.tier == FENCE_TIER_BASELINE;

    if (left->policy.tier != right->policy.tier)
        return left->policy.tier < right->policy.tier ? -1 : 1;
    if (ordered && left->policy.priority != right->policy.priority)
        return left->policy.priority < right->policy.priority ? -1 : 1;
    return compare_names(left, right);
}

int fence_ask_collect(struct fence_ask *ask)
{
    const struct fence_world *world = ask->world;
    const struct fence_end_pod *pod = ask->subject;

    for (size_t i = 0; i < world->object_count; i++) {
        const struct fence_object *object = world->objects[i];

        if (!fence_kind_is_policy(object->kind) || fence_policy_is_over(object, world->now) ||
            !fence_policy_selects(object, pod->namespace_name, fence_end_namespace_labels(pod),
                                  pod->labels))
            continue;
        if (fence_array_grow((void **)&ask->policies, &ask->policy_capacity, ask->policy_count,
                             sizeof(void *)) < 0)
            return -ENOMEM;
        ask->policies[ask->policy_count++] = object;
    }
    if (ask->policy_count)
        qsort(ask->policies, ask->policy_count, sizeof(void *), compare_policies);
    return 0;
}

/* ---- one rule ------------------------------------------------------------------------------- */

/* The ports that names mean on this side: the destination's. NULL: none. */
static const struct fence_ports *named_ports(const struct fence_ask *ask)
{
    const struct fence_object *pod = ask->subject->object;

    if (ask->direction == FENCE_EGRESS)
        return ask->view.ports;
    return pod ? pod->pod.ports : NULL;
}

static bool name_matches(const struct fence_ask *ask, const struct fence_rule *rule,
                         const struct fence_port_spec *spec)
{
    const struct fence_ports *ports = named_ports(ask);
    unsigned int protocol = ask->query->protocol;

    if (spec->protocol != FENCE_PROTOCOL_ANY && spec->protocol != protocol)
        return false;
    /* a name that cannot be looked up: what forbids it forbids the whole protocol */
    if (ask->direction == FENCE_EGRESS && ask->view.kind == FENCE_VIEW_PENDING)
        return rule->action == FENCE_ACTION_DENY;
    for (size_t i = 0; ports && i < ports->count; i++)
        if (ports->items[i].protocol == protocol && ports->items[i].port == ask->query->port &&
            strcmp(ports->items[i].name, spec->name) == 0)
            return true;
    return false;
}

bool fence_ask_port_matches(const struct fence_ask *ask, const struct fence_rule *rule)
{
    for (size_t i = 0; i < rule->port_count; i++) {
        const struct fence_port_spec *spec = &rule->ports[i];

        if (spec->name) {
            if (name_matches(ask, rule, spec))
                return true;
            continue;
        }
        if (spec->protocol == FENCE_PROTOCOL_ANY)
            return true;
        if (spec->protocol == ask->query->protocol && spec->first <= ask->query->port &&
            ask->query->port <= spec->last)
            return true;
    }
    return rule->any_port;
}

bool fence_ask_peer_matches(const struct fence_ask *ask, const struct fence_object *policy,
                            const struct fence_rule *rule)
{
    for (size_t i = 0; i < rule->peer_count; i++)
        if (fence_peer_matches(&rule->peers[i], policy->namespace_name, rule->action, &ask->view) ||
            (policy->policy.tier == FENCE_TIER_DENYLIST &&
             fence_peer_cuts(&rule->peers[i], &ask->view)))
            return true;
    return rule->any_peer;
}

/* ---- the order of judgement ----------------------------------------------------------------- */

/* The first rule of the policy that means this connection; FENCE_RULE_NONE when none does. */
static uint32_t first_rule(const struct fence_ask *ask, const struct fence_object *policy)
{
    const struct fence_policy *spec = &policy->policy;

    if (!spec->applies[ask->direction])
        return FENCE_RULE_NONE;
    for (uint32_t i = 0; i < spec->rule_count[ask->direction]; i++) {
        const struct fence_rule *rule = &spec->rules[ask->direction][i];

        if (fence_ask_peer_matches(ask, policy, rule) && fence_ask_port_matches(ask, rule))
            return i;
    }
    return FENCE_RULE_NONE;
}

/* True when the tier decides. */
static bool judge_tier(const struct fence_ask *ask, enum fence_tier tier, bool shadow,
                       struct fence_finding *finding)
{
    for (size_t i = 0; i < ask->policy_count; i++) {
        const struct fence_object *policy = ask->policies[i];
        enum fence_action action;
        uint32_t rule;

        if (policy->policy.tier != tier || (policy->policy.audit && !shadow))
            continue;
        rule = first_rule(ask, policy);
        if (rule == FENCE_RULE_NONE)
            continue;
        action = policy->policy.rules[ask->direction][rule].action;
        if (action == FENCE_ACTION_PASS)
            return false;
        *finding = (struct fence_finding){.verdict = action == FENCE_ACTION_ALLOW,
                                          .reason = FENCE_REASON_RULE,
                                          .policy = policy,
                                          .rule = rule};
        if (action == FENCE_ACTION_DENY)
            finding->reason =
                tier == FENCE_TIER_DENYLIST ? FENCE_REASON_DENYLIST : FENCE_REASON_DENY_RULE;
        return true;
    }
    return false;
}

static const struct fence_object *first_isolating(const struct fence_ask *ask, bool shadow)
{
    for (size_t i = 0; i < ask->policy_count; i++) {
        const struct fence_policy *policy = &ask->policies[i]->policy;

        if (policy->tier == FENCE_TIER_ALLOWLIST && policy->isolates[ask->direction] &&
            (shadow || !policy->audit))
            return ask->policies[i];
    }
    return NULL;
}

static bool any_counts(const struct fence_ask *ask, bool shadow)
{
    for (size_t i = 0; i < ask->policy_count; i++)
        if (shadow || !ask->policies[i]->policy.audit)
            return true;
    return false;
}

struct fence_finding fence_ask_judge(const struct fence_ask *ask, bool shadow)
{
    const struct fence_object *isolating = first_isolating(ask, shadow);
    bool exempt = ask->direction == FENCE_EGRESS && ask->view.kind == FENCE_VIEW_HOST &&
                  !ask->view.service && !ask->world->own_node_egress_is_policy;
    bool pending = ask->view.kind == FENCE_VIEW_PENDING;
    struct fence_finding finding = {.verdict = FENCE_ALLOW, .rule = FENCE_RULE_NONE};

    if (judge_tier(ask, FENCE_TIER_DENYLIST, shadow, &finding) ||
        judge_tier(ask, FENCE_TIER_ADMIN, shadow, &finding) ||
        judge_tier(ask, FENCE_TIER_ALLOWLIST, shadow, &finding))
        return finding;
    if (isolating && !exempt) {
        finding.verdict = FENCE_DENY;
        finding.reason = pending ? FENCE_REASON_PEER_PENDING : FENCE_REASON_NO_RULE;
        finding.policy = isolating;
        return finding;
    }
    if (judge_tier(ask, FENCE_TIER_BASELINE, shadow, &finding))
        return finding;
    finding.reason = FENCE_REASON_NO_POLICY;
    if (isolating)
        finding.reason = FENCE_REASON_OWN_NODE;
    else if (any_counts(ask, shadow))
        finding.reason = FENCE_REASON_NOT_ISOLATED;
    return finding;
}

bool fence_ask_is_cut(const struct fence_ask *ask, bool shadow, struct fence_finding *finding)
{
    return judge_tier(ask, FENCE_TIER_DENYLIST, shadow, finding);
}

/* ---- the whole question --------------------------------------------------------------------- */

/* The two ends and the question. */
struct inquiry {
    const struct fence_world *world;
    const struct fence_query *query;
    struct fence_end from;
    struct fence_end to;
};

static bool is_loopback(const struct fence_addr *addr)
{
    static const struct fence_addr six = {.bytes[15] = 1};

    return fence_addr_is_ipv4(addr) ? addr->bytes[12] == 127 : fence_addr_equal(addr, &six);
}

/* Loopback never leaves its host, and nothing is sent by a multicast or reserved address. */
static bool is_martian(const struct fence_addr *from, const struct fence_addr *to)
{
    bool no_source = fence_addr_is_ipv4(from) ? from->bytes[12] >= 224 : from->bytes[0] == 0xff;

    return no_source || is_loopback(from) || is_loopback(to);
}

/* Of a connection that both hooks judge. */
static uint8_t both(uint8_t one, uint8_t other)
{
    if (one == FENCE_DENY || other == FENCE_DENY)
        return FENCE_DENY;
    return one == FENCE_DEFER || other == FENCE_DEFER ? FENCE_DEFER : FENCE_ALLOW;
}

static int ask_both(struct inquiry *inquiry, struct fence_answer *answer, struct fence_err *err)
{
    struct fence_ask egress = {.world = inquiry->world,
                               .query = inquiry->query,
                               .direction = FENCE_EGRESS,
                               .subject = &inquiry->from.pod,
                               .other = &inquiry->to,
                               .itself = fence_end_has_addr(&inquiry->from.pod, &inquiry->to.addr),
                               .martian = is_martian(&inquiry->from.addr, &inquiry->to.addr)};
    struct fence_ask ingress = {.world = inquiry->world,
                                .query = inquiry->query,
                                .direction = FENCE_INGRESS,
                                .subject = &inquiry->to.pod,
                                .other = &inquiry->from,
                                .itself = egress.itself,
                                .martian = egress.martian};
    int r = fence_ask_side(&egress, &answer->sides[FENCE_EGRESS], err);

    if (r == 0)
        r = fence_ask_side(&ingress, &answer->sides[FENCE_INGRESS], err);
    answer->verdict =
        both(answer->sides[FENCE_EGRESS].verdict, answer->sides[FENCE_INGRESS].verdict);
    answer->shadow = both(answer->sides[FENCE_EGRESS].shadow, answer->sides[FENCE_INGRESS].shadow);
    return r;
}

/* 1 when both ends have the family and *answer is set, else 0. */
static int ask_family(struct inquiry *inquiry, int family, struct fence_answer *answer,
                      struct fence_err *err)
{
    const struct fence_query *query = inquiry->query;
    struct fence_addr from;
    struct fence_addr to;
    int r;

    if (query->family && query->family != family)
        return 0;
    if (!fence_end_address(&inquiry->from, query->from, family, &from) ||
        !fence_end_address(&inquiry->to, query->to, family, &to))
        return 0;
    r = fence_end_locate(inquiry->world, &from, &inquiry->to.pod, &inquiry->from, err);
    if (r == 0)
        r = fence_end_locate(inquiry->world, &to, &inquiry->from.pod, &inquiry->to, err);
    if (r == 0)
        r = ask_both(inquiry, answer, err);
    return r < 0 ? r : 1;
}

/* A pod that is not started yet, or whose status was left out. */
static bool has_no_address(const struct fence_end *end, const char *text)
{
    struct fence_addr unused;

    return !fence_end_address(end, text, 4, &unused) && !fence_end_address(end, text, 6, &unused);
}

static int refuse_families(const struct inquiry *inquiry, struct fence_err *err)
{
    const struct fence_query *query = inquiry->query;
    const char *lacks = NULL;

    if (has_no_address(&inquiry->from, query->from))
        lacks = query->from;
    else if (has_no_address(&inquiry->to, query->to))
        lacks = query->to;
    if (lacks)
        return fence_err_set(err, -EINVAL, "the pod %s has no address (status.podIPs)", lacks);
    return fence_err_set(err, -EINVAL, "%s and %s have no address of %s in common", query->from,
                         query->to, query->family ? "that family" : "one family");
}

static int ask_families(struct inquiry *inquiry, struct fence_answer *ret_answer,
                        struct fence_err *err)
{
    struct fence_answer first = {0};
    struct fence_answer second = {0};
    int have_first = ask_family(inquiry, 4, &first, err);
    int have_second = have_first < 0 ? have_first : ask_family(inquiry, 6, &second, err);

    if (have_second < 0)
        return have_second;
    if (!have_first && !have_second)
        return refuse_families(inquiry, err);
    if (have_first && have_second)
        first.mixed = first.verdict != second.verdict;
    *ret_answer = have_first ? first : second;
    return 0;
}

int fence_evaluate(const struct fence_world *world, const struct fence_query *query,
                   struct fence_answer *ret_answer, struct fence_err *err)
{
    struct inquiry inquiry = {.world = world, .query = query};
    int r = fence_end_find(world, query->from, &inquiry.from, err);

    if (r == 0)
        r = fence_end_find(world, query->to, &inquiry.to, err);
    if (r == 0)
        r = ask_families(&inquiry, ret_answer, err);
    fence_end_done(&inquiry.from);
    fence_end_done(&inquiry.to);
    return r;
}

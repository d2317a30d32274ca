/* SPDX-License-Identifier: Apache-2.0 */
#include "test/policy/legs.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/names.h"

/* ---- naive ---------------------------------------------------------------------------------- */

static int ask_naive(const struct leg_stage *stage, const struct fence_query *query,
                     struct leg_answer *ret_answer, struct fence_err *err)
{
    struct naive_answer answer;
    int r = naive_ask(stage->naive, query, &answer);

    if (r < 0)
        return fence_err_set(err, r, "naive: no such end");
    for (int direction = 0; direction < FENCE_DIRECTIONS; direction++) {
        ret_answer->sides[direction].verdict = answer.sides[direction].verdict;
        ret_answer->sides[direction].shadow = answer.sides[direction].shadow;
    }
    snprintf(ret_answer->note, sizeof(ret_answer->note), "egress: %s, ingress: %s",
             answer.sides[FENCE_EGRESS].why, answer.sides[FENCE_INGRESS].why);
    return 0;
}

/* ---- the evaluator -------------------------------------------------------------------------- */

static int ask_evaluator(const struct leg_stage *stage, const struct fence_query *query,
                         struct leg_answer *ret_answer, struct fence_err *err)
{
    struct fence_answer answer;
    int r = fence_evaluate(&stage->file.lab.world, query, &answer, err);

    for (int direction = 0; r == 0 && direction < FENCE_DIRECTIONS; direction++) {
        const struct fence_side *side = &answer.sides[direction];
        struct leg_side *to = &ret_answer->sides[direction];

        to->verdict = side->verdict;
        to->shadow = side->shadow;
        to->reason = side->reason;
        to->rule = side->rule;
        memcpy(to->policy, side->policy, sizeof(to->policy));
    }
    return r;
}

/* ---- the plans ------------------------------------------------------------------------------ */

/* An end as the hooks see it: an address, and an interface where one is behind it. */
struct hook {
    struct fence_addr addr;
    const struct fence_object *pod; /* NULL: none that lives */
    const struct fence_plan *plan;  /* NULL: no endpoint */
    struct reconciler *live;        /* the node's, when it has one */
    uint32_t ifindex;
};

static bool is_claimed(const struct fence_pod *pod, const struct fence_addr *addr)
{
    for (size_t i = 0; i < pod->addr_count; i++)
        if (!pod->host_network && !pod->finished && fence_addr_equal(&pod->addrs[i], addr))
            return true;
    return false;
}

static bool is_service(const struct fence_object *object, const struct fence_addr *addr)
{
    for (size_t i = 0; object->kind == FENCE_OBJECT_SERVICE && i < object->service.addrs.count; i++)
        if (fence_addr_equal(&object->service.addrs.items[i], addr))
            return true;
    return false;
}

/* The pod that alone claims the address, no service doing so. */
static const struct fence_object *owner_of(const struct case_file *file,
                                           const struct fence_addr *addr)
{
    const struct fence_object *owner = NULL;

    for (size_t i = 0; i < file->lab.world.object_count; i++)
        if (is_service(file->lab.objects[i], addr))
            return NULL;

    for (size_t i = 0; i < file->lab.world.object_count; i++) {
        const struct fence_object *object = file->lab.objects[i];

        if (object->kind != FENCE_OBJECT_POD || !is_claimed(&object->pod, addr))
            continue;
        if (owner)
            return NULL;
        owner = object;
    }
    return owner;
}

static bool find_address(const struct fence_object *pod, int family, struct fence_addr *ret_addr)
{
    for (size_t i = 0; i < pod->pod.addr_count; i++)
        if (fence_addr_is_ipv4(&pod->pod.addrs[i]) == (family == 4)) {
            *ret_addr = pod->pod.addrs[i];
            return true;
        }
    return false;
}

static void find_home(const struct leg_stage *stage, struct hook *hook)
{
    const struct case_file *file = &stage->file;

    for (size_t i = 0; hook->pod && i < file->node_count; i++)
        for (size_t j = 0; j < file->nodes[i].local_count; j++)
            if (file->nodes[i].locals[j].pod == hook->pod->name) {
                hook->plan = stage->plans ? stage->plans[i] : file->nodes[i].plan;
                hook->live = file->nodes[i].live;
                hook->ifindex = file->nodes[i].locals[j].ifindex;
            }
}

static int find_hook(const struct leg_stage *stage, const char *text, int family,
                     struct hook *ret_hook)
{
    const char *slash = strchr(text, '/');
    struct hook hook = {0};

    if (slash) {
        FENCE_FREE char *namespace_name = strndup(text, (size_t)(slash - text));

        if (!namespace_name)
            return -ENOMEM;
        hook.pod = lab_pod(&stage->file.lab, namespace_name, slash + 1);
        if (!hook.pod || !find_address(hook.pod, family, &hook.addr))
            return -ENOENT;
    } else {
        if (fence_addr_parse(text, &hook.addr) < 0)
            return -ENOENT;
        hook.pod = owner_of(&stage->file, &hook.addr);
    }
    find_home(stage, &hook);
    *ret_hook = hook;
    return 0;
}

/* DESIGN 6.3 and 6.4: an endpoint without a set. */
static int answer_without_set(const struct fence_plan *plan, uint32_t ifindex,
                              struct leg_side *ret_side)
{
    const struct fence_plan_endpoint *endpoint = plan_endpoint(plan, ifindex);

    if (!endpoint || !(endpoint->flags & FENCE_EP_PENDING))
        return -ENOENT;
    ret_side->verdict = ret_side->shadow = FENCE_DENY;
    ret_side->reason = FENCE_REASON_PENDING;
    if (endpoint->flags & FENCE_EP_INCOMPLETE)
        ret_side->reason = FENCE_REASON_INCOMPLETE;
    return 0;
}

static int answer_by_set(const struct fence_plan *plan, const struct plan_query *query,
                         uint32_t peer, struct leg_side *ret_side)
{
    const struct fence_interval *interval = plan_interval(plan, query, peer);
    const struct fence_plan_rule *rule;

    if (!interval)
        return answer_without_set(plan, query->ifindex, ret_side);
    ret_side->verdict = interval->verdict;
    ret_side->shadow = interval->shadow;
    ret_side->reason = interval->reason;
    if (!interval->rule)
        return 0;
    rule = &plan->rules[interval->rule - 1];
    ret_side->rule = rule->index;
    snprintf(ret_side->policy, sizeof(ret_side->policy), "%s", rule->policy);
    return rule->direction == query->direction ? 0 : -EBADMSG;
}

/* A packet to an address of its sender's never comes by a hook. */
static bool stays_inside(const struct hook *from, const struct fence_addr *to)
{
    for (size_t i = 0; from->pod && i < from->pod->pod.addr_count; i++)
        if (fence_addr_equal(&from->pod->pod.addrs[i], to))
            return true;
    return false;
}

static int ask_hook(const struct hook hooks[FENCE_DIRECTIONS], enum fence_direction direction,
                    const struct fence_query *question, struct leg_side *ret_side)
{
    const struct hook *hook = &hooks[direction];
    const struct hook *other = &hooks[!direction];
    struct plan_query query = {.ifindex = hook->ifindex,
                               .direction = direction,
                               .remote = other->addr,
                               .protocol = question->protocol,
                               .port = question->port};
    uint32_t peer;

    *ret_side = (struct leg_side){.verdict = FENCE_ALLOW,
                                  .shadow = FENCE_ALLOW,
                                  .reason = FENCE_REASON_NOT_AN_ENDPOINT,
                                  .rule = FENCE_RULE_NONE};
    if (!hook->plan || stays_inside(&hooks[FENCE_EGRESS], &hooks[FENCE_INGRESS].addr))
        return 0;
    peer = plan_peer_of(hook->plan, &other->addr);
    if (peer == FENCE_PLAN_NONE)
        return -ENOENT;
    if (direction == FENCE_INGRESS && hook->plan->peers[peer].flags & FENCE_PEER_IS_HOST) {
        ret_side->reason = FENCE_REASON_FROM_HOST;
        return 0;
    }
    return answer_by_set(hook->plan, &query, peer, ret_side);
}

static int ask_plan(const struct leg_stage *stage, const struct fence_query *query,
                    struct leg_answer *ret_answer, struct fence_err *err)
{
    struct hook hooks[FENCE_DIRECTIONS] = {0};
    int r = find_hook(stage, query->from, query->family, &hooks[FENCE_EGRESS]);

    if (r == 0)
        r = find_hook(stage, query->to, query->family, &hooks[FENCE_INGRESS]);
    for (int direction = 0; r == 0 && direction < FENCE_DIRECTIONS; direction++)
        r = ask_hook(hooks, direction, query, &ret_answer->sides[direction]);
    return r < 0 ? fence_err_set(err, r, "the plan has no answer") : 0;
}

/* ---- the kernel ----------------------------------------------------------------------------- */

/* ICMP of the other family is no packet that a kernel would take. */
static bool is_packet(const struct fence_query *question)
{
    return question->protocol != (question->family == 4 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
}

/* What the plan lets a hook judge, the kernel is asked: `side` has the plan's answer. */
static int ask_probe(const struct hook hooks[FENCE_DIRECTIONS], enum fence_direction direction,
                     const struct fence_query *question, struct leg_side *side,
                     struct fence_err *err)
{
    const struct hook *hook = &hooks[direction];
    struct reconciler_query query = {.ifindex = hook->ifindex,
                                     .direction = direction,
                                     .origin = side->reason == FENCE_REASON_FROM_HOST
                                                   ? FENCE_ORIGIN_LOCAL
                                                   : FENCE_ORIGIN_FORWARDED,
                                     .local = hook->addr,
                                     .remote = hooks[!direction].addr,
                                     .protocol = question->protocol,
                                     .port = question->port};
    struct reconciler_answer answer;
    int r;

    if (side->reason == FENCE_REASON_NOT_AN_ENDPOINT || !is_packet(question))
        return 0;
    r = reconciler_ask(hook->live, &query, &answer, err);
    if (r < 0)
        return r;
    side->verdict = answer.result.verdict;
    side->shadow = answer.result.shadow;
    /* a Denylist that would have hit the node is said by the kernel alone */
    if (answer.result.reason != FENCE_REASON_WOULD_BE_DENIED)
        side->reason = answer.result.reason;
    side->rule = answer.rule.index;
    snprintf(side->policy, sizeof(side->policy), "%s", answer.rule.policy);
    return 0;
}

static int ask_kernel(const struct leg_stage *stage, const struct fence_query *query,
                      struct leg_answer *ret_answer, struct fence_err *err)
{
    struct hook hooks[FENCE_DIRECTIONS] = {0};
    int r = find_hook(stage, query->from, query->family, &hooks[FENCE_EGRESS]);

    if (r == 0)
        r = find_hook(stage, query->to, query->family, &hooks[FENCE_INGRESS]);
    for (int direction = 0; r == 0 && direction < FENCE_DIRECTIONS; direction++) {
        struct leg_side *side = &ret_answer->sides[direction];

        r = ask_hook(hooks, direction, query, side);
        if (r == 0)
            r = ask_probe(hooks, direction, query, side, err);
    }
    return r;
}

/* ---- all of them ---------------------------------------------------------------------------- */

const struct leg leg_table[LEGS] = {
    {"naive", false, false, ask_naive},
    {"evaluator", true, false, ask_evaluator},
    {"plan", true, false, ask_plan},
    {"kernel", true, true, ask_kernel},
};

uint8_t leg_verdict_of_both(uint8_t one, uint8_t other)
{
    if (one == FENCE_DENY || other == FENCE_DENY)
        return FENCE_DENY;
    return one == FENCE_ALLOW && other == FENCE_ALLOW ? FENCE_ALLOW : FENCE_DEFER;
}

bool leg_can_answer(const struct leg *leg, const struct leg_stage *stage)
{
    return !leg->live || stage->file.nodes[0].live;
}

int leg_stage_load(struct leg_stage *stage, const cJSON *world, struct fence_err *err)
{
    FENCE_FREE char *text = cJSON_PrintUnformatted(world);
    int r = text ? case_load(&stage->file, text, err) : -ENOMEM;

    if (r < 0)
        return r;
    stage->naive = naive_new(world);
    return stage->naive ? 0 : fence_err_set(err, -ENOMEM, "out of memory");
}

void leg_stage_done(struct leg_stage *stage)
{
    naive_free(&stage->naive);
    case_done(&stage->file);
}

static bool sides_agree(const struct leg_side *a, const struct leg_side *b, bool explained)
{
    if (a->verdict != b->verdict || a->shadow != b->shadow)
        return false;
    return !explained ||
           (a->reason == b->reason && a->rule == b->rule && strcmp(a->policy, b->policy) == 0);
}

bool leg_answers_agree(const struct leg_answer *a, const struct leg_answer *b, bool explain)
{
    return sides_agree(&a->sides[FENCE_EGRESS], &b->sides[FENCE_EGRESS], explain) &&
           sides_agree(&a->sides[FENCE_INGRESS], &b->sides[FENCE_INGRESS], explain);
}

void leg_describe(const struct leg *leg, const struct leg_answer *answer, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "\n  %-9s", leg->name);

    for (int direction = 0; direction < FENCE_DIRECTIONS && used < size; direction++) {
        const struct leg_side *side = &answer->sides[direction];

        used += (size_t)snprintf(
            text + used, size - used, " %s %s/%s", fence_direction_name((unsigned int)direction),
            fence_verdict_name(side->verdict), fence_verdict_name(side->shadow));
        if (leg->explains && used < size)
            used += (size_t)snprintf(text + used, size - used, " (%s, %s rule %d)",
                                     fence_reason_name(side->reason),
                                     *side->policy ? side->policy : "-", (int)side->rule);
    }
    if (*answer->note && used < size)
        snprintf(text + used, size - used, " (%s)", answer->note);
}

static int disagree(const struct leg_result *parties, const struct leg_answer *left,
                    const struct leg_answer *right, struct fence_err *err)
{
    char texts[2][512];

    leg_describe(parties->left, left, texts[0], sizeof(texts[0]));
    leg_describe(parties->right, right, texts[1], sizeof(texts[1]));
    return fence_err_set(err, 0, "%s%s", texts[0], texts[1]);
}

int legs_compare(const struct leg_stage *stage, const struct fence_query *query,
                 struct leg_result *ret_result, struct fence_err *err)
{
    struct leg_result result = {0};

    for (size_t i = 0; i < LEGS; i++) {
        const struct leg *leg = &leg_table[i];
        struct leg_answer answer = {0};
        int r;

        if (!leg_can_answer(leg, stage))
            continue;
        r = leg->ask(stage, query, &answer, err);
        if (r < 0)
            return r;
        if (result.left &&
            !leg_answers_agree(&result.answer, &answer, result.left->explains && leg->explains)) {
            result.right = leg;
            *ret_result = result;
            return disagree(&result, &result.answer, &answer, err);
        }
        if (!result.left || (!result.left->explains && leg->explains)) {
            result.left = leg;
            result.answer = answer;
        }
    }
    *ret_result = result;
    return 1;
}

int legs_compare_plans(const struct leg_stage *left, const struct leg_stage *right,
                       const struct fence_query *query, struct fence_err *err)
{
    static const struct leg fresh = {"fresh", true, false, NULL};
    static const struct leg followed = {"followed", true, false, NULL};
    const struct leg_result parties = {.left = &fresh, .right = &followed};
    struct leg_answer answers[2] = {0};
    int r = ask_plan(left, query, &answers[0], err);

    if (r == 0)
        r = ask_plan(right, query, &answers[1], err);
    if (r < 0)
        return r;
    if (leg_answers_agree(&answers[0], &answers[1], true))
        return 1;
    return disagree(&parties, &answers[0], &answers[1], err);
}

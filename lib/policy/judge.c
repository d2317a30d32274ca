/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of judgement (DESIGN section 4.4): Denylists; the Admin tier by priority; the union of
 * the allow-lists, which closes what it isolates; the Baseline tier; allow. A port that leads
 * elsewhere is judged by where it leads.
 */
#include <errno.h>
#include <string.h>

#include "lib/policy/compiler.h"

/* One rule about to be painted. */
struct brush {
    const struct fence_judgement *judgement;
    struct fence_canvas *canvas;
    enum fence_action action;
    const struct fence_decision *decision; /* NULL: Pass */
};

bool fence_book_rule_means(const struct fence_book_rule *rule, const struct fence_plan_class *class)
{
    if (rule->rule->any_peer)
        return true;
    for (size_t i = 0; i < rule->rule->peer_count; i++)
        if (fence_class_has(class, rule->atoms[i]))
            return true;
    return false;
}

static int paint_range(const struct brush *brush, unsigned int protocol, unsigned int first,
                       unsigned int last)
{
    if (protocol == FENCE_PROTOCOL_ANY)
        return fence_canvas_paint(brush->canvas, 0, FENCE_POSITION_END, brush->decision);
    return fence_canvas_paint(brush->canvas, FENCE_POSITION(protocol, first),
                              FENCE_POSITION(protocol, last) + 1, brush->decision);
}

/* A name means the ports that the destination has given it. */
static int paint_name(const struct brush *brush, const struct fence_port_spec *spec)
{
    const struct fence_judgement *judgement = brush->judgement;
    bool inwards = judgement->direction == FENCE_INGRESS;
    const struct fence_ports *ports = inwards ? judgement->set->ports : judgement->class->ports;
    int r = 0;

    /* which port it is cannot be known: the whole protocol is cut */
    if (!inwards && judgement->class->pending && brush->action == FENCE_ACTION_DENY)
        return paint_range(brush, spec->protocol, 0, UINT16_MAX);
    for (size_t i = 0; r == 0 && ports && i < ports->count; i++) {
        const struct fence_container_port *port = &ports->items[i];
        bool same = spec->protocol == FENCE_PROTOCOL_ANY || spec->protocol == port->protocol;

        if (same && strcmp(spec->name, port->name) == 0)
            r = paint_range(brush, port->protocol, port->port, port->port);
    }
    return r;
}

static int paint_rule(const struct brush *brush, const struct fence_rule *rule)
{
    int r = 0;

    if (rule->any_port)
        return paint_range(brush, FENCE_PROTOCOL_ANY, 0, 0);
    for (size_t i = 0; r == 0 && i < rule->port_count; i++) {
        const struct fence_port_spec *port = &rule->ports[i];

        r = port->name ? paint_name(brush, port)
                       : paint_range(brush, port->protocol, port->first, port->last);
    }
    return r;
}

static struct fence_decision decide(enum fence_tier tier, enum fence_action action)
{
    if (action == FENCE_ACTION_ALLOW)
        return (struct fence_decision){.verdict = FENCE_ALLOW, .reason = FENCE_REASON_RULE};
    return (struct fence_decision){
        .verdict = FENCE_DENY,
        .reason = tier == FENCE_TIER_DENYLIST ? FENCE_REASON_DENYLIST : FENCE_REASON_DENY_RULE,
    };
}

static int paint_policy(const struct fence_judgement *judgement, uint32_t position,
                        struct fence_canvas *canvas)
{
    const struct fence_book_policy *policy = &judgement->compiler->policies[position];
    const struct fence_policy *spec = &policy->object->policy;
    const struct fence_book_rule *rules = policy->use->rules[judgement->direction];
    int r = 0;

    for (uint32_t i = 0; r == 0 && rules && i < spec->rule_count[judgement->direction]; i++) {
        struct fence_decision decision = decide(spec->tier, rules[i].rule->action);
        struct brush brush = {.judgement = judgement,
                              .canvas = canvas,
                              .action = rules[i].rule->action,
                              .decision = &decision};

        if (!fence_book_rule_means(&rules[i], judgement->class))
            continue;
        if (rules[i].rule->action == FENCE_ACTION_PASS)
            brush.decision = NULL;
        else
            r = fence_rulebook_number(judgement->compiler, position, judgement->direction, i,
                                      &decision.rule);
        if (r == 0)
            r = paint_rule(&brush, rules[i].rule);
    }
    return r;
}

/* ---- where a port leads --------------------------------------------------------------------- */

/* What the backends of one port come to: what holds for all, with the words of the first. */
static void merge(struct fence_decision *all, const struct fence_decision *one, bool first)
{
    if (first)
        *all = *one;
    else if (all->verdict != one->verdict)
        *all =
            (struct fence_decision){.verdict = FENCE_DEFER, .reason = FENCE_REASON_SERVICE_MIXED};
}

static struct fence_decision look_up(const struct fence_judgement *judgement, size_t target,
                                     bool shadow)
{
    const struct fence_plan_target *where = &judgement->class->targets[target];
    const struct fence_plan_table *table =
        &judgement->compiler->plan->tables[judgement->tables[target]];
    const struct fence_interval *interval =
        fence_plan_interval(table, FENCE_POSITION(where->position >> 16, where->port));

    if (shadow)
        return (struct fence_decision){.rule = interval->shadow_rule,
                                       .verdict = interval->shadow,
                                       .reason = interval->shadow_reason};
    return (struct fence_decision){
        .rule = interval->rule, .verdict = interval->verdict, .reason = interval->reason};
}

/* A process of this node gets its packets by no device, so nobody can keep them from it later. */
static void close_here(const struct fence_judgement *judgement, const struct fence_decision *one,
                       size_t target, bool *closed)
{
    const struct fence_plan_target *where = &judgement->class->targets[target];

    if (target == 0 || where[-1].position != where->position)
        *closed = false;
    if (one->verdict == FENCE_DENY && fence_class_at(judgement->compiler, where->index)->host)
        *closed = true;
}

/* Behind the Denylists, which cut an address whatever is behind it, and before all else: rules
 * judge backends. */
static int paint_targets(const struct fence_judgement *judgement, bool shadow,
                         struct fence_canvas *canvas)
{
    const struct fence_plan_class *class = judgement->class;
    struct fence_decision all = {0};
    bool closed = false;
    int r = 0;

    if (judgement->direction != FENCE_EGRESS)
        return 0;
    for (size_t i = 0; r == 0 && i < class->target_count; i++) {
        uint32_t position = class->targets[i].position;
        struct fence_decision one = look_up(judgement, i, shadow);

        merge(&all, &one, i == 0 || class->targets[i - 1].position != position);
        close_here(judgement, &one, i, &closed);
        if (i + 1 < class->target_count && class->targets[i + 1].position == position)
            continue;
        if (all.verdict == FENCE_DEFER && closed)
            all.verdict = FENCE_DENY;
        r = fence_canvas_paint(canvas, position, position + 1, &all);
    }
    return r;
}

/* What the tiers need to know of the selection as a whole. */
struct summary {
    bool selected;      /* some policy counts */
    uint32_t isolating; /* the first that isolates the direction, or FENCE_PLAN_NONE */
    bool exempt;        /* isolated, but the peer is the pod's own node */
};

static struct summary summarise(const struct fence_judgement *judgement, bool shadow)
{
    const struct fence_compiler *compiler = judgement->compiler;
    struct summary summary = {.isolating = FENCE_PLAN_NONE};

    for (size_t i = 0; i < judgement->set->policies.count; i++) {
        uint32_t position = judgement->set->policies.items[i];
        const struct fence_policy *policy = &compiler->policies[position].object->policy;

        if (policy->audit && !shadow)
            continue;
        summary.selected = true;
        if (policy->tier == FENCE_TIER_ALLOWLIST && policy->isolates[judgement->direction] &&
            summary.isolating == FENCE_PLAN_NONE)
            summary.isolating = position;
    }
    summary.exempt = summary.isolating != FENCE_PLAN_NONE && judgement->direction == FENCE_EGRESS &&
                     judgement->class->host && !compiler->options.own_node_egress_is_policy;
    return summary;
}

static int paint_isolation(const struct fence_judgement *judgement, const struct summary *summary,
                           struct fence_canvas *canvas)
{
    bool pending = judgement->class->pending;
    struct fence_decision closed = {
        .verdict = FENCE_DENY,
        .reason = pending ? FENCE_REASON_PEER_PENDING : FENCE_REASON_NO_RULE,
    };
    int r;

    if (summary->isolating == FENCE_PLAN_NONE || summary->exempt)
        return 0;
    r = fence_rulebook_number(judgement->compiler, summary->isolating, judgement->direction,
                              FENCE_RULE_NONE, &closed.rule);
    if (r == 0)
        fence_canvas_fill(canvas, &closed);
    return r;
}

static int paint_tier(const struct fence_judgement *judgement, enum fence_tier tier, bool shadow,
                      struct fence_canvas *canvas)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < judgement->set->policies.count; i++) {
        uint32_t position = judgement->set->policies.items[i];
        const struct fence_policy *policy = &judgement->compiler->policies[position].object->policy;

        if (policy->tier == tier && (shadow || !policy->audit))
            r = paint_policy(judgement, position, canvas);
    }
    return r;
}

int fence_judge(const struct fence_judgement *judgement, bool shadow, struct fence_canvas *canvas)
{
    struct summary summary = summarise(judgement, shadow);
    struct fence_decision otherwise = {.verdict = FENCE_ALLOW, .reason = FENCE_REASON_NO_POLICY};
    int r = fence_canvas_begin(canvas);

    for (int tier = 0; r == 0 && tier < FENCE_TIERS; tier++) {
        r = paint_tier(judgement, tier, shadow, canvas);
        fence_canvas_reopen(canvas);
        if (r == 0 && tier == FENCE_TIER_DENYLIST)
            r = paint_targets(judgement, shadow, canvas);
        if (r == 0 && tier == FENCE_TIER_ALLOWLIST)
            r = paint_isolation(judgement, &summary, canvas);
    }
    if (summary.exempt)
        otherwise.reason = FENCE_REASON_OWN_NODE;
    else if (summary.selected)
        otherwise.reason = FENCE_REASON_NOT_ISOLATED;
    if (r == 0)
        fence_canvas_fill(canvas, &otherwise);
    return r;
}

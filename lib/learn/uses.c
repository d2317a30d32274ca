/* SPDX-License-Identifier: Apache-2.0 */
/* Which flows use a rule: matched by the rule's own text, whoever decided then. */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/learn/check.h"
#include "lib/policy/lookup.h"
#include "lib/policy/match.h"

static char name_key[] = "kubernetes.io/metadata.name";

/* A namespace's labels; without an object it has its name for a label, held by `space`. */
struct namespace_space {
    char name[64];
    struct fence_label label;
    struct fence_labels labels;
};

static const struct fence_labels *namespace_labels(const struct fence_world *world,
                                                   const char *name, struct namespace_space *space)
{
    const struct fence_object *object =
        world ? fence_world_find(world, FENCE_OBJECT_NAMESPACE, "", name) : NULL;

    if (object)
        return object->namespace_labels;
    snprintf(space->name, sizeof(space->name), "%s", name);
    space->label = (struct fence_label){.key = name_key, .value = space->name};
    space->labels = (struct fence_labels){.items = &space->label, .count = 1};
    return &space->labels;
}

static const struct fence_labels none;

static bool selects(const struct fence_learn_seen *seen, const struct fence_object *policy,
                    const struct fence_learn_end *end)
{
    struct namespace_space space;

    if (end->kind != FENCE_LEARN_WORKLOAD ||
        (fence_kind_is_namespaced(policy->kind) &&
         strcmp(policy->namespace_name, end->namespace_name) != 0))
        return false;
    return fence_policy_selects(policy, end->namespace_name,
                                namespace_labels(seen->world, end->namespace_name, &space),
                                end->labels ? end->labels : &none);
}

/* ---- peers ---------------------------------------------------------------------------------- */

/* A flow as a rule looks at it. */
struct match {
    const struct fence_learn_seen *seen;
    const struct fence_object *policy;
    const struct fence_rule *rule;
    const struct fence_learn_flow *flow;
    const struct fence_learn_end *peer;
    const struct fence_learn_end *destination;
};

static bool holds_where(const struct match *match, const struct fence_peer_spec *spec,
                        enum fence_peer_view_kind kind, const struct fence_prefix *where)
{
    const struct fence_peer_view view = {
        .kind = kind,
        .namespace_name = "",
        .namespace_labels = &none,
        .labels = &none,
        .where = *where,
    };

    return fence_peer_matches(spec, match->policy->namespace_name, match->rule->action, &view);
}

static bool holds_workload(const struct match *match, const struct fence_peer_spec *spec)
{
    const struct fence_learn_end *peer = match->peer;
    struct namespace_space space;
    struct fence_peer_view view = {
        .kind = FENCE_VIEW_POD,
        .namespace_name = peer->namespace_name,
        .namespace_labels = &none,
        .labels = peer->labels ? peer->labels : &none,
        .where = {.length = FENCE_WHERE_NONE},
    };

    if (!spec->unknown && spec->pods && !fence_selector_matches(spec->pods, view.labels))
        return false; /* most are told apart by this */
    view.namespace_labels = namespace_labels(match->seen->world, peer->namespace_name, &space);
    return fence_peer_matches(spec, match->policy->namespace_name, match->rule->action, &view);
}

static bool holds_node(const struct match *match, const struct fence_peer_spec *spec)
{
    const struct fence_world *world = match->seen->world;
    const struct fence_object *node =
        world ? fence_world_find(world, FENCE_OBJECT_NODE, "", match->peer->node) : NULL;
    struct fence_peer_view view = {
        .kind = FENCE_VIEW_NODE,
        .namespace_name = "",
        .namespace_labels = &none,
        .labels = node ? node->node.labels : &none,
        .where = {.length = FENCE_WHERE_NONE},
    };
    bool holds =
        fence_peer_matches(spec, match->policy->namespace_name, match->rule->action, &view);

    for (size_t i = 0; !holds && node && i < node->node.addr_count; i++) {
        view.where = (struct fence_prefix){.addr = node->node.addrs[i], .length = 128};
        holds = fence_peer_matches(spec, match->policy->namespace_name, match->rule->action, &view);
    }
    return holds || (!node && spec->block); /* its address may be in there */
}

/* Some address of the world's end is in it, or may be. */
static bool holds_world(const struct match *match, const struct fence_peer_spec *spec)
{
    const struct fence_learn_end *peer = match->peer;

    if (spec->block && (!peer->addr_count || peer->omitted))
        return true;
    for (size_t i = 0; i < peer->addr_count; i++)
        if (holds_where(match, spec, FENCE_VIEW_WORLD, &peer->addrs[i]))
            return true;
    return false;
}

static bool holds_masqueraded(const struct match *match, const struct fence_peer_spec *spec)
{
    struct fence_prefix whole[2];

    fence_prefix_parse("0.0.0.0/0", &whole[0], NULL);
    fence_prefix_parse("::/0", &whole[1], NULL);
    return holds_where(match, spec, FENCE_VIEW_MASQUERADED, &whole[0]) ||
           holds_where(match, spec, FENCE_VIEW_MASQUERADED, &whole[1]);
}

static bool holds(const struct match *match, const struct fence_peer_spec *spec)
{
    if (match->peer->kind == FENCE_LEARN_WORKLOAD)
        return holds_workload(match, spec);
    if (match->peer->kind == FENCE_LEARN_NODE)
        return holds_node(match, spec);
    if (match->peer->reserved == FENCE_IDENTITY_WORLD)
        return holds_world(match, spec);
    return match->peer->reserved == FENCE_IDENTITY_MASQUERADED && holds_masqueraded(match, spec);
}

/* An end that rules have to do with. */
static bool is_judged(const struct fence_learn_end *peer)
{
    return peer->kind != FENCE_LEARN_RESERVED || peer->reserved == FENCE_IDENTITY_WORLD ||
           peer->reserved == FENCE_IDENTITY_MASQUERADED;
}

bool fence_learn_peer_holds(const struct fence_learn_seen *seen, const struct fence_object *policy,
                            const struct fence_peer_spec *spec, uint32_t workload)
{
    const struct fence_learn_workload *of = &seen->links->workloads.items[workload];
    const struct fence_rule rule = {.action = FENCE_ACTION_ALLOW};

    for (size_t i = 0; i < of->member_count; i++) {
        const struct fence_learn_end peer = {.kind = FENCE_LEARN_WORKLOAD,
                                             .namespace_name = of->namespace_name,
                                             .labels = of->members[i]};
        const struct match match = {.seen = seen, .policy = policy, .rule = &rule, .peer = &peer};

        if (holds_workload(&match, spec))
            return true;
    }
    return false;
}

/* ---- ports ---------------------------------------------------------------------------------- */

/* Ports have names of pods; whose pods are not among the objects may have given it this name. */
static bool is_named(const struct match *match, const struct fence_port_spec *spec)
{
    const struct fence_learn_end *end = match->destination;
    struct fence_object_range pods = {0};
    bool known = false;

    if (match->seen->world)
        pods = fence_world_kind(match->seen->world, FENCE_OBJECT_POD);
    for (size_t i = 0; i < pods.count; i++) {
        const struct fence_object *pod = pods.items[i];
        const char *app = fence_labels_app(pod->pod.labels);

        if (end->kind != FENCE_LEARN_WORKLOAD || !app || !end->app || strcmp(app, end->app) != 0 ||
            strcmp(pod->namespace_name, end->namespace_name) != 0)
            continue;
        known = true;
        for (size_t j = 0; j < pod->pod.ports->count; j++)
            if (strcmp(pod->pod.ports->items[j].name, spec->name) == 0 &&
                pod->pod.ports->items[j].protocol == match->flow->protocol &&
                pod->pod.ports->items[j].port == match->flow->port)
                return true;
    }
    return !known;
}

static bool has_port(const struct match *match, const struct fence_port_spec *spec)
{
    if (spec->protocol != FENCE_PROTOCOL_ANY && spec->protocol != match->flow->protocol)
        return false;
    if (spec->name)
        return is_named(match, spec);
    return match->flow->port >= spec->first && match->flow->port <= spec->last;
}

/* ---- one rule ------------------------------------------------------------------------------- */

static void note_address(struct fence_learn_use *use, const struct fence_prefix *addr)
{
    for (size_t i = 0; i < use->addr_count; i++)
        if (fence_prefix_compare(&use->addrs[i], addr) == 0)
            return;
    if (use->addr_count < FENCE_LEARN_ADDRESSES_MAX)
        use->addrs[use->addr_count++] = *addr;
    else
        use->unknown_addrs = true;
}

static void note_peers(const struct match *match, struct fence_learn_use *use)
{
    size_t workloads = match->seen->links->workloads.count;
    uint32_t number = FENCE_LEARN_NOBODY;

    if (match->peer->kind == FENCE_LEARN_WORKLOAD)
        number = fence_learn_workload_find(&match->seen->links->workloads,
                                           match->peer->namespace_name, match->peer->labels);
    for (uint32_t i = 0; i < match->rule->peer_count; i++) {
        if (!holds(match, &match->rule->peers[i]))
            continue;
        use->peers[i]++;
        if (number != FENCE_LEARN_NOBODY)
            use->workloads[i * workloads + number] = true;
    }
    if (match->rule->any_peer && number != FENCE_LEARN_NOBODY)
        use->workloads[number] = true;
    for (size_t i = 0; i < match->peer->addr_count; i++)
        note_address(use, &match->peer->addrs[i]);
    if (match->peer->reserved == FENCE_IDENTITY_WORLD &&
        (match->peer->omitted || !match->peer->addr_count))
        use->unknown_addrs = true;
}

static void note(const struct match *match, struct fence_learn_use *use)
{
    bool peer = match->rule->any_peer, port = match->rule->any_port;

    for (uint32_t i = 0; !peer && i < match->rule->peer_count; i++)
        peer = holds(match, &match->rule->peers[i]);
    for (uint32_t i = 0; !port && i < match->rule->port_count; i++)
        port = has_port(match, &match->rule->ports[i]);
    if (!peer || !port)
        return;
    use->flows++;
    note_peers(match, use);
    for (uint32_t i = 0; i < match->rule->port_count; i++)
        if (has_port(match, &match->rule->ports[i]))
            use->ports[i][match->flow->port / 8] |= (uint8_t)(1u << match->flow->port % 8);
}

static int allocate(const struct fence_learn_seen *seen, const struct fence_rule *rule,
                    struct fence_learn_use *use)
{
    size_t workloads = seen->links->workloads.count;

    *use = (struct fence_learn_use){
        .peers = calloc(rule->peer_count + 1, sizeof(use->peers[0])),
        .ports = calloc(rule->port_count + 1, sizeof(use->ports[0])),
        .workloads = calloc((rule->peer_count + 1) * (workloads + 1), sizeof(bool)),
    };
    return use->peers && use->ports && use->workloads ? 0 : -ENOMEM;
}

int fence_learn_selection_find(const struct fence_learn_seen *seen,
                               const struct fence_object *policy, unsigned int direction,
                               struct fence_learn_selection *selection)
{
    for (size_t i = 0; i < seen->flows->count; i++) {
        const struct fence_learn_flow *flow = &seen->flows->items[i];

        if (!selects(seen, policy, direction == FENCE_INGRESS ? &flow->destination : &flow->source))
            continue;
        if (FENCE_GROW(selection->items, selection->capacity, selection->count) < 0)
            return -ENOMEM;
        selection->items[selection->count++] = (uint32_t)i;
    }
    return 0;
}

int fence_learn_use_find(const struct fence_learn_seen *seen, const struct fence_learn_rule_at *at,
                         const struct fence_learn_selection *selection, struct fence_learn_use *use)
{
    struct match match = {.seen = seen, .policy = at->policy};

    match.rule = &at->policy->policy.rules[at->direction][at->number];
    if (allocate(seen, match.rule, use) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < selection->count; i++) {
        const struct fence_learn_flow *flow = &seen->flows->items[selection->items[i]];

        match.flow = flow;
        match.peer = at->direction == FENCE_INGRESS ? &flow->source : &flow->destination;
        match.destination = &flow->destination;
        if (is_judged(match.peer) &&
            (match.rule->action == FENCE_ACTION_DENY || fence_learn_is_seen(flow)))
            note(&match, use);
    }
    return 0;
}

void fence_learn_use_done(struct fence_learn_use *use)
{
    free(use->peers);
    free(use->ports);
    free(use->workloads);
    *use = (struct fence_learn_use){0};
}

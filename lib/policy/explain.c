/* SPDX-License-Identifier: Apache-2.0 */
/* Why a connection is denied: the allow rule that came closest, and what it lacked. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/names.h"
#include "lib/policy/canonical.h"
#include "lib/policy/evaluator.h"
#include "lib/policy/lookup.h"

static void add_name(struct fence_text *text, const char *name)
{
    fence_text_raw(text, name, strlen(name));
}

/* ---- peers ---------------------------------------------------------------------------------- */

static void add_values(struct fence_text *text, const struct fence_requirement *item)
{
    for (size_t i = 0; i < item->value_count; i++) {
        add_name(text, i ? ", " : "");
        add_name(text, *item->values[i] ? item->values[i] : "\"\"");
    }
}

/* "peer label app=web is not payments" */
static void add_requirement(struct fence_text *text, const char *whose,
                            const struct fence_requirement *item, const char *value)
{
    fence_text_add(text, "%s ", whose);
    if (!value) {
        add_name(text, "has no label ");
        add_name(text, item->key);
        if (item->value_count)
            add_name(text, ", the rule wants ");
        add_values(text, item);
        return;
    }
    add_name(text, "label ");
    add_name(text, item->key);
    add_name(text, "=");
    add_name(text, value);
    if (item->op == FENCE_OP_DOES_NOT_EXIST) {
        add_name(text, " must not be there");
        return;
    }
    if (item->op == FENCE_OP_NOT_IN)
        add_name(text, " is one that the rule shuts out");
    else
        add_name(text, item->value_count > 1 ? " is none of " : " is not ");
    if (item->op == FENCE_OP_IN)
        add_values(text, item);
}

/* The first requirement that fails; false when all hold. */
static bool add_selector(struct fence_text *text, const char *whose,
                         const struct fence_selector *selector, const struct fence_labels *labels)
{
    for (size_t i = 0; selector && i < selector->count; i++) {
        const struct fence_selector one = {.items = &selector->items[i], .count = 1};

        if (fence_selector_matches(&one, labels))
            continue;
        add_requirement(text, whose, &selector->items[i],
                        fence_labels_get(labels, selector->items[i].key));
        return true;
    }
    return false;
}

static void add_block(struct fence_text *text, const struct fence_ip_block *block,
                      const struct fence_addr *addr)
{
    char prefix[FENCE_PREFIX_TEXT];
    char shown[FENCE_ADDR_TEXT];

    fence_text_add(text, "peer address %s ", fence_addr_format(addr, shown));
    for (size_t i = 0; i < block->except_count; i++) {
        if (!fence_prefix_contains(&block->except[i], addr))
            continue;
        fence_text_add(text, "is in the exception %s",
                       fence_prefix_format(&block->except[i], prefix));
        return;
    }
    fence_text_add(text, "is not in %s", fence_prefix_format(&block->cidr, prefix));
}

static const char *kind_name(enum fence_peer_view_kind kind)
{
    switch (kind) {
    case FENCE_VIEW_POD:
        return "a pod";
    case FENCE_VIEW_NODE:
    case FENCE_VIEW_HOST:
        return "a node";
    case FENCE_VIEW_WORLD:
        return "outside the cluster";
    case FENCE_VIEW_MASQUERADED:
        return "masqueraded";
    case FENCE_VIEW_PENDING:
        return "pending";
    case FENCE_VIEW_SERVICE:
        return "a service";
    }
    return "unknown";
}

static void add_workload(struct fence_text *text, const struct fence_ask *ask,
                         const struct fence_object *policy, const struct fence_peer_spec *spec)
{
    const struct fence_peer_view *view = &ask->view;
    bool own = !spec->namespaces && *policy->namespace_name;

    if (view->kind != FENCE_VIEW_POD) {
        fence_text_add(text, "peer is %s, not a pod", kind_name(view->kind));
    } else if (own && strcmp(policy->namespace_name, view->namespace_name) != 0) {
        add_name(text, "peer namespace ");
        add_name(text, view->namespace_name);
        add_name(text, " is not ");
        add_name(text, policy->namespace_name);
    } else if (!add_selector(text, "peer namespace", spec->namespaces, view->namespace_labels)) {
        add_selector(text, "peer", spec->pods, view->labels);
    }
}

static void add_peer(struct fence_text *text, const struct fence_ask *ask,
                     const struct fence_object *policy, const struct fence_peer_spec *spec)
{
    const struct fence_peer_view *view = &ask->view;
    bool node = view->kind == FENCE_VIEW_NODE || view->kind == FENCE_VIEW_HOST;

    if (spec->unknown)
        add_name(text, "the rule's peer is of a kind that this version does not know");
    else if (view->service)
        add_name(text, "peer is an address of a service");
    else if (view->kind == FENCE_VIEW_PENDING)
        add_name(text, "peer is pending: its address is no known pod's");
    else if (spec->block)
        add_block(text, spec->block, &ask->other->addr);
    else if (spec->nodes && !node)
        fence_text_add(text, "peer is %s, not a node", kind_name(view->kind));
    else if (spec->nodes)
        add_selector(text, "peer", spec->nodes, view->labels);
    else
        add_workload(text, ask, policy, spec);
}

/* How far a peer of a rule is met: 2 the kind and the namespace, 1 the kind. */
static unsigned int peer_score(const struct fence_ask *ask, const struct fence_object *policy,
                               const struct fence_peer_spec *spec)
{
    struct fence_peer_spec wider = *spec;
    bool workload = !spec->block && !spec->nodes && !spec->unknown;

    wider.pods = NULL;
    if (!workload)
        return spec->block && ask->view.kind == FENCE_VIEW_WORLD;
    if (fence_peer_matches(&wider, policy->namespace_name, FENCE_ACTION_ALLOW, &ask->view))
        return 2;
    return ask->view.kind == FENCE_VIEW_POD;
}

static const struct fence_peer_spec *nearest_peer(const struct fence_ask *ask,
                                                  const struct fence_object *policy,
                                                  const struct fence_rule *rule,
                                                  unsigned int *ret_score)
{
    const struct fence_peer_spec *nearest = NULL;

    *ret_score = 0;
    for (size_t i = 0; i < rule->peer_count; i++) {
        unsigned int score = peer_score(ask, policy, &rule->peers[i]);

        if (nearest && score <= *ret_score)
            continue;
        nearest = &rule->peers[i];
        *ret_score = score;
    }
    return nearest;
}

/* ---- ports ---------------------------------------------------------------------------------- */

static void add_port_number(struct fence_text *text, unsigned int protocol, unsigned int port)
{
    char name[8];

    if (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6)
        fence_text_add(text, "type %u code %u/%s", port >> 8, port & 0xff,
                       fence_protocol_name(protocol, name));
    else
        fence_text_add(text, "%u/%s", port, fence_protocol_name(protocol, name));
}

static void add_port_spec(struct fence_text *text, const struct fence_port_spec *spec)
{
    char name[8];

    if (spec->name) {
        add_name(text, spec->name);
        if (spec->protocol != FENCE_PROTOCOL_ANY)
            fence_text_add(text, "/%s", fence_protocol_name(spec->protocol, name));
        return;
    }
    if (spec->first == 0 && spec->last == UINT16_MAX) {
        fence_text_add(text, "%s", fence_protocol_name(spec->protocol, name));
        return;
    }
    if (spec->first != spec->last && spec->protocol != IPPROTO_ICMP &&
        spec->protocol != IPPROTO_ICMPV6)
        fence_text_add(text, "%u-", spec->first);
    add_port_number(text, spec->protocol,
                    spec->protocol == IPPROTO_ICMP || spec->protocol == IPPROTO_ICMPV6
                        ? spec->first
                        : spec->last);
}

/* "port 81/TCP is not 80/TCP" */
static void add_ports(struct fence_text *text, const struct fence_ask *ask,
                      const struct fence_rule *rule)
{
    add_name(text, "port ");
    add_port_number(text, ask->query->protocol, ask->query->port);
    add_name(text, rule->port_count > 1 ? " is none of " : " is not ");
    for (size_t i = 0; i < rule->port_count; i++) {
        add_name(text, i ? ", " : "");
        add_port_spec(text, &rule->ports[i]);
    }
}

/* ---- the nearest rule ----------------------------------------------------------------------- */

struct candidate {
    const struct fence_object *policy;
    uint32_t rule;
    bool peer_matches;
    bool port_matches;
    const struct fence_peer_spec *peer; /* the one to name when none matches */
    unsigned int score;
};

static struct candidate rate(const struct fence_ask *ask, const struct fence_object *policy,
                             uint32_t index)
{
    const struct fence_rule *rule = &policy->policy.rules[ask->direction][index];
    struct candidate candidate = {
        .policy = policy,
        .rule = index,
        .peer_matches = fence_ask_peer_matches(ask, policy, rule),
        .port_matches = fence_ask_port_matches(ask, rule),
    };

    candidate.peer = nearest_peer(ask, policy, rule, &candidate.score);
    if (candidate.peer_matches)
        candidate.score = 3;
    candidate.score += candidate.port_matches ? 3 : 0;
    return candidate;
}

static void rate_policy(const struct fence_ask *ask, const struct fence_object *policy,
                        struct candidate *best)
{
    size_t count =
        policy->policy.applies[ask->direction] ? policy->policy.rule_count[ask->direction] : 0;

    for (uint32_t i = 0; i < count; i++) {
        struct candidate candidate = rate(ask, policy, i);

        if (policy->policy.rules[ask->direction][i].action == FENCE_ACTION_ALLOW &&
            (!best->policy || candidate.score > best->score))
            *best = candidate;
    }
}

int fence_explain(const struct fence_ask *ask, struct fence_side *side, struct fence_err *err)
{
    struct candidate best = {0};
    struct fence_text text = {0};
    FENCE_FREE char *failed = NULL;
    FENCE_FREE char *id = NULL;

    for (size_t i = 0; i < ask->policy_count; i++)
        if (ask->policies[i]->policy.tier == FENCE_TIER_ALLOWLIST &&
            !ask->policies[i]->policy.audit)
            rate_policy(ask, ask->policies[i], &best);
    if (!best.policy)
        return 0;
    if (!best.peer_matches && best.peer)
        add_peer(&text, ask, best.policy, best.peer);
    if (!best.port_matches) {
        add_name(&text, text.size ? "; " : "");
        add_ports(&text, ask, &best.policy->policy.rules[ask->direction][best.rule]);
    }
    failed = fence_text_take(&text);
    id = fence_object_id(best.policy);
    if (!failed || !id)
        return fence_err_set(err, -ENOMEM, "out of memory");
    snprintf(side->nearest_policy, sizeof(side->nearest_policy), "%s", id);
    side->nearest_rule = best.rule;
    snprintf(side->nearest_failed, sizeof(side->nearest_failed), "%s", failed);
    return 0;
}

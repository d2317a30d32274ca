/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ClusterNetworkPolicy, policy.networking.k8s.io/v1alpha2: what the schema of the custom resource
 * (kubernetes-sigs/network-policy-api v0.2.0, experimental channel) accepts.
 */
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/objects/decoders.h"

#define MAX_ITEMS     25u
#define MAX_RULE_NAME 100u

static const char *const peer_keys[FENCE_DIRECTIONS] = {
    [FENCE_EGRESS] = "to",
    [FENCE_INGRESS] = "from",
};

/* Members of a peer. Those from `nodes` on are for egress only and have no named ports. */
static const char *const peer_kinds[] = {"namespaces", "pods",        "nodes",
                                         "networks",   "domainNames", NULL};

/* Between 1 and 25 elements. */
static int expect_items(const struct fence_field *field, struct fence_err *err)
{
    size_t count = fence_field_count(field);
    int r = fence_field_expect(field, FENCE_DOC_LIST, err);

    if (r < 0)
        return r;
    if (count == 0)
        return fence_field_refuse(field, err, "must have at least one element");
    if (count > MAX_ITEMS)
        return fence_field_refuse(field, err, "has %zu elements, at most %u are allowed", count,
                                  MAX_ITEMS);
    return 0;
}

/* An object with exactly one member. */
static int expect_one_member(const struct fence_field *field, const char *choices,
                             struct fence_err *err)
{
    int r = fence_field_expect(field, FENCE_DOC_MAP, err);

    if (r < 0)
        return r;
    if (fence_field_count(field) != 1)
        return fence_field_refuse(field, err, "must have exactly one of %s", choices);
    return 0;
}

/* ---- peers ---------------------------------------------------------------------------------- */

/* {namespaceSelector, podSelector}; the first may be left out and then means every namespace. */
static int decode_namespaced_pods(const struct fence_field *field,
                                  struct fence_selector *namespaces, struct fence_selector *pods,
                                  struct fence_err *err)
{
    static const char *const known[] = {"namespaceSelector", "podSelector", NULL};
    struct fence_field namespace_selector = fence_field_get(field, "namespaceSelector");
    struct fence_field pod_selector = fence_field_get(field, "podSelector");
    int r = fence_field_expect(field, FENCE_DOC_MAP, err);

    if (r < 0)
        return r;
    fence_field_warn_unknown(field, known);
    r = fence_decode_selector(&pod_selector, pods, err);
    if (r == 0 && namespace_selector.doc)
        r = fence_decode_selector(&namespace_selector, namespaces, err);
    return r;
}

/* NULL when out of memory. */
static struct fence_peer_spec *add_peer(struct fence_rule *rule)
{
    if (FENCE_GROW(rule->peers, rule->peer_capacity, rule->peer_count) < 0)
        return NULL;
    rule->peers[rule->peer_count] = (struct fence_peer_spec){0};
    return &rule->peers[rule->peer_count++];
}

static int decode_pods_peer(const struct fence_field *field, struct fence_peer_spec *peer,
                            struct fence_err *err)
{
    peer->namespaces = calloc(1, sizeof(*peer->namespaces));
    peer->pods = calloc(1, sizeof(*peer->pods));
    if (!peer->namespaces || !peer->pods)
        return fence_err_set(err, -ENOMEM, "out of memory");
    return decode_namespaced_pods(field, peer->namespaces, peer->pods, err);
}

static int decode_network(const struct fence_field *field, struct fence_rule *rule,
                          struct fence_err *err)
{
    struct fence_peer_spec *peer = add_peer(rule);

    if (!peer)
        return fence_err_set(err, -ENOMEM, "out of memory");
    peer->block = calloc(1, sizeof(*peer->block));
    if (!peer->block)
        return fence_err_set(err, -ENOMEM, "out of memory");
    return fence_decode_prefix(field, &peer->block->cidr, err);
}

/* Lists that are sets. */
static int refuse_twice(const struct fence_field *list, size_t at, struct fence_err *err)
{
    struct fence_field item = fence_field_item(list, at);

    for (size_t i = 0; i < at; i++)
        if (strcmp(item.doc->text, list->doc->items[i]->text) == 0)
            return fence_field_refuse(&item, err, "%.80s is given twice", item.doc->text);
    return 0;
}

static int decode_networks(const struct fence_field *field, struct fence_rule *rule,
                           struct fence_err *err)
{
    int r = expect_items(field, err);

    for (size_t i = 0; r == 0 && i < fence_field_count(field); i++) {
        struct fence_field item = fence_field_item(field, i);

        r = decode_network(&item, rule, err);
        if (r == 0)
            r = refuse_twice(field, i, err);
    }
    return r;
}

static bool is_domain_label(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        bool edge = i == 0 || i + 1 == length;

        if (!isascii(c) || !(isalnum(c) || (!edge && (c == '-' || c == '_'))))
            return false;
    }
    return length > 0;
}

/* At least two labels, the first may be "*", a dot may follow the last. */
static bool is_domain_name(const char *text)
{
    unsigned int labels = 0;

    if (strncmp(text, "*.", 2) == 0)
        text += 2;
    while (*text) {
        size_t length = strcspn(text, ".");

        if (!is_domain_label(text, length))
            return false;
        labels++;
        text += length + (text[length] == '.');
    }
    return labels >= 2;
}

/* Not resolved by this version: checked, and then a peer that fails closed. */
static int decode_domain_names(const struct fence_field *field, struct fence_peer_spec *peer,
                               struct fence_err *err)
{
    int r = expect_items(field, err);

    for (size_t i = 0; r == 0 && i < fence_field_count(field); i++) {
        struct fence_field item = fence_field_item(field, i);

        r = fence_field_expect(&item, FENCE_DOC_STRING, err);
        if (r == 0 && !is_domain_name(item.doc->text))
            r = fence_field_refuse(&item, err, "\"%.80s\" is not a domain name", item.doc->text);
        if (r == 0)
            r = refuse_twice(field, i, err);
    }
    if (r == 0)
        fence_field_warn(field, "domain names are not supported: an Accept rule takes them for "
                                "nobody, a Deny or Pass rule denies everything");
    peer->unknown = true;
    return r;
}

static int decode_workload_peer(const struct fence_field *member, struct fence_peer_spec *peer,
                                struct fence_err *err)
{
    if (strcmp(member->key, "pods") == 0)
        return decode_pods_peer(member, peer, err);
    if (strcmp(member->key, "namespaces") == 0)
        return fence_decode_new_selector(member, &peer->namespaces, err);
    if (strcmp(member->key, "nodes") == 0)
        return fence_decode_new_selector(member, &peer->nodes, err);
    if (strcmp(member->key, "domainNames") == 0)
        return decode_domain_names(member, peer, err);
    fence_field_warn(member, "a peer of an unknown kind: an Accept rule that has one matches "
                             "nothing, a Deny or Pass rule denies everything");
    peer->unknown = true;
    return 0;
}

static int decode_peer(const struct fence_field *field, unsigned int direction,
                       struct fence_rule *rule, struct fence_err *err)
{
    const char *choices = direction == FENCE_INGRESS
                              ? "namespaces, pods"
                              : "namespaces, pods, nodes, networks, domainNames";
    struct fence_peer_spec *peer;
    struct fence_field member;
    int r = expect_one_member(field, choices, err);

    if (r < 0)
        return r;
    member = fence_field_get(field, field->doc->items[0]->key);
    if (direction == FENCE_INGRESS && fence_field_is_one_of(member.key, peer_kinds + 2))
        return fence_field_refuse(&member, err, "can be used in egress rules only");
    if (strcmp(member.key, "networks") == 0)
        return decode_networks(&member, rule, err);
    peer = add_peer(rule);
    if (!peer)
        return fence_err_set(err, -ENOMEM, "out of memory");
    return decode_workload_peer(&member, peer, err);
}

/* ---- protocols ------------------------------------------------------------------------------ */

static int decode_range(const struct fence_field *field, struct fence_port_spec *port,
                        struct fence_err *err)
{
    static const char *const known[] = {"start", "end", NULL};
    struct fence_field start = fence_field_get(field, "start");
    struct fence_field end = fence_field_get(field, "end");
    int r = fence_field_expect(field, FENCE_DOC_MAP, err);

    if (r == 0)
        r = fence_decode_port_number(&start, &port->first, err);
    if (r == 0)
        r = fence_decode_port_number(&end, &port->last, err);
    if (r < 0)
        return r;
    fence_field_warn_unknown(field, known);
    if (port->first >= port->last)
        return fence_field_refuse(field, err,
                                  "start, which is %u, must be less than end, which "
                                  "is %u",
                                  port->first, port->last);
    return 0;
}

static int decode_destination(const struct fence_field *field, struct fence_port_spec *port,
                              struct fence_err *err)
{
    struct fence_field number = fence_field_get(field, "number");
    struct fence_field range = fence_field_get(field, "range");
    int r = expect_one_member(field, "number, range", err);

    if (r < 0)
        return r;
    if (range.doc)
        return decode_range(&range, port, err);
    r = fence_decode_port_number(&number, &port->first, err);
    if (r == 0)
        port->last = port->first;
    return r;
}

static int decode_named_port(const struct fence_field *field, struct fence_port_spec *port,
                             struct fence_err *err)
{
    int r = fence_field_expect(field, FENCE_DOC_STRING, err);

    if (r < 0)
        return r;
    if (!*field->doc->text)
        return fence_field_refuse(field, err, "must not be empty");
    if (!fence_name_is_port(field->doc->text))
        fence_field_warn(field, "\"%.80s\" cannot be the name of a container port",
                         field->doc->text);
    port->protocol = FENCE_PROTOCOL_ANY;
    port->last = UINT16_MAX;
    port->name = strdup(field->doc->text);
    return port->name ? 0 : fence_err_set(err, -ENOMEM, "out of memory");
}

static int decode_protocol(const struct fence_field *field, struct fence_port_spec *port,
                           struct fence_err *err)
{
    static const char choices[] = "tcp, udp, sctp, destinationNamedPort";
    static const char *const known[] = {"destinationPort", NULL};
    struct fence_field member, destination;
    int r = expect_one_member(field, choices, err);

    if (r < 0)
        return r;
    member = fence_field_get(field, field->doc->items[0]->key);
    if (strcmp(member.key, "destinationNamedPort") == 0)
        return decode_named_port(&member, port, err);
    if (strcmp(member.key, "tcp") == 0)
        port->protocol = IPPROTO_TCP;
    else if (strcmp(member.key, "udp") == 0)
        port->protocol = IPPROTO_UDP;
    else if (strcmp(member.key, "sctp") == 0)
        port->protocol = IPPROTO_SCTP;
    else
        return fence_field_refuse(&member, err, "is not one of %s", choices);
    r = fence_field_expect(&member, FENCE_DOC_MAP, err);
    if (r < 0)
        return r;
    fence_field_warn_unknown(&member, known);
    destination = fence_field_get(&member, "destinationPort");
    return decode_destination(&destination, port, err);
}

static int decode_protocols(const struct fence_field *field, struct fence_rule *rule,
                            struct fence_err *err)
{
    int r;

    rule->any_port = !field->doc;
    if (!field->doc)
        return 0;
    r = expect_items(field, err);
    for (size_t i = 0; r == 0 && i < fence_field_count(field); i++) {
        struct fence_field item = fence_field_item(field, i);

        if (FENCE_GROW(rule->ports, rule->port_capacity, rule->port_count) < 0)
            return fence_err_set(err, -ENOMEM, "out of memory");
        rule->ports[rule->port_count] = (struct fence_port_spec){0};
        r = decode_protocol(&item, &rule->ports[rule->port_count++], err);
    }
    return r;
}

/* ---- rules ---------------------------------------------------------------------------------- */

/* Nodes, networks and domain names have no container ports. */
static int check_named_ports(const struct fence_field *peers, const struct fence_field *protocols,
                             struct fence_err *err)
{
    bool nameless = false;

    for (size_t i = 0; i < fence_field_count(peers); i++)
        nameless =
            nameless || fence_field_is_one_of(peers->doc->items[i]->items[0]->key, peer_kinds + 2);
    for (size_t i = 0; nameless && i < fence_field_count(protocols); i++) {
        struct fence_field item = fence_field_item(protocols, i);
        struct fence_field name = fence_field_get(&item, "destinationNamedPort");

        if (name.doc)
            return fence_field_refuse(&name, err,
                                      "cannot be used beside a peer of nodes, networks or "
                                      "domainNames, which have no named ports");
    }
    return 0;
}

static int check_rule_name(const struct fence_field *field, struct fence_err *err)
{
    const char *name = "";
    size_t characters = 0;
    int r = fence_field_string(field, &name, err);

    for (; *name; name++)
        characters += (*name & 0xc0) != 0x80;
    if (r == 0 && characters > MAX_RULE_NAME)
        return fence_field_refuse(field, err, "has %zu characters, at most %u are allowed",
                                  characters, MAX_RULE_NAME);
    return r;
}

static bool has_other_kind(const struct fence_field *peers, const char *const *kinds)
{
    for (size_t i = 0; i < fence_field_count(peers); i++)
        if (!fence_field_is_one_of(peers->doc->items[i]->items[0]->key, kinds))
            return true;
    return false;
}

/*
 * What the API asks for where a peer cannot be understood: an Accept rule matches no traffic, a
 * Deny or Pass rule is a Deny of everything. Domain names are understood, if not resolved: they
 * take nothing from the other peers of an Accept rule.
 */
static void fail_closed(const struct fence_field *peers, struct fence_rule *rule)
{
    static const char *const resolved[] = {"namespaces", "pods", "nodes", "networks", NULL};
    bool accepts = rule->action == FENCE_ACTION_ALLOW;

    if (!has_other_kind(peers, accepts ? peer_kinds : resolved))
        return;
    for (size_t i = 0; i < rule->peer_count; i++)
        rule->peers[i].unknown = true;
    if (accepts)
        return;
    rule->action = FENCE_ACTION_DENY;
    for (size_t i = 0; i < rule->port_count; i++)
        free(rule->ports[i].name);
    rule->port_count = 0;
    rule->any_port = true;
}

static int decode_rule(const struct fence_field *field, unsigned int direction,
                       struct fence_rule *rule, struct fence_err *err)
{
    static const char *const actions[] = {[FENCE_ACTION_ALLOW] = "Accept",
                                          [FENCE_ACTION_DENY] = "Deny",
                                          [FENCE_ACTION_PASS] = "Pass",
                                          NULL};
    const char *const known[] = {"name", "action", peer_keys[direction], "protocols", NULL};
    struct fence_field name = fence_field_get(field, "name");
    struct fence_field action = fence_field_get(field, "action");
    struct fence_field peers = fence_field_get(field, peer_keys[direction]);
    struct fence_field protocols = fence_field_get(field, "protocols");
    unsigned int choice = 0;
    int r = fence_field_expect(field, FENCE_DOC_MAP, err);

    if (r == 0)
        r = fence_field_choice(&action, actions, &choice, err);
    if (r == 0)
        r = check_rule_name(&name, err);
    if (r == 0)
        r = expect_items(&peers, err);
    if (r < 0)
        return r;
    fence_field_warn_unknown(field, known);
    rule->action = (enum fence_action)choice;
    for (size_t i = 0; r == 0 && i < fence_field_count(&peers); i++) {
        struct fence_field peer = fence_field_item(&peers, i);

        r = decode_peer(&peer, direction, rule, err);
    }
    if (r == 0)
        r = decode_protocols(&protocols, rule, err);
    r = r < 0 ? r : check_named_ports(&peers, &protocols, err);
    if (r == 0)
        fail_closed(&peers, rule);
    return r;
}

static int decode_direction(const struct fence_field *spec, unsigned int direction,
                            struct fence_policy *policy, struct fence_err *err)
{
    struct fence_field list = fence_field_get(spec, fence_direction_keys[direction]);
    size_t count = fence_field_count(&list);
    int r = fence_field_allow(&list, FENCE_DOC_LIST, err);

    if (r < 0)
        return r;
    if (count > MAX_ITEMS)
        return fence_field_refuse(&list, err, "has %zu rules, at most %u are allowed", count,
                                  MAX_ITEMS);
    policy->applies[direction] = count > 0;
    if (count == 0)
        return 0;
    policy->rules[direction] = calloc(count, sizeof(*policy->rules[direction]));
    if (!policy->rules[direction])
        return fence_err_set(err, -ENOMEM, "out of memory");
    policy->rule_capacity[direction] = count;
    for (size_t i = 0; r == 0 && i < count; i++) {
        struct fence_field item = fence_field_item(&list, i);
        size_t at = policy->rule_count[direction]++;

        r = decode_rule(&item, direction, &policy->rules[direction][at], err);
    }
    return r;
}

static int decode_subject(const struct fence_field *field, struct fence_policy *policy,
                          struct fence_err *err)
{
    struct fence_field namespaces = fence_field_get(field, "namespaces");
    struct fence_field pods = fence_field_get(field, "pods");
    int r = expect_one_member(field, "namespaces, pods", err);

    if (r < 0)
        return r;
    if (pods.doc)
        return decode_namespaced_pods(&pods, &policy->namespaces, &policy->pods, err);
    return fence_decode_selector(&namespaces, &policy->namespaces, err);
}

int fence_decode_cluster_network_policy(const struct fence_field *field,
                                        struct fence_object *object, struct fence_err *err)
{
    static const char *const known[] = {"tier", "priority", "subject", "ingress", "egress", NULL};
    static const char *const tiers[] = {"Admin", "Baseline", NULL};
    static const struct fence_range range = {0, 1000, "a priority"};
    struct fence_policy *policy = &object->policy;
    struct fence_field spec = fence_field_get(field, "spec");
    struct fence_field tier = fence_field_get(&spec, "tier");
    struct fence_field priority = fence_field_get(&spec, "priority");
    struct fence_field subject = fence_field_get(&spec, "subject");
    unsigned int choice = 0;
    long number = 0;
    int r = fence_field_expect(&spec, FENCE_DOC_MAP, err);

    if (r == 0)
        r = fence_field_choice(&tier, tiers, &choice, err);
    if (r == 0)
        r = fence_field_number(&priority, &range, &number, err);
    if (r == 0)
        r = decode_subject(&subject, policy, err);
    if (r < 0)
        return r;
    fence_field_warn_unknown(&spec, known);
    policy->tier = choice == 0 ? FENCE_TIER_ADMIN : FENCE_TIER_BASELINE;
    policy->priority = (int)number;
    for (unsigned int direction = 0; direction < FENCE_DIRECTIONS && r == 0; direction++)
        r = decode_direction(&spec, direction, policy, err);
    return r < 0 ? r : fence_decode_enforcement_annotation(field, policy, err);
}

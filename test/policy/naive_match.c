/* SPDX-License-Identifier: Apache-2.0 */
/* The naive evaluator: selectors, blocks, peers and ports. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "test/policy/naive_internal.h"

const cJSON *naive_get(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

const char *naive_text(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(naive_get(object, key));

    return text ? text : "";
}

unsigned int naive_number(const cJSON *object, const char *key)
{
    const cJSON *item = naive_get(object, key);

    return item ? (unsigned int)item->valuedouble : 0;
}

/* ---- addresses ------------------------------------------------------------------------------ */

bool naive_addr_parse(const char *text, struct naive_addr *ret_addr)
{
    memset(ret_addr, 0, sizeof(*ret_addr));
    ret_addr->family = strchr(text, ':') ? 6 : 4;
    return inet_pton(ret_addr->family == 6 ? AF_INET6 : AF_INET, text, ret_addr->bytes) == 1;
}

bool naive_in_prefix(const struct naive_addr *addr, const char *prefix)
{
    char text[64] = "";
    const char *slash = strchr(prefix, '/');
    struct naive_addr base;

    memcpy(text, prefix, (size_t)(slash - prefix));
    if (!naive_addr_parse(text, &base) || base.family != addr->family)
        return false;
    for (int bit = 0; bit < atoi(slash + 1); bit++) {
        int mask = 0x80 >> bit % 8;

        if ((base.bytes[bit / 8] & mask) != (addr->bytes[bit / 8] & mask))
            return false;
    }
    return true;
}

static bool in_block(const struct naive_addr *addr, const cJSON *block)
{
    const cJSON *except;

    cJSON_ArrayForEach(except, naive_get(block, "except"))
    {
        if (naive_in_prefix(addr, except->valuestring))
            return false;
    }
    return naive_in_prefix(addr, naive_text(block, "cidr"));
}

/* ---- selectors ------------------------------------------------------------------------------ */

static bool is_one_of(const cJSON *values, const char *text)
{
    const cJSON *value;

    cJSON_ArrayForEach(value, values)
    {
        if (strcmp(value->valuestring, text) == 0)
            return true;
    }
    return false;
}

static bool expression_holds(const cJSON *expression, const cJSON *labels)
{
    const char *operator= naive_text(expression, "operator");
    const cJSON *label = naive_get(labels, naive_text(expression, "key"));

    if (strcmp(operator, "Exists") == 0)
        return label != NULL;
    if (strcmp(operator, "DoesNotExist") == 0)
        return label == NULL;
    if (strcmp(operator, "In") == 0)
        return label && is_one_of(naive_get(expression, "values"), label->valuestring);
    return !label || !is_one_of(naive_get(expression, "values"), label->valuestring);
}

bool naive_selects(const cJSON *selector, const cJSON *labels)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, naive_get(selector, "matchLabels"))
    {
        const cJSON *label = naive_get(labels, item->string);

        if (!label || strcmp(label->valuestring, item->valuestring) != 0)
            return false;
    }
    cJSON_ArrayForEach(item, naive_get(selector, "matchExpressions"))
    {
        if (!expression_holds(item, labels))
            return false;
    }
    return true;
}

const cJSON *naive_namespace(const struct naive *naive, const cJSON *pod)
{
    return naive_get(naive_get(naive->world, "namespaces"), naive_text(pod, "ns"));
}

/* ---- ports ---------------------------------------------------------------------------------- */

unsigned int naive_protocol(const char *name)
{
    if (strcmp(name, "UDP") == 0)
        return IPPROTO_UDP;
    if (strcmp(name, "SCTP") == 0)
        return IPPROTO_SCTP;
    if (strcmp(name, "ICMP") == 0)
        return IPPROTO_ICMP;
    if (strcmp(name, "ICMPv6") == 0)
        return IPPROTO_ICMPV6;
    return IPPROTO_TCP;
}

/*
 * Names are those of the destination pod's ports; what is no pod has none. Those of an unknown pod
 * may mean any port, so they are meant where that denies.
 */
static bool is_named(const struct naive_trial *trial, const char *name, bool deny)
{
    const cJSON *destination = trial->pod;
    const cJSON *port;

    if (trial->direction == FENCE_EGRESS && trial->peer.who == NAIVE_PENDING)
        return deny;

    if (trial->direction == FENCE_EGRESS)
        destination = trial->peer.who == NAIVE_POD ? trial->peer.object : NULL;
    cJSON_ArrayForEach(port, naive_get(destination, "ports"))
    {
        if (strcmp(naive_text(port, "name"), name) == 0 &&
            naive_protocol(naive_text(port, "protocol")) == trial->protocol &&
            naive_number(port, "port") == trial->port)
            return true;
    }
    return false;
}

static bool icmp_matches(const struct naive_trial *trial, const cJSON *port)
{
    if (naive_get(port, "type") && naive_number(port, "type") != trial->port >> 8)
        return false;
    return !naive_get(port, "code") || naive_number(port, "code") == (trial->port & 255);
}

static bool port_matches(const struct naive_trial *trial, const cJSON *port, bool deny)
{
    unsigned int protocol = naive_protocol(naive_text(port, "protocol"));
    unsigned int first = naive_number(port, "port");
    unsigned int last = naive_get(port, "endPort") ? naive_number(port, "endPort") : first;

    if (naive_get(port, "unknownField") || protocol != trial->protocol)
        return false;
    if (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6)
        return icmp_matches(trial, port);
    if (!naive_get(port, "port"))
        return true;
    if (cJSON_IsString(naive_get(port, "port")))
        return is_named(trial, naive_text(port, "port"), deny);
    return first <= trial->port && trial->port <= last;
}

static bool any_port_matches(const struct naive_trial *trial, const cJSON *ports, bool deny)
{
    const cJSON *port;

    if (cJSON_GetArraySize(ports) == 0)
        return true;
    cJSON_ArrayForEach(port, ports)
    {
        if (port_matches(trial, port, deny))
            return true;
    }
    return false;
}

/* ---- peers ---------------------------------------------------------------------------------- */

/* A pod that two selectors mean; an unknown pod may be anybody, so it is meant where that denies.
 */
static bool workload_matches(const struct naive_trial *trial, const cJSON *namespaces,
                             const cJSON *pods, bool deny)
{
    const struct naive_peer *peer = &trial->peer;

    if (peer->who == NAIVE_PENDING)
        return deny;
    if (peer->who != NAIVE_POD)
        return false;
    return naive_selects(namespaces, naive_namespace(trial->naive, peer->object)) &&
           naive_selects(pods, naive_get(peer->object, "labels"));
}

static bool is_denylist(const cJSON *policy)
{
    return strcmp(naive_text(naive_get(policy, "spec"), "mode"), "Denylist") == 0;
}

static bool peer_matches(const struct naive_trial *trial, const cJSON *policy, const cJSON *peer)
{
    bool deny = is_denylist(policy);
    bool cluster = strcmp(naive_text(policy, "kind"), "ClusterSegmentPolicy") == 0;
    const cJSON *block = naive_get(peer, "ipBlock");
    const cJSON *namespaces = naive_get(peer, "namespaceSelector");
    const char *home = naive_text(naive_get(policy, "metadata"), "namespace");

    if (naive_get(peer, "unknownField"))
        return deny;
    if (trial->peer.shared && !deny)
        return false;
    if (block)
        return in_block(&trial->peer.addr, block) && (deny || trial->peer.who != NAIVE_PENDING) &&
               (deny || trial->peer.who != NAIVE_SERVICE);
    if (!namespaces && !cluster && trial->peer.who == NAIVE_POD &&
        strcmp(naive_text(trial->peer.object, "ns"), *home ? home : "default") != 0)
        return false;
    return workload_matches(trial, namespaces, naive_get(peer, "podSelector"), deny);
}

bool naive_rule_matches(const struct naive_trial *trial, const cJSON *policy, const cJSON *rule)
{
    const cJSON *peers = naive_get(rule, trial->direction == FENCE_EGRESS ? "to" : "from");
    bool found = cJSON_GetArraySize(peers) == 0;
    const cJSON *peer;

    if (naive_get(rule, "unknownField"))
        return false;
    cJSON_ArrayForEach(peer, peers)
    {
        found = found || peer_matches(trial, policy, peer);
    }
    return found && any_port_matches(trial, naive_get(rule, "ports"), is_denylist(policy));
}

/* ---- ClusterNetworkPolicy ------------------------------------------------------------------- */

static bool destination_matches(const struct naive_trial *trial, const cJSON *protocol)
{
    const cJSON *destination = naive_get(protocol, "destinationPort");
    const cJSON *range = naive_get(destination, "range");

    if (range)
        return naive_number(range, "start") <= trial->port &&
               trial->port <= naive_number(range, "end");
    return naive_number(destination, "number") == trial->port;
}

static bool cluster_protocol_matches(const struct naive_trial *trial, const cJSON *entry, bool deny)
{
    if (naive_get(entry, "destinationNamedPort"))
        return is_named(trial, naive_text(entry, "destinationNamedPort"), deny);
    if (naive_get(entry, "tcp"))
        return trial->protocol == IPPROTO_TCP &&
               destination_matches(trial, naive_get(entry, "tcp"));
    if (naive_get(entry, "udp"))
        return trial->protocol == IPPROTO_UDP &&
               destination_matches(trial, naive_get(entry, "udp"));
    return trial->protocol == IPPROTO_SCTP && destination_matches(trial, naive_get(entry, "sctp"));
}

static bool any_protocol_matches(const struct naive_trial *trial, const cJSON *protocols, bool deny)
{
    const cJSON *entry;

    if (!protocols)
        return true;
    cJSON_ArrayForEach(entry, protocols)
    {
        if (cluster_protocol_matches(trial, entry, deny))
            return true;
    }
    return false;
}

static bool in_networks(const struct naive_trial *trial, const cJSON *networks, bool deny)
{
    const cJSON *network;

    /* of a service it is the backends that are judged */
    if (trial->peer.who == NAIVE_SERVICE || (trial->peer.who == NAIVE_PENDING && !deny))
        return false;
    cJSON_ArrayForEach(network, networks)
    {
        if (naive_in_prefix(&trial->peer.addr, network->valuestring))
            return true;
    }
    return false;
}

/* A node without a Node object has no labels, and is still one of "all nodes". */
static bool is_node(const struct naive_trial *trial, const cJSON *selector, bool deny)
{
    const struct naive_peer *peer = &trial->peer;

    if (peer->who == NAIVE_PENDING)
        return deny;
    return (peer->who == NAIVE_NODE || peer->who == NAIVE_HOST) &&
           naive_selects(selector, naive_get(peer->object, "labels"));
}

static bool cluster_peer_matches(const struct naive_trial *trial, const cJSON *peer, bool deny)
{
    const cJSON *pods = naive_get(peer, "pods");

    if (trial->peer.shared && !deny)
        return false;
    if (naive_get(peer, "namespaces"))
        return workload_matches(trial, naive_get(peer, "namespaces"), NULL, deny);
    if (pods)
        return workload_matches(trial, naive_get(pods, "namespaceSelector"),
                                naive_get(pods, "podSelector"), deny);
    if (naive_get(peer, "nodes"))
        return is_node(trial, naive_get(peer, "nodes"), deny);
    return in_networks(trial, naive_get(peer, "networks"), deny);
}

static bool is_known_kind(const cJSON *peer)
{
    return naive_get(peer, "namespaces") || naive_get(peer, "pods") || naive_get(peer, "nodes") ||
           naive_get(peer, "networks");
}

/*
 * Of peers of unknown kinds the API says: "Accept: treat the rule as matching no traffic. Deny and
 * Pass: as a 'Deny all' rule." Domain names, which are not resolved, are nobody to an Accept rule.
 */
enum naive_action naive_cluster_rule(const struct naive_trial *trial, const cJSON *rule)
{
    const cJSON *peers = naive_get(rule, trial->direction == FENCE_EGRESS ? "to" : "from");
    const char *text = naive_text(rule, "action");
    enum naive_action action = strcmp(text, "Accept") == 0 ? NAIVE_ACCEPT
                               : strcmp(text, "Deny") == 0 ? NAIVE_DENY
                                                           : NAIVE_PASS;
    bool found = false;
    const cJSON *peer;

    cJSON_ArrayForEach(peer, peers)
    {
        if (naive_get(peer, "domainNames") && action == NAIVE_ACCEPT)
            continue;
        if (!is_known_kind(peer))
            return action == NAIVE_ACCEPT ? NAIVE_NO_MATCH : NAIVE_DENY;
        found = found || cluster_peer_matches(trial, peer, action == NAIVE_DENY);
    }
    if (!found || !any_protocol_matches(trial, naive_get(rule, "protocols"), action == NAIVE_DENY))
        return NAIVE_NO_MATCH;
    return action;
}

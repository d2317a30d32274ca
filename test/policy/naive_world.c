/* SPDX-License-Identifier: Apache-2.0 */
/* The naive evaluator: who is behind an address (DESIGN 6.1 to 6.4). */
#include <stdlib.h>
#include <string.h>

#include "test/policy/naive_internal.h"

static bool has_addr(const cJSON *list, const struct naive_addr *addr)
{
    struct naive_addr other;
    const cJSON *item;

    cJSON_ArrayForEach(item, list)
    {
        if (naive_addr_parse(item->valuestring, &other) && memcmp(&other, addr, sizeof(other)) == 0)
            return true;
    }
    return false;
}

bool naive_has_addr(const cJSON *pod, const struct naive_addr *addr)
{
    return has_addr(naive_get(pod, "ips"), addr);
}

static bool is_finished(const cJSON *pod)
{
    const char *phase = naive_text(pod, "phase");

    return strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0;
}

static bool on_host_network(const cJSON *pod)
{
    return cJSON_IsTrue(naive_get(pod, "hostNetwork"));
}

static bool claims(const cJSON *pod, const struct naive_addr *addr)
{
    return !is_finished(pod) && !on_host_network(pod) && has_addr(naive_get(pod, "ips"), addr);
}

bool naive_is_incomplete(const struct naive *naive, const cJSON *pod)
{
    const cJSON *key;

    cJSON_ArrayForEach(key, naive_get(naive->world, "requiredLabels"))
    {
        if (!naive_get(naive_get(pod, "labels"), key->valuestring))
            return true;
    }
    return false;
}

/* ---- ends of a question --------------------------------------------------------------------- */

static const cJSON *pod_named(const struct naive *naive, const char *text)
{
    const cJSON *pod;

    cJSON_ArrayForEach(pod, naive_get(naive->world, "pods"))
    {
        const char *namespace_name = naive_text(pod, "ns");
        size_t length = strlen(namespace_name);

        if (strncmp(text, namespace_name, length) == 0 && text[length] == '/' &&
            strcmp(text + length + 1, naive_text(pod, "name")) == 0)
            return pod;
    }
    return NULL;
}

/* The pod that alone claims it. */
static const cJSON *owner_of(const struct naive *naive, const struct naive_addr *addr)
{
    const cJSON *owner = NULL;
    const cJSON *pod;

    cJSON_ArrayForEach(pod, naive_get(naive->world, "pods"))
    {
        if (claims(pod, addr) && owner)
            return NULL;
        if (claims(pod, addr))
            owner = pod;
    }
    return owner;
}

/* *ret_pod: the endpoint at this end, NULL when it is none. */
bool naive_find_end(const struct naive *naive, const char *text, int family, const cJSON **ret_pod,
                    struct naive_addr *ret_addr)
{
    const cJSON *pod = pod_named(naive, text);
    const cJSON *item;

    if (!pod) {
        if (!naive_addr_parse(text, ret_addr) || ret_addr->family != family)
            return false;
        *ret_pod = naive_is_service(naive, ret_addr) ? NULL : owner_of(naive, ret_addr);
        return true;
    }
    cJSON_ArrayForEach(item, naive_get(pod, "ips"))
    {
        if (!naive_addr_parse(item->valuestring, ret_addr) || ret_addr->family != family)
            continue;
        *ret_pod = is_finished(pod) || on_host_network(pod) ? NULL : pod;
        return true;
    }
    return false;
}

/* ---- what an address means to a pod --------------------------------------------------------- */

/* Several may claim it: then the one on the subject's own node has it. */
static bool resolve_pod(const struct naive *naive, const char *node, struct naive_peer *peer)
{
    unsigned int all = 0, local = 0;
    const cJSON *here = NULL;
    const cJSON *pod;

    cJSON_ArrayForEach(pod, naive_get(naive->world, "pods"))
    {
        if (!claims(pod, &peer->addr))
            continue;
        all++;
        peer->object = pod;
        if (strcmp(naive_text(pod, "node"), node) == 0) {
            local++;
            here = pod;
        }
    }
    if (all == 0)
        return false;
    if (all > 1)
        peer->object = local == 1 ? here : NULL;
    peer->who = peer->object ? NAIVE_POD : NAIVE_PENDING;
    if (peer->object && naive_is_incomplete(naive, peer->object))
        peer->who = NAIVE_PENDING;
    return true;
}

static const cJSON *node_object(const struct naive *naive, const char *name)
{
    const cJSON *node;

    cJSON_ArrayForEach(node, naive_get(naive->world, "nodes"))
    {
        if (strcmp(naive_text(node, "name"), name) == 0)
            return node;
    }
    return NULL;
}

/* The node's own addresses: those of its Node object and those its hostNetwork pods have. */
static bool is_own_node(const struct naive *naive, const char *node, const struct naive_addr *addr)
{
    const cJSON *pod;

    if (!*node)
        return false;
    if (has_addr(naive_get(node_object(naive, node), "ips"), addr))
        return true;
    cJSON_ArrayForEach(pod, naive_get(naive->world, "pods"))
    {
        if (on_host_network(pod) && strcmp(naive_text(pod, "node"), node) == 0 &&
            has_addr(naive_get(pod, "ips"), addr))
            return true;
    }
    return false;
}

/* Is it where the prefix begins? */
static bool is_first_of(const struct naive_addr *addr, const char *prefix)
{
    int size = addr->family == 4 ? 32 : 128;

    if (!naive_in_prefix(addr, prefix))
        return false;
    for (int bit = atoi(strchr(prefix, '/') + 1); bit < size; bit++)
        if (addr->bytes[bit / 8] & 0x80 >> bit % 8)
            return false;
    return true;
}

/* By which others know it: also the first address of a range of its pods, which is Flannel's. */
static bool is_address_of(const cJSON *node, const char *viewer, const struct naive_addr *addr)
{
    const cJSON *range;

    if (has_addr(naive_get(node, "ips"), addr))
        return true;
    cJSON_ArrayForEach(range, naive_get(node, "podCIDRs"))
    {
        if (strcmp(naive_text(node, "name"), viewer) != 0 && is_first_of(addr, range->valuestring))
            return true;
    }
    return false;
}

static bool resolve_node(const struct naive *naive, const char *own, struct naive_peer *peer)
{
    const cJSON *node;

    if (is_own_node(naive, own, &peer->addr)) {
        peer->who = NAIVE_HOST;
        peer->object = node_object(naive, own);
        return true;
    }
    cJSON_ArrayForEach(node, naive_get(naive->world, "nodes"))
    {
        const char *name = naive_text(node, "name");

        if (!is_address_of(node, own, &peer->addr))
            continue;
        /* of several the first by name */
        if (peer->who != NAIVE_NODE || strcmp(name, naive_text(peer->object, "name")) < 0)
            peer->object = node;
        peer->who = NAIVE_NODE;
    }
    return peer->who == NAIVE_NODE;
}

static bool in_pod_range(const struct naive *naive, const struct naive_addr *addr)
{
    const cJSON *node, *range;

    cJSON_ArrayForEach(node, naive_get(naive->world, "nodes"))
    {
        cJSON_ArrayForEach(range, naive_get(node, "podCIDRs"))
        {
            if (naive_in_prefix(addr, range->valuestring))
                return true;
        }
    }
    return false;
}

struct naive_peer naive_resolve_backend(const struct naive *naive, const cJSON *subject,
                                        const struct naive_addr *addr)
{
    const char *node = naive_text(subject, "node");
    struct naive_peer peer = {.who = NAIVE_WORLD, .addr = *addr};

    if (resolve_pod(naive, node, &peer) || resolve_node(naive, node, &peer))
        return peer;
    if (in_pod_range(naive, addr))
        peer.who = NAIVE_PENDING;
    return peer;
}

/* Does a Node object say that the address is its own? */
static bool is_stated(const struct naive_peer *peer)
{
    return peer->who == NAIVE_NODE ||
           (peer->who == NAIVE_HOST && has_addr(naive_get(peer->object, "ips"), &peer->addr));
}

struct naive_peer naive_resolve(const struct naive *naive, const cJSON *subject,
                                const struct naive_addr *addr)
{
    struct naive_peer peer = naive_resolve_backend(naive, subject, addr);

    if (naive_is_cluster_ip(naive, addr))
        return (struct naive_peer){.who = NAIVE_SERVICE, .addr = *addr};
    peer.shared = naive_is_service(naive, addr) && !is_stated(&peer);
    return peer;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The naive evaluator: services (DESIGN section 5, service addresses). */
#include <string.h>

#include "test/policy/naive_internal.h"

/* ---- what a service owns -------------------------------------------------------------------- */

static bool is_text(const cJSON *item, const struct naive_addr *addr)
{
    struct naive_addr other;

    return cJSON_IsString(item) && *item->valuestring &&
           naive_addr_parse(item->valuestring, &other) && memcmp(&other, addr, sizeof(other)) == 0;
}

static bool lists(const cJSON *list, const struct naive_addr *addr)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, list)
    {
        if (is_text(item, addr))
            return true;
    }
    return false;
}

static bool balances(const cJSON *service, const struct naive_addr *addr)
{
    const cJSON *balancer = naive_get(naive_get(service, "status"), "loadBalancer");
    const cJSON *item;

    cJSON_ArrayForEach(item, naive_get(balancer, "ingress"))
    {
        if (is_text(naive_get(item, "ip"), addr) &&
            strcmp(naive_text(item, "ipMode"), "Proxy") != 0)
            return true;
    }
    return false;
}

static const cJSON *cluster_ips(const cJSON *spec)
{
    const cJSON *list = naive_get(spec, "clusterIPs");

    return cJSON_GetArraySize(list) > 0 ? list : NULL;
}

/* Headless, or nothing but a name. */
static bool has_no_address(const cJSON *service)
{
    const cJSON *spec = naive_get(service, "spec");
    const cJSON *list = cluster_ips(spec);
    const cJSON *item;

    cJSON_ArrayForEach(item, list)
    {
        if (strcmp(item->valuestring, "None") == 0)
            return true;
    }
    return strcmp(naive_text(spec, "type"), "ExternalName") == 0 ||
           (!list && strcmp(naive_text(spec, "clusterIP"), "None") == 0);
}

static bool owns_in_cluster(const cJSON *service, const struct naive_addr *addr)
{
    const cJSON *spec = naive_get(service, "spec");

    if (has_no_address(service))
        return false;
    return cluster_ips(spec) ? lists(cluster_ips(spec), addr)
                             : is_text(naive_get(spec, "clusterIP"), addr);
}

static bool owns(const cJSON *service, const struct naive_addr *addr)
{
    const cJSON *spec = naive_get(service, "spec");

    if (has_no_address(service))
        return false;
    if (owns_in_cluster(service, addr))
        return true;
    return lists(naive_get(spec, "externalIPs"), addr) || balances(service, addr);
}

bool naive_is_service(const struct naive *naive, const struct naive_addr *addr)
{
    const cJSON *service;

    cJSON_ArrayForEach(service, naive_get(naive->world, "services"))
    {
        if (owns(service, addr))
            return true;
    }
    return false;
}

bool naive_is_cluster_ip(const struct naive *naive, const struct naive_addr *addr)
{
    const cJSON *service;

    cJSON_ArrayForEach(service, naive_get(naive->world, "services"))
    {
        if (owns_in_cluster(service, addr))
            return true;
    }
    return false;
}

static bool family_of(const cJSON *list, int family)
{
    struct naive_addr addr;
    const cJSON *item;

    cJSON_ArrayForEach(item, list)
    {
        const char *text = cJSON_IsObject(item) ? naive_text(item, "ip") : item->valuestring;

        if (*text && strcmp(naive_text(item, "ipMode"), "Proxy") != 0 &&
            naive_addr_parse(text, &addr) && addr.family == family)
            return true;
    }
    return false;
}

/* Does it have an address of that family? */
static bool is_of(const cJSON *service, int family)
{
    const cJSON *spec = naive_get(service, "spec");
    const cJSON *balancer = naive_get(naive_get(service, "status"), "loadBalancer");
    struct naive_addr addr;

    if (has_no_address(service))
        return false;
    if (family_of(naive_get(spec, "clusterIPs"), family) ||
        family_of(naive_get(spec, "externalIPs"), family) ||
        family_of(naive_get(balancer, "ingress"), family))
        return true;
    return !cluster_ips(spec) && *naive_text(spec, "clusterIP") &&
           naive_addr_parse(naive_text(spec, "clusterIP"), &addr) && addr.family == family;
}

/* ---- where it leads ------------------------------------------------------------------------- */

static bool is_bool(const cJSON *conditions, const char *key, bool otherwise)
{
    const cJSON *item = naive_get(conditions, key);

    return cJSON_IsBool(item) ? cJSON_IsTrue(item) : otherwise;
}

static bool takes_connections(const cJSON *endpoint)
{
    const cJSON *conditions = naive_get(endpoint, "conditions");
    bool ready = is_bool(conditions, "ready", true);

    return ready ||
           (is_bool(conditions, "serving", ready) && is_bool(conditions, "terminating", false));
}

static void add_backend(struct naive_backends *backends, const struct naive_addr *addr,
                        unsigned int port)
{
    for (unsigned int i = 0; i < backends->count; i++)
        if (memcmp(&backends->items[i].addr, addr, sizeof(*addr)) == 0 &&
            backends->items[i].port == port)
            return;
    if (backends->count < NAIVE_BACKENDS)
        backends->items[backends->count++] = (struct naive_backend){*addr, port};
}

static void add_endpoints(const cJSON *slice, int family, unsigned int port,
                          struct naive_backends *backends)
{
    struct naive_addr addr;
    const cJSON *endpoint, *item;

    cJSON_ArrayForEach(endpoint, naive_get(slice, "endpoints"))
    {
        cJSON_ArrayForEach(item, naive_get(endpoint, "addresses"))
        {
            if (takes_connections(endpoint) && naive_addr_parse(item->valuestring, &addr) &&
                addr.family == family)
                add_backend(backends, &addr, port);
        }
    }
}

static bool same_port(const cJSON *one, const cJSON *other)
{
    return strcmp(naive_text(one, "name"), naive_text(other, "name")) == 0 &&
           naive_protocol(naive_text(one, "protocol")) ==
               naive_protocol(naive_text(other, "protocol"));
}

static const char *home_of(const cJSON *object)
{
    const char *home = naive_text(naive_get(object, "metadata"), "namespace");

    return *home ? home : "default";
}

static bool is_slice_of(const cJSON *slice, const cJSON *service)
{
    const cJSON *labels = naive_get(naive_get(slice, "metadata"), "labels");
    const char *name = naive_text(naive_get(service, "metadata"), "name");

    return strcmp(naive_text(labels, "kubernetes.io/service-name"), name) == 0 &&
           strcmp(home_of(slice), home_of(service)) == 0 &&
           strcmp(naive_text(slice, "addressType"), "FQDN") != 0;
}

static void add_port(const struct naive_trial *trial, const cJSON *service, const cJSON *port,
                     struct naive_backends *backends)
{
    const cJSON *slice, *item;

    cJSON_ArrayForEach(slice, naive_get(trial->naive->world, "endpointSlices"))
    {
        if (!is_slice_of(slice, service))
            continue;
        cJSON_ArrayForEach(item, naive_get(slice, "ports"))
        {
            if (same_port(item, port) && naive_get(item, "port"))
                add_endpoints(slice, trial->peer.addr.family, naive_number(item, "port"), backends);
        }
    }
}

/* By its ports, or by its node ports: `key`. */
static bool add_service(const struct naive_trial *trial, const cJSON *service, const char *key,
                        struct naive_backends *backends)
{
    bool found = false;
    const cJSON *port;

    cJSON_ArrayForEach(port, naive_get(naive_get(service, "spec"), "ports"))
    {
        unsigned int number = naive_number(port, key);

        if (!number || number != trial->port ||
            naive_protocol(naive_text(port, "protocol")) != trial->protocol)
            continue;
        found = true;
        add_port(trial, service, port, backends);
    }
    return found;
}

/* ---- host ports ----------------------------------------------------------------------------- */

static bool is_on(const cJSON *port, const struct naive_addr *addr)
{
    const char *text = naive_text(port, "hostIP");
    struct naive_addr all = {.family = addr->family};

    return !*text || is_text(naive_get(port, "hostIP"), addr) ||
           is_text(naive_get(port, "hostIP"), &all);
}

static const char *node_of(const struct naive_trial *trial)
{
    if (trial->peer.who == NAIVE_HOST)
        return naive_text(trial->pod, "node");
    return naive_text(trial->peer.object, "name");
}

static bool is_on_node(const struct naive_trial *trial, const cJSON *pod)
{
    const char *phase = naive_text(pod, "phase");

    return *node_of(trial) && strcmp(naive_text(pod, "node"), node_of(trial)) == 0 &&
           !cJSON_IsTrue(naive_get(pod, "hostNetwork")) && strcmp(phase, "Succeeded") != 0 &&
           strcmp(phase, "Failed") != 0;
}

static void add_pod(const struct naive_trial *trial, const cJSON *pod,
                    struct naive_backends *backends)
{
    struct naive_addr addr;
    const cJSON *port, *item;

    cJSON_ArrayForEach(port, naive_get(pod, "ports"))
    {
        if (naive_number(port, "hostPort") != trial->port || !trial->port ||
            naive_protocol(naive_text(port, "protocol")) != trial->protocol ||
            !is_on(port, &trial->peer.addr))
            continue;
        cJSON_ArrayForEach(item, naive_get(pod, "ips"))
        {
            if (naive_addr_parse(item->valuestring, &addr) &&
                addr.family == trial->peer.addr.family)
                add_backend(backends, &addr, naive_number(port, "port"));
        }
    }
}

/* ---- all of them ---------------------------------------------------------------------------- */

bool naive_leads(const struct naive_trial *trial, struct naive_backends *backends)
{
    enum naive_who who = trial->peer.who;
    bool node = !trial->peer.shared && (who == NAIVE_HOST || who == NAIVE_NODE), found = false;
    const cJSON *item;

    cJSON_ArrayForEach(item, naive_get(trial->naive->world, "services"))
    {
        if (owns(item, &trial->peer.addr))
            add_service(trial, item, "port", backends);
        if (node && is_of(item, trial->peer.addr.family))
            found = add_service(trial, item, "nodePort", backends) || found;
    }
    cJSON_ArrayForEach(item, naive_get(trial->naive->world, "pods"))
    {
        if (node && is_on_node(trial, item))
            add_pod(trial, item, backends);
    }
    /* a service's own port that leads nowhere is as any other port of its address */
    return backends->count || found;
}

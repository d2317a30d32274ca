/* SPDX-License-Identifier: Apache-2.0 */
/* Random Services, EndpointSlices and host ports. */
#include <stdio.h>
#include <string.h>

#include "test/policy/random_parts.h"

#define RANDOM_SERVICES 4

static const char *const port_names[] = {"", "a", "b"};
static const char *const protocols[] = {"TCP", "TCP", "TCP", "UDP", "SCTP"};
static const unsigned int node_ports[] = {30080, 30081, 443};

static cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static void add_text(cJSON *list, const char *text)
{
    cJSON_AddItemToArray(list, cJSON_CreateString(text));
}

/* Of a few names, so that a slice mostly has its service. */
static const char *service_name(struct rng *rng)
{
    static const char *const names[RANDOM_SERVICES] = {"s0", "s1", "s2", "s3"};

    return RNG_PICK(rng, names);
}

static void set_metadata(struct rng *rng, cJSON *object, const char *name)
{
    cJSON *metadata = member(object, "metadata");

    cJSON_DeleteItemFromObjectCaseSensitive(metadata, "name");
    cJSON_AddStringToObject(metadata, "name", name);
    if (rng_chance(rng, 90))
        cJSON_AddStringToObject(metadata, "namespace", random_namespaces[rng_below(rng, 2)]);
}

/* ---- services ------------------------------------------------------------------------------- */

static cJSON *random_cluster_ips(struct rng *rng)
{
    static const char *const four[] = {"10.96.0.1", "10.96.0.2", "10.96.0.3"};
    static const char *const six[] = {"fd00:96::1", "fd00:96::2"};
    unsigned int form = rng_below(rng, 20);
    cJSON *list = cJSON_CreateArray();

    if (form == 0) {
        add_text(list, "None");
        return list;
    }
    if (form < 16)
        add_text(list, RNG_PICK(rng, four));
    if (form > 10)
        add_text(list, RNG_PICK(rng, six));
    return list;
}

static void add_ports(struct rng *rng, cJSON *spec)
{
    cJSON *list = cJSON_AddArrayToObject(spec, "ports");

    for (unsigned int i = 0; i < 1 + rng_below(rng, 3); i++) {
        cJSON *port = cJSON_CreateObject();

        cJSON_AddItemToArray(list, port);
        if (rng_chance(rng, 70))
            cJSON_AddStringToObject(port, "name", port_names[i]);
        if (rng_chance(rng, 80))
            cJSON_AddStringToObject(port, "protocol", RNG_PICK(rng, protocols));
        cJSON_AddNumberToObject(port, "port", RNG_PICK(rng, random_ports));
        if (rng_chance(rng, 40))
            cJSON_AddNumberToObject(port, "nodePort", RNG_PICK(rng, node_ports));
    }
}

static void add_balancer(struct rng *rng, const cJSON *world, cJSON *service)
{
    cJSON *balancer =
        cJSON_AddObjectToObject(cJSON_AddObjectToObject(service, "status"), "loadBalancer");
    cJSON *ingress = cJSON_CreateObject();

    cJSON_AddItemToArray(cJSON_AddArrayToObject(balancer, "ingress"), ingress);
    cJSON_AddStringToObject(ingress, "ip", random_addr(rng, world));
    if (rng_chance(rng, 40))
        cJSON_AddStringToObject(ingress, "ipMode", rng_chance(rng, 50) ? "Proxy" : "VIP");
}

cJSON *random_service(struct rng *rng, const cJSON *world, const char *name)
{
    cJSON *service = random_object("v1", "Service", NULL, 0);
    cJSON *spec = cJSON_AddObjectToObject(service, "spec");

    set_metadata(rng, service, name ? name : service_name(rng));
    if (rng_chance(rng, 4))
        cJSON_AddStringToObject(spec, "type", "ExternalName");
    cJSON_AddItemToObject(spec, "clusterIPs", random_cluster_ips(rng));
    if (rng_chance(rng, 15)) /* anybody's: a service comes before whoever else has it */
        add_text(cJSON_AddArrayToObject(spec, "externalIPs"), random_addr(rng, world));
    if (rng_chance(rng, 10))
        add_balancer(rng, world, service);
    add_ports(rng, spec);
    return service;
}

/* ---- slices --------------------------------------------------------------------------------- */

static void maybe_bool(struct rng *rng, cJSON *object, const char *key)
{
    if (rng_chance(rng, 60))
        cJSON_AddBoolToObject(object, key, rng_chance(rng, 60));
}

static void add_conditions(struct rng *rng, cJSON *endpoint)
{
    cJSON *conditions;

    if (rng_chance(rng, 60))
        return;
    conditions = cJSON_AddObjectToObject(endpoint, "conditions");
    maybe_bool(rng, conditions, "ready");
    maybe_bool(rng, conditions, "serving");
    maybe_bool(rng, conditions, "terminating");
}

static void add_endpoint(struct rng *rng, const cJSON *world, bool six, cJSON *list)
{
    cJSON *endpoint = cJSON_CreateObject();
    cJSON *addresses = cJSON_AddArrayToObject(endpoint, "addresses");

    cJSON_AddItemToArray(list, endpoint);
    for (unsigned int i = 0; i < 8; i++) {
        const char *addr =
            rng_chance(rng, 6) ? six ? "fd00:96::1" : "10.96.0.1" : random_addr(rng, world);

        if ((strchr(addr, ':') != NULL) != six)
            continue;
        add_text(addresses, addr);
        if (rng_chance(rng, 90))
            break;
    }
    add_conditions(rng, endpoint);
}

/* Those of the service by name and protocol, or any. */
static void add_slice_ports(struct rng *rng, const cJSON *service, cJSON *slice)
{
    const cJSON *ports = member(member(service, "spec"), "ports");
    cJSON *list = cJSON_AddArrayToObject(slice, "ports");

    for (int i = 0; i < 3; i++) {
        const cJSON *like = rng_chance(rng, 85) ? cJSON_GetArrayItem(ports, i) : NULL;
        const cJSON *protocol = member(like, "protocol"), *name = member(like, "name");
        cJSON *port = cJSON_CreateObject();

        cJSON_AddItemToArray(list, port);
        if (name || !like)
            cJSON_AddStringToObject(port, "name", name ? name->valuestring : port_names[i]);
        if (protocol || (!like && rng_chance(rng, 80)))
            cJSON_AddStringToObject(port, "protocol",
                                    protocol ? protocol->valuestring : RNG_PICK(rng, protocols));
        if (rng_chance(rng, 95))
            cJSON_AddNumberToObject(port, "port", RNG_PICK(rng, random_ports));
    }
}

/* Mostly of a service that is there. */
static void set_service(struct rng *rng, const cJSON *service, cJSON *slice)
{
    const cJSON *metadata = member(service, "metadata");
    const cJSON *home = member(metadata, "namespace");
    cJSON *own = member(slice, "metadata");

    cJSON_AddStringToObject(cJSON_AddObjectToObject(own, "labels"), "kubernetes.io/service-name",
                            metadata ? member(metadata, "name")->valuestring : service_name(rng));
    if (!metadata)
        return;
    cJSON_DeleteItemFromObjectCaseSensitive(own, "namespace");
    if (home)
        cJSON_AddStringToObject(own, "namespace", home->valuestring);
}

cJSON *random_slice(struct rng *rng, const cJSON *world, unsigned int number)
{
    const cJSON *service = rng_chance(rng, 85) ? random_item(rng, world, "services") : NULL;
    bool six = rng_chance(rng, 35);
    cJSON *slice = random_object("discovery.k8s.io/v1", "EndpointSlice", NULL, 0);
    char name[16];
    cJSON *list;

    snprintf(name, sizeof(name), "e%u", number);
    set_metadata(rng, slice, name);
    set_service(rng, service, slice);
    cJSON_AddStringToObject(slice, "addressType", six ? "IPv6" : "IPv4");
    list = cJSON_AddArrayToObject(slice, "endpoints");
    for (unsigned int i = rng_below(rng, 5); i; i--)
        add_endpoint(rng, world, six, list);
    add_slice_ports(rng, service, slice);
    return slice;
}

/* ---- worlds --------------------------------------------------------------------------------- */

static bool is_named(const cJSON *list, const cJSON *object)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, list)
    {
        const cJSON *one = member(item, "metadata"), *other = member(object, "metadata");
        const cJSON *home = member(one, "namespace"), *away = member(other, "namespace");

        if (cJSON_Compare(member(one, "name"), member(other, "name"), true) &&
            strcmp(home ? home->valuestring : "default", away ? away->valuestring : "default") == 0)
            return true;
    }
    return false;
}

static void add_once(cJSON *list, cJSON *object)
{
    if (is_named(list, object))
        cJSON_Delete(object);
    else
        cJSON_AddItemToArray(list, object);
}

void random_add_services(struct rng *rng, cJSON *world)
{
    cJSON *services = cJSON_AddArrayToObject(world, "services");
    cJSON *slices = cJSON_AddArrayToObject(world, "endpointSlices");
    unsigned int count = rng_chance(rng, 30) ? 0 : 1 + rng_below(rng, 3);

    for (unsigned int i = 0; i < count; i++)
        add_once(services, random_service(rng, world, NULL));
    for (unsigned int i = 0; i < count * 2; i++)
        add_once(slices, random_slice(rng, world, i));
}

const char *random_change_service(struct rng *rng, cJSON *world)
{
    bool slice = rng_chance(rng, 65);
    cJSON *list = member(world, slice ? "endpointSlices" : "services");
    int count = cJSON_GetArraySize(list);
    int at = count ? (int)rng_below(rng, (unsigned int)count) : 0;
    cJSON *object =
        slice ? random_slice(rng, world, rng_below(rng, 6)) : random_service(rng, world, NULL);

    if (count && rng_chance(rng, 25)) {
        cJSON_DeleteItemFromArray(list, at);
        cJSON_Delete(object);
        return slice ? "a slice removed" : "a service removed";
    }
    if (count && rng_chance(rng, 60)) {
        cJSON *old = cJSON_GetArrayItem(list, at);

        cJSON_ReplaceItemInObjectCaseSensitive(object, "metadata",
                                               cJSON_Duplicate(member(old, "metadata"), true));
        cJSON_ReplaceItemInArray(list, at, object);
        return slice ? "a slice changed" : "a service changed";
    }
    add_once(list, object);
    return slice ? "a slice added" : "a service added";
}

void random_host_port(struct rng *rng, cJSON *port)
{
    static const char *const addrs[] = {"172.18.0.2", "0.0.0.0", "::", "127.0.0.1"};

    if (!rng_chance(rng, 12))
        return;
    cJSON_AddNumberToObject(port, "hostPort", RNG_PICK(rng, random_ports));
    if (rng_chance(rng, 25))
        cJSON_AddStringToObject(port, "hostIP", RNG_PICK(rng, addrs));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Random namespaces, nodes and pods. */
#include "test/policy/random_world.h"

#include <stdio.h>
#include <string.h>

#include "test/policy/random_parts.h"

#define METADATA_NAME "kubernetes.io/metadata.name"

static cJSON *member(const cJSON *world, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(world, key);
}

static void add_text(cJSON *list, const char *format, unsigned int a, unsigned int b)
{
    char text[64];

    /* the formats are the constants below */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text, sizeof(text), format, a, b);
#pragma GCC diagnostic pop
    cJSON_AddItemToArray(list, cJSON_CreateString(text));
}

/* ---- nodes ---------------------------------------------------------------------------------- */

cJSON *random_node(struct rng *rng, unsigned int number)
{
    unsigned int families = 1 + rng_below(rng, 3);
    cJSON *node = cJSON_CreateObject();
    cJSON *list;
    char name[16];

    snprintf(name, sizeof(name), "n%u", number);
    cJSON_AddStringToObject(node, "name", name);
    cJSON_AddItemToObject(node, "labels", random_labels(rng));
    list = cJSON_AddArrayToObject(node, "ips");
    if (families & 1)
        add_text(list, "172.18.0.%u", 2 + number, 0);
    if (families & 2)
        add_text(list, "fd00:9::%u", 2 + number, 0);
    if (rng_chance(rng, 20)) /* its bridge: inside the range of the pods */
        add_text(list, "10.1.%u.%u", number, 254);
    if (rng_chance(rng, 25))
        return node;
    list = cJSON_AddArrayToObject(node, "podCIDRs");
    if (rng_chance(rng, 80))
        add_text(list, rng_chance(rng, 10) ? "10.1.%u.5/24" : "10.1.%u.0/24", number, 0);
    if (rng_chance(rng, 60))
        add_text(list, "fd00:1:0:%u::/64", number, 0);
    if (rng_chance(rng, 10))
        add_text(list, "10.1.0.0/%u", 16 + rng_below(rng, 12), 0);
    return node;
}

/* ---- pods ----------------------------------------------------------------------------------- */

void random_container_ports(struct rng *rng, cJSON *pod)
{
    static const char *const protocols[] = {"TCP", "TCP", "UDP", "SCTP"};
    cJSON *list = cJSON_AddArrayToObject(pod, "ports");

    for (unsigned int i = rng_below(rng, 4); i; i--) {
        cJSON *port = cJSON_CreateObject();

        cJSON_AddStringToObject(port, "name", RNG_PICK(rng, random_port_names));
        cJSON_AddNumberToObject(port, "port", RNG_PICK(rng, random_ports));
        cJSON_AddStringToObject(port, "protocol", RNG_PICK(rng, protocols));
        random_host_port(rng, port);
        cJSON_AddItemToArray(list, port);
    }
}

/* Addresses of its node, or one that the node does not state. */
static cJSON *host_addrs(struct rng *rng, const cJSON *node)
{
    cJSON *list;

    if (node && rng_chance(rng, 80))
        return cJSON_Duplicate(member(node, "ips"), true);
    list = cJSON_CreateArray();
    add_text(list, "172.18.1.%u", 2 + rng_below(rng, 4), 0);
    return list;
}

/* Who wins an address that two claim depends on their nodes: then both must have one. */
static void need_node(struct rng *rng, cJSON *pod)
{
    static const char *const names[] = {"unheard-of", "elsewhere"};

    if (!member(pod, "node"))
        cJSON_AddStringToObject(pod, "node", RNG_PICK(rng, names));
}

/* True when the pod got the addresses of another one. */
static bool claim_others(struct rng *rng, const cJSON *world, cJSON *pod)
{
    cJSON *other = rng_chance(rng, 6) ? random_item(rng, world, "pods") : NULL;

    if (!other || member(other, "hostNetwork"))
        return false;
    cJSON_AddItemToObject(pod, "ips", cJSON_Duplicate(member(other, "ips"), true));
    need_node(rng, pod);
    need_node(rng, other);
    return true;
}

static cJSON *own_addrs(struct rng *rng, unsigned int last)
{
    unsigned int range = rng_below(rng, 3);
    unsigned int form = rng_below(rng, 20);
    cJSON *list = cJSON_CreateArray();

    if (form < 2)
        return list;
    if (form >= 2 && form < 17)
        add_text(list, rng_chance(rng, 90) ? "10.1.%u.%u" : "10.77.%u.%u", range, last);
    if (form >= 5)
        add_text(list, "fd00:1:0:%u::%u", range, last);
    return list;
}

cJSON *random_pod(struct rng *rng, const cJSON *world, unsigned int number)
{
    const cJSON *node = rng_chance(rng, 90) ? random_item(rng, world, "nodes") : NULL;
    const cJSON *twin = rng_chance(rng, 30) ? random_item(rng, world, "pods") : NULL;
    bool host = rng_chance(rng, 12), first = false;
    cJSON *pod = cJSON_CreateObject();
    char name[16];

    snprintf(name, sizeof(name), "w%u", number);
    cJSON_AddStringToObject(
        pod, "ns", twin ? member(twin, "ns")->valuestring : RNG_PICK(rng, random_namespaces));
    cJSON_AddStringToObject(pod, "name", name);
    cJSON_AddItemToObject(
        pod, "labels", twin ? cJSON_Duplicate(member(twin, "labels"), true) : random_labels(rng));
    random_container_ports(rng, pod);
    if (node)
        cJSON_AddStringToObject(pod, "node", member(node, "name")->valuestring);
    else if (rng_chance(rng, 10))
        need_node(rng, pod);
    if (host)
        cJSON_AddBoolToObject(pod, "hostNetwork", true);
    if (rng_chance(rng, 5)) { /* where others have the addresses of tunnels; several may */
        first = true;
        need_node(rng, pod);
    }
    if (host || !claim_others(rng, world, pod))
        cJSON_AddItemToObject(
            pod, "ips", host ? host_addrs(rng, node) : own_addrs(rng, first ? 0 : number + 1));
    if (rng_chance(rng, 8))
        cJSON_AddStringToObject(pod, "phase", rng_chance(rng, 50) ? "Succeeded" : "Failed");
    return pod;
}

/* ---- worlds --------------------------------------------------------------------------------- */

cJSON *random_namespace(struct rng *rng, const char *name)
{
    cJSON *labels = random_labels(rng);

    if (rng_chance(rng, 90))
        cJSON_AddStringToObject(labels, METADATA_NAME, name);
    return labels;
}

static void add_settings(struct rng *rng, cJSON *world)
{
    cJSON_AddNumberToObject(world, "now", RANDOM_NOW);
    cJSON_AddBoolToObject(world, "auditAnnotation", rng_chance(rng, 70));
    if (rng_chance(rng, 15))
        cJSON_AddStringToObject(world, "ownNodeEgress", "policy");
    if (rng_chance(rng, 6))
        cJSON_AddItemToArray(cJSON_AddArrayToObject(world, "requiredLabels"),
                             cJSON_CreateString("app"));
}

cJSON *random_world(struct rng *rng)
{
    cJSON *world = cJSON_CreateObject();
    unsigned int nodes = rng_chance(rng, 25) ? 0 : 1 + rng_below(rng, 3);
    unsigned int pods = 2 + rng_below(rng, 7);
    unsigned int policies = 1 + rng_below(rng, 6);
    cJSON *list = cJSON_AddObjectToObject(world, "namespaces");

    for (unsigned int i = 0; i < 4; i++)
        if (rng_chance(rng, 85)) /* one without an object has its name only */
            cJSON_AddItemToObject(list, random_namespaces[i],
                                  random_namespace(rng, random_namespaces[i]));
    list = cJSON_AddArrayToObject(world, "nodes");
    for (unsigned int i = 0; i < nodes; i++)
        cJSON_AddItemToArray(list, random_node(rng, i));
    list = cJSON_AddArrayToObject(world, "pods");
    for (unsigned int i = 0; i < pods; i++)
        cJSON_AddItemToArray(list, random_pod(rng, world, i));
    random_add_services(rng, world);
    list = cJSON_AddArrayToObject(world, "policies");
    for (unsigned int i = 0; i < policies; i++)
        cJSON_AddItemToArray(list, random_policy(rng, world, i));
    add_settings(rng, world);
    return world;
}

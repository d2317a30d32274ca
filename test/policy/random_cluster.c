/* SPDX-License-Identifier: Apache-2.0 */
/* Random ClusterNetworkPolicies. */
#include "test/policy/random_parts.h"

static cJSON *random_namespaced_pods(struct rng *rng)
{
    cJSON *pods = cJSON_CreateObject();

    if (rng_chance(rng, 70))
        cJSON_AddItemToObject(pods, "namespaceSelector", random_selector(rng, true));
    cJSON_AddItemToObject(pods, "podSelector", random_selector(rng, false));
    return pods;
}

/* No two texts of a list may be the same. */
static cJSON *random_networks(struct rng *rng, const cJSON *world)
{
    cJSON *list = cJSON_CreateArray();
    unsigned int count = 1 + rng_below(rng, 2);

    while (count--) {
        cJSON *prefix = random_prefix(rng, world);
        const cJSON *first = cJSON_GetArrayItem(list, 0);

        if (first && cJSON_Compare(first, prefix, true))
            cJSON_Delete(prefix);
        else
            cJSON_AddItemToArray(list, prefix);
    }
    return list;
}

static cJSON *random_domain_names(void)
{
    static const char *const names[] = {"www.example.org"};

    return cJSON_CreateStringArray(names, 1);
}

/* *named: may the rule have named ports? Not beside peers that have none. */
static cJSON *random_peer(struct rng *rng, const cJSON *world, bool egress, bool *named)
{
    unsigned int form = rng_below(rng, 100);
    cJSON *peer = cJSON_CreateObject();

    if (form < 5)
        cJSON_AddItemToObject(peer, "unknownKind", random_selector(rng, false));
    else if (!egress || form < 55)
        cJSON_AddItemToObject(peer, form % 2 ? "pods" : "namespaces",
                              form % 2 ? random_namespaced_pods(rng) : random_selector(rng, true));
    else if (form < 72)
        cJSON_AddItemToObject(peer, "nodes", random_selector(rng, false));
    else if (form < 97)
        cJSON_AddItemToObject(peer, "networks", random_networks(rng, world));
    else
        cJSON_AddItemToObject(peer, "domainNames", random_domain_names());
    *named = *named && (form < 5 || !egress || form < 55);
    return peer;
}

static cJSON *random_destination(struct rng *rng)
{
    unsigned int start = RNG_PICK(rng, random_ports);
    unsigned int end = RNG_PICK(rng, random_ports);
    cJSON *port = cJSON_CreateObject();
    cJSON *range;

    if (start < end && rng_chance(rng, 60)) {
        range = cJSON_AddObjectToObject(port, "range");
        cJSON_AddNumberToObject(range, "start", start);
        cJSON_AddNumberToObject(range, "end", end);
    } else {
        cJSON_AddNumberToObject(port, "number", start);
    }
    return port;
}

static cJSON *random_protocol(struct rng *rng, bool named)
{
    static const char *const protocols[] = {"tcp", "udp", "sctp"};
    cJSON *protocol = cJSON_CreateObject();

    if (named && rng_chance(rng, 40))
        cJSON_AddStringToObject(protocol, "destinationNamedPort", RNG_PICK(rng, random_port_names));
    else
        cJSON_AddItemToObject(cJSON_AddObjectToObject(protocol, RNG_PICK(rng, protocols)),
                              "destinationPort", random_destination(rng));
    return protocol;
}

static cJSON *random_rule(struct rng *rng, const cJSON *world, bool egress)
{
    static const char *const actions[] = {"Accept", "Deny", "Pass"};
    cJSON *rule = cJSON_CreateObject();
    bool named = true;
    cJSON *list;

    cJSON_AddStringToObject(rule, "action", RNG_PICK(rng, actions));
    list = cJSON_AddArrayToObject(rule, egress ? "to" : "from");
    for (unsigned int i = 1 + rng_below(rng, 2); i; i--)
        cJSON_AddItemToArray(list, random_peer(rng, world, egress, &named));
    if (rng_chance(rng, 40))
        return rule;
    list = cJSON_AddArrayToObject(rule, "protocols");
    for (unsigned int i = 1 + rng_below(rng, 2); i; i--)
        cJSON_AddItemToArray(list, random_protocol(rng, named));
    return rule;
}

cJSON *random_cluster_policy(struct rng *rng, const cJSON *world, unsigned int number)
{
    static const unsigned int priorities[] = {0, 10, 10, 1000};
    static const char *const keys[] = {"ingress", "egress"};
    cJSON *policy =
        random_object("policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy", NULL, number);
    cJSON *spec = cJSON_AddObjectToObject(policy, "spec");
    cJSON *subject;

    random_annotation(rng, policy);
    cJSON_AddStringToObject(spec, "tier", rng_chance(rng, 60) ? "Admin" : "Baseline");
    cJSON_AddNumberToObject(spec, "priority", RNG_PICK(rng, priorities));
    subject = cJSON_AddObjectToObject(spec, "subject");
    if (rng_chance(rng, 50))
        cJSON_AddItemToObject(subject, "namespaces", random_selector(rng, true));
    else
        cJSON_AddItemToObject(subject, "pods", random_namespaced_pods(rng));
    for (unsigned int i = 0; i < 2; i++) {
        cJSON *list;

        if (rng_chance(rng, 30))
            continue;
        list = cJSON_AddArrayToObject(spec, keys[i]);
        for (unsigned int count = rng_below(rng, 4); count; count--)
            cJSON_AddItemToArray(list, random_rule(rng, world, i == 1));
    }
    return policy;
}

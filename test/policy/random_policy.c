/* SPDX-License-Identifier: Apache-2.0 */
/* Random NetworkPolicies, SegmentPolicies and ClusterSegmentPolicies. */
#include <stdio.h>
#include <time.h>

#include "test/policy/random_parts.h"

/* What one kind of policy may say. */
struct style {
    bool segment; /* ICMP, and an unknown field is refused */
};

cJSON *random_object(const char *api_version, const char *kind, const char *namespace_name,
                     unsigned int number)
{
    cJSON *object = cJSON_CreateObject();
    cJSON *metadata;
    char name[16];

    snprintf(name, sizeof(name), "p%u", number);
    cJSON_AddStringToObject(object, "apiVersion", api_version);
    cJSON_AddStringToObject(object, "kind", kind);
    metadata = cJSON_AddObjectToObject(object, "metadata");
    cJSON_AddStringToObject(metadata, "name", name);
    if (namespace_name)
        cJSON_AddStringToObject(metadata, "namespace", namespace_name);
    return object;
}

void random_annotation(struct rng *rng, cJSON *policy)
{
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(policy, "metadata");

    if (rng_chance(rng, 20))
        cJSON_AddStringToObject(cJSON_AddObjectToObject(metadata, "annotations"),
                                "podfence.io/enforcement",
                                rng_chance(rng, 80) ? "Audit" : "Enforce");
}

/* ---- ports ---------------------------------------------------------------------------------- */

/* What a later version may know: then the rule, peer or port is for nobody. */
static void maybe_unknown_field(struct rng *rng, const struct style *style, cJSON *object)
{
    if (!style->segment && rng_below(rng, 200) < 3)
        cJSON_AddStringToObject(object, "unknownField", "x");
}

static void add_icmp(struct rng *rng, cJSON *port)
{
    static const unsigned int types[] = {0, 8, 128, 255};
    static const unsigned int codes[] = {0, 1, 255};

    cJSON_AddStringToObject(port, "protocol", rng_chance(rng, 50) ? "ICMP" : "ICMPv6");
    if (rng_chance(rng, 25))
        return;
    cJSON_AddNumberToObject(port, "type", RNG_PICK(rng, types));
    if (rng_chance(rng, 50))
        cJSON_AddNumberToObject(port, "code", RNG_PICK(rng, codes));
}

static void add_number(struct rng *rng, cJSON *port)
{
    unsigned int first = RNG_PICK(rng, random_ports);
    unsigned int last = RNG_PICK(rng, random_ports);

    cJSON_AddNumberToObject(port, "port", first);
    if (last >= first && rng_chance(rng, 50))
        cJSON_AddNumberToObject(port, "endPort", last);
}

static cJSON *random_port(struct rng *rng, const struct style *style)
{
    static const char *const protocols[] = {"TCP", "UDP", "SCTP"};
    cJSON *port = cJSON_CreateObject();
    unsigned int form = rng_below(rng, 10);

    if (style->segment && rng_chance(rng, 25)) {
        add_icmp(rng, port);
        return port;
    }
    if (rng_chance(rng, 60))
        cJSON_AddStringToObject(port, "protocol", RNG_PICK(rng, protocols));
    if (form < 5)
        add_number(rng, port);
    else if (form < 9)
        cJSON_AddStringToObject(port, "port", RNG_PICK(rng, random_port_names));
    maybe_unknown_field(rng, style, port);
    return port;
}

/* ---- rules ---------------------------------------------------------------------------------- */

static cJSON *random_peer(struct rng *rng, const cJSON *world, const struct style *style)
{
    cJSON *peer = cJSON_CreateObject();
    unsigned int form = rng_below(rng, 10);

    if (form < 3) {
        cJSON_AddItemToObject(peer, "ipBlock", random_block(rng, world));
    } else {
        if (form < 8)
            cJSON_AddItemToObject(peer, "podSelector", random_selector(rng, false));
        if (form >= 6)
            cJSON_AddItemToObject(peer, "namespaceSelector", random_selector(rng, true));
    }
    maybe_unknown_field(rng, style, peer);
    return peer;
}

static cJSON *random_rule(struct rng *rng, const cJSON *world, const struct style *style,
                          const char *peer_key)
{
    cJSON *rule = cJSON_CreateObject();
    cJSON *list;

    maybe_unknown_field(rng, style, rule);
    if (rng_chance(rng, 80)) {
        list = cJSON_AddArrayToObject(rule, peer_key);
        for (unsigned int i = rng_chance(rng, 5) ? 0 : 1 + rng_below(rng, 2); i; i--)
            cJSON_AddItemToArray(list, random_peer(rng, world, style));
    }
    if (rng_chance(rng, 65)) {
        list = cJSON_AddArrayToObject(rule, "ports");
        for (unsigned int i = rng_chance(rng, 5) ? 0 : 1 + rng_below(rng, 3); i; i--)
            cJSON_AddItemToArray(list, random_port(rng, style));
    }
    return rule;
}

static void add_rules(struct rng *rng, const cJSON *world, const struct style *style, cJSON *spec)
{
    static const char *const keys[] = {"ingress", "egress"};
    static const char *const peer_keys[] = {"from", "to"};

    for (unsigned int i = 0; i < 2; i++) {
        cJSON *list;

        if (rng_chance(rng, 35))
            continue;
        list = cJSON_AddArrayToObject(spec, keys[i]);
        for (unsigned int count = rng_below(rng, 4); count; count--)
            cJSON_AddItemToArray(list, random_rule(rng, world, style, peer_keys[i]));
    }
}

static void add_policy_types(struct rng *rng, cJSON *spec, bool must)
{
    static const char *const names[] = {"Ingress", "Egress"};
    unsigned int form = rng_below(rng, 6);
    cJSON *list;

    if (!must && form == 5)
        return;
    list = cJSON_AddArrayToObject(spec, "policyTypes");
    if (form < 2 || (must && form == 5))
        cJSON_AddItemToArray(list, cJSON_CreateString(names[form & 1]));
    else if (form < 4 || must)
        for (unsigned int i = 0; i < 2; i++)
            cJSON_AddItemToArray(list, cJSON_CreateString(names[(form + i) & 1]));
}

/* ---- policies ------------------------------------------------------------------------------- */

/* Mostly one that has pods. NULL: the object states none. */
static const char *random_home(struct rng *rng, const cJSON *world)
{
    const cJSON *pods = cJSON_GetObjectItemCaseSensitive(world, "pods");
    unsigned int count = (unsigned int)cJSON_GetArraySize(pods);
    const cJSON *pod;

    if (rng_chance(rng, 5))
        return NULL;
    if (count == 0 || rng_chance(rng, 20))
        return RNG_PICK(rng, random_namespaces);
    pod = cJSON_GetArrayItem(pods, (int)rng_below(rng, count));
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(pod, "ns"));
}

static cJSON *random_network_policy(struct rng *rng, const cJSON *world, unsigned int number)
{
    static const struct style style = {0};
    cJSON *policy =
        random_object("networking.k8s.io/v1", "NetworkPolicy", random_home(rng, world), number);
    cJSON *spec = cJSON_AddObjectToObject(policy, "spec");

    random_annotation(rng, policy);
    if (!rng_chance(rng, 5))
        cJSON_AddItemToObject(spec, "podSelector", random_selector(rng, false));
    add_rules(rng, world, &style, spec);
    if (rng_chance(rng, 50))
        add_policy_types(rng, spec, false);
    return policy;
}

static void add_expiry(struct rng *rng, cJSON *spec)
{
    static const int offsets[] = {-100000, -1, 0, 1, 60, 100000};
    static const int zones[] = {0, 0, 2, -7};
    int zone = RNG_PICK(rng, zones);
    time_t when = RANDOM_NOW + RNG_PICK(rng, offsets) + zone * 3600;
    char text[64], whole[96];
    struct tm tm;

    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", gmtime_r(&when, &tm));
    if (zone == 0)
        snprintf(whole, sizeof(whole), "%s%s", text, rng_chance(rng, 20) ? ".5Z" : "Z");
    else
        snprintf(whole, sizeof(whole), "%s%c%02d:00", text, zone < 0 ? '-' : '+',
                 zone < 0 ? -zone : zone);
    cJSON_AddStringToObject(spec, "expiresAt", whole);
}

static cJSON *random_segment_policy(struct rng *rng, const cJSON *world, unsigned int number,
                                    bool cluster)
{
    static const struct style style = {.segment = true};
    cJSON *policy =
        random_object("podfence.io/v1alpha1", cluster ? "ClusterSegmentPolicy" : "SegmentPolicy",
                      cluster ? NULL : random_home(rng, world), number);
    cJSON *spec = cJSON_AddObjectToObject(policy, "spec");
    cJSON *scope;

    cJSON_AddStringToObject(spec, "mode", rng_chance(rng, 60) ? "Allowlist" : "Denylist");
    if (rng_chance(rng, 70))
        cJSON_AddStringToObject(spec, "enforcement", rng_chance(rng, 70) ? "Enforce" : "Audit");
    scope = cJSON_AddObjectToObject(spec, "appliesTo");
    if (rng_chance(rng, 80))
        cJSON_AddItemToObject(scope, "podSelector", random_selector(rng, false));
    if (cluster && rng_chance(rng, 60))
        cJSON_AddItemToObject(scope, "namespaceSelector", random_selector(rng, true));
    add_rules(rng, world, &style, spec);
    if (!cJSON_GetObjectItemCaseSensitive(spec, "ingress") &&
        !cJSON_GetObjectItemCaseSensitive(spec, "egress"))
        add_policy_types(rng, spec, true);
    else if (rng_chance(rng, 25))
        add_policy_types(rng, spec, false);
    if (rng_chance(rng, 15))
        add_expiry(rng, spec);
    return policy;
}

cJSON *random_policy(struct rng *rng, const cJSON *world, unsigned int number)
{
    unsigned int kind = rng_below(rng, 10);

    if (kind < 4)
        return random_network_policy(rng, world, number);
    if (kind < 7)
        return random_cluster_policy(rng, world, number);
    return random_segment_policy(rng, world, number, kind == 9);
}

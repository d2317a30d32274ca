/* SPDX-License-Identifier: Apache-2.0 */
/* Policies of the usual shapes, in the shares that clusters have them. */
#include "lib/base/memory.h"
#include "test/bench/world.h"

#define CLUSTER_POLICIES 10u /* at most */
#define POD_NET_SECOND   64u

enum shape {
    SHAPE_DENY,       /* default deny of the namespace */
    SHAPE_DNS,        /* egress to the DNS server */
    SHAPE_MONITORING, /* prometheus of any namespace, on the port metrics */
    SHAPE_APP,        /* app from app of the same namespace, on a port */
    SHAPE_TEAM,       /* app from all pods of a team's namespaces */
    SHAPE_EGRESS,     /* app to app of the same namespace */
    SHAPE_WORLD,      /* egress to the Internet, private ranges excepted */
    SHAPE_OFFICE,     /* a block of an office */
    SHAPE_RANGE,      /* a range of ports */
    SHAPE_NAMED,      /* a port by name */
    SHAPE_SEGMENT,    /* SegmentPolicy: Allowlist, Denylist, Audit in turn */
};

/* The first policies of a namespace, then this cycle. */
static const enum shape first_shapes[] = {SHAPE_DENY, SHAPE_DNS, SHAPE_MONITORING};
static const enum shape cycle[] = {
    SHAPE_APP,   SHAPE_APP,        SHAPE_EGRESS, SHAPE_APP,  SHAPE_TEAM,   SHAPE_WORLD,
    SHAPE_APP,   SHAPE_NAMED,      SHAPE_APP,    SHAPE_APP,  SHAPE_OFFICE, SHAPE_EGRESS,
    SHAPE_APP,   SHAPE_RANGE,      SHAPE_APP,    SHAPE_TEAM, SHAPE_WORLD,  SHAPE_APP,
    SHAPE_NAMED, SHAPE_MONITORING, SHAPE_APP,    SHAPE_TEAM, SHAPE_EGRESS, SHAPE_SEGMENT};

static const unsigned int ports[] = {8080, 9000, 5432, 6379, 8443, 9092, 3000, 443};

/* Where a policy of a namespace stands. */
struct place {
    unsigned int space;
    enum shape shape;
    unsigned int app;  /* that it selects */
    unsigned int peer; /* app */
    unsigned int port;
};

static unsigned int cluster_policies(const struct bench_world *world)
{
    unsigned int count = 2 + world->policies / 1000;

    return count < CLUSTER_POLICIES ? count : CLUSTER_POLICIES;
}

static struct place place_of(const struct bench_world *world, const struct bench_policy *policy)
{
    unsigned int number = policy->index - cluster_policies(world);
    unsigned int spaces = world->policies / 5;
    unsigned int slot, turn;
    struct place place = {0};

    if (spaces > BENCH_NAMESPACES)
        spaces = BENCH_NAMESPACES;
    place.space = number % spaces;
    slot = number / spaces;
    turn = slot - (unsigned int)FENCE_ARRAY_SIZE(first_shapes);
    place.shape = slot < FENCE_ARRAY_SIZE(first_shapes)
                      ? first_shapes[slot]
                      : cycle[(turn + place.space) % FENCE_ARRAY_SIZE(cycle)];
    /* one that selects a pod here where there is one, then all apps in turns */
    place.app = turn == 0 ? bench_local_app(world, place.space) : turn + 3 * place.space;
    place.app %= bench_apps(world);
    place.peer = place.app + 1 + bench_mix(policy->index) % 7 + policy->peer_step;
    place.peer %= bench_apps(world);
    place.port =
        ports[(bench_mix(policy->index) / 7 + policy->port_step) % FENCE_ARRAY_SIZE(ports)];
    return place;
}

bool bench_policy_app_rule(const struct bench_world *world, const struct bench_policy *policy,
                           struct bench_app_rule *ret_rule)
{
    struct place place;

    if (policy->index < cluster_policies(world))
        return false;
    place = place_of(world, policy);
    *ret_rule = (struct bench_app_rule){place.space, place.app, place.peer, place.port};
    return place.shape == SHAPE_APP;
}

/* ---- namespaced policies -------------------------------------------------------------------- */

static void begin(FILE *out, unsigned int index, unsigned int space, const char *app)
{
    char name[32];

    fprintf(out,
            "{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\","
            "\"metadata\":{\"name\":\"policy-%05u\",\"namespace\":\"%s\"},"
            "\"spec\":{\"podSelector\":{",
            index, bench_namespace_name(space, name));
    if (app)
        fprintf(out, "\"matchLabels\":{\"app\":\"%s\"}", app);
    fprintf(out, "},");
}

static void write_segment(FILE *out, const struct place *place, unsigned int index)
{
    static const char *const modes[] = {"Allowlist", "Denylist", "Allowlist"};
    static const char *const enforcements[] = {"Enforce", "Enforce", "Audit"};
    char name[32];

    fprintf(out,
            "{\"apiVersion\":\"podfence.io/v1alpha1\",\"kind\":\"SegmentPolicy\","
            "\"metadata\":{\"name\":\"segment-%05u\",\"namespace\":\"%s\"},\"spec\":{"
            "\"mode\":\"%s\",\"enforcement\":\"%s\",\"appliesTo\":{\"podSelector\":{"
            "\"matchLabels\":{\"app\":\"%s\"}}},\"ingress\":[{\"from\":[{\"podSelector\":{"
            "\"matchLabels\":{\"app\":\"%s\"}}}],\"ports\":[{\"protocol\":\"TCP\",\"port\":%u}]}]}"
            "}",
            index, bench_namespace_name(place->space, name), modes[index % 3],
            enforcements[index % 3], bench_app_name(place->app), bench_app_name(place->peer),
            place->port);
}

/* What follows the selector, for the shapes that concern a whole namespace. */
static void write_namespace_rules(FILE *out, enum shape shape, unsigned int space)
{
    if (shape == SHAPE_DENY)
        fprintf(out, "\"policyTypes\":[\"Ingress\"%s]}}", space % 2 ? ",\"Egress\"" : "");
    else if (shape == SHAPE_DNS)
        fprintf(out, "\"policyTypes\":[\"Egress\"],\"egress\":[{\"to\":[{\"namespaceSelector\":{"
                     "\"matchLabels\":{\"kubernetes.io/metadata.name\":\"kube-system\"}},"
                     "\"podSelector\":{\"matchLabels\":{\"app\":\"kube-dns\"}}}],"
                     "\"ports\":[{\"protocol\":\"UDP\",\"port\":53},"
                     "{\"protocol\":\"TCP\",\"port\":53}]}]}}");
    else
        fprintf(out, "\"policyTypes\":[\"Ingress\"],\"ingress\":[{\"from\":[{"
                     "\"namespaceSelector\":{},\"podSelector\":{\"matchLabels\":{"
                     "\"app\":\"prometheus\"}}}],"
                     "\"ports\":[{\"protocol\":\"TCP\",\"port\":\"metrics\"}]}]}}");
}

static void write_block_rules(FILE *out, enum shape shape, unsigned int index)
{
    if (shape == SHAPE_WORLD)
        fprintf(out, "\"policyTypes\":[\"Egress\"],\"egress\":[{\"to\":[{\"ipBlock\":{"
                     "\"cidr\":\"0.0.0.0/0\",\"except\":[\"10.0.0.0/8\",\"172.16.0.0/12\","
                     "\"192.168.0.0/16\"]}}],\"ports\":[{\"protocol\":\"TCP\",\"port\":443}]}]}}");
    else
        fprintf(out,
                "\"policyTypes\":[\"Ingress\"],\"ingress\":[{\"from\":[{\"ipBlock\":{"
                "\"cidr\":\"203.0.113.%u/27\"}}],"
                "\"ports\":[{\"protocol\":\"TCP\",\"port\":443}]}]}}",
                index % 8 * 32);
}

static void write_app_rules(FILE *out, const struct place *place)
{
    const char *peer = bench_app_name(place->peer);

    if (place->shape == SHAPE_EGRESS)
        fprintf(out, "\"policyTypes\":[\"Egress\"],\"egress\":[{\"to\":[{");
    else
        fprintf(out, "\"policyTypes\":[\"Ingress\"],\"ingress\":[{\"from\":[{");
    if (place->shape == SHAPE_TEAM)
        fprintf(out, "\"namespaceSelector\":{\"matchLabels\":{\"team\":\"team-%02u\"}}",
                (place->space + place->port + place->peer) % 20);
    else
        fprintf(out, "\"podSelector\":{\"matchLabels\":{\"app\":\"%s\"}}", peer);
    fprintf(out, "}],\"ports\":[{\"protocol\":\"TCP\",");
    if (place->shape == SHAPE_NAMED)
        fprintf(out, "\"port\":\"http\"");
    else if (place->shape == SHAPE_RANGE)
        fprintf(out, "\"port\":30000,\"endPort\":%u", 30100 + place->port % 100);
    else
        fprintf(out, "\"port\":%u", place->port);
    fprintf(out, "}]}]}}");
}

void bench_block_policy_write(FILE *out, unsigned int number, unsigned int label_set)
{
    /* the first /24 of a node's /21 is where its pods are, then the next */
    unsigned int node = 1 + number % (BENCH_NODES - 1);
    unsigned int third = node * 8 + number / (BENCH_NODES - 1) % 4;

    begin(out, 90000 + number, bench_namespace_of(label_set),
          bench_app_name(bench_app_of(label_set)));
    fprintf(out,
            "\"policyTypes\":[\"Ingress\"],\"ingress\":[{\"from\":[{\"ipBlock\":{"
            "\"cidr\":\"10.%u.%u.0/24\"}}],\"ports\":[{\"protocol\":\"TCP\",\"port\":7000}]}]}}",
            POD_NET_SECOND + third / 256, third % 256);
}

/* ---- cluster-wide policies ------------------------------------------------------------------ */

static void write_cluster(FILE *out, unsigned int index)
{
    static const struct {
        const char *tier;
        const char *rest;
    } specs[] = {
        /* what is under development reaches nothing in production */
        {"Admin", "\"subject\":{\"namespaces\":{\"matchLabels\":{\"env\":\"prod\"}}},"
                  "\"ingress\":[{\"action\":\"Deny\",\"from\":[{\"namespaces\":{"
                  "\"matchLabels\":{\"env\":\"dev\"}}}]}]"},
        /* by default no one of another stage reaches databases */
        {"Baseline", "\"subject\":{\"pods\":{\"namespaceSelector\":{},\"podSelector\":{"
                     "\"matchLabels\":{\"tier\":\"data\"}}}},\"ingress\":[{\"action\":\"Deny\","
                     "\"from\":[{\"namespaces\":{\"matchLabels\":{\"env\":\"stage\"}}}]}]"},
        /* nobody reads the cloud's instance metadata */
        {"Admin", "\"subject\":{\"namespaces\":{}},\"egress\":[{\"action\":\"Deny\",\"to\":[{"
                  "\"networks\":[\"169.254.169.254/32\"]}]}]"},
        /* monitoring reaches everyone's metrics */
        {"Admin", "\"subject\":{\"namespaces\":{}},\"ingress\":[{\"action\":\"Accept\","
                  "\"from\":[{\"namespaces\":{\"matchLabels\":{"
                  "\"kubernetes.io/metadata.name\":\"monitoring\"}}}],\"protocols\":[{\"tcp\":{"
                  "\"destinationPort\":{\"number\":9100}}}]}]"},
    };

    fprintf(out,
            "{\"apiVersion\":\"policy.networking.k8s.io/v1alpha2\","
            "\"kind\":\"ClusterNetworkPolicy\",\"metadata\":{\"name\":\"cluster-%02u\"},"
            "\"spec\":{\"tier\":\"%s\",\"priority\":%u,%s}}",
            index, specs[index % FENCE_ARRAY_SIZE(specs)].tier, 10 + index,
            specs[index % FENCE_ARRAY_SIZE(specs)].rest);
}

void bench_policy_write(FILE *out, const struct bench_world *world,
                        const struct bench_policy *policy)
{
    struct place place;

    if (policy->index < cluster_policies(world)) {
        write_cluster(out, policy->index);
        return;
    }
    place = place_of(world, policy);
    if (place.shape == SHAPE_SEGMENT) {
        write_segment(out, &place, policy->index);
        return;
    }
    begin(out, policy->index, place.space,
          place.shape <= SHAPE_MONITORING ? NULL : bench_app_name(place.app));
    if (place.shape <= SHAPE_MONITORING)
        write_namespace_rules(out, place.shape, place.space);
    else if (place.shape == SHAPE_WORLD || place.shape == SHAPE_OFFICE)
        write_block_rules(out, place.shape, policy->index);
    else
        write_app_rules(out, &place);
}

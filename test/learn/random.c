/* SPDX-License-Identifier: Apache-2.0 */
#include "test/learn/random.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "test/cmocka.h"

#include "lib/base/memory.h"

const unsigned int random_protocols[RANDOM_PROTOCOLS] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP,
                                                         IPPROTO_ICMP, 47};

/* Names that collide, that are missing, that YAML would take for something else. */
static const char *const label_sets[] = {
    "app=web",
    "app=web,tier=a",
    "app=api,k8s-app=web",
    "k8s-app=web",
    "app.kubernetes.io/name=web",
    "app=,k8s-app=api",
    "role=db",
    "role=db,tier=a",
    "",
    "app=true",
    "app=1e3,pod-template-hash=x9",
    "app=Front_End.v2",
    "app=front-end-v2",
    "role=db,helm.sh/chart=db-1",
};
static const char *const namespaces[] = {"shop", "on"};

unsigned int random_port(unsigned int protocol, unsigned int number)
{
    if (protocol == IPPROTO_ICMP)
        return number << 8;
    return protocol == 47 ? 0 : RANDOM_BASE + number;
}

static void make_ends(struct rng *rng, struct random_world *world)
{
    for (unsigned int i = 0; i < RANDOM_ENDS; i++) {
        struct random_end *end = &world->ends[i];
        char addr[32];

        if (i < RANDOM_PODS) {
            snprintf(end->name, sizeof(end->name), "p%u", i);
            snprintf(addr, sizeof(addr), "10.88.0.%u", i + 2);
            end->namespace_name = RNG_PICK(rng, namespaces);
            assert_int_equal(fence_labels_parse(RNG_PICK(rng, label_sets), &end->labels, NULL), 0);
        } else {
            snprintf(addr, sizeof(addr), "192.0.2.%u", i);
            snprintf(end->name, sizeof(end->name), "%s", addr);
        }
        assert_int_equal(fence_addr_parse(addr, &end->addr.addr), 0);
        end->addr.length = 128;
    }
}

static void print_pod(FILE *out, const struct random_end *end, unsigned int number)
{
    fprintf(out,
            "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: %s\n  namespace: \"%s\"\n"
            "  labels:\n",
            end->name, end->namespace_name);
    for (size_t i = 0; i < end->labels.count; i++)
        fprintf(out, "    \"%s\": \"%s\"\n", end->labels.items[i].key, end->labels.items[i].value);
    fprintf(out, "spec: { nodeName: n1 }\nstatus: { podIPs: [ { ip: 10.88.0.%u } ] }\n",
            number + 2);
}

static void print_objects(struct random_world *world)
{
    size_t size = 0;
    FILE *out = open_memstream(&world->objects, &size);

    assert_non_null(out);
    fputs("apiVersion: v1\nkind: Node\nmetadata: { name: n1 }\nspec: { podCIDR: 10.88.0.0/24 }\n"
          "status: { addresses: [ { type: InternalIP, address: 198.51.100.1 } ] }\n",
          out);
    for (unsigned int i = 0; i < RANDOM_PODS; i++)
        print_pod(out, &world->ends[i], i);
    assert_int_equal(fclose(out), 0);
}

static struct fence_learn_end as_end(const struct random_end *end, bool known)
{
    if (end->namespace_name)
        return (struct fence_learn_end){.kind = FENCE_LEARN_WORKLOAD,
                                        .namespace_name = end->namespace_name,
                                        .app = "",
                                        .labels = &end->labels};
    return (struct fence_learn_end){.kind = FENCE_LEARN_RESERVED,
                                    .reserved = FENCE_IDENTITY_WORLD,
                                    .addrs = &end->addr,
                                    .addr_count = known};
}

static void add_flow(struct rng *rng, struct random_world *world)
{
    unsigned int from = rng_below(rng, RANDOM_ENDS);
    unsigned int to = rng_below(rng, from < RANDOM_PODS ? RANDOM_ENDS : RANDOM_PODS);
    struct fence_learn_flow flow = {
        .source = as_end(&world->ends[from], rng_chance(rng, 90)),
        .destination = as_end(&world->ends[to], rng_chance(rng, 90)),
        .protocol = random_protocols[rng_below(rng, RANDOM_PROTOCOLS)],
        .reason = FENCE_REASON_NOT_ISOLATED,
        .count = 1 + rng_below(rng, 9),
        .first_seen = 1000 + rng_below(rng, 1000),
        .last_seen = 2000 + rng_below(rng, 1000),
    };

    if (from == to)
        return;
    flow.port = (uint16_t)random_port(flow.protocol, rng_below(rng, RANDOM_PORTS));
    for (unsigned int direction = 0; direction < FENCE_DIRECTIONS; direction++) {
        const struct random_end *end = &world->ends[direction == FENCE_EGRESS ? from : to];

        if (!end->namespace_name)
            continue;
        flow.direction = direction;
        world->flows[world->flow_count++] = flow;
    }
}

void random_make(struct rng *rng, struct random_world *world)
{
    *world = (struct random_world){0};
    make_ends(rng, world);
    print_objects(world);
    for (unsigned int i = 0; i < RANDOM_FLOWS; i++)
        add_flow(rng, world);
}

void random_done(struct random_world *world)
{
    for (unsigned int i = 0; i < RANDOM_ENDS; i++)
        fence_labels_done(&world->ends[i].labels);
    free(world->objects);
}

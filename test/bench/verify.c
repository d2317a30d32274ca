/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A second data path beside the first, with the same hash key, so that equal things have equal
 * hashes in both; a second engine brings it to the same objects at once.
 */
#include "test/bench/verify.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/hash.h"
#include "lib/base/memory.h"
#include "lib/datapath/probe.h"
#include "lib/datapath/read.h"
#include "lib/datapath/settings.h"
#include "lib/policy/evaluate.h"

#define PROBES    4000u
#define EVALUATED 40u /* the evaluator walks through all objects for each */

struct verify {
    const struct engine_parts *parts;
    const struct bench_changes *changes;
    const struct bench_locals *locals;
    const struct bench_world *world;
    struct fence_pins fresh;
    struct bench_verdict *verdict;
    struct fence_err *err;
};

/* ---- the fresh one -------------------------------------------------------------------------- */

static int copy_hash_key(struct verify *verify)
{
    struct fence_settings from, to;
    int r = fence_settings_read(verify->parts->pins, &from);

    if (r == 0)
        r = fence_settings_read(&verify->fresh, &to);
    if (r < 0)
        return fence_err_set(verify->err, r, "settings: %s", strerror(-r));
    memcpy(to.hash_key, from.hash_key, sizeof(to.hash_key));
    r = fence_settings_write(&verify->fresh, &to, verify->err);
    return r < 0 ? r : 0;
}

static int copy_endpoints(struct verify *verify)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < verify->locals->count; i++) {
        struct fence_endpoint_record record = verify->locals->records[i];

        record.endpoint.slot = 0;
        r = fence_endpoint_put(&verify->fresh, &record, verify->err);
    }
    return r;
}

static int make_fresh(struct verify *verify)
{
    struct engine_parts parts = *verify->parts;
    struct engine *engine = NULL;
    struct engine_cost cost = {0};
    int r = bench_node_load("fresh", &verify->fresh, verify->err);

    if (r == 0)
        r = copy_hash_key(verify);
    if (r == 0)
        r = copy_endpoints(verify);
    parts.pins = &verify->fresh;
    if (r == 0)
        r = engine_begin(&parts, &engine, verify->err);
    if (r == 0)
        r = engine_update(engine, verify->locals->items, verify->locals->count, &cost, verify->err);
    engine_end(&engine);
    return r;
}

/* ---- addresses ------------------------------------------------------------------------------ */

/* What an address leads to: a hash of the identity's content, or the number of a reserved one. */
static int identity_at(const struct fence_pins *pins, __u32 number, struct fence_hash *ret_content)
{
    struct fence_identity_info info;
    struct fence_peer peer;
    int r = fence_peer_read(pins, number, &peer);

    if (r < 0)
        return r;
    *ret_content = (struct fence_hash){{0, peer.identity}};
    if (peer.identity < FENCE_IDENTITY_FIRST)
        return 0;
    r = fence_identity_read(pins, peer.identity, &info);
    if (r == 0)
        memcpy(ret_content, info.content, sizeof(*ret_content));
    return r;
}

static int compare_address(void *context, const void *key, const void *value)
{
    struct verify *verify = context;
    struct fence_hash here, there;
    __u32 peer, other;

    memcpy(&other, value, sizeof(other));
    verify->verdict->addresses++;
    if (bpf_map_lookup_elem(verify->parts->pins->maps[FENCE_MAP_ADDRESSES], key, &peer) < 0 ||
        identity_at(verify->parts->pins, peer, &here) < 0 ||
        identity_at(&verify->fresh, other, &there) < 0 || memcmp(&here, &there, sizeof(here)) != 0)
        verify->verdict->strangers++;
    return 0;
}

static int compare_addresses(struct verify *verify)
{
    const struct bench_verdict *verdict = verify->verdict;
    size_t changed = verdict->changed.items[FENCE_MAP_ADDRESSES].used;
    size_t fresh = verdict->fresh.items[FENCE_MAP_ADDRESSES].used;
    int r =
        fence_map_each(&verify->fresh, FENCE_MAP_ADDRESSES, compare_address, verify, verify->err);

    /* all of the fresh ones are there; what is there beyond them is a stranger too */
    if (changed > fresh)
        verify->verdict->strangers += changed - fresh;
    return r;
}

/* ---- verdicts ------------------------------------------------------------------------------- */

/* For a pod of namespace `space`: somebody outside, one of the pods that were changed, any pod, and
 * in most cases one of its own namespace, for which there are the most rules. */
static struct fence_addr other_end(const struct bench_world *world, unsigned int space,
                                   unsigned int random)
{
    static const char *const outside[] = {"203.0.113.5",     "203.0.113.99", "8.8.8.8",
                                          "169.254.169.254", "10.200.0.1",   "192.168.0.7"};
    unsigned int choice = random / 8;
    struct bench_pod pod;
    struct fence_addr addr = {0};

    if (random % 8 == 0) {
        (void)fence_addr_parse(outside[choice % FENCE_ARRAY_SIZE(outside)], &addr);
        return addr;
    }
    if (random % 8 < 3)
        choice = world->pods - world->loose_pods + choice % (2 * world->loose_pods);
    else if (random % 8 == 3)
        choice = world->locals + choice % (world->pods - world->locals);
    else
        choice = world->locals + space +
                 choice % (world->label_sets / BENCH_NAMESPACES) * BENCH_NAMESPACES;
    pod = bench_pod_at(world, choice);
    return bench_pod_addr(&pod, AF_INET);
}

/* The second opinion, from the objects' own text. */
static int evaluate(struct verify *verify, const struct fence_addr *own,
                    const struct fence_packet *packet, enum fence_direction direction,
                    const struct fence_probe_result *result)
{
    char here[FENCE_ADDR_TEXT], there[FENCE_ADDR_TEXT];
    struct fence_query query = {.from = here, .to = there, .protocol = IPPROTO_TCP, .family = 4};
    struct fence_world world = {
        .locals = verify->locals->items,
        .local_count = verify->locals->count,
        .node_name = verify->parts->node_name,
        .host_addrs = verify->parts->host_addrs,
        .host_addr_count = verify->parts->host_addr_count,
        .now = 1,
    };
    struct fence_answer answer;
    int r;

    fence_addr_format(own, here);
    fence_addr_format(direction == FENCE_EGRESS ? &packet->destination : &packet->source, there);
    if (direction == FENCE_INGRESS) {
        query.from = there;
        query.to = here;
    }
    query.port = packet->destination_port;
    world.object_count = fence_store_objects(verify->parts->store, &world.objects);
    r = fence_evaluate(&world, &query, &answer, verify->err);
    if (r < 0)
        return r;
    verify->verdict->asked++;
    if (answer.sides[direction].verdict != result->verdict ||
        answer.sides[direction].shadow != result->shadow)
        verify->verdict->refuted++;
    return 0;
}

static bool differ(const struct fence_probe_result *a, const struct fence_probe_result *b)
{
    return a->verdict != b->verdict || a->reason != b->reason || a->shadow != b->shadow ||
           a->shadow_reason != b->shadow_reason;
}

static int ask_both(struct verify *verify, __u32 ifindex, enum fence_direction direction,
                    const struct fence_packet *packet, struct fence_probe_result *ret_changed)
{
    struct fence_probe_result fresh = {0};
    int r = fence_probe(verify->parts->pins, ifindex, direction, FENCE_ORIGIN_FORWARDED, packet,
                        ret_changed, verify->err);

    if (r == 0)
        r = fence_probe(&verify->fresh, ifindex, direction, FENCE_ORIGIN_FORWARDED, packet, &fresh,
                        verify->err);
    if (r < 0)
        return r;
    verify->verdict->probes++;
    verify->verdict->allowed += ret_changed->verdict == FENCE_ALLOW;
    verify->verdict->different += differ(ret_changed, &fresh);
    return 0;
}

/* One packet between a pod here and another end. */
struct question {
    unsigned int local;
    enum fence_direction direction;
    struct fence_addr other;
    unsigned int port;
};

static struct question random_question(const struct bench_world *world, unsigned int random)
{
    static const unsigned int ports[] = {8080, 9000, 5432, 6379, 8443,  9092,
                                         3000, 443,  9100, 7000, 30050, 53};
    struct question question = {
        .local = random % world->locals,
        .direction = random >> 8 & 1 ? FENCE_EGRESS : FENCE_INGRESS,
        .port = ports[(random >> 9) % FENCE_ARRAY_SIZE(ports)],
    };
    unsigned int space = bench_namespace_of(bench_pod_at(world, question.local).label_set);

    question.other = other_end(world, space, bench_mix(random));
    return question;
}

/* What a policy that was changed lets in now, or did before its port was changed. */
static struct question policy_question(const struct bench_changes *changes, unsigned int random)
{
    const struct bench_world *world = changes->world;
    struct bench_policy policy = changes->here[random % changes->here_count];
    struct question question = {.direction = FENCE_INGRESS};
    struct bench_app_rule rule;
    struct bench_pod pod;

    policy.port_step -= policy.port_step && random >> 8 & 1;
    (void)bench_policy_app_rule(world, &policy, &rule);
    question.local = bench_local_of(world, rule.space, rule.app);
    question.port = rule.port;
    pod = bench_pod_at(world, world->locals + rule.space + BENCH_NAMESPACES * rule.peer);
    question.other = bench_pod_addr(&pod, AF_INET);
    return question;
}

static int probe(struct verify *verify, unsigned int number)
{
    unsigned int random = bench_mix(number);
    struct question question = number % 2 ? random_question(verify->world, random)
                                          : policy_question(verify->changes, random);
    const struct fence_endpoint_record *record = &verify->locals->records[question.local];
    struct fence_packet packet = {
        .protocol = IPPROTO_TCP, .source_port = 40000, .destination_port = question.port};
    struct fence_probe_result changed = {0};
    int r;

    if (question.direction == FENCE_EGRESS)
        packet.destination = question.other;
    else
        packet.source = question.other;
    r = ask_both(verify, record->ifindex, question.direction, &packet, &changed);
    if (r < 0 || number % (PROBES / EVALUATED) > 1)
        return r;
    return evaluate(verify, &record->endpoint.addrs[0], &packet, question.direction, &changed);
}

int bench_verify(const struct engine_parts *parts, const struct bench_changes *changes,
                 struct bench_verdict *ret_verdict, struct fence_err *err)
{
    struct verify verify = {
        .parts = parts,
        .changes = changes,
        .locals = changes->locals,
        .world = changes->world,
        .verdict = ret_verdict,
        .err = err,
    };
    int r;

    *ret_verdict = (struct bench_verdict){0};
    fence_pins_init(&verify.fresh);
    bench_maps_read(parts->pins, &ret_verdict->changed);
    r = make_fresh(&verify);
    if (r == 0) {
        bench_maps_read(&verify.fresh, &ret_verdict->fresh);
        r = compare_addresses(&verify);
    }
    for (unsigned int i = 0; r == 0 && i < PROBES; i++)
        r = probe(&verify, i);
    fence_pins_close(&verify.fresh);
    return r < 0 ? fence_err_prefix(err, r, "verifying") : 0;
}

bool bench_verdict_is_good(const struct bench_verdict *verdict)
{
    static const enum fence_map same[] = {FENCE_MAP_ADDRESSES, FENCE_MAP_PREFIXES,
                                          FENCE_MAP_ENDPOINTS};

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(same); i++)
        if (verdict->changed.items[same[i]].used != verdict->fresh.items[same[i]].used)
            return false;
    return verdict->strangers == 0 && verdict->different == 0 && verdict->refuted == 0 &&
           verdict->addresses > 0 && verdict->allowed > 0 && verdict->allowed < verdict->probes;
}

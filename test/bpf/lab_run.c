/* SPDX-License-Identifier: Apache-2.0 */
/* Packets through the programs of the laboratory. */
#include <linux/pkt_cls.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "lib/base/addr.h"
#include "test/bpf/lab.h"
#include "test/cmocka.h"

static void read_counters(enum fence_direction direction, __u64 totals[FENCE_REASON_COUNT])
{
    int cpus = libbpf_num_possible_cpus();
    struct fence_counter *values = calloc((size_t)cpus, sizeof(*values));

    assert_non_null(values);
    for (__u32 reason = 0; reason < FENCE_REASON_COUNT; reason++) {
        __u32 index = reason * FENCE_DIRECTIONS + direction;

        totals[reason] = 0;
        assert_int_equal(bpf_map_lookup_elem(lab_map(FENCE_MAP_COUNTERS), &index, values), 0);
        for (int cpu = 0; cpu < cpus; cpu++)
            totals[reason] += values[cpu].packets;
    }
    free(values);
}

/* Those that are counted beside the verdict's own reason. */
static bool is_aside(unsigned int reason)
{
    return reason == FENCE_REASON_MASQUERADED || reason == FENCE_REASON_TABLE_FULL ||
           reason == FENCE_REASON_EVENT_LOST || reason == FENCE_REASON_EVENT_SUPPRESSED ||
           reason == FENCE_REASON_EVENT_SUMMED;
}

/* Where and how a frame is run. */
struct place {
    enum fence_direction direction; /* from the pod (egress) or to it */
    bool leaves;                    /* to_network instead */
    __u32 ifindex;
    __u32 ingress_ifindex;
    unsigned int segment; /* gso_size */
};

static int run_program(const struct place *place, const void *frame, size_t size)
{
    enum fence_prog hook =
        place->direction == FENCE_EGRESS ? FENCE_PROG_FROM_POD : FENCE_PROG_TO_POD;
    int program = lab_prog(place->leaves ? FENCE_PROG_TO_NETWORK : hook);
    struct __sk_buff context = {.ifindex = place->ifindex,
                                .ingress_ifindex = place->ingress_ifindex,
                                .gso_size = place->segment};
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (__u32)size,
                .ctx_in = &context, .ctx_size_in = sizeof(context), .repeat = 1);
    int r = bpf_prog_test_run_opts(program, &opts);

    if (r < 0)
        fail_msg("test run of %zu bytes: %s", size, strerror(-r));
    return (int)opts.retval;
}

static struct lab_result run_frame(struct place place, const void *frame, size_t size)
{
    __u64 before[FENCE_REASON_COUNT], after[FENCE_REASON_COUNT];
    struct lab_result result = {.reason = FENCE_REASON_NONE};

    read_counters(place.direction, before);
    result.passed = run_program(&place, frame, size) != TC_ACT_SHOT;
    read_counters(place.direction, after);
    result.masqueraded = after[FENCE_REASON_MASQUERADED] != before[FENCE_REASON_MASQUERADED];
    for (unsigned int i = 0; i < FENCE_REASON_COUNT; i++)
        if (after[i] != before[i] && !is_aside(i))
            result.reason = i;
    return result;
}

struct lab_result lab_run_frame(enum fence_direction direction, const void *frame, size_t size)
{
    return run_frame((struct place){.direction = direction, .ifindex = lab_ifindex()}, frame, size);
}

struct lab_result lab_run_segments(enum fence_direction direction, const void *frame, size_t size,
                                   unsigned int segment)
{
    return run_frame(
        (struct place){.direction = direction, .ifindex = lab_ifindex(), .segment = segment}, frame,
        size);
}

struct lab_result lab_run_leaving(struct fence_packet packet)
{
    unsigned char frame[FENCE_PACKET_MAX];

    return run_frame(
        (struct place){.direction = FENCE_EGRESS, .leaves = true, .ifindex = lab_second_ifindex()},
        frame, fence_packet_build(&packet, frame));
}

bool lab_run_quietly(enum fence_direction direction, const void *frame, size_t size)
{
    struct place place = {.direction = direction, .ifindex = lab_ifindex()};

    return run_program(&place, frame, size) != TC_ACT_SHOT;
}

struct lab_result lab_run(enum fence_direction direction, struct fence_packet packet)
{
    unsigned char frame[FENCE_PACKET_MAX];

    return lab_run_frame(direction, frame, fence_packet_build(&packet, frame));
}

struct lab_result lab_run_arrived(struct fence_packet packet, __u32 by)
{
    unsigned char frame[FENCE_PACKET_MAX];

    return run_frame(
        (struct place){.direction = FENCE_INGRESS, .ifindex = lab_ifindex(), .ingress_ifindex = by},
        frame, fence_packet_build(&packet, frame));
}

struct lab_result lab_run_forwarded(struct fence_packet packet)
{
    return lab_run_arrived(packet, lab_second_ifindex());
}

struct lab_result lab_run_second(enum fence_direction direction, struct fence_packet packet)
{
    unsigned char frame[FENCE_PACKET_MAX];

    return run_frame((struct place){.direction = direction, .ifindex = lab_second_ifindex()}, frame,
                     fence_packet_build(&packet, frame));
}

struct fence_probe_result lab_probe(enum fence_direction direction, enum fence_origin origin,
                                    struct fence_packet packet)
{
    int program =
        lab_prog(direction == FENCE_EGRESS ? FENCE_PROG_PROBE_FROM_POD : FENCE_PROG_PROBE_TO_POD);
    unsigned char frame[FENCE_PACKET_MAX];
    size_t size = fence_packet_build(&packet, frame);
    struct fence_prog_context context = {.ifindex = lab_ifindex(), .cb = {origin}};
    const __u32 *cb = context.cb;
    struct fence_err err = {""};

    if (fence_prog_run(program, &context, frame, size, &err) < 0)
        fail_msg("%s", err.text);
    return (struct fence_probe_result){
        .verdict = (__u8)cb[FENCE_PROBE_VERDICT],
        .reason = (__u8)(cb[FENCE_PROBE_VERDICT] >> 8),
        .shadow = (__u8)(cb[FENCE_PROBE_VERDICT] >> 16),
        .shadow_reason = (__u8)(cb[FENCE_PROBE_VERDICT] >> 24),
        .rule = cb[FENCE_PROBE_RULE],
        .shadow_rule = cb[FENCE_PROBE_SHADOW_RULE],
        .peer = cb[FENCE_PROBE_PEER],
        .set = cb[FENCE_PROBE_SET],
    };
}

struct fence_packet lab_packet(enum fence_direction direction, struct fence_addr remote,
                               unsigned int protocol, unsigned int source_port,
                               unsigned int destination_port)
{
    struct fence_addr pod = lab_pod(fence_addr_is_ipv4(&remote) ? 4 : 6);
    bool sent = direction == FENCE_EGRESS;
    struct fence_packet packet = {
        .source = sent ? pod : remote,
        .destination = sent ? remote : pod,
        .protocol = protocol,
        .source_port = source_port,
        .destination_port = destination_port,
    };

    memcpy(packet.source_mac, sent ? lab_pod_mac : lab_gateway_mac, 6);
    memcpy(packet.destination_mac, sent ? lab_gateway_mac : lab_pod_mac, 6);
    return packet;
}

void lab_expect(const char *what, struct lab_result result, bool passed, int reason)
{
    if (result.passed != passed || (reason >= 0 && result.reason != (unsigned int)reason))
        fail_msg("%s: %s for reason %u, expected %s for %d", what,
                 result.passed ? "passed" : "dropped", result.reason, passed ? "passed" : "dropped",
                 reason);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets of every kind, judged by the data path and read by test/bpf/reference.c, which knows the
 * RFCs and not the data path. What the data path judges must be the tuple that the reference finds;
 * everything else it must drop with a reason of its own.
 *
 * Each packet is judged twice: where all is denied, the event says what tuple was seen; where one
 * port is allowed, the verdict says what was made of it. FENCE_SEED and FENCE_PACKETS choose the
 * random packets; a failure prints the seed of its sequence.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/bpf/frame.h"
#include "test/bpf/generate.h"
#include "test/bpf/reference.h"
#include "test/cmocka.h"

#define PACKETS 300000

static struct ring_buffer *ring;
static struct fence_event last_event;
static unsigned int event_count;
static struct fence_counter *counters; /* one a CPU */
static int cpus;

/* A packet on its way through both. */
struct check {
    const unsigned char *frame;
    size_t size;
    unsigned long long seed; /* of its sequence, 0 = made by no chance */
    struct reference expected;
    enum fence_direction direction;
    unsigned int segment;
};

static int take_event(void *context, void *data, size_t size)
{
    const struct fence_event *event = data;

    (void)context;
    assert_true(size >= sizeof(*event));
    if (event->type == FENCE_EVENT_DROP) {
        last_event = *event;
        event_count++;
    }
    return 0;
}

static int setup(void **state)
{
    if (lab_setup(state) < 0)
        return -1;
    lab_reset();
    cpus = libbpf_num_possible_cpus();
    counters = calloc((size_t)cpus, sizeof(*counters));
    ring = ring_buffer__new(lab_map(FENCE_MAP_EVENTS), take_event, NULL, NULL);
    return ring && counters ? 0 : -1;
}

static int teardown(void **state)
{
    ring_buffer__free(ring);
    free(counters);
    return lab_teardown(state);
}

static void fail_check(const struct check *check, const char *what)
{
    print_error("seed %llu, %s, %zu bytes, segment %u: %s\n", check->seed,
                check->direction == FENCE_EGRESS ? "from the pod" : "to the pod", check->size,
                check->segment, what);
    print_error("reference: kind %d fragment %d protocol %u ports %u %u, odd: %s, why: %s\n",
                check->expected.kind, check->expected.fragment, check->expected.protocol,
                check->expected.source_port, check->expected.destination_port,
                check->expected.odd ? check->expected.odd : "-",
                check->expected.why ? check->expected.why : "-");
    print_error("event: reason %u protocol %u ports %u %u\n", last_event.reason,
                last_event.protocol, last_event.source_port, last_event.destination_port);
    for (size_t i = 0; i < check->size; i++)
        print_error("%02x%s", check->frame[i], i % 16 == 15 ? "\n" : " ");
    fail_msg("%s", what);
}

static bool run(const struct check *check)
{
    if (check->segment)
        return lab_run_segments(check->direction, check->frame, check->size, check->segment).passed;
    return lab_run_quietly(check->direction, check->frame, check->size);
}

static bool is_icmp(unsigned int protocol)
{
    return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

/* The data path writes an ICMP reply as the request that it answers. */
static unsigned int request_of(unsigned int protocol, unsigned int port)
{
    unsigned int type = port >> 8, code = port & 0xff;

    if (protocol == IPPROTO_ICMPV6)
        return (type == 129 ? 128 : type) << 8 | code;
    if (type == 0)
        return 8 << 8 | code;
    return (type == 14 || type == 16 || type == 18 ? type - 1 : type) << 8 | code;
}

static bool is_port(unsigned int protocol, unsigned int seen, unsigned int expected)
{
    return seen == expected || (is_icmp(protocol) && seen == request_of(protocol, expected));
}

static bool is_tuple(const struct fence_event *event, const struct reference *expected)
{
    return event->protocol == expected->protocol &&
           memcmp(&event->source, &expected->source, sizeof(event->source)) == 0 &&
           memcmp(&event->destination, &expected->destination, sizeof(event->destination)) == 0 &&
           is_port(expected->protocol, event->destination_port, expected->destination_port) &&
           (is_icmp(expected->protocol) || event->source_port == expected->source_port);
}

/* What endpoint.bpf.h has against it, whatever its tuple; bpf.source is about that. */
static bool is_forged(const struct check *check)
{
    const struct reference *expected = &check->expected;
    struct fence_addr own[] = {lab_pod(4), lab_pod(6)};
    const struct fence_addr *local =
        check->direction == FENCE_EGRESS ? &expected->source : &expected->destination;
    bool dhcp = expected->protocol == IPPROTO_UDP &&
                (expected->source_port == 67 || expected->source_port == 547 ||
                 expected->destination_port == 68 || expected->destination_port == 546);

    return dhcp ||
           memcmp(check->frame + 6,
                  check->direction == FENCE_EGRESS ? lab_pod_mac : lab_gateway_mac, 6) != 0 ||
           (memcmp(local, &own[0], sizeof(own[0])) != 0 &&
            memcmp(local, &own[1], sizeof(own[1])) != 0);
}

/* How often a packet was dropped because no rule allows it. */
static __u64 count_judged(enum fence_direction direction)
{
    __u32 index = FENCE_REASON_NO_RULE * FENCE_DIRECTIONS + direction;
    __u64 total = 0;

    assert_int_equal(bpf_map_lookup_elem(lab_map(FENCE_MAP_COUNTERS), &index, counters), 0);
    for (int cpu = 0; cpu < cpus; cpu++)
        total += counters[cpu].packets;
    return total;
}

static __u32 find_ifindex(void)
{
    __u32 ifindex;

    assert_int_equal(bpf_map_get_next_key(lab_map(FENCE_MAP_ENDPOINTS), NULL, &ifindex), 0);
    return ifindex;
}

/* Equal events are told a few times a second: forget those that this packet should make. */
static void forget_events(const struct check *check)
{
    bool egress = check->direction == FENCE_EGRESS;
    struct fence_event_key key = {
        .ifindex = find_ifindex(),
        .reason = FENCE_REASON_NO_RULE,
        .direction = (__u8)check->direction,
        .protocol = (__u8)check->expected.protocol,
        .remote = egress ? check->expected.destination : check->expected.source,
        .port = check->expected.destination_port,
    };

    bpf_map_delete_elem(lab_map(FENCE_MAP_EVENT_LIMITS), &key);
    if (is_icmp(check->expected.protocol)) {
        key.port = request_of(check->expected.protocol, check->expected.destination_port);
        bpf_map_delete_elem(lab_map(FENCE_MAP_EVENT_LIMITS), &key);
    }
}

/* Under a policy that denies all the event tells what was seen. What is wrong, or NULL. */
static const char *check_tuple(const struct check *check)
{
    const struct reference *expected = &check->expected;
    __u64 before = count_judged(check->direction);
    bool passed, judged;

    forget_events(check);
    ring_buffer__consume(ring); /* of what came before */
    event_count = 0;
    memset(&last_event, 0, sizeof(last_event));
    passed = run(check);
    if (expected->kind == REFERENCE_ARP || expected->neighbour)
        return NULL;
    if (passed)
        return "passed where everything is denied";
    judged = count_judged(check->direction) != before;
    if (expected->kind != REFERENCE_TUPLE)
        return judged ? "judged though it has no tuple" : NULL;
    if (!judged)
        return expected->odd || is_forged(check) ? NULL : "refused though it is clear";
    ring_buffer__consume(ring);
    if ((event_count == 1 && is_tuple(&last_event, expected)) ||
        (expected->odd && expected->fragment == REFERENCE_LATER))
        return NULL;
    return "judged as another tuple";
}

/* ---- under a policy that allows one port ------------------------------------------------------
 */

static bool is_friend(const struct fence_addr *addr)
{
    struct fence_addr friends[] = {lab_friend(4), lab_friend(6)};

    return memcmp(addr, &friends[0], sizeof(*addr)) == 0 ||
           memcmp(addr, &friends[1], sizeof(*addr)) == 0;
}

/* The strict set of the lab, read from its contract. */
static bool is_allowed(enum fence_direction direction, const struct reference *packet)
{
    bool egress = direction == FENCE_EGRESS;
    bool data = packet->fragment != REFERENCE_LATER && packet->protocol == IPPROTO_TCP &&
                (packet->tcp_flags & FENCE_TCP_ACK) && !(packet->tcp_flags & FENCE_TCP_SYN);

    if (packet->kind != REFERENCE_TUPLE ||
        !is_friend(egress ? &packet->destination : &packet->source))
        return false;
    if (packet->protocol != IPPROTO_TCP && packet->protocol != IPPROTO_UDP &&
        packet->protocol != IPPROTO_SCTP)
        return false;
    /* a segment of a connection whose entry was lost */
    if (data && packet->source_port == (egress ? 80 : 443))
        return true;
    return packet->destination_port == (egress ? 443 : 80);
}

/* Same tuple as one that has passed: its entry lets it through. */
static bool continues(const struct check *checks, size_t count, const bool *passed)
{
    const struct reference *packet = &checks[count].expected;

    for (size_t i = 0; i < count; i++)
        if (passed[i] && packet->protocol == checks[i].expected.protocol &&
            packet->source_port == checks[i].expected.source_port &&
            packet->destination_port == checks[i].expected.destination_port)
            return true;
    return false;
}

static const char *check_verdict(const struct check *checks, size_t count, bool *passed)
{
    const struct check *check = &checks[count];
    const struct reference *expected = &check->expected;
    bool allowed = is_allowed(check->direction, expected);

    passed[count] = run(check);
    if (expected->kind == REFERENCE_ARP || expected->neighbour)
        return NULL;
    if (passed[count] && expected->kind == REFERENCE_REFUSE)
        return "passed though it has no tuple";
    if (passed[count] && !allowed && !continues(checks, count, passed) &&
        !(expected->odd && expected->fragment == REFERENCE_LATER))
        return "passed though its port is denied";
    if (!passed[count] && allowed && !expected->odd && !is_forged(check))
        return "dropped though its port is allowed";
    return NULL;
}

/* First fragments that the sequence has left. */
static void forget_fragments(const struct check *checks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct reference *first = &checks[i].expected;
        struct fence_fragment_key key = {
            .ifindex = find_ifindex(),
            .id = first->id,
            .source = first->source,
            .destination = first->destination,
            .protocol = first->protocol,
            .direction = checks[i].direction,
        };

        if (first->fragment == REFERENCE_FIRST)
            bpf_map_delete_elem(lab_map(FENCE_MAP_FRAGMENTS), &key);
    }
}

/* The whole sequence, under both policies; *ret_index = whose packet is wrong. */
static const char *try_sequence(struct check *checks, size_t count, size_t *ret_index)
{
    bool passed[GENERATE_SEQUENCE_MAX] = {false};
    const char *wrong = NULL;

    forget_fragments(checks, count);
    lab_use_set(LAB_SET_CLOSED);
    for (size_t i = 0; i < count && !wrong; i++) {
        wrong = check_tuple(&checks[i]);
        *ret_index = i;
    }
    forget_fragments(checks, count);
    lab_use_set(LAB_SET_STRICT);
    for (size_t i = 0; i < count && !wrong; i++) {
        wrong = check_verdict(checks, i, passed);
        *ret_index = i;
    }
    return wrong;
}

/* What other sequences have left (entries, fragments with that number) may be why it is wrong: then
 * once more with nothing left. */
static void check_sequence(struct check *checks, size_t count)
{
    struct reference_memory memory = {.count = 0};
    const char *wrong;
    size_t index = 0;

    for (size_t i = 0; i < count; i++)
        checks[i].expected =
            reference_follow(&memory, checks[i].frame, checks[i].size, checks[i].segment != 0);
    wrong = try_sequence(checks, count, &index);
    if (wrong) {
        lab_reset();
        wrong = try_sequence(checks, count, &index);
    }
    if (wrong)
        fail_check(&checks[index], wrong);
}

static void check_frame(enum fence_direction direction, const struct frame *frame)
{
    struct check check = {.direction = direction, .frame = frame->bytes, .size = frame->size};

    check_sequence(&check, 1);
}

/* ---- one after the other ------------------------------------------------------------------- */

/* The headers of a chain, one letter each: o IPv4 options, h r d a IPv6 extensions, f fragment. */
static struct frame build_chain(int family, unsigned int protocol, const char *chain)
{
    static const unsigned char nops[8] = {1, 1, 1, 1, 1, 1, 1, 0};
    struct frame frame = frame_from_friend(family, protocol, 80);

    for (; *chain; chain++) {
        if (*chain == 'o')
            frame_options(&frame, nops, sizeof(nops));
        else if (*chain == 'f')
            frame_fragment(&frame, family, (struct frame_part){.id = 1, .more = true});
        else
            frame_extension(&frame,
                            *chain == 'h'   ? IPPROTO_HOPOPTS
                            : *chain == 'r' ? IPPROTO_ROUTING
                            : *chain == 'd' ? IPPROTO_DSTOPTS
                                            : IPPROTO_AH,
                            NULL);
    }
    return frame;
}

/* Cut at every byte, first with the length that it had, then with the one that it has. */
static void test_every_truncation(void **state)
{
    static const char *const chains[2][8] = {{"", "o", "f", "fo", "ooo", "oooo", "foo", "ooof"},
                                             {"", "h", "f", "fd", "dfh", "drh", "afrh", "daddd"}};
    static const unsigned int protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_ICMP};

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(protocols) * 2 * 8; i++) {
        int family = i & 1 ? 6 : 4;
        unsigned int protocol = protocols[i / 16];
        struct frame whole =
            build_chain(family, protocol == IPPROTO_ICMP ? frame_icmp(family) : protocol,
                        chains[i & 1][i / 2 % 8]);

        for (size_t size = FRAME_ETHERNET + frame_ip_size(family); size <= whole.size; size++) {
            struct frame frame = whole;

            frame.size = size;
            check_frame(FENCE_INGRESS, &frame);
            frame_fit(&frame, family);
            check_frame(FENCE_INGRESS, &frame);
            /* the rest is there, but as padding of the frame */
            frame.size = whole.size;
            check_frame(FENCE_INGRESS, &frame);
        }
    }
}

static void test_every_protocol(void **state)
{
    (void)state;
    for (unsigned int protocol = 0; protocol < 256; protocol++)
        for (int family = 4; family <= 6; family += 2) {
            struct frame frame = frame_from_friend(family, IPPROTO_UDP, 80);

            frame.bytes[FRAME_ETHERNET + (family == 4 ? 9 : 6)] = (unsigned char)protocol;
            check_frame(FENCE_INGRESS, &frame);
            frame_fragment(&frame, family, (struct frame_part){.id = 1, .more = true});
            check_frame(FENCE_INGRESS, &frame);
            frame = frame_from_friend(family, IPPROTO_UDP, 80);
            frame.bytes[FRAME_ETHERNET + (family == 4 ? 9 : 6)] = (unsigned char)protocol;
            frame_fragment(&frame, family, (struct frame_part){.id = 1, .offset = 64});
            check_frame(FENCE_INGRESS, &frame);
        }
}

/* Every kind of option with every length that it may claim, in front of the ports of a denied and
 * of an allowed connection. */
static void test_every_option(void **state)
{
    (void)state;
    for (unsigned int type = 0; type < 256; type++)
        for (unsigned int length = 0; length <= 41; length += type % 8 ? 5 : 1) {
            unsigned char option[40] = {(unsigned char)type, (unsigned char)length};
            struct frame frame = frame_from_friend(4, IPPROTO_TCP, 80 + (type + length) % 2);

            for (size_t i = 2; i + 4 <= sizeof(option); i += 4)
                memcpy(option + i, (const unsigned char[4]){0x9c, 0x40, 0, 80}, 4);
            frame_options(&frame, option, sizeof(option));
            check_frame(FENCE_INGRESS, &frame);
        }
}

/* What the first byte of the header and the TCP header may claim. */
static void test_every_version_and_header_length(void **state)
{
    (void)state;
    for (unsigned int byte = 0; byte < 256; byte++) {
        for (int family = 4; family <= 6; family += 2) {
            struct frame frame = frame_from_friend(family, IPPROTO_TCP, 80);

            frame.bytes[FRAME_ETHERNET] = (unsigned char)byte;
            check_frame(FENCE_INGRESS, &frame);
            frame = frame_from_friend(family, IPPROTO_TCP, 80);
            frame.bytes[FRAME_ETHERNET + frame_ip_size(family) + 12] = (unsigned char)byte;
            check_frame(FENCE_INGRESS, &frame);
            frame = frame_from_friend(family, IPPROTO_TCP, 81);
            frame.bytes[FRAME_ETHERNET + frame_ip_size(family) + 13] = (unsigned char)byte;
            check_frame(FENCE_INGRESS, &frame);
        }
    }
}

/* ---- random -----------------------------------------------------------------------------------
 */

static unsigned long long from_environment(const char *name, unsigned long long otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void test_random_packets(void **state)
{
    unsigned long long seed = from_environment("FENCE_SEED", 1);
    unsigned long long wanted = from_environment("FENCE_PACKETS", PACKETS);
    static struct generated packets[GENERATE_SEQUENCE_MAX];

    (void)state;
    for (unsigned long long done = 0; done < wanted; seed++) {
        struct rng rng = {.state = seed};
        enum fence_direction direction = rng_chance(&rng, 50) ? FENCE_EGRESS : FENCE_INGRESS;
        struct check checks[GENERATE_SEQUENCE_MAX];
        size_t count = generate_sequence(&rng, direction, packets);

        for (size_t i = 0; i < count; i++)
            checks[i] = (struct check){.direction = direction,
                                       .frame = packets[i].frame.bytes,
                                       .size = packets[i].frame.size,
                                       .segment = packets[i].segment,
                                       .seed = seed};
        check_sequence(checks, count);
        done += count;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_every_protocol),
        cmocka_unit_test(test_every_option),
        cmocka_unit_test(test_every_version_and_header_length),
        cmocka_unit_test(test_random_packets),
    };

    return cmocka_run_group_tests_name("bpf.parse-random", tests, setup, teardown);
}

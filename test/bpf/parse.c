/* SPDX-License-Identifier: Apache-2.0 */
/* bpf/parse.bpf.h: what is not understood is refused. Frames are built, then damaged. */
#include <netinet/in.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/bpf/lab.h"
#include "test/cmocka.h"

#define ETHERNET 14u

struct frame {
    unsigned char bytes[FENCE_PACKET_MAX];
    size_t size;
};

static struct frame build(int family, unsigned int protocol, unsigned int port)
{
    struct fence_packet packet =
        lab_packet(FENCE_INGRESS, lab_friend(family), protocol, 40000, port);
    struct frame frame = {.size = 0};

    packet.payload = 64;
    frame.size = fence_packet_build(&packet, frame.bytes);
    return frame;
}

static void set16(struct frame *frame, size_t at, unsigned int value)
{
    frame->bytes[at] = (unsigned char)(value >> 8);
    frame->bytes[at + 1] = (unsigned char)value;
}

/* Make room for `count` bytes at `at`, filled with `fill`. */
static void insert(struct frame *frame, size_t at, size_t count, unsigned char fill)
{
    memmove(frame->bytes + at + count, frame->bytes + at, frame->size - at);
    memset(frame->bytes + at, fill, count);
    frame->size += count;
}

static struct lab_result run(const struct frame *frame)
{
    return lab_run_frame(FENCE_INGRESS, frame->bytes, frame->size);
}

static void test_link_layer(void **state)
{
    static const unsigned int refused[] = {0x8847, 0x8863, 0x88cc, 0x22f3, 0x0005, 0x86de};
    struct frame frame;

    (void)state;
    lab_reset();
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(refused); i++) {
        frame = build(4, IPPROTO_TCP, 80);
        set16(&frame, 12, refused[i]);
        lab_expect("ethertype", run(&frame), false, FENCE_REASON_ETHERTYPE);
    }
    frame = build(4, IPPROTO_TCP, 80);
    insert(&frame, 12, 4, 0);
    set16(&frame, 12, 0x88a8);
    lab_expect("802.1ad tag", run(&frame), false, FENCE_REASON_VLAN);
    frame = build(4, IPPROTO_TCP, 80);
    insert(&frame, 12, 4, 0);
    set16(&frame, 12, 0x8100);
    lab_expect("VLAN 0", run(&frame), false, FENCE_REASON_VLAN);
    insert(&frame, 12, 4, 0);
    set16(&frame, 12, 0x8100);
    lab_expect("two of VLAN 0", run(&frame), false, FENCE_REASON_VLAN);
}

static void test_ipv4_options_do_not_shift_ports(void **state)
{
    struct frame frame = build(4, IPPROTO_TCP, 80);

    (void)state;
    lab_reset();
    insert(&frame, ETHERNET + 20, 8, 1); /* no-operations */
    frame.bytes[ETHERNET] = 0x47;
    set16(&frame, ETHERNET + 2, (unsigned int)(frame.size - ETHERNET));
    lab_expect("an allowed port behind options", run(&frame), true, FENCE_REASON_RULE);

    lab_reset();
    frame = build(4, IPPROTO_TCP, 81);
    insert(&frame, ETHERNET + 20, 8, 1);
    frame.bytes[ETHERNET] = 0x47;
    set16(&frame, ETHERNET + 2, (unsigned int)(frame.size - ETHERNET));
    set16(&frame, ETHERNET + 20, 40000); /* options that look like 40000 -> 80 */
    set16(&frame, ETHERNET + 22, 80);
    lab_expect("options that look like an allowed port", run(&frame), false, FENCE_REASON_NO_RULE);
}

static void test_lengths(void **state)
{
    struct frame frame;

    (void)state;
    lab_reset();
    for (int family = 4; family <= 6; family += 2) {
        size_t header = family == 4 ? 20 : 40;
        size_t full = ETHERNET + header + 20;

        /* the kernel itself refuses a test run without the whole IP header */
        for (size_t size = ETHERNET + header; size < full; size++) {
            frame = build(family, IPPROTO_TCP, 80);
            frame.size = size;
            lab_expect("cut short", run(&frame), false, FENCE_REASON_TRUNCATED);
        }
        /* the headers are there, but behind the end that the IP header states */
        frame = build(family, IPPROTO_TCP, 80);
        set16(&frame, ETHERNET + (family == 4 ? 2 : 4), family == 4 ? 20 + 8 : 8);
        lab_expect("ports behind the end", run(&frame), false, FENCE_REASON_TRUNCATED);
        frame = build(family, IPPROTO_TCP, 80);
        set16(&frame, ETHERNET + (family == 4 ? 2 : 4), 60000);
        lab_expect("longer than the frame", run(&frame), false, FENCE_REASON_TRUNCATED);
    }
    frame = build(4, IPPROTO_TCP, 80);
    frame.bytes[ETHERNET] = 0x44;
    lab_expect("header length 16", run(&frame), false, FENCE_REASON_BAD_HEADER);
    frame = build(4, IPPROTO_TCP, 80);
    frame.bytes[ETHERNET] = 0x65;
    lab_expect("version 6 in IPv4", run(&frame), false, FENCE_REASON_BAD_HEADER);
    frame = build(4, IPPROTO_TCP, 80);
    frame.bytes[ETHERNET + 20 + 12] = 0x40;
    lab_expect("TCP header of 16 bytes", run(&frame), false, FENCE_REASON_BAD_HEADER);
}

static void test_ipv4_fragments(void **state)
{
    struct frame frame;

    (void)state;
    lab_reset();
    frame = build(4, IPPROTO_UDP, 80);
    set16(&frame, ETHERNET + 4, 7777);
    set16(&frame, ETHERNET + 6, 10);
    lab_expect("a later one without the first", run(&frame), false, FENCE_REASON_FRAGMENT_ORPHAN);
    set16(&frame, ETHERNET + 6, 0x2000);
    lab_expect("the first", run(&frame), true, FENCE_REASON_RULE);
    set16(&frame, ETHERNET + 6, 10);
    lab_expect("the later one", run(&frame), true, FENCE_REASON_ESTABLISHED);
    set16(&frame, ETHERNET + 4, 7778);
    lab_expect("a later one of another datagram", run(&frame), false, FENCE_REASON_FRAGMENT_ORPHAN);

    frame = build(4, IPPROTO_UDP, 81);
    set16(&frame, ETHERNET + 4, 7779);
    set16(&frame, ETHERNET + 6, 0x2000);
    lab_expect("the first of a denied one", run(&frame), false, FENCE_REASON_NO_RULE);
    set16(&frame, ETHERNET + 6, 10);
    set16(&frame, ETHERNET + 22, 80); /* payload that looks like the allowed port */
    lab_expect("the later one of a denied one", run(&frame), false, FENCE_REASON_NO_RULE);

    frame = build(4, IPPROTO_TCP, 80);
    set16(&frame, ETHERNET + 6, 0x2000);
    set16(&frame, ETHERNET + 2, 20 + 8);
    frame.size = ETHERNET + 20 + 8;
    lab_expect("a first one without the whole TCP header", run(&frame), false,
               FENCE_REASON_FRAGMENT_BAD);
    frame = build(4, IPPROTO_TCP, 80);
    set16(&frame, ETHERNET + 6, 1);
    lab_expect("a later one that rewrites the TCP header", run(&frame), false,
               FENCE_REASON_FRAGMENT_BAD);
}

/* Put an extension header of 8 bytes in front of the transport header. */
static void add_extension(struct frame *frame, unsigned char type)
{
    unsigned char next = frame->bytes[ETHERNET + 6];

    insert(frame, ETHERNET + 40, 8, 0);
    frame->bytes[ETHERNET + 40] = next;
    frame->bytes[ETHERNET + 6] = type;
    set16(frame, ETHERNET + 4, (unsigned int)(frame->size - ETHERNET - 40));
}

static void test_ipv6_extensions(void **state)
{
    static const unsigned char types[] = {IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS};
    struct frame frame;

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(types); i++) {
        lab_reset();
        frame = build(6, IPPROTO_TCP, 80);
        add_extension(&frame, types[i]);
        lab_expect("one extension", run(&frame), true, FENCE_REASON_RULE);
        frame = build(6, IPPROTO_TCP, 81);
        add_extension(&frame, types[i]);
        lab_expect("one extension, other port", run(&frame), false, FENCE_REASON_NO_RULE);
    }
    frame = build(6, IPPROTO_TCP, 80);
    for (int i = 0; i < 10; i++)
        add_extension(&frame, IPPROTO_DSTOPTS);
    lab_expect("ten extensions", run(&frame), false, FENCE_REASON_BAD_EXTENSION);
    frame = build(6, IPPROTO_TCP, 80);
    add_extension(&frame, IPPROTO_DSTOPTS);
    frame.bytes[ETHERNET + 41] = 255;
    lab_expect("an extension beyond the packet", run(&frame), false, FENCE_REASON_BAD_EXTENSION);
}

static void test_ipv6_fragments(void **state)
{
    struct frame frame;

    (void)state;
    lab_reset();
    frame = build(6, IPPROTO_UDP, 80);
    add_extension(&frame, IPPROTO_FRAGMENT);
    lab_expect("an atomic fragment", run(&frame), true, FENCE_REASON_RULE);
    set16(&frame, ETHERNET + 42, 1);
    set16(&frame, ETHERNET + 46, 99);
    lab_expect("the first", run(&frame), true, FENCE_REASON_ESTABLISHED);
    set16(&frame, ETHERNET + 42, 64);
    lab_expect("a later one", run(&frame), true, FENCE_REASON_ESTABLISHED);
    set16(&frame, ETHERNET + 46, 98);
    lab_expect("a later one without the first", run(&frame), false, FENCE_REASON_FRAGMENT_ORPHAN);
    frame = build(6, IPPROTO_UDP, 80);
    add_extension(&frame, IPPROTO_FRAGMENT);
    add_extension(&frame, IPPROTO_FRAGMENT);
    lab_expect("a fragment of a fragment", run(&frame), false, FENCE_REASON_BAD_EXTENSION);
}

/* A jumbo option states a length that no field can hold (RFC 2675): such a packet fits no link
 * here. Segments that the stack has put together may state length 0, packets may not. */
static void test_jumbograms_and_segments(void **state)
{
    static const unsigned char jumbo[6] = {0xc2, 4, 0, 1, 0, 0};
    struct frame frame = build(6, IPPROTO_TCP, 80);

    (void)state;
    lab_reset();
    add_extension(&frame, IPPROTO_HOPOPTS);
    memcpy(frame.bytes + ETHERNET + 42, jumbo, sizeof(jumbo));
    set16(&frame, ETHERNET + 4, 0);
    lab_expect("a jumbogram", run(&frame), false, FENCE_REASON_TRUNCATED);
    lab_expect("segments with a jumbo option",
               lab_run_segments(FENCE_INGRESS, frame.bytes, frame.size, 40), true,
               FENCE_REASON_RULE);
    for (int family = 4; family <= 6; family += 2) {
        for (unsigned int port = 80; port <= 81; port++) {
            bool allowed = port == 80;

            lab_reset();
            frame = build(family, IPPROTO_TCP, port);
            set16(&frame, ETHERNET + (family == 4 ? 2 : 4), 0);
            lab_expect("a packet of length 0", run(&frame), false, -1);
            lab_expect("segments of length 0",
                       lab_run_segments(FENCE_INGRESS, frame.bytes, frame.size, 40), allowed,
                       allowed ? FENCE_REASON_RULE : FENCE_REASON_NO_RULE);
        }
    }
}

/* ::ffff:10.244.2.5 on the wire must not pass for 10.244.2.5. */
static void test_mapped_addresses_on_the_wire(void **state)
{
    static const unsigned char mapped[16] = {0, 0, 0,    0,    0,  0,   0, 0,
                                             0, 0, 0xff, 0xff, 10, 244, 2, 5};
    struct frame frame = build(6, IPPROTO_TCP, 80);

    (void)state;
    lab_reset();
    memcpy(frame.bytes + ETHERNET + 8, mapped, sizeof(mapped));
    lab_expect("a mapped source", run(&frame), false, FENCE_REASON_MARTIAN);
}

static void test_icmp_of_the_other_family(void **state)
{
    struct frame frame = build(4, IPPROTO_ICMP, 8 << 8);

    (void)state;
    lab_reset();
    lab_use_set(LAB_SET_OPEN);
    frame.bytes[ETHERNET + 9] = IPPROTO_ICMPV6;
    lab_expect("ICMPv6 in IPv4", run(&frame), false, FENCE_REASON_BAD_HEADER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_link_layer),
        cmocka_unit_test(test_ipv4_options_do_not_shift_ports),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_ipv4_fragments),
        cmocka_unit_test(test_ipv6_extensions),
        cmocka_unit_test(test_ipv6_fragments),
        cmocka_unit_test(test_jumbograms_and_segments),
        cmocka_unit_test(test_mapped_addresses_on_the_wire),
        cmocka_unit_test(test_icmp_of_the_other_family),
    };

    return cmocka_run_group_tests_name("bpf.parse", tests, lab_setup, lab_teardown);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* bpf/endpoint.bpf.h: a pod sends as itself only; ARP and neighbour discovery keep working. */
#include <bpf/bpf.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/bpf/frame.h"
#include "test/bpf/lab.h"
#include "test/cmocka.h"

#define ETHERNET 14u

static struct lab_result send_from(struct fence_addr source, unsigned int protocol,
                                   unsigned int source_port, unsigned int destination_port)
{
    bool ipv4 = source.words[2] == htonl(0xffff) && source.words[0] == 0;
    struct fence_packet packet =
        lab_packet(FENCE_EGRESS, lab_world(ipv4 ? 4 : 6), protocol, source_port, destination_port);

    packet.source = source;
    return lab_run(FENCE_EGRESS, packet);
}

static void test_addresses(void **state)
{
    static const struct {
        const char *source;
        bool passed;
        int reason;
    } rows[] = {
        {"10.244.1.5", true, FENCE_REASON_RULE},
        {"fd00:10:244:1::5", true, FENCE_REASON_RULE},
        {"fe80::ff:fe00:a", true, FENCE_REASON_RULE}, /* EUI-64 of 02:00:00:00:00:0a */
        {"10.244.1.6", false, FENCE_REASON_SPOOFED_ADDRESS},
        {"10.244.2.5", false, FENCE_REASON_SPOOFED_ADDRESS},
        {"10.244.1.1", false, FENCE_REASON_SPOOFED_ADDRESS},
        {"0.0.0.0", false, FENCE_REASON_SPOOFED_ADDRESS},
        {"fd00:10:244:2::5", false, FENCE_REASON_SPOOFED_ADDRESS},
        {"fe80::1", false, FENCE_REASON_SPOOFED_ADDRESS},
        {"::", false, FENCE_REASON_SPOOFED_ADDRESS},
        {"127.0.0.1", false, FENCE_REASON_MARTIAN},
        {"224.0.0.1", false, FENCE_REASON_MARTIAN},
        {"::1", false, FENCE_REASON_MARTIAN},
        {"ff02::1", false, FENCE_REASON_MARTIAN},
    };

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        lab_reset();
        lab_use_set(LAB_SET_OPEN);
        lab_expect(rows[i].source, send_from(lab_addr(rows[i].source), IPPROTO_UDP, 1000, 2000),
                   rows[i].passed, rows[i].reason);
    }
}

static void test_loopback_destination(void **state)
{
    struct fence_packet packet =
        lab_packet(FENCE_EGRESS, lab_addr("127.0.0.1"), IPPROTO_TCP, 1000, 2000);

    (void)state;
    lab_reset();
    lab_use_set(LAB_SET_OPEN);
    lab_expect("to 127.0.0.1", lab_run(FENCE_EGRESS, packet), false, FENCE_REASON_MARTIAN);
    packet = lab_packet(FENCE_EGRESS, lab_addr("::1"), IPPROTO_TCP, 1000, 2000);
    lab_expect("to ::1", lab_run(FENCE_EGRESS, packet), false, FENCE_REASON_MARTIAN);
}

/* What an error quotes is no packet that passed: nothing is remembered of its addresses. */
static void test_quoted_loopback(void **state)
{
    static const char *const loopback[] = {"127.0.0.1", "::1"};
    unsigned char inner[FENCE_PACKET_MAX], frame[FENCE_PACKET_MAX];

    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        const struct fence_addr inside = lab_addr(loopback[family == 6]);
        struct fence_packet packet = lab_packet(FENCE_EGRESS, inside, IPPROTO_TCP, 1000, 2000);
        const size_t size = fence_packet_build(&packet, inner) - FRAME_ETHERNET;
        const size_t head = FRAME_ETHERNET + (family == 4 ? 20 : 40) + 8;
        struct fence_packet error = lab_packet(FENCE_INGRESS, lab_world(family),
                                               family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, 0,
                                               family == 4 ? 0x0304 : 0x0200);
        size_t whole;

        lab_reset();
        lab_use_set(LAB_SET_OPEN);
        error.payload = (unsigned int)size;
        whole = fence_packet_build(&error, frame);
        memcpy(frame + head, inner + FRAME_ETHERNET, size);
        (void)lab_run_frame(FENCE_INGRESS, frame, whole);
        lab_expect("to a loopback that was quoted", lab_run(FENCE_EGRESS, packet), false,
                   FENCE_REASON_MARTIAN);
    }
}

static void test_mac_and_modes(void **state)
{
    struct fence_packet packet = lab_packet(FENCE_EGRESS, lab_world(4), IPPROTO_UDP, 1000, 2000);
    struct fence_endpoint endpoint;

    (void)state;
    lab_reset();
    lab_use_set(LAB_SET_OPEN);
    packet.source_mac[5] ^= 1;
    lab_expect("another MAC", lab_run(FENCE_EGRESS, packet), false, FENCE_REASON_SPOOFED_MAC);
    endpoint = lab_endpoint();
    endpoint.flags = FENCE_EP_SOURCE_REPORT;
    lab_endpoint_write(&endpoint);
    assert_true(lab_run(FENCE_EGRESS, packet).passed);
    endpoint.flags = FENCE_EP_SOURCE_OFF;
    lab_endpoint_write(&endpoint);
    packet.destination_port++;
    lab_expect("checks off", lab_run(FENCE_EGRESS, packet), true, FENCE_REASON_RULE);
}

static void test_dhcp_server(void **state)
{
    (void)state;
    lab_reset();
    lab_use_set(LAB_SET_OPEN);
    lab_expect("DHCP answer", send_from(lab_pod(4), IPPROTO_UDP, 67, 68), false,
               FENCE_REASON_DHCP_SERVER);
    lab_expect("DHCPv6 answer", send_from(lab_pod(6), IPPROTO_UDP, 547, 546), false,
               FENCE_REASON_DHCP_SERVER);
    lab_expect("DHCP question", send_from(lab_pod(4), IPPROTO_UDP, 68, 67), true,
               FENCE_REASON_RULE);
}

/* ---- ARP ------------------------------------------------------------------------------------ */

static size_t build_arp(unsigned char *frame, const unsigned char *mac, const char *addr)
{
    static const unsigned char fixed[8] = {0, 1, 8, 0, 6, 4, 0, 2};
    struct fence_addr sender = lab_addr(addr);

    memset(frame, 0xff, 42);
    memcpy(frame + 6, lab_pod_mac, 6);
    frame[12] = 0x08;
    frame[13] = 0x06;
    memcpy(frame + 14, fixed, sizeof(fixed));
    memcpy(frame + 22, mac, 6);
    memcpy(frame + 28, sender.bytes + 12, 4);
    return 42;
}

static void test_arp(void **state)
{
    unsigned char frame[64];
    size_t size;

    (void)state;
    lab_reset();
    lab_use_set(LAB_SET_CLOSED);
    size = build_arp(frame, lab_pod_mac, "10.244.1.5");
    lab_expect("its own", lab_run_frame(FENCE_EGRESS, frame, size), true, FENCE_REASON_NEIGHBOUR);
    size = build_arp(frame, lab_pod_mac, "0.0.0.0");
    lab_expect("a probe", lab_run_frame(FENCE_EGRESS, frame, size), true, FENCE_REASON_NEIGHBOUR);
    size = build_arp(frame, lab_pod_mac, "10.244.1.1");
    lab_expect("the gateway's", lab_run_frame(FENCE_EGRESS, frame, size), false,
               FENCE_REASON_SPOOFED_ARP);
    size = build_arp(frame, lab_gateway_mac, "10.244.1.5");
    lab_expect("another MAC inside", lab_run_frame(FENCE_EGRESS, frame, size), false,
               FENCE_REASON_SPOOFED_ARP);
    lab_expect("cut short", lab_run_frame(FENCE_EGRESS, frame, 30), false, FENCE_REASON_TRUNCATED);
    size = build_arp(frame, lab_gateway_mac, "10.244.1.1");
    lab_expect("towards the pod", lab_run_frame(FENCE_INGRESS, frame, size), true,
               FENCE_REASON_NEIGHBOUR);
}

/* ---- neighbour discovery -------------------------------------------------------------------- */

/* An ICMPv6 message with a target address behind its first eight bytes, and options. */
struct nd {
    unsigned int type;
    unsigned int hop_limit;
    unsigned int options; /* bytes */
    const char *source;
    const char *destination;
    const char *target;
};

static size_t build_nd_message(unsigned char *frame, const struct nd *nd)
{
    struct fence_packet packet =
        lab_packet(FENCE_EGRESS, lab_addr(nd->destination), IPPROTO_ICMPV6, 0, nd->type << 8);
    struct fence_addr addr = lab_addr(nd->target);
    size_t size;

    packet.source = lab_addr(nd->source);
    packet.payload = 16 + nd->options;
    size = fence_packet_build(&packet, frame);
    frame[ETHERNET + 7] = (unsigned char)nd->hop_limit;
    memcpy(frame + ETHERNET + 40 + 8, addr.bytes, 16);
    return size;
}

static size_t build_nd(unsigned char *frame, unsigned int type, const char *source,
                       const char *target)
{
    const struct nd nd = {.type = type,
                          .hop_limit = type == 143 ? 1 : 255,
                          .source = source,
                          .destination = "ff02::1",
                          .target = target};

    return build_nd_message(frame, &nd);
}

static void test_neighbour_discovery(void **state)
{
    static const struct {
        const char *what;
        unsigned int type;
        const char *source, *target;
        bool passed;
        int reason;
    } rows[] = {
        {"solicitation", 135, "fd00:10:244:1::5", "fd00:10:244:1::1", true, FENCE_REASON_NEIGHBOUR},
        {"duplicate detection", 135, "::", "fd00:10:244:1::5", true, FENCE_REASON_NEIGHBOUR},
        {"duplicate detection of another's", 135, "::", "fd00:10:244:1::6", false,
         FENCE_REASON_SPOOFED_ND},
        {"advertisement", 136, "fd00:10:244:1::5", "fd00:10:244:1::5", true,
         FENCE_REASON_NEIGHBOUR},
        {"advertisement of the link-local", 136, "fe80::ff:fe00:a", "fe80::ff:fe00:a", true,
         FENCE_REASON_NEIGHBOUR},
        {"advertisement of the gateway", 136, "fd00:10:244:1::5", "fd00:10:244:1::1", false,
         FENCE_REASON_SPOOFED_ND},
        {"from the gateway", 135, "fd00:10:244:1::1", "fd00:10:244:1::5", false,
         FENCE_REASON_SPOOFED_ADDRESS},
        {"router solicitation", 133, "fe80::ff:fe00:a", "::", true, FENCE_REASON_NEIGHBOUR},
        {"router advertisement", 134, "fe80::ff:fe00:a", "::", false,
         FENCE_REASON_ROUTER_ADVERTISEMENT},
        {"redirect", 137, "fe80::ff:fe00:a", "::", false, FENCE_REASON_ROUTER_ADVERTISEMENT},
        {"multicast report", 143, "::", "::", true, FENCE_REASON_NEIGHBOUR},
    };
    unsigned char frame[FENCE_PACKET_MAX];

    (void)state;
    lab_reset();
    lab_use_set(LAB_SET_CLOSED);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        size_t size = build_nd(frame, rows[i].type, rows[i].source, rows[i].target);

        lab_expect(rows[i].what, lab_run_frame(FENCE_EGRESS, frame, size), rows[i].passed,
                   rows[i].reason);
    }
    build_nd(frame, 135, "fd00:10:244:1::5", "fd00:10:244:1::1");
    frame[ETHERNET + 7] = 64;
    lab_expect("from another link", lab_run_frame(FENCE_EGRESS, frame, ETHERNET + 64), false,
               FENCE_REASON_BAD_HEADER);
}

#define OWN     "fd00:10:244:1::5"
#define GATEWAY "fd00:10:244:1::1"
#define LINK    "fe80::ff:fe00:a"
#define FAR     "2001:db8::7" /* the world, beyond every link */
#define UNKNOWN "fd00:77::9"  /* nobody's: of no link that we know, and not of the world */
static const struct {
    const char *what;
    struct nd nd;
    bool passed;
    int reason;
} neighbour_rows[] = {
    {"probe of a known neighbour",
     {135, 255, 24, OWN, GATEWAY, GATEWAY},
     true,
     FENCE_REASON_NEIGHBOUR},
    {"probe of an unknown one", {135, 255, 8, OWN, UNKNOWN, UNKNOWN}, true, FENCE_REASON_NEIGHBOUR},
    {"answer to an unknown one", {136, 255, 8, OWN, UNKNOWN, OWN}, true, FENCE_REASON_NEIGHBOUR},
    {"data to an unknown one",
     {135, 255, 16, OWN, UNKNOWN, UNKNOWN},
     false,
     FENCE_REASON_PEER_PENDING},
    {"probe of the world", {135, 255, 8, OWN, FAR, FAR}, false, FENCE_REASON_NO_RULE},
    {"data to a known one", {135, 255, 400, OWN, GATEWAY, GATEWAY}, false, FENCE_REASON_NO_RULE},
    {"answer for another", {136, 255, 8, OWN, FAR, GATEWAY}, false, FENCE_REASON_SPOOFED_ND},
    {"multicast report", {143, 1, 0, LINK, "ff02::16", "::"}, true, FENCE_REASON_NEIGHBOUR},
    {"multicast report to the world", {143, 1, 0, LINK, FAR, "::"}, false, FENCE_REASON_NO_RULE},
    {"multicast report that could be routed",
     {143, 64, 0, LINK, "ff02::16", "::"},
     false,
     FENCE_REASON_NO_RULE},
    {"multicast report from a routable address",
     {143, 1, 0, OWN, "ff02::16", "::"},
     false,
     FENCE_REASON_NO_RULE},
};

/* Types that pass under any policy must not carry data elsewhere. */
static void test_neighbour_types_stay_on_the_link(void **state)
{
    struct fence_prefix_key unknown = {.length = 32, .addr = lab_addr("fd00:77::")};
    struct lab_interval pending = {0, FENCE_DENY, FENCE_REASON_PEER_PENDING, 0};
    __u32 peer = FENCE_PEER_PENDING;
    unsigned char frame[FENCE_PACKET_MAX];

    (void)state;
    lab_reset();
    lab_use_set(LAB_SET_CLOSED);
    lab_table(LAB_SET_CLOSED, FENCE_PEER_PENDING, FENCE_EGRESS, &pending, 1);
    assert_int_equal(bpf_map_update_elem(lab_map(FENCE_MAP_PREFIXES), &unknown, &peer, 0), 0);
    lab_raise_epoch();
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(neighbour_rows); i++) {
        size_t size = build_nd_message(frame, &neighbour_rows[i].nd);

        lab_expect(neighbour_rows[i].what, lab_run_frame(FENCE_EGRESS, frame, size),
                   neighbour_rows[i].passed, neighbour_rows[i].reason);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_loopback_destination),
        cmocka_unit_test(test_quoted_loopback),
        cmocka_unit_test(test_mac_and_modes),
        cmocka_unit_test(test_dhcp_server),
        cmocka_unit_test(test_arp),
        cmocka_unit_test(test_neighbour_discovery),
        cmocka_unit_test(test_neighbour_types_stay_on_the_link),
    };

    return cmocka_run_group_tests_name("bpf.source", tests, lab_setup, lab_teardown);
}

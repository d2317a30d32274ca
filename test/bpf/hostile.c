/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a pod may try that no advisory of the table names: ways around a rule that is right as far
 * as it goes.
 */
#include <netinet/in.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/bpf/frame.h"
#include "test/cmocka.h"

#define OWN       "fd00:10:244:1::5"
#define OWN_LOCAL "fe80::ff:fe00:a"
#define GATEWAY   "fd00:10:244:1::1"
#define FAR       "2001:db8::7"

/* Row 1 (GHSA-c66w-hq56-4q97) once more: an echo with the id of the other side's. Who may answer
 * a ping may not ping by that. */
static void test_echo_request_is_no_answer(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        unsigned int request = family == 4 ? 8u << 8 : 128u << 8;
        unsigned int reply = family == 4 ? 0 : 129u << 8;
        unsigned int low = FENCE_POSITION(frame_icmp(family), request);
        struct lab_interval intervals[] = {{0, FENCE_DENY, FENCE_REASON_NO_RULE, 0},
                                           {low, FENCE_ALLOW, FENCE_REASON_RULE, 1},
                                           {low + 1, FENCE_DENY, FENCE_REASON_NO_RULE, 0}};
        struct frame in, out;

        lab_reset();
        lab_table(LAB_SET_STRICT, LAB_PEER_FRIEND, FENCE_INGRESS, intervals, 3);
        in = frame_build(&(struct fence_packet){
            .source = lab_friend(family),
            .destination = lab_pod(family),
            .protocol = frame_icmp(family),
            .source_port = 77,
            .destination_port = request,
        });
        lab_expect("their request", frame_run(FENCE_INGRESS, &in), true, FENCE_REASON_RULE);
        out = frame_from_pod(lab_friend(family), frame_icmp(family), 77, request);
        lab_expect("a request with their id", frame_run(FENCE_EGRESS, &out), false,
                   FENCE_REASON_NO_RULE);
        out = frame_from_pod(lab_friend(family), frame_icmp(family), 77, reply);
        lab_expect("the answer", frame_run(FENCE_EGRESS, &out), true, FENCE_REASON_ESTABLISHED);
        in.bytes[FRAME_ETHERNET + frame_ip_size(family)] = (unsigned char)(reply >> 8);
        lab_expect("their answer to their own request", frame_run(FENCE_INGRESS, &in), false,
                   FENCE_REASON_NO_RULE);
    }
}

/* RFC 6980, RFC 7113: neighbour discovery in fragments is how router advertisement guards are
 * walked around. Nobody sends it, and who receives it must not look at it. */
static void test_neighbour_discovery_in_fragments(void **state)
{
    static const struct {
        const char *what;
        unsigned int type;
        const char *target;
    } rows[] = {
        {"router advertisement", 134, "::"},
        {"redirect", 137, "::"},
        {"advertisement of the gateway", 136, GATEWAY},
    };

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        struct frame frame = frame_nd(rows[i].type, OWN_LOCAL, "ff02::1", rows[i].target);

        lab_reset();
        lab_use_set(LAB_SET_OPEN);
        frame_fragment(&frame, 6, (struct frame_part){.id = 5, .more = true});
        lab_expect(rows[i].what, frame_run(FENCE_EGRESS, &frame), false, -1);
        frame_set16(&frame, FRAME_ETHERNET + FRAME_IPV6 + 2, 24);
        lab_expect("its rest", frame_run(FENCE_EGRESS, &frame), false, -1);
    }
}

/* Clients look at the port that they listen at, not at the one that the answer comes from
 * (systemd-networkd, udhcpc and dhclient filter by destination 68 and 546). */
static void test_dhcp_answers_from_another_port(void **state)
{
    struct frame frame = frame_from_pod(lab_friend(4), IPPROTO_UDP, 1067, 68);

    (void)state;
    lab_reset();
    lab_use_set(LAB_SET_OPEN);
    lab_expect("DHCP", frame_run(FENCE_EGRESS, &frame), false, FENCE_REASON_DHCP_SERVER);
    frame = frame_from_pod(lab_friend(6), IPPROTO_UDP, 1547, 546);
    lab_expect("DHCPv6", frame_run(FENCE_EGRESS, &frame), false, FENCE_REASON_DHCP_SERVER);
}

/* ARP passes under any policy, so it must have no room for anything else. */
static void test_arp_carries_nothing_else(void **state)
{
    struct frame frame = frame_arp(lab_pod_mac, "10.244.1.5", "10.244.1.1");

    (void)state;
    lab_reset();
    lab_use_set(LAB_SET_CLOSED);
    frame.size = 60;
    lab_expect("padded to the least frame", frame_run(FENCE_EGRESS, &frame), true,
               FENCE_REASON_NEIGHBOUR);
    frame.size = 1400;
    lab_expect("with data behind", frame_run(FENCE_EGRESS, &frame), false, -1);
    lab_expect("with data behind, coming in", frame_run(FENCE_INGRESS, &frame), false, -1);
}

/* Nor must a multicast report, which every pod of a bridge hears. */
static void test_multicast_reports_carry_nothing_else(void **state)
{
    struct frame frame = frame_nd(143, OWN_LOCAL, "ff02::16", "::");

    (void)state;
    lab_reset();
    lab_use_set(LAB_SET_CLOSED);
    frame.bytes[FRAME_ETHERNET + 7] = 1;
    lab_expect("a report", frame_run(FENCE_EGRESS, &frame), true, FENCE_REASON_NEIGHBOUR);
    frame_insert(&frame, frame.size, 1200, 'x');
    frame_fit(&frame, 6);
    lab_expect("with data behind", frame_run(FENCE_EGRESS, &frame), false, -1);
    lab_expect("with data behind, coming in", frame_run(FENCE_INGRESS, &frame), false, -1);
}

/* A solicitation that can be routed (hop limit 255, a far destination) is a letter with 22 bytes
 * of the sender's choice to anybody outside. */
static void test_neighbour_discovery_does_not_leave_the_link(void **state)
{
    struct frame frame = frame_nd(135, OWN, FAR, FAR);

    (void)state;
    lab_reset();
    lab_use_set(LAB_SET_CLOSED);
    lab_expect("to the world", frame_run(FENCE_EGRESS, &frame), false, FENCE_REASON_NO_RULE);
}

/* On a bridge the MAC decides who receives, on us the address who is judged: a packet that
 * is addressed to an allowed peer, in a frame to another pod. */
static void test_packets_for_somebody_else(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        struct fence_packet packet =
            lab_packet(FENCE_INGRESS, lab_friend(family), IPPROTO_TCP, 40000, 80);

        lab_reset();
        lab_use_set(LAB_SET_OPEN);
        packet.destination = lab_stranger(family);
        lab_expect("a packet for another pod", lab_run(FENCE_INGRESS, packet), false, -1);
        packet.destination = lab_host(family);
        lab_expect("a packet for the node", lab_run(FENCE_INGRESS, packet), false, -1);
    }
}

/* A neighbour's link-local address is not the world: it is that of a pod which nobody can name by
 * it, and which a rule may deny by its labels. */
static void test_link_local_peers_are_not_the_world(void **state)
{
    (void)state;
    for (int direction = 0; direction < FENCE_DIRECTIONS; direction++) {
        lab_reset();
        lab_table_plain(LAB_SET_STRICT, LAB_PEER_WORLD, direction, FENCE_ALLOW);
        lab_expect("the world",
                   lab_run(direction, lab_packet(direction, lab_world(6), IPPROTO_UDP, 1, 80)),
                   true, FENCE_REASON_RULE);
        lab_expect(
            "a neighbour",
            lab_run(direction, lab_packet(direction, lab_addr("fe80::1234"), IPPROTO_UDP, 1, 80)),
            false, -1);
        lab_table_plain(LAB_SET_STRICT, FENCE_PEER_PENDING, direction, FENCE_ALLOW);
        lab_expect(
            "a neighbour where unknown pods may",
            lab_run(direction, lab_packet(direction, lab_addr("fe80::1234"), IPPROTO_UDP, 2, 80)),
            true, FENCE_REASON_RULE);
    }
}

/* The destination in the header is where the packet goes first, not where it goes. */
static void test_source_routes(void **state)
{
    static const unsigned char types[] = {131, 137}; /* loose, strict (RFC 791) */
    struct frame frame;

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(types); i++) {
        const unsigned char option[8] = {types[i], 7, 4, 203, 0, 113, 7, 0};

        lab_reset();
        frame = frame_from_pod(lab_friend(4), IPPROTO_TCP, 40000, 443);
        frame_options(&frame, option, sizeof(option));
        lab_expect("a source route", frame_run(FENCE_EGRESS, &frame), false, -1);
    }
    for (unsigned char type = 0; type <= 4; type++) {
        const unsigned char body[6] = {type, 1};

        lab_reset();
        frame = frame_from_pod(lab_friend(6), IPPROTO_TCP, 40000, 443);
        frame_extension(&frame, IPPROTO_ROUTING, body);
        lab_expect("a routing header with segments left", frame_run(FENCE_EGRESS, &frame), false,
                   -1);
        lab_reset();
        frame = frame_from_pod(lab_friend(6), IPPROTO_TCP, 40000, 443);
        frame_extension(&frame, IPPROTO_ROUTING, (const unsigned char[6]){type, 0});
        lab_expect("a routing header at its end", frame_run(FENCE_EGRESS, &frame), true,
                   FENCE_REASON_RULE);
    }
}

/* Row 12: what a pod may not say in ICMPv6 it may not say in ICMP. */
static void test_redirects_of_both_families(void **state)
{
    struct frame frame;

    (void)state;
    lab_reset();
    lab_use_set(LAB_SET_OPEN);
    frame = frame_from_pod(lab_friend(4), IPPROTO_ICMP, 0, 5 << 8 | 1);
    lab_expect("a redirect", frame_run(FENCE_EGRESS, &frame), false,
               FENCE_REASON_ROUTER_ADVERTISEMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo_request_is_no_answer),
        cmocka_unit_test(test_neighbour_discovery_in_fragments),
        cmocka_unit_test(test_dhcp_answers_from_another_port),
        cmocka_unit_test(test_arp_carries_nothing_else),
        cmocka_unit_test(test_multicast_reports_carry_nothing_else),
        cmocka_unit_test(test_neighbour_discovery_does_not_leave_the_link),
        cmocka_unit_test(test_packets_for_somebody_else),
        cmocka_unit_test(test_link_local_peers_are_not_the_world),
        cmocka_unit_test(test_source_routes),
        cmocka_unit_test(test_redirects_of_both_families),
    };

    return cmocka_run_group_tests_name("bpf.hostile", tests, lab_setup, lab_teardown);
}

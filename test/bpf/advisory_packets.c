/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Advisories of comparable products, one test a row of the table in test/README.md: those about
 * the form of a packet, and about what a pod claims to be. advisory.c has the others.
 */
#include <netinet/in.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/bpf/frame.h"
#include "test/cmocka.h"

#define OWN       "fd00:10:244:1::5"
#define OWN_LOCAL "fe80::ff:fe00:a"
#define GATEWAY   "fd00:10:244:1::1"
#define ALL_NODES "ff02::1"

/* Where the transport header is in a frame without options and extensions. */
static size_t transport(int family)
{
    return FRAME_ETHERNET + frame_ip_size(family);
}

/* Payload, or options, that read as the ports 40000 -> 80. */
static void look_like_ports(struct frame *frame, size_t at)
{
    frame_set16(frame, at, 40000);
    frame_set16(frame, at + 2, 80);
}

/*
 * Row 17, CVE-2020-10749 (containernetworking/plugins): a pod advertised itself as a router over
 * IPv6 and saw everybody's traffic. Here no pod is a router, whatever stands in front of the
 * message.
 */
static void row17_router_advertisements_of_a_pod(void **state)
{
    static const unsigned int types[] = {134, 137};
    static const unsigned char headers[] = {IPPROTO_HOPOPTS, IPPROTO_DSTOPTS, IPPROTO_FRAGMENT};

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(types); i++) {
        struct frame frame = frame_nd(types[i], OWN_LOCAL, ALL_NODES, "::");

        lab_reset();
        lab_use_set(LAB_SET_OPEN);
        lab_expect("plain", frame_run(FENCE_EGRESS, &frame), false,
                   FENCE_REASON_ROUTER_ADVERTISEMENT);
        for (size_t k = 0; k < FENCE_ARRAY_SIZE(headers); k++) {
            frame_extension(&frame, headers[k], NULL);
            lab_expect("behind extension headers", frame_run(FENCE_EGRESS, &frame), false,
                       FENCE_REASON_ROUTER_ADVERTISEMENT);
        }
        /* RFC 7113: the type is in the second fragment */
        frame = frame_nd(types[i], OWN_LOCAL, ALL_NODES, "::");
        frame_extension(&frame, IPPROTO_DSTOPTS, NULL);
        frame_fragment(&frame, 6, (struct frame_part){.id = 3, .more = true});
        frame.size = FRAME_ETHERNET + FRAME_IPV6 + 16;
        frame_fit(&frame, 6);
        lab_expect("a first fragment without the type", frame_run(FENCE_EGRESS, &frame), false,
                   FENCE_REASON_FRAGMENT_BAD);
        frame = frame_nd(types[i], OWN_LOCAL, ALL_NODES, "::");
        frame_fragment(&frame, 6, (struct frame_part){.id = 3, .offset = 8});
        lab_expect("the fragment with the type", frame_run(FENCE_EGRESS, &frame), false,
                   FENCE_REASON_FRAGMENT_ORPHAN);
    }
}

/* The same row: nor is a pod a DHCP server. */
static void row17_dhcp_answers_of_a_pod(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        unsigned int server = family == 4 ? 67 : 547, client = family == 4 ? 68 : 546;
        struct frame frame = frame_from_pod(lab_friend(family), IPPROTO_UDP, server, client);

        lab_reset();
        lab_use_set(LAB_SET_OPEN);
        lab_expect("an answer", frame_run(FENCE_EGRESS, &frame), false, FENCE_REASON_DHCP_SERVER);
        frame_fragment(&frame, family, (struct frame_part){.id = 1, .more = true});
        lab_expect("its first fragment", frame_run(FENCE_EGRESS, &frame), false,
                   FENCE_REASON_DHCP_SERVER);
        if (family == 4) {
            const unsigned char options[8] = {1, 1, 1, 1};

            frame = frame_from_pod(lab_friend(4), IPPROTO_UDP, server, client);
            frame_options(&frame, options, sizeof(options));
            lab_expect("behind options", frame_run(FENCE_EGRESS, &frame), false,
                       FENCE_REASON_DHCP_SERVER);
        } else {
            frame = frame_from_pod(lab_friend(6), IPPROTO_UDP, server, client);
            frame_extension(&frame, IPPROTO_DSTOPTS, NULL);
            lab_expect("behind an extension header", frame_run(FENCE_EGRESS, &frame), false,
                       FENCE_REASON_DHCP_SERVER);
        }
        frame = frame_from_pod(lab_friend(family), IPPROTO_UDP, client, server);
        lab_expect("a question", frame_run(FENCE_EGRESS, &frame), true, FENCE_REASON_RULE);
    }
}

/*
 * Row 19, CVE-2020-8554, CVE-2020-8558 (Kubernetes), CVE-2026-32254 (kube-router): with
 * route_localnet set, 127.0.0.1 of the node was reachable from pods, and an address that somebody
 * claimed as an external one was taken for the node's. Here loopback and multicast sources never
 * cross a veth.
 */
static void row19_martians(void **state)
{
    static const struct {
        const char *pod, *remote;
    } rows[] = {
        {"10.244.1.5", "127.0.0.1"},
        {"10.244.1.5", "127.255.255.254"},
        {"127.0.0.1", "10.244.2.5"},
        {"127.8.8.8", "127.0.0.1"},
        {"224.0.0.1", "10.244.2.5"},
        {"239.255.255.255", "10.244.2.5"},
        {"240.0.0.1", "10.244.2.5"},
        {"255.255.255.255", "10.244.2.5"},
        {OWN, "::1"},
        {"::1", "fd00:10:244:2::5"},
        {"ff02::1", "fd00:10:244:2::5"},
        {"ff0e::1", "fd00:10:244:2::5"},
    };

    (void)state;
    lab_reset();
    lab_use_set(LAB_SET_OPEN);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        struct fence_packet packet =
            lab_packet(FENCE_EGRESS, lab_addr(rows[i].remote), IPPROTO_TCP, 40000, 10250);

        packet.source = lab_addr(rows[i].pod);
        lab_expect(rows[i].remote, lab_run(FENCE_EGRESS, packet), false, FENCE_REASON_MARTIAN);
        /* the same packet towards the pod */
        lab_expect(rows[i].pod, lab_run(FENCE_INGRESS, packet), false, FENCE_REASON_MARTIAN);
    }
}

/* The same row: an address that is not in the node's list is not the node's, and gets none of its
 * exemptions. */
static void row19_external_addresses_are_not_the_node(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        lab_reset();
        lab_table_plain(LAB_SET_STRICT, LAB_PEER_HOST, FENCE_EGRESS, FENCE_ALLOW);
        lab_expect("to it",
                   lab_run(FENCE_EGRESS,
                           lab_packet(FENCE_EGRESS, lab_world(family), IPPROTO_TCP, 40000, 443)),
                   false, FENCE_REASON_NO_RULE);
        /* a test run looks like a process of the node */
        lab_expect("from it",
                   lab_run(FENCE_INGRESS,
                           lab_packet(FENCE_INGRESS, lab_world(family), IPPROTO_TCP, 40000, 443)),
                   false, FENCE_REASON_NO_RULE);
    }
}

/*
 * Row 20, CVE-2021-27853 to 27862, VU#855201: filters that know IPv4 by its ethertype pass what
 * stands behind tags of VLAN 0 or an LLC/SNAP header, and the receiver takes those off. Here
 * nothing but plain IPv4, IPv6 and ARP passes.
 */
static void row20_vlan_stacks_and_snap(void **state)
{
    static const unsigned char snap[8] = {0xaa, 0xaa, 3, 0, 0, 0, 0x08, 0x00};
    static const unsigned int tags[] = {0x8100, 0x88a8};

    (void)state;
    lab_reset();
    lab_use_set(LAB_SET_OPEN);
    for (int family = 4; family <= 6; family += 2)
        for (int direction = 0; direction < FENCE_DIRECTIONS; direction++) {
            struct frame plain = direction == FENCE_EGRESS
                                     ? frame_from_pod(lab_friend(family), IPPROTO_TCP, 40000, 443)
                                     : frame_from_friend(family, IPPROTO_TCP, 80);
            struct frame frame;

            for (size_t i = 0; i < 16; i++) {
                frame = plain;
                for (size_t depth = 0; depth <= i / 4; depth++)
                    frame_tag(&frame, tags[i >> depth % 2 & 1]);
                lab_expect("tags", frame_run(direction, &frame), false, FENCE_REASON_VLAN);
            }
            frame = plain;
            frame_tag(&frame, 0x9100);
            lab_expect("an old kind of tag", frame_run(direction, &frame), false,
                       FENCE_REASON_ETHERTYPE);
            frame = plain;
            frame_insert(&frame, FRAME_ETHERNET, sizeof(snap), 0);
            frame_put(&frame, FRAME_ETHERNET, snap, sizeof(snap));
            frame_set16(&frame, 20, family == 4 ? 0x0800 : 0x86dd);
            frame_set16(&frame, 12, (unsigned int)frame.size - FRAME_ETHERNET);
            lab_expect("SNAP", frame_run(direction, &frame), false, FENCE_REASON_ETHERTYPE);
        }
}

/* ecosystem.md section 3.7: a filter that takes the ports from behind twenty bytes reads options of
 * the sender's choice. */
static void row20_ip_options_that_look_like_ports(void **state)
{
    static const unsigned int protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(protocols); i++)
        for (size_t count = 4; count <= 40; count += 4) {
            unsigned char options[40];
            struct frame frame;

            memset(options, 1, sizeof(options));
            lab_reset();
            frame = frame_from_friend(4, protocols[i], 81);
            frame_options(&frame, options, count);
            look_like_ports(&frame, transport(4));
            lab_expect("the allowed port in options", frame_run(FENCE_INGRESS, &frame), false, -1);
            frame = frame_from_friend(4, protocols[i], 80);
            frame_options(&frame, options, count);
            lab_expect("the allowed port behind options", frame_run(FENCE_INGRESS, &frame), true,
                       FENCE_REASON_RULE);
        }
}

/*
 * Row 21, ingress-node-firewall #730, cilium and calico #8821, #10737, #11682: fragments after the
 * first have no ports, and what was read there was payload. Here the first one's count, or none.
 */
static void row21_later_fragments_have_the_ports_of_the_first(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        struct frame plain = frame_from_friend(family, IPPROTO_UDP, 81), frame = plain;

        lab_reset();
        look_like_ports(&plain, transport(family));
        frame_fragment(&frame, family, (struct frame_part){.id = 9, .more = true});
        lab_expect("first, denied port", frame_run(FENCE_INGRESS, &frame), false,
                   FENCE_REASON_NO_RULE);
        frame = plain;
        frame_fragment(&frame, family, (struct frame_part){.id = 9, .offset = 64});
        lab_expect("payload like an allowed port", frame_run(FENCE_INGRESS, &frame), false,
                   FENCE_REASON_NO_RULE);
        frame = plain;
        frame_fragment(&frame, family, (struct frame_part){.id = 10, .offset = 64});
        lab_expect("without a first", frame_run(FENCE_INGRESS, &frame), false,
                   FENCE_REASON_FRAGMENT_ORPHAN);
        frame = frame_from_friend(family, IPPROTO_UDP, 80);
        frame_fragment(&frame, family, (struct frame_part){.id = 10, .more = true});
        lab_expect("first, allowed port", frame_run(FENCE_INGRESS, &frame), true,
                   FENCE_REASON_RULE);
        frame = frame_from_friend(family, IPPROTO_UDP, 81); /* payload like a denied port */
        frame_fragment(&frame, family, (struct frame_part){.id = 10, .offset = 64, .more = true});
        lab_expect("its middle", frame_run(FENCE_INGRESS, &frame), true, FENCE_REASON_ESTABLISHED);
        lab_expect("its middle twice", frame_run(FENCE_INGRESS, &frame), true,
                   FENCE_REASON_ESTABLISHED);
        lab_expect("the same from the pod", frame_run(FENCE_EGRESS, &frame), false, -1);
    }
}

/* The same row: a second first fragment takes the place of the first, and none lends its ports to
 * another. */
static void row21_first_fragment_twice_with_other_ports(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        struct frame allowed = frame_from_friend(family, IPPROTO_UDP, 80);
        struct frame denied = frame_from_friend(family, IPPROTO_UDP, 81);
        struct frame later = denied;

        lab_reset();
        frame_fragment(&allowed, family, (struct frame_part){.id = 4, .more = true});
        frame_fragment(&denied, family, (struct frame_part){.id = 4, .more = true});
        frame_fragment(&later, family, (struct frame_part){.id = 4, .offset = 72});
        lab_expect("allowed", frame_run(FENCE_INGRESS, &allowed), true, FENCE_REASON_RULE);
        lab_expect("denied", frame_run(FENCE_INGRESS, &denied), false, FENCE_REASON_NO_RULE);
        lab_expect("the rest", frame_run(FENCE_INGRESS, &later), false, FENCE_REASON_NO_RULE);
        lab_expect("allowed once more", frame_run(FENCE_INGRESS, &allowed), true,
                   FENCE_REASON_ESTABLISHED);
        lab_expect("the rest of the allowed one", frame_run(FENCE_INGRESS, &later), true,
                   FENCE_REASON_ESTABLISHED);
        lab_expect("denied once more", frame_run(FENCE_INGRESS, &denied), false,
                   FENCE_REASON_NO_RULE);
    }
}

/* The same row: fragments that overlap the header, or do not hold it (RFC 1858, 3128, 7112). */
static void row21_tiny_and_overlapping_fragments(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        struct frame frame;

        for (size_t held = 0; held < 20; held++) {
            lab_reset();
            frame = frame_from_friend(family, IPPROTO_TCP, 80);
            frame_payload(&frame, family, frame.bytes + transport(family), held);
            frame_fragment(&frame, family, (struct frame_part){.id = 1, .more = true});
            lab_expect("a part of the TCP header", frame_run(FENCE_INGRESS, &frame), false,
                       FENCE_REASON_FRAGMENT_BAD);
        }
        for (unsigned int offset = 8; offset < 20; offset += 8) {
            frame = frame_from_friend(family, IPPROTO_TCP, 80);
            frame_fragment(&frame, family, (struct frame_part){.id = 1, .offset = offset});
            lab_expect("over the TCP header", frame_run(FENCE_INGRESS, &frame), false,
                       FENCE_REASON_FRAGMENT_BAD);
        }
        frame = frame_from_friend(family, IPPROTO_TCP, 80);
        frame_fragment(&frame, family, (struct frame_part){.id = 1, .more = true});
        lab_expect("the whole TCP header", frame_run(FENCE_INGRESS, &frame), true,
                   FENCE_REASON_RULE);
        frame = frame_from_friend(family, IPPROTO_TCP, 80);
        frame_fragment(&frame, family, (struct frame_part){.id = 1, .offset = 24});
        lab_expect("behind the TCP header", frame_run(FENCE_INGRESS, &frame), true,
                   FENCE_REASON_ESTABLISHED);
    }
}

/* The same row: a fragment that is all there (RFC 6946), one in another, one of another protocol.
 */
static void row21_atomic_nested_and_mixed_fragments(void **state)
{
    struct frame frame = frame_from_friend(6, IPPROTO_UDP, 80);

    (void)state;
    lab_reset();
    frame_fragment(&frame, 6, (struct frame_part){.id = 2});
    lab_expect("atomic, allowed", frame_run(FENCE_INGRESS, &frame), true, FENCE_REASON_RULE);
    frame = frame_from_friend(6, IPPROTO_UDP, 81);
    frame_fragment(&frame, 6, (struct frame_part){.id = 2});
    lab_expect("atomic, denied", frame_run(FENCE_INGRESS, &frame), false, FENCE_REASON_NO_RULE);
    frame = frame_from_friend(6, IPPROTO_UDP, 80);
    frame_fragment(&frame, 6, (struct frame_part){.id = 2, .offset = 64});
    lab_expect("an atomic one has left no ports", frame_run(FENCE_INGRESS, &frame), false,
               FENCE_REASON_FRAGMENT_ORPHAN);
    for (int atomic = 0; atomic <= 1; atomic++) {
        frame = frame_from_friend(6, IPPROTO_UDP, 80);
        frame_fragment(&frame, 6, (struct frame_part){.id = 3});
        frame_fragment(&frame, 6, (struct frame_part){.id = 4, .more = !atomic});
        lab_expect("nested", frame_run(FENCE_INGRESS, &frame), false, FENCE_REASON_BAD_EXTENSION);
    }
    for (int family = 4; family <= 6; family += 2) {
        frame = frame_from_friend(family, IPPROTO_UDP, 80);
        frame_fragment(&frame, family, (struct frame_part){.id = 5, .more = true});
        lab_expect("a first of UDP", frame_run(FENCE_INGRESS, &frame), true, -1);
        frame = frame_from_friend(family, IPPROTO_SCTP, 80);
        frame_fragment(&frame, family, (struct frame_part){.id = 5, .offset = 64});
        lab_expect("the rest of SCTP", frame_run(FENCE_INGRESS, &frame), false,
                   FENCE_REASON_FRAGMENT_ORPHAN);
    }
}

/* Row 22, CVE-2026-25804 (Antrea) is about priorities, but lengths overflow as well: the greatest
 * ones that fields can hold. */
static void row22_lengths_do_not_overflow(void **state)
{
    struct frame frame;

    (void)state;
    lab_reset();
    for (int family = 4; family <= 6; family += 2) {
        frame = frame_from_friend(family, IPPROTO_TCP, 80);
        frame_set16(&frame, FRAME_ETHERNET + (family == 4 ? 2 : 4), 0xffff);
        lab_expect("a packet of 64 KiB", frame_run(FENCE_INGRESS, &frame), false,
                   FENCE_REASON_TRUNCATED);
        frame = frame_from_friend(family, IPPROTO_UDP, 80);
        frame_fragment(&frame, family, (struct frame_part){.id = 6, .offset = 0xfff8});
        lab_expect("a fragment beyond 64 KiB", frame_run(FENCE_INGRESS, &frame), false,
                   FENCE_REASON_FRAGMENT_ORPHAN);
    }
    frame = frame_from_friend(6, IPPROTO_TCP, 80);
    for (int i = 0; i < 6; i++) {
        frame_extension(&frame, i % 2 ? IPPROTO_DSTOPTS : IPPROTO_AH, NULL);
        frame.bytes[FRAME_ETHERNET + FRAME_IPV6 + 1] = 255;
        lab_expect("extensions of 2 KiB", frame_run(FENCE_INGRESS, &frame), false,
                   FENCE_REASON_BAD_EXTENSION);
    }
}

/*
 * Row 26, ARP and DNS spoofing with CAP_NET_RAW on bridge CNIs: nobody looked at what a pod said of
 * itself. Here MAC, address, ARP sender and ND target are those that the runtime gave out.
 */
static void row26_arp_of_a_pod(void **state)
{
    static const struct {
        const char *what, *sender;
        bool own_mac, passed;
    } rows[] = {
        {"its own", "10.244.1.5", true, true},
        {"probe", "0.0.0.0", true, true},
        {"the gateway's", "10.244.1.1", true, false},
        {"a neighbour's", "10.244.1.6", true, false},
        {"everybody's", "255.255.255.255", true, false},
        {"its own at another's MAC", "10.244.1.5", false, false},
    };

    (void)state;
    lab_reset();
    lab_use_set(LAB_SET_OPEN);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++)
        for (unsigned int operation = 1; operation <= 4; operation++) {
            struct frame frame = frame_arp(rows[i].own_mac ? lab_pod_mac : lab_gateway_mac,
                                           rows[i].sender, rows[i].sender);

            frame_set16(&frame, FRAME_ETHERNET + 6, operation);
            lab_expect(rows[i].what, frame_run(FENCE_EGRESS, &frame), rows[i].passed,
                       rows[i].passed ? FENCE_REASON_NEIGHBOUR : FENCE_REASON_SPOOFED_ARP);
            frame.bytes[11] ^= 1;
            lab_expect("from another MAC", frame_run(FENCE_EGRESS, &frame), false,
                       FENCE_REASON_SPOOFED_MAC);
        }
    struct frame frame = frame_arp(lab_pod_mac, "10.244.1.1", "10.244.1.1");

    frame_set16(&frame, FRAME_ETHERNET + 4, 0x0510); /* address lengths that would shift fields */
    lab_expect("addresses of other lengths", frame_run(FENCE_EGRESS, &frame), false,
               FENCE_REASON_BAD_HEADER);
}

/* The same row in IPv6, with and without headers in front. */
static void row26_neighbour_discovery_of_a_pod(void **state)
{
    static const struct {
        const char *source, *target;
        unsigned int type;
        bool passed;
    } rows[] = {
        {OWN, OWN, 136, true},
        {OWN_LOCAL, OWN_LOCAL, 136, true},
        {OWN, GATEWAY, 135, true},
        {"::", OWN, 135, true},
        {OWN, GATEWAY, 136, false},
        {OWN, "fd00:10:244:1::6", 136, false},
        {OWN_LOCAL, "fe80::1", 136, false},
        {"::", GATEWAY, 135, false},
        {GATEWAY, OWN, 135, false},
        {GATEWAY, GATEWAY, 136, false},
        {"fe80::1", OWN, 136, false},
    };

    (void)state;
    lab_reset();
    lab_use_set(LAB_SET_OPEN);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        struct frame frame = frame_nd(rows[i].type, rows[i].source, ALL_NODES, rows[i].target);

        lab_expect(rows[i].target, frame_run(FENCE_EGRESS, &frame), rows[i].passed, -1);
        frame_extension(&frame, IPPROTO_DSTOPTS, NULL);
        lab_expect("behind an extension header", frame_run(FENCE_EGRESS, &frame), rows[i].passed,
                   -1);
        frame_fragment(&frame, 6, (struct frame_part){.id = 1});
        lab_expect("in an atomic fragment", frame_run(FENCE_EGRESS, &frame), rows[i].passed, -1);
    }
}

/* The same row: answers of a name server that the pod is not. */
static void row26_dns_answers_with_a_forged_source(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        struct fence_packet packet =
            lab_packet(FENCE_EGRESS, lab_stranger(family), IPPROTO_UDP, 53, 40000);

        lab_reset();
        lab_use_set(LAB_SET_OPEN);
        packet.source = lab_friend(family);
        lab_expect("as another pod", lab_run(FENCE_EGRESS, packet), false,
                   FENCE_REASON_SPOOFED_ADDRESS);
        packet.source = lab_host(family);
        lab_expect("as the node", lab_run(FENCE_EGRESS, packet), false,
                   FENCE_REASON_SPOOFED_ADDRESS);
        packet.source = lab_pod(family);
        packet.source_mac[3] ^= 1;
        lab_expect("with another MAC", lab_run(FENCE_EGRESS, packet), false,
                   FENCE_REASON_SPOOFED_MAC);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(row17_router_advertisements_of_a_pod),
        cmocka_unit_test(row17_dhcp_answers_of_a_pod),
        cmocka_unit_test(row19_martians),
        cmocka_unit_test(row19_external_addresses_are_not_the_node),
        cmocka_unit_test(row20_vlan_stacks_and_snap),
        cmocka_unit_test(row20_ip_options_that_look_like_ports),
        cmocka_unit_test(row21_later_fragments_have_the_ports_of_the_first),
        cmocka_unit_test(row21_first_fragment_twice_with_other_ports),
        cmocka_unit_test(row21_tiny_and_overlapping_fragments),
        cmocka_unit_test(row21_atomic_nested_and_mixed_fragments),
        cmocka_unit_test(row22_lengths_do_not_overflow),
        cmocka_unit_test(row26_arp_of_a_pod),
        cmocka_unit_test(row26_neighbour_discovery_of_a_pod),
        cmocka_unit_test(row26_dns_answers_with_a_forged_source),
    };

    return cmocka_run_group_tests_name("bpf.advisory-packets", tests, lab_setup, lab_teardown);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Advisories of comparable products, one test a row of the table in test/README.md: those about
 * who a packet is from and which connection it belongs to. advisory_packets.c has those about its
 * form.
 */
#include <netinet/in.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/bpf/frame.h"
#include "test/cmocka.h"

#define SYN FENCE_TCP_SYN
#define ACK FENCE_TCP_ACK

static unsigned int echo_request(int family)
{
    return (family == 4 ? 8u : 128u) << 8;
}

static unsigned int echo_reply(int family)
{
    return family == 4 ? 0 : 129u << 8;
}

static struct lab_result send_flags(enum fence_direction direction, struct fence_packet packet,
                                    unsigned int flags)
{
    packet.tcp_flags = flags;
    return lab_run(direction, packet);
}

/*
 * Row 1, GHSA-c66w-hq56-4q97 (Cilium): all ICMP between two addresses was one connection, so one
 * allowed echo carried every other message both ways. Here an entry is one type, code and id, and
 * other types are judged by themselves. (The same id the other way round: bpf.hostile.)
 */
static void row01_icmp_echo_does_not_share_an_entry(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        unsigned int icmp = frame_icmp(family);
        unsigned int low = FENCE_POSITION(icmp, echo_request(family));
        struct lab_interval intervals[] = {{0, FENCE_DENY, FENCE_REASON_NO_RULE, 0},
                                           {low, FENCE_ALLOW, FENCE_REASON_RULE, 1},
                                           {low + 1, FENCE_DENY, FENCE_REASON_NO_RULE, 0}};
        const struct {
            const char *what;
            enum fence_direction direction;
            unsigned int id, type;
            bool passed;
            int reason;
        } rows[] = {
            {"request", FENCE_INGRESS, 7, echo_request(family), true, FENCE_REASON_RULE},
            {"reply", FENCE_EGRESS, 7, echo_reply(family), true, FENCE_REASON_ESTABLISHED},
            {"reply of another id", FENCE_EGRESS, 8, echo_reply(family), false,
             FENCE_REASON_NO_RULE},
            {"reply of another code", FENCE_EGRESS, 7, echo_reply(family) + 1, false,
             FENCE_REASON_NO_RULE},
            {"request of the pod", FENCE_EGRESS, 8, echo_request(family), false,
             FENCE_REASON_NO_RULE},
            {"request of another code", FENCE_INGRESS, 7, echo_request(family) + 1, false,
             FENCE_REASON_NO_RULE},
            {"timestamp or the like", FENCE_INGRESS, 7, family == 4 ? 13 << 8 : 139 << 8, false,
             FENCE_REASON_NO_RULE},
            {"a type without a name", FENCE_EGRESS, 7, 200 << 8, false, FENCE_REASON_NO_RULE},
            {"an error that quotes nothing", FENCE_EGRESS, 7, family == 4 ? 3 << 8 : 1 << 8, false,
             FENCE_REASON_NO_RULE},
        };

        lab_reset();
        lab_table(LAB_SET_STRICT, LAB_PEER_FRIEND, FENCE_INGRESS, intervals, 3);
        for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++)
            lab_expect(rows[i].what,
                       lab_run(rows[i].direction, lab_packet(rows[i].direction, lab_friend(family),
                                                             icmp, rows[i].id, rows[i].type)),
                       rows[i].passed, rows[i].reason);
        lab_expect("the same id of another peer",
                   lab_run(FENCE_INGRESS, lab_packet(FENCE_INGRESS, lab_stranger(family), icmp, 7,
                                                     echo_request(family))),
                   false, FENCE_REASON_NO_RULE);
        lab_expect("TCP with the numbers of the entry",
                   lab_run(FENCE_INGRESS, lab_packet(FENCE_INGRESS, lab_friend(family), IPPROTO_TCP,
                                                     echo_request(family), 7)),
                   false, FENCE_REASON_NO_RULE);
    }
}

/*
 * Row 3, CVE-2023-27594 (Cilium): IPv6 NodePort traffic arrived with the node's address and passed
 * as the node. Here the address alone makes nobody the node: a process of the node must have sent
 * it.
 */
static void row03_node_address_without_a_node_process(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        struct fence_packet packet =
            lab_packet(FENCE_INGRESS, lab_host(family), IPPROTO_TCP, 50000, 8080);
        struct lab_result result;

        lab_reset();
        result = lab_run_forwarded(packet);
        lab_expect("forwarded", result, false, FENCE_REASON_NO_RULE);
        assert_true(result.masqueraded);
        lab_expect("the node itself", lab_run(FENCE_INGRESS, packet), true, FENCE_REASON_FROM_HOST);
        result = lab_run_forwarded(packet);
        lab_expect("forwarded into what the node has opened", result, false, FENCE_REASON_NO_RULE);
    }
}

/*
 * Row 6, CVE-2024-42488 (Cilium): policies were matched with labels of a moment ago, and what came
 * of it stayed. Here an entry remembers which set and which generation of the peer judged it, and
 * the first packet after either has changed judges anew, in both directions.
 */
static void row06_a_judgement_lasts_as_long_as_its_grounds(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        struct fence_packet in =
            lab_packet(FENCE_INGRESS, lab_friend(family), IPPROTO_TCP, 40000, 80);
        struct fence_packet out =
            lab_packet(FENCE_EGRESS, lab_friend(family), IPPROTO_TCP, 80, 40000);

        lab_reset();
        send_flags(FENCE_INGRESS, in, SYN);
        send_flags(FENCE_EGRESS, out, SYN | ACK);
        lab_expect("established", send_flags(FENCE_INGRESS, in, ACK), true,
                   FENCE_REASON_ESTABLISHED);
        lab_use_set(LAB_SET_CLOSED);
        lab_expect("another set, from the pod", send_flags(FENCE_EGRESS, out, ACK), false,
                   FENCE_REASON_NO_RULE);
        lab_expect("another set, to the pod", send_flags(FENCE_INGRESS, in, ACK), false,
                   FENCE_REASON_NO_RULE);
        lab_use_set(LAB_SET_STRICT);
        lab_expect("the set that allows", send_flags(FENCE_EGRESS, out, ACK), true,
                   FENCE_REASON_ESTABLISHED);
        lab_table_plain(LAB_SET_STRICT, LAB_PEER_FRIEND, FENCE_INGRESS, FENCE_DENY);
        lab_expect("the peer's new table", send_flags(FENCE_EGRESS, out, ACK), false,
                   FENCE_REASON_NO_RULE);
    }
}

/*
 * Rows 8 and 9, CVE-2025-64715, CVE-2026-56743 (Cilium): a rule whose list of peers came out empty
 * was taken as a rule for everybody. Here what was not written allows nothing: a set without
 * tables, a peer without a class, a set that is none.
 */
static void row08_nothing_written_is_no_licence(void **state)
{
    enum { SET_NEVER_WRITTEN = 77 };

    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        struct fence_packet in =
            lab_packet(FENCE_INGRESS, lab_friend(family), IPPROTO_TCP, 40000, 80);
        struct fence_packet out =
            lab_packet(FENCE_EGRESS, lab_friend(family), IPPROTO_TCP, 40000, 443);

        lab_reset();
        lab_use_set(SET_NEVER_WRITTEN);
        lab_expect("to the pod", lab_run(FENCE_INGRESS, in), false, FENCE_REASON_NOT_APPLIED);
        lab_expect("from the pod", lab_run(FENCE_EGRESS, out), false, FENCE_REASON_NOT_APPLIED);
        lab_use_set(0);
        lab_expect("set 0", lab_run(FENCE_INGRESS, in), false, FENCE_REASON_NOT_APPLIED);
    }
}

/*
 * Row 10, CVE-2025-30162 and 30163 (Cilium): pods reached by a load balancer's address what their
 * egress policy denies, and a policy for nodes also matched pods with the same labels. Here an
 * address is whom the maps say and nobody else, and the node's table is not asked for a pod.
 */
static void row10_an_address_is_one_peer(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        lab_reset();
        lab_expect("the backend",
                   lab_run(FENCE_EGRESS,
                           lab_packet(FENCE_EGRESS, lab_friend(family), IPPROTO_TCP, 40000, 443)),
                   true, FENCE_REASON_RULE);
        lab_expect("an outside address in front of it",
                   lab_run(FENCE_EGRESS,
                           lab_packet(FENCE_EGRESS, lab_world(family), IPPROTO_TCP, 40000, 443)),
                   false, FENCE_REASON_NO_RULE);
        lab_table_plain(LAB_SET_STRICT, LAB_PEER_HOST, FENCE_EGRESS, FENCE_ALLOW);
        lab_table_plain(LAB_SET_STRICT, LAB_PEER_HOST, FENCE_INGRESS, FENCE_ALLOW);
        lab_expect("the node, all ports",
                   lab_run(FENCE_EGRESS,
                           lab_packet(FENCE_EGRESS, lab_host(family), IPPROTO_TCP, 40000, 22)),
                   true, FENCE_REASON_RULE);
        lab_expect("a pod by the node's rule",
                   lab_run(FENCE_EGRESS,
                           lab_packet(FENCE_EGRESS, lab_stranger(family), IPPROTO_TCP, 40000, 22)),
                   false, FENCE_REASON_NO_RULE);
        lab_expect("an outside address by the node's rule",
                   lab_run(FENCE_INGRESS,
                           lab_packet(FENCE_INGRESS, lab_world(family), IPPROTO_TCP, 40000, 22)),
                   false, FENCE_REASON_NO_RULE);
    }
}

/*
 * Row 11, CVE-2026-33726 (Cilium): between pods of one node one of the two policies was left out on
 * the way through a proxy. Here each end's hook judges by its own endpoint: the sender's verdict is
 * not the receiver's, not even for what follows the first packet. (All ways of address translation:
 * e2e.)
 */
static void row11_both_ends_of_one_node_judge(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        struct fence_packet packet =
            lab_packet(FENCE_EGRESS, lab_stranger(family), IPPROTO_TCP, 40000, 80);

        lab_reset();
        lab_use_set(LAB_SET_OPEN);
        lab_second_add(LAB_SET_STRICT);
        lab_expect("sent", lab_run(FENCE_EGRESS, packet), true, FENCE_REASON_RULE);
        lab_expect("not received", lab_run_second(FENCE_INGRESS, packet), false,
                   FENCE_REASON_NO_RULE);
        packet.tcp_flags = ACK;
        lab_expect("data sent", lab_run(FENCE_EGRESS, packet), true, FENCE_REASON_ESTABLISHED);
        lab_expect("data not received", lab_run_second(FENCE_INGRESS, packet), false,
                   FENCE_REASON_NO_RULE);
        lab_second_add(LAB_SET_OPEN);
        lab_use_set(LAB_SET_STRICT);
        packet.tcp_flags = SYN;
        packet.source_port++;
        lab_expect("not sent", lab_run(FENCE_EGRESS, packet), false, FENCE_REASON_NO_RULE);
    }
}

/*
 * Row 12, CVE-2026-26963, GHSA-wc5v-r48v-g4vh, CVE-2023-30851 (Cilium): a rule that held for IPv4
 * did not for IPv6. Here one table of packets is asked of both.
 */
static void row12_both_families_are_judged_alike(void **state)
{
    static const struct {
        enum fence_direction direction;
        unsigned int protocol, port;
        char peer;
        bool passed;
    } rows[] = {
        {FENCE_INGRESS, IPPROTO_TCP, 80, 'f', true},
        {FENCE_INGRESS, IPPROTO_UDP, 80, 'f', true},
        {FENCE_INGRESS, IPPROTO_SCTP, 80, 'f', true},
        {FENCE_INGRESS, IPPROTO_TCP, 79, 'f', false},
        {FENCE_INGRESS, IPPROTO_TCP, 81, 'f', false},
        {FENCE_INGRESS, IPPROTO_UDPLITE, 80, 'f', false},
        {FENCE_INGRESS, IPPROTO_DCCP, 80, 'f', false},
        {FENCE_INGRESS, IPPROTO_GRE, 80, 'f', false},
        {FENCE_INGRESS, IPPROTO_IPIP, 80, 'f', false},
        {FENCE_INGRESS, IPPROTO_IPV6, 80, 'f', false},
        {FENCE_INGRESS, IPPROTO_TCP, 80, 's', false},
        {FENCE_INGRESS, IPPROTO_TCP, 80, 'w', false},
        {FENCE_INGRESS, IPPROTO_UDP, 80, 'w', false},
        {FENCE_EGRESS, IPPROTO_TCP, 443, 'f', true},
        {FENCE_EGRESS, IPPROTO_TCP, 80, 'f', false},
        {FENCE_EGRESS, IPPROTO_SCTP, 443, 's', false},
        {FENCE_EGRESS, IPPROTO_TCP, 443, 'h', false},
        {FENCE_EGRESS, IPPROTO_UDP, 443, 'w', false},
    };

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++)
        for (int family = 4; family <= 6; family += 2) {
            struct fence_addr remote = rows[i].peer == 'f'   ? lab_friend(family)
                                       : rows[i].peer == 's' ? lab_stranger(family)
                                       : rows[i].peer == 'h' ? lab_host(family)
                                                             : lab_world(family);
            char what[64];

            snprintf(what, sizeof(what), "line %zu over IPv%d", i, family);
            lab_reset();
            lab_expect(
                what,
                lab_run(rows[i].direction, lab_packet(rows[i].direction, remote, rows[i].protocol,
                                                      40000, rows[i].port)),
                rows[i].passed, rows[i].passed ? FENCE_REASON_RULE : FENCE_REASON_NO_RULE);
        }
}

/* The same row: what is allowed for one family opens nothing for the other. */
static void row12_one_family_says_nothing_of_the_other(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        unsigned int allowed = family == 4 ? FENCE_PEER_MASQUERADED4 : FENCE_PEER_MASQUERADED6;

        lab_reset();
        lab_table_plain(LAB_SET_STRICT, allowed, FENCE_INGRESS, FENCE_ALLOW);
        lab_expect("the family of the block",
                   lab_run_forwarded(
                       lab_packet(FENCE_INGRESS, lab_host(family), IPPROTO_TCP, 50000, 8080)),
                   true, FENCE_REASON_RULE);
        lab_expect("the other one",
                   lab_run_forwarded(
                       lab_packet(FENCE_INGRESS, lab_host(10 - family), IPPROTO_TCP, 50000, 8080)),
                   false, FENCE_REASON_NO_RULE);
    }
}

/* No row, but the same kind of gap: a port that is open for TCP is open for nothing else, neither
 * by the rule nor by the entry of a connection with the same numbers. */
static void ports_are_of_one_protocol(void **state)
{
    static const unsigned int others[] = {IPPROTO_SCTP, IPPROTO_UDP, IPPROTO_UDPLITE, IPPROTO_DCCP};
    const struct lab_interval intervals[] = {
        {0, FENCE_DENY, FENCE_REASON_NO_RULE, 0},
        {FENCE_POSITION(IPPROTO_TCP, 80), FENCE_ALLOW, FENCE_REASON_RULE, 1},
        {FENCE_POSITION(IPPROTO_TCP, 81), FENCE_DENY, FENCE_REASON_NO_RULE, 0}};

    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        struct fence_packet packet =
            lab_packet(FENCE_INGRESS, lab_friend(family), IPPROTO_TCP, 40000, 80);

        lab_reset();
        lab_table(LAB_SET_STRICT, LAB_PEER_FRIEND, FENCE_INGRESS, intervals, 3);
        lab_expect("TCP", lab_run(FENCE_INGRESS, packet), true, FENCE_REASON_RULE);
        for (size_t i = 0; i < FENCE_ARRAY_SIZE(others); i++) {
            packet = lab_packet(FENCE_INGRESS, lab_friend(family), others[i], 40000, 80);
            lab_expect("another protocol", lab_run(FENCE_INGRESS, packet), false,
                       FENCE_REASON_NO_RULE);
            packet = lab_packet(FENCE_EGRESS, lab_friend(family), others[i], 80, 40000);
            lab_expect("an answer in another protocol", lab_run(FENCE_EGRESS, packet), false,
                       FENCE_REASON_NO_RULE);
        }
    }
}

/* The stranger and the pod, both ways, so that it counts as established. */
static void fill_one(unsigned int i)
{
    unsigned int mine = 1 + i % 60000, theirs = 1 + i / 60000;
    unsigned char frame[FENCE_PACKET_MAX];
    struct fence_packet out = lab_packet(FENCE_EGRESS, lab_stranger(4), IPPROTO_UDP, mine, theirs);
    struct fence_packet in = lab_packet(FENCE_INGRESS, lab_stranger(4), IPPROTO_UDP, theirs, mine);

    lab_run_quietly(FENCE_EGRESS, frame, fence_packet_build(&out, frame));
    lab_run_quietly(FENCE_INGRESS, frame, fence_packet_build(&in, frame));
}

/*
 * Row 25, cilium #3239, #5048, #20068, #20069, #691: a full or evicting connection table cut what
 * was established, or let everything pass. Here a flood of answered flows, half as many again as
 * there is room for, cuts nobody and opens nothing.
 */
static void row25_a_full_table_cuts_nothing_and_opens_nothing(void **state)
{
    struct fence_packet in = lab_packet(FENCE_INGRESS, lab_friend(4), IPPROTO_TCP, 40000, 80);
    struct fence_packet out = lab_packet(FENCE_EGRESS, lab_friend(4), IPPROTO_TCP, 80, 40000);

    (void)state;
    lab_reset();
    send_flags(FENCE_INGRESS, in, SYN);
    send_flags(FENCE_EGRESS, out, SYN | ACK);
    lab_expect("established", send_flags(FENCE_INGRESS, in, ACK), true, FENCE_REASON_ESTABLISHED);
    lab_use_set(LAB_SET_OPEN);
    for (unsigned int i = 0; i < LAB_CONNECTIONS * 3 / 2; i++)
        fill_one(i);
    lab_use_set(LAB_SET_STRICT);
    /* with its entry, or by the reverse rule when its own flood has pushed that out */
    lab_expect("from the pod", send_flags(FENCE_EGRESS, out, ACK), true, -1);
    lab_expect("to the pod", send_flags(FENCE_INGRESS, in, ACK), true, FENCE_REASON_ESTABLISHED);

    in.source_port = out.destination_port = 40001;
    lab_expect("a new one that is allowed", send_flags(FENCE_INGRESS, in, SYN), true,
               FENCE_REASON_RULE);
    lab_expect("its answer", send_flags(FENCE_EGRESS, out, SYN | ACK), true, -1);
    lab_expect("its data", send_flags(FENCE_INGRESS, in, ACK), true, -1);
    lab_expect("data back", send_flags(FENCE_EGRESS, out, ACK), true, -1);
    in.destination_port = 81;
    lab_expect("a new one that is denied", send_flags(FENCE_INGRESS, in, SYN), false,
               FENCE_REASON_NO_RULE);
    in = lab_packet(FENCE_INGRESS, lab_stranger(4), IPPROTO_UDP, 1, 1);
    lab_expect("one of the flood", lab_run(FENCE_INGRESS, in), false, FENCE_REASON_NO_RULE);
}

/*
 * Row 27, AWS agent PR #102, issues #186 and #462: two pods of one node shared the entry of the
 * connection between them, and clearing up raced with the packets. Here an entry belongs to an
 * interface and knows who opened it, and one that is lost costs a look-up.
 */
static void row27_one_tuple_at_two_interfaces(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        struct fence_packet out =
            lab_packet(FENCE_EGRESS, lab_stranger(family), IPPROTO_UDP, 40000, 80);
        struct fence_packet back =
            lab_packet(FENCE_INGRESS, lab_stranger(family), IPPROTO_UDP, 80, 40000);

        lab_reset();
        lab_use_set(LAB_SET_OPEN);
        lab_second_add(LAB_SET_CLOSED);
        lab_expect("sent", lab_run(FENCE_EGRESS, out), true, FENCE_REASON_RULE);
        lab_expect("the same tuple at its receiver", lab_run_second(FENCE_INGRESS, out), false,
                   FENCE_REASON_NO_RULE);
        lab_expect("the answer at who sends it", lab_run_second(FENCE_EGRESS, back), false,
                   FENCE_REASON_NO_RULE);
        lab_use_set(LAB_SET_STRICT);
        lab_expect("the sender, under a set that denies it", lab_run(FENCE_EGRESS, out), false,
                   FENCE_REASON_NO_RULE);
        lab_use_set(LAB_SET_OPEN);
        lab_expect("the answer at who asked", lab_run(FENCE_INGRESS, back), true,
                   FENCE_REASON_ESTABLISHED);
        lab_use_set(LAB_SET_CLOSED);
        lab_expect("the answer, all closed", lab_run(FENCE_INGRESS, back), false,
                   FENCE_REASON_NO_RULE);
    }
}

/* The same row: whoever cleared the entries away, a connection that policy allows goes on. */
static void row27_a_cleared_entry_cuts_nothing(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        lab_reset();
        lab_expect("data back without an entry",
                   send_flags(FENCE_EGRESS,
                              lab_packet(FENCE_EGRESS, lab_friend(family), IPPROTO_TCP, 80, 40000),
                              ACK),
                   true, FENCE_REASON_REVERSE_RULE);
        lab_expect("data",
                   send_flags(FENCE_INGRESS,
                              lab_packet(FENCE_INGRESS, lab_friend(family), IPPROTO_TCP, 40000, 80),
                              ACK),
                   true, FENCE_REASON_ESTABLISHED);
        lab_expect("data back of what nobody allows",
                   send_flags(FENCE_EGRESS,
                              lab_packet(FENCE_EGRESS, lab_friend(family), IPPROTO_TCP, 81, 40000),
                              ACK),
                   false, FENCE_REASON_NO_RULE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(row01_icmp_echo_does_not_share_an_entry),
        cmocka_unit_test(row03_node_address_without_a_node_process),
        cmocka_unit_test(row06_a_judgement_lasts_as_long_as_its_grounds),
        cmocka_unit_test(row08_nothing_written_is_no_licence),
        cmocka_unit_test(row10_an_address_is_one_peer),
        cmocka_unit_test(row11_both_ends_of_one_node_judge),
        cmocka_unit_test(row12_both_families_are_judged_alike),
        cmocka_unit_test(row12_one_family_says_nothing_of_the_other),
        cmocka_unit_test(ports_are_of_one_protocol),
        cmocka_unit_test(row25_a_full_table_cuts_nothing_and_opens_nothing),
        cmocka_unit_test(row27_one_tuple_at_two_interfaces),
        cmocka_unit_test(row27_a_cleared_entry_cuts_nothing),
    };

    return cmocka_run_group_tests_name("bpf.advisory", tests, lab_setup, lab_teardown);
}

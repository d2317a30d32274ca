/* SPDX-License-Identifier: Apache-2.0 */
/* bpf/connection.bpf.h: the life of a connection, as sequences of packets. */
#include <netinet/in.h>
#include <sched.h>

#include <bpf/bpf.h>

#include "lib/base/memory.h"
#include "test/bpf/lab.h"
#include "test/cmocka.h"

#define SYN FENCE_TCP_SYN
#define ACK FENCE_TCP_ACK
#define FIN FENCE_TCP_FIN
#define RST FENCE_TCP_RST

/* A step of a sequence: a packet of the connection peer:40000 <-> pod:port. */
struct step {
    const char *what;
    char direction; /* '>' towards the pod, '<' from it */
    unsigned int flags;
    bool passed;
    int reason;
};

static void run_steps(struct fence_addr peer, unsigned int pod_port, const struct step *steps,
                      size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool in = steps[i].direction == '>';
        struct fence_packet packet =
            lab_packet(in ? FENCE_INGRESS : FENCE_EGRESS, peer, IPPROTO_TCP, in ? 40000 : pod_port,
                       in ? pod_port : 40000);

        packet.tcp_flags = steps[i].flags;
        lab_expect(steps[i].what, lab_run(in ? FENCE_INGRESS : FENCE_EGRESS, packet),
                   steps[i].passed, steps[i].reason);
    }
}
#define RUN(peer, port, ...)                                                                       \
    run_steps(peer, port, (const struct step[]){__VA_ARGS__},                                      \
              sizeof((const struct step[]){__VA_ARGS__}) / sizeof(struct step))

#define HANDSHAKE                                                                                  \
    {"SYN", '>', SYN, true, FENCE_REASON_RULE},                                                    \
        {"SYN-ACK", '<', SYN | ACK, true, FENCE_REASON_ESTABLISHED},                               \
    {                                                                                              \
        "ACK", '>', ACK, true, FENCE_REASON_ESTABLISHED                                            \
    }

static void test_inbound_connection(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        lab_reset();
        RUN(lab_friend(family), 80, {"SYN", '>', SYN, true, FENCE_REASON_RULE});
        assert_int_equal(lab_connection_count(LAB_HALF_OPEN), 1);
        assert_int_equal(lab_connection_count(LAB_ESTABLISHED), 0);
        RUN(lab_friend(family), 80, HANDSHAKE,
            {"data back", '<', ACK, true, FENCE_REASON_ESTABLISHED});
        assert_int_equal(lab_connection_count(LAB_HALF_OPEN), 0);
        assert_int_equal(lab_connection_count(LAB_ESTABLISHED), 1);
    }
}

/* What a CPU keeps of the last SYN is enough to see the end of its handshake there. */
static void test_the_handshake_ends_with_its_third_packet(void **state)
{
    cpu_set_t all, here;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
    CPU_ZERO(&here);
    CPU_SET(sched_getcpu(), &here);
    assert_int_equal(sched_setaffinity(0, sizeof(here), &here), 0);
    for (int family = 4; family <= 6; family += 2) {
        lab_reset();
        RUN(lab_friend(family), 80, {"SYN", '>', SYN, true, FENCE_REASON_RULE},
            {"ACK without an answer", '>', ACK, true, FENCE_REASON_ESTABLISHED});
        assert_int_equal(lab_connection_count(LAB_ESTABLISHED), 0);
        lab_reset();
        RUN(lab_friend(family), 80, HANDSHAKE);
        assert_int_equal(lab_connection_count(LAB_ESTABLISHED), 1);
        RUN(lab_friend(family), 80, {"FIN back", '<', FIN | ACK, true, FENCE_REASON_ESTABLISHED});
        assert_int_equal(lab_connection_count(LAB_CLOSED), 0);
        RUN(lab_friend(family), 80, {"FIN", '>', FIN | ACK, true, FENCE_REASON_ESTABLISHED});
        assert_int_equal(lab_connection_count(LAB_CLOSED), 1);
    }
    assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
}

static void test_outbound_connection(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        struct fence_packet out =
            lab_packet(FENCE_EGRESS, lab_friend(family), IPPROTO_TCP, 40000, 443);
        struct fence_packet in =
            lab_packet(FENCE_INGRESS, lab_friend(family), IPPROTO_TCP, 443, 40000);

        lab_reset();
        lab_expect("SYN", lab_run(FENCE_EGRESS, out), true, FENCE_REASON_RULE);
        in.tcp_flags = SYN | ACK;
        lab_expect("SYN-ACK", lab_run(FENCE_INGRESS, in), true, FENCE_REASON_ESTABLISHED);
        out.tcp_flags = ACK;
        lab_expect("ACK", lab_run(FENCE_EGRESS, out), true, FENCE_REASON_ESTABLISHED);
    }
}

static void test_unasked_answers_open_nothing(void **state)
{
    struct fence_packet udp = lab_packet(FENCE_EGRESS, lab_friend(4), IPPROTO_UDP, 80, 40000);

    (void)state;
    lab_reset();
    RUN(lab_friend(4), 80, {"SYN-ACK", '<', SYN | ACK, false, FENCE_REASON_NO_RULE},
        {"then SYN", '>', SYN, true, FENCE_REASON_RULE});
    RUN(lab_world(4), 5000, {"ACK", '<', ACK, false, FENCE_REASON_NO_RULE},
        {"SYN in return", '>', SYN, false, FENCE_REASON_NO_RULE});
    lab_expect("UDP without a request", lab_run(FENCE_EGRESS, udp), false, FENCE_REASON_NO_RULE);
    assert_int_equal(lab_connection_count(LAB_ESTABLISHED), 0);
    assert_int_equal(lab_connection_count(LAB_HALF_OPEN), 1);
}

static void test_lost_entry_cuts_nothing(void **state)
{
    (void)state;
    lab_reset();
    RUN(lab_friend(4), 80, {"data back", '<', ACK, true, FENCE_REASON_REVERSE_RULE},
        {"data", '>', ACK, true, FENCE_REASON_ESTABLISHED});
    lab_reset();
    RUN(lab_friend(4), 80, {"data", '>', ACK, true, FENCE_REASON_RULE},
        {"data back", '<', ACK, true, FENCE_REASON_ESTABLISHED});
    lab_reset();
    RUN(lab_friend(4), 81, {"data back, other port", '<', ACK, false, FENCE_REASON_NO_RULE});
    RUN(lab_stranger(4), 80, {"data back, other peer", '<', ACK, false, FENCE_REASON_NO_RULE});
}

/* Who sends bare ACKs in the hope of a lost entry gets so many through a second, and no more. */
static void test_lost_entries_have_a_limit(void **state)
{
    unsigned int passed = 0;

    (void)state;
    lab_reset();
    for (unsigned int i = 0; i < 2 * FENCE_REVERSE_A_SECOND; i++) {
        struct fence_packet answer =
            lab_packet(FENCE_EGRESS, lab_friend(4), IPPROTO_TCP, 80, 1024 + i);
        unsigned char frame[FENCE_PACKET_MAX];

        answer.tcp_flags = ACK;
        passed += lab_run_quietly(FENCE_EGRESS, frame, fence_packet_build(&answer, frame));
    }
    assert_int_equal(passed, FENCE_REVERSE_A_SECOND);
}

static void test_recovery(void **state)
{
    struct fence_packet udp = lab_packet(FENCE_EGRESS, lab_friend(4), IPPROTO_UDP, 80, 40000);
    struct fence_endpoint endpoint;

    (void)state;
    lab_reset();
    endpoint = lab_endpoint();
    endpoint.recovery_until_ns = ~0ull;
    lab_endpoint_write(&endpoint);
    lab_expect("a UDP answer", lab_run(FENCE_EGRESS, udp), true, FENCE_REASON_RECOVERY);
    RUN(lab_friend(4), 80, {"SYN-ACK", '<', SYN | ACK, true, FENCE_REASON_RECOVERY});
    RUN(lab_stranger(4), 80, {"SYN-ACK", '<', SYN | ACK, false, FENCE_REASON_NO_RULE},
        {"SYN", '<', SYN, false, FENCE_REASON_NO_RULE});
    endpoint.recovery_until_ns = 1;
    lab_endpoint_write(&endpoint);
    udp.source_port = 80;
    udp.destination_port = 40001;
    lab_expect("after recovery", lab_run(FENCE_EGRESS, udp), false, FENCE_REASON_NO_RULE);
}

/* Another packet is writing the entry: this one goes by what it makes of it by itself. */
static void test_entry_that_is_being_written(void **state)
{
    (void)state;
    lab_reset();
    RUN(lab_friend(4), 80, HANDSHAKE);
    lab_raise_epoch(); /* no CPU knows it by heart */
    RUN(lab_friend(4), 80, {"data", '>', ACK, true, -1});
    lab_connection_flags(FENCE_CONN_BUSY, 0);
    RUN(lab_friend(4), 80, {"data", '>', ACK, true, -1},
        {"data back", '<', ACK, true, FENCE_REASON_REVERSE_RULE});
    lab_use_set(LAB_SET_CLOSED);
    RUN(lab_friend(4), 80, {"data", '>', ACK, false, FENCE_REASON_NO_RULE},
        {"data back", '<', ACK, false, FENCE_REASON_NO_RULE});
}

static void test_policy_change_reaches_both_directions(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        lab_reset();
        RUN(lab_friend(family), 80, HANDSHAKE);
        lab_use_set(LAB_SET_CLOSED);
        RUN(lab_friend(family), 80, {"data", '>', ACK, false, FENCE_REASON_NO_RULE},
            {"data back", '<', ACK, false, FENCE_REASON_NO_RULE});
        lab_use_set(LAB_SET_STRICT);
        RUN(lab_friend(family), 80, {"data", '>', ACK, true, FENCE_REASON_ESTABLISHED},
            {"data back", '<', ACK, true, FENCE_REASON_ESTABLISHED});
        /* the first to notice is the answer */
        lab_use_set(LAB_SET_CLOSED);
        RUN(lab_friend(family), 80, {"data back", '<', ACK, false, FENCE_REASON_NO_RULE},
            {"data", '>', ACK, false, FENCE_REASON_NO_RULE});
    }
}

/* The pod may send to the peer by itself, but not answer it: what answers must be told from what
 * does not, in every one of many packets. */
static void test_cut_stops_answers_that_are_allowed_by_themselves(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        struct fence_addr peer = lab_stranger(family);

        lab_reset();
        lab_table_plain(LAB_SET_STRICT, LAB_PEER_STRANGER, FENCE_EGRESS, FENCE_ALLOW);
        lab_use_set(LAB_SET_OPEN);
        RUN(peer, 80, HANDSHAKE, {"data back", '<', ACK, true, FENCE_REASON_ESTABLISHED});
        lab_use_set(LAB_SET_STRICT);
        for (unsigned int i = 0; i < 300; i++)
            RUN(peer, 80, {"data back", '<', ACK, false, FENCE_REASON_NO_RULE},
                {"data", '>', ACK, false, FENCE_REASON_NO_RULE},
                {"FIN back", '<', FIN | ACK, false, FENCE_REASON_NO_RULE});
        /* its own connection is another one */
        RUN(peer, 81, {"SYN", '<', SYN, true, FENCE_REASON_RULE},
            {"SYN-ACK", '>', SYN | ACK, true, FENCE_REASON_ESTABLISHED});
        for (unsigned int i = 0; i < 300; i++)
            RUN(peer, 81, {"data", '<', ACK, true, FENCE_REASON_ESTABLISHED},
                {"data back", '>', ACK, true, FENCE_REASON_ESTABLISHED});
    }
}

static void test_relabelled_peer(void **state)
{
    struct fence_addr peer = lab_friend(4);
    __u32 stranger = LAB_PEER_STRANGER;

    (void)state;
    lab_reset();
    RUN(peer, 80, HANDSHAKE);
    assert_int_equal(bpf_map_update_elem(lab_map(FENCE_MAP_ADDRESSES), &peer, &stranger, 0), 0);
    RUN(peer, 80, {"before the epoch is raised", '>', ACK, true, FENCE_REASON_ESTABLISHED});
    lab_raise_epoch_of(lab_stranger(4));
    RUN(peer, 80, {"another address's is", '>', ACK, true, FENCE_REASON_ESTABLISHED});
    lab_raise_epoch_of(peer);
    RUN(peer, 80, {"data", '>', ACK, false, FENCE_REASON_NO_RULE},
        {"data back", '<', ACK, false, FENCE_REASON_NO_RULE});
}

static void test_syn_is_judged_anew(void **state)
{
    (void)state;
    lab_reset();
    RUN(lab_friend(4), 80, {"SYN", '>', SYN, true, FENCE_REASON_RULE},
        {"RST", '<', RST | ACK, true, FENCE_REASON_ESTABLISHED});
    lab_use_set(LAB_SET_CLOSED);
    RUN(lab_friend(4), 80, {"the same tuple", '>', SYN, false, FENCE_REASON_NO_RULE});
    lab_use_set(LAB_SET_STRICT);
    RUN(lab_friend(4), 80, HANDSHAKE,
        /* the pod may not open a connection by an inbound one's entry */
        {"SYN the other way", '<', SYN, false, FENCE_REASON_NO_RULE},
        {"data", '>', ACK, true, FENCE_REASON_ESTABLISHED});
}

static void test_close_and_open_again(void **state)
{
    (void)state;
    lab_reset();
    RUN(lab_friend(4), 80, HANDSHAKE, {"FIN", '>', FIN | ACK, true, FENCE_REASON_ESTABLISHED},
        {"FIN back", '<', FIN | ACK, true, FENCE_REASON_ESTABLISHED},
        {"last ACK", '>', ACK, true, FENCE_REASON_ESTABLISHED},
        {"SYN of the next", '>', SYN, true, FENCE_REASON_RULE});
    assert_int_equal(lab_connection_count(LAB_ESTABLISHED), 0);
    assert_int_equal(lab_connection_count(LAB_HALF_OPEN), 1);
}

static void test_expired_counts_as_absent(void **state)
{
    struct fence_packet answer = lab_packet(FENCE_EGRESS, lab_friend(4), IPPROTO_UDP, 80, 40000);

    (void)state;
    lab_reset();
    lab_expect(
        "request",
        lab_run(FENCE_INGRESS, lab_packet(FENCE_INGRESS, lab_friend(4), IPPROTO_UDP, 40000, 80)),
        true, FENCE_REASON_RULE);
    lab_expect("answer", lab_run(FENCE_EGRESS, answer), true, FENCE_REASON_ESTABLISHED);
    lab_grow_old(170);
    lab_expect("answer", lab_run(FENCE_EGRESS, answer), true, FENCE_REASON_ESTABLISHED);
    /* another CPU has seen a packet meanwhile */
    lab_grow_old(-1);
    lab_expect("answer", lab_run(FENCE_EGRESS, answer), true, FENCE_REASON_ESTABLISHED);
    lab_grow_old(182);
    lab_expect("a late answer", lab_run(FENCE_EGRESS, answer), false, FENCE_REASON_NO_RULE);
}

static void test_other_protocols(void **state)
{
    static const unsigned int protocols[] = {IPPROTO_UDP, IPPROTO_SCTP};

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(protocols); i++) {
        lab_reset();
        lab_expect("request",
                   lab_run(FENCE_EGRESS,
                           lab_packet(FENCE_EGRESS, lab_friend(6), protocols[i], 40000, 443)),
                   true, FENCE_REASON_RULE);
        lab_expect("answer",
                   lab_run(FENCE_INGRESS,
                           lab_packet(FENCE_INGRESS, lab_friend(6), protocols[i], 443, 40000)),
                   true, FENCE_REASON_ESTABLISHED);
        assert_int_equal(lab_connection_count(LAB_ESTABLISHED), 1);
        lab_expect("another port of the same peer",
                   lab_run(FENCE_INGRESS,
                           lab_packet(FENCE_INGRESS, lab_friend(6), protocols[i], 444, 40000)),
                   false, FENCE_REASON_NO_RULE);
    }
}

/* One port for both directions: each side may be the one that opens. */
static void test_cut_datagrams_the_other_way(void **state)
{
    struct fence_packet out = lab_packet(FENCE_EGRESS, lab_friend(4), IPPROTO_UDP, 80, 80);
    struct fence_packet in = lab_packet(FENCE_INGRESS, lab_friend(4), IPPROTO_UDP, 80, 80);

    (void)state;
    lab_reset();
    lab_use_set(LAB_SET_OPEN);
    lab_expect("out, all open", lab_run(FENCE_EGRESS, out), true, FENCE_REASON_RULE);
    lab_use_set(LAB_SET_STRICT);
    lab_expect("out, now denied", lab_run(FENCE_EGRESS, out), false, FENCE_REASON_NO_RULE);
    lab_expect("in, perhaps an answer", lab_run(FENCE_INGRESS, in), false, FENCE_REASON_NO_RULE);
    lab_grow_old(4);
    lab_expect("in, soon after", lab_run(FENCE_INGRESS, in), false, FENCE_REASON_NO_RULE);
    lab_grow_old(2);
    lab_expect("out, still denied", lab_run(FENCE_EGRESS, out), false, FENCE_REASON_NO_RULE);
    lab_expect("in, allowed by its own rule", lab_run(FENCE_INGRESS, in), true, FENCE_REASON_RULE);
    lab_expect("out, as the answer", lab_run(FENCE_EGRESS, out), true, FENCE_REASON_ESTABLISHED);
    lab_use_set(LAB_SET_CLOSED);
    lab_expect("in, all closed", lab_run(FENCE_INGRESS, in), false, FENCE_REASON_NO_RULE);
    lab_expect("out, all closed", lab_run(FENCE_EGRESS, out), false, FENCE_REASON_NO_RULE);
}

/*
 * Answers that are on their way when a flow is cut open nothing, though the pod is free to send to
 * the other end: each of them would make the peer's next packets answers in turn.
 */
static void test_answers_open_no_way_around_a_cut(void **state)
{
    enum { SET_CUT = 4 };
    static const __u32 protocols[] = {IPPROTO_UDP, IPPROTO_SCTP, 99};
    struct lab_interval denylist = {0, FENCE_DENY, FENCE_REASON_DENYLIST, 5};

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(protocols); i++) {
        struct fence_packet in =
            lab_packet(FENCE_INGRESS, lab_stranger(4), protocols[i], 40000, 80);
        struct fence_packet out =
            lab_packet(FENCE_EGRESS, lab_stranger(4), protocols[i], 80, 40000);

        lab_reset();
        lab_table(SET_CUT, LAB_PEER_STRANGER, FENCE_INGRESS, &denylist, 1);
        lab_table_plain(SET_CUT, LAB_PEER_STRANGER, FENCE_EGRESS, FENCE_ALLOW);
        lab_use_set(LAB_SET_OPEN);
        lab_expect("request", lab_run(FENCE_INGRESS, in), true, FENCE_REASON_RULE);
        lab_expect("answer", lab_run(FENCE_EGRESS, out), true, FENCE_REASON_ESTABLISHED);
        lab_use_set(SET_CUT);
        for (unsigned int age = 0; age < 3; age++) {
            lab_expect("answer", lab_run(FENCE_EGRESS, out), false, FENCE_REASON_DENYLIST);
            lab_expect("request", lab_run(FENCE_INGRESS, in), false, FENCE_REASON_DENYLIST);
            lab_grow_old(29);
        }
        lab_use_set(LAB_SET_OPEN);
        lab_expect("given back", lab_run(FENCE_INGRESS, in), true, FENCE_REASON_ESTABLISHED);
    }
}

/* What is denied by name is not let out by a bare ACK, even where the other direction is open. */
static void test_bare_ack_does_not_walk_around_a_cut(void **state)
{
    struct lab_interval denylist = {0, FENCE_DENY, FENCE_REASON_DENYLIST, 5};
    struct fence_packet to_host = lab_packet(FENCE_EGRESS, lab_host(4), IPPROTO_TCP, 80, 40000);
    struct fence_endpoint endpoint;

    (void)state;
    lab_reset();
    lab_table_plain(LAB_SET_STRICT, LAB_PEER_STRANGER, FENCE_INGRESS, FENCE_ALLOW);
    lab_table(LAB_SET_STRICT, LAB_PEER_STRANGER, FENCE_EGRESS, &denylist, 1);
    RUN(lab_stranger(4), 80, {"ACK under a Denylist", '<', ACK, false, FENCE_REASON_DENYLIST});
    to_host.tcp_flags = ACK;
    lab_expect("ACK to the node", lab_run(FENCE_EGRESS, to_host), false, FENCE_REASON_NO_RULE);
    endpoint = lab_endpoint();
    endpoint.flags = FENCE_EP_PENDING;
    lab_endpoint_write(&endpoint);
    lab_expect("ACK of a pending pod", lab_run(FENCE_EGRESS, to_host), false, FENCE_REASON_PENDING);
    assert_int_equal(lab_connection_count(LAB_HALF_OPEN), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inbound_connection),
        cmocka_unit_test(test_the_handshake_ends_with_its_third_packet),
        cmocka_unit_test(test_outbound_connection),
        cmocka_unit_test(test_unasked_answers_open_nothing),
        cmocka_unit_test(test_lost_entry_cuts_nothing),
        cmocka_unit_test(test_lost_entries_have_a_limit),
        cmocka_unit_test(test_recovery),
        cmocka_unit_test(test_bare_ack_does_not_walk_around_a_cut),
        cmocka_unit_test(test_policy_change_reaches_both_directions),
        cmocka_unit_test(test_relabelled_peer),
        cmocka_unit_test(test_entry_that_is_being_written),
        cmocka_unit_test(test_syn_is_judged_anew),
        cmocka_unit_test(test_close_and_open_again),
        cmocka_unit_test(test_expired_counts_as_absent),
        cmocka_unit_test(test_cut_stops_answers_that_are_allowed_by_themselves),
        cmocka_unit_test(test_cut_datagrams_the_other_way),
        cmocka_unit_test(test_answers_open_no_way_around_a_cut),
        cmocka_unit_test(test_other_protocols),
    };

    return cmocka_run_group_tests_name("bpf.connection", tests, lab_setup, lab_teardown);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* bpf/quick.bpf.h: what a CPU knows by heart of the connection that it has seen last. */
#include <netinet/in.h>
#include <sched.h>
#include <time.h>

#include "bpf/connection.h"
#include "lib/base/memory.h"
#include "test/bpf/lab.h"
#include "test/cmocka.h"

/* A packet of peer:40000 <-> pod:80, towards the pod ('>') or from it ('<'). TCP has `flags`. */
static struct lab_result run(char direction, unsigned int protocol, unsigned int flags,
                             struct fence_addr peer)
{
    enum fence_direction hook = direction == '>' ? FENCE_INGRESS : FENCE_EGRESS;
    unsigned int from = direction == '>' ? 40000 : 80, to = direction == '>' ? 80 : 40000;
    struct fence_packet packet = lab_packet(hook, peer, protocol, from, to);

    packet.tcp_flags = flags;
    return lab_run(hook, packet);
}

static void datagram(const char *what, char direction, struct fence_addr peer, bool passed,
                     int reason)
{
    lab_expect(what, run(direction, IPPROTO_UDP, 0, peer), passed, reason);
}

/* For a second; that one only, and not what policy says of it. */
static void test_it_needs_no_entry(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        struct fence_addr peer = lab_friend(family);
        struct fence_packet other = lab_packet(FENCE_EGRESS, peer, IPPROTO_UDP, 80, 40001);

        lab_reset();
        datagram("request", '>', peer, true, FENCE_REASON_RULE);
        datagram("answer", '<', peer, true, FENCE_REASON_ESTABLISHED);
        lab_connections_lose();
        datagram("known by heart", '<', peer, true, FENCE_REASON_ESTABLISHED);
        datagram("both directions", '>', peer, true, FENCE_REASON_ESTABLISHED);
        lab_expect("to another port", lab_run(FENCE_EGRESS, other), false, FENCE_REASON_NO_RULE);
        other.source_port = 40000;
        other.destination_port = 80;
        lab_expect("ports the wrong way round", lab_run(FENCE_EGRESS, other), false,
                   FENCE_REASON_NO_RULE);
        lab_expect("another protocol", run('<', IPPROTO_TCP, FENCE_TCP_ACK, peer), true,
                   FENCE_REASON_REVERSE_RULE);
        lab_use_set(LAB_SET_CLOSED);
        datagram("policy changes", '<', peer, false, FENCE_REASON_NO_RULE);
        lab_use_set(LAB_SET_STRICT);
        datagram("and back: it has no entry", '<', peer, false, FENCE_REASON_NO_RULE);
    }
}

static void test_it_is_looked_at_again(void **state)
{
    const struct timespec second = {.tv_sec = 1, .tv_nsec = 100000000};
    struct fence_addr peer = lab_friend(4);

    (void)state;
    lab_reset();
    datagram("request", '>', peer, true, FENCE_REASON_RULE);
    datagram("answer", '<', peer, true, FENCE_REASON_ESTABLISHED);
    /* most of its second is over, which may take longer than the kernel's */
    lab_grow_old_by(LAB_HZ * 9 / 10);
    datagram("answer", '<', peer, true, FENCE_REASON_ESTABLISHED);
    datagram("seen", '<', peer, true, FENCE_REASON_ESTABLISHED);
    lab_connections_lose();
    datagram("known by heart", '<', peer, true, FENCE_REASON_ESTABLISHED);
    nanosleep(&second, NULL);
    datagram("a second later", '<', peer, false, FENCE_REASON_NO_RULE);
}

/* While there is something to note of it, it is not known by heart. */
static void test_it_is_established(void **state)
{
    struct fence_addr peer = lab_friend(4);

    (void)state;
    lab_reset();
    datagram("request", '>', peer, true, FENCE_REASON_RULE);
    datagram("another", '>', peer, true, FENCE_REASON_ESTABLISHED);
    lab_connections_lose();
    datagram("answer", '<', peer, false, FENCE_REASON_NO_RULE);
    lab_reset();
    lab_expect("SYN", run('>', IPPROTO_TCP, FENCE_TCP_SYN, peer), true, FENCE_REASON_RULE);
    lab_expect("SYN-ACK", run('<', IPPROTO_TCP, FENCE_TCP_SYN | FENCE_TCP_ACK, peer), true,
               FENCE_REASON_ESTABLISHED);
    lab_connections_lose();
    lab_expect("data back", run('<', IPPROTO_TCP, FENCE_TCP_ACK, peer), true,
               FENCE_REASON_REVERSE_RULE);
}

/* Of peer:port to pod:80. */
static void handshake(struct fence_addr peer, unsigned int port)
{
    static const struct {
        enum fence_direction hook;
        unsigned int flags;
        int reason;
    } steps[] = {
        {FENCE_INGRESS, FENCE_TCP_SYN, FENCE_REASON_RULE},
        {FENCE_EGRESS, FENCE_TCP_SYN | FENCE_TCP_ACK, FENCE_REASON_ESTABLISHED},
        {FENCE_INGRESS, FENCE_TCP_ACK, FENCE_REASON_ESTABLISHED},
    };

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(steps); i++) {
        bool arrives = steps[i].hook == FENCE_INGRESS;
        struct fence_packet packet =
            lab_packet(steps[i].hook, peer, IPPROTO_TCP, arrives ? port : 80, arrives ? 80 : port);

        packet.tcp_flags = steps[i].flags;
        lab_expect("handshake", lab_run(steps[i].hook, packet), true, steps[i].reason);
    }
}

/*
 * Segments that the pod may send whatever their connection is need no entry, until one is seen that
 * the peer has opened: its answers keep that alive, so that a policy against it cuts them.
 */
static void test_answers_keep_the_entry(void **state)
{
    struct fence_addr peer = lab_friend(4);

    (void)state;
    lab_reset();
    lab_table_plain(LAB_SET_STRICT, LAB_PEER_FRIEND, FENCE_EGRESS, FENCE_ALLOW);
    lab_table_plain(LAB_SET_CLOSED, LAB_PEER_FRIEND, FENCE_EGRESS, FENCE_ALLOW);
    datagram("what is kept of both is from before", '>', peer, true, FENCE_REASON_RULE);
    handshake(peer, 40000);
    handshake(peer, 40001); /* this one is known by heart now */
    lab_connections_age((FENCE_SECONDS_TCP_ESTABLISHED - 50) * LAB_HZ);
    lab_expect("answer", run('<', IPPROTO_TCP, FENCE_TCP_ACK, peer), true,
               FENCE_REASON_ESTABLISHED);
    lab_grow_old(100);
    lab_use_set(LAB_SET_CLOSED);
    lab_expect("cut", run('<', IPPROTO_TCP, FENCE_TCP_ACK, peer), false, FENCE_REASON_NO_RULE);
}

/* What was asked last of a pair is remembered with its answer, be it no. */
static void test_a_denial_is_remembered(void **state)
{
    static const struct lab_interval all_but_one[] = {
        {0, FENCE_ALLOW, FENCE_REASON_RULE, 0},
        {FENCE_POSITION(IPPROTO_TCP, 444), FENCE_DENY, FENCE_REASON_DENYLIST, 0},
        {FENCE_POSITION(IPPROTO_TCP, 445), FENCE_ALLOW, FENCE_REASON_RULE, 0},
    };

    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        struct fence_packet packet =
            lab_packet(FENCE_EGRESS, lab_friend(family), IPPROTO_TCP, 40000, 444);

        lab_reset();
        lab_table(LAB_SET_STRICT, LAB_PEER_FRIEND, FENCE_EGRESS, all_but_one,
                  FENCE_ARRAY_SIZE(all_but_one));
        packet.tcp_flags = FENCE_TCP_ACK;
        for (int i = 0; i < 3; i++)
            lab_expect("denied by name", lab_run(FENCE_EGRESS, packet), false,
                       FENCE_REASON_DENYLIST);
    }
}

/* On one CPU, for each knows its own. */
static int set_up(void **state)
{
    cpu_set_t here;

    CPU_ZERO(&here);
    CPU_SET(sched_getcpu(), &here);
    return sched_setaffinity(0, sizeof(here), &here) < 0 ? -1 : lab_setup(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_needs_no_entry),
        cmocka_unit_test(test_it_is_looked_at_again),
        cmocka_unit_test(test_it_is_established),
        cmocka_unit_test(test_answers_keep_the_entry),
        cmocka_unit_test(test_a_denial_is_remembered),
    };

    return cmocka_run_group_tests_name("bpf.latest", tests, set_up, lab_teardown);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What an endpoint's own state decides: pending, open, exempt, closed, the node's own traffic. */
#include <netinet/in.h>

#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "test/bpf/lab.h"
#include "test/cmocka.h"

#define HOUR_NS 3600000000000ull

static struct lab_result from_friend(unsigned int port)
{
    return lab_run(FENCE_INGRESS,
                   lab_packet(FENCE_INGRESS, lab_friend(4), IPPROTO_TCP, 40000, port));
}

static void set_flags(unsigned int flags, unsigned int set)
{
    struct fence_endpoint endpoint = lab_endpoint();

    endpoint.flags = flags;
    endpoint.set = set;
    lab_endpoint_write(&endpoint);
}

static void test_no_endpoint(void **state)
{
    (void)state;
    lab_reset();
    lab_endpoint_remove();
    lab_expect("our filter without an entry", from_friend(80), false, FENCE_REASON_NO_ENDPOINT);
}

static void test_pending(void **state)
{
    struct fence_packet from_host =
        lab_packet(FENCE_INGRESS, lab_host(4), IPPROTO_TCP, 50000, 8080);
    struct fence_packet answer = lab_packet(FENCE_EGRESS, lab_host(4), IPPROTO_TCP, 8080, 50000);

    (void)state;
    answer.tcp_flags = FENCE_TCP_SYN | FENCE_TCP_ACK;
    lab_reset();
    set_flags(FENCE_EP_PENDING, 0);
    lab_expect("a friend", from_friend(80), false, FENCE_REASON_PENDING);
    lab_expect("towards the node",
               lab_run(FENCE_EGRESS, lab_packet(FENCE_EGRESS, lab_host(4), IPPROTO_TCP, 1, 2)),
               false, FENCE_REASON_PENDING);
    /* a test run always shows a socket, so this is a process of the node */
    lab_expect("a probe of its own node", lab_run(FENCE_INGRESS, from_host), true,
               FENCE_REASON_FROM_HOST);
    lab_expect("the answer to it", lab_run(FENCE_EGRESS, answer), true, FENCE_REASON_ESTABLISHED);
    set_flags(FENCE_EP_PENDING | FENCE_EP_INCOMPLETE, 0);
    lab_expect("a friend of an incomplete pod", from_friend(80), false, FENCE_REASON_INCOMPLETE);
}

/* What `open` let in is judged as soon as there is a policy. */
static void test_pending_open(void **state)
{
    struct fence_packet data = lab_packet(FENCE_INGRESS, lab_stranger(4), IPPROTO_TCP, 40000, 80);

    (void)state;
    lab_reset();
    set_flags(FENCE_EP_PENDING | FENCE_EP_OPEN, 0);
    lab_expect("a stranger while open", lab_run(FENCE_INGRESS, data), true,
               FENCE_REASON_PENDING_OPEN);
    assert_int_equal(lab_connection_count(LAB_HALF_OPEN), 1);
    data.tcp_flags = FENCE_TCP_ACK;
    set_flags(0, LAB_SET_STRICT);
    lab_expect("the same connection under the policy", lab_run(FENCE_INGRESS, data), false,
               FENCE_REASON_NO_RULE);
    set_flags(FENCE_EP_NOT_APPLIED, 0);
    lab_expect("closed because its policy could not be written", lab_run(FENCE_INGRESS, data),
               false, FENCE_REASON_NOT_APPLIED);
}

static void test_exempt(void **state)
{
    (void)state;
    lab_reset();
    set_flags(FENCE_EP_EXEMPT, 0);
    lab_expect("an exempt pod", from_friend(1), true, FENCE_REASON_EXEMPT);
    assert_int_equal(lab_connection_count(LAB_HALF_OPEN), 0);
}

static void test_the_node_itself(void **state)
{
    struct lab_interval denylist = {0, FENCE_DENY, FENCE_REASON_DENYLIST, 5};

    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        struct fence_packet packet =
            lab_packet(FENCE_INGRESS, lab_host(family), IPPROTO_TCP, 50000, 8080);
        struct fence_probe_result result;

        lab_reset();
        lab_expect("a process of the node", lab_run(FENCE_INGRESS, packet), true,
                   FENCE_REASON_FROM_HOST);
        result = lab_probe(FENCE_INGRESS, FENCE_ORIGIN_LOCAL, packet);
        assert_int_equal(result.verdict, FENCE_ALLOW);
        result = lab_probe(FENCE_INGRESS, FENCE_ORIGIN_FORWARDED, packet);
        assert_int_equal(result.verdict, FENCE_DENY);
        /* the table is that of the masqueraded world, what says when to judge again the address */
        assert_int_equal(result.peer, LAB_PEER_HOST);
        lab_table_plain(LAB_SET_STRICT,
                        family == 4 ? FENCE_PEER_MASQUERADED4 : FENCE_PEER_MASQUERADED6,
                        FENCE_INGRESS, FENCE_ALLOW);
        result = lab_probe(FENCE_INGRESS, FENCE_ORIGIN_FORWARDED, packet);
        assert_int_equal(result.verdict, FENCE_ALLOW);

        lab_table(LAB_SET_STRICT, LAB_PEER_HOST, FENCE_INGRESS, &denylist, 1);
        packet.source_port++;
        lab_expect("the node over a Denylist", lab_run(FENCE_INGRESS, packet), true,
                   FENCE_REASON_WOULD_BE_DENIED);
    }
}

/* The node's address and a socket, but it came in by a device: not the node, and no way into a
 * connection that the node has opened. */
static void test_not_the_node(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        struct fence_packet packet =
            lab_packet(FENCE_INGRESS, lab_host(family), IPPROTO_TCP, 50000, 8080);
        struct fence_packet answer =
            lab_packet(FENCE_EGRESS, lab_host(family), IPPROTO_TCP, 8080, 50000);
        struct lab_result result;

        lab_reset();
        result = lab_run_forwarded(packet);
        lab_expect("a first packet", result, false, FENCE_REASON_NO_RULE);
        assert_true(result.masqueraded);
        assert_int_equal(lab_connection_count(LAB_HALF_OPEN), 0);

        lab_expect("the node opens the same connection", lab_run(FENCE_INGRESS, packet), true,
                   FENCE_REASON_FROM_HOST);
        answer.tcp_flags = FENCE_TCP_SYN | FENCE_TCP_ACK;
        lab_expect("the pod answers", lab_run(FENCE_EGRESS, answer), true,
                   FENCE_REASON_ESTABLISHED);
        result = lab_run_forwarded(packet);
        lab_expect("a SYN into it", result, false, FENCE_REASON_NO_RULE);
        assert_true(result.masqueraded);
        packet.tcp_flags = FENCE_TCP_ACK;
        result = lab_run_forwarded(packet);
        lab_expect("data into it", result, false, FENCE_REASON_NO_RULE);
        assert_true(result.masqueraded);
        result = lab_run(FENCE_INGRESS, packet);
        lab_expect("the node's own data", result, true, FENCE_REASON_ESTABLISHED);
        assert_false(result.masqueraded);
        result = lab_run_forwarded(packet);
        lab_expect("data into the established one", result, false, FENCE_REASON_NO_RULE);
        assert_true(result.masqueraded);
        lab_expect("the node goes on", lab_run(FENCE_INGRESS, packet), true,
                   FENCE_REASON_ESTABLISHED);
    }
}

static void test_takeover(void **state)
{
    struct fence_endpoint endpoint;

    (void)state;
    lab_reset();
    endpoint = lab_endpoint();
    endpoint.set = LAB_SET_OPEN;
    endpoint.next[0].set = LAB_SET_CLOSED;
    endpoint.next[0].at_ns = fence_clock_boot_ns() + HOUR_NS;
    lab_endpoint_write(&endpoint);
    lab_expect("before", from_friend(1), true, FENCE_REASON_RULE);
    endpoint.next[0].at_ns = fence_clock_boot_ns() - 1;
    lab_endpoint_write(&endpoint);
    lab_expect("after", from_friend(2), false, FENCE_REASON_NO_RULE);
}

/* All that an endpoint has room for, one after the other: what passes changes with each of them. */
static void test_takeovers(void **state)
{
    struct fence_endpoint endpoint;

    (void)state;
    for (unsigned int passed = 0; passed <= FENCE_NEXT_SETS; passed++) {
        lab_reset();
        endpoint = lab_endpoint();
        endpoint.set = LAB_SET_OPEN;
        for (unsigned int i = 0; i < FENCE_NEXT_SETS; i++) {
            endpoint.next[i].set = i % 2 ? LAB_SET_OPEN : LAB_SET_CLOSED;
            endpoint.next[i].at_ns = fence_clock_boot_ns();
            if (i >= passed)
                endpoint.next[i].at_ns += (i + 1) * HOUR_NS;
        }
        lab_endpoint_write(&endpoint);
        lab_expect("after so many", from_friend(1 + passed), passed % 2 == 0,
                   passed % 2 ? FENCE_REASON_NO_RULE : FENCE_REASON_RULE);
    }
}

/* A moment comes while the pair is kept: it is looked up again. */
static void test_takeover_of_a_kept_pair(void **state)
{
    struct fence_endpoint endpoint;
    __u64 end;

    (void)state;
    lab_reset();
    endpoint = lab_endpoint();
    endpoint.set = LAB_SET_CLOSED;
    endpoint.next[0].set = LAB_SET_CLOSED;
    endpoint.next[0].at_ns = fence_clock_boot_ns() - 1;
    endpoint.next[1].set = LAB_SET_OPEN;
    endpoint.next[1].at_ns = fence_clock_boot_ns() + 50000000;
    lab_endpoint_write(&endpoint);
    lab_expect("before", from_friend(1), false, FENCE_REASON_NO_RULE);
    end = fence_clock_boot_ns() + 5000000000ull;
    while (!from_friend(2).passed && fence_clock_boot_ns() < end)
        ;
    assert_true(fence_clock_boot_ns() < end);
    assert_true(fence_clock_boot_ns() >= endpoint.next[1].at_ns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_endpoint),
        cmocka_unit_test(test_pending),
        cmocka_unit_test(test_pending_open),
        cmocka_unit_test(test_exempt),
        cmocka_unit_test(test_the_node_itself),
        cmocka_unit_test(test_not_the_node),
        cmocka_unit_test(test_takeover),
        cmocka_unit_test(test_takeovers),
        cmocka_unit_test(test_takeover_of_a_kept_pair),
    };

    return cmocka_run_group_tests_name("bpf.endpoint", tests, lab_setup, lab_teardown);
}

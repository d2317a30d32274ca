/* SPDX-License-Identifier: Apache-2.0 */
/* bpf/arrival.bpf.h: who sends with the address of a pod of this node, and not from it, is nobody.
 */
#include <bpf/bpf.h>
#include <netinet/in.h>

#include "lib/base/memory.h"
#include "test/bpf/lab.h"
#include "test/cmocka.h"

#define BRIDGE 7777u /* that the friend is a port of */
#define UPLINK 8888u

static const unsigned int protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};

/* The friend is a pod of this node, on a bridge or not. */
static void place_friend(__u32 bridge)
{
    struct fence_endpoint endpoint = {.identity = 300, .set = LAB_SET_OPEN, .addr_count = 2};
    __u32 ifindex = lab_second_ifindex();

    endpoint.slot = 2;
    endpoint.bridge = bridge;
    endpoint.addrs[0] = lab_friend(4);
    endpoint.addrs[1] = lab_friend(6);
    assert_int_equal(
        bpf_map_update_elem(lab_map(FENCE_MAP_ENDPOINTS), &ifindex, &endpoint, BPF_ANY), 0);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(
            bpf_map_update_elem(lab_map(FENCE_MAP_LOCALS), &endpoint.addrs[i], &ifindex, BPF_ANY),
            0);
    lab_raise_epoch();
}

/* To the pod, with the friend's address. flags: of TCP. */
static struct lab_result from_friend(int family, unsigned int protocol, unsigned int port,
                                     unsigned int flags, __u32 came_in_by)
{
    bool answers = port == 443;
    struct fence_packet packet = lab_packet(FENCE_INGRESS, lab_friend(family), protocol,
                                            answers ? port : 40000, answers ? 40000 : port);

    packet.tcp_flags = flags;
    return lab_run_arrived(packet, came_in_by);
}

static void expect_unknown(const char *what, struct lab_result result)
{
    lab_expect(what, result, false, FENCE_REASON_NO_RULE);
    assert_true(result.masqueraded);
}

/* By its own interface, by its bridge, or made by the node in its name. */
static void test_ways(void **state)
{
    const struct {
        const char *what;
        __u32 bridge, came_in_by;
        bool known;
    } rows[] = {
        {"its interface", BRIDGE, lab_second_ifindex(), true},
        {"its bridge", BRIDGE, BRIDGE, true},
        {"the node", BRIDGE, 0, true},
        {"another device", BRIDGE, UPLINK, false},
        {"its interface, routed", 0, lab_second_ifindex(), true},
        {"the node, routed", 0, 0, true},
        {"another device, routed", 0, UPLINK, false},
        {"the receiver's own interface", BRIDGE, lab_ifindex(), false},
    };

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows) * 6; i++) {
        int family = i % 2 ? 6 : 4;
        unsigned int protocol = protocols[i / 2 % 3];
        struct lab_result result;

        lab_reset();
        place_friend(rows[i / 6].bridge);
        result = from_friend(family, protocol, 80, 0, rows[i / 6].came_in_by);
        if (rows[i / 6].known)
            lab_expect(rows[i / 6].what, result, true, FENCE_REASON_RULE);
        else
            expect_unknown(rows[i / 6].what, result);
    }
}

/* Of a pod elsewhere nobody can say by which device it comes. */
static void test_elsewhere(void **state)
{
    (void)state;
    lab_reset();
    lab_expect("a pod of another node", from_friend(4, IPPROTO_UDP, 80, 0, UPLINK), true,
               FENCE_REASON_RULE);
}

/* Whom the world's rule lets in, it lets in under any name that is not denied. */
static void test_world(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        struct lab_result result;

        lab_reset();
        place_friend(BRIDGE);
        lab_table_plain(LAB_SET_STRICT,
                        family == 4 ? FENCE_PEER_MASQUERADED4 : FENCE_PEER_MASQUERADED6,
                        FENCE_INGRESS, FENCE_ALLOW);
        result = from_friend(family, IPPROTO_UDP, 80, 0, UPLINK);
        lab_expect("whom the friend's rule allows too", result, true, FENCE_REASON_RULE);
        assert_true(result.masqueraded);
        lab_expect("whom it denies", from_friend(family, IPPROTO_UDP, 81, 0, UPLINK), false,
                   FENCE_REASON_NO_RULE);
        assert_int_equal(lab_connection_count(LAB_HALF_OPEN), 0);
    }
}

/* The friend's connection to the pod: open, answered, spoken. */
static void open_connection(int family, unsigned int protocol)
{
    struct fence_packet answer = lab_packet(FENCE_EGRESS, lab_friend(family), protocol, 80, 40000);

    answer.tcp_flags = FENCE_TCP_SYN | FENCE_TCP_ACK;
    lab_expect("the friend", from_friend(family, protocol, 80, FENCE_TCP_SYN, lab_second_ifindex()),
               true, FENCE_REASON_RULE);
    lab_expect("its answer", lab_run(FENCE_EGRESS, answer), true, FENCE_REASON_ESTABLISHED);
    for (int i = 0; i < 2; i++)
        lab_expect("the friend goes on",
                   from_friend(family, protocol, 80, FENCE_TCP_ACK, lab_second_ifindex()), true,
                   FENCE_REASON_ESTABLISHED);
}

/* Nobody else's packet is of the friend's connections, whoever opened them. */
static void test_connections(void **state)
{
    static const unsigned int flags[] = {FENCE_TCP_ACK, FENCE_TCP_SYN, FENCE_TCP_RST,
                                         FENCE_TCP_FIN | FENCE_TCP_ACK,
                                         FENCE_TCP_SYN | FENCE_TCP_ACK};

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        int family = i % 2 ? 6 : 4;
        unsigned int protocol = protocols[i / 2];

        lab_reset();
        place_friend(BRIDGE);
        open_connection(family, protocol);
        lab_expect("the pod opens one",
                   lab_run(FENCE_EGRESS,
                           lab_packet(FENCE_EGRESS, lab_friend(family), protocol, 40000, 443)),
                   true, FENCE_REASON_RULE);
        for (size_t j = 0; j < FENCE_ARRAY_SIZE(flags); j++) {
            expect_unknown("into the friend's",
                           from_friend(family, protocol, 80, flags[j], UPLINK));
            expect_unknown("into the pod's", from_friend(family, protocol, 443, flags[j], UPLINK));
        }
        lab_expect("the friend's lives",
                   from_friend(family, protocol, 80, FENCE_TCP_ACK, lab_second_ifindex()), true,
                   FENCE_REASON_ESTABLISHED);
        lab_expect("the pod's lives", from_friend(family, protocol, 443, FENCE_TCP_ACK, BRIDGE),
                   true, FENCE_REASON_ESTABLISHED);
    }
}

/* Nor is it of a connection whose entry was lost. */
static void test_reverse(void **state)
{
    (void)state;
    lab_reset();
    place_friend(BRIDGE);
    expect_unknown("not the friend", from_friend(4, IPPROTO_TCP, 443, FENCE_TCP_ACK, UPLINK));
    lab_expect("the friend", from_friend(4, IPPROTO_TCP, 443, FENCE_TCP_ACK, BRIDGE), true,
               FENCE_REASON_REVERSE_RULE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ways),    cmocka_unit_test(test_elsewhere),
        cmocka_unit_test(test_world),   cmocka_unit_test(test_connections),
        cmocka_unit_test(test_reverse),
    };

    return cmocka_run_group_tests_name("bpf.arrival", tests, lab_setup, lab_teardown);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* bpf/table.bpf.h: who gives way to whom when the connection table is full. */
#include <bpf/bpf.h>
#include <netinet/in.h>
#include <string.h>

#include "bpf/connection.h"
#include "lib/base/memory.h"
#include "test/bpf/lab.h"
#include "test/cmocka.h"

#define FLOWS 200 /* of the second pod, well within its share */

/* The i-th UDP flow of the second pod to its friend, which may ask nothing in return. */
static struct fence_packet second_packet(enum fence_direction direction, unsigned int i)
{
    bool out = direction == FENCE_EGRESS;
    struct fence_packet packet = lab_packet(direction, lab_friend(4), IPPROTO_UDP,
                                            out ? 1000 + i : 443, out ? 443 : 1000 + i);

    if (out) {
        packet.source = lab_stranger(4);
        memcpy(packet.source_mac, lab_gateway_mac, sizeof(packet.source_mac));
    } else {
        packet.destination = lab_stranger(4);
    }
    return packet;
}

static void second_asks(unsigned int i)
{
    lab_expect("the second pod asks", lab_run_second(FENCE_EGRESS, second_packet(FENCE_EGRESS, i)),
               true, -1);
}

static void second_is_answered(unsigned int i)
{
    lab_expect("the second pod is answered",
               lab_run_second(FENCE_INGRESS, second_packet(FENCE_INGRESS, i)), true,
               FENCE_REASON_ESTABLISHED);
}

/* The i-th flow of the first pod, which may do what it likes: a SYN, or a datagram and its answer.
 */
static void first_floods(unsigned int i, unsigned int protocol, bool answered)
{
    unsigned int mine = 1024 + i % 60000, theirs = 1 + i / 60000;
    struct fence_packet out = lab_packet(FENCE_EGRESS, lab_world(4), protocol, mine, theirs);
    struct fence_packet in = lab_packet(FENCE_INGRESS, lab_world(4), protocol, theirs, mine);
    unsigned char frame[FENCE_PACKET_MAX];

    assert_true(lab_run_quietly(FENCE_EGRESS, frame, fence_packet_build(&out, frame)));
    if (answered)
        assert_true(lab_run_quietly(FENCE_INGRESS, frame, fence_packet_build(&in, frame)));
}

static void begin(void)
{
    lab_reset();
    lab_use_set(LAB_SET_OPEN);
    lab_second_add(LAB_SET_STRICT);
}

/* Five times as many first packets as the table has room for. */
static void test_flood_takes_nothing_from_another_pod(void **state)
{
    (void)state;
    begin();
    for (unsigned int i = 0; i < FLOWS; i++)
        second_asks(i);
    for (unsigned int i = 0; i < FLOWS; i++)
        second_is_answered(i);
    for (unsigned int i = 0; i < 5 * LAB_CONNECTIONS; i++)
        first_floods(i, IPPROTO_TCP, false);
    for (unsigned int i = 0; i < FLOWS; i++)
        second_is_answered(i);
}

/* Nor do half-open entries of a pod within its share give way. */
static void test_flood_takes_nothing_half_open_either(void **state)
{
    (void)state;
    begin();
    for (unsigned int i = 0; i < FLOWS; i++)
        second_asks(i);
    for (unsigned int i = 0; i < 5 * LAB_CONNECTIONS; i++)
        first_floods(i, IPPROTO_TCP, false);
    for (unsigned int i = 0; i < FLOWS; i++)
        second_is_answered(i);
}

/* A table full of one pod's established flows: another one still finds room for its own. */
static void test_who_has_less_takes_from_who_has_more(void **state)
{
    (void)state;
    begin();
    for (unsigned int i = 0; i < 2 * LAB_CONNECTIONS; i++)
        first_floods(i, IPPROTO_UDP, true);
    for (unsigned int i = 0; i < FLOWS; i++) {
        second_asks(i);
        second_is_answered(i);
    }
    for (unsigned int i = 0; i < 2 * LAB_CONNECTIONS; i++)
        first_floods(70000 + i, IPPROTO_UDP, true);
    for (unsigned int i = 0; i < FLOWS; i++)
        second_is_answered(i);
}

/* A pod's own flood of first packets pushes out none of its established flows, though these are
 * half of its share: some buckets have nothing else. */
static void test_own_flood_takes_nothing_established(void **state)
{
    const unsigned int flows = LAB_SHARE / 2;

    (void)state;
    begin();
    for (unsigned int i = 0; i < flows; i++)
        first_floods(i, IPPROTO_UDP, true);
    assert_int_equal(lab_connection_count(LAB_ESTABLISHED), flows);
    for (unsigned int i = 0; i < 5 * LAB_CONNECTIONS; i++)
        first_floods(1000 + i, IPPROTO_TCP, false);
    assert_int_equal(lab_connection_count(LAB_ESTABLISHED), flows);
    assert_true(lab_connection_count(LAB_HALF_OPEN) + flows <= LAB_CONNECTIONS);
}

static void share_is(__u32 share)
{
    struct fence_settings settings;
    __u32 zero = 0;

    assert_int_equal(bpf_map_lookup_elem(lab_map(FENCE_MAP_SETTINGS), &zero, &settings), 0);
    settings.share = share;
    assert_int_equal(bpf_map_update_elem(lab_map(FENCE_MAP_SETTINGS), &zero, &settings, 0), 0);
}

#define MANY (LAB_CONNECTIONS * 3 / 4)

/* MANY flows of the second pod, answered; returns how many have an entry: a few find both their
 * buckets full, and are answered all the same. */
static unsigned int second_fills(bool stored[MANY])
{
    unsigned int count = 0;

    for (unsigned int i = 0; i < MANY; i++) {
        struct lab_result answer;

        second_asks(i);
        answer = lab_run_second(FENCE_INGRESS, second_packet(FENCE_INGRESS, i));
        assert_true(answer.passed);
        stored[i] = answer.reason == FENCE_REASON_ESTABLISHED;
        assert_true(stored[i] || answer.reason == FENCE_REASON_RECOVERY);
        count += stored[i];
    }
    return count;
}

/* Most buckets are full of entries of a pod that is within its share: who floods finds none of his
 * own there, and gets no entry. */
static void test_nobody_within_the_share_gives_way(void **state)
{
    static bool stored[MANY];

    (void)state;
    begin();
    share_is(MANY + 1);
    assert_true(second_fills(stored) >= MANY / 20 * 19);
    for (unsigned int i = 0; i < 2 * LAB_CONNECTIONS; i++)
        first_floods(i, IPPROTO_UDP, true);
    for (unsigned int i = 0; i < MANY; i++)
        if (stored[i])
            second_is_answered(i);
}

/* What has expired is nobody's: a full table has room again without a sweep. */
static void test_expired_entries_make_room(void **state)
{
    (void)state;
    begin();
    for (unsigned int i = 0; i < 2 * LAB_CONNECTIONS; i++)
        first_floods(i, IPPROTO_UDP, true);
    lab_grow_old(200);
    for (unsigned int i = 0; i < LAB_CONNECTIONS / 4; i++) {
        second_asks(i);
        second_is_answered(i);
    }
}

static size_t open_entries(void)
{
    size_t all = lab_connection_count(LAB_HALF_OPEN) + lab_connection_count(LAB_ESTABLISHED);

    return all - lab_connection_count(LAB_CLOSED);
}

/* What is closed keeps nobody else out, whosever it is and however young. */
static void test_closed_entries_make_room(void **state)
{
    static bool stored[MANY];

    (void)state;
    begin();
    share_is(MANY + 1);
    second_fills(stored);
    lab_connection_flags(FENCE_CONN_CLOSED, 0);
    for (unsigned int i = 0; i < LAB_CONNECTIONS / 4; i++)
        first_floods(i, IPPROTO_UDP, true);
    assert_int_equal(open_entries(), LAB_CONNECTIONS / 4);
    /* but what is cut says that nobody may open it again */
    lab_connection_flags(FENCE_CONN_CLOSED | FENCE_CONN_CUT, 0);
    for (unsigned int i = 0; i < LAB_CONNECTIONS / 4; i++)
        first_floods(60000 + i, IPPROTO_UDP, true);
    assert_true(open_entries() < LAB_CONNECTIONS / 4);
}

/* A handshake of the second pod with its friend; returns the reason that its answer passed for. */
static unsigned int second_shakes_hands(unsigned int i)
{
    struct fence_packet out = second_packet(FENCE_EGRESS, i);
    struct fence_packet in = second_packet(FENCE_INGRESS, i);
    struct lab_result answer;

    out.protocol = in.protocol = IPPROTO_TCP;
    out.tcp_flags = FENCE_TCP_SYN;
    in.tcp_flags = FENCE_TCP_SYN | FENCE_TCP_ACK;
    lab_expect("a new connection", lab_run_second(FENCE_EGRESS, out), true, FENCE_REASON_RULE);
    answer = lab_run_second(FENCE_INGRESS, in);
    assert_true(answer.passed);
    out.tcp_flags = in.tcp_flags = FENCE_TCP_ACK;
    lab_expect("its data", lab_run_second(FENCE_EGRESS, out), true, -1);
    lab_expect("data back", lab_run_second(FENCE_INGRESS, in), true, -1);
    return answer.reason;
}

/* Wherever the second pod's new connections find no place among those of a pod within its share,
 * they are made all the same, and for a while only. */
static void test_no_place_is_no_obstacle(void **state)
{
    struct fence_packet unasked = second_packet(FENCE_INGRESS, 60000);
    unsigned int without = 0;
    struct fence_usage usage;
    __u32 slot = 2;

    (void)state;
    begin();
    share_is(LAB_CONNECTIONS);
    for (unsigned int i = 0; i < 2 * LAB_CONNECTIONS; i++)
        first_floods(i, IPPROTO_UDP, true);
    lab_expect("an answer that nothing asked for", lab_run_second(FENCE_INGRESS, unasked), false,
               FENCE_REASON_NO_RULE);
    for (unsigned int i = 0; i < FLOWS; i++)
        without += second_shakes_hands(i) == FENCE_REASON_RECOVERY;
    assert_true(without > FLOWS / 4);
    lab_expect("it recovers", lab_run_second(FENCE_INGRESS, unasked), true, FENCE_REASON_RECOVERY);
    assert_int_equal(bpf_map_lookup_elem(lab_map(FENCE_MAP_USAGE), &slot, &usage), 0);
    usage.full_at -= FENCE_FULL_TICKS(1000 * FENCE_SECONDS_FULL) + 2;
    assert_int_equal(bpf_map_update_elem(lab_map(FENCE_MAP_USAGE), &slot, &usage, 0), 0);
    unasked.destination_port++;
    lab_expect("it has recovered", lab_run_second(FENCE_INGRESS, unasked), false,
               FENCE_REASON_NO_RULE);
}

/* A connection that lives takes the place of the endpoint's own oldest, where there is no other:
 * else each packet that answers would pass by the reverse rule, which has a limit. */
static void test_a_living_connection_finds_a_place(void **state)
{
    struct fence_packet back = second_packet(FENCE_INGRESS, 0);

    (void)state;
    begin();
    share_is(2 * LAB_CONNECTIONS);
    for (unsigned int i = 0; i < 12 * LAB_CONNECTIONS; i++) {
        second_asks(i);
        (void)lab_run_second(FENCE_INGRESS, second_packet(FENCE_INGRESS, i));
    }
    assert_true(lab_connection_count(LAB_ESTABLISHED) > 19ul * LAB_CONNECTIONS / 20);
    back.protocol = IPPROTO_TCP;
    back.tcp_flags = FENCE_TCP_ACK;
    for (unsigned int i = 0; i < FLOWS; i++) {
        second_shakes_hands(i);
        back.destination_port = 1000 + i;
        lab_expect("more data back", lab_run_second(FENCE_INGRESS, back), true,
                   FENCE_REASON_ESTABLISHED);
    }
}

/* The first pod sends the second one a datagram, and each end's hook sees it. */
static void one_sends_to_the_other(int family, unsigned int port)
{
    struct fence_packet packet =
        lab_packet(FENCE_EGRESS, lab_stranger(family), IPPROTO_UDP, port, 443);

    lab_expect("sent", lab_run(FENCE_EGRESS, packet), true, -1);
    memcpy(packet.destination_mac, lab_gateway_mac, sizeof(packet.destination_mac));
    lab_expect("received", lab_run_second(FENCE_INGRESS, packet), true, -1);
}

static void test_both_ends_share_a_bucket(void **state)
{
    (void)state;
    lab_reset();
    lab_use_set(LAB_SET_OPEN);
    lab_second_add(LAB_SET_OPEN);
    for (unsigned int i = 0; i < FLOWS; i++)
        one_sends_to_the_other(i % 2 ? 4 : 6, 2000 + i * 7);
    assert_int_equal(lab_connection_count(LAB_HALF_OPEN), 2 * FLOWS);
    /* nearly: where one is full, an entry is in the second of both */
    assert_true(lab_bucket_count() <= FLOWS + FLOWS / 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flood_takes_nothing_from_another_pod),
        cmocka_unit_test(test_flood_takes_nothing_half_open_either),
        cmocka_unit_test(test_who_has_less_takes_from_who_has_more),
        cmocka_unit_test(test_own_flood_takes_nothing_established),
        cmocka_unit_test(test_nobody_within_the_share_gives_way),
        cmocka_unit_test(test_expired_entries_make_room),
        cmocka_unit_test(test_closed_entries_make_room),
        cmocka_unit_test(test_no_place_is_no_obstacle),
        cmocka_unit_test(test_a_living_connection_finds_a_place),
        cmocka_unit_test(test_both_ends_share_a_bucket),
    };

    return cmocka_run_group_tests_name("bpf.table", tests, lab_setup, lab_teardown);
}

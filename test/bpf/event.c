/* SPDX-License-Identifier: Apache-2.0 */
/* bpf/event.bpf.h: what is told of connections and drops, and that the books balance. */
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "lib/datapath/events.h"
#include "test/bpf/lab.h"
#include "test/cmocka.h"

#define FLOOD      5000u
#define A_SECOND   100u
#define EQUAL      4u
#define RING_ROOM  (FENCE_EVENTS_BYTES / 96u) /* a record and its header */
#define TOO_MANY   (RING_ROOM + 1500u)
#define SCAN_PORTS 60u

struct seen {
    unsigned int records; /* of packets */
    unsigned int numbers; /* FENCE_EVENT_SUPPRESSED */
    unsigned int suppressed;
    struct fence_event first; /* of packets */
    struct fence_event last;
    struct fence_event last_number;
};

static struct fence_pins pins;
static struct fence_events *events;
static struct seen seen;

static void remember(void *context, const struct fence_event *event)
{
    (void)context;
    seen.suppressed += event->suppressed;
    if (event->type == FENCE_EVENT_SUPPRESSED) {
        seen.numbers++;
        seen.last_number = *event;
        return;
    }
    if (!seen.records++)
        seen.first = *event;
    seen.last = *event;
}

/* What was told since the last time. */
static struct seen told(void)
{
    struct seen all;

    while (fence_events_consume(events) > 0)
        ;
    all = seen;
    seen = (struct seen){0};
    return all;
}

static void begin(void)
{
    if (!events) {
        fence_pins_init(&pins);
        for (unsigned int i = 0; i < FENCE_MAP_COUNT; i++)
            pins.maps[i] = lab_map((enum fence_map)i);
        for (unsigned int i = 0; i < FENCE_PROG_COUNT; i++)
            pins.progs[i] = lab_prog((enum fence_prog)i);
        assert_int_equal(fence_events_new(&pins, remember, NULL, &events, NULL), 0);
    }
    lab_reset();
    for (__u32 i = 0; i < FENCE_HEARINGS; i++)
        assert_int_equal(bpf_map_update_elem(lab_map(FENCE_MAP_OBSERVED), &i, &(__u64){0}, 0), 0);
    (void)told();
}

static struct fence_events_books books(void)
{
    struct fence_events_books now;

    assert_int_equal(fence_events_books(&pins, &now), 0);
    return now;
}

static struct fence_packet knock(unsigned int source_port, unsigned int port)
{
    struct fence_packet packet =
        lab_packet(FENCE_INGRESS, lab_stranger(4), IPPROTO_TCP, source_port, port);

    packet.tcp_flags = FENCE_TCP_SYN;
    return packet;
}

static void run_quietly(struct fence_packet packet, bool passes)
{
    unsigned char frame[FENCE_PACKET_MAX];

    assert_int_equal(lab_run_quietly(FENCE_INGRESS, frame, fence_packet_build(&packet, frame)),
                     passes);
}

/* As if a second had passed. */
static void a_second_later(void)
{
    int fd = lab_map(FENCE_MAP_EVENT_LIMITS);
    struct fence_event_key key, *before = NULL;

    for (struct fence_event_key next; bpf_map_get_next_key(fd, before, &next) == 0; before = &key) {
        struct fence_event_limit limit;

        key = next;
        assert_int_equal(bpf_map_lookup_elem(fd, &key, &limit), 0);
        limit.since -= 1000;
        assert_int_equal(bpf_map_update_elem(fd, &key, &limit, BPF_EXIST), 0);
    }
}

/* The whole life of a connection is one record at the pod's hook. */
static void test_one_connection_gives_one_event(void **state)
{
    const struct fence_addr source = lab_friend(4);
    struct fence_packet in = lab_packet(FENCE_INGRESS, lab_friend(4), IPPROTO_TCP, 40000, 80);
    struct fence_packet out = lab_packet(FENCE_EGRESS, lab_friend(4), IPPROTO_TCP, 80, 40000);
    struct seen got;

    (void)state;
    begin();
    assert_int_equal(fence_events_listen(&pins, FENCE_HEARING_ALL), 0);
    in.tcp_flags = FENCE_TCP_SYN;
    lab_run(FENCE_INGRESS, in);
    lab_run(FENCE_INGRESS, in);
    out.tcp_flags = FENCE_TCP_SYN | FENCE_TCP_ACK;
    lab_run(FENCE_EGRESS, out);
    in.tcp_flags = out.tcp_flags = FENCE_TCP_ACK;
    lab_run(FENCE_INGRESS, in);
    lab_run(FENCE_EGRESS, out);
    in.tcp_flags = out.tcp_flags = FENCE_TCP_FIN | FENCE_TCP_ACK;
    lab_run(FENCE_INGRESS, in);
    lab_run(FENCE_EGRESS, out);
    got = told();
    assert_int_equal(got.records, 1);
    assert_int_equal(got.numbers, 0);
    assert_int_equal(got.last.type, FENCE_EVENT_VERDICT);
    assert_int_equal(got.last.verdict, FENCE_ALLOW);
    assert_int_equal(got.last.destination_port, 80);
    assert_memory_equal(&got.last.source, &source, sizeof(source));
}

static void neighbours(void)
{
    const __u32 second = lab_second_ifindex();
    struct fence_endpoint endpoint;

    lab_settings_flags(FENCE_SETTING_SAME_NODE);
    lab_use_set(LAB_SET_OPEN);
    lab_second_add(LAB_SET_OPEN);
    lab_endpoint_is_local();
    endpoint = lab_endpoint();
    endpoint.flags |= FENCE_EP_HANDOVER;
    lab_endpoint_write(&endpoint);
    assert_int_equal(bpf_map_lookup_elem(lab_map(FENCE_MAP_ENDPOINTS), &second, &endpoint), 0);
    endpoint.flags |= FENCE_EP_HANDOVER;
    assert_int_equal(bpf_map_update_elem(lab_map(FENCE_MAP_ENDPOINTS), &second, &endpoint, 0), 0);
    assert_int_equal(bpf_map_update_elem(lab_map(FENCE_MAP_LOCALS), &endpoint.addrs[0], &second, 0),
                     0);
    lab_raise_epoch();
}

/* Handed over from pod to pod, a connection is told at each end, as if it had gone by both hooks.
 */
static void test_same_node_is_told_at_both_ends(void **state)
{
    struct fence_packet packet = lab_packet(FENCE_EGRESS, lab_stranger(4), IPPROTO_TCP, 40000, 80);
    struct seen got;

    (void)state;
    begin();
    neighbours();
    assert_int_equal(fence_events_listen(&pins, FENCE_HEARING_ALL), 0);
    packet.tcp_flags = FENCE_TCP_SYN;
    assert_true(lab_run(FENCE_EGRESS, packet).passed);
    assert_true(lab_run(FENCE_EGRESS, packet).passed); /* again, for want of an answer */
    got = told();
    assert_int_equal(got.records, 2);
    assert_int_equal(got.first.ifindex, lab_ifindex());
    assert_int_equal(got.first.direction, FENCE_EGRESS);
    assert_int_equal(got.last.ifindex, lab_second_ifindex());
    assert_int_equal(got.last.direction, FENCE_INGRESS);
    assert_int_equal(got.last.identity, 257);
    assert_int_equal(got.last.verdict, FENCE_ALLOW);
    assert_memory_equal(&got.first.source, &got.last.source, sizeof(got.last.source));
    assert_memory_equal(&got.first.destination, &got.last.destination, sizeof(got.last.source));
}

/* A connection that has no entry, as in a full table, is not a new one with each packet. */
static void test_same_node_without_an_entry(void **state)
{
    struct fence_packet packet = lab_packet(FENCE_EGRESS, lab_stranger(4), IPPROTO_TCP, 40000, 80);

    (void)state;
    begin();
    neighbours();
    assert_int_equal(fence_events_listen(&pins, FENCE_HEARING_ALL), 0);
    packet.tcp_flags = FENCE_TCP_SYN;
    assert_true(lab_run(FENCE_EGRESS, packet).passed);
    assert_int_equal(told().records, 2);
    packet.tcp_flags = FENCE_TCP_ACK;
    for (unsigned int i = 0; i < 64; i++) {
        lab_connections_lose();
        assert_true(lab_run(FENCE_EGRESS, packet).passed);
    }
    /* one in 256 looks for its entry all the same */
    assert_true(told().records < 8);
}

/* What the receiver's end refuses is told there. */
static void test_same_node_refusal_is_told_at_its_end(void **state)
{
    struct fence_packet packet = lab_packet(FENCE_EGRESS, lab_stranger(4), IPPROTO_TCP, 40000, 80);
    const __u32 second = lab_second_ifindex();
    struct fence_endpoint endpoint;
    struct seen got;

    (void)state;
    begin();
    neighbours();
    assert_int_equal(bpf_map_lookup_elem(lab_map(FENCE_MAP_ENDPOINTS), &second, &endpoint), 0);
    endpoint.set = LAB_SET_CLOSED;
    assert_int_equal(bpf_map_update_elem(lab_map(FENCE_MAP_ENDPOINTS), &second, &endpoint, 0), 0);
    lab_raise_epoch();
    packet.tcp_flags = FENCE_TCP_SYN;
    assert_false(lab_run(FENCE_EGRESS, packet).passed);
    got = told();
    assert_int_equal(got.records, 1);
    assert_int_equal(got.last.type, FENCE_EVENT_DROP);
    assert_int_equal(got.last.direction, FENCE_INGRESS);
    assert_int_equal(got.last.ifindex, second);
}

static void test_scan_is_told_port_by_port(void **state)
{
    struct seen got;

    (void)state;
    begin();
    for (unsigned int port = 0; port < SCAN_PORTS; port++)
        run_quietly(knock(40000, 1000 + port), false);
    got = told();
    assert_int_equal(got.records, SCAN_PORTS);
    assert_int_equal(got.suppressed, 0);
}

static void test_flood_of_ports_is_bounded(void **state)
{
    const struct fence_addr pod = lab_pod(4);
    struct fence_events_books before, after;
    struct seen got, rest;

    (void)state;
    begin();
    before = books();
    for (unsigned int i = 0; i < FLOOD; i++)
        run_quietly(knock(40000, 1000 + i), false);
    got = told();
    assert_in_range(got.records, A_SECOND, 5 * A_SECOND);
    assert_int_equal(got.suppressed, 0);
    assert_int_equal(books().suppressed - before.suppressed, FLOOD - got.records);
    /* what the coarse limit left out is told as one number, whenever somebody asks */
    assert_int_equal(fence_events_flush(&pins, 0), 1);
    rest = told();
    after = books();
    assert_int_equal(rest.records, 0);
    assert_int_equal(rest.numbers, 1);
    assert_int_equal(got.records + rest.suppressed, FLOOD);
    assert_int_equal(after.summed - before.summed, rest.suppressed);
    assert_int_equal(after.untold, before.untold);
    assert_int_equal(after.lost, before.lost);
    assert_int_equal(rest.last_number.reason, FENCE_REASON_NO_RULE);
    assert_int_equal(rest.last_number.direction, FENCE_INGRESS);
    assert_int_equal(rest.last_number.ifindex, lab_ifindex());
    assert_int_equal(rest.last_number.identity, 256);
    assert_int_equal(rest.last_number.protocol, 0);
    assert_int_equal(rest.last_number.destination_port, 0);
    assert_memory_equal(&rest.last_number.destination, &pod, sizeof(pod));
    assert_int_equal(fence_events_flush(&pins, 0), 0);
    /* and the flood has made no entry for each of its ports */
    assert_in_range(lab_map_count(FENCE_MAP_EVENT_LIMITS), 1, 5 * A_SECOND + 1);
}

static void test_equal_drops_are_counted(void **state)
{
    struct seen first, next;

    (void)state;
    begin();
    for (unsigned int i = 0; i < 1000; i++)
        run_quietly(knock(40000, 23), false);
    first = told();
    assert_in_range(first.records, EQUAL, 3 * EQUAL);
    a_second_later();
    run_quietly(knock(40000, 23), false);
    next = told();
    assert_int_equal(next.records, 1);
    assert_int_equal(next.last.type, FENCE_EVENT_DROP);
    assert_int_equal(first.records + first.suppressed + next.suppressed, 1000);
}

/* The last of a flood has no next record. */
static void test_end_of_a_flood_is_told(void **state)
{
    struct seen got, rest;

    (void)state;
    begin();
    for (unsigned int i = 0; i < 50; i++)
        run_quietly(knock(40000, 24), false);
    got = told();
    a_second_later();
    assert_int_equal(fence_events_flush(&pins, 0), 1);
    rest = told();
    assert_int_equal(got.records + got.suppressed + rest.suppressed, 50);
    assert_int_equal(rest.numbers, 1);
    assert_int_equal(rest.last_number.destination_port, 24);
    assert_int_equal(rest.last_number.protocol, IPPROTO_TCP);
    assert_int_equal(rest.last_number.peer_identity, 301);
}

/* Before an endpoint's entries go, at once; and nobody else's. */
static void test_flush_of_one_endpoint(void **state)
{
    struct seen got;

    (void)state;
    begin();
    for (unsigned int i = 0; i < 10; i++)
        run_quietly(knock(40000, 25), false);
    got = told();
    assert_int_equal(fence_events_flush(&pins, 0), 0); /* it may go on */
    assert_int_equal(fence_events_flush(&pins, lab_second_ifindex()), 0);
    assert_int_equal(fence_events_flush(&pins, lab_ifindex()), 1);
    assert_int_equal(got.records + told().suppressed, 10);
}

/* Connections that are allowed, until the ring is full: each is told or counted, and drops go on
 * being counted while there is no room. */
static void test_full_ring_is_counted(void **state)
{
    struct fence_packet packet = lab_packet(FENCE_INGRESS, lab_friend(4), IPPROTO_UDP, 1, 80);
    struct fence_events_books before;
    struct pollfd poller = {.events = POLLIN};
    struct seen got;

    (void)state;
    begin();
    lab_use_set(LAB_SET_OPEN);
    poller.fd = fence_events_fd(events);
    before = books();
    assert_int_equal(fence_events_listen(&pins, FENCE_HEARING_ALL), 0);
    for (unsigned int i = 0; i < TOO_MANY; i++) {
        packet.source_port = 1 + i;
        run_quietly(packet, true);
        if (i == RING_ROOM / 8)
            assert_int_equal(poll(&poller, 1, 0), 0);
    }
    assert_int_equal(poll(&poller, 1, 1000), 1); /* woken, for it fills up */
    lab_use_set(LAB_SET_CLOSED);
    for (unsigned int i = 0; i < 50; i++)
        run_quietly(knock(40000, 26), false);
    assert_int_equal(fence_events_flush(&pins, lab_ifindex()), 0); /* no room: it stays */
    got = told();
    assert_int_equal(got.suppressed, 0);
    assert_true(books().lost > before.lost);
    assert_int_equal(fence_events_flush(&pins, lab_ifindex()), 1);
    assert_int_equal(got.records + told().suppressed + books().lost - before.lost, TOO_MANY + 50);
}

/* ---- connections that are alike ------------------------------------------------------------- */

/* Flows are counted on each CPU for itself. */
static void stay_on_one_cpu(void)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
}

/* As if a second had passed since any flow was told of. */
static void flows_a_second_later(void)
{
    struct fence_flow cpus[256];
    struct fence_flow_key key, *before = NULL;
    int fd = lab_map(FENCE_MAP_FLOWS);

    assert_true(libbpf_num_possible_cpus() <= 256);
    for (struct fence_flow_key next; bpf_map_get_next_key(fd, before, &next) == 0; before = &key) {
        key = next;
        assert_int_equal(bpf_map_lookup_elem(fd, &key, cpus), 0);
        for (int i = 0; i < libbpf_num_possible_cpus(); i++)
            cpus[i].told_at -= 1000;
        assert_int_equal(bpf_map_update_elem(fd, &key, cpus, BPF_EXIST), 0);
    }
}

static void connect_from(struct fence_addr source, unsigned int source_port, unsigned int port)
{
    struct fence_packet packet = lab_packet(FENCE_INGRESS, source, IPPROTO_TCP, source_port, port);

    packet.tcp_flags = FENCE_TCP_SYN;
    run_quietly(packet, true);
}

/* Who listens for alarms hears of one connection a second of each flow, with the number of the
 * others: records and numbers are what was opened. */
static void test_alike_are_told_as_a_number(void **state)
{
    struct seen got;

    (void)state;
    begin();
    stay_on_one_cpu();
    lab_use_set(LAB_SET_OPEN);
    for (unsigned int i = 0; i < 20; i++)
        connect_from(lab_friend(4), 30000 + i, 80);
    assert_int_equal(told().records, 0); /* nobody listens */
    flows_a_second_later();
    assert_int_equal(fence_events_listen(&pins, FENCE_HEARING_ALIKE), 0);
    connect_from(lab_friend(4), 30100, 80);
    got = told();
    assert_int_equal(got.records, 1);
    assert_int_equal(got.suppressed, 19); /* the first of the flow counts as told */
    for (unsigned int i = 0; i < 50; i++)
        connect_from(lab_friend(4), 31000 + i, 80);
    assert_int_equal(told().records, 0);
    flows_a_second_later();
    connect_from(lab_friend(4), 32000, 80);
    got = told();
    assert_int_equal(got.records, 1);
    assert_int_equal(got.last.type, FENCE_EVENT_VERDICT);
    assert_int_equal(got.suppressed, 50);
    /* and who wants all of them gets them */
    assert_int_equal(fence_events_listen(&pins, FENCE_HEARING_ALL), 0);
    for (unsigned int i = 0; i < 10; i++)
        connect_from(lab_friend(4), 33000 + i, 80);
    got = told();
    assert_int_equal(got.records, 10);
    assert_int_equal(got.suppressed, 0);
}

/* A scan, of ports or of addresses, is heard connection by connection all the same. */
static void test_what_is_new_is_no_number(void **state)
{
    struct fence_addr source = lab_world(4);

    (void)state;
    begin();
    stay_on_one_cpu();
    lab_use_set(LAB_SET_OPEN);
    assert_int_equal(fence_events_listen(&pins, FENCE_HEARING_ALIKE), 0);
    for (unsigned int port = 100; port < 100 + SCAN_PORTS; port++)
        connect_from(source, 40000, port);
    assert_int_equal(told().records, SCAN_PORTS);
    for (unsigned int i = 1; i <= SCAN_PORTS; i++) {
        source.bytes[15] = (__u8)(lab_world(4).bytes[15] + i);
        connect_from(source, 40000, 100);
    }
    /* addresses that share a place in `opened` are few */
    assert_in_range(told().records, SCAN_PORTS * 9 / 10, SCAN_PORTS);
}

static void test_forged_source_is_named(void **state)
{
    struct fence_packet packet = lab_packet(FENCE_EGRESS, lab_friend(4), IPPROTO_TCP, 40000, 443);
    struct seen got;

    (void)state;
    begin();
    packet.source = lab_stranger(4);
    lab_expect("forged", lab_run(FENCE_EGRESS, packet), false, FENCE_REASON_SPOOFED_ADDRESS);
    got = told();
    assert_int_equal(got.records, 1);
    assert_int_equal(got.last.type, FENCE_EVENT_DROP);
    assert_int_equal(got.last.reason, FENCE_REASON_SPOOFED_ADDRESS);
    assert_int_equal(got.last.direction, FENCE_EGRESS);
    assert_int_equal(got.last.ifindex, lab_ifindex());
    assert_memory_equal(&got.last.source, &packet.source, sizeof(packet.source));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_connection_gives_one_event),
        cmocka_unit_test(test_same_node_is_told_at_both_ends),
        cmocka_unit_test(test_same_node_without_an_entry),
        cmocka_unit_test(test_same_node_refusal_is_told_at_its_end),
        cmocka_unit_test(test_scan_is_told_port_by_port),
        cmocka_unit_test(test_flood_of_ports_is_bounded),
        cmocka_unit_test(test_equal_drops_are_counted),
        cmocka_unit_test(test_end_of_a_flood_is_told),
        cmocka_unit_test(test_flush_of_one_endpoint),
        cmocka_unit_test(test_full_ring_is_counted),
        cmocka_unit_test(test_alike_are_told_as_a_number),
        cmocka_unit_test(test_what_is_new_is_no_number),
        cmocka_unit_test(test_forged_source_is_named),
    };

    return cmocka_run_group_tests(tests, lab_setup, lab_teardown);
}

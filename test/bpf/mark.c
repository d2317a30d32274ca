/* SPDX-License-Identifier: Apache-2.0 */
/* bpf/mark.bpf.h: where the kernel's structs are not read, the mark says which pod has sent a
 * packet. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/bpf/frame.h"
#include "test/bpf/lab.h"
#include "test/cmocka.h"

#define MASK   0x10ffu
#define OTHERS (~MASK)
#define SENDER 2u /* the slot of the other pod: the friend */

static void use_mask(__u32 mask)
{
    struct fence_settings settings;
    __u32 zero = 0;

    assert_int_equal(bpf_map_lookup_elem(lab_map(FENCE_MAP_SETTINGS), &zero, &settings), 0);
    settings.mark_mask = mask;
    assert_int_equal(bpf_map_update_elem(lab_map(FENCE_MAP_SETTINGS), &zero, &settings, BPF_ANY),
                     0);
    lab_raise_epoch();
}

static void use_slot(__u32 slot)
{
    struct fence_endpoint endpoint = lab_endpoint();

    endpoint.slot = slot;
    lab_endpoint_write(&endpoint);
}

/* The friend is a pod of this node. */
static void place_friend(__u32 slot, __u32 of_slot)
{
    struct fence_endpoint endpoint = {.identity = 300, .set = LAB_SET_OPEN, .addr_count = 2};
    struct fence_usage usage = {.ifindex = lab_second_ifindex()};
    __u32 ifindex = lab_second_ifindex();

    endpoint.slot = slot;
    endpoint.addrs[0] = lab_friend(4);
    endpoint.addrs[1] = lab_friend(6);
    assert_int_equal(
        bpf_map_update_elem(lab_map(FENCE_MAP_ENDPOINTS), &ifindex, &endpoint, BPF_ANY), 0);
    assert_int_equal(bpf_map_update_elem(lab_map(FENCE_MAP_USAGE), &of_slot, &usage, BPF_ANY), 0);
    lab_raise_epoch();
}

/* Run it; the mark goes in and out. What is received came in by a device. */
static bool run_by(__u32 came_in_by, enum fence_direction direction,
                   const struct fence_packet *packet, __u32 *mark)
{
    bool sent = direction == FENCE_EGRESS;
    struct __sk_buff context = {
        .ifindex = lab_ifindex(), .ingress_ifindex = sent ? 0 : came_in_by, .mark = *mark};
    unsigned char frame[FENCE_PACKET_MAX];
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .ctx_in = &context,
                .ctx_size_in = sizeof(context), .ctx_out = &context,
                .ctx_size_out = sizeof(context), .repeat = 1);

    opts.data_size_in = (__u32)fence_packet_build(packet, frame);
    assert_int_equal(
        bpf_prog_test_run_opts(lab_prog(sent ? FENCE_PROG_FROM_POD : FENCE_PROG_TO_POD), &opts), 0);
    *mark = context.mark;
    return opts.retval != TC_ACT_SHOT;
}

static bool run(enum fence_direction direction, const struct fence_packet *packet, __u32 *mark)
{
    return run_by(lab_second_ifindex(), direction, packet, mark);
}

static __u32 mark_sent(unsigned int protocol, __u32 mark)
{
    struct fence_packet packet = lab_packet(FENCE_EGRESS, lab_friend(4), protocol, 40000, 443);

    assert_true(run(FENCE_EGRESS, &packet, &mark));
    return mark;
}

/* The slot on the bits of the mask, and nothing else: the first packet, and those whose pair is
 * known. */
static void test_sent(void **state)
{
    static const struct {
        __u32 mask, slot, mark;
    } rows[] = {
        {MASK, 1, 1},
        {MASK, 0xff, 0xff},
        {MASK, 0x100, 0x1000},
        {MASK, 0x155, 0x1055},
        {MASK, 0x1ff, 0x10ff},
        {MASK, 0x200, 0}, /* does not fit */
        {0x80000001, 2, 0x80000000},
        {0x80000001, 3, 0x80000001},
        {0x80000001, 4, 0},
        {0xffffffff, 1023, 1023},
        {0xffffffff, 1024, 0}, /* further bits are not used */
        {0, 1, 0},
    };
    static const unsigned int protocols[] = {IPPROTO_UDP, IPPROTO_TCP, IPPROTO_SCTP};

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        __u32 others = ~rows[i].mask, ours = lab_is_plain() ? rows[i].mark : 0;

        lab_reset();
        use_slot(rows[i].slot);
        use_mask(rows[i].mask);
        for (size_t j = 0; j < 3 * FENCE_ARRAY_SIZE(protocols); j++) {
            assert_int_equal(mark_sent(protocols[j / 3], 0), ours);
            assert_int_equal(mark_sent(protocols[j / 3], others), others | ours);
        }
        if (lab_is_plain())
            assert_int_equal(mark_sent(IPPROTO_UDP, ~0u), others | ours);
    }
}

static void test_exempt(void **state)
{
    struct fence_endpoint endpoint;

    (void)state;
    lab_reset();
    use_mask(MASK);
    endpoint = lab_endpoint();
    endpoint.flags = FENCE_EP_EXEMPT;
    lab_endpoint_write(&endpoint);
    assert_int_equal(mark_sent(IPPROTO_UDP, 0x4000), lab_is_plain() ? 0x4001 : 0x4000);
}

/* Another mask is in force with the next packet, whatever is remembered. */
static void test_other_mask(void **state)
{
    (void)state;
    lab_reset();
    use_slot(3);
    use_mask(MASK);
    mark_sent(IPPROTO_UDP, 0);
    assert_int_equal(mark_sent(IPPROTO_UDP, 0), lab_is_plain() ? 3 : 0);
    use_mask(0x00ff0000);
    assert_int_equal(mark_sent(IPPROTO_UDP, 0), lab_is_plain() ? 0x00030000 : 0);
    assert_int_equal(mark_sent(IPPROTO_UDP, 0), lab_is_plain() ? 0x00030000 : 0);
}

/* What comes under the node's address and not from the node: by the slot in its mark, with all
 * other bits set or not. Port 80 is open to the friend alone. */
static void test_received(void **state)
{
    static const struct {
        __u32 mark, slot, of_slot;
        unsigned int port;
        bool passes;
    } rows[] = {
        {SENDER, SENDER, SENDER, 80, true},  {SENDER | OTHERS, SENDER, SENDER, 80, true},
        {SENDER, SENDER, SENDER, 81, false}, {OTHERS, SENDER, SENDER, 80, false},
        {3, SENDER, SENDER, 80, false},      /* nobody has the slot */
        {SENDER, 3, SENDER, 80, false},      /* the endpoint has another one by now */
        {0x10ff, SENDER, SENDER, 80, false}, /* 511: nobody has it */
        {1, SENDER, SENDER, 80, false},      /* whose interface nobody has written */
    };
    static const unsigned int protocols[] = {IPPROTO_UDP, IPPROTO_TCP, IPPROTO_SCTP};

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows) * 6; i++) {
        unsigned int family = i % 2 ? 6 : 4, row = (unsigned int)(i / 6);
        struct fence_packet packet = lab_packet(FENCE_INGRESS, lab_host((int)family),
                                                protocols[i / 2 % 3], 40000, rows[row].port);
        __u32 mark = rows[row].mark;

        lab_reset();
        use_mask(MASK);
        place_friend(rows[row].slot, rows[row].of_slot);
        assert_int_equal(run(FENCE_INGRESS, &packet, &mark), lab_is_plain() && rows[row].passes);
        assert_int_equal(mark, rows[row].mark);
    }
}

/* With the mask off nothing is read. */
static void test_off(void **state)
{
    struct fence_packet packet = lab_packet(FENCE_INGRESS, lab_host(4), IPPROTO_UDP, 40000, 80);
    __u32 mark = SENDER;

    (void)state;
    lab_reset();
    place_friend(SENDER, SENDER);
    assert_false(run(FENCE_INGRESS, &packet, &mark));
}

/* Whoever opened it is remembered for those packets that no mark comes with. */
static void test_remembered(void **state)
{
    struct fence_packet packet = lab_packet(FENCE_INGRESS, lab_host(4), IPPROTO_UDP, 40000, 80);
    __u32 mark = SENDER;

    (void)state;
    lab_reset();
    use_mask(MASK);
    place_friend(SENDER, SENDER);
    assert_int_equal(run(FENCE_INGRESS, &packet, &mark), lab_is_plain());
    mark = 0;
    assert_int_equal(run(FENCE_INGRESS, &packet, &mark), lab_is_plain());
    packet = lab_packet(FENCE_EGRESS, lab_host(4), IPPROTO_UDP, 80, 40000);
    mark = 0;
    assert_int_equal(run(FENCE_EGRESS, &packet, &mark), lab_is_plain());
}

/* An error about such a connection, towards the pod: as conntrack leaves it, it quotes what the pod
 * has sent, to an address of the node. */
static void test_error(void **state)
{
    struct fence_packet packet = lab_packet(FENCE_INGRESS, lab_host(4), IPPROTO_UDP, 40000, 80);
    const struct fence_packet answer =
        lab_packet(FENCE_EGRESS, lab_host(4), IPPROTO_UDP, 80, 40000);
    struct fence_packet error = lab_packet(FENCE_INGRESS, lab_world(4), IPPROTO_ICMP, 0, 0x0304);
    unsigned char inner[FENCE_PACKET_MAX], frame[FENCE_PACKET_MAX];
    __u32 mark = SENDER;
    size_t size;

    (void)state;
    lab_reset();
    use_mask(MASK);
    place_friend(SENDER, SENDER);
    assert_int_equal(run(FENCE_INGRESS, &packet, &mark), lab_is_plain());
    size = fence_packet_build(&answer, inner) - FRAME_ETHERNET;
    error.payload = (unsigned int)size;
    size = fence_packet_build(&error, frame);
    memcpy(frame + FRAME_ETHERNET + 20 + 8, inner + FRAME_ETHERNET, error.payload);
    lab_expect("too big, about it", lab_run_frame(FENCE_INGRESS, frame, size), lab_is_plain(),
               lab_is_plain() ? FENCE_REASON_RELATED : FENCE_REASON_NO_RULE);
}

/* Nobody beside the node is that pod, whatever it opened. */
static void test_not_from_the_pod(void **state)
{
    struct fence_packet packet = lab_packet(FENCE_INGRESS, lab_host(4), IPPROTO_UDP, 40000, 80);
    __u32 mark = SENDER, friends = lab_second_ifindex();
    struct fence_addr addr = lab_friend(4);

    (void)state;
    lab_reset();
    use_mask(MASK);
    place_friend(SENDER, SENDER);
    assert_int_equal(bpf_map_update_elem(lab_map(FENCE_MAP_LOCALS), &addr, &friends, BPF_ANY), 0);
    assert_int_equal(run(FENCE_INGRESS, &packet, &mark), lab_is_plain());
    for (int i = 0; i < 2; i++) {
        mark = 0;
        assert_false(run_by(friends + 1000, FENCE_INGRESS, &packet, &mark));
        assert_int_equal(run(FENCE_INGRESS, &packet, &mark), lab_is_plain());
    }
}

/* An answer has the mark of who answers, which says nothing of who opened the connection. The same
 * without an entry: what the pod may ask of its node, it may be answered. */
static void test_answer(void **state)
{
    static const unsigned int protocols[] = {IPPROTO_UDP, IPPROTO_TCP};
    struct lab_interval own_node = {0, FENCE_ALLOW, FENCE_REASON_OWN_NODE, 0};

    (void)state;
    for (size_t i = 0; i < 2 * FENCE_ARRAY_SIZE(protocols); i++) {
        bool lost = i % 2 != 0;
        struct fence_packet packet =
            lab_packet(FENCE_EGRESS, lab_host(4), protocols[i / 2], 40000, 30080);
        __u32 mark = 0;

        if (lost && protocols[i / 2] == IPPROTO_UDP)
            continue;
        lab_reset();
        lab_table(LAB_SET_STRICT, LAB_PEER_HOST, FENCE_EGRESS, &own_node, 1);
        use_mask(MASK);
        place_friend(SENDER, SENDER);
        if (!lost)
            assert_true(run(FENCE_EGRESS, &packet, &mark));
        packet = lab_packet(FENCE_INGRESS, lab_host(4), protocols[i / 2], 30080, 40000);
        packet.tcp_flags = lost ? FENCE_TCP_ACK : FENCE_TCP_SYN | FENCE_TCP_ACK;
        mark = SENDER;
        assert_true(run(FENCE_INGRESS, &packet, &mark));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sent),
        cmocka_unit_test(test_exempt),
        cmocka_unit_test(test_other_mask),
        cmocka_unit_test(test_received),
        cmocka_unit_test(test_off),
        cmocka_unit_test(test_remembered),
        cmocka_unit_test(test_answer),
        cmocka_unit_test(test_error),
        cmocka_unit_test(test_not_from_the_pod),
    };

    return cmocka_run_group_tests(tests, lab_setup, lab_teardown);
}

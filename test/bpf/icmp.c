/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP: echo is a connection of its own, an error belongs to the one that it quotes. */
#include <netinet/in.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/bpf/lab.h"
#include "test/cmocka.h"

#define ETHERNET 14u

static unsigned int icmp(int family)
{
    return family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
}

static unsigned int echo_request(int family)
{
    return (family == 4 ? 8u : 128u) << 8;
}

static unsigned int echo_reply(int family)
{
    return (family == 4 ? 0u : 129u) << 8;
}

/* Allow echo requests from the friend, on top of the strict set. */
static void allow_echo(int family)
{
    unsigned int low = FENCE_POSITION(icmp(family), echo_request(family));
    struct lab_interval intervals[] = {{0, FENCE_DENY, FENCE_REASON_NO_RULE, 0},
                                       {low, FENCE_ALLOW, FENCE_REASON_RULE, 1},
                                       {low + 1, FENCE_DENY, FENCE_REASON_NO_RULE, 0}};

    lab_table(LAB_SET_STRICT, LAB_PEER_FRIEND, FENCE_INGRESS, intervals, 3);
}

static void test_echo(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        struct fence_packet request =
            lab_packet(FENCE_INGRESS, lab_friend(family), icmp(family), 77, echo_request(family));
        struct fence_packet reply =
            lab_packet(FENCE_EGRESS, lab_friend(family), icmp(family), 77, echo_reply(family));

        lab_reset();
        lab_expect("under default deny", lab_run(FENCE_INGRESS, request), false,
                   FENCE_REASON_NO_RULE);
        allow_echo(family);
        lab_expect("an unasked reply", lab_run(FENCE_EGRESS, reply), false, FENCE_REASON_NO_RULE);
        lab_expect("request", lab_run(FENCE_INGRESS, request), true, FENCE_REASON_RULE);
        lab_expect("reply", lab_run(FENCE_EGRESS, reply), true, FENCE_REASON_ESTABLISHED);
        reply.source_port = 78;
        lab_expect("a reply to another id", lab_run(FENCE_EGRESS, reply), false,
                   FENCE_REASON_NO_RULE);
        /* the entry must not carry the pod's own request */
        request =
            lab_packet(FENCE_EGRESS, lab_friend(family), icmp(family), 79, echo_request(family));
        lab_expect("a request of the pod", lab_run(FENCE_EGRESS, request), false,
                   FENCE_REASON_NO_RULE);
    }
}

/* An error of some router on the way, towards the pod, that quotes a packet of the pod. */
static size_t build_error(unsigned char *frame, int family, struct fence_packet quoted)
{
    unsigned char inner[FENCE_PACKET_MAX];
    size_t header = family == 4 ? 20 : 40;
    size_t inner_size = fence_packet_build(&quoted, inner) - ETHERNET;
    struct fence_packet error = lab_packet(FENCE_INGRESS, lab_world(family), icmp(family), 0,
                                           family == 4 ? 0x0304 : 0x0200);
    size_t size;

    error.payload = (unsigned int)inner_size;
    size = fence_packet_build(&error, frame);
    memcpy(frame + ETHERNET + header + 8, inner + ETHERNET, inner_size);
    return size;
}

static void test_errors_belong_to_a_connection(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        struct fence_packet sent =
            lab_packet(FENCE_EGRESS, lab_friend(family), IPPROTO_TCP, 40000, 443);
        struct fence_packet other = sent;
        unsigned char frame[FENCE_PACKET_MAX];
        size_t size;

        lab_reset();
        lab_expect("SYN", lab_run(FENCE_EGRESS, sent), true, FENCE_REASON_RULE);
        size = build_error(frame, family, sent);
        lab_expect("too big, about that connection", lab_run_frame(FENCE_INGRESS, frame, size),
                   true, FENCE_REASON_RELATED);
        other.source_port = 40001;
        size = build_error(frame, family, other);
        lab_expect("about none", lab_run_frame(FENCE_INGRESS, frame, size), false,
                   FENCE_REASON_NO_RULE);
        lab_use_set(LAB_SET_CLOSED);
        size = build_error(frame, family, sent);
        lab_expect("about one that has been cut", lab_run_frame(FENCE_INGRESS, frame, size), false,
                   FENCE_REASON_NO_RULE);
    }
}

/* What the pod has sent in fragments is too big too: the first one says which connection it is. */
static void test_errors_about_fragments(void **state)
{
    const struct fence_packet sent =
        lab_packet(FENCE_EGRESS, lab_friend(6), IPPROTO_UDP, 40000, 443);
    static const struct {
        unsigned char offset[2];
        bool passed;
    } rows[] = {{{0, 1}, true}, {{0x05, 0xa9}, false}};
    unsigned char inner[FENCE_PACKET_MAX], frame[FENCE_PACKET_MAX];
    unsigned char *quoted = frame + ETHERNET + 40 + 8;

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        const size_t size = fence_packet_build(&sent, inner) - ETHERNET;
        struct fence_packet error =
            lab_packet(FENCE_INGRESS, lab_world(6), IPPROTO_ICMPV6, 0, 0x0200);
        const unsigned char header[8] = {IPPROTO_UDP, 0, rows[i].offset[0], rows[i].offset[1]};
        size_t whole;

        lab_reset();
        lab_expect("datagram", lab_run(FENCE_EGRESS, sent), true, FENCE_REASON_RULE);
        error.payload = (unsigned int)(size + sizeof(header));
        whole = fence_packet_build(&error, frame);
        memcpy(quoted, inner + ETHERNET, 40);
        quoted[6] = 44; /* a fragment header follows */
        memcpy(quoted + 40, header, sizeof(header));
        memcpy(quoted + 48, inner + ETHERNET + 40, size - 40);
        lab_expect("too big, about a fragment", lab_run_frame(FENCE_INGRESS, frame, whole),
                   rows[i].passed, rows[i].passed ? FENCE_REASON_RELATED : FENCE_REASON_NO_RULE);
    }
}

/* An error of the pod itself goes to the other end of the connection, and nowhere else. */
static void test_errors_of_the_pod(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        struct fence_packet came =
            lab_packet(FENCE_INGRESS, lab_friend(family), IPPROTO_UDP, 40000, 80);
        unsigned char inner[FENCE_PACKET_MAX], frame[FENCE_PACKET_MAX];
        size_t header = family == 4 ? 20 : 40;
        size_t inner_size = fence_packet_build(&came, inner) - ETHERNET;
        unsigned int type = family == 4 ? 0x0303 : 0x0104;
        struct fence_packet error =
            lab_packet(FENCE_EGRESS, lab_friend(family), icmp(family), 0, type);
        size_t size;

        lab_reset();
        lab_expect("request", lab_run(FENCE_INGRESS, came), true, FENCE_REASON_RULE);
        error.payload = (unsigned int)inner_size;
        size = fence_packet_build(&error, frame);
        memcpy(frame + ETHERNET + header + 8, inner + ETHERNET, inner_size);
        lab_expect("port unreachable, to who asked", lab_run_frame(FENCE_EGRESS, frame, size), true,
                   FENCE_REASON_RELATED);
        error.destination = lab_world(family);
        size = fence_packet_build(&error, frame);
        memcpy(frame + ETHERNET + header + 8, inner + ETHERNET, inner_size);
        lab_expect("the same to somebody else", lab_run_frame(FENCE_EGRESS, frame, size), false,
                   FENCE_REASON_NO_RULE);
    }
}

/* Each packet is reported as what it is: an answer with the type of an answer, and no port. */
static void test_told(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        int family = i % 2 ? 6 : 4;
        enum fence_direction direction = i / 2 == 1 ? FENCE_INGRESS : FENCE_EGRESS;
        unsigned int kind = i / 2 == 2 ? echo_reply(family) : echo_request(family);
        struct fence_event event;

        lab_reset();
        lab_told();
        lab_expect(
            "under default deny",
            lab_run(direction, lab_packet(direction, lab_friend(family), icmp(family), 77, kind)),
            false, FENCE_REASON_NO_RULE);
        event = lab_told();
        assert_int_equal(event.type, FENCE_EVENT_DROP);
        assert_int_equal(event.protocol, icmp(family));
        assert_int_equal(event.direction, direction);
        assert_int_equal(event.source_port, 0);
        assert_int_equal(event.destination_port, kind);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo),
        cmocka_unit_test(test_errors_belong_to_a_connection),
        cmocka_unit_test(test_errors_about_fragments),
        cmocka_unit_test(test_errors_of_the_pod),
        cmocka_unit_test(test_told),
    };

    return cmocka_run_group_tests_name("bpf.icmp", tests, lab_setup, lab_teardown);
}

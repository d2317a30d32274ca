/* SPDX-License-Identifier: Apache-2.0 */
#include <netinet/in.h>
#include <string.h>

#include "lib/base/addr.h"
#include "lib/base/memory.h"
#include "lib/datapath/probe.h"
#include "test/cmocka.h"

static struct fence_packet packet_of(int family, unsigned int protocol, unsigned int source_port,
                                     unsigned int destination_port)
{
    struct fence_packet packet = {
        .source_mac = {2, 0, 0, 0, 0, 1},
        .destination_mac = {2, 0, 0, 0, 0, 2},
        .protocol = protocol,
        .source_port = source_port,
        .destination_port = destination_port,
    };

    assert_int_equal(fence_addr_parse(family == 4 ? "10.0.0.1" : "fd00::1", &packet.source), 0);
    assert_int_equal(fence_addr_parse(family == 4 ? "10.0.0.2" : "fd00::2", &packet.destination),
                     0);
    return packet;
}

static unsigned int get16(const unsigned char *at)
{
    return (unsigned int)at[0] << 8 | at[1];
}

/* What a receiver computes: 0 when the checksum in the data is right. */
static unsigned int receive_sum(const unsigned char *data, size_t size, unsigned long sum)
{
    for (size_t i = 0; i < size; i++)
        sum += i & 1 ? data[i] : (unsigned long)data[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return 0xffff - (unsigned int)sum;
}

struct row {
    int family;
    unsigned int protocol, source_port, destination_port, payload;
    size_t size; /* behind the IP header */
};

static void check_frame(const struct row *row, const unsigned char *frame, size_t size)
{
    size_t network = row->family == 4 ? 20 : 40;
    const unsigned char *ip = frame + 14;
    const unsigned char *transport = ip + network;
    const unsigned char *addrs = row->family == 4 ? ip + 12 : ip + 8;
    unsigned long pseudo = row->protocol == IPPROTO_ICMP ? 0 : row->protocol + row->size;

    assert_int_equal(size, 14 + network + row->size);
    assert_int_equal(get16(frame + 12), row->family == 4 ? 0x0800 : 0x86dd);
    assert_memory_equal(frame, "\x02\0\0\0\0\x02\x02\0\0\0\0\x01", 12);
    if (row->family == 4) {
        assert_int_equal(get16(ip + 2), size - 14);
        assert_int_equal(receive_sum(ip, 20, 0), 0);
    } else {
        assert_int_equal(get16(ip + 4), row->size);
    }
    assert_int_equal(ip[row->family == 4 ? 9 : 6], row->protocol);
    if (row->protocol == IPPROTO_SCTP || row->size == row->payload)
        return;
    if (pseudo)
        for (size_t i = 0; i < (row->family == 4 ? 8u : 32u); i++)
            pseudo += i & 1 ? addrs[i] : (unsigned long)addrs[i] << 8;
    assert_int_equal(receive_sum(transport, row->size, pseudo), 0);
}

static void test_build(void **state)
{
    static const struct row rows[] = {
        {4, IPPROTO_TCP, 40000, 80, 0, 20},
        {6, IPPROTO_TCP, 40000, 80, 0, 20},
        {4, IPPROTO_TCP, 40000, 80, 7, 27},
        {4, IPPROTO_UDP, 5353, 53, 0, 8},
        {6, IPPROTO_UDP, 5353, 53, 1, 9},
        {4, IPPROTO_SCTP, 1, 2, 0, 32},
        {6, IPPROTO_SCTP, 1, 2, 0, 32},
        {4, IPPROTO_ICMP, 99, 8 << 8, 0, 8},
        {6, IPPROTO_ICMPV6, 99, 128 << 8, 56, 64},
        {4, IPPROTO_GRE, 0, 0, 4, 4},
        {6, IPPROTO_ESP, 0, 0, 0, 0},
    };
    unsigned char frame[FENCE_PACKET_MAX];

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        const struct row *row = &rows[i];
        struct fence_packet packet =
            packet_of(row->family, row->protocol, row->source_port, row->destination_port);

        packet.payload = row->payload;
        memset(frame, 0xaa, sizeof(frame));
        check_frame(row, frame, fence_packet_build(&packet, frame));
    }
}

/* Fields that the table does not look at. */
static void test_fields(void **state)
{
    unsigned char frame[FENCE_PACKET_MAX];
    const unsigned char *transport = frame + 34;
    struct fence_packet packet = packet_of(4, IPPROTO_TCP, 40000, 443);

    (void)state;
    fence_packet_build(&packet, frame);
    assert_memory_equal(frame + 26, "\x0a\0\0\x01\x0a\0\0\x02", 8);
    assert_int_equal(get16(transport), 40000);
    assert_int_equal(get16(transport + 2), 443);
    assert_int_equal(transport[13], FENCE_TCP_SYN);

    packet.tcp_flags = FENCE_TCP_SYN | FENCE_TCP_ACK;
    fence_packet_build(&packet, frame);
    assert_int_equal(transport[13], FENCE_TCP_SYN | FENCE_TCP_ACK);
    assert_int_equal(get16(transport + 10), 1);

    packet = packet_of(4, IPPROTO_ICMP, 77, 8 << 8 | 3);
    fence_packet_build(&packet, frame);
    assert_int_equal(transport[0], 8);
    assert_int_equal(transport[1], 3);
    assert_int_equal(get16(transport + 4), 77);
}

/* Checked with an independent implementation: CRC32c of this INIT chunk is 0xa7a75716. */
static void test_sctp_checksum(void **state)
{
    unsigned char frame[FENCE_PACKET_MAX];
    struct fence_packet packet = packet_of(4, IPPROTO_SCTP, 1, 2);

    (void)state;
    fence_packet_build(&packet, frame);
    assert_memory_equal(frame + 34 + 8, "\x16\x57\xa7\xa7", 4);
}

static void test_longest(void **state)
{
    unsigned char frame[FENCE_PACKET_MAX];
    struct fence_packet packet = packet_of(6, IPPROTO_UDP, 1, 2);

    (void)state;
    packet.payload = 100000;
    assert_int_equal(fence_packet_build(&packet, frame), FENCE_PACKET_MAX);
    assert_int_equal(get16(frame + 14 + 4), FENCE_PACKET_MAX - 14 - 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_build),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_sctp_checksum),
        cmocka_unit_test(test_longest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

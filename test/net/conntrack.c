/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that Linux 6.18 sent, as it showed them in /proc/net/nf_conntrack. */
#include "lib/net/conntrack.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/addr.h"

#define MESSAGE_MAX 512

struct end {
    const char *addr;
    unsigned int port;
};

struct sample {
    const char *hex;
    struct end original[2]; /* source, destination */
    struct end reply[2];
    __u32 timeout;
    __u8 protocol;
    bool replied;
    bool assured;
    __u8 tcp_state;
    bool closed[FENCE_CONNTRACK_WAYS]; /* that side ended it first */
};

static const struct sample samples[] = {
    /* pod -> ClusterIP, to another pod under an address of the node */
    {"d40000000001020001000000b23b0000020000003400018014000180080001000a580003080002000a6000101c000"
     "280"
     "0500010006000000060002009c40000006000300005200003400028014000180080001000a580004080002000a580"
     "001"
     "1c0002800500010006000000060002001f9a0000060003000438000008000300000001be080008000000000008000"
     "c00"
     "85b009e108000b0000000001080007000006977f300004802c0001800500010003000000050002000a00000005000"
     "300"
     "0a00000006000400230000000600050023000000",
     {{"10.88.0.3", 40000}, {"10.96.0.16", 82}},
     {{"10.88.0.4", 8090}, {"10.88.0.1", 1080}},
     431999,
     6,
     true,
     true,
     TCP_CONNTRACK_ESTABLISHED,
     {false, false}},
    /* ended by the one that was asked */
    {"d40000000001020001000000b23b0000020000003400018014000180080001000a580003080002000a5800041c000"
     "280"
     "0500010006000000060002009c41000006000300153800003400028014000180080001000a580004080002000a580"
     "003"
     "1c00028005000100060000000600020015380000060003009c410000080003000000018e080008000000000008000"
     "c00"
     "368058ab08000b0000000001080007000000003b300004802c0001800500010005000000050002000a00000005000"
     "300"
     "0a00000006000400230000000600050027000000",
     {{"10.88.0.3", 40001}, {"10.88.0.4", 5432}},
     {{"10.88.0.4", 5432}, {"10.88.0.3", 40001}},
     59,
     6,
     true,
     true,
     TCP_CONNTRACK_CLOSE_WAIT,
     {false, true}},
    {"d40000000001020001000000b23b00000a0000004c0001802c00018014000300fd000088000000000000000000000"
     "003"
     "14000400fd0000880000000000000000000000041c000280050001001100000006000200a02800000600030014e90"
     "000"
     "4c0002802c00018014000300fd00008800000000000000000000000414000400fd000088000000000000000000000"
     "003"
     "1c00028005000100110000000600020014e9000006000300a02800000800030000000008080008000000000008000"
     "c00"
     "d00ff70108000b0000000001080007000000001d",
     {{"fd00:88::3", 41000}, {"fd00:88::4", 5353}},
     {{"fd00:88::4", 5353}, {"fd00:88::3", 41000}},
     29,
     17,
     false,
     false,
     0,
     {false, false}},
    {"b40000000001020001000000b23b0000020000003c00018014000180080001000a580003080002000a58000424000"
     "280"
     "05000100010000000600040012340000050005000800000005000600000000003c00028014000180080001000a580"
     "004"
     "080002000a58000324000280050001000100000006000400123400000500050000000000050006000000000008000"
     "300"
     "0000018a080008000000000008000c006a53d62608000b0000000001080007000000001d",
     {{"10.88.0.3", 0x1234}, {"10.88.0.4", 8 << 8}},
     {{"10.88.0.4", 0x1234}, {"10.88.0.3", 0}},
     29,
     1,
     true,
     false,
     0,
     {false, false}},
    {"e40000000001020001000000b23b00000a000000540001802c00018014000300fd000088000000000000000000000"
     "003"
     "14000400fd00008800000000000000000000000424000280050001003a00000006000700123500000500080080000"
     "000"
     "0500090000000000540002802c00018014000300fd00008800000000000000000000000414000400fd00008800000"
     "000"
     "000000000000000324000280050001003a00000006000700123500000500080081000000050009000000000008000"
     "300"
     "0000000a080008000000000008000c00480a3a1108000b0000000001080007000000001d",
     {{"fd00:88::3", 0x1235}, {"fd00:88::4", 128 << 8}},
     {{"fd00:88::4", 0x1235}, {"fd00:88::3", 129 << 8}},
     29,
     58,
     true,
     false,
     0,
     {false, false}},
};
#define SAMPLES (sizeof(samples) / sizeof(samples[0]))

union message {
    struct nlmsghdr header;
    unsigned char bytes[MESSAGE_MAX];
};

static unsigned char nibble(char c)
{
    return (unsigned char)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static size_t message_of(const struct sample *sample, union message *message)
{
    size_t size = strlen(sample->hex) / 2;

    memset(message, 0, sizeof(*message));
    assert_true(size <= sizeof(*message));
    for (size_t i = 0; i < size; i++)
        message->bytes[i] =
            (unsigned char)(nibble(sample->hex[2 * i]) << 4 | nibble(sample->hex[2 * i + 1]));
    assert_int_equal(message->header.nlmsg_len, size);
    return size;
}

static void check_end(const struct fence_addr *addr, __u16 port, const struct end *end)
{
    struct fence_addr wanted;

    assert_int_equal(fence_addr_parse(end->addr, &wanted), 0);
    assert_memory_equal(addr, &wanted, sizeof(wanted));
    assert_int_equal(port, end->port);
}

static void check_tuple(const struct fence_conntrack_tuple *tuple, const struct end ends[2])
{
    check_end(&tuple->source, tuple->source_port, &ends[0]);
    check_end(&tuple->destination, tuple->destination_port, &ends[1]);
}

static void reads_what_the_kernel_sent(void **state)
{
    struct fence_conntrack_entry entry;
    union message message;

    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        const struct sample *sample = &samples[i];

        message_of(sample, &message);
        assert_int_equal(fence_conntrack_parse(&message.header, &entry), 0);
        check_tuple(&entry.tuples[FENCE_CONNTRACK_ORIGINAL], sample->original);
        check_tuple(&entry.tuples[FENCE_CONNTRACK_REPLY], sample->reply);
        assert_int_equal(entry.protocol, sample->protocol);
        assert_int_equal(entry.timeout, sample->timeout);
        assert_int_equal(entry.zone, 0);
        assert_int_equal(!!(entry.status & IPS_SEEN_REPLY), sample->replied);
        assert_int_equal(!!(entry.status & IPS_ASSURED), sample->assured);
        assert_int_equal(entry.tcp_state, sample->tcp_state);
        for (int way = 0; way < FENCE_CONNTRACK_WAYS; way++)
            assert_int_equal(!!(entry.tcp_flags[way] & IP_CT_TCP_FLAG_CLOSE_INIT),
                             sample->closed[way]);
    }
}

/* Cut at every length, and every byte in turn another: nothing is read beyond (the sanitizers
 * would say), and nothing is taken that has no tuples. */
static void bears_what_it_did_not_send(void **state)
{
    struct fence_conntrack_entry entry;
    union message message;

    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        size_t size = message_of(&samples[i], &message);

        for (size_t cut = sizeof(struct nlmsghdr); cut < size; cut++) {
            message.header.nlmsg_len = (__u32)cut;
            (void)fence_conntrack_parse(&message.header, &entry);
        }
        for (size_t at = sizeof(struct nlmsghdr); at < size; at++) {
            message_of(&samples[i], &message);
            message.bytes[at] ^= 0xff;
            (void)fence_conntrack_parse(&message.header, &entry);
        }
        message_of(&samples[i], &message);
        message.header.nlmsg_len = sizeof(struct nlmsghdr) + 4;
        assert_int_equal(fence_conntrack_parse(&message.header, &entry), -EBADMSG);
        message_of(&samples[i], &message);
        message.header.nlmsg_type++;
        assert_int_equal(fence_conntrack_parse(&message.header, &entry), -EBADMSG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_the_kernel_sent),
        cmocka_unit_test(bears_what_it_did_not_send),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

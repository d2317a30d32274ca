/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/base/addr.h"
#include "lib/datapath/probe.h"

#define SCTP_HEADER 12u
#define SCTP_INIT   20u /* chunk without parameters */
#define TCP_HEADER  20u
#define UDP_HEADER  8u
#define ICMP_HEADER 8u

static void put16(unsigned char *at, unsigned int value)
{
    at[0] = (unsigned char)(value >> 8);
    at[1] = (unsigned char)value;
}

static void put32(unsigned char *at, __u32 value)
{
    put16(at, value >> 16);
    put16(at + 2, value & 0xffff);
}

/* Sum of 16-bit words for the Internet checksum (RFC 1071). */
static __u32 sum_words(const unsigned char *data, size_t size, __u32 sum)
{
    for (size_t i = 0; i + 1 < size; i += 2)
        sum += (__u32)data[i] << 8 | data[i + 1];
    if (size & 1)
        sum += (__u32)data[size - 1] << 8;
    return sum;
}

static unsigned int fold(__u32 sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return ~sum & 0xffff;
}

/* RFC 9260 appendix A; sent low byte first. */
static __u32 crc32c(const unsigned char *data, size_t size)
{
    __u32 crc = 0xffffffffu;

    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

static bool is_ipv4(const struct fence_packet *packet)
{
    return fence_addr_is_ipv4(fence_addr_is_none(&packet->source) ? &packet->destination
                                                                  : &packet->source);
}

static size_t header_size(unsigned int protocol)
{
    switch (protocol) {
    case IPPROTO_TCP:
        return TCP_HEADER;
    case IPPROTO_UDP:
        return UDP_HEADER;
    case IPPROTO_SCTP:
        return SCTP_HEADER + SCTP_INIT;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
        return ICMP_HEADER;
    default:
        return 0;
    }
}

static __u32 pseudo_header(const struct fence_packet *packet, size_t size)
{
    __u32 sum = packet->protocol + (__u32)size;
    size_t skip = is_ipv4(packet) ? 12 : 0;

    if (packet->protocol == IPPROTO_ICMP)
        return 0;
    sum = sum_words(packet->source.bytes + skip, 16 - skip, sum);
    return sum_words(packet->destination.bytes + skip, 16 - skip, sum);
}

static void fill_tcp(const struct fence_packet *packet, unsigned char *at)
{
    put32(at + 4, 1);
    at[12] = TCP_HEADER / 4 << 4;
    at[13] = (unsigned char)(packet->tcp_flags ? packet->tcp_flags : FENCE_TCP_SYN);
    if (at[13] & FENCE_TCP_ACK)
        put32(at + 8, 1);
    put16(at + 14, 64240);
}

static void fill_sctp(unsigned char *at)
{
    unsigned char *init = at + SCTP_HEADER;

    init[0] = 1;
    put16(init + 2, SCTP_INIT);
    put32(init + 4, 1);
    put32(init + 8, 65535);
    put16(init + 12, 1);
    put16(init + 14, 1);
}

static void fill_transport(const struct fence_packet *packet, unsigned char *at, size_t size)
{
    size_t checksum; /* offset of the field */

    if (header_size(packet->protocol) == 0)
        return;
    put16(at, packet->source_port);
    put16(at + 2, packet->destination_port);
    switch (packet->protocol) {
    case IPPROTO_TCP:
        fill_tcp(packet, at);
        checksum = 16;
        break;
    case IPPROTO_UDP:
        put16(at + 4, (unsigned int)size);
        checksum = 6;
        break;
    case IPPROTO_SCTP:
        fill_sctp(at);
        put32(at + 8, __builtin_bswap32(crc32c(at, size)));
        return;
    default: /* ICMP of either family: type and code, checksum, id, sequence */
        put16(at, packet->destination_port);
        put16(at + 2, 0);
        put16(at + 4, packet->source_port);
        put16(at + 6, 1);
        checksum = 2;
        break;
    }
    put16(at + checksum, fold(sum_words(at, size, pseudo_header(packet, size))));
    /* zero would say that there is no checksum */
    if (packet->protocol == IPPROTO_UDP && at[6] == 0 && at[7] == 0)
        put16(at + 6, 0xffff);
}

static void fill_ipv4(const struct fence_packet *packet, unsigned char *at, size_t size)
{
    at[0] = 0x45;
    put16(at + 2, (unsigned int)(sizeof(struct iphdr) + size));
    put16(at + 6, 0x4000); /* don't fragment */
    at[8] = 64;
    at[9] = (unsigned char)packet->protocol;
    memcpy(at + 12, packet->source.bytes + 12, 4);
    memcpy(at + 16, packet->destination.bytes + 12, 4);
    put16(at + 10, fold(sum_words(at, sizeof(struct iphdr), 0)));
}

static void fill_ipv6(const struct fence_packet *packet, unsigned char *at, size_t size)
{
    at[0] = 0x60;
    put16(at + 4, (unsigned int)size);
    at[6] = (unsigned char)packet->protocol;
    at[7] = 64;
    memcpy(at + 8, packet->source.bytes, 16);
    memcpy(at + 24, packet->destination.bytes, 16);
}

size_t fence_packet_build(const struct fence_packet *packet, unsigned char *buffer)
{
    bool v4 = is_ipv4(packet);
    size_t network = v4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
    size_t transport = header_size(packet->protocol);
    size_t room = FENCE_PACKET_MAX - ETH_HLEN - network - transport;
    size_t size = transport + (packet->payload < room ? packet->payload : room);

    memset(buffer, 0, ETH_HLEN + network + size);
    memcpy(buffer, packet->destination_mac, ETH_ALEN);
    memcpy(buffer + ETH_ALEN, packet->source_mac, ETH_ALEN);
    put16(buffer + 12, v4 ? ETH_P_IP : ETH_P_IPV6);
    if (v4)
        fill_ipv4(packet, buffer + ETH_HLEN, size);
    else
        fill_ipv6(packet, buffer + ETH_HLEN, size);
    fill_transport(packet, buffer + ETH_HLEN + network, size);
    return ETH_HLEN + network + size;
}

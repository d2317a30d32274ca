/* SPDX-License-Identifier: Apache-2.0 */
/* forge: one UDP packet whose source address is the caller's choice. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "test/tools/netprobe.h"

static const char payload[8] = "forged";

struct pseudo6 {
    struct in6_addr source;
    struct in6_addr destination;
    uint32_t length;
    uint32_t next;
};

static size_t build4(const struct sockaddr_in *from, const struct sockaddr_in *to, uint8_t *packet)
{
    struct udphdr udp = {.uh_sport = htons(40000),
                         .uh_dport = to->sin_port,
                         .uh_ulen = htons(sizeof(udp) + sizeof(payload))};
    struct iphdr ip = {.version = 4,
                       .ihl = 5,
                       .ttl = 64,
                       .protocol = IPPROTO_UDP,
                       .saddr = from->sin_addr.s_addr,
                       .daddr = to->sin_addr.s_addr};

    ip.tot_len = htons(sizeof(ip) + sizeof(udp) + sizeof(payload));
    memcpy(packet, &ip, sizeof(ip));
    memcpy(packet + sizeof(ip), &udp, sizeof(udp)); /* checksum 0: none, lawful in IPv4 */
    memcpy(packet + sizeof(ip) + sizeof(udp), payload, sizeof(payload));
    return sizeof(ip) + sizeof(udp) + sizeof(payload);
}

static size_t build6(const struct sockaddr_in6 *from, const struct sockaddr_in6 *to,
                     uint8_t *packet)
{
    uint16_t length = sizeof(struct udphdr) + sizeof(payload);
    struct udphdr udp = {
        .uh_sport = htons(40000), .uh_dport = to->sin6_port, .uh_ulen = htons(length)};
    struct ip6_hdr ip = {.ip6_src = from->sin6_addr, .ip6_dst = to->sin6_addr};
    struct pseudo6 pseudo = {.source = from->sin6_addr,
                             .destination = to->sin6_addr,
                             .length = htonl(length),
                             .next = htonl(IPPROTO_UDP)};
    uint8_t sum[sizeof(pseudo) + sizeof(udp) + sizeof(payload)];

    memcpy(sum, &pseudo, sizeof(pseudo));
    memcpy(sum + sizeof(pseudo), &udp, sizeof(udp));
    memcpy(sum + sizeof(pseudo) + sizeof(udp), payload, sizeof(payload));
    udp.uh_sum = internet_checksum(sum, sizeof(sum));
    ip.ip6_flow = htonl(6u << 28);
    ip.ip6_plen = htons(length);
    ip.ip6_nxt = IPPROTO_UDP;
    ip.ip6_hlim = 64;
    memcpy(packet, &ip, sizeof(ip));
    memcpy(packet + sizeof(ip), &udp, sizeof(udp));
    memcpy(packet + sizeof(ip) + sizeof(udp), payload, sizeof(payload));
    return sizeof(ip) + length;
}

int command_forge(int argc, char **argv)
{
    struct address from;
    struct address to;
    uint8_t packet[128];
    long port = 0;

    if (argc != 4 || !number_parse(argv[3], 1, 65535, &port) || !address_parse(argv[1], 0, &from) ||
        !address_parse(argv[2], (uint16_t)port, &to) || from.sa.ss_family != to.sa.ss_family)
        return 2;
    bool ipv6 = address_is_ipv6(&to);
    size_t size =
        ipv6 ? build6((struct sockaddr_in6 *)&from.sa, (struct sockaddr_in6 *)&to.sa, packet)
             : build4((struct sockaddr_in *)&from.sa, (struct sockaddr_in *)&to.sa, packet);
    int fd = socket(to.sa.ss_family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
    if (ipv6)
        ((struct sockaddr_in6 *)&to.sa)->sin6_port = 0; /* raw sockets want none */
    if (fd < 0 || sendto(fd, packet, size, 0, (struct sockaddr *)&to.sa, to.length) < 0) {
        fprintf(stderr, "netprobe: forge: %s\n", strerror(errno));
        return 1;
    }
    close(fd);
    return 0;
}

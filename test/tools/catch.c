/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catch: sees UDP packets as they come out of the wire, before the stack may drop them. Prints
 * "ready", then one line "seen SOURCE" a packet to the port, and ends after the time given.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "test/tools/netprobe.h"

static bool port_matches(const uint8_t *udp, long port)
{
    return (udp[2] << 8 | udp[3]) == port;
}

static void look(const uint8_t *packet, size_t size, long port)
{
    char source[INET6_ADDRSTRLEN];
    size_t header = ip_header_size(packet, size, false);

    if (size >= sizeof(struct iphdr) && packet[0] >> 4 == 4 && packet[9] == IPPROTO_UDP &&
        size >= header + 8 && port_matches(packet + header, port))
        printf("seen %s\n", inet_ntop(AF_INET, packet + 12, source, sizeof(source)));
    if (size >= sizeof(struct ip6_hdr) + 8 && packet[0] >> 4 == 6 && packet[6] == IPPROTO_UDP &&
        port_matches(packet + sizeof(struct ip6_hdr), port))
        printf("seen %s\n", inet_ntop(AF_INET6, packet + 8, source, sizeof(source)));
}

static void take(int fd, long port)
{
    uint8_t packet[2048];
    struct sockaddr_ll from = {0};
    socklen_t length = sizeof(from);

    ssize_t size =
        recvfrom(fd, packet, sizeof(packet), MSG_DONTWAIT, (struct sockaddr *)&from, &length);
    if (size > 0 && from.sll_pkttype != PACKET_OUTGOING)
        look(packet, (size_t)size, port);
}

int command_catch(int argc, char **argv)
{
    long timeout = 1000;
    long port = 0;

    for (int option = 0; (option = getopt(argc, argv, "t:")) != -1;) {
        if (option != 't' || !number_parse(optarg, 1, 60000, &timeout))
            return 2;
    }
    if (argc - optind != 1 || !number_parse(argv[optind], 1, 65535, &port))
        return 2;
    int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ALL));
    if (fd < 0) {
        fprintf(stderr, "netprobe: catch: %s\n", strerror(errno));
        return 1;
    }
    printf("ready\n");
    double deadline = now_ms() + (double)timeout;
    for (double left = 0; (left = deadline - now_ms()) > 0;) {
        struct pollfd poller = {.fd = fd, .events = POLLIN};
        if (poll(&poller, 1, (int)left + 1) > 0)
            take(fd, port);
    }
    close(fd);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* hear: what reaches a UDP socket. sniff: what reaches the interface, wanted or not. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "test/tools/craft.h"

#define HEAR_PORTS 8

static int listen_at(uint16_t port)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    int off = 0;

    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0 ||
        bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0) {
        fprintf(stderr, "netprobe: hear: %d: %s\n", port, strerror(errno));
        return -1;
    }
    return fd;
}

static void tell(int fd, const char *port)
{
    char text[CRAFT_LABEL + 1] = {0};

    if (recv(fd, text, CRAFT_LABEL, MSG_DONTWAIT) > 0)
        printf("heard %s %s\n", port, text);
}

int command_hear(int argc, char **argv)
{
    struct pollfd fds[HEAR_PORTS];
    int count = argc - 1;

    if (count < 1 || count > HEAR_PORTS)
        return 2;
    for (int i = 0; i < count; i++) {
        long port = 0;

        if (!number_parse(argv[1 + i], 1, 65535, &port))
            return 2;
        fds[i] = (struct pollfd){.fd = listen_at((uint16_t)port), .events = POLLIN};
        if (fds[i].fd < 0)
            return 1;
    }
    printf("ready\n");
    alarm(DEFAULT_LIFE_S);
    while (poll(fds, (nfds_t)count, -1) > 0) {
        for (int i = 0; i < count; i++) {
            if (fds[i].revents)
                tell(fds[i].fd, argv[1 + i]);
        }
    }
    return 1;
}

/* Frames that contain one of the texts. */
int command_sniff(int argc, char **argv)
{
    uint8_t frame[2048];
    struct sockaddr_ll from = {0};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));

    if (fd < 0) {
        fprintf(stderr, "netprobe: sniff: %s\n", strerror(errno));
        return 1;
    }
    printf("ready\n");
    alarm(DEFAULT_LIFE_S);
    for (;;) {
        socklen_t length = sizeof(from);
        ssize_t size = recvfrom(fd, frame, sizeof(frame), 0, (struct sockaddr *)&from, &length);

        for (int i = 1; i < argc && size > 0 && from.sll_pkttype != PACKET_OUTGOING; i++) {
            if (memmem(frame, (size_t)size, argv[i], strlen(argv[i])))
                printf("sniffed %s\n", argv[i]);
        }
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* serve: echo on many ports, both families; an SCTP INIT is answered by an INIT ACK. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test/tools/netprobe.h"

#define SLOTS 512

enum slot_kind {
    SLOT_LISTENER,
    SLOT_CONNECTION,
    SLOT_DATAGRAM,
    SLOT_SCTP,
};

struct slot {
    enum slot_kind kind;
    bool ipv6;
};

static struct pollfd fds[SLOTS];
static struct slot slots[SLOTS];
static nfds_t used;
static uint8_t sctp_ports_served[65536 / 8];

static bool add(int fd, enum slot_kind kind, bool ipv6)
{
    if (fd < 0 || used >= SLOTS) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    fds[used] = (struct pollfd){.fd = fd, .events = POLLIN};
    slots[used] = (struct slot){.kind = kind, .ipv6 = ipv6};
    used++;
    return true;
}

static void drop(nfds_t index)
{
    close(fds[index].fd);
    used--;
    fds[index] = fds[used];
    slots[index] = slots[used];
}

/* One socket for both families. */
static int bind_port(enum proto proto, uint16_t port)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    int type = proto == PROTO_TCP ? SOCK_STREAM : SOCK_DGRAM;
    int on = 1;
    int off = 0;

    int fd = socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    /* what it accepts inherits it */
    if (proto == PROTO_TCP)
        retransmit_often(fd);
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0 ||
        (proto == PROTO_TCP && listen(fd, 64) < 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool add_sctp(void)
{
    int flags = SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC;

    return add(socket(AF_INET, flags, IPPROTO_SCTP), SLOT_SCTP, false) &&
           add(socket(AF_INET6, flags, IPPROTO_SCTP), SLOT_SCTP, true);
}

static bool add_port(const char *text, bool *sctp)
{
    char copy[32];
    char *rest = NULL;
    enum proto proto = PROTO_TCP;
    long port = 0;

    snprintf(copy, sizeof(copy), "%s", text);
    const char *name = strtok_r(copy, ":", &rest);
    if (!name || !proto_parse(name, &proto) || proto == PROTO_ICMP ||
        !number_parse(rest, 1, 65535, &port)) {
        fprintf(stderr, "netprobe: %s is not tcp:PORT, udp:PORT or sctp:PORT\n", text);
        return false;
    }
    if (proto == PROTO_SCTP) {
        sctp_ports_served[port / 8] |= (uint8_t)(1 << port % 8);
        bool first = !*sctp;
        *sctp = true;
        return !first || add_sctp();
    }
    int fd = bind_port(proto, (uint16_t)port);
    if (fd < 0)
        fprintf(stderr, "netprobe: %s: %s\n", text, strerror(errno));
    return add(fd, proto == PROTO_TCP ? SLOT_LISTENER : SLOT_DATAGRAM, true);
}

static void answer_sctp(int fd, bool ipv6)
{
    uint8_t packet[2048];
    uint8_t reply[SCTP_PACKET_SIZE];
    struct address from = {.length = sizeof(from.sa)};
    struct sctp_ports ports;

    ssize_t size =
        recvfrom(fd, packet, sizeof(packet), 0, (struct sockaddr *)&from.sa, &from.length);
    if (size <= 0)
        return;
    size_t skip = ip_header_size(packet, (size_t)size, ipv6);
    if (!sctp_match(packet + skip, (size_t)size - skip, SCTP_INIT, &ports) ||
        !(sctp_ports_served[ports.destination / 8] & 1 << ports.destination % 8))
        return;
    struct sctp_ports back = {.source = ports.destination, .destination = ports.source};
    sctp_build(SCTP_INIT_ACK, back, reply);
    (void)!sendto(fd, reply, sizeof(reply), 0, (struct sockaddr *)&from.sa, from.length);
}

static void echo_datagram(int fd)
{
    uint8_t data[2048];
    struct address from = {.length = sizeof(from.sa)};

    ssize_t size = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&from.sa, &from.length);
    if (size >= 0)
        (void)!sendto(fd, data, (size_t)size, 0, (struct sockaddr *)&from.sa, from.length);
}

/* False when the connection has ended. */
static bool echo_stream(int fd)
{
    uint8_t data[2048];

    ssize_t size = recv(fd, data, sizeof(data), 0);
    if (size < 0)
        return errno == EAGAIN || errno == EINTR;
    return size > 0 && send(fd, data, (size_t)size, 0) == size;
}

static void serve(nfds_t index)
{
    int fd = fds[index].fd;

    switch (slots[index].kind) {
    case SLOT_LISTENER:
        add(accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), SLOT_CONNECTION, true);
        break;
    case SLOT_CONNECTION:
        if (!echo_stream(fd))
            drop(index);
        break;
    case SLOT_DATAGRAM:
        echo_datagram(fd);
        break;
    case SLOT_SCTP:
        answer_sctp(fd, slots[index].ipv6);
        break;
    }
}

int command_serve(int argc, char **argv)
{
    long life = DEFAULT_LIFE_S;
    bool foreground = false;
    bool sctp = false;

    for (int option = 0; (option = getopt(argc, argv, "fl:")) != -1;) {
        if (option == 'f')
            foreground = true;
        else if (option != 'l' || !number_parse(optarg, 1, 86400, &life))
            return 2;
    }
    for (int i = optind; i < argc; i++) {
        if (!add_port(argv[i], &sctp))
            return 1;
    }
    if (!foreground && go_background() < 0)
        return 1;
    alarm((unsigned int)life);
    while (poll(fds, used, -1) >= 0 || errno == EINTR) {
        /* backwards, because dropping one moves the last into its place */
        for (nfds_t i = used; i-- > 0;) {
            if (fds[i].revents)
                serve(i);
        }
    }
    return 1;
}

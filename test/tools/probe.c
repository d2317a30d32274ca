/* SPDX-License-Identifier: Apache-2.0 */
/* One attempt to reach somebody: start it, then feed it until it has an outcome. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test/tools/netprobe.h"

static void conclude(struct probe *probe, int error)
{
    probe->error = error;
    switch (error) {
    case 0:
        probe->outcome = OUTCOME_OK;
        break;
    case ECONNREFUSED:
        probe->outcome = OUTCOME_REFUSED;
        break;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case EACCES:
        probe->outcome = OUTCOME_UNREACHABLE;
        break;
    default:
        probe->outcome = OUTCOME_ERROR;
    }
}

bool probe_parse(const char *text, unsigned int index, struct probe *ret_probe)
{
    char copy[128];
    char *rest = NULL;
    long port = 0;

    if ((size_t)snprintf(copy, sizeof(copy), "%s", text) >= sizeof(copy))
        return false;
    const char *proto = strtok_r(copy, ",", &rest);
    const char *address = strtok_r(NULL, ",", &rest);
    const char *number = strtok_r(NULL, ",", &rest);
    *ret_probe = (struct probe){.text = text, .fd = -1};
    /* parallel processes of one pod must not take each other's answers */
    ret_probe->tag = (uint16_t)(((unsigned int)getpid() << 6 | (index & 63)) & 0x3fff) | 0x8000;
    return proto && address && number && proto_parse(proto, &ret_probe->proto) &&
           number_parse(number, 0, 65535, &port) &&
           address_parse(address, (uint16_t)port, &ret_probe->to);
}

static int open_socket(const struct probe *probe)
{
    int family = probe->to.sa.ss_family;
    int flags = SOCK_NONBLOCK | SOCK_CLOEXEC;

    switch (probe->proto) {
    case PROTO_TCP:
        return socket(family, SOCK_STREAM | flags, 0);
    case PROTO_UDP:
        return socket(family, SOCK_DGRAM | flags, 0);
    case PROTO_SCTP:
        return socket(family, SOCK_RAW | flags, IPPROTO_SCTP);
    case PROTO_ICMP:
        return socket(family, SOCK_RAW | flags, family == AF_INET6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
    }
    return -1;
}

static uint16_t port_of(const struct address *address)
{
    /* at the same place in both families */
    return ntohs(((const struct sockaddr_in *)&address->sa)->sin_port);
}

static ssize_t send_sctp(const struct probe *probe)
{
    uint8_t packet[SCTP_PACKET_SIZE];
    struct sctp_ports ports = {.source = probe->tag, .destination = port_of(&probe->to)};

    sctp_build(SCTP_INIT, ports, packet);
    return send(probe->fd, packet, sizeof(packet), 0);
}

static ssize_t send_icmp(const struct probe *probe)
{
    uint8_t packet[16] = {0};
    uint16_t id = htons(probe->tag);

    packet[0] = address_is_ipv6(&probe->to) ? ICMP6_ECHO_REQUEST : ICMP_ECHO;
    memcpy(packet + 4, &id, sizeof(id));
    memset(packet + 8, 'p', 8);
    if (!address_is_ipv6(&probe->to)) {
        uint16_t sum = internet_checksum(packet, sizeof(packet));
        memcpy(packet + 2, &sum, sizeof(sum));
    }
    return send(probe->fd, packet, sizeof(packet), 0);
}

static ssize_t send_first(const struct probe *probe)
{
    switch (probe->proto) {
    case PROTO_UDP:
        return send(probe->fd, probe->text, strlen(probe->text), 0);
    case PROTO_SCTP:
        return send_sctp(probe);
    case PROTO_ICMP:
        return send_icmp(probe);
    case PROTO_TCP:
        break;
    }
    return 0;
}

void probe_start(struct probe *probe)
{
    struct address to = probe->to;

    probe->events = probe->proto == PROTO_TCP ? POLLOUT : POLLIN;
    probe->fd = open_socket(probe);
    if (probe->fd < 0) {
        conclude(probe, errno);
        return;
    }
    if (probe->proto == PROTO_SCTP || probe->proto == PROTO_ICMP)
        ((struct sockaddr_in *)&to.sa)->sin_port = 0; /* raw sockets have no ports */
    if (connect(probe->fd, (struct sockaddr *)&to.sa, to.length) < 0 && errno != EINPROGRESS) {
        conclude(probe, errno);
        return;
    }
    if (send_first(probe) < 0)
        conclude(probe, errno);
}

static bool answers(const struct probe *probe, const uint8_t *packet, size_t size)
{
    bool ipv6 = address_is_ipv6(&probe->to);
    struct sctp_ports ports;
    uint16_t id = 0;

    if (probe->proto == PROTO_UDP)
        return size == strlen(probe->text) && memcmp(packet, probe->text, size) == 0;
    size_t skip = ip_header_size(packet, size, ipv6);
    packet += skip;
    size -= skip;
    if (probe->proto == PROTO_SCTP)
        return sctp_match(packet, size, SCTP_INIT_ACK, &ports) && ports.destination == probe->tag &&
               ports.source == port_of(&probe->to);
    if (size < 8)
        return false;
    memcpy(&id, packet + 4, sizeof(id));
    return packet[0] == (ipv6 ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY) && ntohs(id) == probe->tag;
}

void probe_handle(struct probe *probe)
{
    uint8_t packet[2048];
    socklen_t length = sizeof(int);
    int error = 0;

    if (probe->proto == PROTO_TCP) {
        getsockopt(probe->fd, SOL_SOCKET, SO_ERROR, &error, &length);
        conclude(probe, error);
        return;
    }
    ssize_t size = recv(probe->fd, packet, sizeof(packet), 0);
    if (size < 0 && errno != EAGAIN && errno != EINTR)
        conclude(probe, errno);
    else if (size > 0 && answers(probe, packet, (size_t)size))
        conclude(probe, 0);
}

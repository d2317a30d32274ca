/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands share: arguments, the clock, going into the background. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "test/tools/netprobe.h"

#ifndef TCP_RTO_MAX_MS
#    define TCP_RTO_MAX_MS 44
#endif

void retransmit_often(int fd)
{
    int on = 1;
    int most = 1000;
    int patience = 300000;

    setsockopt(fd, IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_RTO_MAX_MS, &most, sizeof(most));
    /* it would give up after 15 times, which are soon over */
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof(patience));
}

double now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

bool proto_parse(const char *text, enum proto *ret_proto)
{
    static const char *const names[] = {
        [PROTO_TCP] = "tcp",
        [PROTO_UDP] = "udp",
        [PROTO_SCTP] = "sctp",
        [PROTO_ICMP] = "icmp",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret_proto = (enum proto)i;
            return true;
        }
    }
    return false;
}

bool number_parse(const char *text, long min, long max, long *ret_number)
{
    char *end = NULL;

    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno || end == text || *end || number < min || number > max)
        return false;
    *ret_number = number;
    return true;
}

bool address_parse(const char *text, uint16_t port, struct address *ret_address)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

    memset(ret_address, 0, sizeof(*ret_address));
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        memcpy(&ret_address->sa, &v4, sizeof(v4));
        ret_address->length = sizeof(v4);
        return true;
    }
    if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
        memcpy(&ret_address->sa, &v6, sizeof(v6));
        ret_address->length = sizeof(v6);
        return true;
    }
    return false;
}

bool address_is_ipv6(const struct address *address)
{
    return address->sa.ss_family == AF_INET6;
}

int go_background(void)
{
    fflush(stdout);
    pid_t child = fork();
    if (child < 0) {
        perror("netprobe: fork");
        return -1;
    }
    if (child > 0) {
        printf("%d\n", child);
        fflush(stdout);
        _exit(0);
    }
    setsid();
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return -1;
    for (int fd = 0; fd <= 2; fd++)
        dup2(null, fd);
    close(null);
    return 0;
}

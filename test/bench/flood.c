/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench-flood ADDRESS RATE SECONDS random|equal: so many small datagrams a second from here to that
 * address, to random ports or to one, evenly over each millisecond. Prints how many were sent and
 * how long it took, in ms.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "lib/base/clock.h"

#define STEP_NS 1000000ull
#define PORT    9

/* xorshift: which ports does not matter, only that they differ */
static uint32_t next_random(void)
{
    static uint32_t state = 2463534242u;

    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

/* Returns how many have been sent. */
static uint64_t flood(int fd, struct sockaddr_in to, uint64_t total, uint64_t duration_ns,
                      bool random)
{
    const uint64_t begin = fence_clock_boot_ns();
    uint64_t sent = 0;

    while (sent < total) {
        uint64_t passed = fence_clock_boot_ns() - begin;
        uint64_t due = passed >= duration_ns ? total : total * passed / duration_ns;

        for (; sent < due; sent++) {
            if (random)
                to.sin_port = htons((uint16_t)(1024 + next_random() % 64000));
            if (sendto(fd, "", 1, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
                return sent;
        }
        nanosleep(&(struct timespec){.tv_nsec = STEP_NS}, NULL);
    }
    return sent;
}

int main(int argc, char **argv)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    uint64_t rate, seconds, begin, sent;

    if (argc != 5 || fd < 0 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) {
        fputs("usage: bench-flood ADDRESS RATE SECONDS random|equal\n", stderr);
        return 2;
    }
    rate = strtoul(argv[2], NULL, 10);
    seconds = strtoul(argv[3], NULL, 10);
    begin = fence_clock_boot_ns();
    sent = flood(fd, to, rate * seconds, seconds * 1000000000ull, strcmp(argv[4], "random") == 0);
    if (sent < rate * seconds)
        fprintf(stderr, "bench-flood: sending: %s\n", strerror(errno));
    printf("%lu %lu\n", (unsigned long)sent,
           (unsigned long)((fence_clock_boot_ns() - begin) / 1000000));
    return sent == rate * seconds ? 0 : 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "test/tools/netprobe.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int command_now(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("%.1f\n", now_ms());
    return 0;
}

/* A moment of the wall clock on the other one: read one, the other and the first again, until
 * next to nothing came between. */
static double moment(long seconds)
{
    for (;;) {
        struct timespec wall;
        double before = now_ms();

        clock_gettime(CLOCK_REALTIME, &wall);
        if (now_ms() - before < 0.1)
            return before + ((double)(seconds - wall.tv_sec) * 1e3) - ((double)wall.tv_nsec / 1e6);
    }
}

static int command_at(int argc, char **argv)
{
    long seconds = 0;

    if (argc != 2 || !number_parse(argv[1], 0, LONG_MAX, &seconds))
        return 2;
    printf("%.1f\n", moment(seconds));
    return 0;
}

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"serve", command_serve,
     "serve [-f] [-l LIFE_S] tcp:80 udp:53 sctp:9000 ...   echo in the background (-f: not), "
     "prints its pid"},
    {"try", command_try,
     "try [-t TIMEOUT_MS] tcp,ADDR,PORT udp,.. sctp,.. icmp,ADDR,0 ...   all at once"},
    {"await", command_await,
     "await [-t TIMEOUT_MS] PROTO,ADDR,PORT   until it succeeds; prints when, as stream does"},
    {"stream", command_stream,
     "stream [-i INTERVAL_MS] [-g GAP_MS] [-l LIFE_S] tcp|udp ADDR PORT   echo ping-pong"},
    {"forge", command_forge, "forge SOURCE DESTINATION PORT   one UDP packet with that source"},
    {"catch", command_catch, "catch [-t TIMEOUT_MS] PORT   UDP packets to PORT, by their source"},
    {"inject", command_inject,
     "inject [-m MAC] [-l LABEL] [-s SOURCE_PORT] [-o OTHER_PORT] [-c CLAIM] KIND SOURCE "
     "DESTINATION PORT   frames out of eth0 that no stack would send"},
    {"hear", command_hear, "hear PORT...   UDP payloads as sockets get them, until it is ended"},
    {"sniff", command_sniff, "sniff TEXT...   frames that contain a TEXT, until it is ended"},
    {"offload", command_offload,
     "offload LINK   checksums are the kernel's business, not the link's"},
    {"now", command_now, "now   the clock of stream's output, in ms"},
    {"at", command_at, "at SECONDS   that second since 1970, on the same clock"},
};

int main(int argc, char **argv)
{
    const struct command *end = commands + sizeof(commands) / sizeof(commands[0]);

    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (const struct command *command = commands; argc > 1 && command < end; command++) {
        if (strcmp(argv[1], command->name) == 0)
            return command->run(argc - 1, argv + 1);
    }
    for (const struct command *command = commands; command < end; command++)
        fprintf(stderr, "netprobe %s\n", command->help);
    return 2;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * try: all probes at once, one line each in the order given, then the end.
 * await: one probe again and again until it succeeds, then the time of its start.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test/tools/netprobe.h"

#define PROBES_MAX 2048

static const char *const outcome_names[] = {
    [OUTCOME_PENDING] = "pending",         [OUTCOME_OK] = "ok",
    [OUTCOME_REFUSED] = "refused",         [OUTCOME_TIMEOUT] = "timeout",
    [OUTCOME_UNREACHABLE] = "unreachable", [OUTCOME_ERROR] = "error",
};

/* One turn of the loop; false when nothing is pending any more. */
static bool turn(struct probe *probes, size_t count, double deadline)
{
    struct pollfd fds[PROBES_MAX];
    bool pending = false;

    for (size_t i = 0; i < count; i++) {
        bool open = probes[i].outcome == OUTCOME_PENDING;
        fds[i] = (struct pollfd){.fd = open ? probes[i].fd : -1, .events = probes[i].events};
        pending |= open;
    }
    double left = deadline - now_ms();
    if (!pending || left <= 0)
        return false;
    if (poll(fds, count, (int)left + 1) <= 0)
        return true;
    for (size_t i = 0; i < count; i++) {
        if (fds[i].revents)
            probe_handle(&probes[i]);
    }
    return true;
}

static void report(const struct probe *probe)
{
    enum outcome outcome = probe->outcome == OUTCOME_PENDING ? OUTCOME_TIMEOUT : probe->outcome;

    printf("%s %s", outcome_names[outcome], probe->text);
    if (outcome == OUTCOME_ERROR)
        printf(" %s", strerror(probe->error));
    printf("\n");
}

int command_try(int argc, char **argv)
{
    static struct probe probes[PROBES_MAX];
    size_t count = 0;
    long timeout = 1000;

    for (int option = 0; (option = getopt(argc, argv, "t:")) != -1;) {
        if (option != 't' || !number_parse(optarg, 1, 60000, &timeout))
            return 2;
    }
    if (argc - optind > PROBES_MAX) {
        fprintf(stderr, "netprobe: at most %d targets\n", PROBES_MAX);
        return 2;
    }
    for (int i = optind; i < argc; i++, count++) {
        if (!probe_parse(argv[i], (unsigned int)count, &probes[count])) {
            fprintf(stderr, "netprobe: %s is not proto,address,port\n", argv[i]);
            return 2;
        }
    }
    for (size_t i = 0; i < count; i++)
        probe_start(&probes[i]);
    double deadline = now_ms() + (double)timeout;
    while (turn(probes, count, deadline))
        ;
    for (size_t i = 0; i < count; i++)
        report(&probes[i]);
    return 0;
}

/* Each attempt is new: TCP would wait a second before it sends a SYN again. */
#define AWAIT_ATTEMPT_MS 15

static bool attempt(const char *text, unsigned int index)
{
    struct probe probe;

    if (!probe_parse(text, index, &probe))
        return false;
    double start = now_ms();
    probe_start(&probe);
    while (turn(&probe, 1, start + AWAIT_ATTEMPT_MS))
        ;
    if (probe.fd >= 0)
        close(probe.fd);
    if (probe.outcome == OUTCOME_OK)
        printf("%.1f\n", start);
    return probe.outcome == OUTCOME_OK;
}

int command_await(int argc, char **argv)
{
    long timeout = 10000;
    struct probe probe;

    for (int option = 0; (option = getopt(argc, argv, "t:")) != -1;) {
        if (option != 't' || !number_parse(optarg, 1, 60000, &timeout))
            return 2;
    }
    if (argc - optind != 1 || !probe_parse(argv[optind], 0, &probe))
        return 2;
    double deadline = now_ms() + (double)timeout;
    for (unsigned int i = 0; now_ms() < deadline; i++) {
        if (attempt(argv[optind], i))
            return 0;
    }
    return 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A slice in which both sides waited for their cores longer than is usual for the test, by
 * WAIT_MOST of its time, was not alone on the machine: it is measured again, TRIES times at most.
 * Where the price of events is asked it counts as it is: it may have been podfenced reading them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "test/bench/sockets.h"

#define WAIT_MOST 0.05
#define TRIES     3u

/* ns that the process has waited in a queue so far. */
static double waited_ns(int pid)
{
    FENCE_FCLOSE FILE *file = NULL;
    unsigned long long ran, waited = 0;
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
    file = fopen(path, "r");
    if (!file || fscanf(file, "%llu %llu", &ran, &waited) != 2)
        return 0;
    return (double)waited;
}

static int slice_once(struct sockets_run *run, struct sockets_config *config,
                      enum sockets_test test, double *ret_rate, struct fence_err *err)
{
    int client = getpid();
    double before = waited_ns(client) + waited_ns(run->server_pid), share;
    int r = sockets_slice(run, config, test, ret_rate, err);

    if (r < 0)
        return r;
    share = (waited_ns(client) + waited_ns(run->server_pid) - before) / (run->seconds * 1e9);
    run->slices++;
    if (share < run->waited[test])
        run->waited[test] = share;
    if (test == SOCKETS_BULK || share < run->waited[test] + WAIT_MOST)
        return 0;
    run->disturbed++;
    return 1;
}

static int slice(struct sockets_run *run, struct sockets_config *config, enum sockets_test test,
                 double *ret_rate, struct fence_err *err)
{
    unsigned int tries = run->connections_only ? 1 : TRIES;
    int r = 1;

    for (unsigned int i = 0; r == 1 && i < tries; i++)
        r = slice_once(run, config, test, ret_rate, err);
    return r < 0 ? r : 0;
}

/* Forwards, and backwards in the next round: nobody always follows the same one. */
static size_t turn(const struct sockets_run *run, unsigned int round, size_t place)
{
    return round % 2 ? run->count - 1 - place : place;
}

static int measure_test(struct sockets_run *run, unsigned int round, enum sockets_test test,
                        struct fence_err *err)
{
    double rates[SOCKETS_MAX] = {0};
    int r = 0;

    for (size_t i = 0; r == 0 && i < run->count; i++) {
        size_t index = turn(run, round, i);

        r = slice(run, &run->configs[index], test, &rates[index], err);
    }
    for (size_t i = 0; r == 0 && i < run->count; i++) {
        struct sockets_config *config = &run->configs[i];

        r = bench_samples_put(&config->rates[test], rates[i]);
        if (r == 0)
            r = bench_samples_put(&config->ratios[test], rates[i] / rates[0]);
    }
    return r;
}

static int measure_round(struct sockets_run *run, unsigned int round, struct fence_err *err)
{
    int r = 0;

    for (unsigned int test = 0; r == 0 && test < SOCKETS_TESTS; test++) {
        if (test != SOCKETS_CRR && run->connections_only)
            continue;
        if (test == SOCKETS_BULK && (run->bulk_every == 0 || round % run->bulk_every != 0))
            continue;
        r = measure_test(run, round, (enum sockets_test)test, err);
    }
    return r;
}

int sockets_measure(struct sockets_run *run, struct fence_err *err)
{
    uint64_t begin = fence_clock_boot_ns();
    int r = 0;

    for (unsigned int test = 0; test < SOCKETS_TESTS; test++)
        run->waited[test] = 1;
    for (unsigned int round = 0; r == 0 && round < run->rounds; round++) {
        r = measure_round(run, round, err);
        fprintf(stderr, "sockets: round %u of %u, %.0f s\n", round + 1, run->rounds,
                (double)(fence_clock_boot_ns() - begin) / 1e9);
    }
    return r;
}

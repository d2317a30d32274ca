/* SPDX-License-Identifier: Apache-2.0 */
/* See sockets.h. test/bench/sockets.sh makes the pods and runs this. */
#include "test/bench/sockets.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "test/bench/machine.h"
#include "test/bench/shop.h"

#define READY_STEPS   500
#define READY_STEP_NS 10000000

static const char usage[] =
    "bench-sockets objects RULES PODS   objects of podfenced, on stdout\n"
    "bench-sockets [OPTION...] FILE     measure the pairs of pods that FILE lists\n"
    "  --rounds N       all configurations in turns, so often (41)\n"
    "  --slice SECONDS  of one test in one round (0.15)\n"
    "  --bulk N         iperf3 in each Nth round, 0 = never (2)\n"
    "  --connections    new connections alone, and no slice again: podfenced's own work counts\n"
    "  --json FILE, --csv FILE\n"
    "  --check          exit with 1 when a target is missed\n";

static int parse(struct sockets_run *run, int argc, char **argv)
{
    static const struct option options[] = {
        {"rounds", required_argument, NULL, 'r'}, {"slice", required_argument, NULL, 's'},
        {"bulk", required_argument, NULL, 'b'},   {"json", required_argument, NULL, 'j'},
        {"csv", required_argument, NULL, 'c'},    {"connections", no_argument, NULL, 'o'},
        {"check", no_argument, NULL, 'k'},        {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        run->check |= option == 'k';
        run->connections_only |= option == 'o';
        if (option == 'r')
            run->rounds = (unsigned int)strtoul(optarg, NULL, 10);
        else if (option == 'b')
            run->bulk_every = (unsigned int)strtoul(optarg, NULL, 10);
        else if (option == 's')
            run->seconds = strtod(optarg, NULL);
        else if (option == 'j')
            run->json = optarg;
        else if (option == 'c')
            run->csv = optarg;
        else if (option == '?')
            return -1;
    }
    return optind + 1 == argc && run->rounds > 0 && run->seconds > 0 ? 0 : -1;
}

static int write_shop(int argc, char **argv)
{
    struct shop shop = {.family = 4};

    if (argc != 4) {
        fputs(usage, stderr);
        return 2;
    }
    shop.rules = (unsigned int)strtoul(argv[2], NULL, 10);
    shop.remotes = (unsigned int)strtoul(argv[3], NULL, 10);
    shop_write(stdout, &shop, NULL);
    return fflush(stdout) == 0 ? 0 : 1;
}

/* A process that ends with this one; `core` -1: on any. Returns its ID. */
static int start(struct sockets_run *run, int (*body)(const struct sockets_run *run), int core)
{
    pid_t parent = getpid();
    pid_t pid = fork();

    if (pid != 0)
        return pid < 0 ? -errno : pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    if (core >= 0)
        bench_pin_to(core);
    _exit(body(run) < 0 ? 1 : 0);
}

static int prepare(struct sockets_run *run, struct fence_err *err)
{
    const struct timespec step = {.tv_nsec = READY_STEP_NS};
    int r = 0;

    run->shared =
        mmap(NULL, sizeof(*run->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (run->shared == MAP_FAILED)
        return fence_err_set(err, -errno, "%s", strerror(errno));
    atomic_store(&run->shared->changing, -1);
    run->server_pid = r = start(run, sockets_serve, 0);
    if (r >= 0)
        r = start(run, sockets_change, -1);
    if (r < 0)
        return fence_err_set(err, r, "fork: %s", strerror(-r));
    for (unsigned int i = 0; i < READY_STEPS && !atomic_load(&run->shared->ready); i++)
        nanosleep(&step, NULL);
    if (!atomic_load(&run->shared->ready))
        return fence_err_set(err, -ETIMEDOUT, "the server does not start");
    bench_pin_to(bench_last_core());
    r = 0;
    for (size_t i = 0; r == 0 && i < run->count; i++) {
        if (run->configs[i].kind->group == SOCKETS_EMPTY ||
            run->configs[i].kind->group == SOCKETS_PEER)
            r = sockets_attach(&run->configs[i], err);
        if (r == 0)
            r = sockets_probe(&run->configs[i], err);
    }
    return r;
}

int main(int argc, char **argv)
{
    static struct sockets_run run = {.rounds = 41, .seconds = 0.15, .bulk_every = 2};
    struct fence_err err = {""};
    char machine[BENCH_MACHINE_TEXT];
    unsigned int missed;
    int r;

    if (argc > 1 && strcmp(argv[1], "objects") == 0)
        return write_shop(argc, argv);
    if (parse(&run, argc, argv) < 0) {
        fputs(usage, stderr);
        return 2;
    }
    r = sockets_configs_read(argv[optind], &run, &err);
    if (r == 0)
        r = prepare(&run, &err);
    printf("%s\n%u rounds of %g s each, server and client on a core of their own\n\n",
           bench_machine(machine), run.rounds, run.seconds);
    if (r == 0)
        r = sockets_measure(&run, &err);
    if (r < 0) {
        fprintf(stderr, "bench-sockets: %s\n", *err.text ? err.text : strerror(-r));
        return 1;
    }
    missed = sockets_report(&run);
    if (atomic_load(&run.shared->changes))
        printf("%lu addresses changed meanwhile\n",
               (unsigned long)atomic_load(&run.shared->changes));
    r = sockets_report_files(&run);
    if (r < 0)
        fprintf(stderr, "bench-sockets: writing results: %s\n", strerror(-r));
    return r < 0 || (run.check && missed) ? 1 : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the policy engine costs in a cluster of a given size: objects as files through the folder,
 * the decoder and the store as in the daemon, compiled and applied to a data path in the kernel;
 * then single changes. One size a process, since memory is measured. scripts/bench.sh policy runs
 * the sizes.
 */
#include "test/bench/policy.h"

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <string.h>
#include <sys/resource.h>

#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/objects/folder.h"
#include "test/bench/api.h"
#include "test/bench/resident.h"

#define LOCALS          110u
#define OWN_PAGES_BYTES (128 * 1024) /* as cni/daemon/main.c */

/* What is there while it runs. */
struct bench {
    struct bench_run run;
    bool api; /* objects one at a time instead of files */
    struct fence_pins pins;
    struct fence_store *store;
    struct fence_folder *folder;
    struct bench_locals locals;
    struct fence_addr host_addrs[2];
    struct engine_parts parts;
    struct engine *engine;
};

static double user_ms(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec * 1e3 + (double)usage.ru_utime.tv_usec / 1e3;
}

/* ---- preparing ------------------------------------------------------------------------------ */

/* As many label sets as a cluster of that size has, and two in each namespace at least. */
static void size_world(struct bench_world *world)
{
    unsigned int sets = world->pods / 10;

    if (sets < 2 * BENCH_NAMESPACES)
        sets = 2 * BENCH_NAMESPACES;
    world->label_sets = sets < BENCH_LABEL_SETS ? sets : BENCH_LABEL_SETS;
}

static int prepare(struct bench *bench, struct fence_err *err)
{
    struct bench_run *run = &bench->run;
    int r;

    size_world(&run->world);
    run->changes = (struct bench_changes){.world = &run->world, .rounds = run->rounds};
    r = bench_changes_prepare(&run->changes, err);
    if (r == 0)
        r = bench_node_enter(run->world.locals + 1, err);
    if (r == 0)
        r = bench_node_load("measured", &bench->pins, err);
    if (r < 0)
        return r;
    r = bench_world_write(&run->world, BENCH_OBJECTS);
    if (r == 0)
        r = bench_locals_new(run->world.locals + 1, &bench->locals);
    if (r == 0)
        r = fence_addr_parse("192.168.0.1", &bench->host_addrs[0]);
    if (r == 0)
        r = fence_addr_parse("10.64.0.1", &bench->host_addrs[1]);
    return r < 0 ? fence_err_set(err, r, "preparing: %s", strerror(-r)) : 0;
}

/* ---- loading -------------------------------------------------------------------------------- */

/* Everything of this generator is to be understood. */
static int expect_no_problem(struct bench *bench, struct fence_err *err)
{
    const struct fence_problem *problems;
    const struct fence_object *const *objects;
    size_t count = fence_store_problems(bench->store, &problems);
    size_t expected = bench->run.world.pods + bench->run.world.policies + BENCH_NODES +
                      BENCH_NAMESPACES + 2 * (size_t)bench->run.world.services;

    if (count)
        return fence_err_set(err, -EINVAL, "%s: %s: %s", problems[0].unit, problems[0].id,
                             problems[0].text);
    bench->run.objects = fence_store_objects(bench->store, &objects);
    if (bench->run.objects != expected)
        return fence_err_set(err, -EINVAL, "%zu objects, %zu were written", bench->run.objects,
                             expected);
    return 0;
}

static int read_objects(struct bench *bench, struct fence_err *err)
{
    struct bench_run *run = &bench->run;
    double user = user_ms();
    uint64_t begin = fence_clock_boot_ns();
    int r = bench->api ? bench_api_read(bench->store, BENCH_OBJECTS, err)
                       : fence_folder_read(bench->folder, bench->store, err);

    if (r >= 0)
        r = bench_changes_load(&run->changes, err);
    malloc_trim(0); /* as the daemon does when a folder has been read */
    run->read.ms = (double)(fence_clock_boot_ns() - begin) / 1e6;
    run->read.user_ms = user_ms() - user;
    return r < 0 ? r : expect_no_problem(bench, err);
}

static int add_locals(struct bench *bench, struct fence_err *err)
{
    const struct bench_world *world = &bench->run.world;
    int r = 0;

    for (unsigned int i = 0; r == 0 && i < world->locals; i++) {
        const struct bench_pod pod = bench_pod_at(world, i);

        r = bench_locals_add(&bench->locals, &bench->pins, world, &pod, err);
    }
    return r;
}

static int put_in_force(struct bench *bench, struct fence_err *err)
{
    struct bench_run *run = &bench->run;
    struct engine_cost cost = {0};
    double user = user_ms();
    uint64_t begin = fence_clock_boot_ns();
    int r = engine_begin(&bench->parts, &bench->engine, err);
    uint64_t beginning = fence_clock_boot_ns() - begin;

    if (r == 0)
        r = engine_update(bench->engine, bench->locals.items, bench->locals.count, &cost, err);
    if (r < 0)
        return r;
    run->compile = (struct bench_phase){.ms = (double)(cost.compile_ns + beginning) / 1e6,
                                        .user_ms = user_ms() - user};
    run->apply = (struct bench_phase){.ms = (double)cost.apply_ns / 1e6};
    run->writes = cost.writes;
    if (cost.failures)
        return fence_err_set(err, -ENOSPC, "%zu failures: %s", cost.failures, cost.failure);
    return 0;
}

static int load(struct bench *bench, struct fence_err *err)
{
    struct bench_run *run = &bench->run;
    int r = fence_store_new(&bench->store);

    if (r == 0)
        r = fence_folder_new(BENCH_OBJECTS, 0, BENCH_STATE, &bench->folder, err);
    bench->parts = (struct engine_parts){
        .pins = &bench->pins,
        .store = bench->store,
        .node_name = BENCH_NODE_NAME,
        .host_addrs = bench->host_addrs,
        .host_addr_count = FENCE_ARRAY_SIZE(bench->host_addrs),
    };
    run->changes.store = bench->store;
    run->changes.pins = &bench->pins;
    run->changes.locals = &bench->locals;
    if (r == 0)
        r = add_locals(bench, err);
    /* what writing the files took does not count */
    bench_resident_forget_peak();
    if (r == 0)
        r = read_objects(bench, err);
    if (r == 0)
        r = put_in_force(bench, err);
    if (r < 0)
        return r;
    run->resident_mb = bench_resident_mb("VmRSS:");
    run->peak_mb = bench_resident_mb("VmHWM:");
    bench_maps_read(&bench->pins, &run->maps);
    malloc_trim(0);
    run->trimmed_mb = bench_resident_mb("VmRSS:");
    return 0;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static int run(struct bench *bench, struct fence_err *err)
{
    struct bench_run *run = &bench->run;
    int r = prepare(bench, err);

    if (r == 0)
        r = load(bench, err);
    if (r == 0)
        r = bench_changes_run(&run->changes, bench->engine, run->seconds, err);
    run->changed_mb = bench_resident_mb("VmRSS:");
    if (r == 0)
        r = bench_verify(&bench->parts, &run->changes, &run->verdict, err);
    return r;
}

static void done(struct bench *bench)
{
    engine_end(&bench->engine);
    bench_changes_done(&bench->run.changes);
    bench_locals_done(&bench->locals);
    fence_folder_free(&bench->folder);
    fence_store_free(&bench->store);
    fence_pins_close(&bench->pins);
}

static const char usage[] = "bench-policy [OPTION...], as root\n"
                            "  --pods N, --policies N  the cluster (100000, 10000)\n"
                            "  --services N            each with a slice (0)\n"
                            "  --dual-stack            IPv4 and IPv6\n"
                            "  --api                   objects one at a time, not by a folder\n"
                            "  --rounds N              how often each change is made (101)\n"
                            "  --seconds N             but not for longer than that (300)\n"
                            "  --csv FILE              append a line of figures\n"
                            "  --check                 exit with 1 when a target is missed\n";

static int parse(struct bench *bench, int argc, char **argv)
{
    struct bench_run *run = &bench->run;
    static const struct option options[] = {
        {"pods", required_argument, NULL, 'p'},     {"policies", required_argument, NULL, 'q'},
        {"rounds", required_argument, NULL, 'r'},   {"seconds", required_argument, NULL, 's'},
        {"csv", required_argument, NULL, 'c'},      {"dual-stack", no_argument, NULL, 'd'},
        {"check", no_argument, NULL, 'k'},          {"api", no_argument, NULL, 'a'},
        {"services", required_argument, NULL, 'v'}, {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        unsigned int number = optarg ? (unsigned int)strtoul(optarg, NULL, 10) : 0;

        bench->api |= option == 'a';
        run->check |= option == 'k';
        run->world.dual_stack |= option == 'd';
        if (option == 'p')
            run->world.pods = number;
        else if (option == 'q')
            run->world.policies = number;
        else if (option == 'v')
            run->world.services = number;
        else if (option == 'r')
            run->rounds = number;
        else if (option == 's')
            run->seconds = number;
        else if (option == 'c')
            run->csv = optarg;
        else if (option == '?')
            return -EINVAL;
    }
    return optind == argc ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
    struct bench bench = {
        .run = {.world = {.pods = 100000, .policies = 10000, .locals = LOCALS},
                .rounds = 101,
                .seconds = 300},
    };
    struct fence_err err = {""};
    unsigned int missed;
    bool good;
    int r;

    if (parse(&bench, argc, argv) < 0) {
        fputs(usage, stderr);
        return 2;
    }
    mallopt(M_MMAP_THRESHOLD, OWN_PAGES_BYTES);
    fence_pins_init(&bench.pins);
    r = run(&bench, &err);
    if (r < 0) {
        fprintf(stderr, "bench-policy: %s\n", *err.text ? err.text : strerror(-r));
        return 1;
    }
    missed = bench_report(&bench.run);
    good = bench_verdict_is_good(&bench.run.verdict) && bench.run.changes.failures == 0;
    if (bench.run.csv && bench_report_csv(&bench.run) < 0)
        good = false;
    done(&bench);
    return !good || (bench.run.check && missed) ? 1 : 0;
}

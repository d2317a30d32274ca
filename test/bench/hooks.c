/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ns per packet of from_pod and to_pod over an empty program, in both families, with few and many
 * flows, rules and addresses. scripts/bench.sh datapath runs it.
 */
#include "test/bench/hooks.h"

#include <getopt.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/memory.h"
#include "test/bench/machine.h"

#define MANY_RULES     10000u
#define MANY_ADDRESSES 100000u

static const struct shop worlds[] = {
    {4, 1, SHOP_APPS}, {4, MANY_RULES, SHOP_APPS}, {4, 1, MANY_ADDRESSES},
    {6, 1, SHOP_APPS}, {6, MANY_RULES, SHOP_APPS}, {6, 1, MANY_ADDRESSES},
};

/* Enough to see that all of it works. */
#define QUICK_ROUNDS 3u
static const size_t quick_worlds[] = {0, 5};

struct options {
    unsigned int rounds;
    bool quick;
    bool check;
    const char *json;
};

static const char usage[] = "bench-hooks [OPTION...], as root\n"
                            "  --rounds N   of each figure (21)\n"
                            "  --quick      3 rounds of two of the six worlds\n"
                            "  --json FILE  all figures\n"
                            "  --check      exit with 1 when a target is missed\n";

static int parse(struct options *options, int argc, char **argv)
{
    static const struct option names[] = {{"rounds", required_argument, NULL, 'r'},
                                          {"json", required_argument, NULL, 'j'},
                                          {"check", no_argument, NULL, 'c'},
                                          {"quick", no_argument, NULL, 'q'},
                                          {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "", names, NULL)) >= 0) {
        options->check |= option == 'c';
        if (option == 'q')
            *options = (struct options){QUICK_ROUNDS, true, options->check, options->json};
        else if (option == 'r')
            options->rounds = (unsigned int)strtoul(optarg, NULL, 10);
        else if (option == 'j')
            options->json = optarg;
        else if (option == '?')
            return -1;
    }
    return optind == argc && options->rounds > 0 ? 0 : -1;
}

static int measure_all(const struct options *options, struct hooks_cells *cells,
                       struct fence_err *err)
{
    size_t count = options->quick ? FENCE_ARRAY_SIZE(quick_worlds) : FENCE_ARRAY_SIZE(worlds);
    char machine[BENCH_MACHINE_TEXT];
    int r = hooks_node_enter(err);

    bench_pin_to(bench_last_core());
    printf("%s\nmedian of %u rounds (lower to upper quartile), one core\n", bench_machine(machine),
           options->rounds);
    for (size_t i = 0; r == 0 && i < count; i++) {
        const struct shop *world = &worlds[options->quick ? quick_worlds[i] : i];

        fprintf(stderr, "ns per packet: %zu of %zu\n", i + 1, count);
        r = hooks_measure(world, options->rounds, cells, err);
        if (r == 0)
            hooks_report_world(world, cells);
    }
    return r;
}

int main(int argc, char **argv)
{
    struct options options = {.rounds = 21};
    struct hooks_cells cells = {0};
    struct fence_err err = {""};
    unsigned int missed;
    int r;

    if (parse(&options, argc, argv) < 0) {
        fputs(usage, stderr);
        return 2;
    }
    r = measure_all(&options, &cells, &err);
    if (r < 0) {
        fprintf(stderr, "bench-hooks: %s\n", *err.text ? err.text : strerror(-r));
        return 1;
    }
    missed = hooks_report_targets(&cells);
    if (options.json)
        r = hooks_report_json(options.json, &cells, options.rounds);
    if (r < 0)
        fprintf(stderr, "bench-hooks: %s: %s\n", options.json, strerror(-r));
    hooks_cells_done(&cells);
    return r < 0 || (options.check && missed) ? 1 : 0;
}

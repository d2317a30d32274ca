/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/bench/machine.h"
#include "test/bench/sockets.h"

#define LOWER      0.25
#define MEDIAN     0.5
#define UPPER      0.75
/* More than that, and the run says little. */
#define NOISE_MOST 0.02

/* How far below empty programs the default path may be. */
#define EMPTY_TARGET 0.02

/* What events may cost of the rate of new connections. */
#define TOLD_TARGET 0.03

static const double same_node_targets[] = {
    [SOCKETS_CRR] = 1.12, [SOCKETS_RR] = 1.12, [SOCKETS_UDP] = 1.30};
/* The rows that may not differ from one rule. */
static const char *const constant[] = {"fence-100", "fence-1000", "fence-10000", "fence-addresses",
                                       "fence-changes"};

static struct sockets_config *find(struct sockets_run *run, const char *key)
{
    for (size_t i = 0; i < run->count; i++)
        if (strcmp(run->configs[i].kind->key, key) == 0)
            return &run->configs[i];
    return NULL;
}

static double ratio(struct sockets_config *config, unsigned int test, double share)
{
    return bench_samples_at(&config->ratios[test], share);
}

/* How far half of the first one, again, is from 1. */
static double noise(struct sockets_run *run, unsigned int test)
{
    struct sockets_config *again = find(run, "none-again");
    double below, above;

    if (!again)
        again = find(run, "events-off-again");
    if (!again || !again->ratios[test].count)
        return 0;
    below = 1 - ratio(again, test, LOWER);
    above = ratio(again, test, UPPER) - 1;

    return below > above ? below : above;
}

static void show_table(struct sockets_run *run)
{
    char base[48];

    snprintf(base, sizeof(base), "ratio to %s", run->configs[0].kind->title);
    printf("%-34s", base);
    for (unsigned int test = 0; test < SOCKETS_TESTS; test++)
        if (run->configs[0].ratios[test].count)
            printf("%23s", sockets_test_name((enum sockets_test)test));
    for (size_t i = 0; i < run->count; i++) {
        struct sockets_config *config = &run->configs[i];

        printf("\n  %-32s", config->kind->title);
        for (unsigned int test = 0; test < SOCKETS_TESTS; test++)
            if (config->ratios[test].count)
                printf("  %.3f (%.3f to %.3f)", ratio(config, test, MEDIAN),
                       ratio(config, test, LOWER), ratio(config, test, UPPER));
    }
    printf("\n");
}

/* What the ratios are to, and how far they can be believed. */
static void show_base(struct sockets_run *run)
{
    struct sockets_config *base = &run->configs[0];

    printf("%s:", base->kind->title);
    for (unsigned int test = 0; test < SOCKETS_TESTS; test++)
        if (base->rates[test].count)
            printf(" %.0f %s,", bench_samples_at(&base->rates[test], MEDIAN),
                   sockets_test_unit((enum sockets_test)test));
    printf(" medians\nnoise:");
    for (unsigned int test = 0; test < SOCKETS_TESTS; test++)
        if (base->rates[test].count)
            printf(" %.3f %s,", noise(run, test), sockets_test_name((enum sockets_test)test));
    printf(" the further quartile of the first, again\n"
           "in %zu of %zu slices client or server waited for a core (other work, or the node's "
           "podfenced)%s\n",
           run->disturbed, run->slices, run->connections_only ? "" : ": measured again, as a rule");
    for (unsigned int test = 0; test < SOCKETS_BULK; test++)
        if (noise(run, test) > NOISE_MOST)
            printf("! %s: a noise of more than %.2f, this run says little\n",
                   sockets_test_name((enum sockets_test)test), NOISE_MOST);
}

/* ---- targets -------------------------------------------------------------------------------- */

static unsigned int show_target(const char *what, unsigned int test, double measured,
                                const char *target, bool met)
{
    printf("  %-45s %-12s %7.3f  %-14s %s\n", what, sockets_test_name((enum sockets_test)test),
           measured, target, met ? "met" : "MISSED");
    return !met;
}

static unsigned int target_empty(struct sockets_run *run, unsigned int test)
{
    struct sockets_config *fence = find(run, "fence-1"), *empty = find(run, "empty");
    double below = ratio(empty, test, MEDIAN) - ratio(fence, test, MEDIAN);
    char text[32];

    snprintf(text, sizeof(text), "at most %.2f", EMPTY_TARGET);
    return show_target("1 rule, below empty programs", test, below, text, below <= EMPTY_TARGET);
}

static unsigned int target_ahead(struct sockets_run *run, unsigned int test)
{
    double own = ratio(find(run, "fence-1"), test, MEDIAN), best = 0;
    const char *title = "";
    char text[32], what[64];

    for (size_t i = 0; i < run->count; i++) {
        double other = ratio(&run->configs[i], test, MEDIAN);

        if (run->configs[i].kind->group != SOCKETS_OTHER || other <= best)
            continue;
        best = other;
        title = run->configs[i].kind->title;
    }
    if (best == 0)
        return 0;
    snprintf(what, sizeof(what), "1 rule; ahead of %s", title);
    snprintf(text, sizeof(text), "above %.3f", best);
    return show_target(what, test, own, text, own > best);
}

static unsigned int target_same_node(struct sockets_run *run, unsigned int test)
{
    struct sockets_config *config = find(run, "fence-same-node");
    char text[32];

    if (!config)
        return 0;
    snprintf(text, sizeof(text), "at least %.2f", same_node_targets[test]);
    return show_target(config->kind->title, test, ratio(config, test, MEDIAN), text,
                       ratio(config, test, MEDIAN) >= same_node_targets[test]);
}

static unsigned int target_constant(struct sockets_run *run, unsigned int test)
{
    double one = ratio(find(run, "fence-1"), test, MEDIAN), most = noise(run, test);
    unsigned int missed = 0;

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(constant); i++) {
        struct sockets_config *config = find(run, constant[i]);
        char text[32], what[64];
        double below;

        if (!config)
            continue;
        below = one - ratio(config, test, MEDIAN);
        snprintf(what, sizeof(what), "%s, below 1 rule", config->kind->title);
        snprintf(text, sizeof(text), "at most %.3f", most);
        missed += show_target(what, test, below, text, below <= most);
    }
    return missed;
}

static unsigned int target_told(struct sockets_run *run)
{
    struct sockets_config *told = find(run, "events-told");
    char text[32];
    double cost;

    if (!told)
        return 0;
    cost = 1 - ratio(told, SOCKETS_CRR, MEDIAN);
    snprintf(text, sizeof(text), "below %.2f", TOLD_TARGET);
    printf("\ntargets\n");
    return show_target("every connection told, cost", SOCKETS_CRR, cost, text, cost < TOLD_TARGET);
}

unsigned int sockets_report(struct sockets_run *run)
{
    unsigned int missed = 0;

    show_table(run);
    show_base(run);
    if (!find(run, "fence-1") || !find(run, "empty"))
        return target_told(run);
    printf("\ntargets\n");
    if (!find(run, "fence-same-node"))
        printf("  same-node path: not measured, this podfenced has none\n");
    for (unsigned int test = 0; test < SOCKETS_BULK; test++)
        missed += target_empty(run, test);
    for (unsigned int test = 0; test < SOCKETS_BULK; test++)
        missed += target_ahead(run, test);
    for (unsigned int test = 0; test < SOCKETS_BULK; test++)
        missed += target_same_node(run, test);
    for (unsigned int test = 0; test < SOCKETS_BULK; test++)
        missed += target_constant(run, test);
    return missed;
}

/* ---- files ---------------------------------------------------------------------------------- */

static void write_config(FILE *out, struct sockets_config *config)
{
    fprintf(out, "{\"key\":\"%s\",\"title\":\"%s\"", config->kind->key, config->kind->title);
    for (unsigned int test = 0; test < SOCKETS_TESTS; test++)
        if (config->ratios[test].count)
            fprintf(out,
                    ",\n \"%s\":{\"median\":%.4f,\"lower\":%.4f,\"upper\":%.4f,\"rate\":%.0f,"
                    "\"rounds\":%zu}",
                    sockets_test_name((enum sockets_test)test), ratio(config, test, MEDIAN),
                    ratio(config, test, LOWER), ratio(config, test, UPPER),
                    bench_samples_at(&config->rates[test], MEDIAN), config->ratios[test].count);
    fprintf(out, "}");
}

static int write_json(struct sockets_run *run)
{
    FENCE_FCLOSE FILE *out = fopen(run->json, "w");
    char machine[BENCH_MACHINE_TEXT];

    if (!out)
        return -errno;
    fprintf(out, "{\"machine\":\"%s\",\"rounds\":%u,\"slice\":%g,\"noise\":{",
            bench_machine(machine), run->rounds, run->seconds);
    for (unsigned int test = 0; test < SOCKETS_TESTS; test++)
        fprintf(out, "%s\"%s\":%.4f", test ? "," : "", sockets_test_name((enum sockets_test)test),
                noise(run, test));
    fprintf(out, "},\n\"configurations\":[");
    for (size_t i = 0; i < run->count; i++) {
        fprintf(out, "%s\n", i ? "," : "");
        write_config(out, &run->configs[i]);
    }
    fprintf(out, "\n]}\n");
    return fflush(out) == 0 && !ferror(out) ? 0 : -EIO;
}

/* For gnuplot: title, then median and quartiles of each test. */
static int write_csv(struct sockets_run *run)
{
    FENCE_FCLOSE FILE *out = fopen(run->csv, "w");

    if (!out)
        return -errno;
    for (size_t i = 0; i < run->count; i++) {
        struct sockets_config *config = &run->configs[i];

        fprintf(out, "\"%s\"", config->kind->title);
        for (unsigned int test = 0; test < SOCKETS_BULK; test++)
            fprintf(out, "\t%.4f\t%.4f\t%.4f", ratio(config, test, MEDIAN),
                    ratio(config, test, LOWER), ratio(config, test, UPPER));
        fprintf(out, "\n");
    }
    return fflush(out) == 0 && !ferror(out) ? 0 : -EIO;
}

int sockets_report_files(struct sockets_run *run)
{
    int r = run->json ? write_json(run) : 0;

    return r == 0 && run->csv ? write_csv(run) : r;
}

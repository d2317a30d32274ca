/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/bench/policy.h"

#define LOAD_TARGET_MS   2000.0
#define MEMORY_TARGET_MB 64.0
#define MEDIAN           0.5
#define HIGH             0.9
#define MOST             1.0

static void show_load(const struct bench_run *run)
{
    const struct bench_world *world = &run->world;

    printf("%u pods, %u label sets, %u namespaces, %u nodes, %u policies, %u pods here%s\n\n",
           world->pods, world->label_sets, BENCH_NAMESPACES, BENCH_NODES, world->policies,
           world->locals, world->dual_stack ? ", dual stack" : "");
    printf("loading                        ms   user ms\n");
    printf("  read and decode      %10.1f%10.1f   %zu objects from JSON files\n", run->read.ms,
           run->read.user_ms, run->objects);
    printf("  compile              %10.1f\n", run->compile.ms);
    printf("  apply                %10.1f             %zu map writes\n", run->apply.ms,
           run->writes);
    printf("  compile and apply    %10.1f%10.1f\n\n", run->compile.ms + run->apply.ms,
           run->compile.user_ms);
    printf("memory                         MB\n");
    printf("  resident once loaded %10.1f   (%.1f after one more malloc_trim)\n", run->resident_mb,
           run->trimmed_mb);
    printf("  peak until then      %10.1f\n", run->peak_mb);
    printf("  after the changes    %10.1f\n\n", run->changed_mb);
}

static void show_maps(const struct bench_run *run)
{
    double sum = 0;

    printf("map                once loaded          most   kernel MB   after changes   afresh\n");
    for (unsigned int i = 0; i < FENCE_MAP_COUNT; i++) {
        sum += run->maps.items[i].megabytes;
        if (run->maps.items[i].used == 0)
            continue;
        printf("  %-18s %9zu %13zu %11.1f %15zu %8zu\n", fence_map_name((enum fence_map)i),
               run->maps.items[i].used, run->maps.items[i].most, run->maps.items[i].megabytes,
               run->verdict.changed.items[i].used, run->verdict.fresh.items[i].used);
    }
    printf("  %-18s %23s %11.1f\n\n", "all, empty ones too", "", sum);
}

static void show_changes(struct bench_run *run)
{
    printf("change, ms                              times"
           "   store  compile   apply |  median     p90     max  writes\n"
           "                                              "
           "(medians)                 | of compile and apply   (mean)\n");
    for (unsigned int i = 0; i < BENCH_CHANGE_COUNT; i++) {
        struct bench_cost *cost = &run->changes.costs[i];
        size_t times = cost->total.count ? cost->total.count : 1;

        printf("  %-37s %5zu %7.3f %8.3f %7.3f | %7.3f %7.3f %7.3f %7zu\n",
               bench_change_name((enum bench_change)i), cost->total.count,
               bench_samples_at(&cost->store, MEDIAN), bench_samples_at(&cost->compile, MEDIAN),
               bench_samples_at(&cost->apply, MEDIAN), bench_samples_at(&cost->total, MEDIAN),
               bench_samples_at(&cost->total, HIGH), bench_samples_at(&cost->total, MOST),
               cost->writes / times);
    }
    printf("  %-37s %5zu %24s | %7.3f %7.3f %7.3f\n\n", "the sweep after each round",
           run->changes.sweep.count, "", bench_samples_at(&run->changes.sweep, MEDIAN),
           bench_samples_at(&run->changes.sweep, HIGH),
           bench_samples_at(&run->changes.sweep, MOST));
    if (run->changes.failures)
        printf("  %zu FAILURES, the first: %s\n\n", run->changes.failures, run->changes.failure);
}

static void show_verdict(const struct bench_run *run)
{
    const struct bench_verdict *verdict = &run->verdict;

    printf("after the changes, against a fresh start from the same objects: %s\n"
           "  %zu addresses, %zu of them lead elsewhere or are in one only\n"
           "  %zu probes, %zu allowed, %zu answered differently\n"
           "  %zu of them asked of the evaluator too, %zu answered differently\n\n",
           bench_verdict_is_good(verdict) ? "the same" : "NOT THE SAME", verdict->addresses,
           verdict->strangers, verdict->probes, verdict->allowed, verdict->different,
           verdict->asked, verdict->refuted);
}

static unsigned int show_target(const char *name, double measured, double target, const char *unit)
{
    bool met = measured < target;

    printf("  %-41s %7g %s %10.3f  %s\n", name, target, unit, measured, met ? "met" : "MISSED");
    return !met;
}

static unsigned int show_targets(struct bench_run *run)
{
    unsigned int missed;

    printf("%-44s under      measured\n", "targets (changes: medians)");
    missed = show_target("full compile and apply", run->compile.ms + run->apply.ms, LOAD_TARGET_MS,
                         "ms");
    missed += show_target("resident once loaded", run->resident_mb, MEMORY_TARGET_MB, "MB");
    for (unsigned int i = 0; i < BENCH_CHANGE_COUNT; i++) {
        double target = bench_change_target((enum bench_change)i);

        if (target > 0)
            missed +=
                show_target(bench_change_name((enum bench_change)i),
                            bench_samples_at(&run->changes.costs[i].total, MEDIAN), target, "ms");
    }
    return missed;
}

unsigned int bench_report(struct bench_run *run)
{
    show_load(run);
    show_maps(run);
    show_changes(run);
    show_verdict(run);
    return show_targets(run);
}

int bench_report_csv(struct bench_run *run)
{
    static const enum bench_change changes[] = {
        BENCH_POD_ADDED,        BENCH_POD_RELABELLED, BENCH_POD_RELABELLED_NEW,
        BENCH_LOCAL_ADDED,      BENCH_POLICY_PORT,    BENCH_POLICY_PEER,
        BENCH_POLICY_ELSEWHERE, BENCH_BLOCK_ADDED,    BENCH_NAMESPACE};
    FENCE_FCLOSE FILE *out = fopen(run->csv, "a");

    if (!out)
        return -errno;
    if (ftell(out) == 0)
        fprintf(out, "pods,policies,full_ms,resident_mb,peak_mb,pod_added_ms,pod_relabelled_ms,"
                     "pod_relabelled_new_ms,local_added_ms,policy_port_ms,policy_peer_ms,"
                     "policy_elsewhere_ms,block_added_ms,namespace_ms\n");
    fprintf(out, "%u,%u,%.1f,%.1f,%.1f", run->world.pods, run->world.policies,
            run->compile.ms + run->apply.ms, run->resident_mb, run->peak_mb);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(changes); i++)
        fprintf(out, ",%.4f", bench_samples_at(&run->changes.costs[changes[i]].total, MEDIAN));
    fprintf(out, "\n");
    return ferror(out) ? -EIO : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pods of a cluster by AddressSlices of 16, and the same ones as Pods of the API, each in a
 * process of its own: the first list, lists again, and what one change costs. As bench-live, the
 * store alone.
 */
#include <malloc.h>
#include <string.h>
#include <sys/wait.h>

#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/objects/live.h"
#include "test/bench/resident.h"
#include "test/bench/samples.h"
#include "test/bench/world.h"
#include "test/objects/slice_of.h"

#define OWN_PAGES_BYTES (128 * 1024) /* as cni/daemon/main.c */
#define TEXT_MAX        8192u
#define IN_SLICE        16u
#define CHANGES         2000u

struct bench {
    struct bench_world world;
    struct fence_store *store;
    struct fence_live *live;
    bool slices;
};

/* `step` gives one pod other labels. */
static char *pod_text(const struct bench *bench, unsigned int index, unsigned int step)
{
    struct bench_pod pod = bench_pod_at(&bench->world, index);
    FENCE_FREE char *text = calloc(1, TEXT_MAX);
    FILE *out = text ? fmemopen(text, TEXT_MAX, "w") : NULL;

    if (!out)
        abort();
    pod.label_set = (pod.label_set + step * BENCH_NAMESPACES) % bench->world.label_sets;
    bench_pod_write(out, &bench->world, &pod);
    if (fclose(out) != 0)
        abort();
    return TAKE_PTR(text);
}

/* Pods from `number` * IN_SLICE on, the one in the middle with `step`. */
static char *slice_text(const struct bench *bench, unsigned int number, unsigned int step)
{
    unsigned int first = number * IN_SLICE, end = first + IN_SLICE;
    cJSON *pods = cJSON_CreateArray();
    char name[32], *json;

    for (unsigned int i = first; i < end && i < bench->world.pods; i++) {
        FENCE_FREE char *text = pod_text(bench, i, i == first + IN_SLICE / 2 ? step : 0);

        cJSON_AddItemToArray(pods, cJSON_Parse(text));
    }
    snprintf(name, sizeof(name), "podfence-%u", number);
    json = slice_of(name, pods);
    cJSON_Delete(pods);
    return json;
}

/* ---- what is measured ----------------------------------------------------------------------- */

static unsigned int units(const struct bench *bench)
{
    return bench->slices ? (bench->world.pods + IN_SLICE - 1) / IN_SLICE : bench->world.pods;
}

static char *text_of(const struct bench *bench, unsigned int number, unsigned int step)
{
    return bench->slices ? slice_text(bench, number, step) : pod_text(bench, number, step);
}

static int tell(struct bench *bench, char *text)
{
    size_t size = strlen(text);

    return bench->slices ? fence_live_address_slice(bench->live, text, size, NULL)
                         : fence_live_object(bench->live, FENCE_OBJECT_POD, text, size, NULL);
}

/* One object of a list: the time it takes without the writing of it. */
static int tell_one(struct bench *bench, unsigned int number, uint64_t *taken, size_t *bytes)
{
    FENCE_FREE char *text = text_of(bench, number, 0);
    uint64_t begin = fence_clock_boot_ns();
    int r = tell(bench, text);

    *taken += fence_clock_boot_ns() - begin;
    *bytes += strlen(text);
    return r;
}

static int list(struct bench *bench, const char *what, size_t wanted)
{
    const struct fence_change *changes;
    uint64_t taken = 0, begin;
    size_t count = 0, bytes = 0;
    int r = 0;

    if (bench->slices)
        fence_live_address_slices_begin(bench->live);
    else
        fence_live_begin(bench->live, FENCE_OBJECT_POD);
    for (unsigned int i = 0; r >= 0 && i < units(bench); i++)
        r = tell_one(bench, i, &taken, &bytes);
    begin = fence_clock_boot_ns();
    if (r >= 0)
        r = bench->slices ? fence_live_address_slices_end(bench->live, NULL)
                          : fence_live_end(bench->live, FENCE_OBJECT_POD, NULL);
    if (r >= 0)
        r = fence_store_changes(bench->store, &changes, &count);
    taken += fence_clock_boot_ns() - begin;
    fence_store_changes_done(bench->store);
    malloc_trim(0);
    printf("  %-22s %9.1f ms %9.1f MB of JSON %9.1f MB resident\n", what, (double)taken / 1e6,
           (double)bytes / 1e6, bench_resident_mb("VmRSS:"));
    if (r >= 0 && count != wanted) {
        fprintf(stderr, "bench-slices: %zu changes, %zu were made\n", count, wanted);
        return -1;
    }
    return r;
}

static int change(struct bench *bench, char *text, struct bench_samples *samples)
{
    const struct fence_change *changes;
    uint64_t begin = fence_clock_boot_ns();
    size_t count;
    int r = tell(bench, text);

    if (r >= 0)
        r = fence_store_changes(bench->store, &changes, &count);
    fence_store_changes_done(bench->store);
    return r < 0 ? r : bench_samples_add(samples, fence_clock_boot_ns() - begin);
}

/* All texts are written before the first is told: writing one leaves the heap in disorder. */
static int show_changes(struct bench *bench)
{
    struct bench_samples samples = {0};
    char *texts[CHANGES];
    size_t bytes = 0;
    int r = 0;

    for (unsigned int i = 0; i < CHANGES; i++) {
        texts[i] = text_of(bench, bench_mix(i) % units(bench), 1 + i);
        bytes += strlen(texts[i]);
    }
    for (unsigned int i = 0; r >= 0 && i < CHANGES; i++)
        r = change(bench, texts[i], &samples);
    for (unsigned int i = 0; i < CHANGES; i++)
        free(texts[i]);
    printf("  one relabel, ms        median %.4f, p99 %.4f, most %.4f; %zu bytes\n",
           bench_samples_at(&samples, 0.5), bench_samples_at(&samples, 0.99),
           bench_samples_at(&samples, 1), bytes / CHANGES);
    bench_samples_done(&samples);
    return r;
}

static int run(struct bench *bench)
{
    int r;

    mallopt(M_MMAP_THRESHOLD, OWN_PAGES_BYTES);
    r = fence_store_new(&bench->store);
    if (r == 0)
        r = fence_live_new(bench->store, 1, "kubernetes", &bench->live, NULL);
    printf("%u pods %s, %.1f MB resident\n", bench->world.pods,
           bench->slices ? "by AddressSlices" : "as Pods", bench_resident_mb("VmRSS:"));
    if (r == 0)
        r = list(bench, "first list", bench->world.pods);
    if (r >= 0)
        r = list(bench, "nothing changed", 0);
    if (r >= 0)
        r = show_changes(bench);
    fence_live_free(&bench->live);
    fence_store_free(&bench->store);
    return r < 0 ? 1 : 0;
}

/* In a process that has nothing else yet. */
static int run_alone(struct bench *bench, bool slices)
{
    int status = 1;
    pid_t pid;

    bench->slices = slices;
    fflush(stdout);
    pid = fork();
    if (pid < 0)
        return 1;
    if (pid == 0) {
        status = run(bench);
        fflush(stdout);
        _exit(status);
    }
    return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct bench bench = {.world = {.pods = 100000, .label_sets = BENCH_LABEL_SETS}};

    if (argc > 1)
        bench.world.pods = (unsigned int)strtoul(argv[1], NULL, 10);
    if (argc > 2 || bench.world.pods < IN_SLICE) {
        fprintf(stderr, "bench-slices [PODS]: at least %u\n", IN_SLICE);
        return 2;
    }
    return run_alone(&bench, false) || run_alone(&bench, true);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the objects of the API cost: the pods of a cluster as an API server writes them (2.5 KB
 * each) through the live source into the store. The first list, single relabels, lists again with
 * nothing and with everything changed. The store alone: what is compiled of it, bench-policy has.
 */
#include <errno.h>
#include <malloc.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/objects/live.h"
#include "test/bench/resident.h"
#include "test/bench/samples.h"
#include "test/bench/world.h"

#define OWN_PAGES_BYTES (128 * 1024) /* as cni/daemon/main.c */
#define TEXT_MAX        8192u
#define RELABELS        20000u
#define DECODES         5000u

/* What every pod has and nobody reads here. */
static const char managed_fields[] =
    "\"managedFields\":[{\"manager\":\"kube-controller-manager\",\"operation\":\"Update\","
    "\"apiVersion\":\"v1\",\"time\":\"2026-11-22T11:31:13Z\",\"fieldsType\":\"FieldsV1\","
    "\"fieldsV1\":{\"f:metadata\":{\"f:generateName\":{},\"f:labels\":{\".\":{},\"f:app\":{},"
    "\"f:pod-template-hash\":{},\"f:tier\":{}},\"f:ownerReferences\":{\".\":{},"
    "\"k:{\\\"uid\\\":\\\"90718b9d-4936-4e68-a2b9-8868cf13702f\\\"}\":{}}},\"f:spec\":{"
    "\"f:containers\":{\"k:{\\\"name\\\":\\\"main\\\"}\":{\".\":{},\"f:image\":{},"
    "\"f:imagePullPolicy\":{},\"f:name\":{},\"f:ports\":{\".\":{},"
    "\"k:{\\\"containerPort\\\":8080,\\\"protocol\\\":\\\"TCP\\\"}\":{\".\":{},"
    "\"f:containerPort\":{},\"f:name\":{}}},\"f:resources\":{},\"f:terminationMessagePath\":{},"
    "\"f:terminationMessagePolicy\":{}}},\"f:dnsPolicy\":{},\"f:enableServiceLinks\":{},"
    "\"f:restartPolicy\":{},\"f:schedulerName\":{},\"f:securityContext\":{}}}},"
    "{\"manager\":\"kubelet\",\"operation\":\"Update\",\"apiVersion\":\"v1\","
    "\"time\":\"2026-11-22T11:31:14Z\",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{\"f:status\":{"
    "\"f:conditions\":{\"k:{\\\"type\\\":\\\"Ready\\\"}\":{\".\":{},\"f:lastProbeTime\":{},"
    "\"f:status\":{},\"f:type\":{}}},\"f:containerStatuses\":{},\"f:hostIP\":{},\"f:phase\":{},"
    "\"f:podIP\":{},\"f:startTime\":{}}},\"subresource\":\"status\"}],";
static const char spec[] =
    "\"volumes\":[{\"name\":\"kube-api-access-x7k2p\",\"projected\":{\"sources\":["
    "{\"serviceAccountToken\":{\"expirationSeconds\":3607,\"path\":\"token\"}}],"
    "\"defaultMode\":420}}],\"terminationGracePeriodSeconds\":30,\"dnsPolicy\":\"ClusterFirst\","
    "\"schedulerName\":\"default-scheduler\",\"tolerations\":[{\"key\":"
    "\"node.kubernetes.io/not-ready\",\"operator\":\"Exists\",\"effect\":\"NoExecute\","
    "\"tolerationSeconds\":300}],\"priority\":0,\"enableServiceLinks\":true,";
static const char status[] =
    "\"startTime\":\"2026-01-02T03:04:05Z\",\"containerStatuses\":[{\"name\":\"main\","
    "\"state\":{\"running\":{\"startedAt\":\"2026-01-02T03:04:05Z\"}},\"ready\":true,"
    "\"restartCount\":0,\"imageID\":\"sha256:5f0eb1b5f8b8f2d1b1d7d9b0a4f0b2f4\"}],"
    "\"qosClass\":\"Burstable\",";

struct bench {
    struct bench_world world;
    struct fence_store *store;
    struct fence_live *live;
    size_t bytes; /* of the pods told so far */
};

/* ---- pods ----------------------------------------------------------------------------------- */

/* Put `more` behind the first `mark` of `text`. */
static void splice(char text[TEXT_MAX], const char *mark, const char *more)
{
    char copy[TEXT_MAX];
    const char *at = strstr(text, mark);

    if (!at || strlen(text) + strlen(more) >= TEXT_MAX)
        abort();
    at += strlen(mark);
    snprintf(copy, sizeof(copy), "%.*s%s%s", (int)(at - text), text, more, at);
    snprintf(text, TEXT_MAX, "%s", copy);
}

/* `step` gives it other labels. */
static size_t write_pod(const struct bench *bench, unsigned int index, unsigned int step,
                        char text[TEXT_MAX])
{
    struct bench_pod pod = bench_pod_at(&bench->world, index);
    FILE *out = fmemopen(text, TEXT_MAX, "w");

    if (!out)
        abort();
    /* of the same namespace, or it would be another pod */
    pod.label_set = (pod.label_set + step * BENCH_NAMESPACES) % bench->world.label_sets;
    bench_pod_write(out, &bench->world, &pod);
    if (fclose(out) != 0)
        abort();
    splice(text, "\"metadata\":{", managed_fields);
    splice(text, "\"spec\":{", spec);
    splice(text, "\"status\":{", status);
    return strlen(text);
}

static int tell(struct bench *bench, unsigned int index, unsigned int step, struct fence_err *err)
{
    char text[TEXT_MAX];
    size_t size = write_pod(bench, index, step, text);

    bench->bytes += size;
    return fence_live_object(bench->live, FENCE_OBJECT_POD, text, size, err);
}

/* ---- what is measured ----------------------------------------------------------------------- */

/* What writing the pods takes, which is not the source's. */
static double generate_ms(const struct bench *bench)
{
    uint64_t begin = fence_clock_boot_ns();
    char text[TEXT_MAX];

    for (unsigned int i = 0; i < bench->world.pods; i++)
        write_pod(bench, i, 0, text);
    return (double)(fence_clock_boot_ns() - begin) / 1e6;
}

static int take_changes(struct bench *bench, size_t wanted, struct fence_err *err)
{
    const struct fence_change *changes;
    size_t count;
    int r = fence_store_changes(bench->store, &changes, &count);

    if (r < 0)
        return fence_err_set(err, r, "out of memory");
    if (count != wanted)
        return fence_err_set(err, -EINVAL, "%zu changes, %zu were made", count, wanted);
    fence_store_changes_done(bench->store);
    return 0;
}

static int show_list(struct bench *bench, const char *what, unsigned int step, size_t changes)
{
    struct fence_err err = {""};
    double generating = generate_ms(bench), before, ms, peak;
    uint64_t begin, told;
    int r = 0;

    bench_resident_forget_peak();
    before = bench_resident_mb("VmRSS:");
    begin = fence_clock_boot_ns();
    fence_live_begin(bench->live, FENCE_OBJECT_POD);
    for (unsigned int i = 0; r >= 0 && i < bench->world.pods; i++)
        r = tell(bench, i, step, &err);
    told = fence_clock_boot_ns();
    if (r >= 0)
        r = fence_live_end(bench->live, FENCE_OBJECT_POD, &err);
    told = fence_clock_boot_ns() - told;
    ms = (double)(fence_clock_boot_ns() - begin) / 1e6 - generating;
    if (r >= 0)
        r = take_changes(bench, changes, &err);
    peak = bench_resident_mb("VmHWM:");
    malloc_trim(0);
    if (r < 0)
        fprintf(stderr, "bench-live: %s\n", err.text);
    printf("  %-28s %9.1f %9.1f %9.1f %9.1f %9.1f\n", what, ms, (double)told / 1e6, before, peak,
           bench_resident_mb("VmRSS:"));
    return r;
}

static int show_relabels(struct bench *bench)
{
    struct bench_samples samples = {0};
    struct fence_err err = {""};
    int r = 0;

    for (unsigned int i = 0; r >= 0 && i < RELABELS; i++) {
        unsigned int index = bench_mix(i) % bench->world.pods;
        char text[TEXT_MAX];
        size_t size = write_pod(bench, index, 2 + i, text);
        uint64_t begin = fence_clock_boot_ns();
        const struct fence_change *changes;
        size_t count;

        r = fence_live_object(bench->live, FENCE_OBJECT_POD, text, size, &err);
        if (r >= 0)
            r = fence_store_changes(bench->store, &changes, &count);
        fence_store_changes_done(bench->store);
        if (r >= 0)
            r = bench_samples_add(&samples, fence_clock_boot_ns() - begin);
    }
    printf("one relabel, ms               median %.4f, p99 %.4f, most %.4f\n",
           bench_samples_at(&samples, 0.5), bench_samples_at(&samples, 0.99),
           bench_samples_at(&samples, 1));
    printf("after %u of them              %.1f MB resident\n", RELABELS,
           bench_resident_mb("VmRSS:"));
    bench_samples_done(&samples);
    return r;
}

static int decode_quickly(const char *text, size_t size)
{
    const struct fence_json json = {text, size};
    struct fence_decoded decoded = {0};
    int r = fence_decode_json(FENCE_OBJECT_POD, &json, &decoded, NULL);

    fence_decoded_done(&decoded);
    return r;
}

static int decode_as_file(const char *text, size_t size)
{
    struct fence_decoded_list list = {0};
    int r = fence_decode_stream(text, size, &list, NULL);

    fence_decoded_list_done(&list);
    return r;
}

static int show_decoder(const struct bench *bench, const char *what,
                        int (*decode)(const char *text, size_t size))
{
    char text[TEXT_MAX];
    uint64_t taken = 0;
    size_t bytes = 0;
    int r = 0;

    for (unsigned int i = 0; r == 0 && i < DECODES; i++) {
        size_t size = write_pod(bench, i % bench->world.pods, 0, text);
        uint64_t begin = fence_clock_boot_ns();

        r = decode(text, size);
        taken += fence_clock_boot_ns() - begin;
        bytes += size;
    }
    printf("  %-28s %9.2f us a pod of %zu bytes, %.0f MB/s\n", what, (double)taken / 1e3 / DECODES,
           bytes / DECODES, (double)bytes / 1e6 / ((double)taken / 1e9));
    return r;
}

static int run(struct bench *bench)
{
    size_t pods = bench->world.pods;
    int r;

    printf("decoding\n");
    r = show_decoder(bench, "as in a file", decode_as_file);
    if (r == 0)
        r = show_decoder(bench, "as of the API", decode_quickly);
    printf("list of %-20zu   %9s %9s %9s %9s %9s  (MB resident)\n", pods, "ms", "its end", "before",
           "peak", "after");
    if (r == 0)
        r = show_list(bench, "first", 0, pods);
    if (r >= 0)
        r = show_list(bench, "nothing changed", 0, 0);
    if (r >= 0)
        r = show_list(bench, "everything changed", 1, pods);
    if (r >= 0)
        r = show_list(bench, "nothing changed", 1, 0);
    return r < 0 ? r : show_relabels(bench);
}

int main(int argc, char **argv)
{
    struct bench bench = {.world = {.pods = 100000, .locals = 110}};
    int r;

    if (argc > 1)
        bench.world.pods = (unsigned int)strtoul(argv[1], NULL, 10);
    if (argc > 2 || bench.world.pods <= bench.world.locals) {
        fprintf(stderr, "bench-live [PODS]: more than %u\n", bench.world.locals);
        return 2;
    }
    bench.world.label_sets = BENCH_LABEL_SETS;
    mallopt(M_MMAP_THRESHOLD, OWN_PAGES_BYTES);
    r = fence_store_new(&bench.store);
    if (r == 0)
        r = fence_live_new(bench.store, 1, "kubernetes", &bench.live, NULL);
    if (r == 0)
        r = run(&bench);
    fence_live_free(&bench.live);
    fence_store_free(&bench.store);
    return r < 0 ? 1 : 0;
}

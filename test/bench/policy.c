/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the policy engine costs: objects through the real decoder and store, compiled, and applied
 * to a data path in the kernel. One size a run: memory is that of a process that did nothing else.
 * scripts/bench.sh policy runs the sizes and draws the growth; bench-policy --help.
 */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/datapath/apply.h"
#include "lib/datapath/endpoints.h"
#include "lib/datapath/load.h"
#include "lib/datapath/read.h"
#include "lib/objects/store.h"
#include "lib/policy/compile.h"
#include "test/bench/world.h"
#include "test/net/netns.h"

#define BATCH  500u /* objects in a file */
#define TIMES  101u /* that each change is made */
#define LOCALS 110u

#define OWN_PAGES_BYTES (128 * 1024)

struct bench {
    struct bench_size size;
    struct fence_store *store;
    struct fence_compiler *compiler;
    struct fence_apply *apply;
    struct fence_pins pins;
    struct fence_local locals[LOCALS];
    struct fence_addr addrs[LOCALS];
    char names[LOCALS][2][64];
    double compile_ms; /* of the last update */
    double apply_ms;
    size_t writes;
    struct fence_err err;
};

/* What is measured of a run. */
struct figures {
    double read_ms, compile_ms, apply_ms;
    double loaded_mb, peak_mb;
};

static void check(struct bench *bench, int r)
{
    if (r >= 0)
        return;
    fprintf(stderr, "bench-policy: %s\n", bench->err.text);
    exit(1);
}

static double now_ms(void)
{
    return (double)fence_clock_boot_ns() / 1e6;
}

/* Megabytes of VmRSS or VmHWM. */
static double memory_of(const char *what)
{
    FENCE_FCLOSE FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    long kilobytes = 0;

    while (status && fgets(line, sizeof(line), status))
        if (strncmp(line, what, strlen(what)) == 0)
            kilobytes = strtol(line + strlen(what) + 1, NULL, 10);
    return (double)kilobytes / 1024;
}

/* ---- objects -------------------------------------------------------------------------------- */

static void put(struct bench *bench, const char *unit, const char *text, size_t size)
{
    struct fence_decoded_list list = {0};

    check(bench, fence_decode_stream(text, size, &list, &bench->err));
    for (size_t i = 0; i < list.count; i++)
        if (list.items[i].error) {
            fprintf(stderr, "bench-policy: %s: %s\n", list.items[i].id, list.items[i].error);
            exit(1);
        }
    check(bench, fence_store_put(bench->store, 0, unit, &list, &bench->err));
    fence_decoded_list_done(&list);
}

/* One file of a folder: `from` to `end` of what `kind` writes. */
struct part {
    char kind; /* n namespaces and nodes, p pods, q policies */
    unsigned int from;
    unsigned int end;
};

static void write_part(const struct bench *bench, const struct part *part, FILE *out)
{
    if (part->kind == 'n') {
        bench_namespaces(out);
        fputc(',', out);
        bench_nodes(out, &bench->size);
    }
    for (unsigned int i = part->from; part->kind != 'n' && i < part->end; i++) {
        struct bench_pod pod = bench_pod_of(&bench->size, i);

        if (i > part->from)
            fputc(',', out);
        if (part->kind == 'p')
            bench_pod_write(out, &bench->size, &pod);
        else
            bench_policy_write(out, i, 0);
    }
}

static void put_part(struct bench *bench, const struct part *part)
{
    FENCE_FREE char *text = NULL;
    size_t size = 0;
    char unit[64];
    FILE *out = open_memstream(&text, &size);

    if (!out)
        exit(1);
    fprintf(out, "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[");
    write_part(bench, part, out);
    fprintf(out, "]}");
    fclose(out);
    snprintf(unit, sizeof(unit), "/objects/%c-%06u.json", part->kind, part->from);
    put(bench, unit, text, size);
}

static void put_all(struct bench *bench)
{
    const struct {
        char kind;
        unsigned int count;
    } kinds[] = {{'n', 1}, {'p', bench->size.pods}, {'q', bench->size.policies}};

    for (size_t k = 0; k < FENCE_ARRAY_SIZE(kinds); k++)
        for (unsigned int i = 0; i < kinds[k].count; i += BATCH) {
            unsigned int end = i + BATCH < kinds[k].count ? i + BATCH : kinds[k].count;
            struct part part = {kinds[k].kind, i, end};

            put_part(bench, &part);
        }
}

/* ---- the engine, as cni/daemon/reconcile.c has it -------------------------------------------- */

static const struct fence_object *find(void *context, enum fence_kind kind,
                                       const char *namespace_name, const char *name)
{
    return fence_store_find(context, kind, namespace_name, name);
}

static void apply_once(struct bench *bench)
{
    struct fence_apply_report report = {0};
    double begin = now_ms();

    check(bench,
          fence_apply(bench->apply, fence_compiler_plan(bench->compiler), &report, &bench->err));
    bench->apply_ms += now_ms() - begin;
    bench->writes += report.writes;
    if (report.failure_count) {
        fprintf(stderr, "bench-policy: %s: %s\n", report.failures[0].subject,
                report.failures[0].text);
        exit(1);
    }
    fence_apply_report_done(&report);
}

static void update(struct bench *bench)
{
    const struct fence_change *changes;
    double begin = now_ms();
    size_t count = 0;
    int more = 1;

    bench->apply_ms = 0;
    bench->writes = 0;
    check(bench, fence_store_changes(bench->store, &changes, &count));
    for (size_t i = 0; i < count; i++)
        check(bench, fence_compiler_change(bench->compiler, &changes[i], &bench->err));
    check(bench, fence_compiler_run(bench->compiler, 1, &bench->err));
    while (more > 0) {
        apply_once(bench);
        more = fence_compiler_settle(bench->compiler, &bench->err);
        check(bench, more);
    }
    fence_store_changes_done(bench->store);
    bench->compile_ms = now_ms() - begin - bench->apply_ms;
}

static void add_local(struct bench *bench, unsigned int index, unsigned int number)
{
    struct bench_pod pod = bench_pod_of(&bench->size, number);
    struct fence_endpoint_record record = {.ifindex = index + 2};
    char text[64];

    snprintf(text, sizeof(text), "10.%u.%u.%u", pod.address >> 16, pod.address >> 8 & 255,
             pod.address & 255);
    check(bench, fence_addr_parse(text, &bench->addrs[index]));
    snprintf(bench->names[index][0], 64, "ns-%03u", bench_namespace_of(&pod));
    bench_pod_name(&pod, bench->names[index][1], 64);
    bench->locals[index] = (struct fence_local){
        .ifindex = index + 2,
        .created_ns = index + 1,
        .namespace_name = bench->names[index][0],
        .pod = bench->names[index][1],
        .uid = "",
        .container_id = "c",
        .ifname = "eth0",
        .addrs = &bench->addrs[index],
        .addr_count = 1,
    };
    record.endpoint.flags = FENCE_EP_PENDING;
    record.endpoint.addrs[0] = bench->addrs[index];
    record.endpoint.addr_count = 1;
    record.info.created_ns = index + 1;
    check(bench, fence_endpoint_put(&bench->pins, &record, &bench->err));
}

static void add_locals(struct bench *bench)
{
    unsigned int count = 0;

    for (unsigned int i = 0; i < bench->size.pods && count < bench->size.locals; i++)
        if (bench_is_local(&bench->size, i))
            add_local(bench, count++, i);
    bench->size.locals = count;
}

static void begin(struct bench *bench)
{
    struct fence_load_options load = {.bpffs = "/run/bench/podfence"};
    const struct fence_compile_options options = {.node_name = "node-0", .find = find};
    struct fence_compile_options whole = options;

    test_enter_own_node();
    if (mkdir("/run/bench", 0755) < 0 || mount("bpf", "/run/bench", "bpf", 0, NULL) < 0)
        check(bench, fence_err_set(&bench->err, -errno, "BPF file system: %s", strerror(errno)));
    fence_pins_init(&bench->pins);
    check(bench, fence_load(&load, &bench->pins, &bench->err));
    check(bench, fence_store_new(&bench->store));
    whole.find_context = bench->store;
    check(bench, fence_compiler_new(&whole, &bench->compiler, &bench->err));
    check(bench, fence_apply_new(&bench->pins, &bench->apply, &bench->err));
}

static struct figures load(struct bench *bench)
{
    struct figures figures = {.read_ms = now_ms()};

    put_all(bench);
    figures.read_ms = now_ms() - figures.read_ms;
    add_locals(bench);
    check(bench,
          fence_compiler_locals(bench->compiler, bench->locals, bench->size.locals, &bench->err));
    update(bench);
    figures.compile_ms = bench->compile_ms;
    figures.apply_ms = bench->apply_ms;
    /* as the daemon does when a folder has been read */
    malloc_trim(0);
    figures.loaded_mb = memory_of("VmRSS:");
    figures.peak_mb = memory_of("VmHWM:");
    return figures;
}

/* ---- changes -------------------------------------------------------------------------------- */

/* Put one object, or what takes its place, the i-th time. */
typedef void change_fn(struct bench *bench, unsigned int i);

static void put_object(struct bench *bench, const char *unit, char kind,
                       const struct bench_pod *pod, const unsigned int policy[2])
{
    FENCE_FREE char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        exit(1);
    if (kind == 'p')
        bench_pod_write(out, &bench->size, pod);
    else
        bench_policy_write(out, policy[0], policy[1]);
    fclose(out);
    put(bench, unit, text, size);
}

static void put_pod(struct bench *bench, unsigned int i, unsigned int label_set, unsigned int extra)
{
    struct bench_pod pod = {.number = bench->size.pods + 7 * LOCALS + i,
                            .label_set = label_set,
                            .extra = extra,
                            .address = 0xc00000 + i};
    char unit[64];

    snprintf(unit, sizeof(unit), "/objects/new-%06u.json", i);
    put_object(bench, unit, 'p', &pod, NULL);
}

static void pod_added(struct bench *bench, unsigned int i)
{
    put_pod(bench, i, i % bench->size.label_sets, 0);
}

static void pod_relabelled(struct bench *bench, unsigned int i)
{
    put_pod(bench, i,
            i % BENCH_NAMESPACES % bench->size.label_sets +
                BENCH_NAMESPACES % bench->size.label_sets,
            0);
}

static void pod_relabelled_anew(struct bench *bench, unsigned int i)
{
    put_pod(bench, i, i % bench->size.label_sets, i + 1);
}

static void pod_removed(struct bench *bench, unsigned int i)
{
    char unit[64];

    snprintf(unit, sizeof(unit), "/objects/new-%06u.json", i);
    check(bench, fence_store_remove(bench->store, unit));
}

/* The i-th policy that selects somebody here, in turns its first one and others. */
static void policy_changed(struct bench *bench, unsigned int i)
{
    unsigned int home =
        bench->size.locals
            ? (unsigned int)strtoul(bench->names[i % bench->size.locals][0] + 3, NULL, 10)
            : 0;
    const unsigned int policy[2] = {home, i + 1};

    put_object(bench, "/objects/change.json", 'q', NULL, policy);
}

static void policy_elsewhere(struct bench *bench, unsigned int i)
{
    static const char text[] =
        "{\"apiVersion\":\"networking.k8s.io/"
        "v1\",\"kind\":\"NetworkPolicy\",\"metadata\":{\"name\":"
        "\"p\",\"namespace\":\"nobody\"},\"spec\":{\"podSelector\":{},\"ingress\":[{\"ports\":[{"
        "\"port\":%u}]}]}}";
    char shown[sizeof(text) + 16];

    snprintf(shown, sizeof(shown), text, i + 1);
    put(bench, "/objects/elsewhere.json", shown, strlen(shown));
}

static void block_changed(struct bench *bench, unsigned int i)
{
    static const char text[] =
        "{\"apiVersion\":\"networking.k8s.io/"
        "v1\",\"kind\":\"NetworkPolicy\",\"metadata\":{\"name\":"
        "\"block\",\"namespace\":\"%s\"},\"spec\":{\"podSelector\":{},\"ingress\":[{\"from\":[{"
        "\"ipBlock\":{\"cidr\":\"10.%u.0.0/16\"}}]}]}}";
    char shown[sizeof(text) + 80];

    snprintf(shown, sizeof(shown), text, bench->names[0][0], i % 2);
    put(bench, "/objects/block.json", shown, strlen(shown));
}

static void local_removed(struct bench *bench, unsigned int i)
{
    (void)i;
    check(bench, fence_compiler_locals(bench->compiler, bench->locals, bench->size.locals - 1,
                                       &bench->err));
}

static void local_added(struct bench *bench, unsigned int i)
{
    (void)i;
    check(bench,
          fence_compiler_locals(bench->compiler, bench->locals, bench->size.locals, &bench->err));
}

struct change {
    const char *name;
    change_fn *prepare; /* not measured, may be NULL */
    change_fn *make;
    double target_ms; /* of the median; 0 = none is set */
    double median_ms, high_ms, most_ms;
    double compile_ms; /* part of the median run */
    size_t writes;
};

static int compare(const void *a, const void *b)
{
    double one = *(const double *)a;
    double other = *(const double *)b;

    return one < other ? -1 : one > other;
}

static void measure(struct bench *bench, struct change *change)
{
    double times[TIMES], compiles[TIMES];

    for (unsigned int i = 0; i < TIMES; i++) {
        if (change->prepare) {
            change->prepare(bench, i);
            update(bench);
        }
        change->make(bench, i);
        update(bench);
        times[i] = bench->compile_ms + bench->apply_ms;
        compiles[i] = bench->compile_ms;
        change->writes += bench->writes;
    }
    qsort(times, TIMES, sizeof(times[0]), compare);
    qsort(compiles, TIMES, sizeof(compiles[0]), compare);
    change->median_ms = times[TIMES / 2];
    change->high_ms = times[TIMES * 9 / 10];
    change->most_ms = times[TIMES - 1];
    change->compile_ms = compiles[TIMES / 2];
    change->writes /= TIMES;
}

static struct change changes[] = {
    {.name = "remote pod added", .make = pod_added, .target_ms = 1},
    {.name = "remote pod relabelled", .make = pod_relabelled, .target_ms = 1},
    {.name = "remote pod relabelled, new set", .make = pod_relabelled_anew, .target_ms = 1},
    {.name = "remote pod removed", .make = pod_removed},
    {.name = "local pod added", .prepare = local_removed, .make = local_added, .target_ms = 1},
    {.name = "policy in use changed", .make = policy_changed, .target_ms = 10},
    {.name = "policy used elsewhere changed", .make = policy_elsewhere, .target_ms = 10},
    /* every pod's peer goes to another block, and back when the old one has gone */
    {.name = "block of 65,536 pod addresses moved", .make = block_changed},
};

/* ---- what is shown -------------------------------------------------------------------------- */

/* So that nothing was fast by not being done: the plan against one that was compiled afresh. */
static void verify(struct bench *bench)
{
    const struct fence_plan *plan = fence_compiler_plan(bench->compiler);
    struct fence_world world = {.node_name = "node-0",
                                .locals = bench->locals,
                                .local_count = bench->size.locals,
                                .now = 1};
    struct fence_plan *fresh = NULL;
    size_t used = 0, most;

    world.object_count = fence_store_objects(bench->store, &world.objects);
    check(bench, fence_compile(&world, &fresh, &bench->err));
    check(bench, fence_map_usage(&bench->pins, FENCE_MAP_ADDRESSES, &used, &most));
    if (fresh->addresses.count != plan->addresses.count || used != plan->addresses.count ||
        fence_plan_live(&fresh->peers_list) != fence_plan_live(&plan->peers_list) ||
        fence_plan_live(&fresh->classes_list) != fence_plan_live(&plan->classes_list) ||
        fence_plan_live(&fresh->sets_list) != fence_plan_live(&plan->sets_list)) {
        fprintf(stderr, "bench-policy: the plan that followed is not that of a fresh compile\n");
        exit(1);
    }
    fence_plan_free(&fresh);
}

/* Kernel memory of a map in megabytes, by its fdinfo. */
static double locked_of(int fd)
{
    char path[64], line[256];
    FENCE_FCLOSE FILE *info = NULL;
    long long bytes = 0;

    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    info = fopen(path, "r");
    while (info && fgets(line, sizeof(line), info))
        if (strncmp(line, "memlock:", 8) == 0)
            bytes = strtoll(line + 8, NULL, 10);
    return (double)bytes / (1 << 20);
}

static void show_maps(const struct bench *bench)
{
    static const enum fence_map maps[] = {
        FENCE_MAP_ADDRESSES, FENCE_MAP_PREFIXES, FENCE_MAP_IDENTITIES, FENCE_MAP_PEERS,
        FENCE_MAP_CLASSES,   FENCE_MAP_SETS,     FENCE_MAP_POLICIES,   FENCE_MAP_INTERVALS,
        FENCE_MAP_RULES,     FENCE_MAP_ENDPOINTS};

    printf("\n%-36s %10s %12s\n", "map", "entries", "kernel MB");
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(maps); i++) {
        size_t used = 0, most;

        if (fence_map_usage(&bench->pins, maps[i], &used, &most) == 0)
            printf("%-36s %10zu %12.1f\n", fence_map_name(maps[i]), used,
                   locked_of(bench->pins.maps[maps[i]]));
    }
}

static int show_target(const char *name, double got, double target, const char *unit)
{
    int missed = target > 0 && got > target;

    printf("%-36s %10.3f %s", name, got, unit);
    if (target > 0)
        printf("   target %g %s: %s", target, unit, missed ? "MISSED" : "met");
    printf("\n");
    return missed;
}

static int show(const struct bench *bench, const struct figures *figures)
{
    int missed = 0;

    printf("%u pods, %u label sets, %u policies, %u local endpoints\n\n", bench->size.pods,
           bench->size.label_sets, bench->size.policies, bench->size.locals);
    show_target("read and decode", figures->read_ms, 0, "ms");
    show_target("full compile", figures->compile_ms, 0, "ms");
    show_target("full apply", figures->apply_ms, 0, "ms");
    missed +=
        show_target("full compile and apply", figures->compile_ms + figures->apply_ms, 2000, "ms");
    missed += show_target("resident once loaded", figures->loaded_mb, 64, "MB");
    show_target("peak while loading", figures->peak_mb, 0, "MB");
    printf("\n%-36s %10s %9s %9s %9s %7s\n", "change, ms of compile and apply", "median", "of it",
           "p90", "most", "writes");
    printf("%-36s %10s %9s\n", "", "", "compile");
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(changes); i++) {
        const struct change *change = &changes[i];
        int late = change->target_ms > 0 && change->median_ms > change->target_ms;

        printf("%-36s %10.3f %9.3f %9.3f %9.3f %7zu", change->name, change->median_ms,
               change->compile_ms, change->high_ms, change->most_ms, change->writes);
        if (change->target_ms > 0)
            printf("   target %g: %s", change->target_ms, late ? "MISSED" : "met");
        printf("\n");
        missed += late;
    }
    show_maps(bench);
    return missed;
}

static void show_row(const struct bench *bench, const struct figures *figures)
{
    printf("%u,%u,%.1f,%.1f,%.1f,%.1f", bench->size.pods, bench->size.policies, figures->compile_ms,
           figures->apply_ms, figures->loaded_mb, figures->peak_mb);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(changes); i++)
        printf(",%.4f", changes[i].median_ms);
    printf("\n");
}

static const char usage[] =
    "bench-policy [--pods N] [--label-sets N] [--policies N] [--row] [--check]\n"
    "  --row    one line of figures: pods, policies, compile ms, apply ms, resident MB, peak MB,\n"
    "           then the medians of the changes in ms\n"
    "  --check  exit 1 when a target is missed\n";

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"pods", required_argument, NULL, 'p'},     {"label-sets", required_argument, NULL, 'l'},
        {"policies", required_argument, NULL, 'q'}, {"row", no_argument, NULL, 'r'},
        {"check", no_argument, NULL, 'c'},          {NULL, 0, NULL, 0}};
    static struct bench bench = {.size = {100000, 5000, 10000, LOCALS}};
    bool row = false, strict = false;
    struct figures figures;
    int option, missed = 0;

    while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        unsigned int number = optarg ? (unsigned int)strtoul(optarg, NULL, 10) : 0;

        row |= option == 'r';
        strict |= option == 'c';
        if (option == 'p')
            bench.size.pods = number;
        else if (option == 'l')
            bench.size.label_sets = number;
        else if (option == 'q')
            bench.size.policies = number;
        else if (option == '?')
            return fputs(usage, stderr) < 0 ? 1 : 2;
    }
    mallopt(M_MMAP_THRESHOLD, OWN_PAGES_BYTES); /* as the daemon does */
    begin(&bench);
    figures = load(&bench);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(changes); i++)
        measure(&bench, &changes[i]);
    verify(&bench);
    if (row)
        show_row(&bench, &figures);
    else
        missed = show(&bench, &figures);
    return strict && missed ? 1 : 0;
}

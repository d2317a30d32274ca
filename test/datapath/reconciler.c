/* SPDX-License-Identifier: Apache-2.0 */
#include "test/datapath/reconciler.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/memory.h"
#include "lib/datapath/apply.h"
#include "lib/datapath/connections.h"
#include "lib/datapath/endpoints.h"
#include "lib/datapath/epochs.h"
#include "lib/datapath/load.h"
#include "lib/datapath/read.h"
#include "test/datapath/reconciler_internal.h"
#include "test/net/netns.h"

#define BPFFS "/run/reconciler"

const unsigned char reconciler_pod_mac[6] = {2};

int reconciler_setup(struct fence_err *err)
{
    char command[256];

    test_enter_own_node();
    if (mkdir(BPFFS, 0755) < 0 || mount("bpf", BPFFS, "bpf", 0, NULL) < 0)
        return fence_err_set(err, -errno, "own BPF file system: %s", strerror(errno));
    snprintf(command, sizeof(command),
             "for i in $(seq 2 %d); do echo link add d$i index $i type bridge; done | ip -batch -",
             RECONCILER_DEVICES);
    return test_shell(command) ? 0 : fence_err_set(err, -EIO, "devices cannot be made");
}

/* ---- one of them ---------------------------------------------------------------------------- */

int reconciler_new(struct reconciler **ret_reconciler, struct fence_err *err)
{
    static unsigned int number;
    FENCE_CLEANUP(reconciler_free) struct reconciler *reconciler = calloc(1, sizeof(*reconciler));
    struct fence_load_options options = {0};
    int r;

    if (!reconciler)
        return fence_err_set(err, -ENOMEM, "out of memory");
    fence_pins_init(&reconciler->pins);
    snprintf(reconciler->folder, sizeof(reconciler->folder), BPFFS "/%u", number++);
    options.bpffs = reconciler->folder;
    r = fence_load(&options, &reconciler->pins, err);
    if (r == 0)
        r = fence_apply_new(&reconciler->pins, &reconciler->apply, err);
    if (r == 0)
        *ret_reconciler = TAKE_PTR(reconciler);
    return r;
}

void reconciler_free(struct reconciler **reconciler)
{
    struct reconciler *gone = TAKE_PTR(*reconciler);

    if (!gone)
        return;
    engine_done(&gone->engine);
    fence_apply_free(&gone->apply);
    fence_pins_close(&gone->pins);
    free(gone->locals);
    free(gone);
}

const struct fence_plan *reconciler_plan(const struct reconciler *reconciler)
{
    return engine_plan(&reconciler->engine);
}

/* ---- endpoints ------------------------------------------------------------------------------ */

static bool is_same(const struct fence_local *a, const struct fence_local *b)
{
    return a->exempt == b->exempt && a->addr_count == b->addr_count &&
           strcmp(a->pod, b->pod) == 0 && strcmp(a->namespace_name, b->namespace_name) == 0 &&
           (!a->addr_count || memcmp(a->addrs, b->addrs, a->addr_count * sizeof(*a->addrs)) == 0);
}

static int put_endpoint(struct reconciler *reconciler, const struct fence_local *local,
                        struct fence_err *err)
{
    struct fence_endpoint_record record = {.ifindex = local->ifindex};
    FENCE_CLOSE int lock = fence_endpoints_lock(&reconciler->pins, err);

    if (lock < 0)
        return lock;
    record.endpoint.flags = FENCE_EP_PENDING | (local->exempt ? FENCE_EP_EXEMPT : 0);
    memcpy(record.endpoint.mac, reconciler_pod_mac, sizeof(record.endpoint.mac));
    for (size_t i = 0; i < local->addr_count && i < FENCE_ENDPOINT_ADDRS; i++)
        record.endpoint.addrs[record.endpoint.addr_count++] = local->addrs[i];
    record.info.created_ns = local->created_ns;
    snprintf(record.info.container_id, sizeof(record.info.container_id), "c%u", local->ifindex);
    return fence_endpoint_put(&reconciler->pins, &record, err);
}

/* The world's locals with indices of devices and times of creation; the map follows. */
static int follow_locals(struct reconciler *reconciler, const struct fence_world *world,
                         struct fence_err *err)
{
    FENCE_FREE struct fence_local *before = reconciler->locals;
    size_t before_count = reconciler->local_count;
    int r = 0;

    reconciler->locals = calloc(world->local_count + 1, sizeof(*reconciler->locals));
    reconciler->local_count = world->local_count;
    if (!reconciler->locals || world->local_count + 1 >= RECONCILER_DEVICES)
        return fence_err_set(err, -E2BIG, "too many endpoints");
    for (size_t i = world->local_count; r == 0 && i < before_count; i++)
        r = fence_endpoint_remove(&reconciler->pins, before[i].ifindex, err);
    for (size_t i = 0; r == 0 && i < world->local_count; i++) {
        struct fence_local *local = &reconciler->locals[i];

        *local = world->locals[i];
        local->ifindex++;
        local->container_id = "c0ffee";
        if (i < before_count && is_same(&before[i], local)) {
            local->created_ns = before[i].created_ns;
            continue;
        }
        local->created_ns = ++reconciler->created;
        r = put_endpoint(reconciler, local, err);
    }
    return r;
}

/* ---- following ------------------------------------------------------------------------------ */

static int apply(struct reconciler *reconciler, struct fence_err *err)
{
    struct fence_apply_report report = {0};
    int r = fence_apply(reconciler->apply, fence_compiler_plan(reconciler->engine.compiler),
                        &report, err);

    if (r == 0 && report.failure_count)
        r = fence_err_set(err, -EIO, "%s: %s", report.failures[0].subject, report.failures[0].text);
    fence_apply_report_done(&report);
    return r;
}

static int run(struct reconciler *reconciler, int64_t now, struct fence_err *err)
{
    int r = fence_compiler_run(reconciler->engine.compiler, now, err) < 0 ? -ENOMEM : 1;

    while (r > 0) {
        r = apply(reconciler, err);
        if (r == 0)
            r = fence_compiler_settle(reconciler->engine.compiler, err);
    }
    return r;
}

/*
 * The world's clock is not the kernel's: a take-over that is planned is looked at, and put off so
 * that the kernel answers for the world's moment.
 */
static int put_off_takeovers(struct reconciler *reconciler, struct fence_err *err)
{
    const struct fence_plan *plan = reconciler_plan(reconciler);
    int fd = reconciler->pins.maps[FENCE_MAP_ENDPOINTS];

    for (size_t i = 0; i < plan->endpoints_list.count; i++) {
        const struct fence_plan_endpoint *planned = &plan->endpoints[i];
        struct fence_endpoint endpoint;

        if (!planned->item.live || bpf_map_lookup_elem(fd, &planned->ifindex, &endpoint) < 0)
            continue;
        for (size_t j = 0; j < FENCE_NEXT_SETS; j++) {
            if ((j < planned->end_count) != !!endpoint.next[j].at_ns)
                return fence_err_set(err, -EBADMSG, "endpoint %u: take-over %zu is planned or not",
                                     planned->ifindex, j);
            if (endpoint.next[j].at_ns)
                endpoint.next[j].at_ns = INT64_MAX;
        }
        if (!planned->end_count)
            continue;
        if (bpf_map_update_elem(fd, &planned->ifindex, &endpoint, BPF_EXIST) < 0)
            return fence_err_set(err, -EIO, "endpoint %u: cannot be written", planned->ifindex);
        fence_epoch_raise(&reconciler->pins);
    }
    return 0;
}

int reconciler_update(struct reconciler *reconciler, const struct fence_world *world,
                      struct fence_err *err)
{
    struct fence_world placed = *world;
    int r = follow_locals(reconciler, world, err);

    placed.locals = reconciler->locals;
    if (r == 0)
        r = engine_feed(&reconciler->engine, &placed, err);
    if (r == 0)
        r = run(reconciler, world->now, err);
    return r == 0 ? put_off_takeovers(reconciler, err) : r;
}

int reconciler_restart(struct reconciler *reconciler, struct fence_err *err)
{
    engine_done(&reconciler->engine);
    reconciler->engine = (struct engine){0};
    fence_apply_free(&reconciler->apply);
    return fence_apply_new(&reconciler->pins, &reconciler->apply, err);
}

int reconciler_sweep(struct reconciler *reconciler, struct fence_err *err)
{
    return fence_apply_sweep(reconciler->apply, err);
}

/* ---- questions ------------------------------------------------------------------------------ */

int reconciler_ask(struct reconciler *reconciler, const struct reconciler_query *query,
                   struct reconciler_answer *ret_answer, struct fence_err *err)
{
    bool egress = query->direction == FENCE_EGRESS;
    struct fence_packet packet = {
        .source = egress ? query->local : query->remote,
        .destination = egress ? query->remote : query->local,
        .protocol = query->protocol,
        .source_port = 40000,
        .destination_port = query->port,
    };
    struct reconciler_answer answer = {.rule = {.index = FENCE_RULE_NONE}};
    int r = fence_probe(&reconciler->pins, query->ifindex + 1, query->direction, query->origin,
                        &packet, &answer.result, err);

    if (r == 0 && answer.result.rule) {
        r = fence_rule_read(&reconciler->pins, answer.result.rule, &answer.rule);
        if (r < 0)
            return fence_err_set(err, r, "rule %u is not in the map", answer.result.rule);
    }
    if (r == 0)
        *ret_answer = answer;
    return r;
}

/* ---- packets --------------------------------------------------------------------------------- */

static int count_packets(const struct reconciler *reconciler, enum fence_direction direction,
                         __u64 totals[FENCE_REASON_COUNT])
{
    int r = 0;

    for (unsigned int i = 0; r == 0 && i < FENCE_REASON_COUNT; i++) {
        struct fence_counter counter = {0};

        r = fence_counter_read(&reconciler->pins, i, direction, &counter);
        totals[i] = counter.packets;
    }
    return r;
}

/* Those counted beside a verdict's reason come behind it in the enum. */
static unsigned int moved(const __u64 before[FENCE_REASON_COUNT],
                          const __u64 after[FENCE_REASON_COUNT])
{
    for (unsigned int i = 0; i < FENCE_REASON_COUNT; i++)
        if (before[i] != after[i])
            return i;
    return FENCE_REASON_NONE;
}

int reconciler_run(struct reconciler *reconciler, const struct reconciler_frame *frame,
                   struct reconciler_passage *ret_passage, struct fence_err *err)
{
    enum fence_prog prog =
        frame->direction == FENCE_EGRESS ? FENCE_PROG_FROM_POD : FENCE_PROG_TO_POD;
    /* a test run always shows a socket: what came in by a device is forwarded all the same. The
     * device that is no endpoint's is the uplink. */
    struct fence_prog_context context = {
        .ifindex = frame->ifindex + 1,
        .ingress_ifindex = frame->origin == FENCE_ORIGIN_LOCAL ? 0 : frame->sender + 1,
    };
    __u64 before[FENCE_REASON_COUNT] = {0}, after[FENCE_REASON_COUNT] = {0};
    int r = count_packets(reconciler, frame->direction, before);

    if (r == 0)
        r = fence_prog_run(reconciler->pins.progs[prog], &context, frame->bytes, frame->size, err);
    if (r == 0)
        r = count_packets(reconciler, frame->direction, after);
    if (r < 0)
        return r;
    ret_passage->passed = context.action != TC_ACT_SHOT;
    ret_passage->reason = moved(before, after);
    return 0;
}

static void fill(const struct fence_connection_table *table, __u32 slot, __u64 now)
{
    struct fence_connection entry = {
        .slot = (__u16)slot,
        .protocol = IPPROTO_TCP,
        .state = FENCE_STATE(now, 0, FENCE_CONN_LIVE | FENCE_CONN_REPLIED | FENCE_CONN_ESTABLISHED),
    };

    for (size_t i = 0; i < table->bucket_count * FENCE_BUCKET_WAYS; i++) {
        entry.remote.words[0] = (__u32)i + 1;
        table->buckets[i / FENCE_BUCKET_WAYS].ways[i % FENCE_BUCKET_WAYS] = entry;
    }
}

int reconciler_fill_connections(struct reconciler *reconciler, uint32_t ifindex,
                                struct fence_err *err)
{
    struct fence_connection_table table;
    struct fence_endpoint_record record;
    __u64 now = 0;
    int r = fence_endpoint_get(&reconciler->pins, ifindex + 1, &record);

    if (r == 0)
        r = fence_jiffies(&reconciler->pins, &now);
    if (r < 0)
        return fence_err_set(err, r, "filling the connections: %s", strerror(-r));
    r = fence_connections_open(&reconciler->pins, &table, err);
    if (r < 0)
        return r;
    fill(&table, record.endpoint.slot, now);
    fence_connections_close(&table);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this daemon writes to the API server: its own report, and for the whole cluster while it
 * holds the Lease. Nothing without --kubernetes; 0 for what it does not write.
 */
#include "cni/daemon/daemon.h"
#include "cni/daemon/metrics_internal.h"
#include "lib/base/memory.h"

struct written {
    const char *what;
    const char *problem; /* "" = nothing is wrong */
    uint64_t written, refused;
};

static void put_written(FILE *out, const struct written *items, size_t count)
{
    static const char up[] = "podfence_kubernetes_writes_up",
                      written[] = "podfence_kubernetes_writes_total",
                      refused[] = "podfence_kubernetes_write_failures_total";

    metric_begin(out, up, "gauge", "0 while what is to be written to the API server cannot be.");
    for (size_t i = 0; i < count; i++)
        metric_sample(out, up, "what", items[i].what, *items[i].problem == '\0');
    metric_begin(out, written, "counter", "Objects that the API server has taken.");
    for (size_t i = 0; i < count; i++)
        metric_sample(out, written, "what", items[i].what, items[i].written);
    metric_begin(out, refused, "counter", "Requests to write them that failed.");
    for (size_t i = 0; i < count; i++)
        metric_sample(out, refused, "what", items[i].what, items[i].refused);
}

static void put_lease(FILE *out, const struct fence_leader *leader)
{
    if (!leader->lease)
        return;
    metric_gauge(out, "podfence_kubernetes_lease_held",
                 "1 while this daemon writes for the whole cluster.", leader->held);
    metric_gauge(out, "podfence_kubernetes_lease_up",
                 "0 while the Lease cannot be read or written, so that others may write instead.",
                 *fence_lease_problem(leader->lease) == '\0');
}

static void put_nodes(FILE *out, const struct fence_daemon *daemon)
{
    static const char name[] = "podfence_kubernetes_report_nodes";
    size_t nodes, current;

    fence_report_writer_nodes(daemon, &nodes, &current);
    metric_begin(out, name, "gauge",
                 "Nodes that have reported, as known where the Lease is held; current: that have "
                 "all policies in force which that daemon has.");
    metric_sample(out, name, "state", "current", current);
    metric_sample(out, name, "state", "other", nodes - current);
}

static void put_slices(FILE *out, const struct fence_publisher_state *state)
{
    static const char slices[] = "podfence_kubernetes_slices",
                      entries[] = "podfence_kubernetes_slice_entries";
    const struct fence_packer_count *count = &state->count;

    metric_begin(out, slices, "gauge", "Address slices, as known where they are published.");
    metric_sample(out, slices, "state", "written",
                  count->slices > count->pending ? count->slices - count->pending : 0);
    metric_sample(out, slices, "state", "pending", count->pending);
    metric_begin(out, entries, "gauge",
                 "What is in them; left-out: pods and nodes that are too large, which other nodes "
                 "do not know.");
    metric_sample(out, entries, "kind", "pods", count->pods);
    metric_sample(out, entries, "kind", "nodes", count->nodes);
    metric_sample(out, entries, "kind", "left-out", count->too_large);
    metric_counter(out, "podfence_kubernetes_slices_written_bytes_total",
                   "Bytes of address slices that were written.", state->bytes);
}

void metrics_writes(FILE *out, const struct fence_daemon *daemon)
{
    const struct fence_report *report = &daemon->report;
    const struct fence_report_writer *writer = &report->writer;
    const struct fence_report_telling *telling = &writer->telling;
    struct fence_publisher_state slices = {0};

    if (!daemon->sources.kubernetes)
        return;
    if (daemon->slices.publisher)
        fence_publisher_state(daemon->slices.publisher, &slices);
    const struct written items[] = {
        {"reports", report->problem.text, report->written, report->refused},
        {"statuses", writer->problem.text, writer->written, writer->refused},
        {"events", telling->problem.text, telling->written, telling->refused},
        {"slices", daemon->slices.problem.text, slices.writes, slices.failures},
    };
    put_written(out, items, FENCE_ARRAY_SIZE(items));
    put_lease(out, &daemon->leader);
    put_nodes(out, daemon);
    put_slices(out, &slices);
}

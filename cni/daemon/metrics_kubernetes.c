/* SPDX-License-Identifier: Apache-2.0 */
/* The API server, as far as this daemon reads from it; nothing without --kubernetes. */
#include <stddef.h>

#include "cni/daemon/daemon.h"
#include "cni/daemon/metrics_internal.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"

struct kinds {
    unsigned int count;
    struct fence_kubernetes_kind items[FENCE_KUBERNETES_RESOURCES];
};

static void put_states(FILE *out, const struct kinds *kinds)
{
    static const char up[] = "podfence_kubernetes_up", listed[] = "podfence_kubernetes_listed",
                      phases[] = "podfence_kubernetes_phase";

    metric_begin(out, up, "gauge",
                 "1 while a kind of objects of the API is watched, or need not be; 0: something is "
                 "wrong.");
    for (unsigned int i = 0; i < kinds->count; i++)
        metric_sample(out, up, "kind", kinds->items[i].name, kinds->items[i].up);
    metric_begin(out, listed, "gauge", "1 when the kind has been listed once since the start.");
    for (unsigned int i = 0; i < kinds->count; i++)
        metric_sample(out, listed, "kind", kinds->items[i].name, kinds->items[i].listed);
    metric_begin(out, phases, "gauge", "1 for what is done about the kind at the moment.");
    for (unsigned int i = 0; i < kinds->count; i++)
        for (unsigned int phase = 0; phase < FENCE_KUBE_PHASES; phase++)
            fprintf(out, "%s{kind=\"%s\",phase=\"%s\"} %d\n", phases, kinds->items[i].name,
                    fence_kube_phase_name((enum fence_kube_phase)phase),
                    kinds->items[i].state.phase == phase);
}

static void put_counts(FILE *out, const struct kinds *kinds)
{
    static const struct {
        const char *name, *help;
        size_t member; /* a uint64_t of the state */
    } counts[] = {
        {"podfence_kubernetes_lists_total", "Lists that were begun.",
         offsetof(struct fence_kube_state, lists)},
        {"podfence_kubernetes_watches_total", "Watches that were begun.",
         offsetof(struct fence_kube_state, watches)},
        {"podfence_kubernetes_events_total", "Events of watches.",
         offsetof(struct fence_kube_state, events)},
        {"podfence_kubernetes_received_bytes_total",
         "Bytes of answers, as they came: lists may be compressed.",
         offsetof(struct fence_kube_state, bytes)},
        {"podfence_kubernetes_failures_total", "Lists and watches that failed.",
         offsetof(struct fence_kube_state, failures)},
    };

    for (size_t count = 0; count < FENCE_ARRAY_SIZE(counts); count++) {
        metric_begin(out, counts[count].name, "counter", counts[count].help);
        for (unsigned int i = 0; i < kinds->count; i++)
            metric_sample(
                out, counts[count].name, "kind", kinds->items[i].name,
                *(const uint64_t *)((const char *)&kinds->items[i].state + counts[count].member));
    }
}

/* Of a kind that was never heard of there is no sample. */
static void put_heard(FILE *out, const struct kinds *kinds)
{
    static const char name[] = "podfence_kubernetes_silent_seconds";
    uint64_t now = fence_clock_boot_ns();

    metric_begin(out, name, "gauge",
                 "Since the last byte was heard; bookmarks come about once a minute.");
    for (unsigned int i = 0; i < kinds->count; i++)
        if (kinds->items[i].state.heard_ns)
            fprintf(out, "%s{kind=\"%s\"} %.3f\n", name, kinds->items[i].name,
                    (double)(now - kinds->items[i].state.heard_ns) / 1e9);
}

void metrics_kubernetes(FILE *out, const struct fence_daemon *daemon)
{
    const struct fence_kubernetes *kubernetes = daemon->sources.kubernetes;
    struct kinds kinds;

    if (!kubernetes)
        return;
    kinds.count = fence_kubernetes_count(kubernetes);
    for (unsigned int i = 0; i < kinds.count; i++)
        fence_kubernetes_kind(kubernetes, i, &kinds.items[i]);
    metric_gauge(out, "podfence_kubernetes_connections", "Connections to the API server.",
                 fence_kubernetes_connections(kubernetes));
    put_states(out, &kinds);
    put_counts(out, &kinds);
    put_heard(out, &kinds);
}

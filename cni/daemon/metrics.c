/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/metrics.h"

#include <stdlib.h>

#include "cni/daemon/daemon.h"
#include "cni/daemon/metrics_internal.h"
#include "cni/daemon/ready.h"
#include "lib/base/memory.h"

void metric_begin(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metric_counter(FILE *out, const char *name, const char *help, uint64_t value)
{
    metric_begin(out, name, "counter", help);
    fprintf(out, "%s %llu\n", name, (unsigned long long)value);
}

void metric_gauge(FILE *out, const char *name, const char *help, double value)
{
    metric_begin(out, name, "gauge", help);
    fprintf(out, "%s %.15g\n", name, value);
}

void metric_sample(FILE *out, const char *name, const char *label, const char *value,
                   uint64_t number)
{
    fprintf(out, "%s{%s=\"%s\"} %llu\n", name, label, value, (unsigned long long)number);
}

static void put_histogram(FILE *out, const char *name, const char *help,
                          const struct fence_histogram *histogram)
{
    metric_begin(out, name, "histogram", help);
    for (size_t i = 0; i < FENCE_HISTOGRAM_BOUNDS; i++)
        fprintf(out, "%s_bucket{le=\"%g\"} %llu\n", name, fence_histogram_bounds[i],
                (unsigned long long)fence_histogram_up_to(histogram, i));
    fprintf(out, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.9g\n%s_count %llu\n", name,
            (unsigned long long)histogram->count, name, histogram->sum, name,
            (unsigned long long)histogram->count);
}

/* ---- what is in force ----------------------------------------------------------------------- */

static void count_reason(void *context, enum fence_log_level level, const char *text)
{
    (void)level;
    (void)text;
    ++*(size_t *)context;
}

static void put_readiness(FILE *out, const struct fence_daemon *daemon)
{
    size_t reasons = 0;

    fence_ready_each(daemon, count_reason, &reasons);
    metric_gauge(out, "podfence_ready", "1 when all is in force that was asked for.", reasons == 0);
    metric_gauge(out, "podfence_problems", "Reasons why the daemon is not ready.", (double)reasons);
}

enum endpoint_state { ENFORCED, PENDING, CLOSED, EXEMPT, ENDPOINT_STATES };

static const char *const endpoint_states[] = {
    [ENFORCED] = "enforced",
    [PENDING] = "pending",
    [CLOSED] = "closed",
    [EXEMPT] = "exempt",
};
_Static_assert(FENCE_ARRAY_SIZE(endpoint_states) == ENDPOINT_STATES, "a name for each state");

static enum endpoint_state state_of(const struct fence_reconcile *reconcile,
                                    const struct fence_plan_endpoint *endpoint)
{
    if (fence_reconcile_closed(reconcile, endpoint))
        return CLOSED;
    if (endpoint->flags & FENCE_EP_PENDING)
        return PENDING;
    return endpoint->flags & FENCE_EP_EXEMPT ? EXEMPT : ENFORCED;
}

static void put_endpoints(FILE *out, const struct fence_reconcile *reconcile)
{
    const struct fence_plan *plan = reconcile->plan;
    uint64_t counts[ENDPOINT_STATES] = {0};

    for (size_t i = 0; plan && i < plan->endpoints_list.count; i++)
        if (plan->endpoints[i].item.live)
            counts[state_of(reconcile, &plan->endpoints[i])]++;
    metric_begin(out, "podfence_endpoints", "gauge", "Pod interfaces of this node.");
    for (unsigned int state = 0; state < ENDPOINT_STATES; state++)
        metric_sample(out, "podfence_endpoints", "state", endpoint_states[state], counts[state]);
}

static void put_policies(FILE *out, const struct fence_daemon *daemon)
{
    const struct fence_problem *problems;
    const size_t problem_count = fence_store_problems(daemon->store, &problems);
    uint64_t total = 0, pending = daemon->inforce.waiting_count, kept = 0, absent = 0;

    for (unsigned int kind = 0; kind < FENCE_OBJECT_KINDS; kind++)
        if (fence_kind_is_policy((enum fence_kind)kind))
            total += fence_store_count(daemon->store, (enum fence_kind)kind);
    for (size_t i = 0; i < problem_count; i++) {
        kept += problems[i].kept && !problems[i].warning;
        absent += !problems[i].kept && !problems[i].warning;
    }
    if (pending > total)
        pending = total; /* those that go are among them */
    metric_begin(out, "podfence_policies", "gauge", "Policies of this node's sources.");
    metric_sample(out, "podfence_policies", "state", "in-force", total - pending);
    metric_sample(out, "podfence_policies", "state", "pending", pending);
    metric_begin(out, "podfence_refused_objects", "gauge",
                 "Objects or files that are refused; last-good: an older version is in force.");
    metric_sample(out, "podfence_refused_objects", "outcome", "last-good", kept);
    metric_sample(out, "podfence_refused_objects", "outcome", "absent", absent);
    put_histogram(out, "podfence_policy_in_force_seconds",
                  "From when a change of a policy was seen until it was in force.",
                  &daemon->inforce.histogram);
}

static void put_applies(FILE *out, const struct fence_reconcile *reconcile)
{
    metric_counter(out, "podfence_applies_total", "Plans that were compiled and applied.",
                   reconcile->applies);
    metric_counter(out, "podfence_apply_failures_total",
                   "Plans that could not be applied, or not wholly.", reconcile->failed);
    put_histogram(out, "podfence_apply_seconds", "Compiling and applying a plan.",
                  &reconcile->seconds);
}

/* ---- what was put right --------------------------------------------------------------------- */

static size_t count_unadopted(const struct fence_adopt *adopt)
{
    size_t count = 0;

    for (size_t i = 0; i < adopt->list.count; i++)
        count += !adopt->list.items[i].fresh;
    return count;
}

static void put_reconciled(FILE *out, const struct fence_daemon *daemon)
{
    static const char name[] = "podfence_reconciled_total";

    metric_counter(out, "podfence_filters_restored_total",
                   "Filters of pods that somebody had removed, and that were put back.",
                   daemon->filters.restored);
    metric_begin(out, name, "counter", "What else was put right.");
    metric_sample(out, name, "what", "pins", daemon->filters.pins_restored);
    metric_sample(out, name, "what", "vanished", daemon->vanished.removed);
    metric_sample(out, name, "what", "renamed", daemon->vanished.renamed);
    metric_sample(out, name, "what", "adopted", daemon->adopt.adopted);
    metric_gauge(out, "podfence_unfiltered_endpoints",
                 "Endpoints whose filters cannot be put back: their pods are open.",
                 (double)daemon->filters.count);
    metric_gauge(out, "podfence_unadopted_pods", "Pods from before podfence that are not enforced.",
                 (double)count_unadopted(&daemon->adopt));
}

static void put_guard(FILE *out, const struct fence_guard *guard)
{
    size_t problems = 0;

    fence_guard_reasons(guard, count_reason, &problems);
    metric_counter(out, "podfence_cni_writes_total",
                   "Times that the CNI configuration was written.", guard->written);
    metric_counter(out, "podfence_cni_undone_total",
                   "Times that somebody else's change of the CNI configuration was put right.",
                   guard->undone);
    metric_gauge(out, "podfence_cni_fight",
                 "1 while somebody else writes the CNI configuration again and again.",
                 guard->quiet_until_ns != 0);
    metric_gauge(out, "podfence_cni_problems", "Reasons why pods may start without podfence.",
                 (double)problems);
}

/* ---- what is told --------------------------------------------------------------------------- */

static void put_audit(FILE *out, const struct fence_audit *audit)
{
    struct fence_audit_stats stats = {0};

    if (audit->writer)
        stats = fence_audit_writer_stats(audit->writer);
    metric_counter(out, "podfence_audit_records_total", "Records of the audit log.", stats.records);
    metric_counter(out, "podfence_audit_missing_total",
                   "Records that the audit log had no room for.", stats.missing);
    metric_counter(out, "podfence_audit_errors_total", "Writes of the audit log that failed.",
                   stats.errors + atomic_load(&audit->sync.errors));
}

static void put_events(FILE *out, const struct fence_daemon *daemon)
{
    const struct fence_logfile *log = &daemon->event_log.file.file;

    metric_counter(out, "podfence_events_total", "Events that were read from the data path.",
                   daemon->observe.seen);
    metric_counter(out, "podfence_events_lost_total",
                   "Events that the ring buffer had no room for, since the start.",
                   daemon->observe.lost_told);
    metric_gauge(out, "podfence_socket_clients", "Clients of the daemon's socket.",
                 (double)daemon->server.count);
    metric_gauge(out, "podfence_observers", "Clients that observe.",
                 (double)daemon->server.observers.count);
    metric_counter(out, "podfence_event_log_lines_total", "Lines of the event log.", log->lines);
    metric_counter(out, "podfence_event_log_dropped_total",
                   "Lines that the event log had no room for.", log->dropped);
    put_audit(out, &daemon->audit);
}

static void put_cuts(FILE *out, const struct fence_cuts *cuts)
{
    metric_gauge(out, "podfence_cuts_active", "Emergency cuts in force.", (double)cuts->count);
    metric_counter(out, "podfence_cuts_total", "Emergency cuts that were made.", cuts->made);
}

static void put_alarms(FILE *out, const struct fence_alarms *alarms)
{
    metric_gauge(out, "podfence_alarms_active", "Alarms that are raised.",
                 alarms->engine ? (double)fence_alarm_raised(alarms->engine) : 0);
    metric_begin(out, "podfence_alarms_total", "counter", "Alarms that were raised, by rule.");
    for (unsigned int rule = 0; rule < FENCE_ALARM_RULES; rule++)
        metric_sample(out, "podfence_alarms_total", "rule",
                      fence_alarm_rule_name((enum fence_alarm_rule)rule), alarms->raised[rule]);
    metric_counter(out, "podfence_alarm_cuts_total", "Emergency cuts that alarms have set.",
                   alarms->cuts);
    metric_counter(out, "podfence_alarm_cuts_refused_total",
                   "Alarms that would have cut, and must not or could not.", alarms->cuts_refused);
}

static void put_http(FILE *out, const struct fence_http *http)
{
    static const char *const paths[] = {"metrics", "healthz", "readyz"};
    static const char name[] = "podfence_http_requests_total";

    metric_begin(out, name, "counter", "Requests of the HTTP server.");
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(paths); i++)
        metric_sample(out, name, "path", paths[i], http->requests[i]);
    metric_sample(out, name, "path", "other", http->refused);
    metric_counter(out, "podfence_http_cut_off_total",
                   "Connections of the HTTP server that were too slow.", http->cut_off);
}

static void put_build(FILE *out)
{
    metric_begin(out, "podfence_build_info", "gauge", "Always 1; the version is in the labels.");
    fprintf(out, "podfence_build_info{version=\"%s\",layout=\"%d\"} 1\n", FENCE_VERSION,
            FENCE_ABI_VERSION);
}

char *fence_metrics_text(struct fence_daemon *daemon, size_t *ret_size)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, ret_size);

    if (!out)
        return NULL;
    put_build(out);
    put_readiness(out, daemon);
    put_endpoints(out, &daemon->reconcile);
    put_policies(out, daemon);
    put_applies(out, &daemon->reconcile);
    put_reconciled(out, daemon);
    put_guard(out, &daemon->guard);
    put_events(out, daemon);
    put_cuts(out, &daemon->cuts);
    put_alarms(out, &daemon->alarms);
    put_http(out, &daemon->http);
    metrics_datapath(out, daemon);
    metrics_kubernetes(out, daemon);
    metrics_writes(out, daemon);
    metrics_process(out, daemon);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/status.h"

#include <string.h>
#include <unistd.h>

#include "cni/daemon/daemon.h"
#include "cni/daemon/ready.h"
#include "cni/daemon/times.h"

/* A new object at the end of the list. */
static cJSON *append(cJSON *list)
{
    cJSON *object = cJSON_CreateObject();

    if (!cJSON_AddItemToArray(list, object)) {
        cJSON_Delete(object);
        return NULL;
    }
    return object;
}

static void add_folders(cJSON *status, const struct fence_daemon *daemon)
{
    cJSON *list = cJSON_AddArrayToObject(status, "folders");

    for (size_t i = 0; i < daemon->sources.count; i++) {
        const struct fence_folder *folder = daemon->sources.items[i].folder;
        cJSON *object = append(list);

        cJSON_AddStringToObject(object, "path", fence_folder_path(folder));
        cJSON_AddBoolToObject(object, "present", fence_folder_present(folder));
    }
}

static void add_objects(cJSON *status, const struct fence_daemon *daemon)
{
    cJSON *counts = cJSON_AddObjectToObject(status, "objects");

    for (unsigned int kind = 0; kind < FENCE_OBJECT_KINDS; kind++) {
        size_t count = fence_store_count(daemon->store, (enum fence_kind)kind);

        if (count)
            cJSON_AddNumberToObject(counts, fence_kind_name((enum fence_kind)kind), (double)count);
    }
}

static void add_problems(cJSON *status, const struct fence_daemon *daemon)
{
    cJSON *list = cJSON_AddArrayToObject(status, "problems");
    const struct fence_problem *problems;
    size_t count = fence_store_problems(daemon->store, &problems);

    for (size_t i = 0; i < count; i++) {
        cJSON *object = append(list);

        cJSON_AddStringToObject(object, "file", problems[i].unit);
        cJSON_AddNumberToObject(object, "line", problems[i].line);
        cJSON_AddStringToObject(object, "object", problems[i].id);
        cJSON_AddStringToObject(object, "text", problems[i].text);
        cJSON_AddBoolToObject(object, "kept", problems[i].kept);
        cJSON_AddBoolToObject(object, "warning", problems[i].warning);
    }
    for (size_t i = 0; i < daemon->reconcile.locals.count; i++) {
        const char *text = daemon->reconcile.locals.label_errors[i];
        char name[FENCE_NAMESPACE_MAX + FENCE_POD_NAME_MAX];
        cJSON *object = text ? append(list) : NULL;

        if (!text)
            continue;
        cJSON_AddStringToObject(object, "file", "");
        cJSON_AddNumberToObject(object, "line", 0);
        cJSON_AddStringToObject(
            object, "object",
            fence_local_name(&daemon->reconcile.locals.items[i], name, sizeof(name)));
        cJSON_AddStringToObject(object, "text", text);
        cJSON_AddFalseToObject(object, "kept");
        cJSON_AddFalseToObject(object, "warning");
    }
}

static void add_unenforced(cJSON *status, const struct fence_unenforced *unenforced)
{
    cJSON *list = cJSON_GetObjectItemCaseSensitive(status, "problems");

    for (size_t i = 0; i < unenforced->count; i++) {
        cJSON *object = append(list);

        cJSON_AddStringToObject(object, "file", unenforced->problems[i].file);
        cJSON_AddNumberToObject(object, "line", 0);
        cJSON_AddStringToObject(object, "object", "");
        cJSON_AddStringToObject(object, "text", unenforced->problems[i].text);
        cJSON_AddFalseToObject(object, "kept");
        cJSON_AddFalseToObject(object, "warning");
    }
}

/* Pods that run here and are no endpoints. */
static void add_unadopted(cJSON *status, const struct fence_adopt *adopt)
{
    cJSON *list = cJSON_AddArrayToObject(status, "unadopted");

    for (size_t i = 0; i < adopt->list.count; i++) {
        const struct fence_unadopted *item = &adopt->list.items[i];
        cJSON *object = item->fresh ? NULL : append(list);

        if (item->fresh)
            continue;
        cJSON_AddStringToObject(object, "pod", item->pod);
        cJSON_AddStringToObject(object, "source", item->source);
        cJSON_AddStringToObject(object, "reason", item->reason);
    }
}

static void add_reconciled(cJSON *status, const struct fence_daemon *daemon)
{
    cJSON *counts = cJSON_AddObjectToObject(status, "reconciled");

    cJSON_AddNumberToObject(counts, "adopted", (double)daemon->adopt.adopted);
    cJSON_AddNumberToObject(counts, "vanished", (double)daemon->vanished.removed);
    cJSON_AddNumberToObject(counts, "renamed", (double)daemon->vanished.renamed);
    cJSON_AddNumberToObject(counts, "filters", (double)daemon->filters.restored);
    cJSON_AddNumberToObject(counts, "pins", (double)daemon->filters.pins_restored);
}

static void add_adoption(cJSON *status, const struct fence_daemon *daemon)
{
    cJSON *object = cJSON_AddObjectToObject(status, "adoption");

    cJSON_AddStringToObject(object, "mode", fence_adopt_mode_name(daemon->options.adopt));
    cJSON_AddNumberToObject(object, "passedOver", (double)daemon->adopt.passed_over);
    cJSON_AddNumberToObject(object, "gone", (double)daemon->adopt.gone);
}

static void add_texts(cJSON *list, const char *subject, const char *text)
{
    cJSON *object = append(list);

    cJSON_AddStringToObject(object, "subject", subject);
    cJSON_AddStringToObject(object, "text", text);
}

static void add_failures_and_notes(cJSON *status, const struct fence_reconcile *reconcile)
{
    cJSON *failures = cJSON_AddArrayToObject(status, "failures");
    cJSON *notes = cJSON_AddArrayToObject(status, "notes");
    const struct fence_plan *plan = reconcile->plan;

    if (reconcile->error.text[0])
        add_texts(failures, "policy", reconcile->error.text);
    for (size_t i = 0; i < reconcile->report.failure_count; i++)
        add_texts(failures, reconcile->report.failures[i].subject,
                  reconcile->report.failures[i].text);
    for (size_t i = 0; plan && i < plan->notes_count; i++)
        add_texts(notes, plan->notes[i].subject, plan->notes[i].text);
}

static const struct fence_local *find_local(const struct fence_locals *locals, uint32_t ifindex)
{
    for (size_t i = 0; i < locals->count; i++)
        if (locals->items[i].ifindex == ifindex)
            return &locals->items[i];
    return NULL;
}

static void add_unresolved(cJSON *list, const struct fence_local *local, const char *state,
                           const char *reason)
{
    char name[FENCE_NAMESPACE_MAX + FENCE_POD_NAME_MAX];
    cJSON *object;

    if (!local)
        return;
    object = append(list);
    cJSON_AddNumberToObject(object, "ifindex", local->ifindex);
    cJSON_AddStringToObject(object, "endpoint", fence_local_name(local, name, sizeof(name)));
    cJSON_AddStringToObject(object, "containerId", local->container_id);
    cJSON_AddStringToObject(object, "state", state);
    cJSON_AddStringToObject(object, "reason", reason);
}

static void add_endpoints(cJSON *status, const struct fence_reconcile *reconcile)
{
    cJSON *counts = cJSON_AddObjectToObject(status, "endpoints");
    cJSON *list = cJSON_AddArrayToObject(status, "unresolved");
    const struct fence_plan *plan = reconcile->plan;
    size_t total = 0, pending = 0, exempt = 0, shut = 0;

    for (size_t i = 0; plan && i < plan->endpoints_list.count; i++) {
        const struct fence_plan_endpoint *endpoint = &plan->endpoints[i];
        const struct fence_local *local = find_local(&reconcile->locals, endpoint->ifindex);
        const char *closed = NULL;

        if (!endpoint->item.live)
            continue;
        total++;
        closed = fence_reconcile_closed(reconcile, endpoint);
        if (closed) {
            shut++;
            add_unresolved(list, local, "closed", closed);
        } else if (endpoint->flags & FENCE_EP_PENDING) {
            pending++;
            add_unresolved(list, local,
                           endpoint->flags & FENCE_EP_INCOMPLETE ? "incomplete" : "pending",
                           endpoint->pending ? endpoint->pending : "not resolved");
        } else if (endpoint->flags & FENCE_EP_EXEMPT) {
            exempt++;
        }
    }
    cJSON_AddNumberToObject(counts, "total", (double)total);
    cJSON_AddNumberToObject(counts, "enforced", (double)(total - pending - exempt - shut));
    cJSON_AddNumberToObject(counts, "pending", (double)pending);
    cJSON_AddNumberToObject(counts, "exempt", (double)exempt);
    cJSON_AddNumberToObject(counts, "closed", (double)shut);
}

static void add_applied(cJSON *status, const struct fence_reconcile *reconcile)
{
    cJSON *last;

    cJSON_AddNumberToObject(status, "applies", (double)reconcile->applies);
    fence_time_add(status, "nextExpiry", reconcile->plan ? reconcile->plan->next_expiry : 0);
    if (!reconcile->applies) {
        cJSON_AddNullToObject(status, "lastApply");
        return;
    }
    last = cJSON_AddObjectToObject(status, "lastApply");
    fence_time_add(last, "at", reconcile->applied_at);
    cJSON_AddNumberToObject(last, "writes", (double)reconcile->report.writes);
    cJSON_AddNumberToObject(last, "changedEndpoints", (double)reconcile->report.changed_endpoints);
    cJSON_AddNumberToObject(last, "failures", (double)reconcile->report.failure_count);
    cJSON_AddNumberToObject(last, "microseconds", (double)reconcile->applied_us);
}

static void add_reason(void *context, enum fence_log_level level, const char *text)
{
    (void)level;
    cJSON_AddItemToArray(context, cJSON_CreateString(text));
}

static void add_identification(cJSON *status, const struct fence_daemon *daemon)
{
    cJSON *reasons;

    cJSON_AddStringToObject(status, "version", FENCE_VERSION);
    cJSON_AddNumberToObject(status, "abi", FENCE_ABI_VERSION);
    cJSON_AddStringToObject(status, "node", daemon->options.node_name);
    cJSON_AddNumberToObject(status, "pid", getpid());
    fence_time_add(status, "startedAt", daemon->started_at);
    reasons = cJSON_AddArrayToObject(status, "notReady");
    fence_ready_each(daemon, add_reason, reasons);
    cJSON_AddBoolToObject(status, "ready", cJSON_GetArraySize(reasons) == 0);
}

static void add_effective(cJSON *cni, const struct fence_netd_effective *effective)
{
    cJSON *object = cJSON_AddObjectToObject(cni, "effective");

    cJSON_AddStringToObject(object, "file", effective->file);
    cJSON_AddStringToObject(object, "network", effective->network);
    cJSON_AddNumberToObject(object, "plugins", (double)effective->plugins);
    cJSON_AddNumberToObject(object, "position", effective->position);
    cJSON_AddBoolToObject(object, "dropin", effective->dropin);
}

static void add_guard(cJSON *status, const struct fence_guard *guard)
{
    cJSON *cni, *reasons;

    if (guard->install.mode == FENCE_INSTALL_OFF) {
        cJSON_AddNullToObject(status, "cni");
        return;
    }
    cni = cJSON_AddObjectToObject(status, "cni");
    cJSON_AddStringToObject(cni, "mode", fence_install_mode_name(guard->install.mode));
    cJSON_AddStringToObject(cni, "confDir", guard->install.conf_dir);
    cJSON_AddStringToObject(cni, "binDir", guard->install.bin_dir);
    reasons = cJSON_AddArrayToObject(cni, "problems");
    fence_guard_reasons(guard, add_reason, reasons);
    cJSON_AddBoolToObject(cni, "installed", cJSON_GetArraySize(reasons) == 0);
    cJSON_AddBoolToObject(cni, "gaveUp", guard->quiet_until_ns != 0);
    cJSON_AddStringToObject(cni, "waitingFor", guard->waiting);
    cJSON_AddStringToObject(cni, "primary", guard->report.primary);
    add_effective(cni, &guard->effective);
    cJSON_AddNumberToObject(cni, "written", (double)guard->written);
    cJSON_AddNumberToObject(cni, "undone", (double)guard->undone);
    fence_time_add(cni, "lastWrite", guard->written_at);
}

cJSON *fence_status_json(const struct fence_daemon *daemon)
{
    cJSON *status = cJSON_CreateObject();

    add_identification(status, daemon);
    add_folders(status, daemon);
    add_objects(status, daemon);
    add_problems(status, daemon);
    add_unenforced(status, &daemon->unenforced);
    add_unadopted(status, &daemon->adopt);
    add_failures_and_notes(status, &daemon->reconcile);
    add_endpoints(status, &daemon->reconcile);
    add_applied(status, &daemon->reconcile);
    fence_inforce_add_status(status, daemon);
    fence_cuts_add_status(status, &daemon->cuts);
    fence_flowbook_add_status(status, daemon);
    cJSON_AddNumberToObject(status, "filtersRestored", (double)daemon->filters.restored);
    add_adoption(status, daemon);
    add_reconciled(status, daemon);
    add_guard(status, &daemon->guard);
    fence_alarms_add_status(status, daemon);
    cJSON_AddItemToObject(status, "kubernetes", fence_kubernetes_json(daemon->sources.kubernetes));
    cJSON_AddItemToObject(status, "report", fence_report_json(daemon));
    cJSON_AddItemToObject(status, "addressSlices", fence_slices_json(daemon));
    cJSON_AddItemToObject(status, "events", fence_observe_json(daemon));
    cJSON_AddItemToObject(status, "audit", fence_audit_json(daemon));
    return status;
}

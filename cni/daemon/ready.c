/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/ready.h"

#include <stdio.h>

#include "cni/daemon/daemon.h"

#define TEXT_MAX 1536

static void each_folder(const struct fence_daemon *daemon, fence_reason_visit visit, void *context)
{
    for (size_t i = 0; i < daemon->sources.count; i++) {
        const struct fence_source *source = &daemon->sources.items[i];
        char text[TEXT_MAX];

        if (fence_folder_present(source->folder))
            continue;
        snprintf(text, sizeof(text), "folder %s is missing or cannot be read: %s",
                 fence_folder_path(source->folder),
                 source->seen ? "its last objects stay in force"
                              : "nothing is changed until it has been read once");
        visit(context, FENCE_LOG_ERROR, text);
    }
}

/* sources.c has said that they begin, and says when they have come. */
static void each_first_list(const struct fence_daemon *daemon, fence_reason_visit visit,
                            void *context)
{
    const struct fence_kubernetes *kubernetes = daemon->sources.kubernetes;
    char names[TEXT_MAX / 2] = "", text[TEXT_MAX];
    size_t used = 0;

    for (unsigned int i = 0; kubernetes && i < fence_kubernetes_count(kubernetes); i++)
        if (fence_kubernetes_problem(kubernetes, i, text, sizeof(text)) == FENCE_KUBERNETES_BEGINS)
            used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", used ? ", " : "",
                                     fence_kubernetes_resource(kubernetes, i)->kind);
    if (!used)
        return;
    snprintf(
        text, sizeof(text),
        "kubernetes: first lists are on their way: %s: nothing is changed until they have come",
        names);
    visit(context, FENCE_LOG_DEBUG, text);
}

static void each_kind(const struct fence_daemon *daemon, fence_reason_visit visit, void *context)
{
    const struct fence_kubernetes *kubernetes = daemon->sources.kubernetes;
    char text[TEXT_MAX];

    for (unsigned int i = 0; kubernetes && i < fence_kubernetes_count(kubernetes); i++)
        if (fence_kubernetes_problem(kubernetes, i, text, sizeof(text)) == FENCE_KUBERNETES_ILL)
            visit(context, FENCE_LOG_ERROR, text);
}

static void each_refused(const struct fence_daemon *daemon, fence_reason_visit visit, void *context)
{
    const struct fence_problem *problems;
    size_t count = fence_store_problems(daemon->store, &problems);
    size_t refused = 0;
    char text[TEXT_MAX];

    for (size_t i = 0; i < count; i++)
        refused += !problems[i].kept && !problems[i].warning;
    if (!refused)
        return;
    snprintf(text, sizeof(text), "%zu %s refused and %s no last good version", refused,
             refused == 1 ? "object or file is" : "objects or files are",
             refused == 1 ? "has" : "have");
    visit(context, FENCE_LOG_ERROR, text);
}

static void each_failure(const struct fence_daemon *daemon, fence_reason_visit visit, void *context)
{
    const struct fence_reconcile *reconcile = &daemon->reconcile;
    char text[TEXT_MAX];

    if (reconcile->error.text[0]) {
        snprintf(text, sizeof(text), "the last change is not in force: %s", reconcile->error.text);
        visit(context, FENCE_LOG_ERROR, text);
    }
    for (size_t i = 0; i < reconcile->report.failure_count; i++) {
        snprintf(text, sizeof(text), "%s: %s", reconcile->report.failures[i].subject,
                 reconcile->report.failures[i].text);
        visit(context, FENCE_LOG_ERROR, text);
    }
}

static void each_unfiltered(const struct fence_daemon *daemon, fence_reason_visit visit,
                            void *context)
{
    const struct fence_filters *filters = &daemon->filters;
    char text[TEXT_MAX];

    for (size_t i = 0; i < filters->count; i++) {
        snprintf(text, sizeof(text), "interface %u is not filtered, its pod is open: %s",
                 filters->items[i].ifindex, filters->items[i].text);
        visit(context, FENCE_LOG_ERROR, text);
    }
}

static void each_pin(const struct fence_daemon *daemon, fence_reason_visit visit, void *context)
{
    char text[TEXT_MAX];

    if (!*daemon->filters.pins_problem)
        return;
    snprintf(text, sizeof(text), "pins are missing, so that no pod can be added: %s",
             daemon->filters.pins_problem);
    visit(context, FENCE_LOG_ERROR, text);
}

static void each_device(const struct fence_daemon *daemon, fence_reason_visit visit, void *context)
{
    char text[TEXT_MAX];

    if (!*daemon->devices.problem)
        return;
    snprintf(text, sizeof(text), "services whose backends policy tells apart are refused: %s",
             daemon->devices.problem);
    visit(context, FENCE_LOG_ERROR, text);
}

static void each_unenforced(const struct fence_daemon *daemon, fence_reason_visit visit,
                            void *context)
{
    const struct fence_unenforced *unenforced = &daemon->unenforced;
    char text[TEXT_MAX];

    for (size_t i = 0; i < unenforced->count; i++) {
        snprintf(text, sizeof(text), "%s: a pod that started unenforced stays so: %s",
                 unenforced->problems[i].file, unenforced->problems[i].text);
        visit(context, FENCE_LOG_ERROR, text);
    }
}

static void each_layout(const struct fence_daemon *daemon, fence_reason_visit visit, void *context)
{
    const struct fence_layout *from = &daemon->takeover.from;
    char text[TEXT_MAX];

    if (!from->number)
        return;
    snprintf(text, sizeof(text),
             "layout %u of podfence %s stays in force, as it was, until policy is in the new one",
             from->number, from->version);
    visit(context, FENCE_LOG_INFO, text);
}

void fence_ready_each(const struct fence_daemon *daemon, fence_reason_visit visit, void *context)
{
    each_layout(daemon, visit, context);
    each_unfiltered(daemon, visit, context);
    each_pin(daemon, visit, context);
    each_device(daemon, visit, context);
    each_unenforced(daemon, visit, context);
    each_folder(daemon, visit, context);
    each_first_list(daemon, visit, context);
    each_kind(daemon, visit, context);
    each_refused(daemon, visit, context);
    each_failure(daemon, visit, context);
    fence_guard_reasons(&daemon->guard, visit, context);
    if (!daemon->reconcile.applies && fence_sources_all_seen(&daemon->sources) &&
        !daemon->reconcile.error.text[0])
        visit(context, FENCE_LOG_INFO, "nothing has been applied yet");
}

static void add_condition(void *context, enum fence_log_level level, const char *text)
{
    fence_conditions_add(context, level, "%s", text);
}

/* Of the conditions named so far: none means that all is well. */
static void log_readiness(struct fence_daemon *daemon)
{
    bool ready = daemon->conditions.named.count == 0;

    if (ready && !daemon->ready)
        fence_log(FENCE_LOG_INFO, "ready: %zu endpoints, %zu policy sets",
                  fence_plan_live(&daemon->reconcile.plan->endpoints_list),
                  fence_plan_live(&daemon->reconcile.plan->sets_list));
    daemon->ready = ready;
}

static void log_problem(struct fence_conditions *conditions, const struct fence_problem *problem)
{
    const char *outcome = problem->warning ? "" : "; it is as absent";
    char line[16] = "";

    if (problem->line)
        snprintf(line, sizeof(line), ":%u", problem->line);
    if (problem->kept)
        outcome = "; its last good version stays in force";
    if (!*problem->id)
        outcome = ""; /* a whole file: its text says it */
    fence_conditions_add(conditions, problem->warning ? FENCE_LOG_WARNING : FENCE_LOG_ERROR,
                         "%s%s: %s%s%s%s", problem->unit, line, problem->id,
                         *problem->id ? ": " : "", problem->text, outcome);
}

/* Of many that have one cause, some say it. */
#define UNADOPTED_MAX 32

static void log_unadopted(struct fence_daemon *daemon)
{
    const struct fence_unadopted_list *list = &daemon->adopt.list;
    size_t told = 0, more = 0;

    for (size_t i = 0; i < list->count; i++) {
        const struct fence_unadopted *item = &list->items[i];

        if (item->fresh)
            continue;
        if (told++ < UNADOPTED_MAX)
            fence_conditions_add(&daemon->conditions, FENCE_LOG_WARNING,
                                 "%s: a pod from before is not enforced%s%s: %s", item->source,
                                 *item->pod ? ": " : "", item->pod, item->reason);
        else
            more++;
    }
    if (more)
        fence_conditions_add(&daemon->conditions, FENCE_LOG_WARNING,
                             "%zu more pods from before are not enforced; see podfencectl status",
                             more);
}

/* Nothing that is in force depends on it. */
static void log_report(struct fence_daemon *daemon)
{
    char text[TEXT_MAX];

    fence_report_problem(daemon, text, sizeof(text));
    if (*text)
        fence_conditions_add(&daemon->conditions, FENCE_LOG_WARNING, "kubernetes: %s", text);
    fence_slices_problem(daemon, text, sizeof(text));
    if (*text)
        fence_conditions_add(&daemon->conditions, FENCE_LOG_WARNING, "kubernetes: %s", text);
}

static void log_notes(struct fence_daemon *daemon)
{
    const struct fence_plan *plan = daemon->reconcile.plan;
    const struct fence_locals *locals = &daemon->reconcile.locals;
    char name[FENCE_NAMESPACE_MAX + FENCE_POD_NAME_MAX];

    for (size_t i = 0; plan && i < plan->notes_count; i++)
        fence_conditions_add(&daemon->conditions, FENCE_LOG_WARNING, "%s: %s",
                             plan->notes[i].subject, plan->notes[i].text);
    for (size_t i = 0; i < locals->count; i++)
        if (locals->label_errors[i])
            fence_conditions_add(&daemon->conditions, FENCE_LOG_ERROR,
                                 "%s: its labels from the runtime are not used: %s",
                                 fence_local_name(&locals->items[i], name, sizeof(name)),
                                 locals->label_errors[i]);
}

/* What is done without is no reason not to be ready. */
static void log_without(struct fence_daemon *daemon)
{
    const struct fence_kubernetes *kubernetes = daemon->sources.kubernetes;
    char text[TEXT_MAX];

    for (unsigned int i = 0; kubernetes && i < fence_kubernetes_count(kubernetes); i++)
        if (fence_kubernetes_problem(kubernetes, i, text, sizeof(text)) == FENCE_KUBERNETES_WITHOUT)
            fence_conditions_add(&daemon->conditions, FENCE_LOG_WARNING, "%s", text);
}

void fence_ready_log(struct fence_daemon *daemon)
{
    const struct fence_problem *problems;
    size_t count = fence_store_problems(daemon->store, &problems);

    daemon->reconcile.problems_changed = false;
    fence_conditions_begin(&daemon->conditions);
    fence_ready_each(daemon, add_condition, &daemon->conditions);
    log_readiness(daemon);
    for (size_t i = 0; i < count; i++)
        log_problem(&daemon->conditions, &problems[i]);
    log_without(daemon);
    log_unadopted(daemon);
    log_notes(daemon);
    log_report(daemon);
    fence_conditions_end(&daemon->conditions);
    fence_audit_refusals(daemon);
}

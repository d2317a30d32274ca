/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cni/daemon/alarms_internal.h"
#include "cni/daemon/daemon.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"

#define SECOND_NS 1000000000ull

/* What was not cut is asked about again after so long, while the alarm goes on. */
#define AGAIN_NS (10 * SECOND_NS)

#define ORIGIN "alarm"

/* The value of a label in "key=value,...", with its key; its length, 0 when it is not there. */
static size_t find_label(const char *labels, const char *key, const char **ret_label)
{
    size_t size = strlen(key);

    while (*labels) {
        size_t length = strcspn(labels, ",");

        if (strncmp(labels, key, size) == 0 && labels[size] == '=' && length > size + 1) {
            *ret_label = labels;
            return length;
        }
        labels += length + (labels[length] == ',');
    }
    return 0;
}

/* "shop/app=web". False: nothing selects these pods and hardly others. */
static bool select_pods(const struct fence_alarm_who *who, char pods[FENCE_CUT_TEXT_MAX])
{
    static const char *const keys[] = {"app", "app.kubernetes.io/name", "k8s-app"};
    const char *label = who->labels;
    size_t size = 0;

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(keys) && size == 0; i++)
        size = find_label(who->labels, keys[i], &label);
    if (size == 0)
        size = strlen(label);
    /* all of them may have been cut short on their way */
    if (size == 0 || size >= FENCE_ALARM_LABELS_MAX - 1 || !who->namespace_name[0])
        return false;
    return snprintf(pods, FENCE_CUT_TEXT_MAX, "%s/%.*s", who->namespace_name, (int)size, label) <
           (int)FENCE_CUT_TEXT_MAX;
}

/* The last label may lack its end: what is there is not what the pods have. */
static bool may_be_cut_short(const struct fence_alarm_who *who)
{
    return strlen(who->labels) >= FENCE_IDENTITY_LABELS_MAX - 1;
}

/* Says so, once for the same text. */
__attribute__((format(printf, 4, 5))) static void answered(struct fence_daemon *daemon,
                                                           struct fence_alarm *alarm,
                                                           uint64_t again_ns, const char *format,
                                                           ...)
{
    char before[FENCE_ALARM_TEXT_MAX];
    va_list args;

    memcpy(before, alarm->response, sizeof(before));
    va_start(args, format);
    vsnprintf(alarm->response, sizeof(alarm->response), format, args);
    va_end(args);
    alarm->answer_boot_ns = fence_clock_boot_ns() + again_ns;
    if (strcmp(before, alarm->response) != 0)
        alarms_tell(daemon, alarm, "answered");
}

static void cut(struct fence_daemon *daemon, struct fence_alarm *alarm, const char *pods)
{
    struct fence_alarms *alarms = &daemon->alarms;
    uint32_t seconds = alarms->config.cut_seconds;
    char reason[FENCE_CUT_REASON_MAX];
    struct fence_err err = {""};
    const struct fence_cut what = {
        .pods = pods,
        .direction = FENCE_CUT_EGRESS,
        .seconds = seconds,
        .origin = ORIGIN,
        .reason = reason,
    };
    int r;

    snprintf(reason, sizeof(reason), "alarm %llu %s", (unsigned long long)alarm->id,
             fence_alarm_rule_name(alarm->rule));
    r = fence_cuts_add(daemon, &what, &err);
    if (r == -EINVAL || r == -ENOSPC || r == -ENOMEM) {
        alarms->cuts_refused++;
        answered(daemon, alarm, AGAIN_NS, "not cut: %.200s", err.text);
        return;
    }
    alarms->cuts++;
    answered(daemon, alarm, seconds * SECOND_NS, "cut: egress of %.160s for %u s%s%.60s", pods,
             seconds, r < 0 ? ", not in force everywhere yet: " : "", r < 0 ? err.text : "");
}

/* Why it is not cut; NULL: it may be. */
static const char *objection(const struct fence_daemon *daemon, const struct fence_alarm *alarm)
{
    const struct fence_alarm_who *who = alarm->who;

    if (who->kind != FENCE_ALARM_OF_WORKLOAD)
        return "it is no workload of this node";
    if (fence_alarm_patterns_match(&daemon->alarms.config.never_cut, who->name))
        return "it is exempted by neverCut";
    return NULL;
}

static void answer(struct fence_daemon *daemon, struct fence_alarm *alarm)
{
    struct fence_alarms *alarms = &daemon->alarms;
    const char *why = objection(daemon, alarm);
    char pods[FENCE_CUT_TEXT_MAX];
    size_t in_force = fence_cuts_count(daemon, ORIGIN, NULL);

    if (!why && (!select_pods(alarm->who, pods) || may_be_cut_short(alarm->who)))
        why = "no label selects it";
    if (why) {
        alarms->cuts_refused++;
        answered(daemon, alarm, AGAIN_NS, "not cut: %s", why);
    } else if (fence_cuts_count(daemon, ORIGIN, pods)) {
        answered(daemon, alarm, AGAIN_NS, "cut already, by another alarm");
    } else if (in_force >= alarms->config.max_cuts) {
        alarms->cuts_refused++;
        answered(daemon, alarm, AGAIN_NS, "not cut: %zu cut%s in force, maxCuts is %u", in_force,
                 in_force == 1 ? " is" : "s are", alarms->config.max_cuts);
    } else {
        cut(daemon, alarm, pods);
    }
}

void alarms_answer(void *context)
{
    struct fence_daemon *daemon = context;
    struct fence_alarms *alarms = &daemon->alarms;

    for (size_t i = 0; i < alarms->waiting_count; i++) {
        struct fence_alarm *alarm = fence_alarm_get(alarms->engine, alarms->waiting[i]);

        if (alarm && alarm->raised)
            answer(daemon, alarm);
    }
    alarms->waiting_count = 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An alarm is (subject, rule, peer). It is raised once and stays so while evidence comes; a quiet
 * time clears it. A subject's alarms have a room of their own: when it is full, the oldest cleared
 * one goes, and what finds no place is counted into the latest raised alarm of the same rule.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alarm/subject.h"
#include "lib/base/memory.h"

/* Evidence of a raised alarm is written again no more often than this. */
#define TELL_NS 1000000000ull

static const uint32_t rooms[] = {
    [FENCE_ALARM_OF_WORKLOAD] = FENCE_ALARM_ROOM,
    [FENCE_ALARM_OF_OUTSIDE] = FENCE_ALARM_ROOM_OUTSIDE,
    [FENCE_ALARM_OF_NODE] = FENCE_ALARM_ROOM_NODE,
};
_Static_assert(FENCE_ARRAY_SIZE(rooms) == FENCE_ALARM_KINDS, "a room for each kind");

bool fence_alarm_asks(const struct fence_alarm_engine *engine, enum fence_alarm_rule rule,
                      const struct fence_alarm_subject *subject)
{
    const struct fence_alarm_rule_config *config = &engine->config->rules[rule];

    return config->enabled && !fence_alarm_patterns_match(&config->exempt, subject->who.name);
}

struct fence_alarm *fence_alarm_raised_find(const struct fence_alarm_subject *subject,
                                            enum fence_alarm_rule rule, uint64_t peer_key)
{
    for (uint32_t i = 0; i < subject->alarm_count; i++) {
        struct fence_alarm *alarm = subject->alarms[i];

        if (alarm->raised && alarm->rule == rule && alarm->peer_key == peer_key)
            return alarm;
    }
    return NULL;
}

/* The latest raised one of this rule, and how many there are. */
static struct fence_alarm *latest_alike(const struct fence_alarm_subject *subject,
                                        enum fence_alarm_rule rule, uint32_t *ret_count)
{
    struct fence_alarm *latest = NULL;

    *ret_count = 0;
    for (uint32_t i = 0; i < subject->alarm_count; i++) {
        struct fence_alarm *alarm = subject->alarms[i];

        if (!alarm->raised || alarm->rule != rule)
            continue;
        ++*ret_count;
        if (!latest || alarm->id > latest->id)
            latest = alarm;
    }
    return latest;
}

static void remove_at(struct fence_alarm_subject *subject, uint32_t at)
{
    free(subject->alarms[at]);
    subject->alarms[at] = subject->alarms[--subject->alarm_count];
}

/* The place of the alarm that was cleared first; false when all are raised. */
static bool drop_cleared(struct fence_alarm_subject *subject)
{
    uint32_t found = subject->alarm_count;

    for (uint32_t i = 0; i < subject->alarm_count; i++)
        if (!subject->alarms[i]->raised &&
            (found == subject->alarm_count || subject->alarms[i]->id < subject->alarms[found]->id))
            found = i;
    if (found == subject->alarm_count)
        return false;
    remove_at(subject, found);
    return true;
}

/* NULL: there is no room, or no memory. */
static struct fence_alarm *new_alarm(struct fence_alarm_subject *subject)
{
    struct fence_alarm *alarm;

    if (subject->alarm_count >= rooms[subject->who.kind] && !drop_cleared(subject))
        return NULL;
    alarm = calloc(1, sizeof(*alarm));
    if (alarm)
        subject->alarms[subject->alarm_count++] = alarm;
    return alarm;
}

static void notify(const struct fence_alarm_engine *engine, struct fence_alarm *alarm,
                   enum fence_alarm_change change)
{
    engine->handler(engine->context, alarm, change);
}

static struct fence_alarm *begin(struct fence_alarm_engine *engine,
                                 struct fence_alarm_subject *subject,
                                 const struct fence_alarm_finding *finding)
{
    struct fence_alarm *alarm = new_alarm(subject);

    if (!alarm)
        return NULL;
    alarm->id = engine->next_id++;
    alarm->rule = finding->rule;
    alarm->severity = finding->severity;
    alarm->raised = true;
    alarm->who = &subject->who;
    alarm->peer_key = finding->peer_key;
    snprintf(alarm->peer, sizeof(alarm->peer), "%s", finding->peer);
    alarm->count = finding->count;
    alarm->first_ns = finding->now.wall_ns;
    engine->counts.raised[finding->rule]++;
    return alarm;
}

/* What has changed by more evidence for a raised alarm; CHANGES = nothing that matters. */
static enum fence_alarm_change go_on(const struct fence_alarm_engine *engine,
                                     struct fence_alarm *alarm,
                                     const struct fence_alarm_finding *finding)
{
    alarm->count += finding->more;
    if (finding->count > alarm->count)
        alarm->count = finding->count;
    if (finding->severity > alarm->severity) {
        alarm->severity = finding->severity;
        return FENCE_ALARM_WORSE;
    }
    alarm->severity = finding->severity;
    if (engine->config->rules[alarm->rule].cut && finding->now.boot_ns >= alarm->answer_boot_ns)
        return FENCE_ALARM_GOES_ON;
    return FENCE_ALARM_CHANGES;
}

static void seen_now(struct fence_alarm *alarm, const struct fence_alarm_finding *finding)
{
    if (finding->now.wall_ns > alarm->last_ns)
        alarm->last_ns = finding->now.wall_ns;
    if (finding->now.boot_ns > alarm->last_boot_ns)
        alarm->last_boot_ns = finding->now.boot_ns;
}

void fence_alarm_raise(struct fence_alarm_engine *engine, struct fence_alarm_subject *subject,
                       const struct fence_alarm_finding *finding, const char *format, ...)
{
    struct fence_alarm *alarm = fence_alarm_raised_find(subject, finding->rule, finding->peer_key);
    enum fence_alarm_change change = FENCE_ALARM_RAISED;
    uint32_t alike = 0;
    va_list args;

    if (!alarm) {
        struct fence_alarm *latest = latest_alike(subject, finding->rule, &alike);

        if (alike < FENCE_ALARM_ALIKE || subject->who.kind == FENCE_ALARM_OF_NODE)
            alarm = begin(engine, subject, finding);
        if (!alarm) {
            engine->counts.crowded++;
            if (!latest)
                return;
            latest->others++;
            seen_now(latest, finding);
            return;
        }
    } else {
        change = go_on(engine, alarm, finding);
    }
    seen_now(alarm, finding);
    if (change != FENCE_ALARM_CHANGES || finding->now.boot_ns >= alarm->told_boot_ns + TELL_NS) {
        alarm->told_boot_ns = finding->now.boot_ns;
        va_start(args, format);
        vsnprintf(alarm->evidence, sizeof(alarm->evidence), format, args);
        va_end(args);
    }
    if (change != FENCE_ALARM_CHANGES)
        notify(engine, alarm, change);
}

void fence_alarm_lower(struct fence_alarm_engine *engine, struct fence_alarm *alarm,
                       const struct fence_alarm_time *now)
{
    alarm->raised = false;
    alarm->cleared_ns = now->wall_ns;
    notify(engine, alarm, FENCE_ALARM_CLEARED);
}

void fence_alarm_age(struct fence_alarm_engine *engine, struct fence_alarm_subject *subject,
                     const struct fence_alarm_time *now)
{
    uint32_t i = 0;

    while (i < subject->alarm_count) {
        struct fence_alarm *alarm = subject->alarms[i];
        uint64_t quiet = engine->config->rules[alarm->rule].quiet_ms * 1000000ull;

        if (alarm->raised && quiet && now->boot_ns > alarm->last_boot_ns &&
            now->boot_ns - alarm->last_boot_ns > quiet)
            fence_alarm_lower(engine, alarm, now);
        if (!alarm->raised && now->boot_ns > alarm->last_boot_ns &&
            now->boot_ns - alarm->last_boot_ns > FENCE_ALARM_RECENT_NS)
            remove_at(subject, i);
        else
            i++;
    }
}

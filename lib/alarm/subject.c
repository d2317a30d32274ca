/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alarm/subject.h"
#include "lib/base/hash.h"
#include "lib/base/memory.h"

uint64_t fence_alarm_hash(const struct fence_alarm_engine *engine, const char *text)
{
    const __u64 key[2] = {engine->hash_key[0], engine->hash_key[1]};

    return fence_hash_bytes(key, text, strlen(text)).words[0];
}

static struct fence_alarm_subject *find(const struct fence_alarm_table *table, uint64_t key)
{
    for (uint32_t i = 0; i < table->count; i++)
        if (table->keys[i] == key)
            return table->items[i];
    return NULL;
}

struct fence_alarm_subject *fence_alarm_find(const struct fence_alarm_engine *engine,
                                             enum fence_alarm_kind kind, const char *name)
{
    return find(&engine->tables[kind], fence_alarm_hash(engine, name));
}

static bool has_raised(const struct fence_alarm_subject *subject)
{
    for (uint32_t i = 0; i < subject->alarm_count; i++)
        if (subject->alarms[i]->raised)
            return true;
    return false;
}

/* Is `one` the better to let go? Who has no raised alarm, then who was not seen for longer. */
static bool goes_before(const struct fence_alarm_subject *one,
                        const struct fence_alarm_subject *other)
{
    bool raised = has_raised(one);

    if (raised != has_raised(other))
        return !raised;
    return one->seen_ns < other->seen_ns;
}

static uint32_t loser_of(const struct fence_alarm_table *table)
{
    const struct fence_alarm_subject *loser = NULL;
    uint32_t found = 0;

    for (uint32_t i = 0; i < table->count; i++) {
        const struct fence_alarm_subject *subject = table->items[i];

        if (!subject || (loser && !goes_before(subject, loser)))
            continue;
        loser = subject;
        found = i;
    }
    return found;
}

static void make_place(struct fence_alarm_engine *engine, struct fence_alarm_table *table)
{
    struct fence_alarm_subject *loser;
    uint32_t at;

    if (table->count < table->max)
        return;
    at = loser_of(table);
    loser = table->items[at];
    fence_alarm_subject_free(&loser);
    table->count--;
    table->items[at] = table->items[table->count];
    table->keys[at] = table->keys[table->count];
    engine->counts.forgotten++;
}

struct fence_alarm_subject *fence_alarm_subject(struct fence_alarm_engine *engine,
                                                enum fence_alarm_kind kind, const char *name,
                                                uint64_t now_ns)
{
    struct fence_alarm_table *table = &engine->tables[kind];
    uint64_t key = fence_alarm_hash(engine, name);
    struct fence_alarm_subject *subject = find(table, key);

    if (!subject) {
        subject = calloc(1, sizeof(*subject));
        if (!subject)
            return NULL;
        make_place(engine, table);
        subject->key = key;
        subject->who.kind = kind;
        snprintf(subject->who.name, sizeof(subject->who.name), "%s", name);
        table->keys[table->count] = key;
        table->items[table->count++] = subject;
    }
    if (now_ns > subject->seen_ns)
        subject->seen_ns = now_ns;
    return subject;
}

void fence_alarm_subject_free(struct fence_alarm_subject **subject)
{
    if (!*subject)
        return;
    for (uint32_t i = 0; i < (*subject)->alarm_count; i++)
        free((*subject)->alarms[i]);
    fence_usual_done(&(*subject)->usual);
    fence_reach_done(&(*subject)->reach);
    free(*subject);
    *subject = NULL;
}

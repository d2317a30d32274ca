/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/alarm/alarm.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "lib/alarm/subject.h"
#include "lib/base/memory.h"

/* A tick that comes later was asleep: that time is not learned from. */
#define TICK_MAX_NS 10000000000ull

/* After learning, the usual number of peers follows by so much of the difference each window: up by
 * half within 14 of them, down within 700, which is two hours of 10 s. */
#define USUAL_RISES 0.05
#define USUAL_FALLS 0.001

static const uint32_t table_sizes[] = {
    [FENCE_ALARM_OF_WORKLOAD] = FENCE_ALARM_WORKLOADS,
    [FENCE_ALARM_OF_OUTSIDE] = FENCE_ALARM_OUTSIDE,
    [FENCE_ALARM_OF_NODE] = 1,
};
_Static_assert(FENCE_ARRAY_SIZE(table_sizes) == FENCE_ALARM_KINDS, "a size for each kind");

static int table_init(struct fence_alarm_table *table, uint32_t max)
{
    table->keys = calloc(max, sizeof(*table->keys));
    table->items = calloc(max, sizeof(struct fence_alarm_subject *));
    table->max = max;
    return table->keys && table->items ? 0 : -ENOMEM;
}

int fence_alarm_new(const struct fence_alarm_config *config, fence_alarm_handler handler,
                    void *context, struct fence_alarm_engine **ret_engine)
{
    struct fence_alarm_engine *engine = calloc(1, sizeof(*engine));
    int r = engine ? 0 : -ENOMEM;

    for (unsigned int i = 0; i < FENCE_ALARM_KINDS && r == 0; i++)
        r = table_init(&engine->tables[i], table_sizes[i]);
    while (r == 0 && !(engine->hash_key[0] | engine->hash_key[1]))
        if (getrandom(engine->hash_key, sizeof(engine->hash_key), 0) != sizeof(engine->hash_key))
            engine->hash_key[0] = engine->hash_key[1] = 0;
    if (r < 0) {
        fence_alarm_free(&engine);
        return r;
    }
    engine->config = config;
    engine->handler = handler;
    engine->context = context;
    engine->next_id = 1;
    *ret_engine = engine;
    return 0;
}

void fence_alarm_free(struct fence_alarm_engine **engine)
{
    if (!*engine)
        return;
    for (unsigned int kind = 0; kind < FENCE_ALARM_KINDS; kind++) {
        struct fence_alarm_table *table = &(*engine)->tables[kind];

        for (uint32_t i = 0; i < table->count; i++)
            fence_alarm_subject_free(&table->items[i]);
        free(table->items);
        free(table->keys);
    }
    free(*engine);
    *engine = NULL;
}

void fence_alarm_configure(struct fence_alarm_engine *engine,
                           const struct fence_alarm_config *config)
{
    engine->config = config;
}

/* ---- ticks ---------------------------------------------------------------------------------- */

/* A window is over. While learning, what is usual is the most that was seen; later it follows
 * slowly, and not at all what has raised an alarm. */
static void learn_peers(const struct fence_alarm_engine *engine,
                        struct fence_alarm_subject *subject, uint64_t now_ns)
{
    uint64_t window = engine->config->rules[FENCE_ALARM_FAN_OUT].within_ms * 1000000ull;
    bool learning = subject->learned_ns < engine->config->learning_ns;
    bool raised = fence_alarm_raised_find(subject, FENCE_ALARM_FAN_OUT, 0) != NULL;
    uint32_t peers = subject->window_peers;
    double more;

    if (now_ns < subject->window_ns || now_ns - subject->window_ns < window)
        return;
    subject->window_ns = now_ns;
    subject->window_peers = 0;
    if (learning && raised)
        peers = fence_reach_peers(&subject->reach, now_ns, window);
    more = peers - subject->usual_peers;
    if (learning && more > 0)
        subject->usual_peers = peers;
    else if (!raised)
        subject->usual_peers += more * (more > 0 ? USUAL_RISES : USUAL_FALLS);
}

static void tick_subject(struct fence_alarm_engine *engine, struct fence_alarm_subject *subject,
                         const struct fence_alarm_time *now, uint64_t passed_ns)
{
    subject->learned_ns += passed_ns;
    learn_peers(engine, subject, now->boot_ns);
    for (unsigned int i = 0; i < FENCE_DIRECTIONS; i++) {
        struct fence_rate *rate = &subject->rates[i];

        rate->unusual = fence_alarm_raised_find(subject, FENCE_ALARM_RATE, i + 1) != NULL;
        fence_rate_roll(rate, now->boot_ns);
    }
    fence_alarm_age(engine, subject, now);
}

void fence_alarm_tick(struct fence_alarm_engine *engine, const struct fence_alarm_time *now)
{
    uint64_t passed = 0;

    if (engine->tick_ns && now->boot_ns > engine->tick_ns)
        passed = now->boot_ns - engine->tick_ns;
    if (passed > TICK_MAX_NS)
        passed = TICK_MAX_NS;
    engine->tick_ns = now->boot_ns;
    for (unsigned int kind = 0; kind < FENCE_ALARM_KINDS; kind++)
        for (uint32_t i = 0; i < engine->tables[kind].count; i++)
            tick_subject(engine, engine->tables[kind].items[i], now, passed);
}

/* ---- the node ------------------------------------------------------------------------------- */

static struct fence_alarm_subject *node_of(struct fence_alarm_engine *engine,
                                           const struct fence_alarm_time *now)
{
    return fence_alarm_subject(engine, FENCE_ALARM_OF_NODE, "this node", now->boot_ns);
}

/* Under this many percent less than what raises it, it is cleared. */
#define MAP_CLEARS 5u

void fence_alarm_map(struct fence_alarm_engine *engine, const char *map, unsigned int percent,
                     const struct fence_alarm_time *now)
{
    const struct fence_alarm_rule_config *config = &engine->config->rules[FENCE_ALARM_MAP_PRESSURE];
    struct fence_alarm_subject *node = node_of(engine, now);
    const struct fence_alarm_finding finding = {
        .rule = FENCE_ALARM_MAP_PRESSURE,
        .severity = percent >= config->critical ? FENCE_ALARM_CRITICAL : FENCE_ALARM_WARNING,
        .peer_key = fence_alarm_hash(engine, map),
        .peer = map,
        .count = percent,
        .now = *now,
    };
    struct fence_alarm *alarm;

    if (!node)
        return;
    alarm = fence_alarm_raised_find(node, finding.rule, finding.peer_key);
    if (alarm && (percent + MAP_CLEARS < config->threshold || !config->enabled))
        fence_alarm_lower(engine, alarm, now);
    else if (config->enabled && (alarm || percent >= config->threshold))
        fence_alarm_raise(engine, node, &finding,
                          "map %s is %u %% full; when it is, what needs a new entry is refused "
                          "(podfenced --map-size %s=ENTRIES)",
                          map, percent, map);
}

void fence_alarm_filter(struct fence_alarm_engine *engine, const char *whose, const char *text,
                        const struct fence_alarm_time *now)
{
    struct fence_alarm_subject *node = node_of(engine, now);
    const struct fence_alarm_finding finding = {
        .rule = FENCE_ALARM_FILTER_REMOVED,
        .severity = fence_alarm_rule_severity(FENCE_ALARM_FILTER_REMOVED),
        .peer_key = fence_alarm_hash(engine, whose),
        .peer = whose,
        .count = 1,
        .more = 1,
        .now = *now,
    };

    if (node && engine->config->rules[FENCE_ALARM_FILTER_REMOVED].enabled)
        fence_alarm_raise(engine, node, &finding, "%s", text);
}

void fence_alarm_lost(struct fence_alarm_engine *engine, uint64_t count,
                      const struct fence_alarm_time *now)
{
    struct fence_alarm_subject *node = node_of(engine, now);
    const struct fence_alarm_finding finding = {
        .rule = FENCE_ALARM_EVENTS_LOST,
        .severity = fence_alarm_rule_severity(FENCE_ALARM_EVENTS_LOST),
        .peer = "",
        .count = count,
        .more = count,
        .now = *now,
    };

    if (count && node && engine->config->rules[FENCE_ALARM_EVENTS_LOST].enabled)
        fence_alarm_raise(engine, node, &finding,
                          "%llu events were not told since the ring was full: logs, flows and "
                          "alarms miss them (podfenced --map-size events=BYTES)",
                          (unsigned long long)count);
}

/* ---- what there is -------------------------------------------------------------------------- */

void fence_alarm_each(const struct fence_alarm_engine *engine,
                      void (*visit)(void *context, const struct fence_alarm *alarm), void *context)
{
    for (unsigned int kind = 0; kind < FENCE_ALARM_KINDS; kind++)
        for (uint32_t i = 0; i < engine->tables[kind].count; i++) {
            const struct fence_alarm_subject *subject = engine->tables[kind].items[i];

            for (uint32_t j = 0; j < subject->alarm_count; j++)
                visit(context, subject->alarms[j]);
        }
}

static void count_raised(void *context, const struct fence_alarm *alarm)
{
    *(size_t *)context += alarm->raised;
}

size_t fence_alarm_raised(const struct fence_alarm_engine *engine)
{
    size_t count = 0;

    fence_alarm_each(engine, count_raised, &count);
    return count;
}

struct fence_alarm *fence_alarm_get(const struct fence_alarm_engine *engine, uint64_t id)
{
    for (unsigned int kind = 0; kind < FENCE_ALARM_KINDS; kind++)
        for (uint32_t i = 0; i < engine->tables[kind].count; i++) {
            const struct fence_alarm_subject *subject = engine->tables[kind].items[i];

            for (uint32_t j = 0; j < subject->alarm_count; j++)
                if (subject->alarms[j]->id == id)
                    return subject->alarms[j];
        }
    return NULL;
}

int fence_alarm_clear(struct fence_alarm_engine *engine, uint64_t id,
                      const struct fence_alarm_time *now)
{
    struct fence_alarm *alarm = fence_alarm_get(engine, id);

    if (!alarm || !alarm->raised)
        return -ENOENT;
    fence_alarm_lower(engine, alarm, now);
    return 0;
}

const struct fence_alarm_counts *fence_alarm_counts(const struct fence_alarm_engine *engine)
{
    return &engine->counts;
}

void fence_alarm_subjects(const struct fence_alarm_engine *engine, size_t *ret_known,
                          size_t *ret_learning)
{
    const struct fence_alarm_table *table = &engine->tables[FENCE_ALARM_OF_WORKLOAD];

    *ret_known = table->count;
    *ret_learning = 0;
    for (uint32_t i = 0; i < table->count; i++)
        *ret_learning += table->items[i]->learned_ns < engine->config->learning_ns;
}

size_t fence_alarm_bytes(const struct fence_alarm_engine *engine)
{
    size_t bytes = sizeof(*engine);

    for (unsigned int kind = 0; kind < FENCE_ALARM_KINDS; kind++) {
        const struct fence_alarm_table *table = &engine->tables[kind];

        bytes += table->max * (sizeof(*table->keys) + sizeof(struct fence_alarm_subject *));
        for (uint32_t i = 0; i < table->count; i++) {
            const struct fence_alarm_subject *subject = table->items[i];

            bytes += sizeof(*subject) + fence_reach_bytes(&subject->reach);
            bytes += subject->usual.capacity * sizeof(*subject->usual.keys);
            bytes += subject->alarm_count * sizeof(struct fence_alarm);
        }
    }
    return bytes;
}

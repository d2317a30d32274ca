/* SPDX-License-Identifier: Apache-2.0 */
/* Subjects, their tables and the engine. Inside lib/alarm. */
#pragma once

#include "lib/alarm/alarm.h"
#include "lib/alarm/rate.h"
#include "lib/alarm/reach.h"
#include "lib/alarm/usual.h"

/* Everything that is remembered of one subject. */
struct fence_alarm_subject {
    uint64_t key;
    struct fence_alarm_who who;
    uint64_t seen_ns;    /* boot clock; 0 = not since the start */
    uint64_t learned_ns; /* how long it has been watched, over restarts */
    uint64_t window_ns;  /* when the window of usual_peers began */
    uint32_t window_peers;
    double usual_peers; /* most peers in a window, falls slowly */
    struct fence_usual usual;
    struct fence_reach reach;
    struct fence_tally refused;
    struct fence_tally spoofed;
    struct fence_rate rates[FENCE_DIRECTIONS];
    struct fence_alarm *alarms[FENCE_ALARM_ROOM_NODE]; /* others use less of it */
    uint32_t alarm_count;
};

struct fence_alarm_table {
    uint64_t *keys; /* of the subjects beside, to find them quickly */
    struct fence_alarm_subject **items;
    uint32_t count;
    uint32_t max;
};

struct fence_alarm_engine {
    const struct fence_alarm_config *config;
    fence_alarm_handler handler;
    void *context;
    uint64_t hash_key[2]; /* kept in --state, so that what was learned is found again */
    uint64_t next_id;
    uint64_t tick_ns; /* of the last tick */
    struct fence_alarm_table tables[FENCE_ALARM_KINDS];
    struct fence_alarm_counts counts;
};

/* 64 bits of a text, unlike for whoever does not know the key. */
uint64_t fence_alarm_hash(const struct fence_alarm_engine *engine, const char *text);

/* NULL when it is not known. */
struct fence_alarm_subject *fence_alarm_find(const struct fence_alarm_engine *engine,
                                             enum fence_alarm_kind kind, const char *name);
/* Found, or new; then the longest unseen may have made place. NULL without memory. */
struct fence_alarm_subject *fence_alarm_subject(struct fence_alarm_engine *engine,
                                                enum fence_alarm_kind kind, const char *name,
                                                uint64_t now_ns);
void fence_alarm_subject_free(struct fence_alarm_subject **subject);

/* Is this what the rule asks of its subject? */
bool fence_alarm_asks(const struct fence_alarm_engine *engine, enum fence_alarm_rule rule,
                      const struct fence_alarm_subject *subject);

/* What a rule has found. */
struct fence_alarm_finding {
    enum fence_alarm_rule rule;
    enum fence_alarm_severity severity;
    uint64_t peer_key; /* 0 = it is about no peer */
    const char *peer;  /* "" */
    uint64_t count;    /* of a new alarm; of one that is raised, when it is more */
    uint64_t more;     /* for one that is raised: so many more */
    struct fence_alarm_time now;
};
struct fence_alarm *fence_alarm_raised_find(const struct fence_alarm_subject *subject,
                                            enum fence_alarm_rule rule, uint64_t peer_key);
/*
 * Raise it, or count it into what is raised. The evidence is made only where it will be read:
 * NULL = leave the present one alone.
 */
__attribute__((format(printf, 4, 5))) void
fence_alarm_raise(struct fence_alarm_engine *engine, struct fence_alarm_subject *subject,
                  const struct fence_alarm_finding *finding, const char *format, ...);
void fence_alarm_lower(struct fence_alarm_engine *engine, struct fence_alarm *alarm,
                       const struct fence_alarm_time *now);
/* What has been quiet for long enough is cleared; what was cleared long ago is forgotten. */
void fence_alarm_age(struct fence_alarm_engine *engine, struct fence_alarm_subject *subject,
                     const struct fence_alarm_time *now);

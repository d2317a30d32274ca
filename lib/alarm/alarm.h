/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Baseline and alarms of one node. Fed with records and ticks, the time is the caller's; alarms
 * come out through a callback. Pure: no file, no clock, no map.
 *
 * A subject is who an alarm is about: a workload with pods on this node, somebody from outside
 * (another node's workload, a node, an address), or the node itself. Each has its own room for all
 * that is remembered of it, and each of the three kinds has its own table, so nobody pushes out
 * what belongs to others: a flood costs its author his own memory only. What a rule asks, and what
 * it misses, is in README.md.
 *
 * Bounds: FENCE_ALARM_WORKLOADS and FENCE_ALARM_OUTSIDE subjects, the longest unseen makes place
 * (one without a raised alarm first); FENCE_ALARM_BYTES_MAX in all.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "lib/alarm/config.h"
#include "lib/api/record.h"
#include "lib/base/err.h"

#define FENCE_ALARM_WORKLOADS    256u
#define FENCE_ALARM_OUTSIDE      128u
/* Alarms of a subject, raised or recent; of one rule at most FENCE_ALARM_ALIKE at a time. */
#define FENCE_ALARM_ROOM         12u
#define FENCE_ALARM_ROOM_OUTSIDE 4u
#define FENCE_ALARM_ROOM_NODE    32u
#define FENCE_ALARM_ALIKE        3u

#define FENCE_ALARM_BYTES_MAX (16u << 20)

#define FENCE_ALARM_NAME_MAX   192u
#define FENCE_ALARM_TEXT_MAX   256u
#define FENCE_ALARM_LABELS_MAX 1024u

/* A cleared alarm is listed that long. */
#define FENCE_ALARM_RECENT_NS (24ull * 3600 * 1000000000)

struct fence_alarm_time {
    uint64_t boot_ns; /* CLOCK_BOOTTIME: what windows are measured by */
    uint64_t wall_ns; /* since 1970: what is shown */
};

enum fence_alarm_kind {
    FENCE_ALARM_OF_WORKLOAD, /* with pods on this node */
    FENCE_ALARM_OF_OUTSIDE,
    FENCE_ALARM_OF_NODE,
    FENCE_ALARM_KINDS,
};

/* Who an alarm is about. Texts end in NUL and are cut where they are too long. */
struct fence_alarm_who {
    enum fence_alarm_kind kind;
    char name[FENCE_ALARM_NAME_MAX]; /* "shop/web", "world 192.0.2.7", "node/n2", "this node" */
    char namespace_name[FENCE_NAMESPACE_MAX]; /* of a workload, else "" */
    char app[FENCE_ALARM_NAME_MAX];
    char pod[FENCE_POD_NAME_MAX];        /* the one seen last */
    char labels[FENCE_ALARM_LABELS_MAX]; /* of its identity, "key=value,..." */
};

struct fence_alarm {
    uint64_t id; /* from 1, never given again while --state is kept */
    enum fence_alarm_rule rule;
    enum fence_alarm_severity severity;
    bool raised;
    const struct fence_alarm_who *who;
    char peer[FENCE_ALARM_NAME_MAX]; /* "" where it is about no peer */
    uint64_t peer_key;
    uint64_t count;  /* of what it is about: ports, peers, packets, connections */
    uint64_t others; /* of the same rule and subject that had no room of their own */
    uint64_t first_ns, last_ns, cleared_ns; /* since 1970 */
    uint64_t last_boot_ns;
    uint64_t told_boot_ns;   /* when `evidence` was written */
    uint64_t answer_boot_ns; /* not before then is a response asked for again */
    char evidence[FENCE_ALARM_TEXT_MAX];
    char response[FENCE_ALARM_TEXT_MAX]; /* what was done about it, "" = nothing was asked */
};

enum fence_alarm_change {
    FENCE_ALARM_RAISED,
    FENCE_ALARM_WORSE,   /* its severity went up */
    FENCE_ALARM_GOES_ON, /* still raised and answered long ago: a response is due again */
    FENCE_ALARM_CLEARED,
    FENCE_ALARM_CHANGES,
};

/* Must not call the engine. May set the alarm's response and answer_boot_ns. */
typedef void (*fence_alarm_handler)(void *context, struct fence_alarm *alarm,
                                    enum fence_alarm_change change);

/* Since the start. */
struct fence_alarm_counts {
    uint64_t raised[FENCE_ALARM_RULES];
    uint64_t forgotten; /* subjects that made place for others */
    uint64_t crowded;   /* evidence that was counted into an alarm about another peer */
};

struct fence_alarm_engine; /* opaque */

/* `config` stays the caller's and must outlive its use here. -ENOMEM. */
int fence_alarm_new(const struct fence_alarm_config *config, fence_alarm_handler handler,
                    void *context, struct fence_alarm_engine **ret_engine);
void fence_alarm_free(struct fence_alarm_engine **engine);
/* From the next record on. */
void fence_alarm_configure(struct fence_alarm_engine *engine,
                           const struct fence_alarm_config *config);

/* What is seen. A record's time is its event's. */
void fence_alarm_record(struct fence_alarm_engine *engine, const struct fence_record *record);
/* Each second: learning, rates, and what has been quiet for long enough. */
void fence_alarm_tick(struct fence_alarm_engine *engine, const struct fence_alarm_time *now);
void fence_alarm_map(struct fence_alarm_engine *engine, const char *map, unsigned int percent,
                     const struct fence_alarm_time *now);
/* `whose` is a pod, `text` what was found. */
void fence_alarm_filter(struct fence_alarm_engine *engine, const char *whose, const char *text,
                        const struct fence_alarm_time *now);
/* So many since it was asked last; 0 is fine. */
void fence_alarm_lost(struct fence_alarm_engine *engine, uint64_t count,
                      const struct fence_alarm_time *now);

/* Raised ones and recent ones, in no order. */
void fence_alarm_each(const struct fence_alarm_engine *engine,
                      void (*visit)(void *context, const struct fence_alarm *alarm), void *context);
size_t fence_alarm_raised(const struct fence_alarm_engine *engine);
/* NULL when there is none of this id (any more). */
struct fence_alarm *fence_alarm_get(const struct fence_alarm_engine *engine, uint64_t id);
/* Clear by hand: it is raised again by the next evidence that would raise a new one. -ENOENT. */
int fence_alarm_clear(struct fence_alarm_engine *engine, uint64_t id,
                      const struct fence_alarm_time *now);
const struct fence_alarm_counts *fence_alarm_counts(const struct fence_alarm_engine *engine);

/* How many subjects, and how many of them still learn. */
void fence_alarm_subjects(const struct fence_alarm_engine *engine, size_t *ret_known,
                          size_t *ret_learning);
/* Bytes that it has allocated. */
size_t fence_alarm_bytes(const struct fence_alarm_engine *engine);

/*
 * The baseline as text for --state: what was learned of workloads, for how long, and the next id.
 * Alarms are not in it. NULL when out of memory; the caller frees it.
 */
#define FENCE_ALARM_STATE_MAX (8u << 20)
char *fence_alarm_save(const struct fence_alarm_engine *engine);
/* Into a new engine. -EINVAL says what is wrong; nothing has changed then. */
int fence_alarm_restore(struct fence_alarm_engine *engine, const char *text, size_t size,
                        struct fence_err *err);

/* "raised", "worse", "still raised", "cleared". */
const char *fence_alarm_change_name(enum fence_alarm_change change);
/* As lib/api/README.md has it; NULL when out of memory. */
cJSON *fence_alarm_json(const struct fence_alarm *alarm);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The desk of whoever writes statuses for the whole cluster: what the API server has (policies with
 * their conditions, reports of nodes), what this node's store says of the policies, and what is
 * therefore to be written, when. Nothing is sent from here, and no time passes.
 *
 * A node's report is a digest of all policies that it has in force. The desk keeps the last digests
 * of its own store with a number each: a node whose digest has a number has every policy that has
 * not changed since.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "lib/report/condition.h"

struct fence_desk; /* opaque */

/* NULL without memory. */
struct fence_desk *fence_desk_new(void);
void fence_desk_free(struct fence_desk **desk);

/* ---- what the API server has ----------------------------------------------------------------- */

enum fence_desk_kind {
    FENCE_DESK_SEGMENT_POLICY,
    FENCE_DESK_CLUSTER_SEGMENT_POLICY,
    FENCE_DESK_NODE_REPORT,
    FENCE_DESK_KINDS,
};

/* One that is there, or is gone. -ENOMEM; what is no such object is passed over. */
int fence_desk_object(struct fence_desk *desk, enum fence_desk_kind kind, const cJSON *object);
int fence_desk_deleted(struct fence_desk *desk, enum fence_desk_kind kind, const cJSON *object);
/* Of a list: what is not told between the two is gone. */
void fence_desk_begin(struct fence_desk *desk, enum fence_desk_kind kind);
void fence_desk_end(struct fence_desk *desk, enum fence_desk_kind kind);

/* ---- what the store says --------------------------------------------------------------------- */

struct fence_desk_view {
    const char *id; /* Kind/namespace/name */
    int64_t generation;
    uint64_t content;
    bool over;           /* expiresAt has passed */
    const char *refused; /* why; NULL: it is valid. Then the rest but the id does not count */
    bool kept;           /* refused: a last good version is in force */
};

/* All policies of the API, each once. -ENOMEM. */
int fence_desk_see(struct fence_desk *desk, const struct fence_desk_view *views, size_t count);

/* ---- what is to be written ------------------------------------------------------------------- */

struct fence_desk_write {
    char path[1024]; /* of the status, with its query */
    char *body;      /* the caller's */
    char id[640];
};

/* How many nodes have told anything, and how many of them have all that the store has. */
void fence_desk_count(const struct fence_desk *desk, size_t *ret_nodes, size_t *ret_current);

/*
 * The next status that differs from what is there; false when there is none now. Texts alone are
 * written every FENCE_DESK_WORDS_NS of a policy, and that nodes lag behind after
 * FENCE_DESK_FRESH_NS. After it the policy waits for the answer.
 */
#define FENCE_DESK_FRESH_NS 3000000000ull
#define FENCE_DESK_WORDS_NS 5000000000ull
bool fence_desk_next(struct fence_desk *desk, uint64_t now_ns, int64_t now_s,
                     struct fence_desk_write *ret_write);
/* It has been answered; nothing more of it before `again_ns`. What the answer says is there is told
 * by fence_desk_object before. */
void fence_desk_answered(struct fence_desk *desk, const char *id, uint64_t again_ns);
/* Which kind is it? FENCE_DESK_KINDS: none that has a status. */
enum fence_desk_kind fence_desk_kind_of(const char *id);

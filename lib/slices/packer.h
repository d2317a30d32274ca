/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods and nodes of a cluster, packed into address slices, and which of these are to be written: no
 * network, no time. A pod or node stays in its slice as long as it is there. What slices the API
 * server has already, of an earlier writer, is taken over: what is right is not written again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

/* An event carries a whole slice: so few, so that it is small. */
#define FENCE_SLICE_ENTRIES   16u
#define FENCE_SLICE_BYTES     (64u << 10)
/* What is larger by itself is left out, and told. */
#define FENCE_SLICE_ENTRY_MAX (256u << 10)

#define FENCE_SLICE_COMPLETE "podfence-complete"

struct fence_packer; /* opaque */

/* `seed`: of the names of new slices. NULL without memory. */
struct fence_packer *fence_packer_new(uint64_t seed);
void fence_packer_free(struct fence_packer **packer);

enum fence_packer_kind {
    FENCE_PACKER_POD,
    FENCE_PACKER_NODE,
    FENCE_PACKER_SLICE, /* what the API server has */
    FENCE_PACKER_KINDS,
};

/* One that is there, or is gone. -ENOMEM; what has no name is passed over. */
int fence_packer_object(struct fence_packer *packer, enum fence_packer_kind kind,
                        const cJSON *object);
int fence_packer_deleted(struct fence_packer *packer, enum fence_packer_kind kind,
                         const cJSON *object);
/* Of a list: what is not told between the two is gone. */
void fence_packer_begin(struct fence_packer *packer, enum fence_packer_kind kind);
void fence_packer_end(struct fence_packer *packer, enum fence_packer_kind kind);
/* All three kinds have been listed: nothing is packed before. -ENOMEM. */
int fence_packer_start(struct fence_packer *packer);

struct fence_packer_write {
    const char *method; /* "POST", "PUT", "DELETE" */
    char name[80];
    char *body; /* the caller's; NULL for DELETE */
};

/* A slice that differs from what the API server has, and is not on its way; false when there is
 * none (or no memory) at `now_ns`. It is on its way now. */
bool fence_packer_next(struct fence_packer *packer, uint64_t now_ns,
                       struct fence_packer_write *ret_write);
enum fence_packer_answer {
    FENCE_PACKER_WRITTEN,
    FENCE_PACKER_NOT_WRITTEN, /* this time */
    FENCE_PACKER_REFUSED, /* as it is: nothing waits for it, it is tried at once if it changes */
};

/*
 * It has been answered. `version` is the new resourceVersion ("" after DELETE, or if it was not
 * written: then it is tried again, with what the watch says by then, not before `again_ns`).
 */
void fence_packer_answered(struct fence_packer *packer, const char *name,
                           enum fence_packer_answer answer, const char *version, uint64_t again_ns);

struct fence_packer_count {
    size_t pods, nodes; /* that are in slices */
    size_t slices;
    size_t pending;   /* slices that are to be written or are on their way */
    size_t refused;   /* of these, with what is in them now */
    size_t too_large; /* pods and nodes that are left out */
    bool complete;    /* the API server has podfence-complete */
};
void fence_packer_count(const struct fence_packer *packer, struct fence_packer_count *ret_count);

/* SPDX-License-Identifier: Apache-2.0 */
/* Private to inforce: inforce.c keeps the records, inforce_wait.c answers those that wait,
 * inforce_show.c makes JSON. */
#pragma once

#define HASH_NONFATAL_OOM 1 /* a policy without a record is enforced all the same */
#include <uthash.h>

#include "cni/daemon/inforce.h"
#include "lib/objects/model.h"

/* Times are milliseconds since 1970, 0 = not yet. */
struct fence_inforce_policy {
    char *id;
    enum fence_kind kind;
    const char *namespace_name; /* these two are behind the id */
    const char *name;
    uint64_t content;
    int64_t seen_ms;
    int64_t compiled_ms;
    int64_t in_force_ms;
    uint64_t seen_ns;                  /* boot time */
    bool waiting;                      /* in the list of those that are not in force */
    bool gone;                         /* from the store */
    struct fence_inforce_policy *next; /* of those that wait */
    UT_hash_handle hh;
};

struct fence_inforce_endpoint {
    uint64_t created_ns; /* tells a reused index apart */
    uint32_t ifindex;
    uint32_t set;
    uint32_t flags;   /* enum fence_endpoint_flag, of those that change what is enforced */
    int64_t since_ms; /* that they are as they are; since the daemon's start at the earliest */
};

/* NULL when there is none. */
struct fence_inforce_policy *inforce_find(const struct fence_inforce *inforce, const char *id);

/* The policy in the store; NULL when it has gone. */
const struct fence_object *inforce_object(const struct fence_daemon *daemon,
                                          const struct fence_inforce_policy *record);

/* Why one that waits is not in force yet. */
const char *inforce_why(const struct fence_daemon *daemon,
                        const struct fence_inforce_policy *record, char *text, size_t size);

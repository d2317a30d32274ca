/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Since when is what in force? For each policy: when it was seen, when it was compiled, when it was
 * in force on every endpoint of this node that it selects. A record for each policy in the store,
 * and one for each that has gone but is still in the maps; only records that are not in force yet
 * are looked at when something is applied.
 *
 * Whoever waits for a policy (FENCE_WAITERS_MAX clients) is answered at the end of the turn in
 * which it got in force, was refused, or the time was over.
 *
 * `histogram` counts the seconds from seen to in force of every new, changed and removed policy;
 * those that the first apply since the start brings are left out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "cni/daemon/loop.h"
#include "lib/base/err.h"
#include "lib/base/histogram.h"

struct fence_daemon;
struct fence_client;
struct fence_inforce_policy;
struct fence_inforce_endpoint;

#define FENCE_WAITERS_MAX   64u
#define FENCE_WAIT_NAME_MAX 512u

struct fence_inforce {
    struct fence_inforce_policy *policies; /* uthash, by id */
    struct fence_inforce_policy *waiting;  /* those that are not in force yet */
    size_t waiting_count;
    struct fence_inforce_endpoint *endpoints;
    size_t endpoint_count;
    struct fence_histogram histogram; /* seconds from seen to in force */
    struct fence_timer deadline;      /* of the first of those that wait */
    size_t waiters;
    bool changed; /* since those that wait were last looked at */
    bool begun;   /* something has been applied since the start */
};

int fence_inforce_init(struct fence_daemon *daemon, struct fence_err *err);
void fence_inforce_done(struct fence_daemon *daemon);

/* The store has changed, or its problems; `noticed_ns` (boot time) is when that was first noticed,
 * 0 = now. */
void fence_inforce_seen(struct fence_daemon *daemon, uint64_t noticed_ns);
/* The plan has what the store has. */
void fence_inforce_compiled(struct fence_daemon *daemon);
/* So have the maps, but for what the report of the apply says. */
void fence_inforce_applied(struct fence_daemon *daemon);

/* Add seenAt, compiledAt, inForceSince, generation and content of the policy `id`. False when it is
 * not in force yet; then `why` is added, too. */
bool fence_inforce_add(const struct fence_daemon *daemon, const char *id, cJSON *policy);

/* "inForce" of status: the histogram, and how many policies are not in force yet. */
void fence_inforce_add_status(cJSON *status, const struct fence_daemon *daemon);

/* ---- waiting -------------------------------------------------------------------------------- */

/* What a client waits for. */
struct fence_inforce_wait {
    char policy[FENCE_WAIT_NAME_MAX]; /* Kind/namespace/name, or the end of it behind a '/' */
    uint64_t content;                 /* of the version that is meant; 0 = whatever it is */
    int64_t generation;               /* at least this one; 0 = whatever it is */
    uint64_t deadline_ns;             /* boot time */
    /* The answer: result 0 = in force, with the policy's id; or why not. */
    void (*answer)(struct fence_client *client, const struct fence_inforce_wait *wait, int result,
                   const char *text);
};

/* Let the client wait; a copy is kept. -EBUSY when FENCE_WAITERS_MAX do, -ENOMEM. */
int fence_inforce_wait(struct fence_client *client, const struct fence_inforce_wait *wait);
/* The client goes. */
void fence_inforce_forget(struct fence_client *client);
/* End of a turn. */
void fence_inforce_answer_waiters(struct fence_daemon *daemon);

/* The socket's operations wait and endpoints. */
void fence_inforce_handle_wait(struct fence_client *client, const cJSON *request);
void fence_inforce_handle_endpoints(struct fence_client *client, const cJSON *request);

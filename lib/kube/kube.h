/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client: every kind listed, then watched, for ever, whatever the server and the network do.
 * What it hands over is what a clean list would give at some moment: it never tells that an object
 * is gone because a list or a watch broke off.
 *
 * One reflector a kind (reflector.h): list (streaming where the server can) -> watch -> on the end
 * watch again from the last version; 410 -> list again; 401 -> token read again; 403, 404 -> that
 * kind alone again, slowly; 429, 5xx, the network -> again after Retry-After or exponential backoff
 * with jitter.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/kube/config.h"

struct fence_kube; /* opaque */

/* What is asked for. All strings stay the caller's, for ever. */
struct fence_kube_resource {
    const char *kind;     /* "NetworkPolicy" */
    const char *version;  /* "networking.k8s.io/v1"; "v1" is the core group */
    const char *plural;   /* "networkpolicies" */
    const char *selector; /* encoded query, "labelSelector=a%3Db" or "fieldSelector=..."; "" */
};

struct fence_kube_ops {
    /* One that is there, from a list or a watch. `json` is ended by NUL and the callee may write
     * into it. Below 0 only for -ENOMEM: the kind is listed again later. */
    int (*object)(void *context, unsigned int resource, char *json, size_t size,
                  struct fence_err *err);
    /* One that is gone: its last state. */
    int (*deleted)(void *context, unsigned int resource, char *json, size_t size,
                   struct fence_err *err);
    /* A list begins: what is not told as an object until its end is gone. If it breaks off, `ended`
     * is not called, and another `begun` is. */
    void (*begun)(void *context, unsigned int resource);
    int (*ended)(void *context, unsigned int resource, struct fence_err *err);
    /* At the end of fence_kube_handle, if anything of the above was called in it. */
    void (*settled)(void *context);
};

/* What it copies nothing of, but for the first. */
struct fence_kube_options {
    const char *user_agent;
    const struct fence_kube_resource *resources;
    unsigned int count; /* of them */
    const struct fence_kube_ops *ops;
    void *context;
    unsigned int silence_ms; /* a watch without a byte for so long hangs; 0: 100 s, as bookmarks
                                come about once a minute */
};

int fence_kube_new(const struct fence_kube_config *config, const struct fence_kube_options *options,
                   struct fence_kube **ret_kube, struct fence_err *err);
void fence_kube_free(struct fence_kube **kube);

/* Poll this for reading, then call fence_kube_handle: timers and sockets behind one descriptor. */
int fence_kube_fd(const struct fence_kube *kube);
void fence_kube_handle(struct fence_kube *kube);

enum fence_kube_phase {
    FENCE_KUBE_LISTING,
    FENCE_KUBE_WATCHING,
    FENCE_KUBE_WAITING, /* to try again */
    FENCE_KUBE_ABSENT,  /* 404: the kind is not installed; asked again slowly */
    FENCE_KUBE_REFUSED, /* 401 or 403: no right; asked again slowly */
    FENCE_KUBE_PHASES,
};
const char *fence_kube_phase_name(enum fence_kube_phase phase);

/* Of one kind, for status and metrics. */
struct fence_kube_state {
    enum fence_kube_phase phase;
    bool listed;          /* a whole list has come since the start */
    const char *problem;  /* why it waits; "" when nothing is wrong */
    long status;          /* HTTP status of the last answer; 0: none to the last request yet */
    const char *version;  /* the last resourceVersion; "" before the first list */
    uint64_t retry_at_ns; /* boot time of the next try, 0 when none is set */
    uint64_t heard_ns;    /* boot time of the last byte, 0 = never */
    uint64_t lists;       /* begun */
    uint64_t watches;     /* begun */
    uint64_t events;      /* of watches */
    uint64_t bytes;       /* received */
    uint64_t failures;
    bool streaming; /* the list came as a watch (sendInitialEvents) */
};
/* Valid until the next call. */
void fence_kube_state(const struct fence_kube *kube, unsigned int resource,
                      struct fence_kube_state *ret_state);
unsigned int fence_kube_connections(const struct fence_kube *kube);

/*
 * For requests of one's own (call.h, lease.h) over the same connection: they end inside
 * fence_kube_handle. Valid as long as the client.
 */
struct fence_reflector_world;
const struct fence_reflector_world *fence_kube_world(const struct fence_kube *kube);

/* SPDX-License-Identifier: Apache-2.0 */
/* Private to adopt*.c: one pass. */
#pragma once

#include "cni/daemon/adopt.h"
#include "cni/daemon/daemon.h"
#include "lib/cni/cache.h"
#include "lib/net/pods.h"

enum adopt_state {
    ADOPT_UNSEEN, /* its namespace is not here; its Pod object may lead to it */
    ADOPT_FOUND,  /* `link` is its host end */
    ADOPT_DONE,   /* enrolled, listed, or nobody's business */
};

/* What a file of the cache says, and what the kernel says to it. */
struct adopt_candidate {
    char *path;
    struct fence_cni_cached cached;
    struct fence_pod_link link;
    enum adopt_state state;
    bool rival;     /* other files lead to the same interface */
    bool confirmed; /* and it has the addresses of this one */
};

struct adopt_pass {
    struct fence_daemon *daemon;
    struct fence_endpoint_list endpoints; /* from before the pass */
    struct adopt_candidate *items;
    size_t count;
    size_t capacity;
    struct fence_seen_pods seen; /* see adopt_see */
    bool saw;
    bool locked;                      /* the lock could not be had */
    struct fence_unadopted_list list; /* the next one */
    size_t passed_over;
    size_t gone;
};

/* The folders of the cache, read into candidates, and enrolled as far as they can be. */
void adopt_from_cache(struct adopt_pass *pass);

/* This node's Pod objects that are no endpoint; what they are called as a source. */
#define ADOPT_POD_SOURCE "Pod/"
void adopt_from_pods(struct adopt_pass *pass);

/* The live Pod object of this node that has one of these addresses; NULL: none. */
const struct fence_object *adopt_pod_with(const struct adopt_pass *pass,
                                          const struct fence_addr *addrs, size_t count);

/* The one that the runtime's arguments name; NULL: none. */
const struct fence_object *adopt_pod_of(const struct adopt_pass *pass,
                                        const struct fence_cni_args *args);

/* What the node's own links show, listed once a pass; empty when that fails. */
const struct fence_seen_pods *adopt_see(struct adopt_pass *pass);

/* Lists it. `pod` may be NULL. */
void adopt_refuse(struct adopt_pass *pass, const char *source, const char *pod, const char *reason);

/* The same where no interface is left that could be open: listed when that lasts. */
void adopt_miss(struct adopt_pass *pass, const char *source, const char *pod, const char *reason);

/*
 * Enrol what `cached` says at the interface `link`; a failure is listed. What is seen for the first
 * time waits for the next pass.
 */
void adopt_enrol(struct adopt_pass *pass, const char *source, const struct fence_cni_cached *cached,
                 const struct fence_pod_link *link);

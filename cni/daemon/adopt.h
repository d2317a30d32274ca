/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods from before: every pod interface of this node that is no endpoint is put under enforcement
 * (late.h), at the start, when links have changed, and in every sweep.
 *
 * They are found by libcni's result cache (adopt_cache.c), whose words are checked with the kernel:
 * the host end is the peer of the interface in the pod's namespace. Where there is no cache, or its
 * namespaces are not to be seen, by the Pod objects of this node (adopt_pods.c): the address leads
 * to the interface, by a route for it alone, else because one pod interface has it and no other.
 *
 * What stays open is listed with its reason and tried again. Except at the start, what is seen for
 * the first time is left to the next pass: a DEL may be at work on it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cni/daemon/loop.h"
#include "lib/base/err.h"

struct fence_daemon;

enum fence_adopt_mode {
    FENCE_ADOPT_PODS,    /* pods' first interfaces, and all that podfence is in the chain of */
    FENCE_ADOPT_ALL,     /* whatever has an end on this node: containers too, any network */
    FENCE_ADOPT_CHAINED, /* what podfence is in the chain of */
    FENCE_ADOPT_OFF,
    FENCE_ADOPT_MODES,
};

/* "pods", "all", "chained", "off"; -EINVAL. */
int fence_adopt_mode_parse(const char *text, enum fence_adopt_mode *ret_mode);
const char *fence_adopt_mode_name(enum fence_adopt_mode mode);

/* Not enforced, although it should be. */
struct fence_unadopted {
    char *source; /* file of the cache, or Pod/NAMESPACE/NAME */
    char *pod;    /* NAMESPACE/NAME; "" = not known */
    char *reason;
    uint64_t since_ns; /* CLOCK_BOOTTIME, 0 = the start */
    bool fresh;        /* since a moment: not listed yet */
};

struct fence_unadopted_list {
    struct fence_unadopted *items;
    size_t count;
    size_t capacity;
};

/* Zeroed but for the timer = none. */
struct fence_adopt {
    struct fence_timer timer;
    struct fence_unadopted_list list; /* after the last pass */
    uint64_t adopted;                 /* since the start */
    size_t passed_over;               /* in the last pass: of networks that are nobody's business */
    size_t gone;                      /* in the last pass: files whose namespace is not here */
    bool passed;                      /* there was a pass */
    bool soon;                        /* the timer runs */
};

/* A step of the daemon's start, with the first pass in it. */
int fence_adopt_init(struct fence_daemon *daemon, struct fence_err *err);
void fence_adopt_done(struct fence_daemon *daemon);

/* One pass; sets daemon->dirty when there is something new. */
void fence_adopt_run(struct fence_daemon *daemon);

/* Links have changed: a pass before long. */
void fence_adopt_soon(struct fence_daemon *daemon);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps podfence installed (--install-cni): its binary and its entry in the chain that the runtime
 * uses. Flannel and Calico write their configuration again whenever they start; whatever changes in
 * either folder is looked at within a moment, and all of it once a minute. Somebody who undoes it
 * again and again wins for a while, and is reported. Nothing is taken away when the daemon ends.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cni/daemon/log.h"
#include "cni/daemon/loop.h"
#include "lib/install/install.h"

struct fence_daemon;

/* So many writes within a minute are a fight. */
#define FENCE_GUARD_WRITES 10

struct fence_guard {
    struct fence_install install; /* mode off: there is no guard */
    char *entry;
    char *plugin;

    struct fence_fd_watch watch; /* inotify */
    int conf_watch, bin_watch, dropin_watch;
    struct fence_timer soon, periodic;
    bool due;           /* `soon` is running */
    bool again;         /* and only because something was not there yet: an event is sooner */
    bool look_at_all;   /* the binary and the pins too */
    unsigned int looks; /* token bucket: looks that may follow at once */
    uint64_t looked_ns;

    uint64_t writes_ns[FENCE_GUARD_WRITES]; /* when the last ones were, CLOCK_BOOTTIME */
    uint64_t written, undone;               /* counts; undone: put back after somebody's change */
    uint64_t quiet_until_ns;                /* a fight is lost until then; 0 = there is none */
    int64_t written_at;                     /* seconds since 1970; 0 = never */

    struct fence_netd_effective effective; /* as of the last look */
    struct fence_install_report report;    /* of the last time that all was as it should be */
    bool binary_good;
    /* why not, "" where all is well; `waiting` is none of readiness's business */
    char binary[512], chain[512], pins[512], fight[512], waiting[512];
};

/* A step of the daemon's start, which also does the first look. */
int fence_guard_init(struct fence_daemon *daemon, struct fence_err *err);
void fence_guard_done(struct fence_daemon *daemon);

/* Each reason why pods may start without podfence. */
void fence_guard_reasons(const struct fence_guard *guard,
                         void (*visit)(void *context, enum fence_log_level level, const char *text),
                         void *context);

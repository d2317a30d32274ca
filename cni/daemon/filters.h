/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters of endpoints that somebody else removed or got ahead of: noticed within two seconds, put
 * back, counted and logged. What cannot be put back makes the daemon not ready. So with the pins of
 * maps and programs, without which the plugin can add no pod. The bridges that
 * they are ports of are looked at too.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "cni/daemon/loop.h"

struct fence_daemon;

struct fence_unfiltered {
    uint32_t ifindex;
    char text[512];
};

struct fence_filters {
    struct fence_timer timer;
    uint64_t restored;              /* since the start */
    uint64_t pins_restored;         /* since the start */
    char pins_problem[512];         /* why some pins are missing, "" = none is */
    struct fence_unfiltered *items; /* endpoints that are not filtered, in spite of all */
    size_t count;
    size_t capacity;
};

/* Check once, and from then on every two seconds. */
int fence_filters_init(struct fence_daemon *daemon, struct fence_err *err);
void fence_filters_done(struct fence_daemon *daemon);

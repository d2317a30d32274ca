/* SPDX-License-Identifier: Apache-2.0 */
/* Noticing that a folder may have changed: inotify, and a look every few seconds. */
#pragma once

#include <stdbool.h>

#include "lib/base/err.h"

struct fence_watch; /* opaque */

int fence_watch_new(const char *path, struct fence_watch **ret_watch, struct fence_err *err);
void fence_watch_free(struct fence_watch **watch);

/* Readable when fence_watch_drain has something to take in. */
int fence_watch_fd(const struct fence_watch *watch);

/* Watch what is at the path now: after the folder came, went or was replaced. */
void fence_watch_refresh(struct fence_watch *watch);

enum fence_watch_news {
    FENCE_WATCH_NOTHING,
    FENCE_WATCH_EVENT, /* something was touched, more may follow */
    FENCE_WATCH_TICK,  /* time to look, whatever the events say */
};
enum fence_watch_news fence_watch_drain(struct fence_watch *watch);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at the maps between two writes of lib/datapath. A program that wants it is linked with
 * writes.c and ld's --wrap for the functions in it.
 */
#pragma once

/* Called after each write or deletion that the kernel took; not for its own. */
struct writes_watcher {
    void (*wrote)(void *context, int fd); /* of the map */
    void *context;
};

/* NULL: nobody watches. */
void writes_watch(const struct writes_watcher *watcher);

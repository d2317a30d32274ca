/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Putting a file into a folder that a container runtime watches. Temporary file in the same folder,
 * so that containerd sees a rename (it passes over files that are moved in from elsewhere), named
 * .<name>.podfence.tmp.<pid>, which no runtime reads; fsync, rename, fsync of the folder. What is
 * replaced hands on its mode, owner and SELinux label. Whoever writes holds an flock on the folder,
 * so that every temporary file that is found under the lock is somebody's who was killed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/base/err.h"

#define FENCE_PLACE_LOCK_MS 1000

/* The folder, open and locked, or a negative errno; closing it gives the lock back. -ETIMEDOUT:
 * another installer is at work. Temporary files that were left behind are removed. */
int fence_place_open(const char *folder, struct fence_err *err);

struct fence_place_file {
    const char *name;
    const void *data;
    size_t size;
    mode_t mode;      /* of a new file */
    bool mode_always; /* and of one that is replaced */
    bool touch;       /* write it although it says the same already */
    /* a new file gets mode and label of this neighbour, and the owner if we may; may be NULL */
    const char *like;
};

/* 1: written, 0: is there already. */
int fence_place_write(int folder, const struct fence_place_file *file, struct fence_err *err);

/* Both sync the folder; what is not there is fine. */
int fence_place_remove(int folder, const char *name, struct fence_err *err);
int fence_place_rename(int folder, const char *from, const char *to, struct fence_err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a folder as they were last read. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "lib/base/hash.h"

/* By what a file is taken to be unchanged without reading it. */
struct fence_signature {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified;
    struct timespec changed;
};

/* A file of the folder as it was last read. */
struct fence_known {
    char *name;
    struct fence_signature signature;
    struct fence_hash content;
    bool settled; /* not touched just before it was read: the signature can be relied on */
    bool read;    /* `content` is what it held when it was last looked at */
    bool decoded; /* and it could be parsed */
    bool met;     /* it has been in the store, as read or as the state had it */
    bool saved;   /* what the store has of it is in the state folder */
    bool seen;    /* in the scan that is being worked off */
    UT_hash_handle hh;
};

/* A uthash by name, NULL when empty. */
struct fence_known *fence_known_find(struct fence_known *files, const char *name);
/* Made when it is new; NULL when out of memory. */
struct fence_known *fence_known_obtain(struct fence_known **files, const char *name);
void fence_known_drop(struct fence_known **files, struct fence_known *known);

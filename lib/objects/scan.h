/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the files of a folder, only those that are not known as they are. */
#pragma once

#include <sys/types.h>

#include "lib/base/hash.h"
#include "lib/objects/decode.h"
#include "lib/objects/unit.h"

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

enum fence_outcome {
    FENCE_FILE_UNCHANGED,
    FENCE_FILE_DECODED,
    FENCE_FILE_UNPARSED, /* read, but it does not parse: `problem` */
    FENCE_FILE_UNREAD,   /* `problem` */
};

struct fence_scanned {
    char *name;
    enum fence_outcome outcome;
    struct fence_decoded_list list;
    char *problem;
    struct fence_signature signature;
    struct fence_hash content;
    bool settled;
};

struct fence_scan {
    struct fence_scanned *items;
    size_t count;
    size_t capacity;
};

/* *.yaml, *.yml, *.json and no dot-file. */
bool fence_scan_is_wanted(const char *name);

/*
 * `known` is a uthash by name. -EAGAIN when ..data was swapped meanwhile, so that the files are not
 * of one version; -ENOMEM; else the errno of reading the folder.
 */
int fence_scan_folder(int fd, const struct fence_known *known, struct fence_scan *ret_scan,
                      struct fence_err *err);
void fence_scan_done(struct fence_scan *scan);

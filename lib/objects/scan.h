/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the files of a folder, only those that are not known as they are. */
#pragma once

#include "lib/objects/decode.h"
#include "lib/objects/known.h"

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
 * `known` is what was read before, NULL for nothing. -EAGAIN when ..data was swapped meanwhile, so
 * that the files are not of one version; -ENOMEM; else the errno of reading the folder.
 */
int fence_scan_folder(int fd, struct fence_known *known, struct fence_scan *ret_scan,
                      struct fence_err *err);
void fence_scan_done(struct fence_scan *scan);

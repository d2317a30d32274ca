/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods that were let start without a data path: the plugin leaves a file each in a folder beside
 * the socket (lib/api/README.md), here they are put under enforcement. They stay open until their
 * first resolution, and what they have open by then goes on as far as policy allows it.
 */
#pragma once

#include <stddef.h>

#include "lib/base/err.h"
#include "lib/datapath/endpoints.h"

struct fence_daemon;

/* A file whose pod is still not enforced. */
struct fence_unenforced_problem {
    char *file;
    char *text;
};

/* Zeroed = none. */
struct fence_unenforced {
    struct fence_unenforced_problem *problems;
    size_t count;
    size_t capacity;
};

/* A step of the daemon's start. */
int fence_unenforced_init(struct fence_daemon *daemon, struct fence_err *err);
void fence_unenforced_done(struct fence_unenforced *unenforced);

/* Read the folder and enrol what is in it; sets daemon->dirty when there is something new. */
void fence_unenforced_enrol(struct fence_daemon *daemon);

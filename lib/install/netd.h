/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folder of network configurations (/etc/cni/net.d) as container runtimes read it: of the files
 * that end in .conf, .conflist or .json the first by name that is valid. containerd loads nothing
 * at all when a file before it is not; CRI-O passes that one over.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"

/* Podfence's own list, a copy of the primary one with our entry. */
#define FENCE_NETD_OWNED  "00-podfence.conflist"
/* Podfence's entry in <folder>/<network>/, which libcni reads from 1.3 on. */
#define FENCE_NETD_DROPIN "podfence.conf"
/* Behind the name of a single configuration that a list of ours has taken the place of. */
#define FENCE_NETD_KEPT   ".podfence-kept"

#define FENCE_NETD_FILE_MAX (1u << 20)
#define FENCE_NETD_NAME_MAX 256

/* Names in the order of the runtimes. */
struct fence_netd_names {
    char **items;
    size_t count;
    size_t capacity;
};
int fence_netd_names(const char *folder, struct fence_netd_names *ret_names, struct fence_err *err);
void fence_netd_names_done(struct fence_netd_names *names);

/* Is it a single configuration, by its name? */
bool fence_netd_is_single(const char *name);

/* What pods are started with. */
struct fence_netd_effective {
    char file[FENCE_NETD_NAME_MAX]; /* "" = there is no valid one */
    char network[FENCE_NETD_NAME_MAX];
    char version[32];                 /* cniVersion, "" when absent */
    size_t plugins;                   /* those of the folder of drop-ins among them */
    size_t ours;                      /* how many of them are podfence's */
    int position;                     /* of podfence's first, from 0; -1 = it is not in the chain */
    bool dropin;                      /* and that one is a drop-in, which needs libcni 1.3 */
    bool wanted;                      /* it is there once and says what was asked for */
    char broken[FENCE_NETD_NAME_MAX]; /* an invalid file before it, "" = none; why, below */
    char why[256];
};

/*
 * `entry` (JSON; NULL: whatever it says) is what podfence's entry should be. No valid file is no
 * error; -ENOENT: no such folder.
 */
int fence_netd_effective(const char *folder, const char *entry,
                         struct fence_netd_effective *ret_effective, struct fence_err *err);

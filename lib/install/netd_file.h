/* SPDX-License-Identifier: Apache-2.0 */
/* The files of the folder of network configurations, one by one; inside this library. */
#pragma once

#include "lib/cni/chain.h"
#include "lib/install/netd.h"

/* One file, read and understood. */
struct fence_netd_file {
    char name[FENCE_NETD_NAME_MAX];
    char *text; /* owned */
    struct fence_chain chain;
};
int fence_netd_load(const char *folder, const char *name, struct fence_netd_file *ret_file,
                    struct fence_err *err);
/* The same of a single configuration, whatever its name ends in. */
int fence_netd_load_single(const char *folder, const char *name, struct fence_netd_file *ret_file,
                           struct fence_err *err);
void fence_netd_file_done(struct fence_netd_file *file);

/* Is the list, but for podfence's entry, what the single configuration becomes in one? */
bool fence_netd_is_made_of(const struct fence_netd_file *list,
                           const struct fence_netd_file *single);

/*
 * The main CNI's own configuration: the first valid one that is neither podfence's nor podman's or
 * nerdctl's. -ENOENT: none; -EAGAIN: a file that sorts before it was written moments ago and is not
 * whole: it may be about to become it.
 */
int fence_netd_primary(const char *folder, struct fence_netd_file *ret_file, struct fence_err *err);

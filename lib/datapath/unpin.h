/* SPDX-License-Identifier: Apache-2.0 */
/* Taking the data path off the node, whatever layouts of it are pinned: for `podfencectl
 * uninstall`. */
#pragma once

#include <stddef.h>

#include <linux/types.h>

#include "lib/base/err.h"

/*
 * Detach ours from `devices` of this namespace and from whatever else a pinned link is at. Pods are
 * open from then on, with what they have open. Goes on after an error and returns the first.
 */
int fence_unpin_filters(const char *bpffs, const __u32 *devices, size_t count,
                        struct fence_err *err);

/* Remove every pin and the folders that were made for them; what is not there is fine. */
int fence_unpin(const char *bpffs, struct fence_err *err);

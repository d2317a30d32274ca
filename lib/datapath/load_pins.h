/* SPDX-License-Identifier: Apache-2.0 */
/* Folders and pins under a BPF file system, for load.c. */
#pragma once

#include <stddef.h>

#include "lib/datapath/pins.h"

/* <bpffs>/v<N> with its folders, into `root`. -EMEDIUMTYPE: not on a BPF file system. */
int fence_load_folders(const char *bpffs, char *root, size_t root_size, struct fence_err *err);

/* Replaces what has the name, so that at any moment one of both is found there. */
int fence_load_replace_pin(int fd, const char *root, const char *folder, const char *name,
                           struct fence_err *err);

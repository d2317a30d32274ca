/* SPDX-License-Identifier: Apache-2.0 */
/* Facts about a loaded program. Inside lib/datapath. */
#pragma once

#include <stdbool.h>

#include <linux/types.h>

int fence_prog_id(int fd, __u32 *ret_id);

/* Same instructions over the same maps. */
int fence_progs_equal(int fd, int other_fd, bool *ret_equal);

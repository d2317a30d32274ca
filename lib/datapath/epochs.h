/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling the kernel that what it keeps of the maps is out of date (bpf/pair.bpf.h). Raise after
 * every write to a map that judgements come from: it costs no system call.
 */
#pragma once

#include "lib/datapath/pins.h"

/* The counters of an `epochs` map in shared memory; fence_epochs_unmap gives them back. -errno. */
int fence_epochs_map(int fd, struct fence_epochs **ret_epochs);
void fence_epochs_unmap(struct fence_epochs **epochs);

/* Everything that is kept. */
void fence_epoch_raise(const struct fence_pins *pins);
/* What is kept of such an address: one in FENCE_EPOCH_BUCKETS. */
void fence_epoch_raise_address(const struct fence_pins *pins, const struct fence_addr *addr);

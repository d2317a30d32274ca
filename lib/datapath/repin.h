/* SPDX-License-Identifier: Apache-2.0 */
/* Pins that somebody has removed from under a running daemon. */
#pragma once

#include <stddef.h>

#include "lib/datapath/pins.h"

/*
 * Pin every map and program again whose pin under `bpffs` has gone, from the open descriptors.
 * Returns how many; `ret_first` names the first, "maps/policies". What cannot be pinned ends it
 * with a negative errno.
 */
int fence_pins_restore(const struct fence_pins *pins, const char *bpffs, char ret_first[64],
                       struct fence_err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by reconciler.c and reconciler_compare.c. */
#pragma once

#include "lib/datapath/pins.h"
#include "test/policy/engine.h"

struct reconciler {
    char folder[64];
    struct fence_pins pins;
    struct fence_apply *apply;
    struct engine engine;
    struct fence_local *locals; /* as the compiler was given them */
    size_t local_count;
    uint64_t created; /* serial of endpoints */
};

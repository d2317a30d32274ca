/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by reconciler.c and reconciler_compare.c. */
#pragma once

#include "lib/datapath/pins.h"
#include "lib/policy/compile.h"

struct reconciler {
    char folder[64];
    struct fence_pins pins;
    struct fence_apply *apply;
    struct fence_compiler *compiler;
    struct fence_world world;   /* the one it has followed to */
    struct fence_local *locals; /* as the compiler was given them */
    size_t local_count;
    uint64_t created;
    bool plan_is_closed; /* failures of sets are expected */
};

/* SPDX-License-Identifier: Apache-2.0 */
/* How older layouts are read. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/datapath/endpoints.h"
#include "lib/datapath/pins.h"

#define FENCE_CARRIED_MAX 8

/* Sizes of values guard against a layout that was changed unnoticed. */
struct fence_layout_reader {
    unsigned int layout;
    bool moves; /* its connections lie in other places: they are copied, not carried */
    size_t endpoint_size;
    size_t info_size;
    int (*endpoints)(const struct fence_pins *old, struct fence_endpoint_list *ret_list,
                     struct fence_err *err);
    int (*leftover)(const struct fence_pins *old, struct fence_endpoint_list *ret_list,
                    struct fence_err *err);
    int (*settings)(const struct fence_pins *old, struct fence_settings *ret_settings);
    enum fence_map carried[FENCE_CARRIED_MAX];
    size_t carried_count;
};

/* NULL: nobody takes over from it. */
const struct fence_layout_reader *fence_layout_reader_find(unsigned int layout);

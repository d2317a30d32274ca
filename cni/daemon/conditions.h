/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong at the moment, logged once when it appears and once when it is gone. */
#pragma once

#include <stddef.h>

#include "cni/daemon/log.h"

struct fence_condition {
    enum fence_log_level level;
    char *text;
};

struct fence_condition_list {
    struct fence_condition *items;
    size_t count;
    size_t capacity;
};

/* Zeroed = none. */
struct fence_conditions {
    struct fence_condition_list known; /* sorted */
    struct fence_condition_list named; /* since begin */
};

/* Between begin and end, everything that is wrong now is named. */
void fence_conditions_begin(struct fence_conditions *conditions);
__attribute__((format(printf, 3, 4))) void fence_conditions_add(struct fence_conditions *conditions,
                                                                enum fence_log_level level,
                                                                const char *format, ...);
void fence_conditions_end(struct fence_conditions *conditions);
void fence_conditions_done(struct fence_conditions *conditions);

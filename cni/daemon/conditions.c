/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/conditions.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define TEXT_MAX 1536

struct fence_condition {
    UT_hash_handle hh;
    unsigned int round; /* the last one that named it */
    char text[];
};

void fence_conditions_begin(struct fence_conditions *conditions)
{
    conditions->round++;
}

static void appear(struct fence_conditions *conditions, enum fence_log_level level,
                   const char *text)
{
    size_t size = strlen(text) + 1;
    struct fence_condition *condition = malloc(sizeof(*condition) + size);

    fence_log(level, "%s", text);
    /* without memory it is said again next time */
    if (!condition)
        return;
    condition->round = conditions->round;
    memcpy(condition->text, text, size);
    HASH_ADD_KEYPTR(hh, conditions->table, condition->text, size - 1, condition);
}

void fence_conditions_add(struct fence_conditions *conditions, enum fence_log_level level,
                          const char *format, ...)
{
    struct fence_condition *known = NULL;
    char text[TEXT_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    HASH_FIND(hh, conditions->table, text, strlen(text), known);
    if (known)
        known->round = conditions->round;
    else
        appear(conditions, level, text);
}

static void remove_unless(struct fence_conditions *conditions, unsigned int round)
{
    struct fence_condition *condition, *next;

    HASH_ITER (hh, conditions->table, condition, next) {
        if (round && condition->round == round)
            continue;
        if (round)
            fence_log(FENCE_LOG_INFO, "no longer: %s", condition->text);
        HASH_DEL(conditions->table, condition);
        free(condition);
    }
}

void fence_conditions_end(struct fence_conditions *conditions)
{
    remove_unless(conditions, conditions->round);
}

void fence_conditions_done(struct fence_conditions *conditions)
{
    remove_unless(conditions, 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/conditions.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"

#define TEXT_MAX 1536

static void clear(struct fence_condition_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].text);
    free(list->items);
    *list = (struct fence_condition_list){0};
}

void fence_conditions_begin(struct fence_conditions *conditions)
{
    clear(&conditions->named);
}

void fence_conditions_add(struct fence_conditions *conditions, enum fence_log_level level,
                          const char *format, ...)
{
    struct fence_condition_list *named = &conditions->named;
    char text[TEXT_MAX];
    va_list args;
    char *copy;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    copy = strdup(text);
    if (!copy || FENCE_GROW(named->items, named->capacity, named->count) < 0) {
        free(copy);
        fence_log(level, "%s", text);
        return;
    }
    named->items[named->count++] = (struct fence_condition){.level = level, .text = copy};
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct fence_condition *)a)->text,
                  ((const struct fence_condition *)b)->text);
}

static bool holds(const struct fence_condition_list *list, const struct fence_condition *wanted)
{
    return list->count && bsearch(wanted, list->items, list->count, sizeof(*wanted), compare);
}

void fence_conditions_end(struct fence_conditions *conditions)
{
    struct fence_condition_list *known = &conditions->known, *named = &conditions->named;

    if (named->count)
        qsort(named->items, named->count, sizeof(*named->items), compare);
    for (size_t i = 0; i < known->count; i++)
        if (!holds(named, &known->items[i]))
            fence_log(known->items[i].level == FENCE_LOG_DEBUG ? FENCE_LOG_DEBUG : FENCE_LOG_INFO,
                      "no longer: %s", known->items[i].text);
    for (size_t i = 0; i < named->count; i++)
        if (!holds(known, &named->items[i]))
            fence_log(named->items[i].level, "%s", named->items[i].text);
    clear(known);
    *known = *named;
    *named = (struct fence_condition_list){0};
}

void fence_conditions_done(struct fence_conditions *conditions)
{
    clear(&conditions->known);
    clear(&conditions->named);
}

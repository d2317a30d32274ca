/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects go into units by the hash of their names, and all of a unit is worked out anew when one
 * of them changes. So there are about as many units as some ten objects each need in a large
 * cluster.
 *
 * What a list tells counts at its end, unit by unit: the units' objects of before are the last good
 * ones until then, and a list that breaks off leaves no trace. Of an object that is in force as the
 * list has it, nothing is kept but the hash of its name.
 */
#include "lib/objects/live.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/objects/live_internal.h"

#define PATH_TEXT  320u
#define POD_BITS   12u /* 4,096 units */
#define OTHER_BITS 10u
#define NAME_MAX_  256u
/* A list with so many changes leaves memory behind that is worth giving back. */
#define TRIM_FROM  1000u

static int no_memory(struct fence_err *err)
{
    return fence_err_set(err, -ENOMEM, "out of memory");
}

int fence_live_new(struct fence_store *store, unsigned int order, const char *name,
                   struct fence_live **ret_live, struct fence_err *err)
{
    struct fence_live *live;

    if (strlen(name) > NAME_MAX_)
        return fence_err_set(err, -EINVAL, "the name of a source has at most %u characters",
                             NAME_MAX_);
    live = calloc(1, sizeof(*live));
    if (!live)
        return no_memory(err);
    live->store = store;
    live->order = order;
    live->name = strdup(name);
    if (!live->name) {
        free(live);
        return no_memory(err);
    }
    *ret_live = live;
    return 0;
}

void fence_live_free(struct fence_live **live)
{
    struct fence_live *gone = *live;

    if (!gone)
        return;
    for (unsigned int kind = 0; kind < FENCE_OBJECT_KINDS; kind++)
        fence_live_list_done(&gone->kinds[kind].list);
    fence_live_units_done(&gone->config_maps);
    fence_live_units_done(&gone->slices);
    free(gone->trusted);
    free(gone->own_node);
    free(gone->name);
    free(gone);
    *live = NULL;
}

/* ---- what cannot be read -------------------------------------------------------------------- */

static void path_of_kind(const struct fence_live *live, const char *kind, char path[PATH_TEXT])
{
    snprintf(path, PATH_TEXT, "%s/%s", live->name, kind);
}

int fence_live_unreadable(struct fence_live *live, const char *kind, const struct fence_err *reason,
                          struct fence_err *err)
{
    char path[PATH_TEXT], text[FENCE_ERR_MAX + 64];

    path_of_kind(live, kind, path);
    snprintf(text, sizeof(text), "a %s cannot be read: %s", kind, reason->text);
    return fence_store_broken(live->store, live->order, path, text) < 0 ? no_memory(err) : 0;
}

int fence_live_readable(struct fence_live *live, const char *kind, struct fence_err *err)
{
    char path[PATH_TEXT];

    path_of_kind(live, kind, path);
    return fence_store_remove(live->store, path) < 0 ? no_memory(err) : 0;
}

/* ---- units ---------------------------------------------------------------------------------- */

static unsigned int bits_of(enum fence_kind kind)
{
    return kind == FENCE_OBJECT_POD ? POD_BITS : OTHER_BITS;
}

/* The highest bits, so that names in their order are units in theirs. */
static unsigned int number_of(enum fence_kind kind, uint64_t name)
{
    return (unsigned int)(name >> (64 - bits_of(kind)));
}

static void path_of_unit(const struct fence_live *live, enum fence_kind kind, unsigned int number,
                         char path[PATH_TEXT])
{
    snprintf(path, PATH_TEXT, "%s/%s/%03x", live->name, fence_kind_name(kind), number);
}

/* Put `list` into a unit. */
static int update(struct fence_live *live, enum fence_kind kind, unsigned int number,
                  struct fence_decoded_list *list, const struct fence_store_rest *rest)
{
    char path[PATH_TEXT];
    struct fence_store_part part = {.order = live->order, .unit = path, .source = live->name};

    path_of_unit(live, kind, number, path);
    return fence_store_update(live->store, &part, list, rest, NULL);
}

/* ---- one object ----------------------------------------------------------------------------- */

/* At once: all others stay. */
static int take_now(struct fence_live *live, enum fence_kind kind, uint64_t name,
                    struct fence_decoded *decoded)
{
    static const struct fence_store_rest all = {0};
    struct fence_decoded_list list = {.items = decoded, .count = 1};

    return update(live, kind, number_of(kind, name), &list, &all);
}

/* At the end of the list, unless it is as it was. */
static int take_later(struct fence_live *live, enum fence_kind kind, uint64_t name,
                      struct fence_decoded *decoded)
{
    struct fence_live_list *list = &live->kinds[kind].list;
    char path[PATH_TEXT];

    path_of_unit(live, kind, number_of(kind, name), path);
    if (!decoded->warning && !fence_live_list_waits(list, name) &&
        fence_store_has(live->store, path, decoded))
        return fence_live_list_tell(list, name);
    return fence_live_list_keep(list, name, decoded);
}

static int take(struct fence_live *live, enum fence_kind kind, struct fence_decoded *decoded,
                struct fence_err *err)
{
    FENCE_FREE char *id = fence_decoded_id(decoded);
    uint64_t name;
    int r;

    if (!id)
        return no_memory(err);
    name = fence_live_name(id);
    r = live->kinds[kind].begun ? take_later(live, kind, name, decoded)
                                : take_now(live, kind, name, decoded);
    return r < 0 ? no_memory(err) : r;
}

typedef int decode_fn(enum fence_kind kind, const struct fence_json *json,
                      struct fence_decoded *ret_decoded, struct fence_err *err);

static int decode_and_take(struct fence_live *live, enum fence_kind kind,
                           const struct fence_json *json, decode_fn *decode, struct fence_err *err)
{
    struct fence_decoded decoded = {0};
    struct fence_err reason;
    bool missed;
    int r = decode(kind, json, &decoded, &reason);

    missed = r < 0;
    if (r == -ENOMEM)
        r = no_memory(err);
    else if (r < 0)
        r = fence_live_unreadable(live, fence_kind_name(kind), &reason, err);
    else
        r = take(live, kind, &decoded, err);
    fence_decoded_done(&decoded);
    if (missed || r < 0)
        live->kinds[kind].incomplete = true;
    return r;
}

int fence_live_object(struct fence_live *live, enum fence_kind kind, char *json, size_t size,
                      struct fence_err *err)
{
    const struct fence_json text = {json, size};

    return decode_and_take(live, kind, &text, fence_decode_json, err);
}

int fence_live_deleted(struct fence_live *live, enum fence_kind kind, char *json, size_t size,
                       struct fence_err *err)
{
    const struct fence_json text = {json, size};

    return decode_and_take(live, kind, &text, fence_decode_gone, err);
}

/* ---- lists ---------------------------------------------------------------------------------- */

void fence_live_begin(struct fence_live *live, enum fence_kind kind)
{
    struct fence_live_kind *state = &live->kinds[kind];

    fence_live_list_done(&state->list);
    state->begun = true;
    state->incomplete = false;
}

static bool was_told(void *context, const char *id)
{
    const struct fence_live_list *list = context;

    return fence_live_list_told(list, fence_live_name(id));
}

/* How many from `at` on are of this unit. */
static size_t count_of_unit(const struct fence_live_list *list, enum fence_kind kind, size_t at,
                            unsigned int number)
{
    size_t count = 0;

    while (at + count < list->count && number_of(kind, list->items[at + count].name) == number)
        count++;
    return count;
}

/* Those from `at` on that are of this unit, and what of it the list did not have. */
static int end_unit(struct fence_live *live, enum fence_kind kind, unsigned int number, size_t *at)
{
    struct fence_live_kind *state = &live->kinds[kind];
    const struct fence_store_rest rest = {
        .stays = state->incomplete ? NULL : was_told,
        .context = &state->list,
    };
    size_t count = count_of_unit(&state->list, kind, *at, number);
    FENCE_FREE struct fence_decoded *items = calloc(count + 1, sizeof(*items));
    struct fence_decoded_list list = {.items = items, .count = count};
    int r;

    if (!items)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        items[i] = state->list.items[*at + i].decoded;
    r = update(live, kind, number, &list, &rest);
    /* objects that were taken are no longer there */
    for (size_t i = 0; i < count; i++)
        state->list.items[*at + i].decoded = items[i];
    *at += count;
    return r;
}

int fence_live_end(struct fence_live *live, enum fence_kind kind, struct fence_err *err)
{
    struct fence_live_kind *state = &live->kinds[kind];
    bool changed = false, many = state->list.count >= TRIM_FROM;
    size_t at = 0;
    int r = 0;

    if (!state->begun)
        return 0;
    fence_live_list_sort(&state->list);
    for (unsigned int number = 0; r >= 0 && number < 1u << bits_of(kind); number++) {
        r = end_unit(live, kind, number, &at);
        changed = changed || r > 0;
    }
    fence_live_list_done(&state->list);
    state->begun = false;
    if (many)
        malloc_trim(0);
    if (r < 0)
        return no_memory(err);
    if (!state->incomplete)
        r = fence_live_readable(live, fence_kind_name(kind), err);
    return r < 0 ? r : changed;
}

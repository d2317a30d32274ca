/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Units are sorted by (order, path) and each unit's entries by id. An index finds the entries of an
 * object in all units; the first of them is in force. So a change costs what its unit holds,
 * however large the rest is.
 *
 * What came into force and what was in force go into two lists as it happens, and
 * fence_store_changes makes pairs of them. Objects that may be in a list are freed by
 * fence_store_changes_done.
 *
 * Lists of what is in force are made when somebody asks. Their memory is reserved by the change, so
 * that asking cannot fail: one that came out empty for want of memory would mean "no policy".
 */
#include "lib/objects/store.h"

#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/objects/merge.h"
#include "lib/objects/moved.h"
#include "lib/objects/store_internal.h"

_Static_assert(FENCE_OBJECT_KINDS < 32, "a bit for every kind");

int fence_store_new(struct fence_store **ret_store)
{
    struct fence_store *store = calloc(1, sizeof(*store));

    if (!store)
        return -ENOMEM;
    *ret_store = store;
    return 0;
}

void fence_store_free(struct fence_store **store)
{
    struct fence_store *gone = *store;

    if (!gone)
        return;
    for (size_t i = 0; i < gone->unit_count; i++) {
        fence_unit_unlink(&gone->by_path, gone->units[i]);
        fence_unit_free(&gone->units[i]);
    }
    fence_moved_forget(gone);
    fence_store_free_retired(gone);
    fence_store_forget_texts(gone);
    fence_entry_index_done(&gone->index);
    free(gone->units);
    free(gone->came.items);
    free(gone->went.items);
    free(gone->retired.items);
    free(gone->changes);
    free(gone->objects);
    free(gone->problems);
    free(gone->conflict_texts);
    free(gone);
    *store = NULL;
}

/* ---- memory --------------------------------------------------------------------------------- */

int fence_store_resize(void **items, size_t count, size_t size)
{
    void *grown = reallocarray(*items, count, size);

    if (!grown)
        return -ENOMEM;
    *items = grown;
    return 0;
}

struct fence_store *fence_store_writable(const struct fence_store *store)
{
    union {
        const struct fence_store *given;
        struct fence_store *cache;
    } both = {.given = store};

    return both.cache;
}

/* Room for `total` entries in all units together. Memory that is not written to costs nothing. */
static int reserve_objects(struct fence_store *store, size_t total)
{
    size_t wanted = store->reserved * 2 > total ? store->reserved * 2 : total;

    if (total <= store->reserved)
        return 0;
    if (FENCE_RESIZE_POINTERS(store->objects, wanted) < 0)
        return -ENOMEM;
    store->reserved = wanted;
    return 0;
}

static int reserve_list(struct fence_object_list *list, size_t more)
{
    size_t total = list->count + more;
    size_t wanted = list->capacity * 2 > total ? list->capacity * 2 : total;

    if (total <= list->capacity)
        return 0;
    if (FENCE_RESIZE_POINTERS(list->items, wanted) < 0)
        return -ENOMEM;
    list->capacity = wanted;
    return 0;
}

/* For `unit` to have so many entries and notes, the others what they have. */
static int reserve(struct fence_store *store, const struct fence_unit *unit, size_t entries,
                   size_t notes)
{
    /* taking one out may bring another one into force, and the other way round */
    size_t moves = unit->count + entries;

    if (fence_entry_index_reserve(&store->index, entries) < 0 ||
        reserve_list(&store->came, moves) < 0 || reserve_list(&store->went, moves) < 0 ||
        reserve_list(&store->retired, unit->count) < 0 ||
        reserve_objects(store, store->entry_total - unit->count + entries) < 0)
        return -ENOMEM;
    return fence_store_reserve_problems(store, store->note_total - unit->note_count + notes);
}

/* ---- units ---------------------------------------------------------------------------------- */

/* Where the unit is, or would be. */
static size_t place_of(const struct fence_store *store, const struct fence_unit *unit)
{
    size_t low = 0, high = store->unit_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (fence_unit_compare(store->units[middle], unit) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void insert_unit(struct fence_store *store, struct fence_unit *unit)
{
    size_t at = place_of(store, unit);

    memmove(&store->units[at + 1], &store->units[at], (store->unit_count - at) * sizeof(void *));
    store->units[at] = unit;
    store->unit_count++;
}

/* The unit, made when it is new. */
static struct fence_unit *obtain_unit(struct fence_store *store,
                                      const struct fence_store_part *part)
{
    struct fence_unit *unit = fence_unit_find(store->by_path, part->unit);

    if (unit)
        return unit;
    if (fence_array_grow((void **)&store->units, &store->unit_capacity, store->unit_count,
                         sizeof(void *)) < 0)
        return NULL;
    unit = fence_unit_new(part->order, part->unit, part->source);
    if (!unit)
        return NULL;
    unit->second_hand = part->second_hand;
    if (fence_unit_link(&store->by_path, unit) < 0) {
        fence_unit_free(&unit);
        return NULL;
    }
    insert_unit(store, unit);
    return unit;
}

static int no_memory(struct fence_err *err)
{
    return fence_err_set(err, -ENOMEM, "out of memory");
}

/* ---- coming into force and going out of it; there is room ----------------------------------- */

static struct fence_object *first_of(const struct fence_store *store,
                                     const struct fence_entry_key *key)
{
    struct fence_entry *entry = fence_entry_index_find(&store->index, key);

    return entry ? entry->object : NULL;
}

static void list_object(struct fence_object_list *list, struct fence_object *object)
{
    if (!object->listed)
        list->items[list->count++] = object;
    object->listed = true;
}

static void switch_over(struct fence_store *store, struct fence_object *before,
                        struct fence_object *after)
{
    if (before == after)
        return;
    if (before) {
        before->in_force = false;
        store->count_of_kind[before->kind]--;
        if (before->told)
            list_object(&store->went, before);
    }
    if (after) {
        after->in_force = true;
        store->count_of_kind[after->kind]++;
        if (!after->told)
            list_object(&store->came, after);
    }
}

static void take_out(struct fence_store *store, struct fence_entry *entry)
{
    struct fence_entry_key key = fence_entry_key_of(entry->object);
    struct fence_object *before = first_of(store, &key);

    fence_entry_index_remove(&store->index, entry);
    switch_over(store, before, first_of(store, &key));
}

static void put_in(struct fence_store *store, struct fence_entry *entry)
{
    struct fence_entry_key key = fence_entry_key_of(entry->object);
    struct fence_object *before = first_of(store, &key);

    fence_entry_index_add(&store->index, entry);
    switch_over(store, before, first_of(store, &key));
}

static void retire(struct fence_store *store, struct fence_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (entries[i].object)
            store->retired.items[store->retired.count++] = entries[i].object;
}

static void commit(struct fence_store *store, struct fence_unit *unit, struct fence_merge *merge)
{
    struct fence_entry *old;
    size_t count;

    for (size_t i = 0; i < unit->count; i++)
        take_out(store, &unit->entries[i]);
    fence_merge_commit(merge, unit, &old, &count);
    for (size_t i = 0; i < unit->count; i++)
        put_in(store, &unit->entries[i]);
    retire(store, old, count);
    free(old);
}

/* Objects that do not count, since they are in another unit too. */
static bool has_hidden(const struct fence_store *store)
{
    size_t in_force = 0;

    for (unsigned int kind = 0; kind < FENCE_OBJECT_KINDS; kind++)
        in_force += store->count_of_kind[kind];
    return store->index.count > in_force;
}

/* What is wrong is worked out again only where that may have changed: a part of a source changes
 * all the time. */
static bool has_problems(const struct fence_store *store, const struct fence_unit *unit)
{
    return unit->note_count || unit->problem || has_hidden(store);
}

static int put_unit(struct fence_store *store, const struct fence_store_part *part,
                    struct fence_decoded_list *list, const struct fence_store_rest *rest,
                    struct fence_err *err)
{
    struct fence_unit *unit = obtain_unit(store, part);
    struct fence_entry *nothing;
    struct fence_merge merge;
    size_t none;
    bool changed;

    if (!unit || fence_merge_new(unit, list, rest, &merge) < 0)
        return no_memory(err);
    if (reserve(store, unit, merge.count, merge.note_count) < 0 ||
        fence_moved_note(store, unit, merge.gone, merge.gone_count) < 0) {
        fence_merge_done(&merge);
        return no_memory(err);
    }
    store->problems_old = store->problems_old || has_problems(store, unit);
    store->entry_total -= unit->count;
    store->note_total -= unit->note_count;
    changed = !merge.unchanged;
    if (changed)
        commit(store, unit, &merge);
    else
        fence_merge_commit(&merge, unit, &nothing, &none);
    store->entry_total += unit->count;
    store->note_total += unit->note_count;
    store->problems_old = store->problems_old || has_problems(store, unit);
    free(unit->problem);
    unit->problem = NULL;
    if (changed)
        store->listed = 0;
    return changed;
}

int fence_store_put(struct fence_store *store, unsigned int order, const char *unit,
                    struct fence_decoded_list *list, struct fence_err *err)
{
    const struct fence_store_part part = {.order = order, .unit = unit};

    return put_unit(store, &part, list, NULL, err);
}

int fence_store_update(struct fence_store *store, const struct fence_store_part *part,
                       struct fence_decoded_list *list, const struct fence_store_rest *rest,
                       struct fence_err *err)
{
    if (list->count == 0 && !fence_unit_find(store->by_path, part->unit))
        return 0;
    return put_unit(store, part, list, rest, err);
}

bool fence_store_has(const struct fence_store *store, const char *unit_path,
                     const struct fence_decoded *decoded)
{
    const struct fence_unit *unit = fence_unit_find(store->by_path, unit_path);
    const struct fence_object *object = decoded->object;
    const struct fence_entry *entry = NULL;

    if (unit && object) {
        const struct fence_entry_key key = fence_entry_key_of(object);

        entry = fence_entry_index_find_in(&store->index, &key, unit);
    }
    if (!entry || unit->note_count || entry->text != decoded->text)
        return false;
    return !fence_kind_is_policy(object->kind) ||
           entry->object->policy.generation == object->policy.generation;
}

int fence_store_restore(struct fence_store *store, unsigned int order, const char *unit,
                        struct fence_decoded_list *list, struct fence_err *err)
{
    return fence_store_put(store, order, unit, list, err);
}

int fence_store_broken(struct fence_store *store, unsigned int order, const char *unit_path,
                       const char *problem)
{
    const struct fence_store_part part = {.order = order, .unit = unit_path};
    struct fence_unit *unit = obtain_unit(store, &part);
    char *text = strdup(problem);

    if (!unit || !text || reserve(store, unit, unit->count, unit->note_count) < 0) {
        free(text);
        return -ENOMEM;
    }
    free(unit->problem);
    unit->problem = text;
    store->problems_old = true;
    return 0;
}

bool fence_store_has_objects(const struct fence_store *store, const char *unit_path)
{
    const struct fence_unit *unit = fence_unit_find(store->by_path, unit_path);

    return unit && unit->count > 0;
}

int fence_store_remove(struct fence_store *store, const char *unit_path)
{
    struct fence_unit *unit = fence_unit_find(store->by_path, unit_path);
    size_t at;
    bool changed;

    if (!unit)
        return 0;
    if (reserve(store, unit, 0, 0) < 0 || fence_moved_note(store, unit, NULL, unit->count) < 0)
        return -ENOMEM;
    at = place_of(store, unit);
    store->unit_count--;
    memmove(&store->units[at], &store->units[at + 1], (store->unit_count - at) * sizeof(void *));
    fence_unit_unlink(&store->by_path, unit);
    changed = unit->count > 0;
    store->entry_total -= unit->count;
    store->note_total -= unit->note_count;
    for (size_t i = 0; i < unit->count; i++)
        take_out(store, &unit->entries[i]);
    retire(store, unit->entries, unit->count);
    unit->count = 0;
    fence_unit_free(&unit);
    store->problems_old = true;
    if (changed)
        store->listed = 0;
    return changed;
}

char *fence_store_unit_json(const struct fence_store *store, const char *unit_path)
{
    const struct fence_unit *unit = fence_unit_find(store->by_path, unit_path);

    return unit ? fence_unit_json(unit) : NULL;
}

/* ---- what is in force ----------------------------------------------------------------------- */

static int compare_objects(const void *a, const void *b)
{
    return fence_object_compare(*(const struct fence_object *const *)a,
                                *(const struct fence_object *const *)b);
}

/* Where the objects of each kind begin in the list. */
static void find_places(const struct fence_store *store, size_t places[FENCE_OBJECT_KINDS + 1])
{
    places[0] = 0;
    for (unsigned int kind = 0; kind < FENCE_OBJECT_KINDS; kind++)
        places[kind + 1] = places[kind] + store->count_of_kind[kind];
}

/* List the objects of these kinds, a bit each, where they are not listed already. */
static void list_kinds(struct fence_store *store, unsigned int kinds)
{
    size_t places[FENCE_OBJECT_KINDS + 1], ends[FENCE_OBJECT_KINDS + 1];
    const struct fence_entry *entry;
    size_t position = 0;

    kinds &= ~store->listed;
    if (!kinds)
        return;
    find_places(store, places);
    memcpy(ends, places, sizeof(ends));
    while ((entry = fence_entry_index_next(&store->index, &position)))
        if (entry->object->in_force && kinds >> entry->object->kind & 1)
            store->objects[ends[entry->object->kind]++] = entry->object;
    for (unsigned int kind = 0; kind < FENCE_OBJECT_KINDS; kind++)
        if (kinds >> kind & 1 && ends[kind] > places[kind])
            qsort(&store->objects[places[kind]], ends[kind] - places[kind], sizeof(void *),
                  compare_objects);
    store->listed |= kinds;
}

size_t fence_store_objects(const struct fence_store *store,
                           const struct fence_object *const **ret_objects)
{
    size_t places[FENCE_OBJECT_KINDS + 1];

    list_kinds(fence_store_writable(store), (1u << FENCE_OBJECT_KINDS) - 1);
    find_places(store, places);
    *ret_objects = store->objects;
    return places[FENCE_OBJECT_KINDS];
}

size_t fence_store_kind(const struct fence_store *store, enum fence_kind kind,
                        const struct fence_object *const **ret_objects)
{
    size_t places[FENCE_OBJECT_KINDS + 1];

    list_kinds(fence_store_writable(store), 1u << kind);
    find_places(store, places);
    *ret_objects = store->objects ? &store->objects[places[kind]] : NULL;
    return store->count_of_kind[kind];
}

size_t fence_store_count(const struct fence_store *store, enum fence_kind kind)
{
    return store->count_of_kind[kind];
}

const struct fence_object *fence_store_find(const struct fence_store *store, enum fence_kind kind,
                                            const char *namespace_name, const char *name)
{
    struct fence_entry_key key = {kind, namespace_name, name};

    return first_of(store, &key);
}

const char *fence_store_unit_of(const struct fence_store *store, const struct fence_object *object)
{
    struct fence_entry_key key = fence_entry_key_of(object);
    const struct fence_entry *entry = fence_entry_index_find(&store->index, &key);

    return entry ? entry->unit->shown : NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Units are sorted by (order, path) and each unit's entries by id. What is in force is a view over
 * all of them, sorted by kind, namespace, name, unit: the first of equals wins. It is built when
 * somebody asks after a change. Its memory is reserved by the change, so that asking cannot fail:
 * a view that came out empty for want of memory would mean "no policy".
 */
#include "lib/objects/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/objects/merge.h"
#include "lib/objects/unit.h"

struct conflict {
    const struct fence_entry *loser;
    const struct fence_entry *winner;
};

struct fence_store {
    struct fence_unit **units;
    size_t unit_count;
    size_t unit_capacity;
    struct fence_unit *by_path; /* uthash */
    size_t entry_total;
    size_t note_total;

    size_t reserved; /* entries that the arrays of the view have room for */
    const struct fence_entry **all;
    const struct fence_entry **winners;  /* beside `objects` */
    const struct fence_object **objects; /* in force */
    size_t object_count;
    struct conflict *conflicts;
    size_t conflict_count;
    bool view_old;

    struct fence_problem *problems;
    char **conflict_texts;
    size_t problems_reserved;
    size_t problem_count;
    size_t conflict_text_count;
    bool problems_old;
};

int fence_store_new(struct fence_store **ret_store)
{
    struct fence_store *store = calloc(1, sizeof(*store));

    if (!store)
        return -ENOMEM;
    *ret_store = store;
    return 0;
}

static void forget_conflict_texts(struct fence_store *store)
{
    for (size_t i = 0; i < store->conflict_text_count; i++)
        free(store->conflict_texts[i]);
    store->conflict_text_count = 0;
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
    forget_conflict_texts(gone);
    free(gone->units);
    free(gone->all);
    free(gone->winners);
    free(gone->objects);
    free(gone->conflicts);
    free(gone->problems);
    free(gone->conflict_texts);
    free(gone);
    *store = NULL;
}

/* ---- memory --------------------------------------------------------------------------------- */

static int resize(void **items, size_t count, size_t size)
{
    void *grown = reallocarray(*items, count, size);

    if (!grown)
        return -ENOMEM;
    *items = grown;
    return 0;
}
#define RESIZE(items, count)          resize((void **)&(items), (count), sizeof(*(items)))
#define RESIZE_POINTERS(items, count) resize((void **)&(items), (count), sizeof(void *))

/* Room for `total` entries in all units together. */
static int reserve_view(struct fence_store *store, size_t total)
{
    size_t wanted = store->reserved * 2 > total ? store->reserved * 2 : total;

    if (total <= store->reserved)
        return 0;
    if (RESIZE_POINTERS(store->all, wanted) < 0 || RESIZE_POINTERS(store->winners, wanted) < 0 ||
        RESIZE_POINTERS(store->objects, wanted) < 0 || RESIZE(store->conflicts, wanted) < 0)
        return -ENOMEM;
    store->reserved = wanted;
    return 0;
}

/* Room for `notes` and a problem of each unit, and for every entry to be a conflict. */
static int reserve_problems(struct fence_store *store, size_t notes)
{
    size_t total = notes + store->unit_count + store->reserved;
    size_t wanted = store->problems_reserved * 2 > total ? store->problems_reserved * 2 : total;

    if (total <= store->problems_reserved)
        return 0;
    if (RESIZE(store->problems, wanted) < 0 || RESIZE_POINTERS(store->conflict_texts, wanted) < 0)
        return -ENOMEM;
    store->problems_reserved = wanted;
    return 0;
}

/* For `unit` to have so many entries and notes, the others what they have. */
static int reserve(struct fence_store *store, const struct fence_unit *unit, size_t entries,
                   size_t notes)
{
    if (reserve_view(store, store->entry_total - unit->count + entries) < 0)
        return -ENOMEM;
    return reserve_problems(store, store->note_total - unit->note_count + notes);
}

/* ---- units ---------------------------------------------------------------------------------- */

static void insert_unit(struct fence_store *store, struct fence_unit *unit)
{
    size_t at = store->unit_count++;

    while (at > 0 && fence_unit_compare(store->units[at - 1], unit) > 0) {
        store->units[at] = store->units[at - 1];
        at--;
    }
    store->units[at] = unit;
}

/* The unit, made when it is new. */
static struct fence_unit *obtain_unit(struct fence_store *store, unsigned int order,
                                      const char *path)
{
    struct fence_unit *unit = fence_unit_find(store->by_path, path);

    if (unit)
        return unit;
    if (fence_array_grow((void **)&store->units, &store->unit_capacity, store->unit_count,
                         sizeof(void *)) < 0)
        return NULL;
    unit = fence_unit_new(order, path);
    if (!unit)
        return NULL;
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

int fence_store_put(struct fence_store *store, unsigned int order, const char *unit_path,
                    struct fence_decoded_list *list, struct fence_err *err)
{
    struct fence_unit *unit = obtain_unit(store, order, unit_path);
    struct fence_merge merge;
    int changed;

    if (!unit || fence_merge_new(unit, list, &merge) < 0)
        return no_memory(err);
    if (reserve(store, unit, merge.count, merge.note_count) < 0) {
        fence_merge_done(&merge);
        return no_memory(err);
    }
    store->entry_total -= unit->count;
    store->note_total -= unit->note_count;
    changed = fence_merge_commit(&merge, unit);
    store->entry_total += unit->count;
    store->note_total += unit->note_count;
    free(unit->problem);
    unit->problem = NULL;
    store->problems_old = true;
    store->view_old = store->view_old || changed;
    return changed;
}

int fence_store_restore(struct fence_store *store, unsigned int order, const char *unit,
                        struct fence_decoded_list *list, struct fence_err *err)
{
    return fence_store_put(store, order, unit, list, err);
}

int fence_store_broken(struct fence_store *store, unsigned int order, const char *unit_path,
                       const char *problem)
{
    struct fence_unit *unit = obtain_unit(store, order, unit_path);
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
    size_t at = 0;
    bool changed;

    if (!unit)
        return 0;
    while (store->units[at] != unit)
        at++;
    store->unit_count--;
    memmove(&store->units[at], &store->units[at + 1], (store->unit_count - at) * sizeof(void *));
    fence_unit_unlink(&store->by_path, unit);
    changed = unit->count > 0;
    store->entry_total -= unit->count;
    store->note_total -= unit->note_count;
    fence_unit_free(&unit);
    store->problems_old = true;
    store->view_old = store->view_old || changed;
    return changed;
}

char *fence_store_unit_json(const struct fence_store *store, const char *unit_path)
{
    const struct fence_unit *unit = fence_unit_find(store->by_path, unit_path);

    return unit ? fence_unit_json(unit) : NULL;
}

/* ---- what is in force ----------------------------------------------------------------------- */

struct key {
    enum fence_kind kind;
    const char *namespace_name;
    const char *name;
};

static struct key key_of(const struct fence_object *object)
{
    return (struct key){object->kind, object->namespace_name, object->name};
}

static int compare_to_key(const struct fence_object *object, const struct key *key)
{
    int order;

    if (object->kind != key->kind)
        return object->kind < key->kind ? -1 : 1;
    order = strcmp(object->namespace_name, key->namespace_name);
    return order ? order : strcmp(object->name, key->name);
}

static int compare_objects(const struct fence_object *a, const struct fence_object *b)
{
    struct key key = key_of(b);

    return compare_to_key(a, &key);
}

static int compare_entries(const void *a, const void *b)
{
    const struct fence_entry *left = *(const struct fence_entry *const *)a;
    const struct fence_entry *right = *(const struct fence_entry *const *)b;
    int order = compare_objects(left->object, right->object);

    return order ? order : fence_unit_compare(left->unit, right->unit);
}

static void add_to_view(struct fence_store *store, const struct fence_entry *entry)
{
    size_t count = store->object_count;
    const struct fence_entry *winner;

    if (count && compare_objects(store->objects[count - 1], entry->object) == 0) {
        winner = store->winners[count - 1];
        if (strcmp(winner->json, entry->json) != 0)
            store->conflicts[store->conflict_count++] =
                (struct conflict){.loser = entry, .winner = winner};
        return;
    }
    store->winners[count] = entry;
    store->objects[count] = entry->object;
    store->object_count++;
}

static void refresh_view(struct fence_store *store)
{
    size_t count = 0;

    if (!store->view_old)
        return;
    for (size_t i = 0; i < store->unit_count; i++)
        for (size_t j = 0; j < store->units[i]->count; j++)
            store->all[count++] = &store->units[i]->entries[j];
    if (count)
        qsort(store->all, count, sizeof(void *), compare_entries);
    store->object_count = 0;
    store->conflict_count = 0;
    for (size_t i = 0; i < count; i++)
        add_to_view(store, store->all[i]);
    store->view_old = false;
}

/* The view is a cache: building it changes nothing that the caller could see. */
static struct fence_store *writable(const struct fence_store *store)
{
    union {
        const struct fence_store *given;
        struct fence_store *cache;
    } both = {.given = store};

    return both.cache;
}

size_t fence_store_objects(const struct fence_store *store,
                           const struct fence_object *const **ret_objects)
{
    refresh_view(writable(store));
    *ret_objects = store->objects;
    return store->object_count;
}

static const struct fence_entry *find_entry(const struct fence_store *store, const struct key *key)
{
    size_t low = 0, high;

    refresh_view(writable(store));
    high = store->object_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_to_key(store->objects[middle], key);

        if (order == 0)
            return store->winners[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const struct fence_object *fence_store_find(const struct fence_store *store, enum fence_kind kind,
                                            const char *namespace_name, const char *name)
{
    struct key key = {kind, namespace_name, name};
    const struct fence_entry *entry = find_entry(store, &key);

    return entry ? entry->object : NULL;
}

const char *fence_store_unit_of(const struct fence_store *store, const struct fence_object *object)
{
    struct key key = key_of(object);
    const struct fence_entry *entry = find_entry(store, &key);

    return entry ? entry->unit->path : NULL;
}

/* ---- what is wrong -------------------------------------------------------------------------- */

static int compare_problems(const void *a, const void *b)
{
    const struct fence_problem *left = a, *right = b;
    int order = strcmp(left->unit, right->unit);

    if (order)
        return order;
    if (left->line != right->line)
        return left->line < right->line ? -1 : 1;
    return strcmp(left->text, right->text);
}

static void add_unit_problems(struct fence_store *store, const struct fence_unit *unit)
{
    if (unit->problem)
        store->problems[store->problem_count++] = (struct fence_problem){
            .unit = unit->path, .id = "", .text = unit->problem, .kept = unit->count > 0};
    for (size_t i = 0; i < unit->note_count; i++) {
        const struct fence_note *note = &unit->notes[i];

        store->problems[store->problem_count++] = (struct fence_problem){.unit = unit->path,
                                                                         .line = note->line,
                                                                         .id = note->id,
                                                                         .text = note->text,
                                                                         .kept = note->kept,
                                                                         .warning = note->warning};
    }
}

static void add_conflict(struct fence_store *store, const struct conflict *conflict)
{
    const char *shown = "is defined differently elsewhere, and that one counts";
    char *text = NULL;

    if (asprintf(&text, "line %u: %s is defined differently in %s, line %u, which comes first",
                 conflict->loser->object->line, conflict->loser->id, conflict->winner->unit->path,
                 conflict->winner->object->line) >= 0) {
        store->conflict_texts[store->conflict_text_count++] = text;
        shown = text;
    }
    store->problems[store->problem_count++] =
        (struct fence_problem){.unit = conflict->loser->unit->path,
                               .line = conflict->loser->object->line,
                               .id = conflict->loser->id,
                               .text = shown};
}

size_t fence_store_problems(const struct fence_store *store,
                            const struct fence_problem **ret_problems)
{
    struct fence_store *cache = writable(store);

    refresh_view(cache);
    if (cache->problems_old) {
        forget_conflict_texts(cache);
        cache->problem_count = 0;
        for (size_t i = 0; i < cache->unit_count; i++)
            add_unit_problems(cache, cache->units[i]);
        for (size_t i = 0; i < cache->conflict_count; i++)
            add_conflict(cache, &cache->conflicts[i]);
        if (cache->problem_count)
            qsort(cache->problems, cache->problem_count, sizeof(*cache->problems),
                  compare_problems);
        cache->problems_old = false;
    }
    *ret_problems = cache->problems;
    return cache->problem_count;
}

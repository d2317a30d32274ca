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
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/objects/index.h"
#include "lib/objects/merge.h"
#include "lib/objects/unit.h"

struct object_list {
    struct fence_object **items;
    size_t count;
    size_t capacity;
};

struct fence_store {
    struct fence_unit **units;
    size_t unit_count;
    size_t unit_capacity;
    struct fence_unit *by_path; /* uthash */
    struct fence_entry_index index;
    size_t entry_total;
    size_t note_total;
    size_t count_of_kind[FENCE_OBJECT_KINDS]; /* in force */

    struct object_list came;    /* into force since the changes were last done with */
    struct object_list went;    /* of those that were in force then */
    struct object_list retired; /* of no unit any more */
    struct fence_change *changes;
    size_t change_capacity;

    size_t reserved;                     /* objects that the list has room for */
    const struct fence_object **objects; /* in force, sorted */
    size_t object_count;
    bool list_old;

    struct fence_problem *problems;
    char **conflict_texts; /* and ids: two of each */
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

static void free_retired(struct fence_store *store)
{
    for (size_t i = 0; i < store->retired.count; i++)
        fence_object_free(&store->retired.items[i]);
    store->retired.count = 0;
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
    free_retired(gone);
    forget_conflict_texts(gone);
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

/* Room for `total` entries in all units together. Memory that is not written to costs nothing. */
static int reserve_objects(struct fence_store *store, size_t total)
{
    size_t wanted = store->reserved * 2 > total ? store->reserved * 2 : total;

    if (total <= store->reserved)
        return 0;
    if (RESIZE_POINTERS(store->objects, wanted) < 0)
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
    if (RESIZE(store->problems, wanted) < 0 ||
        RESIZE_POINTERS(store->conflict_texts, 2 * wanted) < 0)
        return -ENOMEM;
    store->problems_reserved = wanted;
    return 0;
}

static int reserve_list(struct object_list *list, size_t more)
{
    size_t total = list->count + more;
    size_t wanted = list->capacity * 2 > total ? list->capacity * 2 : total;

    if (total <= list->capacity)
        return 0;
    if (RESIZE_POINTERS(list->items, wanted) < 0)
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
    return reserve_problems(store, store->note_total - unit->note_count + notes);
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

/* ---- coming into force and going out of it; there is room ----------------------------------- */

static struct fence_object *first_of(const struct fence_store *store,
                                     const struct fence_entry_key *key)
{
    struct fence_entry *entry = fence_entry_index_find(&store->index, key);

    return entry ? entry->object : NULL;
}

static void list_object(struct object_list *list, struct fence_object *object)
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

int fence_store_put(struct fence_store *store, unsigned int order, const char *unit_path,
                    struct fence_decoded_list *list, struct fence_err *err)
{
    struct fence_unit *unit = obtain_unit(store, order, unit_path);
    struct fence_entry *nothing;
    struct fence_merge merge;
    size_t none;
    bool changed;

    if (!unit || fence_merge_new(unit, list, &merge) < 0)
        return no_memory(err);
    if (reserve(store, unit, merge.count, merge.note_count) < 0) {
        fence_merge_done(&merge);
        return no_memory(err);
    }
    store->entry_total -= unit->count;
    store->note_total -= unit->note_count;
    changed = !merge.unchanged;
    if (changed)
        commit(store, unit, &merge);
    else
        fence_merge_commit(&merge, unit, &nothing, &none);
    store->entry_total += unit->count;
    store->note_total += unit->note_count;
    free(unit->problem);
    unit->problem = NULL;
    store->problems_old = true;
    store->list_old = store->list_old || changed;
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
    size_t at;
    bool changed;

    if (!unit)
        return 0;
    if (reserve(store, unit, 0, 0) < 0)
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
    store->list_old = store->list_old || changed;
    return changed;
}

char *fence_store_unit_json(const struct fence_store *store, const char *unit_path)
{
    const struct fence_unit *unit = fence_unit_find(store->by_path, unit_path);

    return unit ? fence_unit_json(unit) : NULL;
}

/* ---- changes -------------------------------------------------------------------------------- */

/* Those that went, each with what is in force for it now. What came back was never gone. */
static size_t pair_those_that_went(struct fence_store *store)
{
    size_t count = 0;

    for (size_t i = 0; i < store->went.count; i++) {
        struct fence_object *before = store->went.items[i];
        struct fence_entry_key key = fence_entry_key_of(before);
        struct fence_object *after = before->in_force ? NULL : first_of(store, &key);

        if (before->in_force)
            continue;
        if (after)
            after->paired = true;
        store->changes[count++] = (struct fence_change){.before = before, .after = after};
    }
    return count;
}

int fence_store_changes(struct fence_store *store, const struct fence_change **ret_changes,
                        size_t *ret_count)
{
    size_t most = store->came.count + store->went.count;
    size_t count;

    if (most > store->change_capacity) {
        if (RESIZE(store->changes, most) < 0)
            return -ENOMEM;
        store->change_capacity = most;
    }
    count = pair_those_that_went(store);
    for (size_t i = 0; i < store->came.count; i++) {
        struct fence_object *after = store->came.items[i];

        if (after->in_force && !after->paired)
            store->changes[count++] = (struct fence_change){.after = after};
        after->paired = false;
    }
    *ret_changes = store->changes;
    *ret_count = count;
    return 0;
}

/* The lists of a first load are as long as the cluster is large. */
static void shorten(struct object_list *list)
{
    list->count = 0;
    free(TAKE_PTR(list->items));
    list->capacity = 0;
}

void fence_store_changes_done(struct fence_store *store)
{
    for (size_t i = 0; i < store->went.count; i++) {
        store->went.items[i]->told = store->went.items[i]->in_force;
        store->went.items[i]->listed = false;
    }
    for (size_t i = 0; i < store->came.count; i++) {
        store->came.items[i]->told = store->came.items[i]->in_force;
        store->came.items[i]->listed = false;
    }
    free_retired(store);
    shorten(&store->came);
    shorten(&store->went);
    shorten(&store->retired);
    free(TAKE_PTR(store->changes));
    store->change_capacity = 0;
}

/* ---- what is in force ----------------------------------------------------------------------- */

static int compare_objects(const void *a, const void *b)
{
    return fence_object_compare(*(const struct fence_object *const *)a,
                                *(const struct fence_object *const *)b);
}

/* The list is a cache: making it changes nothing that the caller could see. */
static struct fence_store *writable(const struct fence_store *store)
{
    union {
        const struct fence_store *given;
        struct fence_store *cache;
    } both = {.given = store};

    return both.cache;
}

static void refresh_list(struct fence_store *store)
{
    const struct fence_entry *entry;
    size_t position = 0;

    if (!store->list_old)
        return;
    store->object_count = 0;
    while ((entry = fence_entry_index_next(&store->index, &position)))
        store->objects[store->object_count++] = entry->object;
    if (store->object_count)
        qsort(store->objects, store->object_count, sizeof(void *), compare_objects);
    store->list_old = false;
}

size_t fence_store_objects(const struct fence_store *store,
                           const struct fence_object *const **ret_objects)
{
    refresh_list(writable(store));
    *ret_objects = store->objects;
    return store->object_count;
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

/* `id` and the text are freed with the next look. */
static void add_conflict(struct fence_store *store, const struct fence_entry *loser,
                         const struct fence_entry *winner)
{
    struct fence_problem problem = {
        .unit = loser->unit->path,
        .line = loser->object->line,
        .id = "",
        .text = "is defined differently elsewhere, and that one counts",
    };
    char *id = fence_object_id(loser->object);
    char *text = NULL;

    if (id) {
        store->conflict_texts[store->conflict_text_count++] = id;
        problem.id = id;
    }
    if (id &&
        asprintf(&text, "line %u: %s is defined differently in %s, line %u, which comes first",
                 problem.line, id, winner->unit->path, winner->object->line) >= 0) {
        store->conflict_texts[store->conflict_text_count++] = text;
        problem.text = text;
    }
    store->problems[store->problem_count++] = problem;
}

static void add_conflicts(struct fence_store *store)
{
    const struct fence_entry *winner;
    size_t position = 0;

    while ((winner = fence_entry_index_next(&store->index, &position)))
        for (const struct fence_entry *loser = winner->next; loser; loser = loser->next)
            if (memcmp(&winner->text, &loser->text, sizeof(loser->text)) != 0)
                add_conflict(store, loser, winner);
}

size_t fence_store_problems(const struct fence_store *store,
                            const struct fence_problem **ret_problems)
{
    struct fence_store *cache = writable(store);

    if (cache->problems_old) {
        forget_conflict_texts(cache);
        cache->problem_count = 0;
        for (size_t i = 0; i < cache->unit_count; i++)
            add_unit_problems(cache, cache->units[i]);
        add_conflicts(cache);
        if (cache->problem_count)
            qsort(cache->problems, cache->problem_count, sizeof(*cache->problems),
                  compare_problems);
        cache->problems_old = false;
    }
    *ret_problems = cache->problems;
    return cache->problem_count;
}

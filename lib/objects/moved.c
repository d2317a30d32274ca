/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/objects/moved.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"

/* Its object is among the retired ones. */
struct fence_moved {
    unsigned int order; /* of the unit that it left */
    char *id;
    char *line; /* its canonical text, with the end of the line */
    __u64 text;
    struct fence_object *object;
};

/* ---- those that leave ----------------------------------------------------------------------- */

static void shorten(struct fence_store *store, size_t count)
{
    while (store->moved_count > count) {
        struct fence_moved *moved = &store->moved[--store->moved_count];

        free(moved->id);
        free(moved->line);
    }
}

void fence_moved_forget(struct fence_store *store)
{
    shorten(store, 0);
    free(TAKE_PTR(store->moved));
    store->moved_capacity = 0;
}

static int note_one(struct fence_store *store, const struct fence_entry *entry, const char *line)
{
    struct fence_moved moved = {.order = entry->unit->order, .text = entry->text};

    if (FENCE_GROW(store->moved, store->moved_capacity, store->moved_count) < 0)
        return -ENOMEM;
    moved.object = entry->object;
    moved.id = fence_object_id(entry->object);
    if (!moved.id || asprintf(&moved.line, "%s\n", line) < 0) {
        free(moved.id);
        return -ENOMEM;
    }
    store->moved[store->moved_count++] = moved;
    return 0;
}

int fence_moved_note(struct fence_store *store, const struct fence_unit *unit, const size_t *places,
                     size_t count)
{
    FENCE_CLEANUP(fence_lines_done) struct fence_lines lines = {0};
    size_t before = store->moved_count;
    int r = 0;

    /* of a part no texts are kept, and what has none cannot go into a unit that keeps them */
    if (!store->moves || unit->part || count == 0)
        return 0;
    if (fence_texts_read(&unit->texts, &lines) < 0)
        return -ENOMEM;
    for (size_t i = 0; r == 0 && i < count; i++) {
        size_t place = places ? places[i] : i;

        r = note_one(store, &unit->entries[place], lines.items[place]);
    }
    if (r < 0)
        shorten(store, before);
    return r;
}

/* ---- those that are taken ------------------------------------------------------------------- */

static int compare_moved(const void *a, const void *b)
{
    return strcmp(((const struct fence_moved *)a)->id, ((const struct fence_moved *)b)->id);
}

static int compare_id(const void *id, const void *moved)
{
    return strcmp(id, ((const struct fence_moved *)moved)->id);
}

static bool is_refusal(const struct fence_note *note)
{
    return !note->warning && !note->nameless && !note->kept;
}

/* What the note asks for, NULL when there is no such object or one that counts. */
static struct fence_moved *find_wanted(const struct fence_store *store,
                                       const struct fence_unit *unit, const struct fence_note *note)
{
    struct fence_moved *moved;
    struct fence_entry_key key;

    if (!is_refusal(note))
        return NULL;
    moved = bsearch(note->id, store->moved, store->moved_count, sizeof(*store->moved), compare_id);
    if (!moved || moved->order != unit->order)
        return NULL;
    key = fence_entry_key_of(moved->object);
    return fence_entry_index_find(&store->index, &key) ? NULL : moved;
}

static void take_from_retired(struct fence_store *store, const struct fence_object *object)
{
    struct fence_object_list *retired = &store->retired;

    for (size_t i = 0; i < retired->count; i++)
        if (retired->items[i] == object) {
            retired->items[i] = retired->items[--retired->count];
            return;
        }
}

/* Into the unit, beside what it has. Its notes are put aside for it: they stay. */
static int put_into(struct fence_store *store, struct fence_unit *unit, struct fence_moved *moved)
{
    static const struct fence_store_rest all = {0};
    const struct fence_store_part part = {.order = unit->order, .unit = unit->path};
    struct fence_decoded decoded = {.object = moved->object, .text = moved->text};
    struct fence_decoded_list list = {.items = &decoded, .count = 1};
    struct fence_note *notes = unit->notes;
    size_t count = unit->note_count;
    int r = fence_texts_make(moved->line, strlen(moved->line), &list.texts);

    if (r < 0)
        return r;
    unit->notes = NULL;
    unit->note_count = 0;
    r = fence_store_update(store, &part, &list, &all, NULL);
    unit->notes = notes;
    unit->note_count = count;
    fence_texts_done(&list.texts);
    if (r < 0)
        return r;
    take_from_retired(store, moved->object);
    for (size_t i = 0; i < count; i++)
        if (is_refusal(&notes[i]) && strcmp(notes[i].id, moved->id) == 0)
            notes[i].kept = true;
    store->problems_old = true;
    return 0;
}

/* How many the unit took, -ENOMEM. */
static int keep_in(struct fence_store *store, struct fence_unit *unit)
{
    int taken = 0;

    for (size_t i = 0; i < unit->note_count; i++) {
        struct fence_moved *moved = find_wanted(store, unit, &unit->notes[i]);

        if (moved && put_into(store, unit, moved) < 0)
            return -ENOMEM;
        taken += moved != NULL;
    }
    return taken;
}

void fence_store_begin_moves(struct fence_store *store, bool refused)
{
    store->moves = refused || store->note_total > 0;
}

int fence_store_keep_moved(struct fence_store *store, unsigned int order, struct fence_err *err)
{
    bool changed = false;

    if (store->moved_count)
        qsort(store->moved, store->moved_count, sizeof(*store->moved), compare_moved);
    for (size_t i = 0; store->moved_count && i < store->unit_count; i++) {
        struct fence_unit *unit = store->units[i];
        int r = unit->order == order && !unit->part && !unit->problem ? keep_in(store, unit) : 0;

        if (r < 0)
            return fence_err_set(err, r, "out of memory");
        changed = changed || r > 0;
    }
    fence_moved_forget(store);
    store->moves = false;
    return changed;
}

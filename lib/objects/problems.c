/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/objects/store_internal.h"

void fence_store_forget_texts(struct fence_store *store)
{
    for (size_t i = 0; i < store->conflict_text_count; i++)
        free(store->conflict_texts[i]);
    store->conflict_text_count = 0;
}

int fence_store_reserve_problems(struct fence_store *store, size_t notes)
{
    size_t total = notes + store->unit_count + store->reserved;
    size_t wanted = store->problems_reserved * 2 > total ? store->problems_reserved * 2 : total;

    if (total <= store->problems_reserved)
        return 0;
    if (FENCE_RESIZE(store->problems, wanted) < 0 ||
        FENCE_RESIZE_POINTERS(store->conflict_texts, 2 * wanted) < 0)
        return -ENOMEM;
    store->problems_reserved = wanted;
    return 0;
}

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
            .unit = unit->shown, .id = "", .text = unit->problem, .kept = unit->count > 0};
    for (size_t i = 0; i < unit->note_count; i++) {
        const struct fence_note *note = &unit->notes[i];

        store->problems[store->problem_count++] = (struct fence_problem){.unit = unit->shown,
                                                                         .line = note->line,
                                                                         .id = note->id,
                                                                         .text = note->text,
                                                                         .kept = note->kept,
                                                                         .warning = note->warning};
    }
}

/* "a.yaml, line 3", or what has no lines by its name alone. */
static void put_place(const struct fence_entry *entry, char *place, size_t size)
{
    if (entry->object->line)
        snprintf(place, size, "%.900s, line %u", entry->unit->shown, entry->object->line);
    else
        snprintf(place, size, "%.900s", entry->unit->shown);
}

/* A new string, NULL when out of memory. */
static char *conflict_text(const char *id, const struct fence_entry *loser,
                           const struct fence_entry *winner)
{
    char begin[32] = "", place[1024];
    char *text;

    put_place(winner, place, sizeof(place));
    if (loser->object->line)
        snprintf(begin, sizeof(begin), "line %u: ", loser->object->line);
    if (asprintf(&text, "%s%s is defined differently in %s, which comes first", begin, id, place) <
        0)
        return NULL;
    return text;
}

/* `id` and the text are freed with the next look. */
static void add_conflict(struct fence_store *store, const struct fence_entry *loser,
                         const struct fence_entry *winner)
{
    struct fence_problem problem = {
        .unit = loser->unit->shown,
        .line = loser->object->line,
        .id = "",
        .text = "is defined differently elsewhere, and that one counts",
    };
    char *id = fence_object_id(loser->object);
    char *text = id ? conflict_text(id, loser, winner) : NULL;

    if (id) {
        store->conflict_texts[store->conflict_text_count++] = id;
        problem.id = id;
    }
    if (text) {
        store->conflict_texts[store->conflict_text_count++] = text;
        problem.text = text;
    }
    store->problems[store->problem_count++] = problem;
}

static void add_conflicts(struct fence_store *store)
{
    const struct fence_entry *entry;
    size_t position = 0;

    while ((entry = fence_entry_index_next(&store->index, &position))) {
        const struct fence_entry_key key = fence_entry_key_of(entry->object);
        const struct fence_entry *winner;

        if (entry->object->in_force)
            continue;
        winner = fence_entry_index_find(&store->index, &key);
        if (entry->unit->second_hand && winner && !winner->unit->second_hand)
            continue;
        if (winner && winner->text != entry->text)
            add_conflict(store, entry, winner);
    }
}

size_t fence_store_problems(const struct fence_store *store,
                            const struct fence_problem **ret_problems)
{
    struct fence_store *cache = fence_store_writable(store);

    if (cache->problems_old) {
        fence_store_forget_texts(cache);
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

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/objects/merge.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"

#define DEFAULT_NAMESPACE "default/"

/* Which vanished entries a refused object may have been. */
struct suspects {
    bool anyone;
    const char **names; /* "namespace/name" or "name", sorted */
    size_t count;
};

/* What the file has. */
struct candidate {
    char *id;
    struct fence_decoded *decoded;
};

struct worker {
    struct fence_merge merge;
    struct fence_unit *unit;
    const struct fence_decoded_list *list;
    const struct fence_store_rest *rest;
    char **old_ids;           /* of the unit's entries */
    struct candidate *sorted; /* by id, then place in the file */
    size_t count;
    struct suspects suspects;
    bool suspect_kept; /* a vanished entry was kept on suspicion */
};

static int compare_candidates(const void *a, const void *b)
{
    const struct candidate *left = a;
    const struct candidate *right = b;
    int order = strcmp(left->id, right->id);

    if (order)
        return order;
    return left->decoded < right->decoded ? -1 : left->decoded > right->decoded; /* one array */
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* "namespace/name" of "Kind/namespace/name". */
static const char *behind_kind(const char *id)
{
    const char *slash = strchr(id, '/');

    return slash ? slash + 1 : id;
}

static bool is_suspect(const struct suspects *suspects, const char *id)
{
    const char *name = behind_kind(id);
    size_t skip = strlen(DEFAULT_NAMESPACE);

    if (suspects->anyone)
        return true;
    if (suspects->count == 0)
        return false;
    if (bsearch(&name, suspects->names, suspects->count, sizeof(*suspects->names), compare_names))
        return true;
    if (strncmp(name, DEFAULT_NAMESPACE, skip) != 0)
        return false;
    name += skip;
    return bsearch(&name, suspects->names, suspects->count, sizeof(*suspects->names),
                   compare_names);
}

/* ---- notes ---------------------------------------------------------------------------------- */

static int add_note(struct fence_merge *merge, const struct candidate *candidate, const char *text,
                    struct fence_note **ret_note)
{
    struct fence_note note = {.line = candidate->decoded->line};

    if (FENCE_GROW(merge->notes, merge->note_capacity, merge->note_count) < 0)
        return -ENOMEM;
    note.id = strdup(candidate->id);
    note.text = strdup(text);
    if (!note.id || !note.text) {
        free(note.id);
        free(note.text);
        return -ENOMEM;
    }
    merge->notes[merge->note_count] = note;
    *ret_note = &merge->notes[merge->note_count++];
    return 0;
}

/* A new string; below 0 for want of memory. */
static int twin_text(const struct candidate *twin, const struct candidate *first, char **ret_text)
{
    if (!twin->decoded->line)
        return asprintf(ret_text, "%s is defined twice and differently: the first one counts",
                        twin->id);
    return asprintf(ret_text,
                    "line %u: %s is defined differently in line %u of the same file, which comes "
                    "first",
                    twin->decoded->line, twin->id, first->decoded->line);
}

static int note_twin(struct fence_merge *merge, const struct candidate *twin,
                     const struct candidate *first)
{
    FENCE_FREE char *text = NULL;
    struct fence_note *note;

    if (twin->decoded->text == first->decoded->text)
        return 0;
    if (twin_text(twin, first, &text) < 0) {
        text = NULL;
        return -ENOMEM;
    }
    return add_note(merge, twin, text, &note);
}

static int note_candidate(struct fence_merge *merge, const struct candidate *candidate,
                          const struct candidate *first, bool kept)
{
    const struct fence_decoded *decoded = candidate->decoded;
    struct fence_note *note;
    int r = 0;

    if (decoded->error) {
        r = add_note(merge, candidate, decoded->error, &note);
        if (r == 0) {
            note->kept = kept;
            note->nameless = decoded->refused >= FENCE_REFUSED_NAMED;
        }
        return r;
    }
    if (decoded->warning) {
        r = add_note(merge, candidate, decoded->warning, &note);
        if (r == 0)
            note->warning = true;
    }
    return r == 0 && first && candidate != first ? note_twin(merge, candidate, first) : r;
}

/* ---- choosing ------------------------------------------------------------------------------- */

static void choose(struct fence_merge *merge, struct fence_decoded *decoded,
                   struct fence_entry *old)
{
    merge->choices[merge->count++] = (struct fence_choice){.decoded = decoded, .old = old};
}

/* One that is not named stays all the same? */
static bool is_rest(const struct worker *worker, const char *id)
{
    const struct fence_store_rest *rest = worker->rest;

    return rest && (!rest->stays || rest->stays(rest->context, id));
}

/* All of the file with one id, from `from` up to `to`; `old` is NULL when it is new. */
static int choose_of_group(struct worker *worker, size_t from, size_t to, struct fence_entry *old)
{
    const struct candidate *first = NULL;
    int r = 0;

    for (size_t i = from; i < to && !first; i++)
        if (worker->sorted[i].decoded->object)
            first = &worker->sorted[i];
    for (size_t i = from; i < to && r == 0; i++)
        r = note_candidate(&worker->merge, &worker->sorted[i], first, !first && old);
    if (first)
        choose(&worker->merge, first->decoded,
               old && old->text == first->decoded->text ? old : NULL);
    else if (old && !worker->sorted[to - 1].decoded->gone)
        choose(&worker->merge, NULL, old);
    return r;
}

static void choose_vanished(struct worker *worker, size_t old)
{
    bool suspect = is_suspect(&worker->suspects, worker->old_ids[old]);

    if (!suspect && !is_rest(worker, worker->old_ids[old])) {
        worker->merge.gone[worker->merge.gone_count++] = old;
        return;
    }
    choose(&worker->merge, NULL, &worker->unit->entries[old]);
    worker->suspect_kept = worker->suspect_kept || suspect;
}

/* Walk the file's and the unit's objects side by side, both sorted by id. */
static int choose_all(struct worker *worker)
{
    struct fence_unit *unit = worker->unit;
    size_t i = 0, j = 0;
    int r = 0;

    while (r == 0 && (i < worker->count || j < unit->count)) {
        size_t end = i;
        int order = i == worker->count ? 1 : -1;

        if (i < worker->count && j < unit->count)
            order = strcmp(worker->sorted[i].id, worker->old_ids[j]);
        if (order > 0) {
            choose_vanished(worker, j++);
            continue;
        }
        while (end < worker->count && strcmp(worker->sorted[end].id, worker->sorted[i].id) == 0)
            end++;
        r = choose_of_group(worker, i, end, order == 0 ? &unit->entries[j++] : NULL);
        i = end;
    }
    return r;
}

/* Say of those refused without a readable name that something was kept for them. */
static void mark_suspects(struct worker *worker)
{
    for (size_t i = 0; worker->suspect_kept && i < worker->merge.note_count; i++)
        if (worker->merge.notes[i].nameless)
            worker->merge.notes[i].kept = true;
}

static int compare_id(const void *id, const void *candidate)
{
    return strcmp(id, ((const struct candidate *)candidate)->id);
}

/* Where all of the rest stays, so does what there is to tell about it. */
static int copy_notes(struct worker *worker)
{
    struct fence_merge *merge = &worker->merge;

    if (!worker->rest || worker->rest->stays)
        return 0;
    for (size_t i = 0; i < worker->unit->note_count; i++) {
        const struct fence_note *old = &worker->unit->notes[i];
        struct fence_note note = *old;

        if (bsearch(old->id, worker->sorted, worker->count, sizeof(*worker->sorted), compare_id))
            continue;
        if (FENCE_GROW(merge->notes, merge->note_capacity, merge->note_count) < 0)
            return -ENOMEM;
        note.id = strdup(old->id);
        note.text = strdup(old->text);
        merge->notes[merge->note_count++] = note;
        if (!note.id || !note.text)
            return -ENOMEM;
    }
    return 0;
}

static int find_suspects(struct worker *worker)
{
    const struct fence_decoded_list *list = worker->list;
    struct suspects *suspects = &worker->suspects;

    suspects->names = calloc(list->count + 1, sizeof(*suspects->names));
    if (!suspects->names)
        return -ENOMEM;
    for (size_t i = 0; i < list->count; i++) {
        suspects->anyone = suspects->anyone || list->items[i].refused == FENCE_REFUSED_ANYONE;
        if (list->items[i].refused == FENCE_REFUSED_NAMED)
            suspects->names[suspects->count++] = behind_kind(list->items[i].id);
    }
    qsort(suspects->names, suspects->count, sizeof(*suspects->names), compare_names);
    return 0;
}

static int prepare(struct worker *worker)
{
    size_t count = worker->list->count;

    worker->sorted = calloc(count + 1, sizeof(*worker->sorted));
    worker->merge.choices = calloc(count + worker->unit->count + 1, sizeof(*worker->merge.choices));
    worker->merge.gone = calloc(worker->unit->count + 1, sizeof(*worker->merge.gone));
    if (!worker->sorted || !worker->merge.choices || !worker->merge.gone)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        struct candidate *candidate = &worker->sorted[worker->count++];

        candidate->decoded = &worker->list->items[i];
        candidate->id = fence_decoded_id(candidate->decoded);
        if (!candidate->id)
            return -ENOMEM;
    }
    qsort(worker->sorted, worker->count, sizeof(*worker->sorted), compare_candidates);
    return find_suspects(worker);
}

static int name_old(struct worker *worker)
{
    worker->old_ids = calloc(worker->unit->count + 1, sizeof(char *));
    if (!worker->old_ids)
        return -ENOMEM;
    for (size_t i = 0; i < worker->unit->count; i++) {
        worker->old_ids[i] = fence_object_id(worker->unit->entries[i].object);
        if (!worker->old_ids[i])
            return -ENOMEM;
    }
    return 0;
}

static void worker_done(struct worker *worker)
{
    for (size_t i = 0; worker->old_ids && i < worker->unit->count; i++)
        free(worker->old_ids[i]);
    for (size_t i = 0; i < worker->count; i++)
        free(worker->sorted[i].id);
    free(worker->old_ids);
    free(worker->sorted);
    free(worker->suspects.names);
}

/* ---- texts ---------------------------------------------------------------------------------- */

static bool is_unchanged(const struct fence_merge *merge, const struct fence_unit *unit)
{
    if (merge->count != unit->count)
        return false;
    for (size_t i = 0; i < merge->count; i++)
        if (merge->choices[i].old != &unit->entries[i])
            return false;
    return true;
}

/* What is kept from before has its text in the unit's. */
static const char *text_of(const struct worker *worker, const struct fence_choice *choice,
                           const struct fence_lines *new, const struct fence_lines *old)
{
    if (choice->decoded)
        return new->items[choice->decoded - worker->list->items];
    return old->items[choice->old - worker->unit->entries];
}

static int make_texts(struct worker *worker)
{
    FENCE_CLEANUP(fence_lines_done) struct fence_lines new = {0};
    FENCE_CLEANUP(fence_lines_done) struct fence_lines old = {0};
    FENCE_FREE char *lines = NULL;
    size_t size = 0;
    FILE *out;

    if (fence_texts_read(&worker->list->texts, &new) < 0 ||
        fence_texts_read(&worker->unit->texts, &old) < 0)
        return -ENOMEM;
    out = open_memstream(&lines, &size);
    if (!out)
        return -ENOMEM;
    for (size_t i = 0; i < worker->merge.count; i++)
        fprintf(out, "%s\n", text_of(worker, &worker->merge.choices[i], &new, &old));
    if (fclose(out) != 0)
        return -ENOMEM;
    return fence_texts_make(lines, size, &worker->merge.texts);
}

static int finish(struct worker *worker)
{
    struct fence_merge *merge = &worker->merge;

    merge->unchanged = is_unchanged(merge, worker->unit);
    if (merge->unchanged)
        return 0;
    merge->entries = calloc(merge->count + 1, sizeof(*merge->entries));
    if (!merge->entries)
        return -ENOMEM;
    return worker->unit->part ? 0 : make_texts(worker);
}

int fence_merge_new(struct fence_unit *unit, struct fence_decoded_list *list,
                    const struct fence_store_rest *rest, struct fence_merge *ret_merge)
{
    struct worker worker = {.unit = unit, .list = list, .rest = rest};
    int r = prepare(&worker);

    if (r == 0)
        r = name_old(&worker);
    if (r == 0)
        r = choose_all(&worker);
    if (r == 0)
        r = copy_notes(&worker);
    if (r == 0) {
        mark_suspects(&worker);
        r = finish(&worker);
    }
    worker_done(&worker);
    if (r < 0) {
        fence_merge_done(&worker.merge);
        return r;
    }
    *ret_merge = worker.merge;
    return 0;
}

void fence_merge_done(struct fence_merge *merge)
{
    fence_notes_free(merge->notes, merge->note_count);
    fence_texts_done(&merge->texts);
    free(merge->choices);
    free(merge->gone);
    free(merge->entries);
    *merge = (struct fence_merge){0};
}

/* ---- committing ----------------------------------------------------------------------------- */

static void take_entry(const struct fence_choice *choice, struct fence_entry *entry)
{
    if (choice->old) {
        entry->object = TAKE_PTR(choice->old->object);
        entry->text = choice->old->text;
        return;
    }
    entry->object = TAKE_PTR(choice->decoded->object);
    entry->text = choice->decoded->text;
}

static void replace(struct fence_merge *merge, struct fence_unit *unit)
{
    for (size_t i = 0; i < merge->count; i++) {
        take_entry(&merge->choices[i], &merge->entries[i]);
        merge->entries[i].unit = unit;
    }
    unit->entries = TAKE_PTR(merge->entries);
    unit->count = merge->count;
    fence_texts_done(&unit->texts);
    unit->texts = merge->texts;
    merge->texts = (struct fence_texts){0};
}

/* What may be new in an object that is the same. */
static void refresh(struct fence_object *object, const struct fence_decoded *decoded)
{
    object->line = decoded->line;
    if (decoded->object && fence_kind_is_policy(object->kind))
        object->policy.generation = decoded->object->policy.generation;
}

void fence_merge_commit(struct fence_merge *merge, struct fence_unit *unit,
                        struct fence_entry **ret_old, size_t *ret_old_count)
{
    *ret_old = NULL;
    *ret_old_count = 0;
    for (size_t i = 0; i < merge->count; i++)
        if (merge->choices[i].old && merge->choices[i].decoded)
            refresh(merge->choices[i].old->object, merge->choices[i].decoded);
    if (!merge->unchanged) {
        *ret_old = unit->entries;
        *ret_old_count = unit->count;
        replace(merge, unit);
    }
    fence_notes_free(unit->notes, unit->note_count);
    unit->notes = TAKE_PTR(merge->notes);
    unit->note_count = merge->note_count;
    merge->note_count = 0;
    fence_merge_done(merge);
}

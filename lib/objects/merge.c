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

struct worker {
    struct fence_merge merge;
    struct fence_unit *unit;
    char **old_ids;                /* of its entries */
    struct fence_decoded **sorted; /* by id, then place in the file */
    size_t count;
    struct suspects suspects;
    bool suspect_kept; /* a vanished entry was kept on suspicion */
};

static int compare_decoded(const void *a, const void *b)
{
    const struct fence_decoded *left = *(struct fence_decoded *const *)a;
    const struct fence_decoded *right = *(struct fence_decoded *const *)b;
    int order = strcmp(left->id, right->id);

    if (order)
        return order;
    return left < right ? -1 : left > right; /* both are in one array */
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

static int add_note(struct fence_merge *merge, const struct fence_decoded *decoded,
                    const char *text, struct fence_note **ret_note)
{
    struct fence_note note = {.line = decoded->line};

    if (FENCE_GROW(merge->notes, merge->note_capacity, merge->note_count) < 0)
        return -ENOMEM;
    note.id = strdup(decoded->id);
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

static int note_twin(struct fence_merge *merge, const struct fence_decoded *twin,
                     const struct fence_decoded *first)
{
    FENCE_FREE char *text = NULL;
    struct fence_note *note;

    if (strcmp(twin->json, first->json) == 0)
        return 0;
    if (asprintf(&text,
                 "line %u: %s is defined differently in line %u of the same file, which comes "
                 "first",
                 twin->line, twin->id, first->line) < 0)
        return -ENOMEM;
    return add_note(merge, twin, text, &note);
}

static int note_decoded(struct fence_merge *merge, const struct fence_decoded *decoded,
                        const struct fence_decoded *first, bool kept)
{
    struct fence_note *note;
    int r = 0;

    if (decoded->error) {
        r = add_note(merge, decoded, decoded->error, &note);
        if (r == 0) {
            note->kept = kept;
            note->nameless = decoded->refused >= FENCE_REFUSED_NAMED;
        }
        return r;
    }
    if (decoded->warning) {
        r = add_note(merge, decoded, decoded->warning, &note);
        if (r == 0)
            note->warning = true;
    }
    return r == 0 && first && decoded != first ? note_twin(merge, decoded, first) : r;
}

/* ---- choosing ------------------------------------------------------------------------------- */

static void choose(struct fence_merge *merge, struct fence_decoded *decoded,
                   struct fence_entry *old)
{
    merge->choices[merge->count++] = (struct fence_choice){.decoded = decoded, .old = old};
}

static bool has_text(const struct fence_entry *entry, const char *json)
{
    struct fence_hash text = fence_hash_own(json, strlen(json));

    return memcmp(&entry->text, &text, sizeof(text)) == 0;
}

/* All of the file with one id, from `from` up to `to`; `old` is NULL when it is new. */
static int choose_of_group(struct worker *worker, size_t from, size_t to, struct fence_entry *old)
{
    struct fence_decoded *first = NULL;
    int r = 0;

    for (size_t i = from; i < to && !first; i++)
        if (worker->sorted[i]->object)
            first = worker->sorted[i];
    for (size_t i = from; i < to && r == 0; i++)
        r = note_decoded(&worker->merge, worker->sorted[i], first, !first && old);
    if (first)
        choose(&worker->merge, first, old && has_text(old, first->json) ? old : NULL);
    else if (old)
        choose(&worker->merge, NULL, old);
    return r;
}

static void choose_vanished(struct worker *worker, size_t old)
{
    if (!is_suspect(&worker->suspects, worker->old_ids[old]))
        return;
    choose(&worker->merge, NULL, &worker->unit->entries[old]);
    worker->suspect_kept = true;
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
            order = strcmp(worker->sorted[i]->id, worker->old_ids[j]);
        if (order > 0) {
            choose_vanished(worker, j++);
            continue;
        }
        while (end < worker->count && strcmp(worker->sorted[end]->id, worker->sorted[i]->id) == 0)
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

static int find_suspects(struct worker *worker, const struct fence_decoded_list *list)
{
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

static int prepare(struct worker *worker, struct fence_unit *unit, struct fence_decoded_list *list)
{
    size_t room = list->count + unit->count + 1;

    worker->sorted = calloc(list->count + 1, sizeof(void *));
    worker->merge.choices = calloc(room, sizeof(*worker->merge.choices));
    if (!worker->sorted || !worker->merge.choices)
        return -ENOMEM;
    for (size_t i = 0; i < list->count; i++)
        worker->sorted[i] = &list->items[i];
    worker->count = list->count;
    qsort(worker->sorted, worker->count, sizeof(void *), compare_decoded);
    return find_suspects(worker, list);
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

static void free_old_ids(struct worker *worker)
{
    for (size_t i = 0; worker->old_ids && i < worker->unit->count; i++)
        free(worker->old_ids[i]);
    free(worker->old_ids);
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

/* An object a line, behind the line that opens the list. */
static void split_lines(char *text, size_t count, const char **lines)
{
    char *line = strchr(text, '\n');

    for (size_t i = 0; line && i < count; i++) {
        char *end = strchr(line + 1, '\n');

        lines[i] = line + 1;
        if (!end)
            break;
        *end = '\0';
        if (end > line + 1 && end[-1] == ',')
            end[-1] = '\0';
        line = end;
    }
}

/* What is kept from before has its text in the unit's. */
static int make_text(struct fence_merge *merge, const struct fence_unit *unit)
{
    FENCE_FREE const char **texts = calloc(merge->count + 1, sizeof(char *));
    FENCE_FREE const char **lines = calloc(unit->count + 1, sizeof(char *));
    FENCE_FREE char *old = unit->count ? fence_unit_json(unit) : NULL;

    if (!texts || !lines || (unit->count && !old))
        return -ENOMEM;
    if (old)
        split_lines(old, unit->count, lines);
    for (size_t i = 0; i < merge->count; i++) {
        const struct fence_choice *choice = &merge->choices[i];

        texts[i] = choice->decoded ? choice->decoded->json : lines[choice->old - unit->entries];
        if (!texts[i])
            return -ENOMEM;
    }
    return fence_unit_text_make(texts, merge->count, &merge->text);
}

static int finish(struct fence_merge *merge, const struct fence_unit *unit)
{
    merge->unchanged = is_unchanged(merge, unit);
    if (merge->unchanged)
        return 0;
    merge->entries = calloc(merge->count + 1, sizeof(*merge->entries));
    return merge->entries ? make_text(merge, unit) : -ENOMEM;
}

int fence_merge_new(struct fence_unit *unit, struct fence_decoded_list *list,
                    struct fence_merge *ret_merge)
{
    struct worker worker = {.unit = unit};
    int r = prepare(&worker, unit, list);

    if (r == 0)
        r = name_old(&worker);
    if (r == 0)
        r = choose_all(&worker);
    if (r == 0) {
        mark_suspects(&worker);
        r = finish(&worker.merge, unit);
    }
    free_old_ids(&worker);
    free(worker.sorted);
    free(worker.suspects.names);
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
    fence_unit_text_done(&merge->text);
    free(merge->choices);
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
    entry->text = fence_hash_own(choice->decoded->json, strlen(choice->decoded->json));
}

static void replace(struct fence_merge *merge, struct fence_unit *unit)
{
    for (size_t i = 0; i < merge->count; i++) {
        take_entry(&merge->choices[i], &merge->entries[i]);
        merge->entries[i].unit = unit;
    }
    unit->entries = TAKE_PTR(merge->entries);
    unit->count = merge->count;
    fence_unit_text_done(&unit->text);
    unit->text = merge->text;
    merge->text = (struct fence_unit_text){0};
}

void fence_merge_commit(struct fence_merge *merge, struct fence_unit *unit,
                        struct fence_entry **ret_old, size_t *ret_old_count)
{
    *ret_old = NULL;
    *ret_old_count = 0;
    for (size_t i = 0; i < merge->count; i++)
        if (merge->choices[i].old && merge->choices[i].decoded)
            merge->choices[i].old->object->line = merge->choices[i].decoded->line;
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

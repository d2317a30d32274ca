/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/objects/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/objects/model.h"

struct fence_unit *fence_unit_new(unsigned int order, const char *path)
{
    struct fence_unit *unit = calloc(1, sizeof(*unit));

    if (!unit)
        return NULL;
    unit->order = order;
    unit->path = strdup(path);
    if (!unit->path) {
        free(unit);
        return NULL;
    }
    return unit;
}

void fence_entries_free(struct fence_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(entries[i].id);
        free(entries[i].json);
        fence_object_free(&entries[i].object);
    }
    free(entries);
}

void fence_notes_free(struct fence_note *notes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(notes[i].id);
        free(notes[i].text);
    }
    free(notes);
}

void fence_unit_free(struct fence_unit **unit)
{
    struct fence_unit *gone = *unit;

    if (!gone)
        return;
    fence_entries_free(gone->entries, gone->count);
    fence_notes_free(gone->notes, gone->note_count);
    free(gone->path);
    free(gone->problem);
    free(gone);
    *unit = NULL;
}

int fence_unit_compare(const struct fence_unit *a, const struct fence_unit *b)
{
    if (a->order != b->order)
        return a->order < b->order ? -1 : 1;
    return strcmp(a->path, b->path);
}

/* NOLINTBEGIN(readability-function-size,bugprone-*): uthash's macros */
struct fence_unit *fence_unit_find(struct fence_unit *units, const char *path)
{
    struct fence_unit *unit;

    HASH_FIND_STR(units, path, unit);
    return unit;
}

int fence_unit_link(struct fence_unit **units, struct fence_unit *unit)
{
    HASH_ADD_KEYPTR(hh, *units, unit->path, strlen(unit->path), unit);
    return unit->hh.tbl ? 0 : -ENOMEM;
}

void fence_unit_unlink(struct fence_unit **units, struct fence_unit *unit)
{
    HASH_DELETE(hh, *units, unit);
}
/* NOLINTEND(readability-function-size,bugprone-*) */

char *fence_unit_json(const struct fence_unit *unit)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    fputs("{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[", out);
    for (size_t i = 0; i < unit->count; i++)
        fprintf(out, "%s\n%s", i ? "," : "", unit->entries[i].json);
    fputs("\n]}\n", out);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

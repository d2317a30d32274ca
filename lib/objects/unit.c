/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/objects/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/shared.h"
#include "lib/objects/model.h"

struct fence_unit *fence_unit_new(unsigned int order, const char *path, const char *shown)
{
    struct fence_unit *unit = calloc(1, sizeof(*unit));

    if (!unit)
        return NULL;
    unit->order = order;
    unit->part = shown != NULL;
    unit->path = strdup(path);
    if (!shown || strcmp(shown, path) == 0)
        unit->shown = unit->path;
    else
        unit->shown = fence_shared_string(shown);
    if (!unit->path || !unit->shown)
        fence_unit_free(&unit);
    return unit;
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
    for (size_t i = 0; i < gone->count; i++)
        fence_object_free(&gone->entries[i].object);
    free(gone->entries);
    fence_texts_done(&gone->texts);
    fence_notes_free(gone->notes, gone->note_count);
    if (gone->shown != gone->path)
        fence_shared_string_unref(&gone->shown);
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
    FENCE_CLEANUP(fence_lines_done) struct fence_lines lines = {0};
    char *text = NULL;
    size_t size = 0;
    FILE *out;

    if (unit->part || fence_texts_read(&unit->texts, &lines) < 0)
        return NULL;
    out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fputs("{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[", out);
    for (size_t i = 0; i < lines.count; i++)
        fprintf(out, "%s\n%s", i ? "," : "", lines.items[i]);
    fputs("\n]}\n", out);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/objects/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "lib/base/memory.h"
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
    fence_unit_text_done(&gone->text);
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

/* ---- texts ---------------------------------------------------------------------------------- */

/* Below this a text is not compressed: it would cost more than it saves. */
#define COMPRESS_FROM 4096

static char *join(const char *const *texts, size_t count, size_t *ret_size)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, ret_size);

    if (!out)
        return NULL;
    fputs("{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[", out);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s\n%s", i ? "," : "", texts[i]);
    fputs("\n]}\n", out);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static int compress_text(const char *plain, struct fence_unit_text *text)
{
    uLongf size = compressBound(text->full);
    unsigned char *data = malloc(size);
    unsigned char *shorter;

    if (!data)
        return -ENOMEM;
    if (compress2(data, &size, (const unsigned char *)plain, text->full, Z_BEST_SPEED) != Z_OK) {
        free(data);
        return -ENOMEM;
    }
    shorter = realloc(data, size);
    text->data = shorter ? shorter : data;
    text->size = size;
    return 0;
}

int fence_unit_text_make(const char *const *texts, size_t count, struct fence_unit_text *ret_text)
{
    struct fence_unit_text text = {0};
    char *plain = join(texts, count, &text.full);
    int r = 0;

    if (!plain)
        return -ENOMEM;
    if (text.full >= COMPRESS_FROM) {
        r = compress_text(plain, &text);
    } else {
        text.data = (unsigned char *)TAKE_PTR(plain);
        text.size = text.full;
    }
    free(plain);
    if (r == 0)
        *ret_text = text;
    return r;
}

void fence_unit_text_done(struct fence_unit_text *text)
{
    free(text->data);
    *text = (struct fence_unit_text){0};
}

char *fence_unit_text_read(const struct fence_unit_text *text)
{
    uLongf size = text->full;
    char *plain = malloc(text->full + 1);
    int r = Z_OK;

    if (!plain)
        return NULL;
    if (text->full >= COMPRESS_FROM)
        r = uncompress((unsigned char *)plain, &size, text->data, text->size);
    else
        memcpy(plain, text->data, text->full);
    if (r != Z_OK) {
        free(plain);
        return NULL;
    }
    plain[text->full] = '\0';
    return plain;
}

char *fence_unit_json(const struct fence_unit *unit)
{
    return fence_unit_text_read(&unit->text);
}

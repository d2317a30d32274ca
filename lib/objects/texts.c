/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/objects/texts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "lib/base/memory.h"

/* Below this a text is not compressed: it would cost more than it saves. */
#define COMPRESS_FROM 4096

static int compress_text(const char *plain, struct fence_texts *text)
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

int fence_texts_make(const char *lines, size_t size, struct fence_texts *ret_texts)
{
    struct fence_texts texts = {.size = size, .full = size};
    int r = 0;

    if (size >= COMPRESS_FROM) {
        r = compress_text(lines, &texts);
    } else if (size) {
        texts.data = malloc(size);
        if (!texts.data)
            return -ENOMEM;
        memcpy(texts.data, lines, size);
    }
    if (r == 0)
        *ret_texts = texts;
    return r;
}

void fence_texts_done(struct fence_texts *texts)
{
    free(texts->data);
    *texts = (struct fence_texts){0};
}

/* A new string; NULL when out of memory. */
static char *read_text(const struct fence_texts *texts)
{
    uLongf size = texts->full;
    char *plain = malloc(texts->full + 1);
    int r = Z_OK;

    if (!plain)
        return NULL;
    if (texts->full >= COMPRESS_FROM)
        r = uncompress((unsigned char *)plain, &size, texts->data, texts->size);
    else if (size)
        memcpy(plain, texts->data, size);
    if (r != Z_OK) {
        free(plain);
        return NULL;
    }
    plain[texts->full] = '\0';
    return plain;
}

static int split(struct fence_lines *lines)
{
    size_t capacity = 0;

    for (char *at = lines->text, *end; (end = strchr(at, '\n')); at = end + 1) {
        *end = '\0';
        if (fence_array_grow((void **)&lines->items, &capacity, lines->count, sizeof(char *)) < 0)
            return -ENOMEM;
        lines->items[lines->count++] = at;
    }
    return 0;
}

int fence_texts_read(const struct fence_texts *texts, struct fence_lines *ret_lines)
{
    struct fence_lines lines = {.text = read_text(texts)};

    if (!lines.text || split(&lines) < 0) {
        fence_lines_done(&lines);
        return -ENOMEM;
    }
    *ret_lines = lines;
    return 0;
}

void fence_lines_done(struct fence_lines *lines)
{
    free(lines->text);
    free(lines->items);
    *lines = (struct fence_lines){0};
}

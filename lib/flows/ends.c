/* SPDX-License-Identifier: Apache-2.0 */
/* Ends and names of policies, each kept once. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/flows/book_internal.h"

static char *append(char *at, const char *text)
{
    size_t size = strlen(text) + 1;

    memcpy(at, text, size);
    return at + size;
}

static struct book_end *make_end(const struct fence_flow_end *from, size_t *ret_size)
{
    size_t size = 1 + strlen(from->namespace_name) + strlen(from->name) + strlen(from->labels) + 3;
    struct book_end *end = calloc(1, sizeof(*end) + size);
    char *at;

    if (!end)
        return NULL;
    end->bytes[0] = (char)from->kind;
    at = end->bytes + 1;
    end->shown = (struct fence_flow_end){.kind = from->kind, .namespace_name = at};
    at = append(at, from->namespace_name);
    end->shown.name = at;
    at = append(at, from->name);
    end->shown.labels = at;
    append(at, from->labels);
    TAILQ_INIT(&end->outgoing);
    *ret_size = size;
    return end;
}

struct book_end *book_end_ref(struct fence_flow_book *book, const struct fence_flow_end *from)
{
    struct fence_slot_key key = {.offset = offsetof(struct book_end, bytes)};
    struct book_end *fresh = make_end(from, &key.size);
    struct book_end *known;

    if (!fresh)
        return NULL;
    key.bytes = fresh->bytes;
    known = (struct book_end *)fence_slots_find(&book->ends, &key);
    if (known || fence_slots_add(&book->ends, &fresh->slot, &key) < 0) {
        free(fresh);
        fresh = known;
    }
    if (fresh)
        fresh->references++;
    return fresh;
}

void book_end_unref(struct fence_flow_book *book, struct book_end **end)
{
    if (*end && --(*end)->references == 0) {
        fence_slots_remove(&book->ends, &(*end)->slot);
        free(*end);
    }
    *end = NULL;
}

static struct book_text *make_text(struct fence_flow_book *book, const struct fence_slot_key *key)
{
    struct book_text *text = calloc(1, sizeof(*text) + key->size);

    if (!text)
        return NULL;
    memcpy(text->bytes, key->bytes, key->size);
    if (fence_slots_add(&book->texts, &text->slot, key) == 0)
        return text;
    free(text);
    return NULL;
}

int book_text_ref(struct fence_flow_book *book, const char *bytes, struct book_text **ret_text)
{
    const struct fence_slot_key key = {bytes, strlen(bytes) + 1, offsetof(struct book_text, bytes)};
    struct book_text *text = NULL;

    if (*bytes) {
        text = (struct book_text *)fence_slots_find(&book->texts, &key);
        if (!text)
            text = make_text(book, &key);
        if (!text)
            return -ENOMEM;
        text->references++;
    }
    *ret_text = text;
    return 0;
}

void book_text_unref(struct fence_flow_book *book, struct book_text **text)
{
    if (*text && --(*text)->references == 0) {
        fence_slots_remove(&book->texts, &(*text)->slot);
        free(*text);
    }
    *text = NULL;
}

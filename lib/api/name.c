/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/api/name.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"

/* The texts of struct fence_name, by their place in it. */
static const size_t members[] = {
    offsetof(struct fence_name, reserved),
    offsetof(struct fence_name, node),
    offsetof(struct fence_name, namespace_name),
    offsetof(struct fence_name, app),
    offsetof(struct fence_name, pod),
    offsetof(struct fence_name, service),
    offsetof(struct fence_name, labels),
    offsetof(struct fence_name, spiffe),
    offsetof(struct fence_name, interface),
    offsetof(struct fence_name, policy),
};

static const char *text_of(const struct fence_name *name, size_t member)
{
    const char *text;

    memcpy(&text, (const char *)name + member, sizeof(text));
    return text ? text : "";
}

struct fence_name *fence_name_new(const struct fence_name *texts)
{
    struct fence_name *name;
    size_t size = 0;
    char *end;

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(members); i++)
        size += strlen(text_of(texts, members[i])) + 1;
    name = malloc(sizeof(*name) + size);
    if (!name)
        return NULL;
    name->references = 1;
    name->rule = texts->rule;
    end = name->data;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(members); i++) {
        const char *text = text_of(texts, members[i]);

        size = strlen(text) + 1;
        memcpy(end, text, size);
        memcpy((char *)name + members[i], &end, sizeof(end));
        end += size;
    }
    return name;
}

struct fence_name *fence_name_ref(struct fence_name *name)
{
    if (name)
        name->references++;
    return name;
}

void fence_name_unref(struct fence_name *name)
{
    if (name && --name->references == 0)
        free(name);
}

bool fence_name_equal(const struct fence_name *a, const struct fence_name *b)
{
    if (!a || !b)
        return a == b;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(members); i++)
        if (strcmp(text_of(a, members[i]), text_of(b, members[i])) != 0)
            return false;
    return a->rule == b->rule;
}

void fence_name_index_add(struct fence_name_index *index, const struct fence_addr *addr,
                          const struct fence_name *texts)
{
    struct fence_name *name;
    uint32_t known;

    if (fence_intern_find(&index->addresses, addr, sizeof(*addr), &known) ||
        FENCE_GROW(index->items, index->capacity, index->count) < 0)
        return;
    name = fence_name_new(texts);
    if (name && fence_intern_put(&index->addresses, addr, sizeof(*addr), (uint32_t)index->count,
                                 &known) == 1)
        index->items[index->count++].name = name;
    else
        fence_name_unref(name);
}

struct fence_name *fence_name_index_find(const struct fence_name_index *index,
                                         const struct fence_addr *addr)
{
    uint32_t found;

    if (!fence_intern_find(&index->addresses, addr, sizeof(*addr), &found))
        return NULL;
    return index->items[found].name;
}

void fence_name_index_done(struct fence_name_index *index)
{
    for (size_t i = 0; i < index->count; i++)
        fence_name_unref(index->items[i].name);
    free(index->items);
    fence_intern_done(&index->addresses);
    *index = (struct fence_name_index){0};
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/objects/live_list.h"

#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"

#define NAMES_MIN 1024u
#define WAITS     1ull

void fence_live_list_done(struct fence_live_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        fence_decoded_done(&list->items[i].decoded);
    free(list->items);
    free(list->names);
    *list = (struct fence_live_list){0};
}

uint64_t fence_live_name(const char *id)
{
    uint64_t name = fence_hash_text(id) & ~WAITS;

    return name ? name : 2;
}

/* Where it is, or a free place. There is one: a quarter of them at least. */
static uint64_t *find(uint64_t *names, size_t size, uint64_t name)
{
    size_t at = (size_t)(name >> 1) & (size - 1);

    while (names[at] && (names[at] & ~WAITS) != name)
        at = (at + 1) & (size - 1);
    return &names[at];
}

static int grow(struct fence_live_list *list)
{
    size_t size = list->name_size ? list->name_size * 2 : NAMES_MIN;
    uint64_t *names;

    if ((list->name_count + 1) * 4 <= list->name_size * 3)
        return 0;
    names = calloc(size, sizeof(*names));
    if (!names)
        return -ENOMEM;
    for (size_t i = 0; i < list->name_size; i++)
        if (list->names[i])
            *find(names, size, list->names[i] & ~WAITS) = list->names[i];
    free(list->names);
    list->names = names;
    list->name_size = size;
    return 0;
}

int fence_live_list_tell(struct fence_live_list *list, uint64_t name)
{
    uint64_t *place;

    if (grow(list) < 0)
        return -ENOMEM;
    place = find(list->names, list->name_size, name);
    if (!*place) {
        *place = name;
        list->name_count++;
    }
    return 0;
}

bool fence_live_list_told(const struct fence_live_list *list, uint64_t name)
{
    return list->name_size && *find(list->names, list->name_size, name);
}

bool fence_live_list_waits(const struct fence_live_list *list, uint64_t name)
{
    return list->name_size && *find(list->names, list->name_size, name) & WAITS;
}

int fence_live_list_keep(struct fence_live_list *list, uint64_t name, struct fence_decoded *decoded)
{
    if (FENCE_GROW(list->items, list->capacity, list->count) < 0 ||
        fence_live_list_tell(list, name) < 0)
        return -ENOMEM;
    *find(list->names, list->name_size, name) |= WAITS;
    list->items[list->count] =
        (struct fence_live_item){.name = name, .place = list->count, .decoded = *decoded};
    list->count++;
    *decoded = (struct fence_decoded){0};
    return 0;
}

static int compare_items(const void *a, const void *b)
{
    const struct fence_live_item *left = a, *right = b;

    if (left->name != right->name)
        return left->name < right->name ? -1 : 1;
    return left->place < right->place ? -1 : left->place > right->place;
}

void fence_live_list_sort(struct fence_live_list *list)
{
    size_t kept = 0;

    if (list->count)
        qsort(list->items, list->count, sizeof(*list->items), compare_items);
    for (size_t i = 0; i < list->count; i++) {
        if (kept && list->items[kept - 1].name == list->items[i].name)
            fence_decoded_done(&list->items[--kept].decoded);
        list->items[kept++] = list->items[i];
    }
    list->count = kept;
}

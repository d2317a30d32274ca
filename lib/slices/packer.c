/* SPDX-License-Identifier: Apache-2.0 */
/* Pods and nodes, and into which slices they go. */
#include "lib/slices/packer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/slices/entry.h"
#include "lib/slices/packer_internal.h"

/* ---- tables ---------------------------------------------------------------------------------- */

/* NOLINTBEGIN(readability-function-size,readability-function-cognitive-complexity,bugprone-*):
 * uthash's macros */
static struct entry *find_entry(const struct fence_packer *packer, enum fence_packer_kind kind,
                                const char *key)
{
    struct entry *entry;

    HASH_FIND_STR(packer->entries[kind], key, entry);
    return entry;
}

static int link_entry(struct fence_packer *packer, enum fence_packer_kind kind, struct entry *entry)
{
    HASH_ADD_KEYPTR(hh, packer->entries[kind], entry->key, strlen(entry->key), entry);
    return entry->hh.tbl ? 0 : -ENOMEM;
}

static void unlink_entry(struct fence_packer *packer, enum fence_packer_kind kind,
                         struct entry *entry)
{
    HASH_DELETE(hh, packer->entries[kind], entry);
}

static struct group *find_group(const struct fence_packer *packer, const char *text)
{
    struct group *group;

    HASH_FIND_STR(packer->groups, text, group);
    return group;
}

static int link_group(struct fence_packer *packer, struct group *group)
{
    HASH_ADD_KEYPTR(hh, packer->groups, group->text, strlen(group->text), group);
    return group->hh.tbl ? 0 : -ENOMEM;
}

static void unlink_group(struct fence_packer *packer, struct group *group)
{
    HASH_DELETE(hh, packer->groups, group);
}
/* NOLINTEND(readability-function-size,readability-function-cognitive-complexity,bugprone-*) */

/* ---- groups ---------------------------------------------------------------------------------- */

/* Takes `text`. NULL without memory. */
static struct group *obtain_group(struct fence_packer *packer, char *text)
{
    struct group *group = find_group(packer, text);

    if (group) {
        free(text);
        group->uses++;
        return group;
    }
    group = calloc(1, sizeof(*group));
    if (!group) {
        free(text);
        return NULL;
    }
    group->text = text;
    group->uses = 1;
    if (link_group(packer, group) == 0)
        return group;
    free(text);
    free(group);
    return NULL;
}

static void release_group(struct fence_packer *packer, struct group *group)
{
    if (!group || --group->uses)
        return;
    unlink_group(packer, group);
    free(group->text);
    free(group);
}

/* ---- which slice ----------------------------------------------------------------------------- */

/* One that has its group already, else one that is to be written anyway, else any with room. */
static struct slice *choose_slice(struct fence_packer *packer, enum fence_packer_kind kind,
                                  const struct entry *entry)
{
    struct slice *slice = entry->group ? packer_slice_find(packer, entry->group->slice) : NULL;
    unsigned int tries = 8;

    if (slice && packer_slice_has_room(slice, entry))
        return slice;
    for (slice = packer->roomy[kind]; slice && tries; slice = slice->next_roomy, tries--)
        if (packer_slice_has_room(slice, entry))
            return slice;
    return packer_slice_add(packer, kind, NULL);
}

/* Others of its group go there, too. */
static void remember(struct entry *entry, const struct slice *slice)
{
    if (entry->group)
        memcpy(entry->group->slice, slice->name, sizeof(slice->name));
}

static int place(struct fence_packer *packer, enum fence_packer_kind kind, struct entry *entry)
{
    struct slice *slice;

    if (!packer->started || entry->slice)
        return 0;
    slice = choose_slice(packer, kind, entry);
    if (!slice)
        return -ENOMEM;
    packer_slice_put(packer, slice, entry);
    remember(entry, slice);
    return 0;
}

/* ---- entries --------------------------------------------------------------------------------- */

static void drop_entry(struct fence_packer *packer, enum fence_packer_kind kind,
                       struct entry *entry)
{
    packer->too_large -= entry->too_large;
    packer_slice_take(packer, entry);
    unlink_entry(packer, kind, entry);
    release_group(packer, entry->group);
    free(entry->key);
    free(entry->text);
    free(entry);
}

static struct entry *obtain_entry(struct fence_packer *packer, enum fence_packer_kind kind,
                                  const char *key)
{
    struct entry *entry = find_entry(packer, kind, key);

    if (entry)
        return entry;
    entry = calloc(1, sizeof(*entry));
    if (!entry)
        return NULL;
    entry->key = strdup(key);
    if (entry->key && link_entry(packer, kind, entry) == 0)
        return entry;
    free(entry->key);
    free(entry);
    return NULL;
}

static bool is_same(const struct entry *entry, const struct fence_slice_entry *made)
{
    return entry->text && strcmp(entry->text, made->text) == 0 &&
           (!entry->group || strcmp(entry->group->text, made->group) == 0);
}

/* Takes its texts. In its slice it is changed where it lies. */
static int set_entry(struct fence_packer *packer, struct entry *entry,
                     struct fence_slice_entry *made)
{
    struct slice *slice = entry->slice;
    struct group *group = NULL;

    if (made->group) {
        group = obtain_group(packer, TAKE_PTR(made->group));
        if (!group)
            return -ENOMEM;
    }
    if (slice)
        slice->bytes -= entry_size(entry);
    release_group(packer, entry->group);
    free(entry->text);
    entry->group = group;
    entry->text = TAKE_PTR(made->text);
    entry->size = strlen(entry->text);
    packer->too_large -= entry->too_large;
    entry->too_large = entry->size + (group ? strlen(group->text) : 0) > FENCE_SLICE_ENTRY_MAX;
    packer->too_large += entry->too_large;
    if (!slice)
        return 0;
    slice->bytes += entry_size(entry);
    packer_slice_changed(packer, slice);
    return 0;
}

static int take(struct fence_packer *packer, enum fence_packer_kind kind,
                struct fence_slice_entry *made)
{
    struct entry *entry = find_entry(packer, kind, made->key);
    bool is_new = !entry;
    int r = 0;

    if (!made->text) {
        if (entry)
            drop_entry(packer, kind, entry);
        return 0;
    }
    entry = obtain_entry(packer, kind, made->key);
    if (!entry)
        return -ENOMEM;
    entry->marked = true;
    if (!is_same(entry, made))
        r = set_entry(packer, entry, made);
    if (r < 0) {
        if (is_new)
            drop_entry(packer, kind, entry);
        return r;
    }
    if (!entry->too_large)
        return place(packer, kind, entry);
    packer_slice_take(packer, entry);
    return 0;
}

/* ---- what is told ---------------------------------------------------------------------------- */

int fence_packer_object(struct fence_packer *packer, enum fence_packer_kind kind,
                        const cJSON *object)
{
    FENCE_CLEANUP(fence_slice_entry_done) struct fence_slice_entry made = {0};
    int r;

    if (kind == FENCE_PACKER_SLICE)
        return packer_slice_found(packer, object);
    r = kind == FENCE_PACKER_POD ? fence_slice_entry_of_pod(object, &made)
                                 : fence_slice_entry_of_node(object, &made);
    if (r < 0)
        return r == -EINVAL ? 0 : r;
    return take(packer, kind, &made);
}

static const char *text_in(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

    return text ? text : "";
}

int fence_packer_deleted(struct fence_packer *packer, enum fence_packer_kind kind,
                         const cJSON *object)
{
    const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(object, "metadata");
    FENCE_FREE char *key = NULL;
    struct entry *entry;

    if (kind == FENCE_PACKER_SLICE) {
        packer_slice_lost(packer, text_in(metadata, "name"));
        return 0;
    }
    if (asprintf(&key, "%s%s%s", kind == FENCE_PACKER_POD ? text_in(metadata, "namespace") : "",
                 kind == FENCE_PACKER_POD ? "/" : "", text_in(metadata, "name")) < 0) {
        key = NULL;
        return -ENOMEM;
    }
    entry = find_entry(packer, kind, key);
    if (entry)
        drop_entry(packer, kind, entry);
    return 0;
}

void fence_packer_begin(struct fence_packer *packer, enum fence_packer_kind kind)
{
    if (kind == FENCE_PACKER_SLICE) {
        packer->listing = true;
        for (struct slice *slice = packer->slices; slice; slice = slice->hh.next)
            slice->marked = false;
        return;
    }
    for (struct entry *entry = packer->entries[kind]; entry; entry = entry->hh.next)
        entry->marked = false;
}

void fence_packer_end(struct fence_packer *packer, enum fence_packer_kind kind)
{
    struct entry *entry, *next_entry;
    struct slice *slice, *next_slice;

    for (slice = packer->slices; slice && kind == FENCE_PACKER_SLICE; slice = next_slice) {
        next_slice = slice->hh.next;
        if (!slice->marked && *slice->version && !slice->is_on_its_way)
            packer_slice_lost(packer, slice->name);
    }
    if (kind == FENCE_PACKER_SLICE) {
        packer->listing = false;
        return;
    }
    for (entry = packer->entries[kind]; entry; entry = next_entry) {
        next_entry = entry->hh.next;
        if (!entry->marked)
            drop_entry(packer, kind, entry);
    }
}

/* ---- start ----------------------------------------------------------------------------------- */

/* Those that a slice of before has go back to it. */
static void put_back(struct fence_packer *packer, struct slice *slice, const char *key)
{
    struct entry *entry = find_entry(packer, slice->kind, key);

    if (entry && !entry->slice && !entry->too_large && packer_slice_has_room(slice, entry)) {
        packer_slice_put(packer, slice, entry);
        remember(entry, slice);
    }
}

static void put_back_pods(struct fence_packer *packer, struct slice *slice, const cJSON *found)
{
    const cJSON *group, *pod;
    char key[600];

    cJSON_ArrayForEach(group, cJSON_GetObjectItemCaseSensitive(found, "groups"))
    {
        cJSON_ArrayForEach(pod, cJSON_GetObjectItemCaseSensitive(group, "pods"))
        {
            snprintf(key, sizeof(key), "%s/%s", text_in(group, "namespace"), text_in(pod, "name"));
            put_back(packer, slice, key);
        }
    }
}

static void put_back_nodes(struct fence_packer *packer, struct slice *slice, const cJSON *found)
{
    const cJSON *node;

    cJSON_ArrayForEach(node, cJSON_GetObjectItemCaseSensitive(found, "nodes"))
    {
        put_back(packer, slice, text_in(node, "name"));
    }
}

/* What is in them as it should be is not written again. */
static void take_over(struct fence_packer *packer)
{
    for (struct slice *slice = packer->slices; slice; slice = slice->hh.next) {
        cJSON *found = slice->found ? cJSON_Parse(slice->found) : NULL;

        put_back_pods(packer, slice, found);
        put_back_nodes(packer, slice, found);
        packer_slice_compare(packer, slice, found);
        cJSON_Delete(found);
        free(slice->found);
        slice->found = NULL;
    }
}

int fence_packer_start(struct fence_packer *packer)
{
    int r = 0;

    if (packer->started)
        return 0;
    packer->started = true;
    take_over(packer);
    for (unsigned int kind = 0; kind < 2; kind++)
        for (struct entry *entry = packer->entries[kind]; entry && r == 0; entry = entry->hh.next)
            if (!entry->too_large)
                r = place(packer, (enum fence_packer_kind)kind, entry);
    return r;
}

struct fence_packer *fence_packer_new(uint64_t seed)
{
    struct fence_packer *packer = calloc(1, sizeof(*packer));

    if (packer) {
        packer->seed = seed;
        packer->dirty_end = &packer->dirty;
    }
    return packer;
}

void fence_packer_free(struct fence_packer **packer)
{
    struct fence_packer *gone = *packer;
    struct entry *entry, *next_entry;
    struct slice *slice, *next_slice;

    if (!gone)
        return;
    for (unsigned int kind = 0; kind < 2; kind++)
        for (entry = gone->entries[kind]; entry; entry = next_entry) {
            next_entry = entry->hh.next;
            drop_entry(gone, (enum fence_packer_kind)kind, entry);
        }
    for (slice = gone->slices; slice; slice = next_slice) {
        next_slice = slice->hh.next;
        packer_slice_free(gone, slice);
    }
    free(gone);
    *packer = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Slices: what is in them, what the API server has of them, and what is to be written. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/memory.h"
#include "lib/slices/packer_internal.h"

/* ---- tables and lists ------------------------------------------------------------------------ */

/* NOLINTBEGIN(readability-function-size,readability-function-cognitive-complexity,bugprone-*):
 * uthash's macros */
struct slice *packer_slice_find(const struct fence_packer *packer, const char *name)
{
    struct slice *slice;

    HASH_FIND_STR(packer->slices, name, slice);
    return slice;
}

static int link_slice(struct fence_packer *packer, struct slice *slice)
{
    HASH_ADD_STR(packer->slices, name, slice);
    return slice->hh.tbl ? 0 : -ENOMEM;
}

static void unlink_slice(struct fence_packer *packer, struct slice *slice)
{
    HASH_DELETE(hh, packer->slices, slice);
}
/* NOLINTEND(readability-function-size,readability-function-cognitive-complexity,bugprone-*) */

static void set_dirty(struct fence_packer *packer, struct slice *slice, bool dirty)
{
    if (slice->dirty == dirty)
        return;
    slice->dirty = dirty;
    packer->dirty_count += dirty ? 1 : -(size_t)1;
    if (dirty) {
        slice->next_dirty = NULL;
        slice->link_dirty = packer->dirty_end;
        *packer->dirty_end = slice;
        packer->dirty_end = &slice->next_dirty;
        return;
    }
    *slice->link_dirty = slice->next_dirty;
    if (slice->next_dirty)
        slice->next_dirty->link_dirty = slice->link_dirty;
    else
        packer->dirty_end = slice->link_dirty;
}

static void set_roomy(struct fence_packer *packer, struct slice *slice, bool roomy)
{
    struct slice **list = &packer->roomy[slice->kind];

    if (slice->roomy == roomy)
        return;
    slice->roomy = roomy;
    if (roomy) {
        slice->next_roomy = *list;
        slice->link_roomy = list;
        if (*list)
            (*list)->link_roomy = &slice->next_roomy;
        *list = slice;
        return;
    }
    *slice->link_roomy = slice->next_roomy;
    if (slice->next_roomy)
        slice->next_roomy->link_roomy = slice->link_roomy;
}

struct slice *packer_slice_add(struct fence_packer *packer, enum fence_packer_kind kind,
                               const char *name)
{
    struct slice *slice = calloc(1, sizeof(*slice));
    const __u64 key[2] = {packer->seed, ++packer->named};

    if (!slice)
        return NULL;
    slice->kind = kind;
    slice->entries_end = &slice->entries;
    if (name)
        snprintf(slice->name, sizeof(slice->name), "%s", name);
    else
        snprintf(slice->name, sizeof(slice->name), "podfence-%016" PRIx64,
                 (uint64_t)fence_hash_bytes(key, "slice", 5).words[0]);
    if (packer_slice_find(packer, slice->name) || link_slice(packer, slice) < 0) {
        free(slice);
        return NULL;
    }
    set_roomy(packer, slice, true);
    return slice;
}

void packer_slice_free(struct fence_packer *packer, struct slice *slice)
{
    set_dirty(packer, slice, false);
    set_roomy(packer, slice, false);
    unlink_slice(packer, slice);
    free(slice->found);
    free(slice);
}

/* ---- what is in it --------------------------------------------------------------------------- */

bool packer_slice_has_room(const struct slice *slice, const struct entry *entry)
{
    return !slice->count || (slice->count < FENCE_SLICE_ENTRIES &&
                             slice->bytes + entry_size(entry) <= FENCE_SLICE_BYTES);
}

void packer_slice_changed(struct fence_packer *packer, struct slice *slice)
{
    slice->changed = slice->is_on_its_way;
    if (slice->refused)
        slice->again_ns = 0;
    slice->refused = false;
    if (!slice->is_on_its_way)
        set_dirty(packer, slice, true);
}

void packer_slice_put(struct fence_packer *packer, struct slice *slice, struct entry *entry)
{
    entry->slice = slice;
    entry->next = NULL;
    entry->link = slice->entries_end;
    *slice->entries_end = entry;
    slice->entries_end = &entry->next;
    slice->count++;
    packer->placed[slice->kind]++;
    slice->bytes += entry_size(entry);
    set_roomy(packer, slice,
              slice->count < FENCE_SLICE_ENTRIES && slice->bytes < FENCE_SLICE_BYTES);
    packer_slice_changed(packer, slice);
}

void packer_slice_take(struct fence_packer *packer, struct entry *entry)
{
    struct slice *slice = entry->slice;

    if (!slice)
        return;
    *entry->link = entry->next;
    if (entry->next)
        entry->next->link = entry->link;
    else
        slice->entries_end = entry->link;
    entry->slice = NULL;
    slice->count--;
    packer->placed[slice->kind]--;
    slice->bytes -= entry_size(entry);
    set_roomy(packer, slice, true);
    packer_slice_changed(packer, slice);
}

/* ---- its JSON -------------------------------------------------------------------------------- */

/* All pods of the group of `first` from there on. */
static void put_group(FILE *out, const struct entry *first)
{
    fprintf(out, "%s,\"pods\":[%s", first->group->text, first->text);
    for (const struct entry *other = first->next; other; other = other->next)
        if (other->group == first->group)
            fprintf(out, ",%s", other->text);
    fputs("]}", out);
}

static bool is_first_of_group(const struct slice *slice, const struct entry *entry)
{
    const struct entry *before = slice->entries;

    while (before != entry && before->group != entry->group)
        before = before->next;
    return before == entry;
}

static void put_entries(FILE *out, const struct slice *slice)
{
    const char *comma = "";

    fputs(slice->kind == FENCE_PACKER_POD ? ",\"groups\":[" : ",\"nodes\":[", out);
    for (const struct entry *entry = slice->entries; entry; entry = entry->next) {
        if (entry->group && !is_first_of_group(slice, entry))
            continue;
        fputs(comma, out);
        comma = ",";
        if (entry->group)
            put_group(out, entry);
        else
            fputs(entry->text, out);
    }
    fputc(']', out);
}

/* A new string, NULL without memory. */
static char *format(const struct slice *slice)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    fprintf(out,
            "{\"apiVersion\":\"podfence.io/v1alpha1\",\"kind\":\"AddressSlice\",\"metadata\":{"
            "\"name\":\"%s\",\"labels\":{\"app.kubernetes.io/managed-by\":\"podfence\"}",
            slice->name);
    if (*slice->version)
        fprintf(out, ",\"resourceVersion\":\"%s\"", slice->version);
    fputc('}', out);
    if (slice->count)
        put_entries(out, slice);
    fputc('}', out);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

/* ---- what the API server has ----------------------------------------------------------------- */

static const cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* Equal, with what is empty as good as not there. */
static bool is_equal(const cJSON *a, const cJSON *b)
{
    bool has_a = a && a->child, has_b = b && b->child;

    return has_a == has_b && (!has_a || cJSON_Compare(a, b, true));
}

void packer_slice_compare(struct fence_packer *packer, struct slice *slice, const cJSON *object)
{
    FENCE_FREE char *text = format(slice);
    cJSON *own = text ? cJSON_Parse(text) : NULL;
    bool is_right = slice->count && is_equal(member(own, "groups"), member(object, "groups")) &&
                    is_equal(member(own, "nodes"), member(object, "nodes"));

    cJSON_Delete(own);
    set_dirty(packer, slice, !is_right);
}

/* resourceVersions are numbers that grow (KEP 5504). */
static bool is_newer(const char *version, const char *than)
{
    size_t length = strlen(version), other = strlen(than);

    return length != other ? length > other : strcmp(version, than) > 0;
}

/* It is written back into JSON. An answer and an event of the watch may come in either order. */
static void set_version(const struct fence_packer *packer, struct slice *slice, const char *version)
{
    size_t length = strlen(version);

    if (length < sizeof(slice->version) && strspn(version, "0123456789") == length &&
        (packer->listing || is_newer(version, slice->version)))
        memcpy(slice->version, version, length + 1);
}

static const char *text_in(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(member(object, name));

    return text ? text : "";
}

static bool is_name(const char *name)
{
    size_t length = strlen(name);

    return length > 0 && length < SLICE_NAME &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == length && *name != '.';
}

/* Until the start it is only kept: pods and nodes may be told later. */
static int keep_found(struct slice *slice, const cJSON *object)
{
    cJSON *kept = cJSON_CreateObject();
    const char *names[] = {"groups", "nodes"};

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(names); i++)
        if (member(object, names[i]))
            cJSON_AddItemToObject(kept, names[i], cJSON_Duplicate(member(object, names[i]), true));
    free(slice->found);
    slice->found = cJSON_PrintUnformatted(kept);
    cJSON_Delete(kept);
    return slice->found ? 0 : -ENOMEM;
}

int packer_slice_found(struct fence_packer *packer, const cJSON *object)
{
    const cJSON *metadata = member(object, "metadata"), *nodes = member(object, "nodes");
    const char *name = text_in(metadata, "name"), *version = text_in(metadata, "resourceVersion");
    struct slice *slice;

    if (strcmp(name, FENCE_SLICE_COMPLETE) == 0) {
        packer->complete = cJSON_IsTrue(member(object, "complete"));
        return 0;
    }
    if (!is_name(name))
        return 0;
    slice = packer_slice_find(packer, name);
    if (!slice)
        slice = packer_slice_add(
            packer, nodes && nodes->child ? FENCE_PACKER_NODE : FENCE_PACKER_POD, name);
    if (!slice)
        return -ENOMEM;
    slice->marked = true;
    slice->again_ns = 0;
    if (strcmp(slice->version, version) == 0)
        return 0; /* our own write */
    set_version(packer, slice, version);
    if (!packer->started)
        return keep_found(slice, object);
    if (!slice->is_on_its_way)
        packer_slice_compare(packer, slice, object);
    return 0;
}

void packer_slice_lost(struct fence_packer *packer, const char *name)
{
    struct slice *slice = packer_slice_find(packer, name);

    if (strcmp(name, FENCE_SLICE_COMPLETE) == 0)
        packer->complete = false;
    if (!slice)
        return;
    slice->version[0] = '\0';
    if (slice->is_on_its_way)
        return;
    if (slice->count)
        packer_slice_changed(packer, slice);
    else
        packer_slice_free(packer, slice);
}

/* ---- writes ---------------------------------------------------------------------------------- */

/* Is there more to write than what is refused as it is? */
static bool is_pending(const struct fence_packer *packer)
{
    const struct slice *slice = packer->dirty;

    while (slice && slice->refused)
        slice = slice->next_dirty;
    return slice || packer->on_their_way;
}

/* Written last: that all that was there is in slices. */
static bool next_complete(struct fence_packer *packer, uint64_t now_ns,
                          struct fence_packer_write *write)
{
    if (packer->complete || packer->complete_on_its_way || is_pending(packer) || !packer->started ||
        now_ns < packer->complete_again_ns)
        return false;
    write->body = strdup("{\"apiVersion\":\"podfence.io/v1alpha1\",\"kind\":\"AddressSlice\","
                         "\"metadata\":{\"name\":\"" FENCE_SLICE_COMPLETE "\",\"labels\":{"
                         "\"app.kubernetes.io/managed-by\":\"podfence\"}},\"complete\":true}");
    if (!write->body)
        return false;
    write->method = "POST";
    snprintf(write->name, sizeof(write->name), "%s", FENCE_SLICE_COMPLETE);
    packer->complete_on_its_way = true;
    return true;
}

/* Empty ones that the API server does not have need no request. */
static struct slice *next_dirty(struct fence_packer *packer, uint64_t now_ns)
{
    struct slice *slice, *next;

    for (slice = packer->dirty; slice; slice = next) {
        next = slice->next_dirty;
        if (!slice->count && !*slice->version)
            packer_slice_free(packer, slice);
        else if (now_ns >= slice->again_ns)
            return slice;
    }
    return NULL;
}

bool fence_packer_next(struct fence_packer *packer, uint64_t now_ns,
                       struct fence_packer_write *ret_write)
{
    struct slice *slice = packer->started ? next_dirty(packer, now_ns) : NULL;

    *ret_write = (struct fence_packer_write){0};
    if (!slice)
        return next_complete(packer, now_ns, ret_write);
    ret_write->method = !slice->count ? "DELETE" : *slice->version ? "PUT" : "POST";
    ret_write->body = slice->count ? format(slice) : NULL;
    if (slice->count && !ret_write->body)
        return false;
    memcpy(ret_write->name, slice->name, sizeof(slice->name));
    set_dirty(packer, slice, false);
    slice->is_on_its_way = true;
    slice->changed = false;
    packer->on_their_way++;
    return true;
}

void fence_packer_answered(struct fence_packer *packer, const char *name,
                           enum fence_packer_answer answer, const char *version, uint64_t again_ns)
{
    const bool written = answer == FENCE_PACKER_WRITTEN;
    struct slice *slice = packer_slice_find(packer, name);

    if (strcmp(name, FENCE_SLICE_COMPLETE) == 0) {
        packer->complete_on_its_way = false;
        packer->complete |= written;
        packer->complete_again_ns = again_ns;
        return;
    }
    if (!slice || !slice->is_on_its_way)
        return;
    slice->is_on_its_way = false;
    packer->on_their_way--;
    if (written && !*version)
        slice->version[0] = '\0';
    else if (written)
        set_version(packer, slice, version);
    else if (!slice->changed || answer != FENCE_PACKER_REFUSED)
        slice->again_ns = again_ns;
    slice->refused = answer == FENCE_PACKER_REFUSED && !slice->changed;
    /* somebody else may have written it after us */
    if (!written || slice->changed || (*version && strcmp(slice->version, version) != 0))
        set_dirty(packer, slice, true);
    else if (!slice->count && !*slice->version)
        packer_slice_free(packer, slice);
}

void fence_packer_count(const struct fence_packer *packer, struct fence_packer_count *ret_count)
{
    *ret_count = (struct fence_packer_count){
        .pods = packer->placed[FENCE_PACKER_POD],
        .nodes = packer->placed[FENCE_PACKER_NODE],
        .slices = HASH_COUNT(packer->slices),
        .pending = packer->dirty_count + packer->on_their_way,
        .too_large = packer->too_large,
        .complete = packer->complete,
    };
    for (const struct slice *slice = packer->dirty; slice; slice = slice->next_dirty)
        ret_count->refused += slice->refused;
}

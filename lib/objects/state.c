/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/objects/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/hash.h"
#include "lib/base/memory.h"

#define FILE_ENDING     ".objects.json"
#define HEAD_MAX        16384u
/* Quoting can make a file longer than the one it was read from. */
#define STATE_MAX_BYTES (4ul * FENCE_DOC_MAX_BYTES)

static int no_memory(struct fence_err *err)
{
    return fence_err_set(err, -ENOMEM, "out of memory");
}

static int path_of(const char *dir, const char *unit, char **ret_path)
{
    static const __u64 key[2];
    struct fence_hash hash = fence_hash_bytes(key, unit, strlen(unit));

    return asprintf(ret_path, "%s/%016llx%016llx" FILE_ENDING, dir,
                    (unsigned long long)hash.words[0], (unsigned long long)hash.words[1]);
}

/* ---- the first line ------------------------------------------------------------------------- */

/* {"metadata":{"mounted":true,"unit":"/x/a.yaml"},... in front of the rest of the List */
static char *make_head(const struct fence_state_unit *unit)
{
    char key[] = "unit", *head = NULL;
    struct fence_doc name = {.type = FENCE_DOC_STRING, .key = key, .text = unit->unit};
    FENCE_FREE char *quoted = fence_doc_to_json(&name);

    if (!quoted || asprintf(&head, "{\"metadata\":{\"mounted\":%s,\"unit\":%s},",
                            unit->mounted ? "true" : "false", quoted) < 0)
        return NULL;
    return head;
}

static int parse_head(const char *data, struct fence_state_unit *ret_unit, struct fence_err *err)
{
    FENCE_FREE char *document = NULL;
    struct fence_docs docs = {0};
    const struct fence_doc *metadata, *unit, *mounted;
    int r = -EINVAL;

    /* up to the first item, closed again */
    if (asprintf(&document, "%.*s]}", (int)strcspn(data, "\n"), data) < 0) {
        document = NULL;
        return no_memory(err);
    }
    if (fence_docs_parse(document, strlen(document), &docs, err) < 0)
        return r;
    metadata = docs.count == 1 ? fence_doc_get(docs.items[0], "metadata") : NULL;
    unit = fence_doc_get(metadata, "unit");
    mounted = fence_doc_get(metadata, "mounted");
    if (!unit || unit->type != FENCE_DOC_STRING || !mounted || mounted->type != FENCE_DOC_BOOL) {
        r = fence_err_set(err, -EINVAL, "does not say whose objects it keeps");
    } else {
        ret_unit->mounted = fence_doc_is_true(mounted);
        ret_unit->unit = strdup(unit->text);
        r = ret_unit->unit ? 0 : no_memory(err);
    }
    fence_docs_done(&docs);
    return r;
}

static int read_head(int dir, const char *name, struct fence_state_unit *ret_unit,
                     struct fence_err *err)
{
    FENCE_CLOSE int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    FENCE_FREE char *head = calloc(1, HEAD_MAX + 1);
    ssize_t got;

    if (!head)
        return no_memory(err);
    if (fd < 0)
        return fence_err_set(err, -errno, "cannot open: %s", strerror(errno));
    got = read(fd, head, HEAD_MAX);
    if (got < 0)
        return fence_err_set(err, -errno, "cannot read: %s", strerror(errno));
    return parse_head(head, ret_unit, err);
}

/* ---- units ---------------------------------------------------------------------------------- */

void fence_state_units_done(struct fence_state_units *units)
{
    for (size_t i = 0; i < units->count; i++)
        free(units->items[i].unit);
    free(units->items);
    *units = (struct fence_state_units){0};
}

static bool is_state_file(const char *name)
{
    size_t length = strlen(name), ending = strlen(FILE_ENDING);

    return length > ending && strcmp(name + length - ending, FILE_ENDING) == 0;
}

/* What fence_file_write() had not finished when its process was killed. */
static bool is_unfinished(const char *name)
{
    return strstr(name, FILE_ENDING ".tmp.") != NULL;
}

static int add_unit(int dir, const char *name, struct fence_state_units *units,
                    struct fence_err *err)
{
    int r;

    if (FENCE_GROW(units->items, units->capacity, units->count) < 0)
        return no_memory(err);
    r = read_head(dir, name, &units->items[units->count], err);
    if (r < 0)
        return fence_err_prefix(err, r, "%s (remove it if this stays)", name);
    units->count++;
    return 0;
}

int fence_state_list(const char *dir, struct fence_state_units *ret_units, struct fence_err *err)
{
    DIR *folder = opendir(dir);
    struct fence_state_units units = {0};
    const struct dirent *entry;
    int r = 0, one;

    if (!folder)
        return fence_err_set(err, -errno, "cannot read the state folder %s: %s", dir,
                             strerror(errno));
    /* one that is damaged does not keep the others from being used */
    while (r != -ENOMEM && (entry = readdir(folder))) {
        if (is_unfinished(entry->d_name))
            unlinkat(dirfd(folder), entry->d_name, 0);
        one =
            is_state_file(entry->d_name) ? add_unit(dirfd(folder), entry->d_name, &units, err) : 0;
        r = one < 0 ? one : r;
    }
    closedir(folder);
    *ret_units = units;
    return r;
}

/* ---- one unit ------------------------------------------------------------------------------- */

static int check_owner(const char *data, const char *unit, struct fence_err *err)
{
    struct fence_state_unit owner = {0};
    int r = parse_head(data, &owner, err);

    if (r == 0 && owner.unit && strcmp(owner.unit, unit) != 0)
        r = fence_err_set(err, -EINVAL, "keeps the objects of %s", owner.unit);
    free(owner.unit);
    return r;
}

int fence_state_load(const char *dir, const char *unit, struct fence_decoded_list *ret_list,
                     struct fence_err *err)
{
    FENCE_FREE char *path = NULL;
    FENCE_FREE char *data = NULL;
    size_t size;
    int r;

    if (path_of(dir, unit, &path) < 0) {
        path = NULL;
        return no_memory(err);
    }
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return -ENOENT;
    r = fence_file_read(AT_FDCWD, path, STATE_MAX_BYTES, &data, &size, err);
    if (r < 0)
        return r;
    r = check_owner(data, unit, err);
    if (r == 0)
        r = fence_decode_stream(data, size, ret_list, err);
    return r < 0 ? fence_err_prefix(err, r, "%s", path) : 0;
}

static bool is_there(const char *path, const char *text)
{
    FENCE_FREE char *data = NULL;
    size_t size;

    return fence_file_read(AT_FDCWD, path, STATE_MAX_BYTES, &data, &size, NULL) == 0 &&
           strcmp(data, text) == 0;
}

int fence_state_save(const char *dir, const struct fence_state_unit *unit, const char *json,
                     struct fence_err *err)
{
    FENCE_FREE char *path = NULL;
    FENCE_FREE char *text = NULL;
    FENCE_FREE char *head = make_head(unit);

    if (!head || asprintf(&text, "%s%s", head, json + 1) < 0) {
        text = NULL;
        return no_memory(err);
    }
    if (path_of(dir, unit->unit, &path) < 0) {
        path = NULL;
        return no_memory(err);
    }
    if (is_there(path, text))
        return 0;
    return fence_file_write(path, text, strlen(text), 0600, err);
}

int fence_state_forget(const char *dir, const char *unit, struct fence_err *err)
{
    FENCE_FREE char *path = NULL;

    if (path_of(dir, unit, &path) < 0) {
        path = NULL;
        return no_memory(err);
    }
    if (unlink(path) < 0 && errno != ENOENT)
        return fence_err_set(err, -errno, "cannot remove %s: %s", path, strerror(errno));
    return 0;
}

static int remove_file(const char *dir, const char *name, const char *ending, struct fence_err *err)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s%s", dir, name, ending);
    if (unlink(path) == 0)
        return 1;
    return errno == ENOENT
               ? 0
               : fence_err_set(err, -errno, "cannot remove %s: %s", path, strerror(errno));
}

int fence_state_remove(const char *dir, const char *name, struct fence_err *err)
{
    int r = remove_file(dir, name, "", err);
    int broken = r < 0 ? r : remove_file(dir, name, FENCE_STATE_BROKEN, err);

    return broken < 0 ? broken : r | broken;
}

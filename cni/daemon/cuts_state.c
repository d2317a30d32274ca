/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cuts.json of --state. Within one boot the end is the boot clock's; after another start of the
 * machine the wall clock has to say how much is left, never more than the cut was to last.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cni/daemon/cuts_internal.h"
#include "cni/daemon/daemon.h"
#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "lib/objects/state.h"

#define FILE_MAX_BYTES (4u << 20)
#define BOOT_ID_FILE   "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_MAX    64
#define NS_PER_SECOND  1000000000ull
#define NS_PER_MS      1000000ull

static char *path_of(const struct fence_daemon *daemon)
{
    char *path = NULL;

    return asprintf(&path, "%s/" FENCE_STATE_CUTS, daemon->options.state) < 0 ? NULL : path;
}

static void read_boot_id(char id[BOOT_ID_MAX])
{
    FENCE_CLOSE int fd = open(BOOT_ID_FILE, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, id, BOOT_ID_MAX - 1);

    id[got > 0 ? got : 0] = '\0';
    id[strcspn(id, "\n")] = '\0';
}

/* ---- saving --------------------------------------------------------------------------------- */

static void add_entry(cJSON *list, const struct fence_cut_entry *entry)
{
    cJSON *json = cJSON_CreateObject();
    /* milliseconds are whole in a double */
    const uint64_t boot_ms = entry->end_ns / NS_PER_MS;

    cJSON_AddStringToObject(json, "id", entry->id);
    cJSON_AddNumberToObject(json, "createdAt", (double)entry->created_at);
    cJSON_AddNumberToObject(json, "endsAt", (double)entry->expires_at);
    cJSON_AddNumberToObject(json, "endsAtBootMs", (double)boot_ms);
    cJSON_AddItemToObject(json, "cut", cJSON_Duplicate(entry->said, true));
    cJSON_AddItemToArray(list, json);
}

static char *print_cuts(const struct fence_cuts *cuts)
{
    cJSON *file = cJSON_CreateObject(), *list;
    char boot_id[BOOT_ID_MAX], *text;

    read_boot_id(boot_id);
    cJSON_AddStringToObject(file, "bootId", boot_id);
    list = cJSON_AddArrayToObject(file, "cuts");
    for (size_t i = 0; i < cuts->count; i++)
        add_entry(list, cuts->items[i]);
    text = cJSON_Print(file);
    cJSON_Delete(file);
    return text;
}

int cuts_save(const struct fence_daemon *daemon, struct fence_err *err)
{
    FENCE_FREE char *path = path_of(daemon);
    FENCE_FREE char *text = print_cuts(&daemon->cuts);

    if (!path || !text)
        return fence_err_set(err, -ENOMEM, "out of memory");
    if (daemon->cuts.count)
        return fence_file_write(path, text, strlen(text), 0600, err);
    if (unlink(path) < 0 && errno != ENOENT)
        return fence_err_set(err, -errno, "cannot remove %s: %s", path, strerror(errno));
    return 0;
}

/* ---- loading -------------------------------------------------------------------------------- */

/* How long it still lasts, in ns; 0 = it is over. */
static uint64_t what_is_left(const cJSON *json, const struct fence_cut *cut, bool same_boot)
{
    const uint64_t most = cut->seconds * NS_PER_SECOND;
    const cJSON *end =
        cJSON_GetObjectItemCaseSensitive(json, same_boot ? "endsAtBootMs" : "endsAt");
    uint64_t now, then;

    if (!cJSON_IsNumber(end) || !(end->valuedouble > 0 && end->valuedouble < 1e15))
        return 0;
    now = same_boot ? fence_clock_boot_ns() : fence_clock_wall_ns();
    then = (uint64_t)end->valuedouble * (same_boot ? NS_PER_MS : NS_PER_SECOND);
    if (then <= now)
        return 0;
    return then - now < most + NS_PER_SECOND ? then - now : most;
}

/* To the nearest second of the wall clock, where it was before unless that was set meanwhile. */
static void restore_end(struct fence_cut_entry *entry, uint64_t left)
{
    const uint64_t boot = fence_clock_boot_ns();
    const uint64_t end = fence_clock_wall_ns() + left + NS_PER_SECOND / 2;

    entry->expires_at = (int64_t)(end / NS_PER_SECOND);
    entry->end_ns = boot + left;
}

/* 0 also for one that is over. */
static int load_entry(struct fence_cuts *cuts, const cJSON *json, bool same_boot,
                      struct fence_err *err)
{
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(json, "id");
    const cJSON *created = cJSON_GetObjectItemCaseSensitive(json, "createdAt");
    struct fence_cut_entry *entry;
    struct fence_cut cut;
    uint64_t left;
    int r = fence_cut_from_json(cJSON_GetObjectItemCaseSensitive(json, "cut"), &cut, err);

    if (r < 0)
        return r;
    if (!cJSON_IsString(id) || strlen(id->valuestring) >= CUT_ID_MAX || !cJSON_IsNumber(created))
        return fence_err_set(err, -EINVAL, "a cut without id or createdAt");
    left = what_is_left(json, &cut, same_boot);
    if (!left || cuts->count >= FENCE_CUTS_MAX)
        return 0;
    entry = cut_entry_new(&cut);
    if (!entry)
        return fence_err_set(err, -ENOMEM, "out of memory");
    snprintf(entry->id, sizeof(entry->id), "%s", id->valuestring);
    entry->created_at = (int64_t)created->valuedouble;
    restore_end(entry, left);
    cuts->items[cuts->count++] = entry;
    return 0;
}

static int load_all(struct fence_cuts *cuts, const cJSON *file, struct fence_err *err)
{
    const cJSON *boot = cJSON_GetObjectItemCaseSensitive(file, "bootId"), *json;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(file, "cuts");
    char boot_id[BOOT_ID_MAX];
    bool same_boot;
    int r = 0;

    if (!cJSON_IsString(boot) || !cJSON_IsArray(list))
        return fence_err_set(err, -EINVAL, "not a list of cuts");
    read_boot_id(boot_id);
    same_boot = strcmp(boot->valuestring, boot_id) == 0;
    /* one that is damaged does not keep the others from being used */
    cJSON_ArrayForEach(json, list)
    {
        int one = load_entry(cuts, json, same_boot, err);

        r = one < 0 ? one : r;
    }
    return r;
}

/* What fence_file_write() had not finished when its process was killed. */
static void remove_unfinished(const char *path)
{
    FENCE_FREE char *pattern = NULL;
    glob_t found = {0};

    if (asprintf(&pattern, "%s.tmp.*", path) < 0) {
        pattern = NULL;
        return;
    }
    if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++)
            unlink(found.gl_pathv[i]);
    globfree(&found);
}

int cuts_load(struct fence_daemon *daemon, struct fence_err *err)
{
    FENCE_FREE char *path = path_of(daemon);
    FENCE_FREE char *text = NULL;
    cJSON *file;
    size_t size;
    int r;

    if (!path)
        return fence_err_set(err, -ENOMEM, "out of memory");
    remove_unfinished(path);
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return 0;
    r = fence_file_read(AT_FDCWD, path, FILE_MAX_BYTES, &text, &size, err);
    if (r < 0)
        return r;
    file = cJSON_Parse(text);
    r = file ? load_all(&daemon->cuts, file, err) : fence_err_set(err, -EINVAL, "not JSON");
    cJSON_Delete(file);
    return r < 0 ? fence_err_prefix(err, r, "%s (remove it to go on without them)", path) : 0;
}

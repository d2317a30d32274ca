/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/install/netd_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/base/file.h"
#include "lib/base/memory.h"

/* Somebody may still be writing a file that is younger; later it is simply broken. */
#define BEING_WRITTEN_S 10

_Static_assert(FENCE_CHAIN_NAME_MAX <= FENCE_NETD_NAME_MAX, "room for a network's name");

/* ---- names ---------------------------------------------------------------------------------- */

static bool ends_in(const char *name, const char *end)
{
    size_t size = strlen(name), length = strlen(end);

    return size >= length && strcmp(name + size - length, end) == 0;
}

bool fence_netd_is_single(const char *name)
{
    return !ends_in(name, ".conflist");
}

static bool is_configuration(const char *name)
{
    return ends_in(name, ".conf") || ends_in(name, ".conflist") || ends_in(name, ".json");
}

static int add_name(struct fence_netd_names *names, const char *name)
{
    char *copy;

    if (FENCE_GROW(names->items, names->capacity, names->count) < 0)
        return -ENOMEM;
    copy = strdup(name);
    if (!copy)
        return -ENOMEM;
    names->items[names->count++] = copy;
    return 0;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A symbolic link counts, whatever it leads to; a folder does not. */
static bool is_file(DIR *dir, const struct dirent *entry)
{
    struct stat info;

    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type != DT_DIR;
    return fstatat(dirfd(dir), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
           !S_ISDIR(info.st_mode);
}

static int list(DIR *dir, struct fence_netd_names *names, bool dropins)
{
    const struct dirent *entry;

    while ((entry = readdir(dir))) {
        bool counts = dropins ? ends_in(entry->d_name, ".conf") : is_configuration(entry->d_name);

        if (counts && is_file(dir, entry) && add_name(names, entry->d_name) < 0)
            return -ENOMEM;
    }
    if (names->count)
        qsort(names->items, names->count, sizeof(*names->items), by_bytes);
    return 0;
}

static int read_names(const char *folder, bool dropins, struct fence_netd_names *ret_names,
                      struct fence_err *err)
{
    struct fence_netd_names names = {0};
    DIR *dir = opendir(folder);
    int r;

    if (!dir)
        return fence_err_set(err, -errno, "%s: %s", folder, strerror(errno));
    r = list(dir, &names, dropins);
    closedir(dir);
    if (r < 0) {
        fence_netd_names_done(&names);
        return fence_err_set(err, r, "out of memory");
    }
    *ret_names = names;
    return 0;
}

int fence_netd_names(const char *folder, struct fence_netd_names *ret_names, struct fence_err *err)
{
    return read_names(folder, false, ret_names, err);
}

void fence_netd_names_done(struct fence_netd_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
    *names = (struct fence_netd_names){0};
}

/* ---- files ---------------------------------------------------------------------------------- */

static int load(const char *folder, const char *name, bool single, struct fence_netd_file *ret_file,
                struct fence_err *err)
{
    FENCE_FREE char *path = NULL;
    struct fence_netd_file file = {.chain.position = -1};
    size_t size = 0;
    int r;

    if (asprintf(&path, "%s/%s", folder, name) < 0)
        return fence_err_set(err, -ENOMEM, "out of memory");
    r = fence_file_read(AT_FDCWD, path, FENCE_NETD_FILE_MAX, &file.text, &size, err);
    if (r < 0)
        return r;
    snprintf(file.name, sizeof(file.name), "%s", name);
    r = fence_chain_load((struct fence_slice){file.text, size}, single, &file.chain, err);
    if (r < 0) {
        fence_err_prefix(err, r, "%s", path);
        free(file.text);
        return r;
    }
    *ret_file = file;
    return 0;
}

int fence_netd_load(const char *folder, const char *name, struct fence_netd_file *ret_file,
                    struct fence_err *err)
{
    return load(folder, name, fence_netd_is_single(name), ret_file, err);
}

int fence_netd_load_single(const char *folder, const char *name, struct fence_netd_file *ret_file,
                           struct fence_err *err)
{
    return load(folder, name, true, ret_file, err);
}

void fence_netd_file_done(struct fence_netd_file *file)
{
    fence_chain_done(&file->chain);
    free(file->text);
    file->text = NULL;
}

bool fence_netd_is_made_of(const struct fence_netd_file *list, const struct fence_netd_file *single)
{
    FENCE_FREE char *with = NULL;
    FENCE_FREE char *made = NULL;
    FENCE_FREE char *there = NULL;
    struct fence_chain chain = {.position = -1};
    bool same;

    if (fence_chain_insert(&single->chain, "{\"type\":\"" FENCE_PLUGIN_TYPE "\"}", &with, NULL) <
            0 ||
        fence_chain_load((struct fence_slice){with, strlen(with)}, false, &chain, NULL) < 0)
        return false;
    same = fence_chain_remove(&chain, &made, NULL) == 0 &&
           fence_chain_remove(&list->chain, &there, NULL) == 0 && strcmp(made, there) == 0;
    fence_chain_done(&chain);
    return same;
}

/* ---- what is in force ----------------------------------------------------------------------- */

/* One file of the folder of drop-ins; a broken one makes libcni refuse the network. */
static int add_dropin(const char *folder, const char *name, const char *entry,
                      struct fence_netd_effective *effective)
{
    FENCE_FREE char *path = NULL;
    FENCE_FREE char *text = NULL;
    size_t size = 0;
    cJSON *json = NULL, *wanted;
    const cJSON *type;

    if (asprintf(&path, "%s/%s", folder, name) < 0)
        return -ENOMEM;
    if (fence_file_read(AT_FDCWD, path, FENCE_NETD_FILE_MAX, &text, &size, NULL) == 0)
        json = fence_json_object(text, size);
    type = fence_json_get(json, "type");
    if (!cJSON_IsString(type) || !type->valuestring[0]) {
        cJSON_Delete(json);
        return -EINVAL;
    }
    if (strcmp(type->valuestring, FENCE_PLUGIN_TYPE) == 0 && !effective->ours++) {
        wanted = entry ? cJSON_Parse(entry) : NULL;
        effective->position = (int)effective->plugins;
        effective->dropin = true;
        effective->wanted = !entry || cJSON_Compare(json, wanted, true);
        cJSON_Delete(wanted);
    }
    effective->plugins++;
    cJSON_Delete(json);
    return 0;
}

static int add_dropins(const char *folder, const char *entry,
                       struct fence_netd_effective *effective)
{
    FENCE_CLEANUP(fence_netd_names_done) struct fence_netd_names names = {0};
    FENCE_FREE char *path = NULL;
    int r = 0;

    if (asprintf(&path, "%s/%s", folder, effective->network) < 0)
        return -ENOMEM;
    if (read_names(path, true, &names, NULL) < 0)
        return 0;
    for (size_t i = 0; i < names.count && r == 0; i++) {
        r = add_dropin(path, names.items[i], entry, effective);
        if (r == -EINVAL)
            snprintf(effective->why, sizeof(effective->why),
                     "%.64s/%.64s is no configuration of a plugin", effective->network,
                     names.items[i]);
    }
    return r;
}

static void describe(const struct fence_netd_file *file, const char *entry,
                     struct fence_netd_effective *effective)
{
    const struct fence_chain *chain = &file->chain;

    snprintf(effective->file, sizeof(effective->file), "%s", file->name);
    snprintf(effective->network, sizeof(effective->network), "%s", chain->name);
    snprintf(effective->version, sizeof(effective->version), "%s",
             chain->version ? chain->version : "");
    effective->plugins = chain->plugins;
    effective->ours = chain->ours;
    effective->position = chain->position;
    effective->wanted = chain->ours == 1 && (!entry || fence_chain_has(chain, entry));
}

/* 1: it is the one, 0: it is not valid. */
static int try_file(const char *folder, const char *name, const char *entry,
                    struct fence_netd_effective *effective)
{
    struct fence_netd_file file;
    struct fence_err why = {""};
    int r = fence_netd_load(folder, name, &file, &why);

    if (r == -ENOMEM)
        return r;
    if (r < 0) {
        if (!effective->broken[0]) {
            snprintf(effective->broken, sizeof(effective->broken), "%s", name);
            snprintf(effective->why, sizeof(effective->why), "%.255s", why.text);
        }
        return 0;
    }
    describe(&file, entry, effective);
    r = file.chain.single || file.chain.inlined_only ? 0 : add_dropins(folder, entry, effective);
    fence_netd_file_done(&file);
    /* a second one of ours, inlined or dropped in, is one too many */
    effective->wanted = effective->wanted && effective->ours == 1;
    if (r == -EINVAL && !effective->broken[0])
        snprintf(effective->broken, sizeof(effective->broken), "%s", name);
    return r == -ENOMEM ? r : 1;
}

int fence_netd_effective(const char *folder, const char *entry,
                         struct fence_netd_effective *ret_effective, struct fence_err *err)
{
    FENCE_CLEANUP(fence_netd_names_done) struct fence_netd_names names = {0};
    struct fence_netd_effective effective = {.position = -1};
    int r = fence_netd_names(folder, &names, err);

    if (r < 0)
        return r;
    for (size_t i = 0; i < names.count && r == 0; i++)
        r = try_file(folder, names.items[i], entry, &effective);
    if (r < 0)
        return fence_err_set(err, r, "out of memory");
    *ret_effective = effective;
    return 0;
}

/* ---- the primary one ------------------------------------------------------------------------ */

static bool is_others(const char *name)
{
    static const char *const patterns[] = {FENCE_NETD_OWNED, "*nerdctl*", "*podman*"};

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(patterns); i++)
        if (fnmatch(patterns[i], name, 0) == 0)
            return true;
    return false;
}

/* One that has just gone is nobody's any more. */
static bool is_being_written(const char *folder, const char *name)
{
    FENCE_FREE char *path = NULL;
    struct stat info;
    time_t age;

    if (asprintf(&path, "%s/%s", folder, name) < 0 || stat(path, &info) < 0)
        return false;
    age = time(NULL) - info.st_mtime;
    return age >= -BEING_WRITTEN_S && age < BEING_WRITTEN_S;
}

int fence_netd_primary(const char *folder, struct fence_netd_file *ret_file, struct fence_err *err)
{
    FENCE_CLEANUP(fence_netd_names_done) struct fence_netd_names names = {0};
    struct fence_err why = {""};
    int r = fence_netd_names(folder, &names, err);

    if (r < 0)
        return r;
    for (size_t i = 0; i < names.count; i++) {
        if (is_others(names.items[i]))
            continue;
        r = fence_netd_load(folder, names.items[i], ret_file, &why);
        if (r == 0)
            return 0;
        if (is_being_written(folder, names.items[i]))
            return fence_err_set(err, -EAGAIN,
                                 "%s (it was written moments ago, and may not be "
                                 "complete)",
                                 why.text);
    }
    return fence_err_set(err, -ENOENT,
                         "%s has no network configuration of a main CNI%s%s: install Flannel or "
                         "Calico first, or name the right folder with --cni-conf-dir",
                         folder, why.text[0] ? "; " : "", why.text);
}

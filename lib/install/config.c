/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order in each mode leaves no moment in which the runtime finds less than before: what is new
 * is in place before what it takes the place of goes. For that moment the entry may be there
 * twice, which a second ADD of the same pod makes harmless.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "lib/cni/version.h"
#include "lib/install/install.h"
#include "lib/install/netd_file.h"
#include "lib/install/place.h"

#define NEW_MODE 0600 /* as the CIS benchmark asks for; others' files keep theirs */

static const char *const mode_names[] = {
    [FENCE_INSTALL_OFF] = "off",     [FENCE_INSTALL_OWNED] = "owned",
    [FENCE_INSTALL_PATCH] = "patch", [FENCE_INSTALL_DROPIN] = "dropin",
    [FENCE_INSTALL_NONE] = "none",
};
_Static_assert(FENCE_ARRAY_SIZE(mode_names) == FENCE_INSTALL_MODES, "a name for each mode");

int fence_install_mode_parse(const char *text, enum fence_install_mode *ret_mode)
{
    for (unsigned int i = 0; i < FENCE_INSTALL_MODES; i++)
        if (strcmp(text, mode_names[i]) == 0) {
            *ret_mode = (enum fence_install_mode)i;
            return 0;
        }
    return -EINVAL;
}

const char *fence_install_mode_name(enum fence_install_mode mode)
{
    return mode_names[mode];
}

/* What one call works with. */
struct work {
    const struct fence_install *install;
    struct fence_install_report *report;
    int folder; /* open and locked */
    struct fence_err *err;
};

static struct fence_hash hash_of(const char *text)
{
    return text ? fence_hash_own(text, strlen(text)) : (struct fence_hash){{0, 0}};
}

/* 1: written, 0: equal. `before` is NULL where there was no such file. */
static int write_text(const struct work *work, const char *name, const char *before,
                      const char *text)
{
    const struct fence_place_file file = {
        .name = name,
        .data = text,
        .size = strlen(text),
        .mode = NEW_MODE,
        .like = work->report->primary[0] ? work->report->primary : NULL,
    };

    snprintf(work->report->file, sizeof(work->report->file), "%s", name);
    work->report->before = hash_of(before);
    work->report->after = hash_of(text);
    return fence_place_write(work->folder, &file, work->err);
}

static bool is_there(const struct work *work, const char *name)
{
    return faccessat(work->folder, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* With a version that it does not speak, podfence would refuse each pod. "cniVersions" leaves the
 * choice to the runtime. */
static int check_version(const struct work *work, const struct fence_netd_file *file)
{
    struct fence_cni_error error = {0};

    if (fence_json_get(file->chain.json, "cniVersions") ||
        fence_cni_version_check(FENCE_CNI_ADD, file->chain.version, &error) == 0)
        return 0;
    return fence_err_set(work->err, -EPROTONOSUPPORT,
                         "%s/%s: cniVersion %s is none of %s, which podfence speaks: no pod would "
                         "start",
                         work->install->conf_dir, file->name,
                         file->chain.version ? file->chain.version : "is absent, and that",
                         fence_cni_versions_text());
}

static int load_primary(const struct work *work, struct fence_netd_file *ret_file)
{
    int r = fence_netd_primary(work->install->conf_dir, ret_file, work->err);

    if (r == 0)
        r = check_version(work, ret_file);
    if (r == -EPROTONOSUPPORT)
        fence_netd_file_done(ret_file);
    if (r == 0)
        snprintf(work->report->primary, sizeof(work->report->primary), "%s", ret_file->name);
    return r;
}

/* ---- what an earlier mode has left ---------------------------------------------------------- */

static int remove_owned(const struct work *work)
{
    if (!is_there(work, FENCE_NETD_OWNED))
        return 0;
    return fence_place_remove(work->folder, FENCE_NETD_OWNED, work->err) < 0 ? -EIO : 1;
}

static int remove_dropin(const struct work *work, const char *network)
{
    FENCE_FREE char *path = NULL;
    FENCE_FREE char *name = NULL;

    if (asprintf(&path, "%s/%s", work->install->conf_dir, network) < 0 ||
        asprintf(&name, "%s/" FENCE_NETD_DROPIN, network) < 0)
        return fence_err_set(work->err, -ENOMEM, "out of memory");
    if (!is_there(work, name))
        return 0;
    if (fence_place_remove(work->folder, name, work->err) < 0)
        return -EIO;
    (void)rmdir(path); /* others may have files there */
    return 1;
}

static int more(int first, int second)
{
    if (first < 0 || second < 0)
        return first < 0 ? first : second;
    return first | second;
}

/* ---- owned ---------------------------------------------------------------------------------- */

/* The main CNI's own file is not there, as after a reboot: what was made of it goes on. */
static int keep_owned(const struct work *work, const struct fence_netd_file *owned)
{
    FENCE_FREE char *text = NULL;
    int r;

    if (fence_chain_has(&owned->chain, work->install->entry))
        return write_text(work, FENCE_NETD_OWNED, owned->text, owned->text);
    r = fence_chain_insert(&owned->chain, work->install->entry, &text, work->err);
    return r < 0 ? r : write_text(work, FENCE_NETD_OWNED, owned->text, text);
}

static int copy_primary(const struct work *work, const struct fence_netd_file *primary,
                        const char *before)
{
    FENCE_FREE char *text = NULL;
    int r = fence_chain_insert(&primary->chain, work->install->entry, &text, work->err);

    if (r < 0)
        return fence_err_prefix(work->err, r, "%s/%s", work->install->conf_dir, primary->name);
    r = write_text(work, FENCE_NETD_OWNED, before, text);
    return r < 0 ? r : more(r, remove_dropin(work, primary->chain.name));
}

static int config_owned(const struct work *work)
{
    struct fence_netd_file owned = {.chain.position = -1}, primary = {.chain.position = -1};
    FENCE_FREE char *path = NULL;
    FENCE_FREE char *before = NULL;
    size_t size = 0;
    int r = load_primary(work, &primary);
    bool kept = false;

    if (asprintf(&path, "%s/" FENCE_NETD_OWNED, work->install->conf_dir) < 0)
        path = NULL;
    if (path)
        (void)fence_file_read(AT_FDCWD, path, FENCE_NETD_FILE_MAX, &before, &size, NULL);
    if (r == 0)
        r = copy_primary(work, &primary, before);
    else if (r == -ENOENT && before)
        kept = fence_netd_load(work->install->conf_dir, FENCE_NETD_OWNED, &owned, NULL) == 0;
    if (kept)
        r = keep_owned(work, &owned);
    fence_netd_file_done(&primary);
    fence_netd_file_done(&owned);
    return r;
}

/* ---- patch ---------------------------------------------------------------------------------- */

static int refuse_link(const struct work *work, const char *name)
{
    struct stat info;

    if (fstatat(work->folder, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(info.st_mode))
        return fence_err_set(work->err, -EINVAL,
                             "%s/%s is a symbolic link, which editing would replace: use the mode "
                             "owned",
                             work->install->conf_dir, name);
    return 0;
}

/* Somebody was killed before the single configuration had its other name. */
static bool is_half_patched(const struct work *work, const char *name,
                            const struct fence_netd_file *single)
{
    struct fence_netd_file list;
    bool ours;

    if (fence_netd_load(work->install->conf_dir, name, &list, NULL) < 0)
        return false;
    ours = list.chain.ours > 0 && fence_netd_is_made_of(&list, single);
    fence_netd_file_done(&list);
    return ours;
}

/* A single configuration cannot hold us: a list takes its place, and it is kept under a name that
 * no runtime reads. */
static int patch_single(const struct work *work, const struct fence_netd_file *primary)
{
    FENCE_FREE char *text = NULL;
    FENCE_FREE char *list = NULL;
    FENCE_FREE char *kept = NULL;
    int stem = (int)(strrchr(primary->name, '.') - primary->name);
    int r = fence_chain_insert(&primary->chain, work->install->entry, &text, work->err);

    if (r < 0)
        return fence_err_prefix(work->err, r, "%s", primary->name);
    if (asprintf(&list, "%.*s.conflist", stem, primary->name) < 0 ||
        asprintf(&kept, "%s" FENCE_NETD_KEPT, primary->name) < 0)
        return fence_err_set(work->err, -ENOMEM, "out of memory");
    if (is_there(work, list) && !is_there(work, kept) && !is_half_patched(work, list, primary))
        return fence_err_set(work->err, -EEXIST,
                             "%s would become %s, which is there already: use the mode owned",
                             primary->name, list);
    r = write_text(work, list, NULL, text);
    if (r >= 0 && fence_place_rename(work->folder, primary->name, kept, work->err) < 0)
        r = -EIO;
    return r < 0 ? r : 1;
}

static int patch_list(const struct work *work, const struct fence_netd_file *primary)
{
    FENCE_FREE char *text = NULL;
    int r;

    if (fence_chain_has(&primary->chain, work->install->entry))
        return write_text(work, primary->name, primary->text, primary->text);
    r = fence_chain_insert(&primary->chain, work->install->entry, &text, work->err);
    return r < 0 ? fence_err_prefix(work->err, r, "%s", primary->name)
                 : write_text(work, primary->name, primary->text, text);
}

static int config_patch(const struct work *work)
{
    struct fence_netd_file primary;
    int r = load_primary(work, &primary);

    if (r < 0)
        return r;
    r = refuse_link(work, primary.name);
    if (r == 0)
        r = primary.chain.single ? patch_single(work, &primary) : patch_list(work, &primary);
    if (r >= 0)
        r = more(r, remove_dropin(work, primary.chain.name));
    if (r >= 0)
        r = more(r, remove_owned(work));
    fence_netd_file_done(&primary);
    return r;
}

/* ---- drop-in -------------------------------------------------------------------------------- */

/* Runtimes watch the folder and not what is below it: the same text under a new inode is news.
 * Where the entry was in the text too, it goes. */
static int touch_primary(const struct work *work, const struct fence_netd_file *primary)
{
    FENCE_FREE char *text = NULL;
    struct fence_place_file file = {.name = primary->name, .touch = true};
    int r = fence_chain_remove(&primary->chain, &text, work->err);

    if (r < 0)
        return fence_err_prefix(work->err, r, "%s", primary->name);
    file.data = text;
    file.size = strlen(text);
    return fence_place_write(work->folder, &file, work->err);
}

static int write_dropin(const struct work *work, const char *network)
{
    FENCE_FREE char *path = NULL;
    FENCE_FREE char *before = NULL;
    FENCE_FREE char *text = NULL;
    FENCE_CLOSE int folder = -1;
    struct fence_install_report *report = work->report;
    struct fence_place_file file = {.name = FENCE_NETD_DROPIN, .mode = NEW_MODE};
    size_t size = 0;
    int r;

    snprintf(report->file, sizeof(report->file), "%s/" FENCE_NETD_DROPIN, network);
    if (asprintf(&path, "%s/%s", work->install->conf_dir, network) < 0 ||
        asprintf(&text, "%s\n", work->install->entry) < 0)
        return fence_err_set(work->err, -ENOMEM, "out of memory");
    r = fence_mkdirs(path, 0755, work->err);
    folder = r < 0 ? r : fence_place_open(path, work->err);
    if (folder < 0)
        return folder;
    if (fence_file_read(folder, file.name, FENCE_NETD_FILE_MAX, &before, &size, NULL) < 0)
        before = NULL;
    report->before = hash_of(before);
    report->after = hash_of(text);
    file.data = text;
    file.size = strlen(text);
    return fence_place_write(folder, &file, work->err);
}

static int dropin_with(const struct work *work, const struct fence_netd_file *primary)
{
    const struct fence_chain *chain = &primary->chain;
    int r;

    if (chain->single || chain->inlined_only)
        return fence_err_set(work->err, -EINVAL,
                             "%s/%s %s, so no drop-in is read: use the mode owned",
                             work->install->conf_dir, primary->name,
                             chain->single ? "is no list" : "says loadOnlyInlinedPlugins");
    r = refuse_link(work, primary->name);
    if (r == 0)
        r = write_dropin(work, chain->name);
    if (r > 0 || (r == 0 && chain->ours))
        r = touch_primary(work, primary);
    return r < 0 ? r : more(r, remove_owned(work));
}

static int config_dropin(const struct work *work)
{
    struct fence_netd_file primary;
    int r = load_primary(work, &primary);

    if (r < 0)
        return r;
    r = dropin_with(work, &primary);
    fence_netd_file_done(&primary);
    return r;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static int config_nothing(const struct work *work)
{
    (void)work;
    return 0;
}

int fence_install_config(const struct fence_install *install,
                         struct fence_install_report *ret_report, struct fence_err *err)
{
    static int (*const configs[])(const struct work *work) = {
        [FENCE_INSTALL_OFF] = config_nothing,  [FENCE_INSTALL_OWNED] = config_owned,
        [FENCE_INSTALL_PATCH] = config_patch,  [FENCE_INSTALL_DROPIN] = config_dropin,
        [FENCE_INSTALL_NONE] = config_nothing,
    };
    struct fence_install_report report = {0};
    struct work work = {.install = install, .report = &report, .folder = -1, .err = err};
    int r;

    work.folder = fence_place_open(install->conf_dir, err);
    if (work.folder == -ENOENT)
        return fence_err_set(err, -ENOENT,
                             "there is no folder %s: install the main CNI first, or name the right "
                             "folder with --cni-conf-dir",
                             install->conf_dir);
    if (work.folder < 0)
        return work.folder;
    r = configs[install->mode](&work);
    close(work.folder);
    if (r >= 0)
        *ret_report = report;
    return r;
}

const char *fence_install_wanted(const struct fence_install *install)
{
    return install->mode == FENCE_INSTALL_NONE ? NULL : install->entry;
}

static int judge_entry(const struct fence_install *install,
                       const struct fence_netd_effective *effective, struct fence_err *err)
{
    const char *dir = install->conf_dir, *file = effective->file;

    if (!effective->ours && install->mode == FENCE_INSTALL_OWNED &&
        strcmp(file, FENCE_NETD_OWNED) < 0)
        return fence_err_set(err, -ENOENT,
                             "%s/%s sorts before " FENCE_NETD_OWNED " and has no podfence in it: "
                             "rename it, or use the mode patch",
                             dir, file);
    if (!effective->ours)
        return fence_err_set(err, -ENOENT,
                             "podfence is not in the chain of network %s (%s/%s): pods start "
                             "without it",
                             effective->network, dir, file);
    if (effective->ours > 1)
        return fence_err_set(err, -EEXIST, "podfence is %zu times in the chain of network %s (%s)",
                             effective->ours, effective->network, file);
    return fence_err_set(err, -EUCLEAN, "podfence's entry in %s/%s is not the one asked for", dir,
                         file);
}

int fence_install_judge(const struct fence_install *install,
                        const struct fence_netd_effective *effective, struct fence_err *err)
{
    if (effective->broken[0])
        return fence_err_set(err, -EUCLEAN,
                             "%s/%s is not valid, so containerd loads nothing of that folder: %s",
                             install->conf_dir, effective->broken, effective->why);
    if (!effective->file[0])
        return fence_err_set(err, -ENOENT, "there is no network configuration in %s",
                             install->conf_dir);
    return effective->wanted ? 0 : judge_entry(install, effective, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Pods from before by libcni's result cache. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "cni/daemon/adopt_internal.h"
#include "lib/base/file.h"
#include "lib/base/memory.h"

#define FILES_MAX 8192 /* looked at in one folder */

/* Of libcni; that of its first versions. Nobody has both, and most nodes one at most. */
static const char *const default_folders[] = {
    "/var/lib/cni/results",
    "/var/lib/cni/cache/results",
};

/* Every runtime of Kubernetes calls a pod's first interface so. */
#define FIRST_IFNAME "eth0"

/* ---- files ---------------------------------------------------------------------------------- */

/* Loopback is a network of its own to libcni. */
static bool is_loopback(const char *name)
{
    size_t length = strlen(name);

    return length > 3 && strcmp(name + length - 3, "-lo") == 0;
}

/* Its attachment is an endpoint: there is nothing to read. */
static bool is_enforced(const struct adopt_pass *pass, const char *name)
{
    for (size_t i = 0; i < pass->endpoints.count; i++) {
        const struct fence_endpoint_info *info = &pass->endpoints.items[i].info;
        size_t network = strlen(info->network), id = strlen(info->container_id);

        if (strncmp(name, info->network, network) == 0 && name[network] == '-' &&
            strncmp(name + network + 1, info->container_id, id) == 0 &&
            name[network + 1 + id] == '-' && strcmp(name + network + id + 2, info->ifname) == 0)
            return true;
    }
    return false;
}

static int read_cached(int folder, const char *name, struct fence_cni_cached *ret_cached,
                       struct fence_err *err)
{
    FENCE_FREE char *text = NULL;
    ssize_t size = fence_file_read_ours(folder, name, FENCE_CNI_CACHE_MAX, &text, err);

    if (size < 0)
        return (int)size;
    return fence_cni_cached_parse(name, text, (size_t)size, ret_cached, err);
}

/* Folders may be links to each other. */
static bool is_repeated(const struct adopt_pass *pass, const struct fence_cni_cached *cached)
{
    for (size_t i = 0; i < pass->count; i++) {
        const struct fence_cni_cached *other = &pass->items[i].cached;

        if (strcmp(other->container_id, cached->container_id) == 0 &&
            strcmp(other->ifname, cached->ifname) == 0)
            return true;
    }
    return false;
}

static void add_candidate(struct adopt_pass *pass, const char *path,
                          const struct fence_cni_cached *cached)
{
    struct adopt_candidate *candidate;
    char *copy = strdup(path);

    if (!copy || FENCE_GROW(pass->items, pass->capacity, pass->count) < 0) {
        free(copy);
        adopt_refuse(pass, path, NULL, "out of memory");
        return;
    }
    candidate = &pass->items[pass->count++];
    *candidate = (struct adopt_candidate){.path = copy, .cached = *cached};
}

/* Gone in the meantime: a DEL. */
static bool has_gone(int folder, const char *name)
{
    struct stat info;

    return fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

static void read_file(struct adopt_pass *pass, int folder, const char *folder_path,
                      const char *name)
{
    struct fence_cni_cached cached = {0};
    FENCE_FREE char *path = NULL;
    struct fence_err err = {""};

    if (asprintf(&path, "%s/%s", folder_path, name) < 0) {
        path = NULL;
        return;
    }
    if (read_cached(folder, name, &cached, &err) == 0) {
        if (!is_repeated(pass, &cached))
            add_candidate(pass, path, &cached);
    } else if (!has_gone(folder, name)) {
        adopt_refuse(pass, path, NULL, err.text);
    }
}

static void read_entries(struct adopt_pass *pass, DIR *folder, const char *path)
{
    const struct dirent *entry;
    size_t seen = 0;

    while ((entry = readdir(folder))) {
        const char *name = entry->d_name;

        if (*name == '.' || is_loopback(name) || is_enforced(pass, name))
            continue;
        if (++seen > FILES_MAX) {
            adopt_refuse(pass, path, NULL, "it holds more files than a node has room for pods");
            return;
        }
        read_file(pass, dirfd(folder), path, name);
    }
}

/* A folder that nobody asked for may be missing. */
static void read_folder(struct adopt_pass *pass, const char *path, bool wanted)
{
    FENCE_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
    struct stat info;
    DIR *folder;

    if (fd < 0 && errno == ENOENT && !wanted)
        return;
    if (fd < 0 || fstat(fd, &info) < 0) {
        adopt_refuse(pass, path, NULL, strerror(errno));
        return;
    }
    if (!fence_file_is_ours(&info)) {
        adopt_refuse(pass, path, NULL, "others than root may write into it, so it is not read");
        return;
    }
    folder = fdopendir(fd);
    if (!folder) {
        adopt_refuse(pass, path, NULL, strerror(errno));
        return;
    }
    (void)TAKE_FD(fd);
    read_entries(pass, folder, path);
    closedir(folder);
}

static void read_folders(struct adopt_pass *pass)
{
    const struct fence_option_list *given = &pass->daemon->options.cni_caches;

    for (size_t i = 0; i < given->count; i++)
        read_folder(pass, given->items[i], true);
    for (size_t i = 0; !given->count && i < FENCE_ARRAY_SIZE(default_folders); i++)
        read_folder(pass, default_folders[i], false);
}

/* ---- what is ours to enforce ---------------------------------------------------------------- */

/* The Pod object with its address says which pod a bare result is for. */
static void name_bare(const struct adopt_pass *pass, struct fence_cni_cached *cached)
{
    const struct fence_object *pod;

    if (!cached->bare)
        return;
    pod = adopt_pod_with(pass, cached->addrs, cached->addr_count);
    if (!pod)
        return;
    snprintf(cached->args.namespace_name, sizeof(cached->args.namespace_name), "%s",
             pod->namespace_name);
    snprintf(cached->args.pod, sizeof(cached->args.pod), "%s", pod->name);
}

/* A result may be silent about addresses; the Pod object has them. */
static void address_silent(const struct adopt_pass *pass, struct fence_cni_cached *cached)
{
    const struct fence_object *pod;

    if (cached->addr_count || !*cached->args.pod)
        return;
    pod = adopt_pod_of(pass, &cached->args);
    for (size_t i = 0; pod && i < pod->pod.addr_count && i < FENCE_ENDPOINT_ADDRS; i++)
        cached->addrs[cached->addr_count++] = pod->pod.addrs[i];
}

static bool is_wanted(enum fence_adopt_mode mode, const struct fence_cni_cached *cached)
{
    if (mode == FENCE_ADOPT_ALL || cached->chained)
        return true;
    return mode == FENCE_ADOPT_PODS && *cached->args.pod && *cached->args.namespace_name &&
           strcmp(cached->ifname, FIRST_IFNAME) == 0;
}

/* ---- what the kernel says ------------------------------------------------------------------- */

typedef void (*refusal)(struct adopt_pass *pass, const char *source, const char *pod,
                        const char *reason);

static void refuse(struct adopt_pass *pass, struct adopt_candidate *candidate, refusal how,
                   const char *reason)
{
    const struct fence_cni_args *args = &candidate->cached.args;
    char pod[FENCE_NAMESPACE_MAX + FENCE_POD_NAME_MAX] = "";

    if (*args->pod)
        snprintf(pod, sizeof(pod), "%s/%s",
                 *args->namespace_name ? args->namespace_name : "default", args->pod);
    candidate->state = ADOPT_DONE;
    how(pass, candidate->path, pod, reason);
}

static void look(struct adopt_pass *pass, struct adopt_candidate *candidate)
{
    const struct fence_cni_cached *cached = &candidate->cached;
    struct fence_err err = {""};
    int r = -ENOENT;

    if (*cached->netns)
        r = fence_pod_link_find(cached->netns, cached->ifname, &candidate->link, &err);
    if (r == 0) {
        candidate->state = ADOPT_FOUND;
    } else if (r == -ENOENT || r == -EXDEV) {
        /* the pod has gone without DEL, or its namespace is not mounted here */
        candidate->state = ADOPT_UNSEEN;
        pass->gone++;
    } else {
        refuse(pass, candidate, r == -ENODEV ? adopt_miss : adopt_refuse, err.text);
    }
}

/* Does the interface have what the runtime gave it? A path may have come to mean another pod's. */
static bool is_confirmed(struct adopt_pass *pass, const struct adopt_candidate *candidate)
{
    const struct fence_cni_cached *cached = &candidate->cached;
    const struct fence_seen_pods *seen = adopt_see(pass);

    for (size_t i = 0; i < seen->count; i++) {
        if (seen->items[i].link.host_ifindex != candidate->link.host_ifindex)
            continue;
        for (size_t j = 0; j < cached->addr_count; j++)
            if (!fence_seen_pod_has(&seen->items[i], &cached->addrs[j]))
                return false;
        return true;
    }
    return false;
}

/* Another file that leads to the same interface; a confirmed one where that is wanted. */
static bool has_rival(const struct adopt_pass *pass, const struct adopt_candidate *candidate,
                      bool confirmed)
{
    for (size_t i = 0; i < pass->count; i++) {
        const struct adopt_candidate *other = &pass->items[i];

        if (other != candidate && other->state != ADOPT_UNSEEN &&
            other->link.host_ifindex == candidate->link.host_ifindex &&
            (!confirmed || other->confirmed))
            return true;
    }
    return false;
}

/* The kernel's addresses decide between them. */
static void settle_rivals(struct adopt_pass *pass)
{
    for (size_t i = 0; i < pass->count; i++) {
        struct adopt_candidate *candidate = &pass->items[i];

        candidate->rival = candidate->state == ADOPT_FOUND && has_rival(pass, candidate, false);
        candidate->confirmed = candidate->rival && is_confirmed(pass, candidate);
    }
    for (size_t i = 0; i < pass->count; i++) {
        struct adopt_candidate *candidate = &pass->items[i];
        const bool other = candidate->rival && has_rival(pass, candidate, true);

        if (candidate->rival && candidate->confirmed == other) {
            refuse(pass, candidate, adopt_refuse,
                   "another file of the cache leads to its interface too");
        } else if (other) {
            candidate->state = ADOPT_DONE;
            pass->gone++;
        }
    }
}

static const struct fence_endpoint_record *endpoint_at(const struct adopt_pass *pass,
                                                       uint32_t ifindex)
{
    for (size_t i = 0; i < pass->endpoints.count; i++)
        if (pass->endpoints.items[i].ifindex == ifindex)
            return &pass->endpoints.items[i];
    return NULL;
}

static bool is_same_pod(const struct fence_endpoint_info *info,
                        const struct fence_cni_cached *cached)
{
    if (strcmp(info->container_id, cached->container_id) == 0)
        return strcmp(info->ifname, cached->ifname) == 0;
    return *cached->args.pod && strcmp(info->pod, cached->args.pod) == 0 &&
           strcmp(info->namespace_name, cached->args.namespace_name) == 0;
}

static void enrol(struct adopt_pass *pass, struct adopt_candidate *candidate)
{
    const struct fence_endpoint_record *there = endpoint_at(pass, candidate->link.host_ifindex);

    candidate->state = ADOPT_DONE;
    if (there && is_same_pod(&there->info, &candidate->cached))
        return;
    if (there && !is_confirmed(pass, candidate)) {
        pass->gone++;
        return;
    }
    adopt_enrol(pass, candidate->path, &candidate->cached, &candidate->link);
}

void adopt_from_cache(struct adopt_pass *pass)
{
    const enum fence_adopt_mode mode = pass->daemon->options.adopt;

    read_folders(pass);
    for (size_t i = 0; i < pass->count; i++) {
        struct adopt_candidate *candidate = &pass->items[i];

        name_bare(pass, &candidate->cached);
        address_silent(pass, &candidate->cached);
        if (is_wanted(mode, &candidate->cached)) {
            look(pass, candidate);
        } else {
            candidate->state = ADOPT_DONE;
            pass->passed_over++;
        }
    }
    settle_rivals(pass);
    for (size_t i = 0; i < pass->count; i++)
        if (pass->items[i].state == ADOPT_FOUND)
            enrol(pass, &pass->items[i]);
}

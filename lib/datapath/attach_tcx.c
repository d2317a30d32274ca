/* SPDX-License-Identifier: Apache-2.0 */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/failpoint.h"
#include "lib/base/memory.h"
#include "lib/datapath/attach.h"
#include "lib/datapath/attach_internal.h"
#include "lib/datapath/program.h"

/* linux/bpf.h of 6.6 and later; Debian 12 compiles with 6.1. */
#define TCX_INGRESS   46
#define TCX_EGRESS    47
#define LINK_TYPE_TCX 11
#define F_BEFORE      (1u << 3)

#define LOOPBACK 1 /* the interface that every network namespace has */

#define TCX_PROGS_MAX 64 /* the kernel's own limit for one hook */

#define ENDING_STEPS   50
#define ENDING_STEP_NS 10000000

static enum bpf_attach_type hook_of(enum fence_prog prog)
{
    return (enum bpf_attach_type)(fence_hook_is_egress(prog) ? TCX_EGRESS : TCX_INGRESS);
}

static void link_path(const struct fence_pins *pins, __u32 ifindex, enum fence_prog prog,
                      char path[512])
{
    snprintf(path, 512, "%s/links/%u-%s", pins->root, ifindex, fence_prog_name(prog));
}

struct link_facts {
    __u32 prog_id;
    __u32 ifindex; /* 0 when the device has gone */
    __u32 hook;
};

/* -EBADF: not a TCX link. */
static int link_facts(int fd, struct link_facts *ret_facts)
{
    struct bpf_link_info info = {0};
    __u32 size = sizeof(info);
    int r = bpf_obj_get_info_by_fd(fd, &info, &size);

    if (r < 0)
        return r;
    if (info.type != LINK_TYPE_TCX)
        return -EBADF;
    /* struct { __u32 ifindex; __u32 attach_type; } tcx, which this header does not know yet, lies
     * where netns has two words as well. */
    memcpy(&ret_facts->ifindex, &info.netns, sizeof(ret_facts->ifindex));
    memcpy(&ret_facts->hook, (const char *)&info.netns + sizeof(__u32), sizeof(ret_facts->hook));
    ret_facts->prog_id = info.prog_id;
    return 0;
}

/* Programs at a hook in their order. */
static int query(__u32 ifindex, enum fence_prog prog, __u32 *ids, __u32 *ret_count)
{
    LIBBPF_OPTS(bpf_prog_query_opts, opts, .prog_ids = ids, .prog_cnt = TCX_PROGS_MAX);
    int r = bpf_prog_query_opts((int)ifindex, hook_of(prog), &opts);

    if (r < 0)
        return r;
    *ret_count = opts.prog_cnt;
    return 0;
}

int fence_attach_has_tcx(void)
{
    __u32 ids[TCX_PROGS_MAX], count;
    int r = query(LOOPBACK, FENCE_PROG_FROM_POD, ids, &count);

    return r == -EINVAL ? 0 : r < 0 ? r : 1;
}

/*
 * A link whose last pin has just been removed is detached a moment later, when the kernel comes to
 * it; until then the program counts as attached already.
 */
static int new_link(int prog_fd, __u32 ifindex, enum fence_prog prog)
{
    const struct timespec step = {.tv_nsec = ENDING_STEP_NS};
    LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = F_BEFORE);
    int fd = -EEXIST;

    for (unsigned int i = 0; i < ENDING_STEPS && fd == -EEXIST; i++) {
        if (i)
            nanosleep(&step, NULL);
        fd = bpf_link_create(prog_fd, (int)ifindex, hook_of(prog), &opts);
    }
    return fd;
}

static int create_link(const struct fence_pins *pins, __u32 ifindex, enum fence_prog prog,
                       struct fence_err *err)
{
    FENCE_CLOSE int fd = -1;
    char path[512];
    int r;

    /* Until it is pinned the link lives by this descriptor alone: killed here, nothing stays. */
    fd = new_link(pins->progs[prog], ifindex, prog);
    if (fd == -EINVAL)
        return fence_err_set(err, -EOPNOTSUPP,
                             "this kernel has no TCX (6.6 or later has); use attach mode clsact");
    if (fd < 0)
        return fence_err_set(err, fd, "attaching %s to interface %u by TCX: %s",
                             fence_prog_name(prog), ifindex, strerror(-fd));
    link_path(pins, ifindex, prog, path);
    FENCE_FAILPOINT("attach.tcx-linked");
    r = bpf_obj_pin(fd, path);
    FENCE_FAILPOINT("attach.tcx-pinned");
    if (r < 0)
        return fence_err_set(err, r, "pinning the TCX link %s: %s", path, strerror(-r));
    return 0;
}

static int remove_link(const char *path, struct fence_err *err)
{
    FENCE_CLOSE int fd = bpf_obj_get(path);
    int r;

    if (fd == -ENOENT)
        return 0;
    /* Somebody may hold the link open: removing the pin would not be enough. */
    r = fd < 0 ? fd : bpf_link_detach(fd);
    FENCE_FAILPOINT("detach.tcx-detached");
    if (unlink(path) < 0 && errno != ENOENT)
        return fence_err_set(err, -errno, "removing %s: %s", path, strerror(errno));
    if (r < 0)
        return fence_err_set(err, r, "detaching the TCX link %s: %s", path, strerror(-r));
    return 0;
}

/* The link goes on with the pinned program. */
static int update_link(int fd, int prog_fd, __u32 prog_id)
{
    __u32 wanted;
    int r = fence_prog_id(prog_fd, &wanted);

    return r == 0 && prog_id != wanted ? bpf_link_update(fd, prog_fd, NULL) : r;
}

static int attach_one(const struct fence_pins *pins, __u32 ifindex, enum fence_prog prog,
                      struct fence_err *err)
{
    struct link_facts facts = {0};
    FENCE_CLOSE int fd = -1;
    char path[512];
    int r;

    link_path(pins, ifindex, prog, path);
    fd = bpf_obj_get(path);
    if (fd >= 0) {
        r = link_facts(fd, &facts);
        if (r == 0 && facts.ifindex == ifindex && facts.hook == hook_of(prog)) {
            r = update_link(fd, pins->progs[prog], facts.prog_id);
            return r < 0 ? fence_err_set(err, r, "updating %s: %s", path, strerror(-r)) : 0;
        }
        /* Of a device that had this number before. */
        fence_close_p(&fd);
        r = remove_link(path, err);
        if (r < 0)
            return r;
    } else if (fd != -ENOENT) {
        return fence_err_set(err, fd, "%s: %s", path, strerror(-fd));
    }
    return create_link(pins, ifindex, prog, err);
}

int fence_tcx_attach(const struct fence_pins *pins, const struct fence_place *place,
                     struct fence_err *err)
{
    int r = 0;

    for (unsigned int i = 0; i < place->hooks->count && r == 0; i++)
        r = attach_one(pins, place->ifindex, place->hooks->progs[i], err);
    return r;
}

int fence_tcx_detach(const struct fence_pins *pins, const struct fence_place *place,
                     struct fence_err *err)
{
    int first = 0;

    for (unsigned int i = 0; i < place->hooks->count; i++) {
        char path[512];
        int r;

        link_path(pins, place->ifindex, place->hooks->progs[i], path);
        r = remove_link(path, first ? NULL : err);
        if (r < 0 && first == 0)
            first = r;
    }
    return first;
}

static int check_order(const struct fence_pins *pins, __u32 ifindex, enum fence_prog prog,
                       struct fence_err *err)
{
    __u32 ids[TCX_PROGS_MAX] = {0};
    __u32 count = 0;
    __u32 ours;
    int r = query(ifindex, prog, ids, &count);

    if (r == 0)
        r = fence_prog_id(pins->progs[prog], &ours);
    if (r < 0)
        return fence_err_set(err, r, "listing the TCX programs of interface %u: %s", ifindex,
                             strerror(-r));
    if (count == 0)
        return fence_err_set(err, -ENOENT, "interface %u has no TCX program at its %s", ifindex,
                             fence_hook_is_egress(prog) ? "egress" : "ingress");
    if (ids[0] != ours)
        return fence_err_set(err, -EBUSY, "TCX program %u is ahead of %s on interface %u", ids[0],
                             fence_prog_name(prog), ifindex);
    return 0;
}

static int check_one(const struct fence_pins *pins, __u32 ifindex, enum fence_prog prog,
                     struct fence_err *err)
{
    struct link_facts facts = {0};
    FENCE_CLOSE int fd = -1;
    char path[512];
    __u32 wanted;
    int r;

    link_path(pins, ifindex, prog, path);
    fd = bpf_obj_get(path);
    if (fd < 0)
        return fence_err_set(err, fd, "%s: %s", path, strerror(-fd));
    r = fence_prog_id(pins->progs[prog], &wanted);
    if (r == 0)
        r = link_facts(fd, &facts);
    if (r < 0)
        return fence_err_set(err, r, "%s: %s", path, strerror(-r));
    if (facts.ifindex == 0)
        return fence_err_set(err, -ENOENT, "%s is attached to nothing any more", path);
    if (facts.ifindex != ifindex || facts.hook != hook_of(prog) || facts.prog_id != wanted)
        return fence_err_set(err, -EBADF, "%s holds program %u on interface %u, not ours", path,
                             facts.prog_id, facts.ifindex);
    return check_order(pins, ifindex, prog, err);
}

int fence_tcx_check(const struct fence_pins *pins, const struct fence_place *place,
                    struct fence_err *err)
{
    int r = 0;

    for (unsigned int i = 0; i < place->hooks->count && r == 0; i++)
        r = check_one(pins, place->ifindex, place->hooks->progs[i], err);
    return r;
}

/* Is it one of the pinned programs? */
static int is_ours(const struct fence_pins *pins, __u32 id, bool *ret_ours)
{
    static const enum fence_prog attached[] = {FENCE_PROG_FROM_POD, FENCE_PROG_TO_POD,
                                               FENCE_PROG_TO_NETWORK};
    int r = 0;

    *ret_ours = false;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(attached) && r == 0 && !*ret_ours; i++) {
        __u32 ours = 0;

        if (pins->progs[attached[i]] < 0)
            continue; /* nothing is pinned, so it is not ours */
        r = fence_prog_id(pins->progs[attached[i]], &ours);
        *ret_ours = r == 0 && ours == id;
    }
    return r;
}

int fence_tcx_others(const struct fence_pins *pins, __u32 ifindex, char ret_what[64])
{
    for (unsigned int i = 0; i < fence_hooks_pod.count; i++) {
        __u32 ids[TCX_PROGS_MAX] = {0};
        __u32 count = 0;
        int r = query(ifindex, fence_hooks_pod.progs[i], ids, &count);

        if (r == -EINVAL)
            return 0; /* a kernel without TCX */
        for (__u32 j = 0; j < count && r == 0; j++) {
            bool ours = false;

            r = is_ours(pins, ids[j], &ours);
            if (r < 0 || ours)
                continue;
            snprintf(ret_what, 64, "TCX program %u", ids[j]);
            return 1;
        }
        if (r < 0)
            return r;
    }
    return 0;
}

int fence_tcx_is_first(const struct fence_pins *pins, const struct fence_place *place,
                       struct fence_err *err)
{
    for (unsigned int i = 0; i < place->hooks->count; i++) {
        __u32 ids[TCX_PROGS_MAX] = {0};
        __u32 count = 0;
        bool ours = true;
        int r = query(place->ifindex, place->hooks->progs[i], ids, &count);

        if (r == -EINVAL)
            return 0; /* a kernel without TCX */
        if (r == 0 && count)
            r = is_ours(pins, ids[0], &ours);
        if (r < 0)
            return fence_err_set(err, r, "listing the TCX programs of interface %u: %s",
                                 place->ifindex, strerror(-r));
        if (!ours)
            return fence_err_set(err, -EBUSY,
                                 "TCX program %u is ahead of our filter on interface %u", ids[0],
                                 place->ifindex);
    }
    return 0;
}

/* Whose link a pin is, by its name. */
static enum fence_prog prog_of(const char *name)
{
    static const enum fence_prog others[] = {FENCE_PROG_TO_POD, FENCE_PROG_TO_NETWORK};
    const char *dash = strchr(name, '-');

    for (size_t i = 0; dash && i < FENCE_ARRAY_SIZE(others); i++)
        if (strcmp(dash + 1, fence_prog_name(others[i])) == 0)
            return others[i];
    return FENCE_PROG_FROM_POD;
}

static int refresh_link(const struct fence_pins *pins, const char *name, struct fence_err *err)
{
    const enum fence_prog prog = prog_of(name);
    struct link_facts facts = {0};
    FENCE_CLOSE int fd = -1;
    char path[512];
    int r;

    snprintf(path, sizeof(path), "%s/links/%s", pins->root, name);
    fd = bpf_obj_get(path);
    if (fd == -ENOENT)
        return 0;
    if (fd < 0)
        return fence_err_set(err, fd, "%s: %s", path, strerror(-fd));
    r = link_facts(fd, &facts);
    if (r == 0 && facts.ifindex)
        r = update_link(fd, pins->progs[prog], facts.prog_id);
    FENCE_FAILPOINT("refresh.tcx-link");
    return r < 0 ? fence_err_set(err, r, "updating %s: %s", path, strerror(-r)) : 0;
}

static void close_folder(DIR **folder)
{
    if (*folder)
        closedir(*folder);
}

int fence_tcx_refresh(const struct fence_pins *pins, struct fence_err *err)
{
    FENCE_CLEANUP(close_folder) DIR *folder = NULL;
    const struct dirent *entry;
    char path[512];
    int first = 0;

    snprintf(path, sizeof(path), "%s/links", pins->root);
    folder = opendir(path);
    if (!folder)
        return fence_err_set(err, -errno, "%s: %s", path, strerror(errno));
    while ((entry = readdir(folder)) != NULL) {
        int r;

        if (entry->d_name[0] == '.')
            continue;
        r = refresh_link(pins, entry->d_name, first ? NULL : err);
        if (r < 0 && first == 0)
            first = r;
    }
    return first;
}

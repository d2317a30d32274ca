/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One layout takes over from another.
 *
 * Both are complete for as long as it takes: the older one, with maps that nobody but the plugin
 * writes any more, goes on judging until each filter is switched to a program of ours, in place and
 * as one (a TCX link is updated, a clsact filter replaced). So at every moment every hook has
 * exactly one program, and either one has all of policy.
 *
 * What the kernel writes (connections first of all) is not copied but shared: the same map is
 * pinned in both layouts. So a connection may be opened through one hook by the older program and
 * go on through the other by ours. Connections that lie in other places of the table are copied
 * instead (takeover_connections.h). What the daemon writes is written anew from the objects.
 * Endpoints are copied: whatever the plugin does to the older ones meanwhile is followed until the
 * end.
 *
 * The plugin of the older version goes on working with the older layout; our own finds ours "not
 * loaded to the end" (struct fence_about) until the older one has gone, so that at any moment pods
 * are added to one of both only.
 *
 * Order at the end, all under the older layout's lock: endpoints are equal; links are pinned in
 * ours too; filters are switched; the older layout is hidden; ours is whole. Killed before it was
 * hidden, the next start begins again, which changes nothing that is done already, and the older
 * version's daemon can take back instead: it refreshes its filters and removes what we had begun
 * (load.c). Killed after, only ours is found, and fence_load makes it whole.
 *
 * A new layout: raise FENCE_ABI_VERSION, and give `readers` (takeover_readers.c) an entry for the
 * layout that was current before. What has another struct now gets a function that reads the old
 * one, and a map that means something else is no longer carried.
 */
#include "lib/datapath/takeover.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/failpoint.h"
#include "lib/base/memory.h"
#include "lib/datapath/endpoints.h"
#include "lib/datapath/epochs.h"
#include "lib/datapath/read.h"
#include "lib/datapath/refresh.h"
#include "lib/datapath/settings.h"
#include "lib/datapath/takeover_connections.h"
#include "lib/datapath/takeover_readers.h"
#include "lib/datapath/walk.h"

/* An ADD that has not attached after so long was given up. */
#define ADDING_NS (30ull * 1000000000ull)

void fence_takeover_init(struct fence_takeover *takeover)
{
    *takeover = (struct fence_takeover){0};
    fence_pins_init(&takeover->old);
}

void fence_takeover_close(struct fence_takeover *takeover)
{
    fence_pins_close(&takeover->old);
    fence_takeover_init(takeover);
}

/* ---- what is there -------------------------------------------------------------------------- */

static const char *version_of(const struct fence_layout *layout)
{
    return layout->version[0] ? layout->version : "(unknown version)";
}

static int refuse_older(const struct fence_layout *found, const char *bpffs, struct fence_err *err)
{
    return fence_err_set(
        err, -ESTALE,
        "the pods of this node are enforced by layout %u in %s, pinned by podfence %s, from which "
        "podfence %s (layout %d) cannot take over: what is in force stays so. Start podfence %s "
        "again; or drain the node, run its `podfencectl uninstall`, and start this version",
        found->number, bpffs, version_of(found), FENCE_VERSION, FENCE_ABI_VERSION,
        version_of(found));
}

static int refuse_newer(const struct fence_layout *found, const char *bpffs, struct fence_err *err)
{
    return fence_err_set(
        err, -ESTALE,
        "podfence %s has %s the pods of this node to layout %u in %s, and podfence "
        "%s (layout %d) cannot read it: what is in force stays so. Start podfence "
        "%s again; or, to go back, drain the node, run the newer `podfencectl "
        "uninstall`, and start this version",
        version_of(found), found->whole ? "taken" : "nearly taken", found->number, bpffs,
        FENCE_VERSION, FENCE_ABI_VERSION, version_of(found));
}

static int open_map(struct fence_pins *old, enum fence_map map, struct fence_err *err)
{
    char path[512];

    snprintf(path, sizeof(path), "%s/maps/%s", old->root, fence_map_name(map));
    old->maps[map] = bpf_obj_get(path);
    return old->maps[map] < 0
               ? fence_err_set(err, old->maps[map], "%s: %s", path, strerror(-old->maps[map]))
               : 0;
}

static int check_size(const struct fence_pins *old, enum fence_map map, size_t wanted,
                      struct fence_err *err)
{
    struct fence_map_shape shape = {0};
    int r = fence_map_shape(old->maps[map], &shape);

    if (r == 0 && shape.value_size != wanted)
        r = -EUCLEAN;
    return r < 0 ? fence_err_set(err, r, "%s/maps/%s: values of %u bytes, expected %zu", old->root,
                                 fence_map_name(map), shape.value_size, wanted)
                 : 0;
}

static int open_old(struct fence_takeover *takeover, struct fence_err *err)
{
    static const enum fence_map read[] = {FENCE_MAP_ENDPOINTS, FENCE_MAP_ENDPOINT_INFO,
                                          FENCE_MAP_SETTINGS};
    const struct fence_layout_reader *reader = takeover->reader;
    struct fence_pins *old = &takeover->old;
    int r = fence_layout_path(takeover->bpffs, takeover->from.number, old->root, sizeof(old->root),
                              err);

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(read) && r == 0; i++)
        r = open_map(old, read[i], err);
    for (size_t i = 0; i < reader->carried_count && r == 0; i++)
        r = open_map(old, reader->carried[i], err);
    if (r == 0 && reader->moves)
        r = open_map(old, FENCE_MAP_CONNECTIONS, err);
    if (r == 0 && reader->moves)
        r = open_map(old, FENCE_MAP_USAGE, err);
    if (r == 0)
        r = check_size(old, FENCE_MAP_ENDPOINTS, reader->endpoint_size, err);
    if (r == 0)
        r = check_size(old, FENCE_MAP_ENDPOINT_INFO, reader->info_size, err);
    return r < 0 ? fence_err_prefix(err, r, "taking over from layout %u", takeover->from.number)
                 : 0;
}

/*
 * A newer one that is not whole had only begun to take over: we take back, if we are whole. Of
 * older ones the first counts: another that is not whole had only begun to take over from it.
 */
static int judge(const struct fence_layout *found, const struct fence_layout *own,
                 struct fence_takeover *takeover, struct fence_err *err)
{
    const struct fence_layout_reader *reader = fence_layout_reader_find(found->number);

    if (!found->used)
        return 0;
    if (found->number > FENCE_ABI_VERSION)
        return found->whole || !own->whole ? refuse_newer(found, takeover->bpffs, err) : 0;
    if (takeover->reader && !found->whole)
        return 0;
    if (takeover->reader || !reader)
        return refuse_older(found, takeover->bpffs, err);
    takeover->reader = reader;
    takeover->from = *found;
    return 0;
}

int fence_takeover_find(const char *bpffs, const struct fence_layout *own,
                        struct fence_takeover *ret_takeover, struct fence_err *err)
{
    FENCE_CLEANUP(fence_layout_list_done) struct fence_layout_list list = {0};
    FENCE_CLEANUP(fence_takeover_close) struct fence_takeover takeover;
    int r = fence_layouts_list(bpffs, &list, err);

    fence_takeover_init(&takeover);
    snprintf(takeover.bpffs, sizeof(takeover.bpffs), "%s", bpffs);
    for (size_t i = 0; i < list.count && r == 0; i++)
        r = judge(&list.items[i], own, &takeover, err);
    if (r == 0 && takeover.reader)
        r = open_old(&takeover, err);
    if (r < 0)
        return r;
    *ret_takeover = takeover;
    fence_takeover_init(&takeover);
    return 0;
}

/* ---- loading -------------------------------------------------------------------------------- */

int fence_takeover_carried(const struct fence_takeover *takeover, enum fence_map map)
{
    const struct fence_layout_reader *reader = takeover->reader;

    for (size_t i = 0; reader && i < reader->carried_count; i++)
        if (reader->carried[i] == map)
            return takeover->old.maps[map];
    return -1;
}

__u32 fence_takeover_size(const struct fence_takeover *takeover, enum fence_map map)
{
    struct fence_map_shape shape;
    FENCE_CLOSE int fd = -1;
    char path[512];

    /* of counters the program says how many it has, of pairs the CPUs do */
    if (!takeover->reader || map == FENCE_MAP_COUNTERS || map == FENCE_MAP_PAIRS)
        return 0;
    snprintf(path, sizeof(path), "%s/maps/%s", takeover->old.root, fence_map_name(map));
    fd = bpf_obj_get(path);
    return fd >= 0 && fence_map_shape(fd, &shape) == 0 ? shape.max_entries : 0;
}

int fence_takeover_settings(const struct fence_takeover *takeover,
                            struct fence_settings *ret_settings)
{
    int r = takeover->reader->settings(&takeover->old, ret_settings);

    if (r < 0)
        return r;
    ret_settings->flags = 0;
    ret_settings->next_set = 1;
    return 0;
}

/* ---- endpoints ------------------------------------------------------------------------------ */

static const struct fence_endpoint_record *find(const struct fence_endpoint_list *list,
                                                const struct fence_endpoint_record *record)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].ifindex == record->ifindex &&
            list->items[i].info.created_ns == record->info.created_ns &&
            strcmp(list->items[i].info.container_id, record->info.container_id) == 0)
            return &list->items[i];
    return NULL;
}

static void unpin_link(const struct fence_pins *pins, __u32 ifindex, enum fence_prog prog)
{
    char path[512];

    snprintf(path, sizeof(path), "%s/links/%u-%s", pins->root, ifindex, fence_prog_name(prog));
    (void)unlink(path);
}

/* Of our maps alone: its connections, its slot and its filters are whose the older layout says. */
static int forget(const struct fence_pins *pins, const struct fence_endpoint_record *record,
                  struct fence_err *err)
{
    const enum fence_map maps[] = {FENCE_MAP_ENDPOINTS, FENCE_MAP_ENDPOINT_INFO};

    for (unsigned int i = 0; i < record->endpoint.addr_count && i < FENCE_ENDPOINT_ADDRS; i++)
        (void)bpf_map_delete_elem(pins->maps[FENCE_MAP_LOCALS], &record->endpoint.addrs[i]);
    unpin_link(pins, record->ifindex, FENCE_PROG_FROM_POD);
    unpin_link(pins, record->ifindex, FENCE_PROG_TO_POD);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(maps); i++) {
        int r = bpf_map_delete_elem(pins->maps[maps[i]], &record->ifindex);

        if (r < 0 && r != -ENOENT)
            return fence_err_set(err, r, "%s map: %s", fence_map_name(maps[i]), strerror(-r));
    }
    return 0;
}

/* Numbers of sets are each layout's own; the daemon says anew who is on the same-node path. */
static int copy_one(const struct fence_pins *pins, const struct fence_endpoint_record *record,
                    struct fence_err *err)
{
    struct fence_endpoint_record copy = *record;

    copy.endpoint.set = 0;
    memset(copy.endpoint.next, 0, sizeof(copy.endpoint.next));
    copy.endpoint.flags &= ~(__u32)FENCE_EP_HANDOVER;
    return fence_endpoint_put(pins, &copy, err);
}

/* How it is attached becomes known after it was written. */
static int follow_attach(const struct fence_pins *pins, const struct fence_endpoint_record *mine,
                         const struct fence_endpoint_record *record, struct fence_err *err)
{
    struct fence_endpoint_record copy = *mine;

    if (mine->info.attach == record->info.attach)
        return 0;
    copy.info.attach = record->info.attach;
    return fence_endpoint_put(pins, &copy, err);
}

/* Under the older layout's lock. Returns how many endpoints were written or removed. */
static int copy_locked(const struct fence_endpoint_list *theirs, const struct fence_pins *pins,
                       struct fence_err *err)
{
    FENCE_CLEANUP(fence_endpoint_list_done) struct fence_endpoint_list ours = {0};
    int changed = 0;
    int r = fence_endpoints_list(pins, &ours, err);

    for (size_t i = 0; i < ours.count && r == 0; i++) {
        if (find(theirs, &ours.items[i]))
            continue;
        changed++;
        r = forget(pins, &ours.items[i], err);
    }
    for (size_t i = 0; i < theirs->count && r == 0; i++) {
        const struct fence_endpoint_record *mine = find(&ours, &theirs->items[i]);

        changed += !mine;
        r = mine ? follow_attach(pins, mine, &theirs->items[i], err)
                 : copy_one(pins, &theirs->items[i], err);
        FENCE_FAILPOINT("takeover.endpoint-copied");
    }
    return r < 0 ? r : changed;
}

/* What somebody was killed over: DEL finds it by its info. */
static int copy_leftover(const struct fence_takeover *takeover, const struct fence_pins *pins,
                         struct fence_err *err)
{
    FENCE_CLEANUP(fence_endpoint_list_done) struct fence_endpoint_list list = {0};
    int r = takeover->reader->leftover(&takeover->old, &list, err);

    for (size_t i = 0; i < list.count && r == 0; i++) {
        r = bpf_map_update_elem(pins->maps[FENCE_MAP_ENDPOINT_INFO], &list.items[i].ifindex,
                                &list.items[i].info, BPF_ANY);
        if (r < 0)
            fence_err_set(err, r, "endpoint_info map: %s", strerror(-r));
    }
    return r;
}

int fence_takeover_copy(const struct fence_takeover *takeover, const struct fence_pins *pins,
                        struct fence_err *err)
{
    FENCE_CLEANUP(fence_endpoint_list_done) struct fence_endpoint_list theirs = {0};
    FENCE_CLOSE int lock = fence_endpoints_lock(&takeover->old, err);
    int r = lock < 0 ? lock : takeover->reader->endpoints(&takeover->old, &theirs, err);

    if (r == 0)
        r = copy_locked(&theirs, pins, err);
    return r > 0 ? 1 : r;
}

/* ---- the end -------------------------------------------------------------------------------- */

static bool is_being_added(const struct fence_endpoint_list *theirs)
{
    for (size_t i = 0; i < theirs->count; i++)
        if (theirs->items[i].info.attach == FENCE_ATTACH_NONE &&
            fence_clock_boot_ns() - theirs->items[i].info.created_ns < ADDING_NS)
            return true;
    return false;
}

/* In both layouts: a link lives as long as it has one pin. What we have there already is newer. */
static int carry_link(const struct fence_pins *old, const struct fence_pins *pins, const char *name,
                      struct fence_err *err)
{
    FENCE_CLOSE int fd = -1;
    char path[512];
    int r;

    snprintf(path, sizeof(path), "%s/links/%s", old->root, name);
    fd = bpf_obj_get(path);
    if (fd == -ENOENT)
        return 0; /* a DEL */
    if (fd < 0)
        return fence_err_set(err, fd, "%s: %s", path, strerror(-fd));
    snprintf(path, sizeof(path), "%s/links/%s", pins->root, name);
    r = bpf_obj_pin(fd, path);
    return r < 0 && r != -EEXIST ? fence_err_set(err, r, "%s: %s", path, strerror(-r)) : 0;
}

static void close_folder(DIR **folder)
{
    if (*folder)
        closedir(*folder);
}

static int carry_links(const struct fence_pins *old, const struct fence_pins *pins,
                       struct fence_err *err)
{
    FENCE_CLEANUP(close_folder) DIR *folder = NULL;
    const struct dirent *entry;
    char path[512];
    int r = 0;

    snprintf(path, sizeof(path), "%s/links", old->root);
    folder = opendir(path);
    if (!folder)
        return fence_err_set(err, -errno, "%s: %s", path, strerror(errno));
    while (r == 0 && (entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        r = carry_link(old, pins, entry->d_name, err);
        FENCE_FAILPOINT("takeover.link-pinned");
    }
    return r;
}

/* Under the older layout's lock. */
static int switch_locked(const struct fence_takeover *takeover, const struct fence_pins *pins,
                         struct fence_err *err)
{
    int r = takeover->reader->moves ? fence_takeover_connections(&takeover->old, pins, err) : 0;

    if (r == 0)
        r = carry_links(&takeover->old, pins, err);
    if (r == 0)
        r = fence_attach_refresh(pins, err);
    /* what came up until the last hook was switched */
    if (r == 0 && takeover->reader->moves)
        r = fence_takeover_connections(&takeover->old, pins, err);
    if (r < 0)
        return r;
    /* the older programs have noted until now what ours have kept already (`opened`) */
    fence_epoch_raise(pins);
    FENCE_FAILPOINT("takeover.filters-switched");
    r = fence_layout_hide(takeover->bpffs, takeover->from.number, err);
    FENCE_FAILPOINT("takeover.old-hidden");
    return r;
}

static int end_locked(const struct fence_takeover *takeover, const struct fence_pins *pins,
                      struct fence_err *err)
{
    FENCE_CLEANUP(fence_endpoint_list_done) struct fence_endpoint_list theirs = {0};
    FENCE_CLOSE int lock = fence_endpoints_lock(&takeover->old, err);
    int r = lock < 0 ? lock : takeover->reader->endpoints(&takeover->old, &theirs, err);

    if (r == 0)
        r = copy_locked(&theirs, pins, err);
    if (r == 0)
        r = copy_leftover(takeover, pins, err);
    if (r == 0 && is_being_added(&theirs))
        r = 1;
    return r ? r : switch_locked(takeover, pins, err);
}

int fence_takeover_end(struct fence_takeover *takeover, const struct fence_pins *pins,
                       struct fence_err *err)
{
    int r = end_locked(takeover, pins, err);

    if (r == 0)
        r = fence_about_write(pins, true, err);
    if (r)
        return r > 0 ? 1 : r;
    FENCE_FAILPOINT("takeover.whole");
    r = fence_layouts_remove(takeover->bpffs, err);
    fence_takeover_close(takeover);
    return r;
}

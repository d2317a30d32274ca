/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/datapath/endpoints.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/failpoint.h"
#include "lib/base/memory.h"
#include "lib/datapath/connections.h"
#include "lib/datapath/epochs.h"
#include "lib/datapath/load.h"
#include "lib/datapath/walk.h"

#define LOCK_STEP_NS 2000000

/* While we waited for it a newer version may have taken over and removed it (takeover.c). */
static bool is_still_there(int fd, const char *path)
{
    struct stat locked, there;

    return fstat(fd, &locked) == 0 && stat(path, &there) == 0 && locked.st_dev == there.st_dev &&
           locked.st_ino == there.st_ino;
}

int fence_endpoints_lock(const struct fence_pins *pins, struct fence_err *err)
{
    const struct timespec step = {.tv_nsec = LOCK_STEP_NS};
    __u64 deadline = fence_clock_boot_ns() + FENCE_LOCK_WAIT_MS * 1000000ull;
    FENCE_CLOSE int fd = open(pins->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return fence_err_set(err, -errno, "%s: %s", pins->root, strerror(errno));
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return fence_err_set(err, -errno, "locking %s: %s", pins->root, strerror(errno));
        if (fence_clock_boot_ns() >= deadline)
            return fence_err_set(err, -ETIMEDOUT, "another process holds the lock of %s",
                                 pins->root);
        nanosleep(&step, NULL);
    }
    if (!is_still_there(fd, pins->root))
        return fence_err_set(err, -ESTALE, "%s was removed: a newer podfenced has taken over",
                             pins->root);
    return TAKE_FD(fd);
}

static void read_own(const void *value, struct fence_endpoint *ret_endpoint)
{
    memcpy(ret_endpoint, value, sizeof(*ret_endpoint));
}

struct listing {
    fence_endpoint_reader reader;
    struct fence_endpoint_list *list;
};

static int list_visit(void *context, const void *key, const void *value)
{
    const struct listing *listing = context;
    struct fence_endpoint_list *list = listing->list;
    struct fence_endpoint_record *record;
    int r = FENCE_GROW(list->items, list->capacity, list->count);

    if (r < 0)
        return r;
    record = &list->items[list->count++];
    memset(record, 0, sizeof(*record));
    memcpy(&record->ifindex, key, sizeof(record->ifindex));
    listing->reader(value, &record->endpoint);
    return 0;
}

static int compare_records(const void *a, const void *b)
{
    __u32 one = ((const struct fence_endpoint_record *)a)->ifindex;
    __u32 other = ((const struct fence_endpoint_record *)b)->ifindex;

    return one < other ? -1 : one > other;
}

/* Text from the map ends here, whoever wrote it. */
static void end_strings(struct fence_endpoint_info *info)
{
    info->ifname[sizeof(info->ifname) - 1] = '\0';
    info->host_ifname[sizeof(info->host_ifname) - 1] = '\0';
    info->container_id[sizeof(info->container_id) - 1] = '\0';
    info->network[sizeof(info->network) - 1] = '\0';
    info->namespace_name[sizeof(info->namespace_name) - 1] = '\0';
    info->pod[sizeof(info->pod) - 1] = '\0';
    info->uid[sizeof(info->uid) - 1] = '\0';
    info->labels[sizeof(info->labels) - 1] = '\0';
}

static int read_info(const struct fence_pins *pins, __u32 ifindex, struct fence_endpoint_info *info)
{
    int r = bpf_map_lookup_elem(pins->maps[FENCE_MAP_ENDPOINT_INFO], &ifindex, info);

    if (r < 0)
        memset(info, 0, sizeof(*info));
    end_strings(info);
    return r == -ENOENT ? 0 : r;
}

void fence_endpoint_list_done(struct fence_endpoint_list *list)
{
    free(list->items);
    *list = (struct fence_endpoint_list){0};
}

/* A map that changes during the walk may yield a key twice. */
static void drop_repeated(struct fence_endpoint_list *list)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->count; i++)
        if (i == 0 || list->items[i].ifindex != list->items[i - 1].ifindex)
            list->items[kept++] = list->items[i];
    list->count = kept;
}

int fence_endpoints_list_by(const struct fence_pins *pins, fence_endpoint_reader reader,
                            struct fence_endpoint_list *ret_list, struct fence_err *err)
{
    FENCE_CLEANUP(fence_endpoint_list_done) struct fence_endpoint_list list = {0};
    struct listing listing = {.reader = reader, .list = &list};
    int r = fence_map_walk(pins->maps[FENCE_MAP_ENDPOINTS], list_visit, &listing);

    if (list.count)
        qsort(list.items, list.count, sizeof(*list.items), compare_records);
    drop_repeated(&list);
    for (size_t i = 0; i < list.count && r == 0; i++)
        r = read_info(pins, list.items[i].ifindex, &list.items[i].info);
    if (r < 0)
        return fence_err_set(err, r, "reading the endpoints map: %s", strerror(-r));
    *ret_list = list;
    list = (struct fence_endpoint_list){0};
    return 0;
}

int fence_endpoints_list(const struct fence_pins *pins, struct fence_endpoint_list *ret_list,
                         struct fence_err *err)
{
    return fence_endpoints_list_by(pins, read_own, ret_list, err);
}

static int info_visit(void *context, const void *key, const void *value)
{
    static const struct fence_endpoint none;
    struct fence_endpoint_list *list = context;
    struct listing listing = {.reader = read_own, .list = list};
    int r = list_visit(&listing, key, &none);

    if (r < 0)
        return r;
    memcpy(&list->items[list->count - 1].info, value, sizeof(struct fence_endpoint_info));
    end_strings(&list->items[list->count - 1].info);
    return 0;
}

int fence_endpoints_leftover(const struct fence_pins *pins, struct fence_endpoint_list *ret_list,
                             struct fence_err *err)
{
    FENCE_CLEANUP(fence_endpoint_list_done) struct fence_endpoint_list list = {0};
    int r = fence_map_walk(pins->maps[FENCE_MAP_ENDPOINT_INFO], info_visit, &list);
    size_t kept = 0;

    if (r < 0)
        return fence_err_set(err, r, "reading the endpoint_info map: %s", strerror(-r));
    for (size_t i = 0; i < list.count; i++) {
        struct fence_endpoint endpoint;

        if (bpf_map_lookup_elem(pins->maps[FENCE_MAP_ENDPOINTS], &list.items[i].ifindex,
                                &endpoint) == -ENOENT)
            list.items[kept++] = list.items[i];
    }
    list.count = kept;
    *ret_list = list;
    list = (struct fence_endpoint_list){0};
    return 0;
}

int fence_endpoint_get(const struct fence_pins *pins, __u32 ifindex,
                       struct fence_endpoint_record *ret_record)
{
    struct fence_endpoint endpoint;
    int r = bpf_map_lookup_elem(pins->maps[FENCE_MAP_ENDPOINTS], &ifindex, &endpoint);

    if (r < 0)
        return r;
    ret_record->ifindex = ifindex;
    ret_record->endpoint = endpoint;
    return read_info(pins, ifindex, &ret_record->info);
}

struct find {
    const char *container_id;
    const char *ifname;
    __u32 ifindex;
};

static int find_visit(void *context, const void *key, const void *value)
{
    const struct fence_endpoint_info *info = value;
    struct find *find = context;

    if (strncmp(info->container_id, find->container_id, sizeof(info->container_id)) != 0 ||
        strncmp(info->ifname, find->ifname, sizeof(info->ifname)) != 0)
        return 0;
    memcpy(&find->ifindex, key, sizeof(find->ifindex));
    return 1;
}

int fence_endpoint_find(const struct fence_pins *pins, const char *container_id, const char *ifname,
                        struct fence_endpoint_record *ret_record)
{
    struct find find = {.container_id = container_id, .ifname = ifname};
    int r = fence_map_walk(pins->maps[FENCE_MAP_ENDPOINT_INFO], find_visit, &find);

    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    r = fence_endpoint_get(pins, find.ifindex, ret_record);
    if (r != -ENOENT)
        return r;
    /* Info without an endpoint: half written or half removed, and to be removed. */
    memset(&ret_record->endpoint, 0, sizeof(ret_record->endpoint));
    ret_record->ifindex = find.ifindex;
    return read_info(pins, find.ifindex, &ret_record->info);
}

static int compare_slots(const void *a, const void *b)
{
    __u32 one = *(const __u32 *)a;
    __u32 other = *(const __u32 *)b;

    return one < other ? -1 : one > other;
}

/* The smallest that no endpoint has, from 1. */
static int pick_slot(const struct fence_pins *pins, __u32 ifindex, __u32 *ret_slot)
{
    FENCE_CLEANUP(fence_endpoint_list_done) struct fence_endpoint_list list = {0};
    FENCE_FREE __u32 *slots = NULL;
    __u32 slot = 1;
    struct listing listing = {.reader = read_own, .list = &list};
    int r = fence_map_walk(pins->maps[FENCE_MAP_ENDPOINTS], list_visit, &listing);

    if (r < 0)
        return r;
    slots = calloc(list.count + 1, sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    for (size_t i = 0; i < list.count; i++)
        slots[i] = list.items[i].ifindex == ifindex ? 0 : list.items[i].endpoint.slot;
    qsort(slots, list.count, sizeof(*slots), compare_slots);
    for (size_t i = 0; i < list.count; i++)
        if (slots[i] == slot)
            slot++;
    *ret_slot = slot;
    return 0;
}

/* Whoever had the slot before may have been removed by halves. */
static int clear_slot(const struct fence_pins *pins, __u32 slot, struct fence_err *err)
{
    struct fence_usage usage;

    if (bpf_map_lookup_elem(pins->maps[FENCE_MAP_USAGE], &slot, &usage) < 0 ||
        usage.connections == 0)
        return 0;
    return fence_endpoint_forget(pins, slot, err);
}

static int put_error(int code, enum fence_map map, const struct fence_pins *pins,
                     struct fence_err *err)
{
    struct fence_map_shape shape = {0};

    if (code == -E2BIG && fence_map_shape(pins->maps[map], &shape) == 0)
        return fence_err_set(err, code,
                             "the %s map is full (%u entries): this node has more pod interfaces "
                             "than it has room for; remove pods, or " FENCE_MAP_SIZE_REMEDY,
                             fence_map_name(map), shape.max_entries, fence_map_name(map),
                             (size_t)shape.max_entries * 2);
    return fence_err_set(err, code, "writing the %s map: %s", fence_map_name(map), strerror(-code));
}

/* The same-node path finds the endpoint by them. */
static int publish_addresses(const struct fence_pins *pins,
                             const struct fence_endpoint_record *record)
{
    int r = 0;

    for (unsigned int i = 0; r == 0 && i < record->endpoint.addr_count; i++)
        r = bpf_map_update_elem(pins->maps[FENCE_MAP_LOCALS], &record->endpoint.addrs[i],
                                &record->ifindex, BPF_ANY);
    return r;
}

int fence_endpoint_put(const struct fence_pins *pins, struct fence_endpoint_record *record,
                       struct fence_err *err)
{
    int info = pins->maps[FENCE_MAP_ENDPOINT_INFO];
    __u32 slot = record->endpoint.slot;
    struct fence_endpoint old;
    bool is_new;
    int r;

    if (record->endpoint.addr_count > FENCE_ENDPOINT_ADDRS)
        return fence_err_set(err, -EINVAL, "an endpoint has at most %d addresses, not %u",
                             FENCE_ENDPOINT_ADDRS, record->endpoint.addr_count);
    if (!slot) {
        r = pick_slot(pins, record->ifindex, &slot);
        if (r < 0)
            return fence_err_set(err, r, "reading the endpoints map: %s", strerror(-r));
        r = clear_slot(pins, slot, err);
        if (r < 0)
            return r;
    }
    is_new = bpf_map_lookup_elem(pins->maps[FENCE_MAP_ENDPOINTS], &record->ifindex, &old) < 0;
    record->endpoint.slot = slot;
    end_strings(&record->info);
    r = bpf_map_update_elem(info, &record->ifindex, &record->info, BPF_ANY);
    if (r < 0)
        return put_error(r, FENCE_MAP_ENDPOINT_INFO, pins, err);
    FENCE_FAILPOINT("endpoint.info-written");
    r = bpf_map_update_elem(pins->maps[FENCE_MAP_ENDPOINTS], &record->ifindex, &record->endpoint,
                            BPF_ANY);
    if (r < 0) {
        if (is_new)
            bpf_map_delete_elem(info, &record->ifindex);
        return put_error(r, FENCE_MAP_ENDPOINTS, pins, err);
    }
    FENCE_FAILPOINT("endpoint.written");
    r = publish_addresses(pins, record);
    FENCE_FAILPOINT("endpoint.addresses-written");
    if (r == 0)
        r = fence_slot_give(pins, slot, record->ifindex);
    fence_epoch_raise(pins);
    return r < 0 ? put_error(r, FENCE_MAP_LOCALS, pins, err) : 0;
}

int fence_endpoint_update(const struct fence_pins *pins, __u32 ifindex,
                          const struct fence_endpoint *endpoint, struct fence_err *err)
{
    int r = bpf_map_update_elem(pins->maps[FENCE_MAP_ENDPOINTS], &ifindex, endpoint, BPF_EXIST);

    if (r == -ENOENT)
        return fence_err_set(err, r, "interface %u is no endpoint any more", ifindex);
    if (r == 0)
        fence_epoch_raise(pins);
    return r < 0 ? put_error(r, FENCE_MAP_ENDPOINTS, pins, err) : 0;
}

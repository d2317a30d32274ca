/* SPDX-License-Identifier: Apache-2.0 */
#include "test/bench/node.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/datapath/load.h"
#include "lib/datapath/read.h"
#include "test/net/netns.h"

#define BPF_FOLDER BENCH_FOLDER "/bpf"
#define MEGABYTE   1048576.0

/* One call of ip for all of them. */
static int make_devices(unsigned int count, struct fence_err *err)
{
    FILE *ip = popen("ip -batch -", "w");

    for (unsigned int i = 0; ip && i < count; i++)
        fprintf(ip, "link add pod%u index %u type veth\n", i, BENCH_FIRST_INDEX + i);
    return ip && pclose(ip) == 0 ? 0 : fence_err_set(err, -EIO, "cannot make %u devices", count);
}

int bench_node_enter(unsigned int devices, struct fence_err *err)
{
    static const char *const folders[] = {BENCH_FOLDER, BENCH_OBJECTS, BPF_FOLDER};

    test_enter_own_node();
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(folders); i++)
        if (mkdir(folders[i], 0755) < 0)
            return fence_err_set(err, -errno, "%s: %s", folders[i], strerror(errno));
    if (mount("bpf", BPF_FOLDER, "bpf", 0, NULL) < 0)
        return fence_err_set(err, -errno, "own BPF file system: %s", strerror(errno));
    return make_devices(devices, err);
}

int bench_node_load(const char *name, struct fence_pins *ret_pins, struct fence_err *err)
{
    char bpffs[128];
    const struct fence_load_options options = {.bpffs = bpffs};
    int r;

    snprintf(bpffs, sizeof(bpffs), BPF_FOLDER "/%s", name);
    r = fence_load(&options, ret_pins, err);
    return r < 0 ? r : 0;
}

/* Kernel memory of a map, which its fdinfo tells. */
static double megabytes_of(int fd)
{
    FENCE_FCLOSE FILE *info = NULL;
    char path[64], line[256];
    unsigned long long bytes = 0;

    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    info = fopen(path, "r");
    while (info && fgets(line, sizeof(line), info))
        if (strncmp(line, "memlock:", 8) == 0)
            bytes = strtoull(line + 8, NULL, 10);
    return (double)bytes / MEGABYTE;
}

void bench_maps_read(const struct fence_pins *pins, struct bench_maps *ret_maps)
{
    *ret_maps = (struct bench_maps){0};
    for (unsigned int i = 0; i < FENCE_MAP_COUNT; i++) {
        (void)fence_map_usage(pins, (enum fence_map)i, &ret_maps->items[i].used,
                              &ret_maps->items[i].most);
        ret_maps->items[i].megabytes = megabytes_of(pins->maps[i]);
    }
}

/* ---- endpoints ------------------------------------------------------------------------------ */

int bench_locals_new(size_t capacity, struct bench_locals *ret_locals)
{
    struct bench_locals locals = {
        .records = calloc(capacity, sizeof(*locals.records)),
        .items = calloc(capacity, sizeof(*locals.items)),
        .capacity = capacity,
    };

    *ret_locals = locals;
    return locals.records && locals.items ? 0 : -ENOMEM;
}

void bench_locals_done(struct bench_locals *locals)
{
    free(locals->records);
    free(locals->items);
    *locals = (struct bench_locals){0};
}

static void fill_record(struct fence_endpoint_record *record, const struct bench_world *world,
                        const struct bench_pod *pod)
{
    struct fence_endpoint *endpoint = &record->endpoint;
    struct fence_endpoint_info *info = &record->info;
    char name[64], uid[40], space[32];

    bench_pod_name(pod, name);
    bench_pod_uid(pod, uid);
    bench_namespace_name(bench_namespace_of(pod->label_set), space);
    endpoint->flags = FENCE_EP_PENDING;
    endpoint->mac[0] = 2;
    endpoint->addrs[endpoint->addr_count++] = bench_pod_addr(pod, AF_INET);
    if (world->dual_stack)
        endpoint->addrs[endpoint->addr_count++] = bench_pod_addr(pod, AF_INET6);
    info->created_ns = fence_clock_boot_ns();
    snprintf(info->ifname, sizeof(info->ifname), "eth0");
    snprintf(info->container_id, sizeof(info->container_id), "container-%06u", pod->index);
    snprintf(info->namespace_name, sizeof(info->namespace_name), "%s", space);
    snprintf(info->pod, sizeof(info->pod), "%s", name);
    snprintf(info->uid, sizeof(info->uid), "%s", uid);
}

int bench_locals_add(struct bench_locals *locals, const struct fence_pins *pins,
                     const struct bench_world *world, const struct bench_pod *pod,
                     struct fence_err *err)
{
    struct fence_endpoint_record *record = &locals->records[locals->count];
    struct fence_endpoint_info *info = &record->info;

    if (locals->count == locals->capacity)
        return fence_err_set(err, -E2BIG, "no room for another endpoint");
    *record =
        (struct fence_endpoint_record){.ifindex = BENCH_FIRST_INDEX + (unsigned int)locals->count};
    fill_record(record, world, pod);
    locals->items[locals->count++] = (struct fence_local){
        .ifindex = record->ifindex,
        .created_ns = info->created_ns,
        .namespace_name = info->namespace_name,
        .pod = info->pod,
        .uid = info->uid,
        .container_id = info->container_id,
        .ifname = info->ifname,
        .addrs = record->endpoint.addrs,
        .addr_count = record->endpoint.addr_count,
    };
    return fence_endpoint_put(pins, record, err);
}

int bench_locals_remove(struct bench_locals *locals, const struct fence_pins *pins,
                        struct fence_err *err)
{
    locals->count--;
    return fence_endpoint_remove(pins, locals->records[locals->count].ifindex, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "test/datapath/node.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/addr.h"
#include "lib/base/memory.h"
#include "lib/datapath/connections.h"
#include "lib/datapath/read.h"
#include "lib/net/links.h"
#include "test/cmocka.h"
#include "test/net/netns.h"

static char folder[64];
static char bpffs[128];
static unsigned int number;
static __u32 links[NODE_LINKS];

void node_shell(const char *format, ...)
{
    char command[512];
    va_list args;

    va_start(args, format);
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    assert_true(test_shell(command));
}

int node_setup(void **state)
{
    (void)state;
    test_enter_own_node();
    snprintf(folder, sizeof(folder), "/run/fence-test-XXXXXX");
    if (!mkdtemp(folder) || mount("bpf", folder, "bpf", 0, NULL) < 0) {
        perror("own BPF file system");
        return -1;
    }
    for (unsigned int i = 0; i < NODE_LINKS; i++) {
        char name[16];

        snprintf(name, sizeof(name), "host%u", i);
        node_shell("ip link add %s type veth peer name pod%u && ip link set %s up", name, i, name);
        if (fence_link_index(name, &links[i]) < 0)
            return -1;
    }
    return 0;
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
    (void)stat;
    (void)type;
    (void)walk;
    return remove(path);
}

void node_unload(void)
{
    if (bpffs[0])
        nftw(bpffs, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    bpffs[0] = '\0';
}

int node_teardown(void **state)
{
    (void)state;
    node_unload();
    return umount(folder);
}

const char *node_bpffs(void)
{
    node_unload();
    snprintf(bpffs, sizeof(bpffs), "%s/fence%u", folder, number++);
    return bpffs;
}

void node_check(int result, const struct fence_err *err)
{
    if (result < 0)
        fail_msg("%s (%s)", err->text, strerror(-result));
}

struct fence_pins node_load(const struct fence_map_size *sizes, size_t size_count)
{
    struct fence_load_options options = {
        .bpffs = node_bpffs(),
        .sizes = sizes,
        .size_count = size_count,
    };
    struct fence_err err = {{0}};
    struct fence_pins pins;

    fence_pins_init(&pins);
    node_check(fence_load(&options, &pins, &err), &err);
    return pins;
}

__u32 node_ifindex(unsigned int link)
{
    return links[link];
}

struct fence_addr node_addr(const char *text)
{
    struct fence_addr addr;

    assert_int_equal(fence_addr_parse(text, &addr), 0);
    return addr;
}

struct fence_endpoint_record node_record(unsigned int link, const char *pod, const char *addr)
{
    struct fence_endpoint_record record = {.ifindex = links[link]};
    struct fence_endpoint_info *info = &record.info;

    record.endpoint.flags = FENCE_EP_PENDING;
    record.endpoint.mac[0] = 2;
    record.endpoint.mac[5] = (__u8)link;
    record.endpoint.addrs[0] = node_addr(addr);
    record.endpoint.addr_count = 1;
    snprintf(info->ifname, sizeof(info->ifname), "eth0");
    snprintf(info->host_ifname, sizeof(info->host_ifname), "host%u", link);
    snprintf(info->container_id, sizeof(info->container_id), "%s-id", pod);
    snprintf(info->namespace_name, sizeof(info->namespace_name), "shop");
    snprintf(info->pod, sizeof(info->pod), "%s", pod);
    return record;
}

void node_add(const struct fence_pins *pins, unsigned int link, const char *pod, const char *addr)
{
    struct fence_endpoint_record record = node_record(link, pod, addr);
    struct fence_err err = {{0}};

    node_check(fence_endpoint_put(pins, &record, &err), &err);
}

struct fence_endpoint node_endpoint(const struct fence_pins *pins, unsigned int link)
{
    struct fence_endpoint_record record;

    assert_int_equal(fence_endpoint_get(pins, links[link], &record), 0);
    return record.endpoint;
}

void node_connection(const struct fence_pins *pins, unsigned int link, __u16 port, __u16 flags,
                     int idle)
{
    const struct fence_endpoint endpoint = node_endpoint(pins, link);
    struct fence_connection entry = {
        .remote = node_addr("10.9.9.9"),
        .local_port = port,
        .slot = (__u16)endpoint.slot,
        .protocol = IPPROTO_TCP,
    };
    struct fence_connection_table table;
    struct fence_settings settings;
    struct fence_err err = {""};
    __u64 now;

    assert_int_equal(fence_settings_read(pins, &settings), 0);
    assert_int_equal(fence_jiffies(pins, &now), 0);
    entry.state = FENCE_STATE(now - (__u64)idle * settings.hz, 0, flags);
    node_check(fence_connections_open(pins, &table, &err), &err);
    assert_int_equal(fence_connections_add(&table, &settings, &entry, &endpoint.addrs[0], now), 0);
    fence_connections_close(&table);
}

struct wanted {
    __u32 slot;
    __u16 port;
};

static int compare_visit(void *context, const struct fence_connection *entry)
{
    const struct wanted *wanted = context;

    return entry->slot == wanted->slot && entry->local_port == wanted->port;
}

bool node_has_connection(const struct fence_pins *pins, unsigned int link, __u16 port)
{
    struct wanted wanted = {.slot = node_endpoint(pins, link).slot, .port = port};
    struct fence_connection_table table;
    struct fence_err err = {""};
    int found;

    node_check(fence_connections_open(pins, &table, &err), &err);
    found = fence_connections_each(&table, compare_visit, &wanted);
    fence_connections_close(&table);
    return found > 0;
}

unsigned int node_usage(const struct fence_pins *pins, unsigned int link)
{
    __u32 slot = node_endpoint(pins, link).slot;
    struct fence_usage usage;

    assert_int_equal(bpf_map_lookup_elem(pins->maps[FENCE_MAP_USAGE], &slot, &usage), 0);
    return usage.connections;
}

__u64 node_epoch(const struct fence_pins *pins)
{
    return pins->epochs->all;
}

size_t node_count(const struct fence_pins *pins, enum fence_map map)
{
    size_t used = 0;
    size_t max = 0;

    assert_int_equal(fence_map_usage(pins, map, &used, &max), 0);
    return used;
}

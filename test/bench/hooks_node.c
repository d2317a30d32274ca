/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/base/addr.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/datapath/read.h"
#include "lib/datapath/settings.h"
#include "lib/objects/decode.h"
#include "test/bench/engine.h"
#include "test/bench/hooks.h"
#include "test/bench/node.h"

static struct fence_addr local_addr(int family, enum shop_pod pod)
{
    struct fence_addr addr = {0};

    (void)fence_addr_parse(family == 4 ? "10.64.0.2" : "fd00:64::2", &addr);
    addr.bytes[15] = (unsigned char)(addr.bytes[15] + pod);
    return addr;
}

/* A new text; NULL when memory ends. */
static char *write_objects(const struct shop *world, size_t *ret_size)
{
    const struct fence_addr addrs[SHOP_PODS] = {local_addr(world->family, SHOP_CLIENT),
                                                local_addr(world->family, SHOP_SERVER)};
    char *text = NULL;
    FILE *out = open_memstream(&text, ret_size);

    if (!out)
        return NULL;
    shop_write(out, world, addrs);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

static int put_objects(const struct shop *world, struct fence_store *store, struct fence_err *err)
{
    FENCE_FREE char *text = NULL;
    struct fence_decoded_list list = {0};
    size_t size = 0;
    int r;

    text = write_objects(world, &size);
    if (!text)
        return fence_err_set(err, -ENOMEM, "out of memory");
    r = fence_decode_stream(text, size, &list, err);
    for (size_t i = 0; r == 0 && i < list.count; i++)
        if (list.items[i].error)
            r = fence_err_set(err, -EINVAL, "%s", list.items[i].error);
    if (r == 0)
        r = fence_store_put(store, 0, "world", &list, err);
    fence_decoded_list_done(&list);
    return r < 0 ? r : 0;
}

/* ---- endpoints ------------------------------------------------------------------------------ */

static int put_endpoint(const struct shop *world, enum shop_pod pod, struct hooks_node *node,
                        struct fence_local *ret_local, struct fence_err *err)
{
    struct fence_endpoint_record *record = &node->records[pod];
    struct fence_endpoint_info *info = &record->info;

    *record = (struct fence_endpoint_record){.ifindex = BENCH_FIRST_INDEX + (unsigned int)pod};
    record->endpoint.flags = FENCE_EP_PENDING | FENCE_EP_HANDOVER;
    record->endpoint.mac[0] = 2;
    record->endpoint.mac[5] = (unsigned char)pod;
    record->endpoint.addrs[0] = local_addr(world->family, pod);
    record->endpoint.addr_count = 1;
    info->created_ns = fence_clock_boot_ns();
    snprintf(info->ifname, sizeof(info->ifname), "eth0");
    snprintf(info->container_id, sizeof(info->container_id), "%s-id", shop_pod_name(pod));
    snprintf(info->namespace_name, sizeof(info->namespace_name), SHOP_NAMESPACE);
    snprintf(info->pod, sizeof(info->pod), "%s", shop_pod_name(pod));
    snprintf(info->uid, sizeof(info->uid), "uid-%s", shop_pod_name(pod));
    *ret_local = (struct fence_local){
        .ifindex = record->ifindex,
        .created_ns = info->created_ns,
        .namespace_name = info->namespace_name,
        .pod = info->pod,
        .uid = info->uid,
        .container_id = info->container_id,
        .ifname = info->ifname,
        .addrs = record->endpoint.addrs,
        .addr_count = 1,
    };
    return fence_endpoint_put(&node->pins, record, err);
}

static int put_in_force(const struct engine_parts *parts, const struct fence_local *locals,
                        struct fence_err *err)
{
    struct engine *engine = NULL;
    struct engine_cost cost = {0};
    int r = engine_begin(parts, &engine, err);

    if (r == 0)
        r = engine_update(engine, locals, SHOP_PODS, &cost, err);
    engine_end(&engine);
    if (r == 0 && cost.failures)
        r = fence_err_set(err, -ENOSPC, "%zu failures: %s", cost.failures, cost.failure);
    return r;
}

static int fill(const struct shop *world, struct hooks_node *node, struct fence_err *err)
{
    struct fence_local locals[SHOP_PODS];
    struct fence_store *store = NULL;
    struct fence_addr host;
    struct engine_parts parts = {
        .pins = &node->pins, .node_name = SHOP_NODE, .host_addrs = &host, .host_addr_count = 1};
    int r = fence_addr_parse("192.168.0.1", &host);

    if (r == 0)
        r = fence_store_new(&store);
    if (r < 0)
        return fence_err_set(err, r, "%s", strerror(-r));
    parts.store = store;
    r = put_objects(world, store, err);
    for (unsigned int i = 0; r == 0 && i < SHOP_PODS; i++)
        r = put_endpoint(world, (enum shop_pod)i, node, &locals[i], err);
    if (r == 0)
        r = put_in_force(&parts, locals, err);
    fence_store_free(&store);
    return r;
}

int hooks_node_enter(struct fence_err *err)
{
    return bench_node_enter(SHOP_PODS + 1, err);
}

int hooks_node_load(const struct shop *world, struct hooks_node *ret_node, struct fence_err *err)
{
    char name[64];
    int r;

    snprintf(name, sizeof(name), "v%d-%u-%u", world->family, world->rules, world->remotes);
    *ret_node = (struct hooks_node){.came_in_by = BENCH_FIRST_INDEX + SHOP_PODS};
    fence_pins_init(&ret_node->pins);
    r = bench_node_load(name, &ret_node->pins, err);
    return r < 0 ? r : fill(world, ret_node, err);
}

int hooks_node_same(const struct hooks_node *node, bool on, struct fence_err *err)
{
    struct fence_settings settings;
    int r = fence_settings_read(&node->pins, &settings);

    if (r < 0)
        return fence_err_set(err, r, "reading the settings: %s", strerror(-r));
    settings.flags &= ~(__u32)FENCE_SETTING_SAME_NODE;
    settings.flags |= on ? FENCE_SETTING_SAME_NODE : 0;
    r = fence_settings_write(&node->pins, &settings, err);
    return r < 0 ? r : 0;
}

void hooks_node_done(struct hooks_node *node)
{
    fence_pins_close(&node->pins);
}

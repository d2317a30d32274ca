/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/base/addr.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/objects/decode.h"
#include "test/bench/engine.h"
#include "test/bench/hooks.h"
#include "test/bench/node.h"

#define NODE_NAME  "here"
#define NAMESPACE  "shop"
#define LABEL_SETS 5000u

static const char *const pod_names[HOOKS_PODS] = {
    [HOOKS_CLIENT] = "client", [HOOKS_SERVER] = "server"};

static struct fence_addr with_host(const char *text, unsigned int number)
{
    struct fence_addr addr = {0};

    (void)fence_addr_parse(text, &addr);
    addr.bytes[13] = (unsigned char)(addr.bytes[13] + (number >> 16));
    addr.bytes[14] = (unsigned char)(number >> 8);
    addr.bytes[15] = (unsigned char)number;
    return addr;
}

struct fence_addr hooks_remote(int family, unsigned int number)
{
    return with_host(family == 4 ? "10.128.0.0" : "fd00:128::", number);
}

static struct fence_addr local_addr(int family, enum hooks_pod pod)
{
    return with_host(family == 4 ? "10.64.0.0" : "fd00:64::", 2 + (unsigned int)pod);
}

/* ---- objects -------------------------------------------------------------------------------- */

static void write_pod(FILE *out, const char *name, const char *labels, const char *node,
                      const struct fence_addr *addr)
{
    char text[FENCE_ADDR_TEXT];

    fence_addr_format(addr, text);
    fprintf(out,
            ",\n{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"%s\","
            "\"namespace\":\"" NAMESPACE "\",\"uid\":\"uid-%s\",\"labels\":{%s}},"
            "\"spec\":{\"nodeName\":\"%s\"},\"status\":{\"phase\":\"Running\","
            "\"podIP\":\"%s\",\"podIPs\":[{\"ip\":\"%s\"}]}}",
            name, name, labels, node, text, text);
}

static void write_pods(FILE *out, const struct hooks_world *world)
{
    char name[32], labels[96], node[32];
    struct fence_addr addr;

    for (unsigned int i = 0; i < HOOKS_PODS; i++) {
        snprintf(labels, sizeof(labels), "\"app\":\"%s\"", pod_names[i]);
        addr = local_addr(world->family, (enum hooks_pod)i);
        write_pod(out, pod_names[i], labels, NODE_NAME, &addr);
    }
    for (unsigned int i = 0; i < world->remotes; i++) {
        snprintf(name, sizeof(name), "remote-%u", i);
        snprintf(node, sizeof(node), "node-%u", i % 100);
        snprintf(labels, sizeof(labels), "\"app\":\"peer-%u\",\"version\":\"v%u\"",
                 i % HOOKS_FLOW_PEERS, i % LABEL_SETS / HOOKS_FLOW_PEERS);
        addr = hooks_remote(world->family, BENCH_FIRST_REMOTE + i);
        write_pod(out, name, labels, node, &addr);
    }
}

/* The first rule is what the flows go by; each of the others tells one app of the peers apart. */
static void write_policy(FILE *out, const struct hooks_world *world, enum hooks_pod pod)
{
    const char *rules = pod == HOOKS_CLIENT ? "egress" : "ingress";
    const char *side = pod == HOOKS_CLIENT ? "to" : "from";

    fprintf(out,
            ",\n{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\","
            "\"metadata\":{\"name\":\"%s\",\"namespace\":\"" NAMESPACE "\"},"
            "\"spec\":{\"podSelector\":{\"matchLabels\":{\"app\":\"%s\"}},"
            "\"policyTypes\":[\"Ingress\",\"Egress\"],\"%s\":[{\"%s\":[{\"podSelector\":{}}],"
            "\"ports\":[{\"protocol\":\"TCP\",\"port\":%u,\"endPort\":%u},"
            "{\"protocol\":\"UDP\",\"port\":%u,\"endPort\":%u}]}",
            pod_names[pod], pod_names[pod], rules, side, HOOKS_PORT, HOOKS_PORT_LAST, HOOKS_PORT,
            HOOKS_PORT_LAST);
    for (unsigned int i = 1; i < world->rules; i++)
        fprintf(out,
                ",\n{\"%s\":[{\"podSelector\":{\"matchLabels\":{\"app\":\"peer-%u\"}}}],"
                "\"ports\":[{\"protocol\":\"TCP\",\"port\":%u}]}",
                side, i % HOOKS_FLOW_PEERS, 20000 + i);
    fprintf(out, "]}}");
}

/* A new text; NULL when memory ends. */
static char *write_objects(const struct hooks_world *world, size_t *ret_size)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, ret_size);

    if (!out)
        return NULL;
    fprintf(out, "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[\n"
                 "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\","
                 "\"metadata\":{\"name\":\"" NAMESPACE "\"}}");
    write_policy(out, world, HOOKS_CLIENT);
    write_policy(out, world, HOOKS_SERVER);
    write_pods(out, world);
    fprintf(out, "]}\n");
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

static int put_objects(const struct hooks_world *world, struct fence_store *store,
                       struct fence_err *err)
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

static int put_endpoint(const struct hooks_world *world, enum hooks_pod pod,
                        struct hooks_node *node, struct fence_local *ret_local,
                        struct fence_err *err)
{
    struct fence_endpoint_record *record = &node->records[pod];
    struct fence_endpoint_info *info = &record->info;

    *record = (struct fence_endpoint_record){.ifindex = BENCH_FIRST_INDEX + (unsigned int)pod};
    record->endpoint.flags = FENCE_EP_PENDING;
    record->endpoint.mac[0] = 2;
    record->endpoint.mac[5] = (unsigned char)pod;
    record->endpoint.addrs[0] = local_addr(world->family, pod);
    record->endpoint.addr_count = 1;
    info->created_ns = fence_clock_boot_ns();
    snprintf(info->ifname, sizeof(info->ifname), "eth0");
    snprintf(info->container_id, sizeof(info->container_id), "%s-id", pod_names[pod]);
    snprintf(info->namespace_name, sizeof(info->namespace_name), NAMESPACE);
    snprintf(info->pod, sizeof(info->pod), "%s", pod_names[pod]);
    snprintf(info->uid, sizeof(info->uid), "uid-%s", pod_names[pod]);
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
        r = engine_update(engine, locals, HOOKS_PODS, &cost, err);
    engine_end(&engine);
    if (r == 0 && cost.failures)
        r = fence_err_set(err, -ENOSPC, "%zu failures: %s", cost.failures, cost.failure);
    return r;
}

static int fill(const struct hooks_world *world, struct hooks_node *node, struct fence_err *err)
{
    struct fence_local locals[HOOKS_PODS];
    struct fence_store *store = NULL;
    struct fence_addr host;
    struct engine_parts parts = {
        .pins = &node->pins, .node_name = NODE_NAME, .host_addrs = &host, .host_addr_count = 1};
    int r = fence_addr_parse("192.168.0.1", &host);

    if (r == 0)
        r = fence_store_new(&store);
    if (r < 0)
        return fence_err_set(err, r, "%s", strerror(-r));
    parts.store = store;
    r = put_objects(world, store, err);
    for (unsigned int i = 0; r == 0 && i < HOOKS_PODS; i++)
        r = put_endpoint(world, (enum hooks_pod)i, node, &locals[i], err);
    if (r == 0)
        r = put_in_force(&parts, locals, err);
    fence_store_free(&store);
    return r;
}

int hooks_node_enter(struct fence_err *err)
{
    return bench_node_enter(HOOKS_PODS + 1, err);
}

int hooks_node_load(const struct hooks_world *world, struct hooks_node *ret_node,
                    struct fence_err *err)
{
    char name[64];
    int r;

    snprintf(name, sizeof(name), "v%d-%u-%u", world->family, world->rules, world->remotes);
    *ret_node = (struct hooks_node){.came_in_by = BENCH_FIRST_INDEX + HOOKS_PODS};
    fence_pins_init(&ret_node->pins);
    r = bench_node_load(name, &ret_node->pins, err);
    return r < 0 ? r : fill(world, ret_node, err);
}

void hooks_node_done(struct hooks_node *node)
{
    fence_pins_close(&node->pins);
}

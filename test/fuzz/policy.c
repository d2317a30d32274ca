/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as objects that come into a small cluster, and go again: the plan that follows, the one
 * that is compiled afresh, and the evaluator give the same answers.
 */
#include <netinet/in.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/policy/lookup.h"
#include "test/fuzz/fuzz.h"
#include "test/policy/engine.h"
#include "test/policy/lab.h"

#define OBJECTS_MAX 64u
#define LOCALS_MAX  8u

static const char cluster[] =
    "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":["
    "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"shop\",\"labels\":{"
    "\"team\":\"a\"}}},"
    "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"ops\",\"labels\":{"
    "\"team\":\"b\"}}},"
    "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"n1\",\"labels\":{\"role\":"
    "\"a\"}},"
    "\"spec\":{\"podCIDRs\":[\"10.1.0.0/24\"]},\"status\":{\"addresses\":[{\"type\":\"InternalIP\","
    "\"address\":\"192.168.0.1\"}]}},"
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"web\",\"namespace\":\"shop\","
    "\"labels\":{\"app\":\"web\"}},\"spec\":{\"nodeName\":\"n1\"},\"status\":{\"podIPs\":[{\"ip\":"
    "\"10.1.0.1\"},{\"ip\":\"fd00::1\"}]}},"
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"db\",\"namespace\":\"shop\","
    "\"labels\":{\"app\":\"db\",\"tier\":\"\"}},\"spec\":{\"nodeName\":\"n1\",\"containers\":[{"
    "\"ports\":[{\"name\":\"sql\",\"containerPort\":5432}]}]},\"status\":{\"podIPs\":[{\"ip\":"
    "\"10.1.0.2\"},{\"ip\":\"fd00::2\"}]}},"
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"mon\",\"namespace\":\"ops\","
    "\"labels\":{\"app\":\"mon\"}},\"spec\":{\"nodeName\":\"n1\"},\"status\":{\"podIPs\":[{\"ip\":"
    "\"10.1.0.3\"},{\"ip\":\"fd00::3\"}]}}]}";

/* Pods of the cluster, a pod range's unknown address, the node, others' addresses, services. */
static const char *const ends[] = {"shop/web",    "shop/db",   "ops/mon",     "10.1.0.77",
                                   "192.168.0.1", "10.2.3.4",  "203.0.113.9", "2001:db8::17",
                                   "fd00::abcd",  "10.96.0.1", "fd00:96::1"};
static const struct {
    unsigned int protocol, port;
} packets[] = {{IPPROTO_TCP, 80},  {IPPROTO_TCP, 5432},    {IPPROTO_UDP, 53},
               {IPPROTO_SCTP, 80}, {IPPROTO_ICMP, 8 << 8}, {IPPROTO_ICMPV6, 128 << 8}};

struct stage {
    struct fence_decoded_list base;
    struct fence_decoded_list more;
    const struct fence_object *objects[OBJECTS_MAX + 8];
    struct fence_local locals[LOCALS_MAX];
    struct fence_world world;
};

static bool is_known(const struct stage *stage, const struct fence_object *object)
{
    for (size_t i = 0; i < stage->world.object_count; i++)
        if (fence_object_compare(stage->objects[i], object) == 0)
            return true;
    return false;
}

static void add_objects(struct stage *stage, const struct fence_decoded_list *list)
{
    for (size_t i = 0; i < list->count && stage->world.object_count < OBJECTS_MAX; i++)
        if (list->items[i].object && !is_known(stage, list->items[i].object))
            stage->objects[stage->world.object_count++] = list->items[i].object;
}

static int compare(const void *a, const void *b)
{
    return fence_object_compare(*(const struct fence_object *const *)a,
                                *(const struct fence_object *const *)b);
}

/* The pods of the base are this node's; others live elsewhere. */
static void add_locals(struct stage *stage)
{
    for (size_t i = 0; i < stage->base.count; i++) {
        const struct fence_object *object = stage->base.items[i].object;

        if (object->kind != FENCE_OBJECT_POD)
            continue;
        stage->locals[stage->world.local_count] = (struct fence_local){
            .ifindex = (uint32_t)stage->world.local_count + 1,
            .namespace_name = object->namespace_name,
            .pod = object->name,
            .uid = "",
            .container_id = "c",
            .ifname = "eth0",
            .addrs = object->pod.addrs,
            .addr_count = object->pod.addr_count,
        };
        stage->world.local_count++;
    }
}

static void set_stage(struct stage *stage, bool whole)
{
    stage->world = (struct fence_world){
        .objects = stage->objects, .locals = stage->locals, .node_name = "n1", .now = 1700000000};
    add_objects(stage, &stage->base);
    if (whole)
        add_objects(stage, &stage->more);
    qsort(stage->objects, stage->world.object_count, sizeof(void *), compare);
    add_locals(stage);
}

/* ---- answers -------------------------------------------------------------------------------- */

static const struct fence_interval *ask_plan(const struct fence_plan *plan,
                                             const struct plan_query *query)
{
    return plan_interval(plan, query, plan_peer_of(plan, &query->remote));
}

static void check_side(const struct fence_plan *const plans[2], const struct plan_query *query,
                       const struct fence_side *side)
{
    const struct fence_interval *fresh = ask_plan(plans[0], query);
    const struct fence_interval *followed = ask_plan(plans[1], query);

    FUZZ_HOLDS(!fresh == !followed);
    if (!fresh)
        return;
    FUZZ_HOLDS(fresh->verdict == followed->verdict && fresh->shadow == followed->shadow &&
               fresh->reason == followed->reason);
    if (side->reason == FENCE_REASON_FROM_HOST || side->reason == FENCE_REASON_NOT_AN_ENDPOINT ||
        side->reason == FENCE_REASON_MARTIAN)
        return;
    FUZZ_HOLDS(fresh->verdict == side->verdict && fresh->shadow == side->shadow &&
               fresh->reason == side->reason);
}

static const struct fence_local *local_of(const struct stage *stage, const char *text)
{
    for (size_t i = 0; i < stage->world.local_count; i++) {
        const struct fence_local *local = &stage->locals[i];
        size_t length = strlen(local->namespace_name);

        if (strncmp(text, local->namespace_name, length) == 0 && text[length] == '/' &&
            strcmp(text + length + 1, local->pod) == 0)
            return local;
    }
    return NULL;
}

static bool address_of(const struct stage *stage, const char *text, int family,
                       struct fence_addr *ret_addr)
{
    const struct fence_local *local = local_of(stage, text);

    if (local) {
        *ret_addr = local->addrs[family == 6];
        return true;
    }
    return fence_addr_parse(text, ret_addr) == 0 && fence_addr_is_ipv4(ret_addr) == (family == 4);
}

static void check_query(const struct stage *stage, const struct fence_plan *const plans[2],
                        const struct fence_query *query)
{
    const struct fence_local *locals[] = {local_of(stage, query->from), local_of(stage, query->to)};
    struct fence_answer answer = {0};
    struct fence_addr addrs[2];

    if (!address_of(stage, query->from, query->family, &addrs[FENCE_EGRESS]) ||
        !address_of(stage, query->to, query->family, &addrs[FENCE_INGRESS]))
        return;
    FUZZ_HOLDS(fence_evaluate(&stage->world, query, &answer, NULL) == 0);
    for (int direction = 0; direction < FENCE_DIRECTIONS; direction++) {
        struct plan_query side = {.direction = direction,
                                  .remote = addrs[!direction],
                                  .protocol = query->protocol,
                                  .port = query->port};

        if (!locals[direction])
            continue;
        side.ifindex = locals[direction]->ifindex;
        check_side(plans, &side, &answer.sides[direction]);
    }
}

static void check_answers(const struct stage *stage, struct engine *engine)
{
    struct fence_plan *fresh = NULL;
    const struct fence_plan *plans[2];

    FUZZ_HOLDS(fence_compile(&stage->world, &fresh, NULL) == 0);
    FUZZ_HOLDS(engine_update(engine, &stage->world, NULL) == 0);
    plans[0] = fresh;
    plans[1] = engine_plan(engine);
    FUZZ_HOLDS(!plan_check(plans[0]) && !plan_check(plans[1]));
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(ends); i++)
        for (size_t j = 0; j < FENCE_ARRAY_SIZE(ends); j++)
            for (size_t k = 0; i != j && k < 2 * FENCE_ARRAY_SIZE(packets); k++) {
                const struct fence_query query = {.from = ends[i],
                                                  .to = ends[j],
                                                  .protocol = packets[k / 2].protocol,
                                                  .port = packets[k / 2].port,
                                                  .family = k % 2 ? 6 : 4};

                check_query(stage, plans, &query);
            }
    fence_plan_free(&fresh);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct stage empty, whole;
    struct engine engine = {0};

    empty = whole = (struct stage){0};
    if (fence_decode_stream((const char *)data, size, &whole.more, NULL) < 0)
        return 0;
    FUZZ_HOLDS(fence_decode_stream(cluster, strlen(cluster), &whole.base, NULL) == 0);
    FUZZ_HOLDS(fence_decode_stream(cluster, strlen(cluster), &empty.base, NULL) == 0);
    set_stage(&empty, false);
    set_stage(&whole, true);
    FUZZ_HOLDS(engine_update(&engine, &empty.world, NULL) == 0);
    check_answers(&whole, &engine);
    check_answers(&empty, &engine);
    engine_done(&engine);
    fence_decoded_list_done(&whole.more);
    fence_decoded_list_done(&whole.base);
    fence_decoded_list_done(&empty.base);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Names in events, from maps as the daemon writes them. Needs root for the maps. */
#include <netinet/in.h>
#include <string.h>

#include <linux/if_ether.h>

#include <bpf/bpf.h>
#include <cjson/cJSON.h>

#include "test/cmocka.h"

#include "lib/api/event_json.h"
#include "lib/api/resolve.h"
#include "lib/base/addr.h"
#include "lib/base/memory.h"
#include "lib/datapath/endpoints.h"

#define IFINDEX 4242

static struct fence_pins pins;
static struct fence_resolver resolver = {.pins = &pins, .node_name = "", .trust_domain = "t.d"};

static const struct {
    enum fence_map map;
    unsigned int size;
} maps[] = {
    {FENCE_MAP_ENDPOINTS, sizeof(struct fence_endpoint)},
    {FENCE_MAP_ENDPOINT_INFO, sizeof(struct fence_endpoint_info)},
    {FENCE_MAP_IDENTITIES, sizeof(struct fence_identity_info)},
    {FENCE_MAP_RULES, sizeof(struct fence_rule_info)},
};

static void put(enum fence_map map, __u32 key, const void *value)
{
    assert_int_equal(bpf_map_update_elem(pins.maps[map], &key, value, BPF_ANY), 0);
}

static int setup(void **state)
{
    static const struct fence_endpoint endpoint = {.identity = 300, .set = 1};
    static const struct fence_endpoint_info info = {
        .namespace_name = "shop", .pod = "web-1", .host_ifname = "veth1234"};
    static const struct fence_identity_info web = {.kind = FENCE_KIND_POD,
                                                   .namespace_name = "shop",
                                                   .app = "web",
                                                   .labels = "app=web,tier=front"};
    static const struct fence_identity_info node = {
        .kind = FENCE_KIND_NODE, .app = "n2", .labels = "zone=a"};
    static const struct fence_rule_info rule = {.index = 3, .policy = "NetworkPolicy/shop/web-out"};
    static const struct fence_rule_info isolation = {.index = FENCE_RULE_NONE,
                                                     .policy = "SegmentPolicy/shop/audit"};

    (void)state;
    fence_pins_init(&pins);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(maps); i++) {
        pins.maps[maps[i].map] =
            bpf_map_create(BPF_MAP_TYPE_HASH, "test", sizeof(__u32), maps[i].size, 16, NULL);
        assert_true(pins.maps[maps[i].map] >= 0);
    }
    put(FENCE_MAP_ENDPOINTS, IFINDEX, &endpoint);
    put(FENCE_MAP_ENDPOINT_INFO, IFINDEX, &info);
    put(FENCE_MAP_IDENTITIES, 300, &web);
    put(FENCE_MAP_IDENTITIES, 301, &node);
    put(FENCE_MAP_RULES, 1, &rule);
    put(FENCE_MAP_RULES, 2, &isolation);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fence_resolver_done(&resolver);
    fence_pins_close(&pins);
    return 0;
}

static const struct fence_event event = {
    .ifindex = IFINDEX,
    .identity = 300,
    .peer_identity = 301,
    .rule = 1,
    .shadow_rule = 2,
    .ethertype = ETH_P_IP,
    .protocol = IPPROTO_SCTP,
    .destination_port = 9,
    .direction = FENCE_EGRESS,
    .verdict = FENCE_ALLOW,
    .reason = FENCE_REASON_RULE,
    .shadow_reason = FENCE_REASON_NO_RULE,
};

/* `expect`: NULL = no such member. */
static void check(const struct fence_event *sample, const char *member, const char *expect)
{
    static char json[FENCE_EVENT_JSON_MAX];
    struct fence_resolved resolved;
    struct fence_record record;
    cJSON *value;
    char *text;

    fence_resolve(&resolver, sample, &resolved);
    fence_record_view(&resolver, &resolved, &record);
    assert_true(fence_event_json(&record, json) > 0);
    value = cJSON_Parse(json);
    text = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(value, member));
    print_message("%s\n", member);
    if (expect)
        assert_string_equal(text, expect);
    else
        assert_null(text);
    cJSON_free(text);
    cJSON_Delete(value);
    fence_resolved_done(&resolved);
}

static void names_of_both_ends(void **state)
{
    struct fence_event other = event;

    (void)state;
    check(&event, "source",
          "{\"identity\":300,\"namespace\":\"shop\",\"labels\":[\"app=web\",\"tier=front\"],"
          "\"pod_name\":\"web-1\",\"workloads\":[{\"name\":\"web\"}],\"app\":\"web\","
          "\"spiffe\":\"spiffe://t.d/ns/shop/app/web\"}");
    check(&event, "destination", "{\"identity\":301,\"labels\":[\"zone=a\"],\"node\":\"n2\"}");
    check(&event, "interface", "{\"index\":4242,\"name\":\"veth1234\"}");

    /* a pending endpoint has no identity of its own yet, but a pod */
    other.identity = FENCE_IDENTITY_PENDING;
    check(&other, "source",
          "{\"identity\":4,\"namespace\":\"shop\",\"labels\":[\"reserved:pending\"],"
          "\"pod_name\":\"web-1\"}");
    /* gone meanwhile */
    other.ifindex = 1;
    other.identity = 999;
    check(&other, "source", "{\"identity\":999}");
    check(&other, "interface", "{\"index\":1}");
}

static void names_of_rules(void **state)
{
    struct fence_event other = event;

    (void)state;
    check(&event, "policy", "\"NetworkPolicy/shop/web-out\"");
    check(&event, "rule", "3");
    check(&event, "audit_policy", "\"SegmentPolicy/shop/audit\"");
    check(&event, "audit_rule", NULL);
    other.rule = 0;
    other.shadow_rule = 99;
    check(&other, "policy", NULL);
    check(&other, "audit_policy", NULL);
}

static void names_of_addresses(void **state)
{
    struct fence_event other = event;

    (void)state;
    assert_int_equal(fence_addr_parse("10.0.0.2", &other.destination), 0);
    assert_int_equal(fence_addr_parse("10.0.0.3", &other.source), 0);
    fence_name_index_add(&resolver.addresses, &other.destination,
                         &(struct fence_name){.namespace_name = "shop", .pod = "db-0"});
    /* the first to claim it keeps it */
    fence_name_index_add(&resolver.addresses, &other.destination,
                         &(struct fence_name){.namespace_name = "evil", .pod = "db-0"});
    fence_name_index_add(&resolver.addresses, &other.source,
                         &(struct fence_name){.namespace_name = "shop", .service = "db"});
    other.peer_identity = 999;
    check(&other, "destination", "{\"identity\":999,\"namespace\":\"shop\",\"pod_name\":\"db-0\"}");
    other.direction = FENCE_INGRESS;
    other.peer_identity = FENCE_IDENTITY_SERVICE;
    check(&other, "source",
          "{\"identity\":6,\"namespace\":\"shop\",\"labels\":[\"reserved:service\"]}");
    check(&other, "source_service", "{\"name\":\"db\",\"namespace\":\"shop\"}");
    other.ethertype = ETH_P_ARP;
    check(&other, "source", "{\"identity\":6,\"labels\":[\"reserved:service\"]}");
}

/* What was read is kept until the maps may have changed, also for records that are still about. */
static void names_are_kept(void **state)
{
    static const struct fence_identity_info api = {
        .kind = FENCE_KIND_POD, .namespace_name = "shop", .app = "api"};
    struct fence_resolved before, same, after;
    struct fence_record record;

    (void)state;
    fence_resolve(&resolver, &event, &before);
    put(FENCE_MAP_IDENTITIES, 300, &api);
    fence_resolve(&resolver, &event, &same);
    assert_ptr_equal(before.identity, same.identity);
    resolver.generation++;
    fence_resolve(&resolver, &event, &after);
    assert_ptr_equal(before.endpoint, after.endpoint);
    fence_record_view(&resolver, &before, &record);
    assert_string_equal(record.source.app, "web");
    fence_record_view(&resolver, &after, &record);
    assert_string_equal(record.source.app, "api");
    fence_resolved_done(&before);
    fence_resolved_done(&same);
    fence_resolved_done(&after);
}

/* More identities than are kept: memory is bounded, and what is in use stays whole. */
static void names_are_bounded(void **state)
{
    struct fence_resolved first, other;
    struct fence_event flood = event;
    struct fence_record record;

    (void)state;
    fence_resolve(&resolver, &event, &first);
    for (uint32_t i = 0; i < 3 * FENCE_RESOLVER_MAX; i++) {
        flood.peer_identity = 1000 + i;
        fence_resolve(&resolver, &flood, &other);
        fence_resolved_done(&other);
        assert_true(resolver.count <= FENCE_RESOLVER_MAX);
    }
    fence_record_view(&resolver, &first, &record);
    assert_string_equal(record.source.pod, "web-1");
    fence_resolved_done(&first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_both_ends), cmocka_unit_test(names_of_rules),
        cmocka_unit_test(names_of_addresses), cmocka_unit_test(names_are_kept),
        cmocka_unit_test(names_are_bounded),
    };

    if (geteuid() != 0)
        return 77;
    return cmocka_run_group_tests(tests, setup, teardown);
}

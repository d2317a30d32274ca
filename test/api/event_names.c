/* SPDX-License-Identifier: Apache-2.0 */
/* Names in events, from maps as the daemon writes them. Needs root for the maps. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <linux/if_ether.h>

#include <bpf/bpf.h>

#include "test/cmocka.h"

#include "lib/api/event_json.h"
#include "lib/base/addr.h"
#include "lib/base/memory.h"
#include "lib/datapath/endpoints.h"

#define IFINDEX 4242

static struct fence_pins pins;

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

static void check(const struct fence_event *sample, const char *member, const char *expect)
{
    const struct fence_event_names names = {.pins = &pins};
    cJSON *value = fence_event_json(sample, &names);
    char *text = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(value, member));

    print_message("%s\n", member);
    if (expect)
        assert_string_equal(text, expect);
    else
        assert_null(text);
    cJSON_free(text);
    cJSON_Delete(value);
}

static void names_of_both_ends(void **state)
{
    struct fence_event other = event;

    (void)state;
    check(&event, "source",
          "{\"identity\":300,\"namespace\":\"shop\",\"app\":\"web\",\"labels\":[\"app=web\","
          "\"tier=front\"],\"pod_name\":\"web-1\"}");
    check(&event, "destination", "{\"identity\":301,\"node\":\"n2\",\"labels\":[\"zone=a\"]}");
    check(&event, "interface", "{\"index\":4242,\"name\":\"veth1234\"}");

    /* a pending endpoint has no identity of its own yet, but a pod */
    other.identity = FENCE_IDENTITY_PENDING;
    check(&other, "source",
          "{\"identity\":4,\"labels\":[\"reserved:pending\"],\"namespace\":\"shop\",\"pod_name\":"
          "\"web-1\"}");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_both_ends),
        cmocka_unit_test(names_of_rules),
    };

    if (geteuid() != 0)
        return 77;
    return cmocka_run_group_tests(tests, setup, teardown);
}

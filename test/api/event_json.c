/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/api/event_json.h"

#include <netinet/in.h>
#include <string.h>

#include <linux/if_ether.h>

#include "test/cmocka.h"

#include "lib/api/resolve.h"
#include "lib/base/addr.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"

/* What an event says, in short; addresses are texts. */
struct sample {
    const char *what;
    struct fence_event event;
    const char *source;
    const char *destination;
    const char *expect; /* everything but time */
};

static const struct sample samples[] = {
    {
        .what = "a new connection that is allowed, leaving the pod",
        .source = "10.0.0.1",
        .destination = "10.0.0.2",
        .event = {.ifindex = 7,
                  .identity = 300,
                  .peer_identity = 301,
                  .source_port = 40000,
                  .destination_port = 5432,
                  .ethertype = ETH_P_IP,
                  .protocol = IPPROTO_TCP,
                  .direction = FENCE_EGRESS,
                  .type = FENCE_EVENT_VERDICT,
                  .verdict = FENCE_ALLOW,
                  .reason = FENCE_REASON_RULE,
                  .shadow = FENCE_ALLOW,
                  .tcp_flags = 0x02},
        .expect = "{\"verdict\":\"FORWARDED\",\"reason\":\"rule\",\"IP\":{\"source\":\"10.0.0.1\","
                  "\"destination\":\"10.0.0.2\",\"ipVersion\":\"IPv4\"},\"l4\":{\"TCP\":{"
                  "\"source_port\":40000,\"destination_port\":5432,\"flags\":{\"SYN\":true}}},"
                  "\"source\":{\"identity\":300},\"destination\":{\"identity\":301},\"Type\":"
                  "\"L3_L4\",\"traffic_direction\":\"EGRESS\",\"interface\":{\"index\":7},"
                  "\"event\":\"verdict\",\"Summary\":\"TCP Flags: SYN\"}",
    },
    {
        .what = "a drop on the way in: the endpoint is the destination",
        .source = "fd00::9",
        .destination = "fd00::1",
        .event = {.ifindex = 7,
                  .identity = 300,
                  .peer_identity = FENCE_IDENTITY_WORLD,
                  .source_port = 53,
                  .destination_port = 65535,
                  .ethertype = ETH_P_IPV6,
                  .protocol = IPPROTO_UDP,
                  .direction = FENCE_INGRESS,
                  .type = FENCE_EVENT_DROP,
                  .verdict = FENCE_DENY,
                  .reason = FENCE_REASON_NO_RULE,
                  .suppressed = 12},
        .expect =
            "{\"verdict\":\"DROPPED\",\"reason\":\"no-rule\",\"drop_reason_desc\":"
            "\"POLICY_DENIED\",\"IP\":{\"source\":\"fd00::9\",\"destination\":\"fd00::1\","
            "\"ipVersion\":\"IPv6\"},\"l4\":{\"UDP\":{\"source_port\":53,"
            "\"destination_port\":65535}},\"source\":{\"identity\":2,\"labels\":["
            "\"reserved:world\"]},\"destination\":{\"identity\":300},\"Type\":\"L3_L4\","
            "\"traffic_direction\":\"INGRESS\",\"interface\":{\"index\":7},\"event\":\"drop\","
            "\"suppressed\":12,\"Summary\":\"UDP\"}",
    },
    {
        .what = "allowed, but an Audit policy would deny it",
        .source = "10.0.0.9",
        .destination = "10.0.0.1",
        .event = {.ifindex = 7,
                  .identity = 300,
                  .peer_identity = FENCE_IDENTITY_HOST,
                  .destination_port = 8 << 8,
                  .ethertype = ETH_P_IP,
                  .protocol = IPPROTO_ICMP,
                  .direction = FENCE_INGRESS,
                  .type = FENCE_EVENT_CUT,
                  .verdict = FENCE_ALLOW,
                  .reason = FENCE_REASON_NOT_ISOLATED,
                  .shadow = FENCE_DENY,
                  .shadow_reason = FENCE_REASON_DENYLIST},
        .expect =
            "{\"verdict\":\"AUDIT\",\"reason\":\"not-isolated\",\"audit_reason\":\"denylist\","
            "\"IP\":{\"source\":\"10.0.0.9\",\"destination\":\"10.0.0.1\",\"ipVersion\":"
            "\"IPv4\"},\"l4\":{\"ICMPv4\":{\"type\":8,\"code\":0}},\"source\":{\"identity\":1,"
            "\"labels\":[\"reserved:host\"]},\"destination\":{\"identity\":300},\"Type\":"
            "\"L3_L4\",\"traffic_direction\":\"INGRESS\",\"interface\":{\"index\":7},"
            "\"event\":\"cut\",\"Summary\":\"ICMP type 8 code 0\"}",
    },
    {
        .what = "no IP: nothing is made up",
        .event = {.ifindex = 7,
                  .identity = FENCE_IDENTITY_PENDING,
                  .ethertype = ETH_P_ARP,
                  .direction = FENCE_EGRESS,
                  .type = FENCE_EVENT_DROP,
                  .verdict = FENCE_DENY,
                  .reason = FENCE_REASON_SPOOFED_ARP},
        .expect = "{\"verdict\":\"DROPPED\",\"reason\":\"spoofed-arp\",\"drop_reason_desc\":"
                  "\"INVALID_SOURCE_IP\",\"source\":{\"identity\":4,\"labels\":["
                  "\"reserved:pending\"]},\"destination\":{\"identity\":0},\"Type\":\"L3_L4\","
                  "\"traffic_direction\":\"EGRESS\",\"interface\":{\"index\":7},\"event\":\"drop\","
                  "\"Summary\":\"ethertype 0x0806\"}",
    },
    {
        .what = "a protocol that Hubble has no place for, and flags of numbers out of range",
        .source = "10.0.0.1",
        .destination = "10.0.0.2",
        .event = {.ifindex = 7,
                  .ethertype = ETH_P_IP,
                  .protocol = 47,
                  .direction = FENCE_EGRESS,
                  .type = 200,
                  .verdict = FENCE_DENY,
                  .reason = 250},
        .expect =
            "{\"verdict\":\"DROPPED\",\"reason\":\"unknown\",\"drop_reason_desc\":"
            "\"POLICY_DENIED\",\"IP\":{\"source\":\"10.0.0.1\",\"destination\":\"10.0.0.2\","
            "\"ipVersion\":\"IPv4\"},\"l4\":{\"protocol\":47},\"source\":{\"identity\":0},"
            "\"destination\":{\"identity\":0},\"Type\":\"L3_L4\",\"traffic_direction\":"
            "\"EGRESS\",\"interface\":{\"index\":7},\"event\":\"unknown\",\"Summary\":\"47\"}",
    },
};

static struct fence_event event_of(const struct sample *sample)
{
    struct fence_event event = sample->event;

    if (sample->source)
        assert_int_equal(fence_addr_parse(sample->source, &event.source), 0);
    if (sample->destination)
        assert_int_equal(fence_addr_parse(sample->destination, &event.destination), 0);
    event.time_ns = fence_clock_boot_ns();
    return event;
}

static const struct fence_record_end nobody = {
    .reserved = "",
    .node = "",
    .namespace_name = "",
    .app = "",
    .pod = "",
    .service = "",
    .labels = "",
    .spiffe = "",
};

static void without_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(samples); i++) {
        struct fence_resolver resolver = {.node_name = "", .trust_domain = ""};
        struct fence_event event = event_of(&samples[i]);
        struct fence_resolved resolved;
        struct fence_record record;
        cJSON *value;
        char *text;

        fence_resolve(&resolver, &event, &resolved);
        fence_record_view(&resolver, &resolved, &record);
        value = fence_event_json(&record);
        print_message("%s\n", samples[i].what);
        assert_non_null(value);
        cJSON_DeleteItemFromObject(value, "time");
        text = cJSON_PrintUnformatted(value);
        assert_string_equal(text, samples[i].expect);
        cJSON_free(text);
        cJSON_Delete(value);
        fence_resolved_done(&resolved);
        fence_resolver_done(&resolver);
    }
}

static void time_is_rfc3339(void **state)
{
    const struct fence_event event = event_of(&samples[0]);
    const struct fence_record record = {
        .event = &event,
        .wall_ns = 1767323045123456789ull,
        .node_name = "n1",
        .interface = "",
        .source = nobody,
        .destination = nobody,
        .policy = "",
        .audit_policy = "",
    };
    cJSON *value = fence_event_json(&record);

    (void)state;
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(value, "time")),
                        "2026-01-02T03:04:05.123456789Z");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(value, "node_name")),
                        "n1");
    cJSON_Delete(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_names),
        cmocka_unit_test(time_is_rfc3339),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records as JSON, held against golden/events.jsonl: a line for each sample, in their order. What
 * the samples give is written to a file that is named when a line differs.
 */
#include "lib/api/event_json.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <linux/if_ether.h>

#include "test/cmocka.h"

#include "lib/base/addr.h"
#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "lib/base/utf8.h"

#define GOLDEN  FENCE_SOURCE_DIR "/test/api/golden/events.jsonl"
#define ACTUAL  "/tmp/podfence-test-events.jsonl"
#define WALL_NS 1767323045123456789ull /* 2026-01-02T03:04:05.123456789Z */

/* Wherever there are names of others: what a terminal, a shell, HTML or JSON would obey, valid
 * UTF-8, and bytes that are none. */
#define HOSTILE                                                                                    \
    "\x1b[2J\x1b]0;x\x07\"\\'<b>&\n\r\t\x7f\xc2\x9b"                                               \
    "31m\xe2\x80\xae\xd8\x9c\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xff\xc0\xaf\xed\xa0\x80\xe2\x82"
#define TEN   "0123456789"
#define FIFTY TEN TEN TEN TEN TEN
#define LONG  FIFTY FIFTY FIFTY FIFTY FIFTY "abc" /* 253 */

/* Texts that are not said are made empty by make(). */
static const struct fence_record_end nobody;
static const struct fence_record_end web = {
    .identity = 300,
    .is_endpoint = true,
    .namespace_name = "shop",
    .app = "web",
    .pod = "web-1",
    .labels = "app=web,tier=front",
    .spiffe = "spiffe://t.d/ns/shop/app/web",
};
static const struct fence_record_end db = {
    .identity = 301,
    .namespace_name = "shop",
    .app = "db",
    .pod = "db-0",
    .labels = "app=db",
    .spiffe = "spiffe://t.d/ns/shop/app/db",
};
static const struct fence_record_end world = {.identity = 2, .reserved = "world"};
static const struct fence_record_end host = {.identity = 1, .reserved = "host"};
static const struct fence_record_end node = {.identity = 302, .node = "n2", .labels = "zone=a"};
static const struct fence_record_end service = {
    .identity = 6, .reserved = "service", .namespace_name = "shop", .service = "db"};
static const struct fence_record_end pending = {
    .identity = 4, .reserved = "pending", .namespace_name = "shop", .pod = "web-2"};
static const struct fence_record_end hostile = {
    .identity = 300,
    .namespace_name = HOSTILE,
    .app = HOSTILE,
    .pod = HOSTILE,
    .labels = "a=" HOSTILE ",,b=" HOSTILE ",",
    .spiffe = HOSTILE,
};
static const struct fence_record_end longest = {
    .identity = UINT32_MAX, .namespace_name = "shop", .pod = LONG, .service = LONG};

struct sample {
    const char *what;
    struct fence_event event;
    const char *from; /* address */
    const char *to;
    const struct fence_record_end *source;
    const struct fence_record_end *destination;
    const char *policy; /* NULL: none */
    const char *audit_policy;
    uint32_t rule; /* FENCE_RULE_NONE is written as itself */
};

/* clang-format off: a table */
static const struct sample samples[] = {
    {"a new connection that is allowed, leaving the pod",
     {.ifindex = 7,
      .set = 12,
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
     "10.0.0.1",
     "10.0.0.2",
     &web,
     &db,
     "NetworkPolicy/shop/web-out",
     NULL,
     3},
    {"a drop on the way in, by a policy as such; all flags",
     {.ifindex = 7,
      .set = 12,
      .source_port = 53,
      .destination_port = 65535,
      .ethertype = ETH_P_IPV6,
      .protocol = IPPROTO_TCP,
      .direction = FENCE_INGRESS,
      .type = FENCE_EVENT_DROP,
      .verdict = FENCE_DENY,
      .reason = FENCE_REASON_NO_RULE,
      .suppressed = 12,
      .tcp_flags = 0xff},
     "fd00::9",
     "fd00::1",
     &db,
     &web,
     "ClusterNetworkPolicy/baseline",
     NULL,
     FENCE_RULE_NONE},
    {"allowed, but an Audit policy would deny it",
     {.ifindex = 7,
      .set = 12,
      .destination_port = 8 << 8,
      .ethertype = ETH_P_IP,
      .protocol = IPPROTO_ICMP,
      .direction = FENCE_INGRESS,
      .type = FENCE_EVENT_VERDICT,
      .verdict = FENCE_ALLOW,
      .reason = FENCE_REASON_RULE,
      .shadow = FENCE_DENY,
      .shadow_reason = FENCE_REASON_DENYLIST},
     "10.0.0.9",
     "10.0.0.1",
     &host,
     &web,
     "NetworkPolicy/shop/web-in",
     "SegmentPolicy/shop/audit",
     0},
    {"ICMPv6 to another node",
     {.ifindex = 7,
      .destination_port = 128 << 8 | 1,
      .ethertype = ETH_P_IPV6,
      .protocol = IPPROTO_ICMPV6,
      .direction = FENCE_EGRESS,
      .type = FENCE_EVENT_CUT,
      .verdict = FENCE_DENY,
      .reason = FENCE_REASON_DENYLIST},
     "fd00::1",
     "fd00:2::1",
     &web,
     &node,
     "SegmentPolicy/shop/cut",
     NULL,
     1},
    {"UDP to the world",
     {.ifindex = 7,
      .source_port = 1,
      .destination_port = 53,
      .ethertype = ETH_P_IP,
      .protocol = IPPROTO_UDP,
      .direction = FENCE_EGRESS,
      .type = FENCE_EVENT_VERDICT,
      .verdict = FENCE_ALLOW,
      .reason = FENCE_REASON_NO_POLICY,
      .shadow = FENCE_ALLOW},
     "10.0.0.1",
     "192.0.2.7",
     &web,
     &world,
     NULL,
     NULL,
     FENCE_RULE_NONE},
    {"SCTP to a service",
     {.ifindex = 7,
      .source_port = 1,
      .destination_port = 9,
      .ethertype = ETH_P_IP,
      .protocol = IPPROTO_SCTP,
      .direction = FENCE_EGRESS,
      .type = FENCE_EVENT_VERDICT,
      .verdict = FENCE_DENY,
      .reason = FENCE_REASON_SERVICE_MIXED},
     "10.0.0.1",
     "10.96.0.7",
     &web,
     &service,
     NULL,
     NULL,
     FENCE_RULE_NONE},
    {"a forged source",
     {.ifindex = 7,
      .source_port = 1,
      .destination_port = 80,
      .ethertype = ETH_P_IP,
      .protocol = IPPROTO_TCP,
      .direction = FENCE_EGRESS,
      .type = FENCE_EVENT_DROP,
      .verdict = FENCE_DENY,
      .reason = FENCE_REASON_SPOOFED_ADDRESS,
      .tcp_flags = 0x02},
     "10.0.0.99",
     "10.0.0.2",
     &web,
     &db,
     NULL,
     NULL,
     FENCE_RULE_NONE},
    {"no IP: nothing is made up",
     {.ifindex = 7,
      .ethertype = ETH_P_ARP,
      .direction = FENCE_EGRESS,
      .type = FENCE_EVENT_DROP,
      .verdict = FENCE_DENY,
      .reason = FENCE_REASON_SPOOFED_ARP},
     NULL,
     NULL,
     &pending,
     &nobody,
     NULL,
     NULL,
     FENCE_RULE_NONE},
    {"a protocol that Hubble has no place for, and flags of numbers out of range",
     {.ifindex = UINT32_MAX,
      .ethertype = ETH_P_IP,
      .protocol = 47,
      .direction = FENCE_EGRESS,
      .type = 200,
      .verdict = FENCE_DENY,
      .reason = 250,
      .suppressed = UINT32_MAX},
     "10.0.0.1",
     "10.0.0.2",
     &nobody,
     &nobody,
     NULL,
     NULL,
     FENCE_RULE_NONE},
    {"a number of equal drops",
     {.ifindex = 7,
      .set = 12,
      .destination_port = 80,
      .ethertype = ETH_P_IP,
      .protocol = IPPROTO_TCP,
      .direction = FENCE_INGRESS,
      .type = FENCE_EVENT_SUPPRESSED,
      .verdict = FENCE_DENY,
      .reason = FENCE_REASON_NO_RULE,
      .suppressed = 12},
     "10.0.0.2",
     "10.0.0.1",
     &db,
     &web,
     "NetworkPolicy/shop/web-in",
     NULL,
     FENCE_RULE_NONE},
    {"a number of drops of many kinds",
     {.ifindex = 7,
      .set = 12,
      .ethertype = ETH_P_IP,
      .direction = FENCE_INGRESS,
      .type = FENCE_EVENT_SUPPRESSED,
      .verdict = FENCE_DENY,
      .reason = FENCE_REASON_NO_RULE,
      .suppressed = 12000},
     NULL,
     "10.0.0.1",
     &nobody,
     &web,
     NULL,
     NULL,
     FENCE_RULE_NONE},
    {"hostile names",
     {.ifindex = 7,
      .source_port = 1,
      .destination_port = 80,
      .ethertype = ETH_P_IP,
      .protocol = IPPROTO_TCP,
      .direction = FENCE_EGRESS,
      .type = FENCE_EVENT_DROP,
      .verdict = FENCE_DENY,
      .reason = FENCE_REASON_NO_RULE,
      .tcp_flags = 0x02},
     "10.0.0.1",
     "10.0.0.2",
     &hostile,
     &hostile,
     "A" HOSTILE "/" HOSTILE "/" HOSTILE,
     HOSTILE,
     0},
    {"names of 253 characters",
     {.ifindex = 7,
      .ethertype = ETH_P_IP,
      .protocol = IPPROTO_TCP,
      .direction = FENCE_EGRESS,
      .type = FENCE_EVENT_VERDICT,
      .verdict = FENCE_ALLOW,
      .shadow = FENCE_ALLOW},
     "10.0.0.1",
     "10.0.0.2",
     &longest,
     &longest,
     "NetworkPolicy/" LONG "/" LONG,
     NULL,
     0},
};
/* clang-format on */

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static struct fence_record_end whole(struct fence_record_end end)
{
    end.reserved = or_empty(end.reserved);
    end.node = or_empty(end.node);
    end.namespace_name = or_empty(end.namespace_name);
    end.app = or_empty(end.app);
    end.pod = or_empty(end.pod);
    end.service = or_empty(end.service);
    end.labels = or_empty(end.labels);
    end.spiffe = or_empty(end.spiffe);
    return end;
}

static size_t make(const struct sample *sample, char text[FENCE_EVENT_JSON_MAX])
{
    struct fence_event event = sample->event;
    struct fence_record record = {
        .event = &event,
        .wall_ns = WALL_NS,
        .uuid = {0x0123456789abcdefull, 42},
        .node_name = "n1",
        .interface = "veth7",
        .source = whole(*sample->source),
        .destination = whole(*sample->destination),
        .policy = or_empty(sample->policy),
        .rule = sample->rule,
        .audit_policy = or_empty(sample->audit_policy),
        .audit_rule = sample->audit_policy ? 1 : FENCE_RULE_NONE,
    };

    if (sample->from)
        assert_int_equal(fence_addr_parse(sample->from, &event.source), 0);
    if (sample->to)
        assert_int_equal(fence_addr_parse(sample->to, &event.destination), 0);
    return fence_event_json(&record, text);
}

static void write_actual(void)
{
    static char text[FENCE_EVENT_JSON_MAX];
    FENCE_FCLOSE FILE *out = fopen(ACTUAL, "we");

    assert_non_null(out);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(samples); i++) {
        make(&samples[i], text);
        fprintf(out, "%s\n", text);
    }
}

/* The next line is what the sample gives; returns what follows it. */
static const char *check_line(const struct sample *sample, const char *line)
{
    static char text[FENCE_EVENT_JSON_MAX];
    const size_t length = make(sample, text);

    if (strncmp(line, text, length) == 0 && line[length] == '\n')
        return line + length + 1;
    write_actual();
    fail_msg("%s: differs from " GOLDEN "; all lines as they are now: " ACTUAL, sample->what);
    return line;
}

static void golden(void **state)
{
    FENCE_FREE char *data = NULL;
    struct fence_err err = {""};
    const char *at;
    size_t size;

    (void)state;
    assert_int_equal(fence_file_read(AT_FDCWD, GOLDEN, 1 << 20, &data, &size, &err), 0);
    at = data;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(samples); i++)
        at = check_line(&samples[i], at);
    assert_int_equal(*at, '\0');
}

static const char *text_at(const cJSON *json, const char *first, const char *second)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(json, first);

    return cJSON_GetStringValue(second ? cJSON_GetObjectItemCaseSensitive(member, second) : member);
}

/* One object, of characters that a terminal shows. */
static void is_safe_json(void **state)
{
    static char text[FENCE_EVENT_JSON_MAX];

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(samples); i++) {
        size_t length = make(&samples[i], text);
        const char *end = NULL;
        cJSON *json = cJSON_ParseWithOpts(text, &end, 1);

        assert_int_equal(strlen(text), length);
        assert_true(cJSON_IsObject(json));
        assert_ptr_equal(end, text + length);
        assert_string_equal(text_at(json, "time", NULL), "2026-01-02T03:04:05.123456789Z");
        cJSON_Delete(json);
        for (const char *at = text; *at;) {
            unsigned int point = 0;
            size_t bytes = fence_utf8_next(at, &point);

            assert_true(bytes && fence_utf8_is_harmless(point));
            at += bytes;
        }
    }
}

/* What was valid comes back as it was. */
static void texts_come_back(void **state)
{
    static const char valid[] = "\x1b\"\\\n\x7f\xc2\x9b\xe2\x80\xae\xc3\xa4\xf0\x9f\x98\x80/<>&";
    static char text[FENCE_EVENT_JSON_MAX];
    struct fence_record_end end = web;
    struct sample sample = samples[0];
    cJSON *json;

    (void)state;
    end.pod = valid;
    sample.source = &end;
    sample.policy = valid;
    assert_true(make(&sample, text) > 0);
    json = cJSON_Parse(text);
    assert_string_equal(text_at(json, "source", "pod_name"), valid);
    assert_string_equal(text_at(json, "policy", NULL), valid);
    cJSON_Delete(json);
}

/* The largest that the maps can hold, all of it escaped, fits; more is refused, not cut. */
static void largest(void **state)
{
    static char name[4096], text[FENCE_EVENT_JSON_MAX];
    struct fence_record_end end = {.identity = 300};
    struct sample sample = samples[0];
    char *labels = name + 3000;

    (void)state;
    memset(name, '\x01', sizeof(name) - 1);
    end.labels = labels; /* 1095, more than FENCE_IDENTITY_LABELS_MAX */
    end.namespace_name = end.app = labels + 1095 - 63;
    end.pod = labels + 1095 - 255;
    end.service = labels + 1095 - 253;
    end.spiffe = labels + 1095 - 200;
    sample.source = sample.destination = &end;
    sample.policy = sample.audit_policy = labels + 1095 - 447;
    assert_in_range(make(&sample, text), 30000, FENCE_EVENT_JSON_MAX - 1);
    end.labels = name;
    text[0] = 'x';
    assert_int_equal(make(&sample, text), 0);
}

static void times(void **state)
{
    static const struct {
        uint64_t seconds;
        const char *expect;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000000001Z"},
        {951782399, "2000-02-28T23:59:59.000000001Z"},
        {951782400, "2000-02-29T00:00:00.000000001Z"},
        {1709251199, "2024-02-29T23:59:59.000000001Z"},
        {1767225599, "2025-12-31T23:59:59.000000001Z"},
        {4107542400, "2100-03-01T00:00:00.000000001Z"},
    };
    static char text[FENCE_EVENT_JSON_MAX];

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        const struct fence_lost lost = {.source = FENCE_LOST_BY_KERNEL,
                                        .count = i,
                                        .wall_ns = rows[i].seconds * 1000000000 + 1,
                                        .node_name = i ? "n1" : ""};
        cJSON *json;

        assert_true(fence_lost_json(&lost, text) > 0);
        json = cJSON_Parse(text);
        assert_string_equal(text_at(json, "time", NULL), rows[i].expect);
        cJSON_Delete(json);
    }
    assert_string_equal(text, "{\"lost_events\":{\"source\":\"PERF_EVENT_RING_BUFFER\","
                              "\"num_events_lost\":5},\"node_name\":\"n1\","
                              "\"time\":\"2100-03-01T00:00:00.000000001Z\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden),          cmocka_unit_test(is_safe_json),
        cmocka_unit_test(texts_come_back), cmocka_unit_test(largest),
        cmocka_unit_test(times),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

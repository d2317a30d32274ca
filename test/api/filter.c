/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/api/filter.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <linux/if_ether.h>

#include "test/cmocka.h"

#include "lib/base/memory.h"

#define EMPTY .reserved = "", .node = "", .labels = "", .spiffe = ""

/* Dropped: pod web-1 to a pod of app db that has no name here. */
static struct fence_event drop_event = {
    .ethertype = ETH_P_IP,
    .protocol = IPPROTO_TCP,
    .direction = FENCE_EGRESS,
    .source_port = 4000,
    .destination_port = 5432,
    .verdict = FENCE_DENY,
    .reason = FENCE_REASON_NO_RULE,
};
static struct fence_record drop = {
    .event = &drop_event,
    .source = {EMPTY, .namespace_name = "shop", .app = "web", .pod = "web-1", .service = ""},
    .destination = {EMPTY, .namespace_name = "shop", .app = "db", .pod = "", .service = "sql"},
    .policy = "NetworkPolicy/shop/web-out",
    .audit_policy = "",
};
/* Audited: the world to a pod, ICMPv6. */
static struct fence_event audit_event = {
    .ethertype = ETH_P_IPV6,
    .protocol = IPPROTO_ICMPV6,
    .direction = FENCE_INGRESS,
    .destination_port = 128 << 8,
    .verdict = FENCE_ALLOW,
    .reason = FENCE_REASON_RULE,
    .shadow = FENCE_DENY,
    .shadow_reason = FENCE_REASON_DENYLIST,
};
static struct fence_record audit = {
    .event = &audit_event,
    .source = {.reserved = "world",
               .node = "",
               .namespace_name = "",
               .app = "",
               .pod = "",
               .service = "",
               .labels = "",
               .spiffe = ""},
    .destination = {EMPTY, .namespace_name = "other", .app = "api", .pod = "api-0", .service = ""},
    .policy = "NetworkPolicy/other/api",
    .audit_policy = "ClusterSegmentPolicy/no-world",
};
/* Forwarded: a pod to another node. */
static struct fence_event pass_event = {
    .ethertype = ETH_P_IP,
    .protocol = IPPROTO_UDP,
    .direction = FENCE_EGRESS,
    .destination_port = 53,
    .verdict = FENCE_ALLOW,
    .shadow = FENCE_ALLOW,
    .reason = FENCE_REASON_NO_POLICY,
};
static struct fence_record pass = {
    .event = &pass_event,
    .source = {EMPTY, .namespace_name = "shop", .app = "web", .pod = "web-2", .service = ""},
    .destination = {.reserved = "",
                    .node = "n2",
                    .namespace_name = "",
                    .app = "",
                    .pod = "",
                    .service = "",
                    .labels = "",
                    .spiffe = ""},
    .policy = "",
    .audit_policy = "",
};
static const struct fence_record *const records[] = {&drop, &audit, &pass};

static int setup(void **state)
{
    (void)state;
    return fence_addr_parse("10.0.0.1", &drop.source.addr) ||
           fence_addr_parse("10.0.0.2", &drop.destination.addr) ||
           fence_addr_parse("2001:db8::1", &audit.source.addr) ||
           fence_addr_parse("fd00::2", &audit.destination.addr) ||
           fence_addr_parse("10.0.1.1", &pass.source.addr) ||
           fence_addr_parse("192.0.2.2", &pass.destination.addr);
}

static const struct {
    const char *filter;
    const char *fits; /* d(rop), a(udit), p(ass) */
} rows[] = {
    {"verdict=DROPPED", "d--"},
    {"verdict=deny", "d--"},
    {"verdict=dropped,audit", "da-"},
    {"verdict=allow", "--p"},
    {"from=shop/web-1", "d--"},
    {"from=shop/web", "d-p"},
    {"from=shop/", "d-p"},
    {"from=sho/", "---"},
    {"from=shop/web-", "---"},
    {"from=shop", "---"},
    {"to=shop/sql", "d--"},
    {"to=shop/db", "d--"},
    {"to=shop/web-1", "---"},
    {"from=10.0.0.1", "d--"},
    {"from=::ffff:10.0.0.1", "d--"},
    {"from=10.0.0.0/15", "d-p"},
    {"to=fd00::/16", "-a-"},
    {"to=0.0.0.0/0", "d-p"},
    {"from=world", "-a-"},
    {"to=node/n2", "--p"},
    {"to=node/", "--p"},
    {"to=node/n", "---"},
    {"from=/", "---"},
    {"namespace=shop", "d-p"},
    {"namespace=other,shop", "dap"},
    {"port=5432", "d--"},
    {"port=5432/TCP", "d--"},
    {"port=5432/UDP", "---"},
    {"port=53,5432", "d-p"},
    {"port=32768", "---"}, /* ICMP has none */
    {"reason=no-rule", "d--"},
    {"reason=denylist", "-a-"},
    {"policy=NetworkPolicy/shop/web-out", "d--"},
    {"policy=shop/web-out", "d--"},
    {"policy=web-out", "d--"},
    {"policy=out", "---"},
    {"policy=no-world", "-a-"},
    {"verdict=DROPPED;from=shop/;to=shop/db;port=5432", "d--"},
    {"verdict=DROPPED;from=other/;to=shop/db", "---"},
    {"verdict=DROPPED;verdict=AUDIT;", "da-"},
};

static void choosing(void **state)
{
    struct fence_filter everything = {0};

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        struct fence_filter filter = {0};
        struct fence_err err = {""};

        print_message("%s\n", rows[i].filter);
        assert_int_equal(fence_filter_parse(&filter, rows[i].filter, &err), 0);
        for (size_t j = 0; j < FENCE_ARRAY_SIZE(records); j++)
            assert_int_equal(fence_filter_fits(&filter, records[j]), rows[i].fits[j] != '-');
        fence_filter_done(&filter);
    }
    for (size_t j = 0; j < FENCE_ARRAY_SIZE(records); j++)
        assert_true(fence_filter_fits(&everything, records[j]));
}

static void errors(void **state)
{
    static const struct {
        const char *text;
        const char *says;
    } wrong[] = {
        {"", "KEY=VALUE"},
        {"verdict", "KEY=VALUE"},
        {"colour=red", "none of verdict, from"},
        {"=", "none of verdict"},
        {"verdict=", "verdict: 1 to 511"},
        {"verdict=DROPPED,", "verdict: 1 to 511"},
        {"verdict=MAYBE", "MAYBE is no verdict"},
        {"port=65536", "65536 is no port"},
        {"port=80/XYZ", "no port"},
        {"port=-1", "no port"},
        {"port=99999999999999999999", "no port"},
        {"reason=bad-luck", "no reason"},
        {"namespace=a/b", "no namespace"},
        {"verdict=DROPPED;;", "KEY=VALUE"},
    };

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(wrong); i++) {
        struct fence_filter filter = {0};
        struct fence_err err = {""};

        print_message("%s\n", wrong[i].text);
        assert_int_equal(fence_filter_parse(&filter, wrong[i].text, &err), -EINVAL);
        assert_non_null(strstr(err.text, wrong[i].says));
        fence_filter_done(&filter);
    }
}

static void bounded(void **state)
{
    struct fence_filter filter = {0};
    char text[FENCE_FILTER_TEXT + 8];
    size_t i = 0;

    (void)state;
    memset(text, 'x', sizeof(text));
    text[FENCE_FILTER_TEXT] = '\0';
    assert_int_equal(fence_filter_add(&filter, FENCE_FILTER_POLICY, text, NULL), -EINVAL);
    text[FENCE_FILTER_TEXT - 1] = '\0';
    while (fence_filter_add(&filter, FENCE_FILTER_POLICY, text, NULL) == 0)
        i++;
    assert_int_equal(i, FENCE_FILTER_VALUES);
    assert_int_equal(fence_filter_add(&filter, FENCE_FILTER_POLICY, "x", NULL), -E2BIG);
    fence_filter_done(&filter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(choosing),
        cmocka_unit_test(errors),
        cmocka_unit_test(bounded),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}

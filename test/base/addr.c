/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/addr.h"

#include <string.h>

#include "lib/base/memory.h"
#include "test/cmocka.h"

static void test_addr_text(void **state)
{
    static const struct {
        const char *text, *shown; /* shown NULL: refused */
    } rows[] = {
        {"10.0.0.1", "10.0.0.1"},
        {"fd00::1", "fd00::1"},
        {"FD00:0::1", "fd00::1"},
        {"0.0.0.0", "0.0.0.0"},
        {"::", "::"},
        {"10.0.0", NULL},
        {"10.0.0.256", NULL},
        {"10.0.0.1/32", NULL},
        {"fe80::1%eth0", NULL},
        {"", NULL},
        {"010.0.0.1", NULL},
        {" 10.0.0.1", NULL},
    };
    char text[FENCE_ADDR_TEXT];
    struct fence_addr addr;

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        int r = fence_addr_parse(rows[i].text, &addr);

        assert_int_equal(r == 0, rows[i].shown != NULL);
        if (r == 0)
            assert_string_equal(fence_addr_format(&addr, text), rows[i].shown);
    }
}

static void test_prefix_text(void **state)
{
    static const struct {
        const char *text, *shown;
        bool host_bits;
    } rows[] = {
        {"10.0.0.0/8", "10.0.0.0/8", false},
        {"10.1.2.3/8", "10.0.0.0/8", true},
        {"0.0.0.0/0", "0.0.0.0/0", false},
        {"::/0", "::/0", false},
        {"fd00:1::/32", "fd00:1::/32", false},
        {"fd00::1/64", "fd00::/64", true},
        {"10.0.0.1/32", "10.0.0.1/32", false},
        {"255.255.255.255/1", "128.0.0.0/1", true},
        {"10.0.0.0", NULL, false},
        {"10.0.0.0/", NULL, false},
        {"10.0.0.0/33", NULL, false},
        {"10.0.0.0/08", NULL, false},
        {"10.0.0.0/-1", NULL, false},
        {"10.0.0.0/8x", NULL, false},
        {"fd00::/129", NULL, false},
        {"::ffff:10.0.0.0/104", NULL, false},
        {"/8", NULL, false},
    };
    char text[FENCE_PREFIX_TEXT];
    struct fence_prefix prefix;
    bool host_bits;

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        int r = fence_prefix_parse(rows[i].text, &prefix, &host_bits);

        assert_int_equal(r == 0, rows[i].shown != NULL);
        if (r < 0)
            continue;
        assert_string_equal(fence_prefix_format(&prefix, text), rows[i].shown);
        assert_int_equal(host_bits, rows[i].host_bits);
    }
}

/* What Go's net.ParseCIDR took before 1.17, as k8s.io/utils has it still. */
static void test_prefix_legacy(void **state)
{
    static const struct {
        const char *text, *shown;
    } rows[] = {
        {"10.0.0.0/8", "10.0.0.0/8"},
        {"010.0.0.0/8", "10.0.0.0/8"},
        {"010.001.000.9/016", "10.1.0.0/16"},
        {"0000000010.00000000000000000000000000000000000000.0.0/8", "10.0.0.0/8"},
        {"192.168.08.09/032", "192.168.8.9/32"},
        {"10.0.0.0/0000000000000000000000000008", "10.0.0.0/8"},
        {"::ffff:10.0.0.0/104", "10.0.0.0/8"},
        {"::FFFF:0a00:0/0104", "10.0.0.0/8"},
        {"::ffff:0:0/96", "0.0.0.0/0"},
        {"::ffff:010.0.0.1/128", "10.0.0.1/32"},
        {"::ffff:10.0.0.0/95", "::fffe:0:0/95"},
        {"00fd00:00001::/032", "fd00:1::/32"},
        {"::/00", "::/0"},
        {"0a.0.0.0/8", NULL},
        {"0x0a.0.0.0/8", NULL},
        {"+10.0.0.0/8", NULL},
        {" 10.0.0.0/8", NULL},
        {"10..0.0/8", NULL},
        {"10.0.0/8", NULL},
        {"0256.0.0.0/8", NULL},
        {"10.0.0.0/033", NULL},
        {"10.0.0.0/104", NULL},
        {"10.0.0.0/", NULL},
        {"10.0.0.0/+8", NULL},
        {"10.0.0.0", NULL},
        {"::ffff:10.0.0.0/129", NULL},
        {"fd000::/16", NULL},
        {"fd00::%1/16", NULL},
        {"1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111/16", NULL},
        {"/8", NULL},
    };
    char text[FENCE_PREFIX_TEXT];
    struct fence_prefix prefix;

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        int r = fence_prefix_parse_legacy(rows[i].text, &prefix);

        if ((r == 0) != (rows[i].shown != NULL))
            fail_msg("%s: %d", rows[i].text, r);
        if (r == 0)
            assert_string_equal(fence_prefix_format(&prefix, text), rows[i].shown);
    }
}

static void test_prefix_holds(void **state)
{
    static const struct {
        const char *prefix, *addr;
        bool holds;
    } rows[] = {
        {"10.0.0.0/8", "10.255.0.1", true}, {"10.0.0.0/8", "11.0.0.1", false},
        {"0.0.0.0/0", "1.2.3.4", true},     {"0.0.0.0/0", "fd00::1", false},
        {"::/0", "fd00::1", true},          {"::/0", "1.2.3.4", false},
        {"fd00::/15", "fd01::1", true},     {"fd00::/16", "fd01::1", false},
        {"10.0.0.4/30", "10.0.0.7", true},  {"10.0.0.4/30", "10.0.0.8", false},
        {"10.0.0.1/32", "10.0.0.1", true},  {"128.0.0.0/1", "127.0.0.1", false},
    };
    struct fence_prefix prefix;
    struct fence_addr addr;

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        assert_int_equal(fence_prefix_parse(rows[i].prefix, &prefix, NULL), 0);
        assert_int_equal(fence_addr_parse(rows[i].addr, &addr), 0);
        assert_int_equal(fence_prefix_contains(&prefix, &addr), rows[i].holds);
    }
}

static void test_prefix_covers(void **state)
{
    struct fence_prefix all4, all6, ten, narrow;

    (void)state;
    assert_int_equal(fence_prefix_parse("0.0.0.0/0", &all4, NULL), 0);
    assert_int_equal(fence_prefix_parse("::/0", &all6, NULL), 0);
    assert_int_equal(fence_prefix_parse("10.0.0.0/8", &ten, NULL), 0);
    assert_int_equal(fence_prefix_parse("10.1.0.0/16", &narrow, NULL), 0);
    assert_true(fence_prefix_covers(&all4, &ten));
    assert_true(fence_prefix_covers(&ten, &narrow));
    assert_true(fence_prefix_covers(&ten, &ten));
    assert_false(fence_prefix_covers(&narrow, &ten));
    assert_false(fence_prefix_covers(&all6, &ten));
    assert_false(fence_prefix_covers(&all6, &all4));
    assert_false(fence_prefix_covers(&all4, &all6));
    assert_true(fence_prefix_compare(&ten, &narrow) < 0);
    assert_int_equal(fence_prefix_compare(&ten, &ten), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addr_text),     cmocka_unit_test(test_prefix_text),
        cmocka_unit_test(test_prefix_legacy), cmocka_unit_test(test_prefix_holds),
        cmocka_unit_test(test_prefix_covers),
    };

    return cmocka_run_group_tests_name("base.addr", tests, NULL, NULL);
}

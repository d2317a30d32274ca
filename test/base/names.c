/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/names.h"

#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/cmocka.h"

static void test_reasons_are_named_once(void **state)
{
    (void)state;
    for (unsigned int i = 0; i < FENCE_REASON_COUNT; i++) {
        assert_string_not_equal(fence_reason_name(i), "unknown");
        for (unsigned int j = 0; j < i; j++)
            assert_string_not_equal(fence_reason_name(i), fence_reason_name(j));
    }
    assert_string_equal(fence_reason_name(FENCE_REASON_COUNT), "unknown");
    /* fixed by the interface of `podfencectl trace` */
    assert_string_equal(fence_reason_name(FENCE_REASON_NO_RULE), "no-rule");
    assert_string_equal(fence_reason_name(FENCE_REASON_NOT_ISOLATED), "not-isolated");
    assert_string_equal(fence_reason_name(FENCE_REASON_NOT_AN_ENDPOINT), "not-an-endpoint");
}

static void test_protocols(void **state)
{
    static const struct {
        const char *text;
        int number; /* < 0: refused */
    } rows[] = {{"TCP", 6}, {"UDP", 17},  {"SCTP", 132}, {"ICMP", 1}, {"ICMPv6", 58},
                {"47", 47}, {"255", 255}, {"256", -1},   {"tcp", -1}, {"", -1},
                {"6x", -1}, {"-1", -1},   {" 6", -1}};
    char buffer[8];

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        unsigned int number = 0;
        int r = fence_protocol_parse(rows[i].text, &number);

        assert_int_equal(r, rows[i].number < 0 ? -EINVAL : 0);
        if (r == 0) {
            assert_int_equal(number, rows[i].number);
            assert_string_equal(fence_protocol_name(number, buffer), rows[i].text);
        }
    }
}

static void test_safe_printing(void **state)
{
    static const struct {
        const char *text, *shown;
    } rows[] = {
        {"web-1", "web-1"},
        {"caf\xc3\xa9", "caf\xc3\xa9"},
        {"a\x1b[31mb", "a\\x1b[31mb"},
        {"a\nb\tc", "a\\x0ab\\x09c"},
        {"\x7f", "\\x7f"},
        {"\xc2\x9b", "\\xc2\\x9b"},          /* C1: CSI */
        {"\xe2\x80\xae", "\\xe2\\x80\\xae"}, /* right-to-left override */
        {"\xff\xfe", "\\xff\\xfe"},          /* not UTF-8 */
        {"\xc0\xaf", "\\xc0\\xaf"},          /* overlong */
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"}, /* surrogate */
        {"\xe2\x82", "\\xe2\\x82"},          /* cut short */
        {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
    };

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);

        assert_non_null(out);
        fence_print_safe(out, rows[i].text);
        fclose(out);
        assert_string_equal(text, rows[i].shown);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reasons_are_named_once),
        cmocka_unit_test(test_protocols),
        cmocka_unit_test(test_safe_printing),
    };

    return cmocka_run_group_tests_name("base.names", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/labels.h"

#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/cmocka.h"

#define LETTERS_63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void test_key_syntax(void **state)
{
    static const struct {
        const char *key;
        bool fine;
    } rows[] = {
        {"app", true},           {"app.kubernetes.io/name", true},
        {"A_b-c.9", true},       {LETTERS_63, true},
        {LETTERS_63 "a", false}, {"", false},
        {"/name", false},        {"prefix/", false},
        {"a/b/c", false},        {"-app", false},
        {"app.", false},         {"Upper.io/name", false},
        {"a..b/name", false},    {"a.-b/name", false},
        {"app key", false},      {"app\x1b[0m", false},
        {"\xc3\xa4pp", false},
    };

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        struct fence_err err = {""};
        int r = fence_label_key_check(rows[i].key, &err);

        assert_int_equal(r, rows[i].fine ? 0 : -EINVAL);
        assert_int_equal(err.text[0] != '\0', !rows[i].fine);
    }
}

static void test_value_syntax(void **state)
{
    static const struct {
        const char *value;
        bool fine;
    } rows[] = {
        {"", true},         {"web", true},           {"1.2_3-x", true},
        {LETTERS_63, true}, {LETTERS_63 "a", false}, {"-x", false},
        {"x-", false},      {"a b", false},          {"a/b", false},
        {"a=b", false},     {"a,b", false},
    };

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++)
        assert_int_equal(fence_label_value_check(rows[i].value, NULL), rows[i].fine ? 0 : -EINVAL);
}

static void test_set_keeps_order(void **state)
{
    struct fence_labels labels = {0}, copy = {0};
    FENCE_FREE char *text = NULL;

    (void)state;
    assert_int_equal(fence_labels_set(&labels, "tier", "back"), 0);
    assert_int_equal(fence_labels_set(&labels, "app", "db"), 0);
    assert_int_equal(fence_labels_set(&labels, "zone", ""), 0);
    assert_int_equal(fence_labels_set(&labels, "app", "web"), 0);
    assert_int_equal(labels.count, 3);
    assert_string_equal(fence_labels_get(&labels, "app"), "web");
    assert_string_equal(fence_labels_get(&labels, "zone"), "");
    assert_null(fence_labels_get(&labels, "ap"));
    text = fence_labels_format(&labels);
    assert_string_equal(text, "app=web,tier=back,zone=");
    assert_int_equal(fence_labels_parse(text, &copy, NULL), 0);
    assert_true(fence_labels_equal(&labels, &copy));
    assert_int_equal(fence_labels_set(&copy, "zone", "a"), 0);
    assert_false(fence_labels_equal(&labels, &copy));
    fence_labels_done(&labels);
    fence_labels_done(&copy);
}

static void test_parse_refuses(void **state)
{
    static const char *const rows[] = {"app",      "app=web,", "=web", "app=web,app=db",
                                       "a=b,,c=d", "app=a b"};
    struct fence_labels labels = {0};

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        struct fence_err err = {""};

        assert_int_equal(fence_labels_parse(rows[i], &labels, &err), -EINVAL);
        assert_true(err.text[0]);
        assert_null(labels.items);
    }
    assert_int_equal(fence_labels_parse("", &labels, NULL), 0);
    assert_int_equal(labels.count, 0);
}

static void test_app_name(void **state)
{
    struct fence_labels labels = {0};

    (void)state;
    assert_null(fence_labels_app(&labels));
    fence_labels_set(&labels, "k8s-app", "dns");
    assert_string_equal(fence_labels_app(&labels), "dns");
    fence_labels_set(&labels, "app.kubernetes.io/name", "coredns");
    assert_string_equal(fence_labels_app(&labels), "coredns");
    fence_labels_set(&labels, "app", "");
    assert_string_equal(fence_labels_app(&labels), "coredns");
    fence_labels_set(&labels, "app", "web");
    assert_string_equal(fence_labels_app(&labels), "web");
    fence_labels_done(&labels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key_syntax),      cmocka_unit_test(test_value_syntax),
        cmocka_unit_test(test_set_keeps_order), cmocka_unit_test(test_parse_refuses),
        cmocka_unit_test(test_app_name),
    };

    return cmocka_run_group_tests_name("base.labels", tests, NULL, NULL);
}

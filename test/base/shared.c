/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/shared.h"

#include <stdio.h>

#include "test/cmocka.h"

#define MANY 5000u

static const struct fence_labels *set_of(const char *text)
{
    struct fence_labels labels = {0};
    const struct fence_labels *shared;

    assert_int_equal(fence_labels_parse(text, &labels, NULL), 0);
    shared = fence_shared_labels(&labels);
    fence_labels_done(&labels);
    assert_non_null(shared);
    return shared;
}

static void test_equal_strings_are_one(void **context)
{
    char first[] = "web", second[] = "web";
    const char *a = fence_shared_string(first);
    const char *b = fence_shared_string(second);
    const char *c = fence_shared_string("web2");

    (void)context;
    first[0] = 'X';
    assert_string_equal(a, "web");
    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, c);
    fence_shared_string_unref(&a);
    assert_null(a);
    assert_string_equal(b, "web");
    a = fence_shared_string_ref(b);
    fence_shared_string_unref(&b);
    b = fence_shared_string("web");
    assert_ptr_equal(a, b);
    fence_shared_string_unref(&a);
    fence_shared_string_unref(&b);
    fence_shared_string_unref(&c);
    fence_shared_string_unref(&c);
}

static void test_empty_ones(void **context)
{
    const char *a = fence_shared_string("");
    const char *b = fence_shared_string_ref(a);
    const struct fence_labels none = {0};
    const struct fence_labels *labels = fence_shared_labels(&none);

    (void)context;
    assert_string_equal(a, "");
    assert_ptr_equal(a, fence_shared_string(""));
    fence_shared_string_unref(&a);
    fence_shared_string_unref(&b);
    assert_ptr_equal(labels, fence_shared_labels_none());
    assert_ptr_equal(fence_shared_labels_ref(labels), fence_shared_labels_none());
    assert_int_equal(labels->count, 0);
    fence_shared_labels_unref(&labels);
    assert_null(labels);
}

static void test_equal_sets_are_one(void **context)
{
    const struct fence_labels *a = set_of("app=web,tier=front");
    const struct fence_labels *b = set_of("app=web,tier=front");
    const struct fence_labels *c = set_of("app=web,tier=back");
    const struct fence_labels *d = set_of("app=web");
    const struct fence_labels *e = set_of("app=,web=tier");
    const char *web = fence_shared_string("web");

    (void)context;
    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, c);
    assert_ptr_not_equal(a, d);
    assert_ptr_not_equal(a, e);
    assert_string_equal(fence_labels_get(a, "tier"), "front");
    assert_string_equal(fence_labels_get(e, "app"), "");
    assert_ptr_equal(fence_labels_get(c, "app"), web);
    fence_shared_labels_unref(&a);
    assert_string_equal(fence_labels_get(b, "app"), "web");
    a = fence_shared_labels_ref(b);
    fence_shared_labels_unref(&a);
    fence_shared_labels_unref(&b);
    fence_shared_labels_unref(&c);
    fence_shared_labels_unref(&d);
    fence_shared_labels_unref(&e);
    fence_shared_string_unref(&web);
}

/* Through several growths of the table, and in and out of it. */
static void test_many(void **context)
{
    static const char *held[MANY];
    char text[32];

    (void)context;
    for (unsigned int i = 0; i < MANY; i++) {
        snprintf(text, sizeof(text), "text-%u", i);
        held[i] = fence_shared_string(text);
    }
    for (unsigned int i = 0; i < MANY; i += 2)
        fence_shared_string_unref(&held[i]);
    for (unsigned int i = 0; i < MANY; i++) {
        const char *again;

        snprintf(text, sizeof(text), "text-%u", i);
        again = fence_shared_string(text);
        assert_string_equal(again, text);
        if (held[i])
            assert_ptr_equal(again, held[i]);
        fence_shared_string_unref(&again);
        fence_shared_string_unref(&held[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_strings_are_one),
        cmocka_unit_test(test_empty_ones),
        cmocka_unit_test(test_equal_sets_are_one),
        cmocka_unit_test(test_many),
    };

    return cmocka_run_group_tests_name("base.shared", tests, NULL, NULL);
}

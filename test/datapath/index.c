/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/datapath/index.h"

#include <string.h>

#include "test/cmocka.h"

struct thing {
    unsigned int key;
    struct fence_index_node node;
};

static void test_index(void **state)
{
    static struct thing things[1000];
    struct fence_index index = {.key_size = sizeof(unsigned int)};
    unsigned int missing = 5000;

    (void)state;
    for (unsigned int i = 0; i < 1000; i++) {
        things[i].key = i * 3;
        assert_int_equal(fence_index_add(&index, &things[i].node, &things[i].key, &things[i]), 0);
    }
    assert_int_equal(fence_index_count(&index), 1000);
    assert_null(fence_index_find(&index, &missing));
    for (unsigned int i = 0; i < 1000; i++)
        assert_ptr_equal(fence_index_find(&index, &things[i].key), &things[i]);

    for (unsigned int i = 0; i < 1000; i += 2)
        fence_index_remove(&index, &things[i].node);
    fence_index_remove(&index, &things[0].node);
    assert_int_equal(fence_index_count(&index), 500);
    assert_false(fence_index_has(&things[0].node));
    assert_true(fence_index_has(&things[1].node));
    assert_null(fence_index_find(&index, &things[0].key));

    for (unsigned int i = 1; i < 1000; i += 2)
        fence_index_remove(&index, &things[i].node);
    assert_int_equal(fence_index_count(&index), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_index)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

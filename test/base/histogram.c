/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/histogram.h"

#include "test/cmocka.h"

static void test_empty(void **state)
{
    const struct fence_histogram histogram = {0};

    (void)state;
    assert_float_equal(fence_histogram_quantile(&histogram, 0.5), -1, 0);
    assert_int_equal(fence_histogram_up_to(&histogram, FENCE_HISTOGRAM_BOUNDS), 0);
}

static void test_bounds_ascend(void **state)
{
    (void)state;
    for (size_t i = 1; i < FENCE_HISTOGRAM_BOUNDS; i++)
        assert_true(fence_histogram_bounds[i - 1] < fence_histogram_bounds[i]);
}

/* A bound belongs to the bucket that it closes. */
static void test_buckets(void **state)
{
    struct fence_histogram histogram = {0};

    (void)state;
    fence_histogram_add(&histogram, 0);
    fence_histogram_add(&histogram, 0.001);
    fence_histogram_add(&histogram, 0.0011);
    fence_histogram_add(&histogram, 10);
    fence_histogram_add(&histogram, 11);
    assert_int_equal(histogram.buckets[0], 2);
    assert_int_equal(histogram.buckets[1], 1);
    assert_int_equal(histogram.buckets[FENCE_HISTOGRAM_BOUNDS - 1], 1);
    assert_int_equal(histogram.buckets[FENCE_HISTOGRAM_BOUNDS], 1);
    assert_int_equal(histogram.count, 5);
    assert_float_equal(histogram.sum, 21.0021, 1e-9);
    assert_int_equal(fence_histogram_up_to(&histogram, 0), 2);
    assert_int_equal(fence_histogram_up_to(&histogram, 1), 3);
    assert_int_equal(fence_histogram_up_to(&histogram, FENCE_HISTOGRAM_BOUNDS - 1), 4);
    assert_int_equal(fence_histogram_up_to(&histogram, FENCE_HISTOGRAM_BOUNDS), 5);
}

static void test_quantiles(void **state)
{
    struct fence_histogram histogram = {0};

    (void)state;
    for (int i = 0; i < 100; i++)
        fence_histogram_add(&histogram, i < 50 ? 0.0008 : 0.03);
    assert_float_equal(fence_histogram_quantile(&histogram, 0.25), 0.0005, 1e-12);
    assert_float_equal(fence_histogram_quantile(&histogram, 0.5), 0.001, 1e-12);
    assert_float_equal(fence_histogram_quantile(&histogram, 0.75), 0.0375, 1e-12);
    assert_float_equal(fence_histogram_quantile(&histogram, 1), 0.05, 1e-12);
    fence_histogram_add(&histogram, 100);
    assert_float_equal(fence_histogram_quantile(&histogram, 1), 10, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_bounds_ascend),
        cmocka_unit_test(test_buckets),
        cmocka_unit_test(test_quantiles),
    };

    return cmocka_run_group_tests_name("base.histogram", tests, NULL, NULL);
}

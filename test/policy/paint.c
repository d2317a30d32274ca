/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/policy/paint.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bpf/abi.h"

/* Decisions are told apart by their rule number; 0 = still open, 99 = passed on. */
static uint32_t at(const struct fence_canvas *canvas, uint32_t position)
{
    const struct fence_stroke *found = NULL;

    for (size_t i = 0; i < canvas->count; i++) {
        if (i)
            assert_true(canvas->strokes[i].low > canvas->strokes[i - 1].low);
        if (canvas->strokes[i].low <= position)
            found = &canvas->strokes[i];
    }
    assert_non_null(found);
    if (!found || found->state == FENCE_STROKE_PASSED)
        return 99;
    return found->state == FENCE_STROKE_DECIDED ? found->decision.rule : 0;
}

static void paint(struct fence_canvas *canvas, uint32_t low, uint32_t end, uint32_t rule)
{
    struct fence_decision decision = {.rule = rule, .verdict = FENCE_ALLOW};

    assert_int_equal(fence_canvas_paint(canvas, low, end, rule == 99 ? NULL : &decision), 0);
}

static void test_first_decides(void **context)
{
    struct fence_canvas canvas = {0};

    (void)context;
    assert_int_equal(fence_canvas_begin(&canvas), 0);
    paint(&canvas, 100, 200, 1);
    paint(&canvas, 150, 300, 2);
    paint(&canvas, 50, 120, 3);
    paint(&canvas, 0, FENCE_POSITION_END, 4);
    paint(&canvas, 0, FENCE_POSITION_END, 5);
    assert_int_equal(at(&canvas, 0), 4);
    assert_int_equal(at(&canvas, 49), 4);
    assert_int_equal(at(&canvas, 50), 3);
    assert_int_equal(at(&canvas, 99), 3);
    assert_int_equal(at(&canvas, 100), 1);
    assert_int_equal(at(&canvas, 199), 1);
    assert_int_equal(at(&canvas, 200), 2);
    assert_int_equal(at(&canvas, 299), 2);
    assert_int_equal(at(&canvas, 300), 4);
    assert_int_equal(at(&canvas, FENCE_POSITION_END - 1), 4);
    fence_canvas_done(&canvas);
}

static void test_edges(void **context)
{
    struct fence_canvas canvas = {0};

    (void)context;
    assert_int_equal(fence_canvas_begin(&canvas), 0);
    paint(&canvas, 0, 1, 1);
    paint(&canvas, FENCE_POSITION_END - 1, FENCE_POSITION_END, 2);
    assert_int_equal(at(&canvas, 0), 1);
    assert_int_equal(at(&canvas, 1), 0);
    assert_int_equal(at(&canvas, FENCE_POSITION_END - 2), 0);
    assert_int_equal(at(&canvas, FENCE_POSITION_END - 1), 2);
    assert_int_equal(canvas.count, 3);
    fence_canvas_done(&canvas);
}

static void test_pass_skips_one_tier(void **context)
{
    struct fence_canvas canvas = {0};
    struct fence_decision rest = {.rule = 7};

    (void)context;
    assert_int_equal(fence_canvas_begin(&canvas), 0);
    paint(&canvas, 10, 20, 99);
    paint(&canvas, 0, 30, 1);
    assert_int_equal(at(&canvas, 9), 1);
    assert_int_equal(at(&canvas, 10), 99);
    assert_int_equal(at(&canvas, 20), 1);
    fence_canvas_reopen(&canvas);
    paint(&canvas, 15, 40, 2);
    assert_int_equal(at(&canvas, 14), 0);
    assert_int_equal(at(&canvas, 15), 2);
    assert_int_equal(at(&canvas, 25), 1);
    fence_canvas_fill(&canvas, &rest);
    assert_int_equal(at(&canvas, 14), 7);
    assert_int_equal(at(&canvas, 40), 7);
    assert_int_equal(at(&canvas, 35), 2);
    fence_canvas_done(&canvas);
}

static void test_begin_clears(void **context)
{
    struct fence_canvas canvas = {0};

    (void)context;
    assert_int_equal(fence_canvas_begin(&canvas), 0);
    paint(&canvas, 10, 20, 1);
    assert_int_equal(fence_canvas_begin(&canvas), 0);
    assert_int_equal(at(&canvas, 15), 0);
    assert_int_equal(canvas.count, 1);
    fence_canvas_done(&canvas);
}

/* Against the plain way: one cell for each position. */
static void test_random(void **context)
{
    enum { CELLS = 512, STROKES = 60 };
    unsigned int seed = 1;

    (void)context;
    for (int round = 0; round < 200; round++) {
        uint32_t cells[CELLS] = {0};
        struct fence_canvas canvas = {0};

        assert_int_equal(fence_canvas_begin(&canvas), 0);
        for (uint32_t rule = 1; rule <= STROKES; rule++) {
            uint32_t low, end;

            seed = seed * 1103515245u + 12345u;
            low = seed / 65536u % (CELLS - 1);
            seed = seed * 1103515245u + 12345u;
            end = low + 1 + seed / 65536u % (rule % 7 ? 8 : CELLS - low - 1);
            end = end > CELLS ? CELLS : end;
            paint(&canvas, low, end, rule);
            for (uint32_t i = low; i < end; i++)
                cells[i] = cells[i] ? cells[i] : rule;
        }
        for (uint32_t i = 0; i < CELLS; i++)
            assert_int_equal(at(&canvas, i), cells[i]);
        fence_canvas_done(&canvas);
    }
}

static void test_too_many(void **context)
{
    struct fence_canvas canvas = {0};
    struct fence_decision decision = {.rule = 1};
    int r = 0;

    (void)context;
    assert_int_equal(fence_canvas_begin(&canvas), 0);
    for (uint32_t i = FENCE_POSITION_END - 2; r == 0 && i > 4; i -= 4)
        r = fence_canvas_paint(&canvas, i, i + 2, &decision);
    assert_int_equal(r, -E2BIG);
    assert_true(canvas.count <= FENCE_TABLE_MAX);
    fence_canvas_done(&canvas);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_decides),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_pass_skips_one_tier),
        cmocka_unit_test(test_begin_clears),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

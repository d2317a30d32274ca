/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The space of positions (FENCE_POSITION) as a line that is painted once: what an earlier rule has
 * decided stays, so rules are simply painted in the order of judgement.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fence_decision {
    uint32_t rule; /* number in the plan, 0 = none */
    uint8_t verdict;
    uint8_t reason;
};

enum fence_stroke_state {
    FENCE_STROKE_OPEN,
    FENCE_STROKE_PASSED, /* a Pass rule: open again when its tier is over */
    FENCE_STROKE_DECIDED,
};

struct fence_stroke {
    uint32_t low; /* up to the next one's */
    enum fence_stroke_state state;
    struct fence_decision decision;
};

/* Zeroed, then begun. */
struct fence_canvas {
    struct fence_stroke *strokes;
    size_t count;
    size_t capacity;
};

/* Everything open. -ENOMEM. */
int fence_canvas_begin(struct fence_canvas *canvas);
void fence_canvas_done(struct fence_canvas *canvas);

/*
 * Decide what is open in [low, end); `decision` NULL passes it on to the next tier. -ENOMEM, -E2BIG
 * when there would be more than FENCE_TABLE_MAX strokes.
 */
int fence_canvas_paint(struct fence_canvas *canvas, uint32_t low, uint32_t end,
                       const struct fence_decision *decision);
/* A tier is over: what was passed is open again. */
void fence_canvas_reopen(struct fence_canvas *canvas);
/* Decide all that is open. */
void fence_canvas_fill(struct fence_canvas *canvas, const struct fence_decision *decision);

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/policy/paint.h"

#include <errno.h>
#include <string.h>

#include "bpf/abi.h"
#include "lib/base/memory.h"

int fence_canvas_begin(struct fence_canvas *canvas)
{
    canvas->count = 0;
    if (FENCE_GROW(canvas->strokes, canvas->capacity, canvas->count) < 0)
        return -ENOMEM;
    canvas->strokes[canvas->count++] = (struct fence_stroke){.state = FENCE_STROKE_OPEN};
    return 0;
}

void fence_canvas_done(struct fence_canvas *canvas)
{
    free(canvas->strokes);
    *canvas = (struct fence_canvas){0};
}

/* Make a stroke begin at `position`; its index. */
static int split(struct fence_canvas *canvas, uint32_t position, size_t *ret_index)
{
    size_t low = 0;
    size_t high = canvas->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (canvas->strokes[middle].low < position)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_index = low;
    if (position == FENCE_POSITION_END ||
        (low < canvas->count && canvas->strokes[low].low == position))
        return 0;
    if (canvas->count >= FENCE_TABLE_MAX)
        return -E2BIG;
    if (FENCE_GROW(canvas->strokes, canvas->capacity, canvas->count) < 0)
        return -ENOMEM;
    memmove(&canvas->strokes[low + 1], &canvas->strokes[low],
            (canvas->count - low) * sizeof(canvas->strokes[0]));
    canvas->strokes[low] = canvas->strokes[low - 1];
    canvas->strokes[low].low = position;
    canvas->count++;
    return 0;
}

int fence_canvas_paint(struct fence_canvas *canvas, uint32_t low, uint32_t end,
                       const struct fence_decision *decision)
{
    size_t first = 0;
    size_t last = 0;
    int r = split(canvas, low, &first);

    if (r == 0)
        r = split(canvas, end, &last);
    if (r < 0)
        return r;
    for (size_t i = first; i < last; i++) {
        struct fence_stroke *stroke = &canvas->strokes[i];

        if (stroke->state != FENCE_STROKE_OPEN)
            continue;
        stroke->state = decision ? FENCE_STROKE_DECIDED : FENCE_STROKE_PASSED;
        if (decision)
            stroke->decision = *decision;
    }
    return 0;
}

void fence_canvas_reopen(struct fence_canvas *canvas)
{
    for (size_t i = 0; i < canvas->count; i++)
        if (canvas->strokes[i].state == FENCE_STROKE_PASSED)
            canvas->strokes[i].state = FENCE_STROKE_OPEN;
}

void fence_canvas_fill(struct fence_canvas *canvas, const struct fence_decision *decision)
{
    for (size_t i = 0; i < canvas->count; i++) {
        struct fence_stroke *stroke = &canvas->strokes[i];

        if (stroke->state != FENCE_STROKE_OPEN)
            continue;
        stroke->state = FENCE_STROKE_DECIDED;
        stroke->decision = *decision;
    }
}

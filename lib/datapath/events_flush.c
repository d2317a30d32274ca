/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/datapath/events.h"
#include "lib/datapath/probe.h"
#include "lib/datapath/read.h"

int fence_events_flush(const struct fence_pins *pins, __u32 ifindex)
{
    unsigned char frame[64] = {0};
    struct fence_prog_context context = {.cb = {ifindex}};
    int r =
        fence_prog_run(pins->progs[FENCE_PROG_FLUSH_EVENTS], &context, frame, sizeof(frame), NULL);

    return r < 0 ? r : (int)context.cb[0];
}

static int both_directions(const struct fence_pins *pins, enum fence_reason reason,
                           __u64 *ret_packets)
{
    __u64 packets = 0;

    for (unsigned int direction = 0; direction < FENCE_DIRECTIONS; direction++) {
        struct fence_counter counter;
        int r = fence_counter_read(pins, reason, direction, &counter);

        if (r < 0)
            return r;
        packets += counter.packets;
    }
    *ret_packets = packets;
    return 0;
}

int fence_events_books(const struct fence_pins *pins, struct fence_events_books *ret_books)
{
    struct fence_events_books books;
    /* what is summed was suppressed before */
    int r = both_directions(pins, FENCE_REASON_EVENT_SUMMED, &books.summed);

    if (r == 0)
        r = both_directions(pins, FENCE_REASON_EVENT_SUPPRESSED, &books.suppressed);
    if (r == 0)
        r = both_directions(pins, FENCE_REASON_EVENT_LOST, &books.lost);
    if (r < 0)
        return r;
    books.untold = books.suppressed - books.summed;
    *ret_books = books;
    return 0;
}

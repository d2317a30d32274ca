/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>

#include "cni/daemon/daemon.h"
#include "cni/daemon/metrics_internal.h"
#include "lib/base/names.h"
#include "lib/datapath/read.h"

static bool is_drop(unsigned int reason)
{
    return reason >= FENCE_REASON_NO_RULE && reason <= FENCE_REASON_NOT_WRITTEN;
}

static bool is_note(unsigned int reason)
{
    return (reason >= FENCE_REASON_MASQUERADED && reason <= FENCE_REASON_EVENT_LOST) ||
           reason == FENCE_REASON_EVENT_SUPPRESSED || reason == FENCE_REASON_EVENT_SUMMED;
}

struct counts {
    struct fence_counter by_reason[FENCE_REASON_COUNT][FENCE_DIRECTIONS];
    struct fence_counter forwarded[FENCE_DIRECTIONS];
};

static void read_counts(const struct fence_daemon *daemon, struct counts *counts)
{
    for (unsigned int reason = 0; reason < FENCE_REASON_COUNT; reason++) {
        for (unsigned int direction = 0; direction < FENCE_DIRECTIONS; direction++) {
            struct fence_counter *counter = &counts->by_reason[reason][direction];

            (void)fence_counter_read(&daemon->pins, reason, direction, counter);
            if (is_drop(reason) || is_note(reason))
                continue;
            counts->forwarded[direction].packets += counter->packets;
            counts->forwarded[direction].bytes += counter->bytes;
        }
    }
}

static void put_drops(FILE *out, const struct counts *counts, const char *name, bool bytes)
{
    for (unsigned int reason = 0; reason < FENCE_REASON_COUNT; reason++)
        for (unsigned int direction = 0; is_drop(reason) && direction < FENCE_DIRECTIONS;
             direction++) {
            const struct fence_counter *counter = &counts->by_reason[reason][direction];

            fprintf(out, "%s{reason=\"%s\",direction=\"%s\"} %llu\n", name,
                    fence_reason_name(reason), fence_direction_name(direction),
                    (unsigned long long)(bytes ? counter->bytes : counter->packets));
        }
}

static void put_forwarded(FILE *out, const struct counts *counts)
{
    metric_begin(out, "podfence_forwarded_total", "counter", "Packets that were let through.");
    for (unsigned int direction = 0; direction < FENCE_DIRECTIONS; direction++)
        metric_sample(out, "podfence_forwarded_total", "direction", fence_direction_name(direction),
                      counts->forwarded[direction].packets);
    metric_begin(out, "podfence_forwarded_bytes_total", "counter", "Bytes that were let through.");
    for (unsigned int direction = 0; direction < FENCE_DIRECTIONS; direction++)
        metric_sample(out, "podfence_forwarded_bytes_total", "direction",
                      fence_direction_name(direction), counts->forwarded[direction].bytes);
}

/* What is worth counting and no verdict. */
static void put_notes(FILE *out, const struct counts *counts)
{
    metric_begin(out, "podfence_datapath_notes_total", "counter",
                 "Packets that something was noted of beside their verdict.");
    for (unsigned int reason = 0; reason < FENCE_REASON_COUNT; reason++)
        if (is_note(reason))
            metric_sample(out, "podfence_datapath_notes_total", "note", fence_reason_name(reason),
                          counts->by_reason[reason][FENCE_EGRESS].packets +
                              counts->by_reason[reason][FENCE_INGRESS].packets);
}

static void put_maps(FILE *out, struct fence_daemon *daemon)
{
    struct fence_metrics_maps *maps = &daemon->http.maps;

    fence_metrics_maps_count(maps, &daemon->pins);
    metric_begin(out, "podfence_map_entries", "gauge", "Entries of a pinned map.");
    for (unsigned int map = 0; map < FENCE_MAP_COUNT; map++)
        if (maps->maps[map].max)
            metric_sample(out, "podfence_map_entries", "map", fence_map_name((enum fence_map)map),
                          maps->maps[map].used);
    metric_begin(out, "podfence_map_capacity", "gauge", "Entries that a pinned map has room for.");
    for (unsigned int map = 0; map < FENCE_MAP_COUNT; map++)
        if (maps->maps[map].max)
            metric_sample(out, "podfence_map_capacity", "map", fence_map_name((enum fence_map)map),
                          maps->maps[map].max);
}

void metrics_datapath(FILE *out, struct fence_daemon *daemon)
{
    struct counts counts = {0};

    read_counts(daemon, &counts);
    metric_begin(out, "podfence_drops_total", "counter", "Packets that were dropped, by reason.");
    put_drops(out, &counts, "podfence_drops_total", false);
    metric_begin(out, "podfence_dropped_bytes_total", "counter",
                 "Bytes that were dropped, by reason.");
    put_drops(out, &counts, "podfence_dropped_bytes_total", true);
    put_forwarded(out, &counts);
    put_notes(out, &counts);
    put_maps(out, daemon);
}

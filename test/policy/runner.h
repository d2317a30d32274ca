/* SPDX-License-Identifier: Apache-2.0 */
/* Files of cases by their form, and the count of what became of them. */
#pragma once

#include "test/objects/cases.h"
#include "test/policy/legs.h"
#include "test/policy/live.h"
#include "test/policy/packets.h"

/* One row for each leg of the reachability files, and one for each other form. */
enum runner_row {
    RUNNER_PACKETS = LEGS,
    RUNNER_VALIDATION,
    RUNNER_UNREADABLE,
    RUNNER_ROWS,
};

struct runner_count {
    size_t files;
    size_t lines; /* for each family; packets; objects */
    size_t failures;
    size_t gaps; /* files that cannot come out as written yet */
};

/* Zeroed = ready; `kernel` is the caller's choice. */
struct runner {
    bool kernel;
    bool backwards; /* the steps are undone: what has no state is not run again */
    struct runner_count counts[RUNNER_ROWS];
    struct live live;
    struct leg_stage previous; /* what the live maps have followed to */
    struct packets packets;
    const char *path; /* of the file at hand */
};

/* Reachability, packets or validation. */
void runner_file(struct runner *runner, const char *path);
void runner_fail(struct runner *runner, size_t row, const char *what, const char *why);
/* The table of counts. True when there were lines and no failure. */
bool runner_report(const struct runner *runner);
void runner_done(struct runner *runner);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bring the pinned maps to what a plan says, in an order that never opens a hole and never drops
 * lawful traffic (theory at the head of apply.c). The maps are the state: fence_apply_new reads the
 * numbers in use back from them.
 */
#pragma once

#include "lib/datapath/pins.h"
#include "lib/policy/plan.h"

struct fence_apply; /* opaque: numbers in use, and free ones */

int fence_apply_new(const struct fence_pins *pins, struct fence_apply **ret_apply,
                    struct fence_err *err);
void fence_apply_free(struct fence_apply **apply);

/* One thing that could not be written, and what was done to stay safe. */
struct fence_apply_failure {
    char *subject; /* "policies map", "endpoint shop/web-1 (vethab)", ... */
    char *text;    /* what happened, remedy; and that it is closed */
};

struct fence_apply_report {
    size_t writes; /* map entries written or deleted */
    size_t changed_endpoints;
    struct fence_apply_failure *failures;
    size_t failure_count;
    size_t failure_capacity;
};
void fence_apply_report_done(struct fence_apply_report *report);

/*
 * Returns 0 when the plan is in force, and tells it so (fence_plan_told); failures (a full map)
 * close the endpoints concerned, are in the report, and are tried again with the next call.
 * Negative only when nothing can be done. The next call may bring another plan or the same one,
 * changed; of that one only what was touched is looked at.
 */
int fence_apply(struct fence_apply *apply, struct fence_plan *plan,
                struct fence_apply_report *ret_report, struct fence_err *err);

/* Numbers of things in the last plan applied, for messages and tests; 0 = none. */
__u32 fence_apply_set_number(const struct fence_apply *apply, const char *content);

/* Free what no endpoint and no connection needs any more (old sets, tables, peers); called from
 * time to time, never needed for correctness. Also drops expired connections. */
int fence_apply_sweep(struct fence_apply *apply, struct fence_err *err);

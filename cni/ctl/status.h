/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of `podfencectl status`. */
#pragma once

#include "cni/ctl/ctl.h"
#include "lib/datapath/pins.h"

/* Adds "fromNodes": [{node,allowed,denied}] to the object. */
int ctl_status_add_nodes(cJSON *object, const struct fence_pins *pins, struct fence_err *err);

/* Questions that the exit status answers: CTL_DONE = yes; else why not, on standard error. */
enum ctl_status_question {
    CTL_STATUS_ALIVE, /* does the daemon answer? */
    CTL_STATUS_READY, /* and is everything in force that the user asked for? */
};
int ctl_status_ask(const struct ctl *ctl, enum ctl_status_question question);

/* `status --wait`, with the texts of its options; NULL = not given. Returns the exit status. */
struct ctl_status_wait {
    const char *policy;
    const char *timeout;
    const char *version;
    const char *file;
};
int ctl_status_wait(struct ctl *ctl, const struct ctl_status_wait *wait);

/* The daemon's list of pods that run here and are no endpoints; nothing where it is empty. */
void ctl_unadopted_print(const cJSON *list);

/* The member "events". */
void ctl_status_print_events(const cJSON *events);

/* The member "kubernetes": a line, and one for each kind that is not watched. Nothing for null. */
void ctl_status_print_kubernetes(FILE *out, const cJSON *kubernetes);
/* Nothing of what is null. */
void ctl_status_print_report(FILE *out, const cJSON *report, const cJSON *slices);

/* The text form. */
void ctl_status_print(const struct ctl *ctl, const cJSON *value);

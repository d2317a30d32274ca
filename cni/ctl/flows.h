/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flows of the daemon's book, asked for or read from files that `podfencectl top -o json` has
 * saved; several files, of several nodes, are taken together.
 */
#pragma once

#include <cjson/cJSON.h>

#include "cni/ctl/options.h"
#include "lib/flows/flow.h"

#define CTL_FLOWS_FILE_MAX (256u << 20)

/* Zeroed = none. */
struct ctl_flows {
    struct fence_flow_parsed *items; /* `seen` of each is the flow */
    size_t count;
    size_t capacity;
    uint64_t since_ns; /* from when there are records; of several the earliest; 0 = unknown */
    uint64_t lost;     /* what may be missing: see lib/api/README.md */
    struct ctl_flows_answer {
        cJSON *json;
    } * answers; /* which the texts belong to */
    size_t answer_count;
    size_t answer_capacity;
};

/* Takes `answer`, whose `flows` are added. An error names the flow and the member. */
int ctl_flows_add(struct ctl_flows *flows, cJSON *answer, struct fence_err *err);
/* The same from a file, "-" for standard input. */
int ctl_flows_add_file(struct ctl_flows *flows, const char *path, struct fence_err *err);
void ctl_flows_done(struct ctl_flows *flows);

/* Where a command takes its flows from, and which. Zeroed = all, from the daemon. */
struct ctl_flows_wanted {
    struct ctl_texts files;     /* --flows */
    const char *since;          /* --since: "10m", "2h", "90s", "3d", or a time in RFC 3339 */
    const char *namespace_name; /* --namespace: one end is in it */
    struct ctl_texts verdicts;  /* --verdict */
};

/* Its options, for a command's table. */
#define CTL_FLOWS_OPTIONS(wanted)                                                                  \
    {.name = "namespace",                                                                          \
     .letter = 'n',                                                                                \
     .argument = "NS",                                                                             \
     .help = "only what has an end in this namespace",                                             \
     .text = &(wanted).namespace_name},                                                            \
        {.name = "since",                                                                          \
         .argument = "TIME",                                                                       \
         .help = "seen since: 90s, 10m, 2h, 3d, or a time (RFC 3339)",                             \
         .text = &(wanted).since},                                                                 \
        {.name = "verdict",                                                                        \
         .argument = "V",                                                                          \
         .values = "forwarded dropped audit",                                                      \
         .help = "forwarded, dropped or audit; may be repeated",                                   \
         .texts = &(wanted).verdicts},                                                             \
    {                                                                                              \
        .name = "flows", .argument = "FILE",                                                       \
        .help = "saved by `top -o json`, instead of the daemon's; may be repeated",                \
        .texts = &(wanted).files                                                                   \
    }

/* --verdict; none: all. -EINVAL. */
int ctl_verdicts_parse(const struct ctl_texts *texts, bool ret_wanted[FENCE_FLOW_VERDICTS],
                       struct fence_err *err);

/*
 * Read them: what does not fit is left out. Where there are files, "10m" counts back from the last
 * flow in them, else from now. -EINVAL is a mistake on the command line; -ENOENT: no daemon runs.
 */
int ctl_flows_read(const struct ctl *ctl, const struct ctl_flows_wanted *wanted,
                   struct ctl_flows *ret_flows, struct fence_err *err);

/* "10m" before `now_ns`, or a time. -EINVAL. */
int ctl_since_parse(const char *text, uint64_t now_ns, uint64_t *ret_since_ns,
                    struct fence_err *err);

/* Leave out what does not fit; `since_ns` as parsed. -EINVAL for an unknown verdict. */
int ctl_flows_filter(struct ctl_flows *flows, const struct ctl_flows_wanted *wanted,
                     uint64_t since_ns, struct fence_err *err);

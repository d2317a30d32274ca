/* SPDX-License-Identifier: Apache-2.0 */
/* learn: what the flows say, as lib/learn takes it in, and how its answers are shown. */
#pragma once

#include "cni/ctl/flows.h"
#include "cni/ctl/trace.h"
#include "lib/learn/propose.h"

/* Zeroed = nothing. */
struct learn_input {
    struct ctl_flows read; /* which the texts belong to */
    struct fence_learn_flow *items;
    struct fence_labels *labels; /* two for each flow */
    struct fence_prefix *addrs;
    struct fence_learn_flows flows;
};

/* Read the flows of `wanted`. As ctl_flows_read. */
int learn_input_read(const struct ctl *ctl, const struct ctl_flows_wanted *wanted,
                     struct learn_input *ret_input, struct fence_err *err);
void learn_input_done(struct learn_input *input);

/* The proposal as YAML documents with remarks, or as a List in JSON. 0 or -ENOMEM. */
int learn_print(struct ctl *ctl, const struct learn_input *input,
                const struct fence_learn_options *options,
                const struct fence_learn_proposal *proposal);

/* A remark behind "# ": whatever is in it, it stays one line of visible ASCII. */
void learn_print_remark(FILE *out, const char *text);

/* learn --check: `files` are policies, `expect_none` its --expect none. The exit status. */
int learn_check(struct ctl *ctl, const struct learn_input *input, const struct ctl_texts *files,
                const struct ctl_texts *objects, bool expect_none);

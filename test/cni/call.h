/* SPDX-License-Identifier: Apache-2.0 */
/* Calls for pod interfaces in a test's own node, and what is expected of them. */
#pragma once

#include "test/cni/run.h"

/* Values of the variables; `extra` is one more "NAME=value", NULL = none. */
struct attachment {
    const char *container_id;
    const char *netns;
    const char *ifname;
    const char *extra;
};

/* Fails the test unless exit status and standard output (a part of it, "" = nothing) are so. */
void expect_call(const char *verb, const struct attachment *attachment, const char *input,
                 int status, const char *out);

struct run_result call_plugin(const char *verb, const struct attachment *attachment,
                              const char *input);

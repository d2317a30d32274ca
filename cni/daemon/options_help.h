/* SPDX-License-Identifier: Apache-2.0 */
/* What is said about the options, made of the table that is parsed. */
#pragma once

#include <stddef.h>

#include "cni/daemon/options.h"

#define DEFAULT_STATE        "/var/lib/podfence"
#define DEFAULT_TRUST_DOMAIN "cluster.local"

/* None of Calico's 0xffff0000, kube-proxy's 0xc000, portmap's 0x2000 and Cilium's 0x0f00. */
#define DEFAULT_MARK_MASK 0x10ff

typedef int (*fence_option_setter)(struct fence_options *options, const char *value,
                                   struct fence_err *err);

/* One row an option: parsing, --help, the manual page and completion come from here. */
struct fence_option_row {
    const char *name;
    const char *argument; /* NULL = takes none; "a|b" are its values; "[=X]" may be missing */
    fence_option_setter set;
    const char *help;
};
#define FENCE_OPTIONS_MAX 96
size_t fence_options_rows(const struct fence_option_row **ret_rows);

/* Do what is asked for instead of running: print on standard output. */
void fence_options_print(enum fence_options_action action);

/* SPDX-License-Identifier: Apache-2.0 */
/* What is said about the options, made of the table that is parsed. */
#pragma once

#include <stddef.h>

#include "cni/daemon/options.h"

typedef int (*fence_option_setter)(struct fence_options *options, const char *value,
                                   struct fence_err *err);

/* One row an option: parsing, --help, the manual page and completion come from here. */
struct fence_option_row {
    const char *name;
    const char *argument; /* NULL = takes none; "a|b" are its values; "[=X]" may be missing */
    fence_option_setter set;
    const char *help;
};
size_t fence_options_rows(const struct fence_option_row **ret_rows);

/* Do what is asked for instead of running: print on standard output. */
void fence_options_print(enum fence_options_action action);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * podfencectl: main.c holds the table of commands, one file is one command. A command makes a
 * cJSON value first; its text form is drawn from that value, so that all formats agree.
 */
#pragma once

#include <stdbool.h>

#include "cni/ctl/output.h"
#include "lib/base/err.h"
#include "lib/datapath/pins.h"

/* Exit status. */
enum ctl_exit {
    CTL_DONE = 0,
    CTL_FAILED = 1,
    CTL_USAGE = 2,
    CTL_OTHERWISE = 3, /* trace --expect, diff --expect */
};

/* What --help prints: text, a part of the manual page, or what bash completion asks. */
enum ctl_help { CTL_HELP_TEXT, CTL_HELP_MAN, CTL_HELP_BASH };

struct ctl {
    const char *program; /* "podfencectl" */
    enum ctl_help help;
    const char *subcommands; /* of the command whose help was printed last; NULL = none */
    const char *bpffs;
    const char *socket;
    struct ctl_output output;
};

/* A command gets its own arguments with its name in argv[0]. */
typedef int (*ctl_function)(struct ctl *ctl, int argc, char **argv);

/* A row of main.c's table; a row without a function begins a group, of which `help` is the name. */
struct ctl_command {
    const char *name;
    ctl_function function;
    const char *help;
};

int ctl_status(struct ctl *ctl, int argc, char **argv);
int ctl_endpoints(struct ctl *ctl, int argc, char **argv);
int ctl_identities(struct ctl *ctl, int argc, char **argv);
int ctl_policies(struct ctl *ctl, int argc, char **argv);
int ctl_connections(struct ctl *ctl, int argc, char **argv);
int ctl_observe(struct ctl *ctl, int argc, char **argv);
int ctl_alarms(struct ctl *ctl, int argc, char **argv);
int ctl_cut(struct ctl *ctl, int argc, char **argv);
int ctl_top(struct ctl *ctl, int argc, char **argv);
int ctl_graph(struct ctl *ctl, int argc, char **argv);
int ctl_trace(struct ctl *ctl, int argc, char **argv);
int ctl_diff(struct ctl *ctl, int argc, char **argv);
int ctl_learn(struct ctl *ctl, int argc, char **argv);
int ctl_validate(struct ctl *ctl, int argc, char **argv);
int ctl_check(struct ctl *ctl, int argc, char **argv);
int ctl_audit(struct ctl *ctl, int argc, char **argv);
int ctl_load(struct ctl *ctl, int argc, char **argv);
int ctl_install_cni(struct ctl *ctl, int argc, char **argv);
int ctl_uninstall(struct ctl *ctl, int argc, char **argv);

/* "podfencectl: TEXT" on standard error, made safe for a terminal. Returns CTL_FAILED. */
__attribute__((format(printf, 2, 3))) int ctl_fail(const struct ctl *ctl, const char *format, ...);

/* The same for a mistake on the command line, with a hint at the help. Returns CTL_USAGE. */
__attribute__((format(printf, 3, 4))) int ctl_misuse(const struct ctl *ctl, const char *verb,
                                                     const char *format, ...);

/* Open the pins; prints what is wrong and the remedy, and returns CTL_FAILED, when that fails. */
int ctl_open_pins(const struct ctl *ctl, struct fence_pins *ret_pins);

/* Print `value` (taken; NULL = out of memory) in the format asked for; `text` is the text form.
 * Returns the exit status. */
int ctl_show(struct ctl *ctl, cJSON *value,
             void (*text)(const struct ctl *ctl, const cJSON *value));

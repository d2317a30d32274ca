/* SPDX-License-Identifier: Apache-2.0 */
/* --help in its three forms, all of them made of the tables that are parsed. */
#pragma once

#include "cni/ctl/ctl.h"

struct ctl_usage;

int ctl_help_parse(const char *text, enum ctl_help *ret_help);

/* Of one command, in the form ctl->help. */
void ctl_help_command(struct ctl *ctl, const struct ctl_usage *usage);

/* Of the program. The other forms ask each command for its part. */
int ctl_help_program(struct ctl *ctl, const struct ctl_command *commands, size_t count);

/* The commands in their groups. */
void ctl_help_list(FILE *out, const struct ctl_command *commands, size_t count);

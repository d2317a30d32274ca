/* SPDX-License-Identifier: Apache-2.0 */
/* Options of the alarms: setters for the table in options.c. */
#pragma once

#include "cni/daemon/options.h"

int fence_option_alarms(struct fence_options *options, const char *value, struct fence_err *err);
int fence_option_alarms_config(struct fence_options *options, const char *value,
                               struct fence_err *err);

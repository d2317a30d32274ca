/* SPDX-License-Identifier: Apache-2.0 */
/* How alarms look: for alarms, status and observe. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include <cjson/cJSON.h>

/* Two or three lines: what and who, the evidence, what was done. Everything in it is hostile. */
void ctl_alarm_print(FILE *out, bool color, const cJSON *alarm);

/* SPDX-License-Identifier: Apache-2.0 */
/* The text form of `podfencectl status`. */
#pragma once

#include "cni/ctl/ctl.h"

void ctl_status_print(const struct ctl *ctl, const cJSON *value);

/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of `podfencectl status`. */
#pragma once

#include "cni/ctl/ctl.h"
#include "lib/datapath/pins.h"

/* Adds "fromNodes": [{node,allowed,denied}] to the object. */
int ctl_status_add_nodes(cJSON *object, const struct fence_pins *pins, struct fence_err *err);

/* The text form. */
void ctl_status_print(const struct ctl *ctl, const cJSON *value);

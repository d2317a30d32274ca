/* SPDX-License-Identifier: Apache-2.0 */
/* After an upgrade of the programs. Inside lib/datapath. */
#pragma once

#include "lib/datapath/pins.h"

/* Whatever is attached runs the pinned programs from here on. Devices that have gone are passed
 * over; goes on after an error and returns the first. */
int fence_attach_refresh(const struct fence_pins *pins, struct fence_err *err);

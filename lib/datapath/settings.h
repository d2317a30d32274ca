/* SPDX-License-Identifier: Apache-2.0 */
/* Writing the settings map: the daemon only. Reading is in read.h. */
#pragma once

#include "lib/datapath/pins.h"

/* Writes only when something differs. Returns 1 when it was written, else 0. */
int fence_settings_write(const struct fence_pins *pins, const struct fence_settings *settings,
                         struct fence_err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/* Writing the settings and about maps: the daemon only. Reading is in read.h. */
#pragma once

#include "lib/datapath/pins.h"

/* What is missing where the programs go without the kernel's structs (FENCE_SETTING_PLAIN). */
#define FENCE_PLAIN_COST                                                                           \
    "ports that a left-over checksum rewrites are not noticed, services whose backends policy "    \
    "tells apart are refused, and what comes from outside the node masqueraded is judged as "      \
    "world-masqueraded"
/* Added to it where there is no mark either. */
#define FENCE_MARK_OFF_COST ", and so is what pods of the node send masqueraded (--mark-mask off)"

/* Writes only when something differs. Returns 1 when it was written, else 0. */
int fence_settings_write(const struct fence_pins *pins, const struct fence_settings *settings,
                         struct fence_err *err);

/* That this program has loaded the layout, and whether it is in force. */
int fence_about_write(const struct fence_pins *pins, bool whole, struct fence_err *err);

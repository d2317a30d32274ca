/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of a layout that has them in other places of the table than ours. */
#pragma once

#include "lib/base/err.h"
#include "lib/datapath/pins.h"

/*
 * Put what the older layout knows and ours does not yet into our table; to be called before the
 * hooks get our programs, and once more afterwards. What was opened in these milliseconds under the
 * older programs is unknown in between: TCP passes by the rule of what it answers, a datagram that
 * answers is dropped. Left out is what the pod has sent under an address that is not its own.
 * `old` has the maps of its connections; `pins` are ours, with settings and endpoints.
 */
int fence_takeover_connections(const struct fence_pins *old, const struct fence_pins *pins,
                               struct fence_err *err);

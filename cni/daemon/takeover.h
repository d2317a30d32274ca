/* SPDX-License-Identifier: Apache-2.0 */
/* Taking over from an older pinned layout: when (lib/datapath/takeover.h says how). */
#pragma once

struct fence_daemon;

/* After an apply: once policy is in our maps, the filters of the older layout are switched to ours.
 * What cannot be done yet is tried again soon. */
void fence_takeover_try(struct fence_daemon *daemon);

/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints that were removed by halves: whoever did it was killed, and nobody calls for them
 * again. */
#pragma once

struct fence_daemon;

/* Remove what is left of those whose interface has gone. */
void fence_leftover_remove(struct fence_daemon *daemon);

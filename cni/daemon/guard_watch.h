/* SPDX-License-Identifier: Apache-2.0 */
/* What the guard is woken by. */
#pragma once

#include <stdbool.h>

#include "lib/base/err.h"

struct fence_daemon;
struct fence_guard;

/* Opens the watch; calls fence_guard_soon when something that matters has changed. */
int fence_guard_watch(struct fence_daemon *daemon, struct fence_err *err);

/* Watch what is at the paths now; false when one of them is not there. */
bool fence_guard_rewatch(struct fence_guard *guard);

/* A look is due, at once or, after many of them, in a while (guard.c). */
void fence_guard_soon(struct fence_guard *guard);

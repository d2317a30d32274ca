/* SPDX-License-Identifier: Apache-2.0 */
/* The flow book's file in --state. */
#pragma once

struct fence_daemon;

/* What was kept, or a new book. */
void fence_flowbook_read(struct fence_daemon *daemon);
/* 0 or -errno; logs nothing. */
int fence_flowbook_write(const struct fence_daemon *daemon);
/* In a child: nothing of the daemon's stays open meanwhile. Exits with 0 when it was written. */
_Noreturn void fence_flowbook_write_and_exit(const struct fence_daemon *daemon);

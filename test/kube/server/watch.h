/* SPDX-License-Identifier: Apache-2.0 */
/* Watches: what a client is told, line by line. */
#pragma once

#include "test/kube/server/server.h"

enum watch_ending {
    WATCH_GOES_ON,
    WATCH_ENDS,     /* the last chunk */
    WATCH_CUT,      /* the connection is closed between two lines */
    WATCH_CUT_LINE, /* and in the middle of one */
};

enum MHD_Result watch_answer(struct exchange *exchange);
/* Something has happened to this kind: wake those that wait. Under the lock. */
void watches_wake(struct resource *resource);
/* Open ones of this kind, NULL = all. Under the lock. */
size_t watches_end(struct server *server, const struct resource *resource,
                   enum watch_ending ending);
size_t watches_count(const struct server *server);

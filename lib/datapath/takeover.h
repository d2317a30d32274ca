/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an older pinned layout to this program's own, while pods talk (theory at the head of
 * takeover.c). For the daemon, in this order:
 *
 *   fence_load            finds the older layout, makes ours beside it and copies the endpoints
 *   fence_apply, ...      fills ours with policy; the older one enforces meanwhile
 *   fence_takeover_end    again and again until it returns 0: ours is in force, the older one gone
 */
#pragma once

#include "lib/datapath/layout.h"
#include "lib/datapath/pins.h"

struct fence_layout_reader;

struct fence_takeover {
    struct fence_layout from; /* number 0: there is nothing to take over */
    const struct fence_layout_reader *reader;
    struct fence_pins old; /* the maps of it that are read or carried over */
    char bpffs[256];
};

void fence_takeover_init(struct fence_takeover *takeover);
void fence_takeover_close(struct fence_takeover *takeover);

/*
 * What is pinned besides our own layout, `own`. 0 with from.number 0: nothing that any pod depends
 * on; 0 with from.number set: an older layout that this program can take over from. -ESTALE:
 * another one is in force and must stay so; the text says which and what to do.
 */
int fence_takeover_find(const char *bpffs, const struct fence_layout *own,
                        struct fence_takeover *ret_takeover, struct fence_err *err);

/* The older layout's map, to be ours too; -1: ours begins empty. The takeover's to close. */
int fence_takeover_carried(const struct fence_takeover *takeover, enum fence_map map);
/* Entries that the older layout's map was made with; 0: not known. */
__u32 fence_takeover_size(const struct fence_takeover *takeover, enum fence_map map);
/* What the older layout's settings say, as ours. */
int fence_takeover_settings(const struct fence_takeover *takeover,
                            struct fence_settings *ret_settings);

/* Make our endpoints those of the older layout. Returns 1 when something had to be written; such
 * endpoints deny everything until they get their policy set. Takes the older layout's lock. */
int fence_takeover_copy(const struct fence_takeover *takeover, const struct fence_pins *pins,
                        struct fence_err *err);

/*
 * To be called when our maps say what is to be in force. Returns 1 when the plugin is adding a pod
 * to the older layout just now, or has added one since: apply, wait a moment and call it again. 0:
 * done, from.number is 0. What failed half way is gone on with by the next call.
 */
int fence_takeover_end(struct fence_takeover *takeover, const struct fence_pins *pins,
                       struct fence_err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Canonical text: strings carry their length in front ("3:app"), lists their count, so that no two
 * different things ever have the same text, whatever names the cluster's users choose.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/objects/model.h"

/* A growing string that is always terminated once written to. Zeroed = empty. After a failed
 * allocation `failed` stays set and nothing more is added. */
struct fence_text {
    char *data;
    size_t size;
    size_t capacity;
    bool failed;
};

void fence_text_done(struct fence_text *text);
void fence_text_clear(struct fence_text *text);
/* Hand the string over and start empty; NULL when memory ended. */
char *fence_text_take(struct fence_text *text);
/* Give back the room to grow, for those that there are thousands of. */
void fence_text_fit(struct fence_text *text);

void fence_text_raw(struct fence_text *text, const char *data, size_t size);
__attribute__((format(printf, 2, 3))) void fence_text_add(struct fence_text *text,
                                                          const char *format, ...);
/* "length:string" */
void fence_text_string(struct fence_text *text, const char *string);
void fence_text_labels(struct fence_text *text, const struct fence_labels *labels);
void fence_text_prefix(struct fence_text *text, const struct fence_prefix *prefix);
void fence_text_ports(struct fence_text *text, const struct fence_container_port *ports,
                      size_t count);
void fence_text_peer(struct fence_text *text, const struct fence_peer_spec *peer);
/* Everything of a policy that decides a verdict for those whom it selects. */
void fence_text_policy(struct fence_text *text, const struct fence_object *object);

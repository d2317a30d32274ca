/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events for policies that are refused: which are told already, and how one looks
 * (events.k8s.io/v1). An event has a name that its policy and its text alone decide, so that
 * another writer does not tell it again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

struct fence_event_book; /* opaque */

/* NULL without memory. */
struct fence_event_book *fence_event_book_new(void);
void fence_event_book_free(struct fence_event_book **book);

/* What is refused now, between two calls; what is not named is forgotten, and told again if it
 * comes back. -ENOMEM. */
void fence_event_book_begin(struct fence_event_book *book);
int fence_event_book_refused(struct fence_event_book *book, const char *id, const char *text);
void fence_event_book_end(struct fence_event_book *book);

struct fence_event_refusal {
    char id[640];
    char text[1024];
};
/*
 * The next that is to be told; at most FENCE_EVENT_BURST at once, and one in a second in the long
 * run. It counts as told.
 */
#define FENCE_EVENT_BURST 10u
bool fence_event_book_next(struct fence_event_book *book, uint64_t now_ns,
                           struct fence_event_refusal *ret_refusal);
/* It could not be told: again, not before `again_ns`. */
void fence_event_book_failed(struct fence_event_book *book, const char *id, uint64_t again_ns);

/* Where the object of a refusal is: a path without a query. False: it is no policy of the API. */
bool fence_event_object_path(const char *id, char *path, size_t size);

struct fence_event_texts {
    char path[512]; /* where it is posted */
    char *body;     /* the caller's */
};
/* `object` as the API has it; `instance`: who tells it. -ENOMEM, -EINVAL: it is no
 * such object. */
int fence_event_format(const struct fence_event_refusal *refusal, const cJSON *object,
                       const char *instance, uint64_t now_ns, struct fence_event_texts *ret_texts);

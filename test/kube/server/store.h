/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects of one kind, and what happened to them. A version is one state of one object and never
 * changes: whoever holds a reference may read it without the server's lock. Everything else is
 * under that lock.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

struct version {
    atomic_uint references;
    uint64_t number; /* resourceVersion */
    char *key;       /* "NAMESPACE/NAME", or "NAME" for what has no namespace */
    const char *name;
    char *name_space; /* "" = none */
    char *node;       /* spec.nodeName, "" = none */
    char *json;       /* without kind and apiVersion */
    size_t size;
    cJSON *labels; /* NULL = none */
};

/* One change: `before` NULL = created. Of a deleted object `after` is its last state, with the
 * number of the deletion. */
struct change {
    uint64_t number;
    bool deleted;
    struct version *before;
    struct version *after;
};

/* In order of their keys. */
struct objects {
    struct version **items;
    size_t count;
    size_t capacity;
};

/* Changes in order. `first` have been forgotten; nobody can watch from before `forgotten`. */
struct history {
    struct change *changes;
    size_t count;
    size_t capacity;
    uint64_t first;
    uint64_t forgotten;
};

/* Of a whole object, of which kind, apiVersion and the old resourceVersion are taken out. NULL
 * without memory, or when it has no name. */
struct version *version_new(cJSON *object, uint64_t number);
struct version *version_ref(struct version *version);
void version_unref(struct version *version);
/* A fresh tree to change. */
cJSON *version_tree(const struct version *version);

/* Takes the reference; what was there is put into *ret_before, the caller's (NULL = none). */
int objects_put(struct objects *objects, struct version *version, struct version **ret_before);
/* The reference is the caller's. NULL when there is none. */
struct version *objects_take(struct objects *objects, const char *key);
/* No new reference. */
struct version *objects_get(const struct objects *objects, const char *key);
/* Index of the first whose key is not below. */
size_t objects_at(const struct objects *objects, const char *key);
void objects_done(struct objects *objects);

/* Takes both references. */
int history_add(struct history *history, const struct change *change);
/* Changes up to and with `number`. */
void history_forget(struct history *history, uint64_t number);
/* The objects as they were right after change `number`; references are the caller's. -ENOMEM. */
int history_objects(const struct history *history, const struct objects *now, uint64_t number,
                    struct objects *ret_objects);

/* "NAMESPACE/NAME", the caller's to free. */
char *object_key(const char *name_space, const char *name);
/* Text of a member, "" when there is none. */
const char *json_text(const cJSON *object, const char *member);
/* A member that is an object, made when it is missing. NULL without memory. */
cJSON *json_object(cJSON *object, const char *member);
/* Set, in its place when it is there. -ENOMEM. */
int json_set(cJSON *object, const char *member, cJSON *value);

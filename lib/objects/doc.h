/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A parsed YAML or JSON document as a tree of nodes that know their line. JSON is read by the same
 * parser (it is a subset of YAML in all that Kubernetes objects use).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"

enum fence_doc_type {
    FENCE_DOC_NULL,
    FENCE_DOC_BOOL, /* as sigs.k8s.io/yaml reads it: yes, no, on, off, y and n too */
    FENCE_DOC_NUMBER,
    FENCE_DOC_STRING,
    FENCE_DOC_LIST,
    FENCE_DOC_MAP,
    FENCE_DOC_TYPES,
};

struct fence_doc {
    enum fence_doc_type type;
    unsigned int line;        /* from 1; 0 = not known */
    char *key;                /* in its map, else NULL */
    char *text;               /* of a scalar as written (quotes and escapes resolved) */
    struct fence_doc **items; /* of a list or map, in order */
    size_t count;
    size_t capacity;
};

/* What hostile input may cost. A file beyond one of them is refused as a whole. */
#define FENCE_DOC_MAX_BYTES (64u << 20)
#define FENCE_DOC_MAX_DEPTH 64u
#define FENCE_DOC_MAX_NODES 8000000u

/* All documents of one stream. */
struct fence_docs {
    struct fence_doc **items;
    size_t count;
    size_t capacity;
};

/*
 * Parse all documents. Anchors, aliases and merge keys, tags, duplicate keys, NUL in text and
 * invalid UTF-8 are errors ("line N: ..."). Empty documents are left out. -EINVAL, -EFBIG (a limit)
 * or -ENOMEM.
 */
int fence_docs_parse(const char *data, size_t size, struct fence_docs *ret_docs,
                     struct fence_err *err);
void fence_docs_done(struct fence_docs *docs);

/* `size` bytes and a NUL behind. */
struct fence_json {
    const char *text;
    size_t size;
};

/*
 * One JSON object as the API server writes it: many times as fast, without lines,
 * and with no more than is on the paths in `read` (at most 32, as in fence_doc_to_json_kept;
 * "a.*": members of `a` that are on no other path have their type and no content). What is not
 * read is stepped over unchecked. A NUL in a text comes out as U+FFFD. -EINVAL ("not valid JSON:
 * ..."), -EFBIG (too deep, too many values) or -ENOMEM.
 */
int fence_doc_parse_json(const struct fence_json *json, const char *const *read,
                         struct fence_doc **ret_doc, struct fence_err *err);
void fence_doc_free(struct fence_doc **doc);

/* Member of a map; NULL when absent, or when `doc` is NULL or no map. */
const struct fence_doc *fence_doc_get(const struct fence_doc *doc, const char *key);

/*
 * Give a map the text member `key` unless it has one (null counts as none). -ENOMEM; -EINVAL when
 * `map` is no map.
 */
int fence_doc_set_default(struct fence_doc *map, const char *key, const char *text);

/* "a list", "an object", ... for messages. */
const char *fence_doc_type_name(enum fence_doc_type type);
/* Type of a plain (unquoted) scalar. */
enum fence_doc_type fence_doc_plain_type(const char *text);
/* Value of a node of type FENCE_DOC_BOOL. */
bool fence_doc_is_true(const struct fence_doc *doc);

/* The tree as compact JSON, strings escaped, numbers as written. New string or NULL. */
char *fence_doc_to_json(const struct fence_doc *doc);

/*
 * The same with sorted keys, and only the members on the paths in `kept` (ended by NULL; "spec",
 * "spec.containers.ports"; lists add nothing to a path): equal text means equal content.
 */
char *fence_doc_to_json_kept(const struct fence_doc *doc, const char *const *kept);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the members of a document by name, with messages that say where: line, path from the
 * object's root, reason. For the decoders of this folder.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"
#include "lib/base/labels.h"
#include "lib/objects/doc.h"

/* One or several warnings, "; " between. Zeroed = none. */
struct fence_warnings {
    char *text;
    unsigned int count;
    unsigned int unknown; /* unknown fields so far */
    /* Unknown fields are an error: a rule with `form:` for `from:` would match everyone. Set for
     * our own kinds only, since the API server drops such fields of the others. */
    bool strict;
    char *refused; /* the first unknown field while strict, NULL = none */
};

/*
 * A place in an object. Lives on the stack of its reader and points to the place it was taken
 * from, so it must not outlive that one.
 */
struct fence_field {
    const struct fence_field *up;
    const struct fence_doc *doc; /* NULL when absent */
    const char *key;             /* NULL for an element of a list and for the root */
    size_t index;                /* of an element */
    /* The built-in kinds take null for absent; custom resources refuse it, and so do we. */
    bool null_is_value;
    struct fence_warnings *warnings;
};

struct fence_field fence_field_get(const struct fence_field *map, const char *key);
struct fence_field fence_field_item(const struct fence_field *list, size_t index);
/* Elements of a list or members of a map, 0 when absent. */
size_t fence_field_count(const struct fence_field *field);

/* "line 12: spec.ingress[0].ports[1].port: <text>" into `err`; returns -EINVAL. */
__attribute__((format(printf, 3, 4))) int
fence_field_refuse(const struct fence_field *field, struct fence_err *err, const char *format, ...);
/* Put the place in front of a text that `err` has; returns `code`. */
int fence_field_prefix(const struct fence_field *field, int code, struct fence_err *err);
__attribute__((format(printf, 2, 3))) void fence_field_warn(const struct fence_field *field,
                                                            const char *format, ...);
/* Warn of each member that is not in `known` (ended by NULL), or while strict, refuse: the caller
 * who set `strict` looks at `refused` in the end. */
void fence_field_warn_unknown(const struct fence_field *map, const char *const *known);
bool fence_field_is_one_of(const char *name, const char *const *names);

/* Refuse unless it is there and of this type. */
int fence_field_expect(const struct fence_field *field, enum fence_doc_type type,
                       struct fence_err *err);
/* The same, but absent is fine too. */
int fence_field_allow(const struct fence_field *field, enum fence_doc_type type,
                      struct fence_err *err);

/* Borrowed text; *ret_text is untouched when the field is absent, which is no error. */
int fence_field_string(const struct fence_field *field, const char **ret_text,
                       struct fence_err *err);
int fence_field_bool(const struct fence_field *field, bool *ret_value, struct fence_err *err);

struct fence_range {
    long low;
    long high;
    const char *what; /* "a port" */
};
/* A whole number that must be there. */
int fence_field_number(const struct fence_field *field, const struct fence_range *range,
                       long *ret_value, struct fence_err *err);
/* Index of the text in `choices` (ended by NULL); the field must be there. */
int fence_field_choice(const struct fence_field *field, const char *const *choices,
                       unsigned int *ret_choice, struct fence_err *err);

/* A map of labels, all checked; `labels` is added to. */
int fence_field_shared_labels(const struct fence_field *field,
                              const struct fence_labels **ret_labels, struct fence_err *err);
int fence_field_labels(const struct fence_field *field, struct fence_labels *labels,
                       struct fence_err *err);

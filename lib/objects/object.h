/* SPDX-License-Identifier: Apache-2.0 */
/* One object of a kind that is read: which kinds there are, their metadata, their decoders. */
#pragma once

#include "lib/objects/field.h"
#include "lib/objects/model.h"

struct fence_object_kind; /* opaque, static */

/* `api_version` NULL: whatever it is. `name` has `length` characters. NULL when it is not read. */
const struct fence_object_kind *fence_object_kind_find(const char *api_version, const char *name,
                                                       size_t length);
const struct fence_object_kind *fence_object_kind_get(enum fence_kind kind);
enum fence_kind fence_object_kind_number(const struct fence_object_kind *kind);
const char *fence_object_kind_version(const struct fence_object_kind *kind);
/* The paths that the decoder looks at, for fence_doc_parse_json. */
const char *const *fence_object_kind_read(const struct fence_object_kind *kind);
/* A custom resource, where null is a value like others. */
bool fence_object_kind_is_custom(const struct fence_object_kind *kind);
/* Say that this apiVersion and kind are not read, and what is. Returns -EINVAL. */
int fence_object_kind_refuse(const struct fence_field *field, const char *api_version,
                             const char *name, struct fence_err *err);

/* metadata.name, which must be there; metadata.namespace, which may be absent or "". -EINVAL. */
int fence_object_check_name(const struct fence_field *field, enum fence_kind kind,
                            struct fence_err *err);
int fence_object_check_namespace(const struct fence_field *field, enum fence_kind kind,
                                 struct fence_err *err);
/* -EINVAL with the reason, or -ENOMEM. */
int fence_object_decode(const struct fence_field *root, const struct fence_object_kind *kind,
                        struct fence_object **ret_object, struct fence_err *err);
/* What struct fence_decoded has as `json`. New string or NULL. */
char *fence_object_canonical(const struct fence_doc *doc, const struct fence_object_kind *kind);

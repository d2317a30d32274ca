/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of objects. All under the server's lock. */
#pragma once

#include "test/kube/server/server.h"

/* `object` becomes the state of its key, with the next resourceVersion; watches are woken. The new
 * version is the store's. -EINVAL: no name. -ENOMEM. */
int commit_object(struct server *server, struct resource *resource, cJSON *object,
                  struct version **ret_version);
/* What was there goes. *ret_version is its last state, the caller's reference. -ENOENT. */
int commit_deletion(struct server *server, struct resource *resource, const char *key,
                    struct version **ret_version);

/* What a new object gets: uid, creationTimestamp, generation and what its kind has by itself.
 * -ENOMEM. */
int complete_object(const struct resource *resource, cJSON *object);

/* The objects of a list or a document (JSON, YAML), just as they are. `loud`: as changes that
 * watches see; else as if they had been there for ever, with their own resourceVersion. */
int load_objects(struct server *server, const char *text, size_t size, bool loud,
                 struct fence_err *err);
int load_file(struct server *server, const char *path, struct fence_err *err);
/* One JSON value, or YAML document. NULL with a message. */
cJSON *parse_object(const char *text, size_t size, struct fence_err *err);

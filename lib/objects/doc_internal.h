/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the readers of documents: doc.c (YAML, and JSON of people), doc_json.c (of the API).
 */
#pragma once

#include "lib/objects/doc.h"

/* Put `child` at the end: takes it, also when it fails. -ENOMEM. */
int fence_doc_append(struct fence_doc *parent, struct fence_doc *child);
/* -EINVAL when the map has a key twice; -ENOMEM. */
int fence_doc_check_keys(const struct fence_doc *map, struct fence_err *err);

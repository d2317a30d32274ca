/* SPDX-License-Identifier: Apache-2.0 */
/* Private to decode.c (files) and decode_json.c (objects of the API): what both read in one way. */
#pragma once

#include "lib/objects/decode.h"
#include "lib/objects/object.h"

/* Documents on their way into a list. Zeroed = begun. */
struct fence_reader {
    struct fence_decoded_list list;
    char *lines; /* canonical texts */
    size_t lines_size;
    size_t lines_capacity;
    bool inside_config_map;
};

/* One object, taken or refused. -ENOMEM. */
int fence_reader_object(struct fence_reader *reader, struct fence_doc *doc,
                        const struct fence_object_kind *kind, struct fence_err *err);
/* All that the values of a ConfigMap hold. -ENOMEM. */
int fence_reader_config_map(struct fence_reader *reader, struct fence_doc *doc,
                            struct fence_err *err);
/* Ends it: *ret_list takes what was read, unless `r` says that reading failed. Returns it. */
int fence_reader_end(struct fence_reader *reader, int r, struct fence_decoded_list *ret_list,
                     struct fence_err *err);

/* Items of a list of one kind need not repeat what they are. `name` NULL: it is not known. */
int fence_reader_name(struct fence_doc *item, const char *api_version, const char *name);
/* Make sure that it is what it should be, and has a name to know it by. -EINVAL, -ENOMEM. */
int fence_reader_check(struct fence_doc *doc, const char *api_version, const char *name,
                       struct fence_err *err);
/* What that takes, for fence_doc_parse_json. */
extern const char *const fence_reader_name_paths[];
/* As fence_object_id would have it, as far as that can be read. `kind` NULL: unknown. A new string;
 * below 0 for want of memory. */
int fence_reader_id(struct fence_doc *doc, const struct fence_object_kind *kind, char **ret_id);

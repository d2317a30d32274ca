/* SPDX-License-Identifier: Apache-2.0 */
/* Standard input as JSON, and the original text of its parts (cJSON keeps numbers as double). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <cjson/cJSON.h>

/* A part of a text that somebody else owns; not terminated. */
struct fence_slice {
    const char *text;
    size_t size;
};

/*
 * Parse all of `text`, which has to be one object followed by a NUL. NULL when it is not:
 * malformed, nested deeper than cJSON allows (1000), or with a NUL byte inside.
 */
cJSON *fence_json_object(const char *text, size_t size);

/* The member of exactly this name; NULL too where the value is null. */
const cJSON *fence_json_get(const cJSON *object, const char *key);
/* How often the key is there. */
size_t fence_json_count(const cJSON *object, const char *key);

/*
 * The value of `object`'s first member `key` as it stands in `whole`, the text that `object` was
 * parsed from. False when there is none.
 */
bool fence_json_slice(const cJSON *object, struct fence_slice whole, const char *key,
                      struct fence_slice *ret_slice);

/* The same for an item of a list, whose own text `list` is. */
bool fence_json_item(struct fence_slice list, size_t index, struct fence_slice *ret_item);

/* The text holds an escaped NUL, at which C would cut the string. */
bool fence_json_has_nul(struct fence_slice slice);

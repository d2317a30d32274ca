/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cni/json.h"

#include <string.h>

cJSON *fence_json_object(const char *text, size_t size)
{
    cJSON *json;

    if (memchr(text, '\0', size))
        return NULL;
    json = cJSON_ParseWithLengthOpts(text, size + 1, NULL, true);
    if (cJSON_IsObject(json))
        return json;
    cJSON_Delete(json);
    return NULL;
}

const cJSON *fence_json_get(const cJSON *object, const char *key)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, key);

    return cJSON_IsNull(member) ? NULL : member;
}

size_t fence_json_count(const cJSON *object, const char *key)
{
    const cJSON *member;
    size_t count = 0;

    cJSON_ArrayForEach(member, object) if (strcmp(member->string, key) == 0) count++;
    return count;
}

/* ---- original text -------------------------------------------------------------------------
 * The text has been accepted by cJSON, so only strings and nesting matter here; the bounds are
 * checked all the same. Members are counted, not compared, since a key may be written with escapes.
 */

static bool is_space(char c)
{
    return (unsigned char)c <= ' ';
}

/* Position behind the string that begins at `at`. */
static size_t skip_string(struct fence_slice slice, size_t at)
{
    for (at++; at < slice.size && slice.text[at] != '"'; at++)
        if (slice.text[at] == '\\')
            at++;
    return at + 1;
}

/* Position of the ',', ':' or closing bracket that ends what begins at `at`. */
static size_t skip_value(struct fence_slice slice, size_t at)
{
    size_t depth = 0;

    while (at < slice.size) {
        char c = slice.text[at];

        if (c == '"') {
            at = skip_string(slice, at);
            continue;
        }
        if (depth == 0 && strchr(",:}]", c))
            break;
        if (c == '{' || c == '[')
            depth++;
        else if (c == '}' || c == ']')
            depth--;
        at++;
    }
    return at < slice.size ? at : slice.size;
}

static struct fence_slice trim(struct fence_slice slice)
{
    while (slice.size && is_space(slice.text[0])) {
        slice.text++;
        slice.size--;
    }
    while (slice.size && is_space(slice.text[slice.size - 1]))
        slice.size--;
    return slice;
}

static bool nth_value(struct fence_slice whole, size_t index, struct fence_slice *ret_slice)
{
    const char *open = memchr(whole.text, '{', whole.size);
    size_t at = open ? (size_t)(open - whole.text) + 1 : whole.size;

    for (size_t member = 0; at < whole.size; member++) {
        size_t colon = skip_value(whole, at);
        size_t begin = colon + 1;
        size_t end = begin < whole.size ? skip_value(whole, begin) : whole.size;

        if (begin > end)
            return false;
        if (member == index) {
            *ret_slice = trim((struct fence_slice){whole.text + begin, end - begin});
            return ret_slice->size > 0;
        }
        at = end + 1;
    }
    return false;
}

bool fence_json_slice(const cJSON *object, struct fence_slice whole, const char *key,
                      struct fence_slice *ret_slice)
{
    size_t index = 0;

    for (const cJSON *member = object->child; member; member = member->next, index++)
        if (strcmp(member->string, key) == 0)
            return nth_value(whole, index, ret_slice);
    return false;
}

bool fence_json_item(struct fence_slice list, size_t index, struct fence_slice *ret_item)
{
    const char *open = memchr(list.text, '[', list.size);
    size_t at = open ? (size_t)(open - list.text) + 1 : list.size;

    for (size_t item = 0; at < list.size; item++) {
        size_t end = skip_value(list, at);

        if (item == index) {
            *ret_item = trim((struct fence_slice){list.text + at, end - at});
            return ret_item->size > 0;
        }
        at = end + 1;
    }
    return false;
}

bool fence_json_has_nul(struct fence_slice slice)
{
    static const char escaped[] = "\\u0000";
    const size_t length = sizeof(escaped) - 1;

    for (size_t at = 0; at < slice.size; at++) {
        if (slice.text[at] != '\\')
            continue;
        if (slice.size - at >= length && memcmp(slice.text + at, escaped, length) == 0)
            return true;
        at++; /* what follows a backslash is no backslash of its own */
    }
    return false;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool fence_kube_is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static int bad(struct fence_err *err, const char *text)
{
    return fence_err_set(err, -EBADMSG, "%s", text);
}

static int in_string(struct fence_kube_scan *scan, char byte)
{
    if (scan->escaped)
        scan->escaped = false;
    else if (byte == '\\')
        scan->escaped = true;
    else if (byte == '"')
        scan->string = false;
    return scan->string || scan->depth ? FENCE_KUBE_SCAN_INSIDE : FENCE_KUBE_SCAN_LAST;
}

static int opened(struct fence_kube_scan *scan, char byte, struct fence_err *err)
{
    uint64_t bit;

    if (scan->depth == FENCE_KUBE_DEPTH_MAX)
        return fence_err_set(err, -EBADMSG, "more than %u levels of JSON", FENCE_KUBE_DEPTH_MAX);
    bit = 1ull << scan->depth++;
    scan->objects = byte == '{' ? scan->objects | bit : scan->objects & ~bit;
    return FENCE_KUBE_SCAN_INSIDE;
}

static int closed(struct fence_kube_scan *scan, char byte, struct fence_err *err)
{
    bool is_object;

    if (scan->depth == 0)
        return bad(err, "a bracket closes what was not opened");
    is_object = scan->objects >> --scan->depth & 1;
    if (is_object != (byte == '}'))
        return bad(err, "a bracket closes one of the other kind");
    return scan->depth ? FENCE_KUBE_SCAN_INSIDE : FENCE_KUBE_SCAN_LAST;
}

static bool ends_scalar(char byte)
{
    return fence_kube_is_blank(byte) || byte == ',' || byte == ']' || byte == '}';
}

static bool is_of_scalar(char byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || byte == '-' ||
           byte == '+' || byte == '.' || byte == 'E';
}

int fence_kube_scan_byte(struct fence_kube_scan *scan, char byte, struct fence_err *err)
{
    if (byte == '\0')
        return bad(err, "a NUL byte in JSON");
    if (scan->string)
        return in_string(scan, byte);
    if (scan->scalar && ends_scalar(byte))
        return FENCE_KUBE_SCAN_PAST;
    if (scan->scalar)
        return is_of_scalar(byte) ? FENCE_KUBE_SCAN_INSIDE : bad(err, "a word that is no JSON");
    if (byte == '"') {
        scan->string = true;
        return FENCE_KUBE_SCAN_INSIDE;
    }
    if (byte == '{' || byte == '[')
        return opened(scan, byte, err);
    if (byte == '}' || byte == ']')
        return closed(scan, byte, err);
    if (scan->depth)
        return FENCE_KUBE_SCAN_INSIDE;
    if (fence_kube_is_blank(byte))
        return FENCE_KUBE_SCAN_BEFORE;
    if (!is_of_scalar(byte))
        return bad(err, "no JSON value");
    scan->scalar = true;
    return FENCE_KUBE_SCAN_INSIDE;
}

/* A cursor over JSON that is whole. */
struct cursor {
    char *at;
    char *end;
};

static char next_mark(struct cursor *cursor)
{
    while (cursor->at < cursor->end && fence_kube_is_blank(*cursor->at))
        cursor->at++;
    if (cursor->at == cursor->end)
        return '\0';
    return *cursor->at;
}

static int take_value(struct cursor *cursor, struct fence_kube_member *ret_value,
                      struct fence_err *err)
{
    struct fence_kube_scan scan = {0};
    char *begin;
    int r = FENCE_KUBE_SCAN_BEFORE;

    next_mark(cursor);
    begin = cursor->at;
    while (r != FENCE_KUBE_SCAN_LAST && r != FENCE_KUBE_SCAN_PAST) {
        if (cursor->at == cursor->end)
            return bad(err, "JSON that ends in the middle");
        r = fence_kube_scan_byte(&scan, *cursor->at, err);
        if (r < 0)
            return r;
        if (r != FENCE_KUBE_SCAN_PAST)
            cursor->at++;
    }
    ret_value->value = begin;
    ret_value->size = (size_t)(cursor->at - begin);
    return 0;
}

static bool is_named(const struct fence_kube_member *key, const char *name)
{
    size_t size = strlen(name);

    return key->size == size + 2 && memcmp(key->value + 1, name, size) == 0;
}

static int take_member(struct cursor *cursor, struct fence_kube_member *members, size_t count,
                       struct fence_err *err)
{
    struct fence_kube_member key, value;
    int r;

    if (next_mark(cursor) != '"')
        return bad(err, "a member without a name");
    r = take_value(cursor, &key, err);
    if (r < 0)
        return r;
    if (next_mark(cursor) != ':')
        return bad(err, "a member without a colon");
    cursor->at++;
    r = take_value(cursor, &value, err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        if (!is_named(&key, members[i].name))
            continue;
        if (members[i].value)
            return fence_err_set(err, -EBADMSG, "\"%s\" twice", members[i].name);
        members[i].value = value.value;
        members[i].size = value.size;
    }
    return r;
}

int fence_kube_members(char *json, size_t size, struct fence_kube_member *members, size_t count,
                       struct fence_err *err)
{
    struct cursor cursor = {json, json + size};
    char mark;
    int r;

    for (size_t i = 0; i < count; i++)
        members[i].value = NULL;
    if (next_mark(&cursor) != '{')
        return bad(err, "no JSON object");
    cursor.at++;
    mark = next_mark(&cursor);
    if (mark != '}')
        mark = ',';
    while (mark == ',') {
        r = take_member(&cursor, members, count, err);
        if (r < 0)
            return r;
        mark = next_mark(&cursor);
        if (mark == ',')
            cursor.at++;
    }
    if (mark != '}')
        return bad(err, "an object that is not closed");
    cursor.at++;
    if (next_mark(&cursor) != '\0' || cursor.at != cursor.end)
        return bad(err, "more behind the object");
    return 0;
}

int fence_kube_text_add(struct fence_kube_text *text, const char *data, size_t size, size_t max,
                        struct fence_err *err)
{
    size_t capacity = text->capacity ? text->capacity : 1024;
    char *grown;

    if (size > max || text->size > max - size)
        return fence_err_set(err, -EMSGSIZE, "more than %zu bytes", max);
    while (capacity < text->size + size + 1)
        capacity *= 2;
    if (capacity != text->capacity) {
        grown = realloc(text->data, capacity);
        if (!grown)
            return fence_err_set(err, -ENOMEM, "out of memory");
        text->data = grown;
        text->capacity = capacity;
    }
    memcpy(text->data + text->size, data, size);
    text->size += size;
    text->data[text->size] = '\0';
    return 0;
}

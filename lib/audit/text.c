/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/audit/text.h"

#include <string.h>

#include "lib/base/utf8.h"

void fence_audit_put(struct fence_audit_text *text, const char *piece, size_t size)
{
    if (size > text->capacity - text->size) {
        text->full = true;
        return;
    }
    memcpy(text->data + text->size, piece, size);
    text->size += size;
}

void fence_audit_puts(struct fence_audit_text *text, const char *piece)
{
    fence_audit_put(text, piece, strlen(piece));
}

void fence_audit_put_number(struct fence_audit_text *text, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    fence_audit_put(text, digits + at, sizeof(digits) - at);
}

/* Bytes of the character at `at`, 0 when they are no UTF-8 (RFC 3629, section 4). */
static size_t character(const unsigned char *at, size_t left, uint32_t *ret_point)
{
    size_t more = at[0] < 0x80 ? 0 : at[0] < 0xe0 ? 1 : at[0] < 0xf0 ? 2 : 3;
    uint32_t point = more ? at[0] & (0x3fu >> more) : at[0];
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};

    if ((at[0] >= 0x80 && at[0] < 0xc2) || at[0] > 0xf4 || more >= left)
        return 0;
    for (size_t i = 1; i <= more; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (at[i] & 0x3fu);
    }
    if (point < least[more] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
        return 0;
    *ret_point = point;
    return more + 1;
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* What may not stand in a JSON string as it is, or would steer the terminal of who reads it: all of
 * that is below U+10000. */
static void put_escaped(struct fence_audit_text *text, uint32_t point)
{
    static const char hex[] = "0123456789abcdef";
    const char escape[] = {
        '\\',           'u', hex[point >> 12 & 15], hex[point >> 8 & 15], hex[point >> 4 & 15],
        hex[point & 15]};
    const char quoted[] = {'\\', (char)point};

    if (point == '"' || point == '\\')
        fence_audit_put(text, quoted, sizeof(quoted));
    else
        fence_audit_put(text, escape, sizeof(escape));
}

static size_t put_special(struct fence_audit_text *text, const char *value, size_t left)
{
    uint32_t point = 0xfffd;
    size_t taken = character((const unsigned char *)value, left, &point);

    if (taken > 1 && fence_utf8_is_harmless(point))
        fence_audit_put(text, value, taken);
    else
        put_escaped(text, point);
    return taken ? taken : 1;
}

void fence_audit_put_bytes(struct fence_audit_text *text, const char *value, size_t size)
{
    size_t at = 0;

    if (size > FENCE_AUDIT_STRING_MAX)
        size = FENCE_AUDIT_STRING_MAX;
    fence_audit_put(text, "\"", 1);
    while (at < size) {
        size_t plain = 0;

        while (at + plain < size && is_plain((unsigned char)value[at + plain]))
            plain++;
        fence_audit_put(text, value + at, plain);
        at += plain;
        if (at < size)
            at += put_special(text, value + at, size - at);
    }
    fence_audit_put(text, "\"", 1);
}

void fence_audit_put_json(struct fence_audit_text *text, const char *json, size_t size)
{
    size_t at = 0;

    while (at < size) {
        if (json[at] >= ' ' && json[at] < 0x7f)
            fence_audit_put(text, json + at++, 1);
        else
            at += put_special(text, json + at, size - at);
    }
}

void fence_audit_put_string(struct fence_audit_text *text, const char *value)
{
    fence_audit_put_bytes(text, value, strlen(value));
}

static void put_key(struct fence_audit_text *text, const char *key)
{
    fence_audit_put(text, ",\"", 2);
    fence_audit_puts(text, key);
    fence_audit_put(text, "\":", 2);
}

void fence_audit_member(struct fence_audit_text *text, const char *key, const char *value)
{
    put_key(text, key);
    fence_audit_put_string(text, value);
}

void fence_audit_member_number(struct fence_audit_text *text, const char *key, uint64_t number)
{
    put_key(text, key);
    fence_audit_put_number(text, number);
}

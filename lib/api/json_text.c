/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/api/json_text.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/addr.h"
#include "lib/base/utf8.h"

#define NS_PER_SECOND   1000000000ull
#define SECONDS_PER_DAY 86400u

/* Bytes that stand for themselves. */
static const bool is_plain[256] = {
    [' ' ... '!'] = true,
    ['#' ... '['] = true,
    [']' ... '~'] = true,
};

void fence_json_raw(struct fence_json_text *json, const char *text, size_t size)
{
    if (size > (size_t)(json->end - json->at)) {
        json->full = true;
        return;
    }
    memcpy(json->at, text, size);
    json->at += size;
}

static void put_point(struct fence_json_text *json, unsigned int point)
{
    char text[16];
    int size = snprintf(text, sizeof(text), "\\u%04x", point);

    fence_json_raw(json, text, (size_t)size);
}

/* The next character, which does not stand for itself. Returns its bytes. */
static size_t escape_one(struct fence_json_text *json, const char *text, size_t size)
{
    unsigned int point = 0;
    char bytes[8] = "";
    size_t length;

    if (*text == '"' || *text == '\\') {
        FENCE_JSON_LITERAL(json, "\\");
        fence_json_raw(json, text, 1);
        return 1;
    }
    if (is_plain[(unsigned char)*text]) { /* there was no room for it */
        json->full = true;
        return 1;
    }
    /* the sequence may not reach behind the end */
    memcpy(bytes, text, size < 4 ? size : 4);
    length = fence_utf8_next(bytes, &point);
    if (!length)
        FENCE_JSON_LITERAL(json, "\\ufffd");
    else if (fence_utf8_is_harmless(point))
        fence_json_raw(json, text, length);
    else
        put_point(json, point);
    return length ? length : 1;
}

void fence_json_escaped(struct fence_json_text *json, const char *text, size_t size)
{
    while (size && !json->full) {
        const size_t room = (size_t)(json->end - json->at), most = size < room ? size : room;
        size_t plain = 0;

        for (; plain < most && is_plain[(unsigned char)text[plain]]; plain++)
            json->at[plain] = text[plain];
        json->at += plain;
        if (plain < size)
            plain += escape_one(json, text + plain, size - plain);
        text += plain;
        size -= plain;
    }
}

void fence_json_string(struct fence_json_text *json, const char *text)
{
    FENCE_JSON_LITERAL(json, "\"");
    fence_json_escaped(json, text, strlen(text));
    FENCE_JSON_LITERAL(json, "\"");
}

void fence_json_digits(struct fence_json_text *json, uint64_t number, unsigned int digits)
{
    char text[24];

    for (unsigned int i = digits; i-- > 0; number /= 10)
        text[i] = (char)('0' + number % 10);
    fence_json_raw(json, text, digits);
}

void fence_json_number(struct fence_json_text *json, uint64_t number)
{
    unsigned int digits = 1;

    for (uint64_t rest = number / 10; rest; rest /= 10)
        digits++;
    fence_json_digits(json, number, digits);
}

void fence_json_addr(struct fence_json_text *json, const struct fence_addr *addr)
{
    const unsigned char *bytes = addr->bytes + sizeof(addr->bytes) - 4;
    char text[FENCE_ADDR_TEXT];

    FENCE_JSON_LITERAL(json, "\"");
    if (fence_addr_is_ipv4(addr)) {
        for (size_t i = 0; i < 4; i++) {
            fence_json_raw(json, ".", i > 0);
            fence_json_number(json, bytes[i]);
        }
    } else {
        fence_addr_format(addr, text);
        fence_json_raw(json, text, strlen(text));
    }
    FENCE_JSON_LITERAL(json, "\"");
}

/* Gregorian date of a day since 1970, counted from a 1 March in cycles of 400 years. */
static void put_date(struct fence_json_text *json, uint64_t day)
{
    uint64_t shifted = day + 719468, cycle = shifted / 146097, of_cycle = shifted % 146097;
    uint64_t year = (of_cycle - of_cycle / 1460 + of_cycle / 36524 - of_cycle / 146096) / 365;
    uint64_t of_year = of_cycle - (365 * year + year / 4 - year / 100);
    uint64_t month = (5 * of_year + 2) / 153; /* from March */

    fence_json_digits(json, year + cycle * 400 + (month >= 10), 4);
    FENCE_JSON_LITERAL(json, "-");
    fence_json_digits(json, month < 10 ? month + 3 : month - 9, 2);
    FENCE_JSON_LITERAL(json, "-");
    fence_json_digits(json, of_year - (153 * month + 2) / 5 + 1, 2);
}

void fence_json_time(struct fence_json_text *json, uint64_t wall_ns)
{
    const uint64_t seconds = wall_ns / NS_PER_SECOND, of_day = seconds % SECONDS_PER_DAY;

    FENCE_JSON_LITERAL(json, "\"");
    put_date(json, seconds / SECONDS_PER_DAY);
    FENCE_JSON_LITERAL(json, "T");
    fence_json_digits(json, of_day / 3600, 2);
    FENCE_JSON_LITERAL(json, ":");
    fence_json_digits(json, of_day / 60 % 60, 2);
    FENCE_JSON_LITERAL(json, ":");
    fence_json_digits(json, of_day % 60, 2);
    FENCE_JSON_LITERAL(json, ".");
    fence_json_digits(json, wall_ns % NS_PER_SECOND, 9);
    FENCE_JSON_LITERAL(json, "Z\"");
}

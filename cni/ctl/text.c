/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/ctl/text.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/names.h"

size_t ctl_utf8_next(const char *text, unsigned int *ret_point)
{
    static const struct {
        unsigned char mask;
        unsigned char lead;
        unsigned int smallest;
    } forms[] = {{0x80, 0, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    const unsigned char *at = (const unsigned char *)text;

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(forms); i++) {
        unsigned int point = at[0] & (unsigned char)~forms[i].mask;
        size_t length = 1;

        if ((at[0] & forms[i].mask) != forms[i].lead)
            continue;
        for (; length <= i && (at[length] & 0xc0) == 0x80; length++)
            point = point << 6 | (at[length] & 0x3f);
        if (length <= i || point < forms[i].smallest || point > 0x10ffff ||
            (point >= 0xd800 && point < 0xe000))
            return 0;
        *ret_point = point;
        return length;
    }
    return 0;
}

char *ctl_safe_text(const char *text)
{
    char *safe = NULL;
    size_t size;
    FILE *out = open_memstream(&safe, &size);

    if (!out)
        return NULL;
    fence_print_safe(out, text);
    if (fclose(out) == 0)
        return safe;
    free(safe);
    return NULL;
}

/* East Asian wide and fullwidth forms and emoji, by their large blocks. */
static bool is_wide(unsigned int point)
{
    static const struct {
        unsigned int first, last;
    } blocks[] = {{0x1100, 0x115f},   {0x2e80, 0xa4cf},  {0xac00, 0xd7a3}, {0xf900, 0xfaff},
                  {0xfe30, 0xfe6f},   {0xff00, 0xff60},  {0xffe0, 0xffe6}, {0x1f300, 0x1f64f},
                  {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}};

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(blocks); i++)
        if (point >= blocks[i].first && point <= blocks[i].last)
            return true;
    return false;
}

static bool is_combining(unsigned int point)
{
    return (point >= 0x300 && point <= 0x36f) || (point >= 0x200b && point <= 0x200d) ||
           (point >= 0xfe00 && point <= 0xfe0f);
}

size_t ctl_text_width(const char *text)
{
    size_t width = 0;

    while (*text) {
        unsigned int point = 0;
        size_t length = ctl_utf8_next(text, &point);

        if (!is_combining(point))
            width += is_wide(point) ? 2 : 1;
        text += length ? length : 1;
    }
    return width;
}

static bool is_harmless(const char *character, size_t length)
{
    char text[5] = {0};
    FENCE_FREE char *safe = NULL;

    memcpy(text, character, length);
    safe = ctl_safe_text(text);
    return safe && strcmp(safe, text) == 0;
}

/* How much of it is printable ASCII: most of it, and written at once. */
static size_t plain_length(const char *text)
{
    size_t length = 0;

    while (text[length] >= 0x20 && text[length] < 0x7f)
        length++;
    return length;
}

void ctl_print_escaped(FILE *out, const char *json)
{
    while (*json) {
        unsigned int point = 0xfffd;
        size_t plain = plain_length(json), length;

        fwrite(json, 1, plain, out);
        json += plain;
        if (!*json)
            break;
        length = ctl_utf8_next(json, &point);
        if (length && is_harmless(json, length))
            fwrite(json, 1, length, out);
        else if (point > 0xffff)
            fprintf(out, "\\u%04x\\u%04x", 0xd7c0 + (point >> 10), 0xdc00 + (point & 0x3ff));
        else
            fprintf(out, "\\u%04x", point);
        json += length ? length : 1;
    }
}

const char *ctl_split_line(const char *text, unsigned int *line)
{
    static const char word[] = "line ";
    const char *digits = text + sizeof(word) - 1;
    char *end = NULL;
    unsigned long number;

    if (strncmp(text, word, sizeof(word) - 1) != 0 || *digits < '0' || *digits > '9')
        return text;
    number = strtoul(digits, &end, 10);
    if (strncmp(end, ": ", 2) != 0 || number > UINT_MAX)
        return text;
    *line = (unsigned int)number;
    return end + 2;
}

const char *ctl_color_of(bool color, const char *word)
{
    static const struct {
        const char *word;
        const char *sequence;
    } colors[] = {
        {"allow", "\033[32m"},    {"FORWARDED", "\033[32m"}, {"ok", "\033[32m"},
        {"enforced", "\033[32m"}, {"in force", "\033[32m"},  {"AUDIT", "\033[33m"},
        {"pending", "\033[33m"},  {"exempt", "\033[33m"},    {"mixed", "\033[33m"},
        {"unknown", "\033[33m"},  {"deny", "\033[31m"},      {"DROPPED", "\033[31m"},
        {"refused", "\033[31m"},  {"closed", "\033[31m"},    {"damaged", "\033[31m"},
    };

    for (size_t i = 0; color && i < FENCE_ARRAY_SIZE(colors); i++)
        if (strcmp(colors[i].word, word) == 0)
            return colors[i].sequence;
    return "";
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/names.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"

static const char *name_of(const char *const *names, size_t count, unsigned int number)
{
    return number < count && names[number] ? names[number] : "unknown";
}

const char *fence_reason_name(unsigned int reason)
{
    static const char *const names[] = {
#define REASON_NAME(symbol, name) [FENCE_REASON_##symbol] = (name),
        FENCE_REASONS(REASON_NAME)
#undef REASON_NAME
    };
    _Static_assert(FENCE_ARRAY_SIZE(names) == FENCE_REASON_COUNT, "a name for each reason");

    return name_of(names, FENCE_ARRAY_SIZE(names), reason);
}

const char *fence_direction_name(unsigned int direction)
{
    static const char *const names[] = {
        [FENCE_EGRESS] = "egress",
        [FENCE_INGRESS] = "ingress",
    };
    _Static_assert(FENCE_ARRAY_SIZE(names) == FENCE_DIRECTIONS, "a name for each direction");

    return name_of(names, FENCE_ARRAY_SIZE(names), direction);
}

const char *fence_verdict_name(unsigned int verdict)
{
    static const char *const names[] = {
        [FENCE_DENY] = "deny",
        [FENCE_ALLOW] = "allow",
        [FENCE_DEFER] = "mixed",
    };

    return verdict < FENCE_ARRAY_SIZE(names) ? names[verdict] : names[FENCE_DENY];
}

const char *fence_attach_name(unsigned int attach)
{
    static const char *const names[] = {
        [FENCE_ATTACH_NONE] = "none",
        [FENCE_ATTACH_TCX] = "tcx",
        [FENCE_ATTACH_CLSACT] = "clsact",
    };

    return name_of(names, FENCE_ARRAY_SIZE(names), attach);
}

const char *fence_identity_reserved_name(unsigned int identity)
{
    static const char *const names[] = {
        [FENCE_IDENTITY_NONE] = "none",       [FENCE_IDENTITY_HOST] = "host",
        [FENCE_IDENTITY_WORLD] = "world",     [FENCE_IDENTITY_MASQUERADED] = "world-masqueraded",
        [FENCE_IDENTITY_PENDING] = "pending", [FENCE_IDENTITY_INCOMPLETE] = "incomplete",
        [FENCE_IDENTITY_SERVICE] = "service",
    };

    return name_of(names, FENCE_ARRAY_SIZE(names), identity);
}

static const struct {
    const char *name;
    unsigned int protocol;
} protocols[] = {
    {"TCP", IPPROTO_TCP},   {"UDP", IPPROTO_UDP},       {"SCTP", IPPROTO_SCTP},
    {"ICMP", IPPROTO_ICMP}, {"ICMPv6", IPPROTO_ICMPV6},
};

const char *fence_protocol_name(unsigned int protocol, char buffer[8])
{
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(protocols); i++)
        if (protocols[i].protocol == protocol)
            return protocols[i].name;
    snprintf(buffer, 8, "%u", protocol);
    return buffer;
}

int fence_protocol_parse(const char *text, unsigned int *ret_protocol)
{
    char *end = NULL;
    unsigned long number;

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(protocols); i++) {
        if (strcmp(protocols[i].name, text) == 0) {
            *ret_protocol = protocols[i].protocol;
            return 0;
        }
    }
    if (text[0] < '0' || text[0] > '9')
        return -EINVAL;
    number = strtoul(text, &end, 10);
    if (*end || number > 255)
        return -EINVAL;
    *ret_protocol = (unsigned int)number;
    return 0;
}

/* Bytes of the UTF-8 sequence at `text`, its code point in *ret_point; 0 when it is invalid. */
static size_t utf8_next(const unsigned char *text, unsigned int *ret_point)
{
    static const unsigned int smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned int point = text[0];
    size_t length = 1;

    if (text[0] >= 0xf0 && text[0] < 0xf8)
        length = 4, point &= 0x07;
    else if (text[0] >= 0xe0)
        length = 3, point &= 0x0f;
    else if (text[0] >= 0xc0)
        length = 2, point &= 0x1f;
    else if (text[0] >= 0x80)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (text[i] & 0x3f);
    }
    if (text[0] >= 0xf8 || point < smallest[length] || point > 0x10ffff ||
        (point >= 0xd800 && point < 0xe000))
        return 0;
    *ret_point = point;
    return length;
}

static bool is_harmless(unsigned int point)
{
    if (point < 0x20 || (point >= 0x7f && point < 0xa0))
        return false;
    /* directional marks, embeddings, overrides and isolates; line and paragraph separators */
    return !(point == 0x200e || point == 0x200f || (point >= 0x2028 && point <= 0x202e) ||
             (point >= 0x2066 && point <= 0x2069));
}

void fence_print_safe(FILE *out, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;

    while (*at) {
        unsigned int point = 0;
        size_t length = utf8_next(at, &point);

        if (length && is_harmless(point)) {
            fwrite(at, 1, length, out);
            at += length;
            continue;
        }
        for (size_t i = 0; i < (length ? length : 1); i++)
            fprintf(out, "\\x%02x", at[i]);
        at += length ? length : 1;
    }
}

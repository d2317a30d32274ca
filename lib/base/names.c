/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/names.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/utf8.h"

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

void fence_print_safe(FILE *out, const char *text)
{
    while (*text) {
        unsigned int point = 0;
        size_t length = fence_utf8_next(text, &point);

        if (length && fence_utf8_is_harmless(point)) {
            fwrite(text, 1, length, out);
            text += length;
            continue;
        }
        for (size_t i = 0; i < (length ? length : 1); i++)
            fprintf(out, "\\x%02x", (unsigned char)text[i]);
        text += length ? length : 1;
    }
}

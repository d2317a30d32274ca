/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/addr.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const unsigned char mapped_head[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

#define IPV4_OFFSET 96u /* bits in front of a mapped IPv4 address */

int fence_addr_from_bytes(const void *bytes, size_t size, struct fence_addr *ret_addr)
{
    if (size == 16) {
        memcpy(ret_addr->bytes, bytes, 16);
        return 0;
    }
    if (size != 4)
        return -EINVAL;
    memcpy(ret_addr->bytes, mapped_head, sizeof(mapped_head));
    memcpy(ret_addr->bytes + sizeof(mapped_head), bytes, 4);
    return 0;
}

int fence_addr_parse(const char *text, struct fence_addr *ret_addr)
{
    unsigned char bytes[16];

    if (inet_pton(AF_INET, text, bytes) == 1)
        return fence_addr_from_bytes(bytes, 4, ret_addr);
    if (inet_pton(AF_INET6, text, bytes) == 1)
        return fence_addr_from_bytes(bytes, 16, ret_addr);
    return -EINVAL;
}

bool fence_addr_is_ipv4(const struct fence_addr *addr)
{
    return memcmp(addr->bytes, mapped_head, sizeof(mapped_head)) == 0;
}

const char *fence_addr_format(const struct fence_addr *addr, char text[FENCE_ADDR_TEXT])
{
    if (fence_addr_is_ipv4(addr))
        return inet_ntop(AF_INET, addr->bytes + sizeof(mapped_head), text, FENCE_ADDR_TEXT);
    return inet_ntop(AF_INET6, addr->bytes, text, FENCE_ADDR_TEXT);
}

bool fence_addr_equal(const struct fence_addr *a, const struct fence_addr *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool fence_addr_is_none(const struct fence_addr *addr)
{
    static const struct fence_addr none;

    return fence_addr_equal(addr, &none);
}

/* Clear the bits behind `length`; true when one was set. */
static bool clear_host_bits(struct fence_addr *addr, unsigned int length)
{
    bool had = false;

    for (unsigned int i = 0; i < sizeof(addr->bytes); i++) {
        unsigned int kept = length <= i * 8 ? 0 : length - i * 8;
        unsigned char mask = kept >= 8 ? 0xff : (unsigned char)(0xff00u >> kept);

        had = had || (addr->bytes[i] & (unsigned char)~mask);
        addr->bytes[i] &= mask;
    }
    return had;
}

static int parse_length(const char *text, unsigned int max, unsigned int *ret_length)
{
    char *end = NULL;
    unsigned long value;

    if (text[0] < '0' || text[0] > '9')
        return -EINVAL;
    value = strtoul(text, &end, 10);
    if (*end || value > max)
        return -EINVAL;
    *ret_length = (unsigned int)value;
    return 0;
}

int fence_prefix_parse(const char *text, struct fence_prefix *ret_prefix, bool *ret_had_host_bits)
{
    const char *slash = strchr(text, '/');
    struct fence_prefix prefix;
    char host[FENCE_ADDR_TEXT];
    bool ipv4, had;

    if (!slash || (size_t)(slash - text) >= sizeof(host) || (slash[1] == '0' && slash[2]))
        return -EINVAL;
    memcpy(host, text, (size_t)(slash - text));
    host[slash - text] = '\0';
    if (fence_addr_parse(host, &prefix.addr) < 0)
        return -EINVAL;
    ipv4 = fence_addr_is_ipv4(&prefix.addr);
    if (ipv4 && strchr(host, ':'))
        return -EINVAL;
    if (parse_length(slash + 1, ipv4 ? 32 : 128, &prefix.length) < 0)
        return -EINVAL;
    if (ipv4)
        prefix.length += IPV4_OFFSET;
    had = clear_host_bits(&prefix.addr, prefix.length);
    if (ret_had_host_bits)
        *ret_had_host_bits = had;
    *ret_prefix = prefix;
    return 0;
}

/* What is in front of the slash, without the zeros that its numbers begin with. */
static int copy_without_zeros(const char *text, char host[FENCE_ADDR_TEXT])
{
    bool begins = true; /* a number */
    size_t used = 0;

    for (; *text != '/'; text++) {
        if (begins && text[0] == '0' && isxdigit((unsigned char)text[1]))
            continue;
        if (!*text || used + 1 == FENCE_ADDR_TEXT)
            return -EINVAL;
        host[used++] = *text;
        begins = !isxdigit((unsigned char)*text);
    }
    host[used] = '\0';
    return 0;
}

int fence_prefix_parse_legacy(const char *text, struct fence_prefix *ret_prefix)
{
    struct fence_prefix prefix;
    char host[FENCE_ADDR_TEXT];
    bool ipv4;

    if (copy_without_zeros(text, host) < 0 || fence_addr_parse(host, &prefix.addr) < 0)
        return -EINVAL;
    ipv4 = !strchr(host, ':');
    if (parse_length(strchr(text, '/') + 1, ipv4 ? 32 : 128, &prefix.length) < 0)
        return -EINVAL;
    if (ipv4)
        prefix.length += IPV4_OFFSET;
    clear_host_bits(&prefix.addr, prefix.length);
    *ret_prefix = prefix;
    return 0;
}

bool fence_prefix_is_ipv4(const struct fence_prefix *prefix)
{
    return prefix->length >= IPV4_OFFSET && fence_addr_is_ipv4(&prefix->addr);
}

const char *fence_prefix_format(const struct fence_prefix *prefix, char text[FENCE_PREFIX_TEXT])
{
    unsigned int shown = prefix->length - (fence_prefix_is_ipv4(prefix) ? IPV4_OFFSET : 0);
    char host[FENCE_ADDR_TEXT];

    snprintf(text, FENCE_PREFIX_TEXT, "%s/%u", fence_addr_format(&prefix->addr, host), shown);
    return text;
}

static uint64_t half_of(const struct fence_addr *addr, size_t half)
{
    uint64_t bits;

    memcpy(&bits, addr->bytes + 8 * half, sizeof(bits));
    return be64toh(bits);
}

/* In halves: every address of the cluster is held against every block that comes or goes. */
static bool same_bits(const struct fence_addr *a, const struct fence_addr *b, unsigned int length)
{
    uint64_t first = half_of(a, 0) ^ half_of(b, 0);

    if (length < 64)
        return length == 0 || first >> (64 - length) == 0;
    if (first || length == 64)
        return !first;
    return (half_of(a, 1) ^ half_of(b, 1)) >> (128 - length) == 0;
}

bool fence_prefix_contains(const struct fence_prefix *prefix, const struct fence_addr *addr)
{
    /* ::/0 is all of IPv6; the mapped range inside it is IPv4's and not meant. */
    if (!fence_prefix_is_ipv4(prefix) && fence_addr_is_ipv4(addr))
        return false;
    return same_bits(&prefix->addr, addr, prefix->length);
}

bool fence_prefix_covers(const struct fence_prefix *outer, const struct fence_prefix *inner)
{
    if (fence_prefix_is_ipv4(outer) != fence_prefix_is_ipv4(inner))
        return false;
    return outer->length <= inner->length && fence_prefix_contains(outer, &inner->addr);
}

int fence_prefix_compare(const struct fence_prefix *a, const struct fence_prefix *b)
{
    int order = memcmp(a->addr.bytes, b->addr.bytes, sizeof(a->addr.bytes));

    if (order)
        return order;
    return a->length < b->length ? -1 : a->length > b->length;
}

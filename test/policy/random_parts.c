/* SPDX-License-Identifier: Apache-2.0 */
/* Labels, selectors and blocks of random worlds. */
#include "test/policy/random_parts.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define METADATA_NAME "kubernetes.io/metadata.name"

const char *const random_namespaces[4] = {"a", "b", "c", "default"};
const unsigned int random_ports[9] = {1, 53, 79, 80, 81, 443, 8080, 8081, 65535};
const char *const random_port_names[3] = {"http", "dns", "web"};

/* The last one makes no identity unless a policy selects by it. */
static const char *const keys[] = {"app", "team", "env", "pod-template-hash"};
static const char *const values[] = {"x", "y", ""};

cJSON *random_labels(struct rng *rng)
{
    cJSON *labels = cJSON_CreateObject();

    for (unsigned int i = 0; i < 4; i++)
        if (rng_chance(rng, 50))
            cJSON_AddStringToObject(labels, keys[i], RNG_PICK(rng, values));
    return labels;
}

/* ---- selectors ------------------------------------------------------------------------------ */

static void add_values(struct rng *rng, cJSON *expression, const char *const *from, unsigned int of)
{
    cJSON *list = cJSON_AddArrayToObject(expression, "values");
    unsigned int count = 1 + rng_below(rng, 2);

    while (count--)
        cJSON_AddItemToArray(list, cJSON_CreateString(from[rng_below(rng, of)]));
}

static cJSON *random_expression(struct rng *rng, bool of_namespaces)
{
    static const char *const operators[] = {"In", "NotIn", "Exists", "DoesNotExist"};
    bool by_name = of_namespaces && rng_chance(rng, 30);
    unsigned int choice = rng_below(rng, 4);
    cJSON *expression = cJSON_CreateObject();

    cJSON_AddStringToObject(expression, "key", by_name ? METADATA_NAME : RNG_PICK(rng, keys));
    cJSON_AddStringToObject(expression, "operator", operators[choice]);
    if (choice < 2)
        add_values(rng, expression, by_name ? random_namespaces : values, by_name ? 4 : 3);
    else if (rng_chance(rng, 10))
        cJSON_AddArrayToObject(expression, "values");
    return expression;
}

static void add_match_labels(struct rng *rng, cJSON *selector, bool of_namespaces)
{
    cJSON *labels = cJSON_AddObjectToObject(selector, "matchLabels");

    if (of_namespaces && rng_chance(rng, 40))
        cJSON_AddStringToObject(labels, METADATA_NAME, RNG_PICK(rng, random_namespaces));
    else if (!rng_chance(rng, 5))
        cJSON_AddStringToObject(labels, RNG_PICK(rng, keys), RNG_PICK(rng, values));
}

cJSON *random_selector(struct rng *rng, bool of_namespaces)
{
    cJSON *selector = cJSON_CreateObject();
    unsigned int form = rng_below(rng, 10);

    if (form >= 3 && form <= 6)
        add_match_labels(rng, selector, of_namespaces);
    if (form >= 6) {
        cJSON *list = cJSON_AddArrayToObject(selector, "matchExpressions");

        for (unsigned int i = 0; i < 1 + rng_below(rng, 2); i++)
            cJSON_AddItemToArray(list, random_expression(rng, of_namespaces));
    }
    return selector;
}

/* ---- addresses ------------------------------------------------------------------------------ */

cJSON *random_item(struct rng *rng, const cJSON *world, const char *key)
{
    cJSON *list = cJSON_GetObjectItemCaseSensitive(world, key);
    unsigned int count = (unsigned int)cJSON_GetArraySize(list);

    return count ? cJSON_GetArrayItem(list, (int)rng_below(rng, count)) : NULL;
}

const char *random_addr(struct rng *rng, const cJSON *world)
{
    static const char *const others[] = {
        "203.0.113.1", "203.0.113.130",  "10.1.0.200",  "10.1.1.200",  "10.250.0.1", "2001:db8::1",
        "fd00:1::c8",  "fd00:1:0:1::c8", "172.18.0.77", "10.96.0.1",   "10.96.0.2",  "fd00:96::1",
        "10.1.0.0",    "10.1.1.0",       "fd00:1::",    "fd00:1:0:1::"};
    const cJSON *owner = random_item(rng, world, rng_chance(rng, 70) ? "pods" : "nodes");
    const cJSON *addr = random_item(rng, owner, "ips");

    return addr && rng_chance(rng, 65) ? addr->valuestring : RNG_PICK(rng, others);
}

static void clear_host_bits(unsigned char *bytes, int size, int length)
{
    for (int bit = length; bit < size * 8; bit++)
        bytes[bit / 8] &= (unsigned char)~(0x80 >> bit % 8);
}

/* The address with a length, as text; `keep` leaves the bits behind the length as they are. */
static cJSON *format_prefix(const char *addr, int length, bool keep)
{
    int family = strchr(addr, ':') ? AF_INET6 : AF_INET;
    unsigned char bytes[16] = {0};
    char text[INET6_ADDRSTRLEN];
    char prefix[INET6_ADDRSTRLEN + 8];

    inet_pton(family, addr, bytes);
    if (!keep)
        clear_host_bits(bytes, family == AF_INET ? 4 : 16, length);
    inet_ntop(family, bytes, text, sizeof(text));
    snprintf(prefix, sizeof(prefix), "%s/%d", text, length);
    return cJSON_CreateString(prefix);
}

/* A length from `least` on. */
static int random_length(struct rng *rng, bool ipv4, int least)
{
    static const int short_ones[] = {0, 8, 16, 23, 24, 28, 30, 31, 32, 32};
    static const int long_ones[] = {0, 16, 32, 48, 64, 96, 124, 126, 127, 128, 128};
    int length;

    do
        length = ipv4 ? RNG_PICK(rng, short_ones) : RNG_PICK(rng, long_ones);
    while (length < least);
    return length;
}

cJSON *random_prefix(struct rng *rng, const cJSON *world)
{
    const char *addr = random_addr(rng, world);

    return format_prefix(addr, random_length(rng, !strchr(addr, ':'), 0), rng_chance(rng, 25));
}

static bool shares_bits(const char *left, const char *right, int length)
{
    int family = strchr(left, ':') ? AF_INET6 : AF_INET;
    unsigned char a[16] = {0}, b[16] = {0};

    inet_pton(family, left, a);
    if (inet_pton(family, right, b) != 1)
        return false;
    clear_host_bits(a, 16, length);
    clear_host_bits(b, 16, length);
    return memcmp(a, b, sizeof(a)) == 0;
}

/* Exceptions lie inside the block and are smaller; they may lie inside each other. */
static void add_excepts(struct rng *rng, const cJSON *world, cJSON *block, const char *addr)
{
    bool ipv4 = !strchr(addr, ':');
    const char *cidr = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(block, "cidr"));
    int length = atoi(strchr(cidr, '/') + 1);
    cJSON *list = cJSON_AddArrayToObject(block, "except");

    for (unsigned int i = 0; i < 3 && length < (ipv4 ? 32 : 128); i++) {
        const char *inside = random_addr(rng, world);

        if (!shares_bits(addr, inside, length))
            inside = addr;
        if (rng_chance(rng, 60))
            cJSON_AddItemToArray(list, format_prefix(inside, random_length(rng, ipv4, length + 1),
                                                     rng_chance(rng, 25)));
    }
}

cJSON *random_block(struct rng *rng, const cJSON *world)
{
    const char *addr = random_addr(rng, world);
    bool ipv4 = !strchr(addr, ':');
    cJSON *block = cJSON_CreateObject();

    cJSON_AddItemToObject(block, "cidr",
                          format_prefix(addr, random_length(rng, ipv4, 0), rng_chance(rng, 25)));
    if (rng_chance(rng, 60))
        add_excepts(rng, world, block, addr);
    return block;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses in objects. */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/objects/decoders.h"

/* Nothing that is reached over a network: unspecified, loopback, multicast, broadcast. */
static const char *const special[] = {
    "0.0.0.0/32", "127.0.0.0/8", "224.0.0.0/4", "255.255.255.255/32",
    "::/128",     "::1/128",     "ff00::/8"};

static bool is_special(const struct fence_addr *addr)
{
    static struct fence_prefix blocks[FENCE_ARRAY_SIZE(special)];
    static size_t parsed; /* once: every address of a cluster is asked about */

    for (; parsed < FENCE_ARRAY_SIZE(special); parsed++)
        if (fence_prefix_parse(special[parsed], &blocks[parsed], NULL) < 0)
            return true;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(special); i++)
        if (fence_prefix_contains(&blocks[i], addr))
            return true;
    return false;
}

int fence_decode_address(const struct fence_field *field, const char *what,
                         struct fence_addr *ret_addr, struct fence_err *err)
{
    struct fence_addr addr;
    int r = fence_field_expect(field, FENCE_DOC_STRING, err);

    if (r < 0)
        return r;
    if (fence_addr_parse(field->doc->text, &addr) < 0)
        return fence_field_refuse(field, err, "\"%.80s\" is not an IP address", field->doc->text);
    if (is_special(&addr))
        return fence_field_refuse(field, err, "%.80s is not an address that %s can have",
                                  field->doc->text, what);
    *ret_addr = addr;
    return 0;
}

int fence_decode_address_into(const struct fence_field *field, const char *what,
                              struct fence_addr_list *addrs, struct fence_err *err)
{
    struct fence_addr addr;
    int r = fence_decode_address(field, what, &addr, err);

    for (size_t i = 0; r == 0 && i < addrs->count; i++)
        if (fence_addr_equal(&addrs->items[i], &addr))
            return 0;
    if (r == 0 && FENCE_GROW(addrs->items, addrs->capacity, addrs->count) < 0)
        r = fence_err_set(err, -ENOMEM, "out of memory");
    if (r == 0)
        addrs->items[addrs->count++] = addr;
    return r;
}

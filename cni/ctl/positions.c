/* SPDX-License-Identifier: Apache-2.0 */
#include <netinet/in.h>
#include <stdio.h>

#include "cni/ctl/policy_set.h"
#include "lib/base/names.h"

#define PORT_MAX     0xffffu
#define PROTOCOL_MAX 0xffu

/* One protocol's positions. */
static void add_ports(cJSON *list, __u32 protocol, __u32 low, __u32 high)
{
    char text[64], buffer[8];
    const char *name = fence_protocol_name(protocol, buffer);
    bool icmp = protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;

    if (low == 0 && high == PORT_MAX)
        snprintf(text, sizeof(text), "%s", name);
    else if (icmp && low % 256 == 0 && high == low + 255)
        snprintf(text, sizeof(text), "%s type %u", name, low >> 8);
    else if (icmp && low == high)
        snprintf(text, sizeof(text), "%s type %u code %u", name, low >> 8, low & 0xff);
    else if (icmp)
        snprintf(text, sizeof(text), "%s type/code %u/%u-%u/%u", name, low >> 8, low & 0xff,
                 high >> 8, high & 0xff);
    else if (low == high)
        snprintf(text, sizeof(text), "%s %u", name, low);
    else
        snprintf(text, sizeof(text), "%s %u-%u", name, low, high);
    cJSON_AddItemToArray(list, cJSON_CreateString(text));
}

/* Whole protocols `first` to `last`. */
static void add_protocols(cJSON *list, __u32 first, __u32 last)
{
    char text[64];

    if (first > last)
        return;
    if (first == last) {
        add_ports(list, first, 0, PORT_MAX);
        return;
    }
    if (first == 0 && last == PROTOCOL_MAX)
        snprintf(text, sizeof(text), "any");
    else
        snprintf(text, sizeof(text), "protocols %u-%u", first, last);
    cJSON_AddItemToArray(list, cJSON_CreateString(text));
}

cJSON *ctl_positions(__u32 low, __u32 high)
{
    cJSON *list = cJSON_CreateArray();
    __u32 first = low >> 16, last = high >> 16;

    if (first == last) {
        add_ports(list, first, low & PORT_MAX, high & PORT_MAX);
        return list;
    }
    if (low & PORT_MAX)
        add_ports(list, first++, low & PORT_MAX, PORT_MAX);
    if ((high & PORT_MAX) == PORT_MAX) {
        add_protocols(list, first, last);
        return list;
    }
    add_protocols(list, first, last - 1);
    add_ports(list, last, 0, high & PORT_MAX);
    return list;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* ARP, neighbour discovery and router advertisements with any claim. */
#include <linux/if_ether.h>
#include <netinet/icmp6.h>
#include <string.h>

#include "test/tools/craft.h"

#define ETHERNET 14

void craft_arp(const struct craft *craft, struct craft_frames *frames)
{
    static const uint8_t fixed[8] = {0, 1, 8, 0, 6, 4, 0, 2};
    struct craft_frame *frame = craft_ethernet(craft, ETH_P_ARP, frames);
    uint8_t *arp = frame->bytes + ETHERNET;

    memcpy(arp, fixed, sizeof(fixed));
    memcpy(arp + 8, craft->source_mac, 6);
    memcpy(arp + 14, craft_address(&craft->claim), 4);
    memcpy(arp + 18, craft->destination_mac, 6);
    memcpy(arp + 24, craft_address(&craft->destination), 4);
    frame->size += 28;
}

static struct craft_frame *icmp(const struct craft *craft, uint8_t *message, size_t size,
                                struct craft_frames *frames)
{
    uint16_t sum = craft_checksum(craft, IPPROTO_ICMPV6, message, size);
    struct craft_frame *frame;

    memcpy(message + 2, &sum, 2);
    frame = craft_ip(craft, IPPROTO_ICMPV6, message, size, frames);
    frame->bytes[ETHERNET + 7] = 255;
    return frame;
}

/* "The claimed address has my MAC": solicited, override. */
void craft_advertisement(const struct craft *craft, struct craft_frames *frames)
{
    uint8_t message[32] = {ND_NEIGHBOR_ADVERT, [4] = 0x60, [24] = ND_OPT_TARGET_LINKADDR, 1};

    memcpy(message + 8, craft_address(&craft->claim), 16);
    memcpy(message + 26, craft->source_mac, 6);
    icmp(craft, message, sizeof(message), frames);
}

/* "I am a router, and the claimed prefix is on this link." */
void craft_router(const struct craft *craft, struct craft_frames *frames)
{
    uint8_t message[56] = {ND_ROUTER_ADVERT, [4] = 64};

    craft_put16(message + 6, 1800);
    message[16] = ND_OPT_SOURCE_LINKADDR;
    message[17] = 1;
    memcpy(message + 18, craft->source_mac, 6);
    message[24] = ND_OPT_PREFIX_INFORMATION;
    message[25] = 4;
    message[26] = 64;
    message[27] = ND_OPT_PI_FLAG_ONLINK | ND_OPT_PI_FLAG_AUTO;
    craft_put16(message + 30, 3600);
    craft_put16(message + 34, 3600);
    memcpy(message + 40, craft_address(&craft->claim), 16);
    icmp(craft, message, sizeof(message), frames);
}

void craft_router_behind_options(const struct craft *craft, struct craft_frames *frames)
{
    uint8_t header[8] = {0, 0, 1, 4};

    craft_router(craft, frames);
    craft_extension(&frames->frames[0], IPPROTO_DSTOPTS, header, sizeof(header));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Ways around a filter that has read every byte: data where nobody expects any, and a packet that
 * is changed behind the filter. */
#include <linux/if_ether.h>
#include <netinet/icmp6.h>
#include <stdio.h>
#include <string.h>

#include "test/tools/craft.h"

#define ETHERNET 14
#define IPV4     20
#define IPV6     40
#define LETTER   1200

/*
 * A datagram to the allowed port, whose checksum the device is to compute: not into the checksum
 * but into the destination port, where it comes out as the other port.
 */
void craft_rewritten(const struct craft *craft, struct craft_frames *frames)
{
    uint8_t header[8] = {0, 0, 0x1e, 4}; /* an option to be skipped, whose value is free */
    struct craft final = *craft;
    struct craft_frame *frame;
    uint8_t *udp, *free_word;
    uint16_t sum;
    uint32_t word;

    /* the checksum of what it will be, then the port of what it pretends to be */
    final.port = craft->other_port;
    frame = craft_udp(&final, frames);
    frames->checksum_start = ETHERNET + (craft->ipv6 ? IPV6 : IPV4);
    if (craft->ipv6) {
        craft_extension(frame, IPPROTO_DSTOPTS, header, sizeof(header));
        udp = frame->bytes + frames->checksum_start + sizeof(header);
        free_word = frame->bytes + frames->checksum_start + 4;
    } else {
        udp = frame->bytes + frames->checksum_start;
        memset(udp + 6, 0, 2); /* none, so that the payload is free */
        free_word = frame->bytes + frame->size - 2;
        memset(free_word, 0, 2);
    }
    craft_put16(udp + 2, craft->port);
    frames->checksum_at = (uint16_t)(udp + 2 - frame->bytes);
    sum = ntohs(internet_checksum(frame->bytes + frames->checksum_start,
                                  frame->size - frames->checksum_start));
    word = (uint32_t)sum + (uint16_t)~craft->other_port;
    craft_put16(free_word, (uint16_t)((word & 0xffff) + (word >> 16)));
}

/* Lawful in every field, with a letter behind it. */
void craft_arp_letter(const struct craft *craft, struct craft_frames *frames)
{
    struct craft own = *craft;
    struct craft_frame *frame = &frames->frames[0];

    own.claim = craft->source;
    craft_arp(&own, frames);
    memset(frame->bytes + frame->size, 0, LETTER);
    snprintf((char *)frame->bytes + frame->size, LETTER, "%s", craft->label);
    frame->size += LETTER;
}

/* A solicitation for the destination itself: the letter takes the place of the MAC. */
void craft_solicitation_letter(const struct craft *craft, struct craft_frames *frames)
{
    uint8_t message[32] = {ND_NEIGHBOR_SOLICIT, [24] = ND_OPT_SOURCE_LINKADDR, 1};
    struct craft_frame *frame;
    uint16_t sum;

    memcpy(message + 8, craft_address(&craft->destination), 16);
    memcpy(message + 26, craft->label, strnlen(craft->label, 6));
    sum = craft_checksum(craft, IPPROTO_ICMPV6, message, sizeof(message));
    memcpy(message + 2, &sum, 2);
    frame = craft_ip(craft, IPPROTO_ICMPV6, message, sizeof(message), frames);
    frame->bytes[ETHERNET + 7] = 255;
}

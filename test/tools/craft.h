/* SPDX-License-Identifier: Apache-2.0 */
/* Frames that no stack would send, made whole for a raw socket. */
#pragma once

#include "test/tools/netprobe.h"

#define CRAFT_SIZE_MAX   1514
#define CRAFT_FRAMES_MAX 4
#define CRAFT_LABEL      32 /* of the payload, told by `hear` */
#define CRAFT_PAYLOAD    120

struct craft_frame {
    uint8_t bytes[CRAFT_SIZE_MAX];
    size_t size;
};

/* What is asked for. */
struct craft {
    struct address source;
    struct address destination;
    struct address claim; /* ARP, ND: the address that is claimed; a router's prefix */
    const char *label;
    uint16_t source_port;
    uint16_t port;
    uint16_t other_port; /* that of a connection which is allowed, for what pretends to be one */
    uint8_t source_mac[6];
    uint8_t destination_mac[6];
    bool ipv6;
};

struct craft_frames {
    struct craft_frame frames[CRAFT_FRAMES_MAX];
    size_t count;
    /* left for the device to compute: from where on, and where it goes; 0 = nothing */
    uint16_t checksum_start;
    uint16_t checksum_at;
};

/* Makes the frames of a kind; false: there is no such kind, or not in this family. */
bool craft_make(const char *kind, const struct craft *craft, struct craft_frames *ret_frames);
/* The names of all kinds, in one line. */
void craft_list(char *ret_text, size_t size);

/* Of neighbour.c: ARP, ND and router advertisements. */
void craft_arp(const struct craft *craft, struct craft_frames *frames);
void craft_advertisement(const struct craft *craft, struct craft_frames *frames);
void craft_router(const struct craft *craft, struct craft_frames *frames);
void craft_router_behind_options(const struct craft *craft, struct craft_frames *frames);
/* Of covert.c: ways for data that are no ways. */
void craft_rewritten(const struct craft *craft, struct craft_frames *frames);
void craft_arp_letter(const struct craft *craft, struct craft_frames *frames);
void craft_solicitation_letter(const struct craft *craft, struct craft_frames *frames);

/* Of craft.c, for the others. `payload` is behind the IP header. */
struct craft_frame *craft_ip(const struct craft *craft, uint8_t protocol, const void *payload,
                             size_t size, struct craft_frames *frames);
struct craft_frame *craft_udp(const struct craft *craft, struct craft_frames *frames);
struct craft_frame *craft_ethernet(const struct craft *craft, uint16_t ethertype,
                                   struct craft_frames *frames);
void craft_insert(struct craft_frame *frame, size_t at, const void *bytes, size_t count);
/* An IPv6 extension header as the first of the chain, `size` bytes with its two first ones free. */
void craft_extension(struct craft_frame *frame, uint8_t type, uint8_t *header, size_t size);
/* The checksum field of a transport header of `size` bytes with everything behind it. */
uint16_t craft_checksum(const struct craft *craft, uint8_t protocol, const void *bytes,
                        size_t size);
void craft_put16(uint8_t *at, uint16_t value);
const uint8_t *craft_address(const struct address *address);

/* SPDX-License-Identifier: Apache-2.0 */
/* UDP datagrams to a port, whole, tagged, with options, in fragments. */
#include "test/tools/craft.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define ETHERNET  14
#define IPV4      20
#define IPV6      40
#define UDP       8
#define HOP_LIMIT 64

void craft_put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

const uint8_t *craft_address(const struct address *address)
{
    if (address_is_ipv6(address))
        return ((const struct sockaddr_in6 *)&address->sa)->sin6_addr.s6_addr;
    return (const uint8_t *)&((const struct sockaddr_in *)&address->sa)->sin_addr;
}

void craft_insert(struct craft_frame *frame, size_t at, const void *bytes, size_t count)
{
    memmove(frame->bytes + at + count, frame->bytes + at, frame->size - at);
    memcpy(frame->bytes + at, bytes, count);
    frame->size += count;
}

uint16_t craft_checksum(const struct craft *craft, uint8_t protocol, const void *bytes, size_t size)
{
    size_t length = craft->ipv6 ? 16 : 4;
    uint8_t sum[2 * 16 + 4 + CRAFT_SIZE_MAX] = {0};

    memcpy(sum, craft_address(&craft->source), length);
    memcpy(sum + length, craft_address(&craft->destination), length);
    craft_put16(sum + 2 * length, protocol);
    craft_put16(sum + 2 * length + 2, (uint16_t)size);
    memcpy(sum + 2 * length + 4, bytes, size);
    return internet_checksum(sum, 2 * length + 4 + size);
}

struct craft_frame *craft_ethernet(const struct craft *craft, uint16_t ethertype,
                                   struct craft_frames *frames)
{
    struct craft_frame *frame = &frames->frames[frames->count++];

    memcpy(frame->bytes, craft->destination_mac, 6);
    memcpy(frame->bytes + 6, craft->source_mac, 6);
    craft_put16(frame->bytes + 12, ethertype);
    frame->size = ETHERNET;
    return frame;
}

/* Lengths and the checksum of the header, after every change. */
static void fit(struct craft_frame *frame)
{
    uint8_t *ip = frame->bytes + ETHERNET;
    size_t header = (size_t)4 * (ip[0] & 0xf);
    uint16_t sum;

    if (ip[0] >> 4 == 6) {
        craft_put16(ip + 4, (uint16_t)(frame->size - ETHERNET - IPV6));
        return;
    }
    craft_put16(ip + 2, (uint16_t)(frame->size - ETHERNET));
    memset(ip + 10, 0, 2);
    sum = internet_checksum(ip, header);
    memcpy(ip + 10, &sum, 2);
}

struct craft_frame *craft_ip(const struct craft *craft, uint8_t protocol, const void *payload,
                             size_t size, struct craft_frames *frames)
{
    struct craft_frame *frame = craft_ethernet(craft, craft->ipv6 ? ETH_P_IPV6 : ETH_P_IP, frames);
    uint8_t *ip = frame->bytes + ETHERNET;
    size_t header = craft->ipv6 ? IPV6 : IPV4;

    memset(ip, 0, header);
    if (craft->ipv6) {
        ip[0] = 0x60;
        ip[6] = protocol;
        ip[7] = HOP_LIMIT;
        memcpy(ip + 8, craft_address(&craft->source), 16);
        memcpy(ip + 24, craft_address(&craft->destination), 16);
    } else {
        ip[0] = 0x45;
        ip[8] = HOP_LIMIT;
        ip[9] = protocol;
        memcpy(ip + 12, craft_address(&craft->source), 4);
        memcpy(ip + 16, craft_address(&craft->destination), 4);
    }
    memcpy(ip + header, payload, size);
    frame->size += header + size;
    fit(frame);
    return frame;
}

void craft_extension(struct craft_frame *frame, uint8_t type, uint8_t *header, size_t size)
{
    header[0] = frame->bytes[ETHERNET + 6];
    if (type != IPPROTO_FRAGMENT)
        header[1] = (uint8_t)(size / 8 - 1);
    frame->bytes[ETHERNET + 6] = type;
    craft_insert(frame, ETHERNET + IPV6, header, size);
    fit(frame);
}

/* The label, then what reads as a UDP header to the other port, over and over. */
static size_t build_udp(const struct craft *craft, uint8_t datagram[UDP + CRAFT_PAYLOAD])
{
    uint16_t sum;

    memset(datagram, 0, UDP + CRAFT_PAYLOAD);
    craft_put16(datagram, craft->source_port);
    craft_put16(datagram + 2, craft->port);
    craft_put16(datagram + 4, UDP + CRAFT_PAYLOAD);
    snprintf((char *)datagram + UDP, CRAFT_LABEL, "%s", craft->label);
    for (size_t at = UDP + CRAFT_LABEL; at + UDP <= UDP + CRAFT_PAYLOAD; at += UDP) {
        craft_put16(datagram + at, craft->source_port);
        craft_put16(datagram + at + 2, craft->other_port);
        craft_put16(datagram + at + 4, UDP);
    }
    sum = craft_checksum(craft, IPPROTO_UDP, datagram, UDP + CRAFT_PAYLOAD);
    memcpy(datagram + 6, &sum, 2);
    return UDP + CRAFT_PAYLOAD;
}

struct craft_frame *craft_udp(const struct craft *craft, struct craft_frames *frames)
{
    uint8_t datagram[UDP + CRAFT_PAYLOAD];
    size_t size = build_udp(craft, datagram);

    return craft_ip(craft, IPPROTO_UDP, datagram, size, frames);
}

static void plain(const struct craft *craft, struct craft_frames *frames)
{
    craft_udp(craft, frames);
}

/* ---- in front of the IP header --------------------------------------------------------------- */

static void tags(const struct craft *craft, struct craft_frames *frames, const char *types)
{
    plain(craft, frames);
    for (; *types; types++) {
        uint8_t tag[4] = {0};

        craft_put16(tag, *types == 'q' ? ETH_P_8021Q : ETH_P_8021AD);
        craft_insert(&frames->frames[0], 12, tag, sizeof(tag));
    }
}

static void vlan0(const struct craft *craft, struct craft_frames *frames)
{
    tags(craft, frames, "q");
}

static void vlan00(const struct craft *craft, struct craft_frames *frames)
{
    tags(craft, frames, "qq");
}

static void vlan000(const struct craft *craft, struct craft_frames *frames)
{
    tags(craft, frames, "qqq");
}

static void qinq00(const struct craft *craft, struct craft_frames *frames)
{
    tags(craft, frames, "qa");
}

static void snap(const struct craft *craft, struct craft_frames *frames)
{
    static const uint8_t header[8] = {0, 0, 0xaa, 0xaa, 3, 0, 0, 0};
    struct craft_frame *frame = &frames->frames[0];

    plain(craft, frames);
    craft_insert(frame, 12, header, sizeof(header));
    craft_put16(frame->bytes + 12, (uint16_t)(frame->size - ETHERNET));
}

/* ---- between the IP header and the ports ------------------------------------------------------
 */

/* Two no-operations and an option that reads as the other port, which is 0x5e04 for that. */
static void options(const struct craft *craft, struct craft_frames *frames)
{
    uint8_t bytes[8] = {1, 1, 0x5e, 4};

    craft_put16(bytes + 2, craft->other_port);
    plain(craft, frames);
    craft_insert(&frames->frames[0], ETHERNET + IPV4, bytes, sizeof(bytes));
    frames->frames[0].bytes[ETHERNET] = 0x47;
    fit(&frames->frames[0]);
}

static void extensions(const struct craft *craft, struct craft_frames *frames)
{
    uint8_t header[8] = {0, 0, 1, 4};
    uint8_t routing[8] = {0};

    plain(craft, frames);
    craft_extension(&frames->frames[0], IPPROTO_DSTOPTS, header, sizeof(header));
    craft_extension(&frames->frames[0], IPPROTO_ROUTING, routing, sizeof(routing));
    craft_extension(&frames->frames[0], IPPROTO_DSTOPTS, header, sizeof(header));
    craft_extension(&frames->frames[0], IPPROTO_HOPOPTS, header, sizeof(header));
}

static void many_extensions(const struct craft *craft, struct craft_frames *frames)
{
    uint8_t header[8] = {0, 0, 1, 4};

    plain(craft, frames);
    for (int i = 0; i < 12; i++)
        craft_extension(&frames->frames[0], IPPROTO_DSTOPTS, header, sizeof(header));
}

/* ---- fragments --------------------------------------------------------------------------------
 */

struct part {
    size_t offset;
    size_t size;
    bool more;
};

/* One identification for all fragments of a label (FNV-1a, folded). */
static uint16_t identify(const char *label)
{
    uint32_t hash = 0x811c9dc5;

    for (; *label; label++)
        hash = (hash ^ (uint8_t)*label) * 0x01000193;
    return (uint16_t)(hash ^ hash >> 16);
}

static void add_part(const struct craft *craft, struct part part, struct craft_frames *frames)
{
    uint8_t datagram[UDP + CRAFT_PAYLOAD];
    uint8_t header[8] = {0};
    struct craft_frame *frame;

    build_udp(craft, datagram);
    frame = craft_ip(craft, IPPROTO_UDP, datagram + part.offset, part.size, frames);
    if (craft->ipv6) {
        craft_put16(header + 2, (uint16_t)(part.offset | part.more));
        craft_put16(header + 6, identify(craft->label));
        craft_extension(frame, IPPROTO_FRAGMENT, header, sizeof(header));
        return;
    }
    craft_put16(frame->bytes + ETHERNET + 4, identify(craft->label));
    craft_put16(frame->bytes + ETHERNET + 6,
                (uint16_t)(part.offset / 8 | (part.more ? 0x2000 : 0)));
    fit(frame);
}

#define HALF ((UDP + CRAFT_PAYLOAD) / 2)

static const struct part first = {.size = HALF, .more = true};
static const struct part rest = {.offset = HALF, .size = UDP + CRAFT_PAYLOAD - HALF};

static void fragments(const struct craft *craft, struct craft_frames *frames)
{
    add_part(craft, first, frames);
    add_part(craft, rest, frames);
}

static void reversed(const struct craft *craft, struct craft_frames *frames)
{
    add_part(craft, rest, frames);
    add_part(craft, first, frames);
}

static void tiny(const struct craft *craft, struct craft_frames *frames)
{
    add_part(craft, (struct part){.size = UDP, .more = true}, frames);
    add_part(craft, (struct part){.offset = UDP, .size = CRAFT_PAYLOAD}, frames);
}

static void atomic(const struct craft *craft, struct craft_frames *frames)
{
    add_part(craft, (struct part){.size = UDP + CRAFT_PAYLOAD}, frames);
}

/* The first fragment of the other port, that of the real one, and the rest. */
static void other_first(const struct craft *craft, struct craft_frames *frames)
{
    struct craft other = *craft;

    other.port = craft->other_port;
    add_part(&other, first, frames);
    add_part(craft, first, frames);
    add_part(craft, rest, frames);
}

/* The other way round, so that the rest seems to be the other one's. */
static void other_second(const struct craft *craft, struct craft_frames *frames)
{
    struct craft other = *craft;

    other.port = craft->other_port;
    add_part(craft, first, frames);
    add_part(&other, first, frames);
    add_part(craft, rest, frames);
}

static void nested(const struct craft *craft, struct craft_frames *frames)
{
    uint8_t header[8] = {[7] = 9};

    atomic(craft, frames);
    craft_extension(&frames->frames[0], IPPROTO_FRAGMENT, header, sizeof(header));
}

/* ---- by name ----------------------------------------------------------------------------------
 */

enum families {
    BOTH,
    ONLY_IPV4,
    ONLY_IPV6,
};

static const struct kind {
    const char *name;
    void (*make)(const struct craft *craft, struct craft_frames *frames);
    enum families families;
} kinds[] = {
    {"plain", plain, BOTH},
    {"vlan0", vlan0, BOTH},
    {"vlan00", vlan00, BOTH},
    {"vlan000", vlan000, BOTH},
    {"qinq00", qinq00, BOTH},
    {"snap", snap, BOTH},
    {"options", options, ONLY_IPV4},
    {"extensions", extensions, ONLY_IPV6},
    {"many-extensions", many_extensions, ONLY_IPV6},
    {"fragments", fragments, BOTH},
    {"reversed", reversed, BOTH},
    {"tiny", tiny, BOTH},
    {"other-first", other_first, BOTH},
    {"other-second", other_second, BOTH},
    {"atomic", atomic, ONLY_IPV6},
    {"nested", nested, ONLY_IPV6},
    {"rewritten", craft_rewritten, BOTH},
    {"arp", craft_arp, ONLY_IPV4},
    {"arp-letter", craft_arp_letter, ONLY_IPV4},
    {"solicitation-letter", craft_solicitation_letter, ONLY_IPV6},
    {"advertisement", craft_advertisement, ONLY_IPV6},
    {"router", craft_router, ONLY_IPV6},
    {"router-behind-options", craft_router_behind_options, ONLY_IPV6},
};

bool craft_make(const char *kind, const struct craft *craft, struct craft_frames *ret_frames)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].name, kind) != 0)
            continue;
        if (kinds[i].families == (craft->ipv6 ? ONLY_IPV4 : ONLY_IPV6))
            return false;
        *ret_frames = (struct craft_frames){.count = 0};
        kinds[i].make(craft, ret_frames);
        return true;
    }
    return false;
}

void craft_list(char *ret_text, size_t size)
{
    size_t used = 0;

    ret_text[0] = '\0';
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && used < size; i++)
        used += (size_t)snprintf(ret_text + used, size - used, "%s ", kinds[i].name);
}

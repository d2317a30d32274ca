/* SPDX-License-Identifier: Apache-2.0 */
#include "test/bpf/generate.h"

#include <netinet/in.h>
#include <string.h>

/* What the packets of a sequence have in common. */
struct theme {
    struct fence_packet packet;
    enum fence_direction direction;
    int family;
    unsigned int id; /* of the first datagram in fragments */
    bool fragments;
    bool wild; /* lengths that lie, bytes that flip */
};

static unsigned int pick_port(struct rng *rng)
{
    static const unsigned int ports[] = {80, 80, 443, 443, 81, 40000, 53, 0};
    unsigned int port = RNG_PICK(rng, ports);

    return port ? port : rng_below(rng, 65536);
}

static unsigned int pick_protocol(struct rng *rng, int family)
{
    static const unsigned int protocols[] = {IPPROTO_TCP, IPPROTO_TCP,     IPPROTO_UDP,
                                             IPPROTO_UDP, IPPROTO_SCTP,    IPPROTO_ICMP,
                                             IPPROTO_GRE, IPPROTO_UDPLITE, 255};
    unsigned int protocol = RNG_PICK(rng, protocols);

    if (protocol == IPPROTO_ICMP)
        return frame_icmp(rng_chance(rng, 90) ? family : 10 - family);
    return protocol == 255 ? rng_below(rng, 256) : protocol;
}

static unsigned int pick_flags(struct rng *rng)
{
    static const unsigned int flags[] = {FENCE_TCP_SYN, FENCE_TCP_SYN | FENCE_TCP_ACK,
                                         FENCE_TCP_ACK, FENCE_TCP_ACK | FENCE_TCP_FIN,
                                         FENCE_TCP_RST, 255};
    unsigned int picked = RNG_PICK(rng, flags);

    /* 0 is SYN for the builder */
    return picked == 255 ? 1 + rng_below(rng, 255) : picked;
}

static struct fence_addr pick_remote(struct rng *rng, int family)
{
    switch (rng_below(rng, 8)) {
    case 0:
        return lab_stranger(family);
    case 1:
        return lab_world(family);
    default:
        return lab_friend(family);
    }
}

static struct theme pick_theme(struct rng *rng, enum fence_direction direction)
{
    struct theme theme = {.direction = direction, .family = rng_chance(rng, 50) ? 4 : 6};
    unsigned int protocol = pick_protocol(rng, theme.family);
    unsigned int destination = pick_port(rng);

    if (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6)
        destination = rng_below(rng, 65536);
    theme.packet = lab_packet(direction, pick_remote(rng, theme.family), protocol, pick_port(rng),
                              destination);
    theme.id = rng_below(rng, 65535);
    theme.fragments = rng_chance(rng, 50);
    theme.wild = rng_chance(rng, 50);
    return theme;
}

/* Payload that reads as the ports of a connection that is allowed, or noise. */
static void fill_payload(struct rng *rng, struct frame *frame, size_t from)
{
    static const unsigned char ports[4] = {0x9c, 0x40, 0, 80};
    bool noise = rng_chance(rng, 30);

    for (size_t i = from; i < frame->size; i++)
        frame->bytes[i] = noise ? (unsigned char)rng_next(rng) : ports[(i - from) % 4];
}

static void add_options(struct rng *rng, struct frame *frame)
{
    static const unsigned char types[] = {0, 1, 1, 1, 7, 68, 130, 131, 136, 137, 148};
    unsigned char options[40];
    size_t count = 4 + (size_t)rng_below(rng, 10) * 4;

    for (size_t i = 0; i < count; i++)
        options[i] = (unsigned char)(rng_chance(rng, 20) ? 0x9c : rng_below(rng, 12));
    options[0] = RNG_PICK(rng, types);
    if (options[0] > 1)
        options[1] = (unsigned char)rng_below(rng, (unsigned int)count + 2);
    frame_options(frame, options, count);
}

/* An extension header in front of the chain, up to 32 bytes, perhaps with a length that lies. */
static void add_extension(struct rng *rng, const struct theme *theme, struct frame *frame)
{
    static const unsigned char types[] = {IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS,
                                          IPPROTO_AH, IPPROTO_FRAGMENT};
    unsigned char type = RNG_PICK(rng, types);
    size_t at = FRAME_ETHERNET + FRAME_IPV6;
    unsigned int more = rng_below(rng, 4);

    if (type == IPPROTO_FRAGMENT && rng_chance(rng, 70))
        type = IPPROTO_DSTOPTS;
    frame_extension(frame, type, NULL);
    if (type == IPPROTO_FRAGMENT)
        return;
    frame_insert(frame, at + 8, (size_t)more * 8, 0);
    frame->bytes[at + 1] = (unsigned char)(type == IPPROTO_AH ? more * 2 : more);
    if (theme->wild && rng_chance(rng, 10))
        frame->bytes[at + 1] = (unsigned char)rng_next(rng);
    frame_fit(frame, 6);
}

static void add_headers(struct rng *rng, const struct theme *theme, struct frame *frame)
{
    if (rng_chance(rng, 50))
        return;
    if (theme->family == 4) {
        add_options(rng, frame);
        return;
    }
    for (unsigned int count = rng_below(rng, 8); count; count--)
        add_extension(rng, theme, frame);
}

static void add_fragment(struct rng *rng, const struct theme *theme, struct frame *frame)
{
    static const unsigned int offsets[] = {0, 0, 0, 8, 16, 24, 64, 1480, 65528};
    struct frame_part part = {
        .id = 1 + rng_below(rng, 2), .offset = RNG_PICK(rng, offsets), .more = rng_chance(rng, 60)};

    if (theme->family == 6 && rng_chance(rng, 10))
        part.id |= 0x10000; /* another datagram to whom looks at 32 bits */
    frame_fragment(frame, theme->family, part);
}

/* The length that the IP header states, wrong by a little or a lot. */
static void lie_about_length(struct rng *rng, const struct theme *theme, struct frame *frame)
{
    size_t at = FRAME_ETHERNET + (theme->family == 4 ? 2 : 4);
    unsigned int length = (unsigned int)(frame->bytes[at] << 8 | frame->bytes[at + 1]);

    switch (rng_below(rng, 4)) {
    case 0:
        frame_set16(frame, at, 0);
        break;
    case 1:
        frame_set16(frame, at, rng_below(rng, 65536));
        break;
    case 2:
        frame_set16(frame, at, length + 1 + rng_below(rng, 40));
        break;
    default:
        frame_set16(frame, at, rng_below(rng, length + 1));
        break;
    }
}

/* Tags, other ethertypes, cut frames, padding, and bytes that are anything. */
static void damage(struct rng *rng, const struct theme *theme, struct frame *frame)
{
    static const unsigned int ethertypes[] = {0x0800, 0x86dd, 0x8100, 0x88a8, 0x8864, 100};
    struct fence_addr mapped = lab_friend(4);
    size_t least;

    if (rng_chance(rng, 5))
        frame_set16(frame, 12, RNG_PICK(rng, ethertypes));
    /* a test run wants a whole IP header */
    least = FRAME_ETHERNET + (frame->bytes[12] == 0x86 ? FRAME_IPV6 : 20);
    if (frame->size < least)
        frame_insert(frame, frame->size, least - frame->size, 0);
    if (rng_chance(rng, 30))
        lie_about_length(rng, theme, frame);
    if (rng_chance(rng, 20) && frame->size > least)
        frame->size = least + rng_below(rng, (unsigned int)(frame->size - least));
    if (rng_chance(rng, 20))
        frame_insert(frame, frame->size, rng_below(rng, 60), 0x50);
    for (unsigned int count = rng_chance(rng, 40) ? rng_below(rng, 4) : 0; count; count--)
        frame->bytes[FRAME_ETHERNET + rng_below(rng, (unsigned int)frame->size - FRAME_ETHERNET)] =
            (unsigned char)rng_next(rng);
    if (theme->family == 6 && rng_chance(rng, 5)) /* as IPv4 addresses are written inside */
        frame_put(frame, FRAME_ETHERNET + (rng_chance(rng, 50) ? 8 : 24), &mapped, sizeof(mapped));
    if (rng_chance(rng, 3))
        frame_tag(frame, 0x8100);
}

static void generate(struct rng *rng, const struct theme *theme, struct generated *generated)
{
    struct fence_packet packet = theme->packet;
    struct frame *frame = &generated->frame;
    size_t bare;

    if (rng_chance(rng, 20))
        packet.destination_port = pick_port(rng);
    if (packet.protocol == IPPROTO_TCP)
        packet.tcp_flags = pick_flags(rng);
    *frame = frame_build(&packet);
    bare = frame->size;
    /* without payload the frame may be as short as its headers */
    frame_insert(frame, frame->size, rng_chance(rng, 20) ? 0 : 32 + rng_below(rng, 90), 0);
    fill_payload(rng, frame, bare);
    frame_fit(frame, theme->family);
    if (theme->family == 6 && rng_chance(rng, 30))
        add_headers(rng, theme, frame); /* within the fragment */
    if (theme->fragments)
        add_fragment(rng, theme, frame);
    add_headers(rng, theme, frame);
    generated->segment = rng_chance(rng, 5) ? 100 : 0;
    if (theme->wild)
        damage(rng, theme, frame);
}

size_t generate_sequence(struct rng *rng, enum fence_direction direction,
                         struct generated packets[GENERATE_SEQUENCE_MAX])
{
    struct theme theme = pick_theme(rng, direction);
    size_t count = 1 + rng_below(rng, GENERATE_SEQUENCE_MAX);

    for (size_t i = 0; i < count; i++)
        if (i && rng_chance(rng, 10))
            packets[i] = packets[i - 1 - rng_below(rng, (unsigned int)i)];
        else
            generate(rng, &theme, &packets[i]);
    return count;
}

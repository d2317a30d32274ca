/* SPDX-License-Identifier: Apache-2.0 */
#include "test/bpf/reference.h"

#include <string.h>

/* A run of bytes that has an end. */
struct bytes {
    const unsigned char *at;
    size_t size;
};

enum protocol {
    PROTOCOL_HOP_BY_HOP = 0,
    PROTOCOL_ICMP = 1,
    PROTOCOL_TCP = 6,
    PROTOCOL_UDP = 17,
    PROTOCOL_ROUTING = 43,
    PROTOCOL_FRAGMENT = 44,
    PROTOCOL_AUTHENTICATION = 51,
    PROTOCOL_ICMPV6 = 58,
    PROTOCOL_DESTINATION = 60,
    PROTOCOL_SCTP = 132,
};

static unsigned int get16(const unsigned char *at)
{
    return (unsigned int)at[0] << 8 | at[1];
}

static struct bytes skip(struct bytes bytes, size_t count)
{
    return (struct bytes){bytes.at + count, bytes.size - count};
}

static void refuse(struct reference *reference, const char *why)
{
    reference->kind = REFERENCE_REFUSE;
    reference->why = why;
}

/* ---- transport ------------------------------------------------------------------------------ */

static void read_tcp(struct reference *reference, struct bytes rest)
{
    if (rest.size < 20) {
        refuse(reference, "TCP header is not whole");
        return;
    }
    if (rest.at[12] >> 4 < 5)
        refuse(reference, "TCP data offset below 5");
    else if (rest.at[12] / 16 * (size_t)4 > rest.size && reference->fragment == REFERENCE_WHOLE)
        reference->odd = "TCP options beyond the packet";
    reference->source_port = get16(rest.at);
    reference->destination_port = get16(rest.at + 2);
    reference->tcp_flags = rest.at[13];
}

static void read_ports(struct reference *reference, struct bytes rest)
{
    if (rest.size < 8) {
        refuse(reference, "UDP or SCTP header is not whole");
        return;
    }
    if (reference->protocol == PROTOCOL_SCTP && rest.size < 12)
        reference->odd = "SCTP common header is not whole";
    reference->source_port = get16(rest.at);
    reference->destination_port = get16(rest.at + 2);
}

static void read_icmp(struct reference *reference, struct bytes rest, int version)
{
    if (rest.size < 8) {
        refuse(reference, "ICMP header is not whole");
        return;
    }
    if ((version == 4) != (reference->protocol == PROTOCOL_ICMP))
        refuse(reference, "ICMP of the other family");
    reference->destination_port = get16(rest.at);
    reference->neighbour = version == 6 && ((rest.at[0] >= 130 && rest.at[0] <= 137) ||
                                            rest.at[0] == 143 || rest.at[0] == 148);
    if (version == 4 && (rest.at[0] == 5 || rest.at[0] == 9))
        reference->odd = "a router's message";
}

static void read_transport(struct reference *reference, struct bytes rest, int version)
{
    if (reference->fragment == REFERENCE_LATER)
        return;
    switch (reference->protocol) {
    case PROTOCOL_TCP:
        read_tcp(reference, rest);
        break;
    case PROTOCOL_UDP:
    case PROTOCOL_SCTP:
        read_ports(reference, rest);
        break;
    case PROTOCOL_ICMP:
    case PROTOCOL_ICMPV6:
        read_icmp(reference, rest, version);
        break;
    default:
        break;
    }
}

static void set_fragment(struct reference *reference, unsigned int offset, bool more)
{
    if (offset)
        reference->fragment = REFERENCE_LATER;
    else if (more)
        reference->fragment = REFERENCE_FIRST;
    /* RFC 1858, 3128: such a fragment could rewrite the header that has been judged */
    if (reference->protocol == PROTOCOL_TCP && offset && offset < 20)
        refuse(reference, "a fragment over the TCP header");
    else if (offset && offset < 20)
        reference->odd = "a fragment near the transport header";
}

/* ---- IPv4 ----------------------------------------------------------------------------------- */

static void set_address4(struct fence_addr *addr, const unsigned char *at)
{
    memset(addr->bytes, 0, 10);
    addr->bytes[10] = addr->bytes[11] = 0xff;
    memcpy(addr->bytes + 12, at, 4);
}

/* RFC 791 section 3.1: options of one byte, or with a length. */
static void read_options(struct reference *reference, struct bytes options)
{
    while (options.size) {
        unsigned int type = options.at[0];

        if (type == 0)
            return;
        if (type == 131 || type == 137)
            reference->odd = "a source route";
        if (type == 1) {
            options = skip(options, 1);
            continue;
        }
        if (options.size < 2 || options.at[1] < 2 || options.at[1] > options.size) {
            reference->odd = "options that do not fit";
            return;
        }
        options = skip(options, options.at[1]);
    }
}

static bool is_martian4(const unsigned char *source, const unsigned char *destination)
{
    return source[0] == 127 || source[0] >= 224 || destination[0] == 127;
}

static void read_ipv4(struct reference *reference, struct bytes packet, bool segments)
{
    const unsigned char *at = packet.at;
    size_t header, total;

    if (packet.size < 20 || at[0] >> 4 != 4) {
        refuse(reference, "no IPv4 header");
        return;
    }
    header = (size_t)4 * (at[0] & 0xf);
    total = get16(at + 2);
    if (total == 0 && segments)
        total = packet.size;
    if (header < 20 || total < header || total > packet.size) {
        refuse(reference, "IPv4 lengths do not fit");
        return;
    }
    reference->kind = REFERENCE_TUPLE;
    reference->protocol = at[9];
    reference->id = get16(at + 4);
    set_address4(&reference->source, at + 12);
    set_address4(&reference->destination, at + 16);
    read_options(reference, (struct bytes){at + 20, header - 20});
    set_fragment(reference, (get16(at + 6) & 0x1fff) * 8, get16(at + 6) & 0x2000);
    if (is_martian4(at + 12, at + 16))
        refuse(reference, "martian");
    if (reference->kind == REFERENCE_TUPLE)
        read_transport(reference, (struct bytes){at + header, total - header}, 4);
}

/* ---- IPv6 ----------------------------------------------------------------------------------- */

/* The size of an extension header, 0 for what is none; the fragment header is not among them. */
static size_t extension_size(unsigned int type, const unsigned char *at)
{
    switch (type) {
    case PROTOCOL_HOP_BY_HOP:
    case PROTOCOL_ROUTING:
    case PROTOCOL_DESTINATION:
        return ((size_t)at[1] + 1) * 8;
    case PROTOCOL_AUTHENTICATION:
        return ((size_t)at[1] + 2) * 4;
    default:
        return 0;
    }
}

static bool is_extension(unsigned int type)
{
    return type == PROTOCOL_HOP_BY_HOP || type == PROTOCOL_ROUTING ||
           type == PROTOCOL_DESTINATION || type == PROTOCOL_AUTHENTICATION ||
           type == PROTOCOL_FRAGMENT;
}

struct walk {
    struct bytes rest;
    unsigned int next;
    unsigned int headers;
    unsigned int fragment_headers;
};

/* The fragment header at the front of what is left. False: nothing more to be read. */
static bool walk_fragment(struct reference *reference, struct walk *walk)
{
    const unsigned char *at = walk->rest.at;

    if (walk->rest.size < 8 || walk->fragment_headers++) {
        refuse(reference, "a fragment header cut short, or a second one");
        return false;
    }
    walk->next = at[0];
    reference->protocol = at[0];
    reference->id = get16(at + 4) << 16 | get16(at + 6);
    set_fragment(reference, get16(at + 2) & 0xfff8, at[3] & 1);
    walk->rest = skip(walk->rest, 8);
    return reference->fragment != REFERENCE_LATER && reference->kind == REFERENCE_TUPLE;
}

static bool walk_extension(struct reference *reference, struct walk *walk)
{
    const unsigned char *at = walk->rest.at;
    size_t size;

    if (walk->rest.size < 2) {
        refuse(reference, "an extension header cut short");
        return false;
    }
    size = extension_size(walk->next, at);
    if (size > walk->rest.size) {
        refuse(reference, "an extension header beyond the packet");
        return false;
    }
    if (walk->next == PROTOCOL_ROUTING && size >= 4 && at[3])
        reference->odd = "segments left";
    if (walk->next == PROTOCOL_AUTHENTICATION && size < 12)
        reference->odd = "an authentication header without its fields";
    walk->next = at[0];
    walk->rest = skip(walk->rest, size);
    return true;
}

/* Every IPv4 address is written as mapped here; on the wire such an address is nobody's. */
static bool is_mapped(const unsigned char *at)
{
    static const unsigned char prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    return memcmp(at, prefix, sizeof(prefix)) == 0;
}

static bool is_martian6(const unsigned char *source, const unsigned char *destination)
{
    static const unsigned char loopback[16] = {[15] = 1};

    return source[0] == 0xff || memcmp(source, loopback, 16) == 0 ||
           memcmp(destination, loopback, 16) == 0 || is_mapped(source) || is_mapped(destination);
}

static void read_ipv6(struct reference *reference, struct bytes packet, bool segments)
{
    const unsigned char *at = packet.at;
    struct walk walk;
    size_t length;

    if (packet.size < 40 || at[0] >> 4 != 6) {
        refuse(reference, "no IPv6 header");
        return;
    }
    length = get16(at + 4);
    if (length == 0 && segments)
        length = packet.size - 40;
    if (length > packet.size - 40) {
        refuse(reference, "IPv6 payload length does not fit");
        return;
    }
    reference->kind = REFERENCE_TUPLE;
    memcpy(reference->source.bytes, at + 8, 16);
    memcpy(reference->destination.bytes, at + 24, 16);
    if (is_martian6(at + 8, at + 24)) {
        refuse(reference, "martian");
        return;
    }
    walk = (struct walk){.rest = {at + 40, length}, .next = at[6]};
    while (is_extension(walk.next)) {
        if (++walk.headers > 5)
            reference->odd = "more than five extension headers";
        if (!(walk.next == PROTOCOL_FRAGMENT ? walk_fragment(reference, &walk)
                                             : walk_extension(reference, &walk)))
            return;
    }
    reference->protocol = walk.next;
    if ((size_t)(walk.rest.at - packet.at) > 1000)
        reference->odd = "a transport header far behind";
    read_transport(reference, walk.rest, 6);
}

struct reference reference_parse(const unsigned char *frame, size_t size, bool segments)
{
    struct reference reference = {.kind = REFERENCE_REFUSE};
    struct bytes packet = {frame + 14, size - 14};

    switch (get16(frame + 12)) {
    case 0x0800:
        read_ipv4(&reference, packet, segments);
        break;
    case 0x86dd:
        read_ipv6(&reference, packet, segments);
        break;
    case 0x0806:
        reference.kind = REFERENCE_ARP;
        break;
    default:
        break;
    }
    return reference;
}

/* ---- fragments ------------------------------------------------------------------------------ */

static bool is_same_datagram(const struct reference *a, const struct reference *b)
{
    return a->id == b->id && a->protocol == b->protocol &&
           memcmp(&a->source, &b->source, sizeof(a->source)) == 0 &&
           memcmp(&a->destination, &b->destination, sizeof(a->destination)) == 0;
}

struct reference reference_follow(struct reference_memory *memory, const unsigned char *frame,
                                  size_t size, bool segments)
{
    struct reference reference = reference_parse(frame, size, segments);
    size_t capacity = sizeof(memory->firsts) / sizeof(memory->firsts[0]);

    if (reference.kind != REFERENCE_TUPLE)
        return reference;
    if (reference.fragment == REFERENCE_FIRST && memory->count < capacity)
        memory->firsts[memory->count++] = reference;
    if (reference.fragment != REFERENCE_LATER)
        return reference;
    for (size_t i = memory->count; i-- > 0;)
        if (is_same_datagram(&memory->firsts[i], &reference)) {
            reference.source_port = memory->firsts[i].source_port;
            reference.destination_port = memory->firsts[i].destination_port;
            reference.neighbour = memory->firsts[i].neighbour;
            if (memory->firsts[i].odd)
                reference.odd = memory->firsts[i].odd;
            return reference;
        }
    refuse(&reference, "a fragment without its first");
    return reference;
}

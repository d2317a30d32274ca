/* SPDX-License-Identifier: Apache-2.0 */
/* Checksums are those of the packet before it was changed: the data path looks at none. */
#include "test/policy/frames.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/addr.h"
#include "lib/base/memory.h"

#define IPV4_HEADER   20u
#define IPV6_HEADER   40u
#define ICMP_HEADER   8u
#define FRAGMENT_STEP 64u /* bytes of payload in each fragment */
#define MORE          1u
#define ND_HOP_LIMIT  255u
#define ARP_BYTES     28u

static bool is_ipv4(const struct frame_request *request)
{
    return fence_addr_is_ipv4(&request->packet.source);
}

static bool says(const struct frame_request *request, const char *words)
{
    return strstr(request->what, words) != NULL;
}

/* The number behind the words; false when they are not there. */
static bool says_number(const struct frame_request *request, const char *words,
                        unsigned int *ret_number)
{
    const char *at = strstr(request->what, words);

    return at && sscanf(at + strlen(words), " %u", ret_number) == 1;
}

/* ---- the words ------------------------------------------------------------------------------- */

/* The first that is in the text: longer ones in front of what they contain. */
static const struct {
    const char *words;
    unsigned int flags;
} tcp_words[] = {
    {"SYN-ACK", FENCE_TCP_SYN | FENCE_TCP_ACK},
    {"FIN-ACK", FENCE_TCP_FIN | FENCE_TCP_ACK},
    {"RST-ACK", FENCE_TCP_RST | FENCE_TCP_ACK},
    {"SYN", FENCE_TCP_SYN},
    {"FIN", FENCE_TCP_FIN | FENCE_TCP_ACK},
    {"RST", FENCE_TCP_RST},
    {"ACK", FENCE_TCP_ACK},
    {"data", FENCE_TCP_ACK},
};

#define TYPE(type, code) ((type) << 8 | (code))
#define NONE             0xffffu

static const struct {
    const char *words;
    unsigned int v4; /* type << 8 | code */
    unsigned int v6;
    bool error;
} icmp_words[] = {
    {"fragmentation needed", TYPE(3, 4), NONE, true},
    {"packet too big", NONE, TYPE(2, 0), true},
    {"port unreachable", TYPE(3, 3), TYPE(1, 4), true},
    {"host unreachable", TYPE(3, 1), TYPE(1, 3), true},
    {"unreachable", TYPE(3, 0), TYPE(1, 0), true},
    {"time exceeded", TYPE(11, 0), TYPE(3, 0), true},
    {"parameter problem", TYPE(12, 0), TYPE(4, 0), true},
    {"echo request", TYPE(8, 0), TYPE(128, 0), false},
    {"echo reply", TYPE(0, 0), TYPE(129, 0), false},
    {"router solicitation", NONE, TYPE(133, 0), false},
    {"router advertisement", NONE, TYPE(134, 0), false},
    {"neighbour solicitation", NONE, TYPE(135, 0), false},
    {"neighbour advertisement", NONE, TYPE(136, 0), false},
    {"redirect", TYPE(5, 0), TYPE(137, 0), false},
};

static bool find_flags(const struct frame_request *request, unsigned int *ret_flags)
{
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(tcp_words); i++)
        if (says(request, tcp_words[i].words)) {
            *ret_flags = tcp_words[i].flags;
            return true;
        }
    return false;
}

static bool is_icmp(const struct frame_request *request)
{
    return request->packet.protocol == IPPROTO_ICMP || request->packet.protocol == IPPROTO_ICMPV6;
}

/* Index into icmp_words; their count when the text has none. */
static size_t find_type(const struct frame_request *request, unsigned int *ret_type)
{
    size_t i;

    for (i = 0; i < FENCE_ARRAY_SIZE(icmp_words); i++) {
        *ret_type = is_ipv4(request) ? icmp_words[i].v4 : icmp_words[i].v6;
        if (says(request, icmp_words[i].words) && *ret_type != NONE)
            break;
    }
    return i;
}

bool frame_is_first_fragment(const char *what)
{
    return strstr(what, "first fragment") || strstr(what, "offset 0,");
}

bool frame_is_error(const struct frame_request *request)
{
    unsigned int type;
    size_t found = is_icmp(request) ? find_type(request, &type) : FENCE_ARRAY_SIZE(icmp_words);

    return found < FENCE_ARRAY_SIZE(icmp_words) && icmp_words[found].error;
}

static bool has_header(unsigned int protocol)
{
    return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
}

/* Any other text is of a connection's first packet, where the file states ports or there are none.
 */
static int read_words(const struct frame_request *request, struct fence_packet *packet)
{
    unsigned int type;

    if (is_icmp(request)) {
        if (find_type(request, &type) == FENCE_ARRAY_SIZE(icmp_words))
            return -EINVAL;
        packet->destination_port = type;
        return 0;
    }
    if (packet->protocol == IPPROTO_TCP && find_flags(request, &packet->tcp_flags))
        return 0;
    if (request->has_ports || !has_header(packet->protocol) || says(request, "fragment") ||
        says(request, "offset ") || says(request, " length "))
        return 0;
    return -EINVAL;
}

/* ---- changes to the frame -------------------------------------------------------------------- */

static size_t transport_at(const struct frame_request *request)
{
    return ETH_HLEN + (is_ipv4(request) ? IPV4_HEADER : IPV6_HEADER);
}

static void set16(struct frame *frame, size_t at, unsigned int value)
{
    frame->bytes[at] = (unsigned char)(value >> 8);
    frame->bytes[at + 1] = (unsigned char)value;
}

/* The length that the IP header states. */
static void set_length(const struct frame_request *request, struct frame *frame)
{
    if (is_ipv4(request))
        set16(frame, ETH_HLEN + 2, (unsigned int)(frame->size - ETH_HLEN));
    else
        set16(frame, ETH_HLEN + 4, (unsigned int)(frame->size - ETH_HLEN - IPV6_HEADER));
}

static void insert(struct frame *frame, size_t at, size_t count, unsigned char fill)
{
    memmove(frame->bytes + at + count, frame->bytes + at, frame->size - at);
    memset(frame->bytes + at, fill, count);
    frame->size += count;
}

/* An IPv6 extension header of eight bytes in front of everything behind the IPv6 header. */
static void insert_extension(const struct frame_request *request, struct frame *frame,
                             unsigned char header)
{
    size_t at = ETH_HLEN + IPV6_HEADER;

    insert(frame, at, 8, 0);
    frame->bytes[at] = frame->bytes[ETH_HLEN + 6];
    frame->bytes[ETH_HLEN + 6] = header;
    set_length(request, frame);
}

static void make_fragment(const struct frame_request *request, struct frame *frame,
                          unsigned int offset, unsigned int more)
{
    if (is_ipv4(request)) {
        set16(frame, ETH_HLEN + 4, request->identification);
        set16(frame, ETH_HLEN + 6, more << 13 | offset / 8);
        return;
    }
    insert_extension(request, frame, IPPROTO_FRAGMENT);
    set16(frame, ETH_HLEN + IPV6_HEADER + 2, offset | more);
    set16(frame, ETH_HLEN + IPV6_HEADER + 6, request->identification);
}

static void change_fragment(const struct frame_request *request, struct frame *frame)
{
    unsigned int source, destination, bytes;
    const char *looks = strstr(request->what, "bytes 0-3 = ");
    const char *offset = strstr(request->what, "offset 0, ");

    if (looks && sscanf(looks, "bytes 0-3 = %u, %u", &source, &destination) == 2) {
        set16(frame, transport_at(request), source);
        set16(frame, transport_at(request) + 2, destination);
    }
    if (offset && sscanf(offset, "offset 0, %u bytes", &bytes) == 1) {
        frame->size = transport_at(request) + bytes;
        set_length(request, frame);
    }
    if (frame_is_first_fragment(request->what))
        make_fragment(request, frame, 0, MORE);
    else if (says(request, "last fragment"))
        make_fragment(request, frame, 2 * FRAGMENT_STEP, 0);
    else if (says(request, "fragment,") || says(request, "later fragment") ||
             says(request, "offset > 0"))
        make_fragment(request, frame, FRAGMENT_STEP, MORE);
}

/* Options that do nothing: whoever counts 20 bytes takes them for ports. */
static void change_header(const struct frame_request *request, struct frame *frame)
{
    unsigned int words, length;

    if (is_ipv4(request) && says_number(request, "ihl", &words) && words > 5) {
        insert(frame, ETH_HLEN + IPV4_HEADER, (size_t)(words - 5) * 4, 1);
        frame->bytes[ETH_HLEN] = (unsigned char)(0x40 | words);
        set_length(request, frame);
    }
    if (!is_ipv4(request) && says(request, "hop-by-hop"))
        insert_extension(request, frame, IPPROTO_HOPOPTS);
    if (!is_ipv4(request) && says(request, "destination options"))
        insert_extension(request, frame, IPPROTO_DSTOPTS);
    if (!is_ipv4(request) && says(request, "routing header"))
        insert_extension(request, frame, IPPROTO_ROUTING);
    if (is_ipv4(request) && says_number(request, "total length", &length)) {
        frame->size = ETH_HLEN + length;
        set_length(request, frame);
    }
    if (!is_ipv4(request) && says_number(request, "payload length", &length)) {
        frame->size = ETH_HLEN + IPV6_HEADER + length;
        set_length(request, frame);
    }
    if (says(request, "VLAN")) {
        insert(frame, ETH_HLEN - 2, 4, 0);
        set16(frame, ETH_HLEN - 2, ETH_P_8021Q);
    }
}

/* The target is whom a solicitation asks for, and who advertises. */
static void change_neighbour(const struct frame_request *request, struct frame *frame)
{
    const struct fence_packet *packet = &request->packet;
    size_t at = transport_at(request);
    bool asks = says(request, "solicitation");

    if (!says(request, "neighbour ") && !says(request, "router "))
        return;
    memset(frame->bytes + at + 4, 0, 4);
    if (says(request, "neighbour "))
        memcpy(frame->bytes + at + ICMP_HEADER,
               asks ? packet->destination.bytes : packet->source.bytes, 16);
    frame->bytes[ETH_HLEN + 7] = ND_HOP_LIMIT;
}

static size_t payload_of(const struct frame_request *request)
{
    if (frame_is_error(request))
        return request->quoted ? request->quoted->size - ETH_HLEN : 0;
    if (is_icmp(request))
        return 16;
    if (says(request, "SYN") || says(request, "ACK") || says(request, "RST"))
        return 0;
    return FRAGMENT_STEP;
}

/* RFC 826, over Ethernet and IPv4. */
static void build_arp(const struct frame_request *request, struct frame *frame)
{
    const struct fence_packet *packet = &request->packet;
    unsigned char *arp = frame->bytes + ETH_HLEN;

    memcpy(frame->bytes, packet->destination_mac, ETH_ALEN);
    memcpy(frame->bytes + ETH_ALEN, packet->source_mac, ETH_ALEN);
    frame->size = ETH_HLEN + ARP_BYTES;
    memset(arp, 0, ARP_BYTES);
    set16(frame, ETH_HLEN - 2, ETH_P_ARP);
    set16(frame, ETH_HLEN, 1);
    set16(frame, ETH_HLEN + 2, ETH_P_IP);
    arp[4] = ETH_ALEN;
    arp[5] = 4;
    set16(frame, ETH_HLEN + 6, says(request, "reply") ? 2 : 1);
    memcpy(arp + 8, packet->source_mac, ETH_ALEN);
    memcpy(arp + 14, packet->source.bytes + 12, 4);
    memcpy(arp + 24, packet->destination.bytes + 12, 4);
}

int frame_build(const struct frame_request *request, struct frame *ret_frame, struct fence_err *err)
{
    struct fence_packet packet = request->packet;
    struct frame frame;

    if (request->arp) {
        build_arp(request, ret_frame);
        return 0;
    }
    if (read_words(request, &packet) < 0)
        return fence_err_set(err, -EINVAL, "nobody knows what \"%s\" looks like (frames.c)",
                             request->what);
    packet.payload = (unsigned int)payload_of(request);
    frame.size = fence_packet_build(&packet, frame.bytes);
    if (frame_is_error(request) && request->quoted)
        memcpy(frame.bytes + transport_at(request) + ICMP_HEADER, request->quoted->bytes + ETH_HLEN,
               packet.payload);
    if (is_icmp(request))
        change_neighbour(request, &frame);
    change_fragment(request, &frame);
    change_header(request, &frame);
    *ret_frame = frame;
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "test/bpf/frame.h"

#include <netinet/in.h>
#include <string.h>

#include "test/cmocka.h"

size_t frame_ip_size(int family)
{
    return family == 4 ? 20 : FRAME_IPV6;
}

unsigned int frame_icmp(int family)
{
    return family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
}

struct frame frame_build(const struct fence_packet *packet)
{
    struct frame frame = {.size = 0};

    frame.size = fence_packet_build(packet, frame.bytes);
    return frame;
}

struct frame frame_from_friend(int family, unsigned int protocol, unsigned int port)
{
    struct fence_packet packet =
        lab_packet(FENCE_INGRESS, lab_friend(family), protocol, 40000, port);

    packet.payload = 64;
    return frame_build(&packet);
}

struct frame frame_from_pod(struct fence_addr remote, unsigned int protocol,
                            unsigned int source_port, unsigned int destination_port)
{
    struct fence_packet packet =
        lab_packet(FENCE_EGRESS, remote, protocol, source_port, destination_port);

    packet.payload = 64;
    return frame_build(&packet);
}

void frame_set16(struct frame *frame, size_t at, unsigned int value)
{
    frame->bytes[at] = (unsigned char)(value >> 8);
    frame->bytes[at + 1] = (unsigned char)value;
}

void frame_put(struct frame *frame, size_t at, const void *bytes, size_t count)
{
    assert_true(at + count <= sizeof(frame->bytes));
    memcpy(frame->bytes + at, bytes, count);
}

void frame_insert(struct frame *frame, size_t at, size_t count, unsigned char fill)
{
    assert_true(at <= frame->size && frame->size + count <= sizeof(frame->bytes));
    memmove(frame->bytes + at + count, frame->bytes + at, frame->size - at);
    memset(frame->bytes + at, fill, count);
    frame->size += count;
}

void frame_fit(struct frame *frame, int family)
{
    if (family == 4)
        frame_set16(frame, FRAME_ETHERNET + 2, (unsigned int)(frame->size - FRAME_ETHERNET));
    else
        frame_set16(frame, FRAME_ETHERNET + 4,
                    (unsigned int)(frame->size - FRAME_ETHERNET - FRAME_IPV6));
}

void frame_tag(struct frame *frame, unsigned int ethertype)
{
    frame_insert(frame, 12, 4, 0);
    frame_set16(frame, 12, ethertype);
}

void frame_options(struct frame *frame, const void *options, size_t count)
{
    size_t words = frame->bytes[FRAME_ETHERNET] & 0xf;
    size_t at = FRAME_ETHERNET + words * 4;

    frame_insert(frame, at, count, 0);
    frame_put(frame, at, options, count);
    frame->bytes[FRAME_ETHERNET] = (unsigned char)(0x40 | (words + count / 4));
    frame_fit(frame, 4);
}

void frame_extension(struct frame *frame, unsigned char type, const unsigned char *body)
{
    unsigned char next = frame->bytes[FRAME_ETHERNET + 6];
    size_t at = FRAME_ETHERNET + FRAME_IPV6;

    frame_insert(frame, at, 8, 0);
    frame->bytes[at] = next;
    if (body)
        frame_put(frame, at + 2, body, 6);
    frame->bytes[FRAME_ETHERNET + 6] = type;
    frame_fit(frame, 6);
}

void frame_fragment(struct frame *frame, int family, struct frame_part part)
{
    size_t at = FRAME_ETHERNET + FRAME_IPV6;

    if (family == 4) {
        frame_set16(frame, FRAME_ETHERNET + 4, part.id);
        frame_set16(frame, FRAME_ETHERNET + 6, part.offset / 8 | (part.more ? 0x2000u : 0));
        return;
    }
    frame_extension(frame, IPPROTO_FRAGMENT, NULL);
    frame_set16(frame, at + 2, part.offset | part.more);
    frame_set16(frame, at + 4, part.id >> 16);
    frame_set16(frame, at + 6, part.id & 0xffff);
}

void frame_payload(struct frame *frame, int family, const void *payload, size_t size)
{
    size_t at = FRAME_ETHERNET + frame_ip_size(family);

    frame->size = at + size;
    frame_put(frame, at, payload, size);
    frame_fit(frame, family);
}

struct lab_result frame_run(enum fence_direction direction, const struct frame *frame)
{
    return lab_run_frame(direction, frame->bytes, frame->size);
}

struct frame frame_nd(unsigned int type, const char *source, const char *destination,
                      const char *target)
{
    struct fence_packet packet =
        lab_packet(FENCE_EGRESS, lab_addr(destination), IPPROTO_ICMPV6, 0, type << 8);
    struct fence_addr addr = lab_addr(target);
    struct frame frame;

    packet.source = lab_addr(source);
    packet.payload = 16;
    frame = frame_build(&packet);
    frame.bytes[FRAME_ETHERNET + 7] = 255;
    frame_put(&frame, FRAME_ETHERNET + FRAME_IPV6 + 8, addr.bytes, 16);
    return frame;
}

struct frame frame_arp(const unsigned char *sender_mac, const char *sender, const char *target)
{
    static const unsigned char fixed[8] = {0, 1, 8, 0, 6, 4, 0, 2};
    struct fence_addr from = lab_addr(sender), to = lab_addr(target);
    struct frame frame = {.size = FRAME_ETHERNET + 28};

    frame_put(&frame, 0, lab_gateway_mac, 6);
    frame_put(&frame, 6, lab_pod_mac, 6);
    frame_set16(&frame, 12, 0x0806);
    frame_put(&frame, 14, fixed, sizeof(fixed));
    frame_put(&frame, 22, sender_mac, 6);
    frame_put(&frame, 28, from.bytes + 12, 4);
    frame_put(&frame, 32, lab_gateway_mac, 6);
    frame_put(&frame, 38, to.bytes + 12, 4);
    return frame;
}

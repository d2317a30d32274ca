/* SPDX-License-Identifier: Apache-2.0 */
/* Frames that are built whole and then bent: tags, options, extension headers, fragments. */
#pragma once

#include "test/bpf/lab.h"

#define FRAME_ETHERNET 14u
#define FRAME_IPV6     40u

struct frame {
    unsigned char bytes[FENCE_PACKET_MAX];
    size_t size;
};

/* 20 or 40. */
size_t frame_ip_size(int family);
unsigned int frame_icmp(int family);

struct frame frame_build(const struct fence_packet *packet);
/* From the friend to the pod, 64 bytes of payload behind the transport header. */
struct frame frame_from_friend(int family, unsigned int protocol, unsigned int port);
/* From the pod to `remote`. */
struct frame frame_from_pod(struct fence_addr remote, unsigned int protocol,
                            unsigned int source_port, unsigned int destination_port);

void frame_set16(struct frame *frame, size_t at, unsigned int value);
void frame_put(struct frame *frame, size_t at, const void *bytes, size_t count);
/* Make room for `count` bytes at `at`, filled with `fill`. The IP header is left as it is. */
void frame_insert(struct frame *frame, size_t at, size_t count, unsigned char fill);
/* The length field of the IP header says where the frame ends. */
void frame_fit(struct frame *frame, int family);

/* Four bytes in front of the ethertype: 0x8100 or 0x88a8, VLAN 0. */
void frame_tag(struct frame *frame, unsigned int ethertype);
/* IPv4 options behind the options that there are; `count` is a multiple of four. */
void frame_options(struct frame *frame, const void *options, size_t count);
/* An IPv6 extension header of eight bytes, as the first of the chain; `body` (6 bytes) may be NULL.
 */
void frame_extension(struct frame *frame, unsigned char type, const unsigned char *body);

struct frame_part {
    unsigned int id;
    unsigned int offset; /* bytes, a multiple of 8 */
    bool more;
};
/* State that the frame is a fragment; in IPv6 a header is put in front of the whole chain. */
void frame_fragment(struct frame *frame, int family, struct frame_part part);
/* What follows the IP header is replaced: `payload` of `size` bytes. Before frame_fragment. */
void frame_payload(struct frame *frame, int family, const void *payload, size_t size);

struct lab_result frame_run(enum fence_direction direction, const struct frame *frame);

/* An ICMPv6 message of the pod with a target behind its first eight bytes, hop limit 255. */
struct frame frame_nd(unsigned int type, const char *source, const char *destination,
                      const char *target);
/* ARP answer of the pod to `receiver`. */
struct frame frame_arp(const unsigned char *sender_mac, const char *sender, const char *target);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking the kernel: build the first packet of a connection and run a probe program on it with
 * BPF_PROG_TEST_RUN, over the live maps. Also the packet builder of the BPF tests.
 */
#pragma once

#include <stddef.h>

#include "lib/datapath/pins.h"

#define FENCE_PACKET_MAX 2048

/* A packet to build: zeroed fields mean the default in brackets. */
struct fence_packet {
    unsigned char source_mac[6];
    unsigned char destination_mac[6];
    struct fence_addr source;
    struct fence_addr destination;
    unsigned int protocol;
    unsigned int source_port;      /* ICMP echo: the id */
    unsigned int destination_port; /* ICMP: type << 8 | code */
    unsigned int tcp_flags;        /* as in the header; [SYN] */
    unsigned int payload;          /* bytes behind the transport header */
};
#define FENCE_TCP_FIN 0x01u
#define FENCE_TCP_SYN 0x02u
#define FENCE_TCP_RST 0x04u
#define FENCE_TCP_ACK 0x10u

/* Ethernet frame with valid lengths and checksums into `buffer` (FENCE_PACKET_MAX); its size. */
size_t fence_packet_build(const struct fence_packet *packet, unsigned char *buffer);

struct fence_probe_result {
    __u8 verdict;
    __u8 reason;
    __u8 shadow;
    __u8 shadow_reason;
    __u32 rule;
    __u32 shadow_rule;
    __u32 peer;
    __u32 set;
};

/* Run a probe for the endpoint behind `ifindex`; its MAC and addresses make the packet lawful. */
int fence_probe(const struct fence_pins *pins, __u32 ifindex, enum fence_direction direction,
                enum fence_origin origin, const struct fence_packet *packet,
                struct fence_probe_result *ret_result, struct fence_err *err);

/* Of a run: where the packet is and was, what programs share, and the answer. */
struct fence_prog_context {
    __u32 ifindex;         /* of the device that the program runs at */
    __u32 ingress_ifindex; /* by which the packet came into the node, 0 = made here */
    __u32 cb[5];           /* in and out */
    int action;            /* out: TC action */
};

/* Run a program on a raw frame as it stands. Tests use it on from_pod/to_pod. The context is
 * untouched on failure; -ENODEV: there is no such device. */
int fence_prog_run(int prog_fd, struct fence_prog_context *context, const void *frame, size_t size,
                   struct fence_err *err);

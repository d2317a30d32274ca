/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames from words: a packets-*.json file says what a packet is ("SYN", "later fragment, same
 * identification", "SYN, ihl 6"), this makes the bytes.
 */
#pragma once

#include "lib/base/err.h"
#include "lib/datapath/probe.h"

struct frame {
    unsigned char bytes[FENCE_PACKET_MAX];
    size_t size; /* 0: none */
};

struct frame_request {
    const char *what;
    struct fence_packet packet; /* what the file says of it; flags and ICMP type come from `what` */
    bool arp;                   /* instead of IP: from source to destination */
    bool has_ports;             /* it states them */
    unsigned int identification; /* of fragments */
    const struct frame *quoted;  /* what an ICMP error is about */
};

/* Every form of the text is in the tables of frames.c. -EINVAL: it says nothing that is there. */
int frame_build(const struct frame_request *request, struct frame *ret_frame,
                struct fence_err *err);

/* "first fragment": later ones have its identification. */
bool frame_is_first_fragment(const char *what);
/* An ICMP error, which quotes a packet. */
bool frame_is_error(const struct frame_request *request);

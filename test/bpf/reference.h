/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a packet is, by the RFCs: a parser in plain C that shares nothing with bpf/. It reads IPv4
 * (RFC 791), IPv6 and its extension headers (RFC 8200, 4302), fragments (RFC 1858, 3128, 6946,
 * 7112) and the transport headers. The data path must find the same tuple, or refuse the packet.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "bpf/abi.h"

enum reference_kind {
    REFERENCE_REFUSE, /* no tuple: it must not pass, whatever policy says */
    REFERENCE_TUPLE,
    REFERENCE_ARP,
};

enum reference_fragment {
    REFERENCE_WHOLE,
    REFERENCE_FIRST,
    REFERENCE_LATER,
};

struct reference {
    struct fence_addr source;
    struct fence_addr destination;
    unsigned int protocol;
    unsigned int source_port;
    unsigned int destination_port; /* ICMP: type << 8 | code */
    unsigned int tcp_flags;
    unsigned int id; /* of the fragment */
    enum reference_kind kind;
    enum reference_fragment fragment;
    bool neighbour; /* ND or MLD: for other tests */
    /* the tuple is clear, and still a careful receiver may refuse the packet: why */
    const char *odd;
    const char *why; /* REFERENCE_REFUSE */
};

/* `segments`: the stack has put it together, so its length may be stated as 0. */
struct reference reference_parse(const unsigned char *frame, size_t size, bool segments);

/* First fragments of a sequence of packets. */
struct reference_memory {
    struct reference firsts[16];
    size_t count;
};

/* The same with the ports that the first fragment had; the packet is remembered if it is one. */
struct reference reference_follow(struct reference_memory *memory, const unsigned char *frame,
                                  size_t size, bool segments);

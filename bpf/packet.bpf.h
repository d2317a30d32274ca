/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What the steps of the pipeline hand to each other. */
#pragma once

#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/types.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/abi.h"
#include "bpf/maps.bpf.h"

/*
 * A step of its own for the verifier: a global function is verified once, whoever calls it, where
 * an inlined one multiplies the states of its caller. Pointers it takes must be checked for NULL.
 */
#define fence_step __attribute__((noinline))

#define fence_inline static __attribute__((always_inline)) inline

enum packet_fragment {
    PACKET_WHOLE = 0,
    PACKET_FIRST = 1, /* has the ports */
    PACKET_LATER = 2, /* has them from the first one, see parse_fragment */
};

/* A transport tuple as on the wire, ports in host order. ICMP: see struct packet. */
struct tuple {
    struct fence_addr source;
    struct fence_addr destination;
    __u16 source_port;
    __u16 destination_port;
    __u8 protocol;
    __u8 icmp_type;
    __u8 icmp_code;
    __u8 pad;
} __attribute__((aligned(8)));

/* One per packet, on the stack of the entry program. */
struct packet {
    struct tuple outer;
    struct fence_addr true_source; /* see origin.bpf.h */
    __u64 now;                     /* jiffies */
    __u64 secret[2];               /* from here: settings */
    __u32 hz;
    __u32 bucket_mask;
    __u32 ifindex;
    __u32 offset;      /* of the transport header */
    __u32 end;         /* offset behind the IP packet */
    __u32 fragment_id; /* IPv4: 16 bits, IPv6: 32 bits */
    __u16 ethertype;
    __u8 has_true_source;
    __u8 is_direct; /* on the same-node path, if its connection is */
    __u8 direction; /* enum fence_direction */
    __u8 origin;    /* enum fence_origin */
    __u8 probe;     /* nothing is written */
    __u8 fragment;  /* enum packet_fragment */
    __u8 tcp_flags; /* 0 for a later fragment */
    __u8 hop_limit;
    __u8 icmp_error;
    __u8 neighbour; /* ARP, ND or MLD: not for policy */
    __u32 length;   /* of the frame */
};

/* NULL: the daemon has never finished loading. */
fence_inline const struct fence_settings *settings_now(void)
{
    __u32 zero = 0;
    const struct fence_settings *setting = bpf_map_lookup_elem(&settings, &zero);

    return setting && setting->hz ? setting : NULL;
}

/* What few packets need of them is read when it is needed: packets have little stack. */
fence_inline __u32 setting_flags_now(void)
{
    __u32 zero = 0;
    const struct fence_settings *setting = bpf_map_lookup_elem(&settings, &zero);

    return setting ? setting->flags : 0;
}

/* A question to the policy: a connection of a pair, in `direction`, with that destination. */
struct question {
    __u32 direction; /* of the connection's first packet */
    __u32 position;  /* FENCE_POSITION of its destination */
    __u32 from_host; /* a process of this node opened it */
};

/* How a packet or connection was judged. */
struct judgement {
    __u32 set;
    __u32 peer;
    __u32 peer_identity;
    __u32 rule;
    __u32 shadow_rule;
    __u8 verdict;
    __u8 reason;
    __u8 shadow;
    __u8 shadow_reason;
    __u16 flags; /* FENCE_CONN_FROM_HOST, FENCE_CONN_MASQUERADED */
    __u16 pad;
    __u32 alike; /* connections of the flow that nothing has told of, besides this one */
};

#define TCP_BIT_FIN 0x01
#define TCP_BIT_SYN 0x02
#define TCP_BIT_RST 0x04
#define TCP_BIT_ACK 0x10

/*
 * To an address that lies on 8 bytes. In two stores, and each read back with one load: a load that
 * is wider than the store before it waits until that has reached the cache.
 */
fence_inline void address_from_ipv4(struct fence_addr *addr, __u32 network_order)
{
    __u64 *halves = (__u64 *)addr;

    halves[0] = 0;
    halves[1] = (__u64)network_order << 32 | bpf_htonl(0xffff);
}

fence_inline void address_clear(struct fence_addr *addr)
{
    __u64 *halves = (__u64 *)addr;

    halves[0] = halves[1] = 0;
}

fence_inline int address_is_ipv4(const struct fence_addr *addr)
{
    return (addr->words[0] | addr->words[1] | (addr->words[2] ^ bpf_htonl(0xffff))) == 0;
}

fence_inline int address_equal(const struct fence_addr *a, const struct fence_addr *b)
{
    return ((a->words[0] ^ b->words[0]) | (a->words[1] ^ b->words[1]) |
            (a->words[2] ^ b->words[2]) | (a->words[3] ^ b->words[3])) == 0;
}

/* Or, of IPv4, everybody on the link. */
fence_inline int address_is_multicast(const struct fence_addr *addr)
{
    return address_is_ipv4(addr) ? addr->bytes[12] >= 224 : addr->bytes[0] == 0xff;
}

fence_inline int address_is_none(const struct fence_addr *addr)
{
    return (addr->words[0] | addr->words[1] | addr->words[2] | addr->words[3]) == 0;
}

fence_inline int address_is_link_local(const struct fence_addr *addr)
{
    return addr->bytes[0] == 0xfe && (addr->bytes[1] & 0xc0) == 0x80;
}

fence_inline int is_icmp(__u8 protocol)
{
    return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

/* The pod's end and the other one. */
fence_inline const struct fence_addr *packet_local(const struct packet *packet)
{
    return packet->direction == FENCE_EGRESS ? &packet->outer.source : &packet->outer.destination;
}

fence_inline const struct fence_addr *packet_remote(const struct packet *packet)
{
    return packet->direction == FENCE_EGRESS ? &packet->outer.destination : &packet->outer.source;
}

/* Its connection, as fence_pair.latest has it. `direction` is the packet's. */
fence_inline __u64 packet_latest(const struct packet *packet, __u32 direction)
{
    const struct tuple *tuple = &packet->outer;
    __u64 ports = tuple->source_port | (__u32)tuple->destination_port << 16;

    /* by a turn instead of a branch, of which the verifier would follow both ways */
    ports |= ports << 32;
    return (__u32)(ports >> ((direction ^ FENCE_EGRESS) & 1) * 16) | (__u64)tuple->protocol << 32;
}

/* Both ports in one word. */
fence_inline __u32 packet_port_word(const struct packet *packet)
{
    return (__u32)packet->outer.source_port << 16 | (__u32)packet->outer.destination_port;
}

/* As it is reported: ICMP has no ports, but a type and a code of its own. (In its tuple is what
 * finds its connection: parse_icmp_tuple.) */
fence_inline __u16 packet_source_port(const struct packet *packet)
{
    return is_icmp(packet->outer.protocol) ? 0 : packet->outer.source_port;
}

fence_inline __u16 packet_port(const struct packet *packet)
{
    const struct tuple *tuple = &packet->outer;

    return is_icmp(tuple->protocol) ? tuple->icmp_type << 8 | tuple->icmp_code
                                    : tuple->destination_port;
}

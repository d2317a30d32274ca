/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What is left of a packet to be written behind us: a sender may leave its checksum to the device,
 * which writes it where the packet's own bookkeeping says. A pod with a raw socket says that too
 * (PACKET_VNET_HDR), and may mean its ports or its address. Where the kernel does not show it
 * (FENCE_PLAIN) it is not checked.
 */
#pragma once

#include <linux/if_ether.h>
#include <linux/in.h>

#include "bpf/kernel.bpf.h"
#include "bpf/packet.bpf.h"

#define CHECKSUM_LEFT 3 /* CHECKSUM_PARTIAL */

/* Where the transport header has its checksum; what stands behind the header is payload. No switch:
 * the compiler would make a table of it, and with that a map that is new at each load. */
fence_inline __u32 checksum_field(__u8 protocol)
{
    if (protocol == IPPROTO_TCP)
        return 16;
    barrier();
    if (protocol == IPPROTO_SCTP)
        return 8;
    barrier();
    return protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE || protocol == IPPROTO_DCCP ? 6
                                                                                              : 2;
}

/* Will anything but the packet's own checksum, or one inside its payload (of a tunnel), be
 * written? The packet is parsed. */
fence_inline int checksum_is_elsewhere(struct __sk_buff *skb, const struct packet *packet)
{
#ifndef FENCE_PLAIN
    struct sk_buff *kernel = bpf_cast_to_kern_ctx(skb);
    __u32 at, header;

    if (BPF_CORE_READ_BITFIELD(kernel, ip_summed) != CHECKSUM_LEFT)
        return 0;
    header = packet->outer.protocol == IPPROTO_TCP ? 20 : 8;
    at = kernel->csum_start + kernel->csum_offset - (__u32)(kernel->data - kernel->head);
    return packet->ethertype == ETH_P_ARP || packet->fragment != PACKET_WHOLE ||
           (at != packet->offset + checksum_field(packet->outer.protocol) &&
            at < packet->offset + header);
#else
    return 0;
#endif
}

fence_step int check_checksum(struct __sk_buff *skb, const struct packet *packet)
{
    return packet && checksum_is_elsewhere(skb, packet) ? FENCE_REASON_BAD_HEADER : 0;
}

/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Who sent a packet, where the kernel does not show it (FENCE_PLAIN): what leaves a pod carries its
 * endpoint's slot in some bits of the packet's mark (settings.mark_mask), which translation leaves
 * alone and a pod cannot write, since leaving its network namespace clears it. All other bits
 * belong to others.
 *
 * A process of the node could write it: only what comes under an address of the node and from no
 * process of it is asked. And only what was forwarded to one pod: in what the kernel makes itself
 * the word is another one's (reserved_tailroom).
 */
#pragma once

#include "bpf/kernel.bpf.h"
#include "bpf/maps.bpf.h"
#include "bpf/packet.bpf.h"

#ifdef FENCE_PLAIN

#    define MARK_SLOT_BITS 10 /* higher slots, and further bits of the mask, are not used */
#    define MARK_ADDRESSES 4  /* of the sender are looked at */

/* 1 when any bit is set. Without a branch, and so that the compiler makes none of it: each would
 * double what the verifier has to look at. */
fence_inline __u32 mark_any(__u32 bits)
{
    bits |= -bits;
    barrier_var(bits);
    return bits >> 31;
}

fence_inline __u32 mark_family(const struct fence_addr *addr)
{
    return mark_any(addr->words[0] | addr->words[1] | (addr->words[2] ^ bpf_htonl(0xffff)));
}

/* What the packets of a slot's endpoint carry: its bits on those of the mask, from the lowest; 0
 * when it has more of them. */
fence_step __u32 mark_of(__u32 slot)
{
    __u32 zero = 0, mark = 0, mask;
    struct fence_settings *setting = bpf_map_lookup_elem(&settings, &zero);

    if (!setting)
        return 0;
    mask = setting->mark_mask;
    if (slot >> MARK_SLOT_BITS || (__u64)slot >> __builtin_popcount(mask))
        return 0;
    for (int i = 0; i < MARK_SLOT_BITS; i++) {
        __u32 lowest = mask & -mask;

        mark |= lowest & -(slot >> i & 1);
        mask ^= lowest;
    }
    return mark;
}

/* The way back. */
fence_step __u32 mark_slot(const struct __sk_buff *skb)
{
    __u32 zero = 0, slot = 0, mask;
    struct fence_settings *setting = bpf_map_lookup_elem(&settings, &zero);

    if (!setting)
        return 0;
    mask = setting->mark_mask;
    for (int i = 0; i < MARK_SLOT_BITS; i++) {
        __u32 lowest = mask & -mask;

        slot |= mark_any(skb->mark & lowest) << i;
        mask ^= lowest;
    }
    return slot;
}

fence_inline void mark_write(struct __sk_buff *skb, __u32 mark)
{
    __u32 zero = 0;
    struct fence_settings *setting = bpf_map_lookup_elem(&settings, &zero);

    if (setting && setting->mark_mask)
        skb->mark = (skb->mark & ~setting->mark_mask) | (mark & setting->mark_mask);
}

/* Mark what the endpoint sends. */
fence_step int mark_sent(struct __sk_buff *skb)
{
    __u32 ifindex = skb->ifindex;
    struct fence_endpoint *endpoint = bpf_map_lookup_elem(&endpoints, &ifindex);

    if (endpoint)
        mark_write(skb, mark_of(endpoint->slot));
    return 0;
}

/* The same where the pair is known, which remembers the mark. */
fence_step int mark_sent_quick(struct __sk_buff *skb, struct fence_pair *pair)
{
    if (!pair)
        return 0;
    if (!pair->mark)
        pair->mark = mark_of(pair->slot);
    mark_write(skb, pair->mark);
    return 0;
}

/* Learn packet->true_source: the sender's own address of that family. */
fence_step int mark_learn(struct __sk_buff *skb, struct packet *packet)
{
    struct fence_endpoint *sender;
    const struct fence_addr *addr;
    struct fence_usage *use;
    __u32 slot, ifindex;
    __u32 family;

    if (!packet || !skb->ingress_ifindex || address_is_multicast(&packet->outer.destination))
        return 0;
    slot = mark_slot(skb);
    use = bpf_map_lookup_elem(&usage, &slot);
    if (!slot || !use)
        return 0;
    ifindex = use->ifindex;
    sender = bpf_map_lookup_elem(&endpoints, &ifindex);
    if (!sender || sender->slot != slot)
        return 0;
    family = mark_family(&packet->outer.source);
    for (int i = 0; i < MARK_ADDRESSES; i++) {
        addr = &sender->addrs[i];
        if (mark_family(addr) != family)
            continue;
        packet->true_source = *addr;
        packet->has_true_source = !address_is_none(addr);
        break;
    }
    return 0;
}

/*
 * The mark says who sent the packet: that is who opened its connection, unless it is an answer. Of
 * a TCP segment without an entry (`state` is 0) nobody knows.
 */
fence_step int mark_check(struct packet *packet, __u64 state)
{
    if (!packet)
        return 0;
    if (state ? !(state & FENCE_CONN_INGRESS)
              : packet->outer.protocol == IPPROTO_TCP &&
                    (packet->tcp_flags & (TCP_BIT_SYN | TCP_BIT_ACK)) != TCP_BIT_SYN)
        packet->has_true_source = 0;
    return 0;
}

#else

fence_inline int mark_check(struct packet *packet, __u64 state)
{
    return 0;
}

fence_inline int mark_sent(struct __sk_buff *skb)
{
    return 0;
}

fence_inline int mark_sent_quick(struct __sk_buff *skb, struct fence_pair *pair)
{
    return 0;
}

#endif

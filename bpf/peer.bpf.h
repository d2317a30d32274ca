/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Step 4: whom an address stands for: a known pod, node or local address by exact match, else the
 * most specific prefix. An address that nobody could write (a full map) would look like the
 * world; while settings say so, everything found by prefix counts as pending.
 */
#pragma once

#include "bpf/maps.bpf.h"
#include "bpf/packet.bpf.h"

struct peer {
    __u32 number;
    __u32 identity;
    __u32 flags; /* enum fence_peer_flag */
    __u32 class;
};

fence_inline __u32 peer_number(__u32 setting_flags, const struct fence_addr *addr)
{
    struct fence_prefix_key key = {.length = 128, .addr = *addr};
    __u32 *peer = bpf_map_lookup_elem(&addresses, &key.addr);

    if (peer)
        return *peer;
    /* somebody on this link, as a rule a pod that cannot be named by it: never the world */
    if ((setting_flags & FENCE_SETTING_ADDRESSES_INCOMPLETE) || address_is_link_local(addr))
        return FENCE_PEER_PENDING;
    peer = bpf_map_lookup_elem(&prefixes, &key);
    return peer ? *peer : FENCE_PEER_PENDING;
}

fence_inline __u32 peer_class(__u32 number)
{
    struct fence_peer *peer = bpf_map_lookup_elem(&peers, &number);

    return peer ? peer->class : FENCE_CLASS_ANY;
}

fence_inline void peer_resolve(__u32 setting_flags, const struct fence_addr *addr,
                               struct peer *ret_peer)
{
    __u32 number = peer_number(setting_flags, addr);
    struct fence_peer *peer = bpf_map_lookup_elem(&peers, &number);

    ret_peer->number = number;
    ret_peer->identity = peer ? peer->identity : 0;
    ret_peer->flags = peer ? peer->flags : 0;
    ret_peer->class = peer ? peer->class : FENCE_CLASS_ANY;
}

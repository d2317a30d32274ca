/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The marks of UDP datagrams to or from port 5353 that leave the node for a pod. Attached behind
 * podfence's own filters, so it sees what anybody behind them would.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define PORT 5353

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* mark -> datagrams */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 64);
    __type(key, __u32);
    __type(value, __u64);
} marks SEC(".maps");

/* Where the ports are, without options or extension headers; 0 = not UDP. */
static __always_inline __u32 ports_at(struct __sk_buff *skb)
{
    __u32 header = sizeof(struct ethhdr);
    __u8 protocol = 0;

    if (skb->protocol == bpf_htons(ETH_P_IP)) {
        bpf_skb_load_bytes(skb, header + __builtin_offsetof(struct iphdr, protocol), &protocol, 1);
        header += sizeof(struct iphdr);
    } else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
        bpf_skb_load_bytes(skb, header + __builtin_offsetof(struct ipv6hdr, nexthdr), &protocol, 1);
        header += sizeof(struct ipv6hdr);
    }
    return protocol == IPPROTO_UDP ? header : 0;
}

SEC("tc")
int markseen(struct __sk_buff *skb)
{
    __u16 ports[2] = {0, 0};
    __u32 at = ports_at(skb);
    __u32 mark = skb->mark;
    __u64 one = 1;
    __u64 *count;

    if (!at || bpf_skb_load_bytes(skb, at, ports, sizeof(ports)) < 0 ||
        (ports[0] != bpf_htons(PORT) && ports[1] != bpf_htons(PORT)))
        return -1;
    count = bpf_map_lookup_elem(&marks, &mark);
    if (count)
        __sync_fetch_and_add(count, 1);
    else
        bpf_map_update_elem(&marks, &mark, &one, BPF_ANY);
    return -1;
}

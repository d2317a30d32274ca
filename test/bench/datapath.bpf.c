// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The data path with a wrapper that makes each packet of a test run one of another flow, and the
 * same wrapper around nothing, to subtract. The entry programs are inlined as they are, whatever
 * they do: nothing here knows more of them than their names.
 */
#include "bpf/podfence.bpf.c"

#include "test/bench/flows.h"

#define BENCH_IPV4_PORTS (ETH_HLEN + sizeof(struct iphdr))
#define BENCH_IPV6_PORTS (ETH_HLEN + sizeof(struct ipv6hdr))

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct bench_flows);
} bench_flows SEC(".maps");

/* The last two bytes of the other end's address, and both ports. */
static __always_inline int bench_write(struct __sk_buff *skb, const struct bench_flows *wanted,
                                       __u64 flow, int sent)
{
    void *data = (void *)(long)skb->data;
    void *end = (void *)(long)skb->data_end;
    __u32 part = flow & ((1u << wanted->shift) - 1);
    __u16 client = bpf_htons(wanted->client_port ^ (part & 0xffff));
    __u16 server = bpf_htons(wanted->server_port + (part >> BENCH_PART_BITS));
    __u16 *address, *ports;

    if (data + BENCH_IPV6_PORTS + 4 > end)
        return -1;
    if (wanted->ipv6) {
        address = data + ETH_HLEN + (sent ? 38 : 22);
        ports = data + BENCH_IPV6_PORTS;
    } else {
        address = data + ETH_HLEN + (sent ? 18 : 14);
        ports = data + BENCH_IPV4_PORTS;
    }
    *address = bpf_htons(wanted->first_remote + (flow >> wanted->shift));
    ports[0] = wanted->client_sends ? client : server;
    ports[1] = wanted->client_sends ? server : client;
    return 0;
}

/* The packet's flow for this run, and a fresh packet's fields where a run may leave something. */
static __always_inline struct bench_flows *bench_vary(struct __sk_buff *skb, int sent)
{
    __u32 zero = 0;
    struct bench_flows *wanted = bpf_map_lookup_elem(&bench_flows, &zero);
    __u64 flow, next;

    if (!wanted)
        return NULL;
    flow = wanted->next;
    next = flow + wanted->step;
    wanted->next = next >= wanted->count ? next - wanted->count : next;
    skb->mark = 0;
    return bench_write(skb, wanted, flow, sent) == 0 ? wanted : NULL;
}

static __always_inline int bench_tally(struct bench_flows *wanted, int action)
{
    wanted->dropped += action == TC_ACT_SHOT;
    wanted->handed += action == TC_ACT_REDIRECT;
    return action;
}

/* What the compiler cannot work out beforehand. */
static __always_inline int bench_nothing(void)
{
    int action = TC_ACT_UNSPEC;

    asm volatile("" : "+r"(action));
    return action;
}

SEC("tc")
__attribute__((flatten)) int bench_from_pod(struct __sk_buff *skb)
{
    struct bench_flows *wanted = bench_vary(skb, 1);

    return wanted ? bench_tally(wanted, from_pod(skb)) : TC_ACT_SHOT;
}

SEC("tc")
__attribute__((flatten)) int bench_to_pod(struct __sk_buff *skb)
{
    struct bench_flows *wanted = bench_vary(skb, 0);

    return wanted ? bench_tally(wanted, to_pod(skb)) : TC_ACT_SHOT;
}

SEC("tc")
int bench_empty_from_pod(struct __sk_buff *skb)
{
    struct bench_flows *wanted = bench_vary(skb, 1);

    return wanted ? bench_tally(wanted, bench_nothing()) : TC_ACT_SHOT;
}

SEC("tc")
int bench_empty_to_pod(struct __sk_buff *skb)
{
    struct bench_flows *wanted = bench_vary(skb, 0);

    return wanted ? bench_tally(wanted, bench_nothing()) : TC_ACT_SHOT;
}

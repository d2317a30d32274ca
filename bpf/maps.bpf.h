/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* All maps, in the order of DESIGN's table. Who writes each is said in abi.h. */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/abi.h"

#define FENCE_HASH(name, key_type, value_type, entries, extra_flags)                               \
    struct {                                                                                       \
        __uint(type, BPF_MAP_TYPE_HASH);                                                           \
        __uint(max_entries, entries);                                                              \
        __uint(map_flags, extra_flags);                                                            \
        __type(key, key_type);                                                                     \
        __type(value, value_type);                                                                 \
    } name SEC(".maps")

#define FENCE_LRU(name, key_type, value_type, entries)                                             \
    struct {                                                                                       \
        __uint(type, BPF_MAP_TYPE_LRU_HASH);                                                       \
        __uint(max_entries, entries);                                                              \
        __type(key, key_type);                                                                     \
        __type(value, value_type);                                                                 \
    } name SEC(".maps")

#define FENCE_ARRAY(name, value_type, entries, extra_flags)                                        \
    struct {                                                                                       \
        __uint(type, BPF_MAP_TYPE_ARRAY);                                                          \
        __uint(max_entries, entries);                                                              \
        __uint(map_flags, extra_flags);                                                            \
        __type(key, __u32);                                                                        \
        __type(value, value_type);                                                                 \
    } name SEC(".maps")

FENCE_HASH(endpoints, __u32, struct fence_endpoint, FENCE_MAX_ENDPOINTS, 0);
FENCE_HASH(endpoint_info, __u32, struct fence_endpoint_info, FENCE_MAX_ENDPOINTS,
           BPF_F_NO_PREALLOC);
/* An endpoint's own address -> its ifindex. Written with `endpoints`. */
FENCE_HASH(locals, struct fence_addr, __u32, FENCE_MAX_ENDPOINTS * 2, BPF_F_NO_PREALLOC);
FENCE_HASH(identities, __u32, struct fence_identity_info, FENCE_MAX_IDENTITIES, BPF_F_NO_PREALLOC);
FENCE_HASH(classes, __u32, struct fence_class_info, FENCE_MAX_CLASSES, BPF_F_NO_PREALLOC);
FENCE_ARRAY(peers, struct fence_peer, FENCE_MAX_PEERS, 0);
FENCE_HASH(addresses, struct fence_addr, __u32, FENCE_MAX_ADDRESSES, BPF_F_NO_PREALLOC);

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(max_entries, FENCE_MAX_PREFIXES);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct fence_prefix_key);
    __type(value, __u32);
} prefixes SEC(".maps");

FENCE_HASH(sets, __u32, struct fence_set_info, FENCE_MAX_RULES, BPF_F_NO_PREALLOC);
FENCE_HASH(policies, struct fence_policy_key, struct fence_policy_table, FENCE_MAX_POLICIES,
           BPF_F_NO_PREALLOC);
FENCE_ARRAY(intervals, struct fence_interval, FENCE_MAX_INTERVALS, 0);
FENCE_HASH(rules, __u32, struct fence_rule_info, FENCE_MAX_RULES, BPF_F_NO_PREALLOC);

FENCE_ARRAY(connections, struct fence_bucket, FENCE_MAX_BUCKETS, BPF_F_MMAPABLE);
FENCE_ARRAY(usage, struct fence_usage, FENCE_MAX_ENDPOINTS + 1, BPF_F_MMAPABLE);
FENCE_ARRAY(opened, struct fence_opened, FENCE_MAX_OPENED, BPF_F_MMAPABLE);
FENCE_ARRAY(epochs, struct fence_epochs, 1, BPF_F_MMAPABLE);

/* FENCE_CPU_PAIRS for each CPU: user space sizes it. Mapped, so that it begins with a page. */
FENCE_ARRAY(pairs, struct fence_pair, FENCE_CPU_PAIRS, BPF_F_MMAPABLE);

FENCE_LRU(origins, struct fence_connection_key, struct fence_addr, FENCE_MAX_ORIGINS);
FENCE_LRU(fragments, struct fence_fragment_key, struct fence_fragment, FENCE_MAX_FRAGMENTS);

struct {
    __uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
    __uint(max_entries, FENCE_MAX_FLOWS);
    __type(key, struct fence_flow_key);
    __type(value, struct fence_flow);
} flows SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, FENCE_REASON_COUNT *FENCE_DIRECTIONS);
    __type(key, __u32);
    __type(value, struct fence_counter);
} counters SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, FENCE_EVENTS_BYTES);
} events SEC(".maps");

FENCE_ARRAY(observed, __u64, FENCE_HEARINGS, BPF_F_MMAPABLE);
FENCE_LRU(event_limits, struct fence_event_key, struct fence_event_limit, FENCE_MAX_LIMITS);
FENCE_ARRAY(settings, struct fence_settings, 1, 0);
FENCE_ARRAY(about, struct fence_about, 1, 0);

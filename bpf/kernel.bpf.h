/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What __sk_buff does not show of a packet, read from the kernel's own structs: their offsets are
 * found when the programs are loaded. It takes two kernel functions, in every kernel since 6.2; the
 * object that is built with FENCE_PLAIN does without, and user space loads the one that fits
 * (lib/datapath/object.c).
 */
#pragma once

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#ifndef FENCE_PLAIN

#    pragma clang diagnostic push
#    pragma clang diagnostic ignored "-Wpadded"
#    pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
union nf_inet_addr {
    __u32 ip6[4]; /* an IPv4 address is the first */
};
union nf_conntrack_man_proto {
    __be16 all;
};
struct nf_conntrack_man {
    union nf_inet_addr u3;
    union nf_conntrack_man_proto u;
    __u16 l3num;
};
struct nf_conntrack_tuple {
    struct nf_conntrack_man src;
    struct {
        union nf_inet_addr u3;
        union {
            __be16 all;
        } u;
        __u8 protonum;
    } dst;
};
struct nf_conntrack_tuple_hash {
    struct nf_conntrack_tuple tuple;
};
struct nf_conn {
    struct nf_conntrack_tuple_hash tuplehash[2];
};
struct sk_buff {
    unsigned char *head;
    unsigned char *data;
    unsigned long _nfct;
    __u16 csum_start;
    __u16 csum_offset;
    __u8 ip_summed : 2;
};
#    pragma clang attribute pop
#    pragma clang diagnostic pop

extern void *bpf_cast_to_kern_ctx(void *context) __ksym;
extern void *bpf_rdonly_cast(void *object, __u32 btf_id) __ksym;

#endif

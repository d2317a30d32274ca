/* SPDX-License-Identifier: Apache-2.0 */
/* Which flows the measured programs make of one packet: shared by datapath.bpf.c and hooks_run.c.
 */
#pragma once

#include <linux/types.h>

/* Addresses of pods of other nodes end in this number and the following ones, in both families. */
#define BENCH_FIRST_REMOTE 256u
/* Flow numbers are peer << shift | part; the low half of the part goes into the client's port. */
#define BENCH_PART_BITS    16u

struct bench_flows {
    __u64 next;  /* flow of the next packet */
    __u64 count; /* flows in all */
    __u64 step;  /* from one packet's flow to the next one's, below count */
    __u32 shift;
    __u32 dropped;      /* by the program, since user space cleared it */
    __u32 handed;       /* over to another interface */
    __u16 first_remote; /* the other ends' addresses end in this number and the following ones */
    __u16 client_port;  /* xored with the part */
    __u16 server_port;  /* the rest of the part is added */
    __u8 ipv6;
    __u8 client_sends;
    __u32 pad;
};

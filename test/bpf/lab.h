/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A laboratory for the BPF programs: they are loaded for this process alone, in a network namespace
 * of its own with one veth, and run on hand-made packets. Nothing is pinned or attached.
 */
#pragma once

#include <stdbool.h>

#include "bpf/abi.h"
#include "lib/datapath/probe.h"

/* Exits with 77 when not root. Returns 0 or -1. */
int lab_setup(void **state);
int lab_teardown(void **state);
/* Is it the object that goes without the kernel's structs? It is with LAB_PLAIN in the environment.
 */
bool lab_is_plain(void);

/* Empty every map and put back one enforced endpoint: addresses of lab_pod, policy set 1. */
void lab_reset(void);

extern const unsigned char lab_pod_mac[6];
extern const unsigned char lab_gateway_mac[6];

/* 4 or 6 -> the address of the pod, an allowed peer, another peer, the node, outside. */
struct fence_addr lab_pod(int family);
struct fence_addr lab_friend(int family);
struct fence_addr lab_stranger(int family);
struct fence_addr lab_host(int family);
struct fence_addr lab_world(int family);
struct fence_addr lab_service(int family);
struct fence_addr lab_addr(const char *text);

enum lab_peer {
    LAB_PEER_OTHERS = 0, /* every class without a table of its own */
    LAB_PEER_FRIEND = 20,
    LAB_PEER_STRANGER = 21,
    LAB_PEER_HOST = 22,
    LAB_PEER_WORLD = 23,
    LAB_PEER_SERVICE = 24, /* lab_service_add */
};

/* The endpoint as it is in the map; change and write back. */
struct fence_endpoint lab_endpoint(void);
void lab_endpoint_write(const struct fence_endpoint *endpoint);
void lab_endpoint_remove(void);
/* The endpoint's addresses are known as those of a pod of this node. */
void lab_endpoint_is_local(void);
/* The address of a service. */
void lab_service_add(void);
void lab_settings_flags(unsigned int flags);

/* One interval of a table; a table is closed by `low` of the next one. */
struct lab_interval {
    unsigned int low;
    unsigned int verdict;
    unsigned int reason;
    unsigned int rule;
};
/* Write a table for (set, peer, direction). */
/* Each peer has a class of its own, whose number is another one. */
__u32 lab_class(unsigned int peer);
void lab_table(unsigned int set, unsigned int peer, unsigned int direction,
               const struct lab_interval *intervals, size_t count);
/* Everything allowed, or everything denied. */
void lab_table_plain(unsigned int set, unsigned int peer, unsigned int direction,
                     unsigned int verdict);
/* The sets that lab_reset makes: 1 = ingress from the friend on TCP, UDP and SCTP 80, egress to
 * the friend on 443 of the same protocols, nothing else; 2 = everything; 3 = nothing. */
enum lab_set { LAB_SET_STRICT = 1, LAB_SET_OPEN = 2, LAB_SET_CLOSED = 3 };
void lab_use_set(unsigned int set);
/* What is written by lab functions is in force at once; what a test writes by itself, from here. */
void lab_raise_epoch(void);
/* Of what is kept of that address only. */
void lab_raise_epoch_of(struct fence_addr addr);

/* Jiffies of what the programs take for a second, however many the kernel's have. */
#define LAB_HZ 1000

/* The connection table is small: so many entries, of which an endpoint may have LAB_SHARE. */
#define LAB_CONNECTIONS 4096
#define LAB_SHARE       1024
enum lab_connections { LAB_HALF_OPEN, LAB_ESTABLISHED, LAB_CLOSED };
size_t lab_connection_count(enum lab_connections which);
/* Buckets of the table that have an entry. */
size_t lab_bucket_count(void);
/* As if the last packet of every connection had been so many seconds earlier. (No CPU knows any of
 * them by heart then.) */
void lab_grow_old(int seconds);
void lab_grow_old_by(int jiffies);
/* The same of their entries, and no CPU hears of it. */
void lab_connections_age(int jiffies);
/* Every entry of the (first) endpoint ends, and no CPU hears of it. */
void lab_connections_lose(void);
/* Change the flags of every entry. */
void lab_connection_flags(unsigned int set, unsigned int clear);

int lab_map(enum fence_map map);
int lab_prog(enum fence_prog prog);
__u32 lab_ifindex(void);
__u32 lab_second_ifindex(void);
size_t lab_map_count(enum fence_map map);

/* What the programs have told last; all zero: nothing since the last call. */
struct fence_event lab_told(void);

struct lab_result {
    bool passed;
    unsigned int reason; /* of the counter that moved; FENCE_REASON_NONE when none did */
    bool masqueraded;    /* counted as the node's address without the node behind it */
};

/* Run from_pod or to_pod on a frame, or on a packet that is built first. */
struct lab_result lab_run_frame(enum fence_direction direction, const void *frame, size_t size);
/* Run to_network on a packet that leaves by another device. */
struct lab_result lab_run_leaving(struct fence_packet packet);
/* Whether it passed, without reading the counters: for floods. */
bool lab_run_quietly(enum fence_direction direction, const void *frame, size_t size);
struct lab_result lab_run(enum fence_direction direction, struct fence_packet packet);
/* To the pod, and into the node by another device: what a bridge passes on keeps its socket. */
struct lab_result lab_run_forwarded(struct fence_packet packet);
/* The same by a device of that number, which need not be there; 0: a process of the node. */
struct lab_result lab_run_arrived(struct fence_packet packet, __u32 by);
/* With the segment size of what the stack has put together: such packets may state length 0. */
struct lab_result lab_run_segments(enum fence_direction direction, const void *frame, size_t size,
                                   unsigned int segment);
/* A second enforced endpoint at the other interface, until lab_reset: addresses of lab_stranger, a
 * policy set. Packets at its hooks go by its entry. */
void lab_second_add(unsigned int set);
struct lab_result lab_run_second(enum fence_direction direction, struct fence_packet packet);
struct fence_probe_result lab_probe(enum fence_direction direction, enum fence_origin origin,
                                    struct fence_packet packet);

/* Shorthands: a packet from or to the pod. flags 0 for what is not TCP. */
struct fence_packet lab_packet(enum fence_direction direction, struct fence_addr remote,
                               unsigned int protocol, unsigned int source_port,
                               unsigned int destination_port);

/* Fails with the packet's name when verdict or reason are others. reason -1: any. */
void lab_expect(const char *what, struct lab_result result, bool passed, int reason);

/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The pinned layout: what the BPF programs and user space share.
 *
 * This is the one header that both sides include; it has addr.h, reasons.h and report.h. Every
 * struct here is a map key, a map value or a ring buffer record that outlives the process that
 * wrote it, so any change of a size, an offset or a meaning raises FENCE_ABI_VERSION, which is part
 * of the pin path (<bpffs>/v<N>/...). Padding is explicit and must be zero in keys. Numbers are in
 * host byte order unless a comment says otherwise.
 */
#pragma once

#include <linux/types.h>

#include "bpf/addr.h"
#include "bpf/reasons.h"
#include "bpf/report.h"

#define FENCE_ABI_VERSION 8
#ifdef FENCE_NEXT_LAYOUT /* test programs that take over: test/programs */
#    undef FENCE_ABI_VERSION
#    define FENCE_ABI_VERSION FENCE_NEXT_LAYOUT
#endif

/* ---- numbers with a fixed meaning ---------------------------------------------------------- */

/* Seen from the pod: egress leaves it (TC ingress of the host veth), ingress enters it. */
enum fence_direction {
    FENCE_EGRESS = 0,
    FENCE_INGRESS = 1,
    FENCE_DIRECTIONS = 2,
};

enum fence_verdict {
    FENCE_DENY = 0,
    FENCE_ALLOW = 1,
    FENCE_DEFER = 2, /* a service whose backends differ: judged where the destination is known */
};

/* Identities below FENCE_IDENTITY_FIRST are reserved; the others are allocated by the daemon. */
enum fence_identity_number {
    FENCE_IDENTITY_NONE = 0,
    FENCE_IDENTITY_HOST = 1,
    FENCE_IDENTITY_WORLD = 2,
    FENCE_IDENTITY_MASQUERADED = 3,
    FENCE_IDENTITY_PENDING = 4,
    FENCE_IDENTITY_INCOMPLETE = 5,
    FENCE_IDENTITY_SERVICE = 6,
    FENCE_IDENTITY_FIRST = 256,
};

/*
 * Peers below FENCE_PEER_FIRST are reserved. The masqueraded ones differ by family because a block
 * of length 0 covers one family only.
 */
enum fence_peer_number {
    FENCE_PEER_PENDING = 1,
    FENCE_PEER_MASQUERADED4 = 2,
    FENCE_PEER_MASQUERADED6 = 3,
    FENCE_PEER_FIRST = 16,
};

/* Class 0 in a policies key is the table for every class that the set does not list. */
enum fence_class_number {
    FENCE_CLASS_ANY = 0,
    FENCE_CLASS_FIRST = 1,
};

/* ---- endpoints ------------------------------------------------------------------------------ */

#define FENCE_ENDPOINT_ADDRS 8

enum fence_endpoint_flag {
    FENCE_EP_PENDING = 1 << 0,       /* not resolved: only what DESIGN settles for pending */
    FENCE_EP_OPEN = 1 << 1,          /* with PENDING: everything passes, tracked */
    FENCE_EP_INCOMPLETE = 1 << 2,    /* with PENDING: misses a required label */
    FENCE_EP_EXEMPT = 1 << 3,        /* let through unenforced, counted */
    FENCE_EP_NOT_APPLIED = 1 << 4,   /* its policy could not be written; set is 0 */
    FENCE_EP_SOURCE_REPORT = 1 << 5, /* forged sources are counted and reported, not dropped */
    FENCE_EP_SOURCE_OFF = 1 << 6,    /* no source checks */
    FENCE_EP_HANDOVER = 1 << 7,      /* may be on the same-node path: its veth is ours alone */
};

/* A set that takes over by itself, so that expiry needs no daemon. */
struct fence_next_set {
    __u64 at_ns; /* CLOCK_BOOTTIME; 0 = this and those after it are unused */
    __u32 set;
    __u32 pad;
};

/* Ends that are followed without the daemon, one after the other, and how it stays when there are
 * more of them: see FENCE_PLAN_ENDS. */
#define FENCE_NEXT_SETS 9

/*
 * endpoints: ifindex of the host veth -> what the data path needs to know of the pod.
 * Written by the plugin (created pending, deleted) and the daemon (resolved), under the lock of
 * lib/datapath/endpoints.h.
 */
struct fence_endpoint {
    __u32 identity;
    __u32 set;               /* policy set; 0 denies everything */
    __u32 slot;              /* dense number from 1, unique on the node while it lives */
    __u32 flags;             /* enum fence_endpoint_flag */
    __u64 recovery_until_ns; /* CLOCK_BOOTTIME; replies without an entry may be judged in reverse */
    __u16 addr_count;
    __u8 mac[6];
    __u32 bridge; /* ifindex of the bridge that the host veth is a port of, 0 = none */
    __u32 pad;
    struct fence_addr addrs[FENCE_ENDPOINT_ADDRS];
    struct fence_next_set next[FENCE_NEXT_SETS]; /* ascending by time */
};

#define FENCE_CONTAINER_ID_MAX    128
#define FENCE_NAMESPACE_MAX       64
#define FENCE_POD_NAME_MAX        256
#define FENCE_UID_MAX             64
#define FENCE_NETWORK_MAX         128
#define FENCE_LABELS_MAX          4096
#define FENCE_IDENTITY_LABELS_MAX 1024

enum fence_attach {
    FENCE_ATTACH_NONE = 0,
    FENCE_ATTACH_TCX = 1,
    FENCE_ATTACH_CLSACT = 2,
};

enum fence_label_source {
    FENCE_LABELS_NONE = 0,
    FENCE_LABELS_ARGS = 1,       /* args.cni.labels */
    FENCE_LABELS_ANNOTATION = 2, /* the pod's annotation; counts only where the daemon allows it */
};

/*
 * endpoint_info: ifindex -> who it is, for people and for DEL, CHECK and GC. Written with
 * endpoints. Strings end in NUL.
 */
struct fence_endpoint_info {
    __u64 created_ns;     /* CLOCK_BOOTTIME */
    __u64 netns;          /* inode of the pod's network namespace, 0 = unknown */
    __u32 attach;         /* enum fence_attach */
    __u32 label_source;   /* enum fence_label_source */
    char ifname[16];      /* inside the pod */
    char host_ifname[16]; /* when it was attached */
    char container_id[FENCE_CONTAINER_ID_MAX];
    char network[FENCE_NETWORK_MAX];
    char namespace_name[FENCE_NAMESPACE_MAX];
    char pod[FENCE_POD_NAME_MAX];
    char uid[FENCE_UID_MAX];
    char labels[FENCE_LABELS_MAX]; /* from the runtime: "key=value,key=value"; empty = none given */
};

/* ---- identities and peers ------------------------------------------------------------------- */

enum fence_identity_kind {
    FENCE_KIND_RESERVED = 0,
    FENCE_KIND_POD = 1,
    FENCE_KIND_NODE = 2,
};

/* identities: number -> what it stands for. Daemon only; the kernel never reads it. */
struct fence_identity_info {
    __u64 content[2]; /* SipHash-2-4-128 of the canonical text under settings.hash_key */
    __u32 kind;       /* enum fence_identity_kind */
    __u32 pad;
    char namespace_name[FENCE_NAMESPACE_MAX];
    char app[64]; /* shown name; for a node its name, cut at 63 characters */
    /* "key=value,..." of the pod or node, cut when too long */
    char labels[FENCE_IDENTITY_LABELS_MAX];
};

enum fence_peer_flag {
    FENCE_PEER_IS_HOST = 1 << 0,  /* a local address of this node */
    FENCE_PEER_IS_WORLD = 1 << 1, /* found by prefix, no known workload or node */
};

/*
 * classes: number -> content. Peers that no rule in use on this node can tell apart are one class:
 * tables are kept by class. Daemon only; the kernel never reads it.
 */
struct fence_class_info {
    __u64 content[2]; /* hash of what rules see of its peers */
};

/* peers: ARRAY, peer number -> identity, class. Daemon only. Zeroed = unused. */
struct fence_peer {
    __u64 content[2]; /* hash of the peer's canonical key, as in fence_identity_info */
    __u32 identity;
    __u32 flags; /* enum fence_peer_flag */
    __u32 class; /* of its tables; FENCE_CLASS_ANY = what is not listed */
    __u32 pad;
};

/* prefixes: LPM_TRIE; IPv4 prefixes are mapped, so 10.0.0.0/8 has length 104. */
struct fence_prefix_key {
    __u32 length; /* bits, 0 to 128 */
    struct fence_addr addr;
};

/* ---- policy --------------------------------------------------------------------------------- */

/* policies: HASH. Class 0 is the table of every class that is not listed. Daemon only. */
struct fence_policy_key {
    __u32 set;
    __u32 class;
    __u32 direction; /* enum fence_direction */
};

struct fence_policy_table {
    __u32 offset; /* of the first interval */
    __u32 count;  /* at least 1 */
};

#define FENCE_TABLE_MAX 65536u /* intervals in one table */

/*
 * Position of a destination in a table: protocol << 16 | port. ICMP: type << 8 | code instead of
 * the port. Other protocols: 0.
 */
#define FENCE_POSITION(protocol, port) ((__u32)(protocol) << 16 | (__u32)(port))
#define FENCE_POSITION_END             (1u << 24)

/*
 * intervals: ARRAY. A table is `count` entries sorted by `low`, the first with low 0; an entry
 * reaches up to the next one's low. So every position has exactly one answer.
 */
struct fence_interval {
    __u32 low;
    __u32 rule;        /* number in `rules` that decided the enforced verdict, 0 = none */
    __u32 shadow_rule; /* the same for the shadow verdict */
    __u8 verdict;      /* enum fence_verdict, enforced */
    __u8 reason;       /* enum fence_reason */
    __u8 shadow;       /* enum fence_verdict with Audit policies counted in */
    __u8 shadow_reason;
};

/* rules: number -> name. Daemon only. */
struct fence_rule_info {
    __u32 index;      /* from 0 in its direction; FENCE_RULE_NONE = the policy's isolation */
    __u32 direction;  /* enum fence_direction */
    char policy[448]; /* Kind/namespace/name, or Kind/name when cluster-wide */
};
#define FENCE_RULE_NONE 0xffffffffu

/* sets: number -> content, so that a restarted daemon finds its own numbers again. */
struct fence_set_info {
    __u64 content[2];
};

/* ---- connections ---------------------------------------------------------------------------- */

/*
 * connections: ARRAY of buckets, an open hash table with two buckets for each key, which the kernel
 * writes and user space sweeps in shared memory (bpf/table.bpf.h). One entry serves both
 * directions and both hooks of an endpoint: what is local is the pod's side. For ICMP echo and its
 * like `local_port` is the id and `remote_port` is type << 8 | code of the request.
 */
struct fence_connection {
    struct fence_addr remote;
    __u16 local_port;
    __u16 remote_port;
    __u16 slot; /* of the endpoint */
    __u8 protocol;
    __u8 local;  /* which of the endpoint's addresses: see fence_local_number */
    __u64 state; /* FENCE_STATE; 0 = free */
};

#define FENCE_SLOT_MAX 65535u

/* jiffies of the last packet seen (low 32 bits) | sequence, raised with each new owner | flags */
#define FENCE_STATE(seen, sequence, flags)                                                         \
    ((__u64)(__u32)(seen) << 32 | (__u64)(__u16)(sequence) << 16 | (__u16)(flags))
#define FENCE_STATE_SEEN(state)     ((__u32)((state) >> 32))
#define FENCE_STATE_SEQUENCE(state) ((__u16)((state) >> 16))
#define FENCE_STATE_FLAGS(state)    ((__u16)(state))

enum fence_local_number {
    /* 0 to FENCE_ENDPOINT_ADDRS - 1: that one of endpoint.addrs */
    FENCE_LOCAL_LINK = FENCE_ENDPOINT_ADDRS, /* the link-local one that the MAC gives */
    FENCE_LOCAL_OTHER = 16,                  /* to 127: none of these; a hash of it */
    FENCE_LOCAL_NUMBERS = 128,
    FENCE_LOCAL_ASKED = 128, /* a bit: ICMP that the other end asked for, whose ids are its own */
};

enum fence_connection_flag {
    FENCE_CONN_LIVE = 1 << 0,
    FENCE_CONN_INGRESS = 1 << 1,     /* opened towards the pod */
    FENCE_CONN_REPLIED = 1 << 2,     /* the other side has answered */
    FENCE_CONN_ESTABLISHED = 1 << 3, /* and, for TCP, somebody has spoken after the handshake */
    FENCE_CONN_FROM_HOST = 1 << 4,   /* opened by a process of the pod's own node */
    FENCE_CONN_FIN_OPENER = 1 << 5,  /* FIN seen from the side that opened it */
    FENCE_CONN_FIN_OTHER = 1 << 6,
    FENCE_CONN_CLOSED = 1 << 7, /* RST, or FIN from both */
    FENCE_CONN_MASQUERADED = 1 << 8,
    FENCE_CONN_CUT = 1 << 9,         /* policy refuses it now */
    FENCE_CONN_TRANSLATED = 1 << 10, /* its true source is in `origins` */
    FENCE_CONN_DIRECT = 1 << 11,     /* on the same-node path: see handover.bpf.h */
    FENCE_CONN_SPILLED = 1 << 14, /* of a bucket's first entry, whoever has it: the bucket was full,
                                     and some of its entries are in their second one */
    FENCE_CONN_BUSY = 1 << 15,    /* being written by a packet: nobody else's */
};

#define FENCE_BUCKET_WAYS 4
struct fence_bucket {
    struct fence_connection ways[FENCE_BUCKET_WAYS];
};

/* usage: ARRAY, slot -> what the endpoint has of the connection table. Kernel; the sweep takes
 * back what it frees. `ifindex` is written with `endpoints`. */
struct fence_usage {
    __u32 connections;
    __u32 reverse_since; /* jiffies; the second in which passes by the reverse rule are counted */
    __u16 reverse_count;
    __u16 full_at; /* FENCE_FULL_TICKS of the last connection that got no entry, 0 = none */
    __u32 ifindex; /* of the endpoint, 0 = none: it is the one if it has the slot */
};
#define FENCE_REVERSE_A_SECOND    1000
/* of jiffies: a quarter of a second to 2.6 s each, coarse so that 16 bits last for hours */
#define FENCE_FULL_TICKS(jiffies) ((__u16)((jiffies) >> 8))

/*
 * opened: ARRAY by a hash of (slot, remote address) -> jiffies | 1 of the last connection between
 * the two that was opened in each direction, 0 = none. Only a hint: a pair of which no connection
 * was opened in a direction has none that a policy for that direction could cut.
 */
struct fence_opened {
    __u32 stamps[FENCE_DIRECTIONS];
};

/*
 * epochs: ARRAY of one, counters in shared memory that are raised after every write to a map that
 * judgements come from.
 */
#define FENCE_EPOCH_BUCKETS 256
struct fence_epochs {
    __u64 any;                          /* raised with each of the others, after it */
    __u64 all;                          /* anything */
    __u64 buckets[FENCE_EPOCH_BUCKETS]; /* by fence_epoch_bucket: where such an address leads */
};

static inline __u32 fence_epoch_bucket(const struct fence_addr *addr)
{
    __u32 folded = addr->words[0] ^ addr->words[1] ^ addr->words[2] ^ addr->words[3];

    folded ^= folded >> 16;
    return (folded ^ folded >> 8) & (FENCE_EPOCH_BUCKETS - 1);
}

/* The first two are verdicts: those that let a packet pass here. */
enum fence_pair_flag {
    FENCE_PAIR_DEFERS = FENCE_DEFER, /* see deferred.bpf.h; FENCE_ALLOW is always there */
    FENCE_PAIR_PASSES = FENCE_ALLOW | FENCE_DEFER,
    FENCE_PAIR_OWN = 1 << 2,    /* the local address is the endpoint's own */
    FENCE_PAIR_ASKED = 1 << 3,  /* by a probe, which gets what policy says */
    FENCE_PAIR_ITSELF = 1 << 4, /* both are one address, and it is no probe */
    /* nothing but the tables says what passes: no endpoint that waits, no node, not itself */
    FENCE_PAIR_ORDINARY = 1 << 5,
    FENCE_PAIR_ALLOWS = 1 << 6, /* << direction: its table allows whatever the position */
    /* << direction: TCP that its table allows passes without a look at the connection's entry. The
     * other direction's allows whatever the position, or no connection was opened that way. */
    FENCE_PAIR_ALONE = 1 << 8,
    FENCE_PAIR_EXPIRES = 1 << 10, /* at `expires` */
    FENCE_PAIR_SHAKING = 1 << 11, /* `latest` is FENCE_LATEST_SHAKING */
};

/*
 * pairs: ARRAY, a cache of all that the maps say of (endpoint, local address, remote address), of
 * FENCE_CPU_PAIRS for each possible CPU, by its number. Good for one epoch. Kernel only. (Of a
 * PERCPU_ARRAY the kernel would look up the place first, and lay it across cache lines.)
 */
struct fence_pair {
    /* the first cache line: what every packet needs */
    __u64 any; /* 1 + epochs.any, by which the pair is known to be good; 0 = ask `epoch` */
    struct fence_addr local;
    struct fence_addr remote;
    __u32 ifindex;
    __u16 flags;     /* enum fence_pair_flag */
    __u8 mac[6];     /* of the pod */
    __u32 allowed;   /* FENCE_MEMO_TAG of `memo` if that allows, or 0 */
    __u32 neighbour; /* ifindex of the endpoint of this node that has the remote address, or 0 */
    __u32 mark;      /* of what the pod sends, 0 = not asked yet: see mark.bpf.h */
    /* the second one: what most need */
    __u64 latest;      /* a connection, and FENCE_LATEST_*; 0 = none: see quick.bpf.h */
    __u64 latest_seen; /* jiffies: the time of its entry */
    __u64 epoch;       /* 1 + epochs.all + the remote address's; 0 = empty */
    __u64 expires;     /* jiffies at which another set takes over, with FENCE_PAIR_EXPIRES */
    __u32 ends;        /* fence_table_ends of its addresses */
    __u32 endpoint_flags;
    __u16 slot;
    __u16 opened; /* index in `opened` */
    __u16 peer_flags;
    __u8 epoch_bucket;          /* of the remote address */
    __u8 local_number;          /* enum fence_local_number */
    struct fence_interval memo; /* the last one searched for; `low` is FENCE_MEMO_TAG */
    struct fence_policy_table tables[FENCE_DIRECTIONS];
    __u32 set; /* in force */
    __u32 identity;
    __u32 peer;
    __u32 peer_identity;
    __u32 pad[8]; /* three cache lines each: no two CPUs write one */
};
/* In fence_pair.latest, beside local port | remote port << 16 | protocol << 32. */
#define FENCE_LATEST_DIRECT  (1ull << 40) /* on the same-node path */
#define FENCE_LATEST_SHAKING (1ull << 41) /* a SYN has passed, and was not followed yet */

#define FENCE_MEMO_TAG(direction, position)                                                        \
    (1u << 31 | (__u32)(direction) << 30 | (__u32)(position))

/*
 * origins: LRU_HASH, key of a connection that reached the pod under an address of this node ->
 * struct fence_addr, who opened it before the address was translated.
 */
struct fence_connection_key {
    union {
        struct {
            struct fence_addr remote;
            __u16 local_port;
            __u16 remote_port;
            __u16 slot;
            __u8 protocol;
            __u8 local;
        };
        __u64 words[3]; /* as an entry begins */
    };
};

/* fragments: LRU_HASH; the first fragment leaves the ports for the later ones. */
struct fence_fragment_key {
    __u32 ifindex;
    __u32 id;
    struct fence_addr source;
    struct fence_addr destination;
    __u32 protocol;
    __u32 direction;
};

struct fence_fragment {
    __u64 seen; /* jiffies */
    __u16 source_port;
    __u16 destination_port;
    __u8 icmp_type;
    __u8 icmp_code;
    __u8 pad[2];
};

/* ---- settings ------------------------------------------------------------------------------- */

enum fence_setting_flag {
    FENCE_SETTING_ADDRESSES_INCOMPLETE = 1
                                         << 0, /* an address could not be written: see peer.bpf.h */
    FENCE_SETTING_SAME_NODE = 1 << 1,          /* see handover.bpf.h */
    FENCE_SETTING_PLAIN = 1 << 2, /* the programs go without the kernel's structs: kernel.bpf.h */
    FENCE_SETTING_DEFER = 1 << 3, /* to_network is at every device: see deferred.bpf.h */
};

/* The same-node path: see bpf/handover.bpf.h and cni/daemon/samenode.h. */
enum fence_same_node {
    FENCE_SAME_NODE_AUTO = 0,
    FENCE_SAME_NODE_ON = 1,
    FENCE_SAME_NODE_OFF = 2,
};

/* settings: ARRAY of one. Daemon only. hz 0 = the daemon has never finished loading. */
struct fence_settings {
    __u64 hash_key[2];  /* secret of all content hashes */
    __u32 hz;           /* jiffies a second */
    __u32 flags;        /* enum fence_setting_flag */
    __u32 next_set;     /* numbers are never used twice */
    __u32 mark_mask;    /* of the sender's slot in skb->mark, see bpf/mark.bpf.h; 0 = off */
    __u32 attach;       /* enum fence_attach_mode of lib/datapath/attach.h: what the plugin does */
    __u32 source_flags; /* FENCE_EP_SOURCE_* of every endpoint */
    __u32 bucket_mask;  /* buckets of `connections` - 1 */
    __u32 share;        /* entries of it that an endpoint may have before it gives way to others */
    char trust_domain[64]; /* of SPIFFE names */
};

/* ---- about the layout ------------------------------------------------------------------------ */

#define FENCE_VERSION_MAX 56

/*
 * about: ARRAY of one, the same in every layout for ever, so that programs of any version can tell
 * who pinned what they find. Daemon only.
 */
struct fence_about {
    char version[FENCE_VERSION_MAX]; /* of the podfenced that loaded it last; ends in NUL */
    __u32 layout;                    /* FENCE_ABI_VERSION */
    __u32
        whole; /* 0: still being loaded, or an older layout is in force until this one takes over */
};

/* ---- probe programs ------------------------------------------------------------------------- */

/*
 * probe_from_pod and probe_to_pod run the same code over the same maps and write nothing. Input:
 * ctx.ifindex = the host veth, ctx.cb[0] = enum fence_origin. Output in ctx.cb, below.
 * probe_clock: output cb[0], cb[1] = low and high half of the jiffies.
 * flush_events: a record (FENCE_EVENT_SUPPRESSED) for each entry of event_limits whose number
 * nothing has told for a second; cb[0] = ifindex: of that endpoint's, at once. Output cb[0] = how
 * many.
 */
enum fence_origin {
    FENCE_ORIGIN_FORWARDED = 0,
    FENCE_ORIGIN_LOCAL = 1,
};

enum fence_probe_output {
    FENCE_PROBE_VERDICT = 0, /* verdict | reason << 8 | shadow << 16 | shadow_reason << 24 */
    FENCE_PROBE_RULE = 1,
    FENCE_PROBE_SHADOW_RULE = 2,
    FENCE_PROBE_PEER = 3,
    FENCE_PROBE_SET = 4,
};

/* Map sizes that a user may have to know; the daemon can change some at load time. */
#define FENCE_MAX_ENDPOINTS  4096
#define FENCE_MAX_IDENTITIES 65536
#define FENCE_MAX_PEERS      65536
#define FENCE_MAX_CLASSES    65536
#define FENCE_MAX_ADDRESSES  262144
#define FENCE_MAX_PREFIXES   65536
#define FENCE_MAX_POLICIES   262144
#define FENCE_MAX_INTERVALS  262144
#define FENCE_MAX_RULES      65536
#define FENCE_MAX_BUCKETS    65536 /* of connections: 262,144 of them, 8 MiB */
#define FENCE_MAX_OPENED     65536
#define FENCE_MAX_PAIRS      2048                  /* on each CPU */
#define FENCE_CPU_PAIRS      (FENCE_MAX_PAIRS + 1) /* one for probes */
#define FENCE_MAX_ORIGINS    16384
#define FENCE_MAX_FRAGMENTS  8192
#define FENCE_MAX_FLOWS      16384
#define FENCE_MAX_LIMITS     4096
#define FENCE_EVENTS_BYTES   (1 << 20)

FENCE_ASSERT_SIZE(fence_next_set, 16);
FENCE_ASSERT_SIZE(fence_endpoint, 312);
FENCE_ASSERT_SIZE(fence_endpoint_info, 4792);
FENCE_ASSERT_SIZE(fence_identity_info, 1176);
FENCE_ASSERT_SIZE(fence_class_info, 16);
FENCE_ASSERT_SIZE(fence_peer, 32);
FENCE_ASSERT_SIZE(fence_prefix_key, 20);
FENCE_ASSERT_SIZE(fence_policy_key, 12);
FENCE_ASSERT_SIZE(fence_policy_table, 8);
FENCE_ASSERT_SIZE(fence_interval, 16);
FENCE_ASSERT_SIZE(fence_rule_info, 456);
FENCE_ASSERT_SIZE(fence_set_info, 16);
FENCE_ASSERT_SIZE(fence_connection, 32);
FENCE_ASSERT_SIZE(fence_bucket, 128);
FENCE_ASSERT_SIZE(fence_connection_key, 24);
FENCE_ASSERT_SIZE(fence_usage, 16);
FENCE_ASSERT_SIZE(fence_opened, 8);
_Static_assert(FENCE_MAX_OPENED == 65536, "fence_pair.opened has 16 bits");
FENCE_ASSERT_SIZE(fence_epochs, 2064);
FENCE_ASSERT_SIZE(fence_pair, 192);
FENCE_ASSERT_SIZE(fence_fragment_key, 48);
FENCE_ASSERT_SIZE(fence_fragment, 16);
FENCE_ASSERT_SIZE(fence_settings, 112);
FENCE_ASSERT_SIZE(fence_about, 64);

/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Reasons in the pinned layout (abi.h). */
#pragma once

/*
 * Why a packet was let through or dropped: return code, counter index and event field.
 * X(symbol, name). Names are shown to users and used in JSON: never renamed, only added (before
 * the end of the list nothing moves, since counters are pinned).
 */
#define FENCE_REASONS(X)                                                                           \
    X(NONE, "none")                                                                                \
    /* allowed */                                                                                  \
    X(RULE, "rule")                       /* a rule of a policy allows it */                       \
    X(NOT_ISOLATED, "not-isolated")       /* no policy isolates this direction */                  \
    X(NO_POLICY, "no-policy")             /* no policy selects the endpoint at all */              \
    X(FROM_HOST, "from-host")             /* a process of the pod's own node opened it */          \
    X(OWN_NODE, "own-node")               /* pod to its own node: exempt from allow-lists */       \
    X(ESTABLISHED, "established")         /* packet of a connection that was allowed */            \
    X(REVERSE_RULE, "reverse-rule")       /* entry lost, the other direction's rule allows */      \
    X(RECOVERY, "recovery")               /* the same, while the endpoint recovers */              \
    X(RELATED, "related")                 /* ICMP error for a known connection */                  \
    X(NEIGHBOUR, "neighbour-discovery")   /* ARP, ND, MLD */                                       \
    X(NOT_AN_ENDPOINT, "not-an-endpoint") /* this end is not enforced on this node */              \
    X(EXEMPT, "exempt")                   /* namespace exempted by the operator */                 \
    X(PENDING_OPEN, "pending-open")       /* start mode open, not resolved yet */                  \
    /* denied by policy */                                                                         \
    X(NO_RULE, "no-rule")                /* isolated, and no rule allows it */                     \
    X(DENYLIST, "denylist")              /* a Denylist matches */                                  \
    X(DENY_RULE, "deny-rule")            /* a Deny rule of a tiered policy matches */              \
    X(PENDING, "pending")                /* the endpoint has no identity or policy yet */          \
    X(INCOMPLETE, "incomplete")          /* the pod misses a required label */                     \
    X(PEER_PENDING, "peer-pending")      /* the other end is inside a pod range but unknown */     \
    X(NOT_APPLIED, "policy-not-applied") /* its policy could not be written: closed */             \
    X(NO_CONNECTION, "no-connection")    /* SYN-ACK or reply without a connection */               \
    X(UNRELATED, "unrelated-icmp-error") /* ICMP error that quotes no known connection */          \
    X(SERVICE_MIXED, "service-mixed")    /* backends differ and nobody can judge later */          \
    /* refused before policy */                                                                    \
    X(NO_ENDPOINT, "no-endpoint")         /* our filter, but no entry for the interface */         \
    X(ETHERTYPE, "unsupported-ethertype") /* neither IPv4, IPv6 nor ARP */                         \
    X(VLAN, "vlan-tag")                                                                            \
    X(TRUNCATED, "truncated")       /* shorter than its headers say */                             \
    X(BAD_HEADER, "invalid-header") /* version, length or checksum fields make no sense */         \
    X(BAD_EXTENSION, "invalid-ipv6-extension")                                                     \
    X(FRAGMENT_ORPHAN, "fragment-without-first")                                                   \
    X(FRAGMENT_BAD, "invalid-fragment") /* first fragment without whole ports, overlaps */         \
    X(SPOOFED_MAC, "spoofed-mac")                                                                  \
    X(SPOOFED_ADDRESS, "spoofed-address")                                                          \
    X(SPOOFED_ARP, "spoofed-arp")                                                                  \
    X(SPOOFED_ND, "spoofed-nd")                                                                    \
    X(ROUTER_ADVERTISEMENT, "router-advertisement")                                                \
    X(DHCP_SERVER, "dhcp-server")                                                                  \
    X(MARTIAN, "martian")                                                                          \
    X(NOT_WRITTEN,                                                                                 \
      "header-not-written") /* on its way to the receiver; the kernel had no memory */             \
    /* worth counting, no verdict by itself */                                                     \
    X(MASQUERADED, "masqueraded")            /* true source unknown: judged as the world */        \
    X(TABLE_FULL, "connection-table-full")   /* passed by rule, but no entry could be made */      \
    X(WOULD_BE_DENIED, "host-over-denylist") /* node traffic let in although a Denylist matches */ \
    X(EVENT_LOST, "event-lost")              /* the ring buffer was full */                        \
    /* allowed */                                                                                  \
    X(SERVICE_DEFERRED,                                                                            \
      "service-deferred") /* backends differ: judged where it goes to is known */                  \
    X(ITSELF, "itself")   /* a pod through its own service */                                      \
    /* worth counting, no verdict by itself */                                                     \
    X(EVENT_SUPPRESSED, "event-suppressed") /* left out of the events by their limits */           \
    X(EVENT_SUMMED, "event-summed")         /* of these, told later as a number */

enum fence_reason {
#define FENCE_REASON_ENUM(symbol, name) FENCE_REASON_##symbol,
    FENCE_REASONS(FENCE_REASON_ENUM)
#undef FENCE_REASON_ENUM
        FENCE_REASON_COUNT,
};

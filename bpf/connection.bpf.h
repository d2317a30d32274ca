/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Step 3: connections, one entry for both directions of one endpoint.
 *
 *          first packet             answered            TCP: and spoken after the handshake
 *   absent --------------> half-open ----------> REPLIED ----------> ESTABLISHED
 *      ^                       |                    |                     |
 *      +--- lifetime over, or closed and opened anew, or another takes its place ---+
 *
 * Invariants
 * - An entry says who opened the connection and that it lives; it holds no verdict. Every packet
 *   is judged by the policy of now, in the direction that its connection was opened in. So a
 *   tightened policy cuts both directions, a loosened one opens them again.
 * - What has not been established gives way first, and nobody within his share gives way to
 *   another endpoint (table.bpf.h).
 * - A SYN is always judged in its own direction, whatever entry there is.
 * - What was cut is not opened again by what the asked side still sends (connection_may_replace).
 * - An expired entry counts as absent; nothing depends on a sweep.
 * - Without an entry a TCP segment with ACK may also pass by the rule of the other direction: an
 *   entry that was lost cuts no lawful connection. Everything else may do so only while the
 *   endpoint recovers.
 *
 * TCP segments that their own direction's rule allows pass without a look at the table where no
 * connection of the pair could be meant that was opened the other way and is cut (quick.bpf.h);
 * one in 256 looks all the same, so that entries of living connections stay. So does the one that
 * follows a SYN on its CPU (FENCE_LATEST_SHAKING): it makes the entry established while that lies
 * in the cache there.
 */
#pragma once

#include "bpf/connection.h"
#include "bpf/event.bpf.h"
#include "bpf/judge.bpf.h"
#include "bpf/key.bpf.h"
#include "bpf/maps.bpf.h"
#include "bpf/mark.bpf.h"
#include "bpf/packet.bpf.h"
#include "bpf/pair.bpf.h"
#include "bpf/parse.bpf.h"
#include "bpf/table.bpf.h"

fence_inline __u32 connection_direction(__u64 state)
{
    return state & FENCE_CONN_INGRESS ? FENCE_INGRESS : FENCE_EGRESS;
}

/* An entry that is alive and this packet's: the node's own connection carries only the node's own
 * packets towards the pod. */
fence_inline int connection_usable(const struct packet *packet, __u8 protocol, __u64 state)
{
    if ((state & FENCE_CONN_FROM_HOST) && packet->direction == FENCE_INGRESS &&
        packet->origin != FENCE_ORIGIN_LOCAL)
        return 0;
    return !fence_connection_expired(protocol, state, packet->now, packet->hz);
}

/* A usable entry, or none. */
fence_step int connection_find(const struct packet *packet, const struct connection_key *key,
                               struct found *found)
{
    if (!packet || !key || !found)
        return 0;
    table_find(packet, key, found);
    if (!connection_usable(packet, key->id.protocol, found->state))
        found->state = 0;
    return 0;
}

/* Remember when the pair had a connection opened in this direction: see struct fence_opened. 1: it
 * is the first one for a second. */
fence_inline __u32 connection_note(const struct packet *packet, const struct fence_pair *pair,
                                   __u32 direction)
{
    __u32 index = pair->opened, now = (__u32)packet->now | 1, before;
    struct fence_opened *pair_opened = bpf_map_lookup_elem(&opened, &index);

    if (!pair_opened)
        return 1;
    before = pair_opened->stamps[direction & 1];
    /* all packets of the pair read it, on other CPUs too: written once a tick */
    if (before != now)
        pair_opened->stamps[direction & 1] = now;
    return now - before >= packet->hz;
}

/* For connection_recall_source. A step of its own: its copies would deepen every packet's stack. */
fence_step int connection_keep_source(const struct packet *packet, const struct connection_key *key)
{
    struct fence_connection_key copy;
    struct fence_addr source;

    if (!packet || !key)
        return 0;
    copy = key->id;
    source = packet->true_source;
    bpf_map_update_elem(&origins, &copy, &source, BPF_ANY);
    return 0;
}

/* A new entry, half-open. `direction` is the opener's. Returns what connection_note does. */
fence_inline __u32 connection_open(const struct packet *packet, struct fence_pair *pair,
                                   const struct connection_key *key,
                                   const struct judgement *judgement, __u32 direction)
{
    __u32 flags = judgement->flags | (direction == FENCE_INGRESS ? FENCE_CONN_INGRESS : 0);
    __u32 fresh;

    if (packet->probe)
        return 0;
    fresh = connection_note(packet, pair, direction);
    if (packet->tcp_flags & TCP_BIT_SYN) {
        pair->latest = packet_latest(packet, packet->direction) | FENCE_LATEST_SHAKING;
        pair->flags |= FENCE_PAIR_SHAKING;
    }
    /* from its beginning only */
    if (packet->is_direct &&
        (packet->outer.protocol != IPPROTO_TCP || (packet->tcp_flags & TCP_BIT_SYN)))
        flags |= FENCE_CONN_DIRECT;
    if (packet->has_true_source) {
        connection_keep_source(packet, key);
        flags |= FENCE_CONN_TRANSLATED;
    }
    if (table_insert(packet, key, flags) < 0)
        count(packet, FENCE_REASON_TABLE_FULL);
    return fresh;
}

/* The entry's flags after this packet. */
fence_inline __u16 connection_next(const struct packet *packet, __u8 protocol, __u64 state,
                                   int is_reply)
{
    __u16 flags = FENCE_STATE_FLAGS(state);

    if (is_reply)
        flags |= FENCE_CONN_REPLIED;
    if ((flags & FENCE_CONN_REPLIED) &&
        (protocol != IPPROTO_TCP || !(packet->tcp_flags & TCP_BIT_SYN)))
        flags |= FENCE_CONN_ESTABLISHED;
    if (packet->tcp_flags & TCP_BIT_FIN)
        flags |= is_reply ? FENCE_CONN_FIN_OTHER : FENCE_CONN_FIN_OPENER;
    if ((packet->tcp_flags & TCP_BIT_RST) ||
        ((flags & FENCE_CONN_FIN_OPENER) && (flags & FENCE_CONN_FIN_OTHER)))
        flags |= FENCE_CONN_CLOSED;
    return flags & ~FENCE_CONN_CUT;
}

/* A packet has passed. A cache line that two CPUs share is written once a second. 1: its entry
 * shows it. */
fence_inline int connection_advance(const struct packet *packet, const struct found *found,
                                    int is_reply)
{
    __u16 flags = connection_next(packet, packet->outer.protocol, found->state, is_reply);
    __u32 seen = FENCE_STATE_SEEN(found->state);

    if (fence_jiffies_since(packet->now, seen, packet->hz) >= packet->hz)
        seen = packet->now;
    return table_change(found, seen, flags);
}

/* Denied because nobody allows it, and not by name. */
fence_inline int connection_is_unlisted(const struct judgement *judgement)
{
    return judgement->reason == FENCE_REASON_NO_RULE ||
           judgement->reason == FENCE_REASON_PEER_PENDING;
}

/* Policy refuses a known connection now: told once. The entry stays, so that a policy that is
 * loosened again restores it; see connection_may_replace. */
fence_inline void connection_cut(const struct packet *packet, const struct fence_pair *pair,
                                 const struct found *found, const struct judgement *judgement)
{
    __u32 seen = FENCE_STATE_SEEN(found->state);
    __u16 flags = FENCE_STATE_FLAGS(found->state);

    if (packet->outer.protocol == IPPROTO_TCP || !connection_is_unlisted(judgement))
        seen = packet->now;
    if (table_change(found, seen, flags | FENCE_CONN_CUT) && !(flags & FENCE_CONN_CUT))
        tell(packet, judgement, pair->identity, FENCE_EVENT_CUT);
}

/* A packet of a known connection. Fills in the judgement. */
fence_inline void connection_continue(const struct packet *packet, struct fence_pair *pair,
                                      const struct connection_key *key, const struct found *found,
                                      struct judgement *judgement)
{
    struct question question = {
        .direction = connection_direction(found->state),
        .from_host = !!(found->state & FENCE_CONN_FROM_HOST),
    };

    question.position = connection_position(key, question.direction);
    judge_again(pair, &question, judgement);
    judgement->flags = 0;
    if (judgement->verdict == FENCE_DENY) {
        connection_cut(packet, pair, found, judgement);
        return;
    }
    /* an ICMP error answers nothing */
    connection_advance(packet, found,
                       (question.direction ^ packet->direction) & ~packet->icmp_error);
    judgement->reason = FENCE_REASON_ESTABLISHED;
}

/* Answers without an entry are lawful: it is young, or one of its connections got no entry lately.
 */
fence_inline int connection_recovers(const struct packet *packet, const struct fence_usage *use)
{
    __u32 ifindex = packet->ifindex;
    struct fence_endpoint *endpoint;
    __u16 ticks = FENCE_FULL_TICKS(packet->now);

    if (use->full_at &&
        (__u16)(ticks - use->full_at) <= FENCE_FULL_TICKS(packet->hz * FENCE_SECONDS_FULL) + 1)
        return 1;
    endpoint = bpf_map_lookup_elem(&endpoints, &ifindex);
    return endpoint && endpoint->recovery_until_ns &&
           bpf_ktime_get_boot_ns() < endpoint->recovery_until_ns;
}

/* So many passes by the reverse rule a second and no more: who sends bare ACKs in the hope of one
 * gets little through. */
fence_inline int connection_within_limit(const struct packet *packet, struct fence_usage *use)
{
    if ((__u32)packet->now - use->reverse_since >= packet->hz) {
        use->reverse_since = packet->now;
        use->reverse_count = 0;
    }
    if (use->reverse_count >= FENCE_REVERSE_A_SECOND)
        return 0;
    use->reverse_count++;
    return 1;
}

/*
 * May a packet without an entry pass by the rule of the connection that it seems to answer? Only
 * where an allow-list is silent: what is denied by name stays denied, so that a bare ACK does not
 * walk around a cut.
 */
fence_inline int connection_may_reverse(const struct packet *packet, const struct fence_pair *pair,
                                        const struct judgement *judgement, __u8 *ret_reason)
{
    int tcp = packet->outer.protocol == IPPROTO_TCP;
    __u32 slot = pair->slot;
    struct fence_usage *use = bpf_map_lookup_elem(&usage, &slot);

    if (!use || !connection_is_unlisted(judgement))
        return 0;
    *ret_reason = FENCE_REASON_REVERSE_RULE;
    if (tcp && (packet->tcp_flags & TCP_BIT_ACK) && !(packet->tcp_flags & TCP_BIT_SYN))
        return connection_within_limit(packet, use);
    *ret_reason = FENCE_REASON_RECOVERY;
    if (tcp && (packet->tcp_flags & TCP_BIT_SYN) && !(packet->tcp_flags & TCP_BIT_ACK))
        return 0;
    return connection_recovers(packet, use);
}

/* Only these make an entry: what opens a connection, or continues one whose entry was lost. */
fence_inline int connection_may_open(const struct packet *packet)
{
    const struct tuple *tuple = &packet->outer;

    if (packet->fragment == PACKET_LATER || packet->icmp_error)
        return 0;
    if (tuple->protocol == IPPROTO_TCP)
        return !(packet->tcp_flags & TCP_BIT_RST) &&
               ((packet->tcp_flags & TCP_BIT_SYN) ? !(packet->tcp_flags & TCP_BIT_ACK)
                                                  : !!(packet->tcp_flags & TCP_BIT_ACK));
    if (is_icmp(tuple->protocol))
        return !icmp_is_reply(tuple->protocol, tuple->icmp_type);
    return 1;
}

/* A segment in the middle of a connection that nobody has seen, which both directions would allow:
 * by custom the lower port is the server's. */
fence_inline int connection_looks_answered(const struct packet *packet)
{
    const struct tuple *tuple = &packet->outer;

    return tuple->protocol == IPPROTO_TCP && !(packet->tcp_flags & TCP_BIT_SYN) &&
           tuple->source_port < tuple->destination_port;
}

/*
 * A packet without an entry, which is denied or looks like an answer: is it one? Returns the
 * direction that it belongs to; a packet that the judgement denies and such a connection allows
 * gets that connection's judgement.
 */
fence_step int connection_reverse(const struct packet *packet, struct fence_pair *pair,
                                  const struct connection_key *key, struct judgement *judgement)
{
    struct judgement reverse = {};
    struct question question = {};
    __u8 reason = 0;

    if (!packet || !pair || !key || !judgement)
        return FENCE_EGRESS;
    if (judgement->verdict != FENCE_ALLOW &&
        !connection_may_reverse(packet, pair, judgement, &reason))
        return packet->direction;
    /* whether a local process opened it cannot be known from an answer: from_host is 0 */
    question.direction = packet->direction == FENCE_EGRESS ? FENCE_INGRESS : FENCE_EGRESS;
    question.position = connection_position(key, question.direction);
    judge(pair, &question, &reverse);
    if (reverse.verdict != FENCE_ALLOW)
        return packet->direction;
    if (judgement->verdict != FENCE_ALLOW) {
        *judgement = reverse;
        judgement->reason = reason;
    }
    return question.direction;
}

/* A packet without an entry, or a SYN. Fills in the judgement and returns the opener's direction.
 */
fence_inline __u32 connection_judge_new(const struct packet *packet, struct fence_pair *pair,
                                        const struct connection_key *key,
                                        struct judgement *judgement)
{
    struct question question = {
        .direction = packet->direction,
        .position = connection_position(key, packet->direction),
        .from_host = packet->origin == FENCE_ORIGIN_LOCAL,
    };

    /* a reply has the type of a reply, not of the request that the entry would have */
    if (is_icmp(key->id.protocol) && icmp_is_reply(key->id.protocol, packet->outer.icmp_type))
        question.position = FENCE_POSITION(key->id.protocol,
                                           packet->outer.icmp_type << 8 | packet->outer.icmp_code);
    judge_again(pair, &question, judgement);
    if (packet->probe || (judgement->verdict == FENCE_ALLOW && !connection_looks_answered(packet)))
        return packet->direction;
    return connection_reverse(packet, pair, key, judgement);
}

/*
 * A connection that policy has cut stays cut in both directions. Without a handshake, though, a
 * datagram from the asked side may be the first of a new flow over the same ports, and is judged
 * by its own rule: only where an allow-list is silent, not where something is denied by name,
 * and so long after its last packet that it is no answer to what had come before the cut, which
 * would open the way again for all that follows.
 */
fence_inline int connection_may_replace(const struct packet *packet, const struct found *found,
                                        const struct judgement *judgement)
{
    return packet->outer.protocol != IPPROTO_TCP &&
           connection_direction(found->state) != packet->direction &&
           connection_is_unlisted(judgement) &&
           fence_jiffies_since(packet->now, FENCE_STATE_SEEN(found->state), packet->hz) >=
               packet->hz * FENCE_SECONDS_ANSWERS;
}

/* The true source, which is remembered where the packet does not show it. -1: it is not known any
 * more. */
fence_step int connection_recall_source(struct packet *packet, const struct connection_key *key)
{
    struct fence_connection_key copy;
    struct fence_addr *learnt;

    if (!packet || !key)
        return -1;
    if (!packet->has_true_source) {
        copy = key->id;
        learnt = bpf_map_lookup_elem(&origins, &copy);
        if (!learnt)
            return -1;
        packet->true_source = *learnt;
    }
    return 0;
}

/*
 * The pair that says what policy says: the true source's instead of that of an address of this
 * node. `pair` is not to be used afterwards: both may have one place.
 */
fence_inline struct fence_pair *connection_true_pair(struct packet *packet, struct fence_pair *pair,
                                                     const struct connection_key *key)
{
    if (connection_recall_source(packet, key) < 0 ||
        pair_fill(packet, packet_local(packet), &packet->true_source) < 0)
        return pair;
    return pair_place(packet, pair_hash(packet, packet_local(packet), &packet->true_source));
}

/* A new connection is counted, and told if anybody wants to hear of it: enum fence_hearing. */
fence_inline void connection_opened(const struct packet *packet, const struct fence_pair *pair,
                                    struct judgement *judgement, __u32 fresh)
{
    __u32 stands_for = count_flow(packet, pair->identity, judgement, fresh);

    if (judgement->shadow == FENCE_ALLOW && !is_heard(packet, FENCE_HEARING_ALL)) {
        if (!stands_for || !is_heard(packet, FENCE_HEARING_ALIKE))
            return;
        judgement->alike = stands_for - 1;
    }
    tell(packet, judgement, pair->identity, FENCE_EVENT_VERDICT);
}

/* All of step 3 to 5 for a packet with a transport tuple. */
fence_step int connection_judge(struct packet *packet, struct fence_pair *pair,
                                struct judgement *judgement)
{
    struct connection_key key;
    struct found found = {};
    __u32 direction, fresh;
    int is_syn;

    if (!packet || !pair || !judgement)
        return 0;
    is_syn = packet->outer.protocol == IPPROTO_TCP &&
             (packet->tcp_flags & (TCP_BIT_SYN | TCP_BIT_ACK)) == TCP_BIT_SYN;
    connection_key(pair, &packet->outer, packet->direction == FENCE_EGRESS, packet->secret, &key);
    if (!packet->probe)
        connection_find(packet, &key, &found);
    mark_check(packet, found.state);
    if (packet->has_true_source || (found.state & FENCE_CONN_TRANSLATED)) {
        pair = connection_true_pair(packet, pair, &key);
        if (!pair) {
            policy_deny(judgement, FENCE_REASON_NOT_APPLIED);
            return 0;
        }
    }
    if (found.state && !is_syn) {
        connection_continue(packet, pair, &key, &found, judgement);
        if (judgement->verdict == FENCE_ALLOW)
            return 0;
        if (!connection_may_replace(packet, &found, judgement)) {
            tell(packet, judgement, pair->identity, FENCE_EVENT_DROP);
            return 0;
        }
    }
    direction = connection_judge_new(packet, pair, &key, judgement);
    if (judgement->flags & FENCE_CONN_MASQUERADED)
        count(packet, FENCE_REASON_MASQUERADED);
    if (judgement->verdict == FENCE_DENY) {
        count_flow(packet, pair->identity, judgement, 0);
        tell(packet, judgement, pair->identity, FENCE_EVENT_DROP);
        return 0;
    }
    /* a retransmitted SYN, or one on a live connection, which the receiver will refuse */
    if (found.state && !(found.state & (FENCE_CONN_CUT | FENCE_CONN_CLOSED)))
        return 0;
    if (!connection_may_open(packet))
        return 0;
    fresh = connection_open(packet, pair, &key, judgement, direction);
    connection_opened(packet, pair, judgement, fresh);
    return 0;
}

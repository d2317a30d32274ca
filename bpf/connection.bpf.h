/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Step 3: connections, one entry for both directions of one endpoint.
 *
 *            first packet allowed                 answered (TCP: handshake complete)
 *   absent ----------------------> `handshakes` ------------------------> `connections`
 *      ^                                |                                      |
 *      +--------- lifetime over, or closed and opened anew --------------------+
 *
 * Invariants
 * - What has not been answered lives in an LRU map of its own, so no flood of first packets
 *   pushes out what is established. When `connections` is full an entry stays in `handshakes`.
 * - An entry remembers what judged it: policy set, peer, and that peer's generation. When one of
 *   them is out of date the connection is judged again, in the direction that it was opened in, by
 *   whichever packet comes next. So a tightened policy cuts both directions, a loosened one opens
 *   them again, and nobody else pays. Set 0 is never current.
 * - A SYN is always judged in its own direction, whatever entry there is.
 * - What was cut is not opened again by what the asked side still sends (connection_may_replace).
 * - An expired entry counts as absent; nothing depends on a sweep.
 * - Without an entry a TCP segment with ACK may also pass by the rule of the other direction: an
 *   entry that was lost cuts no lawful connection. Everything else may do so only while the
 *   endpoint recovers.
 *
 * Races: a packet that judges an entry anew claims it first (FENCE_SET_BUSY); one that finds it
 * claimed, or changed since it looked, goes by its own judgement and leaves the entry alone. So two
 * judgements never mix, and an old one that comes late carries its old numbers: the next packet
 * corrects it. Other fields are plain stores of one word or less.
 */
#pragma once

#include "bpf/connection.h"
#include "bpf/event.bpf.h"
#include "bpf/maps.bpf.h"
#include "bpf/packet.bpf.h"
#include "bpf/parse.bpf.h"
#include "bpf/policy.bpf.h"

fence_inline int is_icmp(__u8 protocol)
{
    return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

/* `local_is_source`: the pod sent what the tuple describes. */
fence_inline void connection_key(__u32 ifindex, const struct tuple *tuple, int local_is_source,
                                 struct fence_connection_key *key)
{
    __builtin_memset(key, 0, sizeof(*key));
    key->ifindex = ifindex;
    key->protocol = tuple->protocol;
    key->local = local_is_source ? tuple->source : tuple->destination;
    key->remote = local_is_source ? tuple->destination : tuple->source;
    if (is_icmp(tuple->protocol) || local_is_source) {
        key->local_port = tuple->source_port;
        key->remote_port = tuple->destination_port;
    } else {
        key->local_port = tuple->destination_port;
        key->remote_port = tuple->source_port;
    }
}

/* Destination of a connection that was opened in `direction`. */
fence_inline __u32 connection_position(const struct fence_connection_key *key, __u32 direction)
{
    __u16 port =
        direction == FENCE_EGRESS || is_icmp(key->protocol) ? key->remote_port : key->local_port;

    return FENCE_POSITION(key->protocol, port);
}

/* A packet on another CPU may have been later than this one, and here before it. */
fence_inline int connection_expired(const struct packet *packet,
                                    const struct fence_connection *connection, __u8 protocol)
{
    return packet->now >
           connection->last_seen +
               (__u64)packet->hz * fence_connection_lifetime(protocol, connection->flags);
}

/* An entry that is alive and this packet's: the node's own connection carries only the node's own
 * packets towards the pod. */
fence_inline int connection_usable(const struct packet *packet,
                                   const struct fence_connection *connection, __u8 protocol)
{
    if ((connection->flags & FENCE_CONN_FROM_HOST) && packet->direction == FENCE_INGRESS &&
        packet->origin != FENCE_ORIGIN_LOCAL)
        return 0;
    return !connection_expired(packet, connection, protocol);
}

/* A usable entry and where it lives, or NULL. */
fence_inline struct fence_connection *connection_find(const struct packet *packet,
                                                      const struct fence_connection_key *key,
                                                      int *ret_established)
{
    struct fence_connection *connection = bpf_map_lookup_elem(&connections, key);

    *ret_established = 1;
    if (connection && connection_usable(packet, connection, key->protocol))
        return connection;
    *ret_established = 0;
    connection = bpf_map_lookup_elem(&handshakes, key);
    if (connection && connection_usable(packet, connection, key->protocol))
        return connection;
    return NULL;
}

fence_inline void connection_remember(struct fence_connection *connection,
                                      const struct judgement *judgement)
{
    connection->verdict = judgement->verdict;
    connection->reason = judgement->reason;
    connection->shadow = judgement->shadow;
    connection->shadow_reason = judgement->shadow_reason;
    connection->rule = judgement->rule;
    connection->shadow_rule = judgement->shadow_rule;
    connection->peer = judgement->peer;
    connection->generation = judgement->generation;
    barrier();
    connection->set = judgement->set;
}

fence_inline void connection_recall(const struct fence_connection *connection,
                                    struct judgement *judgement)
{
    judgement->set = connection->set;
    judgement->peer = connection->peer;
    judgement->generation = connection->generation;
    judgement->rule = connection->rule;
    judgement->shadow_rule = connection->shadow_rule;
    judgement->verdict = connection->verdict;
    judgement->reason = connection->reason;
    judgement->shadow = connection->shadow;
    judgement->shadow_reason = connection->shadow_reason;
    judgement->flags = 0;
}

/* A new entry, half-open. `direction` is the opener's. */
fence_inline void connection_open(const struct packet *packet,
                                  const struct fence_connection_key *key,
                                  const struct judgement *judgement, __u32 direction)
{
    struct fence_connection connection = {
        .last_seen = packet->now,
        .flags = judgement->flags | (direction == FENCE_INGRESS ? FENCE_CONN_INGRESS : 0),
    };

    if (packet->probe)
        return;
    connection_remember(&connection, judgement);
    bpf_map_delete_elem(&connections, key);
    bpf_map_update_elem(&handshakes, key, &connection, BPF_ANY);
}

/* TCP flags and time; the entry's next state. */
fence_inline void connection_advance(const struct packet *packet,
                                     struct fence_connection *connection, int is_reply)
{
    __u16 flags = connection->flags;

    if (is_reply)
        flags |= FENCE_CONN_REPLIED;
    if (packet->tcp_flags & TCP_BIT_FIN)
        flags |= is_reply ? FENCE_CONN_FIN_OTHER : FENCE_CONN_FIN_OPENER;
    if ((packet->tcp_flags & TCP_BIT_RST) ||
        ((flags & FENCE_CONN_FIN_OPENER) && (flags & FENCE_CONN_FIN_OTHER)))
        flags |= FENCE_CONN_CLOSED;
    if (flags != connection->flags)
        connection->flags = flags;
    /* a cache line that two CPUs share is written once a second */
    if (packet->now >= connection->last_seen + packet->hz)
        connection->last_seen = packet->now;
}

/* Answered, and for TCP the opener has spoken again: worth a place among the established. */
fence_inline void connection_promote(const struct packet *packet,
                                     const struct fence_connection_key *key,
                                     const struct fence_connection *connection, int is_reply)
{
    struct fence_connection copy = *connection;

    if (!(copy.flags & FENCE_CONN_REPLIED) || (copy.flags & FENCE_CONN_CLOSED))
        return;
    if (key->protocol == IPPROTO_TCP && is_reply)
        return;
    if (copy.set == FENCE_SET_BUSY)
        copy.set = 0;
    if (bpf_map_update_elem(&connections, key, &copy, BPF_ANY) == 0)
        bpf_map_delete_elem(&handshakes, key);
    else
        count(packet, FENCE_REASON_TABLE_FULL);
}

/* Do the policy set and the peer that judged it still stand? */
fence_inline int connection_is_current(const struct fence_endpoint *endpoint,
                                       const struct fence_connection *connection)
{
    return connection->set && connection->set == policy_set(endpoint) &&
           peer_is_current(connection->peer, connection->generation);
}

/* Judge the connection again; tells of a verdict that has changed. */
fence_inline void connection_rejudge(const struct packet *packet,
                                     const struct fence_endpoint *endpoint,
                                     const struct fence_connection_key *key,
                                     struct fence_connection *connection,
                                     struct judgement *judgement)
{
    __u32 seen = connection->set;
    __u32 direction = connection->flags & FENCE_CONN_INGRESS ? FENCE_INGRESS : FENCE_EGRESS;
    struct question question = {
        .remote = key->remote,
        .direction = direction,
        .position = connection_position(key, direction),
        .from_host = !!(connection->flags & FENCE_CONN_FROM_HOST),
    };
    __u8 before;

    policy_judge(packet, endpoint, &question, judgement);
    judgement->flags = 0;
    if (seen == FENCE_SET_BUSY ||
        __sync_val_compare_and_swap(&connection->set, seen, FENCE_SET_BUSY) != seen)
        return;
    before = connection->verdict;
    connection_remember(connection, judgement);
    if (before != judgement->verdict)
        tell(packet, judgement, endpoint->identity, FENCE_EVENT_CUT);
}

/* Denied because nobody allows it, and not by name. */
fence_inline int connection_is_unlisted(const struct judgement *judgement)
{
    return judgement->reason == FENCE_REASON_NO_RULE ||
           judgement->reason == FENCE_REASON_PEER_PENDING;
}

/* A packet of a known connection. Fills in the judgement. */
fence_inline void connection_continue(const struct packet *packet,
                                      const struct fence_endpoint *endpoint,
                                      const struct fence_connection_key *key,
                                      struct fence_connection *connection, int established,
                                      struct judgement *judgement)
{
    int opened_inwards = !!(connection->flags & FENCE_CONN_INGRESS);
    int is_reply = opened_inwards != (packet->direction == FENCE_INGRESS);

    if (connection_is_current(endpoint, connection))
        connection_recall(connection, judgement);
    else
        connection_rejudge(packet, endpoint, key, connection, judgement);
    if (judgement->verdict == FENCE_DENY) {
        /* kept, so that a policy that is loosened again restores it; see connection_may_replace */
        if (key->protocol == IPPROTO_TCP || !connection_is_unlisted(judgement))
            connection->last_seen = packet->now;
        return;
    }
    connection_advance(packet, connection, is_reply);
    if (!established)
        connection_promote(packet, key, connection, is_reply);
    judgement->reason = FENCE_REASON_ESTABLISHED;
}

/*
 * May a packet without an entry pass by the rule of the connection that it seems to answer? Only
 * where an allow-list is silent: what is denied by name stays denied, so that a bare ACK does not
 * walk around a cut.
 */
fence_inline int connection_may_reverse(const struct packet *packet,
                                        const struct fence_endpoint *endpoint,
                                        const struct judgement *judgement, __u8 *ret_reason)
{
    int tcp = packet->outer.protocol == IPPROTO_TCP;

    if (!connection_is_unlisted(judgement))
        return 0;
    *ret_reason = FENCE_REASON_REVERSE_RULE;
    if (tcp && (packet->tcp_flags & TCP_BIT_ACK) && !(packet->tcp_flags & TCP_BIT_SYN))
        return 1;
    *ret_reason = FENCE_REASON_RECOVERY;
    if (tcp && (packet->tcp_flags & TCP_BIT_SYN) && !(packet->tcp_flags & TCP_BIT_ACK))
        return 0;
    return endpoint->recovery_until_ns && bpf_ktime_get_boot_ns() < endpoint->recovery_until_ns;
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

/* A packet without an entry, or a SYN. Fills in the judgement. */
fence_inline void connection_judge_new(const struct packet *packet,
                                       const struct fence_endpoint *endpoint,
                                       const struct fence_connection_key *key,
                                       struct judgement *judgement, __u32 *ret_direction)
{
    struct question question = {
        .remote = key->remote,
        .direction = packet->direction,
        .position = connection_position(key, packet->direction),
        .from_host = packet->origin == FENCE_ORIGIN_LOCAL,
    };
    struct judgement reverse = {};
    __u8 reason;

    *ret_direction = packet->direction;
    /* a reply has the type of a reply, not of the request that the entry would have */
    if (packet->fragment != PACKET_LATER && is_icmp(key->protocol) &&
        icmp_is_reply(key->protocol, packet->outer.icmp_type))
        question.position =
            FENCE_POSITION(key->protocol, packet->outer.icmp_type << 8 | packet->outer.icmp_code);
    policy_judge(packet, endpoint, &question, judgement);
    if (judgement->verdict == FENCE_ALLOW || packet->probe ||
        !connection_may_reverse(packet, endpoint, judgement, &reason))
        return;

    question.direction = packet->direction == FENCE_EGRESS ? FENCE_INGRESS : FENCE_EGRESS;
    question.position = connection_position(key, question.direction);
    /* whether a local process opened it cannot be known from an answer */
    question.from_host = 0;
    policy_judge(packet, endpoint, &question, &reverse);
    if (reverse.verdict != FENCE_ALLOW)
        return;
    *judgement = reverse;
    judgement->reason = reason;
    *ret_direction = question.direction;
}

/*
 * A connection that policy has cut stays cut in both directions. Without a handshake, though, a
 * packet of the side that did not open it may as well be the first of a connection of its own
 * (gossip and SIP use one port for both), and is judged as such: when the flow was not cut by name,
 * and so long after its last packet that it is no answer to what had come before the cut, which
 * would open the way again for all that follows.
 */
fence_inline int connection_may_replace(const struct packet *packet,
                                        const struct fence_connection *connection,
                                        const struct judgement *judgement)
{
    int opened_inwards = !!(connection->flags & FENCE_CONN_INGRESS);

    return packet->outer.protocol != IPPROTO_TCP &&
           opened_inwards != (packet->direction == FENCE_INGRESS) &&
           connection_is_unlisted(judgement) &&
           packet->now >= connection->last_seen + (__u64)packet->hz * FENCE_SECONDS_ANSWERS;
}

/* All of step 3 to 5 for a packet with a transport tuple. */
fence_step int connection_judge(const struct packet *packet, const struct fence_endpoint *endpoint,
                                struct judgement *judgement)
{
    int is_syn;
    struct fence_connection *connection = NULL;
    struct fence_connection_key key;
    __u32 direction;
    int established = 0;

    if (!packet || !endpoint || !judgement)
        return 0;
    is_syn = packet->outer.protocol == IPPROTO_TCP &&
             (packet->tcp_flags & (TCP_BIT_SYN | TCP_BIT_ACK)) == TCP_BIT_SYN;
    connection_key(packet->ifindex, &packet->outer, packet->direction == FENCE_EGRESS, &key);
    if (!packet->probe)
        connection = connection_find(packet, &key, &established);
    if (connection && !is_syn) {
        connection_continue(packet, endpoint, &key, connection, established, judgement);
        if (judgement->verdict == FENCE_ALLOW)
            return 0;
        if (!connection_may_replace(packet, connection, judgement)) {
            tell(packet, judgement, endpoint->identity, FENCE_EVENT_DROP);
            return 0;
        }
    }
    connection_judge_new(packet, endpoint, &key, judgement, &direction);
    if (judgement->flags & FENCE_CONN_MASQUERADED)
        count(packet, FENCE_REASON_MASQUERADED);
    if (judgement->verdict == FENCE_DENY) {
        count_flow(packet, endpoint->identity, judgement);
        tell(packet, judgement, endpoint->identity, FENCE_EVENT_DROP);
        return 0;
    }
    /* a retransmitted SYN, or one on a live connection, which the receiver will refuse */
    if (connection && connection->verdict == FENCE_ALLOW &&
        !(connection->flags & FENCE_CONN_CLOSED))
        return 0;
    if (!connection_may_open(packet))
        return 0;
    connection_open(packet, &key, judgement, direction);
    count_flow(packet, endpoint->identity, judgement);
    tell(packet, judgement, endpoint->identity, FENCE_EVENT_VERDICT);
    return 0;
}

/* An ICMP error goes with the connection that it quotes: 0 or the reason to drop. */
fence_step int connection_judge_error(struct __sk_buff *skb, struct packet *packet,
                                      const struct fence_endpoint *endpoint)
{
    struct fence_connection *connection;
    struct fence_connection_key key;
    struct judgement judgement = {};
    int pod_sent, established;

    if (!packet || !endpoint)
        return FENCE_REASON_UNRELATED;
    /* an error towards the pod quotes what the pod sent, and the other way round */
    pod_sent = packet->direction == FENCE_INGRESS;
    parse_pull(skb);
    if (parse_quoted(skb, packet) != 0)
        return FENCE_REASON_UNRELATED;
    connection_key(packet->ifindex, &packet->quoted, pod_sent, &key);
    if (!address_equal(&key.local, packet_local(packet)))
        return FENCE_REASON_UNRELATED;
    /* any router may tell the pod; the pod may tell the other end, and nobody else */
    if (!pod_sent && !address_equal(&key.remote, packet_remote(packet)))
        return FENCE_REASON_UNRELATED;
    connection = connection_find(packet, &key, &established);
    if (!connection)
        return FENCE_REASON_UNRELATED;
    if (connection_is_current(endpoint, connection))
        connection_recall(connection, &judgement);
    else
        connection_rejudge(packet, endpoint, &key, connection, &judgement);
    return judgement.verdict == FENCE_ALLOW ? 0 : judgement.reason;
}

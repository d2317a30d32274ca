/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Step 5: (policy set, class of the peer, direction) -> table of intervals -> verdict. All
 * semantics are settled in user space; here is one or two look-ups and a binary search, whatever
 * the number of rules.
 */
#pragma once

#include "bpf/maps.bpf.h"
#include "bpf/packet.bpf.h"
#include "bpf/peer.bpf.h"

#define POLICY_SEARCH_STEPS 17 /* log2(FENCE_TABLE_MAX) + 1 */

/* The set in force now: a planned take-over needs nobody awake. */
fence_inline __u32 policy_set(const struct fence_endpoint *endpoint)
{
    if (endpoint->takeover_ns && bpf_ktime_get_boot_ns() >= endpoint->takeover_ns)
        return endpoint->next_set;
    return endpoint->set;
}

fence_inline struct fence_policy_table *policy_table(__u32 set, __u32 class, __u32 direction)
{
    struct fence_policy_key key = {.set = set, .class = class, .direction = direction};
    struct fence_policy_table *table = bpf_map_lookup_elem(&policies, &key);

    if (table)
        return table;
    key.class = FENCE_CLASS_ANY;
    return bpf_map_lookup_elem(&policies, &key);
}

/* The last interval whose low is not above `position`. */
fence_inline struct fence_interval *policy_search(const struct fence_policy_table *table,
                                                  __u32 position)
{
    __u32 low = table->offset, count = table->count;

    for (int i = 0; i < POLICY_SEARCH_STEPS && count > 1; i++) {
        __u32 half = count / 2;
        __u32 middle = low + half;
        struct fence_interval *interval = bpf_map_lookup_elem(&intervals, &middle);

        if (!interval)
            return NULL;
        if (interval->low <= position) {
            low = middle;
            count -= half;
        } else {
            count = half;
        }
    }
    return bpf_map_lookup_elem(&intervals, &low);
}

fence_inline void policy_deny(struct judgement *judgement, __u8 reason)
{
    judgement->verdict = judgement->shadow = FENCE_DENY;
    judgement->reason = judgement->shadow_reason = reason;
    judgement->rule = judgement->shadow_rule = 0;
}

fence_inline void policy_allow(struct judgement *judgement, __u8 reason)
{
    judgement->verdict = judgement->shadow = FENCE_ALLOW;
    judgement->reason = judgement->shadow_reason = reason;
    judgement->rule = judgement->shadow_rule = 0;
}

fence_inline void policy_apply(struct judgement *judgement, __u32 class,
                               const struct question *question)
{
    struct fence_policy_table *table = policy_table(judgement->set, class, question->direction);
    struct fence_interval *interval = table ? policy_search(table, question->position) : NULL;

    if (!interval) {
        policy_deny(judgement, FENCE_REASON_NOT_APPLIED);
        return;
    }
    judgement->verdict = interval->verdict;
    judgement->reason = interval->reason;
    judgement->rule = interval->rule;
    judgement->shadow = interval->shadow;
    judgement->shadow_reason = interval->shadow_reason;
    judgement->shadow_rule = interval->shadow_rule;
}

/* What a closed or pending endpoint answers; 1 when that settles it. */
fence_inline int policy_without_set(const struct fence_endpoint *endpoint,
                                    struct judgement *judgement)
{
    if (endpoint->flags & FENCE_EP_PENDING) {
        if (endpoint->flags & FENCE_EP_OPEN)
            policy_allow(judgement, FENCE_REASON_PENDING_OPEN);
        else if (endpoint->flags & FENCE_EP_INCOMPLETE)
            policy_deny(judgement, FENCE_REASON_INCOMPLETE);
        else
            policy_deny(judgement, FENCE_REASON_PENDING);
        return 1;
    }
    if (judgement->set)
        return 0;
    policy_deny(judgement, FENCE_REASON_NOT_APPLIED);
    return 1;
}

/*
 * The node's own processes get in above every tier (probes); that a Denylist would have hit them
 * is the reason given. A host address without a local process behind it is forwarded traffic
 * whose true source is lost: the world, masqueraded.
 */
fence_step int policy_judge(const struct packet *packet, const struct fence_endpoint *endpoint,
                            const struct question *question, struct judgement *judgement)
{
    __u32 peer_flags, class;
    int inbound_host;

    if (!packet || !endpoint || !question || !judgement)
        return 0;
    peer_flags = peer_resolve(packet, &question->remote, judgement, &class);
    inbound_host = question->direction == FENCE_INGRESS && (peer_flags & FENCE_PEER_IS_HOST);

    judgement->flags = 0;
    judgement->set = policy_set(endpoint);
    /* peer and generation stay the address's own: they say when to judge again */
    if (inbound_host && !question->from_host) {
        judgement->flags = FENCE_CONN_MASQUERADED;
        judgement->peer_identity = FENCE_IDENTITY_MASQUERADED;
        class = peer_class(address_is_ipv4(&question->remote) ? FENCE_PEER_MASQUERADED4
                                                              : FENCE_PEER_MASQUERADED6);
    }
    if (!policy_without_set(endpoint, judgement))
        policy_apply(judgement, class, question);
    if (inbound_host && question->from_host) {
        judgement->flags = FENCE_CONN_FROM_HOST;
        policy_allow(judgement, judgement->reason == FENCE_REASON_DENYLIST
                                    ? FENCE_REASON_WOULD_BE_DENIED
                                    : FENCE_REASON_FROM_HOST);
    }
    return 0;
}

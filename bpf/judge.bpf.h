/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Step 5: what policy says of a connection between a pair: its verdict, with reason and rule.
 * Always of now: nothing is remembered of an earlier judgement, so there is nothing to take back
 * when policies, labels or addresses change.
 */
#pragma once

#include "bpf/maps.bpf.h"
#include "bpf/packet.bpf.h"
#include "bpf/pair.bpf.h"
#include "bpf/peer.bpf.h"
#include "bpf/policy.bpf.h"

/* The pair's interval; the last answer is kept where there was something to search. */
fence_inline struct fence_interval *judge_interval(struct fence_pair *pair, __u32 direction,
                                                   __u32 position)
{
    __u32 tag = FENCE_MEMO_TAG(direction, position);
    const struct fence_policy_table *table = &pair->tables[direction & 1];
    struct fence_interval *interval;

    if (pair->memo.low == tag)
        return &pair->memo;
    if (table->count == 0)
        return NULL;
    interval = policy_search(table, position);
    if (!interval || table->count == 1)
        return interval;
    pair->memo = *interval;
    pair->memo.low = tag;
    pair->allowed = interval->verdict == FENCE_ALLOW ? tag : 0;
    return &pair->memo;
}

/* Does this answer of the pair's tables let a packet pass? */
fence_inline int judge_passes(const struct fence_pair *pair, const struct fence_interval *interval)
{
    return interval && (interval->verdict & pair->flags & FENCE_PAIR_PASSES);
}

/* Where nobody is there to judge it later, what was to be deferred is denied. */
fence_inline void judge_deferred(const struct fence_pair *pair, struct judgement *judgement)
{
    if (judgement->verdict != FENCE_DEFER || (pair->flags & FENCE_PAIR_ASKED))
        return;
    judgement->verdict = FENCE_DENY;
    if (pair->flags & FENCE_PAIR_DEFERS) {
        judgement->verdict = FENCE_ALLOW;
        judgement->reason = FENCE_REASON_SERVICE_DEFERRED;
    }
    if (judgement->shadow == FENCE_DEFER) {
        judgement->shadow = judgement->verdict;
        judgement->shadow_reason = judgement->reason;
    }
}

fence_inline void judge_by(struct judgement *judgement, const struct fence_interval *interval)
{
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
fence_inline int judge_without_set(const struct fence_pair *pair, struct judgement *judgement)
{
    if (pair->endpoint_flags & FENCE_EP_PENDING) {
        if (pair->endpoint_flags & FENCE_EP_OPEN)
            policy_allow(judgement, FENCE_REASON_PENDING_OPEN);
        else if (pair->endpoint_flags & FENCE_EP_INCOMPLETE)
            policy_deny(judgement, FENCE_REASON_INCOMPLETE);
        else
            policy_deny(judgement, FENCE_REASON_PENDING);
        return 1;
    }
    if (pair->set)
        return 0;
    policy_deny(judgement, FENCE_REASON_NOT_APPLIED);
    return 1;
}

/* A host address without a local process behind it. */
fence_inline void judge_masqueraded(struct fence_pair *pair, const struct question *question,
                                    struct judgement *judgement)
{
    __u32 number =
        address_is_ipv4(&pair->remote) ? FENCE_PEER_MASQUERADED4 : FENCE_PEER_MASQUERADED6;
    struct fence_policy_table *table =
        policy_table(pair->set, peer_class(number), question->direction);

    judgement->flags = FENCE_CONN_MASQUERADED;
    judgement->peer_identity = FENCE_IDENTITY_MASQUERADED;
    if (!judge_without_set(pair, judgement))
        judge_by(judgement, table ? policy_search(table, question->position) : NULL);
}

/*
 * The node's own processes get in above every tier (probes); that a Denylist would have hit them
 * is the reason given. A host address without a local process behind it is forwarded traffic
 * whose true source is lost: the world, masqueraded. A pod is never kept from itself.
 */
fence_step int judge(struct fence_pair *pair, const struct question *question,
                     struct judgement *judgement)
{
    int inbound_host;

    if (!pair || !question || !judgement)
        return 0;
    inbound_host = question->direction == FENCE_INGRESS && (pair->peer_flags & FENCE_PEER_IS_HOST);
    judgement->flags = 0;
    judgement->set = pair->set;
    judgement->peer = pair->peer;
    judgement->peer_identity = pair->peer_identity;
    if (pair->flags & FENCE_PAIR_ITSELF) {
        policy_allow(judgement, FENCE_REASON_ITSELF);
        return 0;
    }
    if (inbound_host && !question->from_host) {
        judge_masqueraded(pair, question, judgement);
        return 0;
    }
    if (!judge_without_set(pair, judgement))
        judge_by(judgement, judge_interval(pair, question->direction, question->position));
    judge_deferred(pair, judgement);
    if (inbound_host) {
        judgement->flags = FENCE_CONN_FROM_HOST;
        policy_allow(judgement, judgement->reason == FENCE_REASON_DENYLIST
                                    ? FENCE_REASON_WOULD_BE_DENIED
                                    : FENCE_REASON_FROM_HOST);
    }
    return 0;
}

/* The same, and without a call where the pair was asked that before. */
fence_inline void judge_again(struct fence_pair *pair, const struct question *question,
                              struct judgement *judgement)
{
    if (!(pair->flags & FENCE_PAIR_ORDINARY) || pair->memo.verdict == FENCE_DEFER ||
        pair->memo.low != FENCE_MEMO_TAG(question->direction, question->position)) {
        judge(pair, question, judgement);
        return;
    }
    judgement->flags = 0;
    judgement->set = pair->set;
    judgement->peer = pair->peer;
    judgement->peer_identity = pair->peer_identity;
    judge_by(judgement, &pair->memo);
}

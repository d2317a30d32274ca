/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The compiled policy: (policy set, class of the peer, direction) -> table of intervals -> verdict.
 * All semantics are settled in user space; here is one or two look-ups and a binary search,
 * whatever the number of rules.
 */
#pragma once

#include "bpf/maps.bpf.h"
#include "bpf/packet.bpf.h"

#define POLICY_SEARCH_STEPS 17 /* log2(FENCE_TABLE_MAX) + 1 */

fence_inline struct fence_policy_table *policy_table(__u32 set, __u32 class, __u32 direction)
{
    struct fence_policy_key key = {.set = set, .class = class, .direction = direction};
    struct fence_policy_table *table = bpf_map_lookup_elem(&policies, &key);

    if (table)
        return table;
    key.class = FENCE_CLASS_ANY;
    return bpf_map_lookup_elem(&policies, &key);
}

#define POLICY_NO_INTERVAL 0xffffffffu

/* The index of the last interval whose low is not above `position`. */
fence_step __u32 policy_index(const struct fence_policy_table *table, __u32 position)
{
    __u32 low, count;

    if (!table)
        return POLICY_NO_INTERVAL;
    low = table->offset;
    count = table->count;
    if (count == 0)
        return POLICY_NO_INTERVAL;
    for (int i = 0; i < POLICY_SEARCH_STEPS && count > 1; i++) {
        __u32 half = count / 2;
        __u32 middle = low + half;
        struct fence_interval *interval = bpf_map_lookup_elem(&intervals, &middle);
        __u32 upper;

        if (!interval)
            return POLICY_NO_INTERVAL;
        /* all ones where the answer is in the upper half: without a branch, which the processor
         * could not foresee and the verifier would follow both ways */
        upper = (__u32)(((__s64)interval->low - 1 - position) >> 63);
        low += half & upper;
        count = (half & ~upper) | ((count - half) & upper);
    }
    return low;
}

/* The table's answer for `position`; NULL: it has none. */
fence_inline struct fence_interval *policy_search(const struct fence_policy_table *table,
                                                  __u32 position)
{
    __u32 index = table->count == 1 ? table->offset : policy_index(table, position);

    return bpf_map_lookup_elem(&intervals, &index);
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

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/alarm/alike.h"

#include <string.h>

#include "lib/base/hash.h"

#define SECOND_NS 1000000000ull

static __u64 mix(__u64 hash, __u64 word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
    return hash ^ hash >> 29;
}

static __u64 key_of(const struct fence_alike *alike, const struct fence_event *event)
{
    const struct fence_addr *remote =
        event->direction == FENCE_EGRESS ? &event->destination : &event->source;
    __u64 words[2], hash = alike->secret;

    memcpy(words, remote, sizeof(words));
    hash = mix(hash, words[0]);
    hash = mix(hash, words[1]);
    hash = mix(hash, (__u64)event->identity << 32 | event->peer_identity);
    return mix(hash, (__u64)event->destination_port << 16 | (__u64)event->protocol << 8 |
                         event->direction);
}

bool fence_alike_take(struct fence_alike *alike, const struct fence_event *event,
                      struct fence_event *ret_event)
{
    struct fence_alike_slot *slot;
    __u64 key, more;

    if (!alike->secret)
        alike->secret = fence_hash_own("alike", sizeof("alike")).words[0];
    *ret_event = *event;
    if (event->type != FENCE_EVENT_VERDICT || event->verdict != FENCE_ALLOW ||
        event->shadow != FENCE_ALLOW)
        return true;
    key = key_of(alike, event);
    slot = &alike->slots[key % FENCE_ALIKE_SLOTS];
    if (slot->key == key && event->time_ns - slot->taken_ns < SECOND_NS) {
        slot->more += 1 + (__u64)event->suppressed;
        return false;
    }
    more = event->suppressed + (slot->key == key ? slot->more : 0);
    ret_event->suppressed = more > UINT32_MAX ? UINT32_MAX : (__u32)more;
    *slot = (struct fence_alike_slot){.key = key, .taken_ns = event->time_ns};
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Step 1: peers, and their generations. */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/datapath/apply_internal.h"
#include "lib/datapath/walk.h"

static __u32 number_of(const struct fence_apply *apply, const struct apply_peer *peer)
{
    return (__u32)(peer - apply->peers);
}

bool apply_peer_is_used(const struct fence_apply *apply, __u32 peer)
{
    return fence_index_has(&apply->peers[peer].node);
}

static struct apply_peer *find(const struct fence_apply *apply, struct fence_hash content)
{
    return fence_index_find(&apply->peers_by_content, &content);
}

static int index_peer(struct fence_apply *apply, struct apply_peer *peer)
{
    return fence_index_add(&apply->peers_by_content, &peer->node, peer->now.content, peer);
}

static int load_visit(void *context, const void *key, const void *value)
{
    struct fence_apply *apply = context;
    struct fence_hash content;
    struct apply_peer *peer;
    __u32 number;

    memcpy(&number, key, sizeof(number));
    peer = &apply->peers[number];
    memcpy(&peer->now, value, sizeof(peer->now));
    memcpy(&content, peer->now.content, sizeof(content));
    if ((content.words[0] == 0 && content.words[1] == 0) || find(apply, content))
        return 0;
    return index_peer(apply, peer);
}

/* Killed while addresses moved: nobody knows any more which. */
static int finish_moving(struct fence_apply *apply)
{
    struct fence_settings settings = apply->settings;
    int r;

    if (!(settings.flags & FENCE_SETTING_MOVING))
        return 0;
    for (__u32 i = 0; i < apply->peer_limit; i++)
        if (apply_peer_is_used(apply, i))
            apply_peer_moved(apply, i);
    r = apply_peers_raise(apply);
    return r < 0 ? r : apply_peers_settle(apply);
}

int apply_peers_load(struct fence_apply *apply)
{
    int fd = apply->pins->maps[FENCE_MAP_PEERS];
    struct fence_map_shape shape;
    int r = fence_map_shape(fd, &shape);

    if (r < 0)
        return r;
    apply->peer_limit = shape.max_entries;
    if (apply->peer_limit < FENCE_PEER_FIRST)
        return -EINVAL;
    apply->peers = calloc(apply->peer_limit, sizeof(*apply->peers));
    if (!apply->peers)
        return -ENOMEM;
    apply->peer_cursor = FENCE_PEER_FIRST;
    r = fence_map_walk(fd, load_visit, apply);
    return r < 0 ? r : finish_moving(apply);
}

/* The smallest free number: the kernel's look-ups stay close together. */
static struct apply_peer *free_peer(struct fence_apply *apply)
{
    while (apply->peer_cursor < apply->peer_limit && apply_peer_is_used(apply, apply->peer_cursor))
        apply->peer_cursor++;
    return apply->peer_cursor < apply->peer_limit ? &apply->peers[apply->peer_cursor] : NULL;
}

static int write_peer(struct fence_apply *apply, struct apply_peer *peer,
                      const struct fence_peer *value)
{
    __u32 number = number_of(apply, peer);
    int r;

    if (memcmp(&peer->now, value, sizeof(*value)) == 0)
        return 0;
    r = apply_put(apply, FENCE_MAP_PEERS, &number, value);
    if (r < 0)
        return r;
    /* the content is its key in the index */
    if (memcmp(peer->now.content, value->content, sizeof(value->content)) != 0)
        fence_index_remove(&apply->peers_by_content, &peer->node);
    peer->now = *value;
    return 0;
}

/* Its own number, that of its content, or a new one. */
static struct apply_peer *pick(struct fence_apply *apply, const struct fence_plan_peer *plan,
                               struct fence_hash content)
{
    struct apply_peer *peer;

    if (plan->reserved)
        return &apply->peers[plan->reserved];
    peer = find(apply, content);
    return peer ? peer : free_peer(apply);
}

static int assign(struct apply_run *run, const struct fence_plan_peer *plan, __u32 *ret_number)
{
    struct fence_apply *apply = run->apply;
    struct fence_hash content = apply_hash_text(apply, plan->content);
    struct fence_peer value = {.identity = run->identities[plan->identity], .flags = plan->flags};
    struct apply_peer *peer = pick(apply, plan, content);
    int r;

    if (!peer)
        return -E2BIG;
    memcpy(value.content, &content, sizeof(value.content));
    value.generation = peer->now.generation;
    r = write_peer(apply, peer, &value);
    if (r == 0 && !fence_index_has(&peer->node))
        r = index_peer(apply, peer);
    if (r < 0)
        return r;
    peer->plan = apply->serial;
    *ret_number = number_of(apply, peer);
    return 0;
}

int apply_peers(struct apply_run *run)
{
    for (size_t i = 0; i < run->plan->peers_count; i++) {
        int r = assign(run, &run->plan->peers[i], &run->peers[i]);

        if (r < 0)
            r = apply_report_map(run, FENCE_MAP_PEERS, r, "addresses without a peer are pending");
        if (r < 0)
            return r;
    }
    return 0;
}

void apply_peer_moved(struct fence_apply *apply, __u32 peer)
{
    if (peer < apply->peer_limit)
        apply->peers[peer].moved = true;
}

static int raise(struct fence_apply *apply, struct apply_peer *peer)
{
    struct fence_peer value = peer->now;

    value.generation++;
    return write_peer(apply, peer, &value);
}

int apply_peers_raise(struct fence_apply *apply)
{
    int first = 0;

    for (__u32 i = 0; i < apply->peer_limit; i++) {
        struct apply_peer *peer = &apply->peers[i];
        int r;

        if (!peer->moved)
            continue;
        r = raise(apply, peer);
        if (r < 0) {
            first = first ? first : r;
            continue;
        }
        peer->moved = false;
        peer->moved_twice = true;
    }
    return first;
}

int apply_peers_settle(struct fence_apply *apply)
{
    struct fence_settings settings = apply->settings;
    int first = 0;

    if (!(settings.flags & FENCE_SETTING_MOVING))
        return 0;
    apply_grace();
    for (__u32 i = 0; i < apply->peer_limit; i++) {
        struct apply_peer *peer = &apply->peers[i];
        int r;

        if (!peer->moved_twice)
            continue;
        r = raise(apply, peer);
        if (r < 0)
            first = first ? first : r;
        else
            peer->moved_twice = false;
    }
    if (first < 0)
        return first;
    settings.flags &= ~FENCE_SETTING_MOVING;
    return apply_settings(apply, &settings);
}

int apply_peer_free(struct fence_apply *apply, __u32 number)
{
    struct apply_peer *peer = &apply->peers[number];
    struct fence_peer value = {.generation = peer->now.generation + 1};
    int r = write_peer(apply, peer, &value);

    peer->plan = 0;
    if (r == 0 && number < apply->peer_cursor && number >= FENCE_PEER_FIRST)
        apply->peer_cursor = number;
    return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Step 3: peers and their classes. */
#include <errno.h>
#include <string.h>

#include "lib/base/failpoint.h"
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

static int content_of(const struct apply_run *run, __u32 index, struct fence_hash *ret_content)
{
    struct fence_text text = {0};
    int r = fence_plan_peer_content(run->plan, index, &text);

    if (r == 0)
        *ret_content = apply_hash(run->apply, text.data, text.size);
    fence_text_done(&text);
    return r;
}

int apply_peer_of_content(const struct apply_run *run, __u32 index, __u32 *ret_number)
{
    const struct apply_peer *peer;
    struct fence_hash content;
    int r = content_of(run, index, &content);

    if (r < 0)
        return r;
    peer = find(run->apply, content);
    if (peer)
        *ret_number = number_of(run->apply, peer);
    return peer != NULL;
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
    return fence_map_walk(fd, load_visit, apply);
}

/* The smallest free number: the kernel's look-ups stay close together. */
static struct apply_peer *free_peer(struct fence_apply *apply)
{
    while (apply->peer_cursor < apply->peer_limit &&
           (apply_peer_is_used(apply, apply->peer_cursor) ||
            apply->peers[apply->peer_cursor].references))
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

/*
 * Its own number, the one that it has, that of its content, or a new one. A peer that goes on under
 * a number of its own takes the content with it: nothing leads to another number of that content.
 */
static int pick(struct apply_run *run, __u32 index, struct fence_hash content,
                struct apply_peer **ret_peer)
{
    struct fence_apply *apply = run->apply;
    struct apply_peer *known = find(apply, content);
    struct apply_peer *peer = known;
    int r = 0;

    if (run->plan->peers[index].reserved)
        peer = &apply->peers[run->plan->peers[index].reserved];
    else if (apply->peers_by_index[index])
        peer = &apply->peers[apply->peers_by_index[index]];
    else if (!peer)
        peer = free_peer(apply);
    if (!peer)
        return -E2BIG;
    if (known && known != peer)
        r = known->references ? -EEXIST : apply_peer_free(apply, number_of(apply, known));
    *ret_peer = peer;
    return r;
}

static void point(struct fence_apply *apply, __u32 index, struct apply_peer *peer)
{
    __u32 before = apply->peers_by_index[index];

    if (peer)
        peer->references++;
    if (before)
        apply->peers[before].references--;
    apply->peers_by_index[index] = peer ? number_of(apply, peer) : 0;
}

static int assign(struct apply_run *run, __u32 index)
{
    const struct fence_plan_peer *plan = &run->plan->peers[index];
    struct fence_apply *apply = run->apply;
    struct fence_peer value = {
        .identity = apply_number_of(&apply->identities, plan->identity),
        .class = apply_number_of(&apply->classes, plan->class),
        .flags = plan->flags,
    };
    struct apply_peer *peer = NULL;
    struct fence_hash content;
    int r = content_of(run, index, &content);

    if (r == 0)
        r = pick(run, index, content, &peer);
    if (r != 0)
        return r;
    memcpy(value.content, &content, sizeof(value.content));
    r = write_peer(apply, peer, &value);
    if (r == 0 && !fence_index_has(&peer->node))
        r = index_peer(apply, peer);
    if (r == 0)
        point(apply, index, peer);
    return r;
}

/* One whose content changes gives its old one up before any other looks for it. */
static int give_up_content(struct apply_run *run, __u32 index)
{
    struct fence_apply *apply = run->apply;
    struct apply_peer *peer = &apply->peers[apply->peers_by_index[index]];
    struct fence_hash content;
    int r = content_of(run, index, &content);

    if (r == 0 && memcmp(peer->now.content, &content, sizeof(content)) != 0)
        fence_index_remove(&apply->peers_by_content, &peer->node);
    return r;
}

int apply_peers(struct apply_run *run)
{
    const struct fence_plan_list *list = &run->plan->peers_list;
    struct fence_apply *apply = run->apply;
    int r = apply_grow((void **)&apply->peers_by_index, &apply->peer_index_count, list->count,
                       sizeof(*apply->peers_by_index));

    for (size_t i = 0; r == 0 && i < list->touched_count; i++) {
        if (!run->plan->peers[list->touched[i]].item.live)
            point(apply, list->touched[i], NULL);
        else if (apply->peers_by_index[list->touched[i]])
            r = give_up_content(run, list->touched[i]);
    }
    for (size_t i = 0; r == 0 && i < list->touched_count; i++) {
        if (!run->plan->peers[list->touched[i]].item.live)
            continue;
        r = assign(run, list->touched[i]);
        if (r < 0)
            r = apply_report_map(run, FENCE_MAP_PEERS, r, "addresses without a peer are pending");
    }
    FENCE_FAILPOINT("apply.peers-done");
    return r;
}

void apply_peers_forget(struct fence_apply *apply)
{
    for (__u32 i = 0; i < apply->peer_limit; i++)
        if (apply->peers[i].references)
            apply->peers[i].references = 0;
    for (size_t i = 0; i < apply->peer_index_count; i++)
        apply->peers_by_index[i] = 0;
}

void apply_peers_done(struct fence_apply *apply)
{
    for (__u32 i = 0; apply->peers && i < apply->peer_limit; i++)
        if (fence_index_has(&apply->peers[i].node))
            fence_index_remove(&apply->peers_by_content, &apply->peers[i].node);
    free(apply->peers);
    free(apply->peers_by_index);
}

int apply_peer_free(struct fence_apply *apply, __u32 number)
{
    struct apply_peer *peer = &apply->peers[number];
    const struct fence_peer value = {0};
    int r = write_peer(apply, peer, &value);

    if (r == 0 && number < apply->peer_cursor && number >= FENCE_PEER_FIRST)
        apply->peer_cursor = number;
    return r;
}

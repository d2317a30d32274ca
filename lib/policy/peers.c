/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A peer is an identity at a class of addresses, with those named ports that some rule asks for:
 * exactly what rules can tell apart. Its content says all of it, so the same peer is found again
 * after a restart, whatever order the objects came in.
 */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/names.h"
#include "lib/policy/compiler.h"
#include "lib/policy/view.h"

static int fill_identity(const struct fence_peer_draft *draft, struct fence_plan_identity *identity)
{
    const struct fence_peer_view *view = &draft->view;
    bool pod = draft->kind == FENCE_KIND_POD;

    identity->namespace_name = strdup(pod ? view->namespace_name : "");
    identity->app = strdup(draft->app ? draft->app : "");
    identity->labels =
        draft->reserved || !view->labels ? strdup("") : fence_labels_format(view->labels);
    if (!identity->namespace_name || !identity->app || !identity->labels)
        return -ENOMEM;
    return 0;
}

static int push_identity(struct fence_compile_state *state, const struct fence_peer_draft *draft,
                         const char *content)
{
    struct fence_plan *plan = state->plan;
    struct fence_plan_identity *identity;

    if (FENCE_GROW(plan->identities, plan->identities_capacity, plan->identities_count) < 0)
        return fence_out_of_memory(state->err);
    identity = &plan->identities[plan->identities_count++];
    *identity = (struct fence_plan_identity){
        .reserved = draft->reserved,
        .kind = draft->kind,
        .content = strdup(content),
    };
    if (!identity->content || fill_identity(draft, identity) < 0)
        return fence_out_of_memory(state->err);
    return 0;
}

/* NULL when memory ended. */
static const char *identity_content(const struct fence_peer_draft *draft)
{
    const struct fence_text *text = draft->identity_text;

    if (!text)
        return fence_identity_reserved_name(draft->reserved);
    return text->failed ? NULL : text->data;
}

int fence_identity_add(struct fence_compile_state *state, const struct fence_peer_draft *draft,
                       uint32_t *ret_identity)
{
    const char *content = identity_content(draft);
    uint32_t number = (uint32_t)state->plan->identities_count;
    int r = -ENOMEM;

    if (content)
        r = fence_intern_put(&state->identities, content, strlen(content), number, &number);
    if (r < 0)
        return fence_out_of_memory(state->err);
    if (r == 1) {
        r = push_identity(state, draft, content);
        if (r < 0)
            return r;
    }
    *ret_identity = number;
    return 0;
}

struct fence_peer_draft fence_peer_draft_reserved(enum fence_identity_number identity)
{
    bool world = identity == FENCE_IDENTITY_WORLD;

    return (struct fence_peer_draft){
        .reserved = identity,
        .kind = FENCE_KIND_RESERVED,
        .view = {.kind = world ? FENCE_VIEW_WORLD : FENCE_VIEW_PENDING},
        .flags = world ? FENCE_PEER_IS_WORLD : 0,
    };
}

static int push_peer(struct fence_compile_state *state, const struct fence_peer_draft *draft,
                     const struct fence_plan_peer *peer, const char *content)
{
    struct fence_plan *plan = state->plan;
    struct fence_plan_peer *added;

    if (FENCE_GROW(plan->peers, plan->peers_capacity, plan->peers_count) < 0)
        return fence_out_of_memory(state->err);
    added = &plan->peers[plan->peers_count++];
    *added = *peer;
    added->flags = draft->flags;
    added->content = strdup(content);
    added->view = fence_plan_view_new(&draft->view);
    if (!added->content || !added->view)
        return fence_out_of_memory(state->err);
    return 0;
}

static void peer_content(struct fence_compile_state *state, const struct fence_peer_draft *draft)
{
    const char *identity = identity_content(draft);
    struct fence_text *text = &state->peer_text;

    fence_text_clear(text);
    fence_text_string(text, identity ? identity : "");
    fence_text_prefix(text, &draft->view.where);
    fence_text_ports(text, draft->view.ports, draft->view.port_count);
    if (draft->reserved == FENCE_IDENTITY_HOST && draft->view.labels)
        fence_text_labels(text, draft->view.labels);
}

int fence_peer_add(struct fence_compile_state *state, const struct fence_peer_draft *draft,
                   const struct fence_prefix *where, uint32_t *ret_peer)
{
    struct fence_peer_draft placed = *draft;
    struct fence_plan_peer peer = {0};
    uint32_t number = (uint32_t)state->plan->peers_count;
    uint32_t block = fence_blocks_find(&state->blocks, where);
    int r = fence_identity_add(state, draft, &peer.identity);

    if (r < 0)
        return r;
    placed.view.where = block == FENCE_PLAN_NONE ? fence_whole_prefix(&where->addr)
                                                 : state->blocks.items[block].prefix;
    peer_content(state, &placed);
    r = -ENOMEM;
    if (!state->peer_text.failed)
        r = fence_intern_put(&state->peers, state->peer_text.data, state->peer_text.size, number,
                             &number);
    if (r < 0)
        return fence_out_of_memory(state->err);
    if (r == 1) {
        r = push_peer(state, &placed, &peer, state->peer_text.data);
        if (r < 0)
            return r;
    }
    *ret_peer = number;
    return 0;
}

/* The peers whose number is fixed. */
static const struct {
    enum fence_peer_number number;
    enum fence_identity_number identity;
    const char *content;
    enum fence_peer_view_kind view;
    struct fence_prefix where;
} reserved_peers[] = {
    {FENCE_PEER_PENDING,
     FENCE_IDENTITY_PENDING,
     "reserved pending",
     FENCE_VIEW_PENDING,
     {.length = FENCE_WHERE_NONE}},
    {FENCE_PEER_MASQUERADED4,
     FENCE_IDENTITY_MASQUERADED,
     "reserved masqueraded4",
     FENCE_VIEW_MASQUERADED,
     {.addr = {.bytes = {[10] = 0xff, [11] = 0xff}}, .length = 96}},
    {FENCE_PEER_MASQUERADED6,
     FENCE_IDENTITY_MASQUERADED,
     "reserved masqueraded6",
     FENCE_VIEW_MASQUERADED,
     {.length = 0}},
};

int fence_peers_reserve(struct fence_compile_state *state)
{
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(reserved_peers); i++) {
        struct fence_peer_draft draft = fence_peer_draft_reserved(reserved_peers[i].identity);
        struct fence_plan_peer peer = {.reserved = reserved_peers[i].number};
        const char *content = reserved_peers[i].content;
        uint32_t number = (uint32_t)state->plan->peers_count;
        int r = fence_identity_add(state, &draft, &peer.identity);

        draft.view.kind = reserved_peers[i].view;
        draft.view.where = reserved_peers[i].where;
        if (r == 0)
            r = push_peer(state, &draft, &peer, content);
        if (r == 0 &&
            fence_intern_put(&state->peers, content, strlen(content), number, &number) < 0)
            r = fence_out_of_memory(state->err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int copy_identity(const struct fence_plan_identity *from, struct fence_plan_identity *to)
{
    *to = *from;
    to->content = strdup(from->content);
    to->namespace_name = strdup(from->namespace_name);
    to->app = strdup(from->app);
    to->labels = strdup(from->labels);
    return to->content && to->namespace_name && to->app && to->labels ? 0 : -ENOMEM;
}

static int carry_identity(struct fence_compile_state *state, const struct fence_plan_identity *from,
                          uint32_t *ret_identity)
{
    struct fence_plan *plan = state->plan;
    uint32_t number = (uint32_t)plan->identities_count;
    int r =
        fence_intern_put(&state->identities, from->content, strlen(from->content), number, &number);

    if (r == 1)
        r = FENCE_GROW(plan->identities, plan->identities_capacity, plan->identities_count);
    if (r < 0)
        return fence_out_of_memory(state->err);
    *ret_identity = number;
    if (number < plan->identities_count)
        return 0;
    if (copy_identity(from, &plan->identities[plan->identities_count++]) < 0)
        return fence_out_of_memory(state->err);
    return 0;
}

static int carry_peer(struct fence_compile_state *state, const struct fence_plan_peer *from)
{
    struct fence_plan *plan = state->plan;
    struct fence_plan_peer peer = {.flags = from->flags, .carried = true};
    uint32_t number = (uint32_t)plan->peers_count;
    int r = fence_intern_put(&state->peers, from->content, strlen(from->content), number, &number);

    if (r == 0)
        return 0;
    if (r < 0)
        return fence_out_of_memory(state->err);
    r = carry_identity(state, &state->previous->identities[from->identity], &peer.identity);
    if (r < 0)
        return r;
    peer.content = strdup(from->content);
    if (!peer.content || FENCE_GROW(plan->peers, plan->peers_capacity, plan->peers_count) < 0) {
        free(peer.content);
        return fence_out_of_memory(state->err);
    }
    peer.view = fence_plan_view_ref(from->view);
    plan->peers[plan->peers_count++] = peer;
    return 0;
}

int fence_peers_carry(struct fence_compile_state *state)
{
    const struct fence_plan *previous = state->previous;
    int r = 0;

    for (size_t i = 0; r == 0 && previous && i < previous->peers_count; i++)
        if (!previous->peers[i].carried && !previous->peers[i].reserved)
            r = carry_peer(state, &previous->peers[i]);
    return r;
}

static int add_prefix(struct fence_compile_state *state, const struct fence_prefix *prefix)
{
    struct fence_plan *plan = state->plan;
    bool unknown = fence_blocks_find(&state->unknowns, prefix) != FENCE_PLAN_NONE;
    struct fence_peer_draft draft =
        fence_peer_draft_reserved(unknown ? FENCE_IDENTITY_PENDING : FENCE_IDENTITY_WORLD);
    struct fence_plan_prefix entry = {.prefix = *prefix};
    int r = fence_peer_add(state, &draft, prefix, &entry.peer);

    if (r < 0)
        return r;
    if (FENCE_GROW(plan->prefixes, plan->prefixes_capacity, plan->prefixes_count) < 0)
        return fence_out_of_memory(state->err);
    plan->prefixes[plan->prefixes_count++] = entry;
    return 0;
}

int fence_prefixes_add(struct fence_compile_state *state)
{
    const struct fence_blocks *blocks = &state->blocks;
    const struct fence_blocks *unknowns = &state->unknowns;
    int r = 0;

    for (size_t i = 0; r == 0 && i < blocks->count; i++)
        r = add_prefix(state, &blocks->items[i].prefix);
    for (size_t i = 0; r == 0 && i < unknowns->count; i++) {
        const struct fence_prefix *prefix = &unknowns->items[i].prefix;
        uint32_t block = fence_blocks_find(blocks, prefix);
        bool is_block = block != FENCE_PLAN_NONE &&
                        fence_prefix_compare(&blocks->items[block].prefix, prefix) == 0;

        if (!is_block)
            r = add_prefix(state, prefix);
    }
    return r;
}

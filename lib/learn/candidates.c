/* SPDX-License-Identifier: Apache-2.0 */
/* From links to what the rules of each workload have to hold, and what they cannot. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/names.h"
#include "lib/learn/propose.h"
#include "lib/policy/lookup.h"

/* A link as the workload at one end of it looks at it. */
struct view {
    const struct fence_learn_proposal *proposal;
    const struct fence_learn_options *options;
    const struct fence_learn_link *link;
    const struct fence_learn_id *peer;
    unsigned int direction;
};

static bool wants_namespace(const struct fence_learn_options *options, const char *name)
{
    for (size_t i = 0; i < options->namespace_count; i++)
        if (strcmp(options->namespaces[i], name) == 0)
            return true;
    return !options->namespace_count;
}

/* Port 0 is no port that a policy can name. */
static bool is_sayable(const struct fence_learn_options *options,
                       const struct fence_learn_link *link)
{
    if (fence_learn_is_icmp(link->protocol))
        return options->kind == FENCE_OBJECT_SEGMENT_POLICY;
    return fence_learn_has_ports(link->protocol) && link->port;
}

static int leave_out(const struct view *view, struct fence_learn_side *side, const char *why)
{
    const struct fence_learn_links *links = &view->proposal->links;
    char port[48], peer[300];

    return fence_learn_texts_add(
        &side->left_out, "%s %s %s count=%llu: %s",
        fence_learn_port_name(view->link->protocol, view->link->port, port),
        view->direction == FENCE_INGRESS ? "from" : "to",
        fence_learn_id_name(links, view->peer, peer),
        (unsigned long long)fence_learn_link_count(view->link), why);
}

/* ---- peers that are addresses --------------------------------------------------------------- */

static void add_whole_family(struct fence_learn_candidate *candidate, const char *text)
{
    fence_prefix_parse(text, &candidate->blocks[candidate->block_count++], NULL);
}

static void take_world(const struct fence_learn_link *link, struct fence_learn_candidate *candidate)
{
    if (link->protocol != IPPROTO_ICMP)
        add_whole_family(candidate, "::/0");
    if (link->protocol != IPPROTO_ICMPV6)
        add_whole_family(candidate, "0.0.0.0/0");
}

static void take_addresses(const struct fence_learn_link *link,
                           struct fence_learn_candidate *candidate)
{
    memcpy(candidate->blocks, link->addrs, link->addr_count * sizeof(link->addrs[0]));
    candidate->block_count = link->addr_count;
}

static void take_node(const struct fence_object *node, struct fence_learn_candidate *candidate)
{
    for (size_t i = 0; i < node->node.addr_count; i++)
        if (candidate->block_count < FENCE_LEARN_ADDRESSES_MAX)
            candidate->blocks[candidate->block_count++] =
                (struct fence_prefix){.addr = node->node.addrs[i], .length = 128};
}

static const struct fence_object *node_of(const struct view *view)
{
    const char *name = view->proposal->links.nodes.items[view->peer->number];

    return view->options->world
               ? fence_world_find(view->options->world, FENCE_OBJECT_NODE, "", name)
               : NULL;
}

/* ---- one view ------------------------------------------------------------------------------- */

static int add_candidate(struct fence_learn_sides *sides,
                         const struct fence_learn_candidate *candidate)
{
    if (FENCE_GROW(sides->candidates, sides->candidate_capacity, sides->candidate_count) < 0)
        return -ENOMEM;
    sides->candidates[sides->candidate_count++] = *candidate;
    return 0;
}

/* A candidate for each workload behind the address, and one at its own end. */
static int take_service(const struct view *view, struct fence_learn_sides *sides,
                        const struct fence_learn_candidate *candidate)
{
    struct fence_learn_side *side = &sides->items[candidate->subject][view->direction];
    struct fence_learn_backends backends = {0};
    int r = fence_learn_backends_find(view->proposal, view->options->world, view->link, &backends);

    side->services += candidate->count;
    if (r == 0)
        side->unresolved += candidate->count;
    for (size_t i = 0; r >= 0 && i < backends.count; i++) {
        struct fence_learn_candidate one = *candidate;

        one.peer = backends.items[i].workload;
        one.port = backends.items[i].port;
        r = add_candidate(sides, &one);
        one.subject = one.peer;
        one.peer = candidate->subject;
        one.direction = FENCE_INGRESS;
        if (r == 0)
            r = add_candidate(sides, &one);
    }
    free(backends.items);
    return r < 0 ? r : 0;
}

/* 1: the candidate has its peer; 0: it is no rule's business or has been left out; -ENOMEM. */
static int take_reserved(const struct view *view, struct fence_learn_sides *sides,
                         struct fence_learn_candidate *candidate)
{
    struct fence_learn_side *side = &sides->items[candidate->subject][view->direction];

    switch (view->peer->number) {
    case FENCE_IDENTITY_HOST:
        side->own_node += candidate->count;
        return 0;
    case FENCE_IDENTITY_SERVICE:
        return take_service(view, sides, candidate);
    case FENCE_IDENTITY_WORLD:
        if (view->link->addr_count && !view->link->omitted) {
            take_addresses(view->link, candidate);
            side->unheard += view->link->unheard;
            return 1;
        }
        side->world = true;
        take_world(view->link, candidate);
        return 1;
    case FENCE_IDENTITY_MASQUERADED:
        side->world = true;
        take_world(view->link, candidate);
        return 1;
    default:
        return leave_out(view, side, "who that was could not be told then");
    }
}

/* Connections that had another address when they left: that of a service. */
static uint64_t behind(const struct fence_learn_link *link)
{
    uint64_t in = link->hooks[FENCE_INGRESS].passed, out = link->hooks[FENCE_EGRESS].passed;

    return in > out ? in - out : 0;
}

static int take_peer(const struct view *view, struct fence_learn_sides *sides,
                     struct fence_learn_candidate *candidate)
{
    struct fence_learn_side *side = &sides->items[candidate->subject][view->direction];
    const struct fence_object *node;

    switch (view->peer->kind) {
    case FENCE_LEARN_ID_WORKLOAD:
        candidate->peer = view->peer->number;
        side->behind += behind(view->link);
        return 1;
    case FENCE_LEARN_ID_NODE:
        node = node_of(view);
        if (node && node->node.addr_count) {
            take_node(node, candidate);
            return 1;
        }
        side->unknown = true;
        return leave_out(view, side, "the node's addresses are not known (--objects)");
    case FENCE_LEARN_ID_RESERVED:
        return take_reserved(view, sides, candidate);
    default:
        return leave_out(view, side, "no selector can name them");
    }
}

static bool is_own_node(const struct view *view)
{
    return view->peer->kind == FENCE_LEARN_ID_RESERVED && view->peer->number == FENCE_IDENTITY_HOST;
}

static int look(const struct view *view, uint32_t subject, struct fence_learn_sides *sides)
{
    const struct fence_learn_hook *hook = &view->link->hooks[view->direction];
    struct fence_learn_side *side = &sides->items[subject][view->direction];
    struct fence_learn_candidate candidate = {
        .subject = subject,
        .direction = view->direction,
        .peer = FENCE_LEARN_NOBODY,
        .protocol = view->link->protocol,
        .port = view->link->port,
        .count = fence_learn_link_count(view->link),
        .first = view->link->first,
        .last = view->link->last,
    };
    int r;

    side->audited += hook->audited;
    side->made |= hook->passed && !hook->exempt && !is_own_node(view);
    if (!is_own_node(view) && !is_sayable(view->options, view->link))
        return leave_out(view, side,
                         fence_learn_is_icmp(view->link->protocol)
                             ? "a NetworkPolicy has no ICMP (--kind SegmentPolicy)"
                             : "policies have no such protocol or port");
    r = take_peer(view, sides, &candidate);
    return r <= 0 ? r : add_candidate(sides, &candidate);
}

static int look_from_both(const struct view *view, struct fence_learn_sides *sides)
{
    const struct fence_learn_links *links = &view->proposal->links;
    const struct fence_learn_id *ends[FENCE_DIRECTIONS] = {
        [FENCE_EGRESS] = &view->link->source,
        [FENCE_INGRESS] = &view->link->destination,
    };
    int r = 0;

    for (unsigned int direction = 0; r == 0 && direction < FENCE_DIRECTIONS; direction++) {
        const struct fence_learn_id *subject = ends[direction];
        struct view side = *view;

        side.direction = direction;
        side.peer = ends[!direction];
        if (subject->kind == FENCE_LEARN_ID_WORKLOAD &&
            wants_namespace(view->options, links->workloads.items[subject->number].namespace_name))
            r = look(&side, subject->number, sides);
    }
    return r;
}

int fence_learn_sides_find(const struct fence_learn_proposal *proposal,
                           const struct fence_learn_options *options,
                           struct fence_learn_sides *sides)
{
    const struct fence_learn_links *links = &proposal->links;
    struct view view = {.proposal = proposal, .options = options};
    int r = 0;

    sides->items = calloc(links->workloads.count + 1, sizeof(*sides->items));
    if (!sides->items)
        return -ENOMEM;
    sides->count = links->workloads.count;
    for (size_t i = 0; r == 0 && i < links->count; i++) {
        view.link = &links->items[i];
        if (fence_learn_link_is_made(view.link))
            r = look_from_both(&view, sides);
    }
    /* what is behind a service's address is told by the objects, or where it is */
    for (size_t i = 0; r == 0 && i < sides->count; i++)
        sides->items[i][FENCE_EGRESS].unknown |=
            sides->items[i][FENCE_EGRESS].unresolved > sides->items[i][FENCE_EGRESS].behind;
    return r;
}

void fence_learn_sides_done(struct fence_learn_sides *sides)
{
    for (size_t i = 0; i < sides->count; i++)
        for (unsigned int direction = 0; direction < FENCE_DIRECTIONS; direction++)
            fence_learn_texts_done(&sides->items[i][direction].left_out);
    free(sides->items);
    free(sides->candidates);
    *sides = (struct fence_learn_sides){0};
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/learn/links.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/names.h"

bool fence_learn_has_ports(unsigned int protocol)
{
    return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
}

bool fence_learn_is_icmp(unsigned int protocol)
{
    return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

/* Let through as part of what was there before, or of the link itself: no opening of anything. */
static bool opens_nothing(unsigned int reason)
{
    return reason == FENCE_REASON_ESTABLISHED || reason == FENCE_REASON_REVERSE_RULE ||
           reason == FENCE_REASON_RECOVERY || reason == FENCE_REASON_RELATED ||
           reason == FENCE_REASON_NEIGHBOUR;
}

bool fence_learn_is_seen(const struct fence_learn_flow *flow)
{
    return flow->verdict != FENCE_LEARN_DROPPED && !opens_nothing(flow->reason);
}

/* ---- ends ----------------------------------------------------------------------------------- */

static int node_of(struct fence_learn_links *links, const char *name, uint32_t *ret_number)
{
    int r = fence_intern_put(&links->node_numbers, name, strlen(name), (uint32_t)links->nodes.count,
                             ret_number);

    if (r <= 0)
        return r;
    *ret_number = (uint32_t)links->nodes.count;
    return fence_learn_texts_add(&links->nodes, "%s", name);
}

static int id_of(struct fence_learn_links *links, const struct fence_learn_end *end,
                 struct fence_learn_id *ret_id)
{
    int r = 0;

    *ret_id = (struct fence_learn_id){.kind = FENCE_LEARN_ID_RESERVED, .number = end->reserved};
    if (end->kind == FENCE_LEARN_NODE) {
        ret_id->kind = FENCE_LEARN_ID_NODE;
        return node_of(links, end->node, &ret_id->number);
    }
    if (end->kind == FENCE_LEARN_WORKLOAD) {
        ret_id->kind = FENCE_LEARN_ID_WORKLOAD;
        r = fence_learn_workload_of(&links->workloads, end->namespace_name, end->labels,
                                    &ret_id->number);
        if (r == 0)
            links->workloads.items[ret_id->number].seen = true;
        if (r == -EINVAL) {
            *ret_id = (struct fence_learn_id){.kind = FENCE_LEARN_ID_UNSAYABLE};
            r = 0;
        }
    }
    return r;
}

const char *fence_learn_id_name(const struct fence_learn_links *links,
                                const struct fence_learn_id *id, char buffer[300])
{
    switch (id->kind) {
    case FENCE_LEARN_ID_WORKLOAD:
        snprintf(buffer, 300, "%s", links->workloads.items[id->number].name);
        break;
    case FENCE_LEARN_ID_NODE:
        snprintf(buffer, 300, "node %s", links->nodes.items[id->number]);
        break;
    case FENCE_LEARN_ID_RESERVED:
        snprintf(buffer, 300, "%s", fence_identity_reserved_name(id->number));
        break;
    default:
        snprintf(buffer, 300, "pods whose namespace or labels are not valid");
        break;
    }
    return buffer;
}

const char *fence_learn_port_name(unsigned int protocol, unsigned int port, char buffer[48])
{
    char name[8];

    if (fence_learn_is_icmp(protocol))
        snprintf(buffer, 48, "%s type %u code %u", fence_protocol_name(protocol, name), port >> 8,
                 port & 255);
    else if (fence_learn_has_ports(protocol))
        snprintf(buffer, 48, "%s/%u", fence_protocol_name(protocol, name), port);
    else
        snprintf(buffer, 48, "protocol %u", protocol);
    return buffer;
}

/* ---- links ---------------------------------------------------------------------------------- */

struct link_key {
    struct fence_learn_id source;
    struct fence_learn_id destination;
    uint32_t protocol;
    uint32_t port;
};

static int link_of(struct fence_learn_links *links, const struct link_key *key,
                   struct fence_learn_link **ret_link)
{
    uint32_t number = (uint32_t)links->count;
    int r;

    if (FENCE_GROW(links->items, links->capacity, links->count) < 0)
        return -ENOMEM;
    r = fence_intern_put(&links->numbers, key, sizeof(*key), (uint32_t)links->count, &number);
    if (r < 0)
        return r;
    if (r == 1)
        links->items[links->count++] = (struct fence_learn_link){
            .source = key->source,
            .destination = key->destination,
            .protocol = key->protocol,
            .port = (uint16_t)key->port,
            .dropped_policy = "",
        };
    *ret_link = &links->items[r == 1 ? links->count - 1 : number];
    return 0;
}

/* Into the sorted list, once; what does not fit is omitted. */
static void add_address(struct fence_learn_link *link, const struct fence_prefix *addr)
{
    size_t at = 0;
    int order = 1;

    while (at < link->addr_count && (order = fence_prefix_compare(&link->addrs[at], addr)) < 0)
        at++;
    if (at < link->addr_count && order == 0)
        return;
    if (link->addr_count == FENCE_LEARN_ADDRESSES_MAX) {
        link->omitted = true;
        return;
    }
    memmove(&link->addrs[at + 1], &link->addrs[at],
            (link->addr_count - at) * sizeof(link->addrs[0]));
    link->addrs[at] = *addr;
    link->addr_count++;
}

static void add_addresses(struct fence_learn_link *link, const struct fence_learn_end *end)
{
    for (size_t i = 0; i < end->addr_count; i++)
        add_address(link, &end->addrs[i]);
    if (end->omitted || (end->kind == FENCE_LEARN_RESERVED &&
                         end->reserved == FENCE_IDENTITY_WORLD && !end->addr_count))
        link->omitted = true;
    link->unheard += end->unheard;
}

static void note_passed(struct fence_learn_link *link, const struct fence_learn_flow *flow)
{
    struct fence_learn_hook *hook = &link->hooks[flow->direction];
    bool first = !link->hooks[FENCE_EGRESS].passed && !link->hooks[FENCE_INGRESS].passed;

    if (first || flow->first_seen < link->first)
        link->first = flow->first_seen;
    if (first || flow->last_seen > link->last)
        link->last = flow->last_seen;
    hook->passed += flow->count ? flow->count : 1;
    if (flow->verdict == FENCE_LEARN_AUDIT)
        hook->audited += flow->count;
    hook->exempt |= flow->reason == FENCE_REASON_EXEMPT;
    add_addresses(link, &flow->source);
    add_addresses(link, &flow->destination);
}

static void note_dropped(struct fence_learn_link *link, const struct fence_learn_flow *flow)
{
    link->hooks[flow->direction].dropped += flow->count ? flow->count : 1;
    if (flow->last_seen < link->dropped_last)
        return;
    link->dropped_last = flow->last_seen;
    link->dropped_reason = flow->reason;
    link->dropped_policy = flow->policy ? flow->policy : "";
}

static int add_flow(struct fence_learn_links *links, const struct fence_learn_flow *flow)
{
    struct link_key key = {.protocol = flow->protocol};
    struct fence_learn_link *link = NULL;
    int r = id_of(links, &flow->source, &key.source);

    if (r >= 0)
        r = id_of(links, &flow->destination, &key.destination);
    if (fence_learn_has_ports(flow->protocol) || fence_learn_is_icmp(flow->protocol))
        key.port = flow->port;
    if (r >= 0)
        r = link_of(links, &key, &link);
    if (r < 0)
        return r;
    if (flow->verdict == FENCE_LEARN_DROPPED)
        note_dropped(link, flow);
    else if (fence_learn_is_seen(flow))
        note_passed(link, flow);
    return 0;
}

static void note_judged(struct fence_learn_links *links)
{
    for (size_t i = 0; i < links->count; i++) {
        const struct fence_learn_link *link = &links->items[i];
        const struct fence_learn_id *ends[FENCE_DIRECTIONS] = {
            [FENCE_EGRESS] = &link->source, [FENCE_INGRESS] = &link->destination};

        for (unsigned int direction = 0; direction < FENCE_DIRECTIONS; direction++) {
            const struct fence_learn_hook *hook = &link->hooks[direction];

            if (ends[direction]->kind == FENCE_LEARN_ID_WORKLOAD && !hook->exempt &&
                (hook->passed || hook->dropped))
                links->workloads.items[ends[direction]->number].judged[direction] = true;
        }
    }
}

int fence_learn_links_find(struct fence_learn_links *links, const struct fence_learn_flows *flows,
                           const struct fence_world *world)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < flows->count; i++)
        if (flows->items[i].direction < FENCE_DIRECTIONS)
            r = add_flow(links, &flows->items[i]);
    if (r >= 0 && world)
        r = fence_learn_workloads_add_pods(&links->workloads, world);
    if (r >= 0)
        r = fence_learn_workloads_settle(&links->workloads);
    if (r >= 0)
        note_judged(links);
    return r < 0 ? r : 0;
}

void fence_learn_links_done(struct fence_learn_links *links)
{
    fence_learn_workloads_done(&links->workloads);
    fence_learn_texts_done(&links->nodes);
    fence_intern_done(&links->node_numbers);
    free(links->items);
    fence_intern_done(&links->numbers);
    *links = (struct fence_learn_links){0};
}

/* ---- what they say -------------------------------------------------------------------------- */

bool fence_learn_link_is_made(const struct fence_learn_link *link)
{
    bool passed = false;

    for (unsigned int direction = 0; direction < FENCE_DIRECTIONS; direction++) {
        if (link->hooks[direction].dropped && !link->hooks[direction].passed)
            return false;
        passed |= link->hooks[direction].passed != 0;
    }
    return passed;
}

uint64_t fence_learn_link_count(const struct fence_learn_link *link)
{
    uint64_t out = link->hooks[FENCE_EGRESS].passed, in = link->hooks[FENCE_INGRESS].passed;

    return out > in ? out : in;
}

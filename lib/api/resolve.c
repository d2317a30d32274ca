/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/api/resolve.h"

#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/hash.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"
#include "lib/datapath/endpoints.h"
#include "lib/datapath/read.h"

/* What the maps did not know may be there a moment later. */
#define ABSENT_NS 1000000000ull

enum kind {
    KIND_ENDPOINT,
    KIND_IDENTITY,
    KIND_RULE,
};

struct key {
    uint32_t kind;
    uint32_t number;
};

static struct fence_name *read_endpoint(const struct fence_resolver *resolver, uint32_t ifindex)
{
    struct fence_endpoint_record record;

    if (!resolver->pins || fence_endpoint_get(resolver->pins, ifindex, &record) < 0)
        return NULL;
    return fence_name_new(&(struct fence_name){
        .namespace_name = record.info.namespace_name,
        .pod = record.info.pod,
        .interface = record.info.host_ifname,
    });
}

static struct fence_name *read_identity(const struct fence_resolver *resolver, uint32_t number)
{
    char spiffe[sizeof("spiffe:///ns//app/") + 256 + FENCE_NAMESPACE_MAX + 64] = "";
    struct fence_identity_info info;

    if (number < FENCE_IDENTITY_FIRST)
        return fence_name_new(
            &(struct fence_name){.reserved = fence_identity_reserved_name(number)});
    if (!resolver->pins || fence_identity_read(resolver->pins, number, &info) < 0)
        return NULL;
    if (info.kind == FENCE_KIND_NODE)
        return fence_name_new(&(struct fence_name){.node = info.app, .labels = info.labels});
    if (*resolver->trust_domain)
        snprintf(spiffe, sizeof(spiffe), "spiffe://%s/ns/%s/app/%s", resolver->trust_domain,
                 info.namespace_name, info.app);
    return fence_name_new(&(struct fence_name){
        .namespace_name = info.namespace_name,
        .app = info.app,
        .labels = info.labels,
        .spiffe = spiffe,
    });
}

static struct fence_name *read_rule(const struct fence_resolver *resolver, uint32_t number)
{
    struct fence_rule_info info;

    if (!resolver->pins || fence_rule_read(resolver->pins, number, &info) < 0)
        return NULL;
    return fence_name_new(&(struct fence_name){.policy = info.policy, .rule = info.index});
}

typedef struct fence_name *(*reader)(const struct fence_resolver *resolver, uint32_t number);

static const reader readers[] = {
    [KIND_ENDPOINT] = read_endpoint,
    [KIND_IDENTITY] = read_identity,
    [KIND_RULE] = read_rule,
};

static void forget(struct fence_resolver *resolver)
{
    for (size_t i = 0; i < resolver->count; i++)
        fence_name_unref(resolver->entries[i].name);
    fence_intern_done(&resolver->numbers);
    resolver->numbers = (struct fence_intern){0};
    resolver->count = 0;
    memset(resolver->latest, 0, sizeof(resolver->latest));
}

/* NULL when out of memory. */
static struct fence_resolver_entry *add(struct fence_resolver *resolver, const struct key *key)
{
    uint32_t known;

    if (resolver->count >= FENCE_RESOLVER_MAX)
        forget(resolver);
    if (FENCE_GROW(resolver->entries, resolver->capacity, resolver->count) < 0 ||
        fence_intern_put(&resolver->numbers, key, sizeof(*key), (uint32_t)resolver->count, &known) <
            0)
        return NULL;
    resolver->entries[resolver->count] = (struct fence_resolver_entry){0};
    return &resolver->entries[resolver->count++];
}

/* A name that is still the same stays the same piece of memory. */
static void renew(const struct fence_resolver *resolver, const struct key *key,
                  struct fence_resolver_entry *entry)
{
    struct fence_name *now = readers[key->kind](resolver, key->number);

    if (fence_name_equal(now, entry->name)) {
        fence_name_unref(now);
    } else {
        fence_name_unref(entry->name);
        entry->name = now;
    }
    entry->generation = resolver->generation;
    entry->read_ns = fence_clock_boot_ns();
}

static bool is_fresh(const struct fence_resolver *resolver,
                     const struct fence_resolver_entry *entry)
{
    return entry->generation == resolver->generation && entry->read_ns &&
           (entry->name || fence_clock_boot_ns() - entry->read_ns < ABSENT_NS);
}

/* Its entry, new when there was none; NULL when out of memory. Most records are about what others
 * were about a moment ago: that is found without hashing. */
static struct fence_resolver_entry *entry_of(struct fence_resolver *resolver, const struct key *key)
{
    struct fence_resolver_latest *latest =
        &resolver->latest[(key->number * 4 + key->kind) % FENCE_RESOLVER_LATEST];
    struct fence_resolver_entry *entry;
    uint32_t found;

    if (latest->place && latest->kind == key->kind && latest->number == key->number)
        return &resolver->entries[latest->place - 1];
    if (fence_intern_find(&resolver->numbers, key, sizeof(*key), &found))
        entry = &resolver->entries[found];
    else
        entry = add(resolver, key);
    if (entry)
        *latest = (struct fence_resolver_latest){key->kind, key->number,
                                                 (uint32_t)(entry - resolver->entries) + 1};
    return entry;
}

/* A reference, or NULL. */
static struct fence_name *find(struct fence_resolver *resolver, enum kind kind, uint32_t number)
{
    const struct key key = {.kind = kind, .number = number};
    struct fence_resolver_entry *entry = entry_of(resolver, &key);

    if (!entry)
        return NULL;
    if (!is_fresh(resolver, entry))
        renew(resolver, &key, entry);
    return fence_name_ref(entry->name);
}

static const struct fence_addr *peer_address(const struct fence_event *event)
{
    return event->direction == FENCE_EGRESS ? &event->destination : &event->source;
}

void fence_resolve(struct fence_resolver *resolver, const struct fence_event *event,
                   struct fence_resolved *ret_resolved)
{
    const bool is_ip = event->ethertype == ETH_P_IP || event->ethertype == ETH_P_IPV6;
    struct fence_resolved resolved = {.event = *event, .number = ++resolver->resolved};

    if (!resolver->secret)
        resolver->secret = fence_hash_own("record", sizeof("record")).words[0];
    resolved.wall_ns = fence_clock_wall_ns() - fence_clock_boot_ns() + event->time_ns;
    resolved.endpoint = find(resolver, KIND_ENDPOINT, event->ifindex);
    if (event->identity)
        resolved.identity = find(resolver, KIND_IDENTITY, event->identity);
    if (event->peer_identity)
        resolved.peer_identity = find(resolver, KIND_IDENTITY, event->peer_identity);
    if (is_ip)
        resolved.peer =
            fence_name_ref(fence_name_index_find(&resolver->addresses, peer_address(event)));
    if (event->rule)
        resolved.rule = find(resolver, KIND_RULE, event->rule);
    if (event->shadow_rule && event->shadow_rule != event->rule)
        resolved.shadow_rule = find(resolver, KIND_RULE, event->shadow_rule);
    *ret_resolved = resolved;
}

void fence_resolved_done(struct fence_resolved *resolved)
{
    fence_name_unref(resolved->endpoint);
    fence_name_unref(resolved->identity);
    fence_name_unref(resolved->peer_identity);
    fence_name_unref(resolved->peer);
    fence_name_unref(resolved->rule);
    fence_name_unref(resolved->shadow_rule);
    *resolved = (struct fence_resolved){0};
}

/* `who`: of the pod or service, whose own namespace is known even where its identity is not yet. */
static void fill_end(struct fence_record_end *end, const struct fence_name *identity,
                     const struct fence_name *who)
{
    static const struct fence_name nothing = {
        .reserved = "",
        .node = "",
        .namespace_name = "",
        .app = "",
        .pod = "",
        .service = "",
        .labels = "",
        .spiffe = "",
    };

    if (!identity)
        identity = &nothing;
    if (!who)
        who = &nothing;
    end->reserved = identity->reserved;
    end->node = identity->node;
    end->namespace_name =
        *identity->namespace_name ? identity->namespace_name : who->namespace_name;
    end->app = identity->app;
    end->labels = identity->labels;
    end->spiffe = identity->spiffe;
    end->pod = who->pod;
    end->service = who->service;
}

void fence_record_view(const struct fence_resolver *resolver, const struct fence_resolved *resolved,
                       struct fence_record *ret_record)
{
    const struct fence_event *event = &resolved->event;
    const bool egress = event->direction == FENCE_EGRESS;
    struct fence_record_end *own = egress ? &ret_record->source : &ret_record->destination;
    struct fence_record_end *peer = egress ? &ret_record->destination : &ret_record->source;
    const struct fence_name *rule = resolved->rule, *shadow = resolved->shadow_rule;

    ret_record->event = event;
    ret_record->wall_ns = resolved->wall_ns;
    ret_record->uuid[0] = resolver->secret;
    ret_record->uuid[1] = resolved->number;
    ret_record->node_name = resolver->node_name;
    ret_record->interface = resolved->endpoint ? resolved->endpoint->interface : "";
    fill_end(own, resolved->identity, resolved->endpoint);
    fill_end(peer, resolved->peer_identity, resolved->peer);
    own->identity = event->identity;
    own->is_endpoint = true;
    peer->identity = event->peer_identity;
    peer->is_endpoint = false;
    ret_record->source.addr = event->source;
    ret_record->destination.addr = event->destination;
    ret_record->policy = rule ? rule->policy : "";
    ret_record->rule = rule ? rule->rule : FENCE_RULE_NONE;
    ret_record->audit_policy = shadow ? shadow->policy : "";
    ret_record->audit_rule = shadow ? shadow->rule : FENCE_RULE_NONE;
}

void fence_resolver_done(struct fence_resolver *resolver)
{
    forget(resolver);
    free(resolver->entries);
    resolver->entries = NULL;
    resolver->capacity = 0;
    fence_name_index_done(&resolver->addresses);
}

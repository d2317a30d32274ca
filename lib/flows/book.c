/* SPDX-License-Identifier: Apache-2.0 */
/* The flows of the book, and which of them goes when there is no room. */
#include "lib/flows/book.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/names.h"
#include "lib/flows/book_internal.h"

int fence_flow_book_new(uint64_t wall_ns, struct fence_flow_book **ret_book)
{
    struct fence_flow_book *book = calloc(1, sizeof(*book));

    if (!book)
        return -ENOMEM;
    book->since_ns = wall_ns;
    book->look = 1; /* numbers of looks that were never are 0 */
    TAILQ_INIT(&book->all);
    *ret_book = book;
    return 0;
}

static void remove_flow(struct fence_flow_book *book, struct book_flow *flow)
{
    TAILQ_REMOVE(&book->all, flow, all);
    TAILQ_REMOVE(&flow->key.source->outgoing, flow, outgoing);
    flow->key.source->flows--;
    fence_slots_remove(&book->flows, &flow->slot);
    book_end_unref(book, &flow->key.source);
    book_end_unref(book, &flow->key.destination);
    book_text_unref(book, &flow->policy);
    book_text_unref(book, &flow->audit_policy);
    free(flow->remotes);
    free(flow);
}

void fence_flow_book_free(struct fence_flow_book **book)
{
    struct book_flow *flow;

    if (!*book)
        return;
    book_count_done(*book);
    while ((flow = TAILQ_FIRST(&(*book)->all)))
        remove_flow(*book, flow);
    free(*book);
    *book = NULL;
}

static uint8_t verdict_of(const struct fence_flow_key *key)
{
    if (key->verdict == FENCE_DENY)
        return FENCE_FLOW_DROPPED;
    return key->shadow == FENCE_DENY ? FENCE_FLOW_AUDIT : FENCE_FLOW_FORWARDED;
}

struct book_key book_key_make(struct book_end *source, struct book_end *destination,
                              const struct fence_flow_key *key)
{
    struct book_key made;

    memset(&made, 0, sizeof(made));
    made.source = source;
    made.destination = destination;
    made.protocol = key->protocol;
    made.direction = key->direction;
    made.verdict = verdict_of(key);
    /* of other protocols the kernel's number means nothing */
    if (fence_flow_is_icmp(key->protocol) || fence_flow_has_port(key->protocol))
        made.port = key->port;
    return made;
}

static struct fence_slot_key slot_key(const struct book_key *key)
{
    return (struct fence_slot_key){key, sizeof(*key), offsetof(struct book_flow, key)};
}

struct book_flow *book_flow_find(const struct fence_flow_book *book, const struct book_key *key)
{
    const struct fence_slot_key slot = slot_key(key);

    return (struct book_flow *)fence_slots_find(&book->flows, &slot);
}

/* Whoever has his share makes room for himself; else the one unseen for longest goes. */
static void make_room(struct fence_flow_book *book, const struct book_end *source)
{
    struct book_flow *goes = NULL;

    if (source->flows >= FENCE_FLOWS_SHARE)
        goes = TAILQ_FIRST(&source->outgoing);
    else if (book->flows.count >= FENCE_FLOWS_MAX)
        goes = TAILQ_FIRST(&book->all);
    if (!goes)
        return;
    remove_flow(book, goes);
    book->losses.pushed_out++;
}

struct book_flow *book_flow_get(struct fence_flow_book *book, const struct book_key *key)
{
    const struct fence_slot_key slot = slot_key(key);
    struct book_flow *flow = book_flow_find(book, key);

    if (flow)
        return flow;
    make_room(book, key->source);
    flow = calloc(1, sizeof(*flow));
    if (!flow)
        return NULL;
    flow->key = *key;
    flow->rule = flow->audit_rule = FENCE_RULE_NONE;
    if (fence_slots_add(&book->flows, &flow->slot, &slot) < 0) {
        free(flow);
        return NULL;
    }
    key->source->references++;
    key->destination->references++;
    key->source->flows++;
    TAILQ_INSERT_TAIL(&book->all, flow, all);
    TAILQ_INSERT_TAIL(&key->source->outgoing, flow, outgoing);
    return flow;
}

void book_flow_touch(struct fence_flow_book *book, struct book_flow *flow)
{
    struct book_flow_list *outgoing = &flow->key.source->outgoing;

    TAILQ_REMOVE(&book->all, flow, all);
    TAILQ_INSERT_TAIL(&book->all, flow, all);
    TAILQ_REMOVE(outgoing, flow, outgoing);
    TAILQ_INSERT_TAIL(outgoing, flow, outgoing);
    book->version++;
}

int book_flow_set_rule(struct fence_flow_book *book, struct book_text **text, uint32_t *index,
                       const struct fence_flow_rule *rule)
{
    struct book_text *fresh = NULL;
    int r = book_text_ref(book, rule->policy, &fresh);

    if (r < 0)
        return r;
    book_text_unref(book, text);
    *text = fresh;
    *index = rule->index;
    return 0;
}

struct book_remotes *book_flow_remotes(struct book_flow *flow)
{
    if (!flow->remotes)
        flow->remotes = calloc(1, sizeof(*flow->remotes));
    return flow->remotes;
}

static bool is_remote(const struct fence_flow_end *end)
{
    return end->kind == FENCE_FLOW_RESERVED &&
           strcmp(end->name, fence_identity_reserved_name(FENCE_IDENTITY_HOST)) != 0;
}

bool book_flow_has_remote(const struct book_flow *flow)
{
    return is_remote(&flow->key.source->shown) || is_remote(&flow->key.destination->shown);
}

void book_flow_show(const struct book_flow *flow, struct fence_flow_seen *ret_seen)
{
    *ret_seen = (struct fence_flow_seen){
        .source = flow->key.source->shown,
        .destination = flow->key.destination->shown,
        .protocol = flow->key.protocol,
        .direction = flow->key.direction,
        .verdict = flow->key.verdict,
        .reason = flow->reason,
        .audit_reason = flow->audit_reason,
        .port = flow->key.port,
        .rule = {flow->policy ? flow->policy->bytes : "", flow->rule},
        .audit_rule = {flow->audit_policy ? flow->audit_policy->bytes : "", flow->audit_rule},
        .count = flow->count,
        .first_ns = flow->first_ns,
        .last_ns = flow->last_ns,
    };
    if (!flow->remotes)
        return;
    ret_seen->remotes = flow->remotes->addrs;
    ret_seen->remote_count = flow->remotes->count;
    ret_seen->remotes_heard = flow->remotes->heard;
    ret_seen->remotes_omitted = flow->remotes->omitted;
}

uint64_t fence_flow_book_since(const struct fence_flow_book *book)
{
    return book->since_ns;
}

struct fence_flow_losses fence_flow_book_losses(const struct fence_flow_book *book)
{
    return book->losses;
}

size_t fence_flow_book_size(const struct fence_flow_book *book)
{
    return book->flows.count;
}

uint64_t fence_flow_book_version(const struct fence_flow_book *book)
{
    return book->version;
}

bool fence_flow_book_wants_remotes(const struct fence_flow_book *book)
{
    return book->look < book->listen_until;
}

int fence_flow_book_each(const struct fence_flow_book *book, uint64_t since_ns,
                         int (*visit)(void *context, const struct fence_flow_seen *flow),
                         void *context)
{
    const struct book_flow *flow;
    int r = 0;

    TAILQ_FOREACH(flow, &book->all, all)
    {
        struct fence_flow_seen seen;

        if (!flow->count || flow->last_ns < since_ns)
            continue;
        book_flow_show(flow, &seen);
        r = visit(context, &seen);
        if (r != 0)
            break;
    }
    return r;
}

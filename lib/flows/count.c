/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the kernel's counts to the book's. Of each entry a cursor knows what was counted already and
 * who the numbers of its key were then. What may happen between two looks:
 *
 * - it counts on: the difference is added;
 * - it has gone and begun anew: it counts less than before, or first saw something after the last
 *   look; all that it counts is new, and what it had counted after that look is lost;
 * - it has gone: seen by its missing twice, since a walk over a map that changes may miss one;
 * - a number is somebody else now: the difference may be either's, so it is nobody's;
 * - a number is nobody now: it was who it was at the last look.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/flows/book_internal.h"

#define NANOSECONDS 1000000000ull

/* ---- numbers -------------------------------------------------------------------------------- */

static struct book_number *number_find(const struct fence_flow_book *book, uint32_t number)
{
    const struct fence_slot_key key = {&number, sizeof(number),
                                       offsetof(struct book_number, number)};

    return (struct book_number *)fence_slots_find(&book->numbers, &key);
}

static void number_remove(struct fence_flow_book *book, struct book_number *number)
{
    fence_slots_remove(&book->numbers, &number->slot);
    book_end_unref(book, &number->end);
    free(number);
}

static struct book_number *number_add(struct fence_flow_book *book, uint32_t value)
{
    const struct fence_slot_key key = {&value, sizeof(value), offsetof(struct book_number, number)};
    struct book_number *number = calloc(1, sizeof(*number));

    if (!number)
        return NULL;
    number->number = value;
    if (fence_slots_add(&book->numbers, &number->slot, &key) == 0)
        return number;
    free(number);
    return NULL;
}

/* Once in a look. One that has no name any more keeps the last it had. */
static void number_ask(struct fence_flow_book *book, struct book_number *number)
{
    struct fence_flow_end name;
    struct book_end *end;

    number->looked = book->look;
    if (book->names->end(book->names->context, number->number, &name) < 0)
        return;
    end = book_end_ref(book, &name);
    if (!end)
        return;
    if (number->end && number->end != end)
        number->changed = book->look;
    book_end_unref(book, &number->end);
    number->end = end;
}

/* Who a number is now, as far as anybody knows: with a reference, or NULL. */
static struct book_end *resolve(struct fence_flow_book *book, uint32_t value, bool *ret_changed)
{
    struct book_number *number = number_find(book, value);

    if (!number)
        number = number_add(book, value);
    if (!number)
        return NULL;
    if (number->looked != book->look || !number->end)
        number_ask(book, number);
    if (number->end)
        number->end->references++;
    *ret_changed = *ret_changed || number->changed == book->look;
    return number->end;
}

/* ---- cursors -------------------------------------------------------------------------------- */

static struct book_cursor *cursor_find(const struct fence_flow_book *book,
                                       const struct fence_flow_key *key)
{
    const struct fence_slot_key slot = {key, sizeof(*key), offsetof(struct book_cursor, key)};

    return (struct book_cursor *)fence_slots_find(&book->cursors, &slot);
}

struct book_cursor *book_cursor_add(struct fence_flow_book *book, const struct fence_flow_key *key)
{
    const struct fence_slot_key slot = {key, sizeof(*key), offsetof(struct book_cursor, key)};
    struct book_cursor *cursor;

    if (book->cursors.count >= FENCE_FLOW_CURSORS_MAX)
        return NULL;
    cursor = calloc(1, sizeof(*cursor));
    if (!cursor)
        return NULL;
    cursor->key = *key;
    if (fence_slots_add(&book->cursors, &cursor->slot, &slot) == 0)
        return cursor;
    free(cursor);
    return NULL;
}

void book_cursor_remove(struct fence_flow_book *book, struct book_cursor *cursor)
{
    fence_slots_remove(&book->cursors, &cursor->slot);
    book_end_unref(book, &cursor->source);
    book_end_unref(book, &cursor->destination);
    free(cursor);
}

void book_count_done(struct fence_flow_book *book)
{
    struct fence_slot_entry *entry;
    size_t position = 0;

    while ((entry = fence_slots_next(&book->cursors, &position)))
        book_cursor_remove(book, (struct book_cursor *)entry);
    position = 0;
    while ((entry = fence_slots_next(&book->numbers, &position)))
        number_remove(book, (struct book_number *)entry);
}

/* ---- a look --------------------------------------------------------------------------------- */

void fence_flow_book_begin(struct fence_flow_book *book, const struct fence_flow_moment *moment,
                           const struct fence_flow_names *names)
{
    book->look++;
    book->moment = *moment;
    book->names = names;
}

static uint64_t wall_of(const struct fence_flow_moment *moment, uint64_t jiffies)
{
    uint64_t ago = moment->jiffies > jiffies ? moment->jiffies - jiffies : 0;
    uint64_t hz = moment->hz ? moment->hz : 1;
    uint64_t ns = ago / hz * NANOSECONDS + ago % hz * NANOSECONDS / hz;

    return moment->wall_ns > ns ? moment->wall_ns - ns : 0;
}

static int set_rule(struct fence_flow_book *book, uint32_t number, struct book_text **text,
                    uint32_t *index)
{
    struct fence_flow_rule rule = {.policy = "", .index = FENCE_RULE_NONE};

    /* one that has gone keeps its name: it decided what is counted now */
    if (number && book->names->rule(book->names->context, number, &rule) < 0)
        return 0;
    return book_flow_set_rule(book, text, index, &rule);
}

static int add_count(struct fence_flow_book *book, struct book_flow *flow, uint64_t count,
                     const struct fence_flow *from)
{
    uint64_t last = wall_of(&book->moment, from->last_seen);
    uint64_t first = from->first_seen ? wall_of(&book->moment, from->first_seen) : last;

    if (!flow->count || first < flow->first_ns)
        flow->first_ns = first;
    flow->count += count;
    book_flow_touch(book, flow);
    if (last < flow->last_ns)
        return 0;
    flow->last_ns = last;
    flow->reason = from->reason;
    flow->audit_reason = from->shadow_reason;
    if (set_rule(book, from->rule, &flow->policy, &flow->rule) < 0)
        return -ENOMEM;
    /* what Audit policies say is news where it differs */
    return set_rule(book, flow->key.verdict == FENCE_FLOW_AUDIT ? from->shadow_rule : 0,
                    &flow->audit_policy, &flow->audit_rule);
}

static int add_named(struct fence_flow_book *book, const struct book_cursor *cursor, uint64_t count,
                     const struct fence_flow *from)
{
    const struct book_key key = book_key_make(cursor->source, cursor->destination, &cursor->key);
    struct book_flow *flow = book_flow_get(book, &key);

    if (!flow)
        return -ENOMEM;
    /* all else is told anyway, with its addresses */
    if (key.verdict == FENCE_FLOW_FORWARDED && book_flow_has_remote(flow) &&
        (!flow->remotes || flow->remotes->heard < BOOK_HEARD_ENOUGH))
        book->listen_until = book->look + BOOK_LISTEN_LOOKS;
    return add_count(book, flow, count, from);
}

/* Takes `now`. */
static void cursor_end(struct fence_flow_book *book, struct book_end **end, struct book_end *now,
                       bool *changed)
{
    if (!now)
        return;
    *changed = *changed || (*end && *end != now);
    book_end_unref(book, end);
    *end = now;
}

/* Whose numbers are they now? False when somebody else has one of them since the last look. */
static bool cursor_name(struct fence_flow_book *book, struct book_cursor *cursor)
{
    bool changed = false;
    struct book_end *source = resolve(book, cursor->key.source, &changed);
    struct book_end *destination = resolve(book, cursor->key.destination, &changed);

    cursor_end(book, &cursor->source, source, &changed);
    cursor_end(book, &cursor->destination, destination, &changed);
    return !changed;
}

/* How much of it is new. */
static uint64_t cursor_difference(struct fence_flow_book *book, const struct book_cursor *cursor,
                                  const struct fence_flow *flow)
{
    if (!cursor->looked)
        return flow->count;
    if (flow->count >= cursor->count && flow->first_seen <= cursor->last)
        return flow->count - cursor->count;
    book->losses.vanished++;
    return flow->count;
}

int fence_flow_book_count(struct fence_flow_book *book, const struct fence_flow_key *key,
                          const struct fence_flow *flow)
{
    struct book_cursor *cursor = cursor_find(book, key);
    uint64_t count;
    bool same;
    int r = 0;

    if (!cursor)
        cursor = book_cursor_add(book, key);
    if (!cursor)
        return -ENOMEM;
    same = cursor_name(book, cursor);
    count = cursor_difference(book, cursor, flow);
    if (count && same && cursor->source && cursor->destination)
        r = add_named(book, cursor, count, flow);
    else
        book->losses.unnamed += count;
    if (r < 0)
        return r;
    book->version += count != 0;
    cursor->count = flow->count;
    cursor->last = book->moment.jiffies;
    cursor->looked = book->look;
    return 0;
}

static void forget_cursors(struct fence_flow_book *book)
{
    struct fence_slot_entry *entry;
    size_t position = 0;

    while ((entry = fence_slots_next(&book->cursors, &position))) {
        struct book_cursor *cursor = (struct book_cursor *)entry;
        uint64_t missed = book->look - cursor->looked;

        if (missed == 2)
            book->losses.vanished++;
        if (missed > BOOK_FORGET_LOOKS)
            book_cursor_remove(book, cursor);
    }
}

static void forget_numbers(struct fence_flow_book *book)
{
    struct fence_slot_entry *entry;
    size_t position = 0;

    while ((entry = fence_slots_next(&book->numbers, &position))) {
        struct book_number *number = (struct book_number *)entry;

        if (book->look - number->looked > BOOK_FORGET_LOOKS)
            number_remove(book, number);
    }
}

void fence_flow_book_end(struct fence_flow_book *book)
{
    forget_cursors(book);
    forget_numbers(book);
    book->names = NULL;
}

/* ---- events --------------------------------------------------------------------------------- */

static void remotes_hear(struct book_remotes *remotes, const struct fence_addr *addr)
{
    remotes->heard++;
    for (uint32_t i = 0; i < remotes->count; i++)
        if (memcmp(&remotes->addrs[i], addr, sizeof(*addr)) == 0)
            return;
    if (remotes->count < FENCE_FLOW_REMOTES)
        remotes->addrs[remotes->count++] = *addr;
    else
        remotes->omitted++;
}

static int hear(struct fence_flow_book *book, const struct book_key *key,
                const struct fence_addr *addr)
{
    struct book_flow *flow = book_flow_get(book, key);
    struct book_remotes *remotes;

    if (!flow)
        return -ENOMEM;
    if (!book_flow_has_remote(flow))
        return 0;
    remotes = book_flow_remotes(flow);
    if (!remotes)
        return -ENOMEM;
    remotes_hear(remotes, addr);
    book->version++;
    return 0;
}

int fence_flow_book_remote(struct fence_flow_book *book, const struct fence_event *event,
                           const struct fence_flow_names *names)
{
    bool egress = event->direction == FENCE_EGRESS;
    const struct fence_flow_key kernel = {
        .port = event->destination_port,
        .protocol = event->protocol,
        .direction = event->direction,
        .verdict = event->verdict,
        .shadow = event->shadow,
    };
    struct book_end *own, *peer;
    struct book_key key;
    bool changed = false;
    int r = 0;

    if (event->type == FENCE_EVENT_CUT || event->peer_identity == FENCE_IDENTITY_NONE ||
        event->peer_identity == FENCE_IDENTITY_HOST || event->peer_identity >= FENCE_IDENTITY_FIRST)
        return 0;
    book->names = names;
    own = resolve(book, event->identity, &changed);
    peer = resolve(book, event->peer_identity, &changed);
    book->names = NULL;
    if (own && peer && !changed) {
        key = book_key_make(egress ? own : peer, egress ? peer : own, &kernel);
        r = hear(book, &key, egress ? &event->destination : &event->source);
    }
    book_end_unref(book, &own);
    book_end_unref(book, &peer);
    return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/inforce.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cni/daemon/daemon.h"
#include "cni/daemon/inforce_internal.h"
#include "cni/daemon/policies.h"
#include "cni/daemon/times.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"

#define NS_PER_MS     1000000
#define NS_PER_SECOND 1e9

#define ENFORCED_FLAGS                                                                             \
    ((uint32_t)(FENCE_EP_PENDING | FENCE_EP_OPEN | FENCE_EP_INCOMPLETE | FENCE_EP_EXEMPT |         \
                FENCE_EP_NOT_APPLIED))

/* ---- records -------------------------------------------------------------------------------- */

/* NOLINTBEGIN(readability-function-size,bugprone-*): uthash's macros */
struct fence_inforce_policy *inforce_find(const struct fence_inforce *inforce, const char *id)
{
    struct fence_inforce_policy *record;

    HASH_FIND_STR(inforce->policies, id, record);
    return record;
}

static int link_record(struct fence_inforce *inforce, struct fence_inforce_policy *record)
{
    HASH_ADD_KEYPTR(hh, inforce->policies, record->id, strlen(record->id), record);
    return record->hh.tbl ? 0 : -ENOMEM;
}

static void unlink_record(struct fence_inforce *inforce, struct fence_inforce_policy *record)
{
    HASH_DELETE(hh, inforce->policies, record);
}
/* NOLINTEND(readability-function-size,bugprone-*) */

static void record_free(struct fence_inforce_policy *record)
{
    free(record->id);
    free(record);
}

/* The names lie behind the id, in the same piece of memory. */
static char *pack_names(const struct fence_object *object, struct fence_inforce_policy *record)
{
    FENCE_FREE char *id = fence_object_id(object);
    size_t space = strlen(object->namespace_name) + 1, name = strlen(object->name) + 1;
    size_t size = id ? strlen(id) + 1 : 0;
    char *text = id ? malloc(size + space + name) : NULL;

    if (!text)
        return NULL;
    memcpy(text, id, size);
    memcpy(text + size, object->namespace_name, space);
    memcpy(text + size + space, object->name, name);
    record->namespace_name = text + size;
    record->name = text + size + space;
    return text;
}

/* NULL when out of memory: then nobody can wait for it. */
static struct fence_inforce_policy *obtain(struct fence_inforce *inforce,
                                           const struct fence_object *object)
{
    struct fence_inforce_policy *record = calloc(1, sizeof(*record));
    struct fence_inforce_policy *known;

    if (!record)
        return NULL;
    record->kind = object->kind;
    record->id = pack_names(object, record);
    known = record->id ? inforce_find(inforce, record->id) : NULL;
    if (!record->id || known || link_record(inforce, record) < 0) {
        record_free(record);
        return known;
    }
    return record;
}

const struct fence_object *inforce_object(const struct fence_daemon *daemon,
                                          const struct fence_inforce_policy *record)
{
    return fence_store_find(daemon->store, record->kind, record->namespace_name, record->name);
}

/* ---- seen ----------------------------------------------------------------------------------- */

static void wait_for_apply(struct fence_inforce *inforce, struct fence_inforce_policy *record,
                           uint64_t noticed_ns)
{
    const uint64_t now = fence_clock_boot_ns();
    const uint64_t ago = noticed_ns && noticed_ns < now ? now - noticed_ns : 0;

    record->seen_ns = now - ago;
    record->seen_ms = fence_time_now_ms() - (int64_t)(ago / NS_PER_MS);
    record->compiled_ms = 0;
    record->in_force_ms = 0;
    if (record->waiting)
        return;
    record->waiting = true;
    record->next = inforce->waiting;
    inforce->waiting = record;
    inforce->waiting_count++;
}

static void note_change(struct fence_inforce *inforce, const struct fence_change *change,
                        uint64_t noticed_ns)
{
    const struct fence_object *object = change->after ? change->after : change->before;
    struct fence_inforce_policy *record;
    bool is_new;

    if (!fence_kind_is_policy(object->kind))
        return;
    record = obtain(inforce, object);
    if (!record)
        return;
    /* the same change is told until it has been applied */
    is_new = !record->seen_ms || record->gone != !change->after ||
             (change->after && record->content != object->policy.content) ||
             (!record->waiting && change->after);
    record->gone = !change->after;
    record->content = object->policy.content;
    if (is_new)
        wait_for_apply(inforce, record, noticed_ns);
}

void fence_inforce_seen(struct fence_daemon *daemon, uint64_t noticed_ns)
{
    struct fence_inforce *inforce = &daemon->inforce;
    const struct fence_change *changes;
    size_t count = 0;

    inforce->changed = true;
    if (fence_store_changes(daemon->store, &changes, &count) < 0)
        return;
    for (size_t i = 0; i < count; i++)
        note_change(inforce, &changes[i], noticed_ns);
}

void fence_inforce_compiled(struct fence_daemon *daemon)
{
    const int64_t now = fence_time_now_ms();

    for (struct fence_inforce_policy *at = daemon->inforce.waiting; at; at = at->next)
        if (!at->compiled_ms)
            at->compiled_ms = now;
}

/* ---- applied -------------------------------------------------------------------------------- */

static void count_one(struct fence_inforce *inforce, const struct fence_inforce_policy *record,
                      uint64_t now_ns)
{
    if (inforce->begun)
        fence_histogram_add(&inforce->histogram,
                            (double)(now_ns - record->seen_ns) / NS_PER_SECOND);
}

/* In force, or no more; false when it has to wait on. */
static bool settle(struct fence_daemon *daemon, struct fence_inforce_policy *record,
                   const struct fence_shortfalls *shortfalls, uint64_t now_ns)
{
    const struct fence_object *object = inforce_object(daemon, record);
    char text[8];

    if (object && fence_shortfalls_find(shortfalls, object, text, sizeof(text)))
        return false;
    count_one(&daemon->inforce, record, now_ns);
    record->waiting = false;
    if (!object) {
        unlink_record(&daemon->inforce, record);
        record_free(record);
        return true;
    }
    record->gone = false;
    record->content = object->policy.content;
    record->in_force_ms = fence_time_now_ms();
    return true;
}

static void settle_all(struct fence_daemon *daemon)
{
    struct fence_inforce *inforce = &daemon->inforce;
    struct fence_inforce_policy **link = &inforce->waiting;
    struct fence_shortfalls *shortfalls = *link ? fence_shortfalls_new(daemon) : NULL;
    const uint64_t now_ns = fence_clock_boot_ns();

    while (*link) {
        struct fence_inforce_policy *record = *link, *next = record->next;

        if (settle(daemon, record, shortfalls, now_ns)) {
            *link = next;
            inforce->waiting_count--;
        } else {
            link = &record->next;
        }
    }
    fence_shortfalls_free(&shortfalls);
}

/* What was known of the endpoint before; most of them keep their place. */
static const struct fence_inforce_endpoint *
endpoint_before(const struct fence_inforce *inforce, const struct fence_endpoint_record *record,
                size_t place)
{
    for (size_t i = 0; i < inforce->endpoint_count; i++) {
        const struct fence_inforce_endpoint *endpoint =
            &inforce->endpoints[(place + i) % inforce->endpoint_count];

        if (endpoint->ifindex == record->ifindex)
            return endpoint->created_ns == record->info.created_ns ? endpoint : NULL;
    }
    return NULL;
}

/* Out of memory: nothing is known of endpoints until the next apply. */
static void follow_endpoints(struct fence_daemon *daemon)
{
    struct fence_inforce *inforce = &daemon->inforce;
    const struct fence_endpoint_list *after = &daemon->reconcile.after;
    struct fence_inforce_endpoint *items = calloc(after->count + 1, sizeof(*items));
    const int64_t now = fence_time_now_ms();

    for (size_t i = 0; items && i < after->count; i++) {
        const struct fence_endpoint_record *record = &after->items[i];
        const struct fence_inforce_endpoint *before = endpoint_before(inforce, record, i);

        items[i] = (struct fence_inforce_endpoint){
            .created_ns = record->info.created_ns,
            .ifindex = record->ifindex,
            .set = record->endpoint.set,
            .flags = record->endpoint.flags & ENFORCED_FLAGS,
            .since_ms = now,
        };
        if (before && before->set == items[i].set && before->flags == items[i].flags)
            items[i].since_ms = before->since_ms;
    }
    free(inforce->endpoints);
    inforce->endpoints = items;
    inforce->endpoint_count = items ? after->count : 0;
}

void fence_inforce_applied(struct fence_daemon *daemon)
{
    settle_all(daemon);
    follow_endpoints(daemon);
    daemon->inforce.begun = true;
    daemon->inforce.changed = true;
}

const char *inforce_why(const struct fence_daemon *daemon,
                        const struct fence_inforce_policy *record, char *text, size_t size)
{
    const struct fence_object *object = inforce_object(daemon, record);
    struct fence_shortfalls *shortfalls = fence_shortfalls_new(daemon);

    snprintf(text, size, "it has not been applied yet");
    if (!fence_sources_all_seen(&daemon->sources))
        snprintf(text, size,
                 "nothing is applied before every folder of --objects has been read once, and "
                 "every kind of --kubernetes listed");
    else if (daemon->reconcile.error.text[0])
        snprintf(text, size, "%s", daemon->reconcile.error.text);
    else if (object)
        (void)fence_shortfalls_find(shortfalls, object, text, size);
    fence_shortfalls_free(&shortfalls);
    return text;
}

/* ---- start and stop ------------------------------------------------------------------------- */

static void deadline_fired(void *context)
{
    struct fence_daemon *daemon = context;

    daemon->inforce.changed = true;
}

int fence_inforce_init(struct fence_daemon *daemon, struct fence_err *err)
{
    struct fence_timer *timer = &daemon->inforce.deadline;
    int r = fence_timer_open(&daemon->loop, timer, CLOCK_BOOTTIME, err);

    timer->fire = deadline_fired;
    timer->context = daemon;
    return r;
}

void fence_inforce_done(struct fence_daemon *daemon)
{
    struct fence_inforce *inforce = &daemon->inforce;
    struct fence_inforce_policy *record = inforce->policies;

    while (record) {
        struct fence_inforce_policy *next = record->hh.next;

        unlink_record(inforce, record);
        record_free(record);
        record = next;
    }
    inforce->waiting = NULL;
    free(TAKE_PTR(inforce->endpoints));
    fence_timer_close(&daemon->loop, &inforce->deadline);
}

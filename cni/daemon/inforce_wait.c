/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Those that wait are looked at when something has changed, never from time to time: everything
 * that changes an answer sets `changed`, the timer of the next deadline among it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cni/daemon/daemon.h"
#include "cni/daemon/inforce_internal.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/policy/lookup.h"

#define NS_PER_SECOND 1000000000ull
#define NS_PER_MS     1000000ull
#define TEXT_MAX      1024

enum outcome {
    OUTCOME_IN_FORCE,
    OUTCOME_NOT_YET,
    OUTCOME_NEVER, /* as things are */
};

/* What one look at a policy says. */
struct look {
    const struct fence_daemon *daemon;
    const struct fence_inforce_wait *wait;
    char text[TEXT_MAX]; /* why not; the id when it is in force */
};

/* Is it the id, or the end of it behind a '/'? */
static bool is_meant(const char *id, const char *policy)
{
    size_t length = strlen(id), tail = strlen(policy);

    if (tail == length)
        return strcmp(id, policy) == 0;
    return tail < length && id[length - tail - 1] == '/' && strcmp(id + length - tail, policy) == 0;
}

/* NULL: there is none, or (*ret_second) two of them. */
static const struct fence_inforce_policy *find_record(const struct look *look,
                                                      const struct fence_inforce_policy **ret_other)
{
    const struct fence_inforce *inforce = &look->daemon->inforce;
    const struct fence_inforce_policy *found = inforce_find(inforce, look->wait->policy);

    *ret_other = NULL;
    if (found)
        return found;
    for (const struct fence_inforce_policy *at = inforce->policies; at; at = at->hh.next) {
        if (!is_meant(at->id, look->wait->policy))
            continue;
        if (found) {
            *ret_other = at;
            return found;
        }
        found = at;
    }
    return found;
}

/* The refusal of an object that may be meant, or of a file that cannot be read (`id` ""). */
static const struct fence_problem *find_refusal(const struct look *look, bool whole_files)
{
    const struct fence_problem *problems;
    size_t count = fence_store_problems(look->daemon->store, &problems);

    for (size_t i = 0; i < count; i++)
        if (!problems[i].warning &&
            (whole_files ? !*problems[i].id : is_meant(problems[i].id, look->wait->policy)))
            return &problems[i];
    return NULL;
}

static enum outcome refused(struct look *look, const struct fence_problem *problem)
{
    /* what the API holds has no lines */
    if (problem->line)
        snprintf(look->text, sizeof(look->text), "it was refused: %s:%u: %s", problem->unit,
                 problem->line, problem->text);
    else
        snprintf(look->text, sizeof(look->text), "it was refused: %s: %s", problem->unit,
                 problem->text);
    return OUTCOME_NEVER;
}

static enum outcome absent(struct look *look)
{
    const struct fence_problem *broken = find_refusal(look, true);

    if (broken)
        snprintf(look->text, sizeof(look->text), "there is no such policy; and %s: %s",
                 broken->unit, broken->text);
    else
        snprintf(look->text, sizeof(look->text), "there is no such policy");
    return OUTCOME_NOT_YET;
}

static bool is_version(const struct look *look, const struct fence_object *object)
{
    const struct fence_inforce_wait *wait = look->wait;

    return (!wait->content || object->policy.content == wait->content) &&
           object->policy.generation >= wait->generation;
}

static enum outcome judge(struct look *look, const struct fence_inforce_policy *record)
{
    const struct fence_object *object = inforce_object(look->daemon, record);
    const int64_t now = (int64_t)(fence_clock_wall_ns() / NS_PER_SECOND);

    if (!object)
        return absent(look);
    if (!is_version(look, object)) {
        snprintf(look->text, sizeof(look->text), "another version of it is there");
        return OUTCOME_NOT_YET;
    }
    if (fence_policy_is_over(object, now)) {
        snprintf(look->text, sizeof(look->text), "its expiresAt is over");
        return OUTCOME_NEVER;
    }
    if (record->waiting) {
        inforce_why(look->daemon, record, look->text, sizeof(look->text));
        return OUTCOME_NOT_YET;
    }
    snprintf(look->text, sizeof(look->text), "%s", record->id);
    return OUTCOME_IN_FORCE;
}

static enum outcome look_at(struct look *look)
{
    const bool any_version = !look->wait->content && !look->wait->generation;
    const struct fence_inforce_policy *other;
    const struct fence_inforce_policy *record = find_record(look, &other);
    const struct fence_problem *problem = find_refusal(look, false);
    enum outcome outcome;

    if (other) {
        snprintf(look->text, sizeof(look->text),
                 "it may be %s or %s: give the kind and namespace, too", record->id, other->id);
        return OUTCOME_NEVER;
    }
    if (problem && (any_version || !record))
        return refused(look, problem);
    outcome = record ? judge(look, record) : absent(look);
    return outcome == OUTCOME_NOT_YET && problem ? refused(look, problem) : outcome;
}

/* ---- clients -------------------------------------------------------------------------------- */

void fence_inforce_forget(struct fence_client *client)
{
    if (!client->policy)
        return;
    client->daemon->inforce.waiters--;
    free(TAKE_PTR(client->policy));
}

static void set_deadline(struct fence_daemon *daemon)
{
    const uint64_t now = fence_clock_boot_ns();
    uint64_t first = UINT64_MAX;

    for (size_t i = 0; i < daemon->server.count; i++) {
        const struct fence_inforce_wait *wait = daemon->server.clients[i]->policy;

        if (wait && wait->deadline_ns < first)
            first = wait->deadline_ns;
    }
    if (first != UINT64_MAX)
        fence_timer_after(&daemon->inforce.deadline,
                          first > now ? (int)((first - now) / NS_PER_MS) + 1 : 0, 0);
}

int fence_inforce_wait(struct fence_client *client, const struct fence_inforce_wait *wait)
{
    struct fence_inforce *inforce = &client->daemon->inforce;

    fence_inforce_forget(client);
    if (inforce->waiters >= FENCE_WAITERS_MAX)
        return -EBUSY;
    client->policy = malloc(sizeof(*wait));
    if (!client->policy)
        return -ENOMEM;
    *client->policy = *wait;
    inforce->waiters++;
    inforce->changed = true;
    return 0;
}

static void answer(struct fence_client *client)
{
    struct look look = {.daemon = client->daemon, .wait = client->policy};
    enum outcome outcome = look_at(&look);
    struct fence_inforce_wait wait;

    if (outcome == OUTCOME_NOT_YET && fence_clock_boot_ns() < client->policy->deadline_ns)
        return;
    wait = *client->policy;
    fence_inforce_forget(client);
    wait.answer(client, &wait, outcome == OUTCOME_IN_FORCE ? 0 : -EAGAIN, look.text);
}

void fence_inforce_answer_waiters(struct fence_daemon *daemon)
{
    if (!daemon->inforce.changed)
        return;
    daemon->inforce.changed = false;
    for (size_t i = 0; i < daemon->server.count; i++)
        if (daemon->server.clients[i]->policy && !daemon->server.clients[i]->broken)
            answer(daemon->server.clients[i]);
    set_deadline(daemon);
}

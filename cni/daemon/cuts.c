/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/cuts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "cni/daemon/cuts_internal.h"
#include "cni/daemon/daemon.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/objects/decode.h"
#include "lib/objects/state.h"

#define NS_PER_SECOND 1000000000ull

/* The unit's place is before all folders: whoever names a policy as a cut is named does not undo
 * it. */
#define ORDER 0u

/* One that ends so soon is over: the policy's end has just made somebody compile again. */
#define NEARLY_NS 50000000ull

/* ---- entries -------------------------------------------------------------------------------- */

struct fence_cut_entry *cut_entry_new(const struct fence_cut *cut)
{
    struct fence_cut_entry *entry = calloc(1, sizeof(*entry));

    if (!entry)
        return NULL;
    entry->said = fence_cut_to_json(cut);
    if (!entry->said || fence_cut_from_json(entry->said, &entry->cut, NULL) < 0)
        cut_entry_free(&entry);
    return entry;
}

void cut_entry_free(struct fence_cut_entry **entry)
{
    if (!*entry)
        return;
    cJSON_Delete((*entry)->said);
    free(*entry);
    *entry = NULL;
}

const char *cut_policy_name(const struct fence_cut_entry *entry, char name[CUT_NAME_MAX])
{
    snprintf(name, CUT_NAME_MAX, CUT_NAME_PREFIX "%s", entry->id);
    return name;
}

const char *cut_unit_name(const struct fence_cut_entry *entry, char name[CUT_NAME_MAX])
{
    snprintf(name, CUT_NAME_MAX, "cut:%s", entry->id);
    return name;
}

const struct fence_object *cut_policy_of(const struct fence_daemon *daemon,
                                         const struct fence_cut_entry *entry)
{
    char name[CUT_NAME_MAX];

    return fence_store_find(daemon->store, FENCE_OBJECT_CLUSTER_SEGMENT_POLICY, "",
                            cut_policy_name(entry, name));
}

void cut_entry_set_end(struct fence_cut_entry *entry, uint64_t ns_from_now)
{
    const uint64_t wall = fence_clock_wall_ns();
    const uint64_t boot = fence_clock_boot_ns();
    const uint64_t end = (wall + ns_from_now) / NS_PER_SECOND + 1;

    entry->expires_at = (int64_t)end;
    entry->end_ns = boot + (end * NS_PER_SECOND - wall);
}

/* Random, so that a policy cannot be made beforehand that has its name. */
static int choose_id(const struct fence_daemon *daemon, struct fence_cut_entry *entry)
{
    for (int tries = 0; tries < 16; tries++) {
        uint32_t number;

        if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
            return -EIO;
        snprintf(entry->id, sizeof(entry->id), "%08x", number);
        if (!cut_policy_of(daemon, entry))
            return 0;
    }
    return -EEXIST;
}

/* ---- the policy ----------------------------------------------------------------------------- */

int cut_decode(const struct fence_cut_entry *entry, struct fence_decoded_list *ret_list,
               struct fence_err *err)
{
    FENCE_FREE char *text = NULL;
    struct fence_decoded_list list = {0};
    char name[CUT_NAME_MAX];
    cJSON *policy = NULL;
    int r = fence_cut_policy(&entry->cut, cut_policy_name(entry, name), entry->expires_at, &policy,
                             err);

    if (r < 0)
        return r;
    text = cJSON_PrintUnformatted(policy);
    cJSON_Delete(policy);
    if (!text)
        return fence_err_set(err, -ENOMEM, "out of memory");
    r = fence_decode_stream(text, strlen(text), &list, err);
    if (r == 0 && list.items[0].error)
        r = fence_err_set(err, -EINVAL, "%s", list.items[0].error);
    if (r < 0) {
        fence_decoded_list_done(&list);
        return r;
    }
    list.items[0].object->policy.audit = false;
    *ret_list = list;
    return 0;
}

int cut_put(struct fence_daemon *daemon, const struct fence_cut_entry *entry, struct fence_err *err)
{
    struct fence_decoded_list list = {0};
    char unit[CUT_NAME_MAX];
    int r = cut_decode(entry, &list, err);

    if (r < 0)
        return r;
    r = fence_store_put(daemon->store, ORDER, cut_unit_name(entry, unit), &list, err);
    fence_decoded_list_done(&list);
    if (r < 0)
        return r;
    daemon->dirty = true;
    daemon->reconcile.problems_changed = true;
    fence_inforce_seen(daemon, 0);
    return 0;
}

/* ---- beginning and end ---------------------------------------------------------------------- */

static void save_or_say(struct fence_daemon *daemon)
{
    struct fence_err err = {""};

    if (cuts_save(daemon, &err) < 0)
        fence_log(FENCE_LOG_ERROR,
                  "cuts are in force, but another podfenced would not know of the change: %s",
                  err.text);
}

/* NULL when out of memory, or of random numbers. */
static struct fence_cut_entry *make_entry(const struct fence_daemon *daemon,
                                          const struct fence_cut *cut)
{
    struct fence_cut_entry *entry = cut_entry_new(cut);

    if (!entry || choose_id(daemon, entry) < 0) {
        cut_entry_free(&entry);
        return NULL;
    }
    entry->created_at = (int64_t)(fence_clock_wall_ns() / NS_PER_SECOND);
    cut_entry_set_end(entry, cut->seconds * NS_PER_SECOND);
    return entry;
}

const struct fence_cut_entry *cut_find(const struct fence_daemon *daemon, const char *id)
{
    for (size_t i = 0; i < daemon->cuts.count; i++)
        if (strcmp(daemon->cuts.items[i]->id, id) == 0)
            return daemon->cuts.items[i];
    return NULL;
}

int cut_accept(struct fence_daemon *daemon, const struct fence_cut *cut, char ret_id[CUT_ID_MAX],
               struct fence_err *err)
{
    struct fence_cuts *cuts = &daemon->cuts;
    struct fence_cut_entry *entry;
    int r;

    if (cuts->count >= FENCE_CUTS_MAX)
        return fence_err_set(err, -ENOSPC,
                             "there are %u cuts already; undo one first (podfencectl cut list)",
                             FENCE_CUTS_MAX);
    entry = make_entry(daemon, cut);
    if (!entry)
        return fence_err_set(err, -ENOMEM, "out of memory");
    r = cut_put(daemon, entry, err);
    if (r < 0) {
        cut_entry_free(&entry);
        return r;
    }
    cuts->items[cuts->count++] = entry;
    cuts->made++;
    fence_log(FENCE_LOG_WARNING, "cut %s by %s: \"%s\" for %u s: %s", entry->id, entry->cut.origin,
              entry->cut.pods, (unsigned int)entry->cut.seconds, entry->cut.reason);
    memcpy(ret_id, entry->id, CUT_ID_MAX);
    return 0;
}

static int apply_now(struct fence_daemon *daemon, struct fence_err *err)
{
    const uint64_t before = daemon->reconcile.applies;

    fence_reconcile_run(daemon);
    if (daemon->reconcile.applies != before)
        return 0;
    if (daemon->reconcile.error.text[0])
        return fence_err_set(err, -EIO, "%s", daemon->reconcile.error.text);
    if (daemon->seeding.dump)
        return fence_err_set(err, -EINPROGRESS,
                             "the connections of pods that run already are being read");
    return fence_err_set(err, -EINPROGRESS,
                         "nothing is applied before every folder of --objects has been read once");
}

int cut_apply(struct fence_daemon *daemon, struct fence_err *err)
{
    int r = apply_now(daemon, err);

    save_or_say(daemon);
    return r;
}

int cut_remove(struct fence_daemon *daemon, size_t index, bool undone)
{
    struct fence_cuts *cuts = &daemon->cuts;
    struct fence_cut_entry *entry = cuts->items[index];
    char unit[CUT_NAME_MAX];
    int r = fence_store_remove(daemon->store, cut_unit_name(entry, unit));

    if (r < 0)
        return r;
    fence_log(FENCE_LOG_INFO, "cut %s %s", entry->id, undone ? "was undone" : "is over");
    fence_audit_note(daemon, undone ? "cut-undone" : "cut-ended", cut_describe(entry));
    cuts->undone += undone;
    cuts->ended += !undone;
    cuts->count--;
    memmove(&cuts->items[index], &cuts->items[index + 1], (cuts->count - index) * sizeof(void *));
    cut_entry_free(&entry);
    daemon->dirty = true;
    daemon->reconcile.problems_changed = true;
    fence_inforce_seen(daemon, 0);
    return 0;
}

/* ---- the clocks ----------------------------------------------------------------------------- */

static bool move_end(struct fence_daemon *daemon, struct fence_cut_entry *entry)
{
    const int64_t before = entry->expires_at;
    struct fence_err err = {""};

    entry->expires_at =
        fence_cut_expiry(before, entry->end_ns, fence_clock_wall_ns(), fence_clock_boot_ns());
    if (entry->expires_at == before)
        return false;
    if (cut_put(daemon, entry, &err) < 0) {
        entry->expires_at = before;
        fence_log(FENCE_LOG_ERROR, "cut %s: %s", entry->id, err.text);
        return false;
    }
    fence_log(FENCE_LOG_INFO, "the clock was set: cut %s lasts as long as it was to", entry->id);
    return true;
}

size_t fence_cuts_count(const struct fence_daemon *daemon, const char *origin, const char *pods)
{
    size_t count = 0;

    for (size_t i = 0; i < daemon->cuts.count; i++) {
        const struct fence_cut_entry *entry = daemon->cuts.items[i];

        count += entry->end_ns > fence_clock_boot_ns() && entry->cut.origin &&
                 strcmp(entry->cut.origin, origin) == 0 &&
                 (!pods || (entry->cut.pods && strcmp(entry->cut.pods, pods) == 0));
    }
    return count;
}

void fence_cuts_refresh(struct fence_daemon *daemon)
{
    struct fence_cuts *cuts = &daemon->cuts;
    bool changed = false;

    for (size_t i = cuts->count; i-- > 0;) {
        if (fence_clock_boot_ns() + NEARLY_NS >= cuts->items[i]->end_ns)
            changed |= cut_remove(daemon, i, false) == 0;
        else
            changed |= move_end(daemon, cuts->items[i]);
    }
    if (changed)
        save_or_say(daemon);
}

/* ---- start and stop ------------------------------------------------------------------------- */

int fence_cuts_init(struct fence_daemon *daemon, struct fence_err *err)
{
    struct fence_cuts *cuts = &daemon->cuts;
    struct fence_err why = {""};

    if (cuts_load(daemon, &why) < 0) {
        fence_log(FENCE_LOG_ERROR, "cuts of before are not in force: %s", why.text);
        if (fence_store_broken(daemon->store, ORDER, FENCE_STATE_CUTS, why.text) < 0)
            return fence_err_set(err, -ENOMEM, "out of memory");
    }
    for (size_t i = cuts->count; i-- > 0;)
        if (cut_put(daemon, cuts->items[i], &why) < 0) {
            fence_log(FENCE_LOG_ERROR, "cut %s of before is not in force: %s", cuts->items[i]->id,
                      why.text);
            (void)cut_remove(daemon, i, false);
        }
    return 0;
}

void fence_cuts_done(struct fence_daemon *daemon)
{
    for (size_t i = 0; i < daemon->cuts.count; i++)
        cut_entry_free(&daemon->cuts.items[i]);
    daemon->cuts.count = 0;
}

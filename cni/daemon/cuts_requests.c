/* SPDX-License-Identifier: Apache-2.0 */
/* Cuts by the socket: lib/api/README.md. An answer goes out after the apply that has the cut. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cni/daemon/answer.h"
#include "cni/daemon/cuts_internal.h"
#include "cni/daemon/daemon.h"
#include "cni/daemon/policies.h"
#include "cni/daemon/times.h"
#include "lib/base/clock.h"
#include "lib/objects/decode.h"

#define NS_PER_SECOND 1000000000ull
#define WAIT_SECONDS  20 /* less than podfencectl does */

/* ---- one cut as JSON ------------------------------------------------------------------------ */

cJSON *cut_describe(const struct fence_cut_entry *entry)
{
    cJSON *json = cJSON_Duplicate(entry->said, true);
    const uint64_t now = fence_clock_boot_ns();
    uint64_t left;
    char name[CUT_NAME_MAX], policy[CUT_NAME_MAX + 32];

    snprintf(policy, sizeof(policy), "%s/%s", fence_kind_name(FENCE_OBJECT_CLUSTER_SEGMENT_POLICY),
             cut_policy_name(entry, name));
    cJSON_AddStringToObject(json, "id", entry->id);
    cJSON_AddStringToObject(json, "policy", policy);
    fence_time_add(json, "createdAt", entry->created_at);
    fence_time_add(json, "endsAt", entry->expires_at);
    left = entry->end_ns > now ? (entry->end_ns - now) / NS_PER_SECOND : 0;
    cJSON_AddNumberToObject(json, "secondsLeft", (double)left);
    return json;
}

static void add_reach(cJSON *json, const struct fence_daemon *daemon,
                      const struct fence_object *policy)
{
    if (policy)
        fence_policy_add_reach(daemon, policy, json);
}

/* 0: in force wherever it selects. */
static int check_reach(const cJSON *json, struct fence_err *err)
{
    const cJSON *failures = cJSON_GetObjectItemCaseSensitive(json, "failures");
    const cJSON *first = failures ? failures->child : NULL;
    const cJSON *endpoint = cJSON_GetObjectItemCaseSensitive(first, "endpoint");
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(first, "text");

    if (!cJSON_IsString(endpoint) || !cJSON_IsString(text))
        return 0;
    return fence_err_set(err, -EIO, "endpoint %s: %s", endpoint->valuestring, text->valuestring);
}

static void add_in_force(cJSON *json, int result, const struct fence_err *why)
{
    cJSON_AddBoolToObject(json, "inForce", result == 0);
    if (result < 0)
        cJSON_AddStringToObject(json, "why", why->text);
}

void fence_cuts_add_status(cJSON *status, const struct fence_cuts *cuts)
{
    cJSON *json = cJSON_AddObjectToObject(status, "cuts");

    cJSON_AddNumberToObject(json, "active", (double)cuts->count);
    cJSON_AddNumberToObject(json, "made", (double)cuts->made);
    cJSON_AddNumberToObject(json, "ended", (double)cuts->ended);
    cJSON_AddNumberToObject(json, "undone", (double)cuts->undone);
}

/* ---- cut ------------------------------------------------------------------------------------ */

/* The second half, and a line in the audit log. */
static int apply_and_note(struct fence_daemon *daemon, const char *id, struct fence_err *err)
{
    int r = cut_apply(daemon, err);
    const struct fence_cut_entry *entry = cut_find(daemon, id);
    cJSON *json = entry ? cut_describe(entry) : NULL;

    if (!json)
        return r;
    add_in_force(json, r, err);
    fence_audit_note(daemon, "cut", json);
    return r;
}

int fence_cuts_add(struct fence_daemon *daemon, const struct fence_cut *cut, struct fence_err *err)
{
    const struct fence_cut_entry *entry;
    char id[CUT_ID_MAX];
    cJSON *json;
    int r = cut_accept(daemon, cut, id, err);

    if (r == 0)
        r = apply_and_note(daemon, id, err);
    entry = r == 0 ? cut_find(daemon, id) : NULL;
    if (!entry)
        return r;
    json = cJSON_CreateObject();
    add_reach(json, daemon, cut_policy_of(daemon, entry));
    r = check_reach(json, err);
    cJSON_Delete(json);
    return r;
}

/* What it would select; nothing is changed. */
static void answer_dry_run(struct fence_client *client, const struct fence_cut *cut)
{
    struct fence_cut_entry *entry = cut_entry_new(cut);
    struct fence_decoded_list list = {0};
    struct fence_err err = {"out of memory"};
    int r = -ENOMEM;
    cJSON *json;

    if (entry) {
        snprintf(entry->id, sizeof(entry->id), "dry-run");
        entry->created_at = (int64_t)(fence_clock_wall_ns() / NS_PER_SECOND);
        cut_entry_set_end(entry, cut->seconds * NS_PER_SECOND);
        r = cut_decode(entry, &list, &err);
    }
    if (r < 0) {
        fence_client_refuse(client, "%s", err.text);
    } else {
        json = cut_describe(entry);
        add_reach(json, client->daemon, list.items[0].object);
        cJSON_AddTrueToObject(json, "dryRun");
        fence_answer_send(client, "cut", json);
    }
    fence_decoded_list_done(&list);
    cut_entry_free(&entry);
}

static void answer_cut(struct fence_client *client, const char *id, int result,
                       struct fence_err *err)
{
    const struct fence_daemon *daemon = client->daemon;
    const struct fence_cut_entry *entry = cut_find(daemon, id);
    cJSON *json;

    if (!entry) {
        fence_client_refuse(client, "cut %s was over before it was in force", id);
        return;
    }
    json = cut_describe(entry);
    add_reach(json, daemon, cut_policy_of(daemon, entry));
    if (result == 0)
        result = check_reach(json, err);
    add_in_force(json, result, err);
    fence_answer_send(client, "cut", json);
}

static void answer_waited(struct fence_client *client, const struct fence_inforce_wait *wait,
                          int result, const char *text)
{
    const char *name = strchr(wait->policy, '/');
    struct fence_err err = {""};

    snprintf(err.text, sizeof(err.text), "%s", text);
    answer_cut(client, name + 1 + strlen(CUT_NAME_PREFIX), result, &err);
}

/* The maps cannot be written at the moment: answer when they have been. */
static int wait_for_it(struct fence_client *client, const char *id)
{
    struct fence_inforce_wait wait = {
        .deadline_ns = fence_clock_boot_ns() + WAIT_SECONDS * NS_PER_SECOND,
        .answer = answer_waited,
    };

    snprintf(wait.policy, sizeof(wait.policy), "%s/" CUT_NAME_PREFIX "%s",
             fence_kind_name(FENCE_OBJECT_CLUSTER_SEGMENT_POLICY), id);
    return fence_inforce_wait(client, &wait);
}

static void cut_and_answer(struct fence_client *client, const struct fence_cut *cut)
{
    struct fence_err err = {""};
    char id[CUT_ID_MAX];
    int r;

    if (cut_accept(client->daemon, cut, id, &err) < 0) {
        fence_client_refuse(client, "%s", err.text);
        return;
    }
    r = apply_and_note(client->daemon, id, &err);
    if (r != -EINPROGRESS || wait_for_it(client, id) < 0)
        answer_cut(client, id, r, &err);
}

void fence_cuts_handle_cut(struct fence_client *client, const cJSON *request)
{
    struct fence_err err = {""};
    struct fence_cut cut;

    if (fence_cut_from_json(request, &cut, &err) < 0) {
        fence_client_refuse(client, "%s", err.text);
        return;
    }
    cut.origin = "user";
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(request, "dryRun")))
        answer_dry_run(client, &cut);
    else
        cut_and_answer(client, &cut);
}

/* ---- cuts ----------------------------------------------------------------------------------- */

void fence_cuts_handle_list(struct fence_client *client, const cJSON *request)
{
    const struct fence_daemon *daemon = client->daemon;
    cJSON *list = cJSON_CreateArray();

    (void)request;
    for (size_t i = 0; i < daemon->cuts.count; i++) {
        cJSON *json = cut_describe(daemon->cuts.items[i]);

        add_reach(json, daemon, cut_policy_of(daemon, daemon->cuts.items[i]));
        cJSON_AddItemToArray(list, json);
    }
    fence_answer_send(client, "cuts", list);
}

/* ---- uncut ---------------------------------------------------------------------------------- */

static bool is_meant(const struct fence_cut_entry *entry, const char *id)
{
    char name[CUT_NAME_MAX];

    return strcmp(entry->id, id) == 0 || strcmp(cut_policy_name(entry, name), id) == 0;
}

/* `id` NULL: all of them. The ids of those that are undone go to `undone`. */
static int remove_cuts(struct fence_daemon *daemon, const char *id, cJSON *undone)
{
    int r = 0;

    for (size_t i = daemon->cuts.count; r == 0 && i-- > 0;) {
        const struct fence_cut_entry *entry = daemon->cuts.items[i];

        if (id && !is_meant(entry, id))
            continue;
        cJSON_AddItemToArray(undone, cJSON_CreateString(entry->id));
        r = cut_remove(daemon, i, true);
    }
    return r;
}

void fence_cuts_handle_uncut(struct fence_client *client, const cJSON *request)
{
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(request, "id");
    const bool all = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(request, "all"));
    cJSON *json = cJSON_CreateObject(), *undone = cJSON_AddArrayToObject(json, "undone");
    struct fence_err err = {"out of memory"};
    int r;

    if (!all && !cJSON_IsString(id)) {
        fence_client_refuse(client, "id must be the id of a cut, or all true");
        cJSON_Delete(json);
        return;
    }
    r = remove_cuts(client->daemon, all ? NULL : id->valuestring, undone);
    if (r == 0 && !all && !undone->child) {
        fence_client_refuse(client, "there is no cut %.64s now: see podfencectl cut list",
                            id->valuestring);
        cJSON_Delete(json);
        return;
    }
    if (r == 0 && undone->child)
        r = cut_apply(client->daemon, &err);
    add_in_force(json, r, &err);
    fence_answer_send(client, "uncut", json);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of policies, and what was refused, as records of the audit log. */
#include <errno.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "cni/daemon/daemon.h"
#include "lib/audit/policy.h"
#include "lib/base/memory.h"

/* A policy in force: of one that goes only this says where it came from. */
struct fence_audit_known {
    UT_hash_handle hh; /* by id */
    char *file;
    char id[];
};

/* Refusals that are told; of more than so many at a time the rest is not. */
#define REFUSED_MAX 4096u

struct fence_audit_refused {
    UT_hash_handle hh; /* by text */
    bool seen;         /* in this pass */
    char *object;
    char *file;
    char text[]; /* all that is told of it */
};

/* NOLINTBEGIN(readability-function-size,bugprone-*): uthash's macros */
static void free_known(struct fence_audit *audit, struct fence_audit_known *known)
{
    HASH_DEL(audit->policies, known);
    free(known->file);
    free(known);
}

/* Keep where this policy comes from; NULL file = it has gone. Without memory it is not kept. */
static void remember(struct fence_audit *audit, const char *id, const char *file)
{
    struct fence_audit_known *known;
    size_t size = strlen(id);

    HASH_FIND(hh, audit->policies, id, size, known);
    if (known)
        free_known(audit, known);
    if (!file)
        return;
    known = calloc(1, sizeof(*known) + size + 1);
    if (!known)
        return;
    memcpy(known->id, id, size + 1);
    known->file = strdup(file);
    HASH_ADD_KEYPTR(hh, audit->policies, known->id, size, known);
    if (!known->hh.tbl) { /* no memory for the table */
        free(known->file);
        free(known);
    }
}

static const char *known_file(const struct fence_audit *audit, const char *id)
{
    struct fence_audit_known *known;

    HASH_FIND(hh, audit->policies, id, strlen(id), known);
    return known && known->file ? known->file : "";
}

static void add_part(void *context, const char *name)
{
    cJSON_AddItemToArray(context, cJSON_CreateString(name));
}

static void add_hash(cJSON *details, const char *key, const struct fence_object *policy)
{
    char hash[FENCE_AUDIT_HASH_TEXT];

    if (!policy)
        return;
    fence_audit_policy_hash(policy, hash);
    cJSON_AddStringToObject(details, key, hash);
}

static const char *change_name(const struct fence_audit *audit, const struct fence_change *change)
{
    if (!change->before)
        return audit->begun ? "added" : "present";
    return change->after ? "changed" : "removed";
}

static void note_change(struct fence_daemon *daemon, const struct fence_change *change)
{
    const struct fence_object *policy = change->after ? change->after : change->before;
    FENCE_FREE char *id = fence_object_id(policy);
    const char *file = change->after ? fence_store_unit_of(daemon->store, change->after) : NULL;
    cJSON *details = cJSON_CreateObject();

    if (!id) {
        cJSON_Delete(details);
        return;
    }
    cJSON_AddStringToObject(details, "change", change_name(&daemon->audit, change));
    cJSON_AddStringToObject(details, "policy", id);
    cJSON_AddStringToObject(details, "file", file ? file : known_file(&daemon->audit, id));
    if (change->after) {
        cJSON_AddNumberToObject(details, "line", change->after->line);
        cJSON_AddStringToObject(details, "enforcement",
                                change->after->policy.audit ? "Audit" : "Enforce");
    }
    if (change->before && change->after)
        fence_audit_policy_difference(change->before, change->after, add_part,
                                      cJSON_AddArrayToObject(details, "parts"));
    add_hash(details, "before", change->before);
    add_hash(details, "after", change->after);
    fence_audit_note(daemon, "policy", details);
    remember(&daemon->audit, id, file);
}

/* A policy that stands elsewhere in its file now, or in another, and is the same. */
static bool is_same(const struct fence_change *change)
{
    char before[FENCE_AUDIT_HASH_TEXT], after[FENCE_AUDIT_HASH_TEXT];

    if (!change->before || !change->after)
        return false;
    fence_audit_policy_hash(change->before, before);
    fence_audit_policy_hash(change->after, after);
    return strcmp(before, after) == 0;
}

void fence_audit_policies(struct fence_daemon *daemon)
{
    const struct fence_change *changes;
    size_t count = 0;

    if (!daemon->audit.writer || fence_store_changes(daemon->store, &changes, &count) < 0)
        return;
    for (size_t i = 0; i < count; i++) {
        const struct fence_object *object = changes[i].after ? changes[i].after : changes[i].before;

        if (fence_kind_is_policy(object->kind) && !is_same(&changes[i]))
            note_change(daemon, &changes[i]);
    }
    daemon->audit.begun = true;
}

/* ---- refusals ------------------------------------------------------------------------------- */

static void free_refused(struct fence_audit *audit, struct fence_audit_refused *refused)
{
    HASH_DEL(audit->refused, refused);
    free(refused->object);
    free(refused->file);
    free(refused);
}

static void note_refused(struct fence_daemon *daemon, const struct fence_problem *problem)
{
    cJSON *details = cJSON_CreateObject();

    cJSON_AddStringToObject(details, "object", problem->id);
    cJSON_AddStringToObject(details, "file", problem->unit);
    cJSON_AddNumberToObject(details, "line", problem->line);
    cJSON_AddStringToObject(details, "text", problem->text);
    cJSON_AddBoolToObject(details, "lastGoodInForce", problem->kept);
    fence_audit_note(daemon, "refused", details);
}

/* Its line does not count: a file that grows above it changes nothing of it. */
static void see_problem(struct fence_daemon *daemon, const struct fence_problem *problem)
{
    struct fence_audit *audit = &daemon->audit;
    struct fence_audit_refused *refused;
    char key[2048];
    size_t size;

    snprintf(key, sizeof(key), "%d %s %s %s", problem->kept, problem->unit, problem->id,
             problem->text);
    size = strlen(key);
    HASH_FIND(hh, audit->refused, key, size, refused);
    if (refused || HASH_COUNT(audit->refused) >= REFUSED_MAX) {
        if (refused)
            refused->seen = true;
        return;
    }
    note_refused(daemon, problem);
    refused = calloc(1, sizeof(*refused) + size + 1);
    if (!refused)
        return;
    memcpy(refused->text, key, size + 1);
    refused->object = strdup(problem->id);
    refused->file = strdup(problem->unit);
    refused->seen = true;
    HASH_ADD_KEYPTR(hh, audit->refused, refused->text, size, refused);
    if (!refused->hh.tbl) {
        free(refused->object);
        free(refused->file);
        free(refused);
    }
}

static void note_resolved(struct fence_daemon *daemon, const struct fence_audit_refused *refused)
{
    cJSON *details = cJSON_CreateObject();

    cJSON_AddStringToObject(details, "object", refused->object ? refused->object : "");
    cJSON_AddStringToObject(details, "file", refused->file ? refused->file : "");
    fence_audit_note(daemon, "refusal-over", details);
}

void fence_audit_refusals(struct fence_daemon *daemon)
{
    struct fence_audit *audit = &daemon->audit;
    struct fence_audit_refused *refused, *next;
    const struct fence_problem *problems;
    size_t count;

    if (!audit->writer)
        return;
    for (refused = audit->refused; refused; refused = refused->hh.next)
        refused->seen = false;
    count = fence_store_problems(daemon->store, &problems);
    for (size_t i = 0; i < count; i++)
        if (!problems[i].warning)
            see_problem(daemon, &problems[i]);
    HASH_ITER (hh, audit->refused, refused, next) {
        if (refused->seen)
            continue;
        note_resolved(daemon, refused);
        free_refused(audit, refused);
    }
}

void fence_audit_policies_done(struct fence_audit *audit)
{
    struct fence_audit_known *known, *next_known;
    struct fence_audit_refused *refused, *next_refused;

    HASH_ITER (hh, audit->policies, known, next_known)
        free_known(audit, known);
    HASH_ITER (hh, audit->refused, refused, next_refused)
        free_refused(audit, refused);
}
/* NOLINTEND(readability-function-size,bugprone-*) */

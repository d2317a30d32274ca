/* SPDX-License-Identifier: Apache-2.0 */
/* Private to cuts: cuts.c makes and ends them, cuts_state.c keeps them, cuts_requests.c serves. */
#pragma once

#include <stdbool.h>

#include "cni/daemon/cuts.h"

struct fence_object;

#define CUT_ID_MAX      16
#define CUT_NAME_PREFIX "cut-"

struct fence_cut_entry {
    char id[CUT_ID_MAX];
    cJSON *said;          /* the members of fence_cut_to_json */
    struct fence_cut cut; /* whose texts are those of `said` */
    int64_t created_at;   /* seconds since 1970 */
    int64_t expires_at;   /* of the policy, the same */
    uint64_t end_ns;      /* boot time */
};

/* An entry that says what `cut` says, without an id or an end; NULL when out of memory. */
struct fence_cut_entry *cut_entry_new(const struct fence_cut *cut);
void cut_entry_free(struct fence_cut_entry **entry);

/* Name of its policy and of its unit in the store. */
#define CUT_NAME_MAX (CUT_ID_MAX + 8)
const char *cut_policy_name(const struct fence_cut_entry *entry, char name[CUT_NAME_MAX]);
const char *cut_unit_name(const struct fence_cut_entry *entry, char name[CUT_NAME_MAX]);

/* The policy in the store; NULL when it is not there. */
const struct fence_object *cut_policy_of(const struct fence_daemon *daemon,
                                         const struct fence_cut_entry *entry);

/*
 * Say when it ends: in so many ns, at most a second later, so that the policy's whole seconds and
 * the moment of the boot clock are the same.
 */
void cut_entry_set_end(struct fence_cut_entry *entry, uint64_t ns_from_now);

/*
 * Decode its policy, which is enforced whatever --audit-all says, into a list for the store.
 * -EINVAL when it is refused.
 */
struct fence_decoded_list;
int cut_decode(const struct fence_cut_entry *entry, struct fence_decoded_list *ret_list,
               struct fence_err *err);

/* Make the policy and put it into the store. -EINVAL when it is refused. */
int cut_put(struct fence_daemon *daemon, const struct fence_cut_entry *entry,
            struct fence_err *err);

/*
 * The two halves of a cut: into the store, with the id of what was made; then into the maps, and
 * only then onto the disk, which may be slow. The second half also follows cut_remove.
 */
int cut_accept(struct fence_daemon *daemon, const struct fence_cut *cut, char ret_id[CUT_ID_MAX],
               struct fence_err *err);
int cut_apply(struct fence_daemon *daemon, struct fence_err *err);
/* NULL when it is over. */
const struct fence_cut_entry *cut_find(const struct fence_daemon *daemon, const char *id);
/* -ENOMEM: it stays. */
int cut_remove(struct fence_daemon *daemon, size_t index, bool undone);

/* Everything but what the endpoints say: lib/api/README.md. */
cJSON *cut_describe(const struct fence_cut_entry *entry);

/* cuts_state.c. Saving replaces the whole file; without cuts there is none. */
int cuts_save(const struct fence_daemon *daemon, struct fence_err *err);
/* Fills daemon->cuts, nothing of it is in the store yet. */
int cuts_load(struct fence_daemon *daemon, struct fence_err *err);

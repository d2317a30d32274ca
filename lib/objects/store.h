/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All objects in force, whatever their source, and what was refused. A source hands over the
 * whole content of one of its units (a file); the store works out what that adds, changes and
 * removes, keeps last good versions, and settles conflicts (folder order, then path, then place in
 * the file: the first keeps the object, a later different one is refused, an identical one is
 * fine).
 *
 * Not for several threads: what is handed out is built on demand.
 */
#pragma once

#include "lib/objects/decode.h"

struct fence_store; /* opaque */

/* An order behind that of every folder. */
#define FENCE_STORE_LAST (~0u)

int fence_store_new(struct fence_store **ret_store);
void fence_store_free(struct fence_store **store);

/*
 * Replace what `unit` (a path) contributes. Takes what it needs out of `list`; the caller still
 * calls fence_decoded_list_done. `order` is the folder's position on the command line. An object
 * refused now that was good before in this unit stays as its last good version (for one of another
 * unit see fence_store_keep_moved); while the name of
 * a refused object cannot be read, so does every object that it may have been (see enum
 * fence_refused). Returns 1 when what the unit contributes changed, 0 when not (then what was
 * handed out stays valid), -ENOMEM (then nothing changed).
 */
int fence_store_put(struct fence_store *store, unsigned int order, const char *unit,
                    struct fence_decoded_list *list, struct fence_err *err);

/* A unit that is one of the many parts of a source. */
struct fence_store_part {
    unsigned int order;
    const char *unit;   /* "kubernetes/Pod/0a3" */
    const char *source; /* what people are told instead: "kubernetes" */
    bool second_hand;   /* what another one says differently is no problem, if that one counts */
};

/* Which objects of a unit stay that a list does not name. */
struct fence_store_rest {
    bool (*stays)(void *context, const char *id); /* NULL: all, and what is to tell about them */
    void *context;
};

/*
 * Change what a part contributes: what `list` names is put, or taken out where it is gone, each
 * object once. Texts are not kept, so there is no fence_store_unit_json. As fence_store_put else.
 */
int fence_store_update(struct fence_store *store, const struct fence_store_part *part,
                       struct fence_decoded_list *list, const struct fence_store_rest *rest,
                       struct fence_err *err);
/* Does a unit contribute this very object, be it in force or not, and is there nothing to tell
 * about any of the unit's? */
bool fence_store_has(const struct fence_store *store, const char *unit,
                     const struct fence_decoded *decoded);

/*
 * Last good objects of a unit from before the daemon started (--state): in force until the next
 * fence_store_put of the unit, which takes them as its last good ones. Only for a unit that has
 * contributed nothing yet. As fence_store_put else.
 */
int fence_store_restore(struct fence_store *store, unsigned int order, const char *unit,
                        struct fence_decoded_list *list, struct fence_err *err);

/*
 * The unit cannot be read or parsed: everything it contributed stays; the problem is listed until
 * the next fence_store_put or fence_store_remove. A folder can be a unit in this sense. Returns 0
 * or -ENOMEM.
 */
int fence_store_broken(struct fence_store *store, unsigned int order, const char *unit,
                       const char *problem);

/* Does the unit contribute objects, be they its last good ones? */
bool fence_store_has_objects(const struct fence_store *store, const char *unit);

/* The unit is gone: so are its objects. Returns 1 when that changed something, 0, -ENOMEM. */
int fence_store_remove(struct fence_store *store, const char *unit);

/*
 * For a source that reads many units at once and may take any of them for the author of what
 * another one had: begin, put and remove them, and then keep what moved. That is, an object that
 * left a unit of this order meanwhile, is in none now and is refused in another unit of the order
 * goes there as its last good version. `refused`: something of what is put now is. Returns 1 when a
 * unit contributes more now, 0, or -ENOMEM: what left is remembered until the changes are done
 * with, and calling again goes on.
 */
void fence_store_begin_moves(struct fence_store *store, bool refused);
int fence_store_keep_moved(struct fence_store *store, unsigned int order, struct fence_err *err);

/* Objects in force, sorted by kind, namespace, name; valid until the next change. */
size_t fence_store_objects(const struct fence_store *store,
                           const struct fence_object *const **ret_objects);
/* The same of one kind: the others are not sorted for it. */
size_t fence_store_kind(const struct fence_store *store, enum fence_kind kind,
                        const struct fence_object *const **ret_objects);
/* Find one; NULL when absent. */
const struct fence_object *fence_store_find(const struct fence_store *store, enum fence_kind kind,
                                            const char *namespace_name, const char *name);

/* How many of a kind are in force. */
size_t fence_store_count(const struct fence_store *store, enum fence_kind kind);

/*
 * What is in force now, against what was when the changes were last done with: one change for each
 * object, none for an object that is in force unchanged. Valid until the next call that is not a
 * question. -ENOMEM.
 */
int fence_store_changes(struct fence_store *store, const struct fence_change **ret_changes,
                        size_t *ret_count);
/* They have been dealt with. Objects that are no more are freed here and not before. */
void fence_store_changes_done(struct fence_store *store);

/* What is wrong now. */
struct fence_problem {
    const char *unit;  /* file, folder, or source */
    unsigned int line; /* 0 = the whole unit, or there are no lines */
    const char *id;    /* object, or "" */
    const char *text;  /* reason */
    bool kept;         /* a last good version is in force */
    bool warning;      /* nothing was refused */
};
/* Sorted by unit and line; valid until the next call that is not a question. */
size_t fence_store_problems(const struct fence_store *store,
                            const struct fence_problem **ret_problems);

/* Where an object in force comes from, for status. NULL when unknown. */
const char *fence_store_unit_of(const struct fence_store *store, const struct fence_object *object);

/*
 * What a unit contributes, last good versions among it, as a List in canonical JSON: what --state
 * keeps. A new string; NULL when the unit is unknown or memory ended.
 */
char *fence_store_unit_json(const struct fence_store *store, const char *unit);

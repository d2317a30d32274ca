/* SPDX-License-Identifier: Apache-2.0 */
/*
 * World to plan; pure. A compiler is fed with what changes and keeps its plan up to date, touching
 * only what depends on a change (theory at the head of compile.c). Whoever applies the plan goes
 * round like this:
 *
 *     feed: fence_compiler_change, fence_compiler_locals, fence_compiler_host
 *     fence_compiler_run         the plan now answers for the old world and the new one
 *     apply, fence_plan_told
 *     fence_compiler_settle      drops what only the old world needed; while it returns 1:
 *     apply, fence_plan_told       it changed something again
 *
 * A round may end anywhere, when the maps cannot be written, and the next begin with what is fed:
 * the plan is right after every run.
 *
 * After a negative return a compiler is good for nothing but fence_compiler_free: make a new one
 * and feed it everything.
 */
#pragma once

#include "lib/base/err.h"
#include "lib/policy/plan.h"
#include "lib/policy/world.h"

struct fence_compiler; /* opaque */

struct fence_compile_options {
    const char *node_name; /* NULL when unknown */
    const char *const *required_labels;
    size_t required_label_count;
    bool own_node_egress_is_policy; /* pod to its own node is ordinary egress */
    /* The object in force, or NULL; asked while the compiler runs. */
    const struct fence_object *(*find)(void *context, enum fence_kind kind,
                                       const char *namespace_name, const char *name);
    void *find_context;
};

/* All that `options` points to outlives the compiler. -ENOMEM. */
int fence_compiler_new(const struct fence_compile_options *options,
                       struct fence_compiler **ret_compiler, struct fence_err *err);
void fence_compiler_free(struct fence_compiler **compiler);

/*
 * An object came (`before` NULL), changed, or went (`after` NULL). `after` lives until its own
 * change has been fed, run and settled; `before` is what was `after` then.
 */
int fence_compiler_change(struct fence_compiler *compiler, const struct fence_change *change,
                          struct fence_err *err);
/* The endpoints of this node, all of them; copied. */
int fence_compiler_locals(struct fence_compiler *compiler, const struct fence_local *locals,
                          size_t count, struct fence_err *err);
/* Local addresses of this node, all of them, 127/8 and ::1 left out; copied. */
int fence_compiler_host(struct fence_compiler *compiler, const struct fence_addr *addrs,
                        size_t count, struct fence_err *err);

/* `now`: seconds since 1970, for expiresAt. Fails only with -ENOMEM; what cannot be compiled is a
 * set's `problem`. */
int fence_compiler_run(struct fence_compiler *compiler, int64_t now, struct fence_err *err);
/* 1: the plan has changed and wants to be applied once more; 0: all is said. */
int fence_compiler_settle(struct fence_compiler *compiler, struct fence_err *err);

/* Borrowed. */
struct fence_plan *fence_compiler_plan(const struct fence_compiler *compiler);

/* A whole world at once. */
int fence_compile(const struct fence_world *world, struct fence_plan **ret_plan,
                  struct fence_err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workloads: pods that one selector names. The label that names a workload is app, else
 * app.kubernetes.io/name, else k8s-app; pods without any of them are told apart by what labels they
 * have beside those of the system and of releases. A selector holds exactly its own workload among
 * all that are known: where it would hold another one too, it also says which labels its own pods
 * do not have.
 */
#pragma once

#include <stdbool.h>

#include "lib/base/labels.h"
#include "lib/policy/intern.h"
#include "lib/policy/world.h"

/* Owned strings. */
struct fence_learn_texts {
    char **items;
    size_t count;
    size_t capacity;
};
/* -ENOMEM. */
__attribute__((format(printf, 2, 3))) int fence_learn_texts_add(struct fence_learn_texts *texts,
                                                                const char *format, ...);
void fence_learn_texts_done(struct fence_learn_texts *texts);

struct fence_learn_workload {
    char *namespace_name;
    char *name;                          /* "shop/web", for people; all of it valid characters */
    const char *app;                     /* value of the label that names it, in `match`; or NULL */
    struct fence_labels match;           /* matchLabels */
    struct fence_learn_texts absent;     /* keys that its pods do not have, sorted */
    const struct fence_labels **members; /* the different label sets of its pods, borrowed */
    size_t member_count;
    size_t member_capacity;
    bool seen;                     /* in flows, not only among the objects */
    bool judged[FENCE_DIRECTIONS]; /* its own hook did: it has pods on this node */
};

struct fence_learn_workloads {
    struct fence_learn_workload *items;
    size_t count;
    size_t capacity;
    struct fence_intern keys;
};

#define FENCE_LEARN_NOBODY UINT32_MAX

/*
 * The workload of pods with these labels (NULL = none), added when it is new. -EINVAL when no
 * selector can name it, because its namespace or a label is not valid; -ENOMEM. `labels` has to
 * outlive the workloads.
 */
int fence_learn_workload_of(struct fence_learn_workloads *workloads, const char *namespace_name,
                            const struct fence_labels *labels, uint32_t *ret_number);

/* The same of one that is there; FENCE_LEARN_NOBODY. */
uint32_t fence_learn_workload_find(const struct fence_learn_workloads *workloads,
                                   const char *namespace_name, const struct fence_labels *labels);

/* All pods of the objects, so that no selector holds one that was not seen. -ENOMEM. */
int fence_learn_workloads_add_pods(struct fence_learn_workloads *workloads,
                                   const struct fence_world *world);

/* Settle the selectors, when all are there. -ENOMEM. */
int fence_learn_workloads_settle(struct fence_learn_workloads *workloads);
void fence_learn_workloads_done(struct fence_learn_workloads *workloads);

/* By namespace, then the naming label's value, then the selector. */
int fence_learn_workload_compare(const struct fence_learn_workload *a,
                                 const struct fence_learn_workload *b);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the compiler: what it keeps of the world beside the plan, so that a change costs what
 * depends on it. compiler.h has what it does with them.
 */
#pragma once

#include "lib/policy/canonical.h"
#include "lib/policy/intern.h"
#include "lib/policy/plan.h"
#include "lib/policy/world.h"

/* Indices, in some order. */
struct fence_indices {
    uint32_t *items;
    size_t count;
    size_t capacity;
};

int fence_indices_add(struct fence_indices *indices, uint32_t index);
/* Swaps the last one into its place. */
void fence_indices_remove(struct fence_indices *indices, uint32_t index);

/* ---- namespaces ----------------------------------------------------------------------------- */

struct fence_book_namespace {
    const char *name;                  /* shared; NULL = free slot */
    const struct fence_labels *labels; /* shared; of the object, or the name alone */
    struct fence_indices policies;     /* of this namespace */
    uint32_t users;                    /* shapes, subjects, policies and the object */
    bool stale;                        /* its labels have changed in this run */
};

/* ---- policies ------------------------------------------------------------------------------- */

struct fence_book_rule {
    const struct fence_rule *rule;
    uint32_t *atoms; /* one for each of its peers */
    uint32_t number; /* index into plan rules + 1; 0 = not there yet */
};

/* What only a policy that selects somebody here costs. */
struct fence_book_use {
    char *id;
    struct fence_text text; /* canonical */
    struct fence_book_rule *rules[FENCE_DIRECTIONS];
    size_t rule_count[FENCE_DIRECTIONS];
    uint32_t isolation_number[FENCE_DIRECTIONS]; /* as number above */
    bool counted;                                /* in the universe */
};

/* A change of an object is a new policy in a new slot: sets of the old one stay what they are. */
struct fence_book_policy {
    const struct fence_object *object; /* NULL = free slot */
    struct fence_book_use *use;
    uint32_t namespace_index; /* FENCE_PLAN_NONE: cluster-wide */
    uint32_t users;           /* subjects that it selects */
    uint32_t sets;            /* that have it in their list */
    bool gone;                /* its object is */
    bool over;                /* it was, when time was last looked at */
};

/* ---- endpoints of this node ----------------------------------------------------------------- */

struct fence_subject {
    struct fence_local local; /* strings are shared, `labels` and `addrs` own */
    struct fence_addr *addrs;
    const struct fence_labels *given;  /* shared: labels from the runtime, NULL = none */
    const struct fence_object *pod;    /* NULL: labels come from the runtime, or pending */
    const struct fence_labels *labels; /* shared; NULL while pending */
    uint32_t namespace_index;          /* FENCE_PLAN_NONE while pending */
    uint32_t shape;                    /* FENCE_PLAN_NONE while pending */
    const char *pending;               /* static text, NULL when resolved */
    bool incomplete;
    struct fence_addr *claims; /* own addresses and those of the Pod object */
    size_t claim_count;
    struct fence_indices policies; /* in the order of judgement */
    uint32_t endpoint;             /* index into plan endpoints */
    bool seen;                     /* in the list of endpoints that is being read */
    bool resolve;                  /* to be looked at again: its pod, ... */
    bool select;                   /* ... the policies that select it, ... */
    bool compile;                  /* ... its sets */
};

/* ---- what rules can tell apart -------------------------------------------------------------- */

/* Peers of rules; beside plan->atoms. */
struct fence_atom {
    struct fence_peer_spec spec; /* a copy */
    const char *namespace_name;  /* shared; of its policy, "" for cluster-wide kinds */
    enum fence_action action;
    bool cuts;      /* a block of a Denylist: it means addresses of services too */
    uint32_t users; /* rules in use; 0 = goes when the plan settles */
};

/* A name with a number of users. */
struct fence_counted {
    char *name;
    uint32_t users;
};

struct fence_counts {
    struct fence_intern by_name;
    struct fence_counted *items;
    size_t count;
    size_t capacity;
    bool changed; /* since shapes, or blocks, were last made by it */
    bool dead;    /* a name has no users any more */
};

/* Labels of a pod in its namespace, and its ports. */
struct fence_shape {
    uint32_t namespace_index;
    const struct fence_labels *labels; /* shared; NULL = free slot */
    const struct fence_ports *ports;   /* shared */
    const struct fence_ports *named;   /* shared: those that some egress rule in use asks for */
    const char *name;                  /* shared: when no label gives one */
    uint32_t identity;                 /* index; FENCE_PLAN_NONE: misses a required label */
    uint32_t uses;                     /* claims and subjects */
};

/* ---- services ------------------------------------------------------------------------------- */

/* A port of an address, and one backend of it. */
struct fence_reach {
    uint32_t position;
    uint32_t port;
    struct fence_addr addr; /* 0.0.0.0 or :: stands for none at all */
};

struct fence_reaches {
    struct fence_reach *items;
    uint32_t count;
    uint32_t capacity;
};

struct fence_book_service {
    const char *namespace_name; /* shared; NULL = free slot */
    const char *name;           /* shared */
    const struct fence_object *object;
    const struct fence_object **slices;
    size_t slice_count;
    size_t slice_capacity;
    struct fence_reaches reaches;      /* by its own ports; sorted, of both families, as the next */
    struct fence_reaches node_reaches; /* by its node ports */
    bool changed;
    bool floating; /* some backend is found by its address alone: blocks decide who it is */
};

/* Whose backends are those of host ports. */
#define FENCE_SERVICE_OF_NODES (UINT32_MAX - 1)

/* ---- addresses ------------------------------------------------------------------------------ */

/* Several claim one address. */
struct fence_contest {
    struct fence_addr addr;
    uintptr_t *owners;
    size_t count; /* 0 = free slot */
    size_t capacity;
};

/* ---- sets; beside plan->sets ---------------------------------------------------------------- */

struct fence_book_set {
    struct fence_indices policies;   /* in the order of judgement */
    size_t known;                    /* of compiler->new_classes: it has been asked about these */
    const struct fence_ports *ports; /* shared: of its endpoints, for names in ingress rules */
    bool audit;
    struct fence_intern signatures[FENCE_DIRECTIONS]; /* rules that mean a class -> table */
};

/* A class that has come. No set that knows the class `like` tells the two apart. */
struct fence_new_class {
    uint32_t class;
    uint32_t like; /* FENCE_PLAN_NONE = there is none */
};

/* Ports and where they lead, as they come. */
struct fence_targets {
    struct fence_plan_target *items;
    size_t count;
    size_t capacity;
};

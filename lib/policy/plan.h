/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The result of compiling: everything that should be in the pinned maps, still without numbers.
 * Things refer to each other by index into the plan's arrays; an index stays with its thing as
 * long as that lives, so that lib/datapath/apply has to look only at what was touched since it
 * last looked (fence_plan_told). Numbers are lib/datapath/apply's.
 *
 * `content` strings are canonical texts: equal text means equal meaning, for ever. That is what
 * lets a restarted daemon find its own numbers again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/policy/addresses.h"
#include "lib/policy/canonical.h"
#include "lib/policy/match.h"

#define FENCE_PLAN_NONE UINT32_MAX

/* Head of everything that has an index. */
struct fence_plan_item {
    uint32_t references; /* from other things of the plan */
    bool live;           /* false: the slot is free, nothing else in it counts */
    bool touched;        /* new, changed or gone since the plan was last told */
    bool idle;           /* its last reference went: freed when the plan settles */
};

/* Bookkeeping beside each array; the index arrays have room for every slot. */
struct fence_plan_list {
    size_t count; /* slots, free ones among them */
    size_t capacity;
    uint32_t *free;
    size_t free_count;
    uint32_t *touched;
    size_t touched_count;
    uint32_t *idle;
    size_t idle_count;
};

struct fence_plan_identity {
    struct fence_plan_item item;
    char *content;
    uint32_t reserved;                 /* enum fence_identity_number when it is one, else 0 */
    uint32_t kind;                     /* enum fence_identity_kind */
    const char *namespace_name;        /* shared */
    const char *app;                   /* shared; shown name: label, owner or pod name */
    const struct fence_labels *labels; /* shared */
};

/* A peer of some rule in use (namespace of its policy, selectors or block): what a class is made
 * of. */
struct fence_plan_atom {
    struct fence_plan_item item;
    char *content;
};

/*
 * A port of an address that leads somewhere else: to a backend, which is what egress rules judge.
 * All that have one position are its backends, in the order of their addresses.
 */
struct fence_plan_target {
    uint32_t position; /* of what is sent to the address */
    uint32_t index;    /* peer (in a route) or class (in a class) of the backend */
    uint32_t port;     /* of the backend */
};

/* Ports of an address that lead elsewhere; by position, no two alike. */
struct fence_plan_route {
    struct fence_plan_item item;
    struct fence_plan_target *targets; /* peers; these have no route themselves */
    size_t count;
};

/* Peers that no rule in use can tell apart. */
struct fence_plan_class {
    struct fence_plan_item item;
    bool host;                       /* this node */
    bool pending;                    /* whose identity is not known yet */
    const struct fence_ports *ports; /* shared: named ports that some egress rule asks for */
    uint32_t *atoms;                 /* that mean it, ascending */
    size_t atom_count;
    struct fence_plan_target *targets; /* classes; of a route, where they are no more than that */
    size_t target_count;
    uint32_t base; /* of one with targets: the class that is the same without them */
};

struct fence_plan_peer {
    struct fence_plan_item item;
    char *content;     /* behind its identity's: most specific block, named ports; see
                          fence_plan_peer_content */
    uint32_t reserved; /* enum fence_peer_number when it is a reserved one, else 0 */
    uint32_t identity; /* index */
    uint32_t under;    /* index: of one that is a service's, the identity of whoever has the address
                          where services do not count; FENCE_PLAN_NONE: nobody, or no matter */
    uint32_t class;    /* index */
    uint32_t flags;    /* enum fence_peer_flag */
    uint32_t route;    /* index, or FENCE_PLAN_NONE */
    /* What it looks like to a rule; labels, names and ports in it are shared. */
    struct fence_peer_view view;
};

struct fence_plan_prefix {
    struct fence_prefix prefix;
    uint32_t peer; /* index */
};

struct fence_plan_rule {
    struct fence_plan_item item;
    char *policy;       /* Kind/namespace/name or Kind/name */
    uint32_t index;     /* FENCE_RULE_NONE = the policy's isolation */
    uint32_t direction; /* enum fence_direction */
};

/* rule and shadow_rule of its intervals: index into rules + 1, 0 = none. No two are equal. */
struct fence_plan_table {
    struct fence_plan_item item;
    struct fence_interval *intervals;
    size_t count;
    size_t capacity;
};

struct fence_plan_set {
    struct fence_plan_item item;
    char *content; /* the rules that apply to its endpoints, named ports resolved */
    uint32_t fallback[FENCE_DIRECTIONS]; /* table of a class without an entry; depends on content
                                            only and allows nothing that "pending" is denied */
    uint32_t *tables[FENCE_DIRECTIONS];  /* by class, FENCE_PLAN_NONE = not asked yet */
    size_t table_count;                  /* classes that `tables` has room for */
    char *problem; /* why it cannot be used (its endpoints are closed), NULL when fine */
};

struct fence_plan_end {
    int64_t at;   /* wall clock, seconds since 1970 */
    uint32_t set; /* index of the one that takes over; FENCE_PLAN_NONE: set 0 */
};

/*
 * Moments at which policies run out, the first ones, each with the set that is left. So many are
 * followed exactly. What ends later than these is still in force after the last of them, until
 * somebody compiles again, and denies what it denies; but since an Allowlist that stays longer
 * would let pass what it should not, from the end of the first such one on all is denied.
 */
#define FENCE_PLAN_ENDS (FENCE_NEXT_SETS - 1)

struct fence_plan_endpoint {
    struct fence_plan_item item;
    uint64_t created_ns; /* of the endpoint that is meant; 0 = whatever has the index */
    uint32_t ifindex;
    uint32_t flags;    /* FENCE_EP_PENDING, INCOMPLETE, EXEMPT, NOT_APPLIED as it should be */
    uint32_t identity; /* index, or FENCE_PLAN_NONE while pending */
    uint32_t set;      /* index, or FENCE_PLAN_NONE: set 0 */
    uint32_t end_count;
    struct fence_plan_end
        ends[FENCE_PLAN_ENDS + 1]; /* ascending; unused ones are fence_plan_no_end */
    const char *pending;           /* static text why it is pending, NULL when resolved */
};

/* Something worth showing in `podfencectl status` that is nobody's error. */
struct fence_plan_note {
    char *subject; /* pod, address, policy */
    char *text;
};

#define FENCE_PLAN_LIST(type, name)                                                                \
    struct type *name;                                                                             \
    struct fence_plan_list name##_list

struct fence_plan {
    FENCE_PLAN_LIST(fence_plan_identity, identities);
    FENCE_PLAN_LIST(fence_plan_atom, atoms);
    FENCE_PLAN_LIST(fence_plan_class, classes);
    FENCE_PLAN_LIST(fence_plan_peer, peers);
    FENCE_PLAN_LIST(fence_plan_route, routes);
    FENCE_PLAN_LIST(fence_plan_rule, rules);
    FENCE_PLAN_LIST(fence_plan_table, tables);
    FENCE_PLAN_LIST(fence_plan_set, sets);
    FENCE_PLAN_LIST(fence_plan_endpoint, endpoints);

    struct fence_addresses addresses;   /* address -> peer; those that moved are marked */
    struct fence_plan_prefix *prefixes; /* always with 0.0.0.0/0 and ::/0 */
    size_t prefixes_count;
    size_t prefixes_capacity;
    bool prefixes_touched;

    struct fence_plan_note *notes;
    size_t notes_count;
    size_t notes_capacity;
    size_t deferring; /* tables that enforce a FENCE_DEFER, also those that a set only remembers */
    int64_t next_expiry; /* when the daemon has to compile again, 0 = never */
    const void *teller;  /* whoever has applied it and been told since; NULL = nobody */
};

void fence_plan_free(struct fence_plan **plan);

/* All that was touched has been seen; an address that `told` says otherwise of stays marked. */
void fence_plan_told(struct fence_plan *plan);
/* As if nothing of it had ever been seen. -ENOMEM. */
int fence_plan_touch_all(struct fence_plan *plan);
/* Somebody else may have changed the endpoints: they are to be looked at again. */
void fence_plan_touch_endpoints(struct fence_plan *plan);
/* Is there anything to tell? */
bool fence_plan_is_touched(const struct fence_plan *plan);

static inline struct fence_plan_end fence_plan_no_end(void)
{
    return (struct fence_plan_end){.set = FENCE_PLAN_NONE};
}

/* How many things there are. */
static inline size_t fence_plan_live(const struct fence_plan_list *list)
{
    return list->count - list->free_count;
}

/* Everything that rules see of the class, canonical. -ENOMEM. */
int fence_plan_class_content(const struct fence_plan *plan, uint32_t class,
                             struct fence_text *ret_text);

/* What the peer is, canonical, its route and where that leads included. -ENOMEM. */
int fence_plan_peer_content(const struct fence_plan *plan, uint32_t peer,
                            struct fence_text *ret_text);

/* What the table says of a position. */
const struct fence_interval *fence_plan_interval(const struct fence_plan_table *table,
                                                 uint32_t position);

/* Table of a class in a set. */
static inline uint32_t fence_plan_table_of(const struct fence_plan_set *set,
                                           enum fence_direction direction, uint32_t class)
{
    if (class < set->table_count && set->tables[direction][class] != FENCE_PLAN_NONE)
        return set->tables[direction][class];
    return set->fallback[direction];
}

/* ---- for those who make plans --------------------------------------------------------------- */

/* A zeroed new item, touched and without references; its index. -ENOMEM. */
int fence_plan_add(struct fence_plan_list *list, void **items, size_t size, uint32_t *ret_index);
#define FENCE_PLAN_ADD(plan, name, ret_index)                                                      \
    fence_plan_add(&(plan)->name##_list, (void **)&(plan)->name, sizeof(*(plan)->name), ret_index)

void fence_plan_touch_item(struct fence_plan_list *list, struct fence_plan_item *item,
                           uint32_t index);
#define FENCE_PLAN_TOUCH(plan, name, index)                                                        \
    fence_plan_touch_item(&(plan)->name##_list, &(plan)->name[index].item, (index))

void fence_plan_unref_item(struct fence_plan_list *list, struct fence_plan_item *item,
                           uint32_t index);
#define FENCE_PLAN_REF(plan, name, index) ((void)(plan)->name[index].item.references++)
#define FENCE_PLAN_UNREF(plan, name, index)                                                        \
    fence_plan_unref_item(&(plan)->name##_list, &(plan)->name[index].item, (index))

/* Give the slot back; what the item owns is freed, what it refers to is the caller's. */
void fence_plan_drop_item(struct fence_plan_list *list, struct fence_plan_item *item,
                          uint32_t index);
#define FENCE_PLAN_DROP(plan, name, index)                                                         \
    fence_plan_drop_item(&(plan)->name##_list, &(plan)->name[index].item, (index))

void fence_plan_identity_done(struct fence_plan_identity *identity);
void fence_plan_class_done(struct fence_plan_class *class);
void fence_plan_peer_done(struct fence_plan_peer *peer);
void fence_plan_route_done(struct fence_plan_route *route);
void fence_plan_set_done(struct fence_plan_set *set);
void fence_plan_forget_notes(struct fence_plan *plan);
/* A set has to know of this many classes. -ENOMEM. */
int fence_plan_set_reserve(struct fence_plan_set *set, size_t classes);

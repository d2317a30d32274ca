/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a number or an address is called: immutable texts in one piece of memory, shared by counted
 * references of one thread. And the names of addresses, as a table.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "lib/policy/intern.h"

/* Texts are never NULL; "" where this kind of thing has none. */
struct fence_name {
    unsigned int references;
    uint32_t rule;        /* index of a rule, or FENCE_RULE_NONE */
    const char *reserved; /* "world", ... */
    const char *node;
    const char *namespace_name;
    const char *app;
    const char *pod;
    const char *service;
    const char *labels;
    const char *spiffe;
    const char *interface; /* host side */
    const char *policy;
    char data[]; /* the texts */
};

/* A copy of these texts (NULL = "") with one reference; NULL when out of memory. */
struct fence_name *fence_name_new(const struct fence_name *texts);
/* Both accept NULL. */
struct fence_name *fence_name_ref(struct fence_name *name);
void fence_name_unref(struct fence_name *name);
bool fence_name_equal(const struct fence_name *a, const struct fence_name *b);

struct fence_name_item {
    struct fence_name *name;
};

/* Address to name. Zeroed = empty. */
struct fence_name_index {
    struct fence_intern addresses; /* to an index into items */
    struct fence_name_item *items;
    size_t count;
    size_t capacity;
};

/* The first to claim an address keeps it. Without memory it has no name. */
void fence_name_index_add(struct fence_name_index *index, const struct fence_addr *addr,
                          const struct fence_name *texts);
/* Borrowed; NULL when nobody has it. */
struct fence_name *fence_name_index_find(const struct fence_name_index *index,
                                         const struct fence_addr *addr);
void fence_name_index_done(struct fence_name_index *index);

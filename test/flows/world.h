/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel's map and its names, made up. */
#pragma once

#include "lib/flows/book.h"
#include "test/cmocka.h"

#define HZ        100ull
#define WALL      1800000000ull /* seconds since 1970 at jiffies 0 */
#define SECOND    1000000000ull
#define WORLD_MAX 1024

struct world_name {
    uint32_t number;
    struct fence_flow_end end;
};

struct world {
    struct fence_flow_book *book;
    struct world_name names[WORLD_MAX];
    size_t name_count;
    struct world_rule {
        uint32_t number;
        struct fence_flow_rule rule;
    } rules[8];
    size_t rule_count;
    struct world_entry {
        struct fence_flow_key key;
        struct fence_flow flow;
    } entries[WORLD_MAX];
    size_t entry_count;
    uint64_t jiffies;
};

/* cmocka's setup and teardown. */
int world_setup(void **state);
int world_teardown(void **state);

/* Identities 300, 301 and 302 are shop/web, shop/api and shop/db, 400 the node n2. */
void world_name(struct world *world, uint32_t number, const struct fence_flow_end *end);
void world_unname(struct world *world, uint32_t number);
struct fence_flow_end world_workload(const char *name, const char *labels);

/* From web to api, TCP 80, ingress, allowed; the other members are the caller's to change. */
struct fence_flow_key world_key(uint32_t source, uint32_t destination, uint16_t port);
/* The kernel counts one more now. */
struct world_entry *world_count(struct world *world, const struct fence_flow_key *key);
/* The kernel lets go of it. */
void world_evict(struct world *world, const struct fence_flow_key *key);

struct fence_flow_names world_names(struct world *world);
/* Time passes, and the book looks. */
void world_look(struct world *world, unsigned int seconds);

/* The one flow to that port; fails the test when there is none, or several. */
struct fence_flow_seen world_flow(const struct world *world, const char *source, uint16_t port);
size_t world_flows(const struct world *world);

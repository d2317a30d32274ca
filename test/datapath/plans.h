/* SPDX-License-Identifier: Apache-2.0 */
/* Plans made by hand, and the one that most tests begin with. */
#pragma once

#include "lib/datapath/apply.h"
#include "test/datapath/node.h"

/* Everything returns the index in the plan's array. */
uint32_t plan_identity(struct fence_plan *plan, const char *content, uint32_t reserved);
uint32_t plan_peer(struct fence_plan *plan, const char *content, uint32_t identity,
                   uint32_t reserved);
uint32_t plan_rule(struct fence_plan *plan, const char *policy, uint32_t index, uint32_t direction);
uint32_t plan_table(struct fence_plan *plan, const struct fence_interval *intervals, size_t count);
uint32_t plan_set(struct fence_plan *plan, const char *content, uint32_t egress, uint32_t ingress);
void plan_address(struct fence_plan *plan, const char *text, uint32_t peer);
void plan_forget_address(struct fence_plan *plan, const char *text);
/* The peer, and its class, become others. */
void plan_rename_peer(struct fence_plan *plan, uint32_t peer, const char *content);
void plan_prefix(struct fence_plan *plan, const char *text, uint32_t peer);
/* A set's table for the class of a peer. */
struct plan_entry {
    uint32_t peer;
    enum fence_direction direction;
    uint32_t table;
};
void plan_entry(struct fence_plan *plan, uint32_t set, const struct plan_entry *entry);
void plan_forget_entries(struct fence_plan *plan, uint32_t set);
void plan_endpoint(struct fence_plan *plan, unsigned int link, uint32_t identity, uint32_t set);

enum shop_identity { SHOP_WORLD_ID, SHOP_PENDING_ID, SHOP_WEB_ID, SHOP_DB_ID, SHOP_NEXT_ID };
enum shop_peer { SHOP_PENDING, SHOP_WORLD4, SHOP_WORLD6, SHOP_WEB, SHOP_DB, SHOP_NEXT_PEER };
enum shop_table { SHOP_DENY, SHOP_ALLOW, SHOP_SQL, SHOP_NEXT_TABLE };
enum shop_set { SHOP_OPEN, SHOP_DB_SET, SHOP_NEXT_SET };

/*
 * web 10.0.0.1 on link 0 without policy, db 10.0.0.2 on link 1, which lets only web in and only to
 * TCP 5432. 10.0.0.0/24 is pending, the rest the world. Calls fence_plan_free through `plan`.
 */
struct fence_plan *plan_shop(void);
/* The same with an empty address list, to fill in. */
struct fence_plan *plan_shop_without_addresses(void);

/* The two pods of the shop as the plugin writes them. */
void shop_pods(const struct fence_pins *pins);

struct fence_apply *apply_begin(const struct fence_pins *pins);
/* Applies and frees the plan; the caller ends the report. */
struct fence_apply_report apply_plan(struct fence_apply *apply, struct fence_plan *plan);
/* The same for a plan that must go without failures. Returns the number of writes. */
size_t apply_well(struct fence_apply *apply, struct fence_plan *plan);
void apply_sweep(struct fence_apply *apply);

__u32 peer_of(const struct fence_pins *pins, const char *addr);

/* What the kernel says to a first TCP packet between the shop's pods or others: a verdict, or the
 * reason as a negative number when it is denied. */
int ask(const struct fence_pins *pins, unsigned int link, enum fence_direction direction,
        const char *remote, unsigned int port);

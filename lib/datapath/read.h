/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the pinned maps for people: podfencectl and the daemon's status. Writes nothing. */
#pragma once

#include <stddef.h>

#include "lib/datapath/pins.h"

/* Visit every entry of a hash or LPM map; stops when `visit` returns non-zero and returns that.
 * Entries that change meanwhile may be missed or seen twice. */
typedef int (*fence_map_visit)(void *context, const void *key, const void *value);
int fence_map_each(const struct fence_pins *pins, enum fence_map map, fence_map_visit visit,
                   void *context, struct fence_err *err);

/* Per-CPU maps: values of all CPUs added up as 64-bit words. */
int fence_counter_read(const struct fence_pins *pins, unsigned int reason, unsigned int direction,
                       struct fence_counter *ret_counter);
int fence_flows_each(const struct fence_pins *pins,
                     int (*visit)(void *context, const struct fence_flow_key *key,
                                  const struct fence_flow *flow),
                     void *context, struct fence_err *err);

int fence_settings_read(const struct fence_pins *pins, struct fence_settings *ret_settings);
/* Who loaded the data path; `version` is printable. */
int fence_about_read(const struct fence_pins *pins, struct fence_about *ret_about);
/* A sentence when that was another version than this program's, else empty. */
void fence_about_compare(const struct fence_pins *pins, char text[256]);
int fence_identity_read(const struct fence_pins *pins, __u32 number,
                        struct fence_identity_info *ret_info);
int fence_rule_read(const struct fence_pins *pins, __u32 number, struct fence_rule_info *ret_info);
int fence_interval_read(const struct fence_pins *pins, __u32 index,
                        struct fence_interval *ret_interval);
int fence_peer_read(const struct fence_pins *pins, __u32 number, struct fence_peer *ret_peer);
/* What an address resolves to, as the data path does it. */
int fence_address_resolve(const struct fence_pins *pins, const struct fence_addr *addr,
                          __u32 *ret_peer);
/* "shop/web", "host", "node/n1", "world". */
void fence_identity_show(const struct fence_pins *pins, __u32 identity, char *text, size_t size);
/* Jiffies now, by probe_clock. */
int fence_jiffies(const struct fence_pins *pins, __u64 *ret_jiffies);
/* Number of entries now (counts by walking) and at most. */
int fence_map_usage(const struct fence_pins *pins, enum fence_map map, size_t *ret_used,
                    size_t *ret_max);

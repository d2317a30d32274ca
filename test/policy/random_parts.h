/* SPDX-License-Identifier: Apache-2.0 */
/* The parts that random worlds are made of. All return new items that the caller attaches. */
#pragma once

#include "test/policy/random_world.h"

extern const char *const random_namespaces[4];
extern const unsigned int random_ports[9];
extern const char *const random_port_names[3];

/* random_parts.c */
/* One of a list of the world, NULL when it is empty. */
cJSON *random_item(struct rng *rng, const cJSON *world, const char *key);
cJSON *random_labels(struct rng *rng);
/* May hold matchLabels, matchExpressions, both or nothing. */
cJSON *random_selector(struct rng *rng, bool of_namespaces);
/* An address of the world or near it, or one outside. */
const char *random_addr(struct rng *rng, const cJSON *world);
/* A prefix around such an address, sometimes with host bits. */
cJSON *random_prefix(struct rng *rng, const cJSON *world);
cJSON *random_block(struct rng *rng, const cJSON *world); /* cidr and except */

/* random_policy.c: a policy of any kind. `number` makes its name. */
cJSON *random_policy(struct rng *rng, const cJSON *world, unsigned int number);
cJSON *random_object(const char *api_version, const char *kind, const char *namespace_name,
                     unsigned int number);
void random_annotation(struct rng *rng, cJSON *policy);

/* random_services.c */
void random_add_services(struct rng *rng, cJSON *world);
const char *random_change_service(struct rng *rng, cJSON *world);
/* `name` NULL: one of a few. */
cJSON *random_service(struct rng *rng, const cJSON *world, const char *name);
cJSON *random_slice(struct rng *rng, const cJSON *world, unsigned int number);
void random_host_port(struct rng *rng, cJSON *port); /* mostly none */

/* random_cluster.c */
cJSON *random_cluster_policy(struct rng *rng, const cJSON *world, unsigned int number);

/* random_world.c */
cJSON *random_pod(struct rng *rng, const cJSON *world, unsigned int number);
cJSON *random_node(struct rng *rng, unsigned int number);
cJSON *random_namespace(struct rng *rng, const char *name); /* its labels */
void random_container_ports(struct rng *rng, cJSON *pod);

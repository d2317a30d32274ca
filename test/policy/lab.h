/* SPDX-License-Identifier: Apache-2.0 */
/* Small worlds for tests: objects from text, endpoints, and the plan asked as the kernel asks. */
#pragma once

#include "lib/objects/decode.h"
#include "lib/policy/compile.h"
#include "lib/policy/evaluate.h"

struct lab {
    struct fence_decoded_list list;
    const struct fence_object **objects;
    struct fence_local *locals;
    size_t local_count;
    size_t local_capacity;
    struct fence_labels labels; /* of a local without a Pod object */
    struct fence_world world;
};

/* Objects of a stream, sorted; a refused one is an error. Zeroed `lab` in. */
int lab_load(struct lab *lab, const char *text, struct fence_err *err);
/* Objects that `before` has too become the same ones, as a store keeps them: `lab` owns them then.
 * To be called before anything points to the objects of `lab`; `before` is to be done first. */
void lab_keep(struct lab *lab, struct lab *before);
void lab_done(struct lab *lab);

/* An endpoint with the addresses of the Pod object of that name, if there is one. */
int lab_add_local(struct lab *lab, unsigned int ifindex, const char *namespace_name,
                  const char *pod);
const struct fence_object *lab_pod(const struct lab *lab, const char *namespace_name,
                                   const char *name);

/* ---- the plan, as the kernel uses it -------------------------------------------------------- */

struct plan_query {
    uint32_t ifindex;
    enum fence_direction direction;
    struct fence_addr remote;
    unsigned int protocol;
    unsigned int port;
};

const struct fence_plan_endpoint *plan_endpoint(const struct fence_plan *plan, uint32_t ifindex);
/* Index of the peer that the address leads to: exact, else longest prefix. */
uint32_t plan_peer_of(const struct fence_plan *plan, const struct fence_addr *addr);
/* Index of a reserved peer. */
uint32_t plan_peer_reserved(const struct fence_plan *plan, enum fence_peer_number number);
/* The interval of that peer; NULL when the endpoint has no set. */
const struct fence_interval *plan_interval(const struct fence_plan *plan,
                                           const struct plan_query *query, uint32_t peer);
/* Tables well formed, indices in range, what must always be there is there; NULL or what is wrong.
 */
const char *plan_check(const struct fence_plan *plan);

/* SPDX-License-Identifier: Apache-2.0 */
/* What numbers and interfaces in the pins are called. */
#pragma once

#include <cjson/cJSON.h>

#include "lib/datapath/endpoints.h"

#define CTL_SHOW_MAX 384 /* "namespace/pod" */

/* "ns/pod", or the interface where the runtime gave no pod. */
const char *ctl_endpoint_name(const struct fence_endpoint_record *record, char text[CTL_SHOW_MAX]);

/* NULL when there is none. */
const struct fence_endpoint_record *ctl_endpoint_by_index(const struct fence_endpoint_list *list,
                                                          __u32 ifindex);
const struct fence_endpoint_record *ctl_endpoint_by_addr(const struct fence_endpoint_list *list,
                                                         const struct fence_addr *addr);
/* `name` is "ns/pod"; the first one when the pod has several interfaces. */
const struct fence_endpoint_record *ctl_endpoint_by_name(const struct fence_endpoint_list *list,
                                                         const char *name);

/* "enforced", "pending", "exempt" or "closed", and why in *ret_reason (a name of the enum). */
const char *ctl_endpoint_state(const struct fence_endpoint *endpoint, const char **ret_reason);

/* spiffe://<trust domain>/ns/<ns>/app/<app>. False when the identity is no workload's. */
bool ctl_spiffe(const struct fence_settings *settings, const struct fence_identity_info *info,
                char *text, size_t size);

/* "policy" and "rule" of a rule number: texts or null. */
void ctl_add_rule(cJSON *object, const struct fence_pins *pins, __u32 number);

/* A list of addresses as texts. */
void ctl_add_addrs(cJSON *object, const char *name, const struct fence_addr *addrs, size_t count);

/* Does an end of a connection or event fit what the user asked for? `wanted` is NS/POD, NS/ (all of
 * a namespace), NS/APP or another identity's name, or an address; NULL fits everything. */
struct ctl_end {
    const char *namespace_name; /* "" = unknown, as the others */
    const char *pod;
    const char *identity; /* "shop/web", "host" */
    const char *addr;
};
bool ctl_end_fits(const struct ctl_end *end, const char *wanted);

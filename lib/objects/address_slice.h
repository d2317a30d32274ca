/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the decoder of AddressSlices: address_slice.c has the slice, address_slice_item.c one
 * of its pods and nodes. */
#pragma once

#include "lib/objects/decoders.h"

/* What the pods of a group have in common: all of it shared. */
struct fence_slice_group {
    const char *namespace_name;
    const struct fence_labels *labels;
    const char *owner;
    const struct fence_ports *ports;
    bool refused;
    struct fence_err reason; /* and then why, for each of its pods */
};

/* Put one into the list, be it refused. -ENOMEM. */
int fence_slice_take_pod(const struct fence_field *field, const struct fence_slice_group *group,
                         struct fence_decoded_list *list);
int fence_slice_take_node(const struct fence_field *field, struct fence_decoded_list *list);

/* The text of a member, "" when it is none. */
const char *fence_slice_text(const struct fence_doc *doc, const char *key);
/* A list that may be absent. */
int fence_slice_check_list(const struct fence_field *list, size_t most, struct fence_err *err);
int fence_slice_decode_ports(const struct fence_field *field, struct fence_port_list *list,
                             struct fence_err *err);

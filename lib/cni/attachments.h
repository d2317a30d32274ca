/* SPDX-License-Identifier: Apache-2.0 */
/* GC: the attachments that the runtime still knows. */
#pragma once

#include "lib/cni/netconf.h"

/*
 * The list of "cni.dev/valid-attachments" or, as the specification's tag names it,
 * "cni.dev/attachments". *ret_list is NULL when neither is there: an absent list is not an empty
 * one. null is one: libcni, written in Go, says so when no attachment is valid. Code 7 when an
 * entry is malformed, since leaving it out would remove a live endpoint.
 */
int fence_attachments_read(const struct fence_netconf *conf, const cJSON **ret_list,
                           struct fence_cni_error *error);

bool fence_attachments_hold(const cJSON *list, const char *container_id, const char *ifname);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which endpoints may be on the same-node path (bpf/handover.bpf.h): none but those whose host veth
 * is podfence's alone, looked at again every two seconds. With --same-node auto also only ports of
 * a bridge whose packets netfilter does not see: there the path skips nothing that could be a
 * policy.
 */
#pragma once

#include <stdbool.h>

struct fence_daemon;
struct fence_endpoint_record;

/* Is the path open at all? For the settings. */
bool fence_samenode_is_wanted(const struct fence_daemon *daemon);
/* Put the endpoint on the path, or take it off. */
void fence_samenode_check(struct fence_daemon *daemon, const struct fence_endpoint_record *record);

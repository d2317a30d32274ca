/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods that have been running without enforcement, however they were found (unenforced.h, adopt.h):
 * they are put under it without a restart. Until their first resolution they stay open, and what
 * they have open by then goes on as far as policy allows it.
 */
#pragma once

#include "lib/datapath/endpoints.h"

struct fence_daemon;

/*
 * Enrol `record`, pending as its flags say. -EBUSY: the interface or the pod is an endpoint
 * already. One of which half an endpoint is left was enforced before, and is not opened again.
 */
int fence_late_enrol(struct fence_daemon *daemon, struct fence_endpoint_record *record,
                     struct fence_err *err);

/*
 * After an apply; `before` is the endpoints map from before it. What an enrolled pod had open was
 * seen in the middle, so that its entries may name the wrong opener. Conntrack has set right what
 * it knows (seeding.h); once the pod is resolved the others go, and the next packets are judged by
 * the rules of either direction.
 */
void fence_late_settle(struct fence_daemon *daemon, const struct fence_endpoint_list *before);

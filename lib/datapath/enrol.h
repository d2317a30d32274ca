/* SPDX-License-Identifier: Apache-2.0 */
/* Putting a pod under enforcement: endpoint first, then the filters, all of it or nothing. */
#pragma once

#include "lib/datapath/attach.h"
#include "lib/datapath/endpoints.h"

/*
 * Write `record` (as pending; the caller says so in its flags) and attach. What the same container
 * and interface had there before is kept; what another one left behind under the same index, or
 * this one under another index, is removed. A failure undoes what this call has made, and the text
 * says so when that fails too; otherwise `record` is what is in the map at the end. Takes the lock.
 */
int fence_endpoint_enrol(const struct fence_pins *pins, enum fence_attach_mode mode,
                         struct fence_endpoint_record *record, struct fence_err *err);

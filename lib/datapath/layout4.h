/* SPDX-License-Identifier: Apache-2.0 */
/* What layout 4 had otherwise, for taking over from it. */
#pragma once

#include "lib/datapath/endpoints.h"

#define FENCE_LAYOUT4_ENDPOINT_SIZE 176

/* As fence_endpoints_list; without their sets, which are that layout's own. */
int fence_layout4_endpoints(const struct fence_pins *old, struct fence_endpoint_list *ret_list,
                            struct fence_err *err);

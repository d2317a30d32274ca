/* SPDX-License-Identifier: Apache-2.0 */
/* The number of the pinned layout as a text. */
#pragma once

#include "bpf/abi.h"

#define LAYOUT_TEXT_OF(number)  #number
#define LAYOUT_EXPANDED(number) LAYOUT_TEXT_OF(number)
#define LAYOUT_TEXT             LAYOUT_EXPANDED(FENCE_ABI_VERSION)

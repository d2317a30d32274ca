/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <linux/types.h>

/* CLOCK_BOOTTIME in ns: what the kernel side compares with. */
__u64 fence_clock_boot_ns(void);
/* CLOCK_REALTIME in ns. */
__u64 fence_clock_wall_ns(void);

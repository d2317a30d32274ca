/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <linux/types.h>

/* CLOCK_BOOTTIME in ns: what the kernel side compares with. */
__u64 fence_clock_boot_ns(void);
/* CLOCK_REALTIME in ns. */
__u64 fence_clock_wall_ns(void);

#define FENCE_CLOCK_TEXT 32
/* Such a moment as Kubernetes' MicroTime: "2026-01-02T03:04:05.000006Z". */
void fence_clock_format(__u64 wall_ns, char ret_text[FENCE_CLOCK_TEXT]);

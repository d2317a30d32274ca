/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/clock.h"

#include <time.h>

static __u64 now_ns(clockid_t clock)
{
    struct timespec now = {0};

    clock_gettime(clock, &now);
    return (__u64)now.tv_sec * 1000000000ull + (__u64)now.tv_nsec;
}

__u64 fence_clock_boot_ns(void)
{
    return now_ns(CLOCK_BOOTTIME);
}

__u64 fence_clock_wall_ns(void)
{
    return now_ns(CLOCK_REALTIME);
}

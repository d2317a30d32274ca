/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/clock.h"

#include <stdio.h>
#include <time.h>

#define NS_PER_S 1000000000ull

static __u64 now_ns(clockid_t clock)
{
    struct timespec now = {0};

    clock_gettime(clock, &now);
    return (__u64)now.tv_sec * NS_PER_S + (__u64)now.tv_nsec;
}

__u64 fence_clock_boot_ns(void)
{
    return now_ns(CLOCK_BOOTTIME);
}

__u64 fence_clock_wall_ns(void)
{
    return now_ns(CLOCK_REALTIME);
}

void fence_clock_format(__u64 wall_ns, char ret_text[FENCE_CLOCK_TEXT])
{
    time_t seconds = (time_t)(wall_ns / NS_PER_S);
    struct tm parts;
    size_t length;

    gmtime_r(&seconds, &parts);
    length = strftime(ret_text, FENCE_CLOCK_TEXT, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(ret_text + length, FENCE_CLOCK_TEXT - length, ".%06uZ",
             (unsigned int)(wall_ns % NS_PER_S / 1000));
}

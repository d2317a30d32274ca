/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* An address in the pinned layout (abi.h). */
#pragma once

#include <linux/types.h>

#define FENCE_ASSERT_SIZE(type, size) _Static_assert(sizeof(struct type) == (size), #type)

/* An address of either family: IPv6, or IPv4 mapped (::ffff:a.b.c.d). All zero is "none". */
struct fence_addr {
    union {
        __u8 bytes[16];
        __u32 words[4]; /* network byte order */
    };
};
FENCE_ASSERT_SIZE(fence_addr, 16);

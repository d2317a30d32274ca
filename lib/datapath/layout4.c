/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/datapath/layout4.h"

#include <string.h>

/* It followed one end only. */
struct endpoint4 {
    __u32 identity;
    __u32 set;
    __u32 next_set;
    __u32 slot;
    __u64 takeover_ns;
    __u64 recovery_until_ns;
    __u32 flags;
    __u16 addr_count;
    __u8 mac[6];
    __u32 bridge;
    struct fence_addr addrs[FENCE_ENDPOINT_ADDRS];
};
_Static_assert(sizeof(struct endpoint4) == FENCE_LAYOUT4_ENDPOINT_SIZE, "as layout 4 has it");

static void read4(const void *value, struct fence_endpoint *ret_endpoint)
{
    struct endpoint4 old;

    memcpy(&old, value, sizeof(old));
    *ret_endpoint = (struct fence_endpoint){
        .identity = old.identity,
        .slot = old.slot,
        .flags = old.flags,
        .recovery_until_ns = old.recovery_until_ns,
        .addr_count = old.addr_count,
        .bridge = old.bridge,
    };
    memcpy(ret_endpoint->mac, old.mac, sizeof(old.mac));
    memcpy(ret_endpoint->addrs, old.addrs, sizeof(old.addrs));
}

int fence_layout4_endpoints(const struct fence_pins *old, struct fence_endpoint_list *ret_list,
                            struct fence_err *err)
{
    return fence_endpoints_list_by(old, read4, ret_list, err);
}

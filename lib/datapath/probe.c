/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/datapath/probe.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <string.h>

#include "lib/base/addr.h"
#include "lib/datapath/endpoints.h"

int fence_prog_run(int prog_fd, struct fence_prog_context *context, const void *frame, size_t size,
                   struct fence_err *err)
{
    struct __sk_buff in = {.ifindex = context->ifindex,
                           .ingress_ifindex = context->ingress_ifindex};
    struct __sk_buff out = {0};
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (__u32)size,
                .ctx_in = &in, .ctx_size_in = sizeof(in), .ctx_out = &out,
                .ctx_size_out = sizeof(out), .repeat = 1);
    int r;

    memcpy(in.cb, context->cb, sizeof(in.cb));
    r = bpf_prog_test_run_opts(prog_fd, &opts);
    if (r == -ENODEV)
        return fence_err_set(err, r, "no interface %u in this network namespace", context->ifindex);
    if (r < 0)
        return fence_err_set(err, r, "test run on interface %u: %s", context->ifindex,
                             strerror(-r));
    memcpy(context->cb, out.cb, sizeof(out.cb));
    context->action = (int)opts.retval;
    return 0;
}

/* The endpoint's own address of the other end's family. */
static int own_address(const struct fence_endpoint *endpoint, const struct fence_addr *other,
                       struct fence_addr *address)
{
    if (!fence_addr_is_none(address))
        return 0;
    for (unsigned int i = 0; i < endpoint->addr_count && i < FENCE_ENDPOINT_ADDRS; i++) {
        if (fence_addr_is_ipv4(&endpoint->addrs[i]) == fence_addr_is_ipv4(other)) {
            *address = endpoint->addrs[i];
            return 0;
        }
    }
    return -EAFNOSUPPORT;
}

static int complete(const struct fence_endpoint *endpoint, enum fence_direction direction,
                    struct fence_packet *packet)
{
    if (direction == FENCE_EGRESS) {
        memcpy(packet->source_mac, endpoint->mac, ETH_ALEN);
        return own_address(endpoint, &packet->destination, &packet->source);
    }
    memcpy(packet->destination_mac, endpoint->mac, ETH_ALEN);
    return own_address(endpoint, &packet->source, &packet->destination);
}

/* NOLINTNEXTLINE(readability-function-size) */
int fence_probe(const struct fence_pins *pins, __u32 ifindex, enum fence_direction direction,
                enum fence_origin origin, const struct fence_packet *packet,
                struct fence_probe_result *ret_result, struct fence_err *err)
{
    enum fence_prog prog =
        direction == FENCE_EGRESS ? FENCE_PROG_PROBE_FROM_POD : FENCE_PROG_PROBE_TO_POD;
    unsigned char frame[FENCE_PACKET_MAX];
    struct fence_packet whole = *packet;
    struct fence_prog_context context = {.ifindex = ifindex, .cb = {(__u32)origin}};
    const __u32 *cb = context.cb;
    struct fence_endpoint endpoint;
    int r = bpf_map_lookup_elem(pins->maps[FENCE_MAP_ENDPOINTS], &ifindex, &endpoint);

    if (r < 0)
        return fence_err_set(err, r, "interface %u is no endpoint", ifindex);
    r = complete(&endpoint, direction, &whole);
    if (r < 0)
        return fence_err_set(err, r, "the endpoint of interface %u has no address of that family",
                             ifindex);
    r = fence_prog_run(pins->progs[prog], &context, frame, fence_packet_build(&whole, frame), err);
    if (r < 0)
        return r;
    *ret_result = (struct fence_probe_result){
        .verdict = (__u8)cb[FENCE_PROBE_VERDICT],
        .reason = (__u8)(cb[FENCE_PROBE_VERDICT] >> 8),
        .shadow = (__u8)(cb[FENCE_PROBE_VERDICT] >> 16),
        .shadow_reason = (__u8)(cb[FENCE_PROBE_VERDICT] >> 24),
        .rule = cb[FENCE_PROBE_RULE],
        .shadow_rule = cb[FENCE_PROBE_SHADOW_RULE],
        .peer = cb[FENCE_PROBE_PEER],
        .set = cb[FENCE_PROBE_SET],
    };
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* prevResult: what the plugins before us made, and our own result, which is the same text. */
#pragma once

#include "bpf/abi.h"
#include "lib/cni/netconf.h"

/* Pointers are into the netconf. */
struct fence_cni_result {
    struct fence_addr addrs[FENCE_ENDPOINT_ADDRS]; /* of this interface in this sandbox */
    size_t addr_count;
    const char *sandbox;     /* of the entry for this interface, NULL when it is not listed */
    const cJSON *interfaces; /* NULL when there are none */
};

/*
 * Code 7 when there is no prevResult or when it makes no sense; the text says what a chain needs.
 * An address belongs to the interface when its "interface" says so, or says nothing.
 */
int fence_cni_result_read(const struct fence_netconf *conf, const char *ifname,
                          struct fence_cni_result *ret_result, struct fence_cni_error *error);

/* Whether a device outside of any sandbox is listed under this name. */
bool fence_cni_result_lists(const struct fence_cni_result *result, const char *host_ifname);

/*
 * The text to print: prevResult's own, with cniVersion set to the configuration's where it is
 * another or missing. NULL when out of memory.
 */
char *fence_cni_result_text(const struct fence_netconf *conf);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file of libcni's result cache (libcni/api.go, cniCacheV1 and the bare result of before 0.8):
 * what a runtime attached, in its own words. It is a hint: whoever uses it asks the kernel.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/cni/args.h"

/* Port mappings and a long chain are some ten kilobytes. */
#define FENCE_CNI_CACHE_MAX (1u << 20)

#define FENCE_NETNS_PATH_MAX 512

struct fence_cni_cached {
    char container_id[FENCE_CONTAINER_ID_MAX];
    char ifname[16];
    char network[FENCE_NETWORK_MAX];
    char netns[FENCE_NETNS_PATH_MAX]; /* path in the runtime's mount namespace; "" = not said */
    struct fence_cni_args args;       /* all empty when it was no pod of Kubernetes, or not said */
    struct fence_addr addrs[FENCE_ENDPOINT_ADDRS];
    size_t addr_count;
    bool bare;    /* a bare result: nobody says which pod it is for */
    bool chained; /* podfence was in the chain */
    bool exempt;  /* and its entry exempts the pod's namespace */
    char labels[FENCE_LABELS_MAX];
    enum fence_label_source label_source;
};

/*
 * `text` (a NUL follows it) is the content of the file `name`, which must be the one that the
 * content is for. A chain or labels that cannot be read count as none. -EINVAL with what is wrong;
 * *ret_cached is untouched then.
 */
int fence_cni_cached_parse(const char *name, const char *text, size_t size,
                           struct fence_cni_cached *ret_cached, struct fence_err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a file of libcni's cache: the first line is its name. What is taken is for that name
 * alone, has texts that end where they must, and nothing of it is taken when it is refused.
 */
#include <string.h>

#include "lib/base/memory.h"
#include "lib/cni/cache.h"
#include "lib/cni/env.h"
#include "test/fuzz/fuzz.h"

static bool ends(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

static void check(const char *name, const struct fence_cni_cached *cached)
{
    char wanted[512];

    FUZZ_HOLDS(ends(cached->container_id, sizeof(cached->container_id)));
    FUZZ_HOLDS(ends(cached->ifname, sizeof(cached->ifname)));
    FUZZ_HOLDS(ends(cached->network, sizeof(cached->network)));
    FUZZ_HOLDS(ends(cached->netns, sizeof(cached->netns)));
    FUZZ_HOLDS(ends(cached->args.namespace_name, sizeof(cached->args.namespace_name)));
    FUZZ_HOLDS(ends(cached->args.pod, sizeof(cached->args.pod)));
    FUZZ_HOLDS(ends(cached->args.uid, sizeof(cached->args.uid)));
    FUZZ_HOLDS(ends(cached->labels, sizeof(cached->labels)));
    FUZZ_HOLDS(fence_cni_is_name(cached->container_id) && fence_cni_is_name(cached->network));
    FUZZ_HOLDS(!strchr(cached->ifname, '/'));
    FUZZ_HOLDS(!*cached->netns || *cached->netns == '/');
    FUZZ_HOLDS(cached->addr_count <= FENCE_ENDPOINT_ADDRS);
    FUZZ_HOLDS(cached->chained || !cached->exempt);
    FUZZ_HOLDS(!*cached->labels || cached->label_source != FENCE_LABELS_NONE);
    snprintf(wanted, sizeof(wanted), "%s-%s-%s", cached->network, cached->container_id,
             cached->ifname);
    FUZZ_HOLDS(strcmp(name, wanted) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fence_cni_cached cached = {0};
    struct fence_err err = {""};
    FENCE_FREE char *all = malloc(size + 1);
    char *text;

    if (!all)
        return 0;
    memcpy(all, data, size);
    all[size] = '\0';
    text = memchr(all, '\n', size);
    if (!text)
        return 0;
    *text++ = '\0';
    if (fence_cni_cached_parse(all, text, size - (size_t)(text - all), &cached, &err) == 0) {
        check(all, &cached);
        return 0;
    }
    FUZZ_HOLDS(*err.text);
    FUZZ_HOLDS(!*cached.container_id && !*cached.netns && !cached.addr_count);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The CNI_* environment, judged as the reference library does (pkg/skel/skel.go, pkg/utils). */
#pragma once

#include <stdbool.h>

#include "lib/cni/error.h"

enum fence_cni_verb {
    FENCE_CNI_ADD,
    FENCE_CNI_DEL,
    FENCE_CNI_CHECK,
    FENCE_CNI_GC,
    FENCE_CNI_STATUS,
    FENCE_CNI_VERSION,
    FENCE_CNI_VERB_COUNT,
};

const char *fence_cni_verb_name(enum fence_cni_verb verb);

/* Never NULL: "" where a variable is not set. Points into the environment. */
struct fence_cni_env {
    enum fence_cni_verb verb;
    const char *container_id;
    const char *netns;
    const char *ifname;
    const char *args;
    bool netns_override;
};

typedef char *(*fence_cni_getenv)(const char *name);

/* Sets *ret_verb; code 4 for one that is unknown or not given. */
int fence_cni_verb_read(fence_cni_getenv get, enum fence_cni_verb *ret_verb,
                        struct fence_cni_error *error);

/* All that the verb needs is there (code 4 naming what is missing) and well formed. */
int fence_cni_env_read(fence_cni_getenv get, enum fence_cni_verb verb,
                       struct fence_cni_env *ret_env, struct fence_cni_error *error);

/* Container IDs and network names: a letter or digit, then those and "_.-". */
bool fence_cni_is_name(const char *text);

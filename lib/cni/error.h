/* SPDX-License-Identifier: Apache-2.0 */
/* A CNI error: what goes to standard output beside a non-zero exit status. */
#pragma once

#include "lib/base/err.h"

/* CNI SPEC.md "Error"; 8 and 999 are the reference library's (pkg/types/types.go). */
enum fence_cni_code {
    FENCE_CNI_INCOMPATIBLE_VERSION = 1,
    /* 3 (unknown container) is left out: from ADD it would make the runtime skip DEL, and the
     * main plugin's address would leak */
    FENCE_CNI_BAD_ENVIRONMENT = 4,
    FENCE_CNI_IO_FAILURE = 5,
    FENCE_CNI_DECODING_FAILURE = 6,
    FENCE_CNI_INVALID_CONFIG = 7,
    FENCE_CNI_INVALID_NETNS = 8,
    FENCE_CNI_TRY_AGAIN = 11,
    FENCE_CNI_NOT_AVAILABLE = 50,
    FENCE_CNI_LIMITED = 51,
    FENCE_CNI_NOT_ENFORCED = 100, /* ours: CHECK found enforcement missing or damaged */
    FENCE_CNI_INTERNAL = 999,
};

struct fence_cni_error {
    enum fence_cni_code code;
    struct fence_err msg;
    struct fence_err details; /* may be empty */
};

/* Set code and msg, clear details; returns -EINVAL, so that a failing function can end with it. */
__attribute__((format(printf, 3, 4))) int
fence_cni_fail(struct fence_cni_error *error, enum fence_cni_code code, const char *format, ...);

/* Add details to a failure that has been set; returns -EINVAL too. */
__attribute__((format(printf, 2, 3))) int fence_cni_details(struct fence_cni_error *error,
                                                            const char *format, ...);

/* The JSON text; control characters and invalid UTF-8 in it are shown as \xNN. NULL when out of
 * memory. */
char *fence_cni_error_json(const struct fence_cni_error *error, const char *cni_version);

/* SPDX-License-Identifier: Apache-2.0 */
/* The CNI versions that podfence speaks. */
#pragma once

#include "lib/cni/env.h"
#include "lib/cni/error.h"

/* What is said where no version of the caller is known. */
#define FENCE_CNI_VERSION_LATEST "1.1.0"

/*
 * The configuration's version has to be one of ours exactly, and new enough for the verb. An absent
 * one means 0.1.0 (pkg/version). Code 1.
 */
int fence_cni_version_check(enum fence_cni_verb verb, const char *version,
                            struct fence_cni_error *error);

/* The answer to VERSION; NULL when out of memory. */
char *fence_cni_version_json(void);

/* "0.3.0, 0.3.1, ..." for people. */
const char *fence_cni_versions_text(void);

/* SPDX-License-Identifier: Apache-2.0 */
/* CNI_ARGS: who the pod is, as kubelet's runtimes pass it. */
#pragma once

#include "bpf/abi.h"
#include "lib/cni/error.h"

/* All empty outside Kubernetes. */
struct fence_cni_args {
    char namespace_name[FENCE_NAMESPACE_MAX];
    char pod[FENCE_POD_NAME_MAX];
    char uid[FENCE_UID_MAX];
};

/*
 * "KEY=VALUE;KEY=VALUE" in any order, the last of equal keys wins; unknown keys are an error unless
 * IgnoreUnknown is 1 or true (pkg/types/args.go). Code 4.
 */
int fence_cni_args_parse(const char *text, struct fence_cni_args *ret_args,
                         struct fence_cni_error *error);

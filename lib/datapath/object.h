/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The BPF object that is loaded. There are two, from one source: one reads what the kernel knows of
 * a packet from the kernel's own structs; the plain one does without, for kernels that do not show
 * them (before 6.2, or where nothing but a module knows nf_conntrack's).
 */
#pragma once

#include <stdbool.h>

#include "lib/base/err.h"

struct bpf_object;

enum fence_kernel_structs {
    FENCE_KERNEL_STRUCTS_AUTO,
    FENCE_KERNEL_STRUCTS_OFF,
};

/* -EINVAL: neither auto nor off. */
int fence_kernel_structs_parse(const char *text, enum fence_kernel_structs *ret_structs);

/* What the kernel lacks for the object that reads its structs: a name of its BTF, or "BTF"; NULL
 * when that object is loaded with FENCE_KERNEL_STRUCTS_AUTO. */
const char *fence_kernel_structs_missing(void);

/* Opened, not loaded. libbpf says why not. */
int fence_object_open(enum fence_kernel_structs structs, struct bpf_object **ret_object,
                      bool *ret_plain);

/* Before it is loaded: each CPU has pairs of its own. -errno. */
int fence_object_size(struct bpf_object *object, struct fence_err *err);

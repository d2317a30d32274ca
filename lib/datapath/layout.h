/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layouts under a BPF file system: <bpffs>/v<N>, one for each FENCE_ABI_VERSION that somebody
 * has pinned there. Usually there is one; while podfenced takes over from an older one, two.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "bpf/abi.h"
#include "lib/base/err.h"

struct fence_layout {
    unsigned int number;             /* FENCE_ABI_VERSION of those who pinned it */
    bool used;                       /* it has endpoints */
    bool whole;                      /* as in struct fence_about */
    char version[FENCE_VERSION_MAX]; /* that loaded it last, printable; empty = not known */
};

/* <bpffs>/v<number>. -ENAMETOOLONG. */
int fence_layout_path(const char *bpffs, unsigned int number, char *path, size_t size,
                      struct fence_err *err);

/* What is pinned there; nothing is no error. -errno: it cannot be read. */
int fence_layout_read(const char *bpffs, unsigned int number, struct fence_layout *ret_layout,
                      struct fence_err *err);

/* Zeroed = empty; fence_layout_list_done frees. */
struct fence_layout_list {
    struct fence_layout *items; /* ascending */
    size_t count;
    size_t capacity;
};
/* All but the one of this program. */
int fence_layouts_list(const char *bpffs, struct fence_layout_list *ret_list,
                       struct fence_err *err);
void fence_layout_list_done(struct fence_layout_list *list);

/* Appends to `err` which other layouts are there, and what to do about it; nothing if there are
 * none. For programs that do not find their own. */
void fence_layouts_explain(const char *bpffs, struct fence_err *err);

/* Renames it, so that from one moment on nobody finds it. */
int fence_layout_hide(const char *bpffs, unsigned int number, struct fence_err *err);
/* Take away all but the one of this program, with their pins, hidden ones too. Links that are
 * pinned in ours as well stay attached. */
int fence_layouts_remove(const char *bpffs, struct fence_err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A runtime's network configuration as the text that it is: a list of plugins (.conflist) or a
 * single one (.conf, .json). Podfence's entry is put in and taken out by cutting the text, so that
 * every byte that is not about podfence stays: unknown keys, order, digits of numbers, white space.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"
#include "lib/cni/json.h"

#define FENCE_PLUGIN_TYPE "podfence"

/* Longer ones would not fit the folder of drop-ins either. */
#define FENCE_CHAIN_NAME_MAX 256

struct fence_chain {
    cJSON *json;              /* owned; the pointers below are into it */
    struct fence_slice whole; /* the caller's text, which has to outlive this */
    const char *name;         /* of the network */
    const char *version;      /* NULL when absent */
    size_t plugins;           /* how many there are in the text */
    size_t ours;              /* how many of them are podfence's */
    int position;             /* of podfence's first, from 0; -1 = there is none */
    bool single;              /* no list */
    bool inlined_only;        /* loadOnlyInlinedPlugins */
};

/*
 * `text` is followed by a NUL; `single` as the file's name says it. What libcni would refuse is
 * -EINVAL, half a file among it, and so is a key that counts and is there twice.
 */
int fence_chain_load(struct fence_slice text, bool single, struct fence_chain *ret_chain,
                     struct fence_err *err);
void fence_chain_done(struct fence_chain *chain);

/* Podfence is there once, with an entry that says the same as `entry`, in whatever order. */
bool fence_chain_has(const struct fence_chain *chain, const char *entry);

/*
 * The text of a list with `entry` in it exactly once: in place of what podfence has there, else as
 * the last. A single plugin becomes a list. *ret_text is the caller's to free.
 */
int fence_chain_insert(const struct fence_chain *chain, const char *entry, char **ret_text,
                       struct fence_err *err);

/* The text without podfence. -ENODATA: nothing would be left. */
int fence_chain_remove(const struct fence_chain *chain, char **ret_text, struct fence_err *err);

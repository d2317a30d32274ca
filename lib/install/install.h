/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Podfence on a node: its binary in the runtime's folder of plugins, its entry in the chain that
 * the runtime uses. Every function may be called again and again; it does what is missing. The
 * binary comes first, since CRI-O passes over a configuration with a plugin that is not there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/install/netd.h"

enum fence_install_mode {
    FENCE_INSTALL_OFF,    /* nothing is installed */
    FENCE_INSTALL_OWNED,  /* a list of our own that sorts first: the primary one's, and our entry */
    FENCE_INSTALL_PATCH,  /* our entry in the primary one */
    FENCE_INSTALL_DROPIN, /* our entry in a file of its own, which needs libcni 1.3 */
    FENCE_INSTALL_NONE,   /* the binary alone: the administrator writes the chain */
    FENCE_INSTALL_MODES,
};
/* "off", "owned", "patch", "dropin", "none"; -EINVAL. */
int fence_install_mode_parse(const char *text, enum fence_install_mode *ret_mode);
const char *fence_install_mode_name(enum fence_install_mode mode);

#define FENCE_INSTALL_CONF_DIR "/etc/cni/net.d"
#define FENCE_INSTALL_BIN_DIR  "/opt/cni/bin"

struct fence_install {
    enum fence_install_mode mode;
    const char *conf_dir;
    const char *bin_dir;
    const char *plugin; /* the binary to install */
    const char *entry;  /* of the chain, JSON as fence_install_entry makes it */
};

/*
 * The chain's entry: `given` (a JSON object, NULL: the default), with the type, and with the paths
 * (NULL: the plugin's defaults) where it does not say them. -EINVAL: the plugin would refuse it.
 */
int fence_install_entry(const char *given, const char *bpffs, const char *socket, char **ret_entry,
                        struct fence_err *err);

/* Where the plugin lies that came with the program that runs: beside it, or in libexec/cni. The
 * caller frees it. */
int fence_install_find_plugin(char **ret_path, struct fence_err *err);

/* Runs it once, as a runtime asks for its versions. */
int fence_install_try_plugin(const char *path, struct fence_err *err);

/* 1: copied, 0: the same is there already. It is run before it is copied. */
int fence_install_binary(const struct fence_install *install, struct fence_err *err);
/* 0: what is there is what would be installed; -ENOENT: nothing is; -EUCLEAN: something else is. */
int fence_install_binary_check(const struct fence_install *install, struct fence_err *err);

struct fence_install_report {
    char primary[FENCE_NETD_NAME_MAX]; /* what it was made from, "" = it is not there any more */
    char file[2 *
              FENCE_NETD_NAME_MAX]; /* where our entry is, relative to the folder; "" = nowhere */
    struct fence_hash before;       /* content of that file; zero = it was not there */
    struct fence_hash after;
};

/*
 * 1: written, 0: all is as it should be. -ENOENT: there is no primary configuration; -EAGAIN: it
 * is being written; -EPROTONOSUPPORT: podfence does not speak its version; anything else is a
 * failure. What is in force stays so then.
 */
int fence_install_config(const struct fence_install *install,
                         struct fence_install_report *ret_report, struct fence_err *err);

/*
 * Are pods started with podfence, by what the folder says now (fence_netd_effective with
 * fence_install_wanted)? A negative errno and why not.
 */
int fence_install_judge(const struct fence_install *install,
                        const struct fence_netd_effective *effective, struct fence_err *err);
/* The entry that has to be there; NULL in the mode none: whatever the administrator has written. */
const char *fence_install_wanted(const struct fence_install *install);

/*
 * Takes podfence out of everything in the folder, whoever put it there, and the list of our own
 * away. Calls `say` (may be NULL) for each thing that is done. -ENOTEMPTY: no configuration would
 * be left for the node's pods, and `force` is not given.
 */
typedef void (*fence_install_say)(void *context, const char *text);
struct fence_install_removal {
    const char *conf_dir;
    bool force;
    fence_install_say say;
    void *context;
};
int fence_install_remove(const struct fence_install_removal *removal, struct fence_err *err);
/* 1: removed, 0: it was not there. */
int fence_install_remove_binary(const char *bin_dir, struct fence_err *err);

/* A distribution's folders. */
struct fence_install_platform {
    const char *name;
    const char *conf_dir;
    const char *bin_dir;
};
/*
 * By name, or with "auto" the one whose folder of configurations holds any; the usual one where
 * none does. `root` stands before all paths (""). -EINVAL: no such name; -ENOTUNIQ: several, all
 * named.
 */
int fence_install_platform_find(const char *name, const char *root,
                                const struct fence_install_platform **ret_platform,
                                struct fence_err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folders of --objects: followed, read when quiet, and looked at from time to time anyway. And
 * the Kubernetes API, which comes before them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cni/daemon/kubernetes.h"
#include "cni/daemon/loop.h"
#include "lib/objects/folder.h"

struct fence_daemon;

struct fence_source {
    struct fence_daemon *daemon;
    struct fence_folder *folder;
    struct fence_fd_watch watch;
    struct fence_timer timer;
    uint64_t noticed_ns; /* boot time of the first change that has not been read, 0 = none */
    bool seen;           /* since the start: has been read, or its last good objects have been */
};

struct fence_sources {
    struct fence_source *items;
    size_t count;
    struct fence_kubernetes *kubernetes; /* NULL: not asked for */
    struct fence_fd_watch kubernetes_watch;
    uint64_t kubernetes_begun_ns;         /* boot time */
    struct fence_kube_config kube_config; /* empty without the API */
    bool untrimmed;      /* a large list has come: what was before goes when it has been applied */
    char *own_namespace; /* of the daemons' own objects; NULL without the API */
};

/* Opens and reads all folders once. */
int fence_sources_init(struct fence_daemon *daemon, struct fence_err *err);
void fence_sources_done(struct fence_daemon *daemon);

/* Read all of them now: finds what inotify does not tell (a volume mounted over the folder). */
void fence_sources_read(struct fence_daemon *daemon);

/* What has been read is applied: memory of before is given back. */
void fence_sources_applied(struct fence_daemon *daemon);

/* False as long as the objects of a folder or of a kind of the API are not known at all: then
 * nothing may be loosened. */
bool fence_sources_all_seen(const struct fence_sources *sources);

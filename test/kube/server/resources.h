/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds that the server has, and what a request's path says of them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "test/kube/server/store.h"

struct server;
struct watch;

struct resource {
    const char *group; /* "" = core */
    const char *version;
    const char *plural;
    const char *singular;
    const char *kind;
    const char *short_name; /* "" = none */
    char *texts;            /* what they point into */
    bool namespaced;
    bool custom;      /* by a CRD: lists have their keys in another order, items say their kind */
    bool generations; /* metadata.generation counts changes of the spec */
    bool has_status;  /* a subresource */
    bool installed;
    struct objects objects;
    struct history history;
    struct watch *watches;
};

struct target {
    struct resource *resource;
    char name_space[64]; /* "" = all */
    char name[254];      /* "" = a list, or the object is in the body */
    char subresource[16];
};

/* Adds the kinds that a cluster with podfence has. */
int resources_init(struct server *server);
void resources_done(struct server *server);
/* A copy of `definition`'s texts. -EEXIST when there is such a one; it is installed then. */
int resources_add(struct server *server, const struct resource *definition);
struct resource *resources_find(struct server *server, const char *group, const char *plural);
/* By "v1" or "networking.k8s.io/v1" and a kind. */
struct resource *resources_of_kind(struct server *server, const char *api_version,
                                   const char *kind);
/* "v1", "networking.k8s.io/v1"; the caller's to free, NULL without memory. */
char *resource_api_version(const struct resource *resource);

/* -ENOENT: no such path, or its kind is not installed. */
int target_parse(struct server *server, const char *path, struct target *ret_target);

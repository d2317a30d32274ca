/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects from the Kubernetes API: what the client (lib/kube) tells goes into the live source
 * (lib/objects/live.h), one kind each. What is in force does not depend on the server: it is not
 * touched before every kind has been listed once, nor while the server is away.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "lib/base/err.h"
#include "lib/kube/kube.h"
#include "lib/objects/store.h"

/* What the store calls objects of the API that are no ConfigMap's. */
#define FENCE_KUBERNETES_SOURCE "kubernetes"

/* The most kinds that are asked for; numbers below fence_kubernetes_count name them. */
#define FENCE_KUBERNETES_RESOURCES 11

struct fence_kubernetes_changes {
    bool objects;  /* what is in force of the objects has changed */
    bool seen;     /* now every kind is known, and was not before */
    bool problems; /* what is wrong has changed, or may have */
    bool large;    /* a large list has ended: there may be memory to give back */
};

struct fence_kubernetes; /* opaque */

/*
 * The store outlives it. The client connects as fence_kubernetes_handle is called. ConfigMaps of
 * options->config->namespace_name may hold policies of all kinds, for everywhere; NULL: none may.
 */
struct fence_kubernetes_options {
    const struct fence_kube_config *config;
    const char *own_node; /* address slices are read, and Pods and Nodes of this one alone; NULL:
                             all Pods and Nodes. A DNS name */
    unsigned int order;   /* of fence_live_new */
};
int fence_kubernetes_new(const struct fence_kubernetes_options *options, struct fence_store *store,
                         struct fence_kubernetes **ret_kubernetes, struct fence_err *err);
void fence_kubernetes_free(struct fence_kubernetes **kubernetes);

/* How many kinds are asked for: those of lib/objects in their order, ConfigMaps, AddressSlices. */
unsigned int fence_kubernetes_count(const struct fence_kubernetes *kubernetes);
/* One of them; as long as the client. */
const struct fence_kube_resource *
fence_kubernetes_resource(const struct fence_kubernetes *kubernetes, unsigned int resource);

/* Poll this for reading, then call fence_kubernetes_handle. */
int fence_kubernetes_fd(const struct fence_kubernetes *kubernetes);
void fence_kubernetes_handle(struct fence_kubernetes *kubernetes,
                             struct fence_kubernetes_changes *ret_changes);

/*
 * Has every kind been listed once since the start? A kind that is not installed counts as listed
 * where it is one that podfence or its user installs; a server without Pods is the wrong server.
 * So do ConfigMaps where their right has not been given: that is when they were refused (403) again
 * and again since all other kinds were listed. AddressSlices also have to hold the one that says
 * that all addresses are in them.
 */
bool fence_kubernetes_all_seen(const struct fence_kubernetes *kubernetes);

enum fence_kubernetes_wellness {
    FENCE_KUBERNETES_WELL,
    FENCE_KUBERNETES_BEGINS,  /* its first list is on its way, and nothing is wrong yet */
    FENCE_KUBERNETES_WITHOUT, /* ConfigMaps, whose right has not been given: done without */
    FENCE_KUBERNETES_ILL,
};

/* Unless it is well, the text says how one kind is: "kubernetes: Pod: ...". */
enum fence_kubernetes_wellness fence_kubernetes_problem(const struct fence_kubernetes *kubernetes,
                                                        unsigned int resource, char *ret_text,
                                                        size_t size);

/* One kind, for metrics. */
struct fence_kubernetes_kind {
    const char *name; /* "Pod" */
    bool up;          /* it is watched, or there is no need to */
    bool listed;      /* once since the start */
    struct fence_kube_state state;
};
/* Valid until the next fence_kubernetes_handle. */
void fence_kubernetes_kind(const struct fence_kubernetes *kubernetes, unsigned int resource,
                           struct fence_kubernetes_kind *ret_kind);
unsigned int fence_kubernetes_connections(const struct fence_kubernetes *kubernetes);

/* "123 pods, 45 services": of the last list of each kind that was listed, unless it was empty. */
void fence_kubernetes_amounts(const struct fence_kubernetes *kubernetes, char *ret_text,
                              size_t size);

/* For requests of one's own, see fence_kube_world. */
const struct fence_reflector_world *
fence_kubernetes_world(const struct fence_kubernetes *kubernetes);

/* For the status, as lib/api/README.md has it; null for NULL. */
cJSON *fence_kubernetes_json(const struct fence_kubernetes *kubernetes);

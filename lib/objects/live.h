/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A source that tells one object at a time (the Kubernetes API): lists that replace all of a kind,
 * and single objects that come, change and go in between. The objects of each kind are spread over
 * many units of the store by their names, so that a change costs what a unit holds (some ten
 * objects), at any size of the cluster.
 */
#pragma once

#include "lib/objects/store.h"

struct fence_live; /* opaque */

/*
 * `name` ("kubernetes") is what problems and conflicts call the source. `order` as in
 * fence_store_put: lower comes first and wins. The store outlives it; what it has put there stays.
 */
int fence_live_new(struct fence_store *store, unsigned int order, const char *name,
                   struct fence_live **ret_live, struct fence_err *err);
void fence_live_free(struct fence_live **live);

/*
 * `json`, ended by NUL: one object. Items of lists name neither their kind nor its version: those
 * of `kind` count then. Between fence_live_begin and fence_live_end of the kind it counts at the
 * end, else at once. An object that is refused keeps its last good version, and is a problem; so
 * is one that cannot be read at all, until a whole list comes.
 * Returns 1 when what is in force changed, 0, or -ENOMEM (then nothing changed).
 */
int fence_live_object(struct fence_live *live, enum fence_kind kind, char *json, size_t size,
                      struct fence_err *err);
/* One that is gone: of its JSON, the name counts. As above. */
int fence_live_deleted(struct fence_live *live, enum fence_kind kind, char *json, size_t size,
                       struct fence_err *err);
/* A list of all objects of the kind begins. One that has begun already is forgotten. Objects that
 * are told meanwhile and have not changed take the memory of a number each. */
void fence_live_begin(struct fence_live *live, enum fence_kind kind);
/*
 * It is complete: what it did not have is gone, unless something in it could not be read. As
 * fence_live_object, but after -ENOMEM a part of it may be in force: the kind is to be listed
 * again.
 */
int fence_live_end(struct fence_live *live, enum fence_kind kind, struct fence_err *err);

/*
 * The same for ConfigMaps that hold policies: each is a unit "NAME: ConfigMap/ns/name", whose keys
 * are read as files. Each counts at once, in a list too. Whoever may write a ConfigMap in a
 * namespace must not be able to write policies elsewhere by it, so that one counts for policies of
 * its own namespace; what else it holds is refused, unless it is in the trusted namespace.
 */
int fence_live_config_map(struct fence_live *live, char *json, size_t size, struct fence_err *err);
int fence_live_config_map_deleted(struct fence_live *live, char *json, size_t size,
                                  struct fence_err *err);
void fence_live_config_maps_begin(struct fence_live *live);
int fence_live_config_maps_end(struct fence_live *live, struct fence_err *err);
/* ConfigMaps of this namespace may hold policies of all kinds, for everywhere. -ENOMEM. */
int fence_live_trust(struct fence_live *live, const char *namespace_name, struct fence_err *err);

/*
 * The same for AddressSlices, which hold Pods and Nodes: each is a unit "NAME: AddressSlice/name".
 * One that is refused as a whole keeps its last good version, and so does a pod in one. What the
 * source tells of the same pod by itself comes before what slices say.
 */
int fence_live_address_slice(struct fence_live *live, char *json, size_t size,
                             struct fence_err *err);
int fence_live_address_slice_deleted(struct fence_live *live, char *json, size_t size,
                                     struct fence_err *err);
void fence_live_address_slices_begin(struct fence_live *live);
int fence_live_address_slices_end(struct fence_live *live, struct fence_err *err);
/* Is the one there that says that all pods and nodes are in slices ("podfence-complete")? */
bool fence_live_address_slices_complete(const struct fence_live *live);
/* Pods of this node, and the node itself, are passed over in slices. -ENOMEM. */
int fence_live_own_node(struct fence_live *live, const char *name, struct fence_err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/* A live source with a store, and NetworkPolicies to tell it. */
#pragma once

#include "lib/objects/live.h"

#define LIVE_POLICY FENCE_OBJECT_NETWORK_POLICY

/* What becomes of an object: up to LIVE_WARNED are versions of it, the last with a warning. */
enum {
    LIVE_GONE,
    LIVE_VERSIONS = 3,
    LIVE_WARNED,
    LIVE_BAD,
    LIVE_UNREADABLE, /* no name */
    LIVE_WHATEVER,   /* how many there are */
};

/* A policy of a file. */
#define LIVE_FILE(name, port)                                                                      \
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"                                      \
    "metadata: { name: " name ", namespace: x }\n"                                                 \
    "spec: { podSelector: {}, ingress: [ { ports: [ { port: " port " } ] } ] }\n"

struct live_lab {
    struct fence_store *store;
    struct fence_live *live; /* order 1 */
};

int live_lab_init(struct live_lab *lab);
void live_lab_done(struct live_lab *lab);
/* Tell one, or that it is gone; end the list; put a file of order 2. What the source returned. */
int live_tell(struct live_lab *lab, const char *name, int version);
int live_end(struct live_lab *lab);
int live_put_file(struct live_lab *lab, const char *unit, const char *text);
/* By which versions are told apart; 0 for none. */
int live_version(const struct fence_object *object);

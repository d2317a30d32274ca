/* SPDX-License-Identifier: Apache-2.0 */
/* A reflector without network and time: one exchange at once, and who listens to its objects. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/kube/reflector.h"

#define WORLD_NAMES 16u

/* Objects are {"metadata":{"name":"n3","resourceVersion":"17"}}, n0 to n15. */
struct world_objects {
    unsigned int present; /* bits */
    unsigned int versions[WORLD_NAMES];
};

struct world {
    uint64_t now_ns;
    uint64_t seed;
    bool active; /* an exchange runs */
    char path[512];
    unsigned int idle_ms;
    const struct fence_http_ops *ops;
    void *handler;
    unsigned int renewals, begun, ended, told, gone;
    bool listing;
    unsigned int always; /* bits of names that are never to go */
    struct world_objects objects, pending;
    unsigned int fail_object, fail_ended; /* the so manieth from now fails, 0 = none */
    int start_fails;
    struct fence_err start_err;
    /* Of all that is told: '+' object, '-' deleted, '(' begun, ')' ended. NULL: nobody listens. */
    void (*heard)(struct world *world, char what, const char *json);
    void *listener; /* its own */
    struct fence_reflector *reflector;
};

/* The world stays where it is. */
void world_init(struct world *world, uint64_t seed);
void world_done(struct world *world);
unsigned int world_random(struct world *world, unsigned int below);
/* Go on to when the reflector is due, and let it do that. */
void world_tick(struct world *world);
/* Of the exchange that runs. world_head and world_body end it when the reflector refuses: false. */
bool world_head(struct world *world, long status, long retry_after_ms);
bool world_body(struct world *world, const char *data, size_t size);
void world_end(struct world *world, int code);
/* All of an answer. */
void world_answer(struct world *world, long status, const char *body);
struct fence_kube_state world_state(const struct world *world);

/* SPDX-License-Identifier: Apache-2.0 */
/* The endpoints map as the policy engine sees it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/datapath/endpoints.h"
#include "lib/policy/world.h"

/* Zeroed = empty. The three arrays run in parallel; items point into the other two. */
struct fence_locals {
    struct fence_endpoint_list records;
    struct fence_labels *labels;
    struct fence_local *items;
    char **label_errors; /* NULL where the runtime's labels are fine or do not count */
    size_t count;
};

/* `annotations`: labels that came from the pod's annotation count too. */
int fence_locals_read(const struct fence_pins *pins, bool annotations,
                      struct fence_locals *ret_locals, struct fence_err *err);
void fence_locals_done(struct fence_locals *locals);

/* The records alone, with an end to every text. */
int fence_locals_list(const struct fence_pins *pins, struct fence_endpoint_list *ret_list,
                      struct fence_err *err);

/* The same endpoints, as far as the policy engine is concerned? */
bool fence_locals_same(const struct fence_endpoint_list *a, const struct fence_endpoint_list *b);
/* Equal to the last byte? */
bool fence_locals_identical(const struct fence_endpoint_list *a,
                            const struct fence_endpoint_list *b);

/* "shop/web-1", or the container's ID when the runtime named no pod. */
const char *fence_local_name(const struct fence_local *local, char *text, size_t size);

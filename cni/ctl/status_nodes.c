/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many connections came in from each other node. Whom a node has masqueraded (NodePort with
 * externalTrafficPolicy Cluster) is known there only and counts here as the node: this is how much
 * of that there can be. It is a sum over the flow counters, of which the oldest make room for new
 * ones.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cni/ctl/status.h"
#include "lib/base/memory.h"
#include "lib/datapath/read.h"
#include "lib/policy/intern.h"

/* What has come from one identity. */
struct source {
    char node[sizeof(((struct fence_identity_info *)0)->app)]; /* "" when it is none */
    __u64 allowed;
    __u64 denied;
};

struct sources {
    const struct fence_pins *pins;
    struct fence_intern numbers; /* identity -> index */
    struct source *items;
    size_t count;
    size_t capacity;
};

static int add_source(struct sources *sources, __u32 identity, uint32_t *ret_index)
{
    struct fence_identity_info info;
    struct source *source;
    int r = FENCE_GROW(sources->items, sources->capacity, sources->count);

    if (r == 0)
        r = fence_intern_put(&sources->numbers, &identity, sizeof(identity),
                             (uint32_t)sources->count, ret_index);
    if (r < 0)
        return r;
    source = &sources->items[sources->count++];
    *source = (struct source){0};
    if (fence_identity_read(sources->pins, identity, &info) == 0 && info.kind == FENCE_KIND_NODE)
        memcpy(source->node, info.app, sizeof(source->node));
    return 0;
}

static int add_flow(void *context, const struct fence_flow_key *key, const struct fence_flow *flow)
{
    struct sources *sources = context;
    uint32_t index;
    int r = 0;

    if (key->direction != FENCE_INGRESS)
        return 0;
    if (!fence_intern_find(&sources->numbers, &key->source, sizeof(key->source), &index))
        r = add_source(sources, key->source, &index);
    if (r < 0)
        return r;
    if (key->verdict == FENCE_DENY)
        sources->items[index].denied += flow->count;
    else
        sources->items[index].allowed += flow->count;
    return 0;
}

static int by_node(const void *a, const void *b)
{
    return strcmp(((const struct source *)a)->node, ((const struct source *)b)->node);
}

static void add_rows(cJSON *list, const struct sources *sources)
{
    for (size_t i = 0; i < sources->count; i++) {
        const struct source *source = &sources->items[i];
        cJSON *row;

        if (!*source->node)
            continue;
        row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "node", source->node);
        cJSON_AddNumberToObject(row, "allowed", (double)source->allowed);
        cJSON_AddNumberToObject(row, "denied", (double)source->denied);
        cJSON_AddItemToArray(list, row);
    }
}

int ctl_status_add_nodes(cJSON *object, const struct fence_pins *pins, struct fence_err *err)
{
    struct sources sources = {.pins = pins};
    int r = fence_flows_each(pins, add_flow, &sources, err);

    if (r == -ENOMEM)
        fence_err_set(err, r, "out of memory");
    if (r == 0 && sources.count)
        qsort(sources.items, sources.count, sizeof(*sources.items), by_node);
    if (r == 0)
        add_rows(cJSON_AddArrayToObject(object, "fromNodes"), &sources);
    fence_intern_done(&sources.numbers);
    free(sources.items);
    return r;
}

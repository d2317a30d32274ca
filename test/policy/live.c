/* SPDX-License-Identifier: Apache-2.0 */
#include "test/policy/live.h"

#include <errno.h>

static const struct fence_world nothing;

static int follow(struct live *live, size_t node, struct case_node *to, struct fence_err *err)
{
    int r = live->nodes[node] ? 0 : reconciler_new(&live->nodes[node], err);

    if (r == 0)
        r = reconciler_update(live->nodes[node], &to->world, err);
    if (r == 0 && reconciler_compare(live->nodes[node], to->plan, err) <= 0)
        r = -EBADMSG;
    to->live = live->nodes[node];
    return r;
}

int live_follow(struct live *live, struct case_file *file, struct fence_err *err)
{
    int r = 0;

    if (file->node_count > LIVE_NODES_MAX)
        return fence_err_set(err, -E2BIG, "more than %d nodes", LIVE_NODES_MAX);
    for (size_t i = 0; r == 0 && i < LIVE_NODES_MAX; i++) {
        if (i < file->node_count)
            r = follow(live, i, &file->nodes[i], err);
        else if (live->nodes[i])
            r = reconciler_update(live->nodes[i], &nothing, err);
    }
    live->steps++;
    return r;
}

static int each_node(struct live *live, struct fence_err *err,
                     int (*visit)(struct reconciler *reconciler, struct fence_err *err))
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < LIVE_NODES_MAX; i++)
        if (live->nodes[i])
            r = visit(live->nodes[i], err);
    return r;
}

int live_restart(struct live *live, struct fence_err *err)
{
    return each_node(live, err, reconciler_restart);
}

int live_sweep(struct live *live, struct fence_err *err)
{
    return each_node(live, err, reconciler_sweep);
}

int live_leave(struct live *live, struct fence_err *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < LIVE_NODES_MAX; i++)
        if (live->nodes[i])
            r = reconciler_update(live->nodes[i], &nothing, err);
    return r;
}

void live_done(struct live *live)
{
    for (size_t i = 0; i < LIVE_NODES_MAX; i++)
        reconciler_free(&live->nodes[i]);
}

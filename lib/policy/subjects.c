/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/policy/compiler.h"

int fence_out_of_memory(struct fence_err *err)
{
    return fence_err_set(err, -ENOMEM, "out of memory");
}

static int add_bare(struct fence_compile_state *state, const char *name, uint32_t *ret_index)
{
    FENCE_FREE struct fence_bare_namespace *bare = calloc(1, sizeof(*bare));

    if (!bare || fence_array_grow((void **)&state->bare_namespaces, &state->bare_capacity,
                                  state->bare_count, sizeof(void *)) < 0)
        return fence_out_of_memory(state->err);
    if (fence_labels_set(&bare->labels, "kubernetes.io/metadata.name", name) < 0)
        return fence_out_of_memory(state->err);
    *ret_index = (uint32_t)state->bare_count;
    state->bare_namespaces[state->bare_count++] = TAKE_PTR(bare);
    return 0;
}

int fence_namespace_labels(struct fence_compile_state *state, const char *name,
                           const struct fence_labels **ret_labels)
{
    const struct fence_object *object =
        fence_world_find(state->world, FENCE_OBJECT_NAMESPACE, "", name);
    uint32_t index = (uint32_t)state->bare_count;
    int r = 0;

    if (object) {
        *ret_labels = &object->namespace_labels;
        return 0;
    }
    if (!fence_intern_find(&state->bare_names, name, strlen(name), &index)) {
        r = add_bare(state, name, &index);
        if (r == 0 && fence_intern_put(&state->bare_names, name, strlen(name), index, &index) < 0)
            r = fence_out_of_memory(state->err);
    }
    if (r == 0)
        *ret_labels = &state->bare_namespaces[index]->labels;
    return r;
}

/* Where the Pod object stands among the world's Pod objects. */
static size_t pod_index(const struct fence_compile_state *state, const struct fence_object *pod)
{
    struct fence_object_range pods = fence_world_kind(state->world, FENCE_OBJECT_POD);
    size_t low = 0;
    size_t high = pods.count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(pods.items[middle]->namespace_name, pod->namespace_name);

        if (order == 0)
            order = strcmp(pods.items[middle]->name, pod->name);
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const char *why_pending(const struct fence_compile_state *state,
                               const struct fence_local *local)
{
    if (!*local->pod)
        return "the runtime gave no pod name and no labels, and no Pod object names the container";
    if (fence_world_find(state->world, FENCE_OBJECT_POD, local->namespace_name, local->pod))
        return "the Pod object of this name is of another pod: its uid differs, it has finished "
               "or it uses the host's network";
    return "there is no Pod object for it, and the runtime gave no labels";
}

static int resolve(struct fence_compile_state *state, struct fence_subject *subject)
{
    const struct fence_local *local = subject->local;
    int r;

    subject->pod = fence_world_pod_of(state->world, local);
    subject->namespace_name = local->namespace_name;
    if (subject->pod) {
        subject->namespace_name = subject->pod->namespace_name;
        subject->labels = &subject->pod->pod.labels;
        state->pod_is_local[pod_index(state, subject->pod)] = true;
    } else if (local->labels) {
        subject->labels = local->labels;
    } else {
        subject->pending = why_pending(state, local);
        return 0;
    }
    r = fence_namespace_labels(state, subject->namespace_name, &subject->namespace_labels);
    if (r == 0 && fence_world_missing_label(state->world, subject->labels)) {
        subject->pending = "it misses a label that the operator requires";
        subject->incomplete = true;
    }
    return r;
}

int fence_subjects_resolve(struct fence_compile_state *state)
{
    const struct fence_world *world = state->world;
    size_t pods = fence_world_kind(world, FENCE_OBJECT_POD).count;
    int r = 0;

    state->subjects = calloc(world->local_count + 1, sizeof(*state->subjects));
    state->pod_is_local = calloc(pods + 1, sizeof(*state->pod_is_local));
    if (!state->subjects || !state->pod_is_local)
        return fence_out_of_memory(state->err);
    for (size_t i = 0; r == 0 && i < world->local_count; i++) {
        state->subjects[i].local = &world->locals[i];
        r = resolve(state, &state->subjects[i]);
    }
    return r;
}

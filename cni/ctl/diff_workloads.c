/* SPDX-License-Identifier: Apache-2.0 */
/* Which pods no rule can tell apart. */
#include <errno.h>
#include <string.h>

#include "cni/ctl/diff.h"
#include "lib/base/memory.h"
#include "lib/policy/intern.h"
#include "lib/policy/lookup.h"
#include "lib/policy/match.h"

/* What finding them needs meanwhile. */
struct finder {
    struct diff *diff;
    struct diff_blocks blocks;
    struct fence_intern groups;
};

/* ---- pods ----------------------------------------------------------------------------------- */

static void print_blocks(FILE *out, const struct finder *finder, const struct fence_pod *pod)
{
    for (size_t i = 0; i < pod->addr_count; i++) {
        fputs(fence_addr_is_ipv4(&pod->addrs[i]) ? "|4" : "|6", out);
        for (size_t j = 0; j < finder->blocks.count; j++)
            if (fence_prefix_contains(&finder->blocks.items[j], &pod->addrs[i]))
                fprintf(out, ",%zu", j);
    }
}

/* What rules can see of a pod. Labels and ports are shared, so that a pointer says it all. */
static void print_pod(FILE *out, const struct finder *finder, enum diff_side side,
                      const struct fence_object *object)
{
    const struct fence_world *world = finder->diff->worlds[side];
    const struct fence_object *node;

    if (!object) {
        fputs("(none)", out);
        return;
    }
    fprintf(out, "%s|%p|%p", object->namespace_name, (const void *)object->pod.labels,
            (const void *)object->pod.ports);
    if (object->pod.host_network) { /* others see its node */
        node = fence_world_find(world, FENCE_OBJECT_NODE, "", object->pod.node);
        fprintf(out, "|node %p", (const void *)(node ? node->node.labels : NULL));
    }
    print_blocks(out, finder, &object->pod);
}

static int group_of(struct finder *finder, const struct diff_pod *pod, uint32_t *ret_group)
{
    struct diff *diff = finder->diff;
    FENCE_FREE char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    int r;

    if (!out)
        return -ENOMEM;
    for (int side = 0; side < DIFF_SIDES; side++) {
        print_pod(out, finder, (enum diff_side)side, pod->object[side]);
        fputc('\n', out);
    }
    if (fclose(out) != 0)
        return -ENOMEM;
    r = fence_intern_put(&finder->groups, text, size, (uint32_t)diff->count, ret_group);
    if (r != 1)
        return r;
    if (FENCE_GROW(diff->workloads, diff->capacity, diff->count) < 0)
        return -ENOMEM;
    diff->workloads[diff->count++] = (struct diff_workload){0};
    return 0;
}

static int add_to(struct diff_workload *workload, const struct diff_pod *pod)
{
    if (FENCE_GROW(workload->pods, workload->capacity, workload->count) < 0)
        return -ENOMEM;
    workload->pods[workload->count++] = *pod;
    return 0;
}

static bool is_end(const struct fence_object *pod)
{
    return pod && !pod->pod.finished && pod->pod.addr_count;
}

/* Every pod of this side; those that the first side has too come with that one. */
static int add_pods(struct finder *finder, enum diff_side side)
{
    struct diff *diff = finder->diff;
    struct fence_object_range pods = fence_world_kind(diff->worlds[side], FENCE_OBJECT_POD);
    int r = 0;

    for (size_t i = 0; r == 0 && i < pods.count; i++) {
        const struct fence_object *here = pods.items[i];
        const struct fence_object *there = fence_world_find(diff->worlds[!side], FENCE_OBJECT_POD,
                                                            here->namespace_name, here->name);
        struct diff_pod pod = {0};
        uint32_t group = 0;

        if (!is_end(here) || (is_end(there) && side == DIFF_NEW))
            continue;
        pod.object[side] = here;
        pod.object[!side] = is_end(there) ? there : NULL;
        r = group_of(finder, &pod, &group);
        if (r == 0)
            r = add_to(&diff->workloads[group], &pod);
    }
    return r;
}

static const struct fence_object *any_object(const struct diff_pod *pod)
{
    return pod->object[DIFF_NEW] ? pod->object[DIFF_NEW] : pod->object[DIFF_OLD];
}

static const char *short_name(const struct fence_object *object)
{
    const char *app = fence_labels_app(object->pod.labels);

    if (app)
        return app;
    return *object->pod.owner ? object->pod.owner : object->name;
}

static bool same_name(const struct diff_workload *a, const struct diff_workload *b)
{
    const struct fence_object *left = any_object(&a->pods[0]), *right = any_object(&b->pods[0]);

    return strcmp(left->namespace_name, right->namespace_name) == 0 &&
           strcmp(short_name(left), short_name(right)) == 0;
}

/* Pods of `old` and of `new` have other names each, as a Deployment's have: one workload. */
static int join(struct diff_workload *old, struct diff_workload *new)
{
    size_t count = old->count > new->count ? old->count : new->count;
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++) {
        if (i >= old->count)
            r = add_to(old, &old->pods[old->count - 1]);
        if (r == 0)
            old->pods[i].object[DIFF_NEW] =
                new->pods[i < new->count ? i : new->count - 1].object[DIFF_NEW];
    }
    new->count = 0;
    return r;
}

static struct diff_workload *successor(struct diff *diff, const struct diff_workload *old)
{
    for (size_t i = 0; i < diff->count; i++) {
        struct diff_workload *new = &diff->workloads[i];

        if (new->count && !new->pods[0].object[DIFF_OLD] && same_name(old, new))
            return new;
    }
    return NULL;
}

static int join_successors(struct diff *diff)
{
    size_t kept = 0;
    int r = 0;

    for (size_t i = 0; r == 0 && i < diff->count; i++) {
        struct diff_workload *old = &diff->workloads[i];
        struct diff_workload *new = NULL;

        if (old->count && !old->pods[0].object[DIFF_NEW])
            new = successor(diff, old);
        if (new)
            r = join(old, new);
    }
    for (size_t i = 0; i < diff->count; i++) {
        if (diff->workloads[i].count)
            diff->workloads[kept++] = diff->workloads[i];
        else
            diff_workload_done(&diff->workloads[i]);
    }
    diff->count = kept;
    return r;
}

/* ---- names ---------------------------------------------------------------------------------- */

static int name_one(struct diff_workload *workload, bool labels, bool pod)
{
    const struct fence_object *object = any_object(&workload->pods[0]);
    FENCE_FREE char *text = labels ? fence_labels_format(object->pod.labels) : NULL;
    char *name = NULL;
    int r;

    if (labels && !text)
        return -ENOMEM;
    r = asprintf(&name, "%s/%s%s%s%s%s%s", object->namespace_name, short_name(object),
                 text ? "{" : "", text ? text : "", text ? "}" : "", pod ? " as " : "",
                 pod ? object->name : "");
    if (r < 0)
        return -ENOMEM;
    free(workload->name);
    workload->name = name;
    return 0;
}

/* By application; by labels where that is not enough, and by pod where these are not. */
static int give_names(struct diff *diff)
{
    int r = 0;

    for (int level = 0; r == 0 && level < 3; level++) {
        struct fence_intern names = {0};
        FENCE_FREE bool *longer = calloc(diff->count + 1, sizeof(bool));

        if (!longer)
            return -ENOMEM;
        for (size_t i = 0; r >= 0 && i < diff->count; i++) {
            struct diff_workload *workload = &diff->workloads[i];
            uint32_t first = 0;

            if (!workload->name)
                r = name_one(workload, false, false);
            if (r >= 0)
                r = fence_intern_put(&names, workload->name, strlen(workload->name), (uint32_t)i,
                                     &first);
            if (r == 0)
                longer[i] = longer[first] = true;
        }
        for (size_t i = 0; r >= 0 && i < diff->count; i++)
            if (longer[i] && level < 2 && diff->workloads[i].count)
                r = name_one(&diff->workloads[i], true, level == 1);
        fence_intern_done(&names);
        r = r < 0 ? r : 0;
    }
    return r;
}

/* ---- policies ------------------------------------------------------------------------------- */

static int find_policies(const struct fence_world *world, const struct fence_object *pod,
                         struct diff_policies *policies)
{
    const struct fence_object *namespace =
        fence_world_find(world, FENCE_OBJECT_NAMESPACE, "", pod->namespace_name);
    struct fence_labels bare = {0};
    int r = 0;

    if (!namespace)
        r = fence_labels_set(&bare, "kubernetes.io/metadata.name", pod->namespace_name);
    for (size_t i = 0; r == 0 && i < world->object_count; i++) {
        const struct fence_object *policy = world->objects[i];

        if (!fence_kind_is_policy(policy->kind) ||
            !fence_policy_selects(policy, pod->namespace_name,
                                  namespace ? namespace->namespace_labels : &bare, pod->pod.labels))
            continue;
        r = fence_array_grow((void **)&policies->items, &policies->capacity, policies->count,
                             sizeof(void *));
        if (r == 0)
            policies->items[policies->count++] = policy;
    }
    fence_labels_done(&bare);
    return r;
}

static int complete(const struct diff *diff, struct diff_workload *workload)
{
    int r = 0;

    for (int side = 0; r == 0 && side < DIFF_SIDES; side++) {
        const struct fence_object *pod = workload->count ? workload->pods[0].object[side] : NULL;

        if (!pod)
            continue;
        workload->host_network |= pod->pod.host_network;
        if (!pod->pod.host_network)
            r = find_policies(diff->worlds[side], pod, &workload->policies[side]);
    }
    return r;
}

static int compare_workloads(const void *a, const void *b)
{
    const struct diff_workload *left = a, *right = b;

    if (!left->count != !right->count)
        return left->count ? -1 : 1;
    return strcmp(left->name, right->name);
}

int diff_workloads_find(struct diff *diff)
{
    struct finder finder = {.diff = diff};
    int r = diff_blocks_find(diff, &finder.blocks);

    if (r == 0)
        r = diff_services_find(diff);
    for (int side = 0; r == 0 && side < DIFF_SIDES; side++)
        r = add_pods(&finder, (enum diff_side)side);
    if (r == 0)
        r = join_successors(diff);
    if (r == 0)
        r = diff_addresses_add(diff, &finder.blocks);
    if (r == 0)
        r = diff_services_add(diff);
    if (r == 0)
        r = give_names(diff);
    for (size_t i = 0; r == 0 && i < diff->count; i++)
        r = complete(diff, &diff->workloads[i]);
    if (r == 0)
        qsort(diff->workloads, diff->count, sizeof(*diff->workloads), compare_workloads);
    fence_intern_done(&finder.groups);
    free(finder.blocks.items);
    return r;
}

bool diff_workload_on(const struct diff_workload *workload, enum diff_side side)
{
    return !workload->count || workload->pods[0].object[side];
}

void diff_workload_done(struct diff_workload *workload)
{
    free(workload->name);
    free(workload->pods);
    for (int side = 0; side < DIFF_SIDES; side++)
        free(workload->policies[side].items);
    *workload = (struct diff_workload){0};
}

void diff_done(struct diff *diff)
{
    for (size_t i = 0; i < diff->count; i++)
        diff_workload_done(&diff->workloads[i]);
    free(diff->workloads);
    for (int side = 0; side < DIFF_SIDES; side++) {
        diff_reach_done(&diff->reach[side]);
        trace_objects_free(&diff->objects[side]);
    }
    *diff = (struct diff){0};
}

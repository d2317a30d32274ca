/* SPDX-License-Identifier: Apache-2.0 */
#include "test/bench/changes.h"

#include <errno.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/memory.h"

#define OWN_UNIT_ORDER 1u
#define MIN_ROUNDS     3u
/* Remote pods that are deleted, relabelled, and relabelled to new labels. */
#define POD_PARTS      3u

static const char *const names[] = {
#define BENCH_CHANGE_NAME(symbol, name, target) [BENCH_##symbol] = (name),
    BENCH_CHANGES(BENCH_CHANGE_NAME)
#undef BENCH_CHANGE_NAME
};
static const double targets[] = {
#define BENCH_CHANGE_TARGET(symbol, name, target) [BENCH_##symbol] = (target),
    BENCH_CHANGES(BENCH_CHANGE_TARGET)
#undef BENCH_CHANGE_TARGET
};

const char *bench_change_name(enum bench_change change)
{
    return names[change];
}

double bench_change_target(enum bench_change change)
{
    return targets[change];
}

/* ---- what is chosen ------------------------------------------------------------------------- */

static int choose(struct bench_changes *changes, unsigned int index)
{
    const struct bench_policy policy = {.index = index};
    struct bench_app_rule rule;

    if (!bench_policy_app_rule(changes->world, &policy, &rule))
        return 0;
    if (bench_local_of(changes->world, rule.space, rule.app) < changes->world->locals) {
        if (FENCE_GROW(changes->here, changes->here_capacity, changes->here_count) < 0)
            return -ENOMEM;
        changes->here[changes->here_count++] = policy;
    } else if (changes->elsewhere_count < changes->rounds) {
        if (FENCE_GROW(changes->elsewhere, changes->elsewhere_capacity, changes->elsewhere_count) <
            0)
            return -ENOMEM;
        changes->elsewhere[changes->elsewhere_count++] = policy;
    } else {
        return 0;
    }
    changes->loose[index] = true;
    return 0;
}

int bench_changes_prepare(struct bench_changes *changes, struct fence_err *err)
{
    struct bench_world *world = changes->world;
    int r = 0;

    changes->loose = calloc(world->policies + 1, sizeof(*changes->loose));
    if (!changes->loose)
        r = -ENOMEM;
    for (unsigned int i = 0; r == 0 && i < world->policies; i++)
        r = choose(changes, i);
    if (r < 0)
        return fence_err_set(err, r, "out of memory");
    if (changes->here_count == 0 || changes->elsewhere_count == 0)
        return fence_err_set(err, -EINVAL, "too few policies: %zu of local pods, %zu of others",
                             changes->here_count, changes->elsewhere_count);
    if (world->pods < world->locals + world->label_sets + POD_PARTS * changes->rounds)
        return fence_err_set(err, -EINVAL, "too few pods for %u rounds", changes->rounds);
    world->loose_policies = changes->loose;
    world->loose_pods = POD_PARTS * changes->rounds;
    return 0;
}

void bench_changes_done(struct bench_changes *changes)
{
    for (size_t i = 0; i < BENCH_CHANGE_COUNT; i++) {
        bench_samples_done(&changes->costs[i].store);
        bench_samples_done(&changes->costs[i].compile);
        bench_samples_done(&changes->costs[i].apply);
        bench_samples_done(&changes->costs[i].total);
    }
    bench_samples_done(&changes->sweep);
    free(changes->here);
    free(changes->elsewhere);
    free(changes->loose);
}

/* ---- units of one object -------------------------------------------------------------------- */

static int put_decoded(struct bench_changes *changes, const char *unit,
                       struct fence_decoded_list *list, struct fence_err *err)
{
    if (list->count != 1 || list->items[0].error)
        return fence_err_set(err, -EINVAL, "%s: %s", unit,
                             list->count == 1 ? list->items[0].error : "not one object");
    return fence_store_put(changes->store, OWN_UNIT_ORDER, unit, list, err);
}

static int put_text(struct bench_changes *changes, const char *unit, const char *text, size_t size,
                    struct fence_err *err)
{
    struct fence_decoded_list list = {0};
    uint64_t begin = fence_clock_boot_ns();
    int r = fence_decode_stream(text, size, &list, err);

    if (r == 0)
        r = put_decoded(changes, unit, &list, err);
    fence_decoded_list_done(&list);
    changes->store_ns += fence_clock_boot_ns() - begin;
    return r < 0 ? r : 0;
}

/* The text that is being written, and the unit that it will be. */
struct text {
    char unit[64];
    char *data;
    size_t size;
    FILE *out;
};

static FILE *begin_text(struct text *text, const char *kind, unsigned int number)
{
    *text = (struct text){.out = NULL};
    snprintf(text->unit, sizeof(text->unit), "%s/%u", kind, number);
    text->out = open_memstream(&text->data, &text->size);
    if (!text->out)
        abort();
    return text->out;
}

static int end_text(struct bench_changes *changes, struct text *text, struct fence_err *err)
{
    int r = fclose(text->out) == 0 ? put_text(changes, text->unit, text->data, text->size, err)
                                   : fence_err_set(err, -EIO, "writing %s", text->unit);

    free(text->data);
    return r;
}

static int put_pod(struct bench_changes *changes, const struct bench_pod *pod,
                   struct fence_err *err)
{
    struct text text;

    bench_pod_write(begin_text(&text, "pod", pod->index), changes->world, pod);
    return end_text(changes, &text, err);
}

static int put_policy(struct bench_changes *changes, const struct bench_policy *policy,
                      struct fence_err *err)
{
    struct text text;

    bench_policy_write(begin_text(&text, "policy", policy->index), changes->world, policy);
    return end_text(changes, &text, err);
}

static int put_namespace(struct bench_changes *changes, unsigned int number, unsigned int step,
                         struct fence_err *err)
{
    struct text text;

    bench_namespace_write(begin_text(&text, "namespace", number), number, step);
    return end_text(changes, &text, err);
}

static int remove_unit(struct bench_changes *changes, const char *kind, unsigned int number,
                       struct fence_err *err)
{
    uint64_t begin = fence_clock_boot_ns();
    char unit[64];
    int r;

    snprintf(unit, sizeof(unit), "%s/%u", kind, number);
    r = fence_store_remove(changes->store, unit);
    changes->store_ns += fence_clock_boot_ns() - begin;
    return r == 1 ? 0 : fence_err_set(err, -ENOENT, "%s was not there", unit);
}

int bench_changes_load(struct bench_changes *changes, struct fence_err *err)
{
    const struct bench_world *world = changes->world;
    int r = 0;

    for (unsigned int i = 0; r == 0 && i < BENCH_NAMESPACES; i++)
        r = put_namespace(changes, i, 0, err);
    for (unsigned int i = world->pods - world->loose_pods; r == 0 && i < world->pods; i++) {
        const struct bench_pod pod = bench_pod_at(world, i);

        r = put_pod(changes, &pod, err);
    }
    for (size_t i = 0; r == 0 && i < changes->here_count; i++)
        r = put_policy(changes, &changes->here[i], err);
    for (size_t i = 0; r == 0 && i < changes->elsewhere_count; i++)
        r = put_policy(changes, &changes->elsewhere[i], err);
    return r;
}

/* ---- the changes ---------------------------------------------------------------------------- */

/* A remote pod that is not there yet; each round has two. */
static int add_pod(struct bench_changes *changes, unsigned int number, unsigned int label_set,
                   struct fence_err *err)
{
    const struct bench_world *world = changes->world;
    struct bench_pod pod = bench_pod_at(world, world->pods + number);

    pod.label_set = label_set;
    return put_pod(changes, &pod, err);
}

/* The i-th pod of one of the POD_PARTS. */
static struct bench_pod loose_pod(const struct bench_changes *changes, unsigned int part,
                                  unsigned int i)
{
    const struct bench_world *world = changes->world;

    return bench_pod_at(world, world->pods - 1 - part * changes->rounds - i);
}

/* Labels change, the namespace does not. */
static int relabel(struct bench_changes *changes, unsigned int part, unsigned int round,
                   struct fence_err *err)
{
    struct bench_pod pod = loose_pod(changes, part, round);
    unsigned int space = bench_namespace_of(pod.label_set);

    if (part == 2)
        pod.label_set = BENCH_LABEL_SETS + (2 * round + 1) * BENCH_NAMESPACES + space;
    else if (pod.label_set + BENCH_NAMESPACES < changes->world->label_sets)
        pod.label_set += BENCH_NAMESPACES;
    else
        pod.label_set = space;
    return put_pod(changes, &pod, err);
}

static struct bench_pod new_local(const struct bench_changes *changes, unsigned int round)
{
    const struct bench_world *world = changes->world;

    return (struct bench_pod){.index = world->pods + 2 * changes->rounds + round,
                              .label_set = bench_mix(world->pods + round) % world->label_sets,
                              .slot = world->locals + round};
}

static int add_local(struct bench_changes *changes, unsigned int round, struct fence_err *err)
{
    struct bench_pod pod = new_local(changes, round);
    int r = bench_locals_add(changes->locals, changes->pins, changes->world, &pod, err);

    return r < 0 ? r : put_pod(changes, &pod, err);
}

static int delete_local(struct bench_changes *changes, unsigned int round, struct fence_err *err)
{
    struct bench_pod pod = new_local(changes, round);
    int r = bench_locals_remove(changes->locals, changes->pins, err);

    return r < 0 ? r : remove_unit(changes, "pod", pod.index, err);
}

static int change_here(struct bench_changes *changes, unsigned int number, bool port,
                       struct fence_err *err)
{
    struct bench_policy *policy = &changes->here[number % changes->here_count];

    policy->port_step += port;
    policy->peer_step += !port;
    return put_policy(changes, policy, err);
}

static int change_elsewhere(struct bench_changes *changes, unsigned int round,
                            struct fence_err *err)
{
    struct bench_policy *policy = &changes->elsewhere[round % changes->elsewhere_count];

    policy->port_step++;
    return put_policy(changes, policy, err);
}

static int add_block(struct bench_changes *changes, unsigned int round, struct fence_err *err)
{
    const struct bench_world *world = changes->world;
    struct text text;

    bench_block_policy_write(begin_text(&text, "block", round), round,
                             bench_pod_at(world, round % world->locals).label_set);
    return end_text(changes, &text, err);
}

static int make_to_pods(struct bench_changes *changes, enum bench_change change, unsigned int round,
                        struct fence_err *err)
{
    const struct bench_world *world = changes->world;

    switch ((int)change) {
    case BENCH_POD_ADDED:
        return add_pod(changes, 2 * round, bench_mix(round) % world->label_sets, err);
    case BENCH_POD_ADDED_NEW:
        return add_pod(changes, 2 * round + 1,
                       BENCH_LABEL_SETS + 2 * round * BENCH_NAMESPACES +
                           bench_mix(round) % BENCH_NAMESPACES,
                       err);
    case BENCH_POD_RELABELLED:
        return relabel(changes, 1, round, err);
    case BENCH_POD_RELABELLED_NEW:
        return relabel(changes, 2, round, err);
    case BENCH_POD_DELETED:
        return remove_unit(changes, "pod", loose_pod(changes, 0, round).index, err);
    case BENCH_LOCAL_ADDED:
        return add_local(changes, round, err);
    case BENCH_LOCAL_DELETED:
        return delete_local(changes, round, err);
    default:
        return 0;
    }
}

static int make(struct bench_changes *changes, enum bench_change change, unsigned int round,
                struct fence_err *err)
{
    switch ((int)change) {
    case BENCH_POLICY_PORT:
        return change_here(changes, 2 * round, true, err);
    case BENCH_POLICY_PEER:
        return change_here(changes, 2 * round + 1, false, err);
    case BENCH_POLICY_ELSEWHERE:
        return change_elsewhere(changes, round, err);
    case BENCH_BLOCK_ADDED:
        return add_block(changes, round, err);
    case BENCH_BLOCK_REMOVED:
        return remove_unit(changes, "block", round, err);
    case BENCH_NAMESPACE:
        return put_namespace(changes, round % BENCH_NAMESPACES, 1 + round / BENCH_NAMESPACES, err);
    default:
        return make_to_pods(changes, change, round, err);
    }
}

static int add_samples(struct bench_changes *changes, enum bench_change change,
                       const struct engine_cost *cost)
{
    struct bench_cost *costs = &changes->costs[change];
    int r = bench_samples_add(&costs->store, changes->store_ns);

    if (r == 0)
        r = bench_samples_add(&costs->compile, cost->compile_ns);
    if (r == 0)
        r = bench_samples_add(&costs->apply, cost->apply_ns);
    if (r == 0)
        r = bench_samples_add(&costs->total, cost->compile_ns + cost->apply_ns);
    costs->writes += cost->writes;
    if (cost->failures && changes->failures == 0)
        memcpy(changes->failure, cost->failure, sizeof(changes->failure));
    changes->failures += cost->failures;
    return r;
}

static int measure(struct bench_changes *changes, struct engine *engine, enum bench_change change,
                   unsigned int round, struct fence_err *err)
{
    const struct bench_locals *locals = changes->locals;
    struct engine_cost cost = {0};
    int r;

    changes->store_ns = 0;
    r = make(changes, change, round, err);
    if (r == 0)
        r = engine_update(engine, locals->items, locals->count, &cost, err);
    if (r < 0)
        return fence_err_prefix(err, r, "%s", names[change]);
    return add_samples(changes, change, &cost);
}

int bench_changes_run(struct bench_changes *changes, struct engine *engine, double seconds,
                      struct fence_err *err)
{
    uint64_t begin = fence_clock_boot_ns();
    int r = 0;

    for (unsigned int round = 0; r == 0 && round < changes->rounds; round++) {
        uint64_t sweep_ns = 0;

        if (round >= MIN_ROUNDS && (double)(fence_clock_boot_ns() - begin) / 1e9 > seconds)
            break;
        for (unsigned int change = 0; r == 0 && change < BENCH_CHANGE_COUNT; change++)
            r = measure(changes, engine, (enum bench_change)change, round, err);
        if (r == 0)
            r = engine_sweep(engine, &sweep_ns, err);
        if (r == 0)
            r = bench_samples_add(&changes->sweep, sweep_ns);
    }
    return r;
}

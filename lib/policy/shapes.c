/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A shape is all that policies can know of a pod: its namespace, labels and ports. Pods are many,
 * shapes are few, so what a pod costs is to find its shape.
 */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/shared.h"
#include "lib/policy/compiler.h"

/* Labels that the system adds: they tell replicas or revisions apart, not applications. */
bool fence_label_is_system(const char *key)
{
    static const char *const keys[] = {
        "pod-template-hash",
        "controller-revision-hash",
        "pod-template-generation",
        "statefulset.kubernetes.io/pod-name",
        "apps.kubernetes.io/pod-index",
        "controller-uid",
        "job-name",
    };
    static const char *const prefixes[] = {"batch.kubernetes.io/", "topology.kubernetes.io/"};

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(keys); i++)
        if (strcmp(keys[i], key) == 0)
            return true;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(prefixes); i++)
        if (strncmp(prefixes[i], key, strlen(prefixes[i])) == 0)
            return true;
    return false;
}

const char *fence_missing_label(const struct fence_compile_options *options,
                                const struct fence_labels *labels)
{
    for (size_t i = 0; i < options->required_label_count; i++)
        if (!fence_labels_get(labels, options->required_labels[i]))
            return options->required_labels[i];
    return NULL;
}

/* ---- what a shape shows --------------------------------------------------------------------- */

/* The labels that make the identity; borrowed. */
static int choose_labels(struct fence_compiler *compiler, const struct fence_labels *labels)
{
    struct fence_labels *shown = &compiler->shown;

    shown->count = 0;
    for (size_t i = 0; i < labels->count; i++) {
        const char *key = labels->items[i].key;

        if (fence_label_is_system(key) && !fence_counts_has(&compiler->keys, key))
            continue;
        if (FENCE_GROW(shown->items, shown->capacity, shown->count) < 0)
            return -ENOMEM;
        shown->items[shown->count++] = labels->items[i];
    }
    return 0;
}

/* The ports whose names some egress rule asks for. */
static const struct fence_ports *choose_ports(struct fence_compiler *compiler,
                                              const struct fence_ports *ports)
{
    size_t count = 0;

    for (size_t i = 0; i < ports->count; i++) {
        if (!fence_counts_has(&compiler->names, ports->items[i].name))
            continue;
        if (FENCE_GROW(compiler->chosen, compiler->chosen_capacity, count) < 0)
            return NULL;
        compiler->chosen[count++] = ports->items[i];
    }
    return fence_ports_shared(compiler->chosen, count);
}

static int make_identity(struct fence_compiler *compiler, const struct fence_shape *shape,
                         uint32_t *ret_identity)
{
    const struct fence_book_namespace *home = &compiler->namespaces[shape->namespace_index];
    struct fence_text *text = &compiler->text;
    const char *app = fence_labels_app(shape->labels);
    struct fence_identity_draft draft = {
        .kind = FENCE_KIND_POD,
        .namespace_name = home->name,
        .app = app ? app : shape->name,
        .labels = &compiler->shown,
    };
    int r = choose_labels(compiler, shape->labels);

    if (r < 0)
        return r;
    fence_text_clear(text);
    fence_text_add(text, "pod ");
    fence_text_string(text, home->name);
    fence_text_labels(text, home->labels);
    fence_text_labels(text, &compiler->shown);
    if (text->failed)
        return -ENOMEM;
    draft.content = text->data;
    return fence_identity_get(compiler, &draft, ret_identity);
}

/* Look at the shape again. 1: pods of it have another peer now. */
static int refresh(struct fence_compiler *compiler, struct fence_shape *shape)
{
    const struct fence_ports *named = choose_ports(compiler, shape->ports);
    uint32_t identity = FENCE_PLAN_NONE;
    bool changed;
    int r = named ? 0 : -ENOMEM;

    if (r == 0 && !fence_missing_label(&compiler->options, shape->labels))
        r = make_identity(compiler, shape, &identity);
    if (r < 0) {
        fence_ports_unref(&named);
        return r;
    }
    changed = identity != shape->identity || named != shape->named;
    if (identity != FENCE_PLAN_NONE)
        FENCE_PLAN_REF(compiler->plan, identities, identity);
    if (shape->identity != FENCE_PLAN_NONE)
        FENCE_PLAN_UNREF(compiler->plan, identities, shape->identity);
    shape->identity = identity;
    fence_ports_unref(&shape->named);
    shape->named = named;
    return changed;
}

/* ---- finding and counting ------------------------------------------------------------------- */

/* Shared things are equal when their pointers are. */
struct packed_key {
    const struct fence_labels *labels;
    const struct fence_ports *ports;
    uint64_t namespace_index;
};

static struct packed_key pack(uint32_t namespace_index, const struct fence_labels *labels,
                              const struct fence_ports *ports)
{
    return (struct packed_key){
        .labels = labels, .ports = ports, .namespace_index = namespace_index};
}

bool fence_shape_find(const struct fence_compiler *compiler, const struct fence_shape_key *key,
                      uint32_t *ret_shape)
{
    struct packed_key packed = pack(key->namespace_index, key->labels, key->ports);

    return fence_intern_find(&compiler->shape_keys, &packed, sizeof(packed), ret_shape);
}

static int add_shape(struct fence_compiler *compiler, const struct fence_shape_key *key,
                     uint32_t *ret_shape)
{
    struct packed_key packed = pack(key->namespace_index, key->labels, key->ports);
    const char *home = compiler->namespaces[key->namespace_index].name;
    uint32_t index = (uint32_t)compiler->shape_count;
    struct fence_shape *shape;
    uint32_t ignored;
    int r;

    if (compiler->free_shapes.count)
        index = compiler->free_shapes.items[--compiler->free_shapes.count];
    else if (FENCE_GROW(compiler->shapes, compiler->shape_capacity, compiler->shape_count) < 0)
        return -ENOMEM;
    else
        compiler->shape_count++;
    shape = &compiler->shapes[index];
    *shape = (struct fence_shape){
        .namespace_index = key->namespace_index,
        .labels = fence_shared_labels_ref(key->labels),
        .ports = fence_ports_ref(key->ports),
        .name = fence_shared_string(key->name),
        .identity = FENCE_PLAN_NONE,
    };
    r = fence_namespace_use(compiler, home, &ignored);
    if (r == 0)
        r = fence_intern_put(&compiler->shape_keys, &packed, sizeof(packed), index, ret_shape);
    if (r >= 0)
        r = shape->name ? refresh(compiler, shape) : -ENOMEM;
    return r < 0 ? r : 0;
}

int fence_shape_use(struct fence_compiler *compiler, const struct fence_shape_key *key,
                    uint32_t *ret_shape)
{
    int r = fence_shape_find(compiler, key, ret_shape) ? 0 : add_shape(compiler, key, ret_shape);

    if (r == 0)
        compiler->shapes[*ret_shape].uses++;
    return r;
}

void fence_shape_leave(struct fence_compiler *compiler, uint32_t index)
{
    /* without memory for the list it merely stays */
    if (--compiler->shapes[index].uses == 0)
        (void)fence_indices_add(&compiler->idle_shapes, index);
}

static void free_shape(struct fence_compiler *compiler, uint32_t index)
{
    struct fence_shape *shape = &compiler->shapes[index];
    struct packed_key packed = pack(shape->namespace_index, shape->labels, shape->ports);

    fence_intern_remove(&compiler->shape_keys, &packed, sizeof(packed));
    if (shape->identity != FENCE_PLAN_NONE)
        FENCE_PLAN_UNREF(compiler->plan, identities, shape->identity);
    fence_namespace_leave(compiler, shape->namespace_index);
    fence_shared_labels_unref(&shape->labels);
    fence_ports_unref(&shape->ports);
    fence_ports_unref(&shape->named);
    fence_shared_string_unref(&shape->name);
    *shape = (struct fence_shape){0};
}

void fence_shapes_settle(struct fence_compiler *compiler)
{
    for (size_t i = 0; i < compiler->idle_shapes.count; i++) {
        uint32_t index = compiler->idle_shapes.items[i];

        /* in use again, or in the list twice */
        if (!compiler->shapes[index].labels || compiler->shapes[index].uses)
            continue;
        free_shape(compiler, index);
        (void)fence_indices_add(&compiler->free_shapes, index);
    }
    compiler->idle_shapes.count = 0;
}

static bool is_concerned(const struct fence_compiler *compiler, const struct fence_shape *shape)
{
    if (!shape->labels)
        return false;
    return compiler->namespaces[shape->namespace_index].stale || compiler->keys.changed ||
           (compiler->names.changed && shape->ports->count);
}

int fence_shapes_refresh(struct fence_compiler *compiler)
{
    for (size_t i = 0; i < compiler->shape_count; i++) {
        struct fence_shape *shape = &compiler->shapes[i];
        int r = is_concerned(compiler, shape) ? refresh(compiler, shape) : 0;

        if (r < 0)
            return r;
        if (r > 0)
            compiler->namespaces[shape->namespace_index].stale = true;
    }
    return 0;
}

void fence_shapes_done(struct fence_compiler *compiler)
{
    for (size_t i = 0; i < compiler->shape_count; i++) {
        struct fence_shape *shape = &compiler->shapes[i];

        fence_shared_labels_unref(&shape->labels);
        fence_ports_unref(&shape->ports);
        fence_ports_unref(&shape->named);
        fence_shared_string_unref(&shape->name);
    }
    free(compiler->shapes);
    free(compiler->free_shapes.items);
    free(compiler->idle_shapes.items);
    free(compiler->shown.items);
    free(compiler->chosen);
    fence_intern_done(&compiler->shape_keys);
}

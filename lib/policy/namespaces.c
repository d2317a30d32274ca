/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces that somebody belongs to, and their labels. */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/shared.h"
#include "lib/policy/compiler.h"

int fence_indices_add(struct fence_indices *indices, uint32_t index)
{
    if (FENCE_GROW(indices->items, indices->capacity, indices->count) < 0)
        return -ENOMEM;
    indices->items[indices->count++] = index;
    return 0;
}

void fence_indices_remove(struct fence_indices *indices, uint32_t index)
{
    for (size_t i = 0; i < indices->count; i++) {
        if (indices->items[i] != index)
            continue;
        indices->items[i] = indices->items[--indices->count];
        return;
    }
}

/* Without an object a namespace has its name for a label, as the API server would give it. */
static const struct fence_labels *bare_labels(const char *name)
{
    static char key[] = "kubernetes.io/metadata.name";
    char value[64];
    struct fence_label item = {.key = key, .value = value};
    struct fence_labels labels = {.items = &item, .count = 1};

    snprintf(value, sizeof(value), "%s", name);
    return fence_shared_labels(&labels);
}

static const struct fence_labels *labels_of(const struct fence_object *object, const char *name)
{
    return object ? fence_shared_labels_ref(object->namespace_labels) : bare_labels(name);
}

static int add_namespace(struct fence_compiler *compiler, const char *name, uint32_t *ret_index)
{
    const struct fence_compile_options *options = &compiler->options;
    struct fence_book_namespace added = {.name = fence_shared_string(name)};
    uint32_t index = 0;
    int r = added.name ? 0 : -ENOMEM;

    added.labels =
        labels_of(options->find(options->find_context, FENCE_OBJECT_NAMESPACE, "", name), name);
    while (index < compiler->namespace_count && compiler->namespaces[index].name)
        index++;
    if (!added.labels || (index == compiler->namespace_count &&
                          FENCE_GROW(compiler->namespaces, compiler->namespace_capacity,
                                     compiler->namespace_count) < 0))
        r = -ENOMEM;
    if (r == 0)
        r = fence_intern_put(&compiler->namespace_names, name, strlen(name), index, ret_index);
    if (r < 0) {
        fence_shared_labels_unref(&added.labels);
        fence_shared_string_unref(&added.name);
        return r;
    }
    if (index == compiler->namespace_count)
        compiler->namespace_count++;
    compiler->namespaces[index] = added;
    return 0;
}

int fence_namespace_use(struct fence_compiler *compiler, const char *name, uint32_t *ret_index)
{
    int r = 0;

    if (!fence_intern_find(&compiler->namespace_names, name, strlen(name), ret_index))
        r = add_namespace(compiler, name, ret_index);
    if (r == 0)
        compiler->namespaces[*ret_index].users++;
    return r;
}

static void free_namespace(struct fence_book_namespace *gone)
{
    fence_shared_string_unref(&gone->name);
    fence_shared_labels_unref(&gone->labels);
    free(gone->policies.items);
    *gone = (struct fence_book_namespace){0};
}

void fence_namespace_leave(struct fence_compiler *compiler, uint32_t index)
{
    struct fence_book_namespace *left = &compiler->namespaces[index];

    if (--left->users)
        return;
    fence_intern_remove(&compiler->namespace_names, left->name, strlen(left->name));
    free_namespace(left);
}

int fence_namespace_change(struct fence_compiler *compiler, const struct fence_change *change)
{
    const char *name = change->after ? change->after->name : change->before->name;
    const struct fence_labels *labels;
    uint32_t index;

    if (!fence_intern_find(&compiler->namespace_names, name, strlen(name), &index))
        return 0;
    labels = labels_of(change->after, name);
    if (!labels)
        return -ENOMEM;
    if (labels != compiler->namespaces[index].labels)
        compiler->namespaces[index].stale = true;
    fence_shared_labels_unref(&compiler->namespaces[index].labels);
    compiler->namespaces[index].labels = labels;
    for (size_t i = 0; compiler->namespaces[index].stale && i < compiler->subject_count; i++)
        if (compiler->subjects[i]->namespace_index == index)
            compiler->subjects[i]->resolve = true;
    return 0;
}

void fence_namespaces_done(struct fence_compiler *compiler)
{
    for (size_t i = 0; i < compiler->namespace_count; i++)
        free_namespace(&compiler->namespaces[i]);
    free(compiler->namespaces);
    fence_intern_done(&compiler->namespace_names);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/datapath/walk.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"

#define BATCH_BYTES 262144u
#define BATCH_FIRST 16u

static bool is_per_cpu(__u32 type)
{
    return type == BPF_MAP_TYPE_PERCPU_ARRAY || type == BPF_MAP_TYPE_PERCPU_HASH ||
           type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

int fence_map_shape(int fd, struct fence_map_shape *ret_shape)
{
    struct bpf_map_info info = {0};
    __u32 size = sizeof(info);
    int cpus = 1;
    int r = bpf_obj_get_info_by_fd(fd, &info, &size);

    if (r < 0)
        return r;
    if (is_per_cpu(info.type)) {
        cpus = libbpf_num_possible_cpus();
        if (cpus < 0)
            return cpus;
        info.value_size = (info.value_size + 7) & ~7u;
    }
    *ret_shape = (struct fence_map_shape){
        .type = info.type,
        .key_size = info.key_size,
        .value_size = info.value_size * (__u32)cpus,
        .max_entries = info.max_entries,
        .flags = info.map_flags,
    };
    return 0;
}

struct walk {
    int fd;
    struct fence_map_shape shape;
    __u32 capacity; /* entries in the buffers */
    char *keys;
    char *values;
    char *position; /* where the kernel goes on: opaque, at most a key */
    bool started;
};

static void walk_done(struct walk *walk)
{
    free(walk->keys);
    free(walk->values);
    free(walk->position);
}

static int walk_resize(struct walk *walk, __u32 capacity)
{
    char *keys = realloc(walk->keys, (size_t)capacity * walk->shape.key_size);

    if (!keys)
        return -ENOMEM;
    walk->keys = keys;
    char *values = realloc(walk->values, (size_t)capacity * walk->shape.value_size);
    if (!values)
        return -ENOMEM;
    walk->values = values;
    walk->capacity = capacity;
    return 0;
}

static int walk_init(struct walk *walk, int fd)
{
    __u32 capacity;
    int r;

    *walk = (struct walk){.fd = fd};
    r = fence_map_shape(fd, &walk->shape);
    if (r < 0)
        return r;
    capacity = BATCH_BYTES / (walk->shape.key_size + walk->shape.value_size);
    r = walk_resize(walk, capacity > BATCH_FIRST ? capacity : BATCH_FIRST);
    walk->position = calloc(1, walk->shape.key_size + sizeof(__u64));
    return r == 0 && !walk->position ? -ENOMEM : r;
}

/* The next entries; -ENOENT when these are the last. */
static int walk_next(struct walk *walk, __u32 *ret_count)
{
    __u32 count;
    int r;

    for (;;) {
        count = walk->capacity;
        r = bpf_map_lookup_batch(walk->fd, walk->started ? walk->position : NULL, walk->position,
                                 walk->keys, walk->values, &count, NULL);
        if (r != -ENOSPC)
            break;
        /* A hash bucket that does not fit into the buffer. */
        r = walk_resize(walk, walk->capacity * 2);
        if (r < 0)
            return r;
    }
    walk->started = true;
    if (r == 0 || r == -ENOENT)
        *ret_count = count;
    return r;
}

static int walk_all(struct walk *walk, fence_map_visit visit, void *context)
{
    bool last = false;
    __u32 count = 0;
    int r = 0;

    while (!last) {
        r = walk_next(walk, &count);
        if (r < 0 && r != -ENOENT)
            return r;
        last = r == -ENOENT;
        for (__u32 i = 0; i < count; i++) {
            r = visit(context, walk->keys + (size_t)i * walk->shape.key_size,
                      walk->values + (size_t)i * walk->shape.value_size);
            if (r != 0)
                return r;
        }
    }
    return 0;
}

int fence_map_walk(int fd, fence_map_visit visit, void *context)
{
    struct walk walk;
    int r = walk_init(&walk, fd);

    if (r == 0)
        r = walk_all(&walk, visit, context);
    walk_done(&walk);
    return r;
}

struct collect {
    fence_map_match match;
    void *context;
    size_t key_size;
    char *keys;
    size_t count;
    size_t capacity;
};

static int collect_visit(void *context, const void *key, const void *value)
{
    struct collect *collect = context;
    int r;

    if (!collect->match(collect->context, key, value))
        return 0;
    r = fence_array_grow((void **)&collect->keys, &collect->capacity, collect->count,
                         collect->key_size);
    if (r < 0)
        return r;
    memcpy(collect->keys + collect->count++ * collect->key_size, key, collect->key_size);
    return 0;
}

int fence_map_collect(int fd, fence_map_match match, void *context, void **ret_keys,
                      size_t *ret_count)
{
    struct collect collect = {.match = match, .context = context};
    struct fence_map_shape shape;
    int r = fence_map_shape(fd, &shape);

    if (r < 0)
        return r;
    collect.key_size = shape.key_size;
    r = fence_map_walk(fd, collect_visit, &collect);
    if (r < 0) {
        free(collect.keys);
        return r;
    }
    *ret_keys = collect.keys;
    *ret_count = collect.count;
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "test/datapath/writes.h"

#include <bpf/bpf.h>
#include <stddef.h>

static const struct writes_watcher *current;

void writes_watch(const struct writes_watcher *watcher)
{
    current = watcher;
}

static int tell(int fd, int result)
{
    const struct writes_watcher *watcher = current;

    if (result < 0 || !watcher)
        return result;
    current = NULL;
    watcher->wrote(watcher->context, fd);
    current = watcher;
    return result;
}

/* ld --wrap gives these their names */
// NOLINTBEGIN(bugprone-reserved-identifier)
int __real_bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags);
int __wrap_bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags);
int __real_bpf_map_delete_elem(int fd, const void *key);
int __wrap_bpf_map_delete_elem(int fd, const void *key);
int __real_bpf_map_update_batch(int fd, const void *keys, const void *values, __u32 *count,
                                const struct bpf_map_batch_opts *opts);
int __wrap_bpf_map_update_batch(int fd, const void *keys, const void *values, __u32 *count,
                                const struct bpf_map_batch_opts *opts);

int __wrap_bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags)
{
    return tell(fd, __real_bpf_map_update_elem(fd, key, value, flags));
}

int __wrap_bpf_map_delete_elem(int fd, const void *key)
{
    return tell(fd, __real_bpf_map_delete_elem(fd, key));
}

int __wrap_bpf_map_update_batch(int fd, const void *keys, const void *values, __u32 *count,
                                const struct bpf_map_batch_opts *opts)
{
    return tell(fd, __real_bpf_map_update_batch(fd, keys, values, count, opts));
}
// NOLINTEND(bugprone-reserved-identifier)

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/datapath/program.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#define PROG_MAPS_MAX 64

int fence_prog_id(int fd, __u32 *ret_id)
{
    struct bpf_prog_info info = {0};
    __u32 size = sizeof(info);
    int r = bpf_obj_get_info_by_fd(fd, &info, &size);

    if (r < 0)
        return r;
    *ret_id = info.id;
    return 0;
}

struct identity {
    unsigned char tag[BPF_TAG_SIZE];
    __u32 map_count;
    __u32 maps[PROG_MAPS_MAX];
};

static int prog_identity(int fd, struct identity *identity)
{
    struct bpf_prog_info info = {0};
    __u32 size = sizeof(info);
    int r;

    memset(identity, 0, sizeof(*identity));
    info.nr_map_ids = PROG_MAPS_MAX;
    info.map_ids = (__u64)(unsigned long)identity->maps;
    r = bpf_obj_get_info_by_fd(fd, &info, &size);
    if (r < 0)
        return r;
    if (info.nr_map_ids > PROG_MAPS_MAX)
        return -E2BIG;
    memcpy(identity->tag, info.tag, sizeof(identity->tag));
    identity->map_count = info.nr_map_ids;
    return 0;
}

int fence_progs_equal(int fd, int other_fd, bool *ret_equal)
{
    struct identity one;
    struct identity other;
    int r = prog_identity(fd, &one);

    if (r == 0)
        r = prog_identity(other_fd, &other);
    if (r < 0)
        return r;
    /* The tag does not cover which maps the instructions refer to. */
    *ret_equal = memcmp(&one, &other, sizeof(one)) == 0;
    return 0;
}

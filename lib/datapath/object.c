/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asked before loading, since one function too many refuses the whole object: libbpf would look for
 * a missing one, even a weak one, in the modules' BTF, which takes SYS_ADMIN.
 */
#include "lib/datapath/object.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/abi.h"
#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "podfence.skel.h"
#include "podfence_plain.skel.h"

enum {
    CPUS_MAX = 65536,
    FILE_MAX = 65536, /* bytes */
};

int fence_kernel_structs_parse(const char *text, enum fence_kernel_structs *ret_structs)
{
    if (strcmp(text, "auto") != 0 && strcmp(text, "off") != 0)
        return -EINVAL;
    *ret_structs = text[0] == 'a' ? FENCE_KERNEL_STRUCTS_AUTO : FENCE_KERNEL_STRUCTS_OFF;
    return 0;
}

/* What kernel.bpf.h takes has to be in the kernel's own BTF, which also describes what several of
 * its parts share with a module. */
const char *fence_kernel_structs_missing(void)
{
    static const struct {
        const char *name;
        __u32 kind;
    } needed[] = {
        {"bpf_cast_to_kern_ctx", BTF_KIND_FUNC},
        {"bpf_rdonly_cast", BTF_KIND_FUNC},
        {"nf_conntrack_tuple", BTF_KIND_STRUCT},
    };
    struct btf *kernel = btf__load_vmlinux_btf();
    size_t found = 0;

    if (!kernel)
        return "BTF";
    while (found < FENCE_ARRAY_SIZE(needed) &&
           btf__find_by_name_kind(kernel, needed[found].name, needed[found].kind) > 0)
        found++;
    btf__free(kernel);
    return found < FENCE_ARRAY_SIZE(needed) ? needed[found].name : NULL;
}

static const char possible[] = "/sys/devices/system/cpu/possible"; /* such as 0-3,8-11 */

/* One more than the highest number that a CPU can have, for numbers may have gaps; -errno. */
static int possible_cpus(void)
{
    FENCE_FREE char *text = NULL;
    unsigned long last = CPUS_MAX;
    char *end;
    size_t size;
    int r = fence_file_read(AT_FDCWD, possible, FILE_MAX, &text, &size, NULL);

    if (r < 0)
        return r;
    for (char *at = text; *at; at = end) {
        end = at + 1;
        if (isdigit((unsigned char)*at))
            last = strtoul(at, &end, 10);
    }
    return last < CPUS_MAX ? (int)last + 1 : -EINVAL;
}

int fence_object_size(struct bpf_object *object, struct fence_err *err)
{
    int cpus = possible_cpus();
    int r = cpus < 0 ? cpus
                     : bpf_map__set_max_entries(bpf_object__find_map_by_name(object, "pairs"),
                                                (__u32)cpus * FENCE_CPU_PAIRS);

    return r < 0 ? fence_err_set(err, r,
                                 "sizing the pairs map: %s does not say which CPUs there may be: "
                                 "%s; is sysfs mounted at /sys?",
                                 possible, strerror(-r))
                 : 0;
}

int fence_object_open(enum fence_kernel_structs structs, struct bpf_object **ret_object,
                      bool *ret_plain)
{
    LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "podfence");
    bool plain = structs == FENCE_KERNEL_STRUCTS_OFF || fence_kernel_structs_missing();
    struct bpf_object *object;
    const void *bytes;
    size_t size;

    bytes = plain ? podfence_plain_bpf__elf_bytes(&size) : podfence_bpf__elf_bytes(&size);
    object = bpf_object__open_mem(bytes, size, &opts);
    if (!object)
        return -errno;
    *ret_object = object;
    *ret_plain = plain;
    return 0;
}

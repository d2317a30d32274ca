/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asked before loading, since one function too many refuses the whole object: libbpf would look for
 * a missing one, even a weak one, in the modules' BTF, which takes SYS_ADMIN.
 */
#include "lib/datapath/object.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "podfence.skel.h"
#include "podfence_plain.skel.h"

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

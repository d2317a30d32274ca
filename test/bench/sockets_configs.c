/* SPDX-License-Identifier: Apache-2.0 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/bench/sockets.h"

/* linux/bpf.h of 6.6 and later; Debian 12 compiles with 6.1. */
#define TCX_INGRESS 46
#define TCX_EGRESS  47

static int open_namespace(const char *name, struct fence_err *err)
{
    char path[128];
    int fd;

    snprintf(path, sizeof(path), "/run/netns/%s", name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? fence_err_set(err, -errno, "%s: %s", path, strerror(errno)) : fd;
}

static int read_line(const char *line, struct sockets_run *run, struct fence_err *err)
{
    struct sockets_config config = {.index = (unsigned int)run->count};
    char key[32], client[64], server[64], node[64];

    if (sscanf(line, "%31s %63s %63s %63s %47s %15s %15s %255s", key, client, server, node,
               config.address, config.links[0], config.links[1], config.changes) != 8)
        return fence_err_set(err, -EINVAL, "not eight words: %s", line);
    config.kind = sockets_kind_find(key);
    if (!config.kind || run->count == SOCKETS_MAX)
        return fence_err_set(err, -EINVAL, "unknown, or one too many: %s", key);
    if (strcmp(config.changes, "-") == 0)
        config.changes[0] = '\0';
    config.client = open_namespace(client, err);
    config.server = config.client < 0 ? -1 : open_namespace(server, err);
    config.node = config.server < 0 ? -1 : open_namespace(node, err);
    if (config.node < 0)
        return config.node;
    run->configs[run->count++] = config;
    return 0;
}

int sockets_configs_read(const char *path, struct sockets_run *run, struct fence_err *err)
{
    FENCE_FCLOSE FILE *file = fopen(path, "r");
    char line[1024];
    int r = 0;

    if (!file)
        return fence_err_set(err, -errno, "%s: %s", path, strerror(errno));
    while (r == 0 && fgets(line, sizeof(line), file))
        r = read_line(line, run, err);
    if (r == 0 && (run->count < 2 || (strcmp(run->configs[0].kind->key, "none") != 0 &&
                                      strcmp(run->configs[0].kind->key, "events-off") != 0)))
        r = fence_err_set(err, -EINVAL,
                          "%s: the first line is none to compare with, or the only one", path);
    return r;
}

/* ---- programs that do nothing --------------------------------------------------------------- */

static int load_nothing(void)
{
    const struct bpf_insn instructions[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = TC_ACT_UNSPEC},
        {.code = BPF_JMP | BPF_EXIT},
    };

    return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "nothing", "GPL", instructions,
                         FENCE_ARRAY_SIZE(instructions), NULL);
}

int sockets_attach_empty(struct sockets_config *config, struct fence_err *err)
{
    static const int hooks[] = {TCX_INGRESS, TCX_EGRESS};
    FENCE_CLOSE int program = load_nothing();

    if (program < 0 || setns(config->node, CLONE_NEWNET) < 0)
        return fence_err_set(err, -errno, "a program that does nothing: %s", strerror(errno));
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(config->empty_links); i++) {
        int index = (int)if_nametoindex(config->links[i / 2]);
        int link = bpf_link_create(program, index, (enum bpf_attach_type)hooks[i % 2], NULL);

        if (link < 0)
            return fence_err_set(err, link, "attaching nothing to %s: %s", config->links[i / 2],
                                 strerror(-link));
        config->empty_links[i] = link;
    }
    return 0;
}

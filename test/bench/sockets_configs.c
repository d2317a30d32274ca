/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <sched.h>
#include <stddef.h>
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

/* ---- programs that know no policy ----------------------------------------------------------- */

static int load_nothing(void)
{
    const struct bpf_insn instructions[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = TC_ACT_UNSPEC},
        {.code = BPF_JMP | BPF_EXIT},
    };

    return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "nothing", "GPL", instructions,
                         FENCE_ARRAY_SIZE(instructions), NULL);
}

/* IPv4 goes straight to the pod behind the device `index`: what the same-node path costs and gains
 * without a policy. */
static int load_peer(int index)
{
    const struct bpf_insn instructions[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = TC_ACT_UNSPEC},
        {.code = BPF_LDX | BPF_MEM | BPF_W,
         .dst_reg = BPF_REG_2,
         .src_reg = BPF_REG_1,
         .off = offsetof(struct __sk_buff, protocol)},
        {.code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = BPF_REG_2, .imm = htons(ETH_P_IP), .off = 5},
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = PACKET_HOST},
        {.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_skb_change_type},
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_1, .imm = index},
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = 0},
        {.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_peer},
        {.code = BPF_JMP | BPF_EXIT},
    };

    return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "peer", "GPL", instructions,
                         FENCE_ARRAY_SIZE(instructions), NULL);
}

static int attach_to(struct sockets_config *config, unsigned int place, struct fence_err *err)
{
    static const enum bpf_attach_type hooks[] = {TCX_INGRESS, TCX_EGRESS};
    int index = (int)if_nametoindex(config->links[place / 2]);
    int other = (int)if_nametoindex(config->links[!(place / 2)]);
    bool hands_over = config->kind->group == SOCKETS_PEER && hooks[place % 2] == TCX_INGRESS;
    FENCE_CLOSE int program = hands_over ? load_peer(other) : load_nothing();
    int link = program < 0 ? program : bpf_link_create(program, index, hooks[place % 2], NULL);

    if (link < 0)
        return fence_err_set(err, link, "attaching %s to %s: %s", config->kind->title,
                             config->links[place / 2], strerror(-link));
    config->program_links[place] = link;
    return 0;
}

int sockets_attach(struct sockets_config *config, struct fence_err *err)
{
    int r = 0;

    if (setns(config->node, CLONE_NEWNET) < 0)
        return fence_err_set(err, -errno, "entering the node: %s", strerror(errno));
    for (unsigned int i = 0; r == 0 && i < FENCE_ARRAY_SIZE(config->program_links); i++)
        r = attach_to(config, i, err);
    return r;
}

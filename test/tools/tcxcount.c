/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcxcount IFINDEX: how many TCX programs an interface has, "INGRESS EGRESS". Debian's bpftool and
 * tc do not show them yet.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* newer than Debian 12's headers */
#define TCX_INGRESS 46
#define TCX_EGRESS  47

/* -1 on failure; 0 where the kernel has no TCX. */
static int count(unsigned int ifindex, unsigned int attach_type)
{
    union bpf_attr attr;

    memset(&attr, 0, sizeof(attr));
    attr.query.target_fd = ifindex; /* shares its place with target_ifindex */
    attr.query.attach_type = attach_type;
    if (syscall(SYS_bpf, BPF_PROG_QUERY, &attr, sizeof(attr)) < 0)
        return errno == EINVAL || errno == ENOENT ? 0 : -1;
    return (int)attr.query.prog_cnt;
}

int main(int argc, char **argv)
{
    char *end = NULL;
    unsigned long ifindex = argc == 2 ? strtoul(argv[1], &end, 10) : 0;

    if (ifindex == 0 || *end) {
        fprintf(stderr, "tcxcount IFINDEX\n");
        return 2;
    }
    int ingress = count((unsigned int)ifindex, TCX_INGRESS);
    int egress = count((unsigned int)ifindex, TCX_EGRESS);
    if (ingress < 0 || egress < 0) {
        fprintf(stderr, "tcxcount: %s\n", strerror(errno));
        return 1;
    }
    printf("%d %d\n", ingress, egress);
    return 0;
}

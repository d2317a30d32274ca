/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel, what this process may do with it, and the node's settings. */
#include "cni/ctl/check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/utsname.h>

#include "lib/base/memory.h"
#include "lib/datapath/attach.h"
#include "lib/datapath/object.h"
#include "lib/datapath/settings.h"

/* What the programs take: atomic operations that return what was there, and global functions that
 * are given pointers. */
#define OLDEST_MAJOR 5
#define OLDEST_MINOR 13
/* scripts/kernel-matrix.sh */
#define TESTED_MAJOR 6
#define TESTED_MINOR 1

static bool is_before(const int version[2], int major, int minor)
{
    return version[0] < major || (version[0] == major && version[1] < minor);
}

static void release(struct check *check)
{
    struct utsname name;
    int version[2] = {0, 0};

    if (uname(&name) < 0 || sscanf(name.release, "%d.%d", &version[0], &version[1]) != 2)
        check_add(check, CHECK_WARN, NULL, "the kernel does not tell its version");
    else if (is_before(version, OLDEST_MAJOR, OLDEST_MINOR))
        check_add(check, CHECK_FAIL, "a kernel of 6.1 or later", "Linux %s is too old",
                  name.release);
    else if (is_before(version, TESTED_MAJOR, TESTED_MINOR))
        check_add(check, CHECK_WARN, "a kernel of 6.1 or later",
                  "podfence is not tested on Linux %s", name.release);
    else
        check_add(check, CHECK_OK, NULL, "Linux %s", name.release);
}

static void programs(struct check *check)
{
    const char *missing = fence_kernel_structs_missing();

    if (!missing)
        check_add(check, CHECK_OK, NULL,
                  "the programs read the kernel's structs, as its BTF has "
                  "them");
    else
        check_add(check, CHECK_WARN, "a kernel of 6.2 or later with BTF, where that matters",
                  "the programs go without the kernel's structs (it has no %s): " FENCE_PLAIN_COST,
                  missing);
}

static void attaching(struct check *check)
{
    int r = fence_attach_has_tcx();

    if (r < 0)
        check_add(check, CHECK_WARN, "run it as root", "cannot see whether there is TCX: %s",
                  strerror(-r));
    else
        check_add(check, CHECK_OK, NULL, "%s",
                  r ? "filters are attached by TCX"
                    : "filters are attached by clsact (TCX came with 6.6)");
}

static void jit(struct check *check)
{
    long on = check_number("/proc/sys/net/core/bpf_jit_enable");

    if (on > 0)
        check_add(check, CHECK_OK, NULL, "BPF programs are compiled (bpf_jit_enable %ld)", on);
    else if (on < 0)
        check_add(check, CHECK_WARN, "run it in the node's own network namespace",
                  "cannot see whether BPF programs are compiled (bpf_jit_enable)");
    else
        check_add(check, CHECK_WARN, "sysctl -w net.core.bpf_jit_enable=1, in /etc/sysctl.d too",
                  "BPF programs are interpreted: each packet costs several times as much");
}

static void conntrack(struct check *check)
{
    if (access("/proc/sys/net/netfilter/nf_conntrack_max", F_OK) == 0)
        check_add(check, CHECK_OK, NULL, "connections of this node are tracked (nf_conntrack)");
    else
        check_add(
            check, CHECK_WARN, "modprobe nf_conntrack, where kube-proxy has not done it",
            "nf_conntrack is not loaded: connections from before podfence are not recognised");
}

void check_kernel(struct check *check)
{
    release(check);
    programs(check);
    attaching(check);
    jit(check);
    conntrack(check);
}

/* ---- rights --------------------------------------------------------------------------------- */

static unsigned long long capabilities(void)
{
    FENCE_FCLOSE FILE *file = fopen("/proc/self/status", "re");
    unsigned long long set = 0;
    char line[256];

    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, "CapEff: %llx", &set) == 1)
            break;
    return set;
}

static void own_rights(struct check *check)
{
    static const struct {
        unsigned int number;
        const char *name;
    } needed[] = {{CAP_BPF, "BPF"}, {CAP_NET_ADMIN, "NET_ADMIN"}, {CAP_PERFMON, "PERFMON"}};
    unsigned long long set = capabilities();
    char missing[64] = "";

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(needed); i++)
        if (!(set >> needed[i].number & 1))
            snprintf(missing + strlen(missing), sizeof(missing) - strlen(missing), "%s%s",
                     *missing ? ", " : "", needed[i].name);
    if (*missing)
        check_add(check, CHECK_WARN, "run it as root, as podfenced has to run too",
                  "this process has not the capabilities %s: not all can be seen", missing);
    else
        check_add(check, CHECK_OK, NULL, "capabilities BPF, NET_ADMIN and PERFMON");
}

/* The path itself comes with the first load: what counts is the file system that it will be on. */
static void bpf_filesystem(struct check *check)
{
    char path[4096];
    struct statfs fs = {0};

    snprintf(path, sizeof(path), "%s", check->ctl->bpffs);
    while (statfs(path, &fs) < 0) {
        char *slash = strrchr(path, '/');

        if (errno == EACCES) {
            check_add(check, CHECK_WARN, "run it as root", "%s cannot be seen", path);
            return;
        }
        if (errno != ENOENT || !slash || slash == path)
            break;
        *slash = '\0';
    }
    if (fs.f_type == BPF_FS_MAGIC)
        check_add(check, CHECK_OK, NULL, "%s is on a BPF file system", check->ctl->bpffs);
    else
        check_add(check, CHECK_FAIL, "mount -t bpf bpf /sys/fs/bpf, at each boot",
                  "%s is not on a BPF file system", check->ctl->bpffs);
}

void check_rights(struct check *check)
{
    own_rights(check);
    bpf_filesystem(check);
}

/* ---- settings ------------------------------------------------------------------------------- */

static void source_routes(struct check *check)
{
    long all = check_number("/proc/sys/net/ipv4/conf/all/rp_filter");
    long usual = check_number("/proc/sys/net/ipv4/conf/default/rp_filter");
    long strictest = all > usual ? all : usual;

    /* the kernel takes the greater of all and the interface's own */
    if (all == 1 || (all == 0 && usual == 1))
        check_add(check, CHECK_OK, NULL, "rp_filter is strict");
    else
        check_add(check, CHECK_WARN,
                  "net.ipv4.conf.all.rp_filter=1 where routes are the same both ways, or a network "
                  "that refuses such sources",
                  "rp_filter is %ld: who sends from beside the node with the address of another "
                  "node's pod passes for it",
                  strictest);
}

static void own_addresses(struct check *check)
{
    if (check_number("/proc/sys/net/ipv4/conf/all/accept_local") > 0)
        check_add(check, CHECK_WARN, "net.ipv4.conf.all.accept_local=0",
                  "accept_local is on: who sends from beside the node with the node's own address "
                  "is not refused by the kernel");
    else
        check_add(check, CHECK_OK, NULL,
                  "the kernel refuses the node's own addresses from outside");
}

static void forwarding(struct check *check)
{
    if (check_number("/proc/sys/net/ipv4/ip_forward") == 1)
        check_add(check, CHECK_OK, NULL, "IPv4 is forwarded");
    else
        check_add(check, CHECK_WARN, "net.ipv4.ip_forward=1",
                  "IPv4 is not forwarded: pods reach "
                  "nobody beyond this node");
}

static void bridges(struct check *check)
{
    long calls = check_number("/proc/sys/net/bridge/bridge-nf-call-iptables");

    if (calls == 1)
        check_add(check, CHECK_OK, NULL,
                  "netfilter sees what bridges forward; the same-node path stays off on them");
    else
        check_add(
            check, CHECK_OK, NULL,
            "netfilter does not see what bridges forward%s: kube-proxy needs it to where pods "
            "of one bridge reach each other by services",
            calls < 0 ? " (br_netfilter is not loaded)" : "");
}

void check_settings(struct check *check)
{
    source_routes(check);
    own_addresses(check);
    forwarding(check);
    bridges(check);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In an order in which no pod fails to start or to stop on the way: out of the chain, while all of
 * podfence is still there; a pause, in which the runtime reads its configuration again; the
 * filters, the pins, what the daemon has left. The binary stays: CRI-O calls DEL with the
 * configuration that it kept from ADD, and a plugin that is not there would keep the pod's address
 * for ever. Without pins its DEL has nothing to do and says so with 0.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include "cni/ctl/install.h"
#include "cni/ctl/options.h"
#include "lib/api/api.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"
#include "lib/datapath/unpin.h"
#include "lib/install/install.h"
#include "lib/net/links.h"
#include "lib/objects/state.h"

#define DEFAULT_STATE "/var/lib/podfence"

struct uninstall {
    struct ctl *ctl;
    const char *conf_dir;
    const char *bin_dir;
    const char *platform;
    const char *state;
    const char *pause_text;
    long pause; /* seconds */
    bool binary;
    bool force;
    cJSON *done; /* texts */
    struct fence_err err;
};

static void did(void *context, const char *text)
{
    struct uninstall *uninstall = context;

    cJSON_AddItemToArray(uninstall->done, cJSON_CreateString(text));
}

/* ---- the steps, each 0 or a negative errno -------------------------------------------------- */

/* Held until the end, so that no daemon starts meanwhile. A running one would put all of it back.
 */
static int keep_daemon_away(struct uninstall *uninstall, int *ret_lock)
{
    const char *bpffs = uninstall->ctl->bpffs;
    FENCE_CLOSE int fd = open(bpffs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT
                   ? 0
                   : fence_err_set(&uninstall->err, -errno, "%s: %s", bpffs, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return fence_err_set(&uninstall->err, -EBUSY,
                             "podfenced is running and would install it again: stop it first "
                             "(delete its DaemonSet, or systemctl disable --now podfence)");
    *ret_lock = TAKE_FD(fd);
    return 0;
}

static int leave_chain(struct uninstall *uninstall)
{
    const struct fence_install_removal removal = {
        .conf_dir = uninstall->conf_dir,
        .force = uninstall->force,
        .say = did,
        .context = uninstall,
    };
    int before = cJSON_GetArraySize(uninstall->done);
    int r = fence_install_remove(&removal, &uninstall->err);

    if (r == 0 && cJSON_GetArraySize(uninstall->done) > before) {
        const struct timespec pause = {.tv_sec = uninstall->pause};

        nanosleep(&pause, NULL);
    }
    return r;
}

static int take_off(struct uninstall *uninstall)
{
    const char *bpffs = uninstall->ctl->bpffs;
    FENCE_FREE struct fence_device *devices = NULL;
    FENCE_FREE __u32 *indices = NULL;
    size_t count = 0;
    char text[1024];
    int r = fence_devices_list(&devices, &count, &uninstall->err);

    if (r < 0)
        return r;
    indices = calloc(count + 1, sizeof(*indices));
    if (!indices)
        return fence_err_set(&uninstall->err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < count; i++)
        indices[i] = devices[i].ifindex;
    r = fence_unpin_filters(bpffs, indices, count, &uninstall->err);
    /* whatever would not go: without its pin it has nobody left to keep it */
    if (fence_unpin(bpffs, r < 0 ? NULL : &uninstall->err) < 0 && r == 0)
        r = -EIO;
    if (r == 0) {
        snprintf(text, sizeof(text), "detached the filters and removed the pins of %s", bpffs);
        did(uninstall, text);
    }
    return r;
}

/* Records of pods that started unenforced, and the socket of a daemon that was killed. */
static int clear_run(struct uninstall *uninstall)
{
    FENCE_FREE char *socket = strdup(uninstall->ctl->socket);
    FENCE_CLOSE int fd = -1;
    const struct dirent *entry;
    DIR *dir = NULL;
    char *folder;

    if (!socket)
        return fence_err_set(&uninstall->err, -ENOMEM, "out of memory");
    (void)unlink(socket);
    folder = dirname(socket);
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    dir = fdopendir(openat(fd, FENCE_UNENFORCED_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    while (dir && (entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
    (void)unlinkat(fd, FENCE_UNENFORCED_FOLDER, AT_REMOVEDIR);
    (void)rmdir(folder); /* stays where others have something in it */
    return 0;
}

/* Cuts, and what was learned. */
static int clear_files(struct uninstall *uninstall)
{
    static const char *const names[] = {FENCE_STATE_CUTS, FENCE_STATE_FLOWS, FENCE_STATE_ALARMS};
    char text[1024];
    int r = 0, removed = 0;

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(names) && r >= 0; i++) {
        r = fence_state_remove(uninstall->state, names[i], &uninstall->err);
        removed |= r;
    }
    if (r >= 0 && removed) {
        snprintf(text, sizeof(text), "removed the flow book, the alarms' baseline and cuts in %s",
                 uninstall->state);
        did(uninstall, text);
    }
    return r < 0 ? r : 0;
}

static int clear_state(struct uninstall *uninstall)
{
    FENCE_CLEANUP(fence_state_units_done) struct fence_state_units units = {0};
    char text[1024];
    int r = access(uninstall->state, F_OK) < 0
                ? 0
                : fence_state_list(uninstall->state, &units, &uninstall->err);

    for (size_t i = 0; i < units.count && r == 0; i++)
        r = fence_state_forget(uninstall->state, units.items[i].unit, &uninstall->err);
    if (r == 0 && units.count) {
        snprintf(text, sizeof(text), "removed the last good objects in %s", uninstall->state);
        did(uninstall, text);
    }
    if (r == 0)
        r = clear_files(uninstall);
    if (r == 0)
        (void)rmdir(uninstall->state);
    return r;
}

static int leave_binary(struct uninstall *uninstall)
{
    char text[1024];
    int r;

    snprintf(text, sizeof(text),
             "kept %s/podfence, which answers the DEL of pods that run now (CRI-O asks whoever was "
             "in the chain at their start); remove it with --binary when they are gone",
             uninstall->bin_dir);
    if (!uninstall->binary) {
        if (faccessat(AT_FDCWD, uninstall->bin_dir, F_OK, 0) == 0)
            did(uninstall, text);
        return 0;
    }
    r = fence_install_remove_binary(uninstall->bin_dir, &uninstall->err);
    snprintf(text, sizeof(text), "removed %s/podfence", uninstall->bin_dir);
    if (r > 0)
        did(uninstall, text);
    return r < 0 ? r : 0;
}

/* ---- the command ---------------------------------------------------------------------------- */

static int run(struct uninstall *uninstall)
{
    static int (*const steps[])(struct uninstall * uninstall) = {
        leave_chain, take_off, clear_run, clear_state, leave_binary,
    };
    FENCE_CLOSE int lock = -1;
    int r = keep_daemon_away(uninstall, &lock);

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(steps) && r == 0; i++)
        r = steps[i](uninstall);
    return r;
}

static void print_text(const struct ctl *ctl, const cJSON *value)
{
    const cJSON *text;

    (void)ctl;
    cJSON_ArrayForEach(text, ctl_member(value, "done"))
    {
        fence_print_safe(stdout, text->valuestring);
        putchar('\n');
    }
}

static int parse(struct uninstall *uninstall, int argc, char **argv)
{
    const struct ctl_option options[] = {
        {.name = "cni-conf-dir",
         .argument = "DIR",
         .help = "the runtime's configurations [by --platform]",
         .text = &uninstall->conf_dir},
        {.name = "cni-bin-dir",
         .argument = "DIR",
         .help = "the runtime's plugins [by --platform]",
         .text = &uninstall->bin_dir},
        {.name = "platform",
         .argument = "auto|default|k3s|microk8s|openshift|gke",
         .help = "whose folders they are; auto: those that are there [auto]",
         .text = &uninstall->platform},
        {.name = "state",
         .argument = "DIR",
         .help = "the daemon's last good objects [" DEFAULT_STATE "]",
         .text = &uninstall->state},
        {.name = "reload-wait",
         .argument = "SECONDS",
         .help = "until the runtime has read its configuration again [2]",
         .text = &uninstall->pause_text},
        {.name = "binary", .help = "remove the plugin's binary too", .flag = &uninstall->binary},
        {.name = "force",
         .help = "even if the node is left without a network configuration",
         .flag = &uninstall->force},
    };
    const struct ctl_usage usage = {
        .verb = "uninstall",
        .arguments = "",
        .about = "Takes podfence off this node: its entry out of the chain, then the filters, the "
                 "pins and\nwhat the daemon keeps. Pods go on running, open to everybody. The "
                 "daemon must be stopped.",
        .example = "  kubectl -n podfence delete daemonset podfence\n"
                   "  podfencectl uninstall            # on each node\n"
                   "  podfencectl uninstall --binary   # once its pods have been started anew",
        .options = options,
        .option_count = FENCE_ARRAY_SIZE(options),
    };
    int first = 0, r = ctl_parse(uninstall->ctl, &usage, argc, argv, &first);

    if (r == CTL_GO_ON)
        r = ctl_seconds(uninstall->ctl, usage.verb, "reload-wait", uninstall->pause_text,
                        &uninstall->pause);
    if (r == CTL_GO_ON)
        r = ctl_cni_folders(uninstall->ctl, usage.verb, uninstall->platform, &uninstall->conf_dir,
                            &uninstall->bin_dir);
    return r;
}

int ctl_uninstall(struct ctl *ctl, int argc, char **argv)
{
    struct uninstall uninstall = {
        .ctl = ctl,
        .platform = "auto",
        .state = DEFAULT_STATE,
        .pause_text = "2",
    };
    cJSON *value;
    int r = parse(&uninstall, argc, argv);

    if (r != CTL_GO_ON)
        return r;
    value = cJSON_CreateObject();
    uninstall.done = cJSON_AddArrayToObject(value, "done");
    r = run(&uninstall);
    if (r < 0)
        ctl_fail(ctl, "%s", uninstall.err.text[0] ? uninstall.err.text : strerror(-r));
    return r < 0 ? (ctl_show(ctl, value, print_text), CTL_FAILED)
                 : ctl_show(ctl, value, print_text);
}

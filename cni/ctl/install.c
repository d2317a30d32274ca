/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/install/install.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "cni/ctl/install.h"
#include "cni/ctl/options.h"
#include "lib/api/api.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"

#define WAIT_STEP_NS 200000000L

/* The options as they were given. */
struct given {
    const char *mode;
    const char *platform;
    const char *conf_dir;
    const char *bin_dir;
    const char *plugin;
    const char *entry;
    const char *wait;
};

int ctl_seconds(struct ctl *ctl, const char *verb, const char *option, const char *text,
                long *ret_seconds)
{
    char *end;
    long seconds;

    errno = 0;
    seconds = strtol(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno || seconds > CTL_SECONDS_MAX)
        return ctl_misuse(ctl, verb, "--%s %s: a number of seconds from 0 to %d is needed", option,
                          text, CTL_SECONDS_MAX);
    *ret_seconds = seconds;
    return CTL_GO_ON;
}

int ctl_cni_folders(struct ctl *ctl, const char *verb, const char *platform, const char **conf_dir,
                    const char **bin_dir)
{
    const struct fence_install_platform *found;
    struct fence_err err = {0};
    int r;

    if (*conf_dir && *bin_dir)
        return CTL_GO_ON;
    r = fence_install_platform_find(platform, "", &found, &err);
    if (r == -EINVAL)
        return ctl_misuse(ctl, verb, "--platform %s", err.text);
    if (r < 0)
        return ctl_fail(ctl, "%s", err.text);
    if (!*conf_dir)
        *conf_dir = found->conf_dir;
    if (!*bin_dir)
        *bin_dir = found->bin_dir;
    return CTL_GO_ON;
}

/* ---- what was done -------------------------------------------------------------------------- */

static void print_text(const struct ctl *ctl, const cJSON *value)
{
    const char *file = ctl_member_text(value, "config.file");

    (void)ctl;
    fence_print_safe(stdout, ctl_member_text(value, "binary.path"));
    puts(cJSON_IsTrue(ctl_member(value, "binary.written")) ? ": copied" : ": the same already");
    if (*file) {
        fence_print_safe(stdout, ctl_member_text(value, "confDir"));
        putchar('/');
        fence_print_safe(stdout, file);
        fputs(cJSON_IsTrue(ctl_member(value, "config.written")) ? ": written" : ": as it should be",
              stdout);
        if (*ctl_member_text(value, "config.primary")) {
            fputs(", from ", stdout);
            fence_print_safe(stdout, ctl_member_text(value, "config.primary"));
        }
        putchar('\n');
    }
    fputs("pods start with network ", stdout);
    fence_print_safe(stdout, ctl_member_text(value, "effective.network"));
    printf(", podfence is plugin %.0f of %.0f\n",
           ctl_member_number(value, "effective.position") + 1,
           ctl_member_number(value, "effective.plugins"));
    if (cJSON_IsTrue(ctl_member(value, "effective.dropin")))
        puts("A drop-in is read by containerd 2.1 and CRI-O 1.33 and newer; older ones pass it "
             "over.");
}

static cJSON *describe(const struct fence_install *install,
                       const struct fence_netd_effective *effective)
{
    cJSON *value = cJSON_CreateObject();
    cJSON *object;

    cJSON_AddStringToObject(value, "mode", fence_install_mode_name(install->mode));
    cJSON_AddStringToObject(value, "confDir", install->conf_dir);
    cJSON_AddStringToObject(value, "binDir", install->bin_dir);
    object = cJSON_AddObjectToObject(value, "effective");
    cJSON_AddStringToObject(object, "file", effective->file);
    cJSON_AddStringToObject(object, "network", effective->network);
    cJSON_AddNumberToObject(object, "plugins", (double)effective->plugins);
    cJSON_AddNumberToObject(object, "position", effective->position);
    cJSON_AddBoolToObject(object, "dropin", effective->dropin);
    return value;
}

/* ---- doing it ------------------------------------------------------------------------------- */

/* The main CNI may still be on its way. */
static int config(const struct fence_install *install, long wait,
                  struct fence_install_report *ret_report, struct fence_err *err)
{
    const struct timespec step = {.tv_nsec = WAIT_STEP_NS};
    const time_t end = time(NULL) + wait;
    int r;

    for (;;) {
        r = fence_install_config(install, ret_report, err);
        if ((r != -ENOENT && r != -EAGAIN) || time(NULL) >= end)
            return r;
        nanosleep(&step, NULL);
    }
}

static int run(struct ctl *ctl, const struct fence_install *install, long wait)
{
    struct fence_install_report report = {0};
    struct fence_netd_effective effective;
    struct fence_err err = {0};
    cJSON *value, *object;
    int binary = fence_install_binary(install, &err);
    int written = binary < 0 ? binary : config(install, wait, &report, &err);
    char path[4096];

    if (written < 0)
        return ctl_fail(ctl, "%s", err.text);
    if (fence_netd_effective(install->conf_dir, fence_install_wanted(install), &effective, &err) <
            0 ||
        fence_install_judge(install, &effective, &err) < 0)
        return ctl_fail(ctl, "%s", err.text);
    value = describe(install, &effective);
    object = cJSON_AddObjectToObject(value, "binary");
    snprintf(path, sizeof(path), "%s/podfence", install->bin_dir);
    cJSON_AddStringToObject(object, "path", path);
    cJSON_AddBoolToObject(object, "written", binary > 0);
    object = cJSON_AddObjectToObject(value, "config");
    cJSON_AddStringToObject(object, "file", report.file);
    cJSON_AddStringToObject(object, "primary", report.primary);
    cJSON_AddBoolToObject(object, "written", written > 0);
    return ctl_show(ctl, value, print_text);
}

static int parse(struct ctl *ctl, int argc, char **argv, struct given *given)
{
    const struct ctl_option options[] = {
        {.name = "mode",
         .argument = "owned|patch|dropin|none",
         .help = "where podfence's entry goes [owned]",
         .text = &given->mode},
        {.name = "cni-conf-dir",
         .argument = "DIR",
         .help = "the runtime's configurations [by --platform]",
         .text = &given->conf_dir},
        {.name = "cni-bin-dir",
         .argument = "DIR",
         .help = "the runtime's plugins [by --platform]",
         .text = &given->bin_dir},
        {.name = "platform",
         .argument = "auto|default|k3s|microk8s|openshift|gke",
         .help = "whose folders they are; auto: those that are there [auto]",
         .text = &given->platform},
        {.name = "plugin",
         .argument = "FILE",
         .help = "the binary to install [podfence, beside podfencectl or in ../libexec/cni]",
         .text = &given->plugin},
        {.name = "cni-entry",
         .argument = "JSON",
         .help = "podfence's entry of the chain, an object (see README)",
         .text = &given->entry},
        {.name = "wait",
         .argument = "SECONDS",
         .help = "for the main CNI's configuration [0]",
         .text = &given->wait},
    };
    const struct ctl_usage usage = {
        .verb = "install-cni",
        .arguments = "",
        .about = "Copies the plugin to where the container runtime looks for it and puts podfence "
                 "into the\nchain that new pods get. May be run again and again: what is right "
                 "already stays.\n`podfenced --install-cni MODE` does the same and keeps it so.\n"
                 "  owned   a list of its own that sorts first: the main CNI's, and podfence\n"
                 "  patch   podfence in the main CNI's list\n"
                 "  dropin  in a file beside it, which libcni reads from 1.3 on\n"
                 "  none    the binary alone; the administrator writes the list",
        .example = "  podfencectl install-cni\n"
                   "  podfencectl install-cni --mode patch --platform k3s --wait 60\n"
                   "  podfencectl install-cni --cni-entry '{\"startMode\":\"closed\"}'",
        .options = options,
        .option_count = FENCE_ARRAY_SIZE(options),
    };
    int first = 0;

    return ctl_parse(ctl, &usage, argc, argv, &first);
}

/* What the plugin would not assume by itself. */
static const char *unless(const char *value, const char *usual)
{
    return strcmp(value, usual) == 0 ? NULL : value;
}

int ctl_install_cni(struct ctl *ctl, int argc, char **argv)
{
    struct given given = {.mode = "owned", .platform = "auto", .wait = "0"};
    struct fence_install install = {0};
    FENCE_FREE char *plugin = NULL;
    FENCE_FREE char *entry = NULL;
    struct fence_err err = {0};
    long wait = 0;
    int r = parse(ctl, argc, argv, &given);

    if (r == CTL_GO_ON)
        r = ctl_seconds(ctl, "install-cni", "wait", given.wait, &wait);
    if (r != CTL_GO_ON)
        return r;
    if (fence_install_mode_parse(given.mode, &install.mode) < 0 ||
        install.mode == FENCE_INSTALL_OFF)
        return ctl_misuse(ctl, "install-cni", "--mode %s: there are owned, patch, dropin and none",
                          given.mode);
    if (fence_install_entry(given.entry, unless(ctl->bpffs, FENCE_DEFAULT_BPFFS),
                            unless(ctl->socket, FENCE_DEFAULT_SOCKET), &entry, &err) < 0)
        return ctl_misuse(ctl, "install-cni", "--cni-entry: %s", err.text);
    r = ctl_cni_folders(ctl, "install-cni", given.platform, &given.conf_dir, &given.bin_dir);
    if (r != CTL_GO_ON)
        return r;
    if (!given.plugin && fence_install_find_plugin(&plugin, &err) < 0)
        return ctl_fail(ctl, "%s", err.text);
    install.conf_dir = given.conf_dir;
    install.bin_dir = given.bin_dir;
    install.plugin = given.plugin ? given.plugin : plugin;
    install.entry = entry;
    return run(ctl, &install, wait);
}

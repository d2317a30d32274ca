/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/datapath/load.h"

#include "cni/ctl/options.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"
#include "lib/datapath/read.h"
#include "lib/datapath/settings.h"

static void print_text(const struct ctl *ctl, const cJSON *value)
{
    (void)ctl;
    fputs("The data path is loaded and pinned in ", stdout);
    fence_print_safe(stdout, ctl_member_text(value, "path"));
    puts(cJSON_IsTrue(ctl_member(value, "kernelStructs"))
             ? ""
             : "\nIts programs go without the kernel's structs: " FENCE_PLAIN_COST);
}

static int parse(struct ctl *ctl, int argc, char **argv, struct fence_load_options *ret_options)
{
    const char *structs = "auto";
    const struct ctl_option options[] = {
        {.name = "kernel-structs",
         .argument = "auto|off",
         .help = "off: without the kernel's structs; then podfenced needs it too [auto]",
         .text = &structs},
    };
    const struct ctl_usage usage = {
        .verb = "load",
        .arguments = "",
        .about = "Loads the data path and pins it, as the daemon does when it starts: once after "
                 "boot, where\nthe daemon is not to have the rights for it. What is pinned already "
                 "is kept; programs of\nanother build are replaced without a gap.",
        .example = "  mount -t bpf bpf /sys/fs/bpf\n  podfencectl load",
        .options = options,
        .option_count = FENCE_ARRAY_SIZE(options),
    };
    int first = 0, r = ctl_parse(ctl, &usage, argc, argv, &first);

    if (r != CTL_GO_ON)
        return r;
    if (fence_kernel_structs_parse(structs, &ret_options->kernel_structs) < 0)
        return ctl_misuse(ctl, "load", "--kernel-structs %s: there are auto and off", structs);
    ret_options->bpffs = ctl->bpffs;
    return r;
}

int ctl_load(struct ctl *ctl, int argc, char **argv)
{
    struct fence_load_options options = {0};
    struct fence_settings settings = {0};
    struct fence_pins pins;
    struct fence_err err = {0};
    cJSON *value;
    int r = parse(ctl, argc, argv, &options);

    if (r != CTL_GO_ON)
        return r;
    if (fence_load(&options, &pins, &err) < 0)
        return ctl_fail(ctl, "%s", err.text);
    value = cJSON_CreateObject();
    cJSON_AddStringToObject(value, "path", pins.root);
    cJSON_AddNumberToObject(value, "layout", FENCE_ABI_VERSION);
    if (fence_settings_read(&pins, &settings) == 0)
        cJSON_AddBoolToObject(value, "kernelStructs", !(settings.flags & FENCE_SETTING_PLAIN));
    fence_pins_close(&pins);
    return ctl_show(ctl, value, print_text);
}

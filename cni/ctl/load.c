/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/datapath/load.h"

#include "cni/ctl/options.h"
#include "lib/base/names.h"

static void print_text(const struct ctl *ctl, const cJSON *value)
{
    (void)ctl;
    fputs("The data path is loaded and pinned in ", stdout);
    fence_print_safe(stdout, ctl_member_text(value, "path"));
    putchar('\n');
}

int ctl_load(struct ctl *ctl, int argc, char **argv)
{
    const struct ctl_usage usage = {
        .verb = "load",
        .arguments = "",
        .about = "Loads the data path and pins it, as the daemon does when it starts: once after "
                 "boot, where\nthe daemon is not to have the rights for it. What is pinned already "
                 "is kept; programs of\nanother build are replaced without a gap.",
        .example = "  mount -t bpf bpf /sys/fs/bpf\n  podfencectl load",
    };
    struct fence_load_options options = {0};
    struct fence_pins pins;
    struct fence_err err = {0};
    cJSON *value;
    int first = 0, r = ctl_parse(ctl, &usage, argc, argv, &first);

    if (r != CTL_GO_ON)
        return r;
    options.bpffs = ctl->bpffs;
    if (fence_load(&options, &pins, &err) < 0)
        return ctl_fail(ctl, "%s", err.text);
    value = cJSON_CreateObject();
    cJSON_AddStringToObject(value, "path", pins.root);
    cJSON_AddNumberToObject(value, "layout", FENCE_ABI_VERSION);
    fence_pins_close(&pins);
    return ctl_show(ctl, value, print_text);
}

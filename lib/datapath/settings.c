/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/datapath/settings.h"

#include <bpf/bpf.h>
#include <string.h>

#include "lib/datapath/epochs.h"
#include "lib/datapath/read.h"

int fence_settings_write(const struct fence_pins *pins, const struct fence_settings *settings,
                         struct fence_err *err)
{
    struct fence_settings now;
    const __u32 zero = 0;
    int r = fence_settings_read(pins, &now);

    if (r == 0 && memcmp(&now, settings, sizeof(now)) == 0)
        return 0;
    if (r == 0)
        r = bpf_map_update_elem(pins->maps[FENCE_MAP_SETTINGS], &zero, settings, BPF_ANY);
    if (r < 0)
        return fence_err_set(err, r, "settings map: %s", strerror(-r));
    fence_epoch_raise(pins);
    return 1;
}

int fence_about_write(const struct fence_pins *pins, bool whole, struct fence_err *err)
{
    struct fence_about about = {
        .version = FENCE_VERSION, .layout = FENCE_ABI_VERSION, .whole = whole};
    const __u32 zero = 0;
    int r = bpf_map_update_elem(pins->maps[FENCE_MAP_ABOUT], &zero, &about, BPF_ANY);

    return r < 0 ? fence_err_set(err, r, "about map: %s", strerror(-r)) : 0;
}

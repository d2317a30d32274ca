/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verified BPFFS MAX: of what `podfencectl load` has pinned there, which object it is and how many
 * instructions the kernel's verifier went through for each program. Exit 1 above MAX.
 */
#include <bpf/bpf.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/memory.h"
#include "lib/datapath/pins.h"
#include "lib/datapath/read.h"

static int verified(int prog, __u32 *ret_count)
{
    struct bpf_prog_info info = {0};
    __u32 size = sizeof(info);
    int r = bpf_obj_get_info_by_fd(prog, &info, &size);

    if (r < 0)
        return r;
    *ret_count = info.verified_insns;
    return 0;
}

int main(int argc, char **argv)
{
    FENCE_CLEANUP(fence_pins_close) struct fence_pins pins;
    struct fence_settings settings = {0};
    struct fence_err err = {0};
    __u32 most = 0, max = argc == 3 ? (__u32)strtoul(argv[2], NULL, 10) : 0;

    fence_pins_init(&pins);
    if (!max || fence_pins_open(argv[1], &pins, &err) < 0 ||
        fence_settings_read(&pins, &settings) < 0) {
        fprintf(stderr, "verified BPFFS MAX: %s\n", err.text);
        return 2;
    }
    for (int i = 0; i < FENCE_PROG_COUNT; i++) {
        __u32 count = 0;

        if (verified(pins.progs[i], &count) < 0 || count == 0) {
            fprintf(stderr, "%s: no count\n", fence_prog_name((enum fence_prog)i));
            return 1;
        }
        printf("%s %u\n", fence_prog_name((enum fence_prog)i), count);
        most = count > most ? count : most;
    }
    printf("@@ note %s, %u\n", settings.flags & FENCE_SETTING_PLAIN ? "plain" : "structs", most);
    return most > max;
}

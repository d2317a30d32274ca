/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel's part of attaching takes: both directions, to an interface that nobody uses.
 *
 *   bench-add-attach BPFFS INTERFACE COUNT    one JSON line, ms
 */
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/datapath/attach.h"

static int measure(const struct fence_pins *pins, __u32 ifindex, enum fence_attach_mode mode,
                   double *ret_ms)
{
    enum fence_attach attach;
    struct fence_err err = {""};
    __u64 before = fence_clock_boot_ns();
    int r = fence_attach(pins, ifindex, mode, &attach, &err);

    *ret_ms = (double)(fence_clock_boot_ns() - before) / 1e6;
    if (r == 0)
        r = fence_detach(pins, ifindex, &err);
    if (r < 0)
        fprintf(stderr, "%s\n", err.text);
    return r;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        enum fence_attach_mode mode;
    } modes[] = {{"tcx", FENCE_ATTACH_MODE_TCX}, {"clsact", FENCE_ATTACH_MODE_CLSACT}};
    FENCE_CLEANUP(fence_pins_close) struct fence_pins pins;
    struct fence_err err = {""};
    __u32 ifindex = argc == 4 ? if_nametoindex(argv[2]) : 0;
    int r = 0;

    fence_pins_init(&pins);
    if (!ifindex || fence_pins_open(argv[1], &pins, &err) < 0) {
        fprintf(stderr, "bench-add-attach BPFFS INTERFACE COUNT: %s\n", err.text);
        return 2;
    }
    printf("{\"attach\":{");
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(modes) && r == 0; i++) {
        printf("%s\"%s\":[", i ? "," : "", modes[i].name);
        for (long k = 0; k < strtol(argv[3], NULL, 10) && r == 0; k++) {
            double ms;

            r = measure(&pins, ifindex, modes[i].mode, &ms);
            printf("%s%.3f", k ? "," : "", ms);
        }
        printf("]");
    }
    printf("}}\n");
    return r < 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attaching both programs to a host veth: by TCX links pinned as links/<ifindex>-from_pod and
 * links/<ifindex>-to_pod, or by clsact filters with our own handle. Always at the head; the
 * direction is verified after attaching; qdiscs are never deleted.
 */
#pragma once

#include <linux/types.h>

#include "lib/datapath/pins.h"

enum fence_attach_mode {
    FENCE_ATTACH_MODE_AUTO, /* by clsact, which is quick; TCX where somebody else would be ahead */
    FENCE_ATTACH_MODE_TCX,
    FENCE_ATTACH_MODE_CLSACT,
};

int fence_attach_mode_parse(const char *text, enum fence_attach_mode *ret_mode);

/* 1: the kernel has TCX; 0: it has not; negative: -EPERM where it does not say. */
int fence_attach_has_tcx(void);

/* Idempotent, and `auto` leaves TCX where it is; puts ours first again where somebody got ahead. On
 * failure nothing of ours is left attached, but what was whole before the call goes on enforcing.
 * -EEXIST: an `ingress` qdisc. */
int fence_attach(const struct fence_pins *pins, __u32 ifindex, enum fence_attach_mode mode,
                 enum fence_attach *ret_attach, struct fence_err *err);

/* From clsact to TCX, which costs a packet less; takes two waits of about 12 ms. Without a moment
 * of neither. On failure clsact stays. */
int fence_attach_settle(const struct fence_pins *pins, __u32 ifindex, struct fence_err *err);

/* Both ways of attaching are undone; what is not there is fine, and so is a vanished interface. */
int fence_detach(const struct fence_pins *pins, __u32 ifindex, struct fence_err *err);

/* The same with to_network, for a device that is no pod's: links/<ifindex>-to_network. What is
 * whole already stays as it is; `auto` is TCX where the kernel has it, else clsact. */
int fence_attach_device(const struct fence_pins *pins, __u32 ifindex, enum fence_attach_mode mode,
                        struct fence_err *err);
int fence_detach_device(const struct fence_pins *pins, __u32 ifindex, struct fence_err *err);

/*
 * Is there anything at the device's hooks that is not ours: a qdisc that shapes, a filter, a TCX
 * program? 0: no; 1: yes, `ret_what` says what; negative: -ENODEV when it has gone. Without
 * programs in `pins` (fence_pins_init) nothing there is ours.
 */
int fence_attach_others(const struct fence_pins *pins, __u32 ifindex, char ret_what[64]);

/* 0 when both our programs are attached, in the right direction and first; else -ENOENT (missing),
 * -EBADF (another program under our handle or link) or -EBUSY (somebody is ahead of us). */
int fence_attach_check(const struct fence_pins *pins, __u32 ifindex, enum fence_attach attach,
                       struct fence_err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/* What installing and uninstalling have in common. */
#pragma once

#include "cni/ctl/ctl.h"

#define CTL_SECONDS_MAX 3600

/* The value of an option that is a time. CTL_GO_ON, or the exit status. */
int ctl_seconds(struct ctl *ctl, const char *verb, const char *option, const char *text,
                long *ret_seconds);

/* The runtime's folders where they are not given (NULL), by the platform. CTL_GO_ON, or the exit
 * status. */
int ctl_cni_folders(struct ctl *ctl, const char *verb, const char *platform, const char **conf_dir,
                    const char **bin_dir);

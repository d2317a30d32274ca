/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/options_alarms.h"

#include <errno.h>
#include <string.h>

int fence_option_alarms(struct fence_options *options, const char *value, struct fence_err *err)
{
    if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
        return fence_err_set(err, -EINVAL, "%s is none of on, off", value);
    options->alarms.off = strcmp(value, "off") == 0;
    return 0;
}

int fence_option_alarms_config(struct fence_options *options, const char *value,
                               struct fence_err *err)
{
    if (!*value)
        return fence_err_set(err, -EINVAL, "a path is needed");
    options->alarms.config = value;
    return 0;
}

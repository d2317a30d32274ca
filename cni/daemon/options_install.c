/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/options_install.h"

#include <errno.h>
#include <stdlib.h>

#define CNI_CHECK_MAX 3600

static int set_path(const char **path, const char *value, struct fence_err *err)
{
    if (!*value)
        return fence_err_set(err, -EINVAL, "a path is needed");
    *path = value;
    return 0;
}

int fence_option_install_cni(struct fence_options *options, const char *value,
                             struct fence_err *err)
{
    if (fence_install_mode_parse(value, &options->install_cni) < 0)
        return fence_err_set(err, -EINVAL, "%s is none of off, owned, patch, dropin, none", value);
    return 0;
}

int fence_option_cni_conf_dir(struct fence_options *options, const char *value,
                              struct fence_err *err)
{
    return set_path(&options->cni_conf_dir, value, err);
}

int fence_option_cni_bin_dir(struct fence_options *options, const char *value,
                             struct fence_err *err)
{
    return set_path(&options->cni_bin_dir, value, err);
}

int fence_option_platform(struct fence_options *options, const char *value, struct fence_err *err)
{
    options->platform = value; /* fence_install_platform_find judges it */
    (void)err;
    return 0;
}

int fence_option_plugin(struct fence_options *options, const char *value, struct fence_err *err)
{
    return set_path(&options->plugin, value, err);
}

int fence_option_cni_entry(struct fence_options *options, const char *value, struct fence_err *err)
{
    (void)err;
    options->cni_entry = value;
    return 0;
}

int fence_option_cni_check(struct fence_options *options, const char *value, struct fence_err *err)
{
    unsigned long seconds;
    char *end;

    errno = 0;
    seconds = strtoul(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end || errno || seconds < 1 || seconds > CNI_CHECK_MAX)
        return fence_err_set(err, -EINVAL, "%s is not a number of seconds from 1 to %d", value,
                             CNI_CHECK_MAX);
    options->cni_check = (unsigned int)seconds;
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/options_audit.h"

#include <errno.h>

#include "cni/daemon/options_events.h"

static int set_path(const char **path, const char *value, struct fence_err *err)
{
    if (!*value)
        return fence_err_set(err, -EINVAL, "a file is needed");
    *path = value;
    return 0;
}

int fence_option_audit_log(struct fence_options *options, const char *value, struct fence_err *err)
{
    return set_path(&options->audit.path, value, err);
}

int fence_option_audit_key(struct fence_options *options, const char *value, struct fence_err *err)
{
    return set_path(&options->audit.key, value, err);
}

int fence_option_audit_log_size(struct fence_options *options, const char *value,
                                struct fence_err *err)
{
    return fence_option_size(value, &options->audit.size, err);
}

int fence_option_audit_log_files(struct fence_options *options, const char *value,
                                 struct fence_err *err)
{
    return fence_option_files(value, &options->audit.files, err);
}

int fence_option_metrics(struct fence_options *options, const char *value, struct fence_err *err)
{
    return fence_http_parse(value, &options->http, err);
}

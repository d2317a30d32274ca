/* SPDX-License-Identifier: Apache-2.0 */
/* Options of the guard that keeps podfence installed: setters for the table in options.c. */
#pragma once

#include "cni/daemon/options.h"

#define DEFAULT_CNI_CHECK_S 60

int fence_option_install_cni(struct fence_options *options, const char *value,
                             struct fence_err *err);
int fence_option_cni_conf_dir(struct fence_options *options, const char *value,
                              struct fence_err *err);
int fence_option_cni_bin_dir(struct fence_options *options, const char *value,
                             struct fence_err *err);
int fence_option_platform(struct fence_options *options, const char *value, struct fence_err *err);
int fence_option_plugin(struct fence_options *options, const char *value, struct fence_err *err);
int fence_option_cni_entry(struct fence_options *options, const char *value, struct fence_err *err);
int fence_option_cni_check(struct fence_options *options, const char *value, struct fence_err *err);

/* SPDX-License-Identifier: Apache-2.0 */
/* Options of the audit log and of the HTTP server: setters for the table in options.c. */
#pragma once

#include "cni/daemon/options.h"

#define DEFAULT_AUDIT_SIZE  (64ull << 20)
#define DEFAULT_AUDIT_FILES 10

int fence_option_audit_log(struct fence_options *options, const char *value, struct fence_err *err);
int fence_option_audit_key(struct fence_options *options, const char *value, struct fence_err *err);
int fence_option_audit_log_size(struct fence_options *options, const char *value,
                                struct fence_err *err);
int fence_option_metrics(struct fence_options *options, const char *value, struct fence_err *err);
int fence_option_audit_log_files(struct fence_options *options, const char *value,
                                 struct fence_err *err);

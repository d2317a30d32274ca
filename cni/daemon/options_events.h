/* SPDX-License-Identifier: Apache-2.0 */
/* Options of the event log and of who may use the socket: setters for the table in options.c. */
#pragma once

#include "cni/daemon/options.h"

#define DEFAULT_EVENT_LOG_SIZE  (10ull << 20)
#define DEFAULT_EVENT_LOG_FILES 5

int fence_option_event_log(struct fence_options *options, const char *value, struct fence_err *err);
int fence_option_event_log_size(struct fence_options *options, const char *value,
                                struct fence_err *err);
int fence_option_event_log_files(struct fence_options *options, const char *value,
                                 struct fence_err *err);
int fence_option_event_log_filter(struct fence_options *options, const char *value,
                                  struct fence_err *err);
int fence_option_socket_group(struct fence_options *options, const char *value,
                              struct fence_err *err);

void fence_options_events_done(struct fence_options *options);

/* For other logs: "65536", "64K", "10M", "1G", at least 64K. */
int fence_option_size(const char *value, uint64_t *ret_size, struct fence_err *err);
/* 1 to FENCE_LOGFILE_FILES. */
int fence_option_files(const char *value, unsigned int *ret_files, struct fence_err *err);

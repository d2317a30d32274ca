/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fdatasync(2) without waiting for it: a thread gets descriptors of its own by a pipe, syncs and
 * closes them. It shares nothing else with the daemon but these counters.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"

/* Descriptors that may wait; more are left to the kernel, which writes them within seconds. */
#define FENCE_AUDIT_SYNCS 8u

struct fence_audit_sync {
    int ends[2]; /* of the pipe, -1: there is no thread */
    pthread_t thread;
    _Atomic unsigned int waiting;
    _Atomic uint64_t errors;
};

int fence_audit_sync_start(struct fence_audit_sync *sync, struct fence_err *err);
/* Does what is waiting, then ends the thread. */
void fence_audit_sync_stop(struct fence_audit_sync *sync);
/* As struct fence_audit_writer_options has it. */
void fence_audit_sync_ask(void *context, int fd);

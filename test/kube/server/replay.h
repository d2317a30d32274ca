/* SPDX-License-Identifier: Apache-2.0 */
/* Recordings of a real API server's answers: ../shared/fixtures/kubernetes. */
#pragma once

#include "lib/base/err.h"
#include "test/kube/server/server.h"

/* "METHOD URI" of a recording, the caller's to free. */
int replay_request(const char *fixtures, const char *name, char **ret_line, struct fence_err *err);
/* The recording that the exchange's fault names. */
enum MHD_Result replay_answer(struct exchange *exchange);

/* SPDX-License-Identifier: Apache-2.0 */
/* Answers with a body that is known. */
#pragma once

#include <stddef.h>

#include "test/kube/server/server.h"

/* Takes `body`, which may be NULL for want of memory. Compressed when the client takes that and it
 * is long; the exchange's fault spoils it. */
enum MHD_Result answer_text(struct exchange *exchange, unsigned int status, const char *type,
                            char *body, size_t size);
/* Takes `object`. A newline follows it. */
enum MHD_Result answer_json(struct exchange *exchange, unsigned int status, cJSON *object);
/* Text without a Status, as for a path that is not there. */
enum MHD_Result answer_plain(struct exchange *exchange, unsigned int status, const char *text);

/* What a Status says of the object that the request is about; all may be NULL or "". */
__attribute__((format(printf, 4, 5))) cJSON *status_new(unsigned int code, const char *reason,
                                                        cJSON *details, const char *format, ...);
/* name, group and kind of the target. */
cJSON *status_details(const struct target *target);
/* "pods", "segmentpolicies.podfence.io"; the caller's to free. */
char *status_resource(const struct resource *resource);

__attribute__((format(printf, 4, 5))) enum MHD_Result answer_failure(struct exchange *exchange,
                                                                     unsigned int code,
                                                                     const char *reason,
                                                                     const char *format, ...);
enum MHD_Result answer_not_found(struct exchange *exchange);
/* The status that a fault wants. */
enum MHD_Result answer_fault(struct exchange *exchange);

/* So many bytes of the body were sent. */
void answer_count(struct exchange *exchange, size_t size);
/* Counts it. The response is destroyed. */
enum MHD_Result answer_queue(struct exchange *exchange, unsigned int status,
                             struct MHD_Response *response);

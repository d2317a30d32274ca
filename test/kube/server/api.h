/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of the API. Each answers one request, with the server's lock free. */
#pragma once

#include <stdio.h>

#include "test/kube/server/server.h"

enum MHD_Result list_answer(struct exchange *exchange);
enum MHD_Result get_answer(struct exchange *exchange);
enum MHD_Result create_answer(struct exchange *exchange);
enum MHD_Result update_answer(struct exchange *exchange);
enum MHD_Result patch_answer(struct exchange *exchange);
enum MHD_Result delete_answer(struct exchange *exchange);
/* /version, /api, /apis and below, /openapi, /healthz; false when the path is none of these. */
bool discovery_answer(struct exchange *exchange, enum MHD_Result *ret_result);

/* Number of a query parameter: `otherwise` when it is absent. -EINVAL. */
int query_number(const struct exchange *exchange, const char *name, uint64_t otherwise,
                 uint64_t *ret_number);

/* ---- objects as clients see them ------------------------------------------------------------ */

/* One object with kind and apiVersion, or its metadata alone. */
void print_object(FILE *out, const struct resource *resource, const struct version *version,
                  bool partial);

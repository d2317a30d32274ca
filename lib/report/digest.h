/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which policies a node has, in 64 bits: the sum of a hash of each, so that neither their order nor
 * the way to them matters. All nodes agree on it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct fence_report_digest {
    uint64_t sum;
    uint64_t count; /* of policies */
};

/* `id`: Kind/namespace/name. */
void fence_report_digest_add(struct fence_report_digest *digest, const char *id, int64_t generation,
                             uint64_t content);

#define FENCE_REPORT_DIGEST_TEXT 17
/* 16 hexadecimal digits. */
void fence_report_digest_format(const struct fence_report_digest *digest,
                                char ret_text[FENCE_REPORT_DIGEST_TEXT]);
/* -EINVAL. */
int fence_report_digest_parse(const char *text, uint64_t *ret_sum);

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/report/digest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"

void fence_report_digest_add(struct fence_report_digest *digest, const char *id, int64_t generation,
                             uint64_t content)
{
    /* the same on every node, and of what only the API server's users write */
    const __u64 key[2] = {(__u64)generation, content};

    digest->sum += fence_hash_bytes(key, id, strlen(id)).words[0];
    digest->count++;
}

void fence_report_digest_format(const struct fence_report_digest *digest,
                                char ret_text[FENCE_REPORT_DIGEST_TEXT])
{
    snprintf(ret_text, FENCE_REPORT_DIGEST_TEXT, "%016" PRIx64, digest->sum);
}

int fence_report_digest_parse(const char *text, uint64_t *ret_sum)
{
    if (strlen(text) != FENCE_REPORT_DIGEST_TEXT - 1 ||
        strspn(text, "0123456789abcdef") != FENCE_REPORT_DIGEST_TEXT - 1)
        return -EINVAL;
    *ret_sum = strtoull(text, NULL, 16);
    return 0;
}

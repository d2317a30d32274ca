/* SPDX-License-Identifier: Apache-2.0 */
/* One call of the built plugin, as a runtime makes it. */
#pragma once

#include <stddef.h>

#define RUN_PLUGIN FENCE_BIN_DIR "/podfence"

struct run_result {
    int status; /* exit status, or 128 + signal */
    unsigned int ms;
    char *out; /* owned, as is err */
    char *err;
};

/* `environment` is all of it, "NAME=value" until NULL. `setup` (may be NULL) runs in the child just
 * before exec. Aborts the test when the plugin cannot be run. */
struct run_result run_plugin(const char *const *environment, const void *input, size_t size,
                             void (*setup)(void));
void run_result_done(struct run_result *result);

/* A new string with every `from` in `text` replaced. */
char *run_replace(const char *text, const char *from, const char *to);

/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of a real API server: ../shared/fixtures/kubernetes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Sizes of the pieces that one answer came in. */
struct recorded_pieces {
    size_t sizes[64];
    size_t count;
};

/* False when the folder is not there: the test exits with 77, with CI=true it fails. */
bool recorded_is_there(void);
/* NAME.body; a new string, ended by NUL. The test ends when it is not there. */
char *recorded_body(const char *name, size_t *ret_size);
/* NAME.chunks; none when there is no such file. */
void recorded_pieces(const char *name, struct recorded_pieces *ret_pieces);

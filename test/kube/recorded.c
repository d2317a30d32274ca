/* SPDX-License-Identifier: Apache-2.0 */
#include "test/kube/recorded.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/memory.h"

#define FOLDER FENCE_SOURCE_DIR "/../shared/fixtures/kubernetes"

bool recorded_is_there(void)
{
    return access(FOLDER "/README.md", R_OK) == 0;
}

char *recorded_body(const char *name, size_t *ret_size)
{
    char path[4096], *body = calloc(1, 1 << 20);
    FENCE_FCLOSE FILE *file = NULL;

    snprintf(path, sizeof(path), FOLDER "/%s.body", name);
    file = fopen(path, "re");
    if (!file || !body) {
        perror(path);
        exit(1);
    }
    *ret_size = fread(body, 1, (1 << 20) - 1, file);
    return body;
}

void recorded_pieces(const char *name, struct recorded_pieces *ret_pieces)
{
    char path[4096], line[256];
    FENCE_FCLOSE FILE *file = NULL;
    size_t size;

    ret_pieces->count = 0;
    snprintf(path, sizeof(path), FOLDER "/%s.chunks", name);
    file = fopen(path, "re");
    while (file && ret_pieces->count < FENCE_ARRAY_SIZE(ret_pieces->sizes) &&
           fgets(line, sizeof(line), file)) {
        if (sscanf(line, " %*u ms %zu", &size) == 1)
            ret_pieces->sizes[ret_pieces->count++] = size;
    }
}

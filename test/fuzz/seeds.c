/* SPDX-License-Identifier: Apache-2.0 */
/* A target over the files of folders, without a fuzzer: seeds and regressions as a test. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "test/fuzz/fuzz.h"

#define SEED_MAX_BYTES (1u << 20)

static int run_file(const char *folder, const char *name)
{
    FENCE_FREE char *data = NULL;
    struct fence_err err = {0};
    char path[1024];
    size_t size = 0;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (fence_file_read(AT_FDCWD, path, SEED_MAX_BYTES, &data, &size, &err) < 0) {
        fprintf(stderr, "%s: %s\n", path, err.text);
        return -1;
    }
    LLVMFuzzerTestOneInput((const uint8_t *)data, size);
    return 0;
}

/* How many files there were; negative when one could not be read. */
static int run_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    int count = 0;

    if (!dir)
        return errno == ENOENT ? 0 : -1;
    while (count >= 0 && (entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            count = run_file(folder, entry->d_name) < 0 ? -1 : count + 1;
    closedir(dir);
    return count;
}

int main(int argc, char **argv)
{
    int total = 0;

    for (int i = 1; i < argc; i++) {
        int count = run_folder(argv[i]);

        if (count < 0)
            return 1;
        total += count;
    }
    printf("%d files\n", total);
    return total ? 0 : 1;
}

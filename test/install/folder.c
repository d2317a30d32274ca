/* SPDX-License-Identifier: Apache-2.0 */
#include "test/install/folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/file.h"
#include "lib/base/memory.h"

int folder_setup(void **state)
{
    char *path = strdup("/tmp/fence-install-XXXXXX");

    if (!path || !mkdtemp(path)) {
        free(path);
        return -1;
    }
    *state = path;
    return 0;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

int folder_teardown(void **state)
{
    int r = nftw(*state, remove_one, 8, FTW_DEPTH | FTW_PHYS);

    free(*state);
    return r;
}

const char *in_folder(const char *folder, const char *name)
{
    static char paths[8][512];
    static unsigned int next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

void put_file(const char *folder, const char *name, const char *text)
{
    FENCE_FCLOSE FILE *file = fopen(in_folder(folder, name), "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
}

void age_file(const char *folder, const char *name, time_t seconds)
{
    const struct timespec times[2] = {{.tv_sec = time(NULL) - seconds},
                                      {.tv_sec = time(NULL) - seconds}};

    assert_int_equal(utimensat(AT_FDCWD, in_folder(folder, name), times, 0), 0);
}

bool has_file(const char *folder, const char *name)
{
    return access(in_folder(folder, name), F_OK) == 0;
}

char *get_file(const char *folder, const char *name)
{
    char *text = NULL;
    size_t size;

    assert_int_equal(
        fence_file_read(AT_FDCWD, in_folder(folder, name), 1 << 20, &text, &size, NULL), 0);
    return text;
}

void expect_file(const char *folder, const char *name, const char *text)
{
    FENCE_FREE char *there = get_file(folder, name);

    assert_string_equal(there, text);
}

char *list_folder(const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);
    char *names = calloc(1, 4096);

    assert_true(count >= 0);
    assert_non_null(names);
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        size_t used = strlen(names);

        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
            snprintf(names + used, 4096 - used, "%s%s%s", used ? " " : "", name,
                     entries[i]->d_type == DT_DIR ? "/" : "");
        free(entries[i]);
    }
    free(entries);
    return names;
}

void expect_names(const char *folder, const char *names)
{
    FENCE_FREE char *there = list_folder(folder);

    assert_string_equal(there, names);
}

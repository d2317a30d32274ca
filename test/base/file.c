/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/memory.h"
#include "test/cmocka.h"

static char folder[] = "/tmp/podfence-test-file-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char path[128];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, i ? "fifo" : "file");
        unlink(path);
    }
    snprintf(path, sizeof(path), "%s/a/b", folder);
    rmdir(path);
    snprintf(path, sizeof(path), "%s/a", folder);
    rmdir(path);
    return rmdir(folder);
}

static void test_write_and_read(void **state)
{
    FENCE_FREE char *data = NULL;
    struct fence_err err;
    struct stat info;
    char path[128];
    size_t size = 0;

    (void)state;
    snprintf(path, sizeof(path), "%s/file", folder);
    assert_int_equal(fence_file_write(path, "one", 3, 0600, &err), 0);
    assert_int_equal(fence_file_write(path, "three", 5, 0640, &err), 0);
    assert_int_equal(fence_file_read(AT_FDCWD, path, 100, &data, &size, &err), 0);
    assert_int_equal(size, 5);
    assert_string_equal(data, "three");
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
}

static void test_read_refuses(void **state)
{
    char *data = NULL;
    char path[128];
    struct fence_err err;
    size_t size = 0;

    (void)state;
    assert_int_equal(fence_file_read(AT_FDCWD, folder, 100, &data, &size, &err), -EINVAL);
    snprintf(path, sizeof(path), "%s/none", folder);
    assert_int_equal(fence_file_read(AT_FDCWD, path, 100, &data, &size, &err), -ENOENT);
    snprintf(path, sizeof(path), "%s/fifo", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(fence_file_read(AT_FDCWD, path, 100, &data, &size, &err), -EINVAL);
    snprintf(path, sizeof(path), "%s/file", folder);
    assert_int_equal(fence_file_write(path, "12345", 5, 0600, &err), 0);
    assert_int_equal(fence_file_read(AT_FDCWD, path, 4, &data, &size, &err), -EFBIG);
    /* a file that grows beyond what its size promised, like those of /proc */
    assert_int_equal(fence_file_read(AT_FDCWD, "/proc/self/status", 10, &data, &size, &err),
                     -EFBIG);
    assert_null(data);
}

static void test_write_leaves_nothing(void **state)
{
    struct fence_err err;

    (void)state;
    assert_int_equal(fence_file_write("/proc/nowhere/file", "x", 1, 0600, &err), -ENOENT);
    assert_non_null(strstr(err.text, "/proc/nowhere/file"));
}

static void test_make_folders(void **state)
{
    struct fence_err err;
    struct stat info;
    char path[128];

    (void)state;
    snprintf(path, sizeof(path), "%s/a/b", folder);
    assert_int_equal(fence_mkdirs(path, 0700, &err), 0);
    assert_int_equal(fence_mkdirs(path, 0700, &err), 0);
    assert_int_equal(stat(path, &info), 0);
    assert_true(S_ISDIR(info.st_mode));
    assert_int_equal(fence_mkdirs("", 0700, &err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_and_read),
        cmocka_unit_test(test_read_refuses),
        cmocka_unit_test(test_write_leaves_nothing),
        cmocka_unit_test(test_make_folders),
    };

    return cmocka_run_group_tests_name("base.file", tests, make_folder, remove_folder);
}

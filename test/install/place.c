/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are put into a folder: what stays of the old one, what is left after a kill. */
#include "lib/install/place.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/memory.h"
#include "test/install/folder.h"

#define LABEL "system_u:object_r:net_conf_t:s0"

static int put(int folder, struct fence_place_file file, const char *text)
{
    struct fence_err err = {""};
    int r;

    file.data = text;
    file.size = strlen(text);
    r = fence_place_write(folder, &file, &err);
    if (r < 0)
        fail_msg("%s", err.text);
    return r;
}

static struct stat look(const char *folder, const char *name)
{
    struct stat info;

    assert_int_equal(lstat(in_folder(folder, name), &info), 0);
    return info;
}

static void test_new_equal_and_changed(void **state)
{
    FENCE_CLOSE int folder = fence_place_open(*state, NULL);
    const struct fence_place_file file = {.name = "a.conflist", .mode = 0600};
    ino_t first;

    assert_true(folder >= 0);
    assert_int_equal(put(folder, file, "one"), 1);
    expect_file(*state, "a.conflist", "one");
    assert_int_equal(look(*state, "a.conflist").st_mode & 07777, 0600);
    first = look(*state, "a.conflist").st_ino;
    assert_int_equal(put(folder, file, "one"), 0);
    assert_int_equal(look(*state, "a.conflist").st_ino, first);
    assert_int_equal(put(folder, file, "two"), 1);
    expect_file(*state, "a.conflist", "two");
    expect_names(*state, "a.conflist");
}

static void test_touch_is_a_new_file(void **state)
{
    FENCE_CLOSE int folder = fence_place_open(*state, NULL);
    const struct fence_place_file file = {.name = "a", .mode = 0600, .touch = true};
    ino_t first;

    assert_int_equal(put(folder, file, "one"), 1);
    first = look(*state, "a").st_ino;
    assert_int_equal(put(folder, file, "one"), 1);
    assert_int_not_equal(look(*state, "a").st_ino, first);
}

static void test_mode_and_owner_stay(void **state)
{
    FENCE_CLOSE int folder = fence_place_open(*state, NULL);
    const struct fence_place_file file = {.name = "a", .mode = 0600};
    const struct fence_place_file program = {.name = "a", .mode = 0755, .mode_always = true};
    bool root = geteuid() == 0;

    put_file(*state, "a", "old");
    assert_int_equal(chmod(in_folder(*state, "a"), 0444), 0);
    if (root)
        assert_int_equal(chown(in_folder(*state, "a"), 7, 9), 0);
    assert_int_equal(put(folder, file, "new"), 1);
    assert_int_equal(look(*state, "a").st_mode & 07777, 0444);
    assert_int_equal(look(*state, "a").st_uid, root ? 7 : geteuid());
    assert_int_equal(look(*state, "a").st_gid, root ? 9 : getegid());
    /* the same content, but nobody could start it */
    assert_int_equal(put(folder, program, "new"), 1);
    assert_int_equal(look(*state, "a").st_mode & 07777, 0755);
    assert_int_equal(put(folder, program, "new"), 0);
}

static void test_new_file_is_like_its_neighbour(void **state)
{
    FENCE_CLOSE int folder = fence_place_open(*state, NULL);
    struct fence_place_file file = {.name = "b", .mode = 0600, .like = "a"};

    put_file(*state, "a", "old");
    assert_int_equal(chmod(in_folder(*state, "a"), 0644), 0);
    assert_int_equal(put(folder, file, "new"), 1);
    assert_int_equal(look(*state, "b").st_mode & 07777, 0644);
    file.name = "c";
    file.like = "missing";
    assert_int_equal(put(folder, file, "new"), 1);
    assert_int_equal(look(*state, "c").st_mode & 07777, 0600);
}

static void test_label_stays(void **state)
{
    FENCE_CLOSE int folder = fence_place_open(*state, NULL);
    const struct fence_place_file file = {.name = "a", .mode = 0600};
    char label[64] = "";

    put_file(*state, "a", "old");
    if (setxattr(in_folder(*state, "a"), "security.selinux", LABEL, sizeof(LABEL), 0) < 0)
        return; /* needs root; e2e.install has it too */
    assert_int_equal(put(folder, file, "new"), 1);
    assert_int_equal(getxattr(in_folder(*state, "a"), "security.selinux", label, sizeof(label)),
                     sizeof(LABEL));
    assert_string_equal(label, LABEL);
}

static void test_what_is_no_file_stays(void **state)
{
    FENCE_CLOSE int folder = fence_place_open(*state, NULL);
    const struct fence_place_file file = {.name = "a", .data = "x", .size = 1};
    struct fence_err err = {""};

    assert_int_equal(mkdir(in_folder(*state, "a"), 0755), 0);
    assert_int_equal(fence_place_write(folder, &file, &err), -EINVAL);
    assert_non_null(strstr(err.text, "a is not a regular file"));
    expect_names(*state, "a/");
}

static void test_temporaries_of_the_dead(void **state)
{
    int folder;

    put_file(*state, ".a.conflist.podfence.tmp.17", "half");
    put_file(*state, ".podfence.podfence.tmp.1", "half");
    put_file(*state, ".a.conflist.tmp.17", "somebody else's");
    put_file(*state, "a.podfence.tmp.17", "somebody else's");
    folder = fence_place_open(*state, NULL);
    assert_true(folder >= 0);
    close(folder);
    expect_names(*state, ".a.conflist.tmp.17 a.podfence.tmp.17");
}

/* Two installers take turns. */
static void test_lock(void **state)
{
    int ends[2], status;
    char byte;
    pid_t child;
    int folder;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        folder = fence_place_open(*state, NULL);
        put_file(*state, ".a.podfence.tmp.1", "being written");
        (void)!write(ends[1], "x", 1);
        usleep(100000);
        unlink(in_folder(*state, ".a.podfence.tmp.1"));
        _exit(folder < 0);
    }
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_true(has_file(*state, ".a.podfence.tmp.1"));
    folder = fence_place_open(*state, NULL);
    assert_true(folder >= 0);
    assert_int_equal(waitpid(child, &status, WNOHANG), child);
    assert_int_equal(status, 0);
    close(folder);
    close(ends[0]);
    close(ends[1]);
}

static void test_remove_and_rename(void **state)
{
    FENCE_CLOSE int folder = fence_place_open(*state, NULL);

    put_file(*state, "a", "x");
    assert_int_equal(fence_place_rename(folder, "a", "b", NULL), 0);
    assert_int_equal(fence_place_rename(folder, "a", "b", NULL), 0);
    expect_names(*state, "b");
    assert_int_equal(fence_place_remove(folder, "b", NULL), 0);
    assert_int_equal(fence_place_remove(folder, "b", NULL), 0);
    expect_names(*state, "");
    assert_int_equal(fence_place_open(in_folder(*state, "missing"), NULL), -ENOENT);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_new_equal_and_changed),
        CASE(test_touch_is_a_new_file),
        CASE(test_mode_and_owner_stay),
        CASE(test_new_file_is_like_its_neighbour),
        CASE(test_label_stays),
        CASE(test_what_is_no_file_stays),
        CASE(test_temporaries_of_the_dead),
        CASE(test_lock),
        CASE(test_remove_and_rename),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A folder that is a mounted volume, in a mount namespace of its own. */
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>

#include "test/cmocka.h"
#include "test/objects/folder_lab.h"

#define EXIT_SKIPPED 77

static void mount_volume(const struct lab *lab)
{
    assert_int_equal(mount("objects", lab->objects, "tmpfs", 0, "size=1m"), 0);
}

static void test_folder_unmounted(void **state)
{
    struct lab *lab = *state;

    mount_volume(lab);
    lab_write_file(lab, "a.yaml", NAMESPACE("one"));
    assert_int_equal(lab_read_now(lab), 1);
    assert_int_equal(umount2(lab->objects, MNT_DETACH), 0);
    assert_int_equal(lab_read_now(lab), 0);
    lab_assert_namespaces(lab, "one");
    assert_false(fence_folder_present(lab->folder));
    lab_assert_problem(lab, 1, "/objects", "was a mounted volume and is an empty folder now");
    /* a daemon that starts now knows it too */
    lab_restart(lab);
    assert_int_equal(lab_read_now(lab), 1);
    lab_assert_namespaces(lab, "one");
    assert_false(fence_folder_present(lab->folder));
    /* a mount is no event: the look every few seconds finds it */
    mount_volume(lab);
    assert_int_equal(lab_read_now(lab), 1);
    lab_assert_namespaces(lab, "");
    assert_true(fence_folder_present(lab->folder));
    assert_int_equal(umount2(lab->objects, MNT_DETACH), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_folder_unmounted, lab_set_up, lab_tear_down),
    };

    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        printf("skipped: mounting needs root\n");
        return EXIT_SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}

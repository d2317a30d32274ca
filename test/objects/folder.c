/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/objects/folder.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "test/cmocka.h"
#include "test/objects/folder_lab.h"

static void test_folder_files(void **state)
{
    struct lab *lab = *state;
    char path[256];

    lab_write_file(lab, "b.yaml", NAMESPACE("b"));
    lab_write_file(lab, "a.yml", NAMESPACE("a1"));
    lab_write_file(lab, "c.json",
                   "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":"
                   "\"c\"}}");
    lab_write_file(lab, ".hidden.yaml", NAMESPACE("hidden"));
    lab_write_file(lab, "d.txt", NAMESPACE("d"));
    lab_write_file(lab, "e.yaml~", NAMESPACE("e"));
    lab_path_of(lab, "sub", path);
    assert_int_equal(mkdir(path, 0755), 0);
    lab_write_file(lab, "sub/f.yaml", NAMESPACE("f"));
    assert_false(fence_folder_present(lab->folder));
    assert_int_equal(lab_read_now(lab), 1);
    assert_true(fence_folder_present(lab->folder));
    lab_assert_namespaces(lab, "a1 b c");
    lab_assert_problem(lab, 0, "", "");
    assert_int_equal(lab_read_now(lab), 0);
}

static void test_folder_odd_files(void **state)
{
    struct lab *lab = *state;
    const struct fence_problem *problems;
    char path[256];

    lab_path_of(lab, "dir.yaml", path);
    assert_int_equal(mkdir(path, 0755), 0);
    lab_path_of(lab, "fifo.yaml", path);
    assert_int_equal(mkfifo(path, 0644), 0);
    lab_path_of(lab, "link.yaml", path);
    assert_int_equal(symlink("nowhere", path), 0);
    lab_path_of(lab, "loop.yaml", path);
    assert_int_equal(symlink("loop.yaml", path), 0);
    lab_write_file(lab, "good.yaml", NAMESPACE("good"));
    assert_int_equal(lab_read_now(lab), 1);
    lab_assert_namespaces(lab, "good");
    lab_assert_problem(lab, 4, "/objects/", "; its objects are absent until it can be read");
    assert_int_equal(fence_store_problems(lab->store, &problems), 4);
    for (size_t i = 0; i < 2; i++)
        assert_non_null(
            strstr(problems[i].text, " is not a regular file: remove it or name it otherwise; "));
    assert_non_null(strstr(problems[2].text, ": mend or remove the link; "));
    assert_true(fence_folder_present(lab->folder));
}

static void test_folder_in_place(void **state)
{
    struct lab *lab = *state;

    lab_write_file(lab, "a.yaml", LABELLED("ns", "one"));
    assert_int_equal(lab_read_now(lab), 1);
    assert_int_equal(fence_folder_handle(lab->folder) >= 0, 1); /* the events of the write */
    lab_write_file(lab, "a.yaml", LABELLED("ns", "two"));
    assert_int_equal(lab_follow(lab), 1);
    lab_assert_namespaces(lab, "ns=two");
    /* the same size at the same moment */
    lab_write_file(lab, "a.yaml", LABELLED("ns", "six"));
    assert_int_equal(lab_follow(lab), 1);
    lab_assert_namespaces(lab, "ns=six");
    lab_write_file(lab, "b.yaml", NAMESPACE("other"));
    assert_int_equal(lab_follow(lab), 1);
    lab_assert_namespaces(lab, "ns=six other");
    lab_remove_file(lab, "a.yaml");
    assert_int_equal(lab_follow(lab), 1);
    lab_assert_namespaces(lab, "other");
    assert_int_equal(lab_state_files(lab), 1);
}

static void test_folder_broken_file(void **state)
{
    struct lab *lab = *state;

    lab_write_file(lab, "a.yaml", NAMESPACE("one") "---\n" NAMESPACE("two"));
    assert_int_equal(lab_read_now(lab), 1);
    lab_write_file(lab, "a.yaml", NAMESPACE("one") "---\n{ broken");
    assert_int_equal(lab_follow(lab), 0);
    lab_assert_namespaces(lab, "one two");
    lab_assert_problem(lab, 1, "/objects/a.yaml", "line 6: not valid YAML: column 1: ");
    lab_assert_problem(lab, 1, "/objects/a.yaml",
                       "; the last good version of the file stays in force until it is mended");
    lab_write_file(lab, "a.yaml", NAMESPACE("one"));
    assert_int_equal(lab_follow(lab), 1);
    lab_assert_namespaces(lab, "one");
    lab_assert_problem(lab, 0, "", "");
    lab_remove_file(lab, "a.yaml");
    lab_write_file(lab, "b.yaml", "{ broken");
    assert_int_equal(lab_follow(lab), 1);
    lab_assert_problem(lab, 1, "/objects/b.yaml", "; its objects are absent until it is mended");
}

/* ---- ConfigMap volumes ---------------------------------------------------------------------- */

static void make_link(const struct lab *lab, const char *target, const char *name)
{
    char path[256];

    lab_path_of(lab, name, path);
    assert_int_equal(symlink(target, path), 0);
}

/* The kubelet's AtomicWriter: a new folder, then ..data renamed over the old one. */
static void swap_data(const struct lab *lab, const char *version, const char *text)
{
    char path[256], data[256], name[64];

    lab_path_of(lab, version, path);
    assert_int_equal(mkdir(path, 0755), 0);
    snprintf(name, sizeof(name), "%s/p.yaml", version);
    lab_write_file(lab, name, text);
    make_link(lab, version, "..data_tmp");
    lab_path_of(lab, "..data_tmp", path);
    lab_path_of(lab, "..data", data);
    assert_int_equal(rename(path, data), 0);
}

static void test_folder_data_swap(void **state)
{
    struct lab *lab = *state;
    char path[256];

    swap_data(lab, "..2026_1", LABELLED("ns", "one"));
    make_link(lab, "..data/p.yaml", "p.yaml");
    assert_int_equal(lab_read_now(lab), 1);
    lab_assert_namespaces(lab, "ns=one");
    fence_folder_handle(lab->folder);
    swap_data(lab, "..2026_2", LABELLED("ns", "two"));
    assert_int_equal(lab_follow(lab), 1);
    lab_assert_namespaces(lab, "ns=two");
    /* the same content in a new folder is no change */
    swap_data(lab, "..2026_3", LABELLED("ns", "two"));
    assert_int_equal(lab_follow(lab), 0);
    lab_assert_problem(lab, 0, "", "");
    /* a file leaves the ConfigMap */
    lab_path_of(lab, "p.yaml", path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(lab_follow(lab), 1);
    lab_assert_namespaces(lab, "");
}

/* ---- the folder comes and goes -------------------------------------------------------------- */

static void move_folder(const struct lab *lab, bool away)
{
    char other[128];

    snprintf(other, sizeof(other), "%s/away", lab->root);
    assert_int_equal(rename(away ? lab->objects : other, away ? other : lab->objects), 0);
}

static void test_folder_missing(void **state)
{
    struct lab *lab = *state;

    lab_write_file(lab, "a.yaml", LABELLED("ns", "one"));
    assert_int_equal(lab_read_now(lab), 1);
    move_folder(lab, true);
    assert_int_equal(lab_follow(lab), 0);
    assert_false(fence_folder_present(lab->folder));
    lab_assert_namespaces(lab, "ns=one");
    lab_assert_problem(lab, 1, "/objects",
                       "No such file or directory; the objects read before stay");
    /* another folder in its place */
    assert_int_equal(mkdir(lab->objects, 0755), 0);
    lab_write_file(lab, "a.yaml", LABELLED("ns", "two"));
    assert_int_equal(lab_follow(lab), 1);
    assert_true(fence_folder_present(lab->folder));
    lab_assert_namespaces(lab, "ns=two");
    lab_assert_problem(lab, 0, "", "");
    lab_write_file(lab, "a.yaml", LABELLED("ns", "three"));
    assert_int_equal(lab_follow(lab), 1);
    lab_assert_namespaces(lab, "ns=three");
}

static void test_folder_empty(void **state)
{
    struct lab *lab = *state;

    lab_write_file(lab, "a.yaml", NAMESPACE("ns"));
    assert_int_equal(lab_read_now(lab), 1);
    lab_remove_file(lab, "a.yaml");
    assert_int_equal(lab_read_now(lab), 1);
    assert_true(fence_folder_present(lab->folder));
    lab_assert_namespaces(lab, "");
    assert_int_equal(lab_state_files(lab), 0);
}

static void test_folder_is_a_file(void **state)
{
    struct lab *lab = *state;

    assert_int_equal(rmdir(lab->objects), 0);
    assert_int_equal(fence_file_write(lab->objects, "x", 1, 0644, NULL), 0);
    assert_int_equal(lab_read_now(lab), 0);
    assert_false(fence_folder_present(lab->folder));
    lab_assert_problem(lab, 1, "/objects", "Not a directory");
}

static void test_folder_deep_missing(void **state)
{
    struct lab *lab = *state;
    char inner[128];

    lab_stop(lab);
    snprintf(inner, sizeof(inner), "%s/x", lab->objects);
    snprintf(lab->objects, sizeof(lab->objects), "%s/objects/x/y/", lab->root);
    lab_start(lab);
    assert_int_equal(lab_read_now(lab), 0);
    assert_false(fence_folder_present(lab->folder));
    assert_int_equal(mkdir(inner, 0755), 0);
    assert_int_equal(lab_follow(lab), 0);
    assert_int_equal(mkdir(lab->objects, 0755), 0);
    lab_write_file(lab, "a.yaml", NAMESPACE("ns"));
    assert_int_equal(lab_follow(lab), 1);
    lab_assert_namespaces(lab, "ns");
}

/* ---- state ---------------------------------------------------------------------------------- */

static void test_folder_state_refused(void **state)
{
    struct lab *lab = *state;

    lab_write_file(lab, "a.yaml", LABELLED("ns", "one") "---\n" NAMESPACE("two"));
    assert_int_equal(lab_read_now(lab), 1);
    lab_write_file(lab, "a.yaml", LABELLED("ns", "-one") "---\n" NAMESPACE("three"));
    lab_restart(lab);
    assert_int_equal(lab_read_now(lab), 1);
    lab_assert_namespaces(lab, "ns=one three");
    lab_assert_problem(lab, 1, "/objects/a.yaml", "metadata.labels.a");
    lab_restart(lab);
    assert_int_equal(lab_read_now(lab), 1);
    lab_assert_namespaces(lab, "ns=one three");
}

static void test_folder_state_broken(void **state)
{
    struct lab *lab = *state;

    lab_write_file(lab, "a.yaml", LABELLED("ns", "one"));
    assert_int_equal(lab_read_now(lab), 1);
    lab_write_file(lab, "a.yaml", "{ broken");
    for (unsigned int i = 0; i < 3; i++) {
        lab_restart(lab);
        assert_int_equal(lab_read_now(lab), 1);
        assert_int_equal(lab_read_now(lab), 0);
        lab_assert_namespaces(lab, "ns=one");
        lab_assert_problem(lab, 1, "/objects/a.yaml", "line 2: ");
    }
    /* deleted while the daemon was away: it is not brought back */
    lab_remove_file(lab, "a.yaml");
    lab_restart(lab);
    assert_int_equal(lab_read_now(lab), 0);
    lab_assert_namespaces(lab, "");
    assert_int_equal(lab_state_files(lab), 0);
}

static void test_folder_state_missing_folder(void **state)
{
    struct lab *lab = *state;

    lab_write_file(lab, "a.yaml", LABELLED("ns", "one"));
    lab_write_file(lab, "b.yaml", NAMESPACE("two"));
    assert_int_equal(lab_read_now(lab), 1);
    move_folder(lab, true);
    lab_restart(lab);
    assert_int_equal(lab_read_now(lab), 1);
    lab_assert_namespaces(lab, "ns=one two");
    assert_false(fence_folder_present(lab->folder));
    assert_int_equal(lab_state_files(lab), 2);
    move_folder(lab, false);
    lab_remove_file(lab, "b.yaml");
    assert_int_equal(lab_follow(lab), 1);
    lab_assert_namespaces(lab, "ns=one");
    assert_int_equal(lab_state_files(lab), 1);
}

static void test_folder_state_damaged(void **state)
{
    struct lab *lab = *state;
    char command[256];

    lab_write_file(lab, "a.yaml", NAMESPACE("one"));
    assert_int_equal(lab_read_now(lab), 1);
    snprintf(command, sizeof(command), "for f in %s/*; do echo '{' > $f; done", lab->state);
    assert_int_equal(system(command), 0);
    lab_restart(lab);
    assert_int_equal(lab_read_now(lab), 1);
    lab_assert_namespaces(lab, "one");
    lab_assert_problem(lab, 1, "state of ", ".objects.json (remove it if this stays)");
    assert_int_equal(lab_read_now(lab), 0);
    lab_assert_problem(lab, 0, "", "");
    /* it was written anew */
    lab_write_file(lab, "a.yaml", "{");
    lab_restart(lab);
    assert_int_equal(lab_read_now(lab), 1);
    lab_assert_namespaces(lab, "one");
}

static void test_folder_state_unwritable(void **state)
{
    struct lab *lab = *state;

    assert_int_equal(rmdir(lab->state), 0);
    assert_int_equal(fence_file_write(lab->state, "x", 1, 0644, NULL), 0);
    lab_write_file(lab, "a.yaml", NAMESPACE("one"));
    assert_int_equal(lab_read_now(lab), 1);
    lab_assert_namespaces(lab, "one");
    lab_assert_problem(lab, 1, "state of ", lab->state);
    assert_int_equal(unlink(lab->state), 0);
    assert_int_equal(mkdir(lab->state, 0700), 0);
    assert_int_equal(lab_read_now(lab), 0);
    lab_assert_problem(lab, 0, "", "");
    assert_int_equal(lab_state_files(lab), 1);
}

static void test_folder_bad_names(void **state)
{
    struct lab *lab = *state;
    struct fence_folder *folder = NULL;
    struct fence_err err = {0};
    char inside[128];

    assert_int_equal(fence_folder_new("", 0, NULL, &folder, &err), -EINVAL);
    snprintf(inside, sizeof(inside), "%s/file/state", lab->root);
    *strrchr(inside, '/') = '\0';
    assert_int_equal(fence_file_write(inside, "x", 1, 0644, NULL), 0);
    inside[strlen(inside)] = '/';
    assert_int_equal(fence_folder_new(lab->objects, 0, inside, &folder, &err), -ENOTDIR);
    assert_non_null(strstr(err.text, inside));
    assert_null(folder);
}

#define FOLDER_TEST(test) cmocka_unit_test_setup_teardown(test, lab_set_up, lab_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(test_folder_files),         FOLDER_TEST(test_folder_odd_files),
        FOLDER_TEST(test_folder_in_place),      FOLDER_TEST(test_folder_broken_file),
        FOLDER_TEST(test_folder_data_swap),     FOLDER_TEST(test_folder_missing),
        FOLDER_TEST(test_folder_empty),         FOLDER_TEST(test_folder_is_a_file),
        FOLDER_TEST(test_folder_deep_missing),  FOLDER_TEST(test_folder_state_refused),
        FOLDER_TEST(test_folder_state_broken),  FOLDER_TEST(test_folder_state_missing_folder),
        FOLDER_TEST(test_folder_state_damaged), FOLDER_TEST(test_folder_state_unwritable),
        FOLDER_TEST(test_folder_bad_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

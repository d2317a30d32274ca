/* SPDX-License-Identifier: Apache-2.0 */
/* The modes one by one and one after the other, and podfence out of all of them. */
#include <errno.h>
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

#include "lib/base/memory.h"
#include "lib/install/install.h"
#include "test/install/folder.h"

#define ENTRY  "{\"type\":\"podfence\",\"startMode\":\"hold\"}"
#define OTHER  "{\"type\":\"podfence\",\"startMode\":\"closed\"}"
#define SINGLE "{\"cniVersion\":\"0.3.1\",\"name\":\"n\",\"type\":\"x\"}"
#define LIST(n)                                                                                    \
    "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"x\",\"v\":" #n "}]}"
#define WITH(n, entry)                                                                             \
    "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"x\",\"v\":" #n "}," entry   \
    "]}"

static int config(void **state, enum fence_install_mode mode, const char *entry,
                  struct fence_err *err)
{
    const struct fence_install install = {.mode = mode, .conf_dir = *state, .entry = entry};
    struct fence_install_report report;

    return fence_install_config(&install, &report, err);
}

static void test_owned(void **state)
{
    assert_int_equal(config(state, FENCE_INSTALL_OWNED, ENTRY, NULL), -ENOENT);
    put_file(*state, "10-x.conflist", LIST(9007199254740993));
    assert_int_equal(config(state, FENCE_INSTALL_OWNED, ENTRY, NULL), 1);
    expect_names(*state, "00-podfence.conflist 10-x.conflist");
    expect_file(*state, "00-podfence.conflist", WITH(9007199254740993, ENTRY));
    expect_file(*state, "10-x.conflist", LIST(9007199254740993));
    assert_int_equal(config(state, FENCE_INSTALL_OWNED, ENTRY, NULL), 0);
    /* a new primary one, another entry, somebody's edit */
    put_file(*state, "10-x.conflist", LIST(2));
    assert_int_equal(config(state, FENCE_INSTALL_OWNED, ENTRY, NULL), 1);
    assert_int_equal(config(state, FENCE_INSTALL_OWNED, OTHER, NULL), 1);
    expect_file(*state, "00-podfence.conflist", WITH(2, OTHER));
    put_file(*state, "00-podfence.conflist", LIST(2));
    assert_int_equal(config(state, FENCE_INSTALL_OWNED, OTHER, NULL), 1);
    expect_file(*state, "00-podfence.conflist", WITH(2, OTHER));
}

/* The main CNI's file is half there, then not at all. */
static void test_owned_is_kept(void **state)
{
    struct fence_err err = {""};

    put_file(*state, "10-x.conflist", LIST(1));
    assert_int_equal(config(state, FENCE_INSTALL_OWNED, ENTRY, NULL), 1);
    put_file(*state, "10-x.conflist", "{\"cniVersion\":");
    put_file(*state, "20-y.conflist", LIST(7));
    assert_int_equal(config(state, FENCE_INSTALL_OWNED, ENTRY, &err), -EAGAIN);
    assert_non_null(strstr(err.text, "10-x.conflist: not one whole JSON object"));
    expect_file(*state, "00-podfence.conflist", WITH(1, ENTRY));
    assert_int_equal(unlink(in_folder(*state, "10-x.conflist")), 0);
    assert_int_equal(unlink(in_folder(*state, "20-y.conflist")), 0);
    assert_int_equal(config(state, FENCE_INSTALL_OWNED, ENTRY, NULL), 0);
    expect_file(*state, "00-podfence.conflist", WITH(1, ENTRY));
    assert_int_equal(config(state, FENCE_INSTALL_OWNED, OTHER, NULL), 1);
    expect_file(*state, "00-podfence.conflist", WITH(1, OTHER));
}

static void test_owned_of_a_single_one(void **state)
{
    put_file(*state, "10-x.conf", "{\"cniVersion\":\"0.3.1\",\"name\":\"n\",\"type\":\"x\"}");
    assert_int_equal(config(state, FENCE_INSTALL_OWNED, ENTRY, NULL), 1);
    expect_names(*state, "00-podfence.conflist 10-x.conf");
    assert_int_equal(config(state, FENCE_INSTALL_OWNED, ENTRY, NULL), 0);
}

static void test_patch(void **state)
{
    put_file(*state, "10-x.conflist", LIST(1));
    put_file(*state, "20-y.conflist", LIST(2));
    assert_int_equal(config(state, FENCE_INSTALL_PATCH, ENTRY, NULL), 1);
    expect_file(*state, "10-x.conflist", WITH(1, ENTRY));
    expect_file(*state, "20-y.conflist", LIST(2));
    assert_int_equal(config(state, FENCE_INSTALL_PATCH, ENTRY, NULL), 0);
    assert_int_equal(config(state, FENCE_INSTALL_PATCH, OTHER, NULL), 1);
    expect_file(*state, "10-x.conflist", WITH(1, OTHER));
    expect_names(*state, "10-x.conflist 20-y.conflist");
}

static void test_patch_of_a_single_one(void **state)
{
    static const char single[] = SINGLE;
    const struct fence_install_removal removal = {.conf_dir = *state};
    struct fence_netd_effective effective;
    struct fence_err err = {""};

    put_file(*state, "10-x.conf", single);
    assert_int_equal(config(state, FENCE_INSTALL_PATCH, ENTRY, NULL), 1);
    expect_names(*state, "10-x.conf.podfence-kept 10-x.conflist");
    assert_int_equal(fence_netd_effective(*state, ENTRY, &effective, NULL), 0);
    assert_true(effective.wanted);
    assert_int_equal(config(state, FENCE_INSTALL_PATCH, ENTRY, NULL), 0);
    /* its owner writes it again */
    put_file(*state, "10-x.conf", single);
    assert_int_equal(config(state, FENCE_INSTALL_PATCH, ENTRY, NULL), 1);
    expect_names(*state, "10-x.conf.podfence-kept 10-x.conflist");
    assert_int_equal(fence_install_remove(&removal, NULL), 0);
    expect_names(*state, "10-x.conf");
    expect_file(*state, "10-x.conf", single);
    /* somebody's own list has the name that it would get */
    put_file(*state, "10-x.conflist", LIST(1));
    assert_int_equal(config(state, FENCE_INSTALL_PATCH, ENTRY, &err), -EEXIST);
    assert_non_null(strstr(err.text, "would become 10-x.conflist, which is there already"));
    expect_names(*state, "10-x.conf 10-x.conflist");
    put_file(*state, "10-x.conflist", WITH(1, ENTRY)); /* even if he has podfence in it */
    assert_int_equal(config(state, FENCE_INSTALL_PATCH, ENTRY, &err), -EEXIST);
    expect_file(*state, "10-x.conflist", WITH(1, ENTRY));
}

/* Killed when the list was there and the single one had its old name: whoever comes next goes on,
 * also with another entry. */
static void test_half_patched(void **state)
{
    static const char *const entries[] = {ENTRY, OTHER};

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(entries); i++) {
        put_file(*state, "10-x.conf", SINGLE);
        assert_int_equal(config(state, FENCE_INSTALL_PATCH, ENTRY, NULL), 1);
        assert_int_equal(
            rename(in_folder(*state, "10-x.conf.podfence-kept"), in_folder(*state, "10-x.conf")),
            0);
        assert_int_equal(config(state, FENCE_INSTALL_PATCH, entries[i], NULL), 1);
        expect_names(*state, "10-x.conf.podfence-kept 10-x.conflist");
        assert_int_equal(config(state, FENCE_INSTALL_PATCH, entries[i], NULL), 0);
    }
}

/* The main CNI writes a list of its own by now: that one stays, and the old single one does not
 * come back before it. */
static void test_patch_of_a_single_one_that_became_a_list(void **state)
{
    const struct fence_install_removal removal = {.conf_dir = *state};

    put_file(*state, "10-x.conf", SINGLE);
    assert_int_equal(config(state, FENCE_INSTALL_PATCH, ENTRY, NULL), 1);
    put_file(*state, "10-x.conflist", LIST(7));
    assert_int_equal(config(state, FENCE_INSTALL_PATCH, ENTRY, NULL), 1);
    expect_file(*state, "10-x.conflist", WITH(7, ENTRY));
    assert_int_equal(fence_install_remove(&removal, NULL), 0);
    expect_names(*state, "10-x.conflist");
    expect_file(*state, "10-x.conflist", LIST(7));
}

/* Half a list of the main CNI's is no reason to be without a network. */
static void test_patch_of_a_single_one_and_half_a_list(void **state)
{
    const struct fence_install_removal removal = {.conf_dir = *state};

    put_file(*state, "10-x.conf", SINGLE);
    assert_int_equal(config(state, FENCE_INSTALL_PATCH, ENTRY, NULL), 1);
    put_file(*state, "10-x.conflist", "{\"cniVersion\":");
    assert_int_equal(fence_install_remove(&removal, NULL), 0);
    expect_names(*state, "10-x.conf 10-x.conflist");
    expect_file(*state, "10-x.conf", SINGLE);
}

static void test_dropin(void **state)
{
    struct fence_err err = {""};
    struct stat before, after;

    put_file(*state, "10-x.conflist", LIST(1));
    assert_int_equal(stat(in_folder(*state, "10-x.conflist"), &before), 0);
    assert_int_equal(config(state, FENCE_INSTALL_DROPIN, ENTRY, NULL), 1);
    expect_names(*state, "10-x.conflist n/");
    expect_file(*state, "n/podfence.conf", ENTRY "\n");
    expect_file(*state, "10-x.conflist", LIST(1));
    assert_int_equal(stat(in_folder(*state, "10-x.conflist"), &after), 0);
    assert_int_not_equal(before.st_ino, after.st_ino);
    assert_int_equal(config(state, FENCE_INSTALL_DROPIN, ENTRY, NULL), 0);
    assert_int_equal(stat(in_folder(*state, "10-x.conflist"), &before), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    put_file(*state, "05-x.conf", "{\"cniVersion\":\"0.3.1\",\"name\":\"n\",\"type\":\"x\"}");
    assert_int_equal(config(state, FENCE_INSTALL_DROPIN, ENTRY, &err), -EINVAL);
    assert_non_null(strstr(err.text, "05-x.conf is no list"));
}

/* From each mode to each other one: the entry is there once, and nothing of the old mode is left.
 */
static void test_changes_of_mode(void **state)
{
    static const struct {
        enum fence_install_mode mode;
        const char *names;
    } modes[] = {
        {FENCE_INSTALL_OWNED, "00-podfence.conflist 10-x.conflist"},
        {FENCE_INSTALL_PATCH, "10-x.conflist"},
        {FENCE_INSTALL_DROPIN, "10-x.conflist n/"},
        {FENCE_INSTALL_OWNED, "00-podfence.conflist 10-x.conflist"},
        {FENCE_INSTALL_DROPIN, "10-x.conflist n/"},
        {FENCE_INSTALL_PATCH, "10-x.conflist"},
        {FENCE_INSTALL_OWNED, "00-podfence.conflist 10-x.conflist"},
    };
    const struct fence_install_removal removal = {.conf_dir = *state};

    put_file(*state, "10-x.conflist", LIST(1));
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(modes); i++) {
        struct fence_netd_effective effective;

        assert_int_equal(config(state, modes[i].mode, ENTRY, NULL), 1);
        expect_names(*state, modes[i].names);
        assert_int_equal(fence_netd_effective(*state, ENTRY, &effective, NULL), 0);
        assert_true(effective.wanted);
        assert_int_equal(effective.dropin, modes[i].mode == FENCE_INSTALL_DROPIN);
        assert_int_equal(config(state, modes[i].mode, ENTRY, NULL), 0);
    }
    assert_int_equal(fence_install_remove(&removal, NULL), 0);
    expect_names(*state, "10-x.conflist");
    expect_file(*state, "10-x.conflist", LIST(1));
}

static void test_refusals(void **state)
{
    struct fence_err err = {""};

    put_file(*state, "elsewhere", LIST(1));
    assert_int_equal(symlink("elsewhere", in_folder(*state, "10-x.conflist")), 0);
    assert_int_equal(config(state, FENCE_INSTALL_PATCH, ENTRY, &err), -EINVAL);
    assert_non_null(strstr(err.text, "symbolic link"));
    assert_int_equal(config(state, FENCE_INSTALL_DROPIN, ENTRY, &err), -EINVAL);
    assert_int_equal(config(state, FENCE_INSTALL_OWNED, ENTRY, &err), 1);
    expect_file(*state, "elsewhere", LIST(1));
    put_file(*state, "elsewhere",
             "{\"cniVersion\":\"0.2.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"x\"}]}");
    assert_int_equal(config(state, FENCE_INSTALL_OWNED, ENTRY, &err), -EPROTONOSUPPORT);
    assert_non_null(strstr(err.text, "cniVersion 0.2.0 is none of 0.3.0"));
    put_file(*state, "elsewhere", "{\"name\":\"n\",\"plugins\":[{\"type\":\"x\"}]}");
    assert_int_equal(config(state, FENCE_INSTALL_OWNED, ENTRY, &err), -EPROTONOSUPPORT);
    put_file(
        *state, "elsewhere",
        "{\"cniVersions\":[\"0.2.0\",\"1.0.0\"],\"name\":\"n\",\"plugins\":[{\"type\":\"x\"}]}");
    assert_int_equal(config(state, FENCE_INSTALL_OWNED, ENTRY, &err), 1);
}

static void test_judging(void **state)
{
    struct fence_install install = {
        .mode = FENCE_INSTALL_OWNED, .conf_dir = *state, .entry = ENTRY};
    struct fence_netd_effective effective;
    struct fence_err err = {""};
    static const struct {
        const char *name, *text, *said; /* NULL: good */
    } rows[] = {
        {"README", "", "there is no network configuration"},
        {"20-x.conflist", LIST(1), "podfence is not in the chain of network n"},
        {"00-podfence.conflist", WITH(1, ENTRY), NULL},
        {"00-multus.conf", "{\"name\":\"m\",\"type\":\"multus\"}",
         "00-multus.conf sorts before 00-podfence.conflist"},
        {"00-multus.conf", "{", "00-multus.conf is not valid, so containerd loads nothing"},
        {"00-multus.conf", "{\"name\":\"m\",\"type\":\"podfence\",\"startMode\":\"open\"}",
         "is not the one asked for"},
    };

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        put_file(*state, rows[i].name, rows[i].text);
        assert_int_equal(fence_netd_effective(*state, ENTRY, &effective, NULL), 0);
        assert_int_equal(fence_install_judge(&install, &effective, &err) < 0, rows[i].said != NULL);
        if (rows[i].said && !strstr(err.text, rows[i].said))
            fail_msg("\"%s\" does not say \"%s\"", err.text, rows[i].said);
    }
    /* whatever the administrator has written */
    install.mode = FENCE_INSTALL_NONE;
    assert_int_equal(fence_netd_effective(*state, fence_install_wanted(&install), &effective, NULL),
                     0);
    assert_int_equal(fence_install_judge(&install, &effective, &err), 0);
}

/* ---- out of it ------------------------------------------------------------------------------ */

static void count(void *context, const char *text)
{
    assert_non_null(text);
    ++*(int *)context;
}

static void test_removal(void **state)
{
    int said = 0;
    struct fence_install_removal removal = {.conf_dir = *state, .say = count, .context = &said};
    struct fence_err err = {""};

    put_file(*state, "00-podfence.conflist", WITH(1, ENTRY));
    assert_int_equal(fence_install_remove(&removal, &err), -ENOTEMPTY);
    assert_non_null(strstr(err.text, "--force"));
    expect_names(*state, "00-podfence.conflist");
    /* what somebody wrote by hand goes too, and drop-ins of networks that have no list any more */
    put_file(*state, "10-x.conflist", WITH(1, OTHER));
    put_file(*state, "20-h.conflist", "half");
    assert_int_equal(mkdir(in_folder(*state, "gone"), 0755), 0);
    put_file(*state, "gone/podfence.conf", ENTRY);
    put_file(*state, "gone/other.conf", "{}");
    assert_int_equal(fence_install_remove(&removal, &err), 0);
    assert_int_equal(said, 3);
    expect_names(*state, "10-x.conflist 20-h.conflist gone/");
    expect_names(in_folder(*state, "gone"), "other.conf");
    expect_file(*state, "10-x.conflist", LIST(1));
    assert_int_equal(fence_install_remove(&removal, &err), 0);
    assert_int_equal(said, 3);
    removal.force = true;
    put_file(*state, "00-podfence.conflist", WITH(1, ENTRY));
    assert_int_equal(unlink(in_folder(*state, "10-x.conflist")), 0);
    assert_int_equal(fence_install_remove(&removal, &err), 0);
    removal.conf_dir = in_folder(*state, "missing");
    assert_int_equal(fence_install_remove(&removal, &err), 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_owned),
        CASE(test_owned_is_kept),
        CASE(test_owned_of_a_single_one),
        CASE(test_patch),
        CASE(test_patch_of_a_single_one),
        CASE(test_half_patched),
        CASE(test_patch_of_a_single_one_that_became_a_list),
        CASE(test_patch_of_a_single_one_and_half_a_list),
        CASE(test_dropin),
        CASE(test_changes_of_mode),
        CASE(test_refusals),
        CASE(test_judging),
        CASE(test_removal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

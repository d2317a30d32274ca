/* SPDX-License-Identifier: Apache-2.0 */
/* Which configuration runtimes choose, and which one is the main CNI's. */
#include "lib/install/netd.h"

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

#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "lib/install/install.h"
#include "lib/install/netd_file.h"
#include "test/install/folder.h"

#define ENTRY "{\"type\":\"podfence\"}"

/* What a name in a row stands for. */
static const struct {
    char letter;
    const char *text;
} contents[] = {
    {'a', "{\"name\":\"a\",\"plugins\":[{\"type\":\"x\"},{\"type\":\"y\"}]}"},
    {'p', "{\"name\":\"p\",\"plugins\":[{\"type\":\"x\"}," ENTRY ",{\"type\":\"y\"}]}"},
    {'o', "{\"name\":\"o\",\"plugins\":[{\"type\":\"x\"},{\"type\":\"podfence\",\"k\":1}]}"},
    {'t', "{\"name\":\"t\",\"plugins\":[" ENTRY ",{\"type\":\"x\"}," ENTRY "]}"},
    {'s', "{\"name\":\"s\",\"type\":\"x\"}"},
    {'h', "{\"name\":\"h\",\"plugins\":[{\"type\":"},
    {'e', ""},
};

static const char *content(char letter)
{
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(contents); i++)
        if (contents[i].letter == letter)
            return contents[i].text;
    fail_msg("no content %c", letter);
    return NULL;
}

/* "10-a.conflist=a 20-b.conf=s": files and what is in them. */
static void put_files(const char *folder, const char *files)
{
    FENCE_FREE char *copy = strdup(files);
    char *save, *file = strtok_r(copy, " ", &save);

    for (; file; file = strtok_r(NULL, " ", &save)) {
        char *equals = strchr(file, '=');

        *equals = '\0';
        put_file(folder, file, content(equals[1]));
        age_file(folder, file, equals[2] == '!' ? 0 : 60);
    }
}

static const struct {
    const char *files; /* "!": written a moment ago */
    const char *file;
    const char *broken;
    const char *primary; /* "": there is none, "?": one may be on its way */
    int plugins;
    int ours;
    int position;
    int wanted;
} rows[] = {
    {"", "", "", "", 0, 0, -1, 0},
    {"10-a.conflist=a", "10-a.conflist", "", "10-a.conflist", 2, 0, -1, 0},
    {"10-p.conflist=p 05-a.conflist=a", "05-a.conflist", "", "05-a.conflist", 2, 0, -1, 0},
    {"10-p.conflist=p", "10-p.conflist", "", "10-p.conflist", 3, 1, 1, 1},
    {"10-o.conflist=o", "10-o.conflist", "", "10-o.conflist", 2, 1, 1, 0},
    {"10-t.conflist=t", "10-t.conflist", "", "10-t.conflist", 3, 2, 0, 0},
    {"10-s.conf=s", "10-s.conf", "", "10-s.conf", 1, 0, -1, 0},
    {"10-s.json=s", "10-s.json", "", "10-s.json", 1, 0, -1, 0},
    /* .conf sorts before .conflist of the same name */
    {"10-a.conflist=a 10-a.conf=s", "10-a.conf", "", "10-a.conf", 1, 0, -1, 0},
    /* ours before the main CNI's */
    {"00-podfence.conflist=p 10-a.conflist=a", "00-podfence.conflist", "", "10-a.conflist", 3, 1, 1,
     1},
    {"00-multus.conf=s 00-podfence.conflist=p 10-a.conflist=a", "00-multus.conf", "",
     "00-multus.conf", 1, 0, -1, 0},
    {"00-podfence.conflist=p", "00-podfence.conflist", "", "", 3, 1, 1, 1},
    /* no runtime's names */
    {"10-a.conflist.cilium_bak=a 10-a.conf.podfence-kept=s 10-a.conflist.bak=a README=a x=a", "",
     "", "", 0, 0, -1, 0},
    /* nerdctl's and podman's are in force where they come first, and never the main CNI's */
    {"87-podman-bridge.conflist=a", "87-podman-bridge.conflist", "", "", 2, 0, -1, 0},
    {"87-podman.conflist=a 90-a.conflist=a", "87-podman.conflist", "", "90-a.conflist", 2, 0, -1,
     0},
    {"nerdctl-bridge.conflist=a z.conflist=a", "nerdctl-bridge.conflist", "", "z.conflist", 2, 0,
     -1, 0},
    /* half a file, and what is only broken */
    {"10-h.conflist=h", "", "10-h.conflist", "", 0, 0, -1, 0},
    {"10-h.conflist=h!", "", "10-h.conflist", "?", 0, 0, -1, 0},
    {"10-e.conflist=e! 20-a.conflist=a", "20-a.conflist", "10-e.conflist", "?", 2, 0, -1, 0},
    {"10-e.conflist=e 20-a.conflist=a", "20-a.conflist", "10-e.conflist", "20-a.conflist", 2, 0, -1,
     0},
    {"10-a.conflist=a 20-e.conflist=e!", "10-a.conflist", "", "10-a.conflist", 2, 0, -1, 0},
    /* a list under the name of a single configuration */
    {"05-a.conf=a 10-p.conflist=p", "10-p.conflist", "05-a.conf", "10-p.conflist", 3, 1, 1, 1},
};

static void expect_primary(const char *folder, const char *primary)
{
    struct fence_netd_file file;
    int r = fence_netd_primary(folder, &file, NULL);

    if (!*primary || *primary == '?') {
        assert_int_equal(r, *primary ? -EAGAIN : -ENOENT);
        return;
    }
    assert_int_equal(r, 0);
    assert_string_equal(file.name, primary);
    fence_netd_file_done(&file);
}

static void run_row(const char *folder, size_t i)
{
    struct fence_netd_effective effective;

    put_files(folder, rows[i].files);
    assert_int_equal(fence_netd_effective(folder, ENTRY, &effective, NULL), 0);
    if (strcmp(effective.file, rows[i].file) != 0)
        fail_msg("%s: in force is \"%s\"", rows[i].files, effective.file);
    assert_string_equal(effective.broken, rows[i].broken);
    assert_int_equal(effective.broken[0] != '\0', effective.why[0] != '\0');
    assert_int_equal(effective.plugins, rows[i].plugins);
    assert_int_equal(effective.ours, rows[i].ours);
    assert_int_equal(effective.position, rows[i].position);
    assert_int_equal(effective.wanted, rows[i].wanted);
    assert_false(effective.dropin);
    expect_primary(folder, rows[i].primary);
}

static void test_choice(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        void *state = NULL;

        assert_int_equal(folder_setup(&state), 0);
        run_row(state, i);
        assert_int_equal(folder_teardown(&state), 0);
    }
}

/* A folder that is named as a file is none; a link counts as what it leads to. */
static void test_kinds_of_files(void **state)
{
    struct fence_netd_effective effective;

    assert_int_equal(mkdir(in_folder(*state, "05-a.conflist"), 0755), 0);
    put_file(*state, "elsewhere", content('a'));
    assert_int_equal(symlink("elsewhere", in_folder(*state, "10-a.conflist")), 0);
    assert_int_equal(fence_netd_effective(*state, NULL, &effective, NULL), 0);
    assert_string_equal(effective.file, "10-a.conflist");
    assert_int_equal(unlink(in_folder(*state, "elsewhere")), 0);
    assert_int_equal(fence_netd_effective(*state, NULL, &effective, NULL), 0);
    assert_string_equal(effective.file, "");
    assert_string_equal(effective.broken, "10-a.conflist");
    assert_int_equal(fence_netd_effective(in_folder(*state, "missing"), NULL, &effective, NULL),
                     -ENOENT);
}

static void test_dropins(void **state)
{
    struct fence_netd_effective effective;

    put_file(*state, "10-a.conflist", content('a'));
    assert_int_equal(mkdir(in_folder(*state, "a"), 0755), 0);
    put_file(*state, "a/20-z.conf", "{\"type\":\"z\"}");
    put_file(*state, "a/10-podfence.conf", ENTRY);
    put_file(*state, "a/10-podfence.conflist", ENTRY); /* of no meaning there */
    assert_int_equal(fence_netd_effective(*state, ENTRY, &effective, NULL), 0);
    assert_int_equal(effective.plugins, 4);
    assert_int_equal(effective.position, 2);
    assert_true(effective.dropin);
    assert_true(effective.wanted);
    /* inlined as well: once too often */
    put_file(*state, "10-a.conflist", "{\"name\":\"a\",\"plugins\":[{\"type\":\"x\"}," ENTRY "]}");
    assert_int_equal(fence_netd_effective(*state, ENTRY, &effective, NULL), 0);
    assert_int_equal(effective.ours, 2);
    assert_int_equal(effective.position, 1);
    assert_false(effective.dropin);
    assert_false(effective.wanted);
    /* the list wants none of them */
    put_file(*state, "10-a.conflist",
             "{\"name\":\"a\",\"loadOnlyInlinedPlugins\":true,\"plugins\":[{\"type\":\"x\"}]}");
    assert_int_equal(fence_netd_effective(*state, ENTRY, &effective, NULL), 0);
    assert_int_equal(effective.plugins, 1);
    assert_int_equal(effective.position, -1);
    /* one that is broken breaks the network */
    put_file(*state, "10-a.conflist", content('a'));
    put_file(*state, "a/30-h.conf", "{\"type\":");
    assert_int_equal(fence_netd_effective(*state, ENTRY, &effective, NULL), 0);
    assert_string_equal(effective.broken, "10-a.conflist");
    assert_non_null(strstr(effective.why, "30-h.conf"));
}

/* ---- folders of distributions --------------------------------------------------------------- */

static void put_platform(const char *root, const char *folder)
{
    assert_int_equal(fence_mkdirs(in_folder(root, folder), 0755, NULL), 0);
    put_file(in_folder(root, folder), "10-a.conflist", content('a'));
}

static void test_platforms(void **state)
{
    const struct fence_install_platform *found = NULL;
    struct fence_err err = {""};

    assert_int_equal(fence_install_platform_find("auto", *state, &found, NULL), 0);
    assert_string_equal(found->name, "default");
    put_platform(*state, "/var/lib/rancher/k3s/agent/etc/cni/net.d");
    assert_int_equal(fence_install_platform_find("auto", *state, &found, NULL), 0);
    assert_string_equal(found->name, "k3s");
    assert_string_equal(found->bin_dir, "/var/lib/rancher/k3s/data/cni");
    put_platform(*state, "/var/lib/rancher/k3s/data/current/bin"); /* before October 2024 */
    assert_int_equal(fence_install_platform_find("auto", *state, &found, NULL), 0);
    assert_string_equal(found->bin_dir, "/var/lib/rancher/k3s/data/current/bin");
    put_platform(*state, "/var/lib/rancher/k3s/data/cni");
    assert_int_equal(fence_install_platform_find("k3s", *state, &found, NULL), 0);
    assert_string_equal(found->bin_dir, "/var/lib/rancher/k3s/data/cni");
    put_platform(*state, "/var/snap/microk8s/current/args/cni-network");
    assert_int_equal(fence_install_platform_find("auto", *state, &found, &err), -ENOTUNIQ);
    assert_non_null(strstr(err.text, "k3s (/var/lib/rancher"));
    assert_non_null(strstr(err.text, "microk8s (/var/snap"));
    assert_non_null(strstr(err.text, "--platform NAME"));
    assert_int_equal(fence_install_platform_find("gke", *state, &found, NULL), 0);
    assert_string_equal(found->bin_dir, "/home/kubernetes/bin");
    assert_int_equal(fence_install_platform_find("default", *state, &found, NULL), 0);
    assert_string_equal(found->bin_dir, "/opt/cni/bin");
    assert_int_equal(fence_install_platform_find("minix", *state, &found, &err), -EINVAL);
    assert_non_null(strstr(err.text, "minix is none of auto, default, k3s"));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choice),
        CASE(test_kinds_of_files),
        CASE(test_dropins),
        CASE(test_platforms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

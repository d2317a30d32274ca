/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin's binary and its entry: tried before they are put anywhere. */
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

#define PLUGIN FENCE_BIN_DIR "/podfence"

static void test_tries(void **state)
{
    static const struct {
        const char *text;
        const char *said;
    } rows[] = {
        {"#!/bin/sh\nexit 3\n", "ended with 3"},
        {"#!/bin/sh\necho '{}'\n", "no CNI plugin that runs here"},
        {"#!/bin/sh\necho '{\"supportedVersions\":[]}'\n", "no CNI plugin that runs here"},
        {"#!/bin/sh\nkill -SEGV $$\n", "ended by signal 11"},
        {"\177ELF of another machine", "cannot be started"},
    };

    assert_int_equal(fence_install_try_plugin(PLUGIN, NULL), 0);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        struct fence_err err = {""};

        put_file(*state, "plugin", rows[i].text);
        assert_int_equal(chmod(in_folder(*state, "plugin"), 0755), 0);
        assert_true(fence_install_try_plugin(in_folder(*state, "plugin"), &err) < 0);
        if (!strstr(err.text, rows[i].said))
            fail_msg("\"%s\" does not say \"%s\"", err.text, rows[i].said);
    }
    /* asked for nothing but its versions, with nothing else in its environment */
    put_file(*state, "plugin",
             "#!/bin/sh\n[ \"$CNI_COMMAND\" = VERSION ] && [ -z \"$HOME$FENCE_BUILD\" ] && "
             "echo '{\"supportedVersions\":[\"1.0.0\"]}'\n");
    assert_int_equal(fence_install_try_plugin(in_folder(*state, "plugin"), NULL), 0);
}

static void test_install(void **state)
{
    FENCE_FREE char *bin_dir = strdup(in_folder(*state, "opt/cni/bin"));
    struct fence_install install = {.bin_dir = bin_dir, .plugin = PLUGIN};
    struct fence_err err = {""};

    assert_int_equal(fence_install_binary_check(&install, &err), -ENOENT);
    assert_int_equal(fence_install_binary(&install, &err), 1);
    assert_int_equal(fence_install_binary_check(&install, &err), 0);
    assert_int_equal(fence_install_binary(&install, &err), 0);
    expect_names(install.bin_dir, "podfence");
    assert_int_equal(access(in_folder(install.bin_dir, "podfence"), X_OK), 0);
    put_file(install.bin_dir, "podfence", "an older one");
    assert_int_equal(fence_install_binary_check(&install, &err), -EUCLEAN);
    assert_non_null(strstr(err.text, "is not the plugin of this version"));
    assert_int_equal(fence_install_binary(&install, &err), 1);
    /* what does not run takes nobody's place */
    put_file(*state, "bad", "#!/bin/sh\nexit 1\n");
    assert_int_equal(chmod(in_folder(*state, "bad"), 0755), 0);
    install.plugin = in_folder(*state, "bad");
    assert_int_equal(fence_install_binary(&install, &err), -ENOEXEC);
    install.plugin = in_folder(*state, "missing");
    assert_int_equal(fence_install_binary(&install, &err), -EIO);
    install.plugin = PLUGIN;
    assert_int_equal(fence_install_binary_check(&install, &err), 0);
    assert_int_equal(fence_install_remove_binary(install.bin_dir, &err), 1);
    assert_int_equal(fence_install_remove_binary(install.bin_dir, &err), 0);
    expect_names(install.bin_dir, "");
}

static void test_entries(void **state)
{
    static const struct {
        const char *given;
        const char *entry; /* NULL: refused, and this is said: */
        const char *said;
    } rows[] = {
        {"{\"type\":\"podfence\"}", "{\"type\":\"podfence\",\"bpffs\":\"/b\",\"socket\":\"/s\"}",
         NULL},
        {"{\"startMode\":\"closed\",\"bpffs\":\"/own\"}",
         "{\"startMode\":\"closed\",\"bpffs\":\"/own\",\"type\":\"podfence\",\"socket\":\"/s\"}",
         NULL},
        {"{\"startMode\":\"ajar\"}", NULL, "startMode"},
        {"{\"type\":\"bridge\"}", NULL, "\"type\" is not \"podfence\""},
        {"{\"name\":\"n\"}", NULL, "\"name\" is the runtime's to say"},
        {"[]", NULL, "no JSON object"},
        {"{", NULL, "no JSON object"},
        {"", NULL, "no JSON object"},
    };

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        FENCE_FREE char *entry = NULL;
        struct fence_err err = {""};
        int r = fence_install_entry(rows[i].given, "/b", "/s", &entry, &err);

        assert_int_equal(r, rows[i].entry ? 0 : -EINVAL);
        if (rows[i].entry)
            assert_string_equal(entry, rows[i].entry);
        else if (!strstr(err.text, rows[i].said))
            fail_msg("\"%s\" does not say \"%s\"", err.text, rows[i].said);
    }
}

static void test_default_entry(void **state)
{
    FENCE_FREE char *entry = NULL;

    (void)state;
    assert_int_equal(fence_install_entry(NULL, NULL, NULL, &entry, NULL), 0);
    assert_string_equal(entry, "{\"type\":\"podfence\",\"capabilities\":"
                               "{\"io.kubernetes.cri.pod-annotations\":true},"
                               "\"startMode\":\"hold\",\"failurePolicy\":\"closed\"}");
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_tries),
        CASE(test_install),
        cmocka_unit_test(test_entries),
        cmocka_unit_test(test_default_entry),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

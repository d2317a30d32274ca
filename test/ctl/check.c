/* SPDX-License-Identifier: Apache-2.0 */
/* podfencectl check: what is printed, and what it makes of a runtime's folders. */
#include "cni/ctl/check.h"

#include <stdlib.h>
#include <string.h>

#include "test/cmocka.h"

#include "lib/base/memory.h"
#include "test/ctl/run.h"

static void test_print(void **state)
{
    static const char findings[] =
        "{\"findings\":["
        "{\"area\":\"kernel\",\"level\":\"ok\",\"what\":\"Linux 6.1\"},"
        "{\"area\":\"chain\",\"level\":\"warn\",\"what\":\"the key \\\"\\u001b[2J\\n\\\"\","
        "\"remedy\":\"take\\u009b it out\"},"
        "{\"area\":\"plugin\",\"level\":\"fail\",\"what\":\"none\",\"remedy\":\"install it\"}],"
        "\"ok\":1,\"warnings\":1,\"failures\":1}";
    static const char expected[] = "ok    kernel: Linux 6.1\n"
                                   "warn  chain: the key \"\\x1b[2J\\x0a\"  \xe2\x80\x93 "
                                   "take\\xc2\\x9b it out\n"
                                   "FAIL  plugin: none  \xe2\x80\x93 install it\n"
                                   "1 ok, 1 warnings, 1 failures\n";
    cJSON *value = cJSON_Parse(findings);
    FENCE_FREE char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    (void)state;
    assert_non_null(value);
    assert_non_null(out);
    check_print(out, false, value);
    fclose(out);
    cJSON_Delete(value);
    assert_string_equal(text, expected);
}

#define LIST(plugins) "{\"cniVersion\":\"1.0.0\",\"name\":\"cbr0\",\"plugins\":[" plugins "]}"
#define MAIN          "{\"type\":\"bridge\"}"
#define FENCE         "{\"type\":\"podfence\"}"

/* Files a.* and b.* of the runtime's folder, and what has to be said. */
static const struct {
    const char *what;
    const char *names[2];
    const char *texts[2];
    const char *said[3];
    const char *unsaid;
} chains[] = {
    {"last of the chain",
     {"a.conflist"},
     {LIST(MAIN "," FENCE)},
     {"ok    chain: ", "/a.conflist is what new pods get, network cbr0",
      "podfence is plugin 2 of the chain, after bridge"},
     "FAIL  chain"},
    {"the first valid one counts",
     {"a.conflist", "b.conflist"},
     {"{\"name\":\"half", LIST(MAIN "," FENCE)},
     {"FAIL  chain: no valid configuration: ", "/a.conflist: ", "/b.conflist is what new pods get"},
     NULL},
    {"the first by name",
     {"10-a.conf", "9-b.conflist"},
     {"{\"name\":\"x\",\"type\":\"ptp\"}", LIST(MAIN "," FENCE)},
     {"FAIL  chain: ", "/10-a.conf is what new pods get, and has no podfence entry"},
     NULL},
    {"an empty list is passed over",
     {"a.conflist", "b.conflist"},
     {LIST(""), LIST(MAIN "," FENCE)},
     {"FAIL  chain: no valid configuration: ", "/b.conflist is what new pods get"},
     NULL},
    {"other files do not count",
     {"a.conflist.tmp", "b.bak"},
     {LIST(MAIN), LIST(MAIN)},
     {"FAIL  chain: ", "has no network configuration"},
     NULL},
    {"the first plugin",
     {"a.conflist"},
     {LIST(FENCE)},
     {"FAIL  chain: podfence is the first of the chain"},
     NULL},
    {"behind it",
     {"a.conflist"},
     {LIST(MAIN "," FENCE ",{\"type\":\"portmap\"},{\"type\":\"bandwidth\"}")},
     {"warn  chain: portmap comes after podfence", " chain: bandwidth comes after podfence"},
     NULL},
    {"twice",
     {"a.conflist"},
     {LIST(MAIN "," FENCE "," FENCE)},
     {"FAIL  chain: podfence is there twice"},
     NULL},
    {"an unknown key",
     {"a.conflist"},
     {LIST(MAIN ",{\"type\":\"podfence\",\"start\\u001bMode\":\"hold\"}")},
     {"warn  chain: podfence does not know the key \"start\\x1bMode\" of its entry"},
     "FAIL  chain"},
    {"a wrong value",
     {"a.conflist"},
     {LIST(MAIN ",{\"type\":\"podfence\",\"startMode\":\"ajar\"}")},
     {"FAIL  chain: \"startMode\": \"ajar\" is not allowed"},
     NULL},
    {"another path",
     {"a.conflist"},
     {LIST(MAIN ",{\"type\":\"podfence\",\"bpffs\":\"/sys/fs/bpf/other\"}")},
     {"warn  chain: the entry's bpffs is /sys/fs/bpf/other"},
     "FAIL  chain"},
    {"open",
     {"a.conflist"},
     {LIST(MAIN ",{\"type\":\"podfence\",\"failurePolicy\":\"open\"}")},
     {"warn  chain: failurePolicy is open"},
     "FAIL  chain"},
    {"an old list",
     {"a.conflist"},
     {"{\"cniVersion\":\"0.2.0\",\"name\":\"n\",\"plugins\":[" MAIN "," FENCE "]}"},
     {"FAIL  chain: incompatible CNI versions: config is \"0.2.0\""},
     NULL},
};

static void test_chain(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(chains); i++) {
        char folder[64];
        const char *arguments[] = {"check", "--net-d", folder, "--cni-bin", folder, NULL};
        struct run run;

        folder_make(folder);
        for (size_t j = 0; j < 2 && chains[i].names[j]; j++)
            folder_write(folder, chains[i].names[j], chains[i].texts[j]);
        run_ctl(arguments, NULL, &run);
        for (size_t j = 0; j < 3 && chains[i].said[j]; j++)
            if (!strstr(run.out, chains[i].said[j]))
                fail_msg("%s: '%s' is not in\n%s", chains[i].what, chains[i].said[j], run.out);
        if (chains[i].unsaid && strstr(run.out, chains[i].unsaid))
            fail_msg("%s: '%s' is in\n%s", chains[i].what, chains[i].unsaid, run.out);
        /* there is no plugin in that folder */
        assert_non_null(strstr(run.out, "FAIL  plugin: there is no "));
        assert_int_equal(run.status, 1);
        run_done(&run);
        folder_remove(folder);
    }
}

static void test_usage(void **state)
{
    static const struct {
        const char *arguments[4];
        int status;
        const char *said;
    } rows[] = {
        {{"check", "extra"}, 2, "extra is one argument too many"},
        {{"check", "--net-d"}, 2, "option --net-d needs a value"},
        {{"check", "--help"}, 0, "--preflight"},
    };

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        struct run run;

        run_ctl(rows[i].arguments, NULL, &run);
        assert_int_equal(run.status, rows[i].status);
        assert_non_null(strstr(rows[i].status ? run.err : run.out, rows[i].said));
        run_done(&run);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_usage),
    };

    return cmocka_run_group_tests_name("ctl.check", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* podfencectl audit on logs that the library has written. */
#include <string.h>

#include "lib/base/memory.h"
#include "test/audit/log.h"
#include "test/cmocka.h"
#include "test/ctl/run.h"

#define SECOND 1000000000ull
#define NOON   1795780800ull /* 2026-11-27T12:00:00Z */

static void put(struct fence_audit_writer *writer, uint64_t second, const char *type,
                const char *members)
{
    struct fence_audit_text *text =
        fence_audit_writer_begin(writer, (NOON + second) * SECOND, type, 2048);

    assert_non_null(text);
    fence_audit_puts(text, members);
    fence_audit_writer_end(writer);
}

static void connection(struct fence_audit_writer *writer, uint64_t second, const char *verdict,
                       const char *source)
{
    char members[1024];

    snprintf(members, sizeof(members),
             ",\"verdict\":\"%s\",\"source\":{\"namespace\":\"shop\",\"app\":\"%s\"},"
             "\"destination\":{\"namespace\":\"shop\",\"app\":\"db\"},\"protocol\":\"TCP\","
             "\"port\":5432",
             verdict, source);
    put(writer, second, "connection", members);
}

static void make_log(struct log_folder *folder)
{
    struct fence_audit_writer *writer;

    log_folder_make(folder);
    writer = log_open(folder, &no_key, 1 << 20);
    connection(writer, 0, "FORWARDED", "api");
    connection(writer, 1, "FORWARDED", "api");
    connection(writer, 2, "DROPPED", "\\u001b[31mweb");
    put(writer, 3, "policy",
        ",\"change\":\"changed\",\"policy\":\"SegmentPolicy/shop/db\",\"file\":\"db.yaml\","
        "\"parts\":[\"ingress[0]\",\"enforcement\"]");
    put(writer, 3600, "policy", ",\"change\":\"removed\",\"policy\":\"SegmentPolicy/shop/db\"");
    fence_audit_writer_free(&writer);
}

static void test_report(void **state)
{
    struct log_folder folder;
    struct run run;

    (void)state;
    make_log(&folder);
    run_ctl((const char *[]){"audit", "report", "--from", "2026-11-27T12:00:00Z", "--to",
                             "2026-11-27T12:30Z", "-o", "json", folder.file, NULL},
            NULL, &run);
    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.out, "{\"source\":\"shop/api\",\"destination\":\"shop/db\","
                                    "\"service\":\"5432/TCP\",\"allowed\":2,\"blocked\":0"));
    assert_non_null(strstr(run.out, "\"change\":\"changed\""));
    assert_null(strstr(run.out, "\"change\":\"removed\"")); /* an hour later */
    run_done(&run);

    run_ctl((const char *[]){"audit", "report", folder.file, NULL}, NULL, &run);
    assert_int_equal(run.status, 0);
    assert_null(strchr(run.out, '\033'));
    assert_non_null(strstr(run.out, "policy changed SegmentPolicy/shop/db: ingress[0], "
                                    "enforcement (db.yaml)\n"));
    run_done(&run);

    run_ctl(
        (const char *[]){"audit", "report", "--app", "shop/api", "-o", "json", folder.file, NULL},
        NULL, &run);
    assert_null(strstr(run.out, "web"));
    run_done(&run);
    log_folder_remove(&folder);
}

static void test_verify(void **state)
{
    struct log_folder folder;
    FENCE_FREE char *data = NULL;
    size_t size;
    struct run run;

    (void)state;
    make_log(&folder);
    run_ctl((const char *[]){"audit", "verify", folder.file, NULL}, NULL, &run);
    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.out, "The chain holds.\n6 records of 1 files hold: 1 to 6"));
    run_done(&run);
    data = log_read(folder.file, &size);
    *strstr(data, "DROPPED") = 'd';
    log_write(folder.file, data, size);
    run_ctl((const char *[]){"audit", "verify", folder.file, NULL}, NULL, &run);
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.out, "audit.log:4 (changed): "));
    run_done(&run);
    log_folder_remove(&folder);
}

static void test_misuse(void **state)
{
    static const struct {
        const char *arguments[6];
        int status;
        const char *text;
    } cases[] = {
        {{"audit", "check", NULL}, 2, "check is none of verify, report"},
        {{"audit", "verify", NULL}, 2, "FILE... is missing"},
        {{"audit", "verify", "/nonexistent", NULL}, 1, "cannot open /nonexistent"},
        {{"audit", "report", "--from", "noon", "x", NULL}, 2, "noon is no time"},
        {{"audit", "report", "--from", "7y", "x", NULL}, 2, "7y is no time"},
        {{"audit", "verify", "/dev/zero", NULL}, 1, ""},
    };
    struct run run;

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(cases); i++) {
        run_ctl(cases[i].arguments, NULL, &run);
        assert_int_equal(run.status, cases[i].status);
        assert_non_null(strstr(run.err, cases[i].text));
        run_done(&run);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_verify),
        cmocka_unit_test(test_misuse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

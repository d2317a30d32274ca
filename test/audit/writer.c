/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/audit/writer.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "test/audit/log.h"
#include "test/cmocka.h"

#define LARGE (1u << 20)

/* Another process goes on where the first has ended, and says so. */
static void test_goes_on(void **state)
{
    struct log_folder folder;
    struct fence_audit_writer *writer;
    struct fence_audit_verdict verdict;

    (void)state;
    log_folder_make(&folder);
    writer = log_open(&folder, &no_key, LARGE);
    assert_false(fence_audit_writer_stats(writer).resumed);
    log_put(writer, 3);
    fence_audit_writer_free(&writer);
    writer = log_open(&folder, &no_key, LARGE);
    assert_true(fence_audit_writer_stats(writer).resumed);
    assert_int_equal(fence_audit_writer_stats(writer).seq, 4);
    log_put(writer, 2);
    fence_audit_writer_free(&writer);
    verdict = log_verify(&folder, 1, &no_key);
    assert_int_equal(verdict.kind, FENCE_AUDIT_INTACT);
    assert_int_equal(verdict.records, 6);
    assert_int_equal(verdict.last_seq, 6);
    log_folder_remove(&folder);
}

/* The last line torn at each of its bytes, as a crash may leave it. */
static void test_torn(void **state)
{
    struct log_folder folder;
    struct fence_audit_writer *writer;
    FENCE_FREE char *good = NULL;
    size_t size = 0, last;

    (void)state;
    log_folder_make(&folder);
    writer = log_open(&folder, &no_key, LARGE);
    log_put(writer, 3);
    fence_audit_writer_free(&writer);
    good = log_read(folder.file, &size);
    last = (size_t)((const char *)memrchr(good, '\n', size - 1) - good) + 1;
    for (size_t kept = last + 1; kept < size; kept++) {
        struct fence_audit_verdict verdict;

        log_write(folder.file, good, kept);
        assert_true(log_verify(&folder, 1, &no_key).unfinished);
        writer = log_open(&folder, &no_key, LARGE);
        assert_true(fence_audit_writer_stats(writer).torn);
        log_put(writer, 1);
        fence_audit_writer_free(&writer);
        verdict = log_verify(&folder, 1, &no_key);
        assert_int_equal(verdict.kind, FENCE_AUDIT_INTACT);
        assert_false(verdict.unfinished);
        assert_int_equal(verdict.torn, 1);
        assert_int_equal(verdict.records, 3 + 2); /* without the torn one, and two more */
    }
    log_folder_remove(&folder);
}

/* Torn in the first line of all, and in the first line after a rotation. */
static void test_torn_first(void **state)
{
    static const char piece[] = "{\"seq\":1,\"ti";
    struct log_folder folder;
    struct fence_audit_writer *writer;

    (void)state;
    log_folder_make(&folder);
    log_write(folder.file, piece, strlen(piece));
    writer = log_open(&folder, &no_key, LARGE);
    log_put(writer, 2);
    fence_audit_writer_free(&writer);
    assert_int_equal(log_verify(&folder, 1, &no_key).kind, FENCE_AUDIT_INTACT);
    assert_int_equal(log_verify(&folder, 1, &no_key).records, 4);

    assert_int_equal(rename(folder.file, log_file(&folder, 1)), 0);
    log_write(folder.file, piece, strlen(piece));
    writer = log_open(&folder, &no_key, LARGE);
    log_put(writer, 1);
    fence_audit_writer_free(&writer);
    assert_int_equal(log_verify(&folder, 2, &no_key).kind, FENCE_AUDIT_INTACT);
    assert_int_equal(log_verify(&folder, 2, &no_key).records, 4 + 3);
    log_folder_remove(&folder);
}

static unsigned int count_files(const struct log_folder *folder)
{
    unsigned int count = 0;

    while (access(log_file(folder, count), F_OK) == 0)
        count++;
    return count;
}

/* The chain goes over many files, and shows the one that is missing. */
static void test_rotation(void **state)
{
    struct log_folder folder;
    struct fence_audit_writer *writer;
    struct fence_audit_verdict verdict;
    unsigned int files;

    (void)state;
    log_folder_make(&folder);
    for (unsigned int run = 0; run < 3; run++) {
        writer = log_open(&folder, &no_key, 4000);
        for (unsigned int i = 0; i < 20; i++) {
            log_put(writer, 2);
            fence_audit_writer_tick(writer);
        }
        fence_audit_writer_free(&writer);
    }
    files = count_files(&folder);
    assert_in_range(files, 6, 20);
    verdict = log_verify(&folder, files, &no_key);
    assert_int_equal(verdict.kind, FENCE_AUDIT_INTACT);
    assert_int_equal(verdict.files, files);
    assert_int_equal(verdict.records, 3 * 40 + files);
    assert_int_equal(verdict.first_seq, 1);

    verdict = log_verify(&folder, files - 1, &no_key); /* the oldest is gone: not a break */
    assert_int_equal(verdict.kind, FENCE_AUDIT_INTACT);
    assert_true(verdict.first_seq > 1);

    assert_int_equal(rename(log_file(&folder, files - 1), "/tmp/fence-audit-moved"), 0);
    assert_int_equal(unlink(log_file(&folder, 2)), 0); /* one in the middle */
    log_write(log_file(&folder, 2), "", 0);
    verdict = log_verify(&folder, files - 1, &no_key);
    assert_int_equal(verdict.kind, FENCE_AUDIT_MISSING);
    assert_int_equal(verdict.line, 1);
    assert_int_equal(unlink("/tmp/fence-audit-moved"), 0);
    log_folder_remove(&folder);
}

/* A key from now on: another file, and the chain goes on. */
static void test_key_comes(void **state)
{
    struct fence_audit_key key = {.keyed = true};
    struct log_folder folder;
    struct fence_audit_writer *writer;

    (void)state;
    hmac_sha256_set_key(&key.hmac, 16, (const uint8_t *)"0123456789abcdef");
    log_folder_make(&folder);
    writer = log_open(&folder, &no_key, LARGE);
    log_put(writer, 2);
    fence_audit_writer_free(&writer);
    writer = log_open(&folder, &key, LARGE);
    log_put(writer, 2);
    fence_audit_writer_free(&writer);
    assert_int_equal(count_files(&folder), 2);
    assert_int_equal(log_verify(&folder, 1, &key).kind, FENCE_AUDIT_INTACT);
    assert_int_equal(log_verify(&folder, 1, &key).first_seq, 4);
    log_folder_remove(&folder);
}

/* What is there is no log: it is kept, and another file begins. */
static void test_strange(void **state)
{
    struct log_folder folder;
    struct fence_audit_writer *writer;
    FENCE_FREE char *kept = NULL;
    size_t size;

    (void)state;
    log_folder_make(&folder);
    log_write(folder.file, "hello\nworld\n", 12);
    writer = log_open(&folder, &no_key, LARGE);
    log_put(writer, 2);
    fence_audit_writer_free(&writer);
    kept = log_read(log_file(&folder, 1), &size);
    assert_string_equal(kept, "hello\nworld\n");
    assert_int_equal(log_verify(&folder, 1, &no_key).kind, FENCE_AUDIT_INTACT);
    assert_int_equal(log_verify(&folder, 2, &no_key).kind, FENCE_AUDIT_MALFORMED);
    log_folder_remove(&folder);
}

static int open_error(const char *path)
{
    const struct fence_audit_writer_options options = {
        .path = path, .node_name = "n1", .key = &no_key, .file_max = LARGE, .files = 2};
    struct fence_audit_writer *writer = NULL;
    struct fence_err err = {""};
    int result = fence_audit_writer_new(&options, &writer, &err);

    fence_audit_writer_free(&writer);
    assert_true(result == 0 || err.text[0]);
    return result;
}

static void test_refused_paths(void **state)
{
    struct log_folder folder;
    struct fence_audit_writer *writer;

    (void)state;
    log_folder_make(&folder);
    assert_int_equal(open_error("/dev/null"), -EINVAL);
    assert_int_equal(open_error("/nonexistent/audit.log"), -ENOENT);
    assert_int_equal(symlink("/tmp/fence-audit-elsewhere", folder.file), 0);
    assert_int_equal(open_error(folder.file), -ELOOP);
    assert_int_equal(unlink(folder.file), 0);
    writer = log_open(&folder, &no_key, LARGE);
    assert_int_equal(open_error(folder.file), -EBUSY);
    fence_audit_writer_free(&writer);
    log_folder_remove(&folder);
}

static void limit_file_size(rlim_t size)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A disk that is full, by a limit of the file's size: EFBIG in the middle of a record. */
static void test_full(void **state)
{
    struct log_folder folder;
    struct fence_audit_writer *writer;
    struct fence_audit_stats stats;
    struct fence_audit_verdict verdict;

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    log_folder_make(&folder);
    writer = log_open(&folder, &no_key, LARGE);
    log_put(writer, 10);
    fence_audit_writer_tick(writer);
    limit_file_size(5000);
    log_put(writer, 5000); /* more than the buffer has room for */
    fence_audit_writer_tick(writer);
    stats = fence_audit_writer_stats(writer);
    assert_int_equal(stats.failing, EFBIG);
    assert_true(stats.missing > 3000);
    assert_int_equal(stats.records + stats.missing, 1 + 10 + 5000);
    assert_true(log_verify(&folder, 1, &no_key).unfinished);
    limit_file_size(RLIM_INFINITY);
    fence_audit_writer_tick(writer);
    assert_int_equal(fence_audit_writer_stats(writer).failing, 0);
    log_put(writer, 5);
    fence_audit_writer_free(&writer);
    verdict = log_verify(&folder, 1, &no_key);
    assert_int_equal(verdict.kind, FENCE_AUDIT_INTACT);
    assert_false(verdict.unfinished);
    assert_int_equal(verdict.gaps, 1);
    assert_int_equal(verdict.missing, stats.missing);
    assert_int_equal(verdict.records, stats.records + 1 + 5);
    log_folder_remove(&folder);
}

/* Moved away by somebody: the next records are in a new file, and the chain goes on. */
static void test_moved(void **state)
{
    struct log_folder folder;
    struct fence_audit_writer *writer;

    (void)state;
    log_folder_make(&folder);
    writer = log_open(&folder, &no_key, LARGE);
    log_put(writer, 2);
    fence_audit_writer_tick(writer);
    assert_int_equal(rename(folder.file, log_file(&folder, 1)), 0);
    log_put(writer, 1);
    fence_audit_writer_tick(writer);
    log_put(writer, 2);
    fence_audit_writer_free(&writer);
    assert_int_equal(log_verify(&folder, 2, &no_key).kind, FENCE_AUDIT_INTACT);
    assert_int_equal(log_verify(&folder, 2, &no_key).records, 1 + 2 + 1 + 1 + 2);
    log_folder_remove(&folder);
}

static void test_huge_record(void **state)
{
    struct log_folder folder;
    struct fence_audit_writer *writer;
    struct fence_audit_text *text;

    (void)state;
    log_folder_make(&folder);
    writer = log_open(&folder, &no_key, LARGE);
    text = fence_audit_writer_begin(writer, fence_clock_wall_ns(), "test", 2048);
    assert_non_null(text);
    for (unsigned int i = 0; i < 1000; i++)
        fence_audit_member(text, "more", "0123456789");
    fence_audit_writer_end(writer);
    assert_int_equal(fence_audit_writer_stats(writer).missing, 1);
    log_put(writer, 1);
    fence_audit_writer_free(&writer);
    assert_int_equal(log_verify(&folder, 1, &no_key).kind, FENCE_AUDIT_INTACT);
    assert_int_equal(log_verify(&folder, 1, &no_key).missing, 1);
    log_folder_remove(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goes_on),       cmocka_unit_test(test_torn),
        cmocka_unit_test(test_torn_first),    cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_key_comes),     cmocka_unit_test(test_strange),
        cmocka_unit_test(test_refused_paths), cmocka_unit_test(test_full),
        cmocka_unit_test(test_moved),         cmocka_unit_test(test_huge_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

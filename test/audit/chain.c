/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/audit/chain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/memory.h"
#include "test/audit/log.h"
#include "test/cmocka.h"

static char buffer[4096];

static struct fence_audit_text empty_text(void)
{
    return (struct fence_audit_text){.data = buffer, .capacity = sizeof(buffer)};
}

/* Against hashes that coreutils and Python's hmac made of the same bytes. */
static void test_known_hashes(void **state)
{
    static const char first[] =
        "{\"seq\":1,\"time\":\"2026-11-27T09:32:30.000000007Z\",\"type\":\"test\",\"a\":5,\"prev\":"
        "\""
        "0000000000000000000000000000000000000000000000000000000000000000\",\"hash\":\""
        "0792c9b648d2f08792071b08b9bbdd1af8a9ed709533d4d4c6a83296eb175dcd\"}\n";
    struct fence_audit_key keyed = {.keyed = true};
    struct fence_audit_text text = empty_text();
    struct fence_audit_chain chain;

    (void)state;
    fence_audit_chain_init(&chain, &no_key);
    fence_audit_begin(&chain, &text, 1795771950000000007ull, "test");
    fence_audit_member_number(&text, "a", 5);
    assert_int_equal(fence_audit_seal(&chain, &text), 0);
    assert_int_equal(text.size, strlen(first));
    assert_memory_equal(text.data, first, text.size);
    assert_int_equal(chain.seq, 1);

    hmac_sha256_set_key(&keyed.hmac, 16, (const uint8_t *)"0123456789abcdef");
    text = empty_text();
    fence_audit_chain_init(&chain, &keyed);
    fence_audit_begin(&chain, &text, 1795771950000000007ull, "test");
    fence_audit_member_number(&text, "a", 5);
    assert_int_equal(fence_audit_seal(&chain, &text), 0);
    assert_string_equal(chain.last,
                        "ec473be5d74590266f2684b461d8b3cb7bd8c0464cb9a24284e93df726844045");
}

static void expect_escaped(const char *value, size_t size, const char *expected)
{
    struct fence_audit_text text = empty_text();

    fence_audit_put_bytes(&text, value, size);
    assert_int_equal(text.size, strlen(expected));
    assert_memory_equal(text.data, expected, text.size);
}

static void test_strings(void **state)
{
    static const struct {
        const char *value, *expected;
    } cases[] = {
        {"", "\"\""},
        {"shop/web", "\"shop/web\""},
        {"a\"b\\c", "\"a\\\"b\\\\c\""},
        {"\x1b]0;x\x07\n\x7f", "\"\\u001b]0;x\\u0007\\u000a\\u007f\""},
        {"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
         "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\""},
        {"\xc2\x9b"
         "31m",
         "\"\\u009b31m\""},                                 /* CSI in one character */
        {"\xe2\x80\xae\xe2\x80\xa8", "\"\\u202e\\u2028\""}, /* an override, a line's end */
        {"\xff\xc0\x80\xe0\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\""},
        {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""},            /* half of a surrogate pair */
        {"\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""}, /* beyond U+10FFFF */
        {"\xe2\x82", "\"\\ufffd\\ufffd\""},                       /* cut off */
    };

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(cases); i++)
        expect_escaped(cases[i].value, strlen(cases[i].value), cases[i].expected);
    expect_escaped("a\0b", 3, "\"a\\u0000b\"");
}

/* cJSON leaves all but C0 as it is. */
static void test_json(void **state)
{
    static const char json[] =
        "{\"a\":\"\\\"\\u001b\x7f\xc2\x9b\xff\xe2\x80\xae\xc3\xbc\",\"n\":1}";
    static const char expected[] =
        "{\"a\":\"\\\"\\u001b\\u007f\\u009b\\ufffd\\u202e\xc3\xbc\",\"n\":1}";
    struct fence_audit_text text = {.data = buffer, .capacity = sizeof(buffer)};

    (void)state;
    fence_audit_put_json(&text, json, sizeof(json) - 1);
    assert_int_equal(text.size, sizeof(expected) - 1);
    assert_memory_equal(buffer, expected, text.size);
}

/* A record that does not fit leaves the chain where it was. */
static void test_too_long(void **state)
{
    struct fence_audit_chain chain;

    (void)state;
    fence_audit_chain_init(&chain, &no_key);
    for (size_t room = 0; room < 260; room++) {
        struct fence_audit_text text = {.data = buffer, .capacity = room};
        int result;

        fence_audit_begin(&chain, &text, 1, "test");
        fence_audit_member(&text, "text", "0123456789");
        result = fence_audit_seal(&chain, &text);
        if (chain.seq) {
            assert_int_equal(result, 0);
            assert_int_equal(text.size, room); /* the first that is large enough is just so */
            return;
        }
        assert_int_equal(result, -EMSGSIZE);
        assert_true(text.size <= room);
    }
    fail();
}

static void make_log(struct log_folder *folder, const struct fence_audit_key *key)
{
    struct fence_audit_writer *writer;

    log_folder_make(folder);
    writer = log_open(folder, key, 1 << 20);
    log_put(writer, 4);
    fence_audit_writer_free(&writer);
}

/* Every byte, changed, taken out, and doubled. */
static void expect_tampering_found(const struct fence_audit_key *key)
{
    struct log_folder folder;
    FENCE_FREE char *good = NULL, *bad = NULL;
    size_t size = 0;

    make_log(&folder, key);
    good = log_read(folder.file, &size);
    bad = malloc(size + 1);
    assert_non_null(bad);
    assert_int_equal(log_verify(&folder, 1, key).kind, FENCE_AUDIT_INTACT);
    for (size_t at = 0; at < size; at++) {
        struct fence_audit_verdict verdict;

        memcpy(bad, good, size);
        bad[at] ^= at % 2 ? 1 : 0x20; /* a letter's case too */
        log_write(folder.file, bad, size);
        verdict = log_verify(&folder, 1, key);
        assert_true(verdict.kind != FENCE_AUDIT_INTACT || verdict.unfinished);
        assert_true(verdict.records < 5);

        memmove(bad + at, good + at + 1, size - at - 1);
        log_write(folder.file, bad, size - 1);
        verdict = log_verify(&folder, 1, key);
        assert_true(verdict.kind != FENCE_AUDIT_INTACT || verdict.unfinished);

        memcpy(bad, good, at + 1);
        memcpy(bad + at + 1, good + at, size - at);
        log_write(folder.file, bad, size + 1);
        verdict = log_verify(&folder, 1, key);
        assert_true(verdict.kind != FENCE_AUDIT_INTACT || verdict.unfinished);
    }
    log_folder_remove(&folder);
}

static void test_every_byte(void **state)
{
    (void)state;
    expect_tampering_found(&no_key);
}

static void test_every_byte_keyed(void **state)
{
    struct fence_audit_key key = {.keyed = true};

    (void)state;
    hmac_sha256_set_key(&key.hmac, 16, (const uint8_t *)"0123456789abcdef");
    expect_tampering_found(&key);
}

/* Offsets of the lines of a log of five records. */
static void find_lines(const char *data, size_t offsets[6])
{
    offsets[0] = 0;
    for (size_t i = 1; i <= 5; i++)
        offsets[i] = (size_t)(strchr(data + offsets[i - 1], '\n') - data) + 1;
}

static void expect_break(const struct log_folder *folder, enum fence_audit_break kind,
                         uint64_t line)
{
    struct fence_audit_verdict verdict = log_verify(folder, 1, &no_key);

    assert_string_equal(fence_audit_break_name(verdict.kind), fence_audit_break_name(kind));
    assert_int_equal(verdict.line, line);
}

/* Records taken out, doubled and exchanged, each of them whole. */
static void test_lines(void **state)
{
    struct log_folder folder;
    FENCE_FREE char *good = NULL;
    char bad[8192];
    size_t size = 0, at[6];

    (void)state;
    make_log(&folder, &no_key);
    good = log_read(folder.file, &size);
    find_lines(good, at);

    memcpy(bad, good, at[2]); /* the third is missing */
    memcpy(bad + at[2], good + at[3], size - at[3]);
    log_write(folder.file, bad, size - (at[3] - at[2]));
    expect_break(&folder, FENCE_AUDIT_MISSING, 3);

    memcpy(bad, good, at[3]); /* the third is there twice */
    memcpy(bad + at[3], good + at[2], size - at[2]);
    log_write(folder.file, bad, size + at[3] - at[2]);
    expect_break(&folder, FENCE_AUDIT_MISSING, 4);

    log_write(folder.file, good + at[1], size - at[1]); /* the first is missing */
    expect_break(&folder, FENCE_AUDIT_NO_BEGINNING, 1);

    memcpy(bad, good, size); /* a number of the second is another */
    *strstr(bad + at[1], "\"number\":0") = ' ';
    log_write(folder.file, bad, size);
    expect_break(&folder, FENCE_AUDIT_CHANGED, 2);

    log_write(folder.file, good, at[4]); /* the end is missing: nothing in the file shows it */
    expect_break(&folder, FENCE_AUDIT_INTACT, 4);
    assert_int_equal(log_verify(&folder, 1, &no_key).last_seq, 4);
    log_folder_remove(&folder);
}

/* Made anew without the key by somebody who may write the file. */
static void test_key(void **state)
{
    struct fence_audit_key key = {.keyed = true}, other = {.keyed = true};
    FENCE_FREE struct fence_audit_verify *verify = calloc(1, sizeof(*verify));
    struct log_folder folder;
    struct fence_err err = {""};
    FILE *file;

    (void)state;
    hmac_sha256_set_key(&key.hmac, 16, (const uint8_t *)"0123456789abcdef");
    hmac_sha256_set_key(&other.hmac, 16, (const uint8_t *)"0123456789abcdeg");
    make_log(&folder, &no_key);
    assert_int_equal(log_verify(&folder, 1, &key).kind, FENCE_AUDIT_NOT_KEYED);
    log_folder_remove(&folder);

    make_log(&folder, &key);
    assert_int_equal(log_verify(&folder, 1, &key).kind, FENCE_AUDIT_INTACT);
    assert_int_equal(log_verify(&folder, 1, &other).kind, FENCE_AUDIT_CHANGED);
    assert_non_null(verify);
    verify->key = &no_key;
    file = fopen(folder.file, "re");
    assert_non_null(file);
    assert_int_equal(fence_audit_verify_file(verify, file, true, &err), -ENOKEY);
    fclose(file);
    log_folder_remove(&folder);
}

static void expect_key(const char *path, const char *content, mode_t mode, const char *refusal)
{
    struct fence_audit_key key = {.keyed = false};
    struct fence_err err = {""};
    int result;

    log_write(path, content, strlen(content));
    assert_int_equal(chmod(path, mode), 0);
    result = fence_audit_key_read(path, &key, &err);
    if (!refusal) {
        assert_int_equal(result, 0);
        assert_true(key.keyed);
        return;
    }
    assert_true(result < 0);
    assert_false(key.keyed);
    assert_non_null(strstr(err.text, refusal));
}

static void test_key_file(void **state)
{
    struct log_folder folder;

    (void)state;
    log_folder_make(&folder);
    expect_key(folder.file, "0123456789abcdef", 0600, NULL);
    expect_key(folder.file, "0123456789abcde", 0600, "shorter than 16 bytes");
    expect_key(folder.file, "0123456789abcdef", 0640, "chmod 600");
    log_folder_remove(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_hashes), cmocka_unit_test(test_strings),
        cmocka_unit_test(test_json),         cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_every_byte),   cmocka_unit_test(test_every_byte_keyed),
        cmocka_unit_test(test_lines),        cmocka_unit_test(test_key),
        cmocka_unit_test(test_key_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

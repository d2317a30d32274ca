/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/objects/doc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/memory.h"
#include "test/cmocka.h"

/* All documents of a text as JSON, newlines between; or the error. */
static char *read_back(const char *data, size_t size, int *ret_result)
{
    struct fence_docs docs = {0};
    struct fence_err err = {0};
    char *text = strdup("");

    *ret_result = fence_docs_parse(data, size, &docs, &err);
    if (*ret_result < 0) {
        free(text);
        return strdup(err.text);
    }
    for (size_t i = 0; i < docs.count; i++) {
        FENCE_FREE char *json = fence_doc_to_json(docs.items[i]);
        char *longer = NULL;

        assert_non_null(json);
        assert_true(asprintf(&longer, "%s%s%s", text, i ? "\n" : "", json) >= 0);
        free(text);
        text = longer;
    }
    fence_docs_done(&docs);
    return text;
}

static void test_doc_values(void **state)
{
    static const struct {
        const char *text, *json;
    } rows[] = {
        {"", ""},
        {"---\n...\n---\nnull\n", ""},
        {"a: 1", "{\"a\":1}"},
        {"a: \"1\"", "{\"a\":\"1\"}"},
        {"a: '1'", "{\"a\":\"1\"}"},
        {"- 1\n- -0.5\n- 1e3\n- 0\n", "[1,-0.5,1e3,0]"},
        {"[0x1F, 017, 1_000, .5, +1, .inf, 0o7]",
         "[\"0x1F\",\"017\",\"1_000\",\".5\",\"+1\",\".inf\",\"0o7\"]"},
        {"[yes, No, on, OFF, true, False, y, N]", "[true,false,true,false,true,false,true,false]"},
        {"[tRue, yEs, \"yes\", nope, 1.2.3, 10.0.0.0/8, 1:30, 2027-01-01T00:00:00Z, e3, _1, '']",
         "[\"tRue\",\"yEs\",\"yes\",\"nope\",\"1.2.3\",\"10.0.0.0/8\",\"1:30\","
         "\"2027-01-01T00:00:00Z\",\"e3\",\"_1\",\"\"]"},
        {"[~, null, Null, ]", "[null,null,null]"},
        {"a:\nb: |\n  x\n  y\nc: >-\n  x\n  y\n",
         "{\"a\":null,\"b\":\"x\\u000ay\\u000a\",\"c\":\"x y\"}"},
        {"a: 1\n---\nb: 2\n", "{\"a\":1}\n{\"b\":2}"},
        {"\xef\xbb\xbf"
         "a: 1",
         "{\"a\":1}"},
        {"a: 1\r\nb: 2\r\n", "{\"a\":1,\"b\":2}"},
        /* what JSON does otherwise */
        {"{\"a\":\"b\",\"c\":[1,true,null]}", "{\"a\":\"b\",\"c\":[1,true,null]}"},
        {"{\n\t\"a\"\t:\t1,\n\t\"b\": {\t}\n}\n", "{\"a\":1,\"b\":{}}"},
        {"\t {\"a\":1}", "{\"a\":1}"},
        {"{\"a\":\"\\/\\b\\f\\n\\r\\t\\\"\\\\\"}",
         "{\"a\":\"/\\u0008\\u000c\\u000a\\u000d\\u0009\\\"\\\\\"}"},
        {"{\"a\":\"\\uD83D\\uDE00 \\u00e9\"}", "{\"a\":\"\\ud83d\\ude00 \\u00e9\"}"},
        {"{\"a\":\"\\ud83d\\ude00\\ud83d\\ude01\"}", "{\"a\":\"\\ud83d\\ude00\\ud83d\\ude01\"}"},
        {"{\"a\":\"\\ud83d\",\"b\":\"\\ude00x\"}", "{\"a\":\"\\ufffd\",\"b\":\"\\ufffdx\"}"},
        {"{\"a\":\"\\\\ud83d\\\\ude00\",\"b\":\"\\ud83d\\ude00\"}",
         "{\"a\":\"\\\\ud83d\\\\ude00\",\"b\":\"\\ud83d\\ude00\"}"},
        {"{\"a\":\"\xf0\x9f\x98\x80\"}", "{\"a\":\"\\ud83d\\ude00\"}"},
        {"{\"https://x\":\"a:b #c\"}", "{\"https://x\":\"a:b #c\"}"},
    };

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        int r;
        FENCE_FREE char *json = read_back(rows[i].text, strlen(rows[i].text), &r);

        assert_string_equal(json, rows[i].json);
        assert_int_equal(r, 0);
    }
}

static void test_doc_refused(void **state)
{
    static const struct {
        const char *text;
        size_t size; /* 0 = up to the NUL */
        const char *error;
    } rows[] = {
        {"a: &x 1\nb: *x\n", 0, "line 1: anchors are not supported"},
        {"a: [ *x ]\n", 0, "line 1: aliases are not supported"},
        {"a: &l [lol]\nb: &m [*l,*l,*l]\nc: [*m,*m,*m]\n", 0, "line 1: anchors"},
        {"a: !!str 1\n", 0, "line 1: tags are not supported, remove tag:yaml.org,2002:str"},
        {"a: ! 1\n", 0, "line 1: tags are not supported"},
        {"\na: !!map {}\n", 0, "line 2: tags"},
        {"a:\n  <<: { b: 1 }\n", 0, "line 2: merge keys are not supported"},
        {"a: 1\nb: 2\na: 3\n", 0, "line 3: the key a is given twice, first in line 1"},
        {"{a: 1, b: 1, c: 1, d: 1, e: 1, f: 1, g: 1, h: 1, i: 1,\nc: 2}", 0,
         "line 2: the key c is given twice, first in line 1"},
        {"? [a]\n: 1\n", 0, "line 1: the key of an object must be a text"},
        {"a: \"x\\0y\"\n", 0, "line 1: a text contains the character NUL"},
        {"{\"a\":\n\"\\u0000\"}", 0, "line 2: a text contains the character NUL"},
        {"a: 1\nb: \0\n", 9, "line 2: the file contains the character NUL"},
        {"a: 1\nb: \xff\n", 0, "line 2: not valid YAML: column 4: invalid leading UTF-8 octet"},
        {"a: 1\nb: \xc3\xa9\xc0\x80\n", 0, "line 2: not valid YAML: column 5: "},
        {"a: 1\nb: \xed\xa0\x80\n", 0, "line 2: "},
        {"a: \x01\n", 0, "line 1: "},
        {"a: [1, 2\n", 0,
         "line 2: not valid YAML: column 1: did not find expected ',' or ']' while parsing a flow "
         "sequence from line 1 on"},
        {"{\"a\": {\"b\": \"c", 0, "line 1: "},
        {"a: \"x\n", 0, "line 2: "},
        {"a: 1\n\tb: 2\n", 0, "line 2: "},
        {"a: b: c\n", 0,
         "line 1: not valid YAML: column 5: mapping values are not allowed in this context"},
        {"a: 1\n b: 2\n", 0, "line 2: "},
        {"- a\nb: 1\n", 0, "line 2: "},
        {"%YAML 3.0\n---\na: 1\n", 0, "line 1: "},
        {"}", 0, "line 1: "},
    };

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        size_t size = rows[i].size ? rows[i].size : strlen(rows[i].text);
        int r;
        FENCE_FREE char *error = read_back(rows[i].text, size, &r);

        if (r != -EINVAL || !strstr(error, rows[i].error))
            fail_msg("row %zu: %d %s", i, r, error);
    }
}

/* Every cut of a document is refused or read, never more. */
static void test_doc_cut(void **state)
{
    static const char text[] = "{\"apiVersion\":\"v1\",\"items\":[{\"a\":\"\\ud83d\\ude00\"},[1,2,"
                               "\"\xf0\x9f\x98\x80\"]],\"z\":null}";

    (void)state;
    for (size_t size = 0; size <= strlen(text); size++) {
        FENCE_FREE char *copy = malloc(size + 1); /* of this size, so that ASan sees an overrun */
        FENCE_FREE char *back = NULL;
        int r;

        memcpy(copy, text, size);
        back = read_back(copy, size, &r);
        assert_true((r == 0) == (size == 0 || size == strlen(text)));
        assert_true(r == 0 || strncmp(back, "line ", 5) == 0);
    }
}

static char *repeat(const char *head, const char *piece, size_t count, const char *tail)
{
    size_t length = strlen(piece);
    char *text = malloc(strlen(head) + length * count + strlen(tail) + 1);
    char *at = stpcpy(text, head);

    for (size_t i = 0; i < count; i++)
        at = stpcpy(at, piece);
    memcpy(at, tail, strlen(tail) + 1);
    return text;
}

static void test_doc_limits(void **state)
{
    static const struct {
        const char *head, *piece;
        size_t count;
        const char *tail;
        int result;
        const char *text;
    } rows[] = {
        {"", "[", 100000, "", -EFBIG, "line 1: nested more than 64 levels deep"},
        {"", "{a: ", 100000, "", -EFBIG, "line 1: nested more than 64 levels deep"},
        {"", "- ", 100000, "x", -EFBIG, "line 1: nested more than 64 levels deep"},
        {"", "[", 64, "]", -EINVAL, "line 2: not valid YAML: column 1: did not find expected"},
        {"[", "[],", FENCE_DOC_MAX_NODES, "]", -EFBIG, "line 1: more than 8000000 values"},
        {"", "a", FENCE_DOC_MAX_BYTES + 1, "", -EFBIG, "67108865 bytes, more than the 67108864"},
    };

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        FENCE_FREE char *text = repeat(rows[i].head, rows[i].piece, rows[i].count, rows[i].tail);
        int r;
        FENCE_FREE char *error = read_back(text, strlen(text), &r);

        if (r != rows[i].result || !strstr(error, rows[i].text))
            fail_msg("row %zu: %d %s", i, r, error);
    }
}

static void test_doc_depth_reached(void **state)
{
    FENCE_FREE char *open = repeat("", "[", FENCE_DOC_MAX_DEPTH, "");
    FENCE_FREE char *text = repeat(open, "]", FENCE_DOC_MAX_DEPTH, "");
    int r;
    FENCE_FREE char *back = read_back(text, strlen(text), &r);

    (void)state;
    assert_int_equal(r, 0);
    assert_string_equal(back, text);
}

/* Size costs time in proportion, also where it is made to hurt. */
static void test_doc_large(void **state)
{
    static const struct {
        const char *head, *piece, *tail;
        size_t count;
        bool fine;
    } rows[] = {
        {"[", "{\"a\":[1,\"b\"]},", "0]", 400000, true},
        {"", "- a: 1\n  b: x\n", "", 400000, true},
        {"a: \"", "\\ud", "", 1000000, false},
        {"{\"a\":\"", "\\ud83d", "\"}", 800000, true},
        {"a: |\n", "  some text\n", "", 450000, true},
        {"", "? ", "", 2500000, false},
        {"{", "\"", "", 5000000, false},
        {"", "\n", "a: 1", 5000000, true},
    };
    time_t start = time(NULL);

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        FENCE_FREE char *text = repeat(rows[i].head, rows[i].piece, rows[i].count, rows[i].tail);
        int r;
        FENCE_FREE char *back = read_back(text, strlen(text), &r);

        if ((r == 0) != rows[i].fine)
            fail_msg("row %zu: %d %.100s", i, r, back);
    }
    assert_true(time(NULL) - start < 120);
}

/* A map of many keys, the last of them a duplicate of the first. */
static void test_doc_many_keys(void **state)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    FENCE_FREE char *error = NULL;
    int r;

    (void)state;
    for (unsigned int i = 0; i < 300000; i++)
        fprintf(out, "k%u: 1\n", i);
    fputs("k0: 2\n", out);
    fclose(out);
    error = read_back(text, size, &r);
    free(text);
    assert_int_equal(r, -EINVAL);
    assert_string_equal(error, "line 300001: the key k0 is given twice, first in line 1");
}

static void test_doc_kept(void **state)
{
    static const char *const kept[] = {"kind", "metadata.name", "spec", "list.a", NULL};
    static const char text[] = "{spec: {z: 1, b: [2]}, metadata: {uid: x, name: m}, kind: K, "
                               "other: 1, list: [{a: 1, b: 2}, {b: 3}, 4]}";
    struct fence_docs docs = {0};
    FENCE_FREE char *json = NULL;

    (void)state;
    assert_int_equal(fence_docs_parse(text, strlen(text), &docs, NULL), 0);
    json = fence_doc_to_json_kept(docs.items[0], kept);
    assert_string_equal(json, "{\"kind\":\"K\",\"list\":[{\"a\":1},{},4],"
                              "\"metadata\":{\"name\":\"m\"},\"spec\":{\"b\":[2],\"z\":1}}");
    fence_docs_done(&docs);
}

static void test_doc_set_default(void **state)
{
    static const char text[] = "{a: 1, b: null}";
    struct fence_docs docs = {0};
    FENCE_FREE char *json = NULL;

    (void)state;
    assert_int_equal(fence_docs_parse(text, strlen(text), &docs, NULL), 0);
    assert_int_equal(fence_doc_set_default(docs.items[0], "a", "x"), 0);
    assert_int_equal(fence_doc_set_default(docs.items[0], "b", "x"), 0);
    assert_int_equal(fence_doc_set_default(docs.items[0], "c", "x"), 0);
    assert_int_equal(fence_doc_set_default(docs.items[0]->items[0], "c", "x"), -EINVAL);
    json = fence_doc_to_json(docs.items[0]);
    assert_string_equal(json, "{\"a\":1,\"b\":\"x\",\"c\":\"x\"}");
    assert_null(fence_doc_get(docs.items[0], "d"));
    assert_null(fence_doc_get(NULL, "d"));
    fence_docs_done(&docs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doc_values),        cmocka_unit_test(test_doc_refused),
        cmocka_unit_test(test_doc_cut),           cmocka_unit_test(test_doc_limits),
        cmocka_unit_test(test_doc_depth_reached), cmocka_unit_test(test_doc_large),
        cmocka_unit_test(test_doc_many_keys),     cmocka_unit_test(test_doc_kept),
        cmocka_unit_test(test_doc_set_default),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

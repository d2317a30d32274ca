/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader of the API's objects: every object that is somewhere in the project's cases, in the
 * collection beside the source tree and in what was recorded from an API server is read as from a
 * file; and what is no JSON is refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "lib/objects/decode.h"
#include "lib/objects/object.h"
#include "test/cmocka.h"
#include "test/objects/same.h"

#define OWN            FENCE_SOURCE_DIR "/test/objects"
#define CASES          FENCE_SOURCE_DIR "/../shared/cases"
#define FIXTURES       FENCE_SOURCE_DIR "/../shared/fixtures/kubernetes"
#define FILE_MAX_BYTES (64u << 20)
#define OWN_LEAST      100u
#define SHARED_LEAST   400u
#define FIXTURES_LEAST 150u
#define EXIT_SKIPPED   77

struct tally {
    size_t objects;
    size_t failures;
};

static void compare(const char *path, const struct fence_doc *object, struct tally *tally)
{
    FENCE_FREE char *json = fence_doc_to_json(object);
    FENCE_FREE char *found = NULL;
    bool read = false;

    assert_non_null(json);
    found = same_decoding(json, &read);
    tally->objects += read;
    if (!found)
        return;
    tally->failures++;
    print_error("%s: %s\n%s\n", path, found, json);
}

/* Items of a list of one kind do not say what they are. */
static void name_items(struct fence_doc *doc)
{
    const struct fence_doc *kind = fence_doc_get(doc, "kind");
    const struct fence_doc *version = fence_doc_get(doc, "apiVersion");
    const struct fence_doc *items = fence_doc_get(doc, "items");
    size_t length = kind && kind->text ? strlen(kind->text) : 0;
    FENCE_FREE char *name = NULL;

    if (!items || items->type != FENCE_DOC_LIST || !version || length <= strlen("List") ||
        strcmp(kind->text + length - strlen("List"), "List") != 0)
        return;
    name = strndup(kind->text, length - strlen("List"));
    for (size_t i = 0; i < items->count; i++) {
        if (items->items[i]->type != FENCE_DOC_MAP)
            continue;
        assert_int_equal(fence_doc_set_default(items->items[i], "kind", name), 0);
        assert_int_equal(fence_doc_set_default(items->items[i], "apiVersion", version->text), 0);
    }
}

static void search_text(const char *path, const char *text, size_t size, struct tally *tally);

/* Every object, wherever it is: in a text, too. */
static void search(const char *path, struct fence_doc *doc, struct tally *tally)
{
    if (doc->type == FENCE_DOC_MAP && fence_doc_get(doc, "kind") &&
        fence_doc_get(doc, "apiVersion"))
        compare(path, doc, tally);
    if (doc->type == FENCE_DOC_STRING && strstr(doc->text, "apiVersion"))
        search_text(path, doc->text, strlen(doc->text), tally);
    name_items(doc);
    for (size_t i = 0; i < doc->count; i++)
        search(path, doc->items[i], tally);
}

static void search_text(const char *path, const char *text, size_t size, struct tally *tally)
{
    struct fence_docs docs = {0};

    /* some cases are what cannot be parsed, some recordings are no JSON */
    if (fence_docs_parse(text, size, &docs, NULL) < 0)
        return;
    for (size_t i = 0; i < docs.count; i++)
        if (docs.items[i]->type != FENCE_DOC_STRING)
            search(path, docs.items[i], tally);
    fence_docs_done(&docs);
}

/* Recordings of watches have an object a line. */
static void search_file(const char *path, struct tally *tally)
{
    FENCE_FREE char *text = NULL;
    struct fence_err err = {""};
    size_t size = 0;

    if (fence_file_read(AT_FDCWD, path, FILE_MAX_BYTES, &text, &size, &err) < 0)
        fail_msg("%s: %s", path, err.text);
    if (!strstr(path, ".body")) {
        search_text(path, text, size, tally);
        return;
    }
    for (char *at = text, *end; (end = memchr(at, '\n', size - (size_t)(at - text))); at = end + 1)
        search_text(path, at, (size_t)(end - at), tally);
}

static struct tally search_folder(const char *folder)
{
    FENCE_FREE char *copy = strdup(folder);
    char *const roots[] = {copy, NULL};
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    const FTSENT *entry;
    struct tally tally = {0};

    assert_non_null(tree);
    while ((entry = fts_read(tree))) {
        const char *dot = strrchr(entry->fts_name, '.');

        if (entry->fts_info == FTS_F && dot &&
            (!strcmp(dot, ".json") || !strcmp(dot, ".yaml") || !strcmp(dot, ".body")))
            search_file(entry->fts_path, &tally);
    }
    fts_close(tree);
    print_message("%s: %zu objects\n", folder, tally.objects);
    return tally;
}

static void assert_folder(const char *folder, size_t least)
{
    struct tally tally = search_folder(folder);

    assert_int_equal(tally.failures, 0);
    assert_true(tally.objects >= least);
}

static void test_own(void **state)
{
    (void)state;
    assert_folder(OWN, OWN_LEAST);
}

static void test_shared(void **state)
{
    (void)state;
    if (access(CASES, R_OK) == 0)
        assert_folder(CASES, SHARED_LEAST);
}

static void test_fixtures(void **state)
{
    (void)state;
    if (access(FIXTURES, R_OK) == 0)
        assert_folder(FIXTURES, FIXTURES_LEAST);
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static const char *const all[] = {"a", NULL};

/* What `json` is with the member `a` alone, or the reason why it is not read. */
static void assert_json(const char *json, const char *wanted)
{
    const struct fence_json text = {json, strlen(json)};
    FENCE_CLEANUP(fence_doc_free) struct fence_doc *doc = NULL;
    FENCE_FREE char *shown = NULL;
    struct fence_err err = {""};

    if (fence_doc_parse_json(&text, all, &doc, &err) == 0)
        shown = fence_doc_to_json(doc);
    assert_string_equal(shown ? shown : err.text, wanted);
}

static void test_json(void **state)
{
    (void)state;
    assert_json("{}", "{}");
    assert_json(" \r\n\t{ \"a\" : [ 1 , -0.5e+3 , true,false , null,\"x\",{} , [ ] ] }\n",
                "{\"a\":[1,-0.5e+3,true,false,null,\"x\",{},[]]}");
    assert_json("{\"b\":{\"a\":[1,{\"]\":\"}\\\"\"}]},\"a\":1,\"c\":\"\\u0000\"}", "{\"a\":1}");
    assert_json("{\"\\u0061\":2}", "{\"a\":2}");
    assert_json(
        "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20ac\\ud83d\\ude00\"}",
        "{\"a\":\"\\\"\\\\/\\u0008\\u000c\\u000a\\u000d\\u0009\\u00e9\\u20ac\\ud83d\\ude00\"}");
    assert_json("{\"a\":\"\xc3\xa9\xf0\x9f\x98\x80\x7f\"}",
                "{\"a\":\"\\u00e9\\ud83d\\ude00\\u007f\"}");
    /* half a pair, as Go reads it; and what no text here can have */
    assert_json("{\"a\":\"\\ud83dx\\ude00\\u0000\"}", "{\"a\":\"\\ufffdx\\ufffd\\ufffd\"}");
    assert_json("{\"a\":{\"x\":1,\"y\":1}}", "{\"a\":{\"x\":1,\"y\":1}}");
}

static void test_no_json(void **state)
{
    (void)state;
    assert_json("", "not valid JSON: byte 1: an object is wanted");
    assert_json("[]", "not valid JSON: byte 1: an object is wanted");
    assert_json("{", "not valid JSON: byte 2: a key is wanted");
    assert_json("{\"a\"", "not valid JSON: byte 5: ':' is wanted");
    assert_json("{\"a\":", "not valid JSON: byte 6: a value is wanted");
    assert_json("{\"a\":1", "not valid JSON: byte 7: ',' or '}' is wanted");
    assert_json("{\"a\":1,", "not valid JSON: byte 8: a key is wanted");
    assert_json("{\"a\":1,}", "not valid JSON: byte 8: a value is wanted");
    assert_json("{\"a\":[1", "not valid JSON: byte 8: ',' or ']' is wanted");
    assert_json("{\"a\":[1,]}", "not valid JSON: byte 9: a value is wanted");
    assert_json("{\"a\":1}x", "not valid JSON: byte 8: the end is wanted");
    assert_json("{\"a\":01}", "not valid JSON: byte 8: no value before it that JSON has");
    assert_json("{\"a\":yes}", "not valid JSON: byte 9: no value before it that JSON has");
    assert_json("{\"a\":'x'}", "not valid JSON: byte 6: a value is wanted");
    assert_json("{\"a\":\"x", "not valid JSON: byte 8: a text is cut");
    assert_json("{\"b\":\"\\", "not valid JSON: byte 8: a text is cut");
    assert_json("{\"a\":\"\t\"}", "not valid JSON: byte 7: a control character in a text");
    assert_json("{\"a\":\"\\x\"}", "not valid JSON: byte 10: an escape before it that JSON does "
                                   "not have");
    assert_json("{\"a\":\"\\u12\"}", "not valid JSON: byte 12: an escape before it that JSON does "
                                     "not have");
    assert_json("{\"a\":\"\xc3\"}",
                "not valid JSON: byte 9: the text before it is not valid UTF-8");
    assert_json("{\"a\":1,\"a\":2}", "the key a is given twice");
    assert_json("{\"a\":{\"x\":1,\"x\":2}}", "the key x is given twice");
}

static void test_nul(void **state)
{
    static const char json[] = "{\"a\":1}\0{}";
    const struct fence_json text = {json, sizeof(json) - 1};
    struct fence_doc *doc = NULL;

    (void)state;
    assert_int_equal(fence_doc_parse_json(&text, all, &doc, NULL), -EINVAL);
    assert_null(doc);
}

/* Where nobody looks it may be as deep as it likes. */
static void test_depth(void **state)
{
    char json[2 * 70 + 16] = "{\"a\":";
    const struct fence_json text = {json, 5 + 2 * 70 + 1};
    struct fence_doc *doc = NULL;
    struct fence_err err = {""};

    (void)state;
    memset(json + 5, '[', 70);
    memset(json + 75, ']', 70);
    json[145] = '}';
    assert_int_equal(fence_doc_parse_json(&text, all, &doc, &err), -EFBIG);
    assert_string_equal(err.text, "more than 64 levels deep");
    json[2] = 'b';
    assert_json(json, "{}");
}

/* What a hostile server may cost. */
static void test_many_values(void **state)
{
    FENCE_FREE char *text = malloc(3000016);
    struct fence_json json = {text, 0};
    struct fence_doc *doc = NULL;
    struct fence_err err = {""};

    (void)state;
    assert_non_null(text);
    json.size = (size_t)snprintf(text, 16, "{\"a\":[1");
    for (unsigned int i = 1; i < 1000000; i++) {
        text[json.size++] = ',';
        text[json.size++] = '1';
    }
    json.size += (size_t)snprintf(text + json.size, 3, "]}");
    assert_int_equal(fence_doc_parse_json(&json, all, &doc, &err), -EFBIG);
    assert_string_equal(err.text, "more than 1000000 values");
}

/* ---- objects -------------------------------------------------------------------------------- */

static struct fence_decoded decode(enum fence_kind kind, const char *json)
{
    const struct fence_json text = {json, strlen(json)};
    struct fence_decoded decoded = {0};
    struct fence_err err = {""};

    if (fence_decode_json(kind, &text, &decoded, &err) < 0)
        fail_msg("%s", err.text);
    return decoded;
}

/* A user may write what he likes into an annotation; it must not keep his pod's labels old. */
static void test_annotations(void **state)
{
    struct fence_decoded decoded = decode(
        FENCE_OBJECT_POD, "{\"metadata\":{\"name\":\"p\",\"namespace\":\"x\",\"annotations\":"
                          "{\"a\":\"\\u0000\\ud800\x7f\",\"b\":\"\xc2\x85\"}}}");

    (void)state;
    assert_non_null(decoded.object);
    fence_decoded_done(&decoded);
    decoded = decode(FENCE_OBJECT_POD, "{\"metadata\":{\"name\":\"p\",\"namespace\":\"x\","
                                       "\"annotations\":{\"a\":1}}}");
    assert_string_equal(decoded.error,
                        "metadata.annotations.a: must be a text, and 1 is a number: put it in "
                        "quotes");
    assert_string_equal(decoded.id, "Pod/x/p");
    fence_decoded_done(&decoded);
}

/* Nobody must be able to make an object that is not even refused. */
static void test_nul_in_name(void **state)
{
    struct fence_decoded decoded = decode(
        FENCE_OBJECT_POD, "{\"metadata\":{\"name\":\"p\",\"namespace\":\"x\",\"ownerReferences\":"
                          "[{\"name\":\"a\\u0000b\",\"controller\":true}]}}");

    (void)state;
    assert_non_null(decoded.object);
    assert_string_equal(decoded.object->pod.owner, "a\xef\xbf\xbd"
                                                   "b");
    fence_decoded_done(&decoded);
    decoded = decode(FENCE_OBJECT_POD, "{\"metadata\":{\"name\":\"p\",\"namespace\":\"x\","
                                       "\"labels\":{\"a\":\"\\u0000\"}}}");
    assert_null(decoded.object);
    assert_int_equal(decoded.refused, FENCE_REFUSED_ONE);
    fence_decoded_done(&decoded);
}

static void assert_unreadable(const char *json, const char *reason)
{
    const struct fence_json text = {json, strlen(json)};
    struct fence_decoded decoded = {0};
    struct fence_err err = {""};

    assert_int_equal(fence_decode_json(FENCE_OBJECT_NODE, &text, &decoded, &err), -EINVAL);
    assert_string_equal(err.text, reason);
    assert_int_equal(fence_decode_gone(FENCE_OBJECT_NODE, &text, &decoded, &err), -EINVAL);
    assert_string_equal(err.text, reason);
}

/* What cannot be read has a name all the same, where there is one. */
static void test_too_deep(void **state)
{
    char json[256] = "{\"spec\":{\"x\":";
    struct fence_decoded decoded;
    size_t begin = strlen(json);

    (void)state;
    memset(json + begin, '[', 70);
    memset(json + begin + 70, ']', 70);
    strcpy(json + begin + 140, "},\"metadata\":{\"name\":\"p\",\"namespace\":\"x\"}}");
    decoded = decode(FENCE_OBJECT_SEGMENT_POLICY, json);
    assert_string_equal(decoded.error, "more than 64 levels deep");
    assert_string_equal(decoded.id, "SegmentPolicy/x/p");
    assert_int_equal(decoded.refused, FENCE_REFUSED_ONE);
    fence_decoded_done(&decoded);
}

static void test_other_things(void **state)
{
    (void)state;
    assert_unreadable("{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"n\"}}",
                      "\"Pod\" of apiVersion \"v1\" is not a Node (v1)");
    assert_unreadable("{\"apiVersion\":\"v2\",\"metadata\":{\"name\":\"n\"}}",
                      "\"Node\" of apiVersion \"v2\" is not a Node (v1)");
    assert_unreadable("{\"metadata\":{}}", "metadata.name: is missing");
    assert_unreadable("{\"metadata\":{\"name\":7}}", "metadata.name: is missing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own),         cmocka_unit_test(test_shared),
        cmocka_unit_test(test_fixtures),    cmocka_unit_test(test_json),
        cmocka_unit_test(test_no_json),     cmocka_unit_test(test_nul),
        cmocka_unit_test(test_depth),       cmocka_unit_test(test_too_deep),
        cmocka_unit_test(test_many_values), cmocka_unit_test(test_nul_in_name),
        cmocka_unit_test(test_annotations), cmocka_unit_test(test_other_things),
    };
    const char *ci = getenv("CI");
    int failures = cmocka_run_group_tests(tests, NULL, NULL);

    if (failures || (access(CASES, R_OK) == 0 && access(FIXTURES, R_OK) == 0))
        return failures;
    printf("%s is not there: only the project's own objects were read\n", CASES);
    return ci && strcmp(ci, "true") == 0 ? 1 : EXIT_SKIPPED;
}

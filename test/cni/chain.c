/* SPDX-License-Identifier: Apache-2.0 */
/* Network configurations as text: what is read of them, and that edits change nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/memory.h"
#include "lib/cni/chain.h"

#define ENTRY "{\"type\":\"podfence\",\"startMode\":\"hold\"}"

static int load(const char *text, bool single, struct fence_chain *chain, struct fence_err *err)
{
    return fence_chain_load((struct fence_slice){text, strlen(text)}, single, chain, err);
}

/* ---- reading -------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    int single;
    int plugins;
    const char *error; /* NULL: it is valid, and this is read of it: */
    int position;
    int ours;
} readings[] = {
    {"{\"name\":\"n\",\"cniVersion\":\"1.0.0\",\"plugins\":[{\"type\":\"a\"}]}", false, 1, NULL, -1,
     0},
    {"{\"name\":\"n\",\"plugins\":[{\"type\":\"a\"}," ENTRY "]}", false, 2, NULL, 1, 1},
    {"{\"name\":\"n\",\"plugins\":[" ENTRY ",{\"type\":\"a\"}," ENTRY "]}", false, 3, NULL, 0, 2},
    {"{\"name\":\"n\",\"type\":\"bridge\"}", true, 1, NULL, -1, 0},
    {"{\"name\":\"n\",\"type\":\"podfence\"}", true, 1, NULL, 0, 1},
    /* another plugin may have our name in it */
    {"{\"name\":\"n\",\"plugins\":[{\"type\":\"podfence2\",\"x\":\"podfence\"}]}", false, 1, NULL,
     -1, 0},
    /* what Calico leaves while it writes */
    {"", false, 0, "empty", 0, 0},
    {"{\"name\":\"n\",\"plugins\":[{\"type\":\"a\"", false, 0, "not one whole JSON", 0, 0},
    {"{\"name\":\"n\",\"plugins\":[{\"type\":\"a\"}]", false, 0, "not one whole JSON", 0, 0},
    {"{\"name\":\"n\",\"plugins\":[{\"type\":\"a\"}]}x", false, 0, "not one whole JSON", 0, 0},
    {"[]", false, 0, "not one whole JSON", 0, 0},
    {"{\"plugins\":[{\"type\":\"a\"}]}", false, 0, "no \"name\"", 0, 0},
    {"{\"name\":\"\",\"plugins\":[{\"type\":\"a\"}]}", false, 0, "no \"name\"", 0, 0},
    {"{\"name\":7,\"plugins\":[{\"type\":\"a\"}]}", false, 0, "\"name\" is not a string", 0, 0},
    {"{\"name\":\"../n\",\"plugins\":[{\"type\":\"a\"}]}", false, 0, "no name of a network", 0, 0},
    {"{\"name\":\"n\",\"name\":\"m\",\"plugins\":[{\"type\":\"a\"}]}", false, 0, "given twice", 0,
     0},
    {"{\"name\":\"n\",\"plugins\":[{\"type\":\"a\"}],\"plugins\":[]}", false, 0, "given twice", 0,
     0},
    {"{\"name\":\"n\",\"cniVersion\":1,\"plugins\":[{\"type\":\"a\"}]}", false, 0,
     "\"cniVersion\" is not", 0, 0},
    {"{\"name\":\"n\"}", false, 0, "\"plugins\" is not a list", 0, 0},
    {"{\"name\":\"n\",\"plugins\":[]}", false, 0, "\"plugins\" is not a list", 0, 0},
    {"{\"name\":\"n\",\"plugins\":{}}", false, 0, "\"plugins\" is not a list", 0, 0},
    {"{\"name\":\"n\",\"plugins\":[{\"type\":\"a\"},7]}", false, 0, "plugins[1] is not an object",
     0, 0},
    {"{\"name\":\"n\",\"plugins\":[{\"x\":1}]}", false, 0, "plugins[0] has no \"type\"", 0, 0},
    /* a list under the name of a single one, and the other way round */
    {"{\"name\":\"n\",\"plugins\":[{\"type\":\"a\"}]}", true, 0, "belongs into a .conflist", 0, 0},
    {"{\"name\":\"n\",\"type\":\"a\"}", false, 0, "\"plugins\" is not a list", 0, 0},
};

static void expect_error(const char *text, const char *said, const char *expected)
{
    if (!strstr(said, expected))
        fail_msg("%s: \"%s\" does not say \"%s\"", text, said, expected);
}

static void test_reading(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(readings); i++) {
        struct fence_err err = {""};
        struct fence_chain chain;
        int r = load(readings[i].text, readings[i].single, &chain, &err);

        if (readings[i].error) {
            assert_int_equal(r, -22);
            expect_error(readings[i].text, err.text, readings[i].error);
            continue;
        }
        assert_int_equal(r, 0);
        assert_string_equal(chain.name, "n");
        assert_int_equal(chain.plugins, readings[i].plugins);
        assert_int_equal(chain.position, readings[i].position);
        assert_int_equal(chain.ours, readings[i].ours);
        fence_chain_done(&chain);
    }
}

static void test_truncated_anywhere(void **state)
{
    static const char whole[] = "{\"name\":\"n\",\"cniVersion\":\"1.0.0\",\"plugins\":["
                                "{\"type\":\"a\",\"k\":{\"v\":[1,2]}},{\"type\":\"b\"}]}";
    char part[sizeof(whole)];

    (void)state;
    for (size_t size = 0; size < sizeof(whole) - 1; size++) {
        struct fence_chain chain;

        memcpy(part, whole, size);
        part[size] = '\0';
        assert_int_equal(load(part, false, &chain, NULL), -22);
    }
}

static void test_inlined_only(void **state)
{
    static const struct {
        const char *value;
        bool is;
    } rows[] = {{"true", true}, {"\"TRUE\"", true}, {"false", false}, {"\"no\"", false}};
    char text[256];

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        struct fence_chain chain;

        snprintf(text, sizeof(text),
                 "{\"name\":\"n\",\"loadOnlyInlinedPlugins\":%s,\"plugins\":[{\"type\":\"a\"}]}",
                 rows[i].value);
        assert_int_equal(load(text, false, &chain, NULL), 0);
        assert_int_equal(chain.inlined_only, rows[i].is);
        fence_chain_done(&chain);
    }
}

static void test_same_entry(void **state)
{
    static const struct {
        const char *there;
        bool same;
    } rows[] = {
        {ENTRY, true},
        {"{ \"startMode\" : \"hold\", \"type\" : \"podfence\" }", true},
        {"{\"type\":\"podfence\",\"startMode\":\"open\"}", false},
        {"{\"type\":\"podfence\"}", false},
        {"{\"type\":\"podfence\",\"startMode\":\"hold\",\"more\":1}", false},
        {"{\"type\":\"other\"}", false},
        {ENTRY "," ENTRY, false},
    };
    char text[256];

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        struct fence_chain chain;

        snprintf(text, sizeof(text), "{\"name\":\"n\",\"plugins\":[{\"type\":\"a\"},%s]}",
                 rows[i].there);
        assert_int_equal(load(text, false, &chain, NULL), 0);
        assert_int_equal(fence_chain_has(&chain, ENTRY), rows[i].same);
        fence_chain_done(&chain);
    }
}

/* ---- edits ---------------------------------------------------------------------------------- */

/* Numbers that a double does not hold, unknown keys, escapes, odd white space: all of it stays. */
#define HEAD                                                                                       \
    "{\n\t\"cniVersion\" : \"1.0.0\",\n\t\"name\":\"n\", \"big\": 12345678901234567890123,\n"      \
    "\t\"uni\": \"\\u00e9\xc3\xa9]}\", \"e\":1E+02 ,\"plugins\": ["
#define FIRST  "{ \"type\": \"a\", \"n\": 9007199254740993, \"t\": \"},{\\\"\" }"
#define SECOND "{\"type\":\"b\",\"z\":1.0,\"a\":null}"
#define TAIL   "\n\t], \"disableCheck\": false, \"x\": [1 , 2]\n}\n"
#define OLD    "{\"startMode\": \"open\", \"type\":\"podfence\"}"

static const struct {
    const char *before;
    bool single;
    const char *inserted; /* NULL: refused */
    const char *removed;  /* NULL: refused */
} edits[] = {
    /* as the last, with the white space of the one before */
    {HEAD "\n\t  " FIRST ",\n\t  " SECOND TAIL, false,
     HEAD "\n\t  " FIRST ",\n\t  " SECOND ",\n\t  " ENTRY TAIL,
     HEAD "\n\t  " FIRST ",\n\t  " SECOND TAIL},
    {HEAD FIRST TAIL, false, HEAD FIRST "," ENTRY TAIL, HEAD FIRST TAIL},
    /* in place of an old one, wherever it is */
    {HEAD FIRST ", " OLD TAIL, false, HEAD FIRST ", " ENTRY TAIL, HEAD FIRST TAIL},
    {HEAD OLD ", " FIRST TAIL, false, HEAD ENTRY ", " FIRST TAIL, HEAD FIRST TAIL},
    {HEAD FIRST " ,\n " OLD "\n, " SECOND TAIL, false, HEAD FIRST " ,\n " ENTRY "\n, " SECOND TAIL,
     HEAD FIRST "\n, " SECOND TAIL},
    /* one too many */
    {HEAD OLD "," FIRST "," OLD TAIL, false, HEAD ENTRY "," FIRST TAIL, HEAD FIRST TAIL},
    {HEAD FIRST "," OLD "," ENTRY "," OLD TAIL, false, HEAD FIRST "," ENTRY TAIL, HEAD FIRST TAIL},
    /* nothing else would be left */
    {HEAD OLD TAIL, false, HEAD ENTRY TAIL, NULL},
    /* a list around a single plugin */
    {"{ \"cniVersion\": \"0.3.1\", \"name\": \"n\",\n \"type\": \"a\", \"big\": 9007199254740993 "
     "}\n",
     true,
     "{\n  \"name\": \"n\",\n  \"cniVersion\": \"0.3.1\",\n  \"plugins\": [\n    { \"cniVersion\": "
     "\"0.3.1\", \"name\": \"n\",\n \"type\": \"a\", \"big\": 9007199254740993 },\n    " ENTRY
     "\n  ]\n}\n",
     NULL},
    {"{\"name\":\"n\",\"type\":\"a\"}", true,
     "{\n  \"name\": \"n\",\n  \"plugins\": [\n    {\"name\":\"n\",\"type\":\"a\"},\n    " ENTRY
     "\n  ]\n}\n",
     NULL},
    {"{\"name\":\"n\",\"type\":\"podfence\"}", true, NULL, NULL},
};

static void expect_edit(const char *what, int r, const char *text, const char *expected)
{
    if (!expected) {
        assert_true(r < 0);
        assert_null(text);
        return;
    }
    assert_int_equal(r, 0);
    if (strcmp(text, expected) != 0)
        fail_msg("%s:\n%s\nexpected:\n%s", what, text, expected);
}

static void test_edits(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(edits); i++) {
        FENCE_FREE char *inserted = NULL;
        FENCE_FREE char *removed = NULL;
        struct fence_chain chain;
        int r;

        assert_int_equal(load(edits[i].before, edits[i].single, &chain, NULL), 0);
        r = fence_chain_insert(&chain, ENTRY, &inserted, NULL);
        expect_edit("insert", r, inserted, edits[i].inserted);
        r = fence_chain_remove(&chain, &removed, NULL);
        expect_edit("remove", r, removed, edits[i].removed);
        fence_chain_done(&chain);
    }
}

/* What was put in once is not put in again, and comes out without a trace. */
static void test_there_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(edits); i++) {
        FENCE_FREE char *again = NULL;
        FENCE_FREE char *back = NULL;
        struct fence_chain chain;

        if (edits[i].single || !edits[i].inserted || !edits[i].removed)
            continue;
        assert_int_equal(load(edits[i].inserted, false, &chain, NULL), 0);
        assert_true(fence_chain_has(&chain, ENTRY));
        assert_int_equal(fence_chain_insert(&chain, ENTRY, &again, NULL), 0);
        assert_string_equal(again, edits[i].inserted);
        assert_int_equal(fence_chain_remove(&chain, &back, NULL), 0);
        assert_string_equal(back, edits[i].removed);
        fence_chain_done(&chain);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading),      cmocka_unit_test(test_truncated_anywhere),
        cmocka_unit_test(test_inlined_only), cmocka_unit_test(test_same_entry),
        cmocka_unit_test(test_edits),        cmocka_unit_test(test_there_and_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

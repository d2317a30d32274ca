/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/manual/page.h"

#include <stdlib.h>
#include <string.h>

#include "test/cmocka.h"

#include "lib/base/memory.h"
#include "lib/manual/completion.h"

static const struct {
    const char *what;
    const char *text;
    const char *expect;
} texts[] = {
    {"nothing", "", ""},
    {"lines of one paragraph", "one\ntwo\n", "one\ntwo\n"},
    {"paragraphs", "one\n\ntwo", "one\n.PP\ntwo\n"},
    {"as it is", "one\n  a  b\n  c\ntwo", "one\n.nf\n  a  b\n  c\n.fi\ntwo\n"},
    {"as it is, at both ends", "  a", ".nf\n  a\n.fi\n"},
    {"as it is, with an empty line", "  a\n\n  b", ".nf\n  a\n.fi\n.PP\n.nf\n  b\n.fi\n"},
    {"one blank is none", " a", " a\n"},
    {"what roff would read", "a-b \\fB 'c' `d` ^~\"",
     "a\\-b \\efB \\(aqc\\(aq \\(gad\\(ga \\(ha\\(ti\\(dq\n"},
    {"a request", ".so /etc/passwd\n'tis", "\\&.so /etc/passwd\n\\(aqtis\n"},
    {"a request, as it is", "  .so x", ".nf\n  .so x\n.fi\n"},
};

static void text_is_shown_as_it_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(texts); i++) {
        FENCE_FREE char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        print_message("%s\n", texts[i].what);
        fence_page_text(out, texts[i].text);
        assert_int_equal(fclose(out), 0);
        assert_string_equal(text, texts[i].expect);
    }
}

static const struct {
    struct fence_page_option option;
    const char *expect;
} options[] = {
    {{"ready", 0, NULL, "a\nb"}, ".TP\n\\fB\\-\\-ready\\fR\na\nb\n"},
    {{"no-color", 'n', NULL, "x"}, ".TP\n\\fB\\-n\\fR, \\fB\\-\\-no\\-color\\fR\nx\n"},
    {{"attach", 0, "auto|tcx", "x"}, ".TP\n\\fB\\-\\-attach\\fR \\fIauto|tcx\\fR\nx\n"},
    {{"help", 'h', "[=man]", "x"}, ".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\\fI[=man]\\fR\nx\n"},
};

static void options_are_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(options); i++) {
        FENCE_FREE char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        fence_page_option(out, &options[i].option);
        assert_int_equal(fclose(out), 0);
        assert_string_equal(text, options[i].expect);
    }
}

/* The words that the name of an argument has, or those that are given. */
static const struct {
    struct fence_completion_option option;
    const char *expect;
} words[] = {
    {{"ready", 0, NULL, NULL}, "p_words[\"c\"]+=' --ready'\n"},
    {{"attach", 0, "auto|tcx", NULL},
     "p_words[\"c\"]+=' --attach'\np_values[\"c --attach\"]=' auto tcx'\n"},
    {{"family", 0, "4|6", NULL}, "p_words[\"c\"]+=' --family'\np_values[\"c --family\"]=' 4 6'\n"},
    {{"mask", 0, "MASK|off", NULL}, "p_words[\"c\"]+=' --mask'\np_values[\"c --mask\"]=' off'\n"},
    {{"size", 0, "NAME=N", NULL}, "p_words[\"c\"]+=' --size'\np_values[\"c --size\"]=''\n"},
    {{"dir", 0, "DIR", NULL}, "p_words[\"c\"]+=' --dir'\np_values[\"c --dir\"]=' @dir'\n"},
    {{"queries", 0, "FILE", NULL},
     "p_words[\"c\"]+=' --queries'\np_values[\"c --queries\"]=' @file'\n"},
    {{"verdict", 'v', "VERDICT", "DROPPED AUDIT"},
     "p_words[\"c\"]+=' --verdict'\np_values[\"c --verdict\"]='DROPPED AUDIT'\n"
     "p_values[\"c -v\"]=${p_values[\"c --verdict\"]}\n"},
    {{"help", 'h', "[=text|man]", NULL},
     "p_words[\"c\"]+=' --help'\np_values[\"c --help=\"]=' text man'\n"},
};

static void words_are_offered(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(words); i++) {
        FENCE_FREE char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        fence_completion_option(&(struct fence_completion){out, "p", "c"}, &words[i].option);
        assert_int_equal(fclose(out), 0);
        assert_string_equal(text, words[i].expect);
    }
}

static const struct {
    const char *arguments;
    const char *expect;
} arguments[] = {
    {"", "p_words[\"c\"]+=''\n"},
    {"FILE...", "p_words[\"c\"]+=' @file'\n"},
    {"OLD NEW", "p_words[\"c\"]+=' @file @file'\n"},
    {"[list|undo ID]", "p_words[\"c\"]+=' list undo'\n"},
};

static void arguments_are_offered(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(arguments); i++) {
        FENCE_FREE char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        fence_completion_arguments(&(struct fence_completion){out, "p", "c"},
                                   arguments[i].arguments);
        assert_int_equal(fclose(out), 0);
        assert_string_equal(text, arguments[i].expect);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_shown_as_it_is),
        cmocka_unit_test(options_are_written),
        cmocka_unit_test(words_are_offered),
        cmocka_unit_test(arguments_are_offered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "test/objects/cases.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "lib/objects/decode.h"
#include "test/objects/dump.h"

#define CASE_MAX_BYTES (64u << 20)

/* What came out of one case. */
struct outcome {
    size_t accepted;
    size_t refused;
    char *errors;
    char *warnings;
    char *shown;
};

static void outcome_done(struct outcome *outcome)
{
    free(outcome->errors);
    free(outcome->warnings);
    free(outcome->shown);
}

static void add_line(char **text, const char *line)
{
    char *longer = NULL;

    if (!line)
        return;
    if (asprintf(&longer, "%s%s%s", *text ? *text : "", *text ? "\n" : "", line) < 0)
        abort();
    free(*text);
    *text = longer;
}

static void judge(const char *input, struct outcome *outcome)
{
    struct fence_decoded_list list = {0};
    struct fence_err err;

    if (fence_decode_stream(input, strlen(input), &list, &err) < 0) {
        outcome->refused++;
        add_line(&outcome->errors, err.text);
        return;
    }
    for (size_t i = 0; i < list.count; i++) {
        FENCE_FREE char *shown = list.items[i].object ? dump_object(list.items[i].object) : NULL;

        outcome->accepted += list.items[i].object != NULL;
        outcome->refused += list.items[i].object == NULL;
        add_line(&outcome->errors, list.items[i].error);
        add_line(&outcome->warnings, list.items[i].warning);
        add_line(&outcome->shown, shown);
    }
    fence_decoded_list_done(&list);
}

static const char *text_of(const struct fence_doc *test, const char *key)
{
    const struct fence_doc *member = fence_doc_get(test, key);

    return member ? member->text : NULL;
}

static void fail(struct object_cases *tally, const struct fence_doc *test, const char *what,
                 const char *got)
{
    tally->failures++;
    printf("FAIL %s: %s: %s\n", text_of(test, "name"), what, got ? got : "(nothing)");
}

/* Every line of `wanted` is somewhere in `got`. */
static bool has_words(const char *wanted, const char *got)
{
    FENCE_FREE char *copy = strdup(wanted);
    char *rest = copy, *line;

    while ((line = strsep(&rest, "\n")))
        if (*line && (!got || !strstr(got, line)))
            return false;
    return true;
}

static bool same_text(const char *wanted, const char *got)
{
    size_t length = strlen(wanted);

    while (length && wanted[length - 1] == '\n')
        length--;
    return got && strlen(got) == length && strncmp(wanted, got, length) == 0;
}

static void compare(struct object_cases *tally, const struct fence_doc *test,
                    const struct outcome *outcome)
{
    const struct fence_doc *valid = fence_doc_get(test, "valid");
    const char *error = text_of(test, "error"), *warning = text_of(test, "warning");
    const char *shows = text_of(test, "shows");
    bool wants_valid = !valid || fence_doc_is_true(valid);

    if (wants_valid && (outcome->refused || (!outcome->accepted && !shows)))
        fail(tally, test, "should be accepted", outcome->errors);
    if (!wants_valid && (outcome->accepted || !outcome->refused))
        fail(tally, test, "should be refused", outcome->warnings);
    if (!wants_valid && outcome->errors && !strstr(outcome->errors, "line "))
        fail(tally, test, "the reason names no line", outcome->errors);
    if (error ? !has_words(error, outcome->errors) : tally->own && !wants_valid)
        fail(tally, test, "gives another reason", outcome->errors);
    if (warning ? !has_words(warning, outcome->warnings) : tally->own && outcome->warnings)
        fail(tally, test, "gives other warnings", outcome->warnings);
    if (shows && !same_text(shows, outcome->shown))
        fail(tally, test, "is read as", outcome->shown);
}

static void set_options(const struct fence_doc *test)
{
    const struct fence_doc *list = fence_doc_get(test, "options");
    struct fence_decode_options options = {0};

    for (size_t i = 0; list && i < list->count; i++) {
        if (strcmp(list->items[i]->text, "audit-annotation") == 0)
            options.audit_annotation = true;
        if (strcmp(list->items[i]->text, "audit-all") == 0)
            options.audit_all = true;
    }
    fence_decode_set_options(&options);
}

static void run_case(const struct fence_doc *test, const char *path, struct object_cases *tally)
{
    const struct fence_doc *policy = fence_doc_get(test, "policy");
    FENCE_FREE char *json = policy ? fence_doc_to_json(policy) : NULL;
    const char *input = json ? json : text_of(test, "text");
    struct outcome outcome = {0};

    tally->cases++;
    if (!input || !text_of(test, "name")) {
        tally->failures++;
        printf("FAIL %s: a case needs a name, and a policy or a text\n", path);
        return;
    }
    set_options(test);
    judge(input, &outcome);
    compare(tally, test, &outcome);
    outcome_done(&outcome);
}

void object_cases_file(const char *path, struct object_cases *tally)
{
    FENCE_FREE char *text = NULL;
    struct fence_docs docs = {0};
    struct fence_err err = {0};
    size_t size;

    if (fence_file_read(AT_FDCWD, path, CASE_MAX_BYTES, &text, &size, &err) < 0 ||
        fence_docs_parse(text, size, &docs, &err) < 0) {
        tally->failures++;
        printf("FAIL %s: %s\n", path, err.text);
        return;
    }
    for (size_t i = 0; i < docs.count; i++)
        run_case(docs.items[i], path, tally);
    fence_docs_done(&docs);
}

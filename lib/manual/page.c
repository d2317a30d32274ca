/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/manual/page.h"

#include <stdbool.h>
#include <string.h>

/* Characters that roff would make something else of. */
static const struct {
    char character;
    const char *escape;
} escapes[] = {
    {'\\', "\\e"},  {'-', "\\-"},   {'\'', "\\(aq"}, {'`', "\\(ga"},
    {'^', "\\(ha"}, {'~', "\\(ti"}, {'"', "\\(dq"},
};

static void put(FILE *out, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        const char *escape = NULL;

        for (size_t j = 0; j < sizeof(escapes) / sizeof(escapes[0]); j++)
            if (escapes[j].character == text[i])
                escape = escapes[j].escape;
        if (escape)
            fputs(escape, out);
        else
            fputc(text[i], out);
    }
}

/* A line begins here: neither a dot nor a quote there is a request. */
static void put_line(FILE *out, const char *text, size_t size)
{
    if (size && text[0] == '.')
        fputs("\\&", out);
    put(out, text, size);
    fputc('\n', out);
}

void fence_page_begin(FILE *out, const struct fence_page *page)
{
    fprintf(out, ".TH %s %d \"%s\" \"podfence %s\"\n", page->name, page->section, FENCE_RELEASED,
            FENCE_VERSION);
    fence_page_section(out, "NAME");
    put(out, page->name, strlen(page->name));
    fputs(" \\- ", out);
    put_line(out, page->about, strlen(page->about));
}

static void heading(FILE *out, const char *macro, const char *name)
{
    fprintf(out, ".%s \"", macro);
    put(out, name, strlen(name));
    fputs("\"\n", out);
}

void fence_page_section(FILE *out, const char *name)
{
    heading(out, "SH", name);
}

void fence_page_subsection(FILE *out, const char *name)
{
    heading(out, "SS", name);
}

void fence_page_text(FILE *out, const char *text)
{
    bool as_is = false, empty = false;

    while (*text) {
        size_t size = strcspn(text, "\n");
        bool wanted = size > 1 && text[0] == ' ' && text[1] == ' ';

        if (as_is && !wanted)
            fputs(".fi\n", out);
        if (empty && size)
            fputs(".PP\n", out);
        if (wanted && !as_is)
            fputs(".nf\n", out);
        if (size)
            put_line(out, text, size);
        empty = !size;
        as_is = wanted;
        text += size + (text[size] == '\n');
    }
    if (as_is)
        fputs(".fi\n", out);
}

void fence_page_example(FILE *out, const char *title, const char *lines)
{
    fputs(".PP\n", out);
    put_line(out, title, strlen(title));
    fence_page_text(out, lines);
}

static void put_argument(FILE *out, const char *argument)
{
    fputs("\\fI", out);
    put(out, argument, strlen(argument));
    fputs("\\fR", out);
}

void fence_page_option(FILE *out, const struct fence_page_option *option)
{
    const char *argument = option->argument;

    fputs(".TP\n", out);
    if (option->letter)
        fprintf(out, "\\fB\\-%c\\fR, ", option->letter);
    fputs("\\fB\\-\\-", out);
    put(out, option->name, strlen(option->name));
    fputs("\\fR", out);
    if (argument && argument[0] != '[')
        fputc(' ', out);
    if (argument)
        put_argument(out, argument);
    fputc('\n', out);
    fence_page_text(out, option->help);
}

void fence_page_item(FILE *out, const char *name, const char *argument, const char *help)
{
    fputs(".TP\n\\fB", out);
    put(out, name, strlen(name));
    fputs("\\fR", out);
    if (argument) {
        fputc(' ', out);
        put_argument(out, argument);
    }
    fputc('\n', out);
    fence_page_text(out, help);
}

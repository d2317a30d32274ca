/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A manual page in roff with the man(7) macros, made of the texts that --help prints. The texts are
 * the programs' own: they are escaped so that each character is shown, not for hostile ones.
 */
#pragma once

#include <stdio.h>

struct fence_page {
    const char *name;
    int section;
    const char *about; /* half a line: what `apropos` shows */
};
void fence_page_begin(FILE *out, const struct fence_page *page);

void fence_page_section(FILE *out, const char *name);
void fence_page_subsection(FILE *out, const char *name);

/* Lines of text. An empty line ends a paragraph; a line that begins with two blanks is shown as it
 * is, with the lines of that kind around it. Nothing stands in front of it but a heading. */
void fence_page_text(FILE *out, const char *text);

/* A paragraph behind something else: what the lines that follow are, and they, as they are. */
void fence_page_example(FILE *out, const char *title, const char *lines);

struct fence_page_option {
    const char *name;     /* without the dashes */
    char letter;          /* 0 = none */
    const char *argument; /* NULL = none; in brackets it may be missing */
    const char *help;
};
void fence_page_option(FILE *out, const struct fence_page_option *option);

/* The same for what is no option: a name as it is, what it may be (may be NULL), and what it means.
 */
void fence_page_item(FILE *out, const char *name, const char *argument, const char *help);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What scripts/completion.sh asks: one line of bash for each place where a word may stand,
 *
 *   PROGRAM_words["COMMAND"]='--option --option'       options and subcommands of a command, "" =
 * of none PROGRAM_values["COMMAND --option"]='auto off'      values of an option; @file and @dir:
 * names of files
 *
 * made of the argument's name in --help: words between bars are values, those in capitals stand for
 * one.
 */
#pragma once

#include <stdio.h>

struct fence_completion {
    FILE *out;
    const char *program;
    const char *command; /* the program's name = in front of it, or of a program without */
};

void fence_completion_begin(FILE *out, const char *program);

/* One more word there; several calls add up. */
void fence_completion_word(const struct fence_completion *place, const char *word);

/* One more option, and its values: `values` (words with blanks between them), else those that
 * `argument` has. Both may be NULL; letter 0 = none. */
struct fence_completion_option {
    const char *name;
    char letter;
    const char *argument;
    const char *values;
};
void fence_completion_option(const struct fence_completion *place,
                             const struct fence_completion_option *option);

/* What stands behind the options: "FILE...", "OLD NEW", "[list|undo ID]". */
void fence_completion_arguments(const struct fence_completion *place, const char *arguments);

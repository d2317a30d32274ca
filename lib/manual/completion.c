/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/manual/completion.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/memory.h"

/* Stand for a value, which is the name of something on the disk. */
static const struct {
    const char *argument;
    const char *word;
} names[] = {
    {"FILE", "@file"}, {"PATH", "@file"}, {"POLICY", "@file"}, {"OLD", "@file"},
    {"NEW", "@file"},  {"DIR", "@dir"},   {"FOLDER", "@dir"},
};

void fence_completion_begin(FILE *out, const char *program)
{
    fprintf(out, "complete -F _podfence_complete %s\n", program);
    fprintf(out, "declare -gA %s_words=() %s_values=()\n", program, program);
}

void fence_completion_word(const struct fence_completion *place, const char *word)
{
    fprintf(place->out, "%s_words[\"%s\"]+=' %s'\n", place->program, place->command, word);
}

/* A word in capitals stands for a value: it is none. */
static void put_word(FILE *out, const char *word, size_t size)
{
    bool literal = false;

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(names); i++)
        if (strlen(names[i].argument) == size && strncmp(names[i].argument, word, size) == 0)
            fprintf(out, " %s", names[i].word);
    for (size_t i = 0; i < size; i++)
        literal |= islower((unsigned char)word[i]) || isdigit((unsigned char)word[i]);
    if (literal)
        fprintf(out, " %.*s", (int)size, word);
}

static void put_words(FILE *out, const char *text)
{
    static const char separators[] = "|[]= .,";

    while (*(text += strspn(text, separators))) {
        size_t size = strcspn(text, separators);

        put_word(out, text, size);
        text += size;
    }
}

void fence_completion_option(const struct fence_completion *place,
                             const struct fence_completion_option *option)
{
    FILE *out = place->out;
    char name[64];

    snprintf(name, sizeof(name), "--%s", option->name);
    fence_completion_word(place, name);
    if (!option->argument)
        return;
    fprintf(out, "%s_values[\"%s %s%s\"]='", place->program, place->command, name,
            option->argument[0] == '[' ? "=" : "");
    if (option->values)
        fputs(option->values, out);
    else
        put_words(out, option->argument);
    fputs("'\n", out);
    if (option->letter && option->argument[0] != '[')
        fprintf(out, "%s_values[\"%s -%c\"]=${%s_values[\"%s %s\"]}\n", place->program,
                place->command, option->letter, place->program, place->command, name);
}

void fence_completion_arguments(const struct fence_completion *place, const char *arguments)
{
    fprintf(place->out, "%s_words[\"%s\"]+='", place->program, place->command);
    put_words(place->out, arguments);
    fputs("'\n", place->out);
}

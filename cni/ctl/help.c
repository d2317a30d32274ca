/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/ctl/help.h"

#include <errno.h>
#include <string.h>

#include "cni/ctl/options.h"
#include "lib/base/memory.h"
#include "lib/manual/completion.h"
#include "lib/manual/page.h"

#define WIDTH   24 /* of an option and its argument */
#define ABOUT   "shows what podfence enforces on this node, and why"
#define HELP    "what a command does and takes: help COMMAND"
#define STATUS  "0 done, 1 failed, 2 wrong usage, 3 other than --expect says"
#define EXAMPLE "trace --from shop/web-1 --to shop/db-0 --port 5432/TCP"

int ctl_help_parse(const char *text, enum ctl_help *ret_help)
{
    static const char *const names[] = {
        [CTL_HELP_TEXT] = "text",
        [CTL_HELP_MAN] = "man",
        [CTL_HELP_BASH] = "bash",
    };

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(names); i++) {
        if (strcmp(names[i], text) == 0) {
            *ret_help = (enum ctl_help)i;
            return 0;
        }
    }
    return -EINVAL;
}

/* ---- one option -------------------------------------------------------------------------------
 */

static void print_option(const struct ctl_option *option)
{
    const char *argument = option->argument ? option->argument : "";
    char name[64];

    snprintf(name, sizeof(name), "--%s%s%s", option->name, *argument && *argument != '[' ? " " : "",
             argument);
    if (option->letter)
        printf("  -%c, %-*s", option->letter, WIDTH, name);
    else
        printf("      %-*s", WIDTH, name);
    if (strlen(name) > WIDTH)
        printf("\n      %-*s", WIDTH, "");
    printf(" %s\n", option->help);
}

static void write_option(const struct ctl *ctl, const char *verb, const struct ctl_option *option)
{
    switch (ctl->help) {
    case CTL_HELP_TEXT:
        print_option(option);
        break;
    case CTL_HELP_MAN:
        fence_page_option(stdout, &(struct fence_page_option){
                                      .name = option->name,
                                      .letter = option->letter,
                                      .argument = option->argument,
                                      .help = option->help,
                                  });
        break;
    case CTL_HELP_BASH:
        fence_completion_option(&(struct fence_completion){stdout, ctl->program, verb},
                                &(struct fence_completion_option){
                                    .name = option->name,
                                    .letter = option->letter,
                                    .argument = option->argument,
                                    .values = option->values,
                                });
        break;
    }
}

/* Those that mean the same for this command (NULL = before one). */
static void write_globals(const struct ctl *ctl, const struct ctl_usage *usage)
{
    struct ctl_option options[CTL_GLOBAL_OPTIONS];
    size_t count =
        usage ? CTL_GLOBAL_OPTIONS - 1 : CTL_GLOBAL_OPTIONS; /* no --version behind a verb */

    ctl_global_options(options);
    for (size_t i = 0; i < count; i++) {
        bool own = false;

        for (size_t j = 0; usage && j < usage->option_count; j++)
            own |= strcmp(usage->options[j].name, options[i].name) == 0;
        if (!own)
            write_option(ctl, usage ? usage->verb : ctl->program, &options[i]);
    }
}

/* ---- one command ------------------------------------------------------------------------------
 */

static void usage_text(const struct ctl *ctl, const struct ctl_usage *usage)
{
    printf("Usage: %s %s [OPTION]...%s%s\n\n%s\n", ctl->program, usage->verb,
           *usage->arguments ? " " : "", usage->arguments, usage->about);
    if (usage->option_count)
        fputs("\nOptions:\n", stdout);
    for (size_t i = 0; i < usage->option_count; i++)
        write_option(ctl, usage->verb, &usage->options[i]);
    fputs("\nGlobal options:\n", stdout);
    write_globals(ctl, usage);
    printf("\nExample:\n%s\n", usage->example);
}

static void usage_man(const struct ctl *ctl, const struct ctl_usage *usage)
{
    fence_page_subsection(stdout, usage->verb);
    printf(".B %s %s\n[OPTION]...%s%s\n.PP\n", ctl->program, usage->verb,
           *usage->arguments ? " " : "", usage->arguments);
    fence_page_text(stdout, usage->about);
    for (size_t i = 0; i < usage->option_count; i++)
        write_option(ctl, usage->verb, &usage->options[i]);
    fence_page_example(stdout, "Example:", usage->example);
}

static void usage_bash(const struct ctl *ctl, const struct ctl_usage *usage)
{
    for (size_t i = 0; i < usage->option_count; i++)
        write_option(ctl, usage->verb, &usage->options[i]);
    write_globals(ctl, usage);
    fence_completion_arguments(&(struct fence_completion){stdout, ctl->program, usage->verb},
                               usage->arguments);
}

void ctl_help_command(struct ctl *ctl, const struct ctl_usage *usage)
{
    static void (*const forms[])(const struct ctl *ctl, const struct ctl_usage *usage) = {
        [CTL_HELP_TEXT] = usage_text,
        [CTL_HELP_MAN] = usage_man,
        [CTL_HELP_BASH] = usage_bash,
    };

    forms[ctl->help](ctl, usage);
    ctl->subcommands = usage->subcommands;
}

/* ---- the program ------------------------------------------------------------------------------
 */

/* A group is shown before its first command, if it has one. */
void ctl_help_list(FILE *out, const struct ctl_command *commands, size_t count)
{
    const char *group = NULL;

    for (size_t i = 0; i < count; i++) {
        if (!commands[i].function) {
            group = commands[i].help;
            continue;
        }
        if (group)
            fprintf(out, "%s:\n", group);
        group = NULL;
        fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].help);
    }
    fprintf(out, "Help:\n  %-12s %s\n", "help", HELP);
}

static void program_text(struct ctl *ctl, const struct ctl_command *commands, size_t count)
{
    printf("Usage: %s [GLOBAL OPTION]... COMMAND [OPTION]...\n\n%c%s.\n\n", ctl->program, 'S',
           &ABOUT[1]);
    ctl_help_list(stdout, commands, count);
    fputs("\nGlobal options:\n", stdout);
    write_globals(ctl, NULL);
    printf("\nExit status: %s.\n\nExample:\n  %s %s\n", STATUS, ctl->program, EXAMPLE);
}

/* Help of a command, "" or its subcommand, in this form. */
static void ask(struct ctl *ctl, const struct ctl_command *command, const char *subcommand)
{
    static char options[][16] = {[CTL_HELP_MAN] = "--help=man", [CTL_HELP_BASH] = "--help=bash"};
    char name[32], second[32];
    char *arguments[] = {name, second, options[ctl->help], NULL};

    snprintf(name, sizeof(name), "%s", command->name);
    snprintf(second, sizeof(second), "%s", subcommand);
    if (*subcommand) {
        command->function(ctl, 3, arguments);
        return;
    }
    arguments[1] = options[ctl->help];
    arguments[2] = NULL;
    command->function(ctl, 2, arguments);
}

static void ask_commands(struct ctl *ctl, const struct ctl_command *commands, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *rest;
        char name[32];

        if (!commands[i].function)
            continue;
        ctl->subcommands = NULL;
        ask(ctl, &commands[i], "");
        rest = ctl->subcommands;
        while (rest && *rest) {
            size_t size = strcspn(rest, " ");

            snprintf(name, sizeof(name), "%.*s", (int)size, rest);
            ask(ctl, &commands[i], name);
            rest += size + (rest[size] == ' ');
        }
    }
}

static void program_man(struct ctl *ctl, const struct ctl_command *commands, size_t count)
{
    fence_page_begin(stdout, &(struct fence_page){ctl->program, 1, ABOUT});
    fence_page_section(stdout, "SYNOPSIS");
    printf(".B %s\n[GLOBAL OPTION]... COMMAND [OPTION]...\n", ctl->program);
    fence_page_section(stdout, "DESCRIPTION");
    fence_page_text(stdout, "Each command has a part of its own below.");
    for (size_t i = 0; i < count; i++) {
        if (commands[i].function)
            fence_page_item(stdout, commands[i].name, NULL, commands[i].help);
        else if (i + 1 < count && commands[i + 1].function)
            fence_page_subsection(stdout, commands[i].help);
    }
    fence_page_item(stdout, "help", NULL, HELP);
    fence_page_section(stdout, "GLOBAL OPTIONS");
    write_globals(ctl, NULL);
    fence_page_section(stdout, "COMMANDS");
    ask_commands(ctl, commands, count);
    fence_page_section(stdout, "EXIT STATUS");
    fence_page_text(stdout, STATUS ".");
    fence_page_section(stdout, "SEE ALSO");
    fputs(".BR podfence (8),\n.BR podfenced (8)\n", stdout);
}

static void program_bash(struct ctl *ctl, const struct ctl_command *commands, size_t count)
{
    const struct fence_completion front = {stdout, ctl->program, ctl->program};

    fence_completion_begin(stdout, ctl->program);
    for (size_t i = 0; i < count; i++) {
        if (!commands[i].function)
            continue;
        fence_completion_word(&front, commands[i].name);
        fence_completion_word(&(struct fence_completion){stdout, ctl->program, "help"},
                              commands[i].name);
    }
    fence_completion_word(&front, "help");
    write_globals(ctl, NULL);
    ask_commands(ctl, commands, count);
}

int ctl_help_program(struct ctl *ctl, const struct ctl_command *commands, size_t count)
{
    static void (*const forms[])(struct ctl * ctl, const struct ctl_command *commands,
                                 size_t count) = {
        [CTL_HELP_TEXT] = program_text,
        [CTL_HELP_MAN] = program_man,
        [CTL_HELP_BASH] = program_bash,
    };

    forms[ctl->help](ctl, commands, count);
    return CTL_DONE;
}

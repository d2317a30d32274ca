/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/options_help.h"

#include <stdio.h>
#include <string.h>

#include "lib/api/api.h"
#include "lib/manual/completion.h"
#include "lib/manual/page.h"

#define PROGRAM "podfenced"
#define ABOUT   "keeps the policies of this node's pods in force"
#define STATUS  "0 stopped by SIGTERM or SIGINT, 1 failed, 2 wrong option."
#define EXAMPLE "policies from a mounted ConfigMap, pods and namespaces from a second folder"

static const char description[] =
    "Reads policy objects, compiles them for the pods of this node and writes them to the\n"
    "pinned maps of the data path. It may be stopped or killed at any time: what is in force\n"
    "stays in force until it comes back.\n";

static const char example[] =
    "  podfenced --objects /etc/podfence/policies --objects /run/cluster --node-name n1\n"
    "  podfencectl status\n";

static void print_row(const struct fence_option_row *row)
{
    const char *argument = row->argument ? row->argument : "";
    const char *line = row->help;

    printf("  --%s%s%s\n", row->name, *argument && *argument != '[' ? " " : "", argument);
    while (*line) {
        size_t size = strcspn(line, "\n");

        printf("        %.*s\n", (int)size, line);
        line += size + (line[size] == '\n');
    }
}

static void print_text(const struct fence_option_row *rows, size_t count)
{
    printf("%s: %s.\n\nUsage: %s --objects DIR [OPTION...]\n\n%s\n", PROGRAM, ABOUT, PROGRAM,
           description);
    for (size_t i = 0; i < count; i++)
        print_row(&rows[i]);
    printf("\nExample: %s\n%s\nExit status: %s\n", EXAMPLE, example, STATUS);
}

static void print_page(const struct fence_option_row *rows, size_t count)
{
    fence_page_begin(stdout, &(struct fence_page){PROGRAM, 8, ABOUT});
    fence_page_section(stdout, "SYNOPSIS");
    printf(".B %s\n\\-\\-objects DIR [OPTION...]\n", PROGRAM);
    fence_page_section(stdout, "DESCRIPTION");
    fence_page_text(stdout, description);
    fence_page_section(stdout, "OPTIONS");
    for (size_t i = 0; i < count; i++)
        fence_page_option(stdout, &(struct fence_page_option){.name = rows[i].name,
                                                              .argument = rows[i].argument,
                                                              .help = rows[i].help});
    fence_page_section(stdout, "EXIT STATUS");
    fence_page_text(stdout, STATUS);
    fence_page_section(stdout, "EXAMPLES");
    fence_page_text(stdout, EXAMPLE "\n");
    fence_page_text(stdout, example);
    fence_page_section(stdout, "SEE ALSO");
    fputs(".BR podfence (8),\n.BR podfencectl (1)\n", stdout);
}

static void print_completion(const struct fence_option_row *rows, size_t count)
{
    const struct fence_completion place = {stdout, PROGRAM, PROGRAM};

    fence_completion_begin(stdout, PROGRAM);
    for (size_t i = 0; i < count; i++)
        fence_completion_option(&place, &(struct fence_completion_option){
                                            .name = rows[i].name, .argument = rows[i].argument});
}

void fence_options_print(enum fence_options_action action)
{
    const struct fence_option_row *rows;
    size_t count = fence_options_rows(&rows);

    if (action == FENCE_OPTIONS_HELP)
        print_text(rows, count);
    else if (action == FENCE_OPTIONS_HELP_MAN)
        print_page(rows, count);
    else if (action == FENCE_OPTIONS_HELP_BASH)
        print_completion(rows, count);
    else
        printf("%s %s, pinned layout v%d\n", PROGRAM, FENCE_VERSION, FENCE_ABI_VERSION);
}

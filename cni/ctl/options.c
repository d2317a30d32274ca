/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/ctl/options.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "cni/ctl/help.h"
#include "lib/api/api.h"
#include "lib/base/memory.h"

#define MAX_OPTIONS  32
#define FIRST_NUMBER 256 /* getopt's value of option i, apart from every letter */

/* Where the global options go before they are checked. */
struct globals {
    const char *bpffs;
    const char *socket;
    const char *format;
    bool plain;
    const char *help_form;
    bool help;
    bool version;
};

/* What getopt_long needs, made from our tables. */
struct table {
    const struct ctl_option *options[MAX_OPTIONS];
    size_t count;
    struct option longs[MAX_OPTIONS + 1];
    char shorts[2 * MAX_OPTIONS + 3];
};

static void bind_globals(struct globals *globals, struct ctl_option ret_options[CTL_GLOBAL_OPTIONS])
{
    const struct ctl_option options[CTL_GLOBAL_OPTIONS] = {
        {.name = "bpffs",
         .argument = "DIR",
         .help = "where the data path is pinned [" FENCE_DEFAULT_BPFFS "]",
         .text = &globals->bpffs},
        {.name = "socket",
         .argument = "FILE",
         .help = "the daemon's socket [" FENCE_DEFAULT_SOCKET "]",
         .text = &globals->socket},
        {.name = "output",
         .letter = 'o',
         .argument = "text|json|yaml",
         .help = "how it is shown [text]",
         .text = &globals->format},
        {.name = "no-color", .help = "no colours, also on a terminal", .flag = &globals->plain},
        {.name = "help",
         .letter = 'h',
         .argument = "[=text|man|bash]",
         .help = "this; man: for the manual page, bash: for completion",
         .flag = &globals->help,
         .text = &globals->help_form},
        {.name = "version", .help = "print the version", .flag = &globals->version},
    };

    memcpy(ret_options, options, sizeof(options));
}

void ctl_global_options(struct ctl_option ret_options[CTL_GLOBAL_OPTIONS])
{
    static struct globals nowhere;

    bind_globals(&nowhere, ret_options);
}

/* no_argument, required_argument or optional_argument */
static int takes(const struct ctl_option *option)
{
    if (!option->argument)
        return no_argument;
    return option->argument[0] == '[' ? optional_argument : required_argument;
}

static void table_add(struct table *table, const struct ctl_option *options, size_t count)
{
    for (size_t i = 0; i < count && table->count < MAX_OPTIONS; i++) {
        const struct ctl_option *option = &options[i];
        size_t length = strlen(table->shorts);

        table->options[table->count] = option;
        table->longs[table->count] = (struct option){
            .name = option->name,
            .has_arg = takes(option),
            .val = FIRST_NUMBER + (int)table->count,
        };
        table->count++;
        if (option->letter)
            snprintf(table->shorts + length, sizeof(table->shorts) - length, "%c%s", option->letter,
                     takes(option) == required_argument ? ":" : "");
    }
}

static const struct ctl_option *table_find(const struct table *table, int found)
{
    if (found >= FIRST_NUMBER)
        return table->options[found - FIRST_NUMBER];
    for (size_t i = 0; i < table->count; i++)
        if (table->options[i]->letter == found)
            return table->options[i];
    return NULL;
}

static int option_take(const struct ctl_option *option, const char *value)
{
    struct ctl_texts *texts = option->texts;

    if (option->flag)
        *option->flag = true;
    if (option->text)
        *option->text = value;
    if (!texts)
        return 0;
    if (FENCE_GROW(texts->items, texts->capacity, texts->count) < 0)
        return -ENOMEM;
    texts->items[texts->count++] = value;
    return 0;
}

void ctl_texts_done(struct ctl_texts *texts)
{
    free(texts->items);
    *texts = (struct ctl_texts){0};
}

/* CTL_GO_ON, or the exit status. */
static int table_run(struct ctl *ctl, const char *verb, const struct table *table, int argc,
                     char **argv)
{
    int found;

    opterr = 0;
    optind = 0; /* glibc: start afresh */
    while ((found = getopt_long(argc, argv, table->shorts, table->longs, NULL)) != -1) {
        const struct ctl_option *option;
        int at = optind > 0 ? optind - 1 : 0;

        if (found == ':')
            return ctl_misuse(ctl, verb, "option %s needs a value", argv[at]);
        if (found == '?' && optopt > 0 && optopt < FIRST_NUMBER)
            return ctl_misuse(ctl, verb, "unknown option -%c", optopt);
        if (found == '?' && optopt >= FIRST_NUMBER)
            return ctl_misuse(ctl, verb, "option %s takes no value", argv[at]);
        option = found == '?' ? NULL : table_find(table, found);
        if (!option)
            return ctl_misuse(ctl, verb, "unknown option %s", argv[at]);
        if (option_take(option, optarg) < 0)
            return ctl_fail(ctl, "out of memory");
    }
    return CTL_GO_ON;
}

static int globals_apply(struct ctl *ctl, const char *verb, const struct globals *globals)
{
    if (globals->bpffs)
        ctl->bpffs = globals->bpffs;
    if (globals->socket)
        ctl->socket = globals->socket;
    if (globals->plain)
        ctl->output.color = false;
    if (globals->format && ctl_format_parse(globals->format, &ctl->output.format) < 0)
        return ctl_misuse(ctl, verb, "-o %s: there are text, json and yaml", globals->format);
    if (globals->help_form && ctl_help_parse(globals->help_form, &ctl->help) < 0)
        return ctl_misuse(ctl, verb, "--help=%s: there are text, man and bash", globals->help_form);
    return CTL_GO_ON;
}

int ctl_parse(struct ctl *ctl, const struct ctl_usage *usage, int argc, char **argv, int *ret_first)
{
    struct globals globals = {0};
    struct ctl_option global[CTL_GLOBAL_OPTIONS];
    struct table table = {.shorts = ":"};
    int r, given;

    bind_globals(&globals, global);
    table_add(&table, usage->options, usage->option_count);
    table_add(&table, global, CTL_GLOBAL_OPTIONS - 1); /* no --version behind a verb */
    r = table_run(ctl, usage->verb, &table, argc, argv);
    if (r == CTL_GO_ON)
        r = globals_apply(ctl, usage->verb, &globals);
    if (r != CTL_GO_ON)
        return r;
    if (globals.help) {
        ctl_help_command(ctl, usage);
        return CTL_DONE;
    }
    given = argc - optind;
    if (given > usage->most)
        return ctl_misuse(ctl, usage->verb, "%s is one argument too many",
                          argv[optind + usage->most]);
    if (given < usage->least)
        return ctl_misuse(ctl, usage->verb, "%s is missing", usage->arguments);
    *ret_first = optind;
    return CTL_GO_ON;
}

int ctl_parse_globals(struct ctl *ctl, int argc, char **argv, struct ctl_front *ret_front)
{
    struct globals globals = {0};
    struct ctl_option global[CTL_GLOBAL_OPTIONS];
    struct table table = {.shorts = "+:"};
    int r;

    bind_globals(&globals, global);
    table_add(&table, global, CTL_GLOBAL_OPTIONS);
    r = table_run(ctl, NULL, &table, argc, argv);
    if (r == CTL_GO_ON)
        r = globals_apply(ctl, NULL, &globals);
    if (r != CTL_GO_ON)
        return r;
    *ret_front = (struct ctl_front){optind, globals.help, globals.version};
    return CTL_GO_ON;
}

int ctl_with_pins(struct ctl *ctl, const struct ctl_usage *usage, int argc, char **argv,
                  int (*show)(struct ctl *ctl, const struct fence_pins *pins))
{
    struct fence_pins pins;
    int first = 0, r = ctl_parse(ctl, usage, argc, argv, &first);

    if (r != CTL_GO_ON)
        return r;
    r = ctl_open_pins(ctl, &pins);
    if (r != CTL_DONE)
        return r;
    r = show(ctl, &pins);
    fence_pins_close(&pins);
    return r;
}

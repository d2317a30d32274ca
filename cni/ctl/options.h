/* SPDX-License-Identifier: Apache-2.0 */
/* Options of a command as a table, which is both what is parsed and what --help prints. */
#pragma once

#include "cni/ctl/ctl.h"

struct ctl_texts {
    const char **items;
    size_t count;
    size_t capacity;
};
void ctl_texts_done(struct ctl_texts *texts);

/* Exactly one of flag, text and texts says where the value goes; where the value may be missing,
 * flag and text. An option of a command goes before a global one of its name. */
struct ctl_option {
    const char *name;
    char letter; /* 0 = none */
    const char
        *argument;      /* what the help calls the value; NULL for a flag; "[=X]" may be missing */
    const char *values; /* with blanks between them, for completion; NULL = those of argument */
    const char *help;
    bool *flag;
    const char **text;       /* given once */
    struct ctl_texts *texts; /* may be given several times */
};

struct ctl_usage {
    const char *verb;
    const char *arguments; /* "FILE..." or "" */
    const char *about;     /* a paragraph */
    const char *example;   /* one or several command lines */
    const char
        *subcommands; /* "list undo": each has a usage of its own, as "VERB list"; NULL = none */
    const struct ctl_option *options;
    size_t option_count;
    int least; /* positional arguments that it takes */
    int most;
};

/*
 * Parse the options of the command and the global ones. On CTL_GO_ON, argv[*ret_first] and up are
 * the positional arguments; anything else is the exit status (help was shown, or misuse told).
 */
#define CTL_GO_ON (-1)
int ctl_parse(struct ctl *ctl, const struct ctl_usage *usage, int argc, char **argv,
              int *ret_first);

/* What stands in front of the verb. */
struct ctl_front {
    int first; /* index of the verb; argc when there is none */
    bool help;
    bool version;
};
int ctl_parse_globals(struct ctl *ctl, int argc, char **argv, struct ctl_front *ret_front);

/* The global options, to look at. */
#define CTL_GLOBAL_OPTIONS 6
void ctl_global_options(struct ctl_option ret_options[CTL_GLOBAL_OPTIONS]);

/* A command that takes options only and works on the pins: parse, open, `show`, close. */
int ctl_with_pins(struct ctl *ctl, const struct ctl_usage *usage, int argc, char **argv,
                  int (*show)(struct ctl *ctl, const struct fence_pins *pins));

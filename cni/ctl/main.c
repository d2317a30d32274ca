/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "cni/ctl/ctl.h"
#include "cni/ctl/help.h"
#include "cni/ctl/options.h"
#include "lib/api/api.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"

static const struct ctl_command commands[] = {
    {NULL, NULL, "See"},
    {"status", ctl_status, "the daemon, the pinned data path, and what is wrong now"},
    {"endpoints", ctl_endpoints, "the pod interfaces of this node and how they are enforced"},
    {"identities", ctl_identities, "label identities and the addresses that lead to them"},
    {"policies", ctl_policies, "the policies in force; --set N shows the compiled tables"},
    {"connections", ctl_connections, "tracked connections with their verdicts"},
    {"observe", ctl_observe, "verdicts and drops as they happen"},
    {"top", ctl_top, "who talks to whom: connections by workload, port and verdict"},
    {"graph", ctl_graph, "the same as a picture: dot, mermaid, svg, html or json"},
    {"alarms", ctl_alarms, "what is unusual on this node, and what was done about it"},
    {"audit", ctl_audit, "verify an audit log, and report from it"},
    {NULL, NULL, "Ask"},
    {"trace", ctl_trace, "ask whether A may talk to B, and why"},
    {"diff", ctl_diff, "what another set of objects would change, and what must hold"},
    {"learn", ctl_learn, "propose policies from what was seen, or check them against it"},
    {"validate", ctl_validate, "check object files without applying them"},
    {"check", ctl_check, "what podfence needs of this node, what is wrong, and what to do"},
    {NULL, NULL, "Change"},
    {"cut", ctl_cut, "emergency: cut pods off for some time, list such cuts, undo them"},
    {NULL, NULL, "Install"},
    {"load", ctl_load, "load and pin the data path, once, without the daemon"},
    {"install-cni", ctl_install_cni, "put podfence into the chain that new pods get"},
    {"uninstall", ctl_uninstall, "take podfence off this node"},
};

static void vcomplain(const struct ctl *ctl, const char *format, va_list list)
{
    char text[2048];

    vsnprintf(text, sizeof(text), format, list);
    fprintf(stderr, "%s: ", ctl->program);
    fence_print_safe(stderr, text);
    fputc('\n', stderr);
}

int ctl_fail(const struct ctl *ctl, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    vcomplain(ctl, format, list);
    va_end(list);
    return CTL_FAILED;
}

int ctl_misuse(const struct ctl *ctl, const char *verb, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    vcomplain(ctl, format, list);
    va_end(list);
    fprintf(stderr, "Try: %s %s%s--help\n", ctl->program, verb ? verb : "", verb ? " " : "");
    return CTL_USAGE;
}

int ctl_open_pins(const struct ctl *ctl, struct fence_pins *ret_pins)
{
    struct fence_err err = {0};
    int r = fence_pins_open(ctl->bpffs, ret_pins, &err);

    return r < 0 ? ctl_fail(ctl, "%s", err.text) : CTL_DONE;
}

int ctl_show(struct ctl *ctl, cJSON *value, void (*text)(const struct ctl *ctl, const cJSON *value))
{
    int r = value ? 0 : -ENOMEM;

    if (value && ctl->output.format == CTL_TEXT)
        text(ctl, value);
    else if (value)
        r = ctl_print_value(&ctl->output, value);
    cJSON_Delete(value);
    return r < 0 ? ctl_fail(ctl, "out of memory") : CTL_DONE;
}

static int unknown_command(const struct ctl *ctl, const char *name)
{
    ctl_fail(ctl, "there is no command %s", name);
    ctl_help_list(stderr, commands, FENCE_ARRAY_SIZE(commands));
    return CTL_USAGE;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(commands); i++)
        if (commands[i].function && strcmp(commands[i].name, argv[0]) == 0)
            return commands[i].function(ctl, argc, argv);
    return unknown_command(ctl, argv[0]);
}

static int help(struct ctl *ctl, int argc, char **argv)
{
    static char options[][16] = {"--help", "--help=man", "--help=bash"};
    char *arguments[] = {NULL, options[ctl->help], NULL};

    if (argc < 2)
        return ctl_help_program(ctl, commands, FENCE_ARRAY_SIZE(commands));
    arguments[0] = argv[1];
    return run(ctl, 2, arguments);
}

/* The standard output counts as a result: a full disk behind it is a failure. */
static int finish(const struct ctl *ctl, int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    ctl_fail(ctl, "cannot write the output: %s", strerror(errno));
    return status == CTL_DONE ? CTL_FAILED : status;
}

int main(int argc, char **argv)
{
    struct ctl ctl = {
        .program = "podfencectl",
        .bpffs = FENCE_DEFAULT_BPFFS,
        .socket = FENCE_DEFAULT_SOCKET,
        .output.color = isatty(STDOUT_FILENO) && !getenv("NO_COLOR"),
    };
    struct ctl_front front = {0};
    int status = ctl_parse_globals(&ctl, argc, argv, &front);

    if (status != CTL_GO_ON)
        return status;
    if (front.version) {
        printf("podfencectl %s, pinned layout %d\n", FENCE_VERSION, FENCE_ABI_VERSION);
        return finish(&ctl, CTL_DONE);
    }
    if (front.help)
        return finish(&ctl, help(&ctl, argc - front.first + 1, argv + front.first - 1));
    if (front.first >= argc) {
        ctl_fail(&ctl, "a command is missing");
        ctl_help_list(stderr, commands, FENCE_ARRAY_SIZE(commands));
        return CTL_USAGE;
    }
    if (strcmp(argv[front.first], "help") == 0)
        return finish(&ctl, help(&ctl, argc - front.first, argv + front.first));
    return finish(&ctl, run(&ctl, argc - front.first, argv + front.first));
}

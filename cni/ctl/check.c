/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/ctl/check.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "cni/ctl/options.h"
#include "lib/base/memory.h"

static const char *const levels[] = {
    [CHECK_OK] = "ok",
    [CHECK_WARN] = "warn",
    [CHECK_FAIL] = "fail",
};

void check_add(struct check *check, enum check_level level, const char *remedy, const char *format,
               ...)
{
    cJSON *row = cJSON_CreateObject();
    char what[FENCE_ERR_MAX];
    va_list list;

    va_start(list, format);
    vsnprintf(what, sizeof(what), format, list);
    va_end(list);
    cJSON_AddStringToObject(row, "area", check->area);
    cJSON_AddStringToObject(row, "level", levels[level]);
    cJSON_AddStringToObject(row, "what", what);
    if (remedy)
        cJSON_AddStringToObject(row, "remedy", remedy);
    cJSON_AddItemToArray(check->findings, row);
}

long check_number(const char *path)
{
    FENCE_FCLOSE FILE *file = fopen(path, "re");
    long number;

    return file && fscanf(file, "%ld", &number) == 1 ? number : -1;
}

const char *check_folder(const char *given, const char *const *usual, size_t count)
{
    for (size_t i = 0; !given && i < count; i++)
        if (access(usual[i], F_OK) == 0)
            given = usual[i];
    return given;
}

static double count(const cJSON *findings, enum check_level level)
{
    const cJSON *row;
    double found = 0;

    cJSON_ArrayForEach(row, findings)
    {
        if (strcmp(ctl_member_text(row, "level"), levels[level]) == 0)
            found++;
    }
    return found;
}

/* What has to hold before podfence comes first, then podfence itself. */
static void run(struct check *check)
{
    static const struct {
        const char *area;
        void (*look)(struct check *check);
        bool installed; /* it is about an installed podfence */
    } parts[] = {
        {"kernel", check_kernel, false},     {"rights", check_rights, false},
        {"settings", check_settings, false}, {"others", check_others, false},
        {"chain", check_chain, true},        {"plugin", check_plugin, true},
        {"daemon", check_daemon, true},      {"data path", check_pins, true},
    };

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(parts); i++) {
        check->area = parts[i].area;
        if (!check->preflight || !parts[i].installed)
            parts[i].look(check);
    }
}

static void print_text(const struct ctl *ctl, const cJSON *value)
{
    check_print(stdout, ctl->output.color, value);
}

static int show(struct ctl *ctl, struct check *check)
{
    cJSON *value = cJSON_CreateObject();
    double failures;
    int r;

    check->findings = cJSON_AddArrayToObject(value, "findings");
    run(check);
    failures = count(check->findings, CHECK_FAIL);
    cJSON_AddNumberToObject(value, "ok", count(check->findings, CHECK_OK));
    cJSON_AddNumberToObject(value, "warnings", count(check->findings, CHECK_WARN));
    cJSON_AddNumberToObject(value, "failures", failures);
    r = ctl_show(ctl, value, print_text);
    return r == CTL_DONE && failures > 0 ? CTL_FAILED : r;
}

int ctl_check(struct ctl *ctl, int argc, char **argv)
{
    struct check check = {.ctl = ctl};
    const struct ctl_option options[] = {
        {.name = "net-d",
         .argument = "DIR",
         .help = "the runtime's folder of network configurations [the first usual one]",
         .text = &check.net_d},
        {.name = "cni-bin",
         .argument = "DIR",
         .help = "the runtime's folder of plugins [the first usual one]",
         .text = &check.cni_bin},
        {.name = "preflight",
         .help = "only what has to hold before podfence is installed",
         .flag = &check.preflight},
    };
    const struct ctl_usage usage = {
        .verb = "check",
        .arguments = "",
        .about = "Looks at all that podfence needs of this node and says, in a line each, what is "
                 "well, what\nis not and what to do about it. Changes nothing and needs no daemon; "
                 "without root it says\nwhat it could not see. Exit status 1 when something fails.",
        .example = "  podfencectl check\n  podfencectl check --preflight",
        .options = options,
        .option_count = FENCE_ARRAY_SIZE(options),
    };
    int first = 0, r = ctl_parse(ctl, &usage, argc, argv, &first);

    return r == CTL_GO_ON ? show(ctl, &check) : r;
}

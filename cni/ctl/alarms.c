/* SPDX-License-Identifier: Apache-2.0 */
/* alarms: what the daemon found unusual. */
#include "cni/ctl/alarms.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cni/ctl/daemon.h"
#include "cni/ctl/options.h"
#include "lib/api/api.h"
#include "lib/base/memory.h"

static int explain(const struct ctl *ctl, int result, const struct fence_err *err)
{
    if (result == -ENOENT)
        return ctl_fail(ctl, "no daemon answers at %s: start podfenced, or give --socket",
                        ctl->socket);
    return ctl_fail(ctl, "%s", err->text[0] ? err->text : strerror(-result));
}

static void print_list(const struct ctl *ctl, const cJSON *value)
{
    const cJSON *alarm, *list = ctl_member(value, "alarms");

    if (!cJSON_GetArraySize(list))
        puts("No alarm is raised, and none was in the last 24 hours.");
    cJSON_ArrayForEach(alarm, list) ctl_alarm_print(stdout, ctl->output.color, alarm);
}

static int list(struct ctl *ctl)
{
    struct fence_err err = {""};
    cJSON *answer = NULL, *value;
    int r = ctl_daemon_ask(ctl, "alarms", &answer, &err);

    if (r < 0)
        return explain(ctl, r, &err);
    value = cJSON_CreateObject();
    cJSON_AddItemToObject(value, "alarms",
                          cJSON_DetachItemFromObjectCaseSensitive(answer, "alarms"));
    cJSON_Delete(answer);
    return ctl_show(ctl, value, print_list);
}

static int show_event(struct ctl *ctl, const cJSON *event)
{
    const cJSON *alarm = ctl_member(event, "alarm");
    int r = 0;

    if (!alarm)
        return 0;
    if (ctl->output.format == CTL_TEXT)
        ctl_alarm_print(stdout, ctl->output.color, alarm);
    else
        r = ctl_print_value(&ctl->output, alarm);
    fflush(stdout);
    return r;
}

static int start_following(const struct ctl *ctl, struct fence_err *err)
{
    cJSON *message = cJSON_CreateObject(), *answer = NULL;
    int fd;

    cJSON_AddStringToObject(message, "op", "alarms");
    cJSON_AddTrueToObject(message, "follow");
    fd = ctl_daemon_open(ctl, message, &answer, err);
    cJSON_Delete(message);
    cJSON_Delete(answer);
    return fd;
}

static int follow(struct ctl *ctl)
{
    struct fence_err err = {""};
    FENCE_CLOSE int fd = start_following(ctl, &err);
    int r = fd < 0 ? fd : 0;

    while (r == 0) {
        cJSON *event = NULL;

        r = fence_api_receive(fd, -1, &event, &err);
        if (r == 0)
            r = show_event(ctl, event);
        cJSON_Delete(event);
    }
    return r == -ECONNRESET ? ctl_fail(ctl, "the daemon has ended") : explain(ctl, r, &err);
}

static int clear(struct ctl *ctl, int argc, char **argv)
{
    static const struct ctl_usage usage = {
        .verb = "alarms clear",
        .arguments = "ID",
        .about =
            "Clears an alarm by hand. It is raised again by the next evidence that would raise "
            "a new\none; a cut that it has set stays (cut list, cut undo).",
        .example = "  podfencectl alarms clear 7",
        .least = 1,
        .most = 1,
    };
    struct fence_err err = {""};
    cJSON *message, *answer = NULL;
    char *end = NULL;
    double id;
    int first = 0, r = ctl_parse(ctl, &usage, argc, argv, &first);

    if (r != CTL_GO_ON)
        return r;
    id = strtod(argv[first], &end);
    if (argv[first][0] < '1' || argv[first][0] > '9' || *end || floor(id) != id)
        return ctl_misuse(ctl, "alarms clear", "%s: it is the number that alarms shows",
                          argv[first]);
    message = cJSON_CreateObject();
    cJSON_AddStringToObject(message, "op", "alarms-clear");
    cJSON_AddNumberToObject(message, "id", id);
    r = ctl_daemon_request(ctl, message, &answer, &err);
    cJSON_Delete(message);
    cJSON_Delete(answer);
    return r < 0 ? explain(ctl, r, &err) : CTL_DONE;
}

static int show(struct ctl *ctl, int argc, char **argv)
{
    bool going_on = false;
    const struct ctl_option options[] = {
        {.name = "follow",
         .letter = 'f',
         .help = "show what is raised, cleared and done from now on, until stopped",
         .flag = &going_on},
    };
    const struct ctl_usage usage = {
        .verb = "alarms",
        .subcommands = "clear",
        .arguments = "[clear]",
        .about =
            "Lists what the daemon found unusual on this node: raised alarms, the worst first, "
            "and those\nof the last 24 hours that were cleared. Rules and thresholds: "
            "podfenced --alarms-config. See\nalso: alarms clear --help.",
        .example = "  podfencectl alarms\n"
                   "  podfencectl alarms -o json | jq '.alarms[] | select(.state == \"raised\")'\n"
                   "  podfencectl alarms -f\n"
                   "  podfencectl alarms clear 7",
        .options = options,
        .option_count = FENCE_ARRAY_SIZE(options),
    };
    int first = 0, r = ctl_parse(ctl, &usage, argc, argv, &first);

    if (r != CTL_GO_ON)
        return r;
    return going_on ? follow(ctl) : list(ctl);
}

int ctl_alarms(struct ctl *ctl, int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "clear") == 0)
        return clear(ctl, argc - 1, argv + 1);
    return show(ctl, argc, argv);
}

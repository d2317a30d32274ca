/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cni/ctl/alarms.h"
#include "cni/ctl/daemon.h"
#include "cni/ctl/flows.h"
#include "cni/ctl/observe.h"
#include "cni/ctl/options.h"
#include "lib/api/api.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/flows/flow.h"

#define NS_PER_SECOND 1000000000.0
#define LAST_DEFAULT  20

/* The command line; the filter's texts by their key. */
struct arguments {
    const char *filter[FENCE_FILTER_KEYS];
    const char *since;
    const char *last;
};

/* As JSON it is what the daemon's event log has, to the last byte. */
void ctl_observe_show(struct ctl_observation *observation, const char *text, size_t size)
{
    struct ctl *ctl = observation->ctl;
    cJSON *event = NULL;

    if (fence_api_parse(text, size, &event, NULL) < 0) {
        observation->failed = true;
        return;
    }
    /* no filter is about alarms */
    if (ctl_member(event, "alarm") && ctl->output.format == CTL_TEXT) {
        ctl_alarm_print(stdout, ctl->output.color, ctl_member(event, "alarm"));
        cJSON_Delete(event);
        fflush(stdout);
        return;
    }
    (void)fence_flow_time_parse(ctl_member_text(event, "time"), &observation->seen_ns);
    if (ctl->output.format == CTL_TEXT)
        ctl_observe_print(stdout, ctl->output.color, &observation->widths, event);
    else if (ctl->output.format == CTL_JSON)
        puts(text);
    else if (ctl_print_value(&ctl->output, event) < 0)
        observation->failed = true;
    cJSON_Delete(event);
}

/* ---- the daemon ------------------------------------------------------------------------------ */

static cJSON *make_request(const struct ctl_observation *observation)
{
    cJSON *request = cJSON_CreateObject();

    cJSON_AddStringToObject(request, "op", "observe");
    cJSON_AddBoolToObject(request, "follow", observation->follow);
    if (observation->has_since)
        cJSON_AddNumberToObject(request, "since", (double)observation->since_ns / NS_PER_SECOND);
    if (observation->has_last)
        cJSON_AddNumberToObject(request, "last", observation->last);
    cJSON_AddItemToObject(request, "filter", cJSON_Duplicate(observation->filter_json, true));
    return request;
}

/* The next one; what has been shown is written before waiting for it. */
static int next(int fd, int timeout_ms, char **ret_text, size_t *ret_size, struct fence_err *err)
{
    int r = fence_api_receive_text(fd, 0, ret_text, ret_size, err);

    if (r != -ETIMEDOUT)
        return r;
    fflush(stdout);
    return fence_api_receive_text(fd, timeout_ms, ret_text, ret_size, err);
}

/* Events until the daemon ends the connection: -ECONNRESET. */
static int receive_all(struct ctl_observation *observation, int fd, struct fence_err *err)
{
    int r;

    do {
        FENCE_FREE char *text = NULL;
        size_t size = 0;

        r = next(fd, observation->follow ? -1 : CTL_DAEMON_MS, &text, &size, err);
        if (r == 0)
            ctl_observe_show(observation, text, size);
    } while (r == 0 && !observation->failed);
    fflush(stdout);
    return r;
}

/* For people: what is not shown, and why nothing may be. */
static void note(const struct ctl_observation *observation, const cJSON *answer)
{
    const double matched = ctl_member_number(answer, "matched");
    const double sent = ctl_member_number(answer, "sent");

    if (observation->ctl->output.format != CTL_TEXT)
        return;
    if (sent < matched)
        fprintf(stderr, "%.0f earlier ones left out: --last %.0f shows all that are kept\n",
                matched - sent, matched);
    else if (matched == 0 && !observation->follow)
        fprintf(stderr,
                "none of the %.0f events that are kept fits (with podfenced --alarms off, allowed "
                "connections are kept only while observe -f or a log wants them)\n",
                ctl_member_number(answer, "kept"));
}

/* One turn with whoever has the events now. */
static int turn(struct ctl_observation *observation)
{
    const struct ctl *ctl = observation->ctl;
    struct fence_err err = {0};
    cJSON *request = make_request(observation), *answer = NULL;
    FENCE_CLOSE int fd = ctl_daemon_open(ctl, request, &answer, &err);
    int r;

    cJSON_Delete(request);
    if (fd == -ENOENT)
        return ctl_observe_ring(observation);
    if (fd < 0)
        return ctl_fail(ctl, "%s", err.text);
    note(observation, answer);
    cJSON_Delete(answer);
    r = receive_all(observation, fd, &err);
    if (r == -ECONNRESET && observation->follow)
        ctl_fail(ctl, "the daemon has ended; going on without it");
    else if (r < 0 && r != -ECONNRESET)
        return ctl_fail(ctl, "%s", err.text);
    return CTL_DONE;
}

static int run(struct ctl_observation *observation)
{
    const struct timespec pause = {.tv_nsec = 200000000};
    int r;

    for (;;) {
        r = turn(observation);
        if (r != CTL_DONE || !observation->follow || observation->failed)
            break;
        /* what another daemon, or the same one, has read meanwhile */
        observation->has_last = false;
        observation->has_since = true;
        observation->since_ns = observation->seen_ns + 1000;
        nanosleep(&pause, NULL);
    }
    return r == CTL_DONE && observation->failed ? ctl_fail(observation->ctl, "out of memory") : r;
}

/* ---- the command line ------------------------------------------------------------------------ */

/* "DROPPED,AUDIT" */
static int take_values(struct ctl_observation *observation, enum fence_filter_key key,
                       const char *text, struct fence_err *err)
{
    cJSON *list = cJSON_AddArrayToObject(observation->filter_json, fence_filter_key_name(key));
    int r = 0;

    do {
        const size_t length = strcspn(text, ",");
        FENCE_FREE char *value = strndup(text, length);

        if (!value || !cJSON_AddItemToArray(list, cJSON_CreateString(value)))
            return fence_err_set(err, -ENOMEM, "out of memory");
        r = fence_filter_add(&observation->filter, key, value, err);
        text += length;
    } while (r == 0 && *text++);
    return r;
}

static int take_past(struct ctl_observation *observation, const struct arguments *arguments,
                     struct fence_err *err)
{
    char *end = NULL;

    observation->has_since = arguments->since != NULL;
    observation->has_last = arguments->last || (!arguments->since && !observation->follow);
    observation->last = LAST_DEFAULT;
    if (arguments->last)
        observation->last = (double)strtoul(arguments->last, &end, 10);
    if (arguments->last && (*arguments->last < '0' || *arguments->last > '9' || *end))
        return fence_err_set(err, -EINVAL, "--last %s: it is a number of events", arguments->last);
    if (!arguments->since)
        return 0;
    return ctl_since_parse(arguments->since, fence_clock_wall_ns(), &observation->since_ns, err);
}

static int take(struct ctl_observation *observation, const struct arguments *arguments)
{
    struct fence_err err = {""};
    int r = take_past(observation, arguments, &err);

    for (unsigned int i = 0; i < FENCE_FILTER_KEYS && r == 0; i++) {
        const enum fence_filter_key key = (enum fence_filter_key)i;

        if (!arguments->filter[key])
            continue;
        r = take_values(observation, key, arguments->filter[key], &err);
        if (r < 0)
            fence_err_prefix(&err, r, "--%s", fence_filter_key_name(key));
    }
    return r < 0 ? ctl_misuse(observation->ctl, "observe", "%s", err.text) : CTL_GO_ON;
}

static const char about[] =
    "Shows verdicts of new connections and dropped packets: a line each, or as JSON\n"
    "with Hubble's field names. The daemon keeps the latest 4,096 events. Of allowed\n"
    "connections that are alike it keeps one a second, with the number of the others,\n"
    "unless observe -f or a log wants them all (with podfenced --alarms off none then).\n"
    "Without a daemon they come straight from the kernel's ring.\n"
    "An END is NAMESPACE/POD, NAMESPACE/APP, NAMESPACE/SERVICE, NAMESPACE/,\n"
    "node/NAME, another identity such as world, an address or a block. Several\n"
    "values of an option are joined by commas: one of them has to fit.";
static const char example[] = "  podfencectl observe --since 5m --verdict DROPPED,AUDIT\n"
                              "  podfencectl observe -f --to shop/db --port 5432/TCP\n"
                              "  podfencectl observe -f -o json | jq -r .Summary";

static int parse(struct ctl_observation *observation, int argc, char **argv)
{
    struct arguments given = {.since = NULL};
    const char **filter = given.filter;
    /* clang-format off: a table */
    const struct ctl_option options[] = {
        {"follow", 'f', NULL, NULL, "go on until stopped", .flag = &observation->follow},
        {"since", 0, "MOMENT", NULL, "kept events from then on: 30s, 5m, 2h, 2026-01-02T03:04:05Z",
         .text = &given.since},
        {"last", 0, "N", NULL, "at most so many of the kept ones [20; 0 with -f]",
         .text = &given.last},
        {"verdict", 0, "VERDICT", "FORWARDED DROPPED AUDIT",
         "FORWARDED (allow), DROPPED (deny) or AUDIT", .text = &filter[FENCE_FILTER_VERDICT]},
        {"from", 0, "END", NULL, "sent by this end", .text = &filter[FENCE_FILTER_FROM]},
        {"to", 0, "END", NULL, "sent to this end", .text = &filter[FENCE_FILTER_TO]},
        {"namespace", 0, "NAME", NULL, "one of its ends is in it",
         .text = &filter[FENCE_FILTER_NAMESPACE]},
        {"port", 0, "N[/PROTOCOL]", NULL, "to this port", .text = &filter[FENCE_FILTER_PORT]},
        {"reason", 0, "REASON", NULL, "such as no-rule", .text = &filter[FENCE_FILTER_REASON]},
        {"policy", 0, "POLICY", NULL, "decided by it: KIND/NAMESPACE/NAME, or the end of that",
         .text = &filter[FENCE_FILTER_POLICY]},
    };
    /* clang-format on */
    const struct ctl_usage usage = {
        .verb = "observe",
        .arguments = "",
        .about = about,
        .example = example,
        .options = options,
        .option_count = FENCE_ARRAY_SIZE(options),
    };
    int first = 0, r = ctl_parse(observation->ctl, &usage, argc, argv, &first);

    return r == CTL_GO_ON ? take(observation, &given) : r;
}

int ctl_observe(struct ctl *ctl, int argc, char **argv)
{
    struct ctl_observation observation = {.ctl = ctl, .filter_json = cJSON_CreateObject()};
    int r = parse(&observation, argc, argv);

    if (r == CTL_GO_ON)
        r = run(&observation);
    fence_filter_done(&observation.filter);
    cJSON_Delete(observation.filter_json);
    return r;
}

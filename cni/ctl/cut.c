/* SPDX-License-Identifier: Apache-2.0 */
/* cut: the daemon makes it and answers when it is in force. */
#include "cni/ctl/cut.h"

#include <errno.h>
#include <string.h>

#include "cni/ctl/daemon.h"
#include "cni/ctl/options.h"
#include "lib/api/cut.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"

/* An apply of everything on a large cluster takes a second. */
#define ANSWER_MS 30000

#define NS_PER_SECOND 1000000000ull

/* What stands on the command line. */
struct cut_options {
    const char *namespace_name;
    const char *peer;
    struct ctl_texts ports;
    const char *direction;
    const char *duration;
    const char *reason;
    bool everything;
    bool dry_run;
    bool print;
};

/* ---- asking --------------------------------------------------------------------------------- */

/* Sends `message` (taken) and gives what the answer holds under `name`. */
static int ask(const struct ctl *ctl, cJSON *message, const char *name, cJSON **ret_value)
{
    struct fence_err err = {""};
    cJSON *answer = NULL;
    int r = message ? ctl_daemon_request_within(ctl, message, ANSWER_MS, &answer, &err)
                    : fence_err_set(&err, -ENOMEM, "out of memory");

    cJSON_Delete(message);
    if (r == -ENOENT)
        return ctl_fail(ctl, "no daemon answers at %s: start podfenced, or give --socket",
                        ctl->socket);
    if (r < 0)
        return ctl_fail(ctl, "%s", err.text);
    *ret_value = cJSON_DetachItemFromObjectCaseSensitive(answer, name);
    cJSON_Delete(answer);
    return *ret_value ? CTL_DONE : ctl_fail(ctl, "the daemon's answer has no %s", name);
}

/* Show `value` (taken); what is not in force is a failure. */
static int show(struct ctl *ctl, cJSON *value,
                void (*text)(const struct ctl *ctl, const cJSON *value))
{
    bool failed = cJSON_IsFalse(ctl_member(value, "inForce"));
    FENCE_FREE char *why = strdup(ctl_member_text(value, "why"));
    int r = ctl_show(ctl, value, text);

    if (!failed)
        return r;
    return ctl_fail(ctl, "not in force yet, and tried again: %s", why ? why : "out of memory");
}

/* ---- cut list, cut undo --------------------------------------------------------------------- */

static cJSON *operation(const char *op)
{
    cJSON *message = cJSON_CreateObject();

    cJSON_AddStringToObject(message, "op", op);
    return message;
}

static int list(struct ctl *ctl, int argc, char **argv)
{
    static const struct ctl_usage usage = {
        .verb = "cut list",
        .arguments = "",
        .about = "Lists the cuts of this node that are not over.",
        .example = "  podfencectl cut list -o json",
    };
    cJSON *cuts = NULL, *value;
    int first = 0, r = ctl_parse(ctl, &usage, argc, argv, &first);

    if (r != CTL_GO_ON)
        return r;
    r = ask(ctl, operation("cuts"), "cuts", &cuts);
    if (r != CTL_DONE)
        return r;
    value = cJSON_CreateObject();
    cJSON_AddItemToObject(value, "cuts", cuts);
    return ctl_show(ctl, value, ctl_cut_print_list);
}

static int undo(struct ctl *ctl, int argc, char **argv)
{
    bool all = false;
    const struct ctl_option options[] = {
        {.name = "all", .help = "every cut of this node", .flag = &all},
    };
    const struct ctl_usage usage = {
        .verb = "cut undo",
        .arguments = "ID",
        .about = "Undoes a cut before its time. ID is what cut printed, or cut list shows.",
        .example = "  podfencectl cut undo 1f00ba7c\n  podfencectl cut undo --all",
        .options = options,
        .option_count = FENCE_ARRAY_SIZE(options),
        .most = 1,
    };
    cJSON *message, *value = NULL;
    int first = 0, r = ctl_parse(ctl, &usage, argc, argv, &first);

    if (r != CTL_GO_ON)
        return r;
    if (all == (first < argc))
        return ctl_misuse(ctl, "cut undo", "give the ID of a cut, or --all");
    message = operation("uncut");
    if (all)
        cJSON_AddTrueToObject(message, "all");
    else
        cJSON_AddStringToObject(message, "id", argv[first]);
    r = ask(ctl, message, "uncut", &value);
    return r == CTL_DONE ? show(ctl, value, ctl_cut_print_undone) : r;
}

/* ---- cut ------------------------------------------------------------------------------------ */

static int read_options(struct ctl *ctl, const struct cut_options *given, struct fence_cut *cut)
{
    struct fence_err err = {""};

    if (!given->duration)
        return ctl_misuse(ctl, "cut",
                          "--for is missing: say how long (10m), so that nothing is cut off for "
                          "ever by mistake");
    if (fence_cut_duration_parse(given->duration, &cut->seconds, &err) < 0)
        return ctl_misuse(ctl, "cut", "--for %s", err.text);
    if (given->direction && fence_cut_direction_parse(given->direction, &cut->direction) < 0)
        return ctl_misuse(ctl, "cut", "--direction %s: there are both, ingress and egress",
                          given->direction);
    if (given->ports.count > FENCE_CUT_PORTS_MAX)
        return ctl_misuse(ctl, "cut", "--port may be given %u times", FENCE_CUT_PORTS_MAX);
    for (size_t i = 0; i < given->ports.count; i++)
        cut->ports[cut->port_count++] = given->ports.items[i];
    return CTL_GO_ON;
}

static int send_cut(struct ctl *ctl, const struct fence_cut *cut, bool dry_run)
{
    cJSON *message = fence_cut_to_json(cut), *value = NULL;
    int r;

    cJSON_AddStringToObject(message, "op", "cut");
    if (dry_run)
        cJSON_AddTrueToObject(message, "dryRun");
    r = ask(ctl, message, "cut", &value);
    return r == CTL_DONE ? show(ctl, value, ctl_cut_print_one) : r;
}

static int print_policy(struct ctl *ctl, cJSON *policy)
{
    int r;

    if (ctl->output.format == CTL_TEXT)
        ctl->output.format = CTL_YAML;
    r = ctl_print_value(&ctl->output, policy);
    return r < 0 ? ctl_fail(ctl, "out of memory") : CTL_DONE;
}

/* A name for a policy that is not the daemon's: by its end, which differs from run to run. */
static int make_policy(const struct fence_cut *cut, cJSON **ret_policy, struct fence_err *err)
{
    const int64_t end = (int64_t)(fence_clock_wall_ns() / NS_PER_SECOND) + 1 + cut->seconds;
    char name[40];

    snprintf(name, sizeof(name), "cut-until-%lld", (long long)end);
    return fence_cut_policy(cut, name, end, ret_policy, err);
}

static int run(struct ctl *ctl, const struct cut_options *given, const char *pods)
{
    struct fence_cut cut = {
        .pods = pods,
        .namespace_name = given->namespace_name,
        .peer = given->peer,
        .origin = "user",
        .reason = given->reason,
        .everything = given->everything,
    };
    struct fence_err err = {""};
    cJSON *policy = NULL;
    int r = read_options(ctl, given, &cut);

    if (r != CTL_GO_ON)
        return r;
    r = make_policy(&cut, &policy, &err);
    if (r == -EINVAL)
        return ctl_misuse(ctl, "cut", "%s", err.text);
    if (r < 0)
        return ctl_fail(ctl, "%s", err.text);
    r = given->print ? print_policy(ctl, policy) : send_cut(ctl, &cut, given->dry_run);
    cJSON_Delete(policy);
    return r;
}

/* NOLINTBEGIN(readability-function-size): a table */
static int cut(struct ctl *ctl, int argc, char **argv)
{
    struct cut_options given = {0};
    const struct ctl_option options[] = {
        {.name = "for",
         .argument = "DURATION",
         .help = "how long: 90s, 10m, 1h30m, at most 30d; needed",
         .text = &given.duration},
        {.name = "namespace",
         .letter = 'n',
         .argument = "NS",
         .help = "of the pods; all [all]",
         .text = &given.namespace_name},
        {.name = "peer",
         .argument = "PEER",
         .help = "only from and to these: app=y, NS/app=y, NS/, an address or block",
         .text = &given.peer},
        {.name = "port",
         .argument = "PORT",
         .help = "only this one: 5432/TCP, 8000-8010/UDP, web/TCP, ICMP; repeatable",
         .texts = &given.ports},
        {.name = "direction",
         .argument = "WHICH",
         .help = "both, ingress or egress, seen from the pods [both]",
         .text = &given.direction},
        {.name = "reason", .argument = "TEXT", .help = "kept with the cut", .text = &given.reason},
        {.name = "everything",
         .help = "needed for a cut that selects every pod of every namespace",
         .flag = &given.everything},
        {.name = "dry-run", .help = "show whom it would cut", .flag = &given.dry_run},
        {.name = "print",
         .help = "print the policy, for kubectl apply: the same cut on every node",
         .flag = &given.print},
    };
    const struct ctl_usage usage = {
        .verb = "cut",
        .subcommands = "list undo",
        .arguments = "[PODS | list | undo]",
        .about =
            "Emergency: denies what pods send and get, established connections included, until the "
            "time is\nover, by a Denylist that is in force on this node before the command "
            "returns. "
            "The kernel undoes it\nin time, also without the daemon. PODS is [NS/]SELECTOR, where "
            "a "
            "selector is key=value, key!=value,\nkey in (a,b), joined by commas. Connections that "
            "a "
            "process of the pods' own node opens, such as\nprobes, go on. See also: cut list "
            "--help, "
            "cut undo --help.",
        .example =
            "  podfencectl cut app=payments --namespace shop --for 10m --reason 'incident 7'\n"
            "  podfencectl cut shop/app=db --peer app=web --port 5432/TCP --for 1h\n"
            "  podfencectl cut app=web --for 10m --print | kubectl apply -f -\n"
            "  podfencectl cut list\n  podfencectl cut undo --all",
        .options = options,
        .option_count = FENCE_ARRAY_SIZE(options),
        .most = 1,
    };
    int first = 0, r = ctl_parse(ctl, &usage, argc, argv, &first);

    if (r == CTL_GO_ON)
        r = run(ctl, &given, first < argc ? argv[first] : "");
    ctl_texts_done(&given.ports);
    return r;
}
/* NOLINTEND(readability-function-size) */

int ctl_cut(struct ctl *ctl, int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "list") == 0)
        return list(ctl, argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "undo") == 0)
        return undo(ctl, argc - 1, argv + 1);
    return cut(ctl, argc, argv);
}

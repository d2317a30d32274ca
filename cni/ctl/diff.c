/* SPDX-License-Identifier: Apache-2.0 */
/* What another set of objects would change, and whether what is expected of it holds. */
#include "cni/ctl/diff.h"

#include <errno.h>
#include <string.h>

#include "cni/ctl/diff_live.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"

struct arguments {
    const char *expect;
    struct ctl_texts objects; /* that both have */
    bool live;
    struct ctl_flows_wanted wanted; /* with --live */
};

/* ---- changes of one pair -------------------------------------------------------------------- */

#define MAX_ROWS 64

/* Ranges of one protocol that change alike. */
struct row {
    unsigned int protocol;
    const char *verdicts[DIFF_SIDES];
    char *ports;            /* of the ranges before `range`; NULL = none */
    struct diff_span range; /* the last one; answers are those of its first port */
};

struct pair {
    struct row rows[MAX_ROWS];
    size_t count;
    size_t protocols; /* that the two can speak */
    unsigned int last_protocol;
};

static void pair_done(struct pair *pair)
{
    for (size_t i = 0; i < pair->count; i++)
        free(pair->rows[i].ports);
}

static struct row *row_of(struct pair *pair, const struct diff_span *span,
                          const char *const verdicts[DIFF_SIDES])
{
    struct row *row;

    for (size_t i = 0; i < pair->count; i++) {
        row = &pair->rows[i];
        if (row->protocol == span->protocol &&
            strcmp(row->verdicts[DIFF_OLD], verdicts[DIFF_OLD]) == 0 &&
            strcmp(row->verdicts[DIFF_NEW], verdicts[DIFF_NEW]) == 0)
            return row;
    }
    row = &pair->rows[pair->count++]; /* three verdicts and six protocols: there is room */
    *row = (struct row){
        .protocol = span->protocol,
        .verdicts = {verdicts[DIFF_OLD], verdicts[DIFF_NEW]},
    };
    return row;
}

/* The text of all ranges of the row; a new string, NULL when out of memory. */
static char *ports_of(const struct row *row)
{
    char range[64], *text = NULL;

    diff_ports_text(&row->range, range);
    if (asprintf(&text, "%s%s%s", row->ports ? row->ports : "", row->ports ? "," : "", range) < 0)
        return NULL;
    return text;
}

static int add_range(struct row *row, const struct diff_span *span)
{
    char *ports;

    if (row->range.protocol && row->range.last + 1 == span->first) {
        row->range.last = span->last;
        return 0;
    }
    if (row->range.protocol) {
        ports = ports_of(row);
        if (!ports)
            return -ENOMEM;
        free(row->ports);
        row->ports = ports;
    }
    row->range = *span;
    return 0;
}

static int note(void *context, const struct diff_span *span)
{
    struct pair *pair = context;
    const char *const verdicts[DIFF_SIDES] = {trace_verdict(&span->answers[DIFF_OLD]),
                                              trace_verdict(&span->answers[DIFF_NEW])};

    pair->protocols += pair->last_protocol != span->protocol;
    pair->last_protocol = span->protocol;
    if (strcmp(verdicts[DIFF_OLD], verdicts[DIFF_NEW]) == 0)
        return 0;
    return add_range(row_of(pair, span, verdicts), span);
}

/* Everything that they can speak changes alike. */
static bool is_total(const struct pair *pair)
{
    for (size_t i = 0; i < pair->count; i++)
        if (!diff_span_is_whole(&pair->rows[i].range) ||
            strcmp(pair->rows[i].verdicts[DIFF_OLD], pair->rows[0].verdicts[DIFF_OLD]) != 0 ||
            strcmp(pair->rows[i].verdicts[DIFF_NEW], pair->rows[0].verdicts[DIFF_NEW]) != 0)
            return false;
    return pair->count > 1 && pair->count == pair->protocols;
}

/* The side that denies; when none does, one with a policy that allows. */
static const struct fence_side *decisive_side(const struct fence_answer *answer)
{
    const struct fence_side *egress = &answer->sides[FENCE_EGRESS];
    const struct fence_side *ingress = &answer->sides[FENCE_INGRESS];

    if (egress->verdict != FENCE_ALLOW)
        return egress;
    return ingress->verdict != FENCE_ALLOW || *ingress->policy ? ingress : egress;
}

static bool add_end(cJSON *object, const char *name, const struct diff_question *question, bool to)
{
    FENCE_FREE char *text = diff_end_text(question, DIFF_NEW, to);

    return text && cJSON_AddStringToObject(object, name, text);
}

static bool add_change(cJSON *changes, const struct diff_question *question, const struct row *row,
                       const char *protocol)
{
    const struct fence_side *side = decisive_side(&row->range.answers[DIFF_NEW].first);
    FENCE_FREE char *ports = ports_of(row);
    cJSON *change = cJSON_CreateObject();

    return ports && cJSON_AddItemToArray(changes, change) &&
           cJSON_AddStringToObject(change, "from", question->from->name) &&
           cJSON_AddStringToObject(change, "to", question->to->name) &&
           cJSON_AddStringToObject(change, "protocol", protocol) &&
           cJSON_AddStringToObject(change, "ports", ports) &&
           cJSON_AddStringToObject(change, "before", row->verdicts[DIFF_OLD]) &&
           cJSON_AddStringToObject(change, "after", row->verdicts[DIFF_NEW]) &&
           add_end(change, "fromExample", question, false) &&
           add_end(change, "toExample", question, true) &&
           cJSON_AddStringToObject(change, "reason", fence_reason_name(side->reason)) &&
           (*side->policy ? cJSON_AddStringToObject(change, "policy", side->policy)
                          : cJSON_AddNullToObject(change, "policy")) &&
           (*side->policy && side->rule != FENCE_RULE_NONE
                ? cJSON_AddNumberToObject(change, "rule", side->rule)
                : cJSON_AddNullToObject(change, "rule"));
}

static int add_pair(const struct diff *diff, const struct diff_question *question, cJSON *changes,
                    struct fence_err *err)
{
    FENCE_FREE struct pair *pair = calloc(1, sizeof(*pair));
    char buffer[8];
    int r = pair ? diff_ask(diff, question, note, pair, err) : -ENOMEM;
    int asked = r;

    if (r >= 0 && is_total(pair)) {
        r = add_change(changes, question, &pair->rows[0], "any") ? 0 : -ENOMEM;
    } else {
        for (size_t i = 0; r >= 0 && i < pair->count; i++)
            if (!add_change(changes, question, &pair->rows[i],
                            diff_protocol_text(pair->rows[i].protocol, buffer)))
                r = -ENOMEM;
    }
    if (pair)
        pair_done(pair);
    if (r == -ENOMEM)
        return fence_err_set(err, r, "out of memory");
    return r < 0 ? r : asked;
}

/* ---- all pairs ------------------------------------------------------------------------------ */

/* Long work on a terminal says how far it is. */
static void tell_progress(const struct diff *diff, size_t done)
{
    static const size_t many = 200; /* workloads */

    if (diff->count < many || !isatty(STDERR_FILENO))
        return;
    fprintf(stderr, "\r%zu of %zu workloads", done, diff->count);
    if (done == diff->count)
        fputs("\r\033[K", stderr);
}

/* Nothing is opened from an address of a service, and what has no policy reaches every one. */
static bool is_settled(const struct diff_question *question)
{
    const struct diff_policies *policies = question->from->policies;

    return question->from->service ||
           (question->to->service && !policies[DIFF_OLD].count && !policies[DIFF_NEW].count);
}

static int add_changes(const struct diff *diff, cJSON *changes, size_t *ret_pairs,
                       struct fence_err *err)
{
    int r = 0;

    *ret_pairs = 0;
    for (size_t i = 0; r >= 0 && i < diff->count; i++) {
        for (size_t j = 0; r >= 0 && j < diff->count; j++) {
            const struct diff_question question = {
                .from = &diff->workloads[i], .to = &diff->workloads[j], .sides = DIFF_BOTH};

            if (is_settled(&question))
                continue;
            r = add_pair(diff, &question, changes, err);
            *ret_pairs += r == 1;
        }
        tell_progress(diff, i + 1);
    }
    return r < 0 ? r : 0;
}

static size_t count_changes(const cJSON *changes, const char *after)
{
    const cJSON *change;
    size_t count = 0;

    cJSON_ArrayForEach(change, changes) count +=
        strcmp(ctl_member_text(change, "after"), after) == 0;
    return count;
}

static bool add_names(const struct diff *diff, cJSON *summary, const char *name,
                      enum diff_side absent)
{
    cJSON *names = cJSON_AddArrayToObject(summary, name);
    bool ok = names;

    for (size_t i = 0; ok && i < diff->count; i++)
        if (!diff_workload_on(&diff->workloads[i], absent))
            ok = cJSON_AddItemToArray(names, cJSON_CreateString(diff->workloads[i].name));
    return ok;
}

static bool add_summary(const struct diff *diff, cJSON *value, size_t pairs)
{
    const cJSON *changes = ctl_member(value, "changes");
    cJSON *summary = cJSON_AddObjectToObject(value, "summary");
    size_t workloads = 0, services = 0;

    for (size_t i = 0; i < diff->count; i++) {
        workloads += diff->workloads[i].count != 0;
        services += diff->workloads[i].service;
    }
    return cJSON_AddNumberToObject(summary, "workloads", (double)workloads) &&
           cJSON_AddNumberToObject(summary, "addresses",
                                   (double)(diff->count - workloads - services)) &&
           cJSON_AddNumberToObject(summary, "services", (double)services) &&
           cJSON_AddNumberToObject(summary, "pairs", (double)pairs) &&
           cJSON_AddNumberToObject(summary, "changes", cJSON_GetArraySize(changes)) &&
           cJSON_AddNumberToObject(summary, "allowed", (double)count_changes(changes, "allow")) &&
           cJSON_AddNumberToObject(summary, "denied", (double)count_changes(changes, "deny")) &&
           cJSON_AddNumberToObject(summary, "mixed", (double)count_changes(changes, "mixed")) &&
           add_names(diff, summary, "onlyOld", DIFF_NEW) &&
           add_names(diff, summary, "onlyNew", DIFF_OLD);
}

/* ---- showing -------------------------------------------------------------------------------- */

static void print_names(const cJSON *summary, const char *member, const char *text)
{
    const cJSON *names = ctl_member(summary, member), *name;
    const char *separator = "";

    if (!cJSON_GetArraySize(names))
        return;
    printf("%s, so without an answer there: ", text);
    cJSON_ArrayForEach(name, names)
    {
        fputs(separator, stdout);
        fence_print_safe(stdout, name->valuestring);
        separator = ", ";
    }
    putchar('\n');
}

static void print_expectations(const cJSON *expectations)
{
    const cJSON *line;

    cJSON_ArrayForEach(line, expectations)
    {
        bool holds = cJSON_IsTrue(ctl_member(line, "holds"));

        printf("%s: line %.0f: ", holds ? "holds" : "BROKEN", ctl_member_number(line, "line"));
        fence_print_safe(stdout, ctl_member_text(line, "text"));
        if (!holds) {
            fputs("\n        ", stdout);
            fence_print_safe(stdout, ctl_member_text(line, "why"));
        }
        putchar('\n');
    }
}

static void print_text(const struct ctl *ctl, const cJSON *value)
{
    static const struct ctl_column columns[] = {
        {.title = "FROM", .member = "from", .max = 48},
        {.title = "TO", .member = "to", .max = 48},
        {.title = "PROTOCOL", .member = "protocol"},
        {.title = "PORTS", .member = "ports", .max = 40},
        {.title = "BEFORE", .member = "before"},
        {.title = "AFTER", .member = "after"},
        {.title = "POLICY", .member = "policy"},
        {.title = "RULE", .member = "rule"},
        {.title = "REASON", .member = "reason"},
    };
    const cJSON *summary = ctl_member(value, "summary");
    const cJSON *changes = ctl_member(value, "changes");

    if (cJSON_GetArraySize(changes))
        ctl_table_print(stdout, ctl->output.color, changes, columns, FENCE_ARRAY_SIZE(columns));
    printf("%.0f changes: %.0f to allow, %.0f to deny, %.0f to mixed; %.0f pairs of %.0f "
           "workloads, %.0f addresses of services and %.0f blocks of addresses\n",
           ctl_member_number(summary, "changes"), ctl_member_number(summary, "allowed"),
           ctl_member_number(summary, "denied"), ctl_member_number(summary, "mixed"),
           ctl_member_number(summary, "pairs"), ctl_member_number(summary, "workloads"),
           ctl_member_number(summary, "services"), ctl_member_number(summary, "addresses"));
    print_names(summary, "onlyOld", "only in OLD");
    print_names(summary, "onlyNew", "only in NEW");
    print_expectations(ctl_member(value, "expectations"));
}

/* ---- the command ---------------------------------------------------------------------------- */

static int read_side(const struct ctl *ctl, struct diff *diff, enum diff_side side,
                     const char *path, const struct ctl_texts *both)
{
    struct ctl_texts paths = {0};
    struct fence_err err = {0};
    int r = FENCE_GROW(paths.items, paths.capacity, paths.count);

    if (r == 0)
        paths.items[paths.count++] = path;
    for (size_t i = 0; r == 0 && i < both->count; i++) {
        r = FENCE_GROW(paths.items, paths.capacity, paths.count);
        if (r == 0)
            paths.items[paths.count++] = both->items[i];
    }
    if (r < 0)
        fence_err_set(&err, r, "out of memory");
    else
        r = trace_objects_new(ctl, &paths, &diff->objects[side], &err);
    ctl_texts_done(&paths);
    if (r < 0)
        return ctl_fail(ctl, "%s", err.text);
    diff->worlds[side] = trace_objects_world(diff->objects[side]);
    return CTL_DONE;
}

/* What cannot be read cannot be judged: that is no pass for a pipeline. */
static int check_new(const struct ctl *ctl, const struct diff *diff, const char *path)
{
    size_t refused = trace_objects_refused(diff->objects[DIFF_NEW]);

    if (!refused)
        return CTL_DONE;
    return ctl_fail(ctl, "%zu objects of %s are refused: mend them first (podfencectl validate %s)",
                    refused, path, path);
}

static int compare(struct ctl *ctl, struct diff *diff, const struct arguments *arguments)
{
    cJSON *value = cJSON_CreateObject();
    cJSON *changes = cJSON_AddArrayToObject(value, "changes");
    cJSON *expectations;
    struct fence_err err = {0};
    size_t pairs = 0, broken = 0;
    int r = changes ? diff_workloads_find(diff) : -ENOMEM;

    if (r < 0)
        fence_err_set(&err, r, "out of memory");
    if (r == 0)
        r = add_changes(diff, changes, &pairs, &err);
    if (r == 0 && !add_summary(diff, value, pairs))
        r = fence_err_set(&err, -ENOMEM, "out of memory");
    if (r == 0 && arguments->expect) {
        expectations = cJSON_AddArrayToObject(value, "expectations");
        r = diff_expect(diff, arguments->expect, expectations, &broken, &err);
    }
    if (r < 0) {
        cJSON_Delete(value);
        return ctl_fail(ctl, "%s", err.text);
    }
    r = ctl_show(ctl, value, print_text);
    return r == CTL_DONE && broken ? CTL_OTHERWISE : r;
}

static int run_live(struct ctl *ctl, const struct arguments *arguments, int positional)
{
    if (positional || arguments->objects.count)
        return ctl_misuse(ctl, "diff", "--live takes neither OLD and NEW nor --objects");
    if (arguments->expect && strcmp(arguments->expect, "none") != 0)
        return ctl_misuse(ctl, "diff", "--expect %s: with --live there is none", arguments->expect);
    return diff_live(ctl, &arguments->wanted, arguments->expect != NULL);
}

static int run(struct ctl *ctl, const struct ctl_usage *usage, struct arguments *arguments,
               int argc, char **argv)
{
    struct diff diff = {0};
    int first = 0, r = ctl_parse(ctl, usage, argc, argv, &first);

    if (r == CTL_GO_ON && arguments->live)
        return run_live(ctl, arguments, argc - first);
    if (r == CTL_GO_ON && argc - first < 2)
        return ctl_misuse(ctl, "diff", "%s is missing", argc == first ? "OLD" : "NEW");
    if (r != CTL_GO_ON)
        return r;
    r = read_side(ctl, &diff, DIFF_OLD, argv[first], &arguments->objects);
    if (r == CTL_DONE)
        r = read_side(ctl, &diff, DIFF_NEW, argv[first + 1], &arguments->objects);
    if (r == CTL_DONE)
        r = check_new(ctl, &diff, argv[first + 1]);
    if (r == CTL_DONE)
        r = compare(ctl, &diff, arguments);
    diff_done(&diff);
    return r;
}

static const char about[] =
    "Shows every pair of workloads, and every port, whose verdict changes from OLD to NEW, and "
    "the\nrule that decides in NEW. OLD and NEW are folders or files with the objects: pods, "
    "namespaces\nand nodes, which may also come from --objects, and policies. Pods that no rule "
    "tells apart are\none workload; blocks of addresses outside the cluster take part too. It "
    "needs "
    "no root, no kernel\nand no daemon.\n\n"
    "Lines of --expect, with # for remarks:\n"
    "  deny app=web -> app=db             no port of any such pair is open\n"
    "  allow app=web -> app=db            each such pair has some port that is open\n"
    "  allow app=web -> app=db 5432/TCP   this port is open (deny: is closed) for each\n"
    "FROM and TO are labels, all of which must match (KEY=VALUE, KEY!=VALUE, KEY, !KEY, with\n"
    "commas and without spaces), after NAMESPACE: when they are to be in one namespace; NAMESPACE:*"
    "\nor * for all pods; or one address.\n\n"
    "With --live: what would break if the Audit policies were enforced, by the connections that "
    "were\nseen: who, whom, which port, the policy, how often and when last (see --since, "
    "--namespace, --flows).\n--expect none then holds when there is nothing.\n\n"
    "Exit status: 0 compared, also when there are changes; 1 failed, or NEW has objects that "
    "are\nrefused; 2 wrong usage; 3 what --expect says does not hold.";

int ctl_diff(struct ctl *ctl, int argc, char **argv)
{
    struct arguments arguments = {0};
    const struct ctl_option options[] = {
        {.name = "objects",
         .argument = "DIR",
         .help = "objects that OLD and NEW both have, such as pods; may be repeated",
         .texts = &arguments.objects},
        {.name = "expect",
         .argument = "FILE",
         .help = "lines that must hold in NEW, - for standard input; with --live: none",
         .text = &arguments.expect},
        {.name = "live", .help = "what Audit policies would refuse", .flag = &arguments.live},
        {.name = "since",
         .argument = "TIME",
         .help = "with --live: only what was seen since then (10m, 2h, 3d, or a time)",
         .text = &arguments.wanted.since},
        {.name = "namespace",
         .letter = 'n',
         .argument = "NAME",
         .help = "with --live: only where one end is in it",
         .text = &arguments.wanted.namespace_name},
        {.name = "flows",
         .argument = "FILE",
         .help = "with --live: flows saved by top -o json; may be repeated",
         .texts = &arguments.wanted.files},
    };
    const struct ctl_usage usage = {
        .verb = "diff",
        .arguments = "OLD NEW",
        .about = about,
        .example = "  kubectl get pods,namespaces,nodes -A -o yaml > cluster/now.yaml\n"
                   "  podfencectl diff --objects cluster policies.main policies.branch\n"
                   "  podfencectl diff -o json --expect rules.txt old new\n"
                   "  podfencectl diff --live --since 1d --expect none",
        .options = options,
        .option_count = FENCE_ARRAY_SIZE(options),
        .most = 2,
    };
    int r = run(ctl, &usage, &arguments, argc, argv);

    ctl_texts_done(&arguments.objects);
    ctl_texts_done(&arguments.wanted.files);
    return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cni/ctl/audit.h"
#include "cni/ctl/options.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"

struct given {
    const char *from, *to, *app, *key;
};

static void show_text(const char *before, const cJSON *record, const char *member)
{
    const char *text = ctl_member_text(record, member);

    if (!*text)
        return;
    fputs(before, stdout);
    fence_print_safe(stdout, text);
}

static void show_parts(const cJSON *record)
{
    const cJSON *part, *parts = ctl_member(record, "parts");
    const char *between = ": ";

    cJSON_ArrayForEach(part, parts)
    {
        fputs(between, stdout);
        fence_print_safe(stdout, cJSON_IsString(part) ? part->valuestring : "");
        between = ", ";
    }
}

/* One line each: the time, the type, and what the record says of what people ask first. */
static void show_change(const cJSON *record)
{
    static const char *const shown[] = {"policy", "object", "workload", "id",     "app",
                                        "reason", "text",   "rule",     "version"};

    printf("%.19sZ  ", ctl_member_text(record, "time"));
    fence_print_safe(stdout, ctl_member_text(record, "type"));
    show_text(" ", record, "change");
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(shown); i++)
        show_text(" ", record, shown[i]);
    show_parts(record);
    show_text(" (", record, "file");
    if (*ctl_member_text(record, "file"))
        putchar(')');
    if (cJSON_IsNumber(ctl_member(record, "missing")))
        printf(" %.0f records", ctl_member_number(record, "missing"));
    putchar('\n');
}

static void show(const struct ctl *ctl, const cJSON *report)
{
    static const struct ctl_column columns[] = {
        {"SOURCE", "source", NULL, 60},  {"DESTINATION", "destination", NULL, 60},
        {"SERVICE", "service", NULL, 0}, {"ALLOWED", "allowed", NULL, 0},
        {"BLOCKED", "blocked", NULL, 0}, {"AUDITED", "audited", NULL, 0},
        {"CUT", "cut", NULL, 0},         {"LAST", "last", NULL, 20},
    };
    const cJSON *change, *changes = ctl_member(report, "changes");

    ctl_audit_show_verdict(ctl_member(report, "chain"));
    printf("\nConnections (%s to %s):\n", ctl_member_text(report, "from"),
           ctl_member_text(report, "to"));
    ctl_table_print(stdout, ctl->output.color, ctl_member(report, "connections"), columns,
                    FENCE_ARRAY_SIZE(columns));
    printf("\nPolicy and other changes: %d\n", cJSON_GetArraySize(changes));
    cJSON_ArrayForEach(change, changes) show_change(change);
    if (ctl_member_number(report, "omitted"))
        printf("\n%.0f records more are left out: ask for a shorter time\n",
               ctl_member_number(report, "omitted"));
}

static void add_record(void *context, const struct fence_audit_line *line)
{
    ctl_audit_book_add(context, line);
}

static cJSON *make_report(struct ctl_audit_book *book, const struct ctl_audit_files *files,
                          const struct fence_audit_verdict *verdict)
{
    cJSON *report = ctl_audit_book_json(book);

    if (!report)
        return NULL;
    cJSON_AddStringToObject(report, "from", book->from[0] ? book->from : verdict->from);
    cJSON_AddStringToObject(report, "to", book->to[0] ? book->to : verdict->to);
    cJSON_AddItemToObject(report, "chain", ctl_audit_verdict(files, verdict));
    return report;
}

/* What stands before a break is reported all the same, and the exit status says that there is one.
 */
static int report_files(struct ctl *ctl, const struct ctl_audit_files *files,
                        const struct fence_audit_key *key, struct ctl_audit_book *book)
{
    FENCE_FREE struct fence_audit_verify *verify = calloc(1, sizeof(*verify));
    int r;

    if (!verify)
        return ctl_fail(ctl, "out of memory");
    verify->key = key;
    verify->visit = add_record;
    verify->context = book;
    r = ctl_audit_verify(ctl, files, verify);
    if (r == CTL_DONE)
        r = ctl_show(ctl, make_report(book, files, &verify->verdict), show);
    return r == CTL_DONE && verify->verdict.kind != FENCE_AUDIT_INTACT ? CTL_FAILED : r;
}

static int take_time(const struct ctl *ctl, const char *option, const char *text,
                     char time_text[20])
{
    if (!text || ctl_audit_time_parse(text, (int64_t)time(NULL), time_text) == 0)
        return CTL_DONE;
    return ctl_misuse(ctl, "audit report",
                      "--%s: %s is no time such as 2026-11-27, 2026-11-27T09:30:00Z or 7d (ago)",
                      option, text);
}

static int run(struct ctl *ctl, const struct given *given, char **paths, size_t count)
{
    struct ctl_audit_book book = {.app = given->app};
    struct fence_audit_key key = {.keyed = false};
    struct ctl_audit_files files = {0};
    struct fence_err err = {""};
    int r = take_time(ctl, "from", given->from, book.from);

    if (r == CTL_DONE)
        r = take_time(ctl, "to", given->to, book.to);
    if (r != CTL_DONE)
        return r;
    if (given->key && fence_audit_key_read(given->key, &key, &err) < 0)
        return ctl_fail(ctl, "--key: %s", err.text);
    r = ctl_audit_open(ctl, paths, count, &files);
    if (r == CTL_DONE)
        r = report_files(ctl, &files, &key, &book);
    ctl_audit_close(&files);
    ctl_audit_book_done(&book);
    return r;
}

int ctl_audit_report(struct ctl *ctl, int argc, char **argv)
{
    struct given given = {0};
    const struct ctl_option options[] = {
        {.name = "from",
         .argument = "TIME",
         .help = "from then on: 2026-11-27T09:30:00Z, 2026-11-27, 7d",
         .text = &given.from},
        {.name = "to", .argument = "TIME", .help = "before then", .text = &given.to},
        {.name = "app",
         .argument = "NS/APP",
         .help = "connections with this workload at either end",
         .text = &given.app},
        {.name = "key",
         .argument = "FILE",
         .help = "the key of podfenced --audit-key",
         .text = &given.key},
    };
    const struct ctl_usage usage = {
        .verb = "audit report",
        .arguments = "FILE...",
        .about = "From an audit log (podfenced --audit-log): who talked to whom, what was blocked, "
                 "and every change\nof policy, cut and alarm in the time. The chain is verified "
                 "first to last; exit status 1 and what\nstands before the break, when it is "
                 "broken.",
        .example = "  podfencectl audit report --from 7d /var/log/podfence/audit.log*\n"
                   "  podfencectl audit report --from 2026-11-01 --to 2026-12-01 --app shop/db "
                   "-o json audit.log*",
        .options = options,
        .option_count = FENCE_ARRAY_SIZE(options),
        .least = 1,
        .most = INT_MAX,
    };
    int first = 0, r = ctl_parse(ctl, &usage, argc, argv, &first);

    return r == CTL_GO_ON ? run(ctl, &given, argv + first, (size_t)(argc - first)) : r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/ctl/audit.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cni/ctl/options.h"
#include "cni/ctl/text.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"

static int compare_files(const void *a, const void *b)
{
    const struct ctl_audit_file *one = a, *other = b;

    return one->first < other->first ? -1 : one->first > other->first;
}

void ctl_audit_close(struct ctl_audit_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        if (files->items[i].stream)
            fclose(files->items[i].stream);
    free(TAKE_PTR(files->items));
    files->count = 0;
}

int ctl_audit_open(const struct ctl *ctl, char **paths, size_t count,
                   struct ctl_audit_files *ret_files)
{
    struct ctl_audit_files files = {.items = calloc(count, sizeof(*files.items)), .count = count};

    if (!files.items)
        return ctl_fail(ctl, "out of memory");
    for (size_t i = 0; i < count; i++) {
        struct ctl_audit_file *file = &files.items[i];

        file->path = paths[i];
        file->stream = fopen(paths[i], "re");
        if (!file->stream) {
            int result = ctl_fail(ctl, "cannot open %s: %s", paths[i], strerror(errno));

            ctl_audit_close(&files);
            return result;
        }
        file->first = fence_audit_first_seq(file->stream);
    }
    qsort(files.items, count, sizeof(*files.items), compare_files);
    *ret_files = files;
    return CTL_DONE;
}

int ctl_audit_verify(const struct ctl *ctl, const struct ctl_audit_files *files,
                     struct fence_audit_verify *verify)
{
    struct fence_err err = {""};

    for (size_t i = 0; i < files->count; i++)
        if (fence_audit_verify_file(verify, files->items[i].stream, i + 1 == files->count, &err) <
            0)
            return ctl_fail(ctl, "%s: %s", files->items[i].path, err.text);
    return CTL_DONE;
}

static void add_break(cJSON *json, const struct ctl_audit_files *files,
                      const struct fence_audit_verdict *verdict)
{
    cJSON *broken;

    if (verdict->kind == FENCE_AUDIT_INTACT) {
        cJSON_AddNullToObject(json, "break");
        return;
    }
    broken = cJSON_AddObjectToObject(json, "break");
    cJSON_AddStringToObject(broken, "kind", fence_audit_break_name(verdict->kind));
    cJSON_AddStringToObject(broken, "file", files->items[verdict->file].path);
    cJSON_AddNumberToObject(broken, "line", (double)verdict->line);
    cJSON_AddStringToObject(broken, "text", fence_audit_break_text(verdict->kind));
}

cJSON *ctl_audit_verdict(const struct ctl_audit_files *files,
                         const struct fence_audit_verdict *verdict)
{
    cJSON *json = cJSON_CreateObject();

    cJSON_AddBoolToObject(json, "intact", verdict->kind == FENCE_AUDIT_INTACT);
    add_break(json, files, verdict);
    cJSON_AddNumberToObject(json, "files", (double)verdict->files);
    cJSON_AddNumberToObject(json, "records", (double)verdict->records);
    cJSON_AddNumberToObject(json, "firstSeq", (double)verdict->first_seq);
    cJSON_AddNumberToObject(json, "lastSeq", (double)verdict->last_seq);
    cJSON_AddStringToObject(json, "from", verdict->from);
    cJSON_AddStringToObject(json, "to", verdict->to);
    cJSON_AddStringToObject(json, "lastHash", verdict->last_hash);
    cJSON_AddBoolToObject(json, "unfinished", verdict->unfinished);
    cJSON_AddNumberToObject(json, "torn", (double)verdict->torn);
    cJSON_AddNumberToObject(json, "gaps", (double)verdict->gaps);
    cJSON_AddNumberToObject(json, "missing", (double)verdict->missing);
    cJSON_AddNumberToObject(json, "uncleanStarts", (double)verdict->unclean);
    return json;
}

static void show_notes(const cJSON *verdict)
{
    const double torn = ctl_member_number(verdict, "torn");
    const double gaps = ctl_member_number(verdict, "gaps");
    const double unclean = ctl_member_number(verdict, "uncleanStarts");

    if (ctl_member_number(verdict, "records") && ctl_member_number(verdict, "firstSeq") > 1)
        printf("Note: what was before record %.0f is not in these files.\n",
               ctl_member_number(verdict, "firstSeq"));
    if (gaps)
        printf("Note: %.0f gaps: the disk had no room, %.0f records are missing, and counted.\n",
               gaps, ctl_member_number(verdict, "missing"));
    if (torn)
        printf("Note: %.0f lines were torn by a crash; their text is kept in records \"torn\".\n",
               torn);
    if (unclean)
        printf("Note: %.0f times the daemon was killed: up to a second of connections before it\n"
               "started again may be missing.\n",
               unclean);
    if (cJSON_IsTrue(ctl_member(verdict, "unfinished")))
        puts("Note: the last line is not finished: it is being written, or a crash has torn it.");
}

void ctl_audit_show_verdict(const cJSON *verdict)
{
    const cJSON *broken = ctl_member(verdict, "break");

    if (cJSON_IsObject(broken)) {
        fputs("BROKEN at ", stdout);
        fence_print_safe(stdout, ctl_member_text(broken, "file"));
        printf(":%.0f (%s): %s\n", ctl_member_number(broken, "line"),
               ctl_member_text(broken, "kind"), ctl_member_text(broken, "text"));
    } else {
        puts("The chain holds.");
    }
    printf("%.0f records of %.0f files hold", ctl_member_number(verdict, "records"),
           ctl_member_number(verdict, "files"));
    if (ctl_member_number(verdict, "records"))
        printf(": %.0f to %.0f, from %s to %s\nlast hash %s",
               ctl_member_number(verdict, "firstSeq"), ctl_member_number(verdict, "lastSeq"),
               ctl_member_text(verdict, "from"), ctl_member_text(verdict, "to"),
               ctl_member_text(verdict, "lastHash"));
    putchar('\n');
    show_notes(verdict);
}

static void show(const struct ctl *ctl, const cJSON *verdict)
{
    (void)ctl;
    ctl_audit_show_verdict(verdict);
}

static int verify_files(struct ctl *ctl, const struct ctl_audit_files *files,
                        const struct fence_audit_key *key)
{
    FENCE_FREE struct fence_audit_verify *verify = calloc(1, sizeof(*verify));
    int r;

    if (!verify)
        return ctl_fail(ctl, "out of memory");
    verify->key = key;
    r = ctl_audit_verify(ctl, files, verify);
    if (r == CTL_DONE)
        r = ctl_show(ctl, ctl_audit_verdict(files, &verify->verdict), show);
    return r == CTL_DONE && verify->verdict.kind != FENCE_AUDIT_INTACT ? CTL_FAILED : r;
}

static int verify_command(struct ctl *ctl, int argc, char **argv)
{
    const char *key_path = NULL;
    const struct ctl_option options[] = {
        {.name = "key",
         .argument = "FILE",
         .help = "the key of podfenced --audit-key",
         .text = &key_path},
    };
    const struct ctl_usage usage = {
        .verb = "audit verify",
        .arguments = "FILE...",
        .about =
            "Checks that nobody changed, removed, added or reordered records of an audit log "
            "(podfenced\n--audit-log): all its files, in any order. Exit status 1 at the first "
            "record that does not hold.\n\nWithout a key, whoever may write the log can make "
            "the chain anew. Records missing at the very end\nshow only against the number "
            "and hash that `podfencectl status -o json` had (audit).",
        .example = "  podfencectl audit verify /var/log/podfence/audit.log*\n"
                   "  podfencectl audit verify --key /etc/podfence/audit.key -o json audit.log",
        .options = options,
        .option_count = FENCE_ARRAY_SIZE(options),
        .least = 1,
        .most = INT_MAX,
    };
    struct fence_audit_key key = {.keyed = false};
    struct ctl_audit_files files = {0};
    struct fence_err err = {""};
    int first = 0, r = ctl_parse(ctl, &usage, argc, argv, &first);

    if (r != CTL_GO_ON)
        return r;
    if (key_path && fence_audit_key_read(key_path, &key, &err) < 0)
        return ctl_fail(ctl, "--key: %s", err.text);
    r = ctl_audit_open(ctl, argv + first, (size_t)(argc - first), &files);
    if (r == CTL_DONE)
        r = verify_files(ctl, &files, &key);
    ctl_audit_close(&files);
    return r;
}

int ctl_audit(struct ctl *ctl, int argc, char **argv)
{
    const struct ctl_usage usage = {
        .verb = "audit",
        .subcommands = "verify report",
        .arguments = "verify|report",
        .about = "The audit log of podfenced --audit-log: `audit verify` checks its chain of "
                 "hashes, `audit report`\nsays who talked to whom and what was changed. See "
                 "audit verify --help, audit report --help.",
        .example =
            "  podfencectl audit verify /var/log/podfence/audit.log*\n"
            "  podfencectl audit report --from 7d --app shop/db /var/log/podfence/audit.log*",
        .least = 1,
        .most = 1,
    };
    int first = 0, r;

    if (argc > 1 && strcmp(argv[1], "verify") == 0)
        return verify_command(ctl, argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "report") == 0)
        return ctl_audit_report(ctl, argc - 1, argv + 1);
    r = ctl_parse(ctl, &usage, argc, argv, &first);
    return r != CTL_GO_ON ? r
                          : ctl_misuse(ctl, "audit", "%s is none of verify, report", argv[first]);
}

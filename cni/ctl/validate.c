/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cni/ctl/files.h"
#include "cni/ctl/options.h"
#include "cni/ctl/text.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"
#include "lib/objects/decode.h"
#include "lib/policy/intern.h"

/* An object that was fine, to compare later ones of the same name with. */
struct seen {
    __u64 text;
    char *place;
};

struct report {
    cJSON *objects;          /* array */
    struct fence_intern ids; /* to the index in seen */
    struct seen *seen;
    size_t seen_count;
    size_t seen_capacity;
    size_t refused;
    size_t warnings;
};

static void report_done(struct report *report)
{
    for (size_t i = 0; i < report->seen_count; i++)
        free(report->seen[i].place);
    free(report->seen);
    fence_intern_done(&report->ids);
}

/* The first object of this name; *ret_seen is the one given when there was none. */
static int see(struct report *report, const struct fence_decoded *decoded, const char *path,
               const struct seen **ret_seen)
{
    FENCE_FREE char *id = fence_decoded_id(decoded);
    uint32_t number = 0;
    struct seen *seen;
    int r = -ENOMEM;

    if (id)
        r = fence_intern_put(&report->ids, id, strlen(id), (uint32_t)report->seen_count, &number);
    if (r == 1 && FENCE_GROW(report->seen, report->seen_capacity, report->seen_count) < 0)
        return -ENOMEM;
    if (r < 0)
        return r;
    seen = &report->seen[number];
    if (r == 1) {
        *seen = (struct seen){.text = decoded->text};
        report->seen_count++;
        if (asprintf(&seen->place, "%s:%u", path, decoded->line) < 0)
            seen->place = NULL;
        if (!seen->place)
            return -ENOMEM;
    }
    *ret_seen = seen;
    return 0;
}

static int add_row(struct report *report, const char *path, const struct fence_decoded *decoded,
                   const char *error)
{
    bool known = decoded->object || decoded->id;
    FENCE_FREE char *id = known ? fence_decoded_id(decoded) : NULL;
    unsigned int line = decoded->line;
    const char *text = error ? ctl_split_line(error, &line) : NULL;
    cJSON *row = cJSON_CreateObject();

    cJSON_AddStringToObject(row, "file", path);
    cJSON_AddNumberToObject(row, "line", line);
    cJSON_AddStringToObject(row, "object", id ? id : "");
    cJSON_AddStringToObject(row, "state", error ? "refused" : "ok");
    if (text)
        cJSON_AddStringToObject(row, "error", text);
    if (decoded->warning)
        cJSON_AddStringToObject(row, "warning", decoded->warning);
    report->refused += error != NULL;
    report->warnings += decoded->warning != NULL;
    return row && cJSON_AddItemToArray(report->objects, row) ? 0 : -ENOMEM;
}

/* The same object twice is fine, two that differ are not: the first one counts. */
static int add_decoded(struct report *report, const char *path, const struct fence_decoded *decoded)
{
    FENCE_FREE char *conflict = NULL;
    const struct seen *first = NULL;
    int r;

    if (decoded->error)
        return add_row(report, path, decoded, decoded->error);
    r = see(report, decoded, path, &first);
    if (r < 0)
        return r;
    if (first->text != decoded->text &&
        asprintf(&conflict, "%s says something else of the same object, and the first one counts",
                 first->place) < 0)
        return -ENOMEM;
    return add_row(report, path, decoded, conflict);
}

static int check_file(void *context, const char *path, const char *data, size_t size,
                      struct fence_err *err)
{
    struct report *report = context;
    struct fence_decoded_list list = {0};
    struct fence_err why = {0};
    int r = fence_decode_stream(data, size, &list, &why);

    if (r == -ENOMEM)
        return fence_err_set(err, r, "%s: out of memory", path);
    if (r < 0)
        r = add_row(report, path, &(struct fence_decoded){0}, why.text);
    for (size_t i = 0; r == 0 && i < list.count; i++)
        r = add_decoded(report, path, &list.items[i]);
    fence_decoded_list_done(&list);
    return r < 0 ? fence_err_set(err, r, "%s: out of memory", path) : 0;
}

/* The other files are checked all the same. */
static int add_unreadable(void *context, const char *path, const char *why, struct fence_err *err)
{
    int r = add_row(context, path, &(struct fence_decoded){0}, why);

    return r < 0 ? fence_err_set(err, r, "%s: out of memory", path) : 0;
}

static void print_row(const struct ctl *ctl, const cJSON *row)
{
    const char *object = ctl_member_text(row, "object");
    const char *state = ctl_member_text(row, "state");
    const char *color = ctl_color_of(ctl->output.color, state);
    const char *error = ctl_member_text(row, "error");
    const char *warning = ctl_member_text(row, "warning");
    double line = ctl_member_number(row, "line");

    fence_print_safe(stdout, ctl_member_text(row, "file"));
    if (line > 0)
        printf(":%.0f", line);
    fputs(": ", stdout);
    fence_print_safe(stdout, *object ? object : "(file)");
    printf(": %s%s%s%s", color, state, *color ? CTL_COLOR_END : "", *error ? ": " : "");
    fence_print_safe(stdout, error);
    if (*warning) {
        fputs("; warning: ", stdout);
        fence_print_safe(stdout, warning);
    }
    putchar('\n');
}

static int print_report(struct ctl *ctl, const cJSON *value)
{
    const cJSON *objects = ctl_member(value, "objects"), *row;

    if (ctl->output.format != CTL_TEXT)
        return ctl_print_value(&ctl->output, value);
    cJSON_ArrayForEach(row, objects) print_row(ctl, row);
    printf("%d objects: %.0f ok, %.0f refused, %.0f with warnings\n", cJSON_GetArraySize(objects),
           ctl_member_number(value, "ok"), ctl_member_number(value, "refused"),
           ctl_member_number(value, "warnings"));
    return 0;
}

static int finish(struct ctl *ctl, const struct report *report, cJSON *value, bool unreadable)
{
    int count = cJSON_GetArraySize(report->objects);

    cJSON_AddNumberToObject(value, "ok", (double)count - (double)report->refused);
    cJSON_AddNumberToObject(value, "refused", (double)report->refused);
    cJSON_AddNumberToObject(value, "warnings", (double)report->warnings);
    if (print_report(ctl, value) < 0)
        return ctl_fail(ctl, "out of memory");
    return report->refused || unreadable ? CTL_FAILED : CTL_DONE;
}

int ctl_validate(struct ctl *ctl, int argc, char **argv)
{
    const struct ctl_usage usage = {
        .verb = "validate",
        .arguments = "FILE...",
        .about = "Checks object files as the daemon would read them. FILE is a file, a folder, or "
                 "\"-\" for\nstandard input. Needs no root, no kernel and no daemon. Exit status 1 "
                 "when an object is refused\nor a file cannot be read.",
        .example = "  podfencectl validate policies/\n"
                   "  kubectl get netpol -A -o yaml | podfencectl validate -o json -",
        .least = 1,
        .most = INT_MAX,
    };
    struct report report = {0};
    const struct ctl_file_visitor visitor = {
        .visit = check_file, .unreadable = add_unreadable, .context = &report};
    bool unreadable = false;
    cJSON *value;
    int first = 0, r = ctl_parse(ctl, &usage, argc, argv, &first);

    if (r != CTL_GO_ON)
        return r;
    value = cJSON_CreateObject();
    report.objects = cJSON_AddArrayToObject(value, "objects");
    for (int i = first; i < argc; i++) {
        struct fence_err err = {0};

        if (ctl_files_visit(argv[i], &visitor, &err) < 0) {
            ctl_fail(ctl, "%s", err.text);
            unreadable = true;
        }
    }
    r = finish(ctl, &report, value, unreadable);
    cJSON_Delete(value);
    report_done(&report);
    return r;
}

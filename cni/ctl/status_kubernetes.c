/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/ctl/status.h"

#include <string.h>

#include "lib/base/names.h"

static bool has_phase(const cJSON *kind, const char *phase)
{
    return strcmp(ctl_member_text(kind, "phase"), phase) == 0;
}

static bool is_up(const cJSON *kind)
{
    return cJSON_IsTrue(ctl_member(kind, "up"));
}

static bool is_without(const cJSON *kind)
{
    return cJSON_IsTrue(ctl_member(kind, "without"));
}

/* A cluster may be without it. */
static bool is_absent(const cJSON *kind)
{
    return is_up(kind) && has_phase(kind, "absent");
}

static bool is_watched(const cJSON *kind)
{
    return is_up(kind) && !is_absent(kind) && !is_without(kind);
}

/* Of those that are watched, the last byte of any; below 0: none was heard. */
static double last_heard(const cJSON *kinds)
{
    const cJSON *kind, *heard;
    double least = -1;

    cJSON_ArrayForEach(kind, kinds)
    {
        heard = ctl_member(kind, "lastHeardSeconds");
        if (is_watched(kind) && cJSON_IsNumber(heard) && (least < 0 || heard->valuedouble < least))
            least = heard->valuedouble;
    }
    return least;
}

static void print_absent(FILE *out, const cJSON *kinds)
{
    const char *between = "; not installed: ";
    const cJSON *kind;

    cJSON_ArrayForEach(kind, kinds)
    {
        if (!is_absent(kind))
            continue;
        fputs(between, out);
        fence_print_safe(out, ctl_member_text(kind, "kind"));
        between = ", ";
    }
}

/* How it is, and when it is tried again. */
static void print_kind(FILE *out, const cJSON *kind)
{
    const cJSON *retry = ctl_member(kind, "retryInSeconds");
    const char *problem = ctl_member_text(kind, "problem");

    fprintf(out, "%-12s ", "");
    fence_print_safe(out, ctl_member_text(kind, "kind"));
    fputs(": ", out);
    fence_print_safe(out, *problem ? problem : "its first list has not come yet");
    if (is_without(kind))
        fputs("; done without", out);
    else if (cJSON_IsTrue(ctl_member(kind, "listed")))
        fputs("; what is known stays in force", out);
    if (cJSON_IsNumber(retry))
        fprintf(out, "; tried again in %.0f s", retry->valuedouble);
    fputc('\n', out);
}

void ctl_status_print_kubernetes(FILE *out, const cJSON *kubernetes)
{
    const cJSON *kind, *kinds = ctl_member(kubernetes, "kinds");
    int connections = (int)ctl_member_number(kubernetes, "connections");
    int watched = 0, wanted = 0;
    double heard = last_heard(kinds);

    if (!cJSON_IsObject(kubernetes))
        return;
    cJSON_ArrayForEach(kind, kinds)
    {
        watched += is_watched(kind);
        wanted += !is_absent(kind);
    }
    fprintf(out, "%-12s watching %d ", "kubernetes:", watched);
    if (watched < wanted)
        fprintf(out, "of %d ", wanted);
    fprintf(out, "kind%s over %d connection%s", wanted == 1 ? "" : "s", connections,
            connections == 1 ? "" : "s");
    if (heard >= 0)
        fprintf(out, ", last heard %.0f s ago", heard);
    print_absent(out, kinds);
    fputc('\n', out);
    cJSON_ArrayForEach(kind, kinds)
    {
        if (!is_watched(kind) && !is_absent(kind))
            print_kind(out, kind);
    }
}

static unsigned long long number(const cJSON *json, const char *name)
{
    return (unsigned long long)ctl_member_number(json, name);
}

static void print_around(FILE *out, const char *before, const char *text, const char *after)
{
    fputs(before, out);
    fence_print_safe(out, text);
    fputs(after, out);
}

static void print_leader(FILE *out, const cJSON *report)
{
    const char *leader = ctl_member_text(report, "leader");

    if (cJSON_IsTrue(ctl_member(report, "leads")))
        fprintf(out, "this node writes for the cluster: %llu of %llu nodes have all policies",
                number(report, "current"), number(report, "nodes"));
    else if (*leader)
        print_around(out, "node ", leader, " writes for the cluster");
    else
        fputs("no node writes for the cluster yet", out);
}

void ctl_status_print_report(FILE *out, const cJSON *report, const cJSON *slices)
{
    const char *problem = ctl_member_text(report, "problem");

    if (cJSON_IsObject(report)) {
        fprintf(out, "%-12s ", "reports:");
        print_leader(out, report);
        if (*problem)
            print_around(out, "; ", problem, "");
        fputc('\n', out);
    }
    if (!cJSON_IsTrue(ctl_member(slices, "publishes")))
        return;
    problem = ctl_member_text(slices, "problem");
    fprintf(out, "%-12s %llu slices with %llu pods and %llu nodes are published",
            "addresses:", number(slices, "slices"), number(slices, "pods"),
            number(slices, "nodes"));
    if (number(slices, "pending"))
        fprintf(out, ", %llu are to be written", number(slices, "pending"));
    if (*problem)
        print_around(out, "; ", problem, "");
    fputc('\n', out);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* learn --check: policies from files against what was seen. */
#include <errno.h>
#include <string.h>

#include "cni/ctl/learn.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"
#include "lib/learn/check.h"

struct job {
    const struct learn_input *input;
    struct trace_objects *policies;
    struct trace_objects *objects; /* what the files and --objects hold together */
    struct fence_learn_links links;
    struct fence_learn_findings findings;
    size_t policy_count;
};

static void job_done(struct job *job)
{
    fence_learn_findings_done(&job->findings);
    fence_learn_links_done(&job->links);
    trace_objects_free(&job->policies);
    trace_objects_free(&job->objects);
}

static bool add_finding(cJSON *list, const struct fence_learn_finding *finding)
{
    FENCE_FREE char *id = fence_object_id(finding->policy);
    cJSON *row = cJSON_CreateObject();

    return id && cJSON_AddItemToArray(list, row) && cJSON_AddStringToObject(row, "policy", id) &&
           cJSON_AddStringToObject(row, "direction", fence_direction_name(finding->direction)) &&
           (finding->rule == FENCE_RULE_NONE
                ? cJSON_AddNullToObject(row, "rule")
                : cJSON_AddNumberToObject(row, "rule", finding->rule)) &&
           cJSON_AddStringToObject(row, "finding", fence_learn_finding_name(finding->kind)) &&
           cJSON_AddStringToObject(row, "text", finding->text);
}

static size_t count_kind(const struct job *job, enum fence_learn_finding_kind kind)
{
    size_t count = 0;

    for (size_t i = 0; i < job->findings.count; i++)
        count += job->findings.items[i].kind == kind;
    return count;
}

/* NULL when out of memory. */
static cJSON *to_json(const struct job *job)
{
    cJSON *value = cJSON_CreateObject();
    cJSON *list = cJSON_AddArrayToObject(value, "findings");
    cJSON *summary = cJSON_AddObjectToObject(value, "summary");
    char since[32], until[32];
    bool ok = list && summary;

    for (size_t i = 0; ok && i < job->findings.count; i++)
        ok = add_finding(list, &job->findings.items[i]);
    for (int kind = 0; ok && kind < FENCE_LEARN_FINDINGS; kind++)
        ok = cJSON_AddNumberToObject(summary,
                                     fence_learn_finding_name((enum fence_learn_finding_kind)kind),
                                     (double)count_kind(job, (enum fence_learn_finding_kind)kind));
    ok =
        ok && cJSON_AddNumberToObject(summary, "policies", (double)job->policy_count) &&
        cJSON_AddNumberToObject(summary, "lost", (double)job->input->flows.lost) &&
        cJSON_AddStringToObject(summary, "since",
                                fence_learn_time(job->input->flows.since, since)) &&
        cJSON_AddStringToObject(summary, "until", fence_learn_time(job->input->flows.until, until));
    if (ok)
        return value;
    cJSON_Delete(value);
    return NULL;
}

static void print_text(const struct ctl *ctl, const cJSON *value)
{
    static const struct ctl_column columns[] = {
        {.title = "POLICY", .member = "policy"}, {.title = "DIRECTION", .member = "direction"},
        {.title = "RULE", .member = "rule"},     {.title = "FINDING", .member = "finding"},
        {.title = "WHAT", .member = "text"},
    };
    const cJSON *findings = ctl_member(value, "findings");
    const cJSON *summary = ctl_member(value, "summary");

    if (cJSON_GetArraySize(findings))
        ctl_table_print(stdout, ctl->output.color, findings, columns, FENCE_ARRAY_SIZE(columns));
    printf("%.0f policies: %.0f unused, %.0f wider than what was seen, %.0f without anything seen; "
           "seen from %s to %s\n",
           ctl_member_number(summary, "policies"), ctl_member_number(summary, "unused"),
           ctl_member_number(summary, "wider"), ctl_member_number(summary, "unseen"),
           ctl_member_text(summary, "since"), ctl_member_text(summary, "until"));
    if (ctl_member_number(summary, "lost") > 0)
        printf("%.0f flows were lost: what is unused may be among them\n",
               ctl_member_number(summary, "lost"));
}

static int check_all(struct job *job)
{
    const struct fence_world *policies = trace_objects_world(job->policies);
    const struct fence_learn_seen seen = {
        .flows = &job->input->flows,
        .links = &job->links,
        .world = job->objects ? trace_objects_world(job->objects) : NULL,
    };
    int r = fence_learn_links_find(&job->links, seen.flows, seen.world);

    for (size_t i = 0; r == 0 && i < policies->object_count; i++) {
        if (!fence_kind_is_policy(policies->objects[i]->kind))
            continue;
        job->policy_count++;
        r = fence_learn_check(&seen, policies->objects[i], &job->findings);
    }
    return r;
}

static int run(struct ctl *ctl, struct job *job, const struct ctl_texts *files,
               const struct ctl_texts *objects)
{
    struct fence_err err = {0};
    int r = trace_objects_new(ctl, files, &job->policies, &err);

    if (r == 0 && objects->count)
        r = trace_objects_new(ctl, objects, &job->objects, &err);
    if (r < 0)
        return ctl_fail(ctl, "%s", err.text);
    if (trace_objects_refused(job->policies))
        return ctl_fail(ctl, "policies are refused: mend them first (podfencectl validate)");
    if (check_all(job) < 0)
        return ctl_fail(ctl, "out of memory");
    if (!job->policy_count)
        return ctl_fail(ctl, "%s: there is no policy in it", files->items[0]);
    return ctl_show(ctl, to_json(job), print_text);
}

int learn_check(struct ctl *ctl, const struct learn_input *input, const struct ctl_texts *files,
                const struct ctl_texts *objects, bool expect_none)
{
    struct job job = {.input = input};
    int r = run(ctl, &job, files, objects);

    if (r == CTL_DONE && expect_none && job.findings.count)
        r = CTL_OTHERWISE;
    job_done(&job);
    return r;
}

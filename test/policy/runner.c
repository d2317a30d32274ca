/* SPDX-License-Identifier: Apache-2.0 */
#include "test/policy/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "test/policy/cases_check.h"

#define CASE_MAX_BYTES (64u << 20)

void runner_fail(struct runner *runner, size_t row, const char *what, const char *why)
{
    runner->counts[row].failures++;
    printf("FAIL %s: %s: %s\n", runner->path, what, why);
}

static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

/* ---- reachability ---------------------------------------------------------------------------- */

static void fail_line(struct runner *runner, const cJSON *line, int family,
                      const struct case_outcome *outcome)
{
    FENCE_FREE char *text = cJSON_PrintUnformatted(line);
    bool blamed = false;

    for (size_t i = 0; i < LEGS; i++) {
        runner->counts[i].failures += outcome->failed[i];
        blamed = blamed || outcome->failed[i];
    }
    runner->counts[RUNNER_UNREADABLE].failures += !blamed;
    printf("FAIL %s: IPv%d %s: %s\n", runner->path, family, text ? text : "a line", outcome->text);
}

static void run_line(struct runner *runner, const struct leg_stage *stage, const cJSON *line,
                     bool asked[LEGS])
{
    bool holds = false;

    for (int family = 4; family <= 6; family += 2) {
        struct case_outcome outcome;

        if (!case_has_family(stage, line, family))
            continue;
        holds = true;
        if (case_check(stage, line, family, &outcome) <= 0)
            fail_line(runner, line, family, &outcome);
        for (size_t i = 0; i < LEGS; i++) {
            runner->counts[i].lines += outcome.asked[i];
            asked[i] = asked[i] || outcome.asked[i];
        }
    }
    if (!holds)
        runner_fail(runner, RUNNER_UNREADABLE, "expect", "a line holds for no family");
}

static void run_lines(struct runner *runner, const struct leg_stage *stage, const cJSON *lines)
{
    bool asked[LEGS] = {false};
    const cJSON *line;

    cJSON_ArrayForEach(line, lines) run_line(runner, stage, line, asked);
    for (size_t i = 0; i < LEGS; i++)
        runner->counts[i].files += asked[i];
    if (!cJSON_GetArraySize(lines))
        runner_fail(runner, RUNNER_UNREADABLE, "expect", "has no line");
}

/* The live maps look at the objects of the file before until they have left them. */
static void keep_alive(struct runner *runner, struct leg_stage *stage)
{
    leg_stage_done(&runner->previous);
    runner->previous = *stage;
    *stage = (struct leg_stage){0};
}

static void run_reachability(struct runner *runner, const cJSON *json)
{
    struct leg_stage stage = {0};
    struct fence_err err = {0};

    if (leg_stage_load(&stage, json, &err) < 0)
        runner_fail(runner, RUNNER_UNREADABLE, "cannot be set up", err.text);
    else if (runner->kernel && live_follow(&runner->live, &stage.file, &err) < 0)
        runner_fail(runner, LEGS - 1, "the live maps", err.text);
    else
        run_lines(runner, &stage, member(json, "expect"));
    if (runner->kernel)
        keep_alive(runner, &stage);
    leg_stage_done(&stage);
}

/* ---- packets --------------------------------------------------------------------------------- */

struct packets_run {
    struct runner *runner;
    const char *gap; /* why failures are expected, or NULL */
    size_t missed;   /* that many were */
};

static void visit_packet(void *context, const struct packets_outcome *outcome)
{
    struct packets_run *run = context;
    FENCE_FREE char *text = NULL;

    run->runner->counts[RUNNER_PACKETS].lines++;
    if (outcome->as_expected)
        return;
    if (run->gap) {
        run->missed++;
        return;
    }
    text = cJSON_PrintUnformatted(outcome->packet);
    runner_fail(run->runner, RUNNER_PACKETS, text ? text : "a packet", outcome->text);
}

static void run_packets(struct runner *runner, const cJSON *json)
{
    struct packets_run run = {.runner = runner, .gap = packets_known_gap(json)};
    const struct packets_visitor visitor = {visit_packet, &run};
    struct fence_err err = {0};

    if (!runner->kernel || runner->backwards)
        return;
    runner->counts[RUNNER_PACKETS].files++;
    if (packets_run(&runner->packets, json, &visitor, &err) < 0)
        runner_fail(runner, RUNNER_PACKETS, "cannot be set up", err.text);
    else if (run.gap && !run.missed)
        runner_fail(runner, RUNNER_PACKETS, "no gap any more", run.gap);
    else if (run.gap) {
        runner->counts[RUNNER_PACKETS].gaps++;
        printf("GAP %s: %s\n", runner->path, run.gap);
    }
}

/* ---- validation ------------------------------------------------------------------------------ */

static void run_validation(struct runner *runner)
{
    struct runner_count *count = &runner->counts[RUNNER_VALIDATION];
    struct object_cases cases = {.own = false};

    if (runner->backwards)
        return;
    object_cases_file(runner->path, &cases);
    count->files++;
    count->lines += cases.cases;
    count->failures += cases.failures;
}

/* ---- all ------------------------------------------------------------------------------------- */

void runner_file(struct runner *runner, const char *path)
{
    FENCE_FREE char *text = NULL;
    struct fence_err err = {0};
    cJSON *json = NULL;
    size_t size;

    runner->path = path;
    if (fence_file_read(AT_FDCWD, path, CASE_MAX_BYTES, &text, &size, &err) == 0)
        json = cJSON_Parse(text);
    else
        runner_fail(runner, RUNNER_UNREADABLE, "cannot be read", err.text);
    if (text && !json)
        runner_fail(runner, RUNNER_UNREADABLE, "cannot be read", "no JSON");
    else if (member(json, "expect"))
        run_reachability(runner, json);
    else if (member(json, "packets"))
        run_packets(runner, json);
    else if (member(json, "valid"))
        run_validation(runner);
    else if (json)
        runner_fail(runner, RUNNER_UNREADABLE, "is no case",
                    "it has neither `expect` nor `packets` nor `valid`");
    cJSON_Delete(json);
}

bool runner_report(const struct runner *runner)
{
    static const char *const names[RUNNER_ROWS] = {
        [RUNNER_PACKETS] = "packets",
        [RUNNER_VALIDATION] = "validation",
        [RUNNER_UNREADABLE] = "unreadable",
    };
    size_t lines = 0, failures = 0;

    printf("%-10s %6s %8s %9s\n", "", "files", "lines", "failures");
    for (size_t i = 0; i < RUNNER_ROWS; i++) {
        const struct runner_count *count = &runner->counts[i];

        lines += count->lines;
        failures += count->failures;
        if (i == RUNNER_UNREADABLE && !count->failures)
            continue;
        printf("%-10s %6zu %8zu %9zu", i < LEGS ? leg_table[i].name : names[i], count->files,
               count->lines, count->failures);
        if (count->gaps)
            printf("  %zu known gap%s", count->gaps, count->gaps == 1 ? "" : "s");
        printf("\n");
    }
    return lines && !failures;
}

void runner_done(struct runner *runner)
{
    live_done(&runner->live);
    leg_stage_done(&runner->previous);
    packets_done(&runner->packets);
}

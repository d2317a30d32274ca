/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/ctl/flows.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/memory.h"

#define NANOSECONDS 1000000000ull

static int add_items(struct ctl_flows *flows, const cJSON *answer, struct fence_err *err)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(answer, "flows"), *item;
    size_t number = 0;
    int r = 0;

    if (!cJSON_IsArray(list))
        return fence_err_set(err, -EBADMSG,
                             "there is no list `flows`: an answer of `podfencectl top -o json` is "
                             "needed");
    cJSON_ArrayForEach(item, list)
    {
        if (FENCE_GROW(flows->items, flows->capacity, flows->count) < 0)
            return fence_err_set(err, -ENOMEM, "out of memory");
        r = fence_flow_parse(item, &flows->items[flows->count], err);
        if (r < 0)
            return fence_err_prefix(err, r == -EINVAL ? -EBADMSG : r, "flows[%zu]", number);
        flows->count++;
        number++;
    }
    return 0;
}

static void add_head(struct ctl_flows *flows, const cJSON *answer)
{
    uint64_t since_ns;

    flows->lost += (uint64_t)ctl_member_number(answer, "lost");
    if (fence_flow_time_parse(ctl_member_text(answer, "since"), &since_ns) == 0 &&
        (!flows->since_ns || since_ns < flows->since_ns))
        flows->since_ns = since_ns;
}

int ctl_flows_add(struct ctl_flows *flows, cJSON *answer, struct fence_err *err)
{
    if (FENCE_GROW(flows->answers, flows->answer_capacity, flows->answer_count) < 0) {
        cJSON_Delete(answer);
        return fence_err_set(err, -ENOMEM, "out of memory");
    }
    flows->answers[flows->answer_count++].json = answer;
    add_head(flows, answer);
    return add_items(flows, answer, err);
}

int ctl_flows_add_file(struct ctl_flows *flows, const char *path, struct fence_err *err)
{
    bool is_stream = strcmp(path, "-") == 0;
    const char *name = is_stream ? "standard input" : path;
    FENCE_FREE char *text = NULL;
    size_t size = 0;
    cJSON *answer;
    int r;

    if (is_stream)
        r = fence_fd_read(STDIN_FILENO, CTL_FLOWS_FILE_MAX, &text, &size, err);
    else
        r = fence_file_read(AT_FDCWD, path, CTL_FLOWS_FILE_MAX, &text, &size, err);
    if (r < 0)
        return is_stream ? fence_err_prefix(err, r, "%s", name) : r;
    answer = cJSON_ParseWithLength(text, size);
    if (!answer)
        return fence_err_set(err, -EBADMSG,
                             "%s is not JSON: an answer of `podfencectl top -o json` is needed",
                             name);
    r = ctl_flows_add(flows, answer, err);
    return r < 0 ? fence_err_prefix(err, r, "%s", name) : 0;
}

void ctl_flows_done(struct ctl_flows *flows)
{
    for (size_t i = 0; i < flows->count; i++)
        fence_flow_parsed_done(&flows->items[i]);
    for (size_t i = 0; i < flows->answer_count; i++)
        cJSON_Delete(flows->answers[i].json);
    free(flows->items);
    free(flows->answers);
    *flows = (struct ctl_flows){0};
}

/* Seconds in the unit that a duration ends with; 0 = there is none such. */
static uint64_t seconds_of(const char *unit)
{
    static const struct {
        const char *name;
        uint64_t seconds;
    } units[] = {{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(units); i++)
        if (strcmp(units[i].name, unit) == 0)
            return units[i].seconds;
    return 0;
}

int ctl_since_parse(const char *text, uint64_t now_ns, uint64_t *ret_since_ns,
                    struct fence_err *err)
{
    char *end = NULL;
    unsigned long long number;
    uint64_t seconds;

    if (fence_flow_time_parse(text, ret_since_ns) == 0)
        return 0;
    number = isdigit((unsigned char)*text) ? strtoull(text, &end, 10) : 0;
    seconds = end ? seconds_of(end) : 0;
    if (!seconds || number > UINT32_MAX)
        return fence_err_set(err, -EINVAL,
                             "--since %s: a duration such as 90s, 10m, 2h or 3d is needed, or a "
                             "time such as 2026-01-31T12:00:00Z",
                             text);
    seconds *= number;
    *ret_since_ns = now_ns / NANOSECONDS > seconds ? now_ns - seconds * NANOSECONDS : 0;
    return 0;
}

int ctl_verdicts_parse(const struct ctl_texts *texts, bool ret_wanted[FENCE_FLOW_VERDICTS],
                       struct fence_err *err)
{
    enum fence_flow_verdict verdict;

    for (size_t i = 0; i < FENCE_FLOW_VERDICTS; i++)
        ret_wanted[i] = !texts->count;
    for (size_t i = 0; i < texts->count; i++) {
        if (fence_flow_verdict_parse(texts->items[i], &verdict) < 0)
            return fence_err_set(err, -EINVAL,
                                 "--verdict %s: there are forwarded, dropped and "
                                 "audit",
                                 texts->items[i]);
        ret_wanted[verdict] = true;
    }
    return 0;
}

static bool is_in(const struct fence_flow_seen *seen, const char *namespace_name)
{
    return (seen->source.kind == FENCE_FLOW_WORKLOAD &&
            strcmp(seen->source.namespace_name, namespace_name) == 0) ||
           (seen->destination.kind == FENCE_FLOW_WORKLOAD &&
            strcmp(seen->destination.namespace_name, namespace_name) == 0);
}

int ctl_flows_filter(struct ctl_flows *flows, const struct ctl_flows_wanted *wanted,
                     uint64_t since_ns, struct fence_err *err)
{
    bool verdicts[FENCE_FLOW_VERDICTS];
    size_t kept = 0;
    int r = ctl_verdicts_parse(&wanted->verdicts, verdicts, err);

    if (r < 0)
        return r;
    for (size_t i = 0; i < flows->count; i++) {
        struct fence_flow_parsed *item = &flows->items[i];

        if (item->seen.last_ns >= since_ns && verdicts[item->seen.verdict] &&
            (!wanted->namespace_name || is_in(&item->seen, wanted->namespace_name)))
            flows->items[kept++] = *item;
        else
            fence_flow_parsed_done(item);
    }
    flows->count = kept;
    return 0;
}

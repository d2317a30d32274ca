/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/event_log.h"

#include "cni/daemon/daemon.h"
#include "lib/api/event_json.h"
#include "lib/base/clock.h"

int fence_event_log_init(struct fence_daemon *daemon, struct fence_err *err)
{
    return fence_log_file_init(daemon, &daemon->event_log.file, "event log",
                               &daemon->options.event_log.file, err);
}

void fence_event_log_done(struct fence_daemon *daemon)
{
    fence_log_file_done(daemon, &daemon->event_log.file);
}

static bool fits(const struct fence_event_log_options *options, const struct fence_record *record)
{
    for (size_t i = 0; i < options->filter_count; i++)
        if (fence_filter_fits(&options->filters[i], record))
            return true;
    return options->filter_count == 0;
}

/* There is room again: say first what is missing here. */
static void say_left_out(struct fence_daemon *daemon)
{
    struct fence_event_log *log = &daemon->event_log;
    const struct fence_lost lost = {
        .source = FENCE_LOST_BY_CONSUMER,
        .count = log->unsaid,
        .wall_ns = fence_clock_wall_ns(),
        .node_name = daemon->options.node_name,
    };
    char text[FENCE_EVENT_JSON_MAX];
    size_t size;

    if (!log->unsaid || *log->file.problem)
        return;
    size = fence_lost_json(&lost, text);
    if (fence_log_file_add(&log->file, text, size) == 0)
        log->unsaid = 0;
}

static void add(struct fence_daemon *daemon, const char *text, size_t size)
{
    struct fence_event_log *log = &daemon->event_log;

    say_left_out(daemon);
    if (fence_log_file_add(&log->file, text, size) < 0)
        log->unsaid++;
}

void fence_event_log_record(struct fence_daemon *daemon, const struct fence_record *record)
{
    const char *text;
    size_t size;

    if (!fence_log_file_is_used(&daemon->event_log.file) ||
        !fits(&daemon->options.event_log, record))
        return;
    text = fence_observe_text(daemon, record, &size);
    add(daemon, text, size);
}

void fence_event_log_lost(struct fence_daemon *daemon, const struct fence_lost *lost)
{
    char text[FENCE_EVENT_JSON_MAX];

    if (fence_log_file_is_used(&daemon->event_log.file))
        add(daemon, text, fence_lost_json(lost, text));
}

void fence_event_log_line(struct fence_daemon *daemon, const char *text, size_t size)
{
    if (fence_log_file_is_used(&daemon->event_log.file))
        add(daemon, text, size);
}

/* A filter that can let them through. */
bool fence_event_log_wanted(const struct fence_daemon *daemon)
{
    const struct fence_event_log_options *options = &daemon->options.event_log;

    if (!fence_log_file_is_used(&daemon->event_log.file))
        return false;
    for (size_t i = 0; i < options->filter_count; i++)
        if (fence_filter_lets_forwarded(&options->filters[i]))
            return true;
    return options->filter_count == 0;
}

cJSON *fence_event_log_json(const struct fence_daemon *daemon)
{
    return fence_log_file_json(&daemon->event_log.file);
}

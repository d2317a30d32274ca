/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/audit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cni/daemon/daemon.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"

#define TICK_MS 1000

/* What a record has besides the details of a note: number, time, type, two hashes. */
#define NOTE_FRAME ((size_t)512)

/* Said when it begins and when it is over. */
static void log_trouble(struct fence_daemon *daemon)
{
    struct fence_audit *audit = &daemon->audit;
    const struct fence_audit_stats stats = fence_audit_writer_stats(audit->writer);

    if (stats.failing && !audit->failing)
        fence_log(FENCE_LOG_ERROR,
                  "audit log %s: %s; enforcement goes on, what is not recorded is counted",
                  daemon->options.audit.path, strerror(stats.failing));
    if (!stats.failing && audit->failing)
        fence_log(FENCE_LOG_INFO,
                  "audit log %s is written again; %llu records are missing since the start",
                  daemon->options.audit.path, (unsigned long long)stats.missing);
    audit->failing = stats.failing;
}

static void tick(void *context)
{
    struct fence_daemon *daemon = context;

    fence_audit_writer_tick(daemon->audit.writer);
    log_trouble(daemon);
}

/* The members of `details` (taken) as they may stand in the log; NULL when there are none, or out
 * of memory. */
static char *members_of(cJSON *details)
{
    FENCE_FREE char *json = details ? cJSON_PrintUnformatted(details) : NULL;
    size_t size = json ? strlen(json) : 0, most = size * FENCE_AUDIT_ESCAPED + 1;
    struct fence_audit_text text = {.data = json ? malloc(most) : NULL, .capacity = most - 1};

    cJSON_Delete(details);
    if (!text.data)
        return NULL;
    fence_audit_put_json(&text, json, size);
    text.data[text.size] = '\0';
    return text.data;
}

void fence_audit_note(struct fence_daemon *daemon, const char *type, cJSON *details)
{
    struct fence_audit *audit = &daemon->audit;
    FENCE_FREE char *members = audit->writer ? members_of(details) : NULL;
    size_t size = members ? strlen(members) : 0;
    struct fence_audit_text *text = NULL;
    const bool fits = size < FENCE_AUDIT_LINE_MAX - NOTE_FRAME;

    if (!audit->writer) {
        cJSON_Delete(details);
        return;
    }
    text = fence_audit_writer_begin(audit->writer, fence_clock_wall_ns(), type,
                                    NOTE_FRAME + (fits ? size : 0));
    if (!text)
        return;
    if (!fits) {
        fence_audit_member_number(text, "omittedBytes", size);
    } else if (size > 2) { /* not {} */
        fence_audit_put(text, ",", 1);
        fence_audit_put(text, members + 1, size - 2);
    }
    fence_audit_writer_end(audit->writer);
    fence_audit_writer_flush(audit->writer);
    log_trouble(daemon);
}

static void note_start(struct fence_daemon *daemon)
{
    cJSON *details = cJSON_CreateObject();

    cJSON_AddStringToObject(details, "version", FENCE_VERSION);
    cJSON_AddStringToObject(details, "node", daemon->options.node_name);
    cJSON_AddNumberToObject(details, "pid", getpid());
    fence_audit_note(daemon, "start", details);
}

int fence_audit_init(struct fence_daemon *daemon, struct fence_err *err)
{
    const struct fence_audit_options *options = &daemon->options.audit;
    struct fence_audit *audit = &daemon->audit;
    const struct fence_audit_writer_options writer = {
        .path = options->path,
        .node_name = daemon->options.node_name,
        .key = &audit->key,
        .file_max = options->size,
        .files = options->files,
        .sync = fence_audit_sync_ask,
        .context = &audit->sync,
    };
    int result;

    if (!options->path)
        return options->key ? fence_err_set(err, -EINVAL, "--audit-key: needs --audit-log") : 0;
    result = options->key ? fence_audit_key_read(options->key, &audit->key, err) : 0;
    if (result < 0)
        return fence_err_prefix(err, result, "--audit-key");
    result = fence_audit_sync_start(&audit->sync, err);
    if (result == 0)
        result = fence_audit_writer_new(&writer, &audit->writer, err);
    if (result < 0)
        return fence_err_prefix(err, result, "--audit-log");
    result = fence_timer_open(&daemon->loop, &audit->tick, CLOCK_MONOTONIC, err);
    if (result < 0)
        return result;
    audit->tick.fire = tick;
    audit->tick.context = daemon;
    if (fence_audit_writer_stats(audit->writer).torn)
        fence_log(FENCE_LOG_WARNING, "audit log %s: its last line was torn, and is kept as text",
                  options->path);
    note_start(daemon);
    return fence_timer_after(&audit->tick, TICK_MS, TICK_MS);
}

void fence_audit_done(struct fence_daemon *daemon)
{
    struct fence_audit *audit = &daemon->audit;

    fence_audit_note(daemon, "stop", NULL);
    fence_timer_close(&daemon->loop, &audit->tick);
    fence_audit_sync_stop(&audit->sync);
    fence_audit_writer_free(&audit->writer);
    fence_audit_policies_done(audit);
    explicit_bzero(&audit->key, sizeof(audit->key));
}

void fence_audit_lost(struct fence_daemon *daemon, const struct fence_lost *lost)
{
    cJSON *details = daemon->audit.writer ? cJSON_CreateObject() : NULL;

    if (!details)
        return;
    cJSON_AddNumberToObject(details, "events", (double)lost->count);
    cJSON_AddStringToObject(details, "source", lost->source);
    fence_audit_note(daemon, "lost", details);
}

bool fence_audit_wanted(const struct fence_daemon *daemon)
{
    return daemon->audit.writer != NULL;
}

cJSON *fence_audit_json(const struct fence_daemon *daemon)
{
    const struct fence_audit *audit = &daemon->audit;
    struct fence_audit_stats stats;
    cJSON *json;

    if (!audit->writer)
        return cJSON_CreateNull();
    stats = fence_audit_writer_stats(audit->writer);
    json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "file", daemon->options.audit.path);
    cJSON_AddBoolToObject(json, "keyed", audit->key.keyed);
    cJSON_AddNumberToObject(json, "seq", (double)stats.seq);
    cJSON_AddStringToObject(json, "hash", stats.hash);
    cJSON_AddNumberToObject(json, "records", (double)stats.records);
    cJSON_AddNumberToObject(json, "missing", (double)stats.missing);
    cJSON_AddNumberToObject(json, "errors",
                            (double)(stats.errors + atomic_load(&audit->sync.errors)));
    cJSON_AddStringToObject(json, "problem", stats.failing ? strerror(stats.failing) : "");
    return json;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/flowbook.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "cni/daemon/daemon.h"
#include "cni/daemon/flowbook_file.h"
#include "lib/api/record.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"
#include "lib/datapath/read.h"

#define LOOK_MS    2000
#define LOOK_SHARE 50 /* a look takes at most one part of so many of the time */
#define SAVE_NS    (60ull * 1000000000ull)

/* ---- names ---------------------------------------------------------------------------------- */

/* The last answers: the book copies what it keeps. */
struct names {
    const struct fence_pins *pins;
    struct fence_identity_info info;
    struct fence_rule_info rule;
};

static int name_end(void *context, uint32_t identity, struct fence_flow_end *ret_end)
{
    struct names *names = context;
    char *labels = names->info.labels;

    *ret_end = (struct fence_flow_end){.namespace_name = "", .labels = ""};
    if (identity < FENCE_IDENTITY_FIRST) {
        ret_end->name = fence_identity_reserved_name(identity);
        return 0;
    }
    if (fence_identity_read(names->pins, identity, &names->info) < 0)
        return -ENOENT;
    ret_end->name = names->info.app;
    ret_end->kind = names->info.kind == FENCE_KIND_NODE ? FENCE_FLOW_NODE : FENCE_FLOW_WORKLOAD;
    if (ret_end->kind == FENCE_FLOW_NODE)
        return 0;
    ret_end->namespace_name = names->info.namespace_name;
    /* a text that was cut: its last label may not be whole */
    if (strlen(labels) == sizeof(names->info.labels) - 1 && strrchr(labels, ','))
        *strrchr(labels, ',') = '\0';
    ret_end->labels = labels;
    return 0;
}

static int name_rule(void *context, uint32_t number, struct fence_flow_rule *ret_rule)
{
    struct names *names = context;

    if (fence_rule_read(names->pins, number, &names->rule) < 0)
        return -ENOENT;
    *ret_rule = (struct fence_flow_rule){names->rule.policy, names->rule.index};
    return 0;
}

/* ---- looking -------------------------------------------------------------------------------- */

static int count_entry(void *context, const struct fence_flow_key *key,
                       const struct fence_flow *flow)
{
    return fence_flow_book_count(context, key, flow);
}

static int look(struct fence_daemon *daemon, struct fence_err *err)
{
    struct fence_flow_book *book = daemon->flowbook.book;
    struct names context = {.pins = &daemon->pins};
    const struct fence_flow_names names = {name_end, name_rule, &context};
    struct fence_flow_moment moment = {.wall_ns = fence_clock_wall_ns()};
    struct fence_settings settings;
    __u64 jiffies = 0;
    int r = fence_settings_read(&daemon->pins, &settings);

    if (r == 0)
        r = fence_jiffies(&daemon->pins, &jiffies);
    if (r < 0)
        return fence_err_set(err, r, "the kernel's clock: %s", strerror(-r));
    moment.jiffies = jiffies;
    moment.hz = settings.hz;
    fence_flow_book_begin(book, &moment, &names);
    r = fence_flows_each(&daemon->pins, count_entry, book, err);
    fence_flow_book_end(book);
    return r == -ENOMEM ? fence_err_set(err, r, "out of memory") : r;
}

void fence_flowbook_look(struct fence_daemon *daemon)
{
    struct fence_flowbook *flowbook = &daemon->flowbook;
    struct fence_err err = {""};
    uint64_t begun = fence_clock_boot_ns();
    int r;

    if (!flowbook->book)
        return;
    r = look(daemon, &err);
    if (r < 0 && !flowbook->cannot_look)
        fence_log(FENCE_LOG_WARNING, "flows: %s; it is tried again", err.text);
    flowbook->cannot_look = r < 0;
    flowbook->looked_us = (fence_clock_boot_ns() - begun) / 1000;
}

/* ---- keeping -------------------------------------------------------------------------------- */

static void saved(struct fence_flowbook *flowbook, bool well)
{
    if (well)
        flowbook->saved_version = flowbook->writing_version;
    else if (!flowbook->cannot_save)
        fence_log(FENCE_LOG_WARNING, "flows: the book cannot be written to --state; it is tried "
                                     "again each minute, and goes on in memory");
    if (well && flowbook->cannot_save)
        fence_log(FENCE_LOG_INFO, "flows: the book can be written again");
    flowbook->cannot_save = !well;
}

static void reap_writer(struct fence_flowbook *flowbook, int options)
{
    int status = 0;
    pid_t pid = flowbook->writer ? waitpid(flowbook->writer, &status, options) : 0;

    if (pid == 0)
        return;
    flowbook->writer = 0;
    saved(flowbook, pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static bool is_changed(const struct fence_flowbook *flowbook)
{
    return flowbook->book && fence_flow_book_version(flowbook->book) != flowbook->saved_version;
}

static void save_aside(struct fence_daemon *daemon)
{
    struct fence_flowbook *flowbook = &daemon->flowbook;

    flowbook->writing_version = fence_flow_book_version(flowbook->book);
    flowbook->saved_ns = fence_clock_boot_ns();
    flowbook->writer = fork();
    if (flowbook->writer == 0)
        fence_flowbook_write_and_exit(daemon);
    if (flowbook->writer > 0)
        return;
    flowbook->writer = 0;
    saved(flowbook, false);
}

static void timer_fired(void *context)
{
    struct fence_daemon *daemon = context;
    struct fence_flowbook *flowbook = &daemon->flowbook;
    int pause;

    fence_flowbook_look(daemon);
    reap_writer(flowbook, WNOHANG);
    if (!flowbook->writer && is_changed(flowbook) &&
        fence_clock_boot_ns() - flowbook->saved_ns >= SAVE_NS)
        save_aside(daemon);
    pause = (int)(flowbook->looked_us * LOOK_SHARE / 1000);
    (void)fence_timer_after(&flowbook->timer, pause > LOOK_MS ? pause : LOOK_MS, 0);
}

int fence_flowbook_init(struct fence_daemon *daemon, struct fence_err *err)
{
    struct fence_flowbook *flowbook = &daemon->flowbook;
    int r = fence_timer_open(&daemon->loop, &flowbook->timer, CLOCK_MONOTONIC, err);

    if (r < 0)
        return r;
    flowbook->timer.fire = timer_fired;
    flowbook->timer.context = daemon;
    fence_flowbook_read(daemon);
    flowbook->saved_ns = fence_clock_boot_ns();
    return fence_timer_after(&flowbook->timer, LOOK_MS, 0);
}

void fence_flowbook_done(struct fence_daemon *daemon)
{
    struct fence_flowbook *flowbook = &daemon->flowbook;

    reap_writer(flowbook, 0);
    if (flowbook->timer.fd >= 0) {
        fence_flowbook_look(daemon);
        flowbook->writing_version = flowbook->book ? fence_flow_book_version(flowbook->book) : 0;
        if (is_changed(flowbook))
            saved(flowbook, fence_flowbook_write(daemon) == 0);
    }
    fence_timer_close(&daemon->loop, &flowbook->timer);
    fence_flow_book_free(&flowbook->book);
}

/* ---- records -------------------------------------------------------------------------------- */

void fence_flowbook_record(struct fence_daemon *daemon, const struct fence_record *record)
{
    struct names context = {.pins = &daemon->pins};
    const struct fence_flow_names names = {name_end, name_rule, &context};

    /* without memory an address is missing, and nothing else */
    if (daemon->flowbook.book)
        (void)fence_flow_book_remote(daemon->flowbook.book, record->event, &names);
}

bool fence_flowbook_wants_records(const struct fence_daemon *daemon)
{
    return daemon->flowbook.book && fence_flow_book_wants_remotes(daemon->flowbook.book);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * podfenced. Start in this order: be the only one, load the data path, read every source, open the
 * socket, take over from an older layout, enrol the pods that started without us or before us; then
 * turn the loop. Stopping undoes nothing of what is in force.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/signalfd.h>

#include "cni/daemon/daemon.h"
#include "cni/daemon/options_help.h"
#include "cni/daemon/ready.h"
#include "cni/daemon/samenode.h"
#include "cni/daemon/takeover.h"
#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "lib/datapath/load.h"
#include "lib/datapath/load_pins.h"
#include "lib/datapath/read.h"
#include "lib/datapath/settings.h"
#include "lib/objects/decode.h"

#define EXIT_USAGE 2

/* Arrays that grow with the cluster: from this size on they are pages of their own, which grow
 * without being copied and go back when they are freed. */
#define OWN_PAGES_BYTES (128 * 1024)

struct signals {
    struct fence_fd_watch watch;
    struct fence_daemon *daemon;
};

static void signal_ready(void *context, uint32_t events)
{
    struct signals *signals = context;
    struct signalfd_siginfo info;

    (void)events;
    if (read(signals->watch.fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    fence_log(FENCE_LOG_INFO, "stopping: %s; what is in force stays in force",
              strsignal((int)info.ssi_signo));
    signals->daemon->stopping = true;
}

static int open_signals(struct fence_daemon *daemon, struct signals *signals, struct fence_err *err)
{
    sigset_t set;
    int fd;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return fence_err_set(err, -errno, "cannot block signals: %s", strerror(errno));
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a log that is larger than allowed is an error like a full disk */
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return fence_err_set(err, -errno, "cannot wait for signals: %s", strerror(errno));
    signals->daemon = daemon;
    signals->watch = (struct fence_fd_watch){.fd = fd, .ready = signal_ready, .context = signals};
    return fence_loop_watch(&daemon->loop, &signals->watch, EPOLLIN, err);
}

/* Before anything is loaded: two daemons would undo each other's maps. */
static int be_the_only_one(struct fence_daemon *daemon, struct fence_err *err)
{
    char root[sizeof(daemon->pins.root)];
    const char *bpffs = daemon->options.bpffs;
    int result = fence_load_folders(bpffs, root, sizeof(root), err);

    if (result < 0)
        return result;
    daemon->lock = open(bpffs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (daemon->lock < 0)
        return fence_err_set(err, -errno, "cannot open %s: %s", bpffs, strerror(errno));
    if (flock(daemon->lock, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return fence_err_set(err, -EADDRINUSE,
                             "another podfenced serves %s: stop it first, or give --bpffs", bpffs);
    return fence_err_set(err, -errno, "cannot lock %s: %s", bpffs, strerror(errno));
}

/* Whose work we go on with. */
static void log_predecessor(const struct fence_daemon *daemon, const struct fence_layout *before)
{
    const struct fence_layout *older = &daemon->takeover.from;

    if (older->number)
        fence_log(FENCE_LOG_INFO,
                  "layout %u of podfence %s is in force; taking over to layout %d of podfence %s",
                  older->number, older->version, FENCE_ABI_VERSION, FENCE_VERSION);
    else if (before->version[0] && strcmp(before->version, FENCE_VERSION) != 0)
        fence_log(FENCE_LOG_INFO, "took over from podfence %s (same layout %d)", before->version,
                  FENCE_ABI_VERSION);
}

static int load(struct fence_daemon *daemon, struct fence_err *err)
{
    const struct fence_load_options options = {
        .bpffs = daemon->options.bpffs,
        .sizes = daemon->options.sizes,
        .size_count = daemon->options.size_count,
        .kernel_structs = daemon->options.kernel_structs,
        .takeover = &daemon->takeover,
    };
    struct fence_layout before = {0};
    int result = fence_layout_read(options.bpffs, FENCE_ABI_VERSION, &before, err);

    if (result == 0)
        result = fence_load(&options, &daemon->pins, err);
    if (result >= 0)
        log_predecessor(daemon, &before);

    if (result > 0) {
        fence_log(FENCE_LOG_WARNING, "%s", err->text);
        err->text[0] = '\0';
    }
    return result < 0 ? result : 0;
}

static void log_programs(const struct fence_settings *settings)
{
    if (!(settings->flags & FENCE_SETTING_PLAIN))
        fence_log(FENCE_LOG_INFO, "the programs read the kernel's structs");
    else
        fence_log(FENCE_LOG_WARNING,
                  "the programs go without the kernel's structs: " FENCE_PLAIN_COST "%s",
                  settings->mark_mask ? "" : FENCE_MARK_OFF_COST);
}

/* What the plugin and podfencectl have to know of our options. */
static int write_settings(struct fence_daemon *daemon, struct fence_err *err)
{
    struct fence_settings settings;
    int result = fence_settings_read(&daemon->pins, &settings);

    if (result < 0)
        return fence_err_set(err, result, "settings map: %s", strerror(-result));
    settings.attach = daemon->options.attach;
    settings.source_flags = daemon->options.source_flags;
    settings.mark_mask = settings.flags & FENCE_SETTING_PLAIN ? daemon->options.mark_mask : 0;
    settings.flags &= ~(__u32)FENCE_SETTING_SAME_NODE;
    settings.flags |= fence_samenode_is_wanted(daemon) ? FENCE_SETTING_SAME_NODE : 0;
    memset(settings.trust_domain, 0, sizeof(settings.trust_domain));
    snprintf(settings.trust_domain, sizeof(settings.trust_domain), "%s",
             daemon->options.trust_domain);
    result = fence_settings_write(&daemon->pins, &settings, err);
    if (result >= 0)
        log_programs(&settings);
    return result < 0 ? result : 0;
}

static int open_store(struct fence_daemon *daemon, struct fence_err *err)
{
    const struct fence_decode_options decode = {
        .audit_annotation = daemon->options.audit_annotation,
        .audit_all = daemon->options.audit_all,
    };
    int result = fence_mkdirs(daemon->options.state, 0700, err);

    if (result < 0)
        return fence_err_prefix(err, result, "--state");
    fence_decode_set_options(&decode);
    result = fence_store_new(&daemon->store);
    return result < 0 ? fence_err_set(err, result, "out of memory") : 0;
}

static int turn(struct fence_daemon *daemon, struct fence_err *err)
{
    if (daemon->dirty) {
        fence_observe_drain(daemon);
        fence_reconcile_run(daemon);
        fence_sources_applied(daemon);
    }
    fence_takeover_try(daemon);
    fence_server_answer_waiters(daemon);
    fence_inforce_answer_waiters(daemon);
    if (daemon->reconcile.problems_changed && !daemon->seeding.dump)
        fence_ready_log(daemon);
    fence_server_reap(daemon);
    return fence_loop_turn(&daemon->loop, daemon->dirty ? 0 : -1, err);
}

/* Until an older layout, if there is one, has gone. Later steps put filters back. */
static int take_over(struct fence_daemon *daemon, struct fence_err *err)
{
    int result = 0;

    daemon->dirty = true;
    while (daemon->takeover.from.number && !daemon->stopping && result == 0)
        result = turn(daemon, err);
    return result;
}

typedef int (*start_step)(struct fence_daemon *daemon, struct fence_err *err);

/* The order matters: see the head of this file. One a line. */
/* clang-format off */
static const start_step start_steps[] = {
    be_the_only_one,
    load,
    write_settings,
    fence_reconcile_init,
    open_store,
    fence_inforce_init,
    fence_cuts_init,
    fence_node_init,
    fence_sources_init,
    fence_report_init,
    fence_leader_init,
    fence_event_log_init,
    fence_audit_init,
    fence_alarms_init,
    fence_observe_init,
    fence_flowbook_init,
    fence_server_init,
    fence_http_init,
    take_over,
    fence_unenforced_init,
    fence_vanished_init,
    fence_adopt_init,
    fence_filters_init,
    fence_guard_init,
};
/* clang-format on */

static int start(struct fence_daemon *daemon, struct fence_err *err)
{
    int result = 0;

    /* told to stop before an older layout has gone: that one goes on enforcing */
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(start_steps) && result == 0 && !daemon->stopping; i++)
        result = start_steps[i](daemon, err);
    return result;
}

static int run(struct fence_daemon *daemon, struct fence_err *err)
{
    int result = 0;

    daemon->dirty = true;
    fence_log(FENCE_LOG_INFO, "podfenced %s serves %s on node %s", FENCE_VERSION,
              daemon->options.bpffs, daemon->options.node_name);
    while (!daemon->stopping && result == 0)
        result = turn(daemon, err);
    return result;
}

static void stop(struct fence_daemon *daemon)
{
    fence_http_done(daemon);
    fence_server_done(daemon);
    fence_observe_done(daemon);
    fence_flowbook_done(daemon);
    fence_alarms_done(daemon);
    fence_event_log_done(daemon);
    fence_audit_done(daemon);
    fence_leader_done(daemon);
    fence_slices_done(daemon);
    fence_report_done(daemon);
    fence_sources_done(daemon);
    fence_node_done(daemon);
    fence_unenforced_done(&daemon->unenforced);
    fence_adopt_done(daemon);
    fence_seeding_done(daemon);
    fence_filters_done(daemon);
    fence_devices_done(&daemon->devices);
    fence_guard_done(daemon);
    fence_reconcile_done(daemon);
    fence_conditions_done(&daemon->conditions);
    fence_cuts_done(daemon);
    fence_inforce_done(daemon);
    fence_store_free(&daemon->store);
    fence_takeover_close(&daemon->takeover);
    fence_pins_close(&daemon->pins);
    fence_loop_done(&daemon->loop);
    fence_options_done(&daemon->options);
    if (daemon->lock >= 0)
        close(daemon->lock);
}

/* Every descriptor -1, so that stop() can be called at any point of the start. */
static void init(struct fence_daemon *daemon)
{
    *daemon = (struct fence_daemon){
        .loop.epoll = -1,
        .lock = -1,
        .node = {.watch.fd = -1, .links = {.fd = -1, .watch.fd = -1}},
        .reconcile = {.expiry = {.fd = -1, .watch.fd = -1},
                      .sweep = {.fd = -1, .watch.fd = -1},
                      .retry = {.fd = -1, .watch.fd = -1}},
        .adopt.timer = {.fd = -1, .watch.fd = -1},
        .inforce.deadline = {.fd = -1, .watch.fd = -1},
        .seeding.watch.fd = -1,
        .leader.timer = {.fd = -1, .watch.fd = -1},
        .report = {.timer = {.fd = -1, .watch.fd = -1},
                   .writer = {.watch.fd = -1, .timer = {.fd = -1, .watch.fd = -1}}},
        .slices.watch.fd = -1,
        .filters.timer = {.fd = -1, .watch.fd = -1},
        .guard = {.watch.fd = -1,
                  .conf_watch = -1,
                  .bin_watch = -1,
                  .dropin_watch = -1,
                  .soon = {.fd = -1, .watch.fd = -1},
                  .periodic = {.fd = -1, .watch.fd = -1}},
        .observe = {.timer = {.fd = -1, .watch.fd = -1},
                    .consume = {.fd = -1, .watch.fd = -1},
                    .flush = {.fd = -1, .watch.fd = -1},
                    .watch.fd = -1},
        .flowbook.timer = {.fd = -1, .watch.fd = -1},
        .event_log.file = FENCE_LOG_FILE_NONE,
        .http = {.watch.fd = -1,
                 .timer = {.fd = -1, .watch.fd = -1},
                 .retry = {.fd = -1, .watch.fd = -1}},
        .audit = {.sync.ends = {-1, -1}, .tick = {.fd = -1, .watch.fd = -1}},
        .alarms = FENCE_ALARMS_NONE,
        .server = {.fd = -1, .watch.fd = -1, .tick = {.fd = -1, .watch.fd = -1}},
        .started_at = (int64_t)(fence_clock_wall_ns() / 1000000000),
    };
    fence_pins_init(&daemon->pins);
    fence_takeover_init(&daemon->takeover);
}

static int serve(struct fence_daemon *daemon)
{
    struct signals signals = {.watch.fd = -1};
    struct fence_err err = {""};
    int result = fence_loop_init(&daemon->loop, &err);

    if (result == 0)
        result = open_signals(daemon, &signals, &err);
    if (result == 0)
        result = start(daemon, &err);
    if (result == 0)
        result = run(daemon, &err);
    if (result < 0)
        fence_log(FENCE_LOG_ERROR, "%s", err.text[0] ? err.text : strerror(-result));
    if (signals.watch.fd >= 0)
        close(signals.watch.fd);
    stop(daemon);
    return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    enum fence_options_action action;
    struct fence_err err = {""};
    struct fence_daemon daemon;

    mallopt(M_MMAP_THRESHOLD, OWN_PAGES_BYTES);
    init(&daemon);
    if (fence_options_parse(&daemon.options, argc, argv, &action, &err) < 0) {
        fprintf(stderr, "podfenced: %s\n", err.text);
        return EXIT_USAGE;
    }
    if (action == FENCE_OPTIONS_RUN) {
        fence_log_set_level(daemon.options.log_level);
        return serve(&daemon);
    }
    fence_options_print(action);
    fence_options_done(&daemon.options);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

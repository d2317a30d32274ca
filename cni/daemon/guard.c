/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/guard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "cni/daemon/daemon.h"
#include "cni/daemon/guard_watch.h"
#include "lib/api/api.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"

/* Somebody who writes a file writes more than one; this is also what a lost entry may cost. */
#define SOON_MS  50
/* What is half written, or a folder that is not there yet. */
#define AGAIN_MS 1000

#define LOOKS_BURST   20u
#define LOOK_EVERY_NS 500000000ull

#define MINUTE_NS  60000000000ull
#define SECOND_NS  1000000000ull
#define QUIET_LOOK 5u /* a lost fight is taken up again after so many periods */

/* ---- when to look --------------------------------------------------------------------------- */

static void look_in(struct fence_guard *guard, int ms)
{
    guard->due = true;
    (void)fence_timer_after(&guard->soon, ms, 0);
}

void fence_guard_soon(struct fence_guard *guard)
{
    uint64_t now = fence_clock_boot_ns();
    uint64_t gained = (now - guard->looked_ns) / LOOK_EVERY_NS;

    if (guard->due && !guard->again)
        return;
    guard->again = false;
    if (gained) {
        guard->looks =
            gained > LOOKS_BURST - guard->looks ? LOOKS_BURST : guard->looks + (unsigned int)gained;
        guard->looked_ns = now;
    }
    if (guard->looks)
        guard->looks--;
    look_in(guard, guard->looks ? SOON_MS : (int)(LOOK_EVERY_NS / 1000000));
}

/* ---- fights --------------------------------------------------------------------------------- */

static unsigned int writes_of_minute(const struct fence_guard *guard, uint64_t now)
{
    unsigned int count = 0;

    for (size_t i = 0; i < FENCE_GUARD_WRITES; i++)
        count += guard->writes_ns[i] && now - guard->writes_ns[i] < MINUTE_NS;
    return count;
}

static bool may_write(struct fence_guard *guard)
{
    if (guard->quiet_until_ns && fence_clock_boot_ns() < guard->quiet_until_ns)
        return false;
    if (guard->quiet_until_ns)
        memset(guard->writes_ns, 0, sizeof(guard->writes_ns));
    guard->quiet_until_ns = 0;
    guard->fight[0] = '\0';
    return true;
}

static void give_up(struct fence_daemon *daemon, const char *file)
{
    struct fence_guard *guard = &daemon->guard;
    unsigned int seconds = QUIET_LOOK * daemon->options.cni_check;

    guard->quiet_until_ns = fence_clock_boot_ns() + seconds * SECOND_NS;
    snprintf(guard->fight, sizeof(guard->fight),
             "somebody else keeps changing %s: it was written %d times within a minute and is left "
             "alone for %u s; find out who does (another CNI's installer?) or use another mode of "
             "--install-cni",
             file, FENCE_GUARD_WRITES, seconds);
}

static void note_write(struct fence_daemon *daemon, const char *file, bool undone)
{
    struct fence_guard *guard = &daemon->guard;
    uint64_t now = fence_clock_boot_ns();

    guard->writes_ns[guard->written % FENCE_GUARD_WRITES] = now;
    guard->written++;
    guard->undone += undone;
    guard->written_at = (int64_t)time(NULL);
    fence_log(undone ? FENCE_LOG_WARNING : FENCE_LOG_INFO, "%s: %s", file,
              undone ? "somebody had changed it; put back" : "written");
    if (writes_of_minute(guard, now) >= FENCE_GUARD_WRITES)
        give_up(daemon, file);
}

/* ---- the look ------------------------------------------------------------------------------- */

static void set_text(char text[512], const char *to)
{
    snprintf(text, 512, "%s", to);
}

static void look_at_binary(struct fence_daemon *daemon)
{
    struct fence_guard *guard = &daemon->guard;
    struct fence_err err = {""};
    char path[1024];
    int r = fence_install_binary_check(&guard->install, &err);

    snprintf(path, sizeof(path), "%s/podfence", guard->install.bin_dir);
    if (r < 0 && may_write(guard)) {
        r = fence_install_binary(&guard->install, &err);
        if (r > 0)
            note_write(daemon, path, guard->binary_good);
    }
    guard->binary_good = r >= 0;
    set_text(guard->binary, r < 0 ? err.text : "");
}

/* Without it the chain is left alone: no pod would start with an entry that cannot be run. An older
 * one will do. */
static bool is_plugin_there(const struct fence_guard *guard)
{
    char path[1024];

    snprintf(path, sizeof(path), "%s/podfence", guard->install.bin_dir);
    return guard->binary_good || access(path, X_OK) == 0;
}

static bool same(const struct fence_hash *a, const struct fence_hash *b)
{
    return a->words[0] == b->words[0] && a->words[1] == b->words[1];
}

/* Has somebody touched what we had written? A new primary one is a reason of our own. */
static bool was_undone(const struct fence_guard *guard, const struct fence_install_report *now)
{
    return guard->report.file[0] && strcmp(guard->report.file, now->file) == 0 &&
           !same(&guard->report.after, &now->before);
}

static int write_config(struct fence_daemon *daemon)
{
    struct fence_guard *guard = &daemon->guard;
    struct fence_install_report report;
    struct fence_err err = {""};
    char path[1024];
    int r = fence_install_config(&guard->install, &report, &err);

    set_text(guard->waiting, r < 0 ? err.text : "");
    if (r < 0)
        return r;
    snprintf(path, sizeof(path), "%s/%s", guard->install.conf_dir, report.file);
    if (r > 0)
        note_write(daemon, path, was_undone(guard, &report));
    guard->report = report;
    return r;
}

/* Without what is in force, why nothing could be written says more. */
static void judge_chain(struct fence_guard *guard, int written)
{
    struct fence_err err = {""};
    int r = fence_netd_effective(guard->install.conf_dir, fence_install_wanted(&guard->install),
                                 &guard->effective, &err);

    if (r == 0)
        r = fence_install_judge(&guard->install, &guard->effective, &err);
    else
        guard->effective = (struct fence_netd_effective){.position = -1};
    set_text(guard->chain, r == 0 ? "" : err.text);
    if (r == 0 || !guard->waiting[0] || written == -EAGAIN)
        return;
    set_text(guard->chain, guard->waiting);
    guard->waiting[0] = '\0';
}

static void look_at_pins(struct fence_daemon *daemon)
{
    struct fence_pins pins;
    struct fence_err err = {""};
    int r = fence_pins_open(daemon->options.bpffs, &pins, &err);

    if (r == 0)
        fence_pins_close(&pins);
    set_text(daemon->guard.pins, r < 0 ? err.text : "");
}

static bool has_problems(const struct fence_guard *guard)
{
    return guard->binary[0] || guard->chain[0] || guard->pins[0];
}

static void look(struct fence_daemon *daemon)
{
    struct fence_guard *guard = &daemon->guard;
    bool before = has_problems(guard);
    bool watched = fence_guard_rewatch(guard);
    bool look_again;
    int written = 0;

    if (guard->look_at_all || guard->binary[0])
        look_at_binary(daemon);
    if (guard->look_at_all || guard->pins[0])
        look_at_pins(daemon);
    guard->look_at_all = false;
    guard->waiting[0] = '\0';
    if (is_plugin_there(guard) && may_write(guard))
        written = write_config(daemon);
    judge_chain(guard, written);
    look_again = !watched || written == -EAGAIN || written == -ETIMEDOUT;
    if (look_again && !guard->due) {
        guard->again = true;
        look_in(guard, AGAIN_MS);
    }
    if (before || has_problems(guard))
        daemon->reconcile.problems_changed = true;
}

static void soon_fires(void *context)
{
    struct fence_daemon *daemon = context;

    daemon->guard.due = daemon->guard.again = false;
    look(daemon);
}

static void period_fires(void *context)
{
    struct fence_daemon *daemon = context;

    daemon->guard.look_at_all = true;
    look(daemon);
}

void fence_guard_reasons(const struct fence_guard *guard,
                         void (*visit)(void *context, enum fence_log_level level, const char *text),
                         void *context)
{
    const char *const texts[] = {guard->chain, guard->binary, guard->pins};

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(texts); i++)
        if (texts[i][0])
            visit(context, FENCE_LOG_ERROR, texts[i]);
    /* whoever won it may have left things as they should be */
    if (guard->fight[0] && (guard->chain[0] || guard->binary[0]))
        visit(context, FENCE_LOG_ERROR, guard->fight);
}

/* ---- start and end -------------------------------------------------------------------------- */

/* What the plugin would not assume by itself. */
static const char *unless(const char *value, const char *usual)
{
    return strcmp(value, usual) == 0 ? NULL : value;
}

static int find_folders(struct fence_daemon *daemon, struct fence_err *err)
{
    const struct fence_options *options = &daemon->options;
    struct fence_install *install = &daemon->guard.install;
    const struct fence_install_platform *platform;
    int r;

    install->conf_dir = options->cni_conf_dir;
    install->bin_dir = options->cni_bin_dir;
    if (install->conf_dir && install->bin_dir)
        return 0;
    r = fence_install_platform_find(options->platform, "", &platform, err);
    if (r < 0)
        return fence_err_prefix(err, r, "--platform");
    if (!install->conf_dir)
        install->conf_dir = platform->conf_dir;
    if (!install->bin_dir)
        install->bin_dir = platform->bin_dir;
    return 0;
}

static int prepare(struct fence_daemon *daemon, struct fence_err *err)
{
    const struct fence_options *options = &daemon->options;
    struct fence_guard *guard = &daemon->guard;
    int r = find_folders(daemon, err);

    if (r == 0)
        r = fence_install_entry(options->cni_entry, unless(options->bpffs, FENCE_DEFAULT_BPFFS),
                                unless(options->socket, FENCE_DEFAULT_SOCKET), &guard->entry, err);
    if (r == 0 && !options->plugin)
        r = fence_install_find_plugin(&guard->plugin, err);
    guard->install.mode = options->install_cni;
    guard->install.entry = guard->entry;
    guard->install.plugin = options->plugin ? options->plugin : guard->plugin;
    return r < 0 ? fence_err_prefix(err, r, "--install-cni") : 0;
}

static int open_timer(struct fence_daemon *daemon, struct fence_timer *timer,
                      void (*fire)(void *context), struct fence_err *err)
{
    timer->fire = fire;
    timer->context = daemon;
    return fence_timer_open(&daemon->loop, timer, CLOCK_MONOTONIC, err);
}

int fence_guard_init(struct fence_daemon *daemon, struct fence_err *err)
{
    struct fence_guard *guard = &daemon->guard;
    int period = (int)daemon->options.cni_check * 1000;
    int r;

    if (daemon->options.install_cni == FENCE_INSTALL_OFF)
        return 0;
    r = prepare(daemon, err);
    if (r == 0)
        r = fence_guard_watch(daemon, err);
    if (r == 0)
        r = open_timer(daemon, &guard->soon, soon_fires, err);
    if (r == 0)
        r = open_timer(daemon, &guard->periodic, period_fires, err);
    if (r < 0)
        return r;
    guard->looks = LOOKS_BURST;
    guard->looked_ns = fence_clock_boot_ns();
    guard->look_at_all = true;
    look(daemon);
    return fence_timer_after(&guard->periodic, period, period);
}

void fence_guard_done(struct fence_daemon *daemon)
{
    struct fence_guard *guard = &daemon->guard;
    int fd = guard->watch.fd;

    fence_timer_close(&daemon->loop, &guard->soon);
    fence_timer_close(&daemon->loop, &guard->periodic);
    fence_loop_forget(&daemon->loop, &guard->watch);
    if (fd >= 0)
        close(fd);
    free(guard->entry);
    free(guard->plugin);
    guard->entry = guard->plugin = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cni/plugin/help.h"
#include "cni/plugin/log.h"
#include "cni/plugin/plugin.h"
#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "lib/cni/version.h"

#define STDIN_MAX       (16u << 20)
#define DESCRIPTORS     64u /* all pins, with room to spare */
#define WATCHDOG_S      4u
#define UNKNOWN_KEY_MAX 16

static int (*const verbs[])(struct fence_plugin *plugin) = {
    [FENCE_CNI_ADD] = fence_plugin_add,       [FENCE_CNI_DEL] = fence_plugin_del,
    [FENCE_CNI_CHECK] = fence_plugin_check,   [FENCE_CNI_GC] = fence_plugin_gc,
    [FENCE_CNI_STATUS] = fence_plugin_status, [FENCE_CNI_VERSION] = fence_plugin_version,
};
_Static_assert(FENCE_ARRAY_SIZE(verbs) == FENCE_CNI_VERB_COUNT, "a function for each verb");

/* ---- the process ---------------------------------------------------------------------------- */

/* A descriptor opened later must not become standard output. */
static void fill_standard_streams(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= DESCRIPTORS)
        return;
    limit.rlim_cur = DESCRIPTORS;
    if (limit.rlim_max < DESCRIPTORS)
        limit.rlim_max = DESCRIPTORS;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        fence_log(FENCE_LOG_WARNING, "cannot raise the limit of open files to %u: %s", DESCRIPTORS,
                  strerror(errno));
}

/* ---- watchdog ------------------------------------------------------------------------------- */

static struct {
    char text[256];
    size_t size;
    int status;
    volatile sig_atomic_t printing; /* an answer is on its way: add nothing to it */
} watchdog;

/* Where nobody reads, the write would wait for ever: whoever gives up does not wait. */
static bool say(const char *text, size_t size)
{
    struct pollfd stream = {.fd = STDOUT_FILENO, .events = POLLOUT};

    return size == 0 || (poll(&stream, 1, 0) == 1 && (stream.revents & POLLOUT) &&
                         write(STDOUT_FILENO, text, size) == (ssize_t)size);
}

static void on_alarm(int number)
{
    (void)number;
    if (!watchdog.printing && !say(watchdog.text, watchdog.size))
        _exit(1);
    _exit(watchdog.status);
}

/* What is said when time is up: nothing for DEL, which never fails. */
static void prepare_watchdog(enum fence_cni_verb verb, const char *version)
{
    if (verb == FENCE_CNI_DEL)
        return;
    watchdog.status = 1;
    watchdog.size = (size_t)snprintf(
        watchdog.text, sizeof(watchdog.text),
        "{\"cniVersion\":\"%s\",\"code\":%d,\"msg\":\"podfence %s took too long and was given up\","
        "\"details\":\"the kernel or standard input did not answer in time\"}\n",
        version, FENCE_CNI_TRY_AGAIN, fence_cni_verb_name(verb));
}

static void start_watchdog(enum fence_cni_verb verb)
{
    struct sigaction action = {.sa_handler = on_alarm};
    sigset_t set;

    prepare_watchdog(verb, FENCE_CNI_VERSION_LATEST);
    sigaction(SIGALRM, &action, NULL);
    /* a mask outlives exec: some runtimes leave theirs to their children */
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    alarm(WATCHDOG_S);
}

/* ---- input and output ----------------------------------------------------------------------- */

static int print(const char *text)
{
    struct pollfd stream = {.fd = STDOUT_FILENO, .events = POLLOUT};
    size_t left = strlen(text);

    watchdog.printing = 1;
    while (left) {
        ssize_t put = write(STDOUT_FILENO, text, left);

        if (put < 0 && errno == EAGAIN)
            poll(&stream, 1, -1); /* the watchdog ends it */
        else if (put < 0 && errno != EINTR)
            return -errno;
        text += put > 0 ? put : 0;
        left -= put > 0 ? (size_t)put : 0;
    }
    return 0;
}

static void report_unknown_key(void *context, const char *key)
{
    int *count = context;

    if (++*count <= UNKNOWN_KEY_MAX)
        fence_log(FENCE_LOG_WARNING, "unknown key \"%.64s\" in the chain entry is ignored", key);
}

static int read_settings(struct fence_plugin *plugin)
{
    int unknown = 0;
    int r = fence_netconf_settings(&plugin->conf, &plugin->error);

    fence_log_level_set(plugin->conf.log_level);
    fence_netconf_unknown_keys(plugin->conf.json, report_unknown_key, &unknown);
    if (unknown > UNKNOWN_KEY_MAX)
        fence_log(FENCE_LOG_WARNING, "%d more unknown keys are ignored", unknown - UNKNOWN_KEY_MAX);
    return r;
}

/* In the order of the reference library: input, environment, version; then what is ours. */
static int read_input(struct fence_plugin *plugin, char **ret_text)
{
    enum fence_cni_verb verb = plugin->env.verb;
    struct fence_err err = {0};
    size_t size;
    int r = fence_cni_env_read(getenv, verb, &plugin->env, &plugin->error);

    if (r < 0)
        return r;
    r = fence_fd_read(STDIN_FILENO, STDIN_MAX, ret_text, &size, &err);
    if (r < 0)
        return fence_cni_fail(&plugin->error, FENCE_CNI_IO_FAILURE, "error reading from stdin: %s",
                              err.text);
    r = fence_netconf_load(*ret_text, size, &plugin->conf, &plugin->error);
    if (r < 0)
        return r;
    r = read_settings(plugin);
    if (fence_cni_version_check(verb, plugin->conf.version, &plugin->error) < 0)
        return -EINVAL;
    plugin->version = plugin->conf.version;
    prepare_watchdog(verb, plugin->version);
    return r;
}

/* ---- verbs ---------------------------------------------------------------------------------- */

/* DEL never fails: it would stop the runtime from giving the main plugin's address back. */
static void run_del(struct fence_plugin *plugin, int input)
{
    if (input < 0)
        fence_log(FENCE_LOG_WARNING, "DEL goes on in spite of: %s", plugin->error.msg.text);
    if (plugin->env.container_id && fence_plugin_del(plugin) < 0)
        fence_log(FENCE_LOG_WARNING, "DEL could not remove everything: %s", plugin->error.msg.text);
}

static int run(struct fence_plugin *plugin)
{
    FENCE_FREE char *text = NULL;
    enum fence_cni_verb verb;
    int r = fence_cni_verb_read(getenv, &verb, &plugin->error);

    if (r < 0)
        return r;
    plugin->env.verb = verb;
    start_watchdog(verb);
    if (verb == FENCE_CNI_VERSION)
        return verbs[verb](plugin); /* needs no input, as in the reference library */
    r = read_input(plugin, &text);
    if (verb == FENCE_CNI_DEL) {
        run_del(plugin, r);
        r = 0;
    } else if (r == 0) {
        r = verbs[verb](plugin);
    }
    return r;
}

static int finish(const struct fence_plugin *plugin, int r)
{
    FENCE_FREE char *error = NULL;
    const char *text = plugin->output;
    int printed = 0;

    if (r < 0) {
        error = fence_cni_error_json(&plugin->error, plugin->version);
        text = error;
    }
    if (text)
        printed = print(text);
    if (text && printed == 0)
        printed = print("\n");
    if (printed < 0)
        fence_log(FENCE_LOG_ERROR, "cannot write to standard output: %s", strerror(-printed));
    return r < 0 || printed < 0;
}

int main(int argc, char **argv)
{
    struct fence_plugin plugin = {.version = FENCE_CNI_VERSION_LATEST};
    const char *command = getenv("CNI_COMMAND");
    int r, status;

    signal(SIGPIPE, SIG_IGN);
    umask(0077);
    fill_standard_streams();
    if (!command || !*command) {
        if (argc == 2 && fence_plugin_help(argv[1]))
            return fflush(stdout) == 0 ? 0 : 1;
        fprintf(stderr,
                "CNI plugin podfence v%s: pod micro-segmentation, chained behind the main plugin\n"
                "CNI protocol versions supported: %s\n",
                FENCE_VERSION, fence_cni_versions_text());
        return 0;
    }
    raise_descriptor_limit();
    r = run(&plugin);
    status = finish(&plugin, r);
    free(plugin.output);
    fence_netconf_done(&plugin.conf);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/sources.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "cni/daemon/daemon.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"

#define OWN_NAMESPACE "podfence" /* as conf/ has it, where nobody says it */

static void read_folder(struct fence_source *source)
{
    struct fence_daemon *daemon = source->daemon;
    struct fence_err err = {""};
    int result = fence_folder_read(source->folder, daemon->store, &err);

    if (result < 0)
        fence_log(FENCE_LOG_ERROR, "cannot follow %s: %s", fence_folder_path(source->folder),
                  err.text);
    if (result > 0) {
        daemon->dirty = true;
        /* what reading took and the objects do not need: they are much smaller than their files */
        malloc_trim(0);
    }
    /* a missing folder that changes something: its last good objects, from --state */
    if (!source->seen && (fence_folder_present(source->folder) || result > 0)) {
        source->seen = true;
        daemon->dirty = true;
    }
    daemon->reconcile.problems_changed = true;
    fence_inforce_seen(daemon, source->noticed_ns);
    source->noticed_ns = 0;
}

static void timer_fired(void *context)
{
    read_folder(context);
}

static void folder_ready(void *context, uint32_t events)
{
    struct fence_source *source = context;
    int wait = fence_folder_handle(source->folder);

    (void)events;
    if (wait >= 0 && !source->noticed_ns)
        source->noticed_ns = fence_clock_boot_ns();
    if (wait == 0)
        read_folder(source);
    else if (wait > 0)
        fence_timer_after(&source->timer, wait, 0);
}

static int open_source(struct fence_daemon *daemon, struct fence_source *source, unsigned int order,
                       struct fence_err *err)
{
    const char *path = daemon->options.objects.items[order];
    int result;

    source->daemon = daemon;
    result = fence_timer_open(&daemon->loop, &source->timer, CLOCK_MONOTONIC, err);
    if (result < 0)
        return result;
    source->timer.fire = timer_fired;
    source->timer.context = source;
    /* 0 is the cuts' place, 1 that of the API */
    result = fence_folder_new(path, order + 2, daemon->options.state, &source->folder, err);
    if (result < 0)
        return fence_err_prefix(err, result, "--objects %s", path);
    source->watch = (struct fence_fd_watch){
        .fd = fence_folder_fd(source->folder), .ready = folder_ready, .context = source};
    result = fence_loop_watch(&daemon->loop, &source->watch, EPOLLIN, err);
    if (result == 0)
        read_folder(source);
    return result;
}

static void log_first_lists(const struct fence_sources *sources)
{
    char names[512] = "";
    size_t used = 0;

    for (unsigned int i = 0; i < fence_kubernetes_count(sources->kubernetes); i++)
        used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", used ? ", " : "",
                                 fence_kubernetes_resource(sources->kubernetes, i)->kind);
    fence_log(FENCE_LOG_INFO, "kubernetes: the first lists of %s are on their way", names);
}

static void log_all_seen(const struct fence_daemon *daemon)
{
    const struct fence_sources *sources = &daemon->sources;
    uint64_t took_ns = fence_clock_boot_ns() - sources->kubernetes_begun_ns;
    char counts[512];

    fence_kubernetes_amounts(sources->kubernetes, counts, sizeof(counts));
    fence_log(FENCE_LOG_INFO, "kubernetes: all kinds are listed: %s, after %.1f s", counts,
              (double)took_ns / 1e9);
}

static void kubernetes_ready(void *context, uint32_t events)
{
    struct fence_daemon *daemon = context;
    uint64_t noticed_ns = fence_clock_boot_ns();
    struct fence_kubernetes_changes changes;

    (void)events;
    fence_kubernetes_handle(daemon->sources.kubernetes, &changes);
    if (changes.large) {
        malloc_trim(0);
        daemon->sources.untrimmed = true;
    }
    if (changes.seen)
        log_all_seen(daemon);
    if (changes.problems)
        daemon->reconcile.problems_changed = true;
    if (changes.objects || changes.seen)
        daemon->dirty = true;
    if (changes.objects)
        fence_inforce_seen(daemon, noticed_ns);
    fence_leader_turn(daemon);
}

static int keep_own_namespace(struct fence_sources *sources, struct fence_err *err)
{
    const char *own = sources->kube_config.namespace_name;

    sources->own_namespace = strdup(own ? own : OWN_NAMESPACE);
    return sources->own_namespace ? 0 : fence_err_set(err, -ENOMEM, "out of memory");
}

/* What the option says goes before the pod's own. */
static int trust(struct fence_kube_config *config, const char *namespace_name,
                 struct fence_err *err)
{
    char *copy = namespace_name ? strdup(namespace_name) : NULL;

    if (!namespace_name)
        return 0;
    if (!copy)
        return fence_err_set(err, -ENOMEM, "out of memory");
    free(config->namespace_name);
    config->namespace_name = copy;
    return 0;
}

static int open_client(struct fence_daemon *daemon, struct fence_err *err)
{
    const struct fence_options *options = &daemon->options;
    const struct fence_kubernetes_options wanted = {
        .config = &daemon->sources.kube_config,
        .own_node = options->address_slices ? options->node_name : NULL,
        .order = 1,
    };

    return fence_kubernetes_new(&wanted, daemon->store, &daemon->sources.kubernetes, err);
}

static int open_kubernetes(struct fence_daemon *daemon, struct fence_err *err)
{
    struct fence_sources *sources = &daemon->sources;
    struct fence_kube_config *config = &sources->kube_config;
    const char *path = daemon->options.kubeconfig;
    int result;

    result = path ? fence_kube_config_file(path, config, err)
                  : fence_kube_config_in_cluster(NULL, config, err);
    if (result == 0)
        result = keep_own_namespace(sources, err);
    if (result == 0)
        result = trust(config, daemon->options.policy_namespace, err);
    if (result == 0)
        result = open_client(daemon, err);
    if (result < 0)
        return fence_err_prefix(err, result, path ? "--kubeconfig" : "--kubernetes");
    sources->kubernetes_begun_ns = fence_clock_boot_ns();
    log_first_lists(sources);
    sources->kubernetes_watch =
        (struct fence_fd_watch){.fd = fence_kubernetes_fd(sources->kubernetes),
                                .ready = kubernetes_ready,
                                .context = daemon};
    return fence_loop_watch(&daemon->loop, &sources->kubernetes_watch, EPOLLIN, err);
}

int fence_sources_init(struct fence_daemon *daemon, struct fence_err *err)
{
    struct fence_sources *sources = &daemon->sources;
    size_t count = daemon->options.objects.count;
    int result = 0;

    /* never resized: the loop keeps pointers into it */
    sources->items = calloc(count, sizeof(*sources->items));
    if (!sources->items)
        return fence_err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < count; i++)
        sources->items[i] = (struct fence_source){.watch.fd = -1, .timer.fd = -1};
    sources->count = count;
    for (size_t i = 0; i < count && result == 0; i++)
        result = open_source(daemon, &sources->items[i], (unsigned int)i, err);
    if (result == 0 && daemon->options.kubernetes)
        result = open_kubernetes(daemon, err);
    return result;
}

void fence_sources_done(struct fence_daemon *daemon)
{
    struct fence_sources *sources = &daemon->sources;

    for (size_t i = 0; i < sources->count; i++) {
        fence_loop_forget(&daemon->loop, &sources->items[i].watch);
        fence_timer_close(&daemon->loop, &sources->items[i].timer);
        fence_folder_free(&sources->items[i].folder);
    }
    if (sources->kubernetes)
        fence_loop_forget(&daemon->loop, &sources->kubernetes_watch);
    fence_kubernetes_free(&sources->kubernetes);
    fence_kube_config_done(&sources->kube_config);
    free(sources->own_namespace);
    free(sources->items);
    *sources = (struct fence_sources){0};
}

void fence_sources_read(struct fence_daemon *daemon)
{
    for (size_t i = 0; i < daemon->sources.count; i++)
        read_folder(&daemon->sources.items[i]);
}

void fence_sources_applied(struct fence_daemon *daemon)
{
    if (!daemon->sources.untrimmed || daemon->dirty)
        return;
    daemon->sources.untrimmed = false;
    malloc_trim(0);
}

bool fence_sources_all_seen(const struct fence_sources *sources)
{
    for (size_t i = 0; i < sources->count; i++)
        if (!sources->items[i].seen)
            return false;
    return !sources->kubernetes || fence_kubernetes_all_seen(sources->kubernetes);
}

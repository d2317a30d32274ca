/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watcher KUBECONFIG SILENCE_MS VERSION/PLURAL...: the whole client, which tells what it hears as a
 * JSON object a line, until its standard input ends. SILENCE_MS 0: as podfenced.
 */
#include <cjson/cJSON.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/kube/kube.h"

#define KINDS 16

struct watcher {
    struct fence_kube_resource resources[KINDS];
    unsigned int count;
    struct fence_kube *kube;
    char *last[KINDS]; /* state, as told */
};

static uint64_t now_ms(void)
{
    return fence_clock_boot_ns() / 1000000u;
}

static void say(struct watcher *watcher, unsigned int resource, const char *what, cJSON *more)
{
    cJSON *line = more ? more : cJSON_CreateObject();
    char *text;

    cJSON_AddStringToObject(line, "what", what);
    cJSON_AddStringToObject(line, "kind", watcher->resources[resource].plural);
    cJSON_AddNumberToObject(line, "ms", (double)now_ms());
    text = cJSON_PrintUnformatted(line);
    puts(text);
    free(text);
    cJSON_Delete(line);
}

static void say_object(struct watcher *watcher, unsigned int resource, const char *what,
                       const char *json)
{
    cJSON *object = cJSON_Parse(json), *more = cJSON_CreateObject();

    cJSON_AddItemToObject(more, "object", object);
    say(watcher, resource, what, more);
}

static int on_object(void *context, unsigned int resource, char *json, size_t size,
                     struct fence_err *err)
{
    (void)size, (void)err;
    say_object(context, resource, "object", json);
    return 0;
}

static int on_deleted(void *context, unsigned int resource, char *json, size_t size,
                      struct fence_err *err)
{
    (void)size, (void)err;
    say_object(context, resource, "deleted", json);
    return 0;
}

static void on_begun(void *context, unsigned int resource)
{
    say(context, resource, "begun", NULL);
}

static int on_ended(void *context, unsigned int resource, struct fence_err *err)
{
    (void)err;
    say(context, resource, "ended", NULL);
    return 0;
}

static void on_settled(void *context)
{
    (void)context;
}

static const struct fence_kube_ops ops = {.object = on_object,
                                          .deleted = on_deleted,
                                          .begun = on_begun,
                                          .ended = on_ended,
                                          .settled = on_settled};

/* When it has changed. */
static void say_state(struct watcher *watcher, unsigned int resource)
{
    struct fence_kube_state state;
    cJSON *json = cJSON_CreateObject();
    char *text;

    fence_kube_state(watcher->kube, resource, &state);
    cJSON_AddStringToObject(json, "phase", fence_kube_phase_name(state.phase));
    cJSON_AddBoolToObject(json, "listed", state.listed);
    cJSON_AddStringToObject(json, "problem", state.problem);
    cJSON_AddStringToObject(json, "version", state.version);
    cJSON_AddNumberToObject(json, "lists", (double)state.lists);
    cJSON_AddNumberToObject(json, "watches", (double)state.watches);
    cJSON_AddNumberToObject(json, "bytes", (double)state.bytes);
    cJSON_AddNumberToObject(json, "connections", fence_kube_connections(watcher->kube));
    text = cJSON_PrintUnformatted(json);
    if (watcher->last[resource] && strcmp(text, watcher->last[resource]) == 0) {
        free(text);
        cJSON_Delete(json);
        return;
    }
    free(watcher->last[resource]);
    watcher->last[resource] = text;
    if (state.retry_at_ns)
        cJSON_AddNumberToObject(json, "waits", (double)state.retry_at_ns / 1e6 - (double)now_ms());
    say(watcher, resource, "state", json);
}

static void run(struct watcher *watcher)
{
    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                           {.fd = fence_kube_fd(watcher->kube), .events = POLLIN}};
    char byte;

    do {
        fence_kube_handle(watcher->kube);
        for (unsigned int i = 0; i < watcher->count; i++)
            say_state(watcher, i);
        (void)poll(fds, 2, 1000);
    } while (!fds[0].revents || read(STDIN_FILENO, &byte, 1) > 0);
}

static int begin(struct watcher *watcher, const char *kubeconfig, unsigned int silence_ms)
{
    FENCE_CLEANUP(fence_kube_config_done) struct fence_kube_config config = {0};
    struct fence_kube_options options = {.user_agent = "watcher",
                                         .resources = watcher->resources,
                                         .count = watcher->count,
                                         .ops = &ops,
                                         .context = watcher,
                                         .silence_ms = silence_ms};
    struct fence_err err = {""};
    int r = fence_kube_config_file(kubeconfig, &config, &err);

    if (r == 0)
        r = fence_kube_new(&config, &options, &watcher->kube, &err);
    if (r < 0)
        fprintf(stderr, "watcher: %s\n", err.text);
    return r;
}

int main(int argc, char **argv)
{
    static struct watcher watcher;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 4 || argc - 3 > KINDS) {
        fprintf(stderr, "usage: watcher KUBECONFIG SILENCE_MS VERSION/PLURAL...\n");
        return 2;
    }
    for (int i = 3; i < argc; i++) {
        char *slash = strrchr(argv[i], '/');

        if (!slash)
            return 2;
        *slash = '\0';
        watcher.resources[watcher.count++] = (struct fence_kube_resource){
            .kind = "", .version = argv[i], .plural = slash + 1, .selector = ""};
    }
    if (begin(&watcher, argv[1], (unsigned int)strtoul(argv[2], NULL, 10)) < 0)
        return 1;
    run(&watcher);
    fence_kube_free(&watcher.kube);
    for (unsigned int i = 0; i < watcher.count; i++)
        free(watcher.last[i]);
    return 0;
}

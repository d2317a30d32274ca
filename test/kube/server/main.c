/* SPDX-License-Identifier: Apache-2.0 */
/* test-apiserver: see README.md beside this file. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "test/kube/server/server.h"
#include "test/kube/server/watch.h"
#include "test/kube/server/write.h"

struct options {
    const char *listen, *control, *folder, *token;
    const char **objects, **without, **replays;
    size_t object_count, without_count, replay_count;
};

static const char usage[] =
    "Usage: test-apiserver --folder FOLDER [OPTION]...\n"
    "A Kubernetes API server for tests. Certificates, kubeconfigs and a service account's folder "
    "are\n"
    "written into FOLDER; README.md has the control requests.\n\n"
    "  --listen ADDRESS:PORT    the API, by TLS (127.0.0.1:0; port 0: any, printed)\n"
    "  --control PORT           the tests' own listener on 127.0.0.1 (0: any)\n"
    "  --token TEXT             that clients must have (test-token)\n"
    "  --objects FILE           a list or objects, JSON or YAML, that are there; again and again\n"
    "  --without GROUP          no kind of this group is installed; again and again\n"
    "  --fixtures FOLDER        recordings for replays\n"
    "  --replay NAME            this recording for the request in NAME.req; again and again\n"
    "  --bookmarks SECONDS      between bookmarks (60)\n"
    "  --history COUNT          changes that are kept of each kind (100000)\n"
    "  --version NUMBER         the first resourceVersion (1)\n";

enum {
    OPT_LISTEN = 1,
    OPT_CONTROL,
    OPT_FOLDER,
    OPT_TOKEN,
    OPT_OBJECTS,
    OPT_WITHOUT,
    OPT_FIXTURES,
    OPT_REPLAY,
    OPT_BOOKMARKS,
    OPT_HISTORY,
    OPT_VERSION,
    OPT_HELP
};

static const struct option longs[] = {
    {"listen", required_argument, NULL, OPT_LISTEN},
    {"control", required_argument, NULL, OPT_CONTROL},
    {"folder", required_argument, NULL, OPT_FOLDER},
    {"token", required_argument, NULL, OPT_TOKEN},
    {"objects", required_argument, NULL, OPT_OBJECTS},
    {"without", required_argument, NULL, OPT_WITHOUT},
    {"fixtures", required_argument, NULL, OPT_FIXTURES},
    {"replay", required_argument, NULL, OPT_REPLAY},
    {"bookmarks", required_argument, NULL, OPT_BOOKMARKS},
    {"history", required_argument, NULL, OPT_HISTORY},
    {"version", required_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static void set_option(int option, struct options *options, struct server *server)
{
    switch (option) {
    case OPT_LISTEN:
        options->listen = optarg;
        break;
    case OPT_CONTROL:
        options->control = optarg;
        break;
    case OPT_FOLDER:
        options->folder = optarg;
        break;
    case OPT_TOKEN:
        options->token = optarg;
        break;
    case OPT_OBJECTS:
        options->objects[options->object_count++] = optarg;
        break;
    case OPT_WITHOUT:
        options->without[options->without_count++] = optarg;
        break;
    case OPT_FIXTURES:
        server->fixtures = optarg;
        break;
    case OPT_REPLAY:
        options->replays[options->replay_count++] = optarg;
        break;
    case OPT_BOOKMARKS:
        server->bookmark_ms = (long)(strtod(optarg, NULL) * 1000);
        break;
    case OPT_HISTORY:
        server->history = strtoul(optarg, NULL, 10);
        break;
    case OPT_VERSION:
        server->number = strtoull(optarg, NULL, 10);
        break;
    case OPT_HELP:
        fputs(usage, stdout);
        exit(0);
    default:
        fputs(usage, stderr);
        exit(2);
    }
}

/* ---- the start ------------------------------------------------------------------------------ */

static uint16_t split_listen(struct server *server, const char *text, struct fence_err *err)
{
    const char *colon = strrchr(text, ':');
    size_t size = colon ? (size_t)(colon - text) : 0;

    if (size >= 2 && text[0] == '[' && text[size - 1] == ']') {
        text++;
        size -= 2;
    }
    snprintf(server->host, sizeof(server->host), "%.*s", (int)size, text);
    if (!colon)
        fence_err_set(err, -EINVAL, "%s is no ADDRESS:PORT", text);
    return colon ? (uint16_t)strtoul(colon + 1, NULL, 10) : 0;
}

static int add_replays(struct server *server, const struct options *options, struct fence_err *err)
{
    int result = 0;

    for (size_t i = 0; i < options->replay_count && result == 0; i++) {
        cJSON *fault = cJSON_CreateObject();

        cJSON_AddStringToObject(fault, "replay", options->replays[i]);
        cJSON_AddNumberToObject(fault, "times", -1);
        result = faults_add(&server->faults, fault, server->fixtures, err);
        cJSON_Delete(fault);
    }
    return result;
}

static int fill(struct server *server, const struct options *options, struct fence_err *err)
{
    int result = resources_init(server);

    server->tokens = calloc(1, sizeof(*server->tokens));
    if (result < 0 || !server->tokens || !(server->tokens[0] = strdup(options->token)))
        return fence_err_set(err, -ENOMEM, "out of memory");
    server->token_count = 1;
    for (size_t i = 0; i < options->object_count && result == 0; i++)
        result = load_file(server, options->objects[i], err);
    for (size_t i = 0; i < options->without_count; i++)
        for (size_t j = 0; j < server->resource_count; j++)
            if (!strcmp(server->resources[j]->group, options->without[i]))
                server->resources[j]->installed = false;
    return result == 0 ? add_replays(server, options, err) : result;
}

static int write_control(const struct server *server, struct fence_err *err)
{
    FENCE_FREE char *path = NULL;
    char url[64];

    if (asprintf(&path, "%s/control", server->tls.folder) < 0)
        return fence_err_set(err, -ENOMEM, "out of memory");
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", server->control_port);
    return fence_file_write(path, url, strlen(url), 0644, err);
}

static int start(struct server *server, const struct options *options, struct fence_err *err)
{
    const uint16_t port = split_listen(server, options->listen, err);
    char host[72];
    int result = tls_init(&server->tls, options->folder, err);

    if (result < 0)
        return result;
    server->https = server_listen(server, false, port, err);
    if (server->https)
        server->control =
            server_listen(server, true, (uint16_t)strtoul(options->control, NULL, 10), err);
    if (!server->control)
        return -EIO;
    snprintf(host, sizeof(host), strchr(server->host, ':') ? "[%s]" : "%s", server->host);
    result = tls_write_clients(&server->tls, host, server->https_port, options->token, err);
    if (result == 0)
        result = write_control(server, err);
    if (result == 0) {
        printf("https://%s:%u http://127.0.0.1:%u\n", host, server->https_port,
               server->control_port);
        fflush(stdout);
    }
    return result;
}

/* ---- the end -------------------------------------------------------------------------------- */

#define END_MS 1000

/* Watches get their last chunk, as from a server that is told to stop. */
static void end_properly(struct server *server)
{
    const int64_t until = now_ms() + END_MS;
    const uint64_t one = 1;
    size_t open = 1;

    while (open && now_ms() < until) {
        pthread_mutex_lock(&server->lock);
        open = watches_end(server, NULL, WATCH_ENDS);
        pthread_mutex_unlock(&server->lock);
        if (open)
            usleep(1000);
    }
    (void)!write(server->stop_fd, &one, sizeof(one));
}

static void stop(struct server *server)
{
    end_properly(server);
    if (server->https)
        MHD_stop_daemon(server->https);
    if (server->control)
        MHD_stop_daemon(server->control);
    for (size_t i = 0; i < server->retired_count; i++)
        MHD_stop_daemon(server->retired[i]);
    free(server->retired);
    faults_clear(&server->faults);
    counters_done(&server->counters);
    resources_done(server);
    for (size_t i = 0; i < server->token_count; i++)
        free(server->tokens[i]);
    free(server->tokens);
    for (size_t i = 0; i < server->refused_count; i++) {
        free(server->refused[i].verb);
        free(server->refused[i].group);
        free(server->refused[i].resource);
    }
    free(server->refused);
    tls_done(&server->tls);
    close(server->stop_fd);
}

/* Two descriptors for each watch: as many as there may be. */
static void allow_files(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

int main(int argc, char **argv)
{
    static struct server server = {
        .lock = PTHREAD_MUTEX_INITIALIZER, .bookmark_ms = 60000, .history = 100000, .number = 1};
    struct options options = {.listen = "127.0.0.1:0", .control = "0", .token = "test-token"};
    FENCE_FREE const char **texts = calloc(3 * (size_t)argc, sizeof(*texts));
    struct fence_err err = {""};
    sigset_t signals;
    int option, got;

    options.objects = texts;
    options.without = texts + argc;
    options.replays = texts + (size_t)2 * argc;
    while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1)
        set_option(option, &options, &server);
    if (!options.folder || optind != argc || !texts) {
        fputs(usage, stderr);
        return 2;
    }
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* of all threads */
    signal(SIGPIPE, SIG_IGN);
    allow_files();
    server.stop_fd = eventfd(0, EFD_CLOEXEC);
    if (fill(&server, &options, &err) < 0 || start(&server, &options, &err) < 0) {
        fprintf(stderr, "test-apiserver: %s\n", err.text);
        stop(&server);
        return 1;
    }
    while (sigwait(&signals, &got) != 0)
        ;
    stop(&server);
    return 0;
}

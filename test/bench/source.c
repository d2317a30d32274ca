/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node's view of an API server, without its data path: what podfenced asks for, into the store.
 * One line of JSON when every kind has been listed, and one for each line that is read.
 */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cni/daemon/kubernetes.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "test/bench/resident.h"

#define OWN_PAGES_BYTES (128 * 1024) /* as cni/daemon/main.c */
#define NS_PER_S        1e9

struct source {
    struct fence_store *store;
    struct fence_kubernetes *kubernetes;
    uint64_t begun_ns;
};

static const char usage[] = "Usage: bench-source --kubeconfig FILE [--address-slices NODE]\n";

static int open_source(const char *kubeconfig, const char *node, struct source *source,
                       struct fence_err *err)
{
    FENCE_CLEANUP(fence_kube_config_done) struct fence_kube_config config = {0};
    const struct fence_kubernetes_options options = {
        .config = &config, .own_node = node, .order = 1};
    int r = fence_kube_config_file(kubeconfig, &config, err);

    if (r == 0)
        r = fence_store_new(&source->store);
    if (r == 0)
        r = fence_kubernetes_new(&options, source->store, &source->kubernetes, err);
    source->begun_ns = fence_clock_boot_ns();
    return r;
}

static void print(const struct source *source)
{
    cJSON *json = fence_kubernetes_json(source->kubernetes);
    double seconds = (double)(fence_clock_boot_ns() - source->begun_ns) / NS_PER_S;
    char *text;

    malloc_trim(0);
    cJSON_AddNumberToObject(json, "seconds", seconds);
    cJSON_AddNumberToObject(json, "residentMB", bench_resident_mb("VmRSS:"));
    cJSON_AddNumberToObject(json, "pods",
                            (double)fence_store_count(source->store, FENCE_OBJECT_POD));
    cJSON_AddNumberToObject(json, "nodes",
                            (double)fence_store_count(source->store, FENCE_OBJECT_NODE));
    text = cJSON_PrintUnformatted(json);
    puts(text);
    fflush(stdout);
    free(text);
    cJSON_Delete(json);
}

/* What changed is done with, as after a reconciliation. */
static void handle(struct source *source)
{
    struct fence_kubernetes_changes changes;
    const struct fence_change *list;
    size_t count;

    fence_kubernetes_handle(source->kubernetes, &changes);
    if (changes.large)
        malloc_trim(0);
    if (changes.objects && fence_kubernetes_all_seen(source->kubernetes) &&
        fence_store_changes(source->store, &list, &count) == 0)
        fence_store_changes_done(source->store);
    if (changes.seen)
        print(source);
}

static void run(struct source *source)
{
    struct pollfd waits[] = {
        {.fd = fence_kubernetes_fd(source->kubernetes), .events = POLLIN},
        {.fd = STDIN_FILENO, .events = POLLIN},
    };
    char text[64];

    while (poll(waits, FENCE_ARRAY_SIZE(waits), -1) > 0) {
        if (waits[0].revents)
            handle(source);
        if (!waits[1].revents)
            continue;
        if (read(STDIN_FILENO, text, sizeof(text)) <= 0)
            return;
        print(source);
    }
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {{"kubeconfig", required_argument, NULL, 'k'},
                                          {"address-slices", required_argument, NULL, 'a'},
                                          {0}};
    struct source source = {0};
    struct fence_err err = {""};
    const char *kubeconfig = NULL, *node = NULL;
    int option, r;

    while ((option = getopt_long(argc, argv, "", longs, NULL)) == 'k' || option == 'a')
        *(option == 'k' ? &kubeconfig : &node) = optarg;
    if (option != -1 || !kubeconfig) {
        fputs(usage, stderr);
        return 2;
    }
    mallopt(M_MMAP_THRESHOLD, OWN_PAGES_BYTES);
    r = open_source(kubeconfig, node, &source, &err);
    if (r < 0)
        fprintf(stderr, "bench-source: %s\n", *err.text ? err.text : strerror(-r));
    else
        run(&source);
    fence_kubernetes_free(&source.kubernetes);
    fence_store_free(&source.store);
    return r < 0;
}

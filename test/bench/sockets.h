/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a policy costs through real sockets: two pods on one bridge, once for each way of enforcing
 * (test/bench/sockets.sh makes them), all measured in turns. One server process for all of them on
 * the first core, one client on the last; both go from namespace to namespace.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "test/bench/samples.h"

/* ---- what is compared (sockets_kinds.c) ----------------------------------------------------- */

enum sockets_group {
    SOCKETS_NONE,  /* no policy */
    SOCKETS_EMPTY, /* programs that do nothing */
    SOCKETS_PEER,  /* programs that hand IPv4 over to the other pod, whatever it is */
    SOCKETS_FENCE,
    SOCKETS_SAME_NODE, /* podfence, handed over from pod to pod */
    SOCKETS_OTHER,     /* somebody else's policy */
};

struct sockets_kind {
    const char *key;
    const char *title;
    enum sockets_group group;
};

/* NULL when there is none of this key. */
const struct sockets_kind *sockets_kind_find(const char *key);

enum sockets_test {
    SOCKETS_CRR, /* connect, request, answer, close */
    SOCKETS_RR,  /* request and answer over one connection */
    SOCKETS_UDP, /* datagrams that arrive */
    SOCKETS_BULK,
    SOCKETS_TESTS,
};

const char *sockets_test_name(enum sockets_test test);
const char *sockets_test_unit(enum sockets_test test);

/* ---- one pair of pods ----------------------------------------------------------------------- */

#define SOCKETS_MAX 32u

struct sockets_config {
    const struct sockets_kind *kind;
    unsigned int index;
    int client; /* network namespaces */
    int server;
    int node;
    char address[48];     /* of the server */
    char links[2][16];    /* the pods' devices on the node */
    char changes[256];    /* folder to change addresses in, or "" */
    int program_links[4]; /* of SOCKETS_EMPTY and SOCKETS_PEER */
    struct bench_samples rates[SOCKETS_TESTS];
    struct bench_samples ratios[SOCKETS_TESTS];
};

struct sockets_run {
    struct sockets_config configs[SOCKETS_MAX];
    size_t count;
    unsigned int rounds;
    unsigned int bulk_every; /* rounds; 0 = never: no iperf3 */
    double seconds;          /* of one slice */
    bool connections_only;
    bool check;
    const char *json;
    const char *csv;
    struct sockets_shared *shared;
    int server_pid;
    double waited[SOCKETS_TESTS]; /* for their cores at least, of a slice; see sockets_measure.c */
    size_t slices;
    size_t disturbed;
};

/* First byte of a datagram that is to be answered. */
#define SOCKETS_PLEASE 'p'

/* Looks in vain before letting go of the core for a moment: what is waited for may be in the hands
 * of a kernel thread that waits for this very core. */
#define SOCKETS_LOOKS 200u

/* Between the processes. */
struct sockets_shared {
    _Atomic uint64_t received[SOCKETS_MAX]; /* datagrams */
    atomic_bool ready;
    atomic_bool busy;     /* a slice runs: the server looks again at once, see sockets_server.c */
    _Atomic int changing; /* index of the config whose addresses change now, or -1 */
    _Atomic uint64_t changes;
};

/* A line each: key, namespaces of client, server and node, the server's address, both devices on
 * the node, folder for changes or "-". */
int sockets_configs_read(const char *path, struct sockets_run *run, struct fence_err *err);
/* Attach what a SOCKETS_EMPTY or a SOCKETS_PEER has to both its devices. */
int sockets_attach(struct sockets_config *config, struct fence_err *err);

/* Processes of their own, which end with this one. Never return in it. */
int sockets_serve(const struct sockets_run *run);
int sockets_change(const struct sockets_run *run);

/* One slice: events a second, bits a second for SOCKETS_BULK. */
int sockets_slice(const struct sockets_run *run, const struct sockets_config *config,
                  enum sockets_test test, double *ret_rate, struct fence_err *err);
/* Is what should pass let through, and nothing else? */
int sockets_probe(const struct sockets_config *config, struct fence_err *err);

/* All rounds. */
int sockets_measure(struct sockets_run *run, struct fence_err *err);
/* On stdout; returns how many targets were missed. */
unsigned int sockets_report(struct sockets_run *run);
int sockets_report_files(struct sockets_run *run);

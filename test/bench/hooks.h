/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ns per packet of each hook, by BPF_PROG_TEST_RUN over a data path that the policy engine has
 * filled: a node with a client and a server pod, remote pods, and flows between them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/datapath/endpoints.h"
#include "lib/datapath/probe.h"
#include "test/bench/flows.h"
#include "test/bench/samples.h"
#include "test/bench/shop.h"

/* ---- the node (hooks_node.c) ---------------------------------------------------------------- */

struct hooks_node {
    struct fence_pins pins;
    struct fence_endpoint_record records[SHOP_PODS];
    __u32 came_in_by; /* a device for what comes from outside */
};

/* Namespaces and devices; once. */
int hooks_node_enter(struct fence_err *err);
/* A data path of its own with this world in force. */
int hooks_node_load(const struct shop *world, struct hooks_node *ret_node, struct fence_err *err);
/* The same-node path, on or off. */
int hooks_node_same(const struct hooks_node *node, bool on, struct fence_err *err);
void hooks_node_done(struct hooks_node *node);

/* ---- running (hooks_run.c) ------------------------------------------------------------------ */

struct hooks_programs; /* opaque: loaded over the node's maps */

int hooks_programs_new(const struct hooks_node *node, struct hooks_programs **ret_programs,
                       struct fence_err *err);
void hooks_programs_free(struct hooks_programs **programs);

/* Packets of one kind. `flows` is where the next run begins. */
struct hooks_stream {
    struct bench_flows flows;
    enum fence_direction direction;
    __u32 ifindex;
    __u32 ingress_ifindex;
    unsigned int packets; /* of one run */
    unsigned char frame[FENCE_PACKET_MAX];
    size_t size;
};

struct hooks_result {
    double ns; /* of all packets together */
    unsigned int dropped;
    unsigned int handed; /* over to the other pod's interface */
};

/* Run the real program or the empty one; the stream stays where it is. */
int hooks_run(struct hooks_programs *programs, const struct hooks_stream *stream, bool real,
              struct hooks_result *ret_result, struct fence_err *err);
/* Go on by one run. */
void hooks_advance(struct hooks_stream *stream);

/* ---- rows and cells (hooks_cells.c) --------------------------------------------------------- */

struct hooks_row {
    const char *name;
    enum shop_pod pod;
    unsigned int protocol;
    unsigned int tcp_flags;
    bool reply; /* the other way round: from the server to the client */
    bool fresh; /* each packet is one of a new flow */
    bool denied;
    bool unanswered; /* nobody has replied */
    bool within;     /* between the two pods of the node, on the same-node path */
    bool empty;      /* measure the empty program against itself */
};

struct hooks_column {
    const char *name;
    unsigned int peers;
    unsigned int flows_each; /* a power of two */
};

/* One of the tables: rows x columns. Columns with more peers than the world has are left out. */
struct hooks_cell {
    const struct shop *world;
    const struct hooks_row *row;
    const struct hooks_column *column;
    struct bench_samples ns; /* real minus empty, each round */
    double empty_ns;         /* median of the wrapper alone */
    double as_expected;      /* share of packets passed or dropped as they should be */
    const char *reason;      /* counted most often, */
    double reason_share;     /* by so much */
};

struct hooks_cells {
    struct hooks_cell *items;
    size_t count;
    size_t capacity;
    double quiet_ns[FENCE_DIRECTIONS][2]; /* the empty program at its quickest; [ipv6] */
    size_t rounds;                        /* that were run, */
    size_t disturbed;                     /* and those in which it took a twentieth more */
};

extern const struct hooks_row hooks_rows[];
extern const size_t hooks_row_count;
extern const struct hooks_column hooks_columns[];
extern const size_t hooks_column_count;

/* All cells of a world, appended. */
int hooks_measure(const struct shop *world, unsigned int rounds, struct hooks_cells *cells,
                  struct fence_err *err);
void hooks_cells_done(struct hooks_cells *cells);

/* ---- showing (hooks_report.c) --------------------------------------------------------------- */

void hooks_report_world(const struct shop *world, struct hooks_cells *cells);
/* Returns how many targets were missed. */
unsigned int hooks_report_targets(struct hooks_cells *cells);
int hooks_report_json(const char *path, struct hooks_cells *cells, unsigned int rounds);

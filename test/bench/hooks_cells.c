/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

#include "lib/base/memory.h"
#include "lib/datapath/read.h"
#include "test/bench/hooks.h"

#define ROUND_PACKETS 64000u
/* Before new flows are measured, so many have filled whatever table they go into. */
#define FLOOD_PACKETS 200000u
/* Opened together, so that a flow is answered while it is still known as half-open. */
#define OPEN_PACKETS  1000u
/*
 * Bits of a flow's number within its peer when flows are not to come again: all the client's ports;
 * where there is one peer only, some of the server's as well.
 */
#define FRESH_SHIFT   16u
#define FRESH_SHIFT_1 24u
#define CLIENT_PORT   0x8000u
/*
 * The empty program takes the same time whatever the row. A round in which it took so much longer
 * than at its quickest, before or after the real one, says what else ran on the machine: it is
 * repeated, so often at most.
 */
#define DISTURBED     1.05
#define TRIES         3u
#define PAUSE_NS      20000000 /* before it is */

const struct hooks_row hooks_rows[] = {
    {"sent, established", SHOP_CLIENT, IPPROTO_TCP, FENCE_TCP_ACK, .reply = false},
    {"sent, reply to it", SHOP_CLIENT, IPPROTO_TCP, FENCE_TCP_ACK, .reply = true},
    {"received, established", SHOP_SERVER, IPPROTO_TCP, FENCE_TCP_ACK, .reply = false},
    {"received, reply to it", SHOP_SERVER, IPPROTO_TCP, FENCE_TCP_ACK, .reply = true},
    {"UDP sent", SHOP_CLIENT, IPPROTO_UDP, 0, .reply = false},
    {"UDP reply to it", SHOP_CLIENT, IPPROTO_UDP, 0, .reply = true},
    {"UDP never answered", SHOP_CLIENT, IPPROTO_UDP, 0, .unanswered = true},
    {"handed over", SHOP_CLIENT, IPPROTO_TCP, FENCE_TCP_ACK, .within = true},
    {"handed over, reply", SHOP_SERVER, IPPROTO_TCP, FENCE_TCP_ACK, .within = true, .reply = true},
    {"UDP handed over", SHOP_CLIENT, IPPROTO_UDP, 0, .within = true},
    {"first packet sent", SHOP_CLIENT, IPPROTO_TCP, FENCE_TCP_SYN, .fresh = true},
    {"first packet received", SHOP_SERVER, IPPROTO_TCP, FENCE_TCP_SYN, .fresh = true},
    {"first packet denied", SHOP_CLIENT, IPPROTO_TCP, FENCE_TCP_SYN, .fresh = true, .denied = true},
    {"empty program, again", SHOP_CLIENT, IPPROTO_TCP, FENCE_TCP_SYN, .fresh = true, .empty = true},
};
const size_t hooks_row_count = FENCE_ARRAY_SIZE(hooks_rows);

const struct hooks_column hooks_columns[] = {
    {"1 flow", 1, 1},
    {"1,000 flows", 250, 4},
    {"64,000 flows", 250, 256},
    {"64,000 peers", 64000, 1},
};
const size_t hooks_column_count = FENCE_ARRAY_SIZE(hooks_columns);

/* What cells of one world are measured with. */
struct cells {
    const struct shop *world;
    const struct hooks_column *column;
    struct hooks_node node;
    struct hooks_programs *programs;
    const struct hooks_row *opened; /* its flows have entries now */
    struct hooks_cells *all;
    unsigned int rounds;
    struct fence_err *err;
};

/* ---- packets -------------------------------------------------------------------------------- */

static unsigned long gcd(unsigned long a, unsigned long b)
{
    while (b) {
        unsigned long rest = a % b;

        a = b;
        b = rest;
    }
    return a;
}

/* All flows in turns, neighbours far apart: nothing to be fetched ahead. */
static unsigned long step_of(unsigned long count)
{
    unsigned long step = (unsigned long)((double)count * 0.6180339887);

    while (step > 1 && gcd(step, count) != 1)
        step++;
    return count > 1 ? step : 0;
}

static unsigned int log2_of(unsigned int value)
{
    unsigned int bits = 0;

    while (1u << bits < value)
        bits++;
    return bits;
}

static unsigned int shift_of(const struct hooks_column *column, bool fresh)
{
    if (fresh)
        return column->peers > 1 ? FRESH_SHIFT : FRESH_SHIFT_1;
    return log2_of(column->flows_each);
}

/* The pod's, or of the first of its peers. */
static struct fence_addr remote_of(const struct cells *cells, const struct hooks_row *row)
{
    return row->within ? cells->node.records[row->pod ^ 1].endpoint.addrs[0]
                       : shop_remote(cells->world->family, 0);
}

static struct bench_flows flows_of(const struct cells *cells, const struct hooks_row *row)
{
    const struct hooks_column *column = cells->column;
    struct fence_addr remote = remote_of(cells, row);
    struct bench_flows flows = {
        .shift = shift_of(column, row->fresh),
        .first_remote = (__u16)(remote.bytes[14] << 8 | remote.bytes[15]),
        .client_port = CLIENT_PORT,
        .server_port = row->denied ? SHOP_PORT_DENIED : SHOP_PORT,
        .ipv6 = cells->world->family == 6,
        .client_sends = !row->reply,
    };

    flows.count = (__u64)column->peers << flows.shift;
    if (row->within) /* one peer has them all */
        flows.shift = FRESH_SHIFT;
    flows.step = step_of(flows.count);
    return flows;
}

/* A row's packets, with other TCP flags or the other way round where entries are made. */
static struct hooks_stream stream_of(const struct cells *cells, const struct hooks_row *row)
{
    const struct fence_endpoint_record *record = &cells->node.records[row->pod];
    bool sent = (row->pod == SHOP_CLIENT) != row->reply;
    struct fence_addr remote = remote_of(cells, row);
    struct fence_packet packet = {
        .source = sent ? record->endpoint.addrs[0] : remote,
        .destination = sent ? remote : record->endpoint.addrs[0],
        .protocol = row->protocol,
        .tcp_flags = row->tcp_flags,
        .payload = 64,
    };
    struct hooks_stream stream = {
        .flows = flows_of(cells, row),
        .direction = sent ? FENCE_EGRESS : FENCE_INGRESS,
        .ifindex = record->ifindex,
        .ingress_ifindex = sent ? 0 : cells->node.came_in_by,
        .packets = ROUND_PACKETS,
    };

    memcpy(sent ? packet.source_mac : packet.destination_mac, record->endpoint.mac, 6);
    if (row->within)
        memcpy(packet.destination_mac, cells->node.records[row->pod ^ 1].endpoint.mac, 6);
    stream.size = fence_packet_build(&packet, stream.frame);
    return stream;
}

/* ---- entries -------------------------------------------------------------------------------- */

static int forget(struct cells *cells)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < SHOP_PODS; i++)
        r = fence_endpoint_forget(&cells->node.pins, cells->node.records[i].endpoint.slot,
                                  cells->err);
    return r;
}

/* Three packets open a flow: SYN, SYN-ACK, ACK, or three datagrams. */
static int open_flows(struct cells *cells, const struct hooks_row *row)
{
    static const unsigned int flags[] = {FENCE_TCP_SYN, FENCE_TCP_SYN | FENCE_TCP_ACK,
                                         FENCE_TCP_ACK};
    unsigned int count = cells->column->peers * cells->column->flows_each;
    struct hooks_stream streams[3];
    struct hooks_result result;
    int r = 0;

    for (size_t i = 0; i < 3; i++) {
        struct hooks_row opening = *row;

        opening.reply = i == 1;
        if (row->within)
            opening.pod = opening.reply ? SHOP_SERVER : SHOP_CLIENT;
        opening.tcp_flags = flags[i];
        streams[i] = stream_of(cells, &opening);
        streams[i].packets = count < OPEN_PACKETS ? count : OPEN_PACKETS;
    }
    for (unsigned int done = 0; r == 0 && done < count; done += streams[0].packets) {
        for (size_t i = 0; r == 0 && i < 3; i++) {
            if (i == 1 && row->unanswered)
                continue;
            r = hooks_run(cells->programs, &streams[i], true, &result, cells->err);
            hooks_advance(&streams[i]);
        }
    }
    return r;
}

static int flood(struct cells *cells, struct hooks_stream *stream)
{
    struct hooks_result result;
    int r;

    stream->packets = FLOOD_PACKETS;
    r = hooks_run(cells->programs, stream, true, &result, cells->err);
    hooks_advance(stream);
    stream->packets = ROUND_PACKETS;
    return r;
}

/* Are the flows that the row's packets belong to those that were opened last? */
static bool is_open(const struct hooks_row *opened, const struct hooks_row *row)
{
    return opened && !row->fresh && opened->protocol == row->protocol &&
           opened->unanswered == row->unanswered && opened->within == row->within &&
           (row->within || opened->pod == row->pod);
}

/* Leave behind what the row's packets are to meet. */
static int prepare(struct cells *cells, const struct hooks_row *row, struct hooks_stream *stream)
{
    int r;

    if (row->empty || is_open(cells->opened, row))
        return 0;
    r = forget(cells);
    if (r == 0)
        r = hooks_node_same(&cells->node, row->within, cells->err);
    cells->opened = row->fresh ? NULL : row;
    if (r < 0)
        return r;
    return row->fresh ? flood(cells, stream) : open_flows(cells, row);
}

/* ---- measuring ------------------------------------------------------------------------------ */

/* Packets by reason, both directions together. */
static void read_reasons(const struct cells *cells, __u64 counts[FENCE_REASON_COUNT])
{
    for (unsigned int i = 0; i < FENCE_REASON_COUNT; i++) {
        counts[i] = 0;
        for (unsigned int direction = 0; direction < FENCE_DIRECTIONS; direction++) {
            struct fence_counter counter = {0};

            (void)fence_counter_read(&cells->node.pins, i, direction, &counter);
            counts[i] += counter.packets;
        }
    }
}

static void name_reason(const __u64 before[FENCE_REASON_COUNT],
                        const __u64 after[FENCE_REASON_COUNT], struct hooks_cell *cell)
{
    static const char *const names[] = {
#define REASON_NAME(symbol, name) name,
        FENCE_REASONS(REASON_NAME)
#undef REASON_NAME
    };
    size_t most = 0;
    __u64 sum = 0;

    for (size_t i = 0; i < FENCE_REASON_COUNT; i++) {
        if (after[i] - before[i] > after[most] - before[most])
            most = i;
        if (i < FENCE_REASON_MASQUERADED) /* from there on: beside a packet's own reason */
            sum += after[i] - before[i];
    }
    cell->reason = names[most];
    cell->reason_share = sum ? (double)(after[most] - before[most]) / (double)sum : 0;
}

struct sums {
    struct bench_samples empty;
    double dropped;
    double handed;
    unsigned int left; /* rounds that may still be repeated */
};

/* `empty_ns`: of the slower one of the two runs around the real one. */
static bool is_disturbed(struct cells *cells, const struct hooks_stream *stream, double empty_ns,
                         struct sums *sums)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    struct hooks_cells *all = cells->all;
    double *quiet_ns = &all->quiet_ns[stream->direction][stream->flows.ipv6];

    all->rounds++;
    if (*quiet_ns == 0 || empty_ns < *quiet_ns)
        *quiet_ns = empty_ns;
    if (empty_ns < *quiet_ns * DISTURBED)
        return false;
    all->disturbed++;
    if (sums->left == 0)
        return false;
    sums->left--;
    nanosleep(&pause, NULL);
    return true;
}

/* All over the same flows: the empty program, the real one, the empty one. */
static int round_of(struct cells *cells, struct hooks_cell *cell, struct hooks_stream *stream,
                    struct sums *sums)
{
    struct hooks_result results[3] = {{0}};
    double before, after, empty;
    int r = 0;

    for (size_t i = 0; r == 0 && i < FENCE_ARRAY_SIZE(results); i++)
        r = hooks_run(cells->programs, stream, i == 1 && !cell->row->empty, &results[i],
                      cells->err);
    if (r < 0)
        return r;
    hooks_advance(stream);
    before = results[0].ns / ROUND_PACKETS;
    after = results[2].ns / ROUND_PACKETS;
    empty = (before + after) / 2;
    if (is_disturbed(cells, stream, before > after ? before : after, sums))
        return 0;
    sums->dropped += results[1].dropped;
    sums->handed += results[1].handed;
    r = bench_samples_put(&sums->empty, empty);
    if (r == 0)
        r = bench_samples_put(&cell->ns, results[1].ns / ROUND_PACKETS - empty);
    return r;
}

static int measure(struct cells *cells, struct hooks_cell *cell)
{
    struct hooks_stream stream = stream_of(cells, cell->row);
    __u64 before[FENCE_REASON_COUNT], after[FENCE_REASON_COUNT];
    struct sums sums = {.left = TRIES * cells->rounds};
    double packets = (double)cells->rounds * ROUND_PACKETS;
    int r = prepare(cells, cell->row, &stream);

    read_reasons(cells, before);
    while (r == 0 && cell->ns.count < cells->rounds)
        r = round_of(cells, cell, &stream, &sums);
    read_reasons(cells, after);
    if (cell->row->within)
        cell->as_expected = sums.handed / packets;
    else
        cell->as_expected = (cell->row->denied ? sums.dropped : packets - sums.dropped) / packets;
    cell->empty_ns = bench_samples_at(&sums.empty, 0.5);
    bench_samples_done(&sums.empty);
    name_reason(before, after, cell);
    return r;
}

static int measure_column(struct cells *cells)
{
    struct hooks_cells *all = cells->all;
    int r = 0;

    cells->opened = NULL;
    for (size_t i = 0; r == 0 && i < hooks_row_count; i++) {
        struct hooks_cell *cell;

        /* there is one peer within the node */
        if (hooks_rows[i].within && cells->column->peers > 1 && cells->column->flows_each == 1)
            continue;
        r = FENCE_GROW(all->items, all->capacity, all->count);
        if (r < 0)
            return fence_err_set(cells->err, r, "out of memory");
        cell = &all->items[all->count++];
        *cell = (struct hooks_cell){
            .world = cells->world, .row = &hooks_rows[i], .column = cells->column};
        r = measure(cells, cell);
    }
    return r;
}

int hooks_measure(const struct shop *world, unsigned int rounds, struct hooks_cells *cells,
                  struct fence_err *err)
{
    struct cells with = {.world = world, .all = cells, .rounds = rounds, .err = err};
    int r = hooks_node_load(world, &with.node, err);

    if (r == 0)
        r = hooks_programs_new(&with.node, &with.programs, err);
    for (size_t i = 0; r == 0 && i < hooks_column_count; i++) {
        with.column = &hooks_columns[i];
        if (with.column->peers <= world->remotes)
            r = measure_column(&with);
    }
    hooks_programs_free(&with.programs);
    hooks_node_done(&with.node);
    return r;
}

void hooks_cells_done(struct hooks_cells *cells)
{
    for (size_t i = 0; i < cells->count; i++)
        bench_samples_done(&cells->items[i].ns);
    free(cells->items);
    *cells = (struct hooks_cells){0};
}

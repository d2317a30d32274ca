/* SPDX-License-Identifier: Apache-2.0 */
/* Conntrack's entries as ours, and how they get along with what packets have made. */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bpf/connection.h"
#include "bpf/pair.h"
#include "lib/base/memory.h"
#include "lib/datapath/read.h"
#include "lib/datapath/seed.h"
#include "test/datapath/node.h"

#define POD    "10.88.0.3"
#define OTHER  "10.88.0.4"
#define POD6   "fd00:88::3"
#define OTHER6 "fd00:88::4"
#define NODE   "10.88.0.1"
#define AWAY   "192.0.2.100"

#define HZ     100
#define NOW    5000000ull
#define ANSWER (IPS_SEEN_REPLY)
#define LASTS  (IPS_SEEN_REPLY | IPS_ASSURED)

#define OPEN   FENCE_CONN_LIVE
#define ESTAB  (OPEN | FENCE_CONN_REPLIED | FENCE_CONN_ESTABLISHED)
#define IN     FENCE_CONN_INGRESS
#define CLOSED (FENCE_CONN_FIN_OPENER | FENCE_CONN_FIN_OTHER | FENCE_CONN_CLOSED)

static struct fence_addr hosts[1];
static struct fence_seed_owner owner;

static struct fence_seed_view make_view(__u32 share)
{
    struct fence_seed_view view = {
        .owners = &owner,
        .owner_count = 1,
        .hosts = hosts,
        .host_count = 1,
        .hz = HZ,
        .share = share,
        .udp_seconds = 30,
        .udp_established = 120,
        .now = NOW,
    };

    hosts[0] = node_addr(NODE);
    owner = (struct fence_seed_owner){.ifindex = 7, .slot = 9, .addr_count = 2};
    owner.addrs[0] = node_addr(POD6);
    owner.addrs[1] = node_addr(POD);
    assert_int_equal(fence_seed_view_index(&view), 0);
    return view;
}

struct ends {
    const char *source, *destination;
    __u16 source_port, destination_port;
};

static struct fence_conntrack_tuple tuple_of(const struct ends *ends)
{
    return (struct fence_conntrack_tuple){node_addr(ends->source), node_addr(ends->destination),
                                          ends->source_port, ends->destination_port};
}

/* An entry, and what it is at the pod; `remote` NULL: nothing. */
struct row {
    struct ends original, reply;
    __u32 status, timeout;
    __u8 protocol, tcp_state, tcp_flags[2];
    __u8 local;
    __u16 local_port, remote_port, flags;
    __u32 idle; /* seconds */
    const char *remote, *origin;
};

#define EST      TCP_CONNTRACK_ESTABLISHED
#define FIN      IP_CT_TCP_FLAG_CLOSE_INIT
#define ECHO     (8 << 8)
#define HOST     FENCE_CONN_FROM_HOST
#define NAT      FENCE_CONN_TRANSLATED
#define FOR_DAYS 400000

/* clang-format off */
#define AB {POD, OTHER, 1, 2}, {OTHER, POD, 2, 1}
#define DNS {OTHER, POD, 40000, 53}, {POD, OTHER, 53, 40000}
static const struct row rows[] = {
    /* who opened it */
    {{POD, OTHER, 40000, 5432}, {OTHER, POD, 5432, 40000}, LASTS, FOR_DAYS, 6, EST, {0}, 1, 40000,
     5432, ESTAB, 0, OTHER, NULL},
    {{OTHER, POD, 40000, 5432}, {POD, OTHER, 5432, 40000}, LASTS, FOR_DAYS, 6, EST, {0}, 1, 5432,
     40000, ESTAB | IN, 0, OTHER, NULL},
    {{OTHER6, POD6, 40000, 5432}, {POD6, OTHER6, 5432, 40000}, LASTS, FOR_DAYS, 6, EST, {0}, 0,
     5432, 40000, ESTAB | IN, 0, OTHER6, NULL},
    {{AWAY, OTHER, 40000, 80}, {OTHER, AWAY, 80, 40000}, LASTS, FOR_DAYS, 6, EST, {0}, .remote =
     NULL},
    /* translated: the pod's end is what its filters see */
    {{POD, "10.96.0.16", 40000, 82}, {OTHER, NODE, 8090, 1080}, LASTS, FOR_DAYS, 6, EST, {0}, 1,
     40000, 82, ESTAB, 0, "10.96.0.16", NULL},
    {{AWAY, NODE, 40000, 30041}, {POD, NODE, 8090, 1080}, LASTS, FOR_DAYS, 6, EST, {0}, 1, 8090,
     1080, ESTAB | IN | NAT, 0, NODE, AWAY},
    {{AWAY, NODE, 40000, 30041}, {POD, AWAY, 8090, 40000}, LASTS, FOR_DAYS, 6, EST, {0}, 1, 8090,
     40000, ESTAB | IN, 0, AWAY, NULL},
    /* the node's own */
    {{NODE, POD, 40000, 80}, {POD, NODE, 80, 40000}, LASTS, FOR_DAYS, 6, EST, {0}, 1, 80, 40000,
     ESTAB | IN | HOST, 0, NODE, NULL},
    {{"127.0.0.1", "127.0.0.1", 40000, 30041}, {POD, NODE, 8090, 1080}, LASTS, FOR_DAYS, 6, EST,
     {0}, 1, 8090, 1080, ESTAB | IN | HOST, 0, NODE, NULL},
    {{POD, NODE, 40000, 22}, {NODE, POD, 22, 40000}, LASTS, FOR_DAYS, 6, EST, {0}, 1, 40000, 22,
     ESTAB, 0, NODE, NULL},
    /* states of TCP */
    {AB, 0, 100, 6, TCP_CONNTRACK_SYN_SENT, {0}, 1, 1, 2, OPEN, 0, OTHER, NULL},
    {AB, ANSWER, 50, 6, TCP_CONNTRACK_SYN_RECV, {0}, 1, 1, 2, OPEN | FENCE_CONN_REPLIED, 0, OTHER,
     NULL},
    {AB, LASTS, 99, 6, TCP_CONNTRACK_FIN_WAIT, {FIN, 0}, 1, 1, 2, ESTAB | FENCE_CONN_FIN_OPENER, 0,
     OTHER, NULL},
    {AB, LASTS, 50, 6, TCP_CONNTRACK_CLOSE_WAIT, {0, FIN}, 1, 1, 2, ESTAB | FENCE_CONN_FIN_OTHER, 0,
     OTHER, NULL},
    {AB, LASTS, 20, 6, TCP_CONNTRACK_LAST_ACK, {FIN, 0}, 1, 1, 2, ESTAB | CLOSED, 0, OTHER, NULL},
    {AB, LASTS, 99, 6, TCP_CONNTRACK_TIME_WAIT, {FIN, 0}, .remote = NULL},
    {AB, LASTS, 9, 6, TCP_CONNTRACK_CLOSE, {0}, .remote = NULL},
    {AB, LASTS | IPS_DYING, 9, 6, EST, {0}, .remote = NULL},
    /* UDP: when the last packet came */
    {DNS, 0, 30, 17, 0, {0}, 1, 53, 40000, OPEN | IN, 0, OTHER, NULL},
    {DNS, ANSWER, 10, 17, 0, {0}, 1, 53, 40000, ESTAB | IN, 20, OTHER, NULL},
    {DNS, LASTS, 2, 17, 0, {0}, 1, 53, 40000, ESTAB | IN, 118, OTHER, NULL},
    {DNS, LASTS, 600, 17, 0, {0}, 1, 53, 40000, ESTAB | IN, 0, OTHER, NULL},
    /* ICMP: the id is the asking side's, and who asks is part of the key */
    {{POD, OTHER, 0x1234, ECHO}, {OTHER, POD, 0x1234, 0}, ANSWER, 29, 1, 0, {0}, 1, 0x1234, ECHO,
     ESTAB, 0, OTHER, NULL},
    {{OTHER, POD, 0x1234, ECHO}, {POD, OTHER, 0x1235, 0}, ANSWER, 29, 1, 0, {0}, 1 |
     FENCE_LOCAL_ASKED, 0x1235, ECHO, ESTAB | IN, 0, OTHER, NULL},
    /* by number alone, whatever conntrack makes of it */
    {AB, LASTS, 29, 47, 0, {0}, 1, 0, 0, ESTAB, 0, OTHER, NULL},
};
static const struct row hairpin = {{POD, "10.96.0.16", 40000, 82}, {POD, NODE, 8090, 1080}, LASTS,
     FOR_DAYS, 6, EST, {0}, .remote = NULL};
/* clang-format on */

static struct fence_conntrack_entry entry_of(const struct row *row)
{
    struct fence_conntrack_entry entry = {
        .tuples = {tuple_of(&row->original), tuple_of(&row->reply)},
        .status = row->status,
        .timeout = row->timeout,
        .protocol = row->protocol,
        .tcp_state = row->tcp_state,
    };

    memcpy(entry.tcp_flags, row->tcp_flags, sizeof(entry.tcp_flags));
    return entry;
}

static void check_row(const struct row *row, const struct fence_seed *seed)
{
    const struct fence_connection *connection = &seed->connection;
    const struct fence_addr remote = node_addr(row->remote);
    const struct fence_addr origin = row->origin ? node_addr(row->origin) : (struct fence_addr){0};

    assert_memory_equal(&connection->remote, &remote, sizeof(remote));
    assert_int_equal(connection->local_port, row->local_port);
    assert_int_equal(connection->remote_port, row->remote_port);
    assert_int_equal(connection->slot, 9);
    assert_int_equal(connection->protocol, row->protocol);
    assert_int_equal(connection->local, row->local);
    assert_int_equal(FENCE_STATE_FLAGS(connection->state), row->flags);
    assert_int_equal(FENCE_STATE_SEEN(connection->state), NOW - (__u64)row->idle * HZ);
    assert_memory_equal(&seed->origin, &origin, sizeof(origin));
    assert_int_equal(seed->ifindex, 7);
}

static void translates(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        struct fence_conntrack_entry entry = entry_of(&rows[i]);
        struct fence_seed_view view = make_view(100);
        struct fence_seed_list list = {0};

        assert_int_equal(fence_seeds_take(&list, &view, &entry), 0);
        if (list.count != (rows[i].remote ? 1 : 0))
            fail_msg("row %zu: %zu seeds", i, list.count);
        if (list.count)
            check_row(&rows[i], &list.items[0]);
        /* of another zone it is another connection */
        entry.zone = 1;
        assert_int_equal(fence_seeds_take(&list, &view, &entry), 0);
        assert_int_equal(list.count, rows[i].remote ? 1 : 0);
        fence_seeds_done(&list);
        free(view.places);
    }
}

/* A pod that reaches itself by its Service has both ends. */
static void gives_both_ends_theirs(void **state)
{
    struct fence_conntrack_entry entry = entry_of(&hairpin);
    struct fence_seed_view view = make_view(100);
    struct fence_seed_list list = {0};

    (void)state;
    assert_int_equal(fence_seeds_take(&list, &view, &entry), 0);
    assert_int_equal(list.count, 2);
    assert_int_equal(FENCE_STATE_FLAGS(list.items[0].connection.state), ESTAB);
    assert_int_equal(FENCE_STATE_FLAGS(list.items[1].connection.state),
                     ESTAB | IN | FENCE_CONN_TRANSLATED);
    assert_memory_equal(&list.items[1].origin, &owner.addrs[1], sizeof(struct fence_addr));
    fence_seeds_done(&list);
    free(view.places);
}

/* At most its share, and a flood leaves half of it to what is established. */
static void keeps_to_the_share(void **state)
{
    struct fence_conntrack_entry half = entry_of(&rows[10]), whole = entry_of(&rows[0]);
    struct fence_seed_view view = make_view(8);
    struct fence_seed_list list = {0};

    (void)state;
    for (int i = 0; i < 20; i++)
        assert_int_equal(fence_seeds_take(&list, &view, &half), 0);
    assert_int_equal(list.count, 4);
    for (int i = 0; i < 20; i++)
        assert_int_equal(fence_seeds_take(&list, &view, &whole), 0);
    assert_int_equal(list.count, 8);
    fence_seeds_done(&list);
    free(view.places);
}

/* ---- with the maps -------------------------------------------------------------------------- */

struct table {
    struct fence_pins pins;
    struct fence_settings settings;
    struct fence_connection_table table;
    __u64 now;
    __u32 slot;
};

static struct table open_table(void)
{
    struct table table = {.pins = node_load(NULL, 0)};
    struct fence_err err = {""};

    node_add(&table.pins, 0, "web", POD);
    table.slot = node_endpoint(&table.pins, 0).slot;
    assert_int_equal(fence_settings_read(&table.pins, &table.settings), 0);
    assert_int_equal(fence_jiffies(&table.pins, &table.now), 0);
    node_check(fence_connections_open(&table.pins, &table.table, &err), &err);
    return table;
}

static void close_table(struct table *table)
{
    struct fence_err err = {""};

    fence_connections_forget(&table->table, table->slot);
    fence_connections_close(&table->table);
    node_check(fence_endpoint_remove(&table->pins, node_ifindex(0), &err), &err);
    fence_pins_close(&table->pins);
}

static struct fence_seed make_seed(const struct table *table, __u16 port, __u16 flags)
{
    return (struct fence_seed){
        .connection = {.remote = node_addr(NODE),
                       .local_port = port,
                       .remote_port = 1080,
                       .slot = (__u16)table->slot,
                       .protocol = IPPROTO_TCP,
                       .state = FENCE_STATE(table->now, 0, flags)},
        .local = node_addr(POD),
        .origin = node_addr(AWAY),
        .ifindex = node_ifindex(0),
    };
}

struct counted {
    __u16 port;
    unsigned int count;
    __u64 state;
};

static int count_visit(void *context, const struct fence_connection *entry)
{
    struct counted *counted = context;

    if (entry->local_port == counted->port) {
        counted->count++;
        counted->state = entry->state;
    }
    return 0;
}

/* The flags of the one entry with this port, 0 when there is none. */
static __u16 flags_at(const struct table *table, __u16 port)
{
    struct counted counted = {.port = port};

    (void)fence_connections_each(&table->table, count_visit, &counted);
    assert_true(counted.count <= 1);
    return FENCE_STATE_FLAGS(counted.state) & ~FENCE_CONN_SPILLED;
}

static void add(const struct table *table, __u16 port, __u16 flags)
{
    const struct fence_seed seed = make_seed(table, port, flags);

    assert_int_equal(fence_connections_add(&table->table, &table->settings, &seed.connection,
                                           &seed.local, table->now),
                     0);
}

static void write_all(const struct table *table, struct fence_seed *seeds, size_t count)
{
    struct fence_seed_list list = {.items = seeds, .count = count};

    fence_seeds_sort(&list);
    assert_int_equal(
        fence_seeds_write(&list, &table->pins, &table->table, &table->settings, table->now), 0);
    fence_seeds_keep(&list, &table->table, table->slot);
}

/* The opener is the seed's to say, all else is known by either. What is no seed goes. */
static void corrects_what_packets_made(void **state)
{
    struct table table = open_table();
    struct fence_seed seeds[] = {
        make_seed(&table, 1, ESTAB | IN),
        make_seed(&table, 2, OPEN | IN),
        make_seed(&table, 3, ESTAB | IN | FENCE_CONN_FROM_HOST),
    };

    (void)state;
    add(&table, 1, FENCE_CONN_REPLIED | FENCE_CONN_CUT); /* taken for the pod's own */
    add(&table, 2, IN | FENCE_CONN_REPLIED | FENCE_CONN_ESTABLISHED | FENCE_CONN_FIN_OTHER);
    add(&table, 4, ESTAB);
    write_all(&table, seeds, FENCE_ARRAY_SIZE(seeds));
    assert_int_equal(flags_at(&table, 1), ESTAB | IN);
    assert_int_equal(flags_at(&table, 2), ESTAB | IN | FENCE_CONN_FIN_OTHER);
    assert_int_equal(flags_at(&table, 3), ESTAB | IN | FENCE_CONN_FROM_HOST);
    assert_int_equal(flags_at(&table, 4), 0);
    assert_int_equal(node_usage(&table.pins, 0), 3);
    close_table(&table);
}

/* Each slot has its own fate, and all of them one pass. */
static void settles_each_slot(void **state)
{
    struct table table = open_table();
    const __u32 kept = table.slot, forgotten = kept + 1, left = kept + 2;
    struct fence_seed seeds[] = {make_seed(&table, 1, ESTAB)};
    struct fence_seed_list list = {.items = seeds, .count = FENCE_ARRAY_SIZE(seeds)};
    __u8 *fates = calloc(table.table.slot_count + 1, sizeof(*fates));

    (void)state;
    assert_non_null(fates);
    fates[kept] = FENCE_SEED_KEEP;
    fates[forgotten] = FENCE_SEED_FORGET;
    add(&table, 1, ESTAB);
    add(&table, 2, ESTAB);
    table.slot = forgotten;
    add(&table, 3, ESTAB);
    table.slot = left;
    add(&table, 4, ESTAB);
    fence_seeds_sort(&list);
    fence_seeds_settle(&list, &table.table, fates);
    assert_int_equal(flags_at(&table, 1), ESTAB);
    assert_int_equal(flags_at(&table, 2), 0);
    assert_int_equal(flags_at(&table, 3), 0);
    assert_int_equal(flags_at(&table, 4), ESTAB);
    assert_int_equal(table.table.usage[kept].connections, 1);
    assert_int_equal(table.table.usage[forgotten].connections, 0);
    fence_connections_forget(&table.table, left);
    table.slot = kept;
    free(fates);
    close_table(&table);
}

static __u32 stamp_of(const struct table *table, const char *remote, int direction)
{
    const struct fence_opened *opened = table->table.opened;
    const struct fence_addr local = node_addr(POD), addr = node_addr(remote);
    __u64 hash = fence_pair_hash(node_ifindex(0), &local, &addr, table->settings.hash_key);

    if (!opened)
        return 0;
    return opened[fence_pair_opened(hash, table->settings.hash_key)].stamps[direction];
}

/* As the kernel does with a first packet: the pair is that of the true source. */
static void notes_pairs_and_sources(void **state)
{
    struct table table = open_table();
    struct fence_seed seeds[] = {
        make_seed(&table, 1, ESTAB),
        make_seed(&table, 2, ESTAB | IN | FENCE_CONN_TRANSLATED),
    };
    const __u64 epoch = node_epoch(&table.pins);
    struct fence_addr origin;

    (void)state;
    write_all(&table, seeds, FENCE_ARRAY_SIZE(seeds));
    assert_int_not_equal(node_epoch(&table.pins), epoch); /* CPUs keep what is noted of pairs */
    assert_int_equal(stamp_of(&table, NODE, FENCE_EGRESS), (__u32)table.now | 1);
    assert_int_equal(stamp_of(&table, NODE, FENCE_INGRESS), 0);
    assert_int_equal(stamp_of(&table, AWAY, FENCE_INGRESS), (__u32)table.now | 1);
    assert_int_equal(
        bpf_map_lookup_elem(table.pins.maps[FENCE_MAP_ORIGINS], &seeds[1].connection, &origin), 0);
    assert_memory_equal(&origin, &seeds[1].origin, sizeof(origin));
    assert_int_not_equal(
        bpf_map_lookup_elem(table.pins.maps[FENCE_MAP_ORIGINS], &seeds[0].connection, &origin), 0);
    close_table(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(translates),         cmocka_unit_test(gives_both_ends_theirs),
        cmocka_unit_test(keeps_to_the_share), cmocka_unit_test(corrects_what_packets_made),
        cmocka_unit_test(settles_each_slot),  cmocka_unit_test(notes_pairs_and_sources),
    };

    return cmocka_run_group_tests(tests, node_setup, node_teardown);
}

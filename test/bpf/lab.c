/* SPDX-License-Identifier: Apache-2.0 */
#include "test/bpf/lab.h"

#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "lib/base/addr.h"
#include "lib/base/memory.h"
#include "lib/datapath/connections.h"
#include "lib/datapath/epochs.h"
#include "lib/datapath/events.h"
#include "lib/datapath/object.h"
#include "lib/net/links.h"
#include "test/cmocka.h"

const unsigned char lab_pod_mac[6] = {0x02, 0, 0, 0, 0, 0x0a};
const unsigned char lab_gateway_mac[6] = {0x02, 0, 0, 0, 0, 0x01};

static struct bpf_object *object;
static bool plain;
static __u32 ifindex;
static __u32 came_in_by;
static struct fence_pins pins; /* nothing is pinned; for the library */
static struct fence_connection_table tracked;
static __u32 next_interval;

static int make_link(void)
{
    if (unshare(CLONE_NEWNET) < 0)
        return -errno;
    /* the same command that an administrator would type; a test may */
    if (system("ip link add lab0 type veth peer name lab1 && ip link set lab0 up") != 0)
        return -EIO;
    return fence_link_index("lab1", &came_in_by) < 0 ? -ENODEV : fence_link_index("lab0", &ifindex);
}

static void find_pins(void)
{
#define FIND_MAP(symbol, name)                                                                     \
    pins.maps[FENCE_MAP_##symbol] = bpf_map__fd(bpf_object__find_map_by_name(object, name));
    FENCE_MAPS(FIND_MAP)
#undef FIND_MAP
#define FIND_PROG(symbol, name)                                                                    \
    pins.progs[FENCE_PROG_##symbol] =                                                              \
        bpf_program__fd(bpf_object__find_program_by_name(object, name));
    FENCE_PROGS(FIND_PROG)
#undef FIND_PROG
}

bool lab_is_plain(void)
{
    return plain;
}

static int load_object(void)
{
    enum fence_kernel_structs structs =
        getenv("LAB_PLAIN") ? FENCE_KERNEL_STRUCTS_OFF : FENCE_KERNEL_STRUCTS_AUTO;

    if (fence_object_open(structs, &object, &plain) < 0 || fence_object_size(object, NULL) < 0)
        return -1;
    if (bpf_map__set_max_entries(bpf_object__find_map_by_name(object, "connections"),
                                 LAB_CONNECTIONS / FENCE_BUCKET_WAYS) < 0)
        return -1;
    return bpf_object__load(object);
}

int lab_setup(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        fprintf(stderr, "needs root to load BPF programs\n");
        exit(77);
    }
    if (make_link() < 0)
        return -1;
    if (load_object() < 0)
        return -1;
    find_pins();
    if (fence_epochs_map(pins.maps[FENCE_MAP_EPOCHS], &pins.epochs) < 0)
        return -1;
    return fence_connections_open(&pins, &tracked, NULL);
}

int lab_teardown(void **state)
{
    (void)state;
    fence_connections_close(&tracked);
    fence_epochs_unmap(&pins.epochs);
    bpf_object__close(object);
    return 0;
}

int lab_map(enum fence_map map)
{
    return pins.maps[map];
}

int lab_prog(enum fence_prog prog)
{
    return pins.progs[prog];
}

__u32 lab_ifindex(void)
{
    return ifindex;
}

__u32 lab_second_ifindex(void)
{
    return came_in_by;
}

struct fence_addr lab_addr(const char *text)
{
    struct fence_addr addr;

    assert_int_equal(fence_addr_parse(text, &addr), 0);
    return addr;
}

struct fence_addr lab_pod(int family)
{
    return lab_addr(family == 4 ? "10.244.1.5" : "fd00:10:244:1::5");
}

struct fence_addr lab_friend(int family)
{
    return lab_addr(family == 4 ? "10.244.2.5" : "fd00:10:244:2::5");
}

struct fence_addr lab_stranger(int family)
{
    return lab_addr(family == 4 ? "10.244.3.5" : "fd00:10:244:3::5");
}

struct fence_addr lab_host(int family)
{
    return lab_addr(family == 4 ? "10.244.1.1" : "fd00:10:244:1::1");
}

struct fence_addr lab_world(int family)
{
    return lab_addr(family == 4 ? "203.0.113.7" : "2001:db8::7");
}

struct fence_addr lab_service(int family)
{
    return lab_addr(family == 4 ? "10.96.0.10" : "fd00:10:96::10");
}

/* ---- maps ----------------------------------------------------------------------------------- */

static void put(enum fence_map map, const void *key, const void *value)
{
    assert_int_equal(bpf_map_update_elem(pins.maps[map], key, value, BPF_ANY), 0);
    lab_raise_epoch();
}

static void empty(enum fence_map map)
{
    unsigned char key[64];

    while (bpf_map_get_next_key(pins.maps[map], NULL, key) == 0)
        bpf_map_delete_elem(pins.maps[map], key);
}

size_t lab_map_count(enum fence_map map)
{
    unsigned char key[64], next[64];
    size_t count = 0;

    for (void *before = NULL; bpf_map_get_next_key(pins.maps[map], before, next) == 0;
         before = key) {
        memcpy(key, next, sizeof(key));
        count++;
    }
    return count;
}

struct fence_endpoint lab_endpoint(void)
{
    struct fence_endpoint endpoint;

    assert_int_equal(bpf_map_lookup_elem(pins.maps[FENCE_MAP_ENDPOINTS], &ifindex, &endpoint), 0);
    return endpoint;
}

void lab_endpoint_write(const struct fence_endpoint *endpoint)
{
    put(FENCE_MAP_ENDPOINTS, &ifindex, endpoint);
}

void lab_endpoint_remove(void)
{
    bpf_map_delete_elem(pins.maps[FENCE_MAP_ENDPOINTS], &ifindex);
    lab_raise_epoch();
}

void lab_endpoint_is_local(void)
{
    struct fence_endpoint endpoint = lab_endpoint();

    for (size_t i = 0; i < endpoint.addr_count; i++)
        put(FENCE_MAP_LOCALS, &endpoint.addrs[i], &ifindex);
}

void lab_settings_flags(unsigned int flags)
{
    struct fence_settings settings = {
        .hash_key = {0x736563726574ull, 0x73656372657432ull},
        .hz = LAB_HZ,
        .flags = flags,
        .next_set = 1,
        .bucket_mask = LAB_CONNECTIONS / FENCE_BUCKET_WAYS - 1,
        .share = LAB_SHARE,
    };
    __u32 zero = 0;

    put(FENCE_MAP_SETTINGS, &zero, &settings);
}

__u32 lab_class(unsigned int peer)
{
    return peer == LAB_PEER_OTHERS ? FENCE_CLASS_ANY : 1000 + peer;
}

void lab_table(unsigned int set, unsigned int peer, unsigned int direction,
               const struct lab_interval *intervals, size_t count)
{
    struct fence_policy_key key = {.set = set, .class = lab_class(peer), .direction = direction};
    struct fence_policy_table table = {.offset = next_interval, .count = (__u32)count};

    for (size_t i = 0; i < count; i++) {
        struct fence_interval interval = {
            .low = intervals[i].low,
            .rule = intervals[i].rule,
            .shadow_rule = intervals[i].rule,
            .verdict = (__u8)intervals[i].verdict,
            .reason = (__u8)intervals[i].reason,
            .shadow = (__u8)intervals[i].verdict,
            .shadow_reason = (__u8)intervals[i].reason,
        };

        put(FENCE_MAP_INTERVALS, &next_interval, &interval);
        next_interval++;
    }
    put(FENCE_MAP_POLICIES, &key, &table);
}

void lab_table_plain(unsigned int set, unsigned int peer, unsigned int direction,
                     unsigned int verdict)
{
    struct lab_interval interval = {
        0, verdict, verdict == FENCE_ALLOW ? FENCE_REASON_RULE : FENCE_REASON_NO_RULE, 0};

    lab_table(set, peer, direction, &interval, 1);
}

/* Allow one port of TCP, UDP and SCTP. */
static void table_port(unsigned int set, unsigned int peer, unsigned int direction,
                       unsigned int port)
{
    static const unsigned int protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};
    struct lab_interval intervals[7] = {{0, FENCE_DENY, FENCE_REASON_NO_RULE, 0}};

    for (size_t i = 0; i < 3; i++) {
        unsigned int low = FENCE_POSITION(protocols[i], port);

        intervals[1 + 2 * i] = (struct lab_interval){low, FENCE_ALLOW, FENCE_REASON_RULE, 7};
        intervals[2 + 2 * i] = (struct lab_interval){low + 1, FENCE_DENY, FENCE_REASON_NO_RULE, 0};
    }
    lab_table(set, peer, direction, intervals, 7);
}

static void put_peer(__u32 number, __u32 identity, __u32 flags, const char *addr4,
                     const char *addr6)
{
    struct fence_peer peer = {.identity = identity, .flags = flags, .class = lab_class(number)};
    struct fence_addr addrs[2] = {lab_addr(addr4), lab_addr(addr6)};

    put(FENCE_MAP_PEERS, &number, &peer);
    for (size_t i = 0; i < 2; i++)
        put(FENCE_MAP_ADDRESSES, &addrs[i], &number);
}

static void put_world(void)
{
    struct fence_prefix_key prefixes[2] = {{.length = 96, .addr = lab_addr("0.0.0.0")},
                                           {.length = 0}};
    __u32 number = LAB_PEER_WORLD;
    struct fence_peer peer = {
        .identity = FENCE_IDENTITY_WORLD, .flags = FENCE_PEER_IS_WORLD, .class = lab_class(number)};

    put(FENCE_MAP_PEERS, &number, &peer);
    for (size_t i = 0; i < 2; i++)
        put(FENCE_MAP_PREFIXES, &prefixes[i], &number);
}

void lab_reset(void)
{
    static const enum fence_map emptied[] = {
        FENCE_MAP_ENDPOINTS, FENCE_MAP_ADDRESSES,    FENCE_MAP_PREFIXES, FENCE_MAP_POLICIES,
        FENCE_MAP_FRAGMENTS, FENCE_MAP_EVENT_LIMITS, FENCE_MAP_LOCALS,   FENCE_MAP_ORIGINS,
    };
    struct fence_endpoint endpoint = {
        .identity = 256, .set = LAB_SET_STRICT, .slot = 1, .addr_count = 2};

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(emptied); i++)
        empty(emptied[i]);
    memset(tracked.buckets, 0, tracked.bucket_count * sizeof(*tracked.buckets));
    memset(tracked.usage, 0, tracked.slot_count * sizeof(*tracked.usage));
    memset(tracked.opened, 0, FENCE_MAX_OPENED * sizeof(*tracked.opened));
    next_interval = 0;
    lab_settings_flags(0);
    memcpy(endpoint.mac, lab_pod_mac, sizeof(endpoint.mac));
    endpoint.addrs[0] = lab_pod(4);
    endpoint.addrs[1] = lab_pod(6);
    lab_endpoint_write(&endpoint);

    put_peer(LAB_PEER_FRIEND, 300, 0, "10.244.2.5", "fd00:10:244:2::5");
    put_peer(LAB_PEER_STRANGER, 301, 0, "10.244.3.5", "fd00:10:244:3::5");
    put_peer(LAB_PEER_HOST, FENCE_IDENTITY_HOST, FENCE_PEER_IS_HOST, "10.244.1.1",
             "fd00:10:244:1::1");
    put_world();
    for (__u32 i = FENCE_PEER_PENDING; i <= FENCE_PEER_MASQUERADED6; i++) {
        struct fence_peer reserved = {.class = lab_class(i)};

        put(FENCE_MAP_PEERS, &i, &reserved);
    }
    for (unsigned int direction = 0; direction < FENCE_DIRECTIONS; direction++) {
        lab_table_plain(LAB_SET_STRICT, LAB_PEER_OTHERS, direction, FENCE_DENY);
        lab_table_plain(LAB_SET_OPEN, LAB_PEER_OTHERS, direction, FENCE_ALLOW);
        lab_table_plain(LAB_SET_CLOSED, LAB_PEER_OTHERS, direction, FENCE_DENY);
    }
    table_port(LAB_SET_STRICT, LAB_PEER_FRIEND, FENCE_INGRESS, 80);
    table_port(LAB_SET_STRICT, LAB_PEER_FRIEND, FENCE_EGRESS, 443);
}

void lab_service_add(void)
{
    put_peer(LAB_PEER_SERVICE, FENCE_IDENTITY_SERVICE, 0, "10.96.0.10", "fd00:10:96::10");
}

void lab_second_add(unsigned int set)
{
    struct fence_endpoint endpoint = {.identity = 257, .set = set, .slot = 2, .addr_count = 2};

    memcpy(endpoint.mac, lab_gateway_mac, sizeof(endpoint.mac));
    endpoint.addrs[0] = lab_stranger(4);
    endpoint.addrs[1] = lab_stranger(6);
    put(FENCE_MAP_ENDPOINTS, &came_in_by, &endpoint);
}

void lab_use_set(unsigned int set)
{
    struct fence_endpoint endpoint = lab_endpoint();

    endpoint.set = set;
    lab_endpoint_write(&endpoint);
}

void lab_raise_epoch(void)
{
    fence_epoch_raise(&pins);
}

void lab_raise_epoch_of(struct fence_addr addr)
{
    fence_epoch_raise_address(&pins, &addr);
}

/* ---- connections ---------------------------------------------------------------------------- */

struct tally {
    __u64 flag, value; /* of that flag */
    size_t count;
};

static int tally_visit(void *context, const struct fence_connection *entry)
{
    struct tally *tally = context;

    tally->count += (entry->state & tally->flag) == tally->value;
    return 0;
}

size_t lab_connection_count(enum lab_connections which)
{
    struct tally tally = {.flag = FENCE_CONN_ESTABLISHED};

    if (which == LAB_CLOSED)
        tally.flag = FENCE_CONN_CLOSED;
    if (which != LAB_HALF_OPEN)
        tally.value = tally.flag;
    (void)fence_connections_each(&tracked, tally_visit, &tally);
    return tally.count;
}

static struct fence_connection *entry_at(size_t i)
{
    return &tracked.buckets[i / FENCE_BUCKET_WAYS].ways[i % FENCE_BUCKET_WAYS];
}

size_t lab_bucket_count(void)
{
    size_t count = 0, last = SIZE_MAX;

    for (size_t i = 0; i < LAB_CONNECTIONS; i++) {
        if (!(entry_at(i)->state & FENCE_CONN_LIVE) || i / FENCE_BUCKET_WAYS == last)
            continue;
        last = i / FENCE_BUCKET_WAYS;
        count++;
    }
    return count;
}

void lab_grow_old(int seconds)
{
    lab_grow_old_by(seconds * LAB_HZ);
}

void lab_connections_age(int jiffies)
{
    for (size_t i = 0; i < LAB_CONNECTIONS; i++)
        if (entry_at(i)->state)
            entry_at(i)->state -= FENCE_STATE(jiffies, 0, 0);
}

void lab_grow_old_by(int jiffies)
{
    lab_connections_age(jiffies);
    lab_raise_epoch();
}

void lab_connections_lose(void)
{
    fence_connections_forget(&tracked, lab_endpoint().slot);
}

void lab_connection_flags(unsigned int set, unsigned int clear)
{
    for (size_t i = 0; i < LAB_CONNECTIONS; i++)
        if (entry_at(i)->state)
            entry_at(i)->state = (entry_at(i)->state & ~(__u64)clear) | set;
}

/* ---- events --------------------------------------------------------------------------------- */

static void take_event(void *context, const struct fence_event *event)
{
    *(struct fence_event *)context = *event;
}

struct fence_event lab_told(void)
{
    static struct fence_events *events;
    static struct fence_event told;

    memset(&told, 0, sizeof(told));
    if (!events)
        assert_int_equal(fence_events_new(&pins, take_event, &told, &events, NULL), 0);
    assert_true(fence_events_consume(events) >= 0);
    return told;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/datapath/read.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/names.h"
#include "lib/datapath/probe.h"
#include "lib/datapath/walk.h"

int fence_map_each(const struct fence_pins *pins, enum fence_map map, fence_map_visit visit,
                   void *context, struct fence_err *err)
{
    int r = fence_map_walk(pins->maps[map], visit, context);

    return r < 0 ? fence_err_set(err, r, "%s map: %s", fence_map_name(map), strerror(-r)) : r;
}

int fence_counter_read(const struct fence_pins *pins, unsigned int reason, unsigned int direction,
                       struct fence_counter *ret_counter)
{
    FENCE_FREE struct fence_counter *cpus = NULL;
    struct fence_counter sum = {0};
    __u32 index = reason * FENCE_DIRECTIONS + direction;
    int count = libbpf_num_possible_cpus();
    int r;

    if (reason >= FENCE_REASON_COUNT || direction >= FENCE_DIRECTIONS)
        return -EINVAL;
    if (count < 0)
        return count;
    cpus = calloc((size_t)count, sizeof(*cpus));
    if (!cpus)
        return -ENOMEM;
    r = bpf_map_lookup_elem(pins->maps[FENCE_MAP_COUNTERS], &index, cpus);
    if (r < 0)
        return r;
    for (int i = 0; i < count; i++) {
        sum.packets += cpus[i].packets;
        sum.bytes += cpus[i].bytes;
    }
    *ret_counter = sum;
    return 0;
}

struct flows {
    int cpus;
    int (*visit)(void *context, const struct fence_flow_key *key, const struct fence_flow *flow);
    void *context;
};

/* A CPU that found the entry made by another has no first_seen. */
static __u64 earlier(__u64 a, __u64 b)
{
    if (!a || !b)
        return a | b;
    return a < b ? a : b;
}

static void add_cpu(struct fence_flow *sum, const struct fence_flow *cpu)
{
    const struct fence_flow before = *sum;

    if (!cpu->count)
        return;
    if (cpu->last_seen >= before.last_seen)
        *sum = *cpu;
    sum->count = before.count + cpu->count;
    sum->first_seen = earlier(before.first_seen, cpu->first_seen);
}

static int flow_visit(void *context, const void *key, const void *value)
{
    const struct flows *flows = context;
    const struct fence_flow *cpus = value;
    struct fence_flow sum = {0};

    for (int i = 0; i < flows->cpus; i++)
        add_cpu(&sum, &cpus[i]);
    return flows->visit(flows->context, key, &sum);
}

int fence_flows_each(const struct fence_pins *pins,
                     int (*visit)(void *context, const struct fence_flow_key *key,
                                  const struct fence_flow *flow),
                     void *context, struct fence_err *err)
{
    struct flows flows = {.cpus = libbpf_num_possible_cpus(), .visit = visit, .context = context};

    if (flows.cpus < 0)
        return fence_err_set(err, flows.cpus, "number of CPUs: %s", strerror(-flows.cpus));
    return fence_map_each(pins, FENCE_MAP_FLOWS, flow_visit, &flows, err);
}

int fence_settings_read(const struct fence_pins *pins, struct fence_settings *ret_settings)
{
    const __u32 zero = 0;

    return bpf_map_lookup_elem(pins->maps[FENCE_MAP_SETTINGS], &zero, ret_settings);
}

int fence_about_read(const struct fence_pins *pins, struct fence_about *ret_about)
{
    const __u32 zero = 0;
    int r = bpf_map_lookup_elem(pins->maps[FENCE_MAP_ABOUT], &zero, ret_about);

    if (r < 0)
        return r;
    ret_about->version[sizeof(ret_about->version) - 1] = '\0';
    for (char *at = ret_about->version; *at; at++)
        if (!isgraph((unsigned char)*at))
            *at = '?';
    return 0;
}

void fence_about_compare(const struct fence_pins *pins, char text[256])
{
    struct fence_about about;

    text[0] = '\0';
    if (fence_about_read(pins, &about) == 0 && strcmp(about.version, FENCE_VERSION) != 0)
        snprintf(text, 256,
                 "this is podfence %s, but the data path at %s was loaded by podfenced %s: install "
                 "all programs of one version",
                 FENCE_VERSION, pins->root, about.version[0] ? about.version : "of no version");
}

int fence_identity_read(const struct fence_pins *pins, __u32 number,
                        struct fence_identity_info *ret_info)
{
    int r = bpf_map_lookup_elem(pins->maps[FENCE_MAP_IDENTITIES], &number, ret_info);

    if (r < 0)
        return r;
    ret_info->namespace_name[sizeof(ret_info->namespace_name) - 1] = '\0';
    ret_info->app[sizeof(ret_info->app) - 1] = '\0';
    ret_info->labels[sizeof(ret_info->labels) - 1] = '\0';
    return 0;
}

int fence_rule_read(const struct fence_pins *pins, __u32 number, struct fence_rule_info *ret_info)
{
    int r = bpf_map_lookup_elem(pins->maps[FENCE_MAP_RULES], &number, ret_info);

    if (r == 0)
        ret_info->policy[sizeof(ret_info->policy) - 1] = '\0';
    return r;
}

int fence_interval_read(const struct fence_pins *pins, __u32 index,
                        struct fence_interval *ret_interval)
{
    return bpf_map_lookup_elem(pins->maps[FENCE_MAP_INTERVALS], &index, ret_interval);
}

int fence_peer_read(const struct fence_pins *pins, __u32 number, struct fence_peer *ret_peer)
{
    return bpf_map_lookup_elem(pins->maps[FENCE_MAP_PEERS], &number, ret_peer);
}

static bool is_link_local(const struct fence_addr *addr)
{
    return addr->bytes[0] == 0xfe && (addr->bytes[1] & 0xc0) == 0x80;
}

/* As bpf/peer.bpf.h. */
int fence_address_resolve(const struct fence_pins *pins, const struct fence_addr *addr,
                          __u32 *ret_peer)
{
    struct fence_prefix_key key = {.length = 128, .addr = *addr};
    struct fence_settings settings;
    __u32 peer = FENCE_PEER_PENDING;
    int r = bpf_map_lookup_elem(pins->maps[FENCE_MAP_ADDRESSES], addr, &peer);

    if (r == -ENOENT) {
        r = fence_settings_read(pins, &settings);
        if (r == 0 && !(settings.flags & FENCE_SETTING_ADDRESSES_INCOMPLETE) &&
            !is_link_local(addr))
            r = bpf_map_lookup_elem(pins->maps[FENCE_MAP_PREFIXES], &key, &peer);
    }
    if (r < 0 && r != -ENOENT)
        return r;
    *ret_peer = peer;
    return 0;
}

void fence_identity_show(const struct fence_pins *pins, __u32 identity, char *text, size_t size)
{
    struct fence_identity_info info;

    if (identity < FENCE_IDENTITY_FIRST)
        snprintf(text, size, "%s", fence_identity_reserved_name(identity));
    else if (fence_identity_read(pins, identity, &info) < 0)
        snprintf(text, size, "identity-%u", identity);
    else if (info.kind == FENCE_KIND_NODE)
        snprintf(text, size, "node/%s", info.app);
    else
        snprintf(text, size, "%s/%s", info.namespace_name, info.app);
}

int fence_jiffies(const struct fence_pins *pins, __u64 *ret_jiffies)
{
    unsigned char frame[64] = {0};
    struct fence_prog_context context = {0};
    int r =
        fence_prog_run(pins->progs[FENCE_PROG_PROBE_CLOCK], &context, frame, sizeof(frame), NULL);

    if (r < 0)
        return r;
    *ret_jiffies = (__u64)context.cb[1] << 32 | context.cb[0];
    return 0;
}

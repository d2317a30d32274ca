/* SPDX-License-Identifier: Apache-2.0 */
#include "test/datapath/plans.h"

#include <netinet/in.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/shared.h"
#include "lib/datapath/probe.h"
#include "lib/datapath/read.h"
#include "test/cmocka.h"

/* A new item of a plan's list; yields its index. */
#define APPEND(plan, name)                                                                         \
    ({                                                                                             \
        uint32_t index_;                                                                           \
        assert_int_equal(FENCE_PLAN_ADD(plan, name, &index_), 0);                                  \
        index_;                                                                                    \
    })

static char *copy(const char *text)
{
    char *made = strdup(text);

    assert_non_null(made);
    return made;
}

uint32_t plan_identity(struct fence_plan *plan, const char *content, uint32_t reserved)
{
    uint32_t index = APPEND(plan, identities);
    struct fence_plan_identity *identity = &plan->identities[index];

    identity->content = copy(content);
    identity->reserved = reserved;
    identity->kind = reserved ? FENCE_KIND_RESERVED : FENCE_KIND_POD;
    identity->namespace_name = fence_shared_string("shop");
    identity->app = fence_shared_string(content);
    identity->labels = fence_shared_labels_none();
    return index;
}

/* One of its own: some rule means just this peer. */
static uint32_t plan_class(struct fence_plan *plan, const char *content)
{
    uint32_t index = APPEND(plan, classes);
    uint32_t atom = APPEND(plan, atoms);
    struct fence_plan_class *class = &plan->classes[index];

    plan->atoms[atom].content = copy(content);
    class->ports = fence_ports_none();
    class->atoms = calloc(1, sizeof(*class->atoms));
    assert_non_null(class->atoms);
    class->atoms[0] = atom;
    class->atom_count = 1;
    return index;
}

uint32_t plan_peer(struct fence_plan *plan, const char *content, uint32_t identity,
                   uint32_t reserved)
{
    uint32_t class = plan_class(plan, content);
    uint32_t index = APPEND(plan, peers);

    plan->peers[index].content = copy(content);
    plan->peers[index].identity = identity;
    plan->peers[index].reserved = reserved;
    plan->peers[index].class = class;
    return index;
}

uint32_t plan_rule(struct fence_plan *plan, const char *policy, uint32_t index, uint32_t direction)
{
    uint32_t made = APPEND(plan, rules);

    plan->rules[made].policy = copy(policy);
    plan->rules[made].index = index;
    plan->rules[made].direction = direction;
    return made;
}

uint32_t plan_table(struct fence_plan *plan, const struct fence_interval *intervals, size_t count)
{
    uint32_t index = APPEND(plan, tables);
    struct fence_plan_table *table = &plan->tables[index];

    for (size_t i = 0; i < count; i++) {
        assert_int_equal(FENCE_GROW(table->intervals, table->capacity, table->count), 0);
        table->intervals[table->count++] = intervals[i];
    }
    return index;
}

uint32_t plan_set(struct fence_plan *plan, const char *content, uint32_t egress, uint32_t ingress)
{
    uint32_t index = APPEND(plan, sets);

    plan->sets[index].content = copy(content);
    plan->sets[index].fallback[FENCE_EGRESS] = egress;
    plan->sets[index].fallback[FENCE_INGRESS] = ingress;
    return index;
}

void plan_address(struct fence_plan *plan, const char *text, uint32_t peer)
{
    struct fence_addr addr = node_addr(text);
    struct fence_address *entry = fence_addresses_obtain(&plan->addresses, &addr);

    assert_non_null(entry);
    entry->peer = peer;
    assert_int_equal(fence_addresses_mark(&plan->addresses, entry), 0);
}

void plan_forget_address(struct fence_plan *plan, const char *text)
{
    struct fence_addr addr = node_addr(text);
    struct fence_address *entry = fence_addresses_find(&plan->addresses, &addr);

    assert_non_null(entry);
    entry->peer = FENCE_ADDRESS_NONE;
}

void plan_rename_peer(struct fence_plan *plan, uint32_t peer, const char *content)
{
    const struct fence_plan_class *class = &plan->classes[plan->peers[peer].class];

    free(plan->peers[peer].content);
    plan->peers[peer].content = copy(content);
    free(plan->atoms[class->atoms[0]].content);
    plan->atoms[class->atoms[0]].content = copy(content);
}

void plan_prefix(struct fence_plan *plan, const char *text, uint32_t peer)
{
    struct fence_plan_prefix prefix = {.peer = peer};

    assert_int_equal(fence_prefix_parse(text, &prefix.prefix, NULL), 0);
    assert_int_equal(FENCE_GROW(plan->prefixes, plan->prefixes_capacity, plan->prefixes_count), 0);
    plan->prefixes[plan->prefixes_count++] = prefix;
    plan->prefixes_touched = true;
}

void plan_entry(struct fence_plan *plan, uint32_t set, const struct plan_entry *entry)
{
    uint32_t class = plan->peers[entry->peer].class;

    assert_int_equal(fence_plan_set_reserve(&plan->sets[set], class + 1), 0);
    plan->sets[set].tables[entry->direction][class] = entry->table;
}

void plan_forget_entries(struct fence_plan *plan, uint32_t set)
{
    for (int direction = 0; direction < FENCE_DIRECTIONS; direction++)
        for (size_t i = 0; i < plan->sets[set].table_count; i++)
            plan->sets[set].tables[direction][i] = FENCE_PLAN_NONE;
}

void plan_endpoint(struct fence_plan *plan, unsigned int link, uint32_t identity, uint32_t set)
{
    uint32_t index = APPEND(plan, endpoints);

    plan->endpoints[index].ifindex = node_ifindex(link);
    plan->endpoints[index].identity = identity;
    plan->endpoints[index].set = set;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(plan->endpoints[index].ends); i++)
        plan->endpoints[index].ends[i] = fence_plan_no_end();
}

static void add_tables(struct fence_plan *plan, uint32_t rule)
{
    const struct fence_interval deny[] = {
        {.reason = FENCE_REASON_NO_RULE, .shadow_reason = FENCE_REASON_NO_RULE},
    };
    const struct fence_interval allow[] = {{
        .verdict = FENCE_ALLOW,
        .reason = FENCE_REASON_NOT_ISOLATED,
        .shadow = FENCE_ALLOW,
        .shadow_reason = FENCE_REASON_NOT_ISOLATED,
    }};
    const struct fence_interval sql[] = {
        deny[0],
        {
            .low = FENCE_POSITION(IPPROTO_TCP, 5432),
            .rule = rule + 1,
            .shadow_rule = rule + 1,
            .verdict = FENCE_ALLOW,
            .reason = FENCE_REASON_RULE,
            .shadow = FENCE_ALLOW,
            .shadow_reason = FENCE_REASON_RULE,
        },
        {
            .low = FENCE_POSITION(IPPROTO_TCP, 5433),
            .reason = FENCE_REASON_NO_RULE,
            .shadow_reason = FENCE_REASON_NO_RULE,
        },
    };

    plan_table(plan, deny, 1);
    plan_table(plan, allow, 1);
    plan_table(plan, sql, 3);
}

struct fence_plan *plan_shop_without_addresses(void)
{
    const struct plan_entry web_in = {SHOP_WEB, FENCE_INGRESS, SHOP_SQL};
    struct fence_plan *plan = calloc(1, sizeof(*plan));

    assert_non_null(plan);
    plan_identity(plan, "world", FENCE_IDENTITY_WORLD);
    plan_identity(plan, "pending", FENCE_IDENTITY_PENDING);
    plan_identity(plan, "web", 0);
    plan_identity(plan, "db", 0);
    plan_peer(plan, "pending", SHOP_PENDING_ID, FENCE_PEER_PENDING);
    plan_peer(plan, "world 0.0.0.0/0", SHOP_WORLD_ID, 0);
    plan_peer(plan, "world ::/0", SHOP_WORLD_ID, 0);
    plan_peer(plan, "web 10.0.0.0/24", SHOP_WEB_ID, 0);
    plan_peer(plan, "db 10.0.0.0/24", SHOP_DB_ID, 0);
    plan_prefix(plan, "0.0.0.0/0", SHOP_WORLD4);
    plan_prefix(plan, "::/0", SHOP_WORLD6);
    plan_prefix(plan, "10.0.0.0/24", SHOP_PENDING);
    add_tables(plan, plan_rule(plan, "NetworkPolicy/shop/db-in", 0, FENCE_INGRESS));
    plan_set(plan, "no policy", SHOP_ALLOW, SHOP_ALLOW);
    plan_set(plan, "db-in", SHOP_ALLOW, SHOP_DENY);
    plan_entry(plan, SHOP_DB_SET, &web_in);
    plan_endpoint(plan, 0, SHOP_WEB_ID, SHOP_OPEN);
    plan_endpoint(plan, 1, SHOP_DB_ID, SHOP_DB_SET);
    return plan;
}

struct fence_plan *plan_shop(void)
{
    struct fence_plan *plan = plan_shop_without_addresses();

    plan_address(plan, "10.0.0.1", SHOP_WEB);
    plan_address(plan, "10.0.0.2", SHOP_DB);
    return plan;
}

void shop_pods(const struct fence_pins *pins)
{
    node_add(pins, 0, "web", "10.0.0.1");
    node_add(pins, 1, "db", "10.0.0.2");
}

struct fence_apply *apply_begin(const struct fence_pins *pins)
{
    struct fence_apply *apply = NULL;
    struct fence_err err = {{0}};

    node_check(fence_apply_new(pins, &apply, &err), &err);
    return apply;
}

struct fence_apply_report apply_plan(struct fence_apply *apply, struct fence_plan *plan)
{
    struct fence_apply_report report = {0};
    struct fence_err err = {{0}};

    node_check(fence_apply(apply, plan, &report, &err), &err);
    fence_plan_free(&plan);
    return report;
}

size_t apply_well(struct fence_apply *apply, struct fence_plan *plan)
{
    struct fence_apply_report report = apply_plan(apply, plan);
    size_t writes = report.writes;

    if (report.failure_count)
        fail_msg("%s: %s", report.failures[0].subject, report.failures[0].text);
    fence_apply_report_done(&report);
    return writes;
}

void apply_sweep(struct fence_apply *apply)
{
    struct fence_err err = {{0}};

    node_check(fence_apply_sweep(apply, &err), &err);
}

__u32 peer_of(const struct fence_pins *pins, const char *addr)
{
    struct fence_addr parsed = node_addr(addr);
    __u32 peer = 0;

    assert_int_equal(fence_address_resolve(pins, &parsed, &peer), 0);
    return peer;
}

int ask(const struct fence_pins *pins, unsigned int link, enum fence_direction direction,
        const char *remote, unsigned int port)
{
    struct fence_packet packet = {
        .protocol = IPPROTO_TCP,
        .source_port = 40000,
        .destination_port = port,
    };
    struct fence_probe_result result = {0};
    struct fence_err err = {{0}};

    if (direction == FENCE_EGRESS)
        packet.destination = node_addr(remote);
    else
        packet.source = node_addr(remote);
    node_check(fence_probe(pins, node_ifindex(link), direction, FENCE_ORIGIN_FORWARDED, &packet,
                           &result, &err),
               &err);
    return result.verdict == FENCE_ALLOW ? FENCE_ALLOW : -(int)result.reason;
}

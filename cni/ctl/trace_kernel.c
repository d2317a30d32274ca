/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to the data path: a first packet through the probe programs, over the live maps. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "cni/ctl/daemon.h"
#include "cni/ctl/names.h"
#include "cni/ctl/trace.h"
#include "lib/base/addr.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"
#include "lib/datapath/probe.h"
#include "lib/datapath/read.h"

struct trace_kernel {
    const struct ctl *ctl;
    bool alone; /* no daemon answers: it is not asked again */
    struct fence_pins pins;
    struct fence_endpoint_list endpoints;
};

/* An end in one family. */
struct end {
    const struct fence_endpoint_record *record; /* NULL: not an endpoint of this node */
    struct fence_addr addr;
};

/* The packet, and whose side each direction is: egress of `from`, ingress of `to`. */
struct shot {
    struct fence_packet packet;
    struct end ends[FENCE_DIRECTIONS];
};

int trace_kernel_new(const struct ctl *ctl, struct trace_kernel **ret_kernel)
{
    struct trace_kernel *kernel = calloc(1, sizeof(*kernel));
    struct fence_err err = {0};
    int r;

    if (!kernel)
        return ctl_fail(ctl, "out of memory");
    kernel->ctl = ctl;
    fence_pins_init(&kernel->pins);
    r = ctl_open_pins(ctl, &kernel->pins);
    if (r == CTL_DONE && fence_endpoints_list(&kernel->pins, &kernel->endpoints, &err) < 0)
        r = ctl_fail(ctl, "%s", err.text);
    if (r == CTL_DONE)
        *ret_kernel = TAKE_PTR(kernel);
    trace_kernel_free(&kernel);
    return r;
}

void trace_kernel_free(struct trace_kernel **kernel)
{
    if (!*kernel)
        return;
    fence_endpoint_list_done(&(*kernel)->endpoints);
    fence_pins_close(&(*kernel)->pins);
    free(*kernel);
    *kernel = NULL;
}

static bool fits(const struct fence_addr *addr, int family)
{
    return !family || fence_addr_is_ipv4(addr) == (family == 4);
}

static int resolve(const struct trace_kernel *kernel, const char *text, int family,
                   struct end *ret_end, struct fence_err *err)
{
    struct end end = {0};
    const struct fence_endpoint *endpoint;

    if (fence_addr_parse(text, &end.addr) == 0) {
        if (!fits(&end.addr, family))
            return fence_err_set(err, -EINVAL, "%s is no IPv%d address", text, family);
        end.record = ctl_endpoint_by_addr(&kernel->endpoints, &end.addr);
        *ret_end = end;
        return 0;
    }
    end.record = ctl_endpoint_by_name(&kernel->endpoints, text);
    if (!end.record)
        return fence_err_set(err, -ENOENT,
                             "%s is neither a pod of this node nor an address; a pod elsewhere is "
                             "named by its address here, or asked for with --objects",
                             text);
    endpoint = &end.record->endpoint;
    for (size_t i = 0; i < endpoint->addr_count && i < FENCE_ENDPOINT_ADDRS; i++) {
        if (!fits(&endpoint->addrs[i], family))
            continue;
        end.addr = endpoint->addrs[i];
        *ret_end = end;
        return 0;
    }
    if (!family)
        return fence_err_set(err, -EINVAL, "%s has no address", text);
    return fence_err_set(err, -EINVAL, "%s has no IPv%d address", text, family);
}

static const struct fence_side unenforced = {
    .verdict = FENCE_ALLOW,
    .shadow = FENCE_ALLOW,
    .reason = FENCE_REASON_NOT_AN_ENDPOINT,
    .rule = FENCE_RULE_NONE,
};

/* A side that is no endpoint here: enforced on another node, or nowhere. */
static struct fence_side side_elsewhere(const struct trace_kernel *kernel,
                                        const struct fence_addr *addr)
{
    struct fence_side side = unenforced;
    struct fence_identity_info info;
    struct fence_peer peer = {0};
    __u32 number;

    if (fence_address_resolve(&kernel->pins, addr, &number) < 0 ||
        fence_peer_read(&kernel->pins, number, &peer) < 0 ||
        peer.identity == FENCE_IDENTITY_PENDING || peer.identity == FENCE_IDENTITY_INCOMPLETE)
        side.unknown = true;
    else if (peer.identity >= FENCE_IDENTITY_FIRST)
        side.unknown = fence_identity_read(&kernel->pins, peer.identity, &info) < 0 ||
                       info.kind == FENCE_KIND_POD;
    return side;
}

/* A connection from the node's own address is one of its processes: nobody else may use it. */
static enum fence_origin origin_of(const struct trace_kernel *kernel, const struct end *from)
{
    struct fence_peer peer = {0};
    __u32 number;

    if (!from->record && fence_address_resolve(&kernel->pins, &from->addr, &number) == 0 &&
        fence_peer_read(&kernel->pins, number, &peer) == 0 && (peer.flags & FENCE_PEER_IS_HOST))
        return FENCE_ORIGIN_LOCAL;
    return FENCE_ORIGIN_FORWARDED;
}

static int probe_side(const struct trace_kernel *kernel, const struct shot *shot,
                      enum fence_direction direction, struct fence_side *ret_side,
                      struct fence_err *err)
{
    const struct end *end = &shot->ends[direction];
    enum fence_origin origin = origin_of(kernel, &shot->ends[FENCE_EGRESS]);
    struct fence_probe_result result;
    struct fence_rule_info info;
    int r;

    if (!end->record) {
        *ret_side = side_elsewhere(kernel, &end->addr);
        return 0;
    }
    r = fence_probe(&kernel->pins, end->record->ifindex, direction, origin, &shot->packet, &result,
                    err);
    if (r < 0)
        return r;
    *ret_side = (struct fence_side){
        .verdict = result.verdict,
        .shadow = result.shadow,
        .reason = result.reason,
        .rule = FENCE_RULE_NONE,
    };
    if (result.rule && fence_rule_read(&kernel->pins, result.rule, &info) == 0) {
        snprintf(ret_side->policy, sizeof(ret_side->policy), "%s", info.policy);
        ret_side->rule = info.index;
    }
    return 0;
}

/* A source port that no connection of the moment is likely to have. */
static unsigned int any_port(void)
{
    unsigned short number = 0;

    if (getrandom(&number, sizeof(number), GRND_NONBLOCK) != sizeof(number))
        number = 12345;
    return 32768u + number % 28000u;
}

/* A pod's packet to its own address never leaves it, so there is nothing to ask the filters. */
static bool is_itself(const struct shot *shot)
{
    const struct fence_endpoint_record *from = shot->ends[FENCE_EGRESS].record;
    const struct fence_endpoint_record *to = shot->ends[FENCE_INGRESS].record;

    return from && to && strcmp(from->info.container_id, to->info.container_id) == 0;
}

static cJSON *nearest_request(const struct shot *shot)
{
    char from[FENCE_ADDR_TEXT], to[FENCE_ADDR_TEXT];
    cJSON *message = cJSON_CreateObject();

    cJSON_AddStringToObject(message, "op", "nearest");
    cJSON_AddStringToObject(message, "from", fence_addr_format(&shot->packet.source, from));
    cJSON_AddStringToObject(message, "to", fence_addr_format(&shot->packet.destination, to));
    cJSON_AddNumberToObject(message, "protocol", shot->packet.protocol);
    cJSON_AddNumberToObject(message, "port", shot->packet.destination_port);
    return message;
}

static void take_nearest(const cJSON *item, struct fence_answer *answer)
{
    for (unsigned int i = 0; i < FENCE_DIRECTIONS; i++) {
        struct fence_side *side = &answer->sides[i];
        const cJSON *rule = ctl_member(item, "rule");

        if (strcmp(ctl_member_text(item, "direction"), fence_direction_name(i)) != 0 ||
            side->unknown || side->verdict == FENCE_ALLOW)
            continue;
        snprintf(side->nearest_policy, sizeof(side->nearest_policy), "%s",
                 ctl_member_text(item, "policy"));
        snprintf(side->nearest_failed, sizeof(side->nearest_failed), "%s",
                 ctl_member_text(item, "failed"));
        side->nearest_rule = rule ? (uint32_t)rule->valuedouble : FENCE_RULE_NONE;
    }
}

/* What came close only the daemon knows: the maps hold no rule's text. Nothing without one. */
static void add_nearest(struct trace_kernel *kernel, const struct shot *shot,
                        struct fence_answer *answer)
{
    struct fence_err unused = {0};
    cJSON *message, *reply = NULL;
    const cJSON *item;
    bool denied = false;

    for (int i = 0; i < FENCE_DIRECTIONS; i++)
        denied |= !answer->sides[i].unknown && answer->sides[i].verdict != FENCE_ALLOW;
    if (!denied || kernel->alone)
        return;
    message = nearest_request(shot);
    kernel->alone = ctl_daemon_request(kernel->ctl, message, &reply, &unused) < 0;
    cJSON_ArrayForEach(item, ctl_member(reply, "nearest")) take_nearest(item, answer);
    cJSON_Delete(message);
    cJSON_Delete(reply);
}

static int ask(void *context, const struct fence_query *query, struct fence_answer *ret_answer,
               struct fence_err *err)
{
    struct trace_kernel *kernel = context;
    struct fence_answer answer = {0};
    struct shot shot = {
        .packet = {.protocol = query->protocol,
                   .source_port = any_port(),
                   .destination_port = query->port},
    };
    struct end *from = &shot.ends[FENCE_EGRESS], *to = &shot.ends[FENCE_INGRESS];
    int r = resolve(kernel, query->from, query->family, from, err);

    if (r == 0)
        r = resolve(kernel, query->to, query->family, to, err);
    if (r < 0)
        return r;
    if (fence_addr_is_ipv4(&from->addr) != fence_addr_is_ipv4(&to->addr))
        return fence_err_set(err, -EINVAL, "%s and %s have no address family in common",
                             query->from, query->to);
    if (is_itself(&shot)) {
        answer.sides[FENCE_EGRESS] = answer.sides[FENCE_INGRESS] = unenforced;
        *ret_answer = answer;
        return 0;
    }
    shot.packet.source = from->addr;
    shot.packet.destination = to->addr;
    for (int i = 0; r == 0 && i < FENCE_DIRECTIONS; i++)
        r = probe_side(kernel, &shot, (enum fence_direction)i, &answer.sides[i], err);
    if (r < 0)
        return r;
    add_nearest(kernel, &shot, &answer);
    *ret_answer = answer;
    return 0;
}

struct trace_source trace_kernel_source(struct trace_kernel *kernel)
{
    return (struct trace_source){.ask = ask, .context = kernel};
}

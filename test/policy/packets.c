/* SPDX-License-Identifier: Apache-2.0 */
#include "test/policy/packets.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/names.h"
#include "test/policy/frames.h"
#include "test/policy/packets_world.h"

/* Files that ask for what podfence does not do yet. One that comes out as written all the same is
 * a failure: it must leave this list. */
static const struct {
    const char *name;
    const char *why;
} gaps[] = {
    {NULL, NULL}, /* the end: there are none */
};

static const unsigned char gateway_mac[6] = {2, [5] = 1};

static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static const char *text_of(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(member(object, key));

    return text ? text : "";
}

const char *packets_known_gap(const cJSON *file)
{
    for (size_t i = 0; gaps[i].name; i++)
        if (strcmp(text_of(file, "name"), gaps[i].name) == 0)
            return gaps[i].why;
    return NULL;
}

/* ---- one sequence ---------------------------------------------------------------------------- */

struct sequence {
    struct packets *packets;
    const cJSON *file;
    enum packets_phase phase;
    const struct case_node *node;
    const struct fence_local *local;
    /* The last packet of each family that passed and is no ICMP: what errors quote. */
    struct frame passed[FENCE_DIRECTIONS][2];
    unsigned int identification;
};

/* A frame and where it comes by. */
struct passage {
    struct frame_request request;
    enum fence_direction direction;
    struct frame frame;
};

static int find_pod(struct sequence *sequence, const struct case_file *file)
{
    const cJSON *pod = member(sequence->file, "pod");

    for (size_t i = 0; i < file->node_count; i++)
        for (size_t j = 0; j < file->nodes[i].local_count; j++) {
            const struct fence_local *local = &file->nodes[i].locals[j];

            if (strcmp(local->pod, text_of(pod, "name")) != 0 ||
                strcmp(local->namespace_name, text_of(pod, "ns")) != 0)
                continue;
            sequence->node = &file->nodes[i];
            sequence->local = local;
            return 0;
        }
    return -ENOENT;
}

static int read_world(struct sequence *sequence, struct case_file *world, struct fence_err *err)
{
    cJSON *json = packets_world(sequence->file, sequence->phase);
    FENCE_FREE char *text = cJSON_PrintUnformatted(json);
    int r;

    cJSON_Delete(json);
    r = text ? case_read(world, text, err) : -ENOMEM;
    if (r != 0)
        return r;
    r = find_pod(sequence, world);
    if (r < 0)
        fence_err_set(err, r, "`pod` is none that could have hooks");
    return r;
}

/* The data path follows to what the policies are now; it looks at the world before until then. */
static int follow(struct sequence *sequence, struct fence_err *err)
{
    struct packets *packets = sequence->packets;
    struct case_file world = {0};
    int r = packets->reconciler ? 0 : reconciler_new(&packets->reconciler, err);

    if (r == 0)
        r = read_world(sequence, &world, err);
    if (r != 0) {
        case_done(&world);
        return r;
    }
    r = reconciler_update(packets->reconciler, &sequence->node->world, err);
    if (r != 0)
        reconciler_free(&packets->reconciler);
    case_done(&packets->world);
    packets->world = world;
    return r;
}

/* ---- packets --------------------------------------------------------------------------------- */

static bool owns(const struct fence_addr *addrs, size_t count, const struct fence_addr *addr)
{
    for (size_t i = 0; i < count; i++)
        if (fence_addr_equal(&addrs[i], addr))
            return true;
    return false;
}

/* From the pod, unless it is to the pod or to a group: what is neither's is a forged source. */
static enum fence_direction direction_of(const struct sequence *sequence,
                                         const struct fence_packet *packet)
{
    const struct fence_local *local = sequence->local;
    bool group = packet->destination.bytes[0] == 0xff;

    if (owns(local->addrs, local->addr_count, &packet->source))
        return FENCE_EGRESS;
    return group || owns(local->addrs, local->addr_count, &packet->destination) ? FENCE_INGRESS
                                                                                : FENCE_EGRESS;
}

/* The pod of this node that has the address. */
static uint32_t owner_of(const struct case_node *node, const struct fence_addr *addr)
{
    for (size_t i = 0; i < node->world.local_count; i++)
        if (owns(node->world.locals[i].addrs, node->world.locals[i].addr_count, addr))
            return node->world.locals[i].ifindex;
    return 0;
}

static void set_macs(struct fence_packet *packet, enum fence_direction direction)
{
    bool sent = direction == FENCE_EGRESS;

    memcpy(packet->source_mac, sent ? reconciler_pod_mac : gateway_mac, sizeof(gateway_mac));
    memcpy(packet->destination_mac, sent ? gateway_mac : reconciler_pod_mac, sizeof(gateway_mac));
}

static int read_packet(struct sequence *sequence, const cJSON *json, struct passage *passage,
                       struct fence_err *err)
{
    struct frame_request *request = &passage->request;
    struct fence_packet *packet = &request->packet;
    const cJSON *sport = member(json, "sport"), *dport = member(json, "dport");

    *request = (struct frame_request){.what = text_of(json, "what"),
                                      .arp = strcmp(text_of(json, "proto"), "ARP") == 0};
    if ((!request->arp && fence_protocol_parse(text_of(json, "proto"), &packet->protocol) < 0) ||
        fence_addr_parse(text_of(json, "src"), &packet->source) < 0 ||
        fence_addr_parse(text_of(json, "dst"), &packet->destination) < 0)
        return fence_err_set(err, -EINVAL, "its proto, src or dst is none");
    request->has_ports = cJSON_IsNumber(sport) && cJSON_IsNumber(dport);
    if (request->has_ports) {
        packet->source_port = (unsigned int)sport->valuedouble;
        packet->destination_port = (unsigned int)dport->valuedouble;
    }
    passage->direction = direction_of(sequence, packet);
    set_macs(packet, passage->direction);
    if (frame_is_first_fragment(request->what))
        sequence->identification++;
    request->identification = sequence->identification;
    return 0;
}

static int pass(struct sequence *sequence, struct passage *passage,
                struct reconciler_passage *ret_result, struct fence_err *err)
{
    const struct fence_packet *packet = &passage->request.packet;
    const struct case_node *node = sequence->node;
    bool local = passage->direction == FENCE_INGRESS &&
                 owns(node->host_addrs, node->host_addr_count, &packet->source);
    const struct reconciler_frame frame = {
        .ifindex = sequence->local->ifindex,
        .direction = passage->direction,
        .origin = local ? FENCE_ORIGIN_LOCAL : FENCE_ORIGIN_FORWARDED,
        .sender = owner_of(node, &packet->source),
        .bytes = passage->frame.bytes,
        .size = passage->frame.size,
    };
    int r = reconciler_run(sequence->packets->reconciler, &frame, ret_result, err);

    if (r == 0 && ret_result->passed && !passage->request.arp && packet->protocol != IPPROTO_ICMP &&
        packet->protocol != IPPROTO_ICMPV6)
        sequence->passed[passage->direction][fence_addr_is_ipv4(&packet->source)] = passage->frame;
    return r;
}

/* ---- what ICMP errors quote ------------------------------------------------------------------ */

/* A first packet of the pod to this address and port. */
static int build_first(const struct sequence *sequence, const struct fence_addr *to,
                       unsigned int port, struct passage *passage)
{
    struct fence_packet *packet = &passage->request.packet;
    const struct fence_local *local = sequence->local;

    *passage = (struct passage){.direction = FENCE_EGRESS, .request = {.what = "SYN"}};
    *packet = (struct fence_packet){.destination = *to,
                                    .protocol = IPPROTO_TCP,
                                    .source_port = 50000,
                                    .destination_port = port};
    for (size_t i = 0; i < local->addr_count; i++)
        if (fence_addr_is_ipv4(&local->addrs[i]) == fence_addr_is_ipv4(to))
            packet->source = local->addrs[i];
    set_macs(packet, FENCE_EGRESS);
    return frame_build(&passage->request, &passage->frame, NULL);
}

/* "a live connection" that the file does not open: to the other end, on a port that is allowed. */
static int open_connection(struct sequence *sequence, const struct fence_addr *to,
                           struct fence_err *err)
{
    static const unsigned int ports[] = {443, 80, 53, 8080};

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(ports); i++) {
        struct reconciler_passage result = {0};
        struct passage passage;
        int r = build_first(sequence, to, ports[i], &passage);

        if (r == 0)
            r = pass(sequence, &passage, &result, err);
        if (r < 0 || result.passed)
            return r;
    }
    return fence_err_set(err, -EINVAL, "no connection is allowed that it could quote");
}

static int find_quoted(struct sequence *sequence, const struct passage *error,
                       struct frame *ret_frame, struct fence_err *err)
{
    const struct frame_request *request = &error->request;
    int family = fence_addr_is_ipv4(&request->packet.source);
    struct frame *last = &sequence->passed[!error->direction][family];
    struct passage none;
    int r = 0;

    if (strstr(request->what, "not exist") || strstr(request->what, "no connection")) {
        r = build_first(sequence, &request->packet.source, 1, &none);
        *ret_frame = none.frame;
        return r;
    }
    if (!last->size && error->direction == FENCE_INGRESS)
        r = open_connection(sequence, &request->packet.source, err);
    if (r == 0 && !last->size)
        r = fence_err_set(err, -EINVAL, "there is no packet that it could quote");
    if (r == 0)
        *ret_frame = *last;
    return r;
}

/* ---- the sequence ---------------------------------------------------------------------------- */

static int run_packet(struct sequence *sequence, const cJSON *json,
                      struct reconciler_passage *ret_result, struct fence_err *err)
{
    const char *what = text_of(json, "what");
    enum packets_phase phase = sequence->phase;
    struct passage passage = {0};
    struct frame quoted;
    int r = packets_phase_of(what, &phase);

    if (r < 0)
        return fence_err_set(err, r, "nobody knows what happens first (packets_world.c)");
    if (phase != sequence->phase) {
        sequence->phase = phase;
        r = follow(sequence, err);
    }
    if (r == 0 && !sequence->packets->reconciler)
        r = fence_err_set(err, -ENODEV, "the data path failed before");
    if (r == 0 && strstr(what, "cannot take an entry"))
        r = reconciler_fill_connections(sequence->packets->reconciler, sequence->local->ifindex,
                                        err);
    if (r == 0)
        r = read_packet(sequence, json, &passage, err);
    if (r == 0 && frame_is_error(&passage.request)) {
        r = find_quoted(sequence, &passage, &quoted, err);
        passage.request.quoted = &quoted;
    }
    if (r == 0)
        r = frame_build(&passage.request, &passage.frame, err);
    return r == 0 ? pass(sequence, &passage, ret_result, err) : r;
}

static void visit_packet(struct sequence *sequence, const cJSON *json,
                         const struct packets_visitor *visitor)
{
    const char *verdict = text_of(json, "verdict");
    struct packets_outcome outcome = {.packet = json};
    struct reconciler_passage result = {0};
    struct fence_err err = {0};

    if (run_packet(sequence, json, &result, &err) == 0) {
        outcome.as_expected =
            strcmp(verdict, "either") == 0 || strcmp(verdict, result.passed ? "pass" : "drop") == 0;
        fence_err_set(&err, 0, "expected %s, it %s: %s", verdict,
                      result.passed ? "passed" : "was dropped", fence_reason_name(result.reason));
    }
    outcome.text = err.text;
    visitor->visit(visitor->context, &outcome);
}

/* Endpoints, and with them connections, do not outlive their file. */
static int leave(struct packets *packets, struct fence_err *err)
{
    static const struct fence_world nothing;
    int r = packets->reconciler ? reconciler_update(packets->reconciler, &nothing, err) : 0;

    case_done(&packets->world);
    return r;
}

int packets_run(struct packets *packets, const cJSON *file, const struct packets_visitor *visitor,
                struct fence_err *err)
{
    struct sequence sequence = {.packets = packets, .file = file};
    const cJSON *packet;
    int r = follow(&sequence, err);

    if (r != 0)
        return r;
    cJSON_ArrayForEach(packet, member(file, "packets")) visit_packet(&sequence, packet, visitor);
    return leave(packets, err);
}

void packets_done(struct packets *packets)
{
    reconciler_free(&packets->reconciler);
    case_done(&packets->world);
}

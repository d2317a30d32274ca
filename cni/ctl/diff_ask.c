/* SPDX-License-Identifier: Apache-2.0 */
/* One pair of workloads, asked for every range of ports that no rule of either side tells apart. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "cni/ctl/diff.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"
#include "lib/policy/lookup.h"

#define MAX_END 512 /* "namespace/pod", or an address */

/* The part of a world that can matter to a pair: a question looks at all there is. */
struct stage {
    const struct fence_object **objects;
    size_t count;
    size_t capacity;
    struct fence_world world;
    char ends[2][MAX_END]; /* from, to */
};

struct starts {
    unsigned int *items; /* of ranges of ports; 65536 ends the last one */
    size_t count;
    size_t capacity;
};

static const struct {
    unsigned int protocol;
    unsigned int first; /* there is no port 0; ICMP has type << 8 | code */
    bool bare;          /* no ports at all */
} protocols[] = {
    {.protocol = IPPROTO_TCP, .first = 1},  {.protocol = IPPROTO_UDP, .first = 1},
    {.protocol = IPPROTO_SCTP, .first = 1}, {.protocol = IPPROTO_ICMP},
    {.protocol = IPPROTO_ICMPV6},           {.protocol = DIFF_OTHER, .bare = true},
};

/* ---- the stage ------------------------------------------------------------------------------ */

static int put(struct stage *stage, const struct fence_object *object)
{
    if (!object)
        return 0;
    if (fence_array_grow((void **)&stage->objects, &stage->capacity, stage->count, sizeof(void *)) <
        0)
        return -ENOMEM;
    stage->objects[stage->count++] = object;
    return 0;
}

static int compare(const void *a, const void *b)
{
    return fence_object_compare(*(const struct fence_object *const *)a,
                                *(const struct fence_object *const *)b);
}

static void sort(struct stage *stage)
{
    size_t kept = 0;

    if (stage->count)
        qsort(stage->objects, stage->count, sizeof(void *), compare);
    for (size_t i = 0; i < stage->count; i++)
        if (i == 0 || stage->objects[i] != stage->objects[kept - 1])
            stage->objects[kept++] = stage->objects[i];
    stage->count = kept;
}

static int put_end(struct stage *stage, const struct fence_world *world,
                   const struct diff_workload *workload, const struct fence_object *pod,
                   enum diff_side side)
{
    const struct diff_policies *policies = &workload->policies[side];
    int r = put(stage, pod);

    if (r == 0 && pod)
        r = put(stage, fence_world_find(world, FENCE_OBJECT_NAMESPACE, "", pod->namespace_name));
    for (size_t i = 0; r == 0 && i < policies->count; i++)
        r = put(stage, policies->items[i]);
    return r;
}

/* Nodes matter to addresses only: what a pod's own address leads to is the pod. */
static int put_nodes(struct stage *stage, const struct fence_world *world)
{
    struct fence_object_range nodes = fence_world_kind(world, FENCE_OBJECT_NODE);
    int r = 0;

    for (size_t i = 0; r == 0 && i < nodes.count; i++)
        r = put(stage, nodes.items[i]);
    return r;
}

static void name_end(const struct diff_workload *workload, const struct fence_object *pod,
                     char text[MAX_END])
{
    if (pod)
        snprintf(text, MAX_END, "%s/%s", pod->namespace_name, pod->name);
    else
        snprintf(text, MAX_END, "%s", workload->address);
}

static int visit_put(void *context, const struct fence_object *object)
{
    return put(context, object);
}

static bool is_outside(const struct diff_workload *workload)
{
    return !workload->count || workload->host_network;
}

static int set_stage(struct stage *stage, const struct diff *diff,
                     const struct diff_question *question, enum diff_side side,
                     const struct diff_pod pods[2])
{
    const struct fence_world *world = diff->worlds[side];
    const struct fence_object *from = pods[0].object[side], *to = pods[1].object[side];
    int r = put_end(stage, world, question->from, from, side);

    if (r == 0)
        r = put_end(stage, world, question->to, to, side);
    if (r == 0 && (is_outside(question->from) || is_outside(question->to)))
        r = put_nodes(stage, world);
    if (r == 0)
        r = diff_reach_visit(diff, side, question->to,
                             &(struct diff_object_visitor){visit_put, stage});
    sort(stage);
    stage->world = (struct fence_world){
        .objects = stage->objects, .object_count = stage->count, .now = world->now};
    name_end(question->from, from, stage->ends[0]);
    name_end(question->to, to, stage->ends[1]);
    return r;
}

static int evaluate(void *context, const struct fence_query *query, struct fence_answer *ret_answer,
                    struct fence_err *err)
{
    const struct stage *stage = context;

    return fence_evaluate(&stage->world, query, ret_answer, err);
}

/* ---- ends ----------------------------------------------------------------------------------- */

static const struct diff_pod no_pod;

static const struct diff_pod *pod_at(const struct diff_workload *workload, size_t index)
{
    return workload->count ? &workload->pods[index] : &no_pod;
}

/* A node and its pods are bound to reach each other: it takes two nodes to see what policies do. */
static bool on_one_node(const struct diff_pod *a, const struct diff_pod *b)
{
    for (int side = 0; side < DIFF_SIDES; side++) {
        const struct fence_object *left = a->object[side], *right = b->object[side];

        if (left && right && strcmp(left->pod.node, right->pod.node) == 0)
            return true;
    }
    return false;
}

static bool is_same(const struct diff_pod *a, const struct diff_pod *b)
{
    return (a->object[DIFF_OLD] && a->object[DIFF_OLD] == b->object[DIFF_OLD]) ||
           (a->object[DIFF_NEW] && a->object[DIFF_NEW] == b->object[DIFF_NEW]);
}

/* Two different ends; false when there are none. */
static bool choose(const struct diff_question *question, struct diff_pod ret_pods[2])
{
    const struct diff_workload *from = question->from, *to = question->to;
    bool apart = from->host_network || to->host_network;
    bool found = false;

    if (!from->count && !to->count)
        return false;
    for (size_t i = 0; i == 0 || i < from->count; i++) {
        for (size_t j = 0; j == 0 || j < to->count; j++) {
            const struct diff_pod *a = pod_at(from, i), *b = pod_at(to, j);
            bool near = apart && on_one_node(a, b);

            if (is_same(a, b) || (near && found))
                continue;
            ret_pods[0] = *a;
            ret_pods[1] = *b;
            found = true;
            if (!near)
                return true;
        }
    }
    return found;
}

char *diff_end_text(const struct diff_question *question, enum diff_side side, bool to)
{
    struct diff_pod pods[2];
    char text[MAX_END] = "";

    if (choose(question, pods))
        name_end(to ? question->to : question->from, pods[to].object[side], text);
    return strdup(text);
}

/* ---- ports ---------------------------------------------------------------------------------- */

static int add_start(struct starts *starts, unsigned int start)
{
    if (FENCE_GROW(starts->items, starts->capacity, starts->count) < 0)
        return -ENOMEM;
    starts->items[starts->count++] = start;
    return 0;
}

static int add_range(struct starts *starts, unsigned int first, unsigned int last)
{
    int r = add_start(starts, first);

    return r < 0 ? r : add_start(starts, last + 1);
}

static int add_named(struct starts *starts, const struct fence_object *pod, const char *name,
                     unsigned int protocol)
{
    const struct fence_ports *ports = pod ? pod->pod.ports : NULL;
    int r = 0;

    for (size_t i = 0; r == 0 && ports && i < ports->count; i++)
        if (strcmp(ports->items[i].name, name) == 0 && ports->items[i].protocol == protocol)
            r = add_range(starts, ports->items[i].port, ports->items[i].port);
    return r;
}

static int add_rule(struct starts *starts, const struct fence_rule *rule,
                    const struct fence_object *to, unsigned int protocol)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < rule->port_count; i++) {
        const struct fence_port_spec *port = &rule->ports[i];

        if (port->protocol != protocol && port->protocol != FENCE_PROTOCOL_ANY)
            continue;
        r = port->name ? add_named(starts, to, port->name, protocol)
                       : add_range(starts, port->first, port->last);
    }
    return r;
}

static int add_policies(struct starts *starts, const struct diff_policies *policies,
                        const struct fence_object *to, unsigned int protocol)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < policies->count; i++) {
        const struct fence_policy *policy = &policies->items[i]->policy;

        for (int direction = 0; direction < FENCE_DIRECTIONS; direction++)
            for (size_t j = 0; r == 0 && j < policy->rule_count[direction]; j++)
                r = add_rule(starts, &policy->rules[direction][j], to, protocol);
    }
    return r;
}

struct service_ports {
    struct starts *starts;
    unsigned int protocol;
};

/* By which one gets elsewhere. */
static int add_leading(void *context, const struct fence_object *object)
{
    const struct service_ports *ports = context;
    int r = 0;

    for (size_t i = 0; object->kind == FENCE_OBJECT_SERVICE && i < object->service.port_count;
         i++) {
        const struct fence_service_port *port = &object->service.ports[i];

        if (port->protocol != ports->protocol)
            continue;
        if (r == 0)
            r = add_range(ports->starts, port->port, port->port);
        if (r == 0 && port->node_port)
            r = add_range(ports->starts, port->node_port, port->node_port);
    }
    for (size_t i = 0; object->kind == FENCE_OBJECT_POD && i < object->pod.host_port_count; i++) {
        const struct fence_host_port *port = &object->pod.host_ports[i];

        if (r == 0 && port->protocol == ports->protocol)
            r = add_range(ports->starts, port->port, port->port);
    }
    return r;
}

static int compare_numbers(const void *a, const void *b)
{
    unsigned int left = *(const unsigned int *)a, right = *(const unsigned int *)b;

    return left < right ? -1 : left > right;
}

static int find_starts(const struct diff *diff, const struct diff_question *question,
                       const struct diff_pod pods[2], struct service_ports *ports)
{
    const struct diff_object_visitor visitor = {add_leading, ports};
    struct starts *starts = ports->starts;
    unsigned int protocol = ports->protocol;
    size_t kept = 0;
    int r = 0;

    for (int side = 0; side < DIFF_SIDES; side++) {
        const struct fence_object *to = pods[1].object[side];

        if (r == 0)
            r = add_policies(starts, &question->from->policies[side], to, protocol);
        if (r == 0)
            r = add_policies(starts, &question->to->policies[side], to, protocol);
        if (r == 0)
            r = diff_reach_visit(diff, side, question->to, &visitor);
    }
    if (starts->count)
        qsort(starts->items, starts->count, sizeof(*starts->items), compare_numbers);
    for (size_t i = 0; i < starts->count; i++)
        if (i == 0 || starts->items[i] != starts->items[kept - 1])
            starts->items[kept++] = starts->items[i];
    starts->count = kept;
    return r;
}

/* ---- asking --------------------------------------------------------------------------------- */

struct asker {
    const struct diff *diff;
    const struct diff_question *question;
    struct stage stages[DIFF_SIDES];
    int (*visit)(void *context, const struct diff_span *span);
    void *context;
    struct fence_err *err;
};

/* 0 asked, 1 the ends cannot speak it. */
static int ask_span(struct asker *asker, struct diff_span *span)
{
    for (int side = 0; side < DIFF_SIDES; side++) {
        struct stage *stage = &asker->stages[side];
        const struct trace_source source = {.ask = evaluate, .context = stage};
        const struct fence_query query = {
            .from = stage->ends[0],
            .to = stage->ends[1],
            .protocol = span->protocol,
            .port = span->protocol == DIFF_OTHER ? 0 : span->first,
            .family = span->protocol == IPPROTO_ICMP     ? 4
                      : span->protocol == IPPROTO_ICMPV6 ? 6
                                                         : 0,
        };
        int r;

        if (!(asker->question->sides & 1u << side))
            continue;
        r = trace_ask(&source, &query, &span->answers[side], asker->err);
        if (r < 0)
            return r == -EINVAL ? 1 : r;
    }
    return 0;
}

static int ask_protocol(struct asker *asker, const struct diff_pod pods[2], size_t index)
{
    struct diff_span span = {.protocol = protocols[index].protocol};
    struct starts starts = {0};
    struct service_ports ports = {&starts, span.protocol};
    unsigned int start = protocols[index].first;
    int r = 0;

    if (!protocols[index].bare)
        r = find_starts(asker->diff, asker->question, pods, &ports);
    for (size_t i = 0; r == 0 && i <= starts.count; i++) {
        unsigned int end = i < starts.count ? starts.items[i] : 65536;

        if (end <= start)
            continue;
        span.first = start;
        span.last = end - 1;
        r = ask_span(asker, &span);
        if (r == 0)
            r = asker->visit(asker->context, &span);
        start = end;
    }
    free(starts.items);
    return r < 0 ? r : 0;
}

int diff_ask(const struct diff *diff, const struct diff_question *question,
             int (*visit)(void *context, const struct diff_span *span), void *context,
             struct fence_err *err)
{
    struct asker asker = {
        .diff = diff, .question = question, .visit = visit, .context = context, .err = err};
    struct diff_pod pods[2];
    int r = 0;

    for (int side = 0; side < DIFF_SIDES; side++)
        if ((question->sides & 1u << side) &&
            (!diff_workload_on(question->from, (enum diff_side)side) ||
             !diff_workload_on(question->to, (enum diff_side)side)))
            return 0;
    if (!choose(question, pods))
        return 0;
    for (int side = 0; r == 0 && side < DIFF_SIDES; side++)
        if (question->sides & 1u << side)
            r = set_stage(&asker.stages[side], diff, question, (enum diff_side)side, pods);
    if (r < 0)
        fence_err_set(err, r, "out of memory");
    for (size_t i = 0; r == 0 && i < FENCE_ARRAY_SIZE(protocols); i++)
        r = ask_protocol(&asker, pods, i);
    for (int side = 0; side < DIFF_SIDES; side++)
        free(asker.stages[side].objects);
    return r < 0 ? r : 1;
}

/* ---- spans ---------------------------------------------------------------------------------- */

static bool has_types(const struct diff_span *span)
{
    return span->protocol == IPPROTO_ICMP || span->protocol == IPPROTO_ICMPV6;
}

bool diff_span_is_whole(const struct diff_span *span)
{
    return span->first <= (has_types(span) ? 0 : 1) && span->last == 65535;
}

static void types_text(unsigned int first, unsigned int last, char text[64])
{
    if ((first & 0xff) == 0 && (last & 0xff) == 0xff && first >> 8 == last >> 8)
        snprintf(text, 64, "type %u", first >> 8);
    else if ((first & 0xff) == 0 && (last & 0xff) == 0xff)
        snprintf(text, 64, "types %u-%u", first >> 8, last >> 8);
    else if (first == last)
        snprintf(text, 64, "type %u code %u", first >> 8, first & 0xff);
    else if (first >> 8 == last >> 8)
        snprintf(text, 64, "type %u codes %u-%u", first >> 8, first & 0xff, last & 0xff);
    else
        snprintf(text, 64, "type %u code %u to type %u code %u", first >> 8, first & 0xff,
                 last >> 8, last & 0xff);
}

void diff_ports_text(const struct diff_span *span, char text[64])
{
    if (diff_span_is_whole(span))
        snprintf(text, 64, "all");
    else if (has_types(span))
        types_text(span->first, span->last, text);
    else if (span->first == span->last)
        snprintf(text, 64, "%u", span->first);
    else
        snprintf(text, 64, "%u-%u", span->first, span->last);
}

const char *diff_protocol_text(unsigned int protocol, char buffer[8])
{
    return protocol == DIFF_OTHER ? "other" : fence_protocol_name(protocol, buffer);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who owns which address, first come first served in this order: endpoints of this node, pods, this
 * node, other nodes. Two live pods that claim one address are both judged as pending there: neither
 * may use the other's rights.
 */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/policy/compiler.h"

/* Labels that the system adds: they tell replicas or revisions apart, not applications. */
static bool is_system_label(const char *key)
{
    static const char *const keys[] = {
        "pod-template-hash",
        "controller-revision-hash",
        "pod-template-generation",
        "statefulset.kubernetes.io/pod-name",
        "apps.kubernetes.io/pod-index",
        "controller-uid",
        "job-name",
    };
    static const char *const prefixes[] = {"batch.kubernetes.io/", "topology.kubernetes.io/"};

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(keys); i++)
        if (strcmp(keys[i], key) == 0)
            return true;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(prefixes); i++)
        if (strncmp(prefixes[i], key, strlen(prefixes[i])) == 0)
            return true;
    return false;
}

/* state->shown: the labels that make the identity. */
static int choose_labels(struct fence_compile_state *state, const struct fence_labels *labels)
{
    struct fence_labels *shown = &state->shown;

    shown->count = 0;
    for (size_t i = 0; i < labels->count; i++) {
        const char *key = labels->items[i].key;
        uint32_t ignored;

        if (is_system_label(key) &&
            !fence_intern_find(&state->selected_keys, key, strlen(key), &ignored))
            continue;
        if (FENCE_GROW(shown->items, shown->capacity, shown->count) < 0)
            return fence_out_of_memory(state->err);
        shown->items[shown->count++] = labels->items[i];
    }
    return 0;
}

/* state->named: the ports whose names some egress rule asks for. */
static int choose_ports(struct fence_compile_state *state, const struct fence_object *pod,
                        struct fence_peer_draft *draft)
{
    size_t count = 0;

    for (size_t i = 0; pod && i < pod->pod.port_count; i++) {
        const struct fence_container_port *port = &pod->pod.ports[i];
        uint32_t ignored;

        if (!fence_intern_find(&state->egress_names, port->name, strlen(port->name), &ignored))
            continue;
        if (FENCE_GROW(state->named, state->named_capacity, count) < 0)
            return fence_out_of_memory(state->err);
        state->named[count++] = *port;
    }
    draft->view.ports = state->named;
    draft->view.port_count = count;
    return 0;
}

/* A pod as far as identities go. */
struct workload {
    const struct fence_object *pod; /* NULL: known by the runtime's labels only */
    const char *name;
    const char *namespace_name;
    const struct fence_labels *namespace_labels;
    const struct fence_labels *labels;
};

static const char *shown_name(const struct workload *workload)
{
    const char *app = fence_labels_app(workload->labels);

    if (!app && workload->pod && *workload->pod->pod.owner)
        app = workload->pod->pod.owner;
    return app ? app : workload->name;
}

static int draft_workload(struct fence_compile_state *state, const struct workload *workload,
                          struct fence_peer_draft *ret_draft)
{
    struct fence_text *text = &state->identity_text;
    struct fence_peer_draft draft = {
        .kind = FENCE_KIND_POD,
        .identity_text = text,
        .app = shown_name(workload),
        .view = {.kind = FENCE_VIEW_POD,
                 .namespace_name = workload->namespace_name,
                 .namespace_labels = workload->namespace_labels,
                 .labels = &state->shown},
    };
    int r = choose_labels(state, workload->labels);

    if (r == 0)
        r = choose_ports(state, workload->pod, &draft);
    if (r < 0)
        return r;
    fence_text_clear(text);
    fence_text_add(text, "pod ");
    fence_text_string(text, workload->namespace_name);
    fence_text_labels(text, workload->namespace_labels);
    fence_text_labels(text, &state->shown);
    *ret_draft = draft;
    return 0;
}

static int draft_subject(struct fence_compile_state *state, const struct fence_subject *subject,
                         struct fence_peer_draft *ret_draft)
{
    struct workload workload = {
        .pod = subject->pod,
        .name = subject->pod ? subject->pod->name : subject->local->pod,
        .namespace_name = subject->namespace_name,
        .namespace_labels = subject->namespace_labels,
        .labels = subject->labels,
    };

    if (subject->pending) {
        *ret_draft = fence_peer_draft_reserved(subject->incomplete ? FENCE_IDENTITY_INCOMPLETE
                                                                   : FENCE_IDENTITY_PENDING);
        return 0;
    }
    return draft_workload(state, &workload, ret_draft);
}

int fence_subject_identity(struct fence_compile_state *state, const struct fence_subject *subject,
                           uint32_t *ret_identity)
{
    struct fence_peer_draft draft;
    int r = draft_subject(state, subject, &draft);

    return r < 0 ? r : fence_identity_add(state, &draft, ret_identity);
}

static void describe(const struct fence_claimant *claimant, char *text, size_t size)
{
    if (claimant->pod)
        snprintf(text, size, "%s/%s", claimant->pod->namespace_name, claimant->pod->name);
    else if (claimant->local && *claimant->local->pod)
        snprintf(text, size, "%s/%s", claimant->local->namespace_name, claimant->local->pod);
    else
        snprintf(text, size, "container %s", claimant->local ? claimant->local->container_id : "");
}

static int note_dispute(struct fence_compile_state *state, const struct fence_addr *addr,
                        const struct fence_claimant *holder, const struct fence_claimant *other)
{
    struct fence_plan *plan = state->plan;
    struct fence_plan_note note = {0};
    char shown[FENCE_ADDR_TEXT], first[600], second[600];
    bool kept = holder->local && !other->local;

    if (FENCE_GROW(plan->notes, plan->notes_capacity, plan->notes_count) < 0)
        return fence_out_of_memory(state->err);
    describe(holder, first, sizeof(first));
    describe(other, second, sizeof(second));
    note.subject = strdup(fence_addr_format(addr, shown));
    if (!note.subject || asprintf(&note.text, "claimed by the pods %s and %s: %s", first, second,
                                  kept ? "the one on this node keeps it"
                                       : "judged as pending until one of them is gone") < 0) {
        free(note.subject);
        return fence_out_of_memory(state->err);
    }
    plan->notes[plan->notes_count++] = note;
    return 0;
}

static bool same_owner(const struct fence_claimant *a, const struct fence_claimant *b)
{
    if (a->pod && a->pod == b->pod)
        return true;
    return a->local && a->local == b->local;
}

static int settle(struct fence_compile_state *state, uint32_t index,
                  const struct fence_claimant *other)
{
    struct fence_claimant *holder = &state->claimants[index];
    struct fence_plan_address *entry = &state->plan->addresses[index];
    struct fence_prefix where = {.addr = entry->addr, .length = 128};
    struct fence_peer_draft pending = fence_peer_draft_reserved(FENCE_IDENTITY_PENDING);
    bool workloads = (holder->pod || holder->local) && (other->pod || other->local);
    int r;

    if (!workloads || holder->disputed || same_owner(holder, other))
        return 0;
    r = note_dispute(state, &entry->addr, holder, other);
    if (r < 0 || (holder->local && !other->local))
        return r;
    holder->disputed = true;
    return fence_peer_add(state, &pending, &where, &entry->peer);
}

static int claim(struct fence_compile_state *state, const struct fence_addr *addr,
                 const struct fence_claimant *claimant, const struct fence_peer_draft *draft)
{
    struct fence_plan *plan = state->plan;
    struct fence_prefix where = {.addr = *addr, .length = 128};
    struct fence_plan_address entry = {.addr = *addr};
    uint32_t index = (uint32_t)plan->addresses_count;
    int r = fence_intern_put(&state->addresses, addr->bytes, sizeof(addr->bytes), index, &index);

    if (r == 0)
        return settle(state, index, claimant);
    if (r == 1)
        r = FENCE_GROW(plan->addresses, plan->addresses_capacity, plan->addresses_count);
    if (r == 0)
        r = FENCE_GROW(state->claimants, state->claimant_capacity, state->claimant_count);
    if (r < 0)
        return fence_out_of_memory(state->err);
    r = fence_peer_add(state, draft, &where, &entry.peer);
    if (r < 0)
        return r;
    plan->addresses[plan->addresses_count++] = entry;
    state->claimants[state->claimant_count++] = *claimant;
    return 0;
}

static int add_local(struct fence_compile_state *state, const struct fence_subject *subject)
{
    struct fence_claimant claimant = {.pod = subject->pod, .local = subject->local};
    struct fence_peer_draft draft;
    int r = draft_subject(state, subject, &draft);

    for (size_t i = 0; r == 0 && i < subject->local->addr_count; i++)
        r = claim(state, &subject->local->addrs[i], &claimant, &draft);
    for (size_t i = 0; r == 0 && subject->pod && i < subject->pod->pod.addr_count; i++)
        r = claim(state, &subject->pod->pod.addrs[i], &claimant, &draft);
    return r;
}

static int add_pod(struct fence_compile_state *state, const struct fence_object *pod)
{
    struct fence_claimant claimant = {.pod = pod};
    struct workload workload = {.pod = pod,
                                .name = pod->name,
                                .namespace_name = pod->namespace_name,
                                .labels = &pod->pod.labels};
    struct fence_peer_draft draft = fence_peer_draft_reserved(FENCE_IDENTITY_INCOMPLETE);
    int r = 0;

    if (!fence_world_missing_label(state->world, &pod->pod.labels)) {
        r = fence_namespace_labels(state, pod->namespace_name, &workload.namespace_labels);
        if (r == 0)
            r = draft_workload(state, &workload, &draft);
    }
    for (size_t i = 0; r == 0 && i < pod->pod.addr_count; i++)
        r = claim(state, &pod->pod.addrs[i], &claimant, &draft);
    return r;
}

static int add_pods(struct fence_compile_state *state)
{
    struct fence_object_range pods = fence_world_kind(state->world, FENCE_OBJECT_POD);
    int r = 0;

    for (size_t i = 0; r == 0 && i < state->world->local_count; i++)
        r = add_local(state, &state->subjects[i]);
    for (size_t i = 0; r == 0 && i < pods.count; i++) {
        const struct fence_pod *pod = &pods.items[i]->pod;

        if (!state->pod_is_local[i] && !pod->host_network && !pod->finished)
            r = add_pod(state, pods.items[i]);
    }
    return r;
}

static int add_host(struct fence_compile_state *state)
{
    static const struct fence_labels no_labels;
    const struct fence_object *node = fence_world_own_node(state->world);
    struct fence_claimant claimant = {.node = node};
    struct fence_peer_draft draft = {
        .reserved = FENCE_IDENTITY_HOST,
        .view = {.kind = FENCE_VIEW_HOST, .labels = node ? &node->node.labels : &no_labels},
        .flags = FENCE_PEER_IS_HOST,
    };
    int r = 0;

    for (size_t i = 0; r == 0 && i < state->world->host_addr_count; i++)
        r = claim(state, &state->world->host_addrs[i], &claimant, &draft);
    for (size_t i = 0; r == 0 && node && i < node->node.addr_count; i++)
        r = claim(state, &node->node.addrs[i], &claimant, &draft);
    return r;
}

static int add_node(struct fence_compile_state *state, const struct fence_object *node)
{
    struct fence_claimant claimant = {.node = node};
    struct fence_text *text = &state->identity_text;
    struct fence_peer_draft draft = {
        .kind = FENCE_KIND_NODE,
        .identity_text = text,
        .app = node->name,
        .view = {.kind = FENCE_VIEW_NODE, .labels = &node->node.labels},
    };
    int r = 0;

    fence_text_clear(text);
    fence_text_add(text, "node ");
    fence_text_string(text, node->name);
    fence_text_labels(text, &node->node.labels);
    for (size_t i = 0; r == 0 && i < node->node.addr_count; i++)
        r = claim(state, &node->node.addrs[i], &claimant, &draft);
    return r;
}

int fence_workloads_add(struct fence_compile_state *state)
{
    struct fence_object_range nodes = fence_world_kind(state->world, FENCE_OBJECT_NODE);
    const struct fence_object *own = fence_world_own_node(state->world);
    int r = add_pods(state);

    if (r == 0)
        r = add_host(state);
    for (size_t i = 0; r == 0 && i < nodes.count; i++)
        if (nodes.items[i] != own)
            r = add_node(state, nodes.items[i]);
    return r;
}

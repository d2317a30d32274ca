/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is at an end, as the data path would find out: services before pods, pods before nodes, nodes
 * before blocks; who comes after a service still counts (owners.c). Slow and simple on purpose:
 * every question looks at the objects afresh.
 */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/policy/evaluator.h"
#include "lib/policy/lookup.h"

void fence_end_done(struct fence_end *end)
{
    fence_labels_done(&end->pod.bare_namespace);
    fence_labels_done(&end->owner.bare_namespace);
}

static bool has_addr(const struct fence_addr *addrs, size_t count, const struct fence_addr *addr)
{
    for (size_t i = 0; i < count; i++)
        if (fence_addr_equal(&addrs[i], addr))
            return true;
    return false;
}

static const struct fence_local *local_of(const struct fence_world *world,
                                          const struct fence_object *object)
{
    for (size_t i = 0; i < world->local_count; i++)
        if (fence_world_pod_of(world, &world->locals[i]) == object)
            return &world->locals[i];
    return NULL;
}

/* The pod's namespace, and whether the pod lacks a required label. */
static int complete_pod(const struct fence_world *world, struct fence_end_pod *pod,
                        struct fence_err *err)
{
    pod->namespace_object =
        fence_world_find(world, FENCE_OBJECT_NAMESPACE, "", pod->namespace_name);
    if (!pod->namespace_object &&
        fence_labels_set(&pod->bare_namespace, "kubernetes.io/metadata.name", pod->namespace_name) <
            0)
        return fence_err_set(err, -ENOMEM, "out of memory");
    pod->incomplete = pod->labels && fence_world_missing_label(world, pod->labels);
    return 0;
}

const struct fence_labels *fence_end_namespace_labels(const struct fence_end_pod *pod)
{
    return pod->namespace_object ? pod->namespace_object->namespace_labels : &pod->bare_namespace;
}

static struct fence_end_pod from_object(const struct fence_world *world,
                                        const struct fence_object *object)
{
    const struct fence_local *local = local_of(world, object);
    const char *node = object->pod.node;

    if (!*node && local && world->node_name)
        node = world->node_name;
    return (struct fence_end_pod){
        .object = object,
        .local = local,
        .namespace_name = object->namespace_name,
        .node = node,
        .labels = object->pod.labels,
        .endpoint = !object->pod.host_network && !object->pod.finished,
    };
}

static struct fence_end_pod from_local(const struct fence_world *world,
                                       const struct fence_local *local)
{
    const struct fence_object *object = fence_world_pod_of(world, local);

    if (object)
        return from_object(world, object);
    return (struct fence_end_pod){
        .local = local,
        .namespace_name = local->namespace_name,
        .node = world->node_name ? world->node_name : "",
        .labels = local->labels,
        .endpoint = true,
    };
}

static int find_pod(const struct fence_world *world, const char *text,
                    struct fence_end_pod *ret_pod, struct fence_err *err)
{
    const char *slash = strchr(text, '/');
    FENCE_FREE char *namespace = slash ? strndup(text, (size_t)(slash - text)) : NULL;
    const struct fence_object *object;

    if (slash && !namespace)
        return fence_err_set(err, -ENOMEM, "out of memory");
    if (!slash)
        return fence_err_set(err, -ENOENT, "'%s' is neither an address nor a pod (namespace/name)",
                             text);
    for (size_t i = 0; i < world->local_count; i++) {
        const struct fence_local *local = &world->locals[i];

        if (strcmp(local->namespace_name, namespace) == 0 && strcmp(local->pod, slash + 1) == 0) {
            *ret_pod = from_local(world, local);
            return 0;
        }
    }
    object = fence_world_find(world, FENCE_OBJECT_POD, namespace, slash + 1);
    if (!object)
        return fence_err_set(err, -ENOENT, "there is no pod %s among the objects", text);
    *ret_pod = from_object(world, object);
    return 0;
}

/* The pods that claim an address. */
struct claims {
    struct fence_end_pod owner; /* the first; one on the viewer's node before others */
    size_t locals;
    size_t remotes;
};

bool fence_end_same_pod(const struct fence_end_pod *a, const struct fence_end_pod *b)
{
    return (a->object && a->object == b->object) || (a->local && a->local == b->local);
}

/* Is the pod on the node of the one who looks at the address? That one's hooks know it then. */
static bool is_here(const struct fence_end_pod *pod, const struct fence_end_pod *viewer)
{
    if (!viewer || !viewer->namespace_name || viewer->local)
        return pod->local;
    return *pod->node && strcmp(pod->node, viewer->node) == 0;
}

static void add_claim(struct claims *claims, const struct fence_end_pod *pod,
                      const struct fence_end_pod *viewer)
{
    bool here = is_here(pod, viewer);

    if ((claims->locals || claims->remotes) && fence_end_same_pod(&claims->owner, pod))
        return;
    if (here ? !claims->locals : !claims->locals && !claims->remotes)
        claims->owner = *pod;
    if (here)
        claims->locals++;
    else
        claims->remotes++;
}

static struct claims claims_of(const struct fence_world *world, const struct fence_addr *addr,
                               const struct fence_end_pod *viewer)
{
    struct fence_object_range pods = fence_world_kind(world, FENCE_OBJECT_POD);
    struct claims claims = {0};

    for (size_t i = 0; i < world->local_count; i++) {
        struct fence_end_pod pod = from_local(world, &world->locals[i]);
        bool claimed = has_addr(world->locals[i].addrs, world->locals[i].addr_count, addr);

        if (pod.object)
            claimed |= has_addr(pod.object->pod.addrs, pod.object->pod.addr_count, addr);
        if (claimed)
            add_claim(&claims, &pod, viewer);
    }
    for (size_t i = 0; i < pods.count; i++) {
        const struct fence_pod *spec = &pods.items[i]->pod;
        struct fence_end_pod pod;

        if (spec->host_network || spec->finished || !has_addr(spec->addrs, spec->addr_count, addr))
            continue;
        pod = from_object(world, pods.items[i]);
        add_claim(&claims, &pod, viewer);
    }
    return claims;
}

/* One pod owns it: the endpoint of the viewer's node, or the only one that claims it. */
static bool is_settled(const struct claims *claims)
{
    return claims->locals == 1 || (claims->locals == 0 && claims->remotes == 1);
}

int fence_end_find(const struct fence_world *world, const char *text, struct fence_end *end,
                   struct fence_err *err)
{
    int r = 0;

    end->node = "";
    if (fence_addr_parse(text, &end->addr) == 0) {
        struct claims claims = claims_of(world, &end->addr, NULL);

        if (is_settled(&claims) && !fence_service_at(world, &end->addr))
            end->pod = claims.owner;
    } else {
        r = find_pod(world, text, &end->pod, err);
    }
    if (r == 0 && end->pod.namespace_name)
        r = complete_pod(world, &end->pod, err);
    return r;
}

static bool first_of(const struct fence_addr *addrs, size_t count, int family,
                     struct fence_addr *ret_addr)
{
    for (size_t i = 0; i < count; i++) {
        if (fence_addr_is_ipv4(&addrs[i]) != (family == 4))
            continue;
        *ret_addr = addrs[i];
        return true;
    }
    return false;
}

bool fence_end_address(const struct fence_end *end, const char *text, int family,
                       struct fence_addr *ret_addr)
{
    const struct fence_end_pod *pod = &end->pod;
    struct fence_addr addr;

    if (fence_addr_parse(text, &addr) == 0)
        return first_of(&addr, 1, family, ret_addr);
    if (pod->local && first_of(pod->local->addrs, pod->local->addr_count, family, ret_addr))
        return true;
    return pod->object &&
           first_of(pod->object->pod.addrs, pod->object->pod.addr_count, family, ret_addr);
}

static bool in_pod_range(const struct fence_world *world, const struct fence_addr *addr)
{
    struct fence_object_range nodes = fence_world_kind(world, FENCE_OBJECT_NODE);

    for (size_t i = 0; i < nodes.count; i++) {
        const struct fence_node *node = &nodes.items[i]->node;

        for (size_t j = 0; j < node->pod_prefix_count; j++)
            if (fence_prefix_contains(&node->pod_prefixes[j], addr))
                return true;
    }
    return false;
}

static bool begins_range(const struct fence_node *node, const struct fence_addr *addr)
{
    for (size_t i = 0; i < node->pod_prefix_count; i++)
        if (fence_addr_equal(&node->pod_prefixes[i].addr, addr))
            return true;
    return false;
}

/* By the addresses that it states, or, from other nodes, by the first one of its pods' range: that
 * is Flannel's tunnel device there. Only the node itself knows whether it has one. */
static const struct fence_object *node_at(const struct fence_world *world,
                                          const struct fence_addr *addr,
                                          const struct fence_end_pod *viewer)
{
    struct fence_object_range nodes = fence_world_kind(world, FENCE_OBJECT_NODE);
    const char *here = viewer && viewer->namespace_name ? viewer->node : "";

    for (size_t i = 0; i < nodes.count; i++) {
        const struct fence_node *node = &nodes.items[i]->node;

        if (has_addr(node->addrs, node->addr_count, addr) ||
            (strcmp(nodes.items[i]->name, here) != 0 && begins_range(node, addr)))
            return nodes.items[i];
    }
    return NULL;
}

static void locate_elsewhere(const struct fence_world *world, const struct fence_addr *addr,
                             const struct fence_end_pod *viewer, struct fence_end *end)
{
    end->this_host = has_addr(world->host_addrs, world->host_addr_count, addr);
    end->node_object = end->this_host ? fence_world_own_node(world) : node_at(world, addr, viewer);
    if (end->node_object)
        end->node = end->node_object->name;
    else if (end->pod.object && end->pod.object->pod.host_network)
        end->node = end->pod.node;
    if (end->node_object || end->this_host)
        end->kind = FENCE_VIEW_NODE;
    else
        end->kind = in_pod_range(world, addr) ? FENCE_VIEW_PENDING : FENCE_VIEW_WORLD;
}

int fence_end_locate_backend(const struct fence_world *world, const struct fence_addr *addr,
                             const struct fence_end_pod *viewer, struct fence_end *end,
                             struct fence_err *err)
{
    struct claims claims = claims_of(world, addr, viewer);
    int r = 0;

    fence_labels_done(&end->owner.bare_namespace);
    end->addr = *addr;
    end->owner = (struct fence_end_pod){0};
    end->service = NULL;
    end->node_object = NULL;
    end->node = "";
    end->this_host = false;
    end->shared = false;
    end->kind = FENCE_VIEW_PENDING;
    if (!claims.locals && !claims.remotes) {
        locate_elsewhere(world, addr, viewer, end);
    } else if (is_settled(&claims)) {
        end->owner = claims.owner;
        r = complete_pod(world, &end->owner, err);
        if (end->owner.labels && !end->owner.incomplete)
            end->kind = FENCE_VIEW_POD;
    }
    return r;
}

/* Is it a node's by what a Node object says? */
static bool stays_node(const struct fence_addr *addr, const struct fence_end *end)
{
    const struct fence_object *node = end->node_object;

    if (end->kind != FENCE_VIEW_NODE || !node)
        return false;
    return !end->this_host || has_addr(node->node.addrs, node->node.addr_count, addr);
}

int fence_end_locate(const struct fence_world *world, const struct fence_addr *addr,
                     const struct fence_end_pod *viewer, struct fence_end *end,
                     struct fence_err *err)
{
    int r = fence_end_locate_backend(world, addr, viewer, end, err);

    end->service = fence_service_at(world, addr);
    if (r < 0 || !end->service)
        return r;
    if (!fence_service_has_cluster_ip_at(world, addr)) {
        end->shared = !stays_node(addr, end);
        return 0;
    }
    fence_labels_done(&end->owner.bare_namespace);
    end->owner = (struct fence_end_pod){0};
    end->node_object = NULL;
    end->node = "";
    end->this_host = false;
    end->kind = FENCE_VIEW_SERVICE;
    return 0;
}

bool fence_end_has_addr(const struct fence_end_pod *pod, const struct fence_addr *addr)
{
    if (pod->local && has_addr(pod->local->addrs, pod->local->addr_count, addr))
        return true;
    return pod->object && has_addr(pod->object->pod.addrs, pod->object->pod.addr_count, addr);
}

/* What pods on the host's network of that node have are addresses of the node. */
static bool is_host_network_addr(const struct fence_world *world, const char *node,
                                 const struct fence_addr *addr)
{
    struct fence_object_range pods = fence_world_kind(world, FENCE_OBJECT_POD);

    for (size_t i = 0; *node && i < pods.count; i++) {
        const struct fence_pod *pod = &pods.items[i]->pod;

        if (pod->host_network && strcmp(pod->node, node) == 0 &&
            has_addr(pod->addrs, pod->addr_count, addr))
            return true;
    }
    return false;
}

bool fence_end_is_own_node(const struct fence_world *world, const struct fence_end_pod *pod,
                           const struct fence_end *other)
{
    bool here = pod->local || (world->node_name && strcmp(pod->node, world->node_name) == 0);

    if (other->owner.namespace_name || other->kind == FENCE_VIEW_SERVICE)
        return false;
    return (other->this_host && here) || (*other->node && strcmp(other->node, pod->node) == 0) ||
           is_host_network_addr(world, pod->node, &other->addr);
}

struct fence_peer_view fence_end_view(const struct fence_world *world,
                                      const struct fence_end_pod *pod,
                                      const struct fence_end *other)
{
    static const struct fence_labels no_labels;
    struct fence_peer_view view = {
        .kind = other->kind,
        .labels = &no_labels,
        .service = other->shared,
        .where = {.addr = other->addr, .length = 128},
    };

    if (other->kind == FENCE_VIEW_POD) {
        view.namespace_name = other->owner.namespace_name;
        view.namespace_labels = fence_end_namespace_labels(&other->owner);
        view.labels = other->owner.labels;
        view.ports = other->owner.object ? other->owner.object->pod.ports : NULL;
        return view;
    }
    if (other->node_object)
        view.labels = other->node_object->node.labels;
    if (fence_end_is_own_node(world, pod, other)) {
        const struct fence_object *node = fence_world_find(world, FENCE_OBJECT_NODE, "", pod->node);

        view.kind = FENCE_VIEW_HOST;
        if (node)
            view.labels = node->node.labels;
    }
    return view;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Pods from before by the Pod objects of this node. */
#include <errno.h>
#include <string.h>

#include "cni/daemon/adopt_internal.h"
#include "lib/base/addr.h"
#include "lib/base/clock.h"
#include "lib/base/hash.h"
#include "lib/base/memory.h"

/* A Pod object that is no endpoint, and where it leads. */
struct wanted {
    const struct fence_object *object;
    const struct fence_seen_pod *seen; /* NULL: nowhere */
    bool missing;                      /* because no interface has its address */
    struct fence_err why;
};

struct wanted_list {
    struct wanted *items;
    size_t count;
    size_t capacity;
};

/* ---- which ---------------------------------------------------------------------------------- */

/* It runs here, with a network of its own. */
static bool is_live_here(const struct adopt_pass *pass, const struct fence_object *object)
{
    const struct fence_pod *pod = &object->pod;

    return !pod->host_network && !pod->finished && pod->addr_count &&
           strcmp(pod->node, pass->daemon->options.node_name) == 0;
}

static bool pod_has(const struct fence_pod *pod, const struct fence_addr *addrs, size_t count)
{
    for (size_t i = 0; i < pod->addr_count; i++)
        for (size_t j = 0; j < count; j++)
            if (fence_addr_equal(&pod->addrs[i], &addrs[j]))
                return true;
    return false;
}

const struct fence_object *adopt_pod_with(const struct adopt_pass *pass,
                                          const struct fence_addr *addrs, size_t count)
{
    const struct fence_object *const *objects;
    size_t total = fence_store_kind(pass->daemon->store, FENCE_OBJECT_POD, &objects);

    for (size_t i = 0; count && i < total; i++)
        if (is_live_here(pass, objects[i]) && pod_has(&objects[i]->pod, addrs, count))
            return objects[i];
    return NULL;
}

static bool is_uid(const struct fence_pod *pod, const char *uid)
{
    return !pod->uid || !*uid || pod->uid == fence_hash_text(uid);
}

static bool is_named(const struct fence_object *object, const char *namespace_name,
                     const char *name)
{
    return strcmp(object->name, name) == 0 && strcmp(object->namespace_name, namespace_name) == 0;
}

const struct fence_object *adopt_pod_of(const struct adopt_pass *pass,
                                        const struct fence_cni_args *args)
{
    const struct fence_object *const *objects;
    size_t total = fence_store_kind(pass->daemon->store, FENCE_OBJECT_POD, &objects);

    for (size_t i = 0; i < total; i++)
        if (is_live_here(pass, objects[i]) &&
            is_named(objects[i], args->namespace_name, args->pod) &&
            is_uid(&objects[i]->pod, args->uid))
            return objects[i];
    return NULL;
}

static bool is_endpoint_of(const struct fence_endpoint_record *record,
                           const struct fence_object *object)
{
    const struct fence_pod *pod = &object->pod;
    const struct fence_endpoint *endpoint = &record->endpoint;

    if (*pod->container_id && strcmp(record->info.container_id, pod->container_id) == 0)
        return true;
    if (is_named(object, record->info.namespace_name, record->info.pod))
        return is_uid(pod, record->info.uid);
    /* a container of no name that has the pod's address */
    return !*record->info.pod && endpoint->addr_count <= FENCE_ENDPOINT_ADDRS &&
           pod_has(pod, endpoint->addrs, endpoint->addr_count);
}

static bool is_endpoint(const struct fence_endpoint_list *endpoints,
                        const struct fence_object *object)
{
    for (size_t i = 0; i < endpoints->count; i++)
        if (is_endpoint_of(&endpoints->items[i], object))
            return true;
    return false;
}

/* What its file in the cache says; NULL: there is none. */
static const struct adopt_candidate *find_candidate(const struct adopt_pass *pass,
                                                    const struct fence_object *object)
{
    for (size_t i = 0; i < pass->count; i++) {
        const struct adopt_candidate *candidate = &pass->items[i];
        const struct fence_cni_args *args = &candidate->cached.args;

        if (candidate->state == ADOPT_UNSEEN && is_named(object, args->namespace_name, args->pod) &&
            is_uid(&object->pod, args->uid))
            return candidate;
    }
    return NULL;
}

/* By its file, with a reason of its own. */
static bool is_listed(const struct adopt_pass *pass, const struct fence_object *object)
{
    char name[FENCE_NAMESPACE_MAX + FENCE_POD_NAME_MAX];

    snprintf(name, sizeof(name), "%s/%s", object->namespace_name, object->name);
    for (size_t i = 0; i < pass->list.count; i++)
        if (strcmp(pass->list.items[i].pod, name) == 0)
            return true;
    return false;
}

static void want(struct adopt_pass *pass, const struct fence_endpoint_list *endpoints,
                 struct wanted_list *list)
{
    const struct fence_object *const *objects;
    size_t total = fence_store_kind(pass->daemon->store, FENCE_OBJECT_POD, &objects);

    for (size_t i = 0; i < total; i++) {
        if (!is_live_here(pass, objects[i]) || is_endpoint(endpoints, objects[i]) ||
            is_listed(pass, objects[i]))
            continue;
        if (FENCE_GROW(list->items, list->capacity, list->count) < 0)
            return;
        list->items[list->count++] = (struct wanted){.object = objects[i]};
    }
}

/* ---- where ---------------------------------------------------------------------------------- */

static const struct fence_seen_pod *seen_at(const struct fence_seen_pods *seen, uint32_t ifindex)
{
    for (size_t i = 0; i < seen->count; i++)
        if (seen->items[i].link.host_ifindex == ifindex)
            return &seen->items[i];
    return NULL;
}

static int ambiguous(const struct fence_addr *addr, const struct fence_seen_pod *one,
                     const struct fence_seen_pod *other, struct fence_err *err)
{
    char text[FENCE_ADDR_TEXT];

    return fence_err_set(err, -ENOTUNIQ, "its address %s leads to interface %s as well as to %s",
                         fence_addr_format(addr, text), one->link.host_ifname,
                         other->link.host_ifname);
}

/* One more address leads to `found`: it has to be where the others lead. */
static int agree(const struct fence_addr *addr, const struct fence_seen_pod *found,
                 const struct fence_seen_pod **seen, struct fence_err *err)
{
    if (*seen && *seen != found)
        return ambiguous(addr, *seen, found, err);
    *seen = found;
    return 0;
}

/* The node's own word: a route for the address alone. */
static int by_routes(const struct fence_pod *pod, const struct fence_seen_pods *pods,
                     const struct fence_seen_pod **seen, struct fence_err *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < pod->addr_count; i++) {
        const struct fence_seen_pod *found = NULL;
        __u32 ifindex = 0;

        if (fence_host_route(&pod->addrs[i], &ifindex) == 0)
            found = seen_at(pods, ifindex);
        if (found)
            r = agree(&pod->addrs[i], found, seen, err);
    }
    return r;
}

/* Behind a bridge: who has the address. */
static int by_addresses(const struct fence_pod *pod, const struct fence_seen_pods *pods,
                        const struct fence_seen_pod **seen, struct fence_err *err)
{
    int r = 0;

    for (size_t i = 0; i < pod->addr_count; i++)
        for (size_t j = 0; r == 0 && j < pods->count; j++)
            if (fence_seen_pod_has(&pods->items[j], &pod->addrs[i]))
                r = agree(&pod->addrs[i], &pods->items[j], seen, err);
    return r;
}

static void locate(struct adopt_pass *pass, struct wanted *wanted)
{
    const struct fence_pod *pod = &wanted->object->pod;
    const struct fence_seen_pods *pods = adopt_see(pass);
    const struct fence_seen_pod *seen = NULL;
    char text[FENCE_ADDR_TEXT];
    int r = by_routes(pod, pods, &seen, &wanted->why);

    if (r == 0 && !seen)
        r = by_addresses(pod, pods, &seen, &wanted->why);
    wanted->seen = r == 0 ? seen : NULL;
    wanted->missing = r == 0 && !seen;
    if (wanted->missing)
        fence_err_set(&wanted->why, -ENOENT,
                      "no pod interface of this node has its address %s, and no file of libcni's "
                      "cache leads to it",
                      fence_addr_format(&pod->addrs[0], text));
}

/* ---- enrolling ------------------------------------------------------------------------------ */

/* What the runtime said of it, else what its object and the interface say. */
static void describe(const struct adopt_pass *pass, const struct wanted *wanted,
                     struct fence_cni_cached *cached)
{
    const struct adopt_candidate *candidate = find_candidate(pass, wanted->object);
    const struct fence_pod *pod = &wanted->object->pod;

    if (candidate) {
        *cached = candidate->cached;
        return;
    }
    if (*pod->container_id && strlen(pod->container_id) < sizeof(cached->container_id))
        snprintf(cached->container_id, sizeof(cached->container_id), "%s", pod->container_id);
    else /* no runtime's: the endpoint goes with its interface */
        snprintf(cached->container_id, sizeof(cached->container_id), "adopted-%u-%llx",
                 wanted->seen->link.host_ifindex, (unsigned long long)fence_clock_boot_ns());
    snprintf(cached->args.namespace_name, sizeof(cached->args.namespace_name), "%s",
             wanted->object->namespace_name);
    snprintf(cached->args.pod, sizeof(cached->args.pod), "%s", wanted->object->name);
    memcpy(cached->ifname, wanted->seen->ifname, sizeof(cached->ifname));
    for (size_t i = 0; i < pod->addr_count && i < FENCE_ENDPOINT_ADDRS; i++)
        cached->addrs[cached->addr_count++] = pod->addrs[i];
}

/* A pod may give itself another's address: then nobody is taken for the other. */
static bool is_claimed_twice(const struct wanted_list *list, const struct wanted *wanted)
{
    for (size_t i = 0; i < list->count; i++)
        if (&list->items[i] != wanted && list->items[i].seen == wanted->seen)
            return true;
    return false;
}

static void enrol(struct adopt_pass *pass, const struct wanted_list *list,
                  const struct wanted *wanted)
{
    const struct fence_object *object = wanted->object;
    struct fence_cni_cached cached = {0};
    FENCE_FREE char *source = NULL;

    if (asprintf(&source, ADOPT_POD_SOURCE "%s/%s", object->namespace_name, object->name) < 0) {
        source = NULL;
        return;
    }
    if (!wanted->seen && wanted->missing) {
        adopt_miss(pass, source, source + strlen(ADOPT_POD_SOURCE), wanted->why.text);
    } else if (!wanted->seen) {
        adopt_refuse(pass, source, source + strlen(ADOPT_POD_SOURCE), wanted->why.text);
    } else if (is_claimed_twice(list, wanted)) {
        adopt_refuse(pass, source, source + strlen(ADOPT_POD_SOURCE),
                     "its addresses lead to the interface that another pod's lead to");
    } else {
        describe(pass, wanted, &cached);
        adopt_enrol(pass, source, &cached, &wanted->seen->link);
    }
}

void adopt_from_pods(struct adopt_pass *pass)
{
    struct fence_endpoint_list now = {0};
    struct wanted_list list = {0};

    if (pass->daemon->options.adopt == FENCE_ADOPT_CHAINED ||
        fence_locals_list(&pass->daemon->pins, &now, NULL) < 0)
        return;
    want(pass, &now, &list);
    for (size_t i = 0; i < list.count; i++)
        locate(pass, &list.items[i]);
    for (size_t i = 0; i < list.count; i++)
        enrol(pass, &list, &list.items[i]);
    free(list.items);
    fence_endpoint_list_done(&now);
}

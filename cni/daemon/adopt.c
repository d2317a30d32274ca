/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/adopt.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "cni/daemon/adopt_internal.h"
#include "cni/daemon/late.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"

/* A pod's start alone makes several changes, and a pass reads what the runtime keeps. */
#define SOON_MS 1000

/* So long a DEL may take from podfence to the end of the chain. */
#define FRESH_NS 900000000ull

/* A pod that ends loses its interface some time before its object goes. */
#define ENDING_NS 30000000000ull

static const char *const mode_names[] = {
    [FENCE_ADOPT_PODS] = "pods",
    [FENCE_ADOPT_ALL] = "all",
    [FENCE_ADOPT_CHAINED] = "chained",
    [FENCE_ADOPT_OFF] = "off",
};
static_assert(FENCE_ARRAY_SIZE(mode_names) == FENCE_ADOPT_MODES, "every mode has a name");

int fence_adopt_mode_parse(const char *text, enum fence_adopt_mode *ret_mode)
{
    for (unsigned int i = 0; i < FENCE_ADOPT_MODES; i++) {
        if (strcmp(text, mode_names[i]) == 0) {
            *ret_mode = (enum fence_adopt_mode)i;
            return 0;
        }
    }
    return -EINVAL;
}

const char *fence_adopt_mode_name(enum fence_adopt_mode mode)
{
    return mode_names[mode];
}

/* ---- what is listed ------------------------------------------------------------------------- */

static void unadopted_done(struct fence_unadopted *item)
{
    free(item->source);
    free(item->pod);
    free(item->reason);
}

static void list_done(struct fence_unadopted_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        unadopted_done(&list->items[i]);
    free(list->items);
    *list = (struct fence_unadopted_list){0};
}

/* When it was seen first; 0: at the start. */
static uint64_t seen_since(const struct fence_adopt *adopt, const char *source)
{
    for (size_t i = 0; i < adopt->list.count; i++)
        if (strcmp(adopt->list.items[i].source, source) == 0)
            return adopt->list.items[i].since_ns;
    return adopt->passed ? fence_clock_boot_ns() : 0;
}

static bool is_younger(uint64_t since_ns, uint64_t age_ns)
{
    return since_ns && fence_clock_boot_ns() - since_ns < age_ns;
}

/* `item` has its times; the rest is filled in. */
static void list_item(struct adopt_pass *pass, struct fence_unadopted item, const char *source,
                      const char *pod, const char *reason)
{
    item.source = strdup(source);
    item.pod = strdup(pod ? pod : "");
    item.reason = strdup(reason);
    if (item.source && item.pod && item.reason &&
        FENCE_GROW(pass->list.items, pass->list.capacity, pass->list.count) == 0) {
        pass->list.items[pass->list.count++] = item;
        return;
    }
    unadopted_done(&item);
    fence_log(FENCE_LOG_ERROR, "%s: a pod that is not enforced: %s", source, reason);
}

void adopt_refuse(struct adopt_pass *pass, const char *source, const char *pod, const char *reason)
{
    const uint64_t since = seen_since(&pass->daemon->adopt, source);
    const struct fence_unadopted item = {.since_ns = since, .fresh = is_younger(since, FRESH_NS)};

    list_item(pass, item, source, pod, reason);
}

void adopt_miss(struct adopt_pass *pass, const char *source, const char *pod, const char *reason)
{
    const uint64_t since = seen_since(&pass->daemon->adopt, source);
    const struct fence_unadopted item = {.since_ns = since, .fresh = is_younger(since, ENDING_NS)};

    list_item(pass, item, source, pod, reason);
}

/* ---- enrolling ------------------------------------------------------------------------------ */

const struct fence_seen_pods *adopt_see(struct adopt_pass *pass)
{
    struct fence_err err = {""};

    if (!pass->saw && fence_seen_pods_list(&pass->seen, &err) < 0)
        fence_log(FENCE_LOG_WARNING, "%s", err.text);
    pass->saw = true;
    return &pass->seen;
}

static bool is_exempt(const struct fence_options *options, const char *namespace_name)
{
    for (size_t i = 0; i < options->exempt_namespaces.count; i++)
        if (strcmp(options->exempt_namespaces.items[i], namespace_name) == 0)
            return true;
    return false;
}

/* All texts have the sizes that they have in the endpoint. */
static void fill_info(const struct fence_cni_cached *cached, const struct fence_pod_link *link,
                      struct fence_endpoint_info *info)
{
    _Static_assert(sizeof(info->container_id) == sizeof(cached->container_id), "container_id");
    _Static_assert(sizeof(info->network) == sizeof(cached->network), "network");
    _Static_assert(sizeof(info->labels) == sizeof(cached->labels), "labels");
    info->netns = link->netns;
    info->label_source = cached->label_source;
    memcpy(info->ifname, cached->ifname, sizeof(info->ifname));
    memcpy(info->host_ifname, link->host_ifname, sizeof(info->host_ifname));
    memcpy(info->container_id, cached->container_id, sizeof(info->container_id));
    memcpy(info->network, cached->network, sizeof(info->network));
    memcpy(info->labels, cached->labels, sizeof(info->labels));
    memcpy(info->pod, cached->args.pod, sizeof(info->pod));
    memcpy(info->uid, cached->args.uid, sizeof(info->uid));
    /* outside Kubernetes: as the plugin has it */
    snprintf(info->namespace_name, sizeof(info->namespace_name), "%s",
             *cached->args.namespace_name ? cached->args.namespace_name : "default");
}

static struct fence_endpoint_record make_record(const struct fence_options *options,
                                                const struct fence_cni_cached *cached,
                                                const struct fence_pod_link *link)
{
    struct fence_endpoint_record record = {.ifindex = link->host_ifindex};
    struct fence_endpoint *endpoint = &record.endpoint;

    fill_info(cached, link, &record.info);
    endpoint->identity = FENCE_IDENTITY_PENDING;
    endpoint->flags = FENCE_EP_PENDING;
    if (cached->exempt || is_exempt(options, record.info.namespace_name))
        endpoint->flags |= FENCE_EP_EXEMPT;
    else
        endpoint->flags |= FENCE_EP_OPEN;
    endpoint->addr_count = (__u16)cached->addr_count;
    memcpy(endpoint->addrs, cached->addrs, sizeof(endpoint->addrs));
    memcpy(endpoint->mac, link->mac, sizeof(endpoint->mac));
    return record;
}

static void pod_name(const struct fence_endpoint_info *info, char *text, size_t size)
{
    if (*info->pod)
        snprintf(text, size, "%s/%s", info->namespace_name, info->pod);
    else
        snprintf(text, size, "%s", info->container_id);
}

void adopt_enrol(struct adopt_pass *pass, const char *source, const struct fence_cni_cached *cached,
                 const struct fence_pod_link *link)
{
    struct fence_daemon *daemon = pass->daemon;
    struct fence_endpoint_record record = make_record(&daemon->options, cached, link);
    char pod[FENCE_NAMESPACE_MAX + FENCE_POD_NAME_MAX];
    struct fence_err err = {""};
    int r;

    pod_name(&record.info, pod, sizeof(pod));
    if (is_younger(seen_since(&daemon->adopt, source), FRESH_NS)) {
        adopt_refuse(pass, source, pod, "it has just come");
        return;
    }
    if (!cached->addr_count) {
        adopt_refuse(pass, source, pod,
                     "no address of it is known, and without one it would be cut off");
        return;
    }
    if (pass->locked)
        r = fence_err_set(&err, -ETIMEDOUT, "somebody holds the lock of the endpoints");
    else
        r = fence_late_enrol(daemon, &record, &err);
    /* which is not waited for pod after pod */
    pass->locked = r == -ETIMEDOUT;
    if (r < 0) {
        adopt_refuse(pass, source, pod, err.text);
        return;
    }
    daemon->adopt.adopted++;
    fence_log(FENCE_LOG_INFO, "adopted %s (container %s, %s, interface %s) by %s: it ran %s", pod,
              record.info.container_id, record.info.ifname, record.info.host_ifname, source,
              record.endpoint.flags & FENCE_EP_EXEMPT ? "unknown, and is exempt" : "unenforced");
}

/* ---- a pass --------------------------------------------------------------------------------- */

static void pass_done(struct adopt_pass *pass)
{
    for (size_t i = 0; i < pass->count; i++)
        free(pass->items[i].path);
    free(pass->items);
    fence_endpoint_list_done(&pass->endpoints);
    fence_seen_pods_done(&pass->seen);
    list_done(&pass->list);
}

/* Those that wait longer wait for the sweep. */
static bool has_fresh(const struct fence_unadopted_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (is_younger(list->items[i].since_ns, FRESH_NS))
            return true;
    return false;
}

/* The pass's list becomes the daemon's. */
static void take_over(struct adopt_pass *pass)
{
    struct fence_daemon *daemon = pass->daemon;
    struct fence_adopt *adopt = &daemon->adopt;
    struct fence_unadopted_list before = adopt->list;

    if (before.count || pass->list.count)
        daemon->reconcile.problems_changed = true;
    adopt->list = pass->list;
    pass->list = before;
    adopt->passed_over = pass->passed_over;
    adopt->gone = pass->gone;
    adopt->passed = true;
    if (has_fresh(&adopt->list))
        fence_adopt_soon(daemon);
}

static int compare_index(const void *key, const void *item)
{
    const __u32 wanted = *(const __u32 *)key;
    const __u32 index = ((const struct fence_endpoint_record *)item)->ifindex;

    return wanted < index ? -1 : wanted > index;
}

/* A veth that is no endpoint: maybe a pod of which no cache knows. */
static bool has_unknown_veth(const struct fence_endpoint_list *endpoints)
{
    FENCE_FREE struct fence_device *devices = NULL;
    bool unknown = false;
    size_t count = 0;

    if (fence_devices_list(&devices, &count, NULL) < 0)
        return true;
    for (size_t i = 0; i < count && !unknown; i++)
        unknown =
            devices[i].is_veth &&
            (!endpoints->count || !bsearch(&devices[i].ifindex, endpoints->items, endpoints->count,
                                           sizeof(endpoints->items[0]), compare_index));
    return unknown;
}

/* Objects are many, and are asked only in the sweep, and where one may lead somewhere. */
static bool asks_objects(const struct adopt_pass *pass, bool sweep)
{
    const struct fence_unadopted_list *list = &pass->daemon->adopt.list;

    for (size_t i = 0; i < list->count; i++)
        if (strncmp(list->items[i].source, ADOPT_POD_SOURCE, strlen(ADOPT_POD_SOURCE)) == 0)
            return true;
    return sweep || has_unknown_veth(&pass->endpoints);
}

static void run(struct fence_daemon *daemon, bool sweep)
{
    FENCE_CLEANUP(pass_done) struct adopt_pass pass = {.daemon = daemon};
    struct fence_err err = {""};

    if (daemon->options.adopt == FENCE_ADOPT_OFF)
        return;
    if (fence_locals_list(&daemon->pins, &pass.endpoints, &err) < 0) {
        fence_log(FENCE_LOG_ERROR, "%s", err.text);
        return;
    }
    adopt_from_cache(&pass);
    if (asks_objects(&pass, sweep))
        adopt_from_pods(&pass);
    take_over(&pass);
}

void fence_adopt_run(struct fence_daemon *daemon)
{
    run(daemon, true);
}

static void fired(void *context)
{
    struct fence_daemon *daemon = context;

    daemon->adopt.soon = false;
    run(daemon, false);
}

/* Not put off by further changes: links may change all the time. */
void fence_adopt_soon(struct fence_daemon *daemon)
{
    struct fence_adopt *adopt = &daemon->adopt;

    /* until an older layout has gone, it says which endpoints there are; then all is looked at */
    if (adopt->soon || daemon->options.adopt == FENCE_ADOPT_OFF || daemon->takeover.from.number)
        return;
    adopt->soon = true;
    fence_timer_after(&adopt->timer, SOON_MS, 0);
}

int fence_adopt_init(struct fence_daemon *daemon, struct fence_err *err)
{
    struct fence_timer *timer = &daemon->adopt.timer;
    int r = fence_timer_open(&daemon->loop, timer, CLOCK_MONOTONIC, err);

    if (r < 0)
        return r;
    timer->fire = fired;
    timer->context = daemon;
    fence_adopt_run(daemon);
    return 0;
}

void fence_adopt_done(struct fence_daemon *daemon)
{
    fence_timer_close(&daemon->loop, &daemon->adopt.timer);
    list_done(&daemon->adopt.list);
}

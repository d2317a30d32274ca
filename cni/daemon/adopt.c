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
#define SOON_MS 2000

/* So long a DEL may take from podfence to the end of the chain. */
#define FRESH_NS 1500000000ull

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

static bool is_fresh(uint64_t since_ns)
{
    return since_ns && fence_clock_boot_ns() - since_ns < FRESH_NS;
}

void adopt_refuse(struct adopt_pass *pass, const char *source, const char *pod, const char *reason)
{
    struct fence_unadopted item = {
        .source = strdup(source),
        .pod = strdup(pod ? pod : ""),
        .reason = strdup(reason),
        .since_ns = seen_since(&pass->daemon->adopt, source),
    };

    item.fresh = is_fresh(item.since_ns);
    if (item.source && item.pod && item.reason &&
        FENCE_GROW(pass->list.items, pass->list.capacity, pass->list.count) == 0) {
        pass->list.items[pass->list.count++] = item;
        return;
    }
    unadopted_done(&item);
    fence_log(FENCE_LOG_ERROR, "%s: a pod that is not enforced: %s", source, reason);
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

static bool is_exempt(const struct fence_options *options, const struct fence_cni_cached *cached)
{
    for (size_t i = 0; i < options->exempt_namespaces.count; i++)
        if (strcmp(options->exempt_namespaces.items[i], cached->args.namespace_name) == 0)
            return true;
    return cached->exempt;
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
    endpoint->flags |= is_exempt(options, cached) ? FENCE_EP_EXEMPT : FENCE_EP_OPEN;
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

    pod_name(&record.info, pod, sizeof(pod));
    if (is_fresh(seen_since(&daemon->adopt, source))) {
        adopt_refuse(pass, source, pod, "it has just come");
        return;
    }
    if (fence_late_enrol(daemon, &record, &err) < 0) {
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

static bool has_fresh(const struct fence_unadopted_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].fresh)
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

void fence_adopt_run(struct fence_daemon *daemon)
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
    adopt_from_pods(&pass);
    take_over(&pass);
}

static void fired(void *context)
{
    struct fence_daemon *daemon = context;

    daemon->adopt.soon = false;
    fence_adopt_run(daemon);
}

/* Not put off by further changes: links may change all the time. */
void fence_adopt_soon(struct fence_daemon *daemon)
{
    struct fence_adopt *adopt = &daemon->adopt;

    if (adopt->soon || daemon->options.adopt == FENCE_ADOPT_OFF)
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

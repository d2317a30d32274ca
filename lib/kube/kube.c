/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/kube.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/timerfd.h>

#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/kube/http.h"
#include "lib/kube/reflector.h"

struct fence_kube {
    const struct fence_kube_ops *ops;
    void *context;
    struct fence_http *http;
    struct fence_reflector_world world;
    struct fence_err start_err; /* of `world` */
    struct fence_reflector **reflectors;
    unsigned int count;
    bool told; /* since `settled` */
    int epoll_fd;
    int timer_fd;
};

static int on_object(void *context, unsigned int resource, char *json, size_t size,
                     struct fence_err *err)
{
    struct fence_kube *kube = context;

    kube->told = true;
    return kube->ops->object(kube->context, resource, json, size, err);
}

static int on_deleted(void *context, unsigned int resource, char *json, size_t size,
                      struct fence_err *err)
{
    struct fence_kube *kube = context;

    kube->told = true;
    return kube->ops->deleted(kube->context, resource, json, size, err);
}

static void on_begun(void *context, unsigned int resource)
{
    struct fence_kube *kube = context;

    kube->told = true;
    kube->ops->begun(kube->context, resource);
}

static int on_ended(void *context, unsigned int resource, struct fence_err *err)
{
    struct fence_kube *kube = context;

    kube->told = true;
    return kube->ops->ended(kube->context, resource, err);
}

static const struct fence_kube_ops reflector_ops = {
    .object = on_object, .deleted = on_deleted, .begun = on_begun, .ended = on_ended};

static int world_start(void *context, const struct fence_http_request *request,
                       const struct fence_http_ops *ops, void *handler,
                       struct fence_http_exchange **ret_exchange)
{
    struct fence_kube *kube = context;

    return fence_http_start(kube->http, request, ops, handler, ret_exchange, &kube->start_err);
}

static void world_cancel(void *context, struct fence_http_exchange **exchange)
{
    struct fence_kube *kube = context;

    fence_http_cancel(kube->http, exchange);
}

static void world_renew_token(void *context)
{
    struct fence_kube *kube = context;

    fence_http_renew_token(kube->http);
}

static uint64_t world_now_ns(void *context)
{
    (void)context;
    return fence_clock_boot_ns();
}

static uint32_t world_random(void *context)
{
    uint32_t random = 0;

    (void)context;
    /* for spreading alone: what it gives before there is entropy will do */
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
        random = (uint32_t)fence_clock_boot_ns();
    return random;
}

static int watch_fd(struct fence_kube *kube, int fd, struct fence_err *err)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (epoll_ctl(kube->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0)
        return 0;
    return fence_err_set(err, -errno, "epoll_ctl: %s", strerror(errno));
}

static int open_fds(struct fence_kube *kube, struct fence_err *err)
{
    int r;

    kube->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (kube->epoll_fd < 0)
        return fence_err_set(err, -errno, "epoll: %s", strerror(errno));
    kube->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (kube->timer_fd < 0)
        return fence_err_set(err, -errno, "timerfd: %s", strerror(errno));
    r = watch_fd(kube, kube->timer_fd, err);
    return r < 0 ? r : watch_fd(kube, fence_http_fd(kube->http), err);
}

/* Setting it makes it unreadable until it is due again. */
static void set_timer(struct fence_kube *kube)
{
    uint64_t due = UINT64_MAX, one;
    struct itimerspec spec = {0};

    for (unsigned int i = 0; i < kube->count; i++) {
        one = fence_reflector_due_ns(kube->reflectors[i]);
        due = one < due ? one : due;
    }
    if (due != UINT64_MAX) {
        due = due ? due : 1; /* 0 would stop it */
        spec.it_value.tv_sec = (time_t)(due / 1000000000u);
        spec.it_value.tv_nsec = (long)(due % 1000000000u);
    }
    timerfd_settime(kube->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

static int add_reflectors(struct fence_kube *kube, const struct fence_kube_options *all,
                          struct fence_err *err)
{
    unsigned int count = all->count;

    kube->reflectors = calloc(count ? count : 1, sizeof(struct fence_reflector *));
    for (unsigned int i = 0; kube->reflectors && i < count; i++) {
        struct fence_reflector_options options = {.resource = &all->resources[i],
                                                  .index = i,
                                                  .ops = &reflector_ops,
                                                  .context = kube,
                                                  .silence_ms = all->silence_ms,
                                                  .world = &kube->world};

        if (fence_reflector_new(&options, &kube->reflectors[i]) < 0)
            break;
        kube->count++;
    }
    return kube->count == count ? 0 : fence_err_set(err, -ENOMEM, "out of memory");
}

int fence_kube_new(const struct fence_kube_config *config, const struct fence_kube_options *options,
                   struct fence_kube **ret_kube, struct fence_err *err)
{
    FENCE_CLEANUP(fence_kube_free) struct fence_kube *kube = calloc(1, sizeof(*kube));
    int r;

    if (!kube)
        return fence_err_set(err, -ENOMEM, "out of memory");
    kube->ops = options->ops;
    kube->context = options->context;
    kube->epoll_fd = kube->timer_fd = -1;
    kube->world = (struct fence_reflector_world){.start = world_start,
                                                 .start_err = &kube->start_err,
                                                 .cancel = world_cancel,
                                                 .renew_token = world_renew_token,
                                                 .now_ns = world_now_ns,
                                                 .random = world_random,
                                                 .context = kube};
    r = fence_http_new(config, options->user_agent, &kube->http, err);
    if (r == 0)
        r = open_fds(kube, err);
    if (r == 0)
        r = add_reflectors(kube, options, err);
    if (r < 0)
        return r;
    set_timer(kube);
    *ret_kube = TAKE_PTR(kube);
    return 0;
}

void fence_kube_free(struct fence_kube **kube)
{
    if (!*kube)
        return;
    for (unsigned int i = 0; i < (*kube)->count; i++)
        fence_reflector_free(&(*kube)->reflectors[i]);
    free((*kube)->reflectors);
    if ((*kube)->http)
        fence_http_free(&(*kube)->http);
    fence_close_p(&(*kube)->timer_fd);
    fence_close_p(&(*kube)->epoll_fd);
    free(*kube);
    *kube = NULL;
}

int fence_kube_fd(const struct fence_kube *kube)
{
    return kube->epoll_fd;
}

void fence_kube_handle(struct fence_kube *kube)
{
    fence_http_handle(kube->http);
    for (unsigned int i = 0; i < kube->count; i++)
        fence_reflector_tick(kube->reflectors[i]);
    set_timer(kube);
    if (!kube->told)
        return;
    kube->told = false;
    kube->ops->settled(kube->context);
}

const char *fence_kube_phase_name(enum fence_kube_phase phase)
{
    static const char *const names[] = {
        [FENCE_KUBE_LISTING] = "listing", [FENCE_KUBE_WATCHING] = "watching",
        [FENCE_KUBE_WAITING] = "waiting", [FENCE_KUBE_ABSENT] = "absent",
        [FENCE_KUBE_REFUSED] = "refused",
    };
    static_assert(FENCE_ARRAY_SIZE(names) == FENCE_KUBE_PHASES, "a name for each phase");

    return phase < FENCE_ARRAY_SIZE(names) ? names[phase] : "unknown";
}

void fence_kube_state(const struct fence_kube *kube, unsigned int resource,
                      struct fence_kube_state *ret_state)
{
    fence_reflector_state(kube->reflectors[resource], ret_state);
}

unsigned int fence_kube_connections(const struct fence_kube *kube)
{
    return fence_http_connections(kube->http);
}

const struct fence_reflector_world *fence_kube_world(const struct fence_kube *kube)
{
    return &kube->world;
}

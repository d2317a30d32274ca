/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A first change is written after 50 ms, and what came with it; then every 200 ms what has come
 * meanwhile, so that a burst of pods is a few writes of each slice.
 */
#include "lib/slices/publisher.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "lib/base/memory.h"
#include "lib/kube/backoff.h"
#include "lib/kube/call.h"
#include "lib/kube/kube.h"

#define NS_PER_MS   1000000ull
#define NS_PER_S    1000000000ull
#define FIRST_NS    (50 * NS_PER_MS)
#define BETWEEN_NS  (200 * NS_PER_MS)
/* Requests that are on their way at the same time. */
#define CALLS       16u
/* After a refusal of one slice: what is in it may have changed by then, or the server. */
#define REFUSED_NS  (30 * NS_PER_S)
/* After a conflict: by then the watch has told of the other write. */
#define CONFLICT_NS (500 * NS_PER_MS)

/* In the order of enum fence_packer_kind. */
static const struct fence_kube_resource resources[] = {
    {"Pod", "v1", "pods", ""},
    {"Node", "v1", "nodes", ""},
    {"AddressSlice", "podfence.io/v1alpha1", "addressslices", ""},
};
_Static_assert(FENCE_ARRAY_SIZE(resources) == FENCE_PACKER_KINDS, "every kind is asked for");

struct writing {
    struct fence_publisher *publisher;
    struct fence_kube_call *call; /* NULL: free */
    char name[80];
    bool is_delete;
    size_t size;
};

struct fence_publisher {
    struct fence_kube *kube;
    struct fence_packer *packer;
    struct writing writings[CALLS];
    bool flushing;       /* until nothing is left that may be written now */
    uint64_t due_ns;     /* of the next flush; 0 = nothing has changed */
    uint64_t flushed_ns; /* when the last one ended */
    uint64_t not_before; /* the server has asked for patience */
    unsigned int failed; /* in a row */
    uint64_t writes, bytes, failures;
    struct fence_err unlisted; /* what keeps a kind from being listed */
    struct fence_err problem;  /* of writing */
    struct fence_err refusal;  /* of the slice that was refused last, while any is */
    int epoll_fd, timer_fd;
};

static const struct fence_reflector_world *world_of(const struct fence_publisher *publisher)
{
    return fence_kube_world(publisher->kube);
}

static uint64_t now(const struct fence_publisher *publisher)
{
    return world_of(publisher)->now_ns(world_of(publisher)->context);
}

/* ---- what the API server has ----------------------------------------------------------------- */

static void changed(struct fence_publisher *publisher)
{
    uint64_t soon = now(publisher) + FIRST_NS, next = publisher->flushed_ns + BETWEEN_NS;

    if (!publisher->due_ns)
        publisher->due_ns = soon > next ? soon : next;
}

static int tell(struct fence_publisher *publisher, unsigned int resource, const char *json,
                size_t size,
                int (*put)(struct fence_packer *, enum fence_packer_kind, const cJSON *))
{
    cJSON *object = cJSON_ParseWithLength(json, size);
    int r = object ? put(publisher->packer, (enum fence_packer_kind)resource, object) : 0;

    cJSON_Delete(object);
    changed(publisher);
    return r;
}

static int on_object(void *context, unsigned int resource, char *json, size_t size,
                     struct fence_err *err)
{
    (void)err;
    return tell(context, resource, json, size, fence_packer_object);
}

static int on_deleted(void *context, unsigned int resource, char *json, size_t size,
                      struct fence_err *err)
{
    (void)err;
    return tell(context, resource, json, size, fence_packer_deleted);
}

static void on_begun(void *context, unsigned int resource)
{
    struct fence_publisher *publisher = context;

    fence_packer_begin(publisher->packer, (enum fence_packer_kind)resource);
}

static int on_ended(void *context, unsigned int resource, struct fence_err *err)
{
    struct fence_publisher *publisher = context;

    (void)err;
    fence_packer_end(publisher->packer, (enum fence_packer_kind)resource);
    changed(publisher);
    return 0;
}

static void on_settled(void *context)
{
    (void)context;
}

static const struct fence_kube_ops ops = {.object = on_object,
                                          .deleted = on_deleted,
                                          .begun = on_begun,
                                          .ended = on_ended,
                                          .settled = on_settled};

/* Is every kind here, and listed? Pods that are not known must not read as gone. */
static bool all_listed(struct fence_publisher *publisher)
{
    struct fence_kube_state state;

    publisher->unlisted.text[0] = '\0';
    for (unsigned int i = 0; i < FENCE_ARRAY_SIZE(resources); i++) {
        fence_kube_state(publisher->kube, i, &state);
        if (state.listed && state.phase != FENCE_KUBE_ABSENT)
            continue;
        if (*state.problem)
            fence_err_set(&publisher->unlisted, 0, "%s: %s", resources[i].kind, state.problem);
        return false;
    }
    return true;
}

/* ---- writes ---------------------------------------------------------------------------------- */

static const char *version_of(const cJSON *json)
{
    const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(json, "metadata");
    const char *version =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(metadata, "resourceVersion"));

    return version ? version : "";
}

/* The server takes others. */
static bool is_refusal(const struct fence_kube_answer *answer)
{
    return answer->status == 400 || answer->status == 413 || answer->status == 422;
}

/* Not taken: again after what the watch tells, or after a while. */
static uint64_t fail(struct fence_publisher *publisher, const struct writing *writing,
                     const struct fence_kube_answer *answer)
{
    const struct fence_reflector_world *world = world_of(publisher);
    uint64_t wait;

    publisher->failures++;
    if (answer->status == 409 || answer->status == 404)
        return now(publisher) + CONFLICT_NS;
    if (is_refusal(answer)) {
        fence_err_set(&publisher->refusal, 0, "AddressSlice/%s is refused: %s", writing->name,
                      answer->problem);
        return now(publisher) + REFUSED_NS;
    }
    fence_err_set(&publisher->problem, 0, "address slices cannot be written: %s", answer->problem);
    wait = fence_backoff_ms(&fence_backoff_failure, publisher->failed++,
                            world->random(world->context), answer->retry_after_ms);
    publisher->not_before = now(publisher) + wait * NS_PER_MS;
    return publisher->not_before;
}

static void answered(void *context, const struct fence_kube_answer *answer)
{
    struct writing *writing = context;
    struct fence_publisher *publisher = writing->publisher;
    bool is_gone = writing->is_delete && answer->status == 404;
    bool written =
        answer->code == 0 && (is_gone || (answer->status >= 200 && answer->status < 300));
    uint64_t again = 0;

    writing->call = NULL;
    if (written) {
        publisher->writes++;
        publisher->bytes += writing->size;
        publisher->failed = 0;
        publisher->problem.text[0] = '\0';
    } else {
        again = fail(publisher, writing, answer);
    }
    fence_packer_answered(publisher->packer, writing->name,
                          written              ? FENCE_PACKER_WRITTEN
                          : is_refusal(answer) ? FENCE_PACKER_REFUSED
                                               : FENCE_PACKER_NOT_WRITTEN,
                          writing->is_delete || !written ? "" : version_of(answer->json), again);
    changed(publisher);
}

static int start(struct fence_publisher *publisher, struct writing *writing,
                 const struct fence_packer_write *write)
{
    struct fence_kube_request request = {
        .method = write->method, .content_type = "application/json", .body = write->body};
    bool is_new = strcmp(write->method, "POST") == 0;
    char path[160];

    snprintf(path, sizeof(path), "/apis/podfence.io/v1alpha1/addressslices%s%s", is_new ? "" : "/",
             is_new ? "" : write->name);
    request.path = path;
    if (!write->body)
        request.content_type = NULL;
    writing->publisher = publisher;
    writing->is_delete = !write->body;
    writing->size = write->body ? strlen(write->body) : 0;
    memcpy(writing->name, write->name, sizeof(writing->name));
    return fence_kube_call(world_of(publisher), &request, answered, writing, &writing->call);
}

static struct writing *free_writing(struct fence_publisher *publisher)
{
    for (size_t i = 0; i < CALLS; i++)
        if (!publisher->writings[i].call)
            return &publisher->writings[i];
    return NULL;
}

/* Until nothing is to be written now, or enough is on its way. */
static void flush(struct fence_publisher *publisher)
{
    struct fence_packer_write write;
    struct writing *writing;

    while ((writing = free_writing(publisher))) {
        if (!fence_packer_next(publisher->packer, now(publisher), &write)) {
            publisher->flushing = false;
            publisher->flushed_ns = now(publisher);
            return;
        }
        if (start(publisher, writing, &write) < 0) {
            writing->call = NULL;
            fence_packer_answered(publisher->packer, write.name, FENCE_PACKER_NOT_WRITTEN, "",
                                  now(publisher) + NS_PER_S);
        }
        free(write.body);
    }
}

/* Whatever waits for its time is looked at again every so often. */
static void plan_next(struct fence_publisher *publisher)
{
    struct fence_packer_count count;

    fence_packer_count(publisher->packer, &count);
    publisher->due_ns = 0;
    if (count.pending || !count.complete)
        publisher->due_ns = now(publisher) + BETWEEN_NS;
}

static void tick(struct fence_publisher *publisher)
{
    uint64_t at = now(publisher);

    if (!publisher->flushing && (!publisher->due_ns || at < publisher->due_ns))
        return;
    if (at < publisher->not_before || !all_listed(publisher)) {
        publisher->due_ns = at + BETWEEN_NS;
        publisher->flushing = false;
        return;
    }
    if (fence_packer_start(publisher->packer) < 0)
        return;
    publisher->flushing = true;
    flush(publisher);
    if (!publisher->flushing)
        plan_next(publisher);
}

/* ---- one descriptor -------------------------------------------------------------------------- */

static void set_timer(struct fence_publisher *publisher)
{
    struct itimerspec spec = {0};
    uint64_t due = publisher->due_ns;

    spec.it_value.tv_sec = (time_t)(due / NS_PER_S);
    spec.it_value.tv_nsec = (long)(due % NS_PER_S);
    timerfd_settime(publisher->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

void fence_publisher_handle(struct fence_publisher *publisher)
{
    fence_kube_handle(publisher->kube);
    tick(publisher);
    set_timer(publisher);
}

int fence_publisher_fd(const struct fence_publisher *publisher)
{
    return publisher->epoll_fd;
}

static int watch_fd(struct fence_publisher *publisher, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};

    return fd < 0 ? -1 : epoll_ctl(publisher->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static int open_fds(struct fence_publisher *publisher, struct fence_err *err)
{
    publisher->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    publisher->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (publisher->epoll_fd < 0 || watch_fd(publisher, publisher->timer_fd) < 0 ||
        watch_fd(publisher, fence_kube_fd(publisher->kube)) < 0)
        return fence_err_set(err, -errno, "epoll: %s", strerror(errno));
    return 0;
}

int fence_publisher_new(const struct fence_kube_config *config,
                        struct fence_publisher **ret_publisher, struct fence_err *err)
{
    FENCE_CLEANUP(fence_publisher_free)
    struct fence_publisher *publisher = calloc(1, sizeof(*publisher));
    struct fence_kube_options options = {.user_agent = "podfenced",
                                         .resources = resources,
                                         .count = FENCE_ARRAY_SIZE(resources),
                                         .ops = &ops};
    int r;

    if (!publisher)
        return fence_err_set(err, -ENOMEM, "out of memory");
    publisher->epoll_fd = publisher->timer_fd = -1;
    options.context = publisher;
    r = fence_kube_new(config, &options, &publisher->kube, err);
    if (r < 0)
        return r;
    publisher->packer =
        fence_packer_new((uint64_t)world_of(publisher)->random(world_of(publisher)->context) << 32 |
                         world_of(publisher)->random(world_of(publisher)->context));
    if (!publisher->packer)
        return fence_err_set(err, -ENOMEM, "out of memory");
    r = open_fds(publisher, err);
    if (r < 0)
        return r;
    *ret_publisher = TAKE_PTR(publisher);
    return 0;
}

void fence_publisher_free(struct fence_publisher **publisher)
{
    struct fence_publisher *gone = *publisher;

    if (!gone)
        return;
    for (size_t i = 0; i < CALLS; i++)
        fence_kube_call_cancel(&gone->writings[i].call);
    fence_close_p(&gone->timer_fd);
    fence_close_p(&gone->epoll_fd);
    if (gone->kube)
        fence_kube_free(&gone->kube);
    fence_packer_free(&gone->packer);
    free(gone);
    *publisher = NULL;
}

void fence_publisher_state(const struct fence_publisher *publisher,
                           struct fence_publisher_state *ret_state)
{
    struct fence_kube_state state;

    *ret_state = (struct fence_publisher_state){.writes = publisher->writes,
                                                .bytes = publisher->bytes,
                                                .failures = publisher->failures,
                                                .problem = publisher->problem.text};
    fence_packer_count(publisher->packer, &ret_state->count);
    if (*publisher->unlisted.text)
        ret_state->problem = publisher->unlisted.text;
    else if (!*ret_state->problem && ret_state->count.refused)
        ret_state->problem = publisher->refusal.text;
    for (unsigned int i = 0; i < FENCE_ARRAY_SIZE(resources); i++) {
        fence_kube_state(publisher->kube, i, &state);
        ret_state->received += state.bytes;
    }
}

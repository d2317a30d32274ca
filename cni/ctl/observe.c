/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "cni/ctl/daemon.h"
#include "cni/ctl/observe.h"
#include "cni/ctl/options.h"
#include "lib/api/api.h"
#include "lib/api/event_json.h"
#include "lib/api/resolve.h"
#include "lib/base/memory.h"
#include "lib/datapath/endpoints.h"
#include "lib/datapath/events.h"
#include "lib/datapath/read.h"

#define MOMENT_MS 1000 /* how long to listen without -f, and how often to look for the daemon */

struct observation {
    struct ctl *ctl;
    struct ctl_observe_filter filter;
    bool follow;
    bool failed;
    struct fence_resolver resolver; /* while reading the ring */
};

/* As JSON it is what the daemon's event log has, to the last byte. */
static void show(struct observation *observation, const char *text, size_t size)
{
    struct ctl *ctl = observation->ctl;
    cJSON *event = NULL;

    if (fence_api_parse(text, size, &event, NULL) < 0) {
        observation->failed = true;
        return;
    }
    if (!ctl_observe_fits(&observation->filter, event)) {
        cJSON_Delete(event);
        return;
    }
    if (ctl->output.format == CTL_TEXT)
        ctl_observe_print(stdout, ctl->output.color, event);
    else if (ctl->output.format == CTL_JSON)
        puts(text);
    else if (ctl_print_value(&ctl->output, event) < 0)
        observation->failed = true;
    cJSON_Delete(event);
    fflush(stdout);
}

static long long now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Events until the daemon ends, or for a moment. 0, or a negative errno. */
static int from_daemon(struct observation *observation, int fd, struct fence_err *err)
{
    long long end = now_ms() + MOMENT_MS;

    for (;;) {
        long long left = observation->follow ? -1 : end - now_ms();
        FENCE_FREE char *text = NULL;
        size_t size = 0;
        int r;

        if (!observation->follow && left <= 0)
            return 0;
        r = fence_api_receive_text(fd, (int)left, &text, &size, err);
        if (r == -ETIMEDOUT && !observation->follow)
            return 0;
        if (r < 0)
            return r;
        show(observation, text, size);
    }
}

static void on_event(void *context, const struct fence_event *event)
{
    struct observation *observation = context;
    struct fence_resolved resolved;
    struct fence_record record;
    char text[FENCE_EVENT_JSON_MAX];

    fence_resolve(&observation->resolver, event, &resolved);
    fence_record_view(&observation->resolver, &resolved, &record);
    show(observation, text, fence_event_json(&record, text));
    fence_resolved_done(&resolved);
}

static bool daemon_runs(const struct ctl *ctl)
{
    FENCE_CLOSE int fd = fence_api_connect(ctl->socket, NULL);

    return fd >= 0;
}

static void name_addresses(struct fence_name_index *index,
                           const struct fence_endpoint_record *record)
{
    const struct fence_endpoint *endpoint = &record->endpoint;
    const struct fence_name name = {.namespace_name = record->info.namespace_name,
                                    .pod = record->info.pod};

    for (size_t i = 0; *name.pod && i < endpoint->addr_count && i < FENCE_ENDPOINT_ADDRS; i++)
        fence_name_index_add(index, &endpoint->addrs[i], &name);
}

/* The pods may have changed since the last look. */
static void refresh(struct fence_resolver *resolver)
{
    struct fence_endpoint_list endpoints = {0};

    resolver->generation++;
    fence_name_index_done(&resolver->addresses);
    (void)fence_endpoints_list(resolver->pins, &endpoints, NULL);
    for (size_t i = 0; i < endpoints.count; i++)
        name_addresses(&resolver->addresses, &endpoints.items[i]);
    fence_endpoint_list_done(&endpoints);
}

/* All that comes within a moment. */
static int drain_moment(struct fence_events *events)
{
    struct pollfd ready = {.fd = fence_events_fd(events), .events = POLLIN};
    long long end = now_ms() + MOMENT_MS;

    while (now_ms() < end) {
        int r = fence_events_consume(events);

        if (r < 0)
            return r;
        r = poll(&ready, 1, FENCE_EVENTS_CONSUME_MS);
        if (r < 0 && errno != EINTR)
            return -errno;
    }
    return 0;
}

/* What is in the ring and comes within a moment; when following, until the daemon is there and
 * reads it. */
static int drain(struct observation *observation, struct fence_events *events)
{
    int r;

    do {
        refresh(&observation->resolver);
        r = fence_events_listen(observation->resolver.pins);
        if (r == 0)
            r = fence_events_flush(observation->resolver.pins, 0);
        if (r >= 0)
            r = drain_moment(events);
        if (r < 0)
            return r;
    } while (observation->follow && !daemon_runs(observation->ctl));
    r = fence_events_consume(events);
    return r < 0 ? r : 0;
}

static int from_ring(struct observation *observation)
{
    struct ctl *ctl = observation->ctl;
    struct fence_settings settings = {0};
    struct fence_events *events = NULL;
    struct fence_pins pins;
    struct fence_err err = {0};
    int r = ctl_open_pins(ctl, &pins);

    if (r != CTL_DONE)
        return r;
    (void)fence_settings_read(&pins, &settings);
    observation->resolver = (struct fence_resolver){
        .pins = &pins, .node_name = "", .trust_domain = settings.trust_domain};
    r = fence_events_new(&pins, on_event, observation, &events, &err);
    if (r == 0)
        r = drain(observation, events);
    if (r < 0)
        ctl_fail(ctl, "cannot read the events: %s", *err.text ? err.text : strerror(-r));
    fence_events_free(&events);
    fence_resolver_done(&observation->resolver);
    fence_pins_close(&pins);
    return r < 0 ? CTL_FAILED : CTL_DONE;
}

/* One turn with whoever has the events now. */
static int turn(struct observation *observation)
{
    const struct ctl *ctl = observation->ctl;
    struct fence_err err = {0};
    FENCE_CLOSE int fd = ctl_daemon_observe(ctl, &err);
    int r;

    if (fd == -ENOENT)
        return from_ring(observation);
    if (fd < 0)
        return ctl_fail(ctl, "%s", err.text);
    r = from_daemon(observation, fd, &err);
    if (r == -ECONNRESET && observation->follow) {
        ctl_fail(ctl, "the daemon has ended; going on without it");
        return CTL_DONE;
    }
    return r < 0 ? ctl_fail(ctl, "%s", err.text) : CTL_DONE;
}

static int check(const struct ctl *ctl, struct ctl_observe_filter *filter)
{
    const char *verdict = filter->verdict;
    char *end = NULL;

    if (verdict)
        filter->verdict = ctl_observe_verdict(verdict);
    if (verdict && !filter->verdict)
        return ctl_misuse(ctl, "observe",
                          "--verdict %s: there are FORWARDED (allow), DROPPED (deny) and AUDIT",
                          verdict);
    if (filter->port && (*filter->port < '0' || *filter->port > '9' ||
                         strtoul(filter->port, &end, 10) > 65535 || *end))
        return ctl_misuse(ctl, "observe", "--port %s: it is 0 to 65535", filter->port);
    return CTL_GO_ON;
}

static int run(struct observation *observation)
{
    const struct timespec pause = {.tv_nsec = 200000000};
    int r;

    for (;;) {
        r = turn(observation);
        if (r != CTL_DONE || !observation->follow)
            break;
        nanosleep(&pause, NULL);
    }
    return r == CTL_DONE && observation->failed ? ctl_fail(observation->ctl, "out of memory") : r;
}

int ctl_observe(struct ctl *ctl, int argc, char **argv)
{
    struct observation observation = {.ctl = ctl};
    struct ctl_observe_filter *filter = &observation.filter;
    const struct ctl_option options[] = {
        {.name = "follow",
         .letter = 'f',
         .help = "go on until stopped",
         .flag = &observation.follow},
        {.name = "verdict",
         .argument = "VERDICT",
         .help = "FORWARDED (allow), DROPPED (deny) or AUDIT",
         .text = &filter->verdict},
        {.name = "from", .argument = "END", .help = "sent by this end", .text = &filter->from},
        {.name = "to", .argument = "END", .help = "sent to this end", .text = &filter->to},
        {.name = "port", .argument = "N", .help = "destination port", .text = &filter->port},
    };
    const struct ctl_usage usage = {
        .verb = "observe",
        .arguments = "",
        .about = "Prints verdicts of new connections and dropped packets, as JSON with Hubble's "
                 "field names.\nThrough the daemon when it runs: without -f, what comes within a "
                 "second. Else straight from\nthe ring buffer: without -f, what is in it now. An "
                 "END is NAMESPACE/POD, NAMESPACE/,\nNAMESPACE/APP, another identity such as "
                 "world, or an address.",
        .example = "  podfencectl observe -f --verdict DROPPED --to shop/db-0\n"
                   "  podfencectl observe -f -o json | jq -r .Summary",
        .options = options,
        .option_count = FENCE_ARRAY_SIZE(options),
    };
    int first = 0, r = ctl_parse(ctl, &usage, argc, argv, &first);

    if (r == CTL_GO_ON)
        r = check(ctl, filter);
    return r == CTL_GO_ON ? run(&observation) : r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>

#include "bench_datapath.skel.h"
#include "lib/base/memory.h"
#include "lib/datapath/events.h"
#include "test/bench/hooks.h"

/* So many events fit into the ring, with room for a record's head. */
#define CHUNK (FENCE_EVENTS_BYTES / (2 * sizeof(struct fence_event)) / 1000 * 1000)

struct hooks_programs {
    struct bench_datapath *skeleton;
    struct fence_events *events;
    int flows;
    int real[FENCE_DIRECTIONS];
    int empty[FENCE_DIRECTIONS];
};

/* The maps that are pinned are the node's; what the object has beside them is its own. */
static int share_maps(struct bpf_object *object, const struct fence_pins *pins,
                      struct fence_err *err)
{
    struct bpf_map *map;

    bpf_object__for_each_map(map, object)
    {
        FENCE_CLOSE int fd = -1;
        char path[512];
        int r;

        snprintf(path, sizeof(path), "%s/maps/%s", pins->root, bpf_map__name(map));
        fd = bpf_obj_get(path);
        if (fd < 0)
            continue;
        r = bpf_map__reuse_fd(map, fd);
        if (r < 0)
            return fence_err_set(err, r, "map %s: %s", bpf_map__name(map), strerror(-r));
    }
    return 0;
}

static int load(struct hooks_programs *programs, const struct hooks_node *node,
                struct fence_err *err)
{
    struct bench_datapath *skeleton = bench_datapath__open();
    struct bpf_program *program;
    int r;

    if (!skeleton)
        return fence_err_set(err, -errno, "opening the measured programs: %s", strerror(errno));
    programs->skeleton = skeleton;
    bpf_object__for_each_program(program, skeleton->obj)
        bpf_program__set_autoload(program, strncmp(bpf_program__name(program), "bench_", 6) == 0);
    r = share_maps(skeleton->obj, &node->pins, err);
    if (r < 0)
        return r;
    r = bench_datapath__load(skeleton);
    if (r < 0)
        return fence_err_set(err, r, "loading the measured programs: %s", strerror(-r));
    programs->flows = bpf_map__fd(skeleton->maps.bench_flows);
    programs->real[FENCE_EGRESS] = bpf_program__fd(skeleton->progs.bench_from_pod);
    programs->real[FENCE_INGRESS] = bpf_program__fd(skeleton->progs.bench_to_pod);
    programs->empty[FENCE_EGRESS] = bpf_program__fd(skeleton->progs.bench_empty_from_pod);
    programs->empty[FENCE_INGRESS] = bpf_program__fd(skeleton->progs.bench_empty_to_pod);
    return 0;
}

static void ignore(void *context, const struct fence_event *event)
{
    (void)context;
    (void)event;
}

int hooks_programs_new(const struct hooks_node *node, struct hooks_programs **ret_programs,
                       struct fence_err *err)
{
    struct hooks_programs *programs = calloc(1, sizeof(*programs));
    int r;

    if (!programs)
        return fence_err_set(err, -ENOMEM, "out of memory");
    r = load(programs, node, err);
    if (r == 0)
        r = fence_events_new(&node->pins, ignore, NULL, &programs->events, err);
    if (r < 0) {
        hooks_programs_free(&programs);
        return r;
    }
    *ret_programs = programs;
    return 0;
}

void hooks_programs_free(struct hooks_programs **programs)
{
    if (!*programs)
        return;
    fence_events_free(&(*programs)->events);
    bench_datapath__destroy((*programs)->skeleton);
    free(*programs);
    *programs = NULL;
}

static void go_on(struct bench_flows *flows, unsigned int packets)
{
    flows->next = (flows->next + packets * flows->step) % flows->count;
}

void hooks_advance(struct hooks_stream *stream)
{
    go_on(&stream->flows, stream->packets);
}

/* As many packets as there is room for events; somebody reads them in between, as the daemon. */
static int run_chunk(struct hooks_programs *programs, const struct hooks_stream *stream, int fd,
                     struct bench_flows *flows, unsigned int packets)
{
    struct __sk_buff context = {.ifindex = stream->ifindex,
                                .ingress_ifindex = stream->ingress_ifindex};
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = stream->frame,
                .data_size_in = (__u32)stream->size, .ctx_in = &context,
                .ctx_size_in = sizeof(context), .repeat = (int)packets);
    __u32 zero = 0;
    int r;

    fence_events_consume(programs->events);
    r = bpf_map_update_elem(programs->flows, &zero, flows, BPF_ANY);
    if (r == 0)
        r = bpf_prog_test_run_opts(fd, &opts);
    if (r == 0)
        r = bpf_map_lookup_elem(programs->flows, &zero, flows);
    return r < 0 ? r : (int)opts.duration;
}

/* NOLINTNEXTLINE(readability-function-size) */
int hooks_run(struct hooks_programs *programs, const struct hooks_stream *stream, bool real,
              struct hooks_result *ret_result, struct fence_err *err)
{
    int fd = (real ? programs->real : programs->empty)[stream->direction];
    struct bench_flows flows = stream->flows;
    struct hooks_result result = {0};

    flows.dropped = flows.handed = 0;
    for (unsigned int left = stream->packets; left > 0;) {
        unsigned int packets = left < CHUNK ? left : (unsigned int)CHUNK;
        int each = run_chunk(programs, stream, fd, &flows, packets);

        if (each < 0)
            return fence_err_set(err, each, "test run: %s", strerror(-each));
        result.ns += (double)each * packets;
        left -= packets;
    }
    result.dropped = flows.dropped;
    result.handed = flows.handed;
    *ret_result = result;
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps first, then programs, then settings, then `about`: whoever opens the pins meanwhile (the
 * plugin) sees nothing loaded, or everything. Killed anywhere, the next run goes on from what is
 * pinned: a map is reused, a program is replaced by rename, and links and filters follow the pinned
 * programs. Where an older layout is in force, `about` says so until it has gone (takeover.c).
 */
#include "lib/datapath/load.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "lib/base/failpoint.h"
#include "lib/base/memory.h"
#include "lib/datapath/connections.h"
#include "lib/datapath/epochs.h"
#include "lib/datapath/layout.h"
#include "lib/datapath/load_pins.h"
#include "lib/datapath/object.h"
#include "lib/datapath/program.h"
#include "lib/datapath/read.h"
#include "lib/datapath/refresh.h"
#include "lib/datapath/settings.h"
#include "lib/datapath/takeover.h"
#include "lib/datapath/walk.h"

#define LOG_MAX         65536
#define CLOCK_SAMPLE_NS 200000000L

static void close_object(struct bpf_object **object)
{
    bpf_object__close(*object);
    *object = NULL;
}

static bool asks_size(const struct fence_load_options *options, enum fence_map number)
{
    for (size_t i = 0; i < options->size_count; i++)
        if (options->sizes[i].map == number)
            return true;
    return false;
}

/* One more sentence of the warning. */
static void warn_size(const char *name, __u32 pinned, __u32 wanted, struct fence_err *warning)
{
    size_t used = strlen(warning->text);

    snprintf(warning->text + used, sizeof(warning->text) - used,
             "%sthe %s map is pinned with %u entries; --map-size %s=%u takes effect when the data "
             "path is created anew, after a reboot of the node",
             used ? "; " : "", name, pinned, name, wanted);
}

/* Pinned before: must be what this build expects. It keeps its size. */
static int reuse_map(struct bpf_map *map, int fd, const char *path, struct fence_err *err)
{
    struct bpf_map_info info = {0};
    __u32 size = sizeof(info);
    int r = bpf_obj_get_info_by_fd(fd, &info, &size);

    if (r < 0)
        return fence_err_set(err, r, "%s: %s", path, strerror(-r));
    if (info.type != bpf_map__type(map) || info.key_size != bpf_map__key_size(map) ||
        info.value_size != bpf_map__value_size(map) || info.map_flags != bpf_map__map_flags(map))
        return fence_err_set(err, -EUCLEAN,
                             "%s is a map of another layout (type %u, key %u, value %u bytes): it "
                             "was not made by this version; stop the pods or drain the node, run "
                             "`podfencectl uninstall`, and start podfenced again",
                             path, info.type, info.key_size, info.value_size);
    r = bpf_map__reuse_fd(map, fd);
    if (r < 0)
        return fence_err_set(err, r, "reusing %s: %s", path, strerror(-r));
    return 0;
}

/* What the map is created with: connections are in buckets, whose number is a power of two. */
static __u32 map_size(enum fence_map number, __u32 entries)
{
    __u32 buckets = 1;

    if (number == FENCE_MAP_USAGE)
        return entries < FENCE_SLOT_MAX ? entries + 1 : FENCE_SLOT_MAX + 1;
    if (number != FENCE_MAP_CONNECTIONS || entries > 1u << 30)
        return entries;
    while (buckets * FENCE_BUCKET_WAYS < entries)
        buckets *= 2;
    return buckets;
}

static int size_map(struct bpf_map *map, enum fence_map number,
                    const struct fence_load_options *options, struct fence_err *err)
{
    /* a slot for each endpoint */
    enum fence_map option = number == FENCE_MAP_USAGE ? FENCE_MAP_ENDPOINTS : number;

    for (size_t i = 0; i < options->size_count; i++) {
        __u32 entries = options->sizes[i].entries;
        int r;

        if (options->sizes[i].map != option)
            continue;
        r = entries ? bpf_map__set_max_entries(map, map_size(number, entries)) : -EINVAL;
        if (r < 0)
            return fence_err_set(err, -EINVAL, "%u is no size for the map %s",
                                 options->sizes[i].entries, fence_map_name(number));
    }
    return 0;
}

/* Not pinned: the older layout's, or a new one of the size that the older one has. */
static int inherit_map(struct bpf_map *map, enum fence_map number,
                       const struct fence_takeover *takeover, struct fence_err *err)
{
    int carried = fence_takeover_carried(takeover, number);
    __u32 size = fence_takeover_size(takeover, number);
    int r = 0;

    if (carried >= 0)
        return reuse_map(map, carried, fence_map_name(number), err);
    if (size)
        r = bpf_map__set_max_entries(map, size);
    return r < 0 ? fence_err_set(err, r, "sizing the %s map: %s", fence_map_name(number),
                                 strerror(-r))
                 : 0;
}

/* From pinned or to be created; afterwards libbpf knows the size that it has or gets. */
static int prepare_map(struct bpf_map *map, enum fence_map number, struct fence_pins *pins,
                       const struct fence_takeover *takeover, struct fence_err *err)
{
    const char *name = fence_map_name(number);
    char path[512];

    snprintf(path, sizeof(path), "%s/maps/%s", pins->root, name);
    pins->maps[number] = bpf_obj_get(path);
    if (pins->maps[number] >= 0)
        return reuse_map(map, pins->maps[number], path, err);
    if (pins->maps[number] == -ENOENT)
        return inherit_map(map, number, takeover, err);
    return fence_err_set(err, pins->maps[number], "%s: %s", path, strerror(-pins->maps[number]));
}

static int prepare_maps(struct bpf_object *object, const struct fence_load_options *options,
                        struct fence_pins *pins, struct fence_err *warning, struct fence_err *err)
{
    for (unsigned int i = 0; i < FENCE_MAP_COUNT; i++) {
        const char *name = fence_map_name((enum fence_map)i);
        struct bpf_map *map = bpf_object__find_map_by_name(object, name);
        __u32 wanted;
        int r;

        if (!map)
            return fence_err_set(err, -ENOENT, "the BPF object has no map %s", name);
        r = size_map(map, (enum fence_map)i, options, err);
        wanted = bpf_map__max_entries(map);
        if (r == 0)
            r = prepare_map(map, (enum fence_map)i, pins, options->takeover, err);
        if (r < 0)
            return r;
        if (bpf_map__max_entries(map) != wanted && asks_size(options, (enum fence_map)i))
            warn_size(name, bpf_map__max_entries(map), wanted, warning);
    }
    return 0;
}

static int pin_maps(struct bpf_object *object, struct fence_pins *pins, struct fence_err *err)
{
    for (unsigned int i = 0; i < FENCE_MAP_COUNT; i++) {
        const char *name = fence_map_name((enum fence_map)i);
        const struct bpf_map *map = bpf_object__find_map_by_name(object, name);
        int r;

        if (pins->maps[i] >= 0)
            continue;
        r = fence_load_replace_pin(bpf_map__fd(map), pins->root, "maps", name, err);
        if (r < 0)
            return r;
        pins->maps[i] = dup(bpf_map__fd(map));
        if (pins->maps[i] < 0)
            return fence_err_set(err, -errno, "map %s: %s", name, strerror(errno));
    }
    return 0;
}

static int map_epochs(struct fence_pins *pins, struct fence_err *err)
{
    int r = fence_epochs_map(pins->maps[FENCE_MAP_EPOCHS], &pins->epochs);

    return r < 0 ? fence_err_set(err, r, "mapping %s/maps/epochs: %s", pins->root, strerror(-r))
                 : 0;
}

/* The pinned one stays when it is the same. */
static int pin_prog(int fd, const char *name, struct fence_pins *pins, int *ret_fd,
                    struct fence_err *err)
{
    FENCE_CLOSE int pinned = -1;
    bool equal = false;
    char path[512];
    int r = 0;

    snprintf(path, sizeof(path), "%s/progs/%s", pins->root, name);
    pinned = bpf_obj_get(path);
    if (pinned >= 0)
        r = fence_progs_equal(pinned, fd, &equal);
    else if (pinned != -ENOENT)
        r = pinned;
    if (r < 0)
        return fence_err_set(err, r, "%s: %s", path, strerror(-r));
    if (equal) {
        *ret_fd = TAKE_FD(pinned);
        return 0;
    }
    r = fence_load_replace_pin(fd, pins->root, "progs", name, err);
    if (r < 0)
        return r;
    *ret_fd = dup(fd);
    return *ret_fd < 0 ? fence_err_set(err, -errno, "%s: %s", path, strerror(errno)) : 0;
}

static int pin_progs(struct bpf_object *object, struct fence_pins *pins, struct fence_err *err)
{
    for (unsigned int i = 0; i < FENCE_PROG_COUNT; i++) {
        const char *name = fence_prog_name((enum fence_prog)i);
        const struct bpf_program *prog = bpf_object__find_program_by_name(object, name);
        int r;

        if (!prog)
            return fence_err_set(err, -ENOENT, "the BPF object has no program %s", name);
        r = pin_prog(bpf_program__fd(prog), name, pins, &pins->progs[i], err);
        if (r < 0)
            return r;
    }
    return 0;
}

static __u64 monotonic_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (__u64)now.tv_sec * 1000000000ull + (__u64)now.tv_nsec;
}

/* The kernel's tick is nowhere to be read: two samples, and the nearest of the usual values. */
static int measure_hz(const struct fence_pins *pins, __u32 *ret_hz)
{
    static const __u32 usual[] = {100, 250, 300, 1000};
    const struct timespec pause = {.tv_nsec = CLOCK_SAMPLE_NS};
    __u64 began, before, after, elapsed, ticks;
    size_t best = 0;
    int r = fence_jiffies(pins, &before);

    if (r < 0)
        return r;
    began = monotonic_ns();
    nanosleep(&pause, NULL);
    r = fence_jiffies(pins, &after);
    if (r < 0)
        return r;
    elapsed = monotonic_ns() - began;
    ticks = (after - before) * 1000000000ull / (elapsed ? elapsed : 1);
    for (size_t i = 1; i < FENCE_ARRAY_SIZE(usual); i++)
        if (llabs((long long)usual[i] - (long long)ticks) <
            llabs((long long)usual[best] - (long long)ticks))
            best = i;
    *ret_hz = usual[best];
    return 0;
}

/* The programs find the table's size here, whatever it was created with. */
static int size_connections(const struct fence_pins *pins, struct fence_settings *settings)
{
    struct fence_map_shape shape;
    int r = fence_map_shape(pins->maps[FENCE_MAP_CONNECTIONS], &shape);

    if (r < 0)
        return r;
    settings->bucket_mask = shape.max_entries - 1;
    /* until the daemon knows how many endpoints there are */
    if (settings->share == 0)
        settings->share = fence_connections_share(shape.max_entries, FENCE_USUAL_ENDPOINTS);
    return 0;
}

static int complete_settings(const struct fence_pins *pins, bool plain,
                             const struct fence_takeover *takeover, struct fence_err *err)
{
    struct fence_settings settings;
    int r = fence_settings_read(pins, &settings);

    if (r == 0 && settings.hz == 0 && takeover->from.number)
        r = fence_takeover_settings(takeover, &settings);
    if (r < 0)
        return fence_err_set(err, r, "settings map: %s", strerror(-r));
    if (settings.hash_key[0] == 0 && settings.hash_key[1] == 0 &&
        getrandom(settings.hash_key, sizeof(settings.hash_key), 0) !=
            (ssize_t)sizeof(settings.hash_key))
        return fence_err_set(err, -EIO, "getrandom: %s", strerror(errno));
    if (settings.next_set == 0)
        settings.next_set = 1;
    settings.flags &= ~(__u32)FENCE_SETTING_PLAIN;
    settings.flags |= plain ? FENCE_SETTING_PLAIN : 0;
    r = size_connections(pins, &settings);
    if (r < 0)
        return fence_err_set(err, r, "connections map: %s", strerror(-r));
    if (settings.hz == 0) {
        r = measure_hz(pins, &settings.hz);
        if (r < 0)
            return fence_err_set(err, r, "measuring the kernel's tick: %s", strerror(-r));
    }
    r = fence_settings_write(pins, &settings, err);
    return r < 0 ? r : 0;
}

/* What libbpf has to say, kept for the error text: the last lines name the cause. */
static char log_text[LOG_MAX];
static size_t log_used;

__attribute__((format(printf, 2, 0))) static int keep_log(enum libbpf_print_level level,
                                                          const char *format, va_list args)
{
    int length;

    if (level == LIBBPF_DEBUG || log_used >= sizeof(log_text) - 1)
        return 0;
    length = vsnprintf(log_text + log_used, sizeof(log_text) - log_used, format, args);
    if (length > 0)
        log_used += (size_t)length;
    if (log_used > sizeof(log_text) - 1)
        log_used = sizeof(log_text) - 1;
    return 0;
}

static int load_error(int code, struct fence_err *err)
{
    const size_t shown = 600;
    char text[601];

    if (code == -EPERM)
        return fence_err_set(err, code,
                             "loading the BPF programs: %s; this needs root, or the capabilities "
                             "BPF, NET_ADMIN and PERFMON",
                             strerror(-code));
    snprintf(text, sizeof(text), "%s", log_text + (log_used > shown ? log_used - shown : 0));
    for (char *at = text; *at; at++)
        if (*at == '\n')
            *at = ' ';
    return fence_err_set(err, code, "loading the BPF programs: %s (%s)", strerror(-code), text);
}

/* Only now it is in force. Links and filters of an older layout that is stay as they are. */
static int finish(const struct fence_load_options *options, const struct fence_pins *pins,
                  struct fence_err *err)
{
    bool older = options->takeover->from.number != 0;
    int r =
        older ? fence_takeover_copy(options->takeover, pins, err) : fence_attach_refresh(pins, err);

    if (r >= 0)
        r = fence_about_write(pins, !older, err);
    if (r < 0 || older)
        return r;
    FENCE_FAILPOINT("load.whole");
    return fence_layouts_remove(options->bpffs, err);
}

static int load_into(struct bpf_object *object, bool plain,
                     const struct fence_load_options *options, struct fence_pins *pins,
                     struct fence_err *err)
{
    struct fence_err warning = {""};
    int r = fence_object_size(object, err);

    if (r == 0)
        r = prepare_maps(object, options, pins, &warning, err);
    if (r < 0)
        return r;
    r = bpf_object__load(object);
    if (r < 0)
        return load_error(r, err);
    r = pin_maps(object, pins, err);
    if (r == 0)
        r = map_epochs(pins, err);
    if (r == 0)
        r = pin_progs(object, pins, err);
    if (r == 0)
        r = complete_settings(pins, plain, options->takeover, err);
    FENCE_FAILPOINT("load.settings-written");
    if (r == 0)
        r = finish(options, pins, err);
    if (r < 0 || !warning.text[0])
        return r;
    return fence_err_set(err, 1, "%s", warning.text);
}

static int open_and_load(const struct fence_load_options *options, struct fence_pins *pins,
                         struct fence_err *err)
{
    FENCE_CLEANUP(close_object) struct bpf_object *object = NULL;
    bool plain = false;
    int r;

    log_used = 0;
    log_text[0] = '\0';
    libbpf_set_print(keep_log);
    r = fence_object_open(options->kernel_structs, &object, &plain);
    r = r < 0 ? load_error(r, err) : load_into(object, plain, options, pins, err);
    libbpf_set_print(NULL);
    return r;
}

/* Who only loads neither takes over, which needs the objects, nor takes back, which needs the
 * daemon's lock. */
static int refuse_others(const char *bpffs, struct fence_err *err)
{
    FENCE_CLEANUP(fence_layout_list_done) struct fence_layout_list list = {0};
    int r = fence_layouts_list(bpffs, &list, err);

    for (size_t i = 0; i < list.count && r == 0; i++)
        if (list.items[i].used)
            r = fence_err_set(err, -ESTALE,
                              "pods of this node are enforced by layout %u in %s: start podfenced "
                              "%s, which takes over from it",
                              list.items[i].number, bpffs, FENCE_VERSION);
    return r;
}

/* What is there before anything is written. */
static int look_around(const struct fence_load_options *options, struct fence_takeover *takeover,
                       struct fence_err *err)
{
    struct fence_layout own;
    int r = fence_layout_read(options->bpffs, FENCE_ABI_VERSION, &own, err);

    if (r == 0)
        r = fence_takeover_find(options->bpffs, &own, takeover, err);
    return r == 0 && !options->takeover ? refuse_others(options->bpffs, err) : r;
}

int fence_load(const struct fence_load_options *options, struct fence_pins *ret_pins,
               struct fence_err *err)
{
    FENCE_CLEANUP(fence_takeover_close) struct fence_takeover takeover;
    struct fence_load_options all = *options;
    struct fence_pins pins;
    int r;

    fence_takeover_init(&takeover);
    fence_pins_init(&pins);
    all.takeover = &takeover;
    r = fence_load_folders(options->bpffs, pins.root, sizeof(pins.root), err);
    if (r == 0)
        r = look_around(options, &takeover, err);
    if (r == 0)
        r = open_and_load(&all, &pins, err);
    if (r < 0) {
        fence_pins_close(&pins);
        return r;
    }
    *ret_pins = pins;
    if (options->takeover) {
        *options->takeover = takeover;
        fence_takeover_init(&takeover);
    }
    return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/datapath/pins.h"

#include <assert.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/datapath/epochs.h"
#include "lib/datapath/layout.h"
#include "lib/datapath/read.h"

/* NOLINTBEGIN(bugprone-macro-parentheses): the arguments are tokens, not expressions */
static const char *const map_names[] = {
#define MAP_NAME(symbol, name) [FENCE_MAP_##symbol] = name,
    FENCE_MAPS(MAP_NAME)
#undef MAP_NAME
};
static_assert(FENCE_ARRAY_SIZE(map_names) == FENCE_MAP_COUNT, "every map has a name");

static const char *const prog_names[] = {
#define PROG_NAME(symbol, name) [FENCE_PROG_##symbol] = name,
    FENCE_PROGS(PROG_NAME)
#undef PROG_NAME
};
/* NOLINTEND(bugprone-macro-parentheses) */
static_assert(FENCE_ARRAY_SIZE(prog_names) == FENCE_PROG_COUNT, "every program has a name");

const char *fence_map_name(enum fence_map map)
{
    return (unsigned int)map < FENCE_MAP_COUNT ? map_names[map] : "unknown";
}

const char *fence_prog_name(enum fence_prog prog)
{
    return (unsigned int)prog < FENCE_PROG_COUNT ? prog_names[prog] : "unknown";
}

void fence_pins_init(struct fence_pins *pins)
{
    memset(pins->root, 0, sizeof(pins->root));
    for (size_t i = 0; i < FENCE_MAP_COUNT; i++)
        pins->maps[i] = -1;
    for (size_t i = 0; i < FENCE_PROG_COUNT; i++)
        pins->progs[i] = -1;
    pins->epochs = NULL;
}

void fence_pins_close(struct fence_pins *pins)
{
    for (size_t i = 0; i < FENCE_MAP_COUNT; i++)
        fence_close_p(&pins->maps[i]);
    for (size_t i = 0; i < FENCE_PROG_COUNT; i++)
        fence_close_p(&pins->progs[i]);
    fence_epochs_unmap(&pins->epochs);
}

static int open_pin(const char *root, const char *folder, const char *name, int *ret_fd)
{
    char path[512];
    int fd;

    snprintf(path, sizeof(path), "%s/%s/%s", root, folder, name);
    fd = bpf_obj_get(path);
    if (fd < 0)
        return fd;
    *ret_fd = fd;
    return 0;
}

/* ---- shapes ---------------------------------------------------------------------------------
 * What lies under a map's name is read and written by these sizes: a map of another size would
 * overwrite the reader's memory. In bytes; of a per-CPU map, those of one CPU.
 */

#define SHAPE(key_type, value_type)                                                                \
    {                                                                                              \
        sizeof(key_type), sizeof(value_type)                                                       \
    }

static const struct {
    __u32 key;
    __u32 value;
} shapes[] = {
    [FENCE_MAP_ENDPOINTS] = SHAPE(__u32, struct fence_endpoint),
    [FENCE_MAP_ENDPOINT_INFO] = SHAPE(__u32, struct fence_endpoint_info),
    [FENCE_MAP_LOCALS] = SHAPE(struct fence_addr, __u32),
    [FENCE_MAP_IDENTITIES] = SHAPE(__u32, struct fence_identity_info),
    [FENCE_MAP_CLASSES] = SHAPE(__u32, struct fence_class_info),
    [FENCE_MAP_PEERS] = SHAPE(__u32, struct fence_peer),
    [FENCE_MAP_ADDRESSES] = SHAPE(struct fence_addr, __u32),
    [FENCE_MAP_PREFIXES] = SHAPE(struct fence_prefix_key, __u32),
    [FENCE_MAP_SETS] = SHAPE(__u32, struct fence_set_info),
    [FENCE_MAP_POLICIES] = SHAPE(struct fence_policy_key, struct fence_policy_table),
    [FENCE_MAP_INTERVALS] = SHAPE(__u32, struct fence_interval),
    [FENCE_MAP_RULES] = SHAPE(__u32, struct fence_rule_info),
    [FENCE_MAP_CONNECTIONS] = SHAPE(__u32, struct fence_bucket),
    [FENCE_MAP_USAGE] = SHAPE(__u32, struct fence_usage),
    [FENCE_MAP_OPENED] = SHAPE(__u32, struct fence_opened),
    [FENCE_MAP_EPOCHS] = SHAPE(__u32, struct fence_epochs),
    [FENCE_MAP_PAIRS] = SHAPE(__u32, struct fence_pair),
    [FENCE_MAP_ORIGINS] = SHAPE(struct fence_connection_key, struct fence_addr),
    [FENCE_MAP_FRAGMENTS] = SHAPE(struct fence_fragment_key, struct fence_fragment),
    [FENCE_MAP_FLOWS] = SHAPE(struct fence_flow_key, struct fence_flow),
    [FENCE_MAP_COUNTERS] = SHAPE(__u32, struct fence_counter),
    [FENCE_MAP_EVENTS] = {0, 0}, /* a ring buffer */
    [FENCE_MAP_EVENT_LIMITS] = SHAPE(struct fence_event_key, struct fence_event_limit),
    [FENCE_MAP_OBSERVED] = SHAPE(__u32, __u64),
    [FENCE_MAP_SETTINGS] = SHAPE(__u32, struct fence_settings),
    [FENCE_MAP_ABOUT] = SHAPE(__u32, struct fence_about),
};
static_assert(FENCE_ARRAY_SIZE(shapes) == FENCE_MAP_COUNT, "every map has a shape");

/* A program under a map's name has no shape of ours either. */
static int check_shapes(const struct fence_pins *pins, struct fence_err *err)
{
    for (unsigned int i = 0; i < FENCE_MAP_COUNT; i++) {
        struct bpf_map_info info = {0};
        __u32 size = sizeof(info);
        int r = pins->maps[i] < 0 ? 0 : bpf_obj_get_info_by_fd(pins->maps[i], &info, &size);

        if (pins->maps[i] < 0 ||
            (r == 0 && info.key_size == shapes[i].key && info.value_size == shapes[i].value))
            continue;
        return fence_err_set(err, -EUCLEAN,
                             "the data path at %s is damaged: maps/%s is another map, its keys "
                             "have %u bytes and its values %u, to be %u and %u (remove that pin "
                             "and restart podfenced)",
                             pins->root, map_names[i], info.key_size, info.value_size,
                             shapes[i].key, shapes[i].value);
    }
    return 0;
}

/* ---- opening -------------------------------------------------------------------------------- */

struct opened {
    const char *root;
    const char *folder;
    size_t present;
    const char *missing; /* the first */
};

static int open_one(struct opened *opened, const char *name, int *fd, struct fence_err *err)
{
    const char *remedy = "";
    int r = open_pin(opened->root, opened->folder, name, fd);

    if (r == 0) {
        opened->present++;
        return 0;
    }
    if (r == -EPERM || r == -EACCES)
        remedy = " (this needs root, or the capabilities BPF and NET_ADMIN)";
    if (r != -ENOENT && r != -ENOTDIR)
        return fence_err_set(err, r, "%s/%s/%s: %s%s", opened->root, opened->folder, name,
                             strerror(-r), remedy);
    if (!opened->missing)
        opened->missing = name;
    return 0;
}

static int not_loaded(const struct fence_pins *pins, struct fence_err *err)
{
    char bpffs[sizeof(pins->root)];

    fence_err_set(err, -ENOENT,
                  "no data path of version %d is pinned at %s: podfenced has not loaded it since "
                  "boot (start podfenced, or run `podfencectl load`)",
                  FENCE_ABI_VERSION, pins->root);
    snprintf(bpffs, sizeof(bpffs), "%s", pins->root);
    *strrchr(bpffs, '/') = '\0';
    fence_layouts_explain(bpffs, err);
    return -ENOENT;
}

/* The programs are pinned after the maps, and `about` says last that all is there (load.c,
 * takeover.c): so what was never finished looks like what was never begun. */
static bool was_loaded(const struct fence_pins *pins, const struct opened *progs)
{
    struct fence_about about;

    if (progs->present == 0 || pins->maps[FENCE_MAP_ABOUT] < 0)
        return progs->present > 0;
    return fence_about_read(pins, &about) < 0 || about.whole;
}

static int judge(const struct fence_pins *pins, const struct opened *maps,
                 const struct opened *progs, struct fence_err *err)
{
    const struct opened *bad = maps->missing ? maps : progs;

    if (!was_loaded(pins, progs))
        return not_loaded(pins, err);
    if (bad->missing)
        return fence_err_set(err, -EUCLEAN,
                             "the data path at %s is damaged: %s/%s is missing (restart podfenced "
                             "to load it again)",
                             pins->root, bad->folder, bad->missing);
    return 0;
}

static int open_all(struct fence_pins *pins, struct fence_err *err)
{
    struct opened maps = {.root = pins->root, .folder = "maps"};
    struct opened progs = {.root = pins->root, .folder = "progs"};
    int r;

    for (unsigned int i = 0; i < FENCE_MAP_COUNT; i++) {
        r = open_one(&maps, map_names[i], &pins->maps[i], err);
        if (r < 0)
            return r;
    }
    for (unsigned int i = 0; i < FENCE_PROG_COUNT; i++) {
        r = open_one(&progs, prog_names[i], &pins->progs[i], err);
        if (r < 0)
            return r;
    }
    r = check_shapes(pins, err);
    return r < 0 ? r : judge(pins, &maps, &progs, err);
}

int fence_pins_open(const char *bpffs, struct fence_pins *ret_pins, struct fence_err *err)
{
    struct fence_pins pins;
    int r;

    fence_pins_init(&pins);
    /* libbpf would print to stderr, which is the plugin's log. */
    libbpf_set_print(NULL);
    r = fence_layout_path(bpffs, FENCE_ABI_VERSION, pins.root, sizeof(pins.root), err);
    if (r == 0)
        r = open_all(&pins, err);
    if (r == 0) {
        r = fence_epochs_map(pins.maps[FENCE_MAP_EPOCHS], &pins.epochs);
        if (r < 0)
            fence_err_set(err, r, "mapping %s/maps/epochs: %s", pins.root, strerror(-r));
    }
    if (r < 0) {
        fence_pins_close(&pins);
        return r;
    }
    *ret_pins = pins;
    return 0;
}

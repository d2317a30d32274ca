/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>

#include "cni/ctl/daemon.h"
#include "cni/ctl/names.h"
#include "cni/ctl/options.h"
#include "cni/ctl/status.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"
#include "lib/datapath/attach.h"
#include "lib/datapath/read.h"

/* The daemon's own status is the top of ours; without it there is only daemon.running = false. */
static cJSON *begin(const struct ctl *ctl)
{
    struct fence_err err = {0};
    cJSON *answer = NULL, *value = NULL, *daemon;
    int r = ctl_daemon_ask(ctl, "status", &answer, &err);

    if (r == 0)
        value = cJSON_DetachItemFromObjectCaseSensitive(answer, "status");
    cJSON_Delete(answer);
    if (!cJSON_IsObject(value)) {
        cJSON_Delete(value);
        value = cJSON_CreateObject();
    }
    daemon = cJSON_AddObjectToObject(value, "daemon");
    cJSON_AddBoolToObject(daemon, "running", r != -ENOENT);
    cJSON_AddStringToObject(daemon, "socket", ctl->socket);
    if (r < 0 && r != -ENOENT)
        cJSON_AddStringToObject(daemon, "error", err.text);
    return value;
}

static void add_programs(cJSON *object)
{
    cJSON *list = cJSON_AddArrayToObject(object, "programs");

    for (int i = 0; i < FENCE_PROG_COUNT; i++)
        cJSON_AddItemToArray(list, cJSON_CreateString(fence_prog_name((enum fence_prog)i)));
}

/* Arrays and rings are always "full": only what can run out is shown. */
static void add_maps(cJSON *object, const struct fence_pins *pins)
{
    static const enum fence_map maps[] = {
        FENCE_MAP_ENDPOINTS, FENCE_MAP_IDENTITIES, FENCE_MAP_PEERS,       FENCE_MAP_ADDRESSES,
        FENCE_MAP_PREFIXES,  FENCE_MAP_SETS,       FENCE_MAP_POLICIES,    FENCE_MAP_INTERVALS,
        FENCE_MAP_RULES,     FENCE_MAP_FLOWS,      FENCE_MAP_CONNECTIONS, FENCE_MAP_CLASSES,
    };
    cJSON *list = cJSON_AddArrayToObject(object, "maps");

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(maps); i++) {
        size_t used = 0, max = 0;
        cJSON *map;

        if (fence_map_usage(pins, maps[i], &used, &max) < 0)
            continue;
        map = cJSON_CreateObject();
        cJSON_AddStringToObject(map, "name", fence_map_name(maps[i]));
        cJSON_AddNumberToObject(map, "used", (double)used);
        cJSON_AddNumberToObject(map, "max", (double)max);
        cJSON_AddNumberToObject(map, "percent", max ? round((double)used * 100 / (double)max) : 0);
        cJSON_AddItemToArray(list, map);
    }
}

static int add_endpoints(cJSON *object, const struct fence_pins *pins, struct fence_err *err)
{
    static const char *const states[] = {"enforced", "pending", "exempt", "closed"};
    struct fence_endpoint_list list = {0};
    int r = fence_endpoints_list(pins, &list, err);
    cJSON *counts;

    if (r < 0)
        return r;
    counts = cJSON_AddObjectToObject(object, "endpoints");
    cJSON_AddNumberToObject(counts, "total", (double)list.count);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(states); i++)
        cJSON_AddNumberToObject(counts, states[i], 0);
    for (size_t i = 0; i < list.count; i++) {
        const char *reason, *state = ctl_endpoint_state(&list.items[i].endpoint, &reason);
        cJSON *count = cJSON_GetObjectItemCaseSensitive(counts, state);

        if (count)
            cJSON_SetNumberHelper(count, count->valuedouble + 1);
    }
    fence_endpoint_list_done(&list);
    return 0;
}

static const char *source_check(__u32 flags)
{
    if (flags & FENCE_EP_SOURCE_OFF)
        return "off";
    return flags & FENCE_EP_SOURCE_REPORT ? "report" : "strict";
}

static void add_settings(cJSON *object, const struct fence_pins *pins)
{
    static const char *const modes[] = {
        [FENCE_ATTACH_MODE_AUTO] = "auto",
        [FENCE_ATTACH_MODE_TCX] = "tcx",
        [FENCE_ATTACH_MODE_CLSACT] = "clsact",
    };
    struct fence_settings settings = {0};
    cJSON *list;

    if (fence_settings_read(pins, &settings) < 0)
        return;
    list = cJSON_AddObjectToObject(object, "settings");
    cJSON_AddStringToObject(list, "attach",
                            settings.attach < FENCE_ARRAY_SIZE(modes) ? modes[settings.attach]
                                                                      : "unknown");
    cJSON_AddStringToObject(list, "sourceCheck", source_check(settings.source_flags));
    cJSON_AddStringToObject(list, "trustDomain", settings.trust_domain);
    cJSON_AddNumberToObject(list, "hz", settings.hz);
    cJSON_AddBoolToObject(list, "kernelStructs", !(settings.flags & FENCE_SETTING_PLAIN));
    cJSON_AddNumberToObject(list, "markMask", settings.mark_mask);
    cJSON_AddBoolToObject(list, "addressesIncomplete",
                          (settings.flags & FENCE_SETTING_ADDRESSES_INCOMPLETE) != 0);
}

/* FENCE_REASONS lists what allows first, then what drops, then what is only counted. */
static bool is_drop(unsigned int reason)
{
    return reason >= FENCE_REASON_NO_RULE && reason < FENCE_REASON_MASQUERADED;
}

static void add_counters(cJSON *object, const struct fence_pins *pins)
{
    cJSON *list = cJSON_AddArrayToObject(object, "counters");

    for (unsigned int i = 0; i < FENCE_REASON_COUNT * FENCE_DIRECTIONS; i++) {
        unsigned int reason = i / FENCE_DIRECTIONS, direction = i % FENCE_DIRECTIONS;
        struct fence_counter counter = {0};
        cJSON *row;

        if (fence_counter_read(pins, reason, direction, &counter) < 0 || !counter.packets)
            continue;
        row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "reason", fence_reason_name(reason));
        cJSON_AddStringToObject(row, "direction", fence_direction_name(direction));
        cJSON_AddBoolToObject(row, "drop", is_drop(reason));
        cJSON_AddNumberToObject(row, "packets", (double)counter.packets);
        cJSON_AddNumberToObject(row, "bytes", (double)counter.bytes);
        cJSON_AddItemToArray(list, row);
    }
}

/* Of this program, and of the podfenced that loaded what is pinned. */
static void add_versions(cJSON *object, const struct fence_pins *pins)
{
    struct fence_about about = {0};
    char warning[256];

    cJSON_AddStringToObject(object, "programVersion", FENCE_VERSION);
    if (fence_about_read(pins, &about) == 0)
        cJSON_AddStringToObject(object, "version", about.version);
    else
        cJSON_AddNullToObject(object, "version");
    fence_about_compare(pins, warning);
    if (warning[0])
        cJSON_AddStringToObject(object, "versionWarning", warning);
}

static int show(struct ctl *ctl, const struct fence_pins *pins)
{
    struct fence_err err = {0};
    cJSON *value = begin(ctl);
    cJSON *object = cJSON_AddObjectToObject(value, "pins");

    cJSON_AddStringToObject(object, "path", pins->root);
    cJSON_AddNumberToObject(object, "layout", FENCE_ABI_VERSION);
    add_versions(object, pins);
    add_programs(object);
    if (add_endpoints(object, pins, &err) < 0 || ctl_status_add_nodes(object, pins, &err) < 0) {
        cJSON_Delete(value);
        return ctl_fail(ctl, "%s", err.text);
    }
    add_settings(object, pins);
    add_maps(object, pins);
    add_counters(object, pins);
    return ctl_show(ctl, value, ctl_status_print);
}

static int open_and_show(struct ctl *ctl)
{
    struct fence_pins pins;
    int r = ctl_open_pins(ctl, &pins);

    if (r != CTL_DONE)
        return r;
    r = show(ctl, &pins);
    fence_pins_close(&pins);
    return r;
}

/* NOLINTBEGIN(readability-function-size): a table */
int ctl_status(struct ctl *ctl, int argc, char **argv)
{
    bool ready = false, alive = false;
    struct ctl_status_wait wait = {0};
    const struct ctl_option options[] = {
        {.name = "ready",
         .help = "show nothing; exit 0 when all that was asked for is in force, else 1 and why",
         .flag = &ready},
        {.name = "alive",
         .help = "show nothing; exit 0 when the daemon answers, else 1 and why",
         .flag = &alive},
        {.name = "wait",
         .argument = "POLICY",
         .help = "exit 0 as soon as it is in force here, 1 when it is refused or too late",
         .text = &wait.policy},
        {.name = "timeout",
         .argument = "TIME",
         .help = "with --wait: how long [30s]",
         .text = &wait.timeout},
        {.name = "version",
         .argument = "N",
         .help = "with --wait: its metadata.generation or a later one",
         .text = &wait.version},
        {.name = "file",
         .argument = "FILE",
         .help = "with --wait: the policy as this file has it",
         .text = &wait.file},
    };
    const struct ctl_usage usage = {
        .verb = "status",
        .arguments = "",
        .about = "Shows the daemon, what it could not take in, and the pinned data path: "
                 "endpoints by state,\nhow full the maps are, and what was dropped. Without the "
                 "daemon it shows the pins.",
        .example = "  podfencectl status\n"
                   "  podfencectl status --ready && echo in force\n"
                   "  podfencectl status --wait shop/db --file policies/db.yaml --timeout 10s\n"
                   "  podfencectl status -o json | jq .lastApply.writes",
        .options = options,
        .option_count = FENCE_ARRAY_SIZE(options),
    };
    int first = 0, r = ctl_parse(ctl, &usage, argc, argv, &first);

    if (r != CTL_GO_ON)
        return r;
    if (wait.policy)
        return ctl_status_wait(ctl, &wait);
    if (wait.timeout || wait.version || wait.file)
        return ctl_misuse(ctl, "status", "--timeout, --version and --file go with --wait");
    if (ready || alive)
        return ctl_status_ask(ctl, ready ? CTL_STATUS_READY : CTL_STATUS_ALIVE);
    return open_and_show(ctl);
}
/* NOLINTEND(readability-function-size) */

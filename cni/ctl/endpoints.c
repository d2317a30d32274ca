/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/datapath/endpoints.h"

#include <string.h>

#include "cni/ctl/daemon.h"
#include "cni/ctl/names.h"
#include "cni/ctl/options.h"
#include "cni/ctl/status.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"
#include "lib/datapath/attach.h"
#include "lib/datapath/read.h"
#include "lib/net/links.h"

static void add_identity(cJSON *row, const struct fence_pins *pins,
                         const struct fence_settings *settings, __u32 number)
{
    struct fence_identity_info info;
    char name[512];

    cJSON_AddNumberToObject(row, "identity", number);
    if (fence_identity_read(pins, number, &info) < 0 ||
        !ctl_spiffe(settings, &info, name, sizeof(name)))
        return;
    cJSON_AddStringToObject(row, "app", info.app);
    cJSON_AddStringToObject(row, "spiffe", name);
    cJSON_AddStringToObject(row, "labels", info.labels);
}

static void add_attachment(cJSON *row, const struct fence_pins *pins,
                           const struct fence_endpoint_record *record)
{
    struct fence_err err = {0};
    char name[16] = "";
    bool ok;

    if (fence_link_name(record->ifindex, name) < 0)
        snprintf(name, sizeof(name), "%s", "(gone)");
    ok = fence_attach_check(pins, record->ifindex, record->info.attach, &err) == 0;
    cJSON_AddNumberToObject(row, "ifindex", record->ifindex);
    cJSON_AddStringToObject(row, "hostInterface", name);
    cJSON_AddStringToObject(row, "interface", record->info.ifname);
    cJSON_AddStringToObject(row, "attach", fence_attach_name(record->info.attach));
    cJSON_AddStringToObject(row, "attached", ok ? "ok" : "damaged");
    if (!ok)
        cJSON_AddStringToObject(row, "attachProblem", err.text);
}

static cJSON *row_of(const struct fence_pins *pins, const struct fence_settings *settings,
                     const struct fence_endpoint_record *record)
{
    const struct fence_endpoint *endpoint = &record->endpoint;
    const char *reason, *state = ctl_endpoint_state(endpoint, &reason);
    char name[CTL_SHOW_MAX], id[13];
    cJSON *row = cJSON_CreateObject();

    cJSON_AddStringToObject(row, "endpoint", ctl_endpoint_name(record, name));
    cJSON_AddStringToObject(row, "namespace", record->info.namespace_name);
    cJSON_AddStringToObject(row, "pod", record->info.pod);
    cJSON_AddStringToObject(row, "uid", record->info.uid);
    add_identity(row, pins, settings, endpoint->identity);
    ctl_add_addrs(row, "addresses", endpoint->addrs,
                  endpoint->addr_count < FENCE_ENDPOINT_ADDRS ? endpoint->addr_count
                                                              : FENCE_ENDPOINT_ADDRS);
    add_attachment(row, pins, record);
    cJSON_AddBoolToObject(row, "sameNode",
                          (settings->flags & FENCE_SETTING_SAME_NODE) &&
                              (endpoint->flags & FENCE_EP_HANDOVER));
    cJSON_AddNumberToObject(row, "policySet", endpoint->set);
    cJSON_AddStringToObject(row, "state", state);
    if (*reason)
        cJSON_AddStringToObject(row, "reason", reason);
    snprintf(id, sizeof(id), "%s", record->info.container_id);
    cJSON_AddStringToObject(row, "container", id);
    cJSON_AddStringToObject(row, "containerId", record->info.container_id);
    cJSON_AddStringToObject(row, "network", record->info.network);
    return row;
}

static void print_text(const struct ctl *ctl, const cJSON *value)
{
    static const struct ctl_column columns[] = {
        {"ENDPOINT", "endpoint", NULL, 60},
        {"STATE", "state", NULL, 0},
        {"SINCE", "since", NULL, 0},
        {"REASON", "reason", NULL, 0},
        {"APP", "app", NULL, 30},
        {"IDENTITY", "identity", NULL, 0},
        {"ADDRESSES", "addresses", NULL, 0},
        {"SET", "policySet", NULL, 0},
        {"INTERFACE", "hostInterface", NULL, 0},
        {"INDEX", "ifindex", NULL, 0},
        {"ATTACH", "attach", NULL, 0},
        {"ATTACHED", "attached", NULL, 0},
        {"CONTAINER", "container", NULL, 0},
        {"SPIFFE", "spiffe", NULL, 0},
    };
    const cJSON *rows = ctl_member(value, "endpoints"), *row;

    ctl_table_print(stdout, ctl->output.color, rows, columns, FENCE_ARRAY_SIZE(columns));
    cJSON_ArrayForEach(row, rows)
    {
        if (!*ctl_member_text(row, "attachProblem"))
            continue;
        fence_print_safe(stdout, ctl_member_text(row, "endpoint"));
        fputs(": ", stdout);
        fence_print_safe(stdout, ctl_member_text(row, "attachProblem"));
        putchar('\n');
    }
    ctl_unadopted_print(ctl_member(value, "unadopted"));
}

static cJSON *find_row(cJSON *rows, double ifindex)
{
    cJSON *row;

    cJSON_ArrayForEach(row, rows) if (ctl_member_number(row, "ifindex") == ifindex) return row;
    return NULL;
}

/* Since when each is as it is: that, too, only the daemon knows. */
static void add_since(cJSON *rows, const struct ctl *ctl)
{
    cJSON *answer = NULL;
    const cJSON *endpoint;

    if (ctl_daemon_ask(ctl, "endpoints", &answer, NULL) < 0)
        return;
    cJSON_ArrayForEach(endpoint, ctl_member(answer, "endpoints"))
    {
        cJSON *row = find_row(rows, ctl_member_number(endpoint, "ifindex"));

        if (row)
            cJSON_AddStringToObject(row, "since", ctl_member_text(endpoint, "since"));
    }
    cJSON_Delete(answer);
}

/* Only the daemon knows what is missing here; without it nothing is said of that. */
static void add_unadopted(cJSON *value, const struct ctl *ctl)
{
    cJSON *answer = NULL;
    cJSON *list = NULL;

    if (ctl_daemon_ask(ctl, "status", &answer, NULL) == 0)
        list = cJSON_DetachItemFromObjectCaseSensitive(
            cJSON_GetObjectItemCaseSensitive(answer, "status"), "unadopted");
    if (list)
        cJSON_AddItemToObject(value, "unadopted", list);
    cJSON_Delete(answer);
}

static int show(struct ctl *ctl, const struct fence_pins *pins)
{
    struct fence_endpoint_list list = {0};
    struct fence_settings settings = {0};
    struct fence_err err = {0};
    cJSON *value, *rows;
    int r = fence_endpoints_list(pins, &list, &err);

    if (r < 0)
        return ctl_fail(ctl, "%s", err.text);
    fence_settings_read(pins, &settings);
    value = cJSON_CreateObject();
    rows = cJSON_AddArrayToObject(value, "endpoints");
    for (size_t i = 0; i < list.count; i++)
        cJSON_AddItemToArray(rows, row_of(pins, &settings, &list.items[i]));
    fence_endpoint_list_done(&list);
    add_since(rows, ctl);
    add_unadopted(value, ctl);
    return ctl_show(ctl, value, print_text);
}

int ctl_endpoints(struct ctl *ctl, int argc, char **argv)
{
    const struct ctl_usage usage = {
        .verb = "endpoints",
        .arguments = "",
        .about = "Lists the pod interfaces of this node: identity, policy set, state, and whether "
                 "the filters\nare still attached. Reads the pins; with the daemon also the pods "
                 "that it could "
                 "not take in.",
        .example = "  podfencectl endpoints\n  podfencectl endpoints -o json",
    };

    return ctl_with_pins(ctl, &usage, argc, argv, show);
}

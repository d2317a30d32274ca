/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon, what is pinned, and who else is at the interfaces of pods. */
#include "cni/ctl/check.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "cni/ctl/daemon.h"
#include "lib/base/memory.h"
#include "lib/datapath/attach.h"
#include "lib/datapath/endpoints.h"
#include "lib/datapath/object.h"
#include "lib/datapath/read.h"
#include "lib/datapath/settings.h"
#include "lib/net/links.h"

#define START "start podfenced"

/* ---- the daemon ----------------------------------------------------------------------------- */

static void ready(struct check *check, const cJSON *status)
{
    const cJSON *reason;

    if (cJSON_IsTrue(ctl_member(status, "ready")))
        check_add(check, CHECK_OK, NULL, "podfenced %s is ready, on node %s",
                  ctl_member_text(status, "version"), ctl_member_text(status, "node"));
    cJSON_ArrayForEach(reason, ctl_member(status, "notReady"))
    {
        check_add(check, CHECK_FAIL, "podfencectl status tells more", "podfenced is not ready: %s",
                  cJSON_IsString(reason) ? reason->valuestring : "");
    }
}

void check_daemon(struct check *check)
{
    struct fence_err err = {0};
    cJSON *answer = NULL;
    const cJSON *status;
    int r = ctl_daemon_ask(check->ctl, "status", &answer, &err);

    if (r == -EACCES || r == -EPERM) {
        check_add(check, CHECK_WARN, "run it as root", "podfenced cannot be asked: %s", err.text);
        return;
    }
    if (r < 0) {
        check_add(check, CHECK_FAIL, START,
                  r == -ENOENT ? "podfenced does not run: what is in force stays so, new pods stay "
                                 "closed (%s)"
                               : "podfenced does not answer: %s",
                  r == -ENOENT ? check->ctl->socket : err.text);
        return;
    }
    status = ctl_member(answer, "status");
    ready(check, status);
    if (strcmp(ctl_member_text(status, "version"), FENCE_VERSION) != 0 ||
        ctl_member_number(status, "abi") != FENCE_ABI_VERSION)
        check_add(check, CHECK_WARN, "install all three programs of one version",
                  "podfenced is of version %s with layout %.0f, and this is %s with layout %d",
                  ctl_member_text(status, "version"), ctl_member_number(status, "abi"),
                  FENCE_VERSION, FENCE_ABI_VERSION);
    cJSON_Delete(answer);
}

/* ---- who else is there ---------------------------------------------------------------------- */

/* One line for what is well; whoever is not gets one of his own. */
static void interfaces(struct check *check, const struct fence_pins *pins,
                       const struct fence_endpoint_list *list)
{
    size_t well = 0;

    for (size_t i = 0; i < list->count; i++) {
        const struct fence_endpoint_record *record = &list->items[i];
        struct fence_err err = {0};
        char name[16], what[64];
        int r;

        if (fence_link_name(record->ifindex, name) < 0)
            continue; /* it has gone: the daemon sweeps */
        r = fence_attach_check(pins, record->ifindex, record->info.attach, &err);
        if (r == 0)
            well++;
        else
            check_add(check, CHECK_FAIL,
                      r == -EBUSY ? "whoever attached it has to go behind podfence; podfenced puts "
                                    "its filters first again"
                                  : "podfenced puts them back: is it running?",
                      "%s of %s/%s: %s", name, record->info.namespace_name, record->info.pod,
                      err.text);
        if (fence_attach_others(pins, record->ifindex, what) == 1)
            check_add(check, CHECK_OK, NULL,
                      "%s of %s/%s has %s beside podfence's filters: no same-node path", name,
                      record->info.namespace_name, record->info.pod, what);
    }
    check_add(check, CHECK_OK, NULL, "%zu of %zu pod interfaces are filtered, podfence first", well,
              list->count);
}

static void endpoints(struct check *check, const struct fence_pins *pins)
{
    FENCE_CLEANUP(fence_endpoint_list_done) struct fence_endpoint_list list = {0};
    struct fence_err err = {0};

    if (fence_endpoints_list(pins, &list, &err) < 0)
        check_add(check, CHECK_FAIL, START, "the endpoints cannot be read: %s", err.text);
    else
        interfaces(check, pins, &list);
}

static bool is_endpoint(const struct fence_endpoint_list *list, __u32 ifindex)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].ifindex == ifindex)
            return true;
    return false;
}

/* What a veth has that podfence will find there. Beside an `ingress` qdisc there is only TCX. */
static bool other(struct check *check, const struct fence_pins *pins,
                  const struct fence_device *device)
{
    char what[64];

    if (fence_attach_others(pins, device->ifindex, what) != 1)
        return false;
    if (strcmp(what, "qdisc ingress") == 0 && fence_attach_has_tcx() == 0)
        check_add(check, CHECK_WARN, "a kernel of 6.6 or later, which has TCX",
                  "%s has an `ingress` qdisc, which takes no clsact filters beside it",
                  device->name);
    else
        check_add(check, CHECK_OK, NULL, "%s has %s, which stays; podfence goes in front",
                  device->name, what);
    return true;
}

void check_others(struct check *check)
{
    FENCE_CLEANUP(fence_endpoint_list_done) struct fence_endpoint_list list = {0};
    FENCE_FREE struct fence_device *devices = NULL;
    struct fence_err err = {0};
    struct fence_pins pins;
    size_t count = 0, found = 0, veths = 0;

    /* before the first load, and without rights, there are none */
    if (fence_pins_open(check->ctl->bpffs, &pins, &err) < 0)
        fence_pins_init(&pins);
    else
        fence_endpoints_list(&pins, &list, &err);
    if (fence_devices_list(&devices, &count, &err) < 0)
        check_add(check, CHECK_WARN, "run it as root", "interfaces cannot be seen: %s", err.text);
    for (size_t i = 0; i < count; i++) {
        if (!devices[i].is_veth || is_endpoint(&list, devices[i].ifindex))
            continue;
        veths++;
        found += other(check, &pins, &devices[i]);
    }
    check_add(check, CHECK_OK, NULL, "%zu of %zu veths without podfence have filters or qdiscs",
              found, veths);
    fence_pins_close(&pins);
}

/* ---- what is pinned ------------------------------------------------------------------------- */

/* Other versions beside ours: nobody follows them any more. */
static void other_layouts(struct check *check)
{
    DIR *folder = opendir(check->ctl->bpffs);
    const struct dirent *entry;
    int number, end;

    while (folder && (entry = readdir(folder))) {
        end = 0;
        if (sscanf(entry->d_name, "v%d%n", &number, &end) == 1 && !entry->d_name[end] &&
            number != FENCE_ABI_VERSION)
            check_add(check, CHECK_WARN, "the podfenced of this version takes it over",
                      "a data path of layout %d is pinned at %s, and this is %d", number,
                      check->ctl->bpffs, FENCE_ABI_VERSION);
    }
    if (folder)
        closedir(folder);
}

static void loaded(struct check *check, const struct fence_pins *pins)
{
    struct fence_settings settings = {0};
    bool plain;

    check_add(check, CHECK_OK, NULL, "%s is whole: %d programs, %d maps", pins->root,
              FENCE_PROG_COUNT, FENCE_MAP_COUNT);
    if (fence_settings_read(pins, &settings) < 0)
        return;
    plain = settings.flags & FENCE_SETTING_PLAIN;
    if (plain && !fence_kernel_structs_missing())
        check_add(check, CHECK_WARN, "podfenced --kernel-structs auto",
                  "the programs go without the kernel's structs, which this kernel "
                  "has: " FENCE_PLAIN_COST);
}

void check_pins(struct check *check)
{
    struct fence_err err = {0};
    struct fence_pins pins;
    int r = fence_pins_open(check->ctl->bpffs, &pins, &err);

    other_layouts(check);
    if (r == -EPERM || r == -EACCES)
        check_add(check, CHECK_WARN, "run it as root", "%s", err.text);
    else if (r < 0)
        check_add(check, CHECK_FAIL, r == -ENOENT ? NULL : "restart podfenced", "%s", err.text);
    if (r < 0)
        return;
    loaded(check, &pins);
    endpoints(check, &pins);
    fence_pins_close(&pins);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/devices.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cni/daemon/daemon.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/datapath/attach.h"
#include "lib/datapath/endpoints.h"
#include "lib/datapath/read.h"
#include "lib/datapath/settings.h"
#include "lib/net/links.h"

/* A veth that has come so lately may become a pod's: then its own hooks judge. */
#define VETH_AGE_NS (10ull * 1000000000ull)

/* ---- what the settings say ------------------------------------------------------------------ */

static int set_deferring(struct fence_daemon *daemon, bool on, struct fence_err *err)
{
    struct fence_settings settings;
    int r = fence_settings_read(&daemon->pins, &settings);

    if (r < 0)
        return fence_err_set(err, r, "settings map: %s", strerror(-r));
    settings.flags &= ~(__u32)FENCE_SETTING_DEFER;
    settings.flags |= on ? FENCE_SETTING_DEFER : 0;
    r = fence_settings_write(&daemon->pins, &settings, err);
    if (r > 0)
        fence_log(FENCE_LOG_INFO, "services whose backends policy tells apart: %s",
                  on ? "judged where their packets leave" : "refused");
    return r < 0 ? r : 0;
}

static bool is_plain(const struct fence_daemon *daemon)
{
    struct fence_settings settings;

    return fence_settings_read(&daemon->pins, &settings) < 0 ||
           settings.flags & FENCE_SETTING_PLAIN;
}

/* Does a policy in use ask for it? An endpoint that could not follow may still have older ones. */
static bool is_wanted(const struct fence_daemon *daemon)
{
    const struct fence_reconcile *reconcile = &daemon->reconcile;

    if (!reconcile->plan || !daemon->options.device_hooks || is_plain(daemon))
        return false;
    return reconcile->plan->deferring > 0 ||
           (reconcile->report.failure_count > 0 && !daemon->devices.clean);
}

/* ---- devices -------------------------------------------------------------------------------- */

struct survey {
    struct fence_device *devices;
    size_t count;
    struct fence_endpoint_list endpoints;
};

static void survey_done(struct survey *survey)
{
    free(survey->devices);
    fence_endpoint_list_done(&survey->endpoints);
}

static int make_survey(struct fence_daemon *daemon, struct survey *survey, struct fence_err *err)
{
    int r = fence_endpoints_list(&daemon->pins, &survey->endpoints, err);

    return r < 0 ? r : fence_devices_list(&survey->devices, &survey->count, err);
}

static bool is_endpoint(const struct survey *survey, uint32_t ifindex)
{
    for (size_t i = 0; i < survey->endpoints.count; i++)
        if (survey->endpoints.items[i].ifindex == ifindex)
            return true;
    return false;
}

static const struct fence_device_seen *find_seen(const struct fence_devices *devices,
                                                 uint32_t ifindex)
{
    for (size_t i = 0; i < devices->count; i++)
        if (devices->seen[i].ifindex == ifindex)
            return &devices->seen[i];
    return NULL;
}

static bool is_listed(const struct survey *survey, uint32_t ifindex)
{
    for (size_t i = 0; i < survey->count; i++)
        if (survey->devices[i].ifindex == ifindex)
            return true;
    return false;
}

/* Links that have no device any more leave their pins behind. */
static void forget_gone(struct fence_daemon *daemon, const struct survey *survey)
{
    const struct fence_devices *devices = &daemon->devices;

    for (size_t i = 0; i < devices->count; i++)
        if (devices->seen[i].attached && !is_listed(survey, devices->seen[i].ifindex))
            fence_detach_device(&daemon->pins, devices->seen[i].ifindex, NULL);
}

/* A device that has just gone needs nothing. */
static int attach(struct fence_daemon *daemon, const struct fence_device *device,
                  struct fence_err *err)
{
    int r = fence_attach_device(&daemon->pins, device->ifindex, daemon->options.attach, err);

    if (r == -ENODEV)
        return 0;
    return r < 0 ? fence_err_prefix(err, r, "no filter where packets leave by %s", device->name)
                 : 0;
}

/* Those that are there already when a policy asks for the first time are old. */
static uint64_t first_seen(const struct fence_devices *devices, uint32_t ifindex)
{
    const struct fence_device_seen *before = find_seen(devices, ifindex);

    if (before)
        return before->since_ns;
    return devices->seen ? fence_clock_boot_ns() : 0;
}

static int follow_one(struct fence_daemon *daemon, const struct survey *survey, size_t i,
                      struct fence_device_seen *now, struct fence_err *err)
{
    const struct fence_device *device = &survey->devices[i];
    const struct fence_device_seen *before = find_seen(&daemon->devices, device->ifindex);
    int r;

    *now = (struct fence_device_seen){.ifindex = device->ifindex,
                                      .since_ns = first_seen(&daemon->devices, device->ifindex),
                                      .attached = before && before->attached};
    if (is_endpoint(survey, device->ifindex)) {
        r = now->attached ? fence_detach_device(&daemon->pins, device->ifindex, err) : 0;
        now->attached = r < 0;
        return r;
    }
    if (device->is_veth && fence_clock_boot_ns() - now->since_ns < VETH_AGE_NS)
        return 0;
    r = attach(daemon, device, err);
    now->attached = r == 0;
    return r;
}

/* All of them, whatever happens at one; the first error. */
static int follow(struct fence_daemon *daemon, const struct survey *survey, struct fence_err *err)
{
    struct fence_devices *devices = &daemon->devices;
    struct fence_device_seen *seen = calloc(survey->count + 1, sizeof(*seen));
    int first = 0;

    if (!seen)
        return fence_err_set(err, -ENOMEM, "out of memory");
    devices->clean = false;
    forget_gone(daemon, survey);
    for (size_t i = 0; i < survey->count; i++) {
        int r = follow_one(daemon, survey, i, &seen[i], first ? NULL : err);

        if (first == 0)
            first = r;
    }
    free(devices->seen);
    devices->seen = seen;
    devices->count = survey->count;
    return first;
}

/* Also what an earlier daemon has left. */
static int leave(struct fence_daemon *daemon, const struct survey *survey, struct fence_err *err)
{
    struct fence_devices *devices = &daemon->devices;
    int first = 0;

    forget_gone(daemon, survey);
    for (size_t i = 0; i < survey->count; i++) {
        int r = fence_detach_device(&daemon->pins, survey->devices[i].ifindex, first ? NULL : err);

        if (first == 0)
            first = r;
    }
    fence_devices_done(devices);
    devices->clean = first == 0;
    return first;
}

/* ---- all of it ------------------------------------------------------------------------------ */

/* Let pass after the last filter is there, and refuse before the first one goes; also where it
 * cannot be told which devices there are. */
static int settle(struct fence_daemon *daemon, bool wanted, struct fence_err *err)
{
    FENCE_CLEANUP(survey_done) struct survey survey = {0};
    int r = wanted ? 0 : set_deferring(daemon, false, err);

    if (r == 0)
        r = make_survey(daemon, &survey, err);
    if (r == 0 && !wanted)
        return leave(daemon, &survey, err);
    if (r == 0)
        r = follow(daemon, &survey, err);
    if (r == 0)
        return set_deferring(daemon, true, err);
    set_deferring(daemon, false, NULL);
    return r;
}

void fence_devices_check(struct fence_daemon *daemon)
{
    struct fence_devices *devices = &daemon->devices;
    struct fence_err err = {""};
    bool wanted = is_wanted(daemon);

    /* before the first apply, what is in force may still need them; so may an older layout */
    if (!daemon->reconcile.plan || (!wanted && (devices->clean || daemon->takeover.from.number)))
        return;
    settle(daemon, wanted, &err);
    if (strncmp(devices->problem, err.text, sizeof(devices->problem) - 1) == 0)
        return;
    snprintf(devices->problem, sizeof(devices->problem), "%s", err.text);
    daemon->reconcile.problems_changed = true;
}

void fence_devices_done(struct fence_devices *devices)
{
    free(devices->seen);
    devices->seen = NULL;
    devices->count = 0;
}

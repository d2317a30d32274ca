/* SPDX-License-Identifier: Apache-2.0 */
/* Flows for a command: from the daemon, or from files. */
#include <errno.h>

#include "cni/ctl/daemon.h"
#include "cni/ctl/flows.h"
#include "lib/base/clock.h"

static int ask(const struct ctl *ctl, uint64_t since_ns, struct ctl_flows *flows,
               struct fence_err *err)
{
    const uint64_t seconds = since_ns / 1000000000ull;
    cJSON *request = cJSON_CreateObject(), *answer = NULL;
    int r = -ENOMEM;

    cJSON_AddNumberToObject(request, "since", (double)seconds);
    if (cJSON_AddStringToObject(request, "op", "flows"))
        r = ctl_daemon_request(ctl, request, &answer, err);
    else
        fence_err_set(err, r, "out of memory");
    cJSON_Delete(request);
    if (r == -ENOENT)
        return fence_err_set(err, r,
                             "no daemon answers at %s, and it keeps the flows: start podfenced, "
                             "or give --flows FILE",
                             ctl->socket);
    return r < 0 ? r : ctl_flows_add(flows, answer, err);
}

static int read_files(const struct ctl_texts *files, struct ctl_flows *flows, struct fence_err *err)
{
    int r = 0;

    for (size_t i = 0; i < files->count && r == 0; i++)
        r = ctl_flows_add_file(flows, files->items[i], err);
    return r;
}

static uint64_t last_of(const struct ctl_flows *flows)
{
    uint64_t last = 0;

    for (size_t i = 0; i < flows->count; i++)
        if (flows->items[i].seen.last_ns > last)
            last = flows->items[i].seen.last_ns;
    return last;
}

static int fill(const struct ctl *ctl, const struct ctl_flows_wanted *wanted,
                struct ctl_flows *flows, struct fence_err *err)
{
    uint64_t since_ns = 0, now_ns = fence_clock_wall_ns();
    int r = read_files(&wanted->files, flows, err);

    if (r == 0 && wanted->files.count)
        now_ns = last_of(flows);
    if (r == 0 && wanted->since)
        r = ctl_since_parse(wanted->since, now_ns, &since_ns, err);
    if (r == 0 && !wanted->files.count)
        r = ask(ctl, since_ns, flows, err);
    return r == 0 ? ctl_flows_filter(flows, wanted, since_ns, err) : r;
}

int ctl_flows_read(const struct ctl *ctl, const struct ctl_flows_wanted *wanted,
                   struct ctl_flows *ret_flows, struct fence_err *err)
{
    struct ctl_flows flows = {0};
    int r = fill(ctl, wanted, &flows, err);

    if (r < 0) {
        ctl_flows_done(&flows);
        return r;
    }
    *ret_flows = flows;
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Step 4: addresses. Those that the plan marks are compared with what it was last told of them.
 * Of a fresh plan nothing is known: then the map is read, and what it has and the plan wants is
 * left alone.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "lib/base/failpoint.h"
#include "lib/base/memory.h"
#include "lib/datapath/apply_internal.h"
#include "lib/datapath/walk.h"

static int set_flag(struct fence_apply *apply, __u32 flag, bool on)
{
    struct fence_settings settings = apply->settings;

    settings.flags = on ? settings.flags | flag : settings.flags & ~flag;
    return apply_settings(apply, &settings);
}

__u32 apply_peer_number(const struct apply_run *run, __u32 index)
{
    __u32 number = run->apply->peers_by_index[index];

    return number ? number : FENCE_PEER_PENDING;
}

static int report_incomplete(struct apply_run *run, int code)
{
    int r = set_flag(run->apply, FENCE_SETTING_ADDRESSES_INCOMPLETE, true);

    run->lacks_addresses = true;
    return r < 0 ? r
                 : apply_report_map(run, FENCE_MAP_ADDRESSES, code,
                                    "an address that is not in it counts as pending, also "
                                    "outside the cluster");
}

/* ---- one address ---------------------------------------------------------------------------- */

static int remove_address(struct fence_apply *apply, const struct fence_addr *addr)
{
    return apply_delete(apply, FENCE_MAP_ADDRESSES, addr);
}

/* 1: it is there now. */
static int put_address(struct apply_run *run, const struct fence_address *entry)
{
    __u32 peer = apply_peer_number(run, entry->peer);
    int failure = apply_put(run->apply, FENCE_MAP_ADDRESSES, &entry->addr, &peer);

    return failure == 0 ? 1 : report_incomplete(run, failure);
}

static int move_address(struct apply_run *run, const struct fence_address *entry)
{
    int r = put_address(run, entry);

    /* it must not go on as what it was */
    return r == 0 ? remove_address(run->apply, &entry->addr) : r;
}

/* ---- what the map has, for a fresh plan ----------------------------------------------------- */

/* What the map has and the plan has not, or elsewhere. */
struct survey {
    struct apply_run *run;
    struct fence_addr *items;
    size_t count;
    size_t capacity;
};

static int survey_visit(void *context, const void *key, const void *value)
{
    struct survey *survey = context;
    struct fence_address *entry;
    struct fence_addr addr;
    __u32 peer;

    memcpy(&addr, key, sizeof(addr));
    memcpy(&peer, value, sizeof(peer));
    entry = fence_addresses_find(&survey->run->plan->addresses, &addr);
    if (entry && entry->peer != FENCE_ADDRESS_NONE &&
        apply_peer_number(survey->run, entry->peer) == peer) {
        entry->told = entry->peer;
        return 0;
    }
    if (FENCE_GROW(survey->items, survey->capacity, survey->count) < 0)
        return -ENOMEM;
    survey->items[survey->count++] = addr;
    return 0;
}

static int move_or_remove(struct apply_run *run, const struct fence_addr *addr)
{
    struct fence_address *entry = fence_addresses_find(&run->plan->addresses, addr);
    int r;

    if (!entry || entry->peer == FENCE_ADDRESS_NONE)
        return remove_address(run->apply, addr);
    r = move_address(run, entry);
    if (r > 0)
        entry->told = entry->peer;
    return r < 0 ? r : 0;
}

/* Changed in place, then removed: what comes later finds room. */
static int take_over(struct apply_run *run)
{
    struct survey survey = {.run = run};
    int r = fence_map_walk(run->apply->pins->maps[FENCE_MAP_ADDRESSES], survey_visit, &survey);

    for (size_t i = 0; r == 0 && i < survey.count; i++)
        r = move_or_remove(run, &survey.items[i]);
    free(survey.items);
    return r;
}

/* ---- what is marked ------------------------------------------------------------------------- */

static int change_address(struct apply_run *run, struct fence_address *entry)
{
    int r;

    if (entry->told == entry->peer || entry->told == FENCE_ADDRESS_NONE)
        return 0;
    if (entry->peer == FENCE_ADDRESS_NONE) {
        r = remove_address(run->apply, &entry->addr);
        if (r == 0)
            entry->told = FENCE_ADDRESS_NONE;
        return r;
    }
    r = move_address(run, entry);
    if (r >= 0)
        entry->told = r > 0 ? entry->peer : FENCE_ADDRESS_NONE;
    return r < 0 ? r : 0;
}

static int add_new_address(struct apply_run *run, struct fence_address *entry)
{
    int r;

    if (entry->told != FENCE_ADDRESS_NONE || entry->peer == FENCE_ADDRESS_NONE)
        return 0;
    r = put_address(run, entry);
    if (r > 0)
        entry->told = entry->peer;
    return r < 0 ? r : 0;
}

static int each_marked(struct apply_run *run,
                       int (*change)(struct apply_run *run, struct fence_address *entry))
{
    const struct fence_addresses *addresses = &run->plan->addresses;
    int r = 0;

    for (size_t i = 0; r == 0 && i < addresses->marked_count; i++) {
        struct fence_address *entry = fence_addresses_find(addresses, &addresses->marked[i]);

        if (entry)
            r = change(run, entry);
    }
    return r;
}

static int end_incomplete(struct apply_run *run)
{
    if (run->lacks_addresses)
        return 0;
    return set_flag(run->apply, FENCE_SETTING_ADDRESSES_INCOMPLETE, false);
}

int apply_addresses(struct apply_run *run)
{
    int r = run->fresh ? take_over(run) : 0;

    if (r == 0)
        r = each_marked(run, change_address);
    if (r == 0)
        r = each_marked(run, add_new_address);
    FENCE_FAILPOINT("apply.addresses-done");
    return r == 0 ? end_incomplete(run) : r;
}

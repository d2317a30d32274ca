/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a plan to the pinned maps.
 *
 * What the kernel reads, for a packet: endpoint -> set; address -> peer -> class; (set, class,
 * direction) -> table -> verdict. It keeps what it has read until the epoch is raised, which
 * follows every write (epochs.h).
 *
 * Order, each step complete before the next:
 *   1. identities, classes, rules: names, which nothing refers to yet
 *   2. tables into free intervals, and entries of the sets: every set, also those in force now,
 * gets its tables for the classes that have come; a new set's own entry says that it is complete
 *   3. peers move to their classes
 *   4. addresses and prefixes move to their peers
 *   5. endpoints flip to their sets, one map write each
 * The plan is such (see lib/policy/compile.c) that in it every set is exact for every class, old
 * and new: 3 and 4 change no verdict but those of addresses that are somebody else's now, and 5
 * finds all classes in the new sets. What a set does not list gets the table of "pending", which
 * is never looser than any workload's.
 *
 * Only what the plan says was touched is looked at. A fresh plan (after a start, or after something
 * could not be written) is compared with what the maps hold, by content: equal content keeps its
 * number, so that a restarted daemon with an unchanged plan writes nothing.
 *
 * Invariants
 * - A set is never changed but for entries of classes that were not there. Its number is never used
 *   again (settings.next_set is raised before the number is used).
 * - A set without an entry in `sets` is incomplete, whoever was killed while writing it: nothing
 *   uses it, the sweep removes it.
 * - A class's number is given to another class only after all its entries are gone, and late: they
 *   go round. A peer's number is given to another peer only after a sweep found that no address
 *   leads to it; an interval is written again only after a grace period without references.
 * - Whoever was killed between a write and its epoch has left the kernel with what was before that
 *   write; the next start raises the epoch first of all.
 * - What cannot be written closes: a set -> its endpoints get set 0; a prefix -> all endpoints with
 *   a policy (an unwritten block would be lost from every Denylist); an address -> all prefixes
 *   count as pending. All is tried again with the next call.
 *
 * A daemon that starts after the policies changed finds sets in force of which it does not know
 * what they were made of: see apply_takeover.c.
 *
 * The only concurrent writer is the plugin, in `endpoints`: see apply_endpoints.c.
 */
#include "lib/datapath/apply.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/failpoint.h"
#include "lib/base/memory.h"
#include "lib/datapath/apply_internal.h"
#include "lib/datapath/epochs.h"
#include "lib/datapath/load.h"
#include "lib/datapath/read.h"
#include "lib/datapath/walk.h"

/* Counted, and what the kernel keeps of it is out of date. */
static void wrote(struct fence_apply *apply, enum fence_map map, const void *key)
{
    apply->writes++;
    if (map == FENCE_MAP_ADDRESSES)
        fence_epoch_raise_address(apply->pins, key);
    else if (map == FENCE_MAP_PREFIXES || map == FENCE_MAP_PEERS || map == FENCE_MAP_POLICIES ||
             map == FENCE_MAP_SETTINGS)
        fence_epoch_raise(apply->pins);
}

int apply_put(struct fence_apply *apply, enum fence_map map, const void *key, const void *value)
{
    int r = bpf_map_update_elem(apply->pins->maps[map], key, value, BPF_ANY);

    FENCE_FAILPOINT("apply.entry-written");
    if (r == 0)
        wrote(apply, map, key);
    else
        apply->failed_map = map;
    return r;
}

int apply_put_all(struct fence_apply *apply, enum fence_map map, const void *keys,
                  const void *values, __u32 *count)
{
    LIBBPF_OPTS(bpf_map_batch_opts, opts);
    int r = bpf_map_update_batch(apply->pins->maps[map], keys, values, count, &opts);

    FENCE_FAILPOINT("apply.batch-written");
    if (r < 0)
        apply->failed_map = map;
    apply->writes += *count;
    fence_epoch_raise(apply->pins);
    return r;
}

int apply_delete(struct fence_apply *apply, enum fence_map map, const void *key)
{
    int r = bpf_map_delete_elem(apply->pins->maps[map], key);

    FENCE_FAILPOINT("apply.entry-deleted");
    if (r == 0)
        wrote(apply, map, key);
    return r == -ENOENT ? 0 : r;
}

int apply_settings(struct fence_apply *apply, const struct fence_settings *settings)
{
    const __u32 zero = 0;
    int r;

    if (memcmp(&apply->settings, settings, sizeof(*settings)) == 0)
        return 0;
    r = apply_put(apply, FENCE_MAP_SETTINGS, &zero, settings);
    if (r == 0)
        apply->settings = *settings;
    return r;
}

struct fence_hash apply_hash(const struct fence_apply *apply, const void *data, size_t size)
{
    return fence_hash_bytes(apply->settings.hash_key, data, size);
}

struct fence_hash apply_hash_text(const struct fence_apply *apply, const char *text)
{
    return apply_hash(apply, text, strlen(text));
}

int apply_report(struct apply_run *run, const char *subject, const char *format, ...)
{
    struct fence_apply_report *report = run->report;
    struct fence_apply_failure failure = {.subject = strdup(subject)};
    va_list args;
    int r;

    va_start(args, format);
    r = vasprintf(&failure.text, format, args);
    va_end(args);
    if (r < 0)
        failure.text = NULL;
    if (!failure.subject || !failure.text ||
        FENCE_GROW(report->failures, report->failure_capacity, report->failure_count) < 0) {
        free(failure.subject);
        free(failure.text);
        return -ENOMEM;
    }
    report->failures[report->failure_count++] = failure;
    return 0;
}

/* Entries of `policies` that the set takes. */
static size_t entries_of(const struct fence_plan *plan, const struct fence_plan_set *set)
{
    size_t count = FENCE_DIRECTIONS;

    if (!set->item.live || set->problem)
        return 0;
    for (__u32 i = 0; i < plan->classes_list.count; i++)
        for (int direction = 0; direction < FENCE_DIRECTIONS; direction++)
            count += plan->classes[i].item.live &&
                     fence_plan_table_of(set, direction, i) != set->fallback[direction];
    return count;
}

/* How many entries of the map the plan by itself takes. */
static size_t needed(const struct fence_plan *plan, enum fence_map map)
{
    const size_t plain[FENCE_MAP_COUNT] = {
        [FENCE_MAP_IDENTITIES] = fence_plan_live(&plan->identities_list),
        [FENCE_MAP_CLASSES] = fence_plan_live(&plan->classes_list),
        [FENCE_MAP_RULES] = fence_plan_live(&plan->rules_list),
        [FENCE_MAP_ADDRESSES] = plan->addresses.count,
        [FENCE_MAP_PREFIXES] = plan->prefixes_count,
        [FENCE_MAP_SETS] = fence_plan_live(&plan->sets_list),
    };
    size_t count = plain[map];

    if (map == FENCE_MAP_PEERS)
        count = FENCE_PEER_FIRST;
    for (size_t i = 0; map == FENCE_MAP_PEERS && i < plan->peers_list.count; i++)
        count += plan->peers[i].item.live && !plan->peers[i].reserved;
    for (size_t i = 0; map == FENCE_MAP_POLICIES && i < plan->sets_list.count; i++)
        count += entries_of(plan, &plan->sets[i]);
    for (size_t i = 0; map == FENCE_MAP_INTERVALS && i < plan->tables_list.count; i++)
        count += plan->tables[i].item.live ? plan->tables[i].count : 0;
    return count;
}

/* What was written before the failure has been taken back: use now says nothing, need does. */
static int report_full(struct apply_run *run, enum fence_map map, const char *consequence)
{
    const char *name = fence_map_name(map);
    size_t need = needed(run->plan, map);
    struct fence_map_shape shape = {0};
    char subject[64];
    size_t large;
    int r = fence_map_shape(run->apply->pins->maps[map], &shape);

    if (r < 0)
        return r;
    large = 2 * (need > shape.max_entries ? need : shape.max_entries);
    snprintf(subject, sizeof(subject), "%s map", name);
    return apply_report(run, subject,
                        "full: it has %u entries, the objects now need %zu, and during a change "
                        "also what they replace; %s; " FENCE_MAP_SIZE_REMEDY,
                        shape.max_entries, need, consequence, name, large);
}

int apply_report_map(struct apply_run *run, enum fence_map map, int code, const char *consequence)
{
    char subject[64];

    if (run->failed_maps & 1ull << map)
        return 0;
    run->failed_maps |= 1ull << map;
    if (code == -E2BIG || code == -ENOSPC)
        return report_full(run, map, consequence);
    snprintf(subject, sizeof(subject), "%s map", fence_map_name(map));
    return apply_report(run, subject, "cannot be written: %s; %s", strerror(-code), consequence);
}

void fence_apply_report_done(struct fence_apply_report *report)
{
    for (size_t i = 0; i < report->failure_count; i++) {
        free(report->failures[i].subject);
        free(report->failures[i].text);
    }
    free(report->failures);
    *report = (struct fence_apply_report){0};
}

static int load_all(struct fence_apply *apply, struct fence_err *err)
{
    int (*const steps[])(struct fence_apply *) = {
        apply_numbers_load,
        apply_peers_load,
        apply_sets_load,
        apply_prefixes_load,
    };
    int r = fence_settings_read(apply->pins, &apply->settings);

    if (r < 0)
        return fence_err_set(err, r, "settings map: %s", strerror(-r));
    if (apply->settings.hz == 0 || apply->settings.next_set == 0)
        return fence_err_set(err, -EINVAL, "the data path at %s was not loaded to the end",
                             apply->pins->root);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(steps); i++) {
        r = steps[i](apply);
        if (r < 0)
            return fence_err_set(err, r, "reading the maps at %s: %s", apply->pins->root,
                                 strerror(-r));
    }
    return 0;
}

int fence_apply_new(const struct fence_pins *pins, struct fence_apply **ret_apply,
                    struct fence_err *err)
{
    FENCE_CLEANUP(fence_apply_free) struct fence_apply *apply = calloc(1, sizeof(*apply));
    int r;

    if (!apply)
        return fence_err_set(err, -ENOMEM, "out of memory");
    apply->pins = pins;
    apply->identities.by_content.key_size = sizeof(struct fence_hash);
    apply->classes.by_content.key_size = sizeof(struct fence_hash);
    apply->rules.by_content.key_size = sizeof(struct fence_hash);
    apply->peers_by_content.key_size = sizeof(struct fence_hash);
    apply->tables.key_size = sizeof(__u32);
    apply->tables_by_content.key_size = sizeof(struct fence_hash);
    apply->sets.key_size = sizeof(__u32);
    apply->sets_by_content.key_size = sizeof(struct fence_hash);
    apply->prefixes.key_size = sizeof(struct fence_prefix_key);
    fence_epoch_raise(pins);
    r = load_all(apply, err);
    if (r < 0)
        return r;
    *ret_apply = TAKE_PTR(apply);
    return 0;
}

void fence_apply_free(struct fence_apply **apply)
{
    if (!*apply)
        return;
    apply_numbers_done(&(*apply)->identities);
    apply_numbers_done(&(*apply)->classes);
    apply_numbers_done(&(*apply)->rules);
    apply_peers_done(*apply);
    apply_sets_done(*apply);
    apply_tables_done(*apply);
    apply_prefixes_done(*apply);
    free((*apply)->class_planned);
    free(*apply);
    *apply = NULL;
}

int apply_grow(void **items, size_t *count, size_t wanted, size_t size)
{
    size_t larger = *count * 2 > wanted ? *count * 2 : wanted;
    char *grown;

    if (wanted <= *count)
        return 0;
    grown = reallocarray(*items, larger, size);
    if (!grown)
        return -ENOMEM;
    memset(grown + *count * size, 0, (larger - *count) * size);
    *items = grown;
    *count = larger;
    return 0;
}

static void forget_plan(struct fence_apply *apply)
{
    apply_numbers_forget(&apply->identities);
    apply_numbers_forget(&apply->classes);
    apply_numbers_forget(&apply->rules);
    apply_peers_forget(apply);
    apply_tables_forget(apply);
    apply_sets_forget(apply);
}

static int run_all(struct apply_run *run)
{
    static int (*const steps[])(struct apply_run *) = {
        apply_takeover_begin, apply_identities, apply_classes,   apply_rules,
        apply_tables,         apply_sets,       apply_takeover,  apply_peers,
        apply_addresses,      apply_prefixes,   apply_endpoints,
    };
    int r = 0;

    if (run->fresh)
        forget_plan(run->apply);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(steps) && r == 0; i++)
        r = steps[i](run);
    free(run->known_classes);
    return r;
}

int fence_apply(struct fence_apply *apply, struct fence_plan *plan,
                struct fence_apply_report *ret_report, struct fence_err *err)
{
    FENCE_CLEANUP(fence_apply_report_done) struct fence_apply_report report = {0};
    struct apply_run run = {
        .apply = apply,
        .plan = plan,
        .report = &report,
        .fresh = plan->teller != apply,
    };
    int r = fence_settings_read(apply->pins, &apply->settings);

    apply->serial++;
    apply->writes = 0;
    if (r == 0)
        r = run_all(&run);
    plan->teller = NULL;
    if (r == 0 && report.failure_count == 0) {
        plan->teller = apply;
        fence_plan_told(plan);
    } else if (fence_plan_touch_all(plan) < 0) {
        r = -ENOMEM;
    }
    if (r < 0)
        return fence_err_set(err, r, "applying the policies: %s", strerror(-r));
    report.writes = apply->writes;
    *ret_report = report;
    report = (struct fence_apply_report){0};
    return 0;
}

__u32 fence_apply_set_number(const struct fence_apply *apply, const char *content)
{
    const struct apply_set *set = apply_set_by_content(apply, apply_hash_text(apply, content));

    return set && set->planned ? set->number : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a plan to the pinned maps.
 *
 * What the kernel reads, for a packet: endpoint -> set; address -> peer; (set, peer, direction) ->
 * table -> verdict. A connection caches (set, peer, peer's generation, verdict).
 *
 * Order, each step complete before the next:
 *   1. identities, rules, peers: names, which nothing refers to yet
 *   2. tables into free intervals, which nothing refers to yet
 *   3. entries of the sets, for all peers of the plan, also those of the previous plan (`carried`);
 *      then the set's own entry, which says that it is complete
 *   4. endpoints flip to their set, one map write each
 *   5. addresses and prefixes; then every peer that lost an address gets a new generation
 * So before 4 the old sets answer for the old addresses, and after it the new sets answer for old
 * and new ones: an address always leads to a peer that the set in force knows. A peer that a set
 * does not list gets the table of "pending", which is never looser than any workload's.
 *
 * Invariants
 * - A set is never changed but for entries of peers that were not there. Its number is never used
 *   again (settings.next_set is raised before the number is used).
 * - A set without an entry in `sets` is incomplete, whoever was killed while writing it: nothing
 *   uses it, the sweep removes it.
 * - Equal content keeps its number, found by a keyed hash in the maps themselves, so that a
 *   restarted daemon with an unchanged plan writes nothing.
 * - A peer's number is given to another peer only after its generation was raised and its entries
 *   are gone; an interval is written again only after a grace period without references.
 * - Between moving an address and raising generations FENCE_SETTING_MOVING is set; who finds it at
 * start raises them all. A packet in flight may pair an old address look-up with a new generation,
 * so they are raised once more at the next sweep, after a grace period.
 * - What cannot be written closes: a set -> its endpoints get set 0; a prefix -> all endpoints with
 *   a policy (an unwritten block would be lost from every Denylist); an address -> all prefixes
 *   count as pending. All is tried again with the next plan.
 *
 * The only concurrent writer is the plugin, in `endpoints`: see apply_endpoints.c.
 */
#include "lib/datapath/apply.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/datapath/apply_internal.h"
#include "lib/datapath/load.h"
#include "lib/datapath/read.h"
#include "lib/datapath/walk.h"

int apply_put(struct fence_apply *apply, enum fence_map map, const void *key, const void *value)
{
    int r = bpf_map_update_elem(apply->pins->maps[map], key, value, BPF_ANY);

    if (r == 0)
        apply->writes++;
    else
        apply->failed_map = map;
    return r;
}

int apply_delete(struct fence_apply *apply, enum fence_map map, const void *key)
{
    int r = bpf_map_delete_elem(apply->pins->maps[map], key);

    if (r == 0)
        apply->writes++;
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

/* How many entries of the map the plan by itself takes. */
static size_t needed(const struct fence_plan *plan, enum fence_map map)
{
    const size_t plain[FENCE_MAP_COUNT] = {
        [FENCE_MAP_IDENTITIES] = plan->identities_count,
        [FENCE_MAP_RULES] = plan->rules_count,
        [FENCE_MAP_ADDRESSES] = plan->addresses_count,
        [FENCE_MAP_PREFIXES] = plan->prefixes_count,
        [FENCE_MAP_SETS] = plan->sets_count,
    };
    size_t count = plain[map];

    if (map == FENCE_MAP_PEERS)
        count = FENCE_PEER_FIRST;
    for (size_t i = 0; map == FENCE_MAP_PEERS && i < plan->peers_count; i++)
        count += !plan->peers[i].reserved;
    for (size_t i = 0; map == FENCE_MAP_POLICIES && i < plan->sets_count; i++)
        count += plan->sets[i].problem ? 0 : plan->sets[i].entry_count + FENCE_DIRECTIONS;
    for (size_t i = 0; map == FENCE_MAP_INTERVALS && i < plan->tables_count; i++)
        count += plan->tables[i].count;
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
        apply_addresses_load,
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
    apply->rules.by_content.key_size = sizeof(struct fence_hash);
    apply->peers_by_content.key_size = sizeof(struct fence_hash);
    apply->tables.key_size = sizeof(__u32);
    apply->tables_by_content.key_size = sizeof(struct fence_hash);
    apply->sets.key_size = sizeof(__u32);
    apply->sets_by_content.key_size = sizeof(struct fence_hash);
    apply->addresses.key_size = sizeof(struct fence_addr);
    apply->prefixes.key_size = sizeof(struct fence_prefix_key);
    r = load_all(apply, err);
    if (r < 0)
        return r;
    *ret_apply = TAKE_PTR(apply);
    return 0;
}

static void free_peers(struct fence_apply *apply)
{
    for (__u32 i = 0; apply->peers && i < apply->peer_limit; i++)
        fence_index_remove(&apply->peers_by_content, &apply->peers[i].node);
    free(apply->peers);
}

void fence_apply_free(struct fence_apply **apply)
{
    if (!*apply)
        return;
    apply_numbers_done(&(*apply)->identities);
    apply_numbers_done(&(*apply)->rules);
    free_peers(*apply);
    apply_sets_done(*apply);
    apply_tables_done(*apply);
    apply_addresses_done(*apply);
    free(*apply);
    *apply = NULL;
}

static void run_done(struct apply_run *run)
{
    free(run->identities);
    free(run->rules);
    free(run->peers);
    free(run->tables);
    free(run->sets);
    free(run->told);
}

static int run_init(struct apply_run *run)
{
    const struct fence_plan *plan = run->plan;

    run->identities = calloc(plan->identities_count + 1, sizeof(*run->identities));
    run->rules = calloc(plan->rules_count + 1, sizeof(*run->rules));
    run->peers = calloc(plan->peers_count + 1, sizeof(*run->peers));
    run->tables = calloc(plan->tables_count + 1, sizeof(struct apply_table *));
    run->sets = calloc(plan->sets_count + 1, sizeof(struct apply_set *));
    run->told = calloc(plan->endpoints_count + 1, sizeof(*run->told));
    if (!run->identities || !run->rules || !run->peers || !run->tables || !run->sets || !run->told)
        return -ENOMEM;
    return 0;
}

static int run_all(struct apply_run *run)
{
    static int (*const usual[])(struct apply_run *) = {
        apply_identities, apply_rules,     apply_peers,    apply_sets,
        apply_endpoints,  apply_addresses, apply_prefixes,
    };
    /* everything is closed for want of a prefix: opened only when all prefixes are there */
    static int (*const closed[])(struct apply_run *) = {
        apply_identities, apply_rules,    apply_peers,     apply_sets,
        apply_addresses,  apply_prefixes, apply_endpoints,
    };
    int (*const *steps)(struct apply_run *) = run->apply->prefixes_failed ? closed : usual;
    int r = 0;

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(usual) && r == 0; i++)
        r = steps[i](run);
    return r;
}

int fence_apply(struct fence_apply *apply, const struct fence_plan *plan,
                struct fence_apply_report *ret_report, struct fence_err *err)
{
    FENCE_CLEANUP(fence_apply_report_done) struct fence_apply_report report = {0};
    struct apply_run run = {
        .apply = apply,
        .plan = plan,
        .report = &report,
    };
    int r = fence_settings_read(apply->pins, &apply->settings);

    apply->serial++;
    apply->writes = 0;
    if (r == 0)
        r = run_init(&run);
    if (r == 0)
        r = run_all(&run);
    run_done(&run);
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

    return set && apply->serial && set->plan == apply->serial ? set->number : 0;
}

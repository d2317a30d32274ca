/* SPDX-License-Identifier: Apache-2.0 */
/* What a proposal does not say by itself: what was left out, and what was not seen. */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/names.h"
#include "lib/learn/propose.h"

#define NOTES_MAX 32u /* of one kind */
#define DAY_S     86400

static const char *open_because(const struct fence_learn_side *side)
{
    if (side->unknown && side->unresolved > side->behind)
        return "it goes to addresses of services, and not all pods behind them are known: give the "
               "flows of their nodes (--flows), or Services, EndpointSlices and Pods (--objects)";
    if (side->unknown)
        return "other nodes' addresses are not known: give their Node objects (--objects)";
    return "no connection was seen (--isolate both closes it)";
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* In order, whatever the order of the flows; no more than NOTES_MAX of them. */
static int take_over(struct fence_learn_texts *from, const char *rest,
                     struct fence_learn_texts *notes)
{
    int r = 0;

    if (from->count)
        qsort(from->items, from->count, sizeof(char *), compare_texts);
    for (size_t i = 0; r == 0 && i < from->count && i < NOTES_MAX; i++)
        r = fence_learn_texts_add(notes, "%s", from->items[i]);
    if (r == 0 && from->count > NOTES_MAX)
        r = fence_learn_texts_add(notes, "%zu more %s", from->count - NOTES_MAX, rest);
    fence_learn_texts_done(from);
    return r;
}

static int note_side(const struct fence_learn_side *side, unsigned int direction, bool isolated,
                     struct fence_learn_texts *notes)
{
    const char *name = fence_direction_name(direction);
    bool inwards = direction == FENCE_INGRESS;
    int r = 0;

    if (!isolated)
        r = fence_learn_texts_add(notes, "%s is left open: %s", name, open_because(side));
    if (r == 0 && side->own_node)
        r = fence_learn_texts_add(notes,
                                  "%s: count=%llu %s the pod's own node are left out: they are "
                                  "always allowed",
                                  name, (unsigned long long)side->own_node,
                                  inwards ? "from" : "to");
    if (r == 0 && side->services && isolated)
        r = fence_learn_texts_add(
            notes,
            "%s: count=%llu to addresses of services: the rules name the pods "
            "behind them",
            name, (unsigned long long)side->services);
    if (r == 0 && side->audited)
        r = fence_learn_texts_add(notes,
                                  "%s: count=%llu that an Audit policy would refuse are allowed "
                                  "here: see podfencectl diff --live",
                                  name, (unsigned long long)side->audited);
    if (r == 0 && side->world && isolated)
        r = fence_learn_texts_add(
            notes, "%s: too many addresses outside, or not known: all are allowed", name);
    if (r == 0 && side->unheard && isolated)
        r = fence_learn_texts_add(notes,
                                  "%s: the addresses outside of count=%llu are not known: they may "
                                  "not be allowed",
                                  name, (unsigned long long)side->unheard);
    return r;
}

int fence_learn_note_policy(struct fence_learn_side sides[FENCE_DIRECTIONS],
                            struct fence_learn_policy *policy)
{
    static const unsigned int order[] = {FENCE_INGRESS, FENCE_EGRESS};
    int r = 0;

    for (size_t i = 0; r == 0 && i < FENCE_ARRAY_SIZE(order); i++) {
        unsigned int direction = order[i];

        r = note_side(&sides[direction], direction, policy->isolates[direction], &policy->notes);
        if (r == 0)
            r = take_over(&sides[direction].left_out, "are left out", &policy->left_out[direction]);
        for (size_t j = 0; r == 0 && j < policy->left_out[direction].count; j++)
            r = fence_learn_texts_add(&policy->notes, "%s: NOT ALLOWED: %s",
                                      fence_direction_name(direction),
                                      policy->left_out[direction].items[j]);
    }
    return r;
}

/* ---- of the whole --------------------------------------------------------------------------- */

static int note_window(const struct fence_learn_flows *flows, struct fence_learn_texts *notes)
{
    char since[32], until[32];
    int r =
        fence_learn_texts_add(notes, "seen from %s to %s", fence_learn_time(flows->since, since),
                              fence_learn_time(flows->until, until));

    if (r == 0 && flows->until - flows->since < DAY_S)
        r = fence_learn_texts_add(notes, "a short time: what happens less often than that, such as "
                                         "a nightly job, is not in the rules");
    if (r == 0 && flows->lost)
        r = fence_learn_texts_add(notes,
                                  "%llu flows were lost: what was only among them is not "
                                  "in the rules",
                                  (unsigned long long)flows->lost);
    return r;
}

static bool wants(const struct fence_learn_options *options,
                  const struct fence_learn_proposal *proposal, const struct fence_learn_id *id)
{
    if (id->kind != FENCE_LEARN_ID_WORKLOAD)
        return false;
    for (size_t i = 0; i < options->namespace_count; i++)
        if (strcmp(options->namespaces[i],
                   proposal->links.workloads.items[id->number].namespace_name) == 0)
            return true;
    return !options->namespace_count;
}

static int note_one_denied(const struct fence_learn_proposal *proposal,
                           const struct fence_learn_link *link, struct fence_learn_texts *notes)
{
    uint64_t out = link->hooks[FENCE_EGRESS].dropped, in = link->hooks[FENCE_INGRESS].dropped;
    char source[300], destination[300], port[48], last[32];

    return fence_learn_texts_add(
        notes, "denied, not proposed: %s > %s %s count=%llu last=%s reason=%s%s%s",
        fence_learn_id_name(&proposal->links, &link->source, source),
        fence_learn_id_name(&proposal->links, &link->destination, destination),
        fence_learn_port_name(link->protocol, link->port, port),
        (unsigned long long)(out > in ? out : in), fence_learn_time(link->dropped_last, last),
        fence_reason_name(link->dropped_reason), *link->dropped_policy ? " policy=" : "",
        link->dropped_policy);
}

static int note_denied(const struct fence_learn_options *options,
                       struct fence_learn_proposal *proposal)
{
    struct fence_learn_texts denied = {0};
    int r = 0;

    for (size_t i = 0; r == 0 && i < proposal->links.count; i++) {
        const struct fence_learn_link *link = &proposal->links.items[i];

        if (!fence_learn_link_is_made(link) &&
            link->hooks[FENCE_EGRESS].dropped + link->hooks[FENCE_INGRESS].dropped &&
            (wants(options, proposal, &link->source) ||
             wants(options, proposal, &link->destination)))
            r = note_one_denied(proposal, link, &denied);
    }
    if (r < 0) {
        fence_learn_texts_done(&denied);
        return r;
    }
    return take_over(&denied, "were denied and are not proposed", &proposal->notes);
}

static bool has_policy(const struct fence_learn_proposal *proposal, uint32_t workload)
{
    for (size_t i = 0; i < proposal->count; i++)
        if (proposal->policies[i].workload == workload)
            return true;
    return false;
}

static const char *why_without(const struct fence_learn_workload *workload,
                               const struct fence_learn_side sides[FENCE_DIRECTIONS])
{
    if (!workload->judged[FENCE_EGRESS] && !workload->judged[FENCE_INGRESS])
        return "seen from the other end only, or exempt: give the flows of its node too (--flows)";
    for (unsigned int direction = 0; direction < FENCE_DIRECTIONS; direction++)
        if (sides[direction].unknown)
            return open_because(&sides[direction]);
    return "no connection was seen from which to learn";
}

/* Those of which the flows tell, without a policy, and what would help. */
static int note_without(const struct fence_learn_options *options,
                        const struct fence_learn_sides *sides,
                        struct fence_learn_proposal *proposal)
{
    const struct fence_learn_workloads *workloads = &proposal->links.workloads;
    struct fence_learn_texts texts = {0};
    int r = 0;

    for (uint32_t i = 0; r == 0 && i < workloads->count; i++) {
        const struct fence_learn_workload *workload = &workloads->items[i];
        const struct fence_learn_id id = {FENCE_LEARN_ID_WORKLOAD, i};

        if (!workload->seen || !wants(options, proposal, &id) || has_policy(proposal, i))
            continue;
        r = fence_learn_texts_add(&texts, "no policy for %s: %s", workload->name,
                                  why_without(workload, sides->items[i]));
    }
    if (r < 0) {
        fence_learn_texts_done(&texts);
        return r;
    }
    return take_over(&texts, "workloads are without a policy", &proposal->notes);
}

int fence_learn_note_all(const struct fence_learn_flows *flows,
                         const struct fence_learn_options *options,
                         const struct fence_learn_sides *sides,
                         struct fence_learn_proposal *proposal)
{
    int r = note_window(flows, &proposal->notes);

    if (r == 0 && options->audit && options->kind == FENCE_OBJECT_NETWORK_POLICY)
        r = fence_learn_texts_add(&proposal->notes,
                                  "Audit by annotation: ENFORCED where podfenced runs without "
                                  "--audit-annotation (a SegmentPolicy needs no such option)");
    if (r == 0)
        r = note_denied(options, proposal);
    return r < 0 ? r : note_without(options, sides, proposal);
}

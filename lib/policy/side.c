/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One side of a question. Where the port leads to a service's backends, each of them is judged as a
 * destination of its own (DESIGN section 5, service addresses), behind the Denylists, which cut an
 * address whatever is behind it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/policy/evaluator.h"

static struct fence_side plain_side(uint8_t verdict, uint8_t reason)
{
    return (struct fence_side){.verdict = verdict,
                               .shadow = verdict,
                               .reason = reason,
                               .rule = FENCE_RULE_NONE,
                               .nearest_rule = FENCE_RULE_NONE};
}

static int no_memory(struct fence_err *err)
{
    return fence_err_set(err, -ENOMEM, "out of memory");
}

/* `ask`: what the finding is about. */
static int report(const struct fence_ask *ask, const struct fence_finding *finding,
                  struct fence_side *side, struct fence_err *err)
{
    FENCE_FREE char *id = finding->policy ? fence_object_id(finding->policy) : NULL;

    if (finding->policy && !id)
        return no_memory(err);
    side->verdict = finding->verdict;
    side->reason = finding->reason;
    side->rule = finding->rule;
    snprintf(side->policy, sizeof(side->policy), "%s", id ? id : "");
    if (finding->reason == FENCE_REASON_NO_RULE || finding->reason == FENCE_REASON_PEER_PENDING)
        return fence_explain(ask, side, err);
    return 0;
}

/* ---- backends ------------------------------------------------------------------------------- */

/* What all backends come to. */
struct tally {
    struct fence_finding first[2]; /* enforced, shadow */
    bool differs[2];
    bool closed[2]; /* a backend that is denied is a process of this node: see lib/policy/judge.c */
};

/* The question about one backend. */
struct trial {
    struct fence_ask ask;
    struct fence_query query;
    struct fence_end end;
};

/* fence_end_done of trial->end afterwards. */
static int aim(const struct fence_ask *ask, const struct fence_backend *backend,
               struct trial *trial, struct fence_err *err)
{
    int r = fence_end_locate_backend(ask->world, &backend->addr, ask->subject, &trial->end, err);

    if (r < 0)
        return r;
    trial->query = *ask->query;
    trial->query.port = backend->port;
    trial->ask = *ask;
    trial->ask.query = &trial->query;
    trial->ask.other = &trial->end;
    trial->ask.view = fence_end_view(ask->world, ask->subject, &trial->end);
    return 0;
}

static void count(struct tally *tally, const struct trial *trial, struct fence_side *side)
{
    size_t place = side->backend_count++;
    struct fence_backend_verdict verdict = {.addr = trial->end.addr,
                                            .port = (uint16_t)trial->query.port};

    for (int shadow = 0; shadow < 2; shadow++) {
        struct fence_finding one = fence_ask_judge(&trial->ask, shadow);

        if (place == 0)
            tally->first[shadow] = one;
        tally->differs[shadow] |= one.verdict != tally->first[shadow].verdict;
        tally->closed[shadow] |=
            one.verdict == FENCE_DENY && trial->ask.view.kind == FENCE_VIEW_HOST;
        *(shadow ? &verdict.shadow : &verdict.verdict) = one.verdict;
    }
    if (place < FENCE_BACKENDS_MAX)
        side->backends[place] = verdict;
}

static int judge_backends(const struct fence_ask *ask, const struct fence_backend_list *list,
                          struct tally *tally, struct fence_side *side, struct fence_err *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < list->count; i++) {
        struct trial trial = {0};

        r = aim(ask, &list->items[i], &trial, err);
        if (r == 0)
            count(tally, &trial, side);
        fence_end_done(&trial.end);
    }
    return r;
}

/* Of a node's port that leads to nobody: as an address that is nobody's and in no block. */
static void judge_nobody(const struct fence_ask *ask, struct tally *tally)
{
    struct fence_ask nobody = *ask;

    nobody.view = (struct fence_peer_view){.kind = FENCE_VIEW_SERVICE,
                                           .labels = ask->view.labels,
                                           .where = {.length = FENCE_WHERE_NONE}};
    for (int shadow = 0; shadow < 2; shadow++)
        tally->first[shadow] = fence_ask_judge(&nobody, shadow);
}

/* Why not, of the first backend: the words of a verdict are its. */
static int report_first(const struct fence_ask *ask, const struct fence_backend_list *list,
                        const struct fence_finding *finding, struct fence_side *side,
                        struct fence_err *err)
{
    struct trial trial = {.ask = *ask};
    int r = list->count ? aim(ask, &list->items[0], &trial, err) : 0;

    if (r == 0)
        r = report(&trial.ask, finding, side, err);
    fence_end_done(&trial.end);
    return r;
}

static int ask_backends(const struct fence_ask *ask, const struct fence_backend_list *list,
                        struct fence_side *side, struct fence_err *err)
{
    struct fence_finding mixed = {.reason = FENCE_REASON_SERVICE_MIXED, .rule = FENCE_RULE_NONE};
    struct tally tally = {0};
    int r = judge_backends(ask, list, &tally, side, err);

    if (r < 0)
        return r;
    if (!list->count)
        judge_nobody(ask, &tally);
    for (int shadow = 0; shadow < 2; shadow++) {
        mixed.verdict = tally.closed[shadow] ? FENCE_DENY : FENCE_DEFER;
        if (tally.differs[shadow])
            tally.first[shadow] = mixed;
    }
    (void)fence_ask_is_cut(ask, true, &tally.first[1]);
    side->shadow = tally.first[1].verdict;
    if (!fence_ask_is_cut(ask, false, &tally.first[0]))
        return report_first(ask, list, &tally.first[0], side, err);
    side->backend_count = 0;
    return report(ask, &tally.first[0], side, err);
}

/* ---- one side ------------------------------------------------------------------------------- */

static void name_service(const struct fence_ask *ask, const struct fence_backend_list *list,
                         struct fence_side *side)
{
    const struct fence_object *service = list->service;

    if (!service && ask->direction == FENCE_EGRESS &&
        (ask->view.service || ask->view.kind == FENCE_VIEW_SERVICE))
        service = ask->other->service;
    if (service)
        snprintf(side->service, sizeof(side->service), "%s/%s", service->namespace_name,
                 service->name);
}

static int ask_policies(struct fence_ask *ask, struct fence_side *side, struct fence_err *err)
{
    FENCE_CLEANUP(fence_backends_free) struct fence_backend_list list = {0};
    struct fence_finding finding;
    int r = fence_ask_collect(ask);

    if (r == 0)
        r = fence_backends_find(ask, &list);
    if (r < 0)
        return no_memory(err);
    *side = plain_side(FENCE_DENY, FENCE_REASON_NONE);
    name_service(ask, &list, side);
    if (list.leads)
        return ask_backends(ask, &list, side, err);
    finding = fence_ask_judge(ask, false);
    side->shadow = fence_ask_judge(ask, true).verdict;
    return report(ask, &finding, side, err);
}

/* True when the answer is settled before any policy. */
static bool is_settled(const struct fence_ask *ask, struct fence_side *side)
{
    const struct fence_end_pod *pod = ask->subject;

    /* a pod's packet to its own address never leaves it, whoever else claims that address */
    if (!pod->namespace_name || !pod->endpoint || ask->itself)
        *side = plain_side(FENCE_ALLOW, FENCE_REASON_NOT_AN_ENDPOINT);
    else if (pod->local && pod->local->exempt)
        *side = plain_side(FENCE_ALLOW, FENCE_REASON_EXEMPT);
    else if (ask->martian)
        *side = plain_side(FENCE_DENY, FENCE_REASON_MARTIAN);
    else if (ask->direction == FENCE_INGRESS && ask->view.kind == FENCE_VIEW_HOST)
        *side = plain_side(FENCE_ALLOW, FENCE_REASON_FROM_HOST);
    else if (!pod->labels)
        *side = plain_side(FENCE_DENY, FENCE_REASON_PENDING);
    else if (pod->incomplete)
        *side = plain_side(FENCE_DENY, FENCE_REASON_INCOMPLETE);
    else
        return false;
    return true;
}

int fence_ask_side(struct fence_ask *ask, struct fence_side *side, struct fence_err *err)
{
    int r = 0;

    if (ask->subject->namespace_name)
        ask->view = fence_end_view(ask->world, ask->subject, ask->other);
    if (!is_settled(ask, side))
        r = ask_policies(ask, side, err);
    free(ask->policies);
    return r;
}

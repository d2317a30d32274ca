/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel is asked after every single write on the way from one world to the next: whatever it
 * answers was right before or is right afterwards. So what both worlds allow is never dropped, and
 * what both deny never passes.
 *
 * A daemon that starts again meanwhile may refuse for a moment what both allow, where the rules
 * tell less apart than before (lib/datapath/apply_takeover.c); these are counted.
 *
 * Left out: where both ends became others at once (a namespace's labels do that), for the new
 * remote end may then meet the local end's old rules for a moment.
 */
#include <bpf/bpf.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/names.h"
#include "test/datapath/writes.h"
#include "test/policy/engine.h"
#include "test/policy/property.h"

#define MOST_PROBES 48u
#define TRIES       (8u * MOST_PROBES)
/* A daemon that starts again may write of every peer: then every so many writes are enough. */
#define MANY_WRITES 100u
#define STRIDE      16u

struct probe {
    struct reconciler *live;
    struct reconciler_query query;
    uint8_t before; /* enum fence_verdict */
    uint8_t after;
    bool restarts; /* the daemon */
};

struct moments {
    struct probe probes[MOST_PROBES];
    size_t count;
    unsigned int writes;
    int fd; /* of the map that was written last */
    uint64_t asked;
    uint64_t refused;
    int result;
    struct fence_err *err;
};

/* ---- what is asked -------------------------------------------------------------------------- */

/* An endpoint as one of the two plans has it. */
struct view {
    const struct fence_plan *plan;
    const struct fence_plan_endpoint *endpoint;
    const struct fence_plan_peer *peer;
    uint8_t verdict;
};

static bool is_plain(const struct fence_plan_endpoint *endpoint)
{
    return endpoint && !endpoint->flags && endpoint->set != FENCE_PLAN_NONE && !endpoint->end_count;
}

static bool look(struct view *view, const struct plan_query *query)
{
    const struct fence_interval *interval;
    uint32_t peer = plan_peer_of(view->plan, &query->remote);

    view->endpoint = plan_endpoint(view->plan, query->ifindex);
    if (peer == FENCE_PLAN_NONE || !is_plain(view->endpoint))
        return false;
    view->peer = &view->plan->peers[peer];
    if (view->peer->flags & FENCE_PEER_IS_HOST)
        return false;
    interval = plan_interval(view->plan, query, peer);
    view->verdict = interval ? interval->verdict : FENCE_DENY;
    return interval != NULL;
}

static bool same_identity(const struct view *a, const struct view *b)
{
    return strcmp(a->plan->identities[a->peer->identity].content,
                  b->plan->identities[b->peer->identity].content) == 0;
}

static bool same_set(const struct view *a, const struct view *b)
{
    return strcmp(a->plan->sets[a->endpoint->set].content,
                  b->plan->sets[b->endpoint->set].content) == 0;
}

static bool same_local(const struct fence_local *a, const struct fence_local *b)
{
    return a->ifindex == b->ifindex && a->exempt == b->exempt && a->addr_count == b->addr_count &&
           strcmp(a->pod, b->pod) == 0 && strcmp(a->namespace_name, b->namespace_name) == 0 &&
           (!a->addr_count || memcmp(a->addrs, b->addrs, a->addr_count * sizeof(*a->addrs)) == 0);
}

static const struct fence_addr *address_like(const struct fence_local *local,
                                             const struct fence_addr *remote)
{
    for (size_t i = 0; i < local->addr_count; i++) {
        if (fence_addr_equal(&local->addrs[i], remote))
            return NULL; /* such a packet never leaves the pod */
        if (fence_addr_is_ipv4(&local->addrs[i]) == fence_addr_is_ipv4(remote))
            return &local->addrs[i];
    }
    return NULL;
}

/* One random end of one of the two worlds. */
static bool choose_remote(const struct property_step *step, struct rng *rng,
                          struct fence_addr *ret_addr)
{
    const struct question_end *end =
        &step->questions->ends[rng_below(rng, (unsigned int)step->questions->end_count)];
    const struct case_file *file = rng_below(rng, 2) ? step->before : step->after;
    const char *slash = strchr(end->text, '/');
    const struct fence_object *pod;
    char name[QUESTION_TEXT];

    if (!slash)
        return fence_addr_parse(end->text, ret_addr) == 0;
    snprintf(name, sizeof(name), "%.*s", (int)(slash - end->text), end->text);
    pod = lab_pod(&file->lab, name, slash + 1);
    if (!pod || !pod->pod.addr_count)
        return false;
    *ret_addr = pod->pod.addrs[rng_below(rng, (unsigned int)pod->pod.addr_count)];
    return true;
}

static bool choose(const struct property_step *step, size_t node, struct rng *rng,
                   struct probe *ret_probe)
{
    const struct case_node *nodes[] = {&step->before->nodes[node], &step->after->nodes[node]};
    size_t locals = nodes[0]->local_count < nodes[1]->local_count ? nodes[0]->local_count
                                                                  : nodes[1]->local_count;
    size_t local = locals ? rng_below(rng, (unsigned int)locals) : 0;
    const struct question_packet *packet =
        &step->questions->packets[rng_below(rng, (unsigned int)step->questions->packet_count)];
    struct view before = {.plan = nodes[0]->plan};
    struct view after = {.plan = nodes[1]->plan};
    struct plan_query query = {.direction = rng_below(rng, FENCE_DIRECTIONS),
                               .protocol = packet->protocol,
                               .port = packet->port};
    const struct fence_addr *own;

    if (!locals || !same_local(&nodes[0]->locals[local], &nodes[1]->locals[local]) ||
        !choose_remote(step, rng, &query.remote))
        return false;
    own = address_like(&nodes[0]->locals[local], &query.remote);
    query.ifindex = nodes[0]->locals[local].ifindex;
    if (!own || query.protocol == (fence_addr_is_ipv4(own) ? IPPROTO_ICMPV6 : IPPROTO_ICMP) ||
        !look(&before, &query) || !look(&after, &query) ||
        (!same_identity(&before, &after) && !same_set(&before, &after)))
        return false;
    *ret_probe = (struct probe){
        .live = step->live->nodes[node],
        .query = {query.ifindex, query.direction, FENCE_ORIGIN_FORWARDED, *own, query.remote,
                  query.protocol, query.port},
        .before = before.verdict,
        .after = after.verdict,
        .restarts = step->restarts || !engine_can_follow(&nodes[0]->world, &nodes[1]->world),
    };
    return true;
}

static void choose_all(const struct property_step *step, struct rng *rng, struct moments *moments)
{
    size_t nodes = step->before->node_count < step->after->node_count ? step->before->node_count
                                                                      : step->after->node_count;

    if (!step->questions->packet_count || !step->questions->end_count)
        return;
    for (unsigned int i = 0; nodes && i < TRIES && moments->count < MOST_PROBES; i++) {
        size_t node = rng_below(rng, (unsigned int)nodes);

        if (step->live->nodes[node] &&
            strcmp(step->before->nodes[node].name, step->after->nodes[node].name) == 0 &&
            choose(step, node, rng, &moments->probes[moments->count]))
            moments->count++;
    }
}

/* ---- asking --------------------------------------------------------------------------------- */

static void describe(const struct moments *moments, const struct probe *probe,
                     const struct reconciler_answer *answer)
{
    const struct reconciler_query *query = &probe->query;
    char local[FENCE_ADDR_TEXT], remote[FENCE_ADDR_TEXT];
    struct bpf_map_info map = {0};
    __u32 size = sizeof(map);

    bpf_obj_get_info_by_fd(moments->fd, &map, &size);
    fence_err_set(moments->err, 0,
                  "write %u, to the map %s: %s, %s (ifindex %u) and %s, %u/%u: %s before, %s "
                  "after, but then %s "
                  "(%s, %s rule %d)",
                  moments->writes, map.name, fence_direction_name(query->direction),
                  fence_addr_format(&query->local, local), query->ifindex,
                  fence_addr_format(&query->remote, remote), query->protocol, query->port,
                  fence_verdict_name(probe->before), fence_verdict_name(probe->after),
                  fence_verdict_name(answer->result.verdict),
                  fence_reason_name(answer->result.reason), answer->rule.policy,
                  (int)answer->rule.index);
}

static void ask_all(void *context, int fd)
{
    struct moments *moments = context;

    moments->writes++;
    moments->fd = fd;
    if (moments->writes > MANY_WRITES && moments->writes % STRIDE)
        return;
    for (size_t i = 0; moments->result == 0 && i < moments->count; i++) {
        const struct probe *probe = &moments->probes[i];
        struct reconciler_answer answer;
        uint8_t verdict;

        moments->result = reconciler_ask(probe->live, &probe->query, &answer, moments->err);
        if (moments->result < 0)
            return;
        moments->asked++;
        verdict = answer.result.verdict;
        if (verdict == probe->before || verdict == probe->after)
            continue;
        if (verdict == FENCE_DENY && probe->restarts) {
            moments->refused++;
            continue;
        }
        moments->result = 1;
        describe(moments, probe, &answer);
    }
}

int property_follow(struct property *property, struct property_step *step, struct rng *rng,
                    struct fence_err *err)
{
    struct fence_err broken = {0};
    struct moments moments = {.err = &broken};
    const struct writes_watcher watcher = {ask_all, &moments};
    int r;

    step->restarts = rng_chance(rng, 4);
    choose_all(step, rng, &moments);
    writes_watch(moments.count ? &watcher : NULL);
    r = step->restarts ? live_restart(step->live, err) : 0;
    if (r == 0)
        r = live_follow(step->live, step->after, err);
    if (r == 0 && rng_below(rng, 2))
        r = live_sweep(step->live, err);
    writes_watch(NULL);
    property->tally.moments += moments.asked;
    property->tally.refused += moments.refused;
    if (r == 0 && moments.result)
        r = fence_err_set(err, 1, "%s", broken.text);
    return r;
}

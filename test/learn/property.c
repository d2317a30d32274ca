/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of random connections: the proposal decodes without a warning, and the evaluator finds that it
 * allows what was seen, and of all the rest nothing at an isolated end. In Audit mode the same is
 * told and nothing is refused.
 */
#include "test/learn/random.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "test/cmocka.h"

#include "lib/base/memory.h"
#include "lib/learn/manifest.h"

#ifdef __SANITIZE_ADDRESS__
#    define WORLDS 8u
#else
#    define WORLDS 30u
#endif

/* One world, what was proposed for it, and the world with that. */
struct run {
    struct random_world world;
    struct lab before; /* without policies */
    struct lab after;
    struct fence_learn_options options;
    struct fence_learn_flows flows;
    struct fence_learn_proposal proposal;
    uint32_t workloads[RANDOM_PODS];
    unsigned int denied;
    unsigned int allowed;
};

static void load(struct lab *lab, const char *text)
{
    struct fence_err err = {0};
    int r = lab_load(lab, text, &err);

    if (r < 0)
        print_error("%s\n%s\n", err.text, text);
    assert_int_equal(r, 0);
    for (size_t i = 0; i < lab->list.count; i++)
        assert_null(lab->list.items[i].warning);
}

static char *with_policies(const struct run *run)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    fputs(run->world.objects, out);
    for (size_t i = 0; i < run->proposal.count; i++) {
        cJSON *object = fence_learn_manifest(&run->proposal, &run->proposal.policies[i],
                                             &run->options, &run->flows);
        char *json = cJSON_Print(object);

        assert_non_null(json);
        fprintf(out, "---\n%s\n", json);
        cJSON_free(json);
        cJSON_Delete(object);
    }
    assert_int_equal(fclose(out), 0);
    return text;
}

static void make(struct rng *rng, struct run *run)
{
    const struct fence_decode_options decode = {.audit_annotation = true};
    FENCE_FREE char *text = NULL;

    fence_decode_set_options(&decode);
    *run = (struct run){0};
    random_make(rng, &run->world);
    load(&run->before, run->world.objects);
    run->flows = (struct fence_learn_flows){
        .items = run->world.flows, .count = run->world.flow_count, .since = 1000, .until = 3000};
    run->options = (struct fence_learn_options){
        .kind = rng_chance(rng, 50) ? FENCE_OBJECT_SEGMENT_POLICY : FENCE_OBJECT_NETWORK_POLICY,
        .audit = rng_chance(rng, 30),
        .isolate_both = rng_chance(rng, 30),
        .world = &run->before.world,
    };
    assert_int_equal(fence_learn_propose(&run->flows, &run->options, &run->proposal), 0);
    for (unsigned int i = 0; i < RANDOM_PODS; i++)
        run->workloads[i] = fence_learn_workload_find(&run->proposal.links.workloads,
                                                      run->world.ends[i].namespace_name,
                                                      &run->world.ends[i].labels);
    text = with_policies(run);
    load(&run->after, text);
}

static void undo(struct run *run)
{
    fence_learn_proposal_done(&run->proposal);
    lab_done(&run->before);
    lab_done(&run->after);
    random_done(&run->world);
}

/* ---- what it has to say --------------------------------------------------------------------- */

static bool isolates(const struct run *run, unsigned int end, unsigned int direction)
{
    for (size_t i = 0; end < RANDOM_PODS && i < run->proposal.count; i++)
        if (run->proposal.policies[i].workload == run->workloads[end])
            return run->proposal.policies[i].isolates[direction];
    return false;
}

static bool can_say(const struct run *run, unsigned int protocol)
{
    return protocol != 47 &&
           (protocol != IPPROTO_ICMP || run->options.kind == FENCE_OBJECT_SEGMENT_POLICY);
}

static bool is_end(const struct run *run, const struct fence_learn_end *end, unsigned int number)
{
    const struct random_end *is = &run->world.ends[number];

    if (end->kind == FENCE_LEARN_RESERVED) /* an unknown address is every one */
        return number >= RANDOM_PODS &&
               (!end->addr_count || fence_prefix_compare(end->addrs, &is->addr) == 0);
    return number < RANDOM_PODS &&
           fence_learn_workload_find(&run->proposal.links.workloads, end->namespace_name,
                                     end->labels) == run->workloads[number];
}

/* Did the workloads of these two do that? */
static bool was_seen(const struct run *run, unsigned int from, unsigned int to,
                     const struct fence_query *query)
{
    for (size_t i = 0; i < run->flows.count; i++) {
        const struct fence_learn_flow *flow = &run->flows.items[i];

        if (flow->protocol == query->protocol && flow->port == query->port &&
            is_end(run, &flow->source, from) && is_end(run, &flow->destination, to))
            return true;
    }
    return false;
}

static void ask(struct run *run, unsigned int from, unsigned int to, struct fence_query *query)
{
    struct fence_answer answer;
    struct fence_err err = {0};
    bool closed = isolates(run, from, FENCE_EGRESS) || isolates(run, to, FENCE_INGRESS);
    bool allowed = !closed || (can_say(run, query->protocol) && was_seen(run, from, to, query));
    unsigned int wanted = allowed ? FENCE_ALLOW : FENCE_DENY;
    unsigned int enforced = run->options.audit ? (unsigned int)FENCE_ALLOW : wanted;

    assert_int_equal(fence_evaluate(&run->after.world, query, &answer, &err), 0);
    if (answer.shadow != wanted || answer.verdict != enforced)
        print_error("%s > %s protocol %u port %u: shadow %u, expected %u; verdict %u\n",
                    query->from, query->to, query->protocol, query->port, answer.shadow, wanted,
                    answer.verdict);
    assert_int_equal(answer.shadow, wanted);
    assert_int_equal(answer.verdict, enforced);
    run->denied += !allowed;
    run->allowed += closed && allowed;
}

static void ask_all_ports(struct run *run, unsigned int from, unsigned int to)
{
    char names[2][64];
    struct fence_query query = {.from = names[0], .to = names[1], .family = 4};

    for (unsigned int i = 0; i < 2; i++) {
        const struct random_end *end = &run->world.ends[i ? to : from];

        snprintf(names[i], sizeof(names[i]), "%s%s%s",
                 end->namespace_name ? end->namespace_name : "", end->namespace_name ? "/" : "",
                 end->name);
    }
    for (unsigned int i = 0; i < RANDOM_PROTOCOLS; i++)
        for (unsigned int port = 0; port < RANDOM_PORTS; port++) {
            query.protocol = random_protocols[i];
            query.port = random_port(query.protocol, port);
            ask(run, from, to, &query);
        }
}

static void proposals(void **state)
{
    struct rng rng = {.state = 20261127};
    unsigned int denied = 0, allowed = 0;

    (void)state;
    for (unsigned int i = 0; i < WORLDS; i++) {
        struct run run;

        make(&rng, &run);
        for (unsigned int from = 0; from < RANDOM_ENDS; from++)
            for (unsigned int to = 0; to < RANDOM_ENDS; to++)
                if (from != to && (from < RANDOM_PODS || to < RANDOM_PODS))
                    ask_all_ports(&run, from, to);
        denied += run.denied;
        allowed += run.allowed;
        undo(&run);
    }
    print_message("%u allowed by a rule, %u denied\n", allowed, denied);
    assert_true(allowed > WORLDS * 10 && denied > WORLDS * 1000);
}

/* The same connections in another order are the same proposal. */
static void order_does_not_matter(void **state)
{
    struct rng rng = {.state = 7};
    struct run run;
    FENCE_FREE char *before = NULL;
    FENCE_FREE char *after = NULL;

    (void)state;
    make(&rng, &run);
    before = with_policies(&run);
    for (size_t i = 0; i < run.world.flow_count / 2; i++) {
        struct fence_learn_flow *last = &run.world.flows[run.world.flow_count - 1 - i];
        struct fence_learn_flow flow = run.world.flows[i];

        run.world.flows[i] = *last;
        *last = flow;
    }
    fence_learn_proposal_done(&run.proposal);
    assert_int_equal(fence_learn_propose(&run.flows, &run.options, &run.proposal), 0);
    after = with_policies(&run);
    assert_string_equal(before, after);
    undo(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proposals),
        cmocka_unit_test(order_does_not_matter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "cni/ctl/learn.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"

#define NANOSECONDS 1000000000ull

static uint32_t reserved_of(const char *name)
{
    for (uint32_t number = 0; number < FENCE_IDENTITY_FIRST; number++)
        if (strcmp(fence_identity_reserved_name(number), name) == 0)
            return number;
    return FENCE_IDENTITY_NONE;
}

/* Labels that are not valid make the end one that no selector can name. */
static void take_end(const struct fence_flow_end *from, struct fence_labels *labels,
                     struct fence_learn_end *end)
{
    *end = (struct fence_learn_end){.kind = FENCE_LEARN_RESERVED, .namespace_name = ""};
    if (from->kind == FENCE_FLOW_NODE) {
        end->kind = FENCE_LEARN_NODE;
        end->node = from->name;
        return;
    }
    if (from->kind != FENCE_FLOW_WORKLOAD) {
        end->reserved = reserved_of(from->name);
        return;
    }
    end->kind = FENCE_LEARN_WORKLOAD;
    end->app = from->name;
    end->labels = labels;
    if (fence_labels_parse(from->labels, labels, NULL) == 0)
        end->namespace_name = from->namespace_name;
}

/* The addresses of a flow are those of its reserved end. */
static void take_addresses(const struct fence_flow_seen *seen, const struct fence_prefix *addrs,
                           struct fence_learn_flow *flow)
{
    struct fence_learn_end *end =
        seen->source.kind == FENCE_FLOW_RESERVED ? &flow->source : &flow->destination;

    if (end->kind != FENCE_LEARN_RESERVED)
        return;
    end->addrs = addrs;
    end->addr_count = seen->remote_count;
    end->omitted = seen->remotes_omitted;
    end->unheard = seen->count > seen->remotes_heard ? seen->count - seen->remotes_heard : 0;
}

static void take_flow(const struct fence_flow_seen *seen, struct fence_labels labels[2],
                      const struct fence_prefix *addrs, struct fence_learn_flow *flow)
{
    static const enum fence_learn_verdict verdicts[] = {
        [FENCE_FLOW_FORWARDED] = FENCE_LEARN_FORWARDED,
        [FENCE_FLOW_DROPPED] = FENCE_LEARN_DROPPED,
        [FENCE_FLOW_AUDIT] = FENCE_LEARN_AUDIT,
    };

    *flow = (struct fence_learn_flow){
        .protocol = seen->protocol,
        .port = seen->port,
        .direction = seen->direction,
        .verdict = verdicts[seen->verdict],
        .reason = seen->reason,
        .policy = seen->rule.policy,
        .rule = seen->rule.index,
        .audit_policy = seen->audit_rule.policy,
        .audit_rule = seen->audit_rule.index,
        .count = seen->count,
        .first_seen = (int64_t)(seen->first_ns / NANOSECONDS),
        .last_seen = (int64_t)(seen->last_ns / NANOSECONDS),
    };
    take_end(&seen->source, &labels[0], &flow->source);
    take_end(&seen->destination, &labels[1], &flow->destination);
    take_addresses(seen, addrs, flow);
}

/* Since when and until when everything was counted. */
static int take_window(const struct ctl_flows_wanted *wanted, struct learn_input *input,
                       struct fence_err *err)
{
    struct fence_learn_flows *flows = &input->flows;
    uint64_t since_ns = 0, now_ns = fence_clock_wall_ns();
    int r = 0;

    flows->since = (int64_t)(input->read.since_ns / NANOSECONDS);
    if (wanted->files.count)
        now_ns = input->read.since_ns;
    for (size_t i = 0; wanted->files.count && i < input->read.count; i++)
        if (input->read.items[i].seen.last_ns > now_ns)
            now_ns = input->read.items[i].seen.last_ns;
    flows->until = (int64_t)(now_ns / NANOSECONDS);
    if (wanted->since)
        r = ctl_since_parse(wanted->since, now_ns, &since_ns, err);
    if (r == 0 && (int64_t)(since_ns / NANOSECONDS) > flows->since)
        flows->since = (int64_t)(since_ns / NANOSECONDS);
    return r;
}

static int convert(const struct ctl_flows_wanted *wanted, struct learn_input *input,
                   struct fence_err *err)
{
    size_t count = input->read.count;

    input->items = calloc(count + 1, sizeof(input->items[0]));
    input->labels = calloc(2 * count + 1, sizeof(input->labels[0]));
    input->addrs = calloc(FENCE_FLOW_REMOTES * count + 1, sizeof(input->addrs[0]));
    if (!input->items || !input->labels || !input->addrs)
        return fence_err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < count; i++) {
        const struct fence_flow_seen *seen = &input->read.items[i].seen;
        struct fence_prefix *addrs = &input->addrs[FENCE_FLOW_REMOTES * i];

        for (size_t j = 0; j < seen->remote_count; j++)
            addrs[j] = (struct fence_prefix){.addr = seen->remotes[j], .length = 128};
        take_flow(seen, &input->labels[2 * i], addrs, &input->items[i]);
    }
    input->flows =
        (struct fence_learn_flows){.items = input->items, .count = count, .lost = input->read.lost};
    return take_window(wanted, input, err);
}

int learn_input_read(const struct ctl *ctl, const struct ctl_flows_wanted *wanted,
                     struct learn_input *ret_input, struct fence_err *err)
{
    struct learn_input input = {0};
    int r = ctl_flows_read(ctl, wanted, &input.read, err);

    if (r == 0)
        r = convert(wanted, &input, err);
    if (r < 0) {
        learn_input_done(&input);
        return r;
    }
    *ret_input = input;
    return 0;
}

void learn_input_done(struct learn_input *input)
{
    for (size_t i = 0; input->labels && i < 2 * input->read.count; i++)
        fence_labels_done(&input->labels[i]);
    free(input->labels);
    free(input->addrs);
    free(input->items);
    ctl_flows_done(&input->read);
    *input = (struct learn_input){0};
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Policies from what was seen, and what was seen of policies. */
#include "cni/ctl/learn.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/names.h"

struct arguments {
    struct ctl_flows_wanted wanted;
    struct ctl_texts namespaces;
    struct ctl_texts objects;
    const char *kind;
    const char *isolate;
    const char *expect;
    bool audit;
    bool check;
};

static void arguments_done(struct arguments *arguments)
{
    ctl_texts_done(&arguments->wanted.files);
    ctl_texts_done(&arguments->namespaces);
    ctl_texts_done(&arguments->objects);
}

/* What the flows cannot show is said beside the result too, where it is not overlooked. */
static void tell(const struct ctl *ctl, const struct fence_learn_proposal *proposal)
{
    for (size_t i = 0; i < proposal->notes.count; i++)
        ctl_fail(ctl, "%s", proposal->notes.items[i]);
    for (size_t i = 0; i < proposal->count; i++) {
        const struct fence_learn_policy *policy = &proposal->policies[i];
        const char *name = proposal->links.workloads.items[policy->workload].name;

        for (unsigned int direction = 0; direction < FENCE_DIRECTIONS; direction++) {
            if (!policy->isolates[direction])
                ctl_fail(ctl, "%s: %s is left open", name, fence_direction_name(direction));
            for (size_t j = 0; j < policy->left_out[direction].count; j++)
                ctl_fail(ctl, "%s: not allowed by the proposal: %s: %s", name,
                         fence_direction_name(direction), policy->left_out[direction].items[j]);
        }
    }
    if (!proposal->count)
        ctl_fail(ctl, "nothing was seen from which a policy can be learned");
}

static int propose(struct ctl *ctl, const struct learn_input *input,
                   const struct fence_learn_options *options)
{
    struct fence_learn_proposal proposal = {0};
    int r = fence_learn_propose(&input->flows, options, &proposal);

    if (r == 0)
        tell(ctl, &proposal);
    if (r == 0)
        r = learn_print(ctl, input, options, &proposal);
    fence_learn_proposal_done(&proposal);
    return r < 0 ? ctl_fail(ctl, "out of memory") : CTL_DONE;
}

static int take_choices(const struct ctl *ctl, const struct arguments *arguments,
                        struct fence_learn_options *options)
{
    options->kind = FENCE_OBJECT_NETWORK_POLICY;
    if (arguments->kind && strcmp(arguments->kind, "SegmentPolicy") == 0)
        options->kind = FENCE_OBJECT_SEGMENT_POLICY;
    else if (arguments->kind && strcmp(arguments->kind, "NetworkPolicy") != 0)
        return ctl_misuse(ctl, "learn", "--kind %s: there are NetworkPolicy and SegmentPolicy",
                          arguments->kind);
    if (arguments->isolate && strcmp(arguments->isolate, "both") != 0 &&
        strcmp(arguments->isolate, "seen") != 0)
        return ctl_misuse(ctl, "learn", "--isolate %s: there are seen and both",
                          arguments->isolate);
    if (arguments->expect && strcmp(arguments->expect, "none") != 0)
        return ctl_misuse(ctl, "learn", "--expect %s: with --check there is none",
                          arguments->expect);
    if (arguments->expect && !arguments->check)
        return ctl_misuse(ctl, "learn", "--expect goes with --check");
    options->isolate_both = arguments->isolate && strcmp(arguments->isolate, "both") == 0;
    options->audit = arguments->audit;
    options->namespaces = arguments->namespaces.items;
    options->namespace_count = arguments->namespaces.count;
    return CTL_DONE;
}

static int learn(struct ctl *ctl, const struct arguments *arguments,
                 const struct learn_input *input, struct fence_learn_options *options)
{
    struct trace_objects *objects = NULL;
    struct fence_err err = {0};
    int r;

    if (arguments->objects.count) {
        r = trace_objects_new(ctl, &arguments->objects, &objects, &err);
        if (r < 0)
            return ctl_fail(ctl, "%s", err.text);
        options->world = trace_objects_world(objects);
    }
    r = propose(ctl, input, options);
    trace_objects_free(&objects);
    return r;
}

static int check(struct ctl *ctl, const struct arguments *arguments,
                 const struct learn_input *input, char **files, int count)
{
    struct ctl_texts paths = {0};
    int r = 0;

    for (int i = 0; r == 0 && i < count; i++) {
        r = FENCE_GROW(paths.items, paths.capacity, paths.count);
        if (r == 0)
            paths.items[paths.count++] = files[i];
    }
    r = r < 0 ? ctl_fail(ctl, "out of memory")
              : learn_check(ctl, input, &paths, &arguments->objects, arguments->expect != NULL);
    ctl_texts_done(&paths);
    return r;
}

static int run(struct ctl *ctl, const struct ctl_usage *usage, struct arguments *arguments,
               int argc, char **argv)
{
    struct fence_learn_options options = {0};
    struct learn_input input = {0};
    struct fence_err err = {0};
    int first = 0, r = ctl_parse(ctl, usage, argc, argv, &first);

    if (r != CTL_GO_ON)
        return r;
    if (arguments->check && first == argc)
        return ctl_misuse(ctl, "learn", "--check needs the files of the policies");
    if (!arguments->check && first < argc)
        return ctl_misuse(ctl, "learn", "%s: files go with --check", argv[first]);
    r = take_choices(ctl, arguments, &options);
    if (r != CTL_DONE)
        return r;
    r = learn_input_read(ctl, &arguments->wanted, &input, &err);
    if (r == -EINVAL)
        return ctl_misuse(ctl, "learn", "%s", err.text);
    if (r < 0)
        return ctl_fail(ctl, "%s", err.text);
    r = arguments->check ? check(ctl, arguments, &input, argv + first, argc - first)
                         : learn(ctl, arguments, &input, &options);
    learn_input_done(&input);
    return r;
}

static const char about[] =
    "Proposes policies from the connections that were seen, one for each workload with pods where "
    "they\nwere seen, as YAML (or a List with -o json). They allow every connection that was made, "
    "by labels:\nnever addresses of pods. Each rule has its evidence as an annotation. Left out "
    "are "
    "connections with\nthe pod's own node, probes among them, which are always allowed, and "
    "refused "
    "ones, which are listed.\nWhat was not seen, or cannot be said, is in remarks and on standard "
    "error: read it before you apply.\n\n"
    "A direction without any connection is left open; --isolate both closes it. Up to 16 addresses "
    "outside\nare named one by one; for more, or unknown ones, the rule is for all addresses. "
    "Another "
    "node's\naddress comes from its Node object (--objects), else that direction is left open. "
    "NetworkPolicy has no\nICMP, SegmentPolicy has.\n\n"
    "With --check: rules of FILE... that no connection used, and rules wider than what was seen: "
    "ports,\nblocks, and workloads (those of --objects too) that a selector holds and that never "
    "came.\n\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage, 3 --check --expect none has found something.";

int ctl_learn(struct ctl *ctl, int argc, char **argv)
{
    struct arguments arguments = {0};
    const struct ctl_option options[] = {
        {.name = "since",
         .argument = "TIME",
         .help = "only what was seen since then: 90s, 10m, 2h, 3d, or a time",
         .text = &arguments.wanted.since},
        {.name = "namespace",
         .letter = 'n',
         .argument = "NAME",
         .help = "only for workloads of it; may be repeated",
         .texts = &arguments.namespaces},
        {.name = "kind",
         .argument = "NetworkPolicy|SegmentPolicy",
         .help = "of the policies [NetworkPolicy]",
         .text = &arguments.kind},
        {.name = "audit", .help = "propose them in Audit mode", .flag = &arguments.audit},
        {.name = "isolate",
         .argument = "seen|both",
         .help = "directions to close [seen]",
         .text = &arguments.isolate},
        {.name = "flows",
         .argument = "FILE",
         .help = "flows saved by top -o json, not the daemon's; may be repeated",
         .texts = &arguments.wanted.files},
        {.name = "objects",
         .argument = "DIR",
         .help = "nodes and pods of the cluster; may be repeated",
         .texts = &arguments.objects},
        {.name = "check", .help = "check FILE... against what was seen", .flag = &arguments.check},
        {.name = "expect",
         .argument = "none",
         .help = "with --check: exit status 3 when something is found",
         .text = &arguments.expect},
    };
    const struct ctl_usage usage = {
        .verb = "learn",
        .arguments = "[--check FILE...]",
        .about = about,
        .example = "  podfencectl learn --since 7d --namespace shop --audit > shop.yaml\n"
                   "  podfencectl learn --flows node1.json --flows node2.json --objects cluster\n"
                   "  podfencectl learn --check shop.yaml --objects cluster --expect none",
        .options = options,
        .option_count = FENCE_ARRAY_SIZE(options),
        .most = INT_MAX,
    };
    int r = run(ctl, &usage, &arguments, argc, argv);

    arguments_done(&arguments);
    return r;
}

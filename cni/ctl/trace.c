/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/ctl/trace.h"

#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"

struct arguments {
    const char *from;
    const char *to;
    const char *port;
    const char *type;
    const char *code;
    const char *family;
    const char *queries;
    const char *expect;
    struct ctl_texts objects;
};

static int query_of(const struct ctl *ctl, const struct arguments *arguments,
                    struct fence_query *ret_query)
{
    struct fence_query query = {.from = arguments->from, .to = arguments->to};
    struct fence_err err = {0};

    if (!arguments->from || !arguments->to || !arguments->port)
        return ctl_misuse(ctl, "trace", "it needs --from, --to and --port, or --queries");
    if (trace_parse_target(arguments->port, arguments->type, arguments->code, &query, &err) < 0)
        return ctl_misuse(ctl, "trace", "%s", err.text);
    if (arguments->family) {
        int given = query.family;

        if (trace_parse_family(arguments->family, &query.family) < 0)
            return ctl_misuse(ctl, "trace", "--family %s: there are 4 and 6", arguments->family);
        if (given && given != query.family)
            return ctl_misuse(ctl, "trace", "--port %s goes with family %d only", arguments->port,
                              given);
    }
    *ret_query = query;
    return CTL_GO_ON;
}

static int check(const struct ctl *ctl, const struct arguments *arguments,
                 struct fence_query *ret_query)
{
    const char *expect = arguments->expect;

    if (expect && strcmp(expect, "allow") != 0 && strcmp(expect, "deny") != 0)
        return ctl_misuse(ctl, "trace", "--expect %s: there are allow and deny", expect);
    if (!arguments->queries)
        return query_of(ctl, arguments, ret_query);
    if (arguments->from || arguments->to || arguments->port || arguments->type || arguments->code ||
        arguments->family)
        return ctl_misuse(ctl, "trace", "with --queries each line says from, to and port itself");
    return CTL_GO_ON;
}

static int answer_one(struct ctl *ctl, const struct trace_source *source,
                      const struct fence_query *query, const char *expect)
{
    struct trace_answer answer = {0};
    struct fence_err err = {0};
    cJSON *value;
    int r = trace_ask(source, query, &answer, &err);

    if (r < 0)
        return ctl_fail(ctl, "%s", err.text);
    value = trace_json(&answer);
    if (!value)
        return ctl_fail(ctl, "out of memory");
    if (ctl->output.format == CTL_TEXT)
        trace_print(ctl, query, value);
    else
        r = ctl_print_value(&ctl->output, value);
    cJSON_Delete(value);
    if (r < 0)
        return ctl_fail(ctl, "out of memory");
    return expect && strcmp(expect, trace_verdict(&answer)) != 0 ? CTL_OTHERWISE : CTL_DONE;
}

static int answer(struct ctl *ctl, const struct trace_source *source,
                  const struct arguments *arguments, const struct fence_query *query)
{
    if (arguments->queries)
        return trace_queries(ctl, source, arguments->queries, arguments->expect);
    return answer_one(ctl, source, query, arguments->expect);
}

static int from_objects(struct ctl *ctl, const struct arguments *arguments,
                        const struct fence_query *query)
{
    struct trace_objects *objects = NULL;
    struct trace_source source;
    struct fence_err err = {0};
    int r;

    if (trace_objects_new(ctl, &arguments->objects, &objects, &err) < 0)
        return ctl_fail(ctl, "%s", err.text);
    source = trace_objects_source(objects);
    r = answer(ctl, &source, arguments, query);
    trace_objects_free(&objects);
    return r;
}

static int from_kernel(struct ctl *ctl, const struct arguments *arguments,
                       const struct fence_query *query)
{
    struct trace_kernel *kernel = NULL;
    struct trace_source source;
    int r = trace_kernel_new(ctl, &kernel);

    if (r != CTL_DONE)
        return r;
    source = trace_kernel_source(kernel);
    r = answer(ctl, &source, arguments, query);
    trace_kernel_free(&kernel);
    return r;
}

static int run(struct ctl *ctl, const struct ctl_usage *usage, struct arguments *arguments,
               int argc, char **argv)
{
    struct fence_query query = {0};
    int first = 0, r = ctl_parse(ctl, usage, argc, argv, &first);

    if (r == CTL_GO_ON)
        r = check(ctl, arguments, &query);
    if (r != CTL_GO_ON)
        return r;
    return arguments->objects.count ? from_objects(ctl, arguments, &query)
                                    : from_kernel(ctl, arguments, &query);
}

int ctl_trace(struct ctl *ctl, int argc, char **argv)
{
    struct arguments arguments = {0};
    const struct ctl_option options[] = {
        {.name = "from", .argument = "END", .help = "who opens it", .text = &arguments.from},
        {.name = "to", .argument = "END", .help = "who is called", .text = &arguments.to},
        {.name = "port",
         .argument = "PORT",
         .help = "80/TCP, 53/UDP, 80 (TCP), ICMP, ICMPv6",
         .text = &arguments.port},
        {.name = "type", .argument = "N", .help = "of ICMP [echo]", .text = &arguments.type},
        {.name = "code", .argument = "N", .help = "of ICMP [0]", .text = &arguments.code},
        {.name = "family",
         .argument = "4|6",
         .help = "one family only [all that both ends have]",
         .text = &arguments.family},
        {.name = "objects",
         .argument = "DIR",
         .help = "ask these objects, not the kernel; may be repeated",
         .texts = &arguments.objects},
        {.name = "queries",
         .argument = "FILE",
         .help = "JSON lines to answer, - for standard input",
         .text = &arguments.queries},
        {.name = "expect",
         .argument = "allow|deny",
         .help = "exit status 3 when it is otherwise",
         .text = &arguments.expect},
    };
    const struct ctl_usage usage = {
        .verb = "trace",
        .arguments = "",
        .about = "Says whether the first packet of a connection would pass, on both sides, and "
                 "which rule\ndecides. An END is NAMESPACE/POD or an address. With --objects it "
                 "needs no root, no kernel\nand no daemon. Without, the pinned data path is asked "
                 "by a test run; a side that is not on\nthis node is \"unknown\" then. --queries "
                 "answers each line with one line of JSON.",
        .example =
            "  podfencectl trace --from shop/web-1 --to shop/db-0 --port 5432/TCP\n"
            "  podfencectl trace --from 10.0.0.9 --to shop/web-1 --port ICMP --objects policies/\n"
            "  echo "
            "'{\"from\":\"shop/web-1\",\"to\":\"10.0.0.9\",\"port\":80,\"protocol\":\"TCP\"}' "
            "|\n    podfencectl trace --objects policies/ --queries -",
        .options = options,
        .option_count = FENCE_ARRAY_SIZE(options),
    };
    int r = run(ctl, &usage, &arguments, argc, argv);

    ctl_texts_done(&arguments.objects);
    return r;
}

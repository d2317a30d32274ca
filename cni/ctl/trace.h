/* SPDX-License-Identifier: Apache-2.0 */
/* One question "may A talk to B", asked of objects or of the kernel, answered in one form. */
#pragma once

#include <cjson/cJSON.h>

#include "cni/ctl/options.h"
#include "lib/policy/evaluate.h"

/*
 * Who answers. -EINVAL when the ends do not meet in the query's family (4 or 6; 0 asks only for
 * the error of ends that meet in none), -ENOENT for an end that nobody knows.
 */
struct trace_source {
    int (*ask)(void *context, const struct fence_query *query, struct fence_answer *ret_answer,
               struct fence_err *err);
    void *context;
};

/* Objects from folders and files. Refused objects are told on standard error and left out. */
struct trace_objects;
int trace_objects_new(const struct ctl *ctl, const struct ctl_texts *paths,
                      struct trace_objects **ret_objects, struct fence_err *err);
void trace_objects_free(struct trace_objects **objects);
const struct fence_world *trace_objects_world(const struct trace_objects *objects);
/* How many have been refused. */
size_t trace_objects_refused(const struct trace_objects *objects);
struct trace_source trace_objects_source(struct trace_objects *objects);

/* The pinned data path of this node, which is asked by its probe programs. */
struct trace_kernel;
int trace_kernel_new(const struct ctl *ctl, struct trace_kernel **ret_kernel);
void trace_kernel_free(struct trace_kernel **kernel);
struct trace_source trace_kernel_source(struct trace_kernel *kernel);

/* The answer for all families that the query asks for. */
struct trace_answer {
    struct fence_answer first; /* of the first family */
    bool mixed;                /* the families' verdicts differ */
    bool audit_mixed;          /* their shadow verdicts differ */
};
int trace_ask(const struct trace_source *source, const struct fence_query *query,
              struct trace_answer *ret_answer, struct fence_err *err);

/* "allow", "deny", "mixed", "unknown". */
const char *trace_verdict(const struct trace_answer *answer);
const char *trace_audit(const struct trace_answer *answer);

/* The JSON form that DESIGN section 4.5 fixes; NULL when out of memory. */
cJSON *trace_json(const struct trace_answer *answer);

/* Sentences. */
void trace_print(const struct ctl *ctl, const struct fence_query *query, const cJSON *answer);

/* The parts of a query as people write them; -EINVAL. "4", "v4", "IPv4" and the like: */
int trace_parse_family(const char *text, int *ret_family);
/* "80/TCP", "80" (TCP), "ICMP", "ICMPv6"; type and code (may be NULL) go with the ICMPs only. */
int trace_parse_target(const char *port, const char *type, const char *code,
                       struct fence_query *query, struct fence_err *err);
/* {"from":…,"to":…,"port":80,"protocol":"TCP","family":"IPv4"}; `object` owns the texts. */
int trace_parse_json(const cJSON *object, struct fence_query *ret_query, struct fence_err *err);

/* Answer JSON lines of `path` ("-" = standard input), one line each. `expect` may be NULL. */
int trace_queries(struct ctl *ctl, const struct trace_source *source, const char *path,
                  const char *expect);

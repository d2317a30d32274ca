/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A flow with names: what passed, or was refused, between two workloads at one hook. The JSON form
 * is that of the daemon's answer (lib/api/README.md) and of the file that the book is kept in.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cjson/cJSON.h>

#include "bpf/abi.h"
#include "lib/base/err.h"

/* Addresses that are kept of an end that is no workload, such as the world. */
#define FENCE_FLOW_REMOTES 16u

enum fence_flow_end_kind {
    FENCE_FLOW_RESERVED, /* "world", "host", ... */
    FENCE_FLOW_WORKLOAD,
    FENCE_FLOW_NODE,
    FENCE_FLOW_END_KINDS,
};

/* Texts are never NULL. */
struct fence_flow_end {
    enum fence_flow_end_kind kind;
    const char *namespace_name; /* "" unless it is a workload */
    const char *name;           /* app, name of the node, or reserved name */
    const char *labels;         /* "key=value,...", of a workload */
};

enum fence_flow_verdict {
    FENCE_FLOW_FORWARDED,
    FENCE_FLOW_DROPPED,
    FENCE_FLOW_AUDIT, /* passed; an audited policy would have dropped it */
    FENCE_FLOW_VERDICTS,
};

/* Who decided: "" and FENCE_RULE_NONE where no policy did. */
struct fence_flow_rule {
    const char *policy; /* Kind/namespace/name */
    uint32_t index;     /* from 0; FENCE_RULE_NONE = the policy's isolation */
};

/* One flow. The texts and addresses belong to whoever made it. */
struct fence_flow_seen {
    struct fence_flow_end source;
    struct fence_flow_end destination;
    uint8_t protocol;
    uint8_t direction; /* of the hook that judged: enum fence_direction */
    uint8_t verdict;   /* enum fence_flow_verdict */
    uint8_t reason;    /* enum fence_reason, of the last */
    uint8_t audit_reason;
    uint16_t port; /* ICMP: type << 8 | code; 0 for protocols without ports */
    struct fence_flow_rule rule;
    struct fence_flow_rule audit_rule;
    uint64_t count;    /* new connections, or refused first packets */
    uint64_t first_ns; /* since 1970 */
    uint64_t last_ns;
    /* of the end that is reserved: those told by events, the first FENCE_FLOW_REMOTES of them */
    const struct fence_addr *remotes;
    size_t remote_count;
    uint64_t remotes_heard;   /* connections whose address was told */
    uint64_t remotes_omitted; /* of these, connections whose address found no place above */
};

/* Never NULL; "unknown" for a number out of range. */
const char *fence_flow_verdict_name(unsigned int verdict); /* "FORWARDED", ... */
/* Either case; -EINVAL. */
int fence_flow_verdict_parse(const char *text, enum fence_flow_verdict *ret_verdict);

/* ICMP, ICMPv6: `port` is type and code. TCP, UDP, SCTP: a port. */
int fence_flow_is_icmp(unsigned int protocol);
int fence_flow_has_port(unsigned int protocol);

/* RFC 3339 in UTC with milliseconds. */
#define FENCE_FLOW_TIME 40
const char *fence_flow_time_format(uint64_t wall_ns, char text[FENCE_FLOW_TIME]);
int fence_flow_time_parse(const char *text, uint64_t *ret_wall_ns);

/* One object, without a newline. */
void fence_flow_print(FILE *out, const struct fence_flow_seen *flow);
/* A JSON string. */
void fence_flow_print_text(FILE *out, const char *text);

/* What a parsed flow owns; its other texts are the JSON's, which must live as long. */
struct fence_flow_parsed {
    struct fence_flow_seen seen;
    char *source_labels;
    char *destination_labels;
    struct fence_addr *remotes;
};

/* -EINVAL names the member that is wrong. */
int fence_flow_parse(const cJSON *json, struct fence_flow_parsed *ret_parsed,
                     struct fence_err *err);
void fence_flow_parsed_done(struct fence_flow_parsed *parsed);

/* SPDX-License-Identifier: Apache-2.0 */
/* What to ask of a world: every ordered pair of ends, and the packets at which rules change. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "test/policy/rng.h"

#define QUESTION_TEXT 80

struct question_end {
    char text[QUESTION_TEXT]; /* "ns/pod" or an address */
    bool has[2];              /* IPv4, IPv6 */
    bool leads;               /* an address of a service or of a node */
};

struct question_packet {
    unsigned int protocol;
    unsigned int port; /* ICMP: type << 8 | code */
};

struct questions {
    struct question_end *ends;
    size_t end_count;
    size_t end_capacity;
    struct question_packet *packets;
    size_t packet_count;
    size_t packet_capacity;
    struct question_packet *leading; /* ports of services, and of nodes that lead elsewhere */
    size_t leading_count;
    size_t leading_capacity;
};

/* Zeroed `questions` in. Live pods, and addresses of nodes, of finished pods, outside, unknown,
 * and at the edges of blocks, of which at most `edges` are taken. */
int questions_make(struct questions *questions, struct rng *rng, const cJSON *world,
                   unsigned int edges);
void questions_done(struct questions *questions);

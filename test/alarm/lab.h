/* SPDX-License-Identifier: Apache-2.0 */
/* An engine, records made up for it, and what it raises. */
#pragma once

#include "lib/alarm/alarm.h"

#define LAB_CHANGES 4096

struct lab {
    struct fence_alarm_config config;
    struct fence_alarm_engine *engine;
    uint64_t now_ms; /* of both clocks */
    size_t count;    /* of changes, also of those not kept */
    struct {
        enum fence_alarm_change change;
        enum fence_alarm_rule rule;
        char subject[64];
        char peer[64];
        char evidence[FENCE_ALARM_TEXT_MAX];
    } changes[LAB_CHANGES];
};

/* `yaml` may be NULL. */
void lab_init(struct lab *lab, const char *yaml);
void lab_done(struct lab *lab);

/* A packet as some hook saw it. Zeroed members are as usual: TCP, SYN, allowed, at the sender's. */
struct lab_packet {
    const char
        *from; /* "shop/web" a workload, "world" reserved, "node/n2", "192.0.2.7" the world */
    const char *to;
    unsigned int port;
    unsigned int source_port;
    unsigned int protocol;
    unsigned int tcp_flags; /* with `flags_given` */
    unsigned int reason;    /* 0: of the verdict */
    unsigned int suppressed;
    unsigned int type; /* 0: of the verdict */
    bool flags_given;
    bool deny;
    bool ingress;
};
void lab_packet(struct lab *lab, const struct lab_packet *packet);

/* `count` ports of one peer, one each `ms`. */
void lab_scan(struct lab *lab, const struct lab_packet *like, unsigned int count, unsigned int ms);
/* `count` peers, one each `ms`. */
void lab_fan(struct lab *lab, const char *from, unsigned int count, unsigned int ms);

/* Ticks of a second each. */
void lab_pass(struct lab *lab, unsigned int seconds);
struct fence_alarm_time lab_now(const struct lab *lab);
/* How often this happened to alarms of the rule. */
size_t lab_seen(const struct lab *lab, enum fence_alarm_rule rule, enum fence_alarm_change change);
/* The raised one of this rule and subject that came first, NULL when there is none. */
const struct fence_alarm *lab_alarm(const struct lab *lab, enum fence_alarm_rule rule,
                                    const char *subject);

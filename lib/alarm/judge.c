/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record and the rules that are about traffic.
 *
 * Each attempt to open a connection is seen by the hook of each of its ends that is on this node.
 * So that nothing counts twice: what a pod of this node tries (ports, peers) is counted at its own
 * hook, where its address cannot be forged; at the receiver's hook only what comes from others. A
 * refusal is told by the one hook that refuses.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <linux/if_ether.h>
#include <linux/in6.h>

#include "lib/alarm/subject.h"
#include "lib/base/addr.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"

#define TCP_RST 0x04
#define TCP_ACK 0x10

/* Datagrams from below it to above it are answers, if anything. */
#define EPHEMERAL_PORT 32768

#define ICMP_ECHO_PORT   (8 << 8)
#define ICMPV6_ECHO_PORT (128 << 8)

/* While raised, evidence goes on from two thirds of what raises it. */
#define STILL(threshold) ((threshold) - (threshold) / 3)

/* What the rules look at. */
struct sighting {
    const struct fence_record *record;
    const struct fence_event *event;
    const struct fence_record_end *here;  /* the pod whose hook judged */
    const struct fence_record_end *there; /* the other end */
    struct fence_alarm_time now;
    bool attempt;                    /* to open a connection, not a number that stands for others */
    uint32_t count;                  /* packets that this record stands for */
    char peer[FENCE_ALARM_NAME_MAX]; /* the destination's */
    char port[24];                   /* "5432/TCP" */
};

/* ---- names ---------------------------------------------------------------------------------- */

static bool is_workload(const struct fence_record_end *end)
{
    return end->namespace_name[0] && (end->app[0] || (end->pod[0] && !end->service[0]));
}

static const char *app_of(const struct fence_record_end *end)
{
    return end->app[0] ? end->app : end->pod;
}

/* With `apart`, every address of the world is somebody else. */
static void name_end(const struct fence_record_end *end, bool apart,
                     char text[FENCE_ALARM_NAME_MAX])
{
    char addr[FENCE_ADDR_TEXT];

    if (is_workload(end))
        snprintf(text, FENCE_ALARM_NAME_MAX, "%s/%s", end->namespace_name, app_of(end));
    else if (end->service[0])
        snprintf(text, FENCE_ALARM_NAME_MAX, "service %s/%s", end->namespace_name, end->service);
    else if (end->node[0])
        snprintf(text, FENCE_ALARM_NAME_MAX, "node/%s", end->node);
    else if (end->reserved[0] && !apart)
        snprintf(text, FENCE_ALARM_NAME_MAX, "%s", end->reserved);
    else
        snprintf(text, FENCE_ALARM_NAME_MAX, "%s%s%s", end->reserved, end->reserved[0] ? " " : "",
                 fence_addr_format(&end->addr, addr));
}

static void name_here(const struct sighting *sighting, char text[FENCE_ALARM_NAME_MAX])
{
    if (is_workload(sighting->here))
        name_end(sighting->here, false, text);
    else
        snprintf(text, FENCE_ALARM_NAME_MAX, "interface %s", sighting->record->interface);
}

static void describe(struct fence_alarm_subject *subject, const struct fence_record_end *end)
{
    struct fence_alarm_who *who = &subject->who;

    if (!is_workload(end))
        return;
    snprintf(who->namespace_name, sizeof(who->namespace_name), "%s", end->namespace_name);
    snprintf(who->app, sizeof(who->app), "%s", app_of(end));
    snprintf(who->pod, sizeof(who->pod), "%s", end->pod);
    snprintf(who->labels, sizeof(who->labels), "%s", end->labels);
}

static void name_port(const struct fence_event *event, char text[24])
{
    char buffer[8];
    const char *protocol = fence_protocol_name(event->protocol, buffer);

    if (event->protocol == IPPROTO_ICMP || event->protocol == IPPROTO_ICMPV6)
        snprintf(text, 24, "%s", protocol);
    else
        snprintf(text, 24, "%u/%s", event->destination_port, protocol);
}

/* ---- what a record is ----------------------------------------------------------------------- */

static bool is_spoof(unsigned int reason)
{
    switch (reason) {
    case FENCE_REASON_SPOOFED_MAC:
    case FENCE_REASON_SPOOFED_ADDRESS:
    case FENCE_REASON_SPOOFED_ARP:
    case FENCE_REASON_SPOOFED_ND:
    case FENCE_REASON_ROUTER_ADVERTISEMENT:
    case FENCE_REASON_DHCP_SERVER:
    case FENCE_REASON_MARTIAN:
        return true;
    default:
        return false;
    }
}

/* Refused by policy: what is malformed, or an answer to nobody, was no attempt. */
static bool is_refusal(const struct fence_event *event)
{
    if (event->verdict == FENCE_ALLOW)
        return false;
    return (event->reason >= FENCE_REASON_NO_RULE && event->reason <= FENCE_REASON_NOT_APPLIED) ||
           event->reason == FENCE_REASON_SERVICE_MIXED;
}

/* Packets of connections that policy has cut since, answers among them, look for a port too. */
static bool is_opening(const struct fence_event *event)
{
    switch (event->protocol) {
    case IPPROTO_TCP:
        return !(event->tcp_flags & (TCP_ACK | TCP_RST));
    case IPPROTO_ICMP:
        return event->destination_port == ICMP_ECHO_PORT;
    case IPPROTO_ICMPV6:
        return event->destination_port == ICMPV6_ECHO_PORT;
    default:
        return event->destination_port < EPHEMERAL_PORT || event->source_port >= EPHEMERAL_PORT;
    }
}

static bool is_ip(const struct fence_event *event)
{
    return event->ethertype == ETH_P_IP || event->ethertype == ETH_P_IPV6;
}

/* False: it is nothing that a rule asks about. */
static bool look(const struct fence_record *record, struct sighting *ret_sighting)
{
    const struct fence_event *event = record->event;
    bool egress = event->direction == FENCE_EGRESS;
    struct sighting sighting = {
        .record = record,
        .event = event,
        .here = egress ? &record->source : &record->destination,
        .there = egress ? &record->destination : &record->source,
        .now = {event->time_ns, record->wall_ns},
    };

    if (event->direction >= FENCE_DIRECTIONS || event->type == FENCE_EVENT_CUT)
        return false;
    if (event->type == FENCE_EVENT_VERDICT || event->type == FENCE_EVENT_DROP) {
        sighting.attempt = true;
        sighting.count = 1;
    }
    sighting.count = event->suppressed > UINT32_MAX - sighting.count
                         ? UINT32_MAX
                         : sighting.count + event->suppressed;
    if (sighting.count == 0)
        return false;
    *ret_sighting = sighting;
    return true;
}

/* ---- rules ---------------------------------------------------------------------------------- */

static struct fence_alarm_finding finding_of(const struct sighting *sighting,
                                             enum fence_alarm_rule rule)
{
    return (struct fence_alarm_finding){
        .rule = rule,
        .severity = fence_alarm_rule_severity(rule),
        .peer = "",
        .now = sighting->now,
    };
}

static void judge_spoofing(struct fence_alarm_engine *engine, struct fence_alarm_subject *subject,
                           const struct sighting *sighting)
{
    const struct fence_alarm_rule_config *config = &engine->config->rules[FENCE_ALARM_SPOOFING];
    struct fence_alarm_finding finding = finding_of(sighting, FENCE_ALARM_SPOOFING);
    char source[FENCE_ADDR_TEXT];
    uint64_t sum = fence_tally_add(&subject->spoofed, sighting->count, sighting->now.boot_ns,
                                   config->within_ms * 1000000ull);
    bool raised = fence_alarm_raised_find(subject, finding.rule, 0) != NULL;

    if (!raised && (sum < config->threshold || !fence_alarm_asks(engine, finding.rule, subject)))
        return;
    finding.count = sum;
    finding.more = sighting->count;
    fence_alarm_raise(engine, subject, &finding,
                      "%llu packets that pretend within %u s, the last one: %s, %s %s",
                      (unsigned long long)sum, config->within_ms / 1000,
                      fence_reason_name(sighting->event->reason),
                      is_ip(sighting->event) ? "with source" : "a frame of",
                      is_ip(sighting->event) ? fence_addr_format(&sighting->event->source, source)
                                             : sighting->record->interface);
}

/* Somebody pretends towards a pod: that one is not to blame. */
static void judge_spoofing_to(struct fence_alarm_engine *engine, const struct sighting *sighting)
{
    char name[FENCE_ALARM_NAME_MAX];
    struct fence_alarm_subject *subject;

    name_end(sighting->there, true, name);
    subject = fence_alarm_subject(engine, FENCE_ALARM_OF_OUTSIDE, name, sighting->now.boot_ns);
    if (subject)
        judge_spoofing(engine, subject, sighting);
}

/* A number of drops that were left out, of several packets: some end of theirs is not known. */
static bool is_sum(const struct sighting *sighting)
{
    return sighting->event->type == FENCE_EVENT_SUPPRESSED;
}

static bool is_from_anybody(const struct sighting *sighting)
{
    return is_sum(sighting) && !is_workload(sighting->there) &&
           fence_addr_is_none(&sighting->there->addr);
}

static void judge_refused(struct fence_alarm_engine *engine, struct fence_alarm_subject *actor,
                          const struct sighting *sighting)
{
    const struct fence_alarm_rule_config *config =
        &engine->config->rules[FENCE_ALARM_REFUSED_BURST];
    struct fence_alarm_finding finding = finding_of(sighting, FENCE_ALARM_REFUSED_BURST);
    const char *policy = sighting->record->policy;
    uint64_t sum = fence_tally_add(&actor->refused, sighting->count, sighting->now.boot_ns,
                                   config->within_ms * 1000000ull);
    bool raised = fence_alarm_raised_find(actor, finding.rule, 0) != NULL;
    char last[FENCE_ALARM_NAME_MAX + 64] = "";

    if (sum < (raised ? STILL(config->threshold) : config->threshold) ||
        !fence_alarm_asks(engine, finding.rule, actor))
        return;
    if (!is_sum(sighting))
        snprintf(last, sizeof(last), ", the last one to %s, port %s", sighting->peer,
                 sighting->port);
    finding.count = sum;
    finding.more = sighting->count;
    fence_alarm_raise(engine, actor, &finding, "%llu packets refused within %u s%s: %s%s%s",
                      (unsigned long long)sum, config->within_ms / 1000, last,
                      fence_reason_name(sighting->event->reason), policy[0] ? " by " : "", policy);
}

static void judge_ports(struct fence_alarm_engine *engine, struct fence_alarm_subject *actor,
                        const struct sighting *sighting, uint32_t ports)
{
    const struct fence_alarm_rule_config *config = &engine->config->rules[FENCE_ALARM_PORT_SCAN];
    struct fence_alarm_finding finding = finding_of(sighting, FENCE_ALARM_PORT_SCAN);
    bool raised;

    finding.peer_key = fence_alarm_hash(engine, sighting->peer);
    raised = fence_alarm_raised_find(actor, finding.rule, finding.peer_key) != NULL;
    if (ports < (raised ? STILL(config->threshold) : config->threshold) ||
        !fence_alarm_asks(engine, finding.rule, actor))
        return;
    finding.peer = sighting->peer;
    finding.count = ports;
    finding.more = 1;
    fence_alarm_raise(
        engine, actor, &finding, "%u%s ports of %s tried within %u s, the last one %s, %s", ports,
        ports == FENCE_REACH_PORTS ? " or more" : "", sighting->peer, config->within_ms / 1000,
        sighting->port, is_refusal(sighting->event) ? "refused" : "allowed");
}

/* As many as raise it: twice what is usual, and never less than the threshold. */
static uint32_t fan_out_limit(const struct fence_alarm_subject *actor,
                              const struct fence_alarm_rule_config *config)
{
    double usual = actor->usual_peers * config->factor;

    if (usual > FENCE_REACH_PEERS - 1)
        usual = FENCE_REACH_PEERS - 1;
    return usual > config->threshold ? (uint32_t)usual : config->threshold;
}

static void judge_peers(struct fence_alarm_engine *engine, struct fence_alarm_subject *actor,
                        const struct sighting *sighting, uint32_t peers)
{
    const struct fence_alarm_rule_config *config = &engine->config->rules[FENCE_ALARM_FAN_OUT];
    struct fence_alarm_finding finding = finding_of(sighting, FENCE_ALARM_FAN_OUT);
    bool raised = fence_alarm_raised_find(actor, finding.rule, 0) != NULL;
    uint32_t limit = fan_out_limit(actor, config);

    if (peers > actor->window_peers && !raised)
        actor->window_peers = peers;
    if (peers < (raised ? STILL(limit) : limit) || !fence_alarm_asks(engine, finding.rule, actor))
        return;
    finding.count = peers;
    finding.more = 1;
    fence_alarm_raise(engine, actor, &finding,
                      "%u%s peers tried within %u s, where at most %.0f are usual; the last one "
                      "%s, port %s",
                      peers, peers == FENCE_REACH_PEERS ? " or more" : "", config->within_ms / 1000,
                      actor->usual_peers, sighting->peer, sighting->port);
}

static void judge_reach(struct fence_alarm_engine *engine, struct fence_alarm_subject *actor,
                        const struct sighting *sighting)
{
    const struct fence_event *event = sighting->event;
    const struct fence_alarm_rule_config *rules = engine->config->rules;
    const struct fence_reach_attempt attempt = {
        .peer = fence_alarm_hash(engine, sighting->peer),
        .port = (uint32_t)event->protocol << 16 | event->destination_port,
        .now_ns = sighting->now.boot_ns,
        .peer_window_ns = rules[FENCE_ALARM_FAN_OUT].within_ms * 1000000ull,
        .port_window_ns = rules[FENCE_ALARM_PORT_SCAN].within_ms * 1000000ull,
    };
    struct fence_reach_counts counts;

    fence_reach_add(&actor->reach, &attempt, &counts);
    judge_ports(engine, actor, sighting, counts.ports);
    judge_peers(engine, actor, sighting, counts.peers);
}

static void judge_rate(struct fence_alarm_engine *engine, struct fence_alarm_subject *here,
                       const struct sighting *sighting)
{
    const struct fence_alarm_rule_config *config = &engine->config->rules[FENCE_ALARM_RATE];
    struct fence_alarm_finding finding = finding_of(sighting, FENCE_ALARM_RATE);
    unsigned int direction = sighting->event->direction;
    struct fence_rate *rate = &here->rates[direction];
    uint32_t limit;
    bool raised;

    fence_rate_add(rate, 1, sighting->now.boot_ns);
    limit = fence_rate_limit(rate, config->threshold, config->factor);
    finding.peer_key = direction + 1;
    raised = fence_alarm_raised_find(here, finding.rule, finding.peer_key) != NULL;
    rate->unusual = raised;
    if (rate->count < (raised ? STILL(limit) : limit) ||
        !fence_alarm_asks(engine, finding.rule, here))
        return;
    rate->unusual = true;
    finding.count = rate->count;
    finding.more = raised;
    fence_alarm_raise(engine, here, &finding,
                      "%u new connections %s within 10 s, where %.0f are usual, give or take %.0f",
                      rate->count, direction == FENCE_EGRESS ? "from it" : "to it", rate->mean,
                      rate->deviation);
}

static void judge_peer(struct fence_alarm_engine *engine, struct fence_alarm_subject *here,
                       const struct sighting *sighting)
{
    struct fence_alarm_finding finding = finding_of(sighting, FENCE_ALARM_NEW_PEER);
    bool egress = sighting->event->direction == FENCE_EGRESS;
    bool learning = here->learned_ns < engine->config->learning_ns;
    char peer[FENCE_ALARM_NAME_MAX], text[FENCE_ALARM_NAME_MAX + 64];
    bool is_new;

    name_end(sighting->there, false, peer);
    snprintf(text, sizeof(text), "%c%s %s", egress ? '>' : '<', sighting->port, peer);
    finding.peer_key = fence_alarm_hash(engine, text);
    is_new = fence_usual_see(&here->usual, finding.peer_key, learning);
    if (learning || !is_new || here->usual.overflowed ||
        !fence_alarm_asks(engine, finding.rule, here))
        return;
    /* the node's own processes, and those whose own hook has told it */
    if (!egress &&
        (strcmp(peer, "host") == 0 || fence_alarm_find(engine, FENCE_ALARM_OF_WORKLOAD, peer)))
        return;
    finding.peer = peer;
    finding.count = 1;
    fence_alarm_raise(engine, here, &finding,
                      "the first connection %s %s, port %s, since it was first seen",
                      egress ? "to" : "from", peer, sighting->port);
}

/* ---- a record ------------------------------------------------------------------------------- */

/* Who tries; *ret_counts: is what he tries counted here? NULL: none that a rule is about. */
static struct fence_alarm_subject *actor_of(struct fence_alarm_engine *engine,
                                            struct fence_alarm_subject *here,
                                            const struct sighting *sighting, bool *ret_counts)
{
    char name[FENCE_ALARM_NAME_MAX];
    struct fence_alarm_subject *actor;

    *ret_counts = true;
    if (sighting->event->direction == FENCE_EGRESS)
        return here;
    if (strcmp(sighting->there->reserved, "host") == 0 || is_from_anybody(sighting))
        return NULL;
    name_end(sighting->there, true, name);
    *ret_counts = false;
    if (is_workload(sighting->there)) {
        actor = fence_alarm_find(engine, FENCE_ALARM_OF_WORKLOAD, name);
        if (actor)
            return actor;
    }
    *ret_counts = true;
    actor = fence_alarm_subject(engine, FENCE_ALARM_OF_OUTSIDE, name, sighting->now.boot_ns);
    if (actor)
        describe(actor, sighting->there);
    return actor;
}

static void judge_attempt(struct fence_alarm_engine *engine, struct fence_alarm_subject *here,
                          struct sighting *sighting)
{
    bool counts, refused = is_refusal(sighting->event);
    struct fence_alarm_subject *actor = actor_of(engine, here, sighting, &counts);

    name_end(&sighting->record->destination, true, sighting->peer);
    name_port(sighting->event, sighting->port);
    if (sighting->attempt)
        judge_rate(engine, here, sighting);
    if (sighting->attempt && !refused)
        judge_peer(engine, here, sighting);
    if (actor && counts && sighting->attempt)
        judge_reach(engine, actor, sighting);
    if (actor && refused)
        judge_refused(engine, actor, sighting);
}

void fence_alarm_record(struct fence_alarm_engine *engine, const struct fence_record *record)
{
    const struct fence_event *event = record->event;
    struct fence_alarm_subject *here;
    struct sighting sighting;
    char name[FENCE_ALARM_NAME_MAX];
    bool spoof = is_spoof(event->reason);

    if (!look(record, &sighting))
        return;
    if (!spoof && !is_refusal(event) && (event->verdict != FENCE_ALLOW || !is_ip(event)))
        return;
    if (!spoof && sighting.attempt && !is_opening(event))
        return;
    name_here(&sighting, name);
    here = fence_alarm_subject(engine, FENCE_ALARM_OF_WORKLOAD, name, sighting.now.boot_ns);
    if (!here)
        return;
    describe(here, sighting.here);
    if (!spoof)
        judge_attempt(engine, here, &sighting);
    else if (event->direction == FENCE_EGRESS)
        judge_spoofing(engine, here, &sighting);
    else
        judge_spoofing_to(engine, &sighting);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A record of the data path as a line of the audit log: once a connection, so nothing is allocated
 * for it. */
#include <netinet/in.h>

#include <linux/if_ether.h>

#include "cni/daemon/daemon.h"
#include "lib/base/addr.h"
#include "lib/base/names.h"

/* Names are of 253 characters at most, each of which an escape may make six; a policy has three. */
#define RECORD_SIZE ((size_t)12 * 1024)

static const char *verdict_of(const struct fence_event *event)
{
    if (event->verdict != FENCE_ALLOW)
        return "DROPPED";
    return event->shadow == FENCE_ALLOW ? "FORWARDED" : "AUDIT";
}

static bool is_ip(const struct fence_event *event)
{
    return event->ethertype == ETH_P_IP || event->ethertype == ETH_P_IPV6;
}

static bool has_ports(const struct fence_event *event)
{
    return event->protocol == IPPROTO_TCP || event->protocol == IPPROTO_UDP ||
           event->protocol == IPPROTO_SCTP;
}

/* Where something is known. */
static void put_known(struct fence_audit_text *text, const char *key, const char *value)
{
    if (*value)
        fence_audit_member(text, key, value);
}

static void put_end(struct fence_audit_text *text, const char *key,
                    const struct fence_record_end *end, const struct fence_event *event)
{
    char addr[FENCE_ADDR_TEXT];

    fence_audit_puts(text, key);
    fence_audit_puts(text, "{\"identity\":");
    fence_audit_put_number(text, end->identity);
    put_known(text, "reserved", end->reserved);
    put_known(text, "node", end->node);
    put_known(text, "namespace", end->namespace_name);
    put_known(text, "app", end->app);
    put_known(text, "pod", end->pod);
    put_known(text, "service", end->service);
    if (is_ip(event))
        fence_audit_member(text, "address", fence_addr_format(&end->addr, addr));
    fence_audit_put(text, "}", 1);
}

static void put_transport(struct fence_audit_text *text, const struct fence_event *event)
{
    char number[8];

    if (!is_ip(event)) {
        fence_audit_member_number(text, "ethertype", event->ethertype);
        return;
    }
    fence_audit_member(text, "protocol", fence_protocol_name(event->protocol, number));
    if (has_ports(event)) {
        fence_audit_member_number(text, "sourcePort", event->source_port);
        fence_audit_member_number(text, "port", event->destination_port);
    } else if (event->protocol == IPPROTO_ICMP || event->protocol == IPPROTO_ICMPV6) {
        fence_audit_member_number(text, "icmpType", event->destination_port >> 8);
        fence_audit_member_number(text, "icmpCode", event->destination_port & 0xff);
    }
}

static void put_policy(struct fence_audit_text *text, const struct fence_record *record)
{
    if (*record->policy) {
        fence_audit_member(text, "policy", record->policy);
        if (record->rule != FENCE_RULE_NONE)
            fence_audit_member_number(text, "rule", record->rule);
    }
    if (*record->audit_policy) {
        fence_audit_member(text, "auditPolicy", record->audit_policy);
        if (record->audit_rule != FENCE_RULE_NONE)
            fence_audit_member_number(text, "auditRule", record->audit_rule);
    }
}

static const char *type_of(const struct fence_event *event)
{
    return event->type == FENCE_EVENT_CUT ? "connection-cut" : "connection";
}

void fence_audit_record(struct fence_daemon *daemon, const struct fence_record *record)
{
    const struct fence_event *event = record->event;
    struct fence_audit_text *text;

    if (!daemon->audit.writer)
        return;
    text = fence_audit_writer_begin(daemon->audit.writer, record->wall_ns, type_of(event),
                                    RECORD_SIZE);
    if (!text)
        return;
    fence_audit_member(text, "verdict", verdict_of(event));
    fence_audit_member(text, "reason", fence_reason_name(event->reason));
    fence_audit_member(text, "direction", event->direction == FENCE_EGRESS ? "EGRESS" : "INGRESS");
    put_end(text, ",\"source\":", &record->source, event);
    put_end(text, ",\"destination\":", &record->destination, event);
    put_transport(text, event);
    put_policy(text, record);
    if (event->suppressed)
        fence_audit_member_number(text, "suppressed", event->suppressed);
    fence_audit_writer_end(daemon->audit.writer);
}

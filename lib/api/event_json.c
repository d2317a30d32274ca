/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/api/event_json.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

#include <linux/if_ether.h>

#include "lib/base/addr.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"

#define NANOSECONDS 1000000000ull

static bool add_text(cJSON *object, const char *name, const char *text)
{
    return cJSON_AddStringToObject(object, name, text) != NULL;
}

static bool add_number(cJSON *object, const char *name, double number)
{
    return cJSON_AddNumberToObject(object, name, number) != NULL;
}

static bool add_time(cJSON *object, __u64 wall)
{
    time_t seconds = (time_t)(wall / NANOSECONDS);
    struct tm parts;
    char day[32], text[64];

    if (!gmtime_r(&seconds, &parts) || !strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &parts))
        return add_text(object, "time", "");
    snprintf(text, sizeof(text), "%s.%09lluZ", day, (unsigned long long)(wall % NANOSECONDS));
    return add_text(object, "time", text);
}

/* Hubble's DropReason that says the same; whoever reads flows knows these. */
static const char *hubble_reason(unsigned int reason)
{
    switch (reason) {
    case FENCE_REASON_NO_ENDPOINT:
    case FENCE_REASON_PENDING:
    case FENCE_REASON_INCOMPLETE:
        return "NO_CONFIGURATION_AVAILABLE_TO_PERFORM_POLICY_DECISION";
    case FENCE_REASON_ETHERTYPE:
        return "UNSUPPORTED_L2_PROTOCOL";
    case FENCE_REASON_VLAN:
        return "VLAN_FILTERED";
    case FENCE_REASON_TRUNCATED:
    case FENCE_REASON_BAD_HEADER:
        return "CT_TRUNCATED_OR_INVALID_HEADER";
    case FENCE_REASON_BAD_EXTENSION:
        return "INVALID_IPV6_EXTENSION_HEADER";
    case FENCE_REASON_FRAGMENT_ORPHAN:
        return "FIRST_LOGICAL_DATAGRAM_FRAGMENT_NOT_FOUND";
    case FENCE_REASON_FRAGMENT_BAD:
        return "IP_FRAGMENTATION_NOT_SUPPORTED";
    case FENCE_REASON_SPOOFED_MAC:
        return "INVALID_SOURCE_MAC";
    case FENCE_REASON_SPOOFED_ADDRESS:
    case FENCE_REASON_SPOOFED_ARP:
    case FENCE_REASON_MARTIAN:
        return "INVALID_SOURCE_IP";
    case FENCE_REASON_SPOOFED_ND:
    case FENCE_REASON_ROUTER_ADVERTISEMENT:
        return "FORBIDDEN_ICMPV6_MESSAGE";
    case FENCE_REASON_DHCP_SERVER:
        return "INVALID_PACKET_DROPPED";
    case FENCE_REASON_DENYLIST:
    case FENCE_REASON_DENY_RULE:
        return "POLICY_DENY";
    default:
        return "POLICY_DENIED";
    }
}

static const char *verdict_of(const struct fence_event *event)
{
    if (event->verdict != FENCE_ALLOW)
        return "DROPPED";
    return event->shadow == FENCE_ALLOW ? "FORWARDED" : "AUDIT";
}

static bool add_verdict(cJSON *object, const struct fence_event *event)
{
    const char *verdict = verdict_of(event);

    if (!add_text(object, "verdict", verdict) ||
        !add_text(object, "reason", fence_reason_name(event->reason)))
        return false;
    if (event->verdict != FENCE_ALLOW)
        return add_text(object, "drop_reason_desc", hubble_reason(event->reason));
    return event->shadow == FENCE_ALLOW ||
           add_text(object, "audit_reason", fence_reason_name(event->shadow_reason));
}

static bool is_ip(const struct fence_event *event)
{
    return event->ethertype == ETH_P_IP || event->ethertype == ETH_P_IPV6;
}

static bool add_ip(cJSON *object, const struct fence_event *event)
{
    char source[FENCE_ADDR_TEXT], destination[FENCE_ADDR_TEXT];
    cJSON *ip;

    if (!is_ip(event))
        return true;
    ip = cJSON_AddObjectToObject(object, "IP");
    return add_text(ip, "source", fence_addr_format(&event->source, source)) &&
           add_text(ip, "destination", fence_addr_format(&event->destination, destination)) &&
           add_text(ip, "ipVersion", event->ethertype == ETH_P_IP ? "IPv4" : "IPv6");
}

static const struct {
    unsigned int bit;
    const char *name;
} tcp_flags[] = {
    {0x01, "FIN"}, {0x02, "SYN"}, {0x04, "RST"}, {0x08, "PSH"},
    {0x10, "ACK"}, {0x20, "URG"}, {0x40, "ECE"}, {0x80, "CWR"},
};

static bool add_tcp_flags(cJSON *tcp, unsigned int bits)
{
    cJSON *flags = cJSON_AddObjectToObject(tcp, "flags");

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(tcp_flags); i++)
        if (bits & tcp_flags[i].bit && !cJSON_AddTrueToObject(flags, tcp_flags[i].name))
            return false;
    return flags != NULL;
}

static bool add_ports(cJSON *l4, const char *name, const struct fence_event *event)
{
    cJSON *ports = cJSON_AddObjectToObject(l4, name);

    return add_number(ports, "source_port", event->source_port) &&
           add_number(ports, "destination_port", event->destination_port) &&
           (event->protocol != IPPROTO_TCP || add_tcp_flags(ports, event->tcp_flags));
}

static bool add_icmp(cJSON *l4, const char *name, const struct fence_event *event)
{
    cJSON *icmp = cJSON_AddObjectToObject(l4, name);

    return add_number(icmp, "type", event->destination_port >> 8) &&
           add_number(icmp, "code", event->destination_port & 0xff);
}

static bool add_l4(cJSON *object, const struct fence_event *event)
{
    cJSON *l4;

    if (!is_ip(event))
        return true;
    l4 = cJSON_AddObjectToObject(object, "l4");
    switch (event->protocol) {
    case IPPROTO_TCP:
        return add_ports(l4, "TCP", event);
    case IPPROTO_UDP:
        return add_ports(l4, "UDP", event);
    case IPPROTO_SCTP:
        return add_ports(l4, "SCTP", event);
    case IPPROTO_ICMP:
        return add_icmp(l4, "ICMPv4", event);
    case IPPROTO_ICMPV6:
        return add_icmp(l4, "ICMPv6", event);
    default: /* Hubble has no place for it; the number still has to be seen */
        return add_number(l4, "protocol", event->protocol);
    }
}

/* "a=b,c=d" as a list. */
static bool add_labels(cJSON *end, const char *text)
{
    cJSON *list = cJSON_AddArrayToObject(end, "labels");

    while (*text) {
        size_t length = strcspn(text, ",");
        char label[FENCE_LABELS_MAX];

        snprintf(label, sizeof(label), "%.*s", (int)length, text);
        if (!cJSON_AddItemToArray(list, cJSON_CreateString(label)))
            return false;
        text += length + (text[length] == ',');
    }
    return list != NULL;
}

/* What makes an end more than an identity. */
static bool add_who(cJSON *object, const struct fence_record_end *end)
{
    return (!*end->app || add_text(object, "app", end->app)) &&
           (!*end->service || add_text(object, "service", end->service)) &&
           (!*end->pod || add_text(object, "pod_name", end->pod)) &&
           (!*end->spiffe || add_text(object, "spiffe", end->spiffe));
}

static bool add_end(cJSON *parent, const char *name, const struct fence_record_end *end)
{
    cJSON *object = cJSON_AddObjectToObject(parent, name);
    char label[64];

    if (!add_number(object, "identity", end->identity) ||
        (*end->node && !add_text(object, "node", end->node)) ||
        (*end->namespace_name && !add_text(object, "namespace", end->namespace_name)) ||
        !add_who(object, end))
        return false;
    if (*end->reserved) {
        snprintf(label, sizeof(label), "reserved:%s", end->reserved);
        return add_labels(object, label);
    }
    return !*end->labels || add_labels(object, end->labels);
}

static bool add_interface(cJSON *object, const struct fence_record *record)
{
    cJSON *interface = cJSON_AddObjectToObject(object, "interface");

    return add_number(interface, "index", record->event->ifindex) &&
           (!*record->interface || add_text(interface, "name", record->interface));
}

static bool add_rules(cJSON *object, const struct fence_record *record)
{
    return (!*record->policy || add_text(object, "policy", record->policy)) &&
           (record->rule == FENCE_RULE_NONE || add_number(object, "rule", record->rule)) &&
           (!*record->audit_policy || add_text(object, "audit_policy", record->audit_policy)) &&
           (record->audit_rule == FENCE_RULE_NONE ||
            add_number(object, "audit_rule", record->audit_rule));
}

static bool add_summary(cJSON *object, const struct fence_event *event)
{
    char text[128], protocol[8];
    const char *name = fence_protocol_name(event->protocol, protocol);
    size_t used;

    if (!is_ip(event)) {
        snprintf(text, sizeof(text), "ethertype 0x%04x", event->ethertype);
        return add_text(object, "Summary", text);
    }
    if (event->protocol == IPPROTO_ICMP || event->protocol == IPPROTO_ICMPV6) {
        snprintf(text, sizeof(text), "%s type %u code %u", name, event->destination_port >> 8u,
                 event->destination_port & 0xffu);
        return add_text(object, "Summary", text);
    }
    snprintf(text, sizeof(text), "%s", name);
    if (event->protocol != IPPROTO_TCP)
        return add_text(object, "Summary", text);
    used = (size_t)snprintf(text, sizeof(text), "TCP Flags:");
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(tcp_flags); i++)
        if (event->tcp_flags & tcp_flags[i].bit)
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s",
                                     text[used - 1] == ':' ? " " : ", ", tcp_flags[i].name);
    return add_text(object, "Summary", text);
}

static const char *event_name(unsigned int type)
{
    switch (type) {
    case FENCE_EVENT_VERDICT:
        return "verdict";
    case FENCE_EVENT_DROP:
        return "drop";
    case FENCE_EVENT_CUT:
        return "cut";
    case FENCE_EVENT_SUPPRESSED:
        return "suppressed";
    default:
        return "unknown";
    }
}

static bool fill(cJSON *object, const struct fence_record *record)
{
    const struct fence_event *event = record->event;

    return add_time(object, record->wall_ns) && add_verdict(object, event) &&
           add_ip(object, event) && add_l4(object, event) &&
           add_end(object, "source", &record->source) &&
           add_end(object, "destination", &record->destination) &&
           add_text(object, "Type", "L3_L4") &&
           (!*record->node_name || add_text(object, "node_name", record->node_name)) &&
           add_text(object, "traffic_direction",
                    event->direction == FENCE_EGRESS ? "EGRESS" : "INGRESS") &&
           add_interface(object, record) && add_text(object, "event", event_name(event->type)) &&
           add_rules(object, record) &&
           (event->suppressed == 0 || add_number(object, "suppressed", event->suppressed)) &&
           add_summary(object, event);
}

cJSON *fence_event_json(const struct fence_record *record)
{
    cJSON *object = cJSON_CreateObject();

    if (object && fill(object, record))
        return object;
    cJSON_Delete(object);
    return NULL;
}

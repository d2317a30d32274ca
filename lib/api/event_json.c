/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/api/event_json.h"

#include <netinet/in.h>
#include <string.h>

#include <linux/if_ether.h>

#include "lib/api/json_text.h"
#include "lib/base/addr.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"

/* Types of messages in Hubble's event_type (cilium pkg/monitor/api). */
#define HUBBLE_DROP           1
#define HUBBLE_POLICY_VERDICT 5

#define TCP_SYN 0x02
#define TCP_ACK 0x10

/* `member` is a literal: its comma, name and colon. */
#define TEXT_MEMBER(json, member, text)                                                            \
    do {                                                                                           \
        FENCE_JSON_LITERAL(json, member);                                                          \
        fence_json_string(json, text);                                                             \
    } while (0)
#define NUMBER_MEMBER(json, member, number)                                                        \
    do {                                                                                           \
        FENCE_JSON_LITERAL(json, member);                                                          \
        fence_json_number(json, number);                                                           \
    } while (0)

struct hubble_reason {
    const char *name;
    unsigned int number;
};

/* Hubble's DropReason that says the same; whoever reads flows knows these. */
static struct hubble_reason hubble_reason(unsigned int reason)
{
    switch (reason) {
    case FENCE_REASON_NO_ENDPOINT:
    case FENCE_REASON_PENDING:
    case FENCE_REASON_INCOMPLETE:
        return (struct hubble_reason){"NO_CONFIGURATION_AVAILABLE_TO_PERFORM_POLICY_DECISION", 165};
    case FENCE_REASON_ETHERTYPE:
        return (struct hubble_reason){"UNSUPPORTED_L2_PROTOCOL", 166};
    case FENCE_REASON_VLAN:
        return (struct hubble_reason){"VLAN_FILTERED", 182};
    case FENCE_REASON_TRUNCATED:
    case FENCE_REASON_BAD_HEADER:
        return (struct hubble_reason){"CT_TRUNCATED_OR_INVALID_HEADER", 135};
    case FENCE_REASON_BAD_EXTENSION:
        return (struct hubble_reason){"INVALID_IPV6_EXTENSION_HEADER", 156};
    case FENCE_REASON_FRAGMENT_ORPHAN:
        return (struct hubble_reason){"FIRST_LOGICAL_DATAGRAM_FRAGMENT_NOT_FOUND", 175};
    case FENCE_REASON_FRAGMENT_BAD:
        return (struct hubble_reason){"IP_FRAGMENTATION_NOT_SUPPORTED", 157};
    case FENCE_REASON_SPOOFED_MAC:
        return (struct hubble_reason){"INVALID_SOURCE_MAC", 130};
    case FENCE_REASON_SPOOFED_ADDRESS:
    case FENCE_REASON_SPOOFED_ARP:
    case FENCE_REASON_MARTIAN:
        return (struct hubble_reason){"INVALID_SOURCE_IP", 132};
    case FENCE_REASON_SPOOFED_ND:
    case FENCE_REASON_ROUTER_ADVERTISEMENT:
        return (struct hubble_reason){"FORBIDDEN_ICMPV6_MESSAGE", 176};
    case FENCE_REASON_DHCP_SERVER:
        return (struct hubble_reason){"INVALID_PACKET_DROPPED", 134};
    case FENCE_REASON_DENYLIST:
    case FENCE_REASON_DENY_RULE:
        return (struct hubble_reason){"POLICY_DENY", 181};
    default:
        return (struct hubble_reason){"POLICY_DENIED", 133};
    }
}

const char *fence_event_verdict(const struct fence_event *event)
{
    if (event->verdict != FENCE_ALLOW)
        return "DROPPED";
    return event->shadow == FENCE_ALLOW ? "FORWARDED" : "AUDIT";
}

static bool is_ip(const struct fence_event *event)
{
    return event->ethertype == ETH_P_IP || event->ethertype == ETH_P_IPV6;
}

/* Version 8 of RFC 9562: 122 bits of our own. */
static void put_uuid(struct fence_json_text *json, const uint64_t uuid[2])
{
    static const char hex[] = "0123456789abcdef";
    const uint64_t words[2] = {(uuid[0] & ~0xf000ull) | 0x8000,
                               (uuid[1] & ~(3ull << 62)) | 2ull << 62};
    char text[36];
    size_t used = 0;

    for (unsigned int i = 0; i < 32; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20)
            text[used++] = '-';
        text[used++] = hex[words[i / 16] >> (60 - 4 * (i % 16)) & 0xf];
    }
    FENCE_JSON_LITERAL(json, ",\"uuid\":\"");
    fence_json_raw(json, text, sizeof(text));
    FENCE_JSON_LITERAL(json, "\"");
}

static void put_verdict(struct fence_json_text *json, const struct fence_event *event)
{
    TEXT_MEMBER(json, ",\"verdict\":", fence_event_verdict(event));
    TEXT_MEMBER(json, ",\"reason\":", fence_reason_name(event->reason));
    if (event->verdict != FENCE_ALLOW)
        TEXT_MEMBER(json, ",\"drop_reason_desc\":", hubble_reason(event->reason).name);
    else if (event->shadow != FENCE_ALLOW)
        TEXT_MEMBER(json, ",\"audit_reason\":", fence_reason_name(event->shadow_reason));
}

/* `name` with its colon. A number of drops from or to many ends has no address there. */
static void put_address(struct fence_json_text *json, const struct fence_event *event,
                        const char *name, const struct fence_addr *addr)
{
    if (event->type == FENCE_EVENT_SUPPRESSED && fence_addr_is_none(addr))
        return;
    fence_json_raw(json, name, strlen(name));
    fence_json_addr(json, addr);
    FENCE_JSON_LITERAL(json, ",");
}

static void put_ip(struct fence_json_text *json, const struct fence_event *event)
{
    FENCE_JSON_LITERAL(json, ",\"IP\":{");
    put_address(json, event, "\"source\":", &event->source);
    put_address(json, event, "\"destination\":", &event->destination);
    if (event->ethertype == ETH_P_IP)
        FENCE_JSON_LITERAL(json, "\"ipVersion\":\"IPv4\"}");
    else
        FENCE_JSON_LITERAL(json, "\"ipVersion\":\"IPv6\"}");
}

/* By the number of their bit: alone, and as members. */
static const char *const flag_names[] = {"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"};
static const char *const flag_members[] = {
    "\"FIN\":true", "\"SYN\":true", "\"RST\":true", "\"PSH\":true",
    "\"ACK\":true", "\"URG\":true", "\"ECE\":true", "\"CWR\":true",
};

static void put_flags(struct fence_json_text *json, unsigned int bits, const char *const *texts,
                      const char *between)
{
    for (unsigned int i = 0; bits; i++, bits >>= 1) {
        if (!(bits & 1))
            continue;
        fence_json_raw(json, texts[i], strlen(texts[i]));
        if (bits >> 1)
            fence_json_raw(json, between, strlen(between));
    }
}

static void put_ports(struct fence_json_text *json, const struct fence_event *event)
{
    NUMBER_MEMBER(json, "{\"source_port\":", event->source_port);
    NUMBER_MEMBER(json, ",\"destination_port\":", event->destination_port);
    if (event->protocol == IPPROTO_TCP) {
        FENCE_JSON_LITERAL(json, ",\"flags\":{");
        put_flags(json, event->tcp_flags, flag_members, ",");
        FENCE_JSON_LITERAL(json, "}");
    }
    FENCE_JSON_LITERAL(json, "}");
}

static void put_icmp(struct fence_json_text *json, const struct fence_event *event)
{
    NUMBER_MEMBER(json, "{\"type\":", event->destination_port >> 8);
    NUMBER_MEMBER(json, ",\"code\":", event->destination_port & 0xff);
    FENCE_JSON_LITERAL(json, "}");
}

static void put_l4(struct fence_json_text *json, const struct fence_event *event)
{
    static const struct {
        unsigned int protocol;
        const char *name;
        void (*put)(struct fence_json_text *json, const struct fence_event *event);
    } protocols[] = {
        {IPPROTO_TCP, "TCP", put_ports},      {IPPROTO_UDP, "UDP", put_ports},
        {IPPROTO_SCTP, "SCTP", put_ports},    {IPPROTO_ICMP, "ICMPv4", put_icmp},
        {IPPROTO_ICMPV6, "ICMPv6", put_icmp},
    };
    size_t i = 0;

    FENCE_JSON_LITERAL(json, ",\"l4\":{");
    while (i < FENCE_ARRAY_SIZE(protocols) && protocols[i].protocol != event->protocol)
        i++;
    if (i < FENCE_ARRAY_SIZE(protocols)) {
        fence_json_string(json, protocols[i].name);
        FENCE_JSON_LITERAL(json, ":");
        protocols[i].put(json, event);
    } else { /* Hubble has no place for it; the number still has to be seen */
        NUMBER_MEMBER(json, "\"protocol\":", event->protocol);
    }
    FENCE_JSON_LITERAL(json, "}");
}

/* "a=b,c=d" as a list. */
static void put_labels(struct fence_json_text *json, const char *text)
{
    const char *before = "\"";

    FENCE_JSON_LITERAL(json, ",\"labels\":[");
    while (*text) {
        const char *comma = strchrnul(text, ',');

        fence_json_raw(json, before, strlen(before));
        fence_json_escaped(json, text, (size_t)(comma - text));
        before = "\",\"";
        text = *comma ? comma + 1 : comma;
    }
    fence_json_raw(json, "\"", before[1] != '\0');
    FENCE_JSON_LITERAL(json, "]");
}

static void put_end(struct fence_json_text *json, const struct fence_record_end *end)
{
    NUMBER_MEMBER(json, "{\"identity\":", end->identity);
    if (*end->namespace_name)
        TEXT_MEMBER(json, ",\"namespace\":", end->namespace_name);
    if (*end->reserved) {
        FENCE_JSON_LITERAL(json, ",\"labels\":[\"reserved:");
        fence_json_raw(json, end->reserved, strlen(end->reserved));
        FENCE_JSON_LITERAL(json, "\"]");
    } else if (*end->labels) {
        put_labels(json, end->labels);
    }
    if (*end->pod)
        TEXT_MEMBER(json, ",\"pod_name\":", end->pod);
    if (*end->app) {
        TEXT_MEMBER(json, ",\"workloads\":[{\"name\":", end->app);
        TEXT_MEMBER(json, "}],\"app\":", end->app);
    }
    if (*end->node)
        TEXT_MEMBER(json, ",\"node\":", end->node);
    if (*end->spiffe)
        TEXT_MEMBER(json, ",\"spiffe\":", end->spiffe);
    FENCE_JSON_LITERAL(json, "}");
}

static void put_ends(struct fence_json_text *json, const struct fence_record *record)
{
    FENCE_JSON_LITERAL(json, ",\"source\":");
    put_end(json, &record->source);
    FENCE_JSON_LITERAL(json, ",\"destination\":");
    put_end(json, &record->destination);
    if (*record->source.service) {
        TEXT_MEMBER(json, ",\"source_service\":{\"name\":", record->source.service);
        TEXT_MEMBER(json, ",\"namespace\":", record->source.namespace_name);
        FENCE_JSON_LITERAL(json, "}");
    }
    if (*record->destination.service) {
        TEXT_MEMBER(json, ",\"destination_service\":{\"name\":", record->destination.service);
        TEXT_MEMBER(json, ",\"namespace\":", record->destination.namespace_name);
        FENCE_JSON_LITERAL(json, "}");
    }
}

static void put_kind(struct fence_json_text *json, const struct fence_event *event)
{
    if (event->verdict != FENCE_ALLOW) {
        NUMBER_MEMBER(json, ",\"event_type\":{\"type\":", HUBBLE_DROP);
        NUMBER_MEMBER(json, ",\"sub_type\":", hubble_reason(event->reason).number);
    } else {
        NUMBER_MEMBER(json, ",\"event_type\":{\"type\":", HUBBLE_POLICY_VERDICT);
    }
    FENCE_JSON_LITERAL(json, "},\"traffic_direction\":");
    fence_json_string(json, event->direction == FENCE_EGRESS ? "EGRESS" : "INGRESS");
    /* of what is in the middle of something nobody knows */
    if (event->type == FENCE_EVENT_VERDICT ||
        (event->protocol == IPPROTO_TCP && (event->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN))
        FENCE_JSON_LITERAL(json, ",\"is_reply\":false");
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

static void put_place(struct fence_json_text *json, const struct fence_record *record)
{
    NUMBER_MEMBER(json, ",\"interface\":{\"index\":", record->event->ifindex);
    if (*record->interface)
        TEXT_MEMBER(json, ",\"name\":", record->interface);
    TEXT_MEMBER(json, "},\"event\":", event_name(record->event->type));
}

/* As Hubble has it: `egress_denied_by` and its like, also for what an audited policy would deny. */
static void put_hubble_policy(struct fence_json_text *json, const struct fence_event *event,
                              const char *policy)
{
    const bool denied = event->verdict != FENCE_ALLOW || event->shadow != FENCE_ALLOW;
    const char *namespace_name = strchrnul(policy, '/');
    const char *name = strrchr(policy, '/');

    if (!name)
        return;
    fence_json_raw(json, ",\"", 2);
    if (event->direction == FENCE_EGRESS)
        FENCE_JSON_LITERAL(json, "egress");
    else
        FENCE_JSON_LITERAL(json, "ingress");
    if (denied)
        FENCE_JSON_LITERAL(json, "_denied_by\":[{\"name\":");
    else
        FENCE_JSON_LITERAL(json, "_allowed_by\":[{\"name\":");
    fence_json_string(json, name + 1);
    if (namespace_name != name) {
        FENCE_JSON_LITERAL(json, ",\"namespace\":\"");
        fence_json_escaped(json, namespace_name + 1, (size_t)(name - namespace_name) - 1);
        FENCE_JSON_LITERAL(json, "\"");
    }
    FENCE_JSON_LITERAL(json, ",\"kind\":\"");
    fence_json_escaped(json, policy, (size_t)(namespace_name - policy));
    FENCE_JSON_LITERAL(json, "\"}]");
}

static void put_rules(struct fence_json_text *json, const struct fence_record *record)
{
    const struct fence_event *event = record->event;

    if (*record->policy)
        TEXT_MEMBER(json, ",\"policy\":", record->policy);
    if (record->rule != FENCE_RULE_NONE)
        NUMBER_MEMBER(json, ",\"rule\":", record->rule);
    if (*record->audit_policy)
        TEXT_MEMBER(json, ",\"audit_policy\":", record->audit_policy);
    if (record->audit_rule != FENCE_RULE_NONE)
        NUMBER_MEMBER(json, ",\"audit_rule\":", record->audit_rule);
    if (event->set)
        NUMBER_MEMBER(json, ",\"policy_set\":", event->set);
    if (event->verdict == FENCE_ALLOW && event->shadow != FENCE_ALLOW)
        put_hubble_policy(json, event, record->audit_policy);
    else
        put_hubble_policy(json, event, record->policy);
}

static void put_summary(struct fence_json_text *json, const struct fence_event *event)
{
    char text[64], protocol[8];
    const char *name = fence_protocol_name(event->protocol, protocol);

    FENCE_JSON_LITERAL(json, ",\"Summary\":\"");
    if (event->type == FENCE_EVENT_SUPPRESSED) { /* of no packet */
        NUMBER_MEMBER(json, "", event->suppressed);
        FENCE_JSON_LITERAL(json, " left out\"}");
        return;
    }
    if (!is_ip(event)) {
        snprintf(text, sizeof(text), "ethertype 0x%04x", event->ethertype);
        name = text;
    }
    fence_json_raw(json, name, strlen(name));
    if (is_ip(event) && event->protocol == IPPROTO_TCP) {
        FENCE_JSON_LITERAL(json, " Flags: ");
        put_flags(json, event->tcp_flags, flag_names, ", ");
    } else if (event->protocol == IPPROTO_ICMP || event->protocol == IPPROTO_ICMPV6) {
        NUMBER_MEMBER(json, " type ", event->destination_port >> 8);
        NUMBER_MEMBER(json, " code ", event->destination_port & 0xff);
    }
    FENCE_JSON_LITERAL(json, "\"}");
}

/* The text's length, 0 when it did not fit. */
static size_t end_text(struct fence_json_text *json, const char *begin)
{
    if (json->full)
        return 0;
    *json->at = '\0';
    return (size_t)(json->at - begin);
}

size_t fence_event_json(const struct fence_record *record, char text[FENCE_EVENT_JSON_MAX])
{
    const struct fence_event *event = record->event;
    struct fence_json_text json = {.at = text, .end = text + FENCE_EVENT_JSON_MAX - 1};

    FENCE_JSON_LITERAL(&json, "{\"time\":");
    fence_json_time(&json, record->wall_ns);
    put_uuid(&json, record->uuid);
    put_verdict(&json, event);
    if (is_ip(event)) {
        put_ip(&json, event);
        if (event->protocol || event->type != FENCE_EVENT_SUPPRESSED)
            put_l4(&json, event);
    }
    put_ends(&json, record);
    FENCE_JSON_LITERAL(&json, ",\"Type\":\"L3_L4\"");
    if (*record->node_name)
        TEXT_MEMBER(&json, ",\"node_name\":", record->node_name);
    put_kind(&json, event);
    put_place(&json, record);
    put_rules(&json, record);
    if (event->suppressed)
        NUMBER_MEMBER(&json, ",\"suppressed\":", event->suppressed);
    put_summary(&json, event);
    return end_text(&json, text);
}

size_t fence_lost_json(const struct fence_lost *lost, char text[FENCE_EVENT_JSON_MAX])
{
    struct fence_json_text json = {.at = text, .end = text + FENCE_EVENT_JSON_MAX - 1};

    TEXT_MEMBER(&json, "{\"lost_events\":{\"source\":", lost->source);
    NUMBER_MEMBER(&json, ",\"num_events_lost\":", lost->count);
    FENCE_JSON_LITERAL(&json, "}");
    if (*lost->node_name)
        TEXT_MEMBER(&json, ",\"node_name\":", lost->node_name);
    FENCE_JSON_LITERAL(&json, ",\"time\":");
    fence_json_time(&json, lost->wall_ns);
    FENCE_JSON_LITERAL(&json, "}");
    return end_text(&json, text);
}

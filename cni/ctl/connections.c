/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/connection.h"

#include <netinet/in.h>
#include <string.h>

#include "cni/ctl/names.h"
#include "cni/ctl/options.h"
#include "lib/base/addr.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"
#include "lib/datapath/connections.h"
#include "lib/datapath/probe.h"
#include "lib/datapath/read.h"

/* What the user wants to see; NULL = everything. */
struct filter {
    const char *pod;
    const char *from;
    const char *to;
    const char *verdict;
};

struct listing {
    const struct fence_pins *pins;
    const struct filter *filter;
    struct fence_endpoint_list endpoints;
    __u64 now; /* jiffies */
    __u32 hz;
    cJSON *rows;
};

/* An entry with what is to be said of it. */
struct item {
    const struct fence_connection *entry;
    const struct fence_endpoint_record *record; /* its pod */
    struct fence_addr local_addr;
    struct fence_probe_result judged; /* as of now */
    __u16 flags;
    __u32 idle; /* jiffies */
    char endpoint[CTL_SHOW_MAX];
    char peer[CTL_SHOW_MAX];                        /* identity */
    const struct fence_endpoint_record *remote_pod; /* NULL: none of this node's */
    char local[FENCE_ADDR_TEXT];
    char remote[FENCE_ADDR_TEXT];
    struct ctl_end local_end;
    struct ctl_end remote_end;
};

static void name_peer(const struct listing *listing, __u32 number, char text[CTL_SHOW_MAX])
{
    struct fence_peer peer;

    if (fence_peer_read(listing->pins, number, &peer) == 0)
        fence_identity_show(listing->pins, peer.identity, text, CTL_SHOW_MAX);
    else
        snprintf(text, CTL_SHOW_MAX, "unknown");
}

static void name_ends(struct listing *listing, struct item *item)
{
    ctl_endpoint_name(item->record, item->endpoint);
    name_peer(listing, item->judged.peer, item->peer);
    item->remote_pod = ctl_endpoint_by_addr(&listing->endpoints, &item->entry->remote);
    item->local_end = (struct ctl_end){
        .namespace_name = item->record->info.namespace_name,
        .pod = item->record->info.pod,
        .identity = "",
        .addr = fence_addr_format(&item->local_addr, item->local),
    };
    item->remote_end = (struct ctl_end){
        .namespace_name = item->remote_pod ? item->remote_pod->info.namespace_name : "",
        .pod = item->remote_pod ? item->remote_pod->info.pod : "",
        .identity = item->peer,
        .addr = fence_addr_format(&item->entry->remote, item->remote),
    };
}

/* What policy says of it now: entries hold no verdict. */
static int judge(const struct listing *listing, struct item *item)
{
    const struct fence_connection *entry = item->entry;
    bool inward = item->flags & FENCE_CONN_INGRESS;
    bool icmp = entry->protocol == IPPROTO_ICMP || entry->protocol == IPPROTO_ICMPV6;
    struct fence_packet packet = {
        .source = inward ? entry->remote : item->local_addr,
        .destination = inward ? item->local_addr : entry->remote,
        .protocol = entry->protocol,
        .source_port = inward ? entry->remote_port : entry->local_port,
        .destination_port = inward ? entry->local_port : entry->remote_port,
        .tcp_flags = FENCE_TCP_SYN,
    };

    if (icmp) {
        packet.source_port = entry->local_port;
        packet.destination_port = entry->remote_port;
    }
    return fence_probe(listing->pins, item->record->ifindex, inward ? FENCE_INGRESS : FENCE_EGRESS,
                       item->flags & FENCE_CONN_FROM_HOST ? FENCE_ORIGIN_LOCAL
                                                          : FENCE_ORIGIN_FORWARDED,
                       &packet, &item->judged, NULL);
}

static const struct fence_endpoint_record *
endpoint_by_slot(const struct fence_endpoint_list *endpoints, __u32 slot)
{
    for (size_t i = 0; i < endpoints->count; i++)
        if (endpoints->items[i].endpoint.slot == slot)
            return &endpoints->items[i];
    return NULL;
}

static bool is_wanted(const struct listing *listing, const struct item *item)
{
    const struct filter *filter = listing->filter;
    bool inward = item->flags & FENCE_CONN_INGRESS;

    return ctl_end_fits(&item->local_end, filter->pod) &&
           ctl_end_fits(inward ? &item->remote_end : &item->local_end, filter->from) &&
           ctl_end_fits(inward ? &item->local_end : &item->remote_end, filter->to) &&
           (!filter->verdict ||
            strcmp(filter->verdict, fence_verdict_name(item->judged.verdict)) == 0);
}

static const char *state_of(const struct item *item)
{
    if (item->flags & FENCE_CONN_CLOSED)
        return "closed";
    if (item->flags & (FENCE_CONN_FIN_OPENER | FENCE_CONN_FIN_OTHER))
        return "closing";
    return item->flags & FENCE_CONN_ESTABLISHED ? "established" : "half-open";
}

static const char *opener_of(const struct item *item)
{
    if (item->flags & FENCE_CONN_FROM_HOST)
        return "node";
    return item->flags & FENCE_CONN_INGRESS ? "peer" : "pod";
}

static void add_tuple(cJSON *row, const struct item *item)
{
    const struct fence_connection *entry = item->entry;
    char buffer[8];
    const char *protocol = fence_protocol_name(entry->protocol, buffer);

    cJSON_AddStringToObject(row, "protocol", protocol);
    cJSON_AddStringToObject(row, "local", item->local);
    cJSON_AddStringToObject(row, "remote", item->remote);
    if (strncmp(protocol, "ICMP", 4) == 0) {
        cJSON_AddNumberToObject(row, "icmpId", entry->local_port);
        cJSON_AddNumberToObject(row, "icmpType", entry->remote_port >> 8u);
        cJSON_AddNumberToObject(row, "icmpCode", entry->remote_port & 0xffu);
    } else if (entry->local_port || entry->remote_port) {
        cJSON_AddNumberToObject(row, "localPort", entry->local_port);
        cJSON_AddNumberToObject(row, "remotePort", entry->remote_port);
    }
}

static void add_judgement(cJSON *row, const struct listing *listing, const struct item *item)
{
    double idle = listing->hz ? (double)item->idle / listing->hz : 0;

    cJSON_AddStringToObject(row, "verdict", fence_verdict_name(item->judged.verdict));
    cJSON_AddStringToObject(row, "audit", fence_verdict_name(item->judged.shadow));
    cJSON_AddStringToObject(row, "reason", fence_reason_name(item->judged.reason));
    ctl_add_rule(row, listing->pins, item->judged.rule);
    cJSON_AddNumberToObject(row, "policySet", item->judged.set);
    cJSON_AddNumberToObject(row, "idleSeconds", (double)(long long)(idle * 10) / 10);
}

static int add_row(const struct listing *listing, const struct item *item)
{
    cJSON *row = cJSON_CreateObject();

    cJSON_AddStringToObject(row, "endpoint", item->endpoint);
    cJSON_AddNumberToObject(row, "ifindex", item->record->ifindex);
    add_tuple(row, item);
    cJSON_AddStringToObject(row, "peer", item->peer);
    if (item->remote_pod && *item->remote_pod->info.pod) {
        char name[CTL_SHOW_MAX];

        cJSON_AddStringToObject(row, "peerPod", ctl_endpoint_name(item->remote_pod, name));
    }
    cJSON_AddStringToObject(row, "openedBy", opener_of(item));
    cJSON_AddStringToObject(row, "state", state_of(item));
    add_judgement(row, listing, item);
    return cJSON_AddItemToArray(listing->rows, row) ? 0 : -1;
}

static int visit(void *context, const struct fence_connection *entry)
{
    struct listing *listing = context;
    struct item item = {
        .entry = entry,
        .record = endpoint_by_slot(&listing->endpoints, entry->slot),
        .flags = FENCE_STATE_FLAGS(entry->state),
        .idle = fence_jiffies_since(listing->now, FENCE_STATE_SEEN(entry->state), listing->hz),
    };

    /* of a pod that has just gone: no longer anybody's */
    if (!item.record ||
        fence_connection_expired(entry->protocol, entry->state, listing->now, listing->hz))
        return 0;
    (void)fence_connection_local(&item.record->endpoint, entry, &item.local_addr);
    if (judge(listing, &item) < 0)
        return 0;
    name_ends(listing, &item);
    return is_wanted(listing, &item) ? add_row(listing, &item) : 0;
}

static void print_text(const struct ctl *ctl, const cJSON *value)
{
    static const struct ctl_column columns[] = {
        {"ENDPOINT", "endpoint", NULL, 50}, {"PROTO", "protocol", NULL, 0},
        {"LOCAL", "local", "localPort", 0}, {"REMOTE", "remote", "remotePort", 0},
        {"PEER", "peer", NULL, 50},         {"OPENED BY", "openedBy", NULL, 0},
        {"STATE", "state", NULL, 0},        {"VERDICT", "verdict", NULL, 0},
        {"REASON", "reason", NULL, 0},      {"POLICY", "policy", NULL, 60},
        {"RULE", "rule", NULL, 0},          {"SET", "policySet", NULL, 0},
        {"IDLE S", "idleSeconds", NULL, 0},
    };

    ctl_table_print(stdout, ctl->output.color, ctl_member(value, "connections"), columns,
                    FENCE_ARRAY_SIZE(columns));
}

static int show(struct ctl *ctl, const struct fence_pins *pins, const struct filter *filter)
{
    struct listing listing = {.pins = pins, .filter = filter};
    struct fence_connection_table table = {0};
    struct fence_settings settings = {0};
    struct fence_err err = {0};
    cJSON *value;
    int r;

    if (fence_settings_read(pins, &settings) < 0 || fence_jiffies(pins, &listing.now) < 0)
        return ctl_fail(ctl, "the pins in %s are damaged: no settings or clock; restart podfenced",
                        pins->root);
    listing.hz = settings.hz;
    r = fence_endpoints_list(pins, &listing.endpoints, &err);
    if (r < 0)
        return ctl_fail(ctl, "%s", err.text);
    value = cJSON_CreateObject();
    listing.rows = cJSON_AddArrayToObject(value, "connections");
    r = fence_connections_open(pins, &table, &err);
    if (r == 0)
        r = fence_connections_each(&table, visit, &listing);
    fence_connections_close(&table);
    fence_endpoint_list_done(&listing.endpoints);
    if (r == 0)
        return ctl_show(ctl, value, print_text);
    cJSON_Delete(value);
    return ctl_fail(ctl, "%s", *err.text ? err.text : "out of memory");
}

int ctl_connections(struct ctl *ctl, int argc, char **argv)
{
    struct filter filter = {0};
    const struct ctl_option options[] = {
        {.name = "pod", .argument = "NS/POD", .help = "of this pod", .text = &filter.pod},
        {.name = "from", .argument = "END", .help = "opened by this end", .text = &filter.from},
        {.name = "to", .argument = "END", .help = "opened to this end", .text = &filter.to},
        {.name = "verdict",
         .argument = "allow|deny",
         .help = "with this verdict",
         .text = &filter.verdict},
    };
    const struct ctl_usage usage = {
        .verb = "connections",
        .arguments = "",
        .about = "Lists tracked connections of this node's pods, half-open ones too, with what "
                 "policy says\nof them now. An END is "
                 "NAMESPACE/POD,\nNAMESPACE/ for all of a namespace, an identity as PEER shows "
                 "it, or an address.\nReads the pins; needs no daemon.",
        .example = "  podfencectl connections --pod shop/db-0\n"
                   "  podfencectl connections --from shop/ --verdict deny -o json",
        .options = options,
        .option_count = FENCE_ARRAY_SIZE(options),
    };
    struct fence_pins pins;
    int first = 0, r = ctl_parse(ctl, &usage, argc, argv, &first);

    if (r != CTL_GO_ON)
        return r;
    if (filter.verdict && strcmp(filter.verdict, "allow") != 0 &&
        strcmp(filter.verdict, "deny") != 0)
        return ctl_misuse(ctl, "connections", "--verdict %s: there are allow and deny",
                          filter.verdict);
    r = ctl_open_pins(ctl, &pins);
    if (r != CTL_DONE)
        return r;
    r = show(ctl, &pins, &filter);
    fence_pins_close(&pins);
    return r;
}

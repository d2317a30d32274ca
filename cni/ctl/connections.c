/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/connection.h"

#include <string.h>

#include "cni/ctl/names.h"
#include "cni/ctl/options.h"
#include "lib/base/addr.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"
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
    bool established; /* the map that is being walked */
    cJSON *rows;
};

/* Names of both ends, found once. */
struct ends {
    char endpoint[CTL_SHOW_MAX];
    char peer[CTL_SHOW_MAX];          /* identity */
    struct fence_pod_name remote_pod; /* of this node's pods only */
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

static void name_ends(struct listing *listing, const struct fence_connection_key *key,
                      const struct fence_connection *connection, struct ends *ends)
{
    const struct fence_endpoint_record *record =
        ctl_endpoint_by_index(&listing->endpoints, key->ifindex);

    *ends = (struct ends){0};
    if (record)
        ctl_endpoint_name(record, ends->endpoint);
    name_peer(listing, connection->peer, ends->peer);
    ctl_local_namer(&listing->endpoints, &key->remote, &ends->remote_pod);
    ends->local_end = (struct ctl_end){
        .namespace_name = record ? record->info.namespace_name : "",
        .pod = record ? record->info.pod : "",
        .identity = "",
        .addr = fence_addr_format(&key->local, ends->local),
    };
    ends->remote_end = (struct ctl_end){
        .namespace_name = ends->remote_pod.namespace_name,
        .pod = ends->remote_pod.pod,
        .identity = ends->peer,
        .addr = fence_addr_format(&key->remote, ends->remote),
    };
}

static bool is_wanted(const struct listing *listing, const struct fence_connection *connection,
                      const struct ends *ends)
{
    const struct filter *filter = listing->filter;
    bool inward = connection->flags & FENCE_CONN_INGRESS;

    return ctl_end_fits(&ends->local_end, filter->pod) &&
           ctl_end_fits(inward ? &ends->remote_end : &ends->local_end, filter->from) &&
           ctl_end_fits(inward ? &ends->local_end : &ends->remote_end, filter->to) &&
           (!filter->verdict ||
            strcmp(filter->verdict, fence_verdict_name(connection->verdict)) == 0);
}

static bool is_expired(const struct listing *listing, const struct fence_connection_key *key,
                       const struct fence_connection *connection)
{
    __u64 lifetime = fence_connection_lifetime(key->protocol, connection->flags);

    return listing->now > connection->last_seen &&
           listing->now - connection->last_seen > lifetime * listing->hz;
}

static const char *state_of(const struct listing *listing,
                            const struct fence_connection *connection)
{
    if (connection->flags & FENCE_CONN_CLOSED)
        return "closed";
    if (connection->flags & (FENCE_CONN_FIN_OPENER | FENCE_CONN_FIN_OTHER))
        return "closing";
    return listing->established ? "established" : "half-open";
}

static const char *opener_of(const struct fence_connection *connection)
{
    if (connection->flags & FENCE_CONN_FROM_HOST)
        return "node";
    return connection->flags & FENCE_CONN_INGRESS ? "peer" : "pod";
}

static void add_tuple(cJSON *row, const struct fence_connection_key *key, const struct ends *ends)
{
    char buffer[8];
    const char *protocol = fence_protocol_name(key->protocol, buffer);

    cJSON_AddStringToObject(row, "protocol", protocol);
    cJSON_AddStringToObject(row, "local", ends->local);
    cJSON_AddStringToObject(row, "remote", ends->remote);
    if (strncmp(protocol, "ICMP", 4) == 0) {
        cJSON_AddNumberToObject(row, "icmpId", key->local_port);
        cJSON_AddNumberToObject(row, "icmpType", key->remote_port >> 8u);
        cJSON_AddNumberToObject(row, "icmpCode", key->remote_port & 0xffu);
    } else if (key->local_port || key->remote_port) {
        cJSON_AddNumberToObject(row, "localPort", key->local_port);
        cJSON_AddNumberToObject(row, "remotePort", key->remote_port);
    }
}

static void add_judgement(cJSON *row, const struct listing *listing,
                          const struct fence_connection *connection)
{
    double idle = listing->now > connection->last_seen && listing->hz
                      ? (double)(listing->now - connection->last_seen) / listing->hz
                      : 0;

    cJSON_AddStringToObject(row, "verdict", fence_verdict_name(connection->verdict));
    cJSON_AddStringToObject(row, "audit", fence_verdict_name(connection->shadow));
    cJSON_AddStringToObject(row, "reason", fence_reason_name(connection->reason));
    ctl_add_rule(row, listing->pins, connection->rule);
    cJSON_AddNumberToObject(row, "policySet", connection->set);
    cJSON_AddNumberToObject(row, "idleSeconds", (double)(long long)(idle * 10) / 10);
}

static int visit(void *context, const void *key_bytes, const void *value)
{
    struct listing *listing = context;
    const struct fence_connection_key *key = key_bytes;
    const struct fence_connection *connection = value;
    struct ends ends;
    cJSON *row;

    if (is_expired(listing, key, connection))
        return 0;
    name_ends(listing, key, connection, &ends);
    if (!is_wanted(listing, connection, &ends))
        return 0;
    row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "endpoint", ends.endpoint);
    cJSON_AddNumberToObject(row, "ifindex", key->ifindex);
    add_tuple(row, key, &ends);
    cJSON_AddStringToObject(row, "peer", ends.peer);
    if (*ends.remote_pod.pod) {
        char name[CTL_SHOW_MAX];

        snprintf(name, sizeof(name), "%s/%s", ends.remote_pod.namespace_name, ends.remote_pod.pod);
        cJSON_AddStringToObject(row, "peerPod", name);
    }
    cJSON_AddStringToObject(row, "openedBy", opener_of(connection));
    cJSON_AddStringToObject(row, "state", state_of(listing, connection));
    add_judgement(row, listing, connection);
    return cJSON_AddItemToArray(listing->rows, row) ? 0 : -1;
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
    listing.established = true;
    r = fence_map_each(pins, FENCE_MAP_CONNECTIONS, visit, &listing, &err);
    listing.established = false;
    if (r == 0)
        r = fence_map_each(pins, FENCE_MAP_HANDSHAKES, visit, &listing, &err);
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
        .about = "Lists tracked connections of this node's pods, half-open ones too. An END is "
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules in NetworkPolicy's vocabulary (Kubernetes pkg/apis/networking/validation), shared by
 * NetworkPolicy, SegmentPolicy and ClusterSegmentPolicy.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/names.h"
#include "lib/objects/decoders.h"

const char *const fence_direction_keys[FENCE_DIRECTIONS] = {
    [FENCE_EGRESS] = "egress",
    [FENCE_INGRESS] = "ingress",
};

static const char *const peer_keys[FENCE_DIRECTIONS] = {
    [FENCE_EGRESS] = "to",
    [FENCE_INGRESS] = "from",
};

/* ---- peers ---------------------------------------------------------------------------------- */

int fence_decode_prefix(const struct fence_field *field, struct fence_prefix *ret_prefix,
                        struct fence_err *err)
{
    bool host_bits = false;
    int r = fence_field_expect(field, FENCE_DOC_STRING, err);

    if (r < 0)
        return r;
    if (fence_prefix_parse(field->doc->text, ret_prefix, &host_bits) < 0)
        return fence_field_refuse(field, err,
                                  "\"%.80s\" is not an address range such as 10.0.0.0/8 or "
                                  "fd00::/8",
                                  field->doc->text);
    if (host_bits) {
        char text[FENCE_PREFIX_TEXT];

        fence_field_warn(field, "%.80s has bits behind its length set and is read as %s",
                         field->doc->text, fence_prefix_format(ret_prefix, text));
    }
    return 0;
}

/* The same; with `legacy` in every form that the API server takes. */
static int decode_range(const struct fence_field *field, bool legacy,
                        struct fence_prefix *ret_prefix, struct fence_err *err)
{
    char text[FENCE_PREFIX_TEXT];
    int r = fence_field_expect(field, FENCE_DOC_STRING, err);

    if (r < 0)
        return r;
    if (!legacy || fence_prefix_parse(field->doc->text, ret_prefix, NULL) == 0 ||
        fence_prefix_parse_legacy(field->doc->text, ret_prefix) < 0)
        return fence_decode_prefix(field, ret_prefix, err);
    fence_field_warn(field, "%.80s is read as %s", field->doc->text,
                     fence_prefix_format(ret_prefix, text));
    return 0;
}

static int decode_except(const struct fence_field *field, bool legacy,
                         const struct fence_prefix *cidr, struct fence_prefix *ret_except,
                         struct fence_err *err)
{
    char text[FENCE_PREFIX_TEXT];
    struct fence_prefix except;
    int r = decode_range(field, legacy, &except, err);

    if (r < 0)
        return r;
    if (!fence_prefix_covers(cidr, &except) || except.length <= cidr->length)
        return fence_field_refuse(field, err, "%.80s must lie inside %s and be smaller",
                                  field->doc->text, fence_prefix_format(cidr, text));
    *ret_except = except;
    return 0;
}

static int decode_excepts(const struct fence_field *list, bool legacy, struct fence_ip_block *block,
                          struct fence_err *err)
{
    size_t count = fence_field_count(list);
    struct fence_prefix *except = calloc(count, sizeof(*except));
    int r = 0;

    if (!except)
        return fence_err_set(err, -ENOMEM, "out of memory");
    block->except = except;
    for (size_t i = 0; r == 0 && i < count; i++) {
        struct fence_field item = fence_field_item(list, i);

        r = decode_except(&item, legacy, &block->cidr, &except[i], err);
        block->except_count += r == 0;
    }
    return r;
}

static int decode_block(const struct fence_field *field, bool legacy, struct fence_peer_spec *peer,
                        struct fence_err *err)
{
    static const char *const known[] = {"cidr", "except", NULL};
    struct fence_field cidr = fence_field_get(field, "cidr");
    struct fence_field except = fence_field_get(field, "except");
    size_t count = fence_field_count(&except);
    int r = fence_field_expect(field, FENCE_DOC_MAP, err);

    if (r == 0)
        r = fence_field_allow(&except, FENCE_DOC_LIST, err);
    if (r < 0)
        return r;
    fence_field_warn_unknown(field, known);
    peer->block = calloc(1, sizeof(*peer->block));
    if (!peer->block)
        return fence_err_set(err, -ENOMEM, "out of memory");
    r = decode_range(&cidr, legacy, &peer->block->cidr, err);
    return r == 0 && count ? decode_excepts(&except, legacy, peer->block, err) : r;
}

static int match_every_namespace(struct fence_peer_spec *peer, struct fence_err *err)
{
    peer->namespaces = calloc(1, sizeof(*peer->namespaces));
    return peer->namespaces ? 0 : fence_err_set(err, -ENOMEM, "out of memory");
}

static bool has_unknown_member(const struct fence_field *field, const char *const *known)
{
    for (size_t i = 0; i < fence_field_count(field); i++)
        if (!fence_field_is_one_of(field->doc->items[i]->key, known))
            return true;
    return false;
}

/* A peer without a member that we know: of a kind that came later, or misspelt. */
static int decode_unknown_peer(const struct fence_field *field, const char *const *known,
                               struct fence_peer_spec *peer, struct fence_err *err)
{
    if (!has_unknown_member(field, known))
        return fence_field_refuse(field, err,
                                  "must have a podSelector, a namespaceSelector or an ipBlock");
    fence_field_warn(field, "a peer of an unknown kind: an allow rule takes it for nobody");
    peer->unknown = true;
    return 0;
}

static int decode_peer(const struct fence_field *field, const struct fence_rule_style *style,
                       struct fence_peer_spec *peer, struct fence_err *err)
{
    static const char *const known[] = {"podSelector", "namespaceSelector", "ipBlock", NULL};
    struct fence_field pods = fence_field_get(field, "podSelector");
    struct fence_field namespaces = fence_field_get(field, "namespaceSelector");
    struct fence_field block = fence_field_get(field, "ipBlock");
    int r = fence_field_expect(field, FENCE_DOC_MAP, err);

    if (r < 0)
        return r;
    if (block.doc && (pods.doc || namespaces.doc))
        return fence_field_refuse(field, err,
                                  "ipBlock must not stand beside podSelector or "
                                  "namespaceSelector");
    fence_field_warn_unknown(field, known);
    if (!block.doc && !pods.doc && !namespaces.doc)
        return decode_unknown_peer(field, known, peer, err);
    if (block.doc)
        return decode_block(&block, style->legacy, peer, err);
    if (pods.doc)
        r = fence_decode_new_selector(&pods, &peer->pods, err);
    if (r == 0 && namespaces.doc)
        r = fence_decode_new_selector(&namespaces, &peer->namespaces, err);
    if (r == 0 && style->cluster && !peer->namespaces)
        r = match_every_namespace(peer, err);
    return r;
}

/* ---- ports ---------------------------------------------------------------------------------- */

int fence_decode_port_number(const struct fence_field *field, uint16_t *ret_port,
                             struct fence_err *err)
{
    static const struct fence_range range = {1, 65535, "a port"};
    long value;
    int r = fence_field_number(field, &range, &value, err);

    if (r == 0)
        *ret_port = (uint16_t)value;
    return r;
}

int fence_decode_optional_port(const struct fence_field *field, uint16_t *ret_port,
                               struct fence_err *err)
{
    static const struct fence_range range = {0, 65535, "a port"};
    long value = 0;
    int r = field->doc ? fence_field_number(field, &range, &value, err) : 0;

    if (r == 0)
        *ret_port = (uint16_t)value;
    return r;
}

int fence_decode_protocol(const struct fence_field *field, bool icmp, unsigned int *ret_protocol,
                          struct fence_err *err)
{
    static const char *const names[] = {"TCP", "UDP", "SCTP", NULL};
    static const char *const icmp_names[] = {"TCP", "UDP", "SCTP", "ICMP", "ICMPv6", NULL};
    static const unsigned int numbers[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_ICMP,
                                           IPPROTO_ICMPV6};
    unsigned int choice = 0;
    int r = 0;

    if (field->doc)
        r = fence_field_choice(field, icmp ? icmp_names : names, &choice, err);
    if (r == 0)
        *ret_protocol = numbers[choice];
    return r;
}

static int decode_port_name(const struct fence_field *field, struct fence_port_spec *port,
                            struct fence_err *err)
{
    if (!fence_name_is_port(field->doc->text))
        return fence_field_refuse(field, err,
                                  "\"%.80s\" is not a port name: 1 to 15 lower case letters, "
                                  "digits and single '-' between them, with a letter",
                                  field->doc->text);
    port->name = strdup(field->doc->text);
    return port->name ? 0 : fence_err_set(err, -ENOMEM, "out of memory");
}

static int decode_end_port(const struct fence_field *field, const struct fence_field *start,
                           struct fence_port_spec *port, struct fence_err *err)
{
    int r;

    if (!start->doc)
        return fence_field_refuse(field, err, "needs port beside it");
    if (port->name)
        return fence_field_refuse(field, err, "cannot follow a port given by name");
    r = fence_decode_port_number(field, &port->last, err);
    if (r == 0 && port->last < port->first)
        return fence_field_refuse(field, err, "%u is below port, which is %u", port->last,
                                  port->first);
    return r;
}

static int decode_port_range(const struct fence_field *field, struct fence_port_spec *port,
                             struct fence_err *err)
{
    struct fence_field start = fence_field_get(field, "port");
    struct fence_field end = fence_field_get(field, "endPort");
    int r = 0;

    port->last = UINT16_MAX;
    if (start.doc && start.doc->type == FENCE_DOC_STRING)
        r = decode_port_name(&start, port, err);
    else if (start.doc && start.doc->type != FENCE_DOC_NUMBER)
        r = fence_field_refuse(&start, err, "must be a number or a name, not %s",
                               fence_doc_type_name(start.doc->type));
    else if (start.doc)
        r = fence_decode_port_number(&start, &port->first, err);
    if (r == 0 && start.doc)
        port->last = port->first;
    if (r == 0 && end.doc)
        r = decode_end_port(&end, &start, port, err);
    return r;
}

static int decode_icmp_code(const struct fence_field *code, long type, struct fence_port_spec *port,
                            struct fence_err *err)
{
    static const struct fence_range range = {0, 255, "an ICMP code"};
    long value;
    int r;

    if (type < 0)
        return fence_field_refuse(code, err, "needs type beside it");
    r = fence_field_number(code, &range, &value, err);
    if (r == 0)
        port->first = port->last = (uint16_t)(type << 8 | value);
    return r;
}

static int decode_icmp(const struct fence_field *field, struct fence_port_spec *port,
                       struct fence_err *err)
{
    static const struct fence_range range = {0, 255, "an ICMP type"};
    struct fence_field type = fence_field_get(field, "type");
    struct fence_field code = fence_field_get(field, "code");
    struct fence_field number = fence_field_get(field, "port");
    struct fence_field end = fence_field_get(field, "endPort");
    long value = -1;
    int r = 0;

    if (number.doc || end.doc)
        return fence_field_refuse(number.doc ? &number : &end, err,
                                  "ICMP has no ports: use type and code");
    port->last = UINT16_MAX;
    if (type.doc)
        r = fence_field_number(&type, &range, &value, err);
    if (r < 0)
        return r;
    if (type.doc) {
        port->first = (uint16_t)(value << 8);
        port->last = (uint16_t)(value << 8 | 255);
    }
    return code.doc ? decode_icmp_code(&code, value, port, err) : 0;
}

static int decode_port(const struct fence_field *field, bool icmp, struct fence_port_spec *port,
                       struct fence_err *err)
{
    static const char *const known[] = {"protocol", "port", "endPort", NULL};
    static const char *const icmp_known[] = {"protocol", "port", "endPort", "type", "code", NULL};
    struct fence_field protocol = fence_field_get(field, "protocol");
    struct fence_field type = fence_field_get(field, "type");
    struct fence_field code = fence_field_get(field, "code");
    int r = fence_field_expect(field, FENCE_DOC_MAP, err);

    if (r == 0)
        r = fence_decode_protocol(&protocol, icmp, &port->protocol, err);
    if (r < 0)
        return r;
    fence_field_warn_unknown(field, icmp ? icmp_known : known);
    if (port->protocol == IPPROTO_ICMP || port->protocol == IPPROTO_ICMPV6)
        return decode_icmp(field, port, err);
    if (icmp && (type.doc || code.doc))
        return fence_field_refuse(type.doc ? &type : &code, err,
                                  "belongs to the protocols ICMP and ICMPv6");
    return decode_port_range(field, port, err);
}

/* ---- rules ---------------------------------------------------------------------------------- */

/* The same, with an unknown field anywhere in it: it was meant to be narrower, and is for nobody.
 */
static int decode_whole_peer(const struct fence_field *field, const struct fence_rule_style *style,
                             struct fence_peer_spec *peer, struct fence_err *err)
{
    unsigned int before = field->warnings->unknown;
    int r = decode_peer(field, style, peer, err);

    if (r == 0 && field->warnings->unknown != before && !peer->unknown) {
        fence_field_warn(field, "with an unknown field an allow rule takes the peer for nobody");
        peer->unknown = true;
    }
    return r;
}

static int decode_peers(const struct fence_field *field, const struct fence_rule_style *style,
                        struct fence_rule *rule, struct fence_err *err)
{
    int r = fence_field_allow(field, FENCE_DOC_LIST, err);

    rule->any_peer = fence_field_count(field) == 0;
    for (size_t i = 0; r == 0 && i < fence_field_count(field); i++) {
        struct fence_field item = fence_field_item(field, i);

        if (FENCE_GROW(rule->peers, rule->peer_capacity, rule->peer_count) < 0)
            return fence_err_set(err, -ENOMEM, "out of memory");
        rule->peers[rule->peer_count] = (struct fence_peer_spec){0};
        r = decode_whole_peer(&item, style, &rule->peers[rule->peer_count++], err);
    }
    return r;
}

/* A port with an unknown field matches nothing; the last one of `rule` is decoded and counted. */
static int decode_whole_port(const struct fence_field *field, bool icmp, struct fence_rule *rule,
                             struct fence_err *err)
{
    struct fence_port_spec *port = &rule->ports[rule->port_count];
    unsigned int before = field->warnings->unknown;
    int r = decode_port(field, icmp, port, err);

    if (r < 0 || field->warnings->unknown == before) {
        rule->port_count++;
        return r;
    }
    fence_field_warn(field, "with an unknown field it matches no port");
    free(port->name);
    *port = (struct fence_port_spec){0};
    return 0;
}

static int decode_ports(const struct fence_field *field, bool icmp, struct fence_rule *rule,
                        struct fence_err *err)
{
    int r = fence_field_allow(field, FENCE_DOC_LIST, err);

    rule->any_port = fence_field_count(field) == 0;
    for (size_t i = 0; r == 0 && i < fence_field_count(field); i++) {
        struct fence_field item = fence_field_item(field, i);

        if (FENCE_GROW(rule->ports, rule->port_capacity, rule->port_count) < 0)
            return fence_err_set(err, -ENOMEM, "out of memory");
        rule->ports[rule->port_count] = (struct fence_port_spec){0};
        r = decode_whole_port(&item, icmp, rule, err);
    }
    return r;
}

/* A member that nobody knows may have been meant to narrow the rule: it allows nobody. */
static int close_rule(const struct fence_field *field, struct fence_rule *rule,
                      struct fence_err *err)
{
    fence_field_warn(field, "with an unknown field the rule allows nobody");
    if (FENCE_GROW(rule->peers, rule->peer_capacity, rule->peer_count) < 0)
        return fence_err_set(err, -ENOMEM, "out of memory");
    rule->peers[rule->peer_count++] = (struct fence_peer_spec){.unknown = true};
    for (size_t i = 0; i < rule->peer_count; i++)
        rule->peers[i].unknown = true;
    rule->any_peer = false;
    return 0;
}

static int decode_rule(const struct fence_field *field, unsigned int direction,
                       const struct fence_rule_style *style, struct fence_rule *rule,
                       struct fence_err *err)
{
    const char *const known[] = {peer_keys[direction], "ports", NULL};
    struct fence_field peers = fence_field_get(field, peer_keys[direction]);
    struct fence_field ports = fence_field_get(field, "ports");
    unsigned int before;
    bool misspelt;
    int r = 0;

    if (field->doc->type != FENCE_DOC_MAP)
        return fence_field_refuse(field, err,
                                  "must be an object, not %s ({} is a rule that matches "
                                  "everything)",
                                  fence_doc_type_name(field->doc->type));
    before = field->warnings->unknown;
    fence_field_warn_unknown(field, known);
    misspelt = field->warnings->unknown != before;
    rule->action = style->action;
    r = decode_peers(&peers, style, rule, err);
    if (r == 0)
        r = decode_ports(&ports, style->icmp, rule, err);
    return r == 0 && misspelt ? close_rule(field, rule, err) : r;
}

int fence_decode_rules(const struct fence_field *spec, const struct fence_rule_style *style,
                       struct fence_policy *policy, struct fence_err *err)
{
    for (unsigned int direction = 0; direction < FENCE_DIRECTIONS; direction++) {
        struct fence_field list = fence_field_get(spec, fence_direction_keys[direction]);
        size_t count = fence_field_count(&list);
        int r = fence_field_allow(&list, FENCE_DOC_LIST, err);

        if (r == 0 && count) {
            policy->rules[direction] = calloc(count, sizeof(*policy->rules[direction]));
            policy->rule_capacity[direction] = count;
            if (!policy->rules[direction])
                return fence_err_set(err, -ENOMEM, "out of memory");
        }
        for (size_t i = 0; r == 0 && i < count; i++) {
            struct fence_field item = fence_field_item(&list, i);
            size_t at = policy->rule_count[direction]++;

            r = decode_rule(&item, direction, style, &policy->rules[direction][at], err);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

int fence_decode_policy_types(const struct fence_field *spec, bool listed[FENCE_DIRECTIONS],
                              bool *ret_given, struct fence_err *err)
{
    static const char *const names[] = {
        [FENCE_EGRESS] = "Egress", [FENCE_INGRESS] = "Ingress", NULL};
    struct fence_field types = fence_field_get(spec, "policyTypes");
    size_t count = fence_field_count(&types);
    int r = fence_field_allow(&types, FENCE_DOC_LIST, err);

    if (r < 0)
        return r;
    if (count > FENCE_DIRECTIONS)
        return fence_field_refuse(&types, err, "has %zu entries, at most 2 are allowed", count);
    for (size_t i = 0; r == 0 && i < count; i++) {
        struct fence_field item = fence_field_item(&types, i);
        unsigned int direction;

        r = fence_field_choice(&item, names, &direction, err);
        if (r == 0)
            listed[direction] = true;
    }
    if (r == 0)
        *ret_given = count > 0;
    return r;
}

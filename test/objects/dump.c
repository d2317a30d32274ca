/* SPDX-License-Identifier: Apache-2.0 */
#include "test/objects/dump.h"

#include <inttypes.h>
#include <stdio.h>

#include "lib/base/memory.h"
#include "lib/base/names.h"

static void dump_selector(FILE *out, const char *name, const struct fence_selector *selector)
{
    static const char *const operators[] = {"In", "NotIn", "Exists", "DoesNotExist"};

    fprintf(out, "%s(", name);
    for (size_t i = 0; i < selector->count; i++) {
        const struct fence_requirement *item = &selector->items[i];

        fprintf(out, "%s%s %s", i ? " & " : "", item->key, operators[item->op]);
        for (size_t j = 0; j < item->value_count; j++)
            fprintf(out, "%s'%s'", j ? "|" : " ", item->values[j]);
    }
    fputs(")", out);
}

static void dump_peer(FILE *out, const struct fence_peer_spec *peer)
{
    char text[FENCE_PREFIX_TEXT];

    if (peer->unknown) {
        fputs("unknown", out);
        return;
    }
    if (peer->namespaces)
        dump_selector(out, "namespaces", peer->namespaces);
    if (peer->pods)
        dump_selector(out, "pods", peer->pods);
    if (peer->nodes)
        dump_selector(out, "nodes", peer->nodes);
    if (!peer->block)
        return;
    fprintf(out, "block %s", fence_prefix_format(&peer->block->cidr, text));
    for (size_t i = 0; i < peer->block->except_count; i++)
        fprintf(out, " but %s", fence_prefix_format(&peer->block->except[i], text));
}

static void dump_port(FILE *out, const struct fence_port_spec *port)
{
    char buffer[8];

    fputs(port->protocol == FENCE_PROTOCOL_ANY ? "any"
                                               : fence_protocol_name(port->protocol, buffer),
          out);
    if (port->name)
        fprintf(out, " name:%s", port->name);
    else
        fprintf(out, " %u-%u", port->first, port->last);
}

static void dump_rule(FILE *out, const struct fence_rule *rule)
{
    static const char *const actions[] = {"allow", "deny", "pass"};

    fprintf(out, "%s peers ", actions[rule->action]);
    if (rule->any_peer)
        fputs("any", out);
    for (size_t i = 0; i < rule->peer_count; i++) {
        fputs(i ? ", " : "", out);
        dump_peer(out, &rule->peers[i]);
    }
    fputs(" ports ", out);
    if (rule->any_port)
        fputs("any", out);
    else if (rule->port_count == 0)
        fputs("none", out);
    for (size_t i = 0; i < rule->port_count; i++) {
        fputs(i ? ", " : "", out);
        dump_port(out, &rule->ports[i]);
    }
}

static void dump_policy(FILE *out, const struct fence_policy *policy)
{
    static const char *const tiers[] = {"denylist", "admin", "allowlist", "baseline"};

    fprintf(out, " %s %d%s", tiers[policy->tier], policy->priority, policy->audit ? " audit" : "");
    if (policy->expires_at)
        fprintf(out, " until %" PRId64, policy->expires_at);
    dump_selector(out, " namespaces", &policy->namespaces);
    dump_selector(out, " pods", &policy->pods);
    for (unsigned int direction = 0; direction < FENCE_DIRECTIONS; direction++) {
        fprintf(out, "\n%s%s%s", fence_direction_name(direction),
                policy->isolates[direction] ? " isolates" : "",
                policy->applies[direction] ? " applies" : "");
        for (size_t i = 0; i < policy->rule_count[direction]; i++) {
            fprintf(out, "\n%s %zu ", fence_direction_name(direction), i);
            dump_rule(out, &policy->rules[direction][i]);
        }
    }
}

static void dump_labels(FILE *out, const struct fence_labels *labels)
{
    FENCE_FREE char *text = fence_labels_format(labels);

    fprintf(out, "\nlabels %s", text);
}

static void dump_pod(FILE *out, const struct fence_pod *pod)
{
    char buffer[8], text[FENCE_ADDR_TEXT];

    fprintf(out, "%s%s", pod->host_network ? " hostNetwork" : "", pod->finished ? " finished" : "");
    fprintf(out, "\nuid %s node %s owner %s container %s", pod->uid ? "given" : "", pod->node,
            pod->owner, pod->container_id);
    dump_labels(out, pod->labels);
    for (size_t i = 0; i < pod->addr_count; i++)
        fprintf(out, "\naddress %s", fence_addr_format(&pod->addrs[i], text));
    for (size_t i = 0; i < pod->ports->count; i++)
        fprintf(out, "\nport %s %s %u", pod->ports->items[i].name,
                fence_protocol_name(pod->ports->items[i].protocol, buffer),
                pod->ports->items[i].port);
    for (size_t i = 0; i < pod->host_port_count; i++) {
        const struct fence_host_port *port = &pod->host_ports[i];

        fprintf(out, "\nhost port %s %u to %u on %s", fence_protocol_name(port->protocol, buffer),
                port->port, port->target, port->any ? "all" : fence_addr_format(&port->addr, text));
    }
}

static void dump_node(FILE *out, const struct fence_node *node)
{
    char text[FENCE_PREFIX_TEXT];

    dump_labels(out, node->labels);
    for (size_t i = 0; i < node->addr_count; i++)
        fprintf(out, "\naddress %s", fence_addr_format(&node->addrs[i], text));
    for (size_t i = 0; i < node->pod_prefix_count; i++)
        fprintf(out, "\npods %s", fence_prefix_format(&node->pod_prefixes[i], text));
}

static void dump_service(FILE *out, const struct fence_service *service)
{
    char text[FENCE_ADDR_TEXT], buffer[8];

    for (size_t i = 0; i < service->addrs.count; i++)
        fprintf(out, "\n%saddress %s", i < service->cluster_count ? "cluster " : "",
                fence_addr_format(&service->addrs.items[i], text));
    for (size_t i = 0; i < service->port_count; i++) {
        const struct fence_service_port *port = &service->ports[i];

        fprintf(out, "\nport '%s' %s %u node %u", port->name,
                fence_protocol_name(port->protocol, buffer), port->port, port->node_port);
    }
}

static void dump_slice(FILE *out, const struct fence_endpoint_slice *slice)
{
    char text[FENCE_ADDR_TEXT], buffer[8];

    fprintf(out, "\nof '%s'", slice->service);
    for (size_t i = 0; i < slice->addrs.count; i++)
        fprintf(out, "\naddress %s", fence_addr_format(&slice->addrs.items[i], text));
    for (size_t i = 0; i < slice->port_count; i++)
        fprintf(out, "\nport '%s' %s %u", slice->ports[i].name,
                fence_protocol_name(slice->ports[i].protocol, buffer), slice->ports[i].port);
}

char *dump_object(const struct fence_object *object)
{
    FENCE_FREE char *id = fence_object_id(object);
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    fputs(id, out);
    if (fence_kind_is_policy(object->kind))
        dump_policy(out, &object->policy);
    else if (object->kind == FENCE_OBJECT_POD)
        dump_pod(out, &object->pod);
    else if (object->kind == FENCE_OBJECT_NODE)
        dump_node(out, &object->node);
    else if (object->kind == FENCE_OBJECT_NAMESPACE)
        dump_labels(out, object->namespace_labels);
    else if (object->kind == FENCE_OBJECT_SERVICE)
        dump_service(out, &object->service);
    else if (object->kind == FENCE_OBJECT_ENDPOINT_SLICE)
        dump_slice(out, &object->slice);
    fclose(out);
    return text;
}

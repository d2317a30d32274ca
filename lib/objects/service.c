/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Service, v1: the addresses and ports that it owns. Where these lead is said by its slices, with
 * numbers for named target ports, so those are only checked.
 */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/shared.h"
#include "lib/objects/decoders.h"

#define WHAT "a service"

static int no_memory(struct fence_err *err)
{
    return fence_err_set(err, -ENOMEM, "out of memory");
}

/* ---- ports ---------------------------------------------------------------------------------- */

int fence_decode_port_label(const struct fence_field *field, const char **ret_name,
                            struct fence_err *err)
{
    const char *text = "";
    int r = fence_field_string(field, &text, err);

    if (r < 0)
        return r;
    if (*text && !fence_name_is_label(text))
        return fence_field_refuse(field, err,
                                  "\"%.80s\" is not a DNS label: 1 to 63 lower case letters, "
                                  "digits and '-' between them",
                                  text);
    *ret_name = fence_shared_string(text);
    return *ret_name ? 0 : no_memory(err);
}

static int check_target_port(const struct fence_field *field, struct fence_err *err)
{
    uint16_t unused;

    if (!field->doc)
        return 0;
    if (field->doc->type == FENCE_DOC_NUMBER)
        return fence_decode_port_number(field, &unused, err);
    if (field->doc->type != FENCE_DOC_STRING || !fence_name_is_port(field->doc->text))
        return fence_field_refuse(
            field, err,
            "must be a port (1 to 65535) or the name of one: 1 to 15 lower "
            "case letters, digits and single '-' between them, with a letter");
    return 0;
}

static int add_port(const struct fence_field *field, struct fence_service *service,
                    struct fence_err *err)
{
    struct fence_field name = fence_field_get(field, "name");
    struct fence_field protocol = fence_field_get(field, "protocol");
    struct fence_field number = fence_field_get(field, "port");
    struct fence_field target = fence_field_get(field, "targetPort");
    struct fence_field node_port = fence_field_get(field, "nodePort");
    struct fence_service_port *port;
    unsigned int chosen = 0;
    int r = fence_field_expect(field, FENCE_DOC_MAP, err);

    if (r == 0 && FENCE_GROW(service->ports, service->port_capacity, service->port_count) < 0)
        r = no_memory(err);
    if (r < 0)
        return r;
    port = &service->ports[service->port_count++];
    *port = (struct fence_service_port){0};
    r = fence_decode_port_label(&name, &port->name, err);
    if (r == 0)
        r = fence_decode_protocol(&protocol, false, &chosen, err);
    if (r == 0)
        r = fence_decode_port_number(&number, &port->port, err);
    if (r == 0)
        r = check_target_port(&target, err);
    port->protocol = (uint8_t)chosen;
    return r < 0 ? r : fence_decode_optional_port(&node_port, &port->node_port, err);
}

/* ---- addresses ------------------------------------------------------------------------------ */

/* Multicast and broadcast: nothing is translated to a backend there. */
static bool is_of_many(const struct fence_field *item)
{
    struct fence_addr addr;

    if (item->doc->type != FENCE_DOC_STRING || fence_addr_parse(item->doc->text, &addr) < 0)
        return false;
    if (!fence_addr_is_ipv4(&addr))
        return addr.bytes[0] == 0xff;
    return addr.bytes[12] >> 4 == 14 || addr.words[3] == 0xffffffffu;
}

static int add_listed(const struct fence_field *list, struct fence_service *service,
                      struct fence_err *err)
{
    int r = fence_field_allow(list, FENCE_DOC_LIST, err);

    for (size_t i = 0; r == 0 && i < fence_field_count(list); i++) {
        struct fence_field item = fence_field_item(list, i);

        if (!is_of_many(&item))
            r = fence_decode_address_into(&item, WHAT, &service->addrs, err);
    }
    return r;
}

/* "None" stands for headless, "" for not given yet. */
static int add_cluster_ip(const struct fence_field *field, struct fence_service *service,
                          bool *headless, struct fence_err *err)
{
    const char *text = "";
    int r = fence_field_string(field, &text, err);

    if (r == 0 && strcmp(text, "None") == 0)
        *headless = true;
    else if (r == 0 && *text)
        r = fence_decode_address_into(field, WHAT, &service->addrs, err);
    return r;
}

static int add_cluster_ips(const struct fence_field *spec, struct fence_service *service,
                           bool *headless, struct fence_err *err)
{
    struct fence_field list = fence_field_get(spec, "clusterIPs");
    struct fence_field single = fence_field_get(spec, "clusterIP");
    int r = fence_field_allow(&list, FENCE_DOC_LIST, err);

    for (size_t i = 0; r == 0 && i < fence_field_count(&list); i++) {
        struct fence_field item = fence_field_item(&list, i);

        r = fence_field_expect(&item, FENCE_DOC_STRING, err);
        if (r == 0)
            r = add_cluster_ip(&item, service, headless, err);
    }
    if (r == 0 && fence_field_count(&list) == 0)
        r = add_cluster_ip(&single, service, headless, err);
    return r;
}

/* One that has a name only is none of ours, and in mode Proxy the balancer itself has it. */
static int add_ingress(const struct fence_field *field, struct fence_service *service,
                       struct fence_err *err)
{
    struct fence_field ip = fence_field_get(field, "ip");
    struct fence_field mode = fence_field_get(field, "ipMode");
    const char *text = "", *mode_text = "";
    int r = fence_field_expect(field, FENCE_DOC_MAP, err);

    if (r == 0)
        r = fence_field_string(&ip, &text, err);
    if (r == 0)
        r = fence_field_string(&mode, &mode_text, err);
    if (r < 0 || !*text || strcmp(mode_text, "Proxy") == 0)
        return r;
    return fence_decode_address_into(&ip, WHAT, &service->addrs, err);
}

static int add_balanced(const struct fence_field *root, struct fence_service *service,
                        struct fence_err *err)
{
    struct fence_field status = fence_field_get(root, "status");
    struct fence_field balancer = fence_field_get(&status, "loadBalancer");
    struct fence_field list = fence_field_get(&balancer, "ingress");
    int r = fence_field_allow(&status, FENCE_DOC_MAP, err);

    if (r == 0)
        r = fence_field_allow(&balancer, FENCE_DOC_MAP, err);
    if (r == 0)
        r = fence_field_allow(&list, FENCE_DOC_LIST, err);
    for (size_t i = 0; r == 0 && i < fence_field_count(&list); i++) {
        struct fence_field item = fence_field_item(&list, i);

        r = add_ingress(&item, service, err);
    }
    return r;
}

/* ---- the whole ------------------------------------------------------------------------------ */

static int check_choices(const struct fence_field *spec, bool *ret_external, struct fence_err *err)
{
    static const char *const types[] = {"ClusterIP", "NodePort", "LoadBalancer", "ExternalName",
                                        NULL};
    static const char *const policies[] = {"Cluster", "Local", NULL};
    static const char *const keys[] = {"externalTrafficPolicy", "internalTrafficPolicy"};
    struct fence_field type = fence_field_get(spec, "type");
    struct fence_field selector = fence_field_get(spec, "selector");
    unsigned int choice = 0;
    int r = type.doc ? fence_field_choice(&type, types, &choice, err) : 0;

    *ret_external = choice == 3;
    for (size_t i = 0; r == 0 && i < FENCE_ARRAY_SIZE(keys); i++) {
        struct fence_field policy = fence_field_get(spec, keys[i]);

        if (policy.doc)
            r = fence_field_choice(&policy, policies, &choice, err);
    }
    return r < 0 ? r : fence_field_allow(&selector, FENCE_DOC_MAP, err);
}

static int decode_ports(const struct fence_field *spec, struct fence_service *service,
                        struct fence_err *err)
{
    struct fence_field list = fence_field_get(spec, "ports");
    int r = fence_field_allow(&list, FENCE_DOC_LIST, err);

    for (size_t i = 0; r == 0 && i < fence_field_count(&list); i++) {
        struct fence_field item = fence_field_item(&list, i);

        r = add_port(&item, service, err);
    }
    return r;
}

/* It has no address, so none of its ports is reached by one. */
static void disown(struct fence_service *service)
{
    for (size_t i = 0; i < service->port_count; i++)
        fence_shared_string_unref(&service->ports[i].name);
    service->port_count = 0;
    service->addrs.count = 0;
    service->cluster_count = 0;
}

int fence_decode_service(const struct fence_field *field, struct fence_object *object,
                         struct fence_err *err)
{
    struct fence_service *service = &object->service;
    struct fence_field spec = fence_field_get(field, "spec");
    struct fence_field external = fence_field_get(&spec, "externalIPs");
    bool external_name = false, headless = false;
    int r = fence_field_allow(&spec, FENCE_DOC_MAP, err);

    if (r == 0)
        r = check_choices(&spec, &external_name, err);
    if (r == 0)
        r = decode_ports(&spec, service, err);
    if (r == 0)
        r = add_cluster_ips(&spec, service, &headless, err);
    service->cluster_count = (uint32_t)service->addrs.count;
    if (r == 0)
        r = add_listed(&external, service, err);
    if (r == 0)
        r = add_balanced(field, service, err);
    if (r == 0 && (headless || external_name))
        disown(service);
    return r;
}

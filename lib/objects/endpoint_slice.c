/* SPDX-License-Identifier: Apache-2.0 */
/* EndpointSlice, discovery.k8s.io/v1: where the ports of one service lead. */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/shared.h"
#include "lib/objects/decoders.h"

static int no_memory(struct fence_err *err)
{
    return fence_err_set(err, -ENOMEM, "out of memory");
}

/* In the order of `types` in fence_decode_endpoint_slice. */
enum address_type {
    TYPE_IPV4,
    TYPE_IPV6,
    TYPE_FQDN, /* names: nothing that a packet shows */
};

/* ---- endpoints ------------------------------------------------------------------------------ */

/* What is not said is ready and does not end; one that ends counts while it serves. */
static int takes_connections(const struct fence_field *endpoint, bool *ret_takes,
                             struct fence_err *err)
{
    struct fence_field conditions = fence_field_get(endpoint, "conditions");
    struct fence_field ready = fence_field_get(&conditions, "ready");
    struct fence_field serving = fence_field_get(&conditions, "serving");
    struct fence_field terminating = fence_field_get(&conditions, "terminating");
    bool is_ready = true, is_serving, ends = false;
    int r = fence_field_allow(&conditions, FENCE_DOC_MAP, err);

    if (r == 0)
        r = fence_field_bool(&ready, &is_ready, err);
    is_serving = is_ready;
    if (r == 0)
        r = fence_field_bool(&serving, &is_serving, err);
    if (r == 0)
        r = fence_field_bool(&terminating, &ends, err);
    *ret_takes = is_ready || (is_serving && ends);
    return r;
}

static int decode_address(const struct fence_field *field, enum address_type type,
                          struct fence_addr_list *addrs, struct fence_err *err)
{
    struct fence_addr addr;
    int r = fence_field_expect(field, FENCE_DOC_STRING, err);

    if (r < 0 || type == TYPE_FQDN)
        return r;
    r = fence_decode_address(field, "a backend", &addr, err);
    if (r == 0 && fence_addr_is_ipv4(&addr) != (type == TYPE_IPV4))
        return fence_field_refuse(field, err, "%.80s is not of the slice's addressType",
                                  field->doc->text);
    return r < 0 ? r : fence_decode_address_into(field, "a backend", addrs, err);
}

static int add_endpoint(const struct fence_field *field, enum address_type type,
                        struct fence_endpoint_slice *slice, struct fence_err *err)
{
    struct fence_field addresses = fence_field_get(field, "addresses");
    struct fence_addr_list unused = {0};
    bool takes = false;
    int r = fence_field_expect(field, FENCE_DOC_MAP, err);

    if (r == 0)
        r = takes_connections(field, &takes, err);
    if (r == 0)
        r = fence_field_expect(&addresses, FENCE_DOC_LIST, err);
    for (size_t i = 0; r == 0 && i < fence_field_count(&addresses); i++) {
        struct fence_field item = fence_field_item(&addresses, i);

        r = decode_address(&item, type, takes ? &slice->addrs : &unused, err);
    }
    free(unused.items);
    return r;
}

/* ---- ports ---------------------------------------------------------------------------------- */

/* Without a number it stands for all ports: that is for those who look up pods, not for services.
 */
static int add_port(const struct fence_field *field, struct fence_endpoint_slice *slice,
                    struct fence_err *err)
{
    struct fence_field name = fence_field_get(field, "name");
    struct fence_field protocol = fence_field_get(field, "protocol");
    struct fence_field number = fence_field_get(field, "port");
    struct fence_endpoint_slice_port *port;
    unsigned int chosen = 0;
    int r = fence_field_expect(field, FENCE_DOC_MAP, err);

    if (r == 0 && FENCE_GROW(slice->ports, slice->port_capacity, slice->port_count) < 0)
        r = no_memory(err);
    if (r < 0)
        return r;
    port = &slice->ports[slice->port_count++];
    *port = (struct fence_endpoint_slice_port){0};
    r = fence_decode_port_label(&name, &port->name, err);
    if (r == 0)
        r = fence_decode_protocol(&protocol, false, &chosen, err);
    if (r == 0 && number.doc)
        r = fence_decode_port_number(&number, &port->port, err);
    port->protocol = (uint8_t)chosen;
    if (r == 0 && !number.doc)
        fence_shared_string_unref(&slice->ports[--slice->port_count].name);
    return r;
}

static int decode_lists(const struct fence_field *root, enum address_type type,
                        struct fence_endpoint_slice *slice, struct fence_err *err)
{
    struct fence_field endpoints = fence_field_get(root, "endpoints");
    struct fence_field ports = fence_field_get(root, "ports");
    int r = fence_field_allow(&ports, FENCE_DOC_LIST, err);

    for (size_t i = 0; r == 0 && i < fence_field_count(&ports); i++) {
        struct fence_field item = fence_field_item(&ports, i);

        r = add_port(&item, slice, err);
    }
    if (r == 0)
        r = fence_field_allow(&endpoints, FENCE_DOC_LIST, err);
    for (size_t i = 0; r == 0 && i < fence_field_count(&endpoints); i++) {
        struct fence_field item = fence_field_item(&endpoints, i);

        r = add_endpoint(&item, type, slice, err);
    }
    return r;
}

int fence_decode_endpoint_slice(const struct fence_field *field, struct fence_object *object,
                                struct fence_err *err)
{
    static const char *const types[] = {"IPv4", "IPv6", "FQDN", NULL};
    struct fence_field metadata = fence_field_get(field, "metadata");
    struct fence_field labels = fence_field_get(&metadata, "labels");
    struct fence_field service = fence_field_get(&labels, "kubernetes.io/service-name");
    struct fence_field type = fence_field_get(field, "addressType");
    unsigned int choice = 0;
    const char *text = "";
    int r = fence_field_string(&service, &text, err);

    if (r == 0)
        r = fence_field_choice(&type, types, &choice, err);
    if (r < 0)
        return r;
    object->slice.service = fence_shared_string(text);
    if (!object->slice.service)
        return no_memory(err);
    return decode_lists(field, choice, &object->slice, err);
}

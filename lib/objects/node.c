/* SPDX-License-Identifier: Apache-2.0 */
/* Node and Namespace, v1. */
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/shared.h"
#include "lib/objects/decoders.h"

#define NAMESPACE_NAME_LABEL "kubernetes.io/metadata.name"

static int no_memory(struct fence_err *err)
{
    return fence_err_set(err, -ENOMEM, "out of memory");
}

/* Names are addresses of a node too; only those of an address type that parse count. */
static int add_address(const struct fence_field *field, struct fence_node *node,
                       struct fence_err *err)
{
    struct fence_field type = fence_field_get(field, "type");
    struct fence_field address = fence_field_get(field, "address");
    const char *type_text = "", *text = "";
    struct fence_addr addr;
    int r = fence_field_expect(field, FENCE_DOC_MAP, err);

    if (r == 0)
        r = fence_field_string(&type, &type_text, err);
    if (r == 0)
        r = fence_field_string(&address, &text, err);
    if (r < 0 || (strcmp(type_text, "InternalIP") != 0 && strcmp(type_text, "ExternalIP") != 0))
        return r;
    if (fence_addr_parse(text, &addr) < 0) {
        fence_field_warn(&address, "\"%.80s\" is not an IP address, left out", text);
        return 0;
    }
    if (FENCE_GROW(node->addrs, node->addr_capacity, node->addr_count) < 0)
        return no_memory(err);
    node->addrs[node->addr_count++] = addr;
    return 0;
}

int fence_decode_pod_prefix(const struct fence_field *field, struct fence_node *node,
                            struct fence_err *err)
{
    struct fence_prefix prefix;
    int r = fence_decode_prefix(field, &prefix, err);

    if (r < 0)
        return r;
    if (FENCE_GROW(node->pod_prefixes, node->pod_prefix_capacity, node->pod_prefix_count) < 0)
        return no_memory(err);
    node->pod_prefixes[node->pod_prefix_count++] = prefix;
    return 0;
}

static int decode_pod_prefixes(const struct fence_field *spec, struct fence_node *node,
                               struct fence_err *err)
{
    struct fence_field list = fence_field_get(spec, "podCIDRs");
    struct fence_field single = fence_field_get(spec, "podCIDR");
    const char *text = "";
    int r = fence_field_allow(&list, FENCE_DOC_LIST, err);

    for (size_t i = 0; r == 0 && i < fence_field_count(&list); i++) {
        struct fence_field item = fence_field_item(&list, i);

        r = fence_decode_pod_prefix(&item, node, err);
    }
    if (r == 0 && fence_field_count(&list) == 0)
        r = fence_field_string(&single, &text, err);
    return r == 0 && *text ? fence_decode_pod_prefix(&single, node, err) : r;
}

int fence_decode_node(const struct fence_field *field, struct fence_object *object,
                      struct fence_err *err)
{
    struct fence_node *node = &object->node;
    struct fence_field metadata = fence_field_get(field, "metadata");
    struct fence_field labels = fence_field_get(&metadata, "labels");
    struct fence_field spec = fence_field_get(field, "spec");
    struct fence_field status = fence_field_get(field, "status");
    struct fence_field addresses = fence_field_get(&status, "addresses");
    int r = fence_field_shared_labels(&labels, &node->labels, err);

    if (r == 0)
        r = fence_field_allow(&spec, FENCE_DOC_MAP, err);
    if (r == 0)
        r = decode_pod_prefixes(&spec, node, err);
    if (r == 0)
        r = fence_field_allow(&status, FENCE_DOC_MAP, err);
    if (r == 0)
        r = fence_field_allow(&addresses, FENCE_DOC_LIST, err);
    for (size_t i = 0; r == 0 && i < fence_field_count(&addresses); i++) {
        struct fence_field item = fence_field_item(&addresses, i);

        r = add_address(&item, node, err);
    }
    return r;
}

int fence_decode_namespace(const struct fence_field *field, struct fence_object *object,
                           struct fence_err *err)
{
    struct fence_field metadata = fence_field_get(field, "metadata");
    struct fence_field labels = fence_field_get(&metadata, "labels");
    struct fence_field own = fence_field_get(&labels, NAMESPACE_NAME_LABEL);
    FENCE_CLEANUP(fence_labels_done) struct fence_labels own_labels = {0};
    int r = fence_field_labels(&labels, &own_labels, err);

    if (r < 0)
        return r;
    /* policies rely on it to tell namespaces apart, so nobody may set it to another name */
    if (own.doc && strcmp(own.doc->text, object->name) != 0)
        fence_field_warn(&own, "is always the name of the namespace, read as %s", object->name);
    if (fence_labels_set(&own_labels, NAMESPACE_NAME_LABEL, object->name) < 0)
        return no_memory(err);
    object->namespace_labels = fence_shared_labels(&own_labels);
    return object->namespace_labels ? 0 : no_memory(err);
}

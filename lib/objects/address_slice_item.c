/* SPDX-License-Identifier: Apache-2.0 */
/* One pod or one node of an AddressSlice. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/memory.h"
#include "lib/base/shared.h"
#include "lib/objects/address_slice.h"
#include "lib/objects/decode_internal.h"

/* Of one of them: they are compared with each other. */
#define ADDRS_MAX 64u

static int no_memory(struct fence_err *err)
{
    return fence_err_set(err, -ENOMEM, "out of memory");
}

const char *fence_slice_text(const struct fence_doc *doc, const char *key)
{
    const struct fence_doc *member = fence_doc_get(doc, key);

    return member && member->type == FENCE_DOC_STRING ? member->text : "";
}

/* ---- pods ----------------------------------------------------------------------------------- */

static int name_object(struct fence_object *object, const struct fence_field *name,
                       const char *namespace_name, struct fence_err *err)
{
    int r = fence_object_check_name(name, object->kind, err);

    if (r < 0)
        return r;
    object->name = strdup(name->doc->text);
    object->namespace_name = fence_shared_string(namespace_name);
    return object->name && object->namespace_name ? 0 : no_memory(err);
}

int fence_slice_check_list(const struct fence_field *list, size_t most, struct fence_err *err)
{
    int r = fence_field_allow(list, FENCE_DOC_LIST, err);

    if (r == 0 && fence_field_count(list) > most)
        return fence_field_refuse(list, err, "has more than %zu elements", most);
    return r;
}

static int decode_pod_addresses(const struct fence_field *list, struct fence_pod *pod,
                                struct fence_err *err)
{
    int r = fence_slice_check_list(list, ADDRS_MAX, err);

    for (size_t i = 0; r == 0 && i < fence_field_count(list); i++) {
        struct fence_field item = fence_field_item(list, i);

        r = fence_field_expect(&item, FENCE_DOC_STRING, err);
        if (r == 0)
            r = fence_decode_pod_address(&item, pod, err);
    }
    return r;
}

int fence_slice_decode_ports(const struct fence_field *field, struct fence_port_list *list,
                             struct fence_err *err)
{
    int r = fence_field_allow(field, FENCE_DOC_LIST, err);

    for (size_t i = 0; r == 0 && i < fence_field_count(field); i++) {
        struct fence_field port = fence_field_item(field, i);

        r = fence_decode_pod_port(&port, "port", list, err);
    }
    return r;
}

static int decode_host_ports(const struct fence_field *field, struct fence_pod *pod,
                             struct fence_err *err)
{
    FENCE_CLEANUP(fence_port_list_done) struct fence_port_list list = {0};
    int r = fence_slice_decode_ports(field, &list, err);

    pod->host_ports = TAKE_PTR(list.host_items);
    pod->host_port_count = (uint16_t)list.host_count;
    return r;
}

static int take_from_group(const struct fence_slice_group *group, struct fence_pod *pod,
                           struct fence_err *err)
{
    pod->labels = fence_shared_labels_ref(group->labels);
    pod->owner = fence_shared_string_ref(group->owner);
    pod->ports = fence_ports_ref(group->ports);
    pod->container_id = fence_shared_string("");
    return pod->container_id ? 0 : no_memory(err);
}

static int decode_pod(const struct fence_field *field, const struct fence_slice_group *group,
                      struct fence_object *object, struct fence_err *err)
{
    struct fence_pod *pod = &object->pod;
    struct fence_field name = fence_field_get(field, "name");
    struct fence_field uid = fence_field_get(field, "uid");
    struct fence_field node = fence_field_get(field, "node");
    struct fence_field host_network = fence_field_get(field, "hostNetwork");
    struct fence_field ips = fence_field_get(field, "ips");
    struct fence_field host_ports = fence_field_get(field, "hostPorts");
    const char *uid_text = "";
    int r = name_object(object, &name, group->namespace_name, err);

    if (r == 0)
        r = take_from_group(group, pod, err);
    if (r == 0)
        r = fence_field_string(&uid, &uid_text, err);
    if (r == 0)
        r = fence_decode_shared_string(&node, &pod->node, err);
    if (r == 0)
        r = fence_field_bool(&host_network, &pod->host_network, err);
    pod->uid = *uid_text ? fence_hash_text(uid_text) : 0;
    if (r == 0)
        r = decode_host_ports(&host_ports, pod, err);
    return r < 0 ? r : decode_pod_addresses(&ips, pod, err);
}

/* ---- nodes ---------------------------------------------------------------------------------- */

static int add_node_address(const struct fence_field *field, struct fence_node *node,
                            struct fence_err *err)
{
    struct fence_addr addr;
    int r = fence_field_expect(field, FENCE_DOC_STRING, err);

    if (r < 0)
        return r;
    if (fence_addr_parse(field->doc->text, &addr) < 0) {
        fence_field_warn(field, "\"%.80s\" is not an IP address, left out", field->doc->text);
        return 0;
    }
    if (FENCE_GROW(node->addrs, node->addr_capacity, node->addr_count) < 0)
        return no_memory(err);
    node->addrs[node->addr_count++] = addr;
    return 0;
}

static int decode_node(const struct fence_field *field, const struct fence_slice_group *group,
                       struct fence_object *object, struct fence_err *err)
{
    struct fence_node *node = &object->node;
    struct fence_field name = fence_field_get(field, "name");
    struct fence_field labels = fence_field_get(field, "labels");
    struct fence_field ips = fence_field_get(field, "ips");
    struct fence_field prefixes = fence_field_get(field, "podCIDRs");
    int r = name_object(object, &name, "", err);

    (void)group;
    if (r == 0)
        r = fence_field_shared_labels(&labels, &node->labels, err);
    if (r == 0)
        r = fence_slice_check_list(&ips, ADDRS_MAX, err);
    for (size_t i = 0; r == 0 && i < fence_field_count(&ips); i++) {
        struct fence_field item = fence_field_item(&ips, i);

        r = add_node_address(&item, node, err);
    }
    if (r == 0)
        r = fence_slice_check_list(&prefixes, ADDRS_MAX, err);
    for (size_t i = 0; r == 0 && i < fence_field_count(&prefixes); i++) {
        struct fence_field item = fence_field_item(&prefixes, i);

        r = fence_decode_pod_prefix(&item, node, err);
    }
    return r;
}

/* ---- one of either -------------------------------------------------------------------------- */

/*
 * What an object is known by, in place of a canonical text: equal hash, equal object. What is
 * shared is one pointer while it lives, and objects are compared that both live.
 */
struct summary {
    const void *shared[5];
    __u64 name;
    __u64 uid;
    __u64 addrs;
    __u64 more; /* ports of the host, ranges */
    __u64 host_network;
};

static __u64 hash(const void *data, size_t size)
{
    return fence_hash_own(data, size).words[0];
}

/* Each member alone: between those of a struct there may be bytes that nobody set. */
static __u64 hash_host_ports(const struct fence_pod *pod)
{
    __u64 sum = 0;

    for (size_t i = 0; i < pod->host_port_count; i++) {
        const struct fence_host_port *port = &pod->host_ports[i];
        const __u64 words[] = {sum, hash(&port->addr, sizeof(port->addr)), port->any,
                               (__u64)port->protocol << 32 | (__u64)port->port << 16 |
                                   port->target};

        sum = hash(words, sizeof(words));
    }
    return sum;
}

static __u64 hash_prefixes(const struct fence_node *node)
{
    __u64 sum = 0;

    for (size_t i = 0; i < node->pod_prefix_count; i++) {
        const struct fence_prefix *prefix = &node->pod_prefixes[i];
        const __u64 words[] = {sum, hash(&prefix->addr, sizeof(prefix->addr)), prefix->length};

        sum = hash(words, sizeof(words));
    }
    return sum;
}

static __u64 hash_pod(const struct fence_object *object)
{
    const struct fence_pod *pod = &object->pod;
    const struct summary summary = {
        .shared = {object->namespace_name, pod->labels, pod->owner, pod->ports, pod->node},
        .name = fence_hash_text(object->name),
        .uid = pod->uid,
        .addrs = hash(pod->addrs, pod->addr_count * sizeof(*pod->addrs)),
        .more = hash_host_ports(pod),
        .host_network = pod->host_network,
    };

    return hash(&summary, sizeof(summary));
}

static __u64 hash_node(const struct fence_object *object)
{
    const struct fence_node *node = &object->node;
    const struct summary summary = {
        .shared = {node->labels},
        .name = fence_hash_text(object->name),
        .addrs = hash(node->addrs, node->addr_count * sizeof(*node->addrs)),
        .more = hash_prefixes(node),
    };

    return hash(&summary, sizeof(summary));
}

static const struct item_kind {
    enum fence_kind kind;
    int (*decode)(const struct fence_field *field, const struct fence_slice_group *group,
                  struct fence_object *object, struct fence_err *err);
    __u64 (*hash)(const struct fence_object *object);
} pod_kind = {FENCE_OBJECT_POD, decode_pod, hash_pod},
  node_kind = {FENCE_OBJECT_NODE, decode_node, hash_node};

static int decode_item(const struct item_kind *kind, const struct fence_slice_group *group,
                       const struct fence_field *field, struct fence_decoded *decoded,
                       struct fence_err *err)
{
    struct fence_warnings warnings = {0};
    struct fence_field item = *field;
    struct fence_object *object = calloc(1, sizeof(*object));
    int r;

    if (!object)
        return no_memory(err);
    item.warnings = &warnings;
    object->kind = kind->kind;
    r = kind->decode(&item, group, object, err);
    if (r == 0 && fence_object_pack(&object) < 0)
        r = no_memory(err);
    if (r < 0) {
        free(warnings.text);
        fence_object_free(&object);
        return r;
    }
    decoded->text = kind->hash(object);
    decoded->object = object;
    decoded->warning = warnings.text;
    return 0;
}

/* By its name, as far as that can be read: else it may be any. */
static int refuse_item(const struct item_kind *kind, const struct fence_slice_group *group,
                       const struct fence_doc *doc, const struct fence_err *reason,
                       struct fence_decoded *decoded)
{
    const char *name = fence_slice_text(doc, "name");
    const char *namespace_name = group && group->namespace_name ? group->namespace_name : "";
    bool readable = fence_name_is_subdomain(name) && (!group || *namespace_name);

    decoded->refused = readable ? FENCE_REFUSED_ONE : FENCE_REFUSED_ANYONE;
    decoded->error = strdup(reason->text);
    if (asprintf(&decoded->id, "%s/%s%s%.253s", fence_kind_name(kind->kind), namespace_name,
                 *namespace_name ? "/" : "", *name ? name : "?") < 0)
        decoded->id = NULL;
    return decoded->id && decoded->error ? 0 : -ENOMEM;
}

static int take_item(struct fence_decoded_list *list, const struct item_kind *kind,
                     const struct fence_slice_group *group, const struct fence_field *field)
{
    struct fence_decoded *decoded;
    struct fence_err reason = {""};
    int r = -EINVAL;

    if (FENCE_GROW(list->items, list->capacity, list->count) < 0)
        return -ENOMEM;
    decoded = &list->items[list->count++];
    *decoded = (struct fence_decoded){0};
    if (group && group->refused)
        reason = group->reason;
    else
        r = decode_item(kind, group, field, decoded, &reason);
    if (r == 0 || r == -ENOMEM)
        return r;
    return refuse_item(kind, group, field->doc, &reason, decoded);
}

int fence_slice_take_pod(const struct fence_field *field, const struct fence_slice_group *group,
                         struct fence_decoded_list *list)
{
    return take_item(list, &pod_kind, group, field);
}

int fence_slice_take_node(const struct fence_field *field, struct fence_decoded_list *list)
{
    return take_item(list, &node_kind, NULL, field);
}

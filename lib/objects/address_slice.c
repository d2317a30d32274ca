/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AddressSlice, podfence.io/v1alpha1 (README, "Address slices"): what policies need of many pods
 * and nodes. Each of them is judged by itself, as if it had come alone; a slice in which it cannot
 * be said which ones there are is refused as a whole.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/shared.h"
#include "lib/objects/address_slice.h"
#include "lib/objects/decode_internal.h"

#define API_VERSION "podfence.io/v1alpha1"
#define KIND        "AddressSlice"

/* What a slice may cost. Writers stay far below. */
#define BYTES_MAX (1u << 20)
#define ITEMS_MAX 1000u /* pods, and nodes */

static const char *const read_of_slice[] = {"apiVersion",
                                            "kind",
                                            "metadata.name",
                                            "complete",
                                            "groups.namespace",
                                            "groups.labels",
                                            "groups.owner",
                                            "groups.ports.name",
                                            "groups.ports.port",
                                            "groups.ports.protocol",
                                            "groups.pods.name",
                                            "groups.pods.uid",
                                            "groups.pods.node",
                                            "groups.pods.ips",
                                            "groups.pods.hostNetwork",
                                            "groups.pods.hostPorts.hostPort",
                                            "groups.pods.hostPorts.hostIP",
                                            "groups.pods.hostPorts.port",
                                            "groups.pods.hostPorts.protocol",
                                            "nodes.name",
                                            "nodes.labels",
                                            "nodes.ips",
                                            "nodes.podCIDRs",
                                            NULL};

struct slice {
    const char *own_node; /* "" = none */
    struct fence_decoded_list list;
    size_t pods;
    size_t nodes;
};

static int no_memory(struct fence_err *err)
{
    return fence_err_set(err, -ENOMEM, "out of memory");
}

static void group_done(struct fence_slice_group *group)
{
    fence_shared_string_unref(&group->namespace_name);
    fence_shared_labels_unref(&group->labels);
    fence_shared_string_unref(&group->owner);
    fence_ports_unref(&group->ports);
}

/* Its own daemon has it at first hand. */
static bool is_own(const struct slice *slice, const struct fence_field *field, const char *key)
{
    return *slice->own_node && strcmp(fence_slice_text(field->doc, key), slice->own_node) == 0;
}

static int count_items(const struct fence_field *list, size_t *count, struct fence_err *err)
{
    int r = fence_field_allow(list, FENCE_DOC_LIST, err);

    *count += fence_field_count(list);
    if (r == 0 && *count > ITEMS_MAX)
        return fence_field_refuse(list, err, "more than %u of them in one slice", ITEMS_MAX);
    return r;
}

static int decode_common(const struct fence_field *field, struct fence_slice_group *group,
                         struct fence_err *err)
{
    FENCE_CLEANUP(fence_port_list_done) struct fence_port_list list = {0};
    struct fence_field labels = fence_field_get(field, "labels");
    struct fence_field owner = fence_field_get(field, "owner");
    struct fence_field ports = fence_field_get(field, "ports");
    int r = fence_field_shared_labels(&labels, &group->labels, err);

    if (r == 0)
        r = fence_decode_shared_string(&owner, &group->owner, err);
    if (r == 0)
        r = fence_slice_decode_ports(&ports, &list, err);
    if (r < 0)
        return r;
    group->ports = fence_ports_shared(list.items, list.count);
    return group->ports ? 0 : no_memory(err);
}

static int decode_namespace(const struct fence_field *field, struct fence_slice_group *group,
                            struct fence_err *err)
{
    struct fence_field name = fence_field_get(field, "namespace");
    int r = fence_field_expect(&name, FENCE_DOC_STRING, err);

    if (r == 0 && !*name.doc->text)
        r = fence_field_refuse(&name, err, "is missing");
    if (r == 0)
        r = fence_object_check_namespace(&name, FENCE_OBJECT_POD, err);
    if (r < 0)
        return r;
    group->namespace_name = fence_shared_string(name.doc->text);
    return group->namespace_name ? 0 : no_memory(err);
}

/* What is wrong with it is so for each of its pods. */
static int decode_group(struct slice *slice, const struct fence_field *field, struct fence_err *err)
{
    FENCE_CLEANUP(group_done) struct fence_slice_group group = {0};
    struct fence_field pods = fence_field_get(field, "pods");
    int r = fence_field_expect(field, FENCE_DOC_MAP, err);

    if (r == 0)
        r = count_items(&pods, &slice->pods, err);
    if (r < 0)
        return r;
    r = decode_namespace(field, &group, &group.reason);
    if (r == 0)
        r = decode_common(field, &group, &group.reason);
    group.refused = r < 0;
    if (r == -ENOMEM)
        return no_memory(err);
    for (size_t i = 0; i < fence_field_count(&pods); i++) {
        struct fence_field pod = fence_field_item(&pods, i);

        if (!is_own(slice, &pod, "node") && fence_slice_take_pod(&pod, &group, &slice->list) < 0)
            return no_memory(err);
    }
    return 0;
}

static int decode_groups(struct slice *slice, const struct fence_field *root, struct fence_err *err)
{
    struct fence_field groups = fence_field_get(root, "groups");
    int r = fence_slice_check_list(&groups, ITEMS_MAX, err);

    for (size_t i = 0; r == 0 && i < fence_field_count(&groups); i++) {
        struct fence_field group = fence_field_item(&groups, i);

        r = decode_group(slice, &group, err);
    }
    return r;
}

static int decode_nodes(struct slice *slice, const struct fence_field *root, struct fence_err *err)
{
    struct fence_field nodes = fence_field_get(root, "nodes");
    int r = count_items(&nodes, &slice->nodes, err);

    for (size_t i = 0; r == 0 && i < fence_field_count(&nodes); i++) {
        struct fence_field node = fence_field_item(&nodes, i);

        if (!is_own(slice, &node, "name") && fence_slice_take_node(&node, &slice->list) < 0)
            r = no_memory(err);
    }
    return r;
}

static int decode_slice(const struct fence_doc *doc, struct slice *slice, bool *ret_complete,
                        struct fence_err *err)
{
    /* custom resources know no null that stands for nothing */
    struct fence_field root = {.doc = doc, .null_is_value = true};
    struct fence_field complete = fence_field_get(&root, "complete");
    int r = fence_field_bool(&complete, ret_complete, err);

    if (r == 0)
        r = decode_groups(slice, &root, err);
    if (r == 0)
        r = decode_nodes(slice, &root, err);
    if (r < 0)
        fence_decoded_list_done(&slice->list);
    return r;
}

/* ---- from outside --------------------------------------------------------------------------- */

void fence_address_slice_done(struct fence_address_slice *slice)
{
    free(slice->name);
    fence_decoded_list_done(&slice->list);
    *slice = (struct fence_address_slice){0};
}

static int read_slice(const struct fence_json *json, const char *const *read,
                      struct fence_doc **ret_doc, struct fence_err *err)
{
    FENCE_CLEANUP(fence_doc_free) struct fence_doc *doc = NULL;
    const char *name;
    int r = fence_doc_parse_json(json, read, &doc, err);

    if (r == 0)
        r = fence_reader_check(doc, API_VERSION, KIND, err);
    if (r < 0)
        return r;
    name = fence_slice_text(fence_doc_get(doc, "metadata"), "name");
    if (!fence_name_is_subdomain(name))
        return fence_err_set(err, -EINVAL, "metadata.name: \"%.80s\" is not a DNS subdomain", name);
    *ret_doc = TAKE_PTR(doc);
    return 0;
}

static int take_name(const struct fence_doc *doc, struct fence_address_slice *slice,
                     struct fence_err *err)
{
    slice->name = strdup(fence_slice_text(fence_doc_get(doc, "metadata"), "name"));
    return slice->name ? 0 : no_memory(err);
}

int fence_decode_address_slice_name(const struct fence_json *json,
                                    struct fence_address_slice *ret_slice, struct fence_err *err)
{
    FENCE_CLEANUP(fence_doc_free) struct fence_doc *doc = NULL;
    struct fence_address_slice slice = {0};
    int r = read_slice(json, fence_reader_name_paths, &doc, err);

    if (r == 0)
        r = take_name(doc, &slice, err);
    if (r == 0)
        *ret_slice = slice;
    return r;
}

/* All that it had before may still be there. */
static int refuse_slice(const struct fence_json *json, const struct fence_err *reason,
                        struct fence_address_slice *ret_slice)
{
    FENCE_CLEANUP(fence_address_slice_done) struct fence_address_slice slice = {0};
    struct fence_decoded *decoded;
    int r = fence_decode_address_slice_name(json, &slice, NULL);

    if (r < 0)
        return r;
    if (FENCE_GROW(slice.list.items, slice.list.capacity, slice.list.count) < 0)
        return -ENOMEM;
    decoded = &slice.list.items[slice.list.count++];
    *decoded =
        (struct fence_decoded){.refused = FENCE_REFUSED_ANYONE, .error = strdup(reason->text)};
    if (asprintf(&decoded->id, KIND "/%s", slice.name) < 0)
        decoded->id = NULL;
    if (!decoded->id || !decoded->error)
        return -ENOMEM;
    *ret_slice = slice;
    slice = (struct fence_address_slice){0};
    return 0;
}

int fence_decode_address_slice(const struct fence_json *json, const char *own_node,
                               struct fence_address_slice *ret_slice, struct fence_err *err)
{
    FENCE_CLEANUP(fence_address_slice_done) struct fence_address_slice result = {0};
    FENCE_CLEANUP(fence_doc_free) struct fence_doc *doc = NULL;
    struct slice slice = {.own_node = own_node};
    struct fence_err reason = {""};
    int r = 0;

    if (json->size > BYTES_MAX)
        r = fence_err_set(&reason, -EFBIG, "has %zu bytes, and %u are the most", json->size,
                          BYTES_MAX);
    if (r == 0)
        r = read_slice(json, read_of_slice, &doc, &reason);
    if (r == 0)
        r = decode_slice(doc, &slice, &result.complete, &reason);
    result.list = slice.list;
    if (r == 0)
        r = take_name(doc, &result, &reason);
    if (r < 0 && r != -ENOMEM && refuse_slice(json, &reason, ret_slice) == 0)
        return 0;
    if (r < 0)
        return fence_err_set(err, r, "%s", reason.text);
    *ret_slice = result;
    result = (struct fence_address_slice){0};
    return 0;
}

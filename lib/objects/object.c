/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/objects/object.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/base/shared.h"
#include "lib/objects/decoders.h"

typedef int decode_fn(const struct fence_field *field, struct fence_object *object,
                      struct fence_err *err);

/*
 * What is kept of an object for its canonical text, and what is read of it: what the decoders look
 * at besides, be it to refuse it.
 */
#define KEPT_METADATA "apiVersion", "kind", "metadata.name", "metadata.namespace"
#define READ_METADATA "metadata.generation", "metadata.labels", "metadata.annotations.*"

#define KEPT_OF_POLICY    KEPT_METADATA, "metadata.annotations.podfence.io/enforcement", "spec"
#define KEPT_OF_NAMESPACE KEPT_METADATA, "metadata.labels"
#define KEPT_OF_NODE                                                                               \
    KEPT_METADATA, "metadata.labels", "spec.podCIDR", "spec.podCIDRs", "status.addresses"
#define KEPT_OF_POD                                                                                \
    KEPT_METADATA, "metadata.labels", "metadata.uid",                                              \
        "metadata.annotations.podfence.io/container-id",                                           \
        "metadata.annotations.kubernetes.io/config.mirror", "metadata.ownerReferences",            \
        "spec.nodeName", "spec.hostNetwork", "spec.containers.ports", "spec.initContainers.ports", \
        "spec.initContainers.restartPolicy", "status.phase", "status.podIP", "status.podIPs"
#define KEPT_OF_SERVICE                                                                            \
    KEPT_METADATA, "spec.type", "spec.clusterIP", "spec.clusterIPs", "spec.externalIPs",           \
        "spec.ports.name", "spec.ports.protocol", "spec.ports.port", "spec.ports.nodePort",        \
        "status.loadBalancer.ingress.ip", "status.loadBalancer.ingress.ipMode"
#define KEPT_OF_SLICE                                                                              \
    KEPT_METADATA, "metadata.labels.kubernetes.io/service-name", "addressType",                    \
        "endpoints.addresses", "endpoints.conditions", "ports.name", "ports.protocol",             \
        "ports.port"

static const char *const kept_of_policy[] = {KEPT_OF_POLICY, NULL};
static const char *const kept_of_namespace[] = {KEPT_OF_NAMESPACE, NULL};
static const char *const kept_of_node[] = {KEPT_OF_NODE, NULL};
static const char *const kept_of_pod[] = {KEPT_OF_POD, NULL};
static const char *const kept_of_service[] = {KEPT_OF_SERVICE, NULL};
static const char *const kept_of_slice[] = {KEPT_OF_SLICE, NULL};

/* of policies all members, since unknown ones are told */
static const char *const read_of_policy[] = {KEPT_OF_POLICY, READ_METADATA, "*", NULL};
static const char *const read_of_namespace[] = {KEPT_OF_NAMESPACE, READ_METADATA, NULL};
static const char *const read_of_node[] = {KEPT_OF_NODE, READ_METADATA, NULL};
static const char *const read_of_pod[] = {KEPT_OF_POD, READ_METADATA, NULL};
static const char *const read_of_service[] = {KEPT_OF_SERVICE,
                                              READ_METADATA,
                                              "spec.ports.targetPort",
                                              "spec.selector.*",
                                              "spec.externalTrafficPolicy",
                                              "spec.internalTrafficPolicy",
                                              NULL};
static const char *const read_of_slice[] = {KEPT_OF_SLICE, READ_METADATA, NULL};

static const struct fence_object_kind {
    const char *api_version;
    const char *const *kept; /* for the canonical text */
    const char *const *read;
    decode_fn *decode;
    bool custom; /* a custom resource: null is a value there */
} kinds[] = {
    [FENCE_OBJECT_POD] = {"v1", kept_of_pod, read_of_pod, fence_decode_pod, false},
    [FENCE_OBJECT_NAMESPACE] = {"v1", kept_of_namespace, read_of_namespace, fence_decode_namespace,
                                false},
    [FENCE_OBJECT_NODE] = {"v1", kept_of_node, read_of_node, fence_decode_node, false},
    [FENCE_OBJECT_SERVICE] = {"v1", kept_of_service, read_of_service, fence_decode_service, false},
    [FENCE_OBJECT_ENDPOINT_SLICE] = {"discovery.k8s.io/v1", kept_of_slice, read_of_slice,
                                     fence_decode_endpoint_slice, false},
    [FENCE_OBJECT_NETWORK_POLICY] = {"networking.k8s.io/v1", kept_of_policy, read_of_policy,
                                     fence_decode_network_policy, false},
    [FENCE_OBJECT_CLUSTER_NETWORK_POLICY] = {"policy.networking.k8s.io/v1alpha2", kept_of_policy,
                                             read_of_policy, fence_decode_cluster_network_policy,
                                             true},
    [FENCE_OBJECT_SEGMENT_POLICY] = {"podfence.io/v1alpha1", kept_of_policy, read_of_policy,
                                     fence_decode_segment_policy, true},
    [FENCE_OBJECT_CLUSTER_SEGMENT_POLICY] = {"podfence.io/v1alpha1", kept_of_policy, read_of_policy,
                                             fence_decode_segment_policy, true},
};

_Static_assert(FENCE_ARRAY_SIZE(kinds) == FENCE_OBJECT_KINDS, "a row for every kind");

static int no_memory(struct fence_err *err)
{
    return fence_err_set(err, -ENOMEM, "out of memory");
}

const struct fence_object_kind *fence_object_kind_find(const char *api_version, const char *name,
                                                       size_t length)
{
    for (unsigned int kind = 0; kind < FENCE_OBJECT_KINDS; kind++)
        if (strlen(fence_kind_name(kind)) == length &&
            strncmp(fence_kind_name(kind), name, length) == 0 &&
            (!api_version || strcmp(kinds[kind].api_version, api_version) == 0))
            return &kinds[kind];
    return NULL;
}

enum fence_kind fence_object_kind_number(const struct fence_object_kind *kind)
{
    return (enum fence_kind)(kind - kinds);
}

int fence_object_kind_refuse(const struct fence_field *field, const char *api_version,
                             const char *name, struct fence_err *err)
{
    const struct fence_object_kind *near = fence_object_kind_find(NULL, name, strlen(name));
    char list[512] = "ConfigMap and List (v1)";

    if (near)
        return fence_field_refuse(field, err, "%s is read in apiVersion %s, not \"%.80s\"", name,
                                  near->api_version, api_version);
    for (unsigned int kind = 0; kind < FENCE_OBJECT_KINDS; kind++) {
        size_t used = strlen(list);

        snprintf(list + used, sizeof(list) - used, ", %s (%s)", fence_kind_name(kind),
                 kinds[kind].api_version);
    }
    return fence_field_refuse(field, err,
                              "\"%.80s\" of apiVersion \"%.80s\" is not read; known: %s", name,
                              api_version, list);
}

/* ---- metadata ------------------------------------------------------------------------------- */

int fence_object_check_name(const struct fence_field *field, enum fence_kind kind,
                            struct fence_err *err)
{
    int r = fence_field_expect(field, FENCE_DOC_STRING, err);

    if (r < 0)
        return r;
    if (kind == FENCE_OBJECT_NAMESPACE && !fence_name_is_label(field->doc->text))
        return fence_field_refuse(field, err,
                                  "\"%.80s\" is not a DNS label: 1 to 63 lower case letters, "
                                  "digits and '-' between them",
                                  field->doc->text);
    if (!fence_name_is_subdomain(field->doc->text))
        return fence_field_refuse(field, err,
                                  "\"%.80s\" is not a DNS subdomain: lower case letters, digits, "
                                  "'-' and '.', at most 253",
                                  field->doc->text);
    return 0;
}

int fence_object_check_namespace(const struct fence_field *field, enum fence_kind kind,
                                 struct fence_err *err)
{
    const char *text = "";
    int r = fence_field_string(field, &text, err);

    if (r < 0 || !*text)
        return r;
    if (!fence_kind_is_namespaced(kind))
        return fence_field_refuse(field, err, "must be absent: a %s belongs to no namespace",
                                  fence_kind_name(kind));
    if (!fence_name_is_label(text))
        return fence_field_refuse(field, err,
                                  "\"%.80s\" is not a DNS label: 1 to 63 lower case letters, "
                                  "digits and '-' between them",
                                  text);
    return 0;
}

static int check_annotations(const struct fence_field *field, struct fence_err *err)
{
    int r = fence_field_allow(field, FENCE_DOC_MAP, err);

    for (size_t i = 0; r == 0 && i < fence_field_count(field); i++) {
        struct fence_field value = fence_field_get(field, field->doc->items[i]->key);

        r = fence_field_allow(&value, FENCE_DOC_STRING, err);
    }
    return r;
}

static int check_labels(const struct fence_field *field, struct fence_err *err)
{
    struct fence_labels labels = {0};
    int r = fence_field_labels(field, &labels, err);

    fence_labels_done(&labels);
    return r;
}

/* Null is nothing in metadata, of whatever kind the object is. */
static struct fence_field get_metadata(const struct fence_field *root)
{
    struct fence_field metadata = fence_field_get(root, "metadata");

    metadata.null_is_value = false;
    return metadata;
}

/* Check the metadata and name the object by it. */
static int decode_metadata(const struct fence_field *root, struct fence_object *object,
                           struct fence_err *err)
{
    struct fence_field metadata = get_metadata(root);
    struct fence_field name = fence_field_get(&metadata, "name");
    struct fence_field namespace_name = fence_field_get(&metadata, "namespace");
    struct fence_field labels = fence_field_get(&metadata, "labels");
    struct fence_field annotations = fence_field_get(&metadata, "annotations");
    const char *namespace_text = "";
    int r = fence_field_expect(&metadata, FENCE_DOC_MAP, err);

    if (r == 0)
        r = fence_object_check_name(&name, object->kind, err);
    if (r == 0)
        r = fence_object_check_namespace(&namespace_name, object->kind, err);
    if (r == 0)
        r = check_labels(&labels, err);
    if (r == 0)
        r = check_annotations(&annotations, err);
    if (r < 0)
        return r;
    if (fence_kind_is_namespaced(object->kind))
        namespace_text = "default";
    if (namespace_name.doc && *namespace_name.doc->text)
        namespace_text = namespace_name.doc->text;
    object->name = strdup(name.doc->text);
    object->namespace_name = fence_shared_string(namespace_text);
    return object->name && object->namespace_name ? 0 : no_memory(err);
}

int fence_object_decode(const struct fence_field *root, const struct fence_object_kind *kind,
                        struct fence_object **ret_object, struct fence_err *err)
{
    static const char *const known[] = {"apiVersion", "kind", "metadata", "spec", "status", NULL};
    struct fence_object *object = calloc(1, sizeof(*object));
    int r;

    if (!object)
        return no_memory(err);
    object->kind = fence_object_kind_number(kind);
    object->line = root->doc->line;
    r = decode_metadata(root, object, err);
    if (r == 0 && fence_kind_is_policy(object->kind))
        fence_field_warn_unknown(root, known);
    if (r == 0)
        r = kind->decode(root, object, err);
    if (r == 0 && fence_kind_is_policy(object->kind) && fence_decode_options()->audit_all)
        object->policy.audit = true;
    if (r == 0 && fence_object_pack(&object) < 0)
        r = no_memory(err);
    if (r < 0) {
        fence_object_free(&object);
        return r;
    }
    *ret_object = object;
    return 0;
}

char *fence_object_canonical(const struct fence_doc *doc, const struct fence_object_kind *kind)
{
    return fence_doc_to_json_kept(doc, kind->kept);
}

const char *fence_object_kind_version(const struct fence_object_kind *kind)
{
    return kind->api_version;
}

const char *const *fence_object_kind_read(const struct fence_object_kind *kind)
{
    return kind->read;
}

const struct fence_object_kind *fence_object_kind_get(enum fence_kind kind)
{
    return &kinds[kind];
}

bool fence_object_kind_is_custom(const struct fence_object_kind *kind)
{
    return kind->custom;
}

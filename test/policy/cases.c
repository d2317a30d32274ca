/* SPDX-License-Identifier: Apache-2.0 */
#include "test/policy/cases.h"

#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"

static const char *text_of(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));

    return text ? text : "";
}

static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

/* ---- the parts as Kubernetes objects -------------------------------------------------------- */

static cJSON *new_object(cJSON *list, const char *kind, const char *name,
                         const char *namespace_name, const cJSON *labels)
{
    cJSON *object = cJSON_CreateObject();
    cJSON *metadata;

    cJSON_AddItemToArray(list, object);
    cJSON_AddStringToObject(object, "apiVersion", "v1");
    cJSON_AddStringToObject(object, "kind", kind);
    metadata = cJSON_AddObjectToObject(object, "metadata");
    cJSON_AddStringToObject(metadata, "name", name);
    if (*namespace_name)
        cJSON_AddStringToObject(metadata, "namespace", namespace_name);
    if (labels)
        cJSON_AddItemToObject(metadata, "labels", cJSON_Duplicate(labels, true));
    return object;
}

/* A container for each port: in one container no name may come twice. */
static void add_container(cJSON *containers, const cJSON *item)
{
    cJSON *container = cJSON_CreateObject();
    cJSON *port = cJSON_CreateObject();

    cJSON_AddItemToArray(containers, container);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(container, "ports"), port);
    cJSON_AddItemToObject(port, "containerPort", cJSON_Duplicate(member(item, "port"), true));
    cJSON_AddStringToObject(port, "protocol", text_of(item, "protocol"));
    if (*text_of(item, "name"))
        cJSON_AddStringToObject(port, "name", text_of(item, "name"));
    if (member(item, "hostPort"))
        cJSON_AddItemToObject(port, "hostPort", cJSON_Duplicate(member(item, "hostPort"), true));
    if (*text_of(item, "hostIP"))
        cJSON_AddStringToObject(port, "hostIP", text_of(item, "hostIP"));
}

static void add_pod(cJSON *list, const cJSON *pod)
{
    cJSON *object =
        new_object(list, "Pod", text_of(pod, "name"), text_of(pod, "ns"), member(pod, "labels"));
    cJSON *spec = cJSON_AddObjectToObject(object, "spec");
    cJSON *status = cJSON_AddObjectToObject(object, "status");
    cJSON *ips = cJSON_AddArrayToObject(status, "podIPs");
    cJSON *containers = cJSON_AddArrayToObject(spec, "containers");
    const cJSON *item;

    if (*text_of(pod, "node"))
        cJSON_AddStringToObject(spec, "nodeName", text_of(pod, "node"));
    cJSON_AddBoolToObject(spec, "hostNetwork", cJSON_IsTrue(member(pod, "hostNetwork")));
    if (*text_of(pod, "phase"))
        cJSON_AddStringToObject(status, "phase", text_of(pod, "phase"));
    cJSON_ArrayForEach(item, member(pod, "ports")) add_container(containers, item);
    cJSON_ArrayForEach(item, member(pod, "ips"))
    {
        cJSON *ip = cJSON_CreateObject();

        cJSON_AddItemToArray(ips, ip);
        cJSON_AddStringToObject(ip, "ip", cJSON_GetStringValue(item));
    }
}

static void add_node(cJSON *list, const cJSON *node)
{
    cJSON *object = new_object(list, "Node", text_of(node, "name"), "", member(node, "labels"));
    cJSON *status = cJSON_AddObjectToObject(object, "status");
    cJSON *addresses = cJSON_AddArrayToObject(status, "addresses");
    const cJSON *prefixes = member(node, "podCIDRs");
    const cJSON *item;

    if (prefixes)
        cJSON_AddItemToObject(cJSON_AddObjectToObject(object, "spec"), "podCIDRs",
                              cJSON_Duplicate(prefixes, true));
    cJSON_ArrayForEach(item, member(node, "ips"))
    {
        cJSON *address = cJSON_CreateObject();

        cJSON_AddItemToArray(addresses, address);
        cJSON_AddStringToObject(address, "type", "InternalIP");
        cJSON_AddStringToObject(address, "address", cJSON_GetStringValue(item));
    }
}

/* Lists of the file that hold plain Kubernetes objects. */
static const char *const whole[] = {"services", "endpointSlices", "policies"};

static char *to_stream(const cJSON *json)
{
    cJSON *stream = cJSON_CreateObject();
    cJSON *list;
    const cJSON *item;
    char *text;

    cJSON_AddStringToObject(stream, "apiVersion", "v1");
    cJSON_AddStringToObject(stream, "kind", "List");
    list = cJSON_AddArrayToObject(stream, "items");
    cJSON_ArrayForEach(item, member(json, "namespaces"))
        new_object(list, "Namespace", item->string, "", item);
    cJSON_ArrayForEach(item, member(json, "nodes")) add_node(list, item);
    cJSON_ArrayForEach(item, member(json, "pods")) add_pod(list, item);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(whole); i++)
        cJSON_ArrayForEach(item, member(json, whole[i]))
            cJSON_AddItemToArray(list, cJSON_Duplicate(item, true));
    text = cJSON_PrintUnformatted(stream);
    cJSON_Delete(stream);
    return text;
}

/* ---- nodes ---------------------------------------------------------------------------------- */

static struct case_node *node_named(const struct case_file *file, const char *name)
{
    for (size_t i = 0; i < file->node_count; i++)
        if (strcmp(file->nodes[i].name, name) == 0)
            return &file->nodes[i];
    return NULL;
}

static int need_node(struct case_file *file, const char *name)
{
    if (node_named(file, name))
        return 0;
    if (FENCE_GROW(file->nodes, file->node_capacity, file->node_count) < 0)
        return -ENOMEM;
    file->nodes[file->node_count++] = (struct case_node){.name = name};
    return 0;
}

static int add_host_addr(struct case_node *node, const struct fence_addr *addr)
{
    if (FENCE_GROW(node->host_addrs, node->host_addr_capacity, node->host_addr_count) < 0)
        return -ENOMEM;
    node->host_addrs[node->host_addr_count++] = *addr;
    return 0;
}

static int place_pod(struct case_file *file, const struct fence_object *object)
{
    const struct fence_pod *pod = &object->pod;
    struct case_node *node = node_named(file, pod->node);
    int r = 0;

    for (size_t i = 0; r == 0 && pod->host_network && *pod->node && i < pod->addr_count; i++)
        r = add_host_addr(node, &pod->addrs[i]);
    if (r < 0 || pod->host_network || pod->finished)
        return r;
    if (FENCE_GROW(node->locals, node->local_capacity, node->local_count) < 0)
        return -ENOMEM;
    node->locals[node->local_count] = (struct fence_local){
        .ifindex = (uint32_t)node->local_count + 1,
        .namespace_name = object->namespace_name,
        .pod = object->name,
        .uid = "",
        .container_id = "c0ffee",
        .ifname = "eth0",
        .addrs = pod->addrs,
        .addr_count = pod->addr_count,
    };
    node->local_count++;
    return 0;
}

static int place(struct case_file *file, const struct fence_object *object)
{
    struct case_node *node;
    int r = 0;

    if (object->kind == FENCE_OBJECT_POD)
        return place_pod(file, object);
    if (object->kind != FENCE_OBJECT_NODE)
        return 0;
    node = node_named(file, object->name);
    for (size_t i = 0; r == 0 && i < object->node.addr_count; i++)
        r = add_host_addr(node, &object->node.addrs[i]);
    return r;
}

static int make_nodes(struct case_file *file)
{
    const struct lab *lab = &file->lab;
    int r = need_node(file, "");

    for (size_t i = 0; r == 0 && i < lab->world.object_count; i++) {
        if (lab->objects[i]->kind == FENCE_OBJECT_NODE)
            r = need_node(file, lab->objects[i]->name);
        else if (lab->objects[i]->kind == FENCE_OBJECT_POD)
            r = need_node(file, lab->objects[i]->pod.node);
    }
    for (size_t i = 0; r == 0 && i < lab->world.object_count; i++)
        r = place(file, lab->objects[i]);
    return r;
}

static void set_world(const struct case_file *file, struct case_node *node)
{
    node->world = file->lab.world;
    node->world.node_name = *node->name ? node->name : NULL;
    node->world.host_addrs = node->host_addrs;
    node->world.host_addr_count = node->host_addr_count;
    node->world.locals = node->locals;
    node->world.local_count = node->local_count;
}

static int compile_node(struct case_node *node, struct fence_err *err)
{
    const char *wrong;
    int r;

    r = fence_compile(&node->world, &node->plan, err);
    wrong = r == 0 ? plan_check(node->plan) : NULL;
    return wrong ? fence_err_set(err, -EBADMSG, "the plan of node '%s': %s", node->name, wrong) : r;
}

/* ---- the operator's choices ----------------------------------------------------------------- */

static void set_decoding(const cJSON *json)
{
    struct fence_decode_options options = {.audit_annotation =
                                               cJSON_IsTrue(member(json, "auditAnnotation"))};

    fence_decode_set_options(&options);
}

static int set_choices(struct case_file *file)
{
    const cJSON *required = member(file->json, "requiredLabels");
    const cJSON *now = member(file->json, "now");
    struct fence_world *world = &file->lab.world;
    const cJSON *item;

    file->required_labels =
        calloc((size_t)cJSON_GetArraySize(required) + 1, sizeof(*file->required_labels));
    if (!file->required_labels)
        return -ENOMEM;
    world->required_labels = file->required_labels;
    cJSON_ArrayForEach(item, required) file->required_labels[world->required_label_count++] =
        cJSON_GetStringValue(item);
    world->own_node_egress_is_policy = strcmp(text_of(file->json, "ownNodeEgress"), "policy") == 0;
    world->now = now ? (int64_t)now->valuedouble : 0;
    return 0;
}

int case_read(struct case_file *file, const char *text, struct fence_err *err)
{
    FENCE_FREE char *stream = NULL;
    int r;

    file->json = cJSON_Parse(text);
    if (!file->json)
        return fence_err_set(err, -EBADMSG, "no JSON");
    set_decoding(file->json);
    stream = to_stream(file->json);
    if (!stream)
        return fence_err_set(err, -ENOMEM, "out of memory");
    r = lab_load(&file->lab, stream, err);
    if (r == 0 && file->before)
        lab_keep(&file->lab, file->before);
    if (r == 0)
        r = set_choices(file);
    if (r == 0)
        r = make_nodes(file);
    for (size_t i = 0; r == 0 && i < file->node_count; i++)
        set_world(file, &file->nodes[i]);
    return r;
}

int case_load(struct case_file *file, const char *text, struct fence_err *err)
{
    int r = case_read(file, text, err);

    for (size_t i = 0; r == 0 && i < file->node_count; i++)
        r = compile_node(&file->nodes[i], err);
    return r;
}

void case_done(struct case_file *file)
{
    for (size_t i = 0; i < file->node_count; i++) {
        free(file->nodes[i].host_addrs);
        free(file->nodes[i].locals);
        fence_plan_free(&file->nodes[i].plan);
    }
    free(file->nodes);
    free(file->required_labels);
    lab_done(&file->lab);
    cJSON_Delete(file->json);
    *file = (struct case_file){0};
}

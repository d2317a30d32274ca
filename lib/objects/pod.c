/* SPDX-License-Identifier: Apache-2.0 */
/* Pod, v1: what enforcement needs of it; the rest is not looked at. */
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/memory.h"
#include "lib/base/shared.h"
#include "lib/objects/decoders.h"

static int no_memory(struct fence_err *err)
{
    return fence_err_set(err, -ENOMEM, "out of memory");
}

int fence_decode_shared_string(const struct fence_field *field, const char **ret_text,
                               struct fence_err *err)
{
    const char *text = "";
    const char *shared;
    int r = fence_field_string(field, &text, err);

    if (r < 0)
        return r;
    shared = fence_shared_string(text);
    if (!shared)
        return no_memory(err);
    fence_shared_string_unref(ret_text);
    *ret_text = shared;
    return 0;
}

/* ---- addresses ------------------------------------------------------------------------------ */

int fence_decode_pod_address(const struct fence_field *field, struct fence_pod *pod,
                             struct fence_err *err)
{
    struct fence_addr addr, *addrs;
    const char *text = "";
    int r = fence_field_string(field, &text, err);

    if (r == 0 && *text)
        r = fence_decode_address(field, "a pod", &addr, err);
    if (r < 0 || !*text)
        return r;
    for (size_t i = 0; i < pod->addr_count; i++)
        if (fence_addr_equal(&pod->addrs[i], &addr))
            return 0;
    addrs = reallocarray(pod->addrs, pod->addr_count + 1, sizeof(*addrs));
    if (!addrs)
        return no_memory(err);
    pod->addrs = addrs;
    addrs[pod->addr_count++] = addr;
    return 0;
}

static int decode_status(const struct fence_field *status, struct fence_pod *pod,
                         struct fence_err *err)
{
    struct fence_field phase = fence_field_get(status, "phase");
    struct fence_field list = fence_field_get(status, "podIPs");
    struct fence_field single = fence_field_get(status, "podIP");
    const char *text = "";
    int r = fence_field_allow(status, FENCE_DOC_MAP, err);

    if (r == 0)
        r = fence_field_string(&phase, &text, err);
    if (r == 0)
        r = fence_field_allow(&list, FENCE_DOC_LIST, err);
    pod->finished = strcmp(text, "Succeeded") == 0 || strcmp(text, "Failed") == 0;
    for (size_t i = 0; r == 0 && i < fence_field_count(&list); i++) {
        struct fence_field item = fence_field_item(&list, i);
        struct fence_field ip = fence_field_get(&item, "ip");

        r = fence_field_expect(&item, FENCE_DOC_MAP, err);
        if (r == 0)
            r = fence_decode_pod_address(&ip, pod, err);
    }
    if (r == 0 && fence_field_count(&list) == 0)
        r = fence_decode_pod_address(&single, pod, err);
    return r;
}

/* ---- ports ---------------------------------------------------------------------------------- */

void fence_port_list_done(struct fence_port_list *list)
{
    free(list->items);
    free(list->host_items);
}

static int add_named(const struct fence_field *name, const struct fence_container_port *port,
                     struct fence_port_list *list, struct fence_err *err)
{
    if (!fence_name_is_port(port->name))
        return fence_field_refuse(name, err, "\"%.80s\" is not a port name", port->name);
    if (FENCE_GROW(list->items, list->capacity, list->count) < 0)
        return no_memory(err);
    list->items[list->count++] = *port;
    return 0;
}

/* It has a UID. What whoever owns the pod may write there must not make its object refused: then
 * neither its labels nor its end would count any more. */
static bool is_of_kubernetes(const struct fence_pod *pod)
{
    return pod->uid != 0;
}

/* On which addresses of the node; absent or "" is on all of them. 1: on none. */
static int decode_host_address(const struct fence_field *field, bool lenient,
                               struct fence_host_port *port, struct fence_err *err)
{
    const char *text = "";
    int r = fence_field_string(field, &text, err);

    port->any = !*text;
    if (r < 0 || !*text || fence_addr_parse(text, &port->addr) == 0)
        return r;
    return lenient ? 1 : fence_field_refuse(field, err, "\"%.80s\" is not an IP address", text);
}

static int add_hosted(const struct fence_field *field, const struct fence_container_port *target,
                      struct fence_port_list *list, struct fence_err *err)
{
    struct fence_field number = fence_field_get(field, "hostPort");
    struct fence_field address = fence_field_get(field, "hostIP");
    struct fence_host_port port = {.protocol = (uint8_t)target->protocol, .target = target->port};
    int r = decode_host_address(&address, list->lenient, &port, err);

    if (r > 0)
        return 0;
    if (r == 0)
        r = fence_decode_optional_port(&number, &port.port, err);
    if (r < 0 || !port.port || list->host_count == UINT16_MAX)
        return r;
    if (FENCE_GROW(list->host_items, list->host_capacity, list->host_count) < 0)
        return no_memory(err);
    list->host_items[list->host_count++] = port;
    return 0;
}

int fence_decode_pod_port(const struct fence_field *field, const char *key,
                          struct fence_port_list *list, struct fence_err *err)
{
    struct fence_field name = fence_field_get(field, "name");
    struct fence_field protocol = fence_field_get(field, "protocol");
    struct fence_field number = fence_field_get(field, key);
    struct fence_field host_port = fence_field_get(field, "hostPort");
    struct fence_container_port port = {0};
    const char *text = "";
    int r = fence_field_expect(field, FENCE_DOC_MAP, err);

    if (r == 0)
        r = fence_field_string(&name, &text, err);
    if (r < 0 || (!*text && !host_port.doc))
        return r;
    port.name = text;
    r = fence_decode_protocol(&protocol, false, &port.protocol, err);
    if (r == 0)
        r = fence_decode_port_number(&number, &port.port, err);
    if (r == 0 && *text)
        r = add_named(&name, &port, list, err);
    return r < 0 ? r : add_hosted(field, &port, list, err);
}

static int add_container(const struct fence_field *container, bool init,
                         struct fence_port_list *list, struct fence_err *err)
{
    struct fence_field restart = fence_field_get(container, "restartPolicy");
    struct fence_field ports = fence_field_get(container, "ports");
    const char *text = "";
    int r = fence_field_expect(container, FENCE_DOC_MAP, err);

    if (r == 0 && init)
        r = fence_field_string(&restart, &text, err);
    if (r < 0 || (init && strcmp(text, "Always") != 0))
        return r;
    r = fence_field_allow(&ports, FENCE_DOC_LIST, err);
    for (size_t i = 0; r == 0 && i < fence_field_count(&ports); i++) {
        struct fence_field port = fence_field_item(&ports, i);

        r = fence_decode_pod_port(&port, "containerPort", list, err);
    }
    return r;
}

/* Of init containers only the sidecars count: the others are over when the pod runs. */
static int decode_containers(const struct fence_field *spec, bool init,
                             struct fence_port_list *list, struct fence_err *err)
{
    struct fence_field containers = fence_field_get(spec, init ? "initContainers" : "containers");
    int r = fence_field_allow(&containers, FENCE_DOC_LIST, err);

    for (size_t i = 0; r == 0 && i < fence_field_count(&containers); i++) {
        struct fence_field container = fence_field_item(&containers, i);

        r = add_container(&container, init, list, err);
    }
    return r;
}

static int decode_ports(const struct fence_field *spec, struct fence_pod *pod,
                        struct fence_err *err)
{
    FENCE_CLEANUP(fence_port_list_done)
    struct fence_port_list list = {.lenient = is_of_kubernetes(pod)};
    int r = decode_containers(spec, false, &list, err);

    if (r == 0)
        r = decode_containers(spec, true, &list, err);
    if (r < 0)
        return r;
    pod->ports = fence_ports_shared(list.items, list.count);
    pod->host_ports = TAKE_PTR(list.host_items);
    pod->host_port_count = (uint16_t)list.host_count;
    return pod->ports ? 0 : no_memory(err);
}

/* ---- metadata ------------------------------------------------------------------------------- */

static int decode_owner(const struct fence_field *metadata, struct fence_pod *pod,
                        struct fence_err *err)
{
    struct fence_field list = fence_field_get(metadata, "ownerReferences");
    int r = fence_field_allow(&list, FENCE_DOC_LIST, err);

    for (size_t i = 0; r == 0 && i < fence_field_count(&list); i++) {
        struct fence_field item = fence_field_item(&list, i);
        struct fence_field controller = fence_field_get(&item, "controller");
        struct fence_field name = fence_field_get(&item, "name");
        bool controls = false;

        r = fence_field_expect(&item, FENCE_DOC_MAP, err);
        if (r == 0)
            r = fence_field_bool(&controller, &controls, err);
        if (r == 0 && controls)
            r = fence_decode_shared_string(&name, &pod->owner, err);
    }
    return r;
}

/* As the CNI specification has it: letters, digits, '_', '.', '-', not first one of the latter. */
static bool is_container_id(const char *text)
{
    size_t length = strlen(text);

    if (length == 0 || length >= FENCE_CONTAINER_ID_MAX || !isalnum((unsigned char)text[0]))
        return false;
    for (size_t i = 0; i < length; i++)
        if (!isascii((unsigned char)text[i]) ||
            (!isalnum((unsigned char)text[i]) && !strchr("_.-", text[i])))
            return false;
    return true;
}

static int decode_container_id(const struct fence_field *metadata, struct fence_pod *pod,
                               struct fence_err *err)
{
    struct fence_field annotations = fence_field_get(metadata, "annotations");
    struct fence_field id = fence_field_get(&annotations, "podfence.io/container-id");
    int r = fence_decode_shared_string(&id, &pod->container_id, err);

    if (r < 0 || !id.doc || is_container_id(pod->container_id))
        return r;
    if (!is_of_kubernetes(pod))
        return fence_field_refuse(&id, err, "\"%.80s\" is not a container ID", id.doc->text);
    fence_shared_string_unref(&pod->container_id);
    pod->container_id = fence_shared_string("");
    return pod->container_id ? 0 : no_memory(err);
}

/*
 * As the runtime is told it. A static pod's object is a mirror with a UID of its own, and names the
 * kubelet's in an annotation:
 * https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-config-mirror
 */
static int decode_uid(const struct fence_field *metadata, struct fence_pod *pod,
                      struct fence_err *err)
{
    struct fence_field uid = fence_field_get(metadata, "uid");
    struct fence_field annotations = fence_field_get(metadata, "annotations");
    struct fence_field mirror = fence_field_get(&annotations, "kubernetes.io/config.mirror");
    const char *text = "", *mirrored = "";
    int r = fence_field_string(&uid, &text, err);

    if (r == 0)
        r = fence_field_string(&mirror, &mirrored, err);
    if (*mirrored)
        text = mirrored;
    pod->uid = *text ? fence_hash_text(text) : 0;
    return r;
}

int fence_decode_pod(const struct fence_field *field, struct fence_object *object,
                     struct fence_err *err)
{
    struct fence_pod *pod = &object->pod;
    struct fence_field metadata = fence_field_get(field, "metadata");
    struct fence_field labels = fence_field_get(&metadata, "labels");
    struct fence_field spec = fence_field_get(field, "spec");
    struct fence_field node = fence_field_get(&spec, "nodeName");
    struct fence_field host_network = fence_field_get(&spec, "hostNetwork");
    struct fence_field status = fence_field_get(field, "status");
    int r = fence_field_shared_labels(&labels, &pod->labels, err);

    if (r == 0)
        r = fence_field_allow(&spec, FENCE_DOC_MAP, err);
    if (r == 0)
        r = fence_decode_shared_string(&node, &pod->node, err);
    if (r == 0)
        r = fence_field_bool(&host_network, &pod->host_network, err);
    pod->owner = fence_shared_string("");
    if (!pod->owner)
        return no_memory(err);
    if (r == 0)
        r = decode_uid(&metadata, pod, err);
    if (r == 0)
        r = decode_owner(&metadata, pod, err);
    if (r == 0)
        r = decode_container_id(&metadata, pod, err);
    if (r == 0)
        r = decode_ports(&spec, pod, err);
    return r < 0 ? r : decode_status(&status, pod, err);
}

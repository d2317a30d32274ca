/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/locals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"

static bool labels_count(const struct fence_endpoint_info *info, bool annotations)
{
    return info->label_source == FENCE_LABELS_ARGS ||
           (annotations && info->label_source == FENCE_LABELS_ANNOTATION);
}

/* Labels that cannot be read leave the pod without any, so that it stays pending. */
static int read_labels(struct fence_locals *locals, size_t i)
{
    struct fence_err err = {""};
    int result = fence_labels_parse(locals->records.items[i].info.labels, &locals->labels[i], &err);

    if (result == 0) {
        locals->items[i].labels = &locals->labels[i];
        return 0;
    }
    if (result == -ENOMEM)
        return result;
    locals->label_errors[i] = strdup(err.text);
    return locals->label_errors[i] ? 0 : -ENOMEM;
}

static int fill(struct fence_locals *locals, size_t i, bool annotations)
{
    const struct fence_endpoint_record *record = &locals->records.items[i];
    const struct fence_endpoint *endpoint = &record->endpoint;

    locals->items[i] = (struct fence_local){
        .ifindex = record->ifindex,
        .created_ns = record->info.created_ns,
        .namespace_name = record->info.namespace_name,
        .pod = record->info.pod,
        .uid = record->info.uid,
        .container_id = record->info.container_id,
        .ifname = record->info.ifname,
        .addrs = endpoint->addrs,
        .addr_count = endpoint->addr_count < FENCE_ENDPOINT_ADDRS ? endpoint->addr_count
                                                                  : FENCE_ENDPOINT_ADDRS,
        .exempt = endpoint->flags & FENCE_EP_EXEMPT,
    };
    return labels_count(&record->info, annotations) ? read_labels(locals, i) : 0;
}

static int fill_all(struct fence_locals *locals, bool annotations)
{
    size_t count = locals->records.count;
    int result = 0;

    locals->items = calloc(count + 1, sizeof(*locals->items));
    locals->labels = calloc(count + 1, sizeof(*locals->labels));
    locals->label_errors = calloc(count + 1, sizeof(*locals->label_errors));
    if (!locals->items || !locals->labels || !locals->label_errors)
        return -ENOMEM;
    locals->count = count;
    for (size_t i = 0; i < count && result == 0; i++)
        result = fill(locals, i, annotations);
    return result;
}

int fence_locals_list(const struct fence_pins *pins, struct fence_endpoint_list *ret_list,
                      struct fence_err *err)
{
    struct fence_endpoint_list list = {0};
    int result = fence_endpoints_list(pins, &list, err);

    if (result < 0)
        return fence_err_prefix(err, result, "endpoints map");
    *ret_list = list;
    return 0;
}

int fence_locals_read(const struct fence_pins *pins, bool annotations,
                      struct fence_locals *ret_locals, struct fence_err *err)
{
    struct fence_locals locals = {0};
    int result = fence_locals_list(pins, &locals.records, err);

    if (result < 0)
        return result;
    result = fill_all(&locals, annotations);
    if (result < 0) {
        fence_locals_done(&locals);
        return fence_err_set(err, result, "endpoints: %s", strerror(-result));
    }
    *ret_locals = locals;
    return 0;
}

void fence_locals_done(struct fence_locals *locals)
{
    for (size_t i = 0; i < locals->count; i++) {
        fence_labels_done(&locals->labels[i]);
        free(locals->label_errors[i]);
    }
    free(locals->labels);
    free(locals->label_errors);
    free(locals->items);
    fence_endpoint_list_done(&locals->records);
    *locals = (struct fence_locals){0};
}

static bool same_endpoint(const struct fence_endpoint_record *a,
                          const struct fence_endpoint_record *b)
{
    return a->ifindex == b->ifindex && a->endpoint.addr_count == b->endpoint.addr_count &&
           !((a->endpoint.flags ^ b->endpoint.flags) & FENCE_EP_EXEMPT) &&
           !memcmp(a->endpoint.addrs, b->endpoint.addrs, sizeof(a->endpoint.addrs)) &&
           !memcmp(&a->info, &b->info, sizeof(a->info));
}

bool fence_locals_same(const struct fence_endpoint_list *a, const struct fence_endpoint_list *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!same_endpoint(&a->items[i], &b->items[i]))
            return false;
    return true;
}

bool fence_locals_identical(const struct fence_endpoint_list *a,
                            const struct fence_endpoint_list *b)
{
    if (!fence_locals_same(a, b))
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (memcmp(&a->items[i].endpoint, &b->items[i].endpoint, sizeof(a->items[i].endpoint)) != 0)
            return false;
    return true;
}

const char *fence_local_name(const struct fence_local *local, char *text, size_t size)
{
    if (*local->pod)
        snprintf(text, size, "%s/%s", local->namespace_name, local->pod);
    else
        snprintf(text, size, "%s", local->container_id);
    return text;
}

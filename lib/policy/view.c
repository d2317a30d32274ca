/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/policy/view.h"

#include <string.h>

#include "lib/base/memory.h"

static int copy_ports(struct fence_plan_view *copy, const struct fence_peer_view *view)
{
    for (size_t i = 0; i < view->port_count; i++) {
        struct fence_container_port port = view->ports[i];

        if (FENCE_GROW(copy->ports, copy->port_capacity, copy->port_count) < 0)
            return -1;
        port.name = strdup(port.name);
        if (!port.name)
            return -1;
        copy->ports[copy->port_count++] = port;
    }
    return 0;
}

static int copy_members(struct fence_plan_view *copy, const struct fence_peer_view *view)
{
    copy->namespace_name = strdup(view->namespace_name ? view->namespace_name : "");
    if (!copy->namespace_name)
        return -1;
    if (view->namespace_labels &&
        fence_labels_copy(view->namespace_labels, &copy->namespace_labels) < 0)
        return -1;
    if (view->labels && fence_labels_copy(view->labels, &copy->labels) < 0)
        return -1;
    return copy_ports(copy, view);
}

struct fence_plan_view *fence_plan_view_new(const struct fence_peer_view *view)
{
    struct fence_plan_view *copy = calloc(1, sizeof(*copy));

    if (!copy)
        return NULL;
    copy->references = 1;
    if (copy_members(copy, view) < 0) {
        fence_plan_view_unref(&copy);
        return NULL;
    }
    copy->view = (struct fence_peer_view){
        .kind = view->kind,
        .namespace_name = copy->namespace_name,
        .namespace_labels = &copy->namespace_labels,
        .labels = &copy->labels,
        .ports = copy->ports,
        .port_count = copy->port_count,
        .where = view->where,
    };
    return copy;
}

struct fence_plan_view *fence_plan_view_ref(struct fence_plan_view *view)
{
    view->references++;
    return view;
}

void fence_plan_view_unref(struct fence_plan_view **view)
{
    struct fence_plan_view *dropped = TAKE_PTR(*view);

    if (!dropped || --dropped->references)
        return;
    for (size_t i = 0; i < dropped->port_count; i++)
        free(dropped->ports[i].name);
    free(dropped->ports);
    free(dropped->namespace_name);
    fence_labels_done(&dropped->namespace_labels);
    fence_labels_done(&dropped->labels);
    free(dropped);
}

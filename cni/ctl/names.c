/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/ctl/names.h"

#include <string.h>

#include "lib/base/addr.h"
#include "lib/base/names.h"
#include "lib/datapath/read.h"

const char *ctl_endpoint_name(const struct fence_endpoint_record *record, char text[CTL_SHOW_MAX])
{
    if (*record->info.pod)
        snprintf(text, CTL_SHOW_MAX, "%s/%s", record->info.namespace_name, record->info.pod);
    else
        snprintf(text, CTL_SHOW_MAX, "%s", record->info.host_ifname);
    return text;
}

const struct fence_endpoint_record *ctl_endpoint_by_index(const struct fence_endpoint_list *list,
                                                          __u32 ifindex)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].ifindex == ifindex)
            return &list->items[i];
    return NULL;
}

const struct fence_endpoint_record *ctl_endpoint_by_addr(const struct fence_endpoint_list *list,
                                                         const struct fence_addr *addr)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct fence_endpoint *endpoint = &list->items[i].endpoint;

        for (size_t j = 0; j < endpoint->addr_count && j < FENCE_ENDPOINT_ADDRS; j++)
            if (fence_addr_equal(&endpoint->addrs[j], addr))
                return &list->items[i];
    }
    return NULL;
}

const struct fence_endpoint_record *ctl_endpoint_by_name(const struct fence_endpoint_list *list,
                                                         const char *name)
{
    char text[CTL_SHOW_MAX];

    for (size_t i = 0; i < list->count; i++)
        if (*list->items[i].info.pod && strcmp(ctl_endpoint_name(&list->items[i], text), name) == 0)
            return &list->items[i];
    return NULL;
}

const char *ctl_endpoint_state(const struct fence_endpoint *endpoint, const char **ret_reason)
{
    static const struct {
        const char *state;
        __u32 flag;
        enum fence_reason reason;
    } states[] = {
        {"exempt", FENCE_EP_EXEMPT, FENCE_REASON_EXEMPT},
        {"pending", FENCE_EP_PENDING | FENCE_EP_OPEN, FENCE_REASON_PENDING_OPEN},
        {"pending", FENCE_EP_PENDING | FENCE_EP_INCOMPLETE, FENCE_REASON_INCOMPLETE},
        {"pending", FENCE_EP_PENDING, FENCE_REASON_PENDING},
        {"closed", FENCE_EP_NOT_APPLIED, FENCE_REASON_NOT_APPLIED},
    };

    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        if ((endpoint->flags & states[i].flag) != states[i].flag)
            continue;
        *ret_reason = fence_reason_name(states[i].reason);
        return states[i].state;
    }
    *ret_reason = endpoint->set ? "" : fence_reason_name(FENCE_REASON_NOT_APPLIED);
    return endpoint->set ? "enforced" : "closed";
}

bool ctl_spiffe(const struct fence_settings *settings, const struct fence_identity_info *info,
                char *text, size_t size)
{
    if (info->kind != FENCE_KIND_POD)
        return false;
    snprintf(text, size, "spiffe://%s/ns/%s/app/%s", settings->trust_domain, info->namespace_name,
             info->app);
    return true;
}

void ctl_add_rule(cJSON *object, const struct fence_pins *pins, __u32 number)
{
    struct fence_rule_info info;

    if (number == 0 || fence_rule_read(pins, number, &info) < 0) {
        cJSON_AddNullToObject(object, "policy");
        cJSON_AddNullToObject(object, "rule");
        return;
    }
    cJSON_AddStringToObject(object, "policy", info.policy);
    if (info.index == FENCE_RULE_NONE)
        cJSON_AddNullToObject(object, "rule");
    else
        cJSON_AddNumberToObject(object, "rule", info.index);
}

void ctl_add_addrs(cJSON *object, const char *name, const struct fence_addr *addrs, size_t count)
{
    cJSON *list = cJSON_AddArrayToObject(object, name);
    char text[FENCE_ADDR_TEXT];

    for (size_t i = 0; i < count; i++)
        cJSON_AddItemToArray(list, cJSON_CreateString(fence_addr_format(&addrs[i], text)));
}

bool ctl_end_fits(const struct ctl_end *end, const char *wanted)
{
    struct fence_addr want, have;
    size_t length;

    if (!wanted)
        return true;
    if (fence_addr_parse(wanted, &want) == 0)
        return fence_addr_parse(end->addr, &have) == 0 && fence_addr_equal(&want, &have);
    length = strlen(end->namespace_name);
    if (length && strncmp(wanted, end->namespace_name, length) == 0 && wanted[length] == '/' &&
        (!wanted[length + 1] || strcmp(wanted + length + 1, end->pod) == 0))
        return true;
    return strcmp(wanted, end->identity) == 0;
}

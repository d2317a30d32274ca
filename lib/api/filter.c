/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/api/filter.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <linux/if_ether.h>

#include "lib/api/event_json.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"

/* ---- values ---------------------------------------------------------------------------------- */

static const char *const key_names[] = {
    [FENCE_FILTER_VERDICT] = "verdict", [FENCE_FILTER_FROM] = "from",
    [FENCE_FILTER_TO] = "to",           [FENCE_FILTER_NAMESPACE] = "namespace",
    [FENCE_FILTER_PORT] = "port",       [FENCE_FILTER_REASON] = "reason",
    [FENCE_FILTER_POLICY] = "policy",
};
static_assert(FENCE_ARRAY_SIZE(key_names) == FENCE_FILTER_KEYS, "a name for each key");

const char *fence_filter_key_name(enum fence_filter_key key)
{
    return key_names[key];
}

static int take_verdict(struct fence_filter_value *value, struct fence_err *err)
{
    static const struct {
        const char *text;
        const char *verdict;
    } names[] = {
        {"FORWARDED", "FORWARDED"}, {"DROPPED", "DROPPED"}, {"AUDIT", "AUDIT"},
        {"allow", "FORWARDED"},     {"deny", "DROPPED"},
    };

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(names); i++)
        if (strcasecmp(names[i].text, value->text) == 0) {
            free(value->text);
            value->text = strdup(names[i].verdict);
            return value->text ? 0 : fence_err_set(err, -ENOMEM, "out of memory");
        }
    return fence_err_set(err, -EINVAL,
                         "%s is no verdict: there are FORWARDED (allow), DROPPED (deny), AUDIT",
                         value->text);
}

static int take_end(struct fence_filter_value *value, struct fence_err *err)
{
    struct fence_prefix prefix = {.length = 128};

    value->is_prefix = fence_addr_parse(value->text, &prefix.addr) == 0 ||
                       fence_prefix_parse(value->text, &prefix, NULL) == 0;
    value->prefix = prefix;
    (void)err;
    return 0;
}

static int take_namespace(struct fence_filter_value *value, struct fence_err *err)
{
    if (strchr(value->text, '/'))
        return fence_err_set(err, -EINVAL, "%s is no namespace's name", value->text);
    return 0;
}

static int take_port(struct fence_filter_value *value, struct fence_err *err)
{
    char *end = value->text;
    unsigned long number = 0;

    errno = 0;
    if (*end >= '0' && *end <= '9')
        number = strtoul(value->text, &end, 10);
    if (end == value->text || errno || number > 65535 ||
        (*end == '/' ? fence_protocol_parse(end + 1, &value->protocol) < 0 : *end != '\0'))
        return fence_err_set(err, -EINVAL,
                             "%s is no port: 0 to 65535, with /TCP, /UDP or /SCTP if wanted",
                             value->text);
    value->number = (unsigned int)number;
    return 0;
}

static int take_reason(struct fence_filter_value *value, struct fence_err *err)
{
    for (unsigned int i = 0; i < FENCE_REASON_COUNT; i++)
        if (strcmp(fence_reason_name(i), value->text) == 0) {
            value->number = i;
            return 0;
        }
    return fence_err_set(err, -EINVAL,
                         "%s is no reason; names are as events and `podfencectl status` show them, "
                         "such as no-rule, denylist, spoofed-address",
                         value->text);
}

static int take_policy(struct fence_filter_value *value, struct fence_err *err)
{
    (void)value;
    (void)err;
    return 0;
}

static int (*const takers[])(struct fence_filter_value *value, struct fence_err *err) = {
    [FENCE_FILTER_VERDICT] = take_verdict, [FENCE_FILTER_FROM] = take_end,
    [FENCE_FILTER_TO] = take_end,          [FENCE_FILTER_NAMESPACE] = take_namespace,
    [FENCE_FILTER_PORT] = take_port,       [FENCE_FILTER_REASON] = take_reason,
    [FENCE_FILTER_POLICY] = take_policy,
};

static int add_value(struct fence_filter *filter, struct fence_filter_value *value,
                     struct fence_err *err)
{
    int result;

    if (!value->text || FENCE_GROW(filter->values, filter->capacity, filter->count) < 0)
        return fence_err_set(err, -ENOMEM, "out of memory");
    result = takers[value->key](value, err);
    if (result == 0)
        filter->values[filter->count++] = *value;
    return result;
}

int fence_filter_add(struct fence_filter *filter, enum fence_filter_key key, const char *value,
                     struct fence_err *err)
{
    struct fence_filter_value taken = {.key = key};
    int result;

    if (!*value || strlen(value) >= FENCE_FILTER_TEXT)
        return fence_err_set(err, -EINVAL, "%s: 1 to %d characters are needed", key_names[key],
                             FENCE_FILTER_TEXT - 1);
    if (filter->count >= FENCE_FILTER_VALUES)
        return fence_err_set(err, -E2BIG, "more than %d values", FENCE_FILTER_VALUES);
    taken.text = strdup(value);
    result = add_value(filter, &taken, err);
    if (result < 0)
        free(taken.text);
    return result;
}

/* ---- text ------------------------------------------------------------------------------------ */

static int find_key(const char *text, size_t size, enum fence_filter_key *ret_key,
                    struct fence_err *err)
{
    for (unsigned int i = 0; i < FENCE_FILTER_KEYS; i++)
        if (strlen(key_names[i]) == size && strncmp(key_names[i], text, size) == 0) {
            *ret_key = (enum fence_filter_key)i;
            return 0;
        }
    return fence_err_set(err, -EINVAL,
                         "\"%.*s\" is none of verdict, from, to, namespace, port, reason, policy",
                         (int)(size < 64 ? size : 64), text);
}

/* "DROPPED,AUDIT" up to `size`. */
static int add_values(struct fence_filter *filter, enum fence_filter_key key, const char *text,
                      size_t size, struct fence_err *err)
{
    const char *const end = text + size;
    int result = 0;

    while (result == 0 && text <= end) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        size_t length = (size_t)((comma ? comma : end) - text);
        FENCE_FREE char *value = strndup(text, length);

        if (!value)
            return fence_err_set(err, -ENOMEM, "out of memory");
        result = fence_filter_add(filter, key, value, err);
        text += length + 1;
    }
    return result;
}

int fence_filter_parse(struct fence_filter *filter, const char *text, struct fence_err *err)
{
    int result = 0;

    do {
        size_t length = strcspn(text, ";");
        const char *equals = memchr(text, '=', length);
        enum fence_filter_key key = FENCE_FILTER_VERDICT;

        if (!equals)
            return fence_err_set(err, -EINVAL, "\"%.*s\" is not KEY=VALUE[,VALUE...]",
                                 (int)(length < 64 ? length : 64), text);
        result = find_key(text, (size_t)(equals - text), &key, err);
        if (result == 0)
            result = add_values(filter, key, equals + 1, length - (size_t)(equals - text) - 1, err);
        text += length + (text[length] == ';');
    } while (result == 0 && *text);
    return result;
}

/* ---- records --------------------------------------------------------------------------------- */

static bool is_ip(const struct fence_event *event)
{
    return event->ethertype == ETH_P_IP || event->ethertype == ETH_P_IPV6;
}

/* "NAMESPACE/REST" with this rest; an empty rest of `wanted` is any. */
static bool name_fits(const char *namespace_name, const char *rest, const char *wanted)
{
    size_t length = strlen(namespace_name);

    if (!length || strncmp(wanted, namespace_name, length) != 0 || wanted[length] != '/')
        return false;
    return !wanted[length + 1] || (*rest && strcmp(wanted + length + 1, rest) == 0);
}

static bool end_fits(const struct fence_filter_value *value, const struct fence_record_end *end,
                     bool has_address)
{
    const char *wanted = value->text;

    if (value->is_prefix)
        return has_address && !fence_addr_is_none(&end->addr) &&
               fence_prefix_contains(&value->prefix, &end->addr);
    return (*end->reserved && strcmp(wanted, end->reserved) == 0) ||
           (*end->node && name_fits("node", end->node, wanted)) ||
           name_fits(end->namespace_name, end->pod, wanted) ||
           name_fits(end->namespace_name, end->app, wanted) ||
           name_fits(end->namespace_name, end->service, wanted);
}

static bool port_fits(const struct fence_filter_value *value, const struct fence_event *event)
{
    const unsigned int protocol = event->protocol;

    return is_ip(event) &&
           (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP) &&
           event->destination_port == value->number &&
           (!value->protocol || value->protocol == protocol);
}

static bool reason_fits(unsigned int reason, const struct fence_event *event)
{
    return event->reason == reason ||
           (event->verdict == FENCE_ALLOW && event->shadow != FENCE_ALLOW &&
            event->shadow_reason == reason);
}

/* The whole of it, or what is behind one of its slashes. */
static bool policy_fits(const char *policy, const char *wanted)
{
    for (; policy; policy = strchr(policy, '/')) {
        policy += *policy == '/';
        if (strcmp(policy, wanted) == 0)
            return true;
    }
    return false;
}

static bool value_fits(const struct fence_filter_value *value, const struct fence_record *record)
{
    const struct fence_event *event = record->event;

    switch (value->key) {
    case FENCE_FILTER_VERDICT:
        return strcmp(fence_event_verdict(event), value->text) == 0;
    case FENCE_FILTER_FROM:
        return end_fits(value, &record->source, is_ip(event));
    case FENCE_FILTER_TO:
        return end_fits(value, &record->destination, is_ip(event));
    case FENCE_FILTER_NAMESPACE:
        return strcmp(record->source.namespace_name, value->text) == 0 ||
               strcmp(record->destination.namespace_name, value->text) == 0;
    case FENCE_FILTER_PORT:
        return port_fits(value, event);
    case FENCE_FILTER_REASON:
        return reason_fits(value->number, event);
    case FENCE_FILTER_POLICY:
        return policy_fits(record->policy, value->text) ||
               policy_fits(record->audit_policy, value->text);
    default:
        return false;
    }
}

bool fence_filter_fits(const struct fence_filter *filter, const struct fence_record *record)
{
    unsigned int wanted = 0, fits = 0; /* bit by key */

    for (size_t i = 0; i < filter->count; i++) {
        const struct fence_filter_value *value = &filter->values[i];

        wanted |= 1u << value->key;
        if (!(fits & 1u << value->key) && value_fits(value, record))
            fits |= 1u << value->key;
    }
    return fits == wanted;
}

bool fence_filter_lets_forwarded(const struct fence_filter *filter)
{
    bool by_verdict = false;

    for (size_t i = 0; i < filter->count; i++) {
        if (filter->values[i].key != FENCE_FILTER_VERDICT)
            continue;
        by_verdict = true;
        if (strcmp(filter->values[i].text, "FORWARDED") == 0)
            return true;
    }
    return !by_verdict;
}

void fence_filter_done(struct fence_filter *filter)
{
    for (size_t i = 0; i < filter->count; i++)
        free(filter->values[i].text);
    free(filter->values);
    *filter = (struct fence_filter){0};
}

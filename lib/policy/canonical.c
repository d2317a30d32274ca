/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/policy/canonical.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"

void fence_text_done(struct fence_text *text)
{
    free(text->data);
    *text = (struct fence_text){0};
}

void fence_text_clear(struct fence_text *text)
{
    text->size = 0;
    if (text->data)
        text->data[0] = '\0';
}

char *fence_text_take(struct fence_text *text)
{
    char *data = NULL;

    fence_text_raw(text, "", 0);
    fence_text_fit(text);
    if (!text->failed)
        data = TAKE_PTR(text->data);
    fence_text_done(text);
    return data;
}

void fence_text_fit(struct fence_text *text)
{
    char *fit = text->data ? realloc(text->data, text->size + 1) : NULL;

    if (!fit)
        return;
    text->data = fit;
    text->capacity = text->size + 1;
}

void fence_text_raw(struct fence_text *text, const char *data, size_t size)
{
    size_t wanted = text->size + size + 1;

    if (text->failed)
        return;
    if (wanted > text->capacity) {
        size_t capacity = wanted < 128 ? 256 : wanted * 2;
        char *grown = realloc(text->data, capacity);

        if (!grown) {
            text->failed = true;
            return;
        }
        text->data = grown;
        text->capacity = capacity;
    }
    if (size)
        memcpy(text->data + text->size, data, size);
    text->size += size;
    text->data[text->size] = '\0';
}

void fence_text_add(struct fence_text *text, const char *format, ...)
{
    char buffer[256];
    va_list arguments;
    int size;

    va_start(arguments, format);
    size = vsnprintf(buffer, sizeof(buffer), format, arguments);
    va_end(arguments);
    if (size < 0 || (size_t)size >= sizeof(buffer))
        text->failed = true;
    else
        fence_text_raw(text, buffer, (size_t)size);
}

void fence_text_string(struct fence_text *text, const char *string)
{
    size_t size = strlen(string);

    fence_text_add(text, "%zu:", size);
    fence_text_raw(text, string, size);
}

void fence_text_labels(struct fence_text *text, const struct fence_labels *labels)
{
    fence_text_add(text, "{%zu", labels->count);
    for (size_t i = 0; i < labels->count; i++) {
        fence_text_raw(text, " ", 1);
        fence_text_string(text, labels->items[i].key);
        fence_text_raw(text, "=", 1);
        fence_text_string(text, labels->items[i].value);
    }
    fence_text_raw(text, "}", 1);
}

void fence_text_prefix(struct fence_text *text, const struct fence_prefix *prefix)
{
    char shown[FENCE_PREFIX_TEXT];

    fence_text_add(text, " %s", fence_prefix_format(prefix, shown));
}

static int compare_ports(const void *a, const void *b)
{
    const struct fence_container_port *left = *(const struct fence_container_port *const *)a;
    const struct fence_container_port *right = *(const struct fence_container_port *const *)b;
    int order = strcmp(left->name, right->name);

    if (order == 0)
        order = (left->protocol > right->protocol) - (left->protocol < right->protocol);
    return order ? order : (left->port > right->port) - (left->port < right->port);
}

void fence_text_ports(struct fence_text *text, const struct fence_container_port *ports,
                      size_t count)
{
    FENCE_FREE const struct fence_container_port **sorted = calloc(count + 1, sizeof(void *));

    if (!sorted) {
        text->failed = true;
        return;
    }
    for (size_t i = 0; i < count; i++)
        sorted[i] = &ports[i];
    qsort(sorted, count, sizeof(void *), compare_ports);
    fence_text_add(text, "[%zu", count);
    for (size_t i = 0; i < count; i++) {
        fence_text_raw(text, " ", 1);
        fence_text_string(text, sorted[i]->name);
        fence_text_add(text, "/%u/%u", sorted[i]->protocol, sorted[i]->port);
    }
    fence_text_raw(text, "]", 1);
}

static void add_selector(struct fence_text *text, const char *title,
                         const struct fence_selector *selector)
{
    if (!selector)
        return;
    fence_text_add(text, " %s(%u", title, selector->count);
    for (size_t i = 0; i < selector->count; i++) {
        const struct fence_requirement *item = &selector->items[i];

        fence_text_raw(text, " ", 1);
        fence_text_string(text, item->key);
        fence_text_add(text, " %d[%u", (int)item->op, item->value_count);
        for (size_t j = 0; j < item->value_count; j++) {
            fence_text_raw(text, " ", 1);
            fence_text_string(text, item->values[j]);
        }
        fence_text_raw(text, "]", 1);
    }
    fence_text_raw(text, ")", 1);
}

void fence_text_peer(struct fence_text *text, const struct fence_peer_spec *peer)
{
    fence_text_add(text, " peer<%d", peer->unknown);
    add_selector(text, "namespaces", peer->namespaces);
    add_selector(text, "pods", peer->pods);
    add_selector(text, "nodes", peer->nodes);
    if (peer->block) {
        fence_text_prefix(text, &peer->block->cidr);
        fence_text_add(text, " except %u", peer->block->except_count);
        for (size_t i = 0; i < peer->block->except_count; i++)
            fence_text_prefix(text, &peer->block->except[i]);
    }
    fence_text_raw(text, ">", 1);
}

static void add_rule(struct fence_text *text, const struct fence_rule *rule)
{
    fence_text_add(text, " rule%d%d%d", (int)rule->action, rule->any_peer, rule->any_port);
    for (size_t i = 0; i < rule->peer_count; i++)
        fence_text_peer(text, &rule->peers[i]);
    for (size_t i = 0; i < rule->port_count; i++) {
        const struct fence_port_spec *port = &rule->ports[i];

        fence_text_add(text, " port %u/%u-%u", port->protocol, port->first, port->last);
        if (port->name)
            fence_text_string(text, port->name);
    }
}

void fence_text_policy(struct fence_text *text, const struct fence_object *object)
{
    const struct fence_policy *policy = &object->policy;

    fence_text_add(text, "\npolicy %d ", (int)object->kind);
    fence_text_string(text, object->namespace_name);
    fence_text_string(text, object->name);
    fence_text_add(text, " tier %d priority %d audit %d", (int)policy->tier, policy->priority,
                   policy->audit);
    for (int direction = 0; direction < FENCE_DIRECTIONS; direction++) {
        fence_text_add(text, "\n direction %d %d %d", direction, policy->isolates[direction],
                       policy->applies[direction]);
        for (size_t i = 0; policy->applies[direction] && i < policy->rule_count[direction]; i++)
            add_rule(text, &policy->rules[direction][i]);
    }
}

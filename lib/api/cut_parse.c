/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/api/cut_parse.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/api/cut.h"
#include "lib/base/addr.h"
#include "lib/base/labels.h"
#include "lib/base/memory.h"

#define NAME_MAX_BYTES  64u
#define SELECTOR_SYNTAX "key=value, key!=value, key in (a,b) or key notin (a,b), joined by commas"

static int no_memory(struct fence_err *err)
{
    return fence_err_set(err, -ENOMEM, "out of memory");
}

/* A cJSON call that failed for want of memory shows in its result alone. */
static bool add_text(cJSON *array, const char *text)
{
    cJSON *item = cJSON_CreateString(text);

    if (cJSON_AddItemToArray(array, item))
        return true;
    cJSON_Delete(item);
    return false;
}

/* ---- selectors ------------------------------------------------------------------------------ */

/* What stands between the commas of a selector, on its way into a labelSelector. */
struct requirement {
    char *key;
    const char *operator_name; /* "In", "NotIn" */
    char *values;              /* "a,b" */
    bool equals;               /* written as key=value */
};

static char *skip_spaces(char *text)
{
    return text + strspn(text, " \t");
}

static void cut_spaces(char *text)
{
    size_t length = strlen(text);

    while (length && strchr(" \t", text[length - 1]))
        text[--length] = '\0';
}

/* "(a,b)": the text between. */
static char *inside_brackets(char *text)
{
    size_t length;

    text = skip_spaces(text);
    length = strlen(text);
    if (length < 2 || text[0] != '(' || text[length - 1] != ')')
        return NULL;
    text[length - 1] = '\0';
    return text + 1;
}

/* Takes `text` apart. False when it is of no known form. */
static bool split_requirement(char *text, struct requirement *ret)
{
    char *rest;

    cut_spaces(text);
    ret->key = skip_spaces(text);
    rest = ret->key + strcspn(ret->key, " \t=!(");
    ret->equals = false;
    ret->operator_name = "In";
    ret->values = NULL;
    if (rest == ret->key)
        return false;
    text = skip_spaces(rest);
    if (strncmp(text, "!=", 2) == 0) {
        ret->operator_name = "NotIn";
        ret->values = skip_spaces(text + 2);
    } else if (*text == '=') {
        ret->equals = true;
        ret->values = skip_spaces(text + (text[1] == '=' ? 2 : 1));
    } else if (text != rest && strncmp(text, "in", 2) == 0) {
        ret->values = inside_brackets(text + 2);
    } else if (text != rest && strncmp(text, "notin", 5) == 0) {
        ret->operator_name = "NotIn";
        ret->values = inside_brackets(text + 5);
    }
    *rest = '\0';
    return ret->values != NULL;
}

static int add_values(cJSON *values, char *text, struct fence_err *err)
{
    char *next = text;

    while (next) {
        char *value = skip_spaces(strsep(&next, ","));

        cut_spaces(value);
        if (fence_label_value_check(value, err) < 0)
            return fence_err_prefix(err, -EINVAL, "\"%.80s\"", value);
        if (!add_text(values, value))
            return no_memory(err);
    }
    return 0;
}

/* key=value is a matchLabel, unless the key has one already. */
static int add_requirement(cJSON *selector, const struct requirement *requirement,
                           struct fence_err *err)
{
    cJSON *labels = cJSON_GetObjectItemCaseSensitive(selector, "matchLabels");
    cJSON *list = cJSON_GetObjectItemCaseSensitive(selector, "matchExpressions");
    cJSON *item, *values;

    if (requirement->equals && !cJSON_GetObjectItemCaseSensitive(labels, requirement->key)) {
        if (fence_label_value_check(requirement->values, err) < 0)
            return fence_err_prefix(err, -EINVAL, "\"%.80s\"", requirement->values);
        return cJSON_AddStringToObject(labels, requirement->key, requirement->values)
                   ? 0
                   : no_memory(err);
    }
    item = cJSON_CreateObject();
    if (!cJSON_AddItemToArray(list, item)) {
        cJSON_Delete(item);
        return no_memory(err);
    }
    if (!cJSON_AddStringToObject(item, "key", requirement->key) ||
        !cJSON_AddStringToObject(item, "operator", requirement->operator_name))
        return no_memory(err);
    values = cJSON_AddArrayToObject(item, "values");
    return values ? add_values(values, requirement->values, err) : no_memory(err);
}

/* The next requirement of `*rest`, cut off at its comma; NULL at the end. */
static char *next_requirement(char **rest)
{
    char *begin = *rest, *end = begin;
    int depth = 0;

    if (!begin)
        return NULL;
    for (; *end && (*end != ',' || depth > 0); end++)
        depth += (*end == '(') - (*end == ')');
    *rest = *end ? end + 1 : NULL;
    *end = '\0';
    return begin;
}

static int add_requirements(cJSON *selector, char *text, struct fence_err *err)
{
    char *rest = text, *part;
    int r = 0;

    while (r == 0 && (part = next_requirement(&rest))) {
        struct requirement requirement;

        if (!split_requirement(part, &requirement))
            return fence_err_set(err, -EINVAL, "\"%.200s\" is no label selector (%s)", part,
                                 SELECTOR_SYNTAX);
        if (fence_label_key_check(requirement.key, err) < 0)
            return fence_err_prefix(err, -EINVAL, "\"%.200s\"", requirement.key);
        r = add_requirement(selector, &requirement, err);
    }
    return r;
}

static void drop_when_empty(cJSON *object, const char *name)
{
    if (!cJSON_GetObjectItemCaseSensitive(object, name)->child)
        cJSON_DeleteItemFromObjectCaseSensitive(object, name);
}

/* "" selects everything: {}. */
static int parse_selector(const char *text, cJSON *parent, struct fence_err *err)
{
    FENCE_FREE char *copy = strdup(text);
    cJSON *selector = cJSON_AddObjectToObject(parent, "podSelector");
    int r = 0;

    if (!copy || !cJSON_AddObjectToObject(selector, "matchLabels") ||
        !cJSON_AddArrayToObject(selector, "matchExpressions"))
        return no_memory(err);
    if (*text)
        r = add_requirements(selector, copy, err);
    if (r == 0) {
        drop_when_empty(selector, "matchLabels");
        drop_when_empty(selector, "matchExpressions");
    }
    return r;
}

/* ---- namespaces ----------------------------------------------------------------------------- */

static bool is_namespace(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!(text[i] >= 'a' && text[i] <= 'z') && !(text[i] >= '0' && text[i] <= '9') &&
            (text[i] != '-' || i == 0 || i + 1 == length))
            return false;
    return length > 0 && length < NAME_MAX_BYTES;
}

/* What stands in front of the first '/' is a namespace where it can be one: the prefix of a label's
 * key has a dot. */
static size_t namespace_length(const char *text)
{
    const char *slash = strchr(text, '/');

    return slash && is_namespace(text, (size_t)(slash - text)) ? (size_t)(slash - text) : 0;
}

static int add_namespace(cJSON *pods, const char *name, struct fence_err *err)
{
    cJSON *selector, *labels;

    if (!is_namespace(name, strlen(name)))
        return fence_err_set(err, -EINVAL,
                             "\"%.80s\" is not the name of a namespace: 1 to 63 lower case "
                             "letters, digits and '-'",
                             name);
    selector = cJSON_AddObjectToObject(pods, "namespaceSelector");
    labels = cJSON_AddObjectToObject(selector, "matchLabels");
    return cJSON_AddStringToObject(labels, CUT_NAMESPACE_LABEL, name) ? 0 : no_memory(err);
}

static int fill_pods(const char *text, const char *namespace_name, cJSON *pods,
                     struct fence_err *err)
{
    size_t length = namespace_length(text);
    char name[NAME_MAX_BYTES];
    int r = 0;

    if (length) {
        snprintf(name, sizeof(name), "%.*s", (int)length, text);
        if (*namespace_name && strcmp(namespace_name, name) != 0)
            return fence_err_set(err, -EINVAL, "\"%.200s\" is of another namespace than %.80s",
                                 text, namespace_name);
        namespace_name = name;
        text += length + 1;
    }
    if (*namespace_name)
        r = add_namespace(pods, namespace_name, err);
    return r < 0 ? r : parse_selector(text, pods, err);
}

int cut_parse_pods(const char *text, const char *namespace_name, cJSON **ret_pods,
                   struct fence_err *err)
{
    cJSON *pods = cJSON_CreateObject();
    int r = pods ? fill_pods(text, namespace_name, pods, err) : no_memory(err);

    if (r < 0) {
        cJSON_Delete(pods);
        return r;
    }
    *ret_pods = pods;
    return 0;
}

/* ---- peers ---------------------------------------------------------------------------------- */

static bool parse_block(const char *text, char block[FENCE_PREFIX_TEXT])
{
    struct fence_prefix prefix;
    struct fence_addr addr;

    if (fence_addr_parse(text, &addr) == 0)
        prefix = (struct fence_prefix){.addr = addr, .length = 128};
    else if (fence_prefix_parse(text, &prefix, NULL) < 0)
        return false;
    fence_prefix_format(&prefix, block);
    return true;
}

int cut_parse_peer(const char *text, cJSON **ret_peer, struct fence_err *err)
{
    char block[FENCE_PREFIX_TEXT];
    cJSON *peer, *member;

    if (!parse_block(text, block)) {
        int r = cut_parse_pods(text, "", ret_peer, err);

        return r < 0 ? fence_err_prefix(err, r, "neither an address nor a block") : 0;
    }
    peer = cJSON_CreateObject();
    member = cJSON_AddObjectToObject(peer, "ipBlock");
    if (!cJSON_AddStringToObject(member, "cidr", block)) {
        cJSON_Delete(peer);
        return no_memory(err);
    }
    *ret_peer = peer;
    return 0;
}

/* ---- ports ---------------------------------------------------------------------------------- */

static bool parse_number(const char *text, size_t length, unsigned int *ret_number)
{
    unsigned int number = 0;

    if (length == 0 || length > 5)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        number = number * 10 + (unsigned int)(text[i] - '0');
    }
    *ret_number = number;
    return number >= 1 && number <= 65535;
}

/* 1 to 15 of a-z, 0-9 and '-', with a letter (IANA_SVC_NAME). */
static bool is_port_name(const char *text, size_t length)
{
    bool letter = false;

    for (size_t i = 0; i < length; i++)
        letter |= text[i] >= 'a' && text[i] <= 'z';
    return letter && length <= 15 && is_namespace(text, length);
}

static const char *find_protocol(const char *text)
{
    static const char *const known[] = {"TCP", "UDP", "SCTP", "ICMP", "ICMPv6"};

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(known); i++)
        if (strcmp(text, known[i]) == 0)
            return known[i];
    return NULL;
}

static bool has_ports(const char *protocol)
{
    return strncmp(protocol, "ICMP", 4) != 0;
}

/* The part in front of '/': 80, 80-90 or web. False when it is none of these. */
static bool add_numbers(cJSON *port, const char *text, size_t length)
{
    const char *dash = memchr(text, '-', length);
    size_t first_length = dash ? (size_t)(dash - text) : length;
    unsigned int first, last;
    char name[16];

    if (parse_number(text, first_length, &first)) {
        last = first;
        if (dash && (!parse_number(dash + 1, length - first_length - 1, &last) || last < first))
            return false;
        return cJSON_AddNumberToObject(port, "port", first) &&
               (!dash || cJSON_AddNumberToObject(port, "endPort", last));
    }
    if (!is_port_name(text, length))
        return false;
    snprintf(name, sizeof(name), "%.*s", (int)length, text);
    return cJSON_AddStringToObject(port, "port", name) != NULL;
}

static bool fill_port(const char *text, cJSON *port)
{
    const char *slash = strchr(text, '/');
    const char *protocol = find_protocol(slash ? slash + 1 : text);

    if (!slash && protocol)
        return cJSON_AddStringToObject(port, "protocol", protocol) != NULL;
    if (slash && (!protocol || !has_ports(protocol)))
        return false;
    if (!cJSON_AddStringToObject(port, "protocol", protocol ? protocol : "TCP"))
        return false;
    /* a word alone may be a protocol in another spelling */
    if (!slash && (*text < '0' || *text > '9'))
        return false;
    return add_numbers(port, text, slash ? (size_t)(slash - text) : strlen(text));
}

int cut_parse_port(const char *text, cJSON **ret_port, struct fence_err *err)
{
    cJSON *port = cJSON_CreateObject();

    if (!port)
        return no_memory(err);
    if (!fill_port(text, port)) {
        cJSON_Delete(port);
        return fence_err_set(err, -EINVAL,
                             "\"%.80s\" is not a port such as 5432/TCP, 8000-8010/UDP or web/TCP, "
                             "nor one of TCP, UDP, SCTP, ICMP, ICMPv6 for all of it",
                             text);
    }
    *ret_port = port;
    return 0;
}

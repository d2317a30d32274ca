/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list is an object: `items` is walked element by element, `kind` and `metadata` are kept, and
 * other members pass by. Whatever is kept is in one buffer, one value at a time.
 */
#include "lib/kube/list.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/kube/scan.h"

#define NAME_MAX_BYTES 32u         /* longer names are none of ours */
#define MEMBER_MAX     (64u << 10) /* `kind` and `metadata` */

enum place {
    AT_START,
    AT_NAME_OR_END,
    AT_NAME,
    IN_NAME,
    AT_COLON,
    AT_VALUE,
    IN_VALUE,
    AT_COMMA,
    AT_ITEM_OR_END,
    AT_ITEM,
    IN_ITEM,
    AT_ITEM_COMMA,
    AT_END,
};

enum member { MEMBER_OTHER, MEMBER_KIND, MEMBER_METADATA, MEMBER_ITEMS };

struct fence_kube_list {
    const struct fence_kube_list_ops *ops;
    void *context;
    enum place place;
    enum member member;
    unsigned int seen; /* bits by enum member */
    struct fence_kube_scan scan;
    char name[NAME_MAX_BYTES];
    size_t name_size;
    struct fence_kube_text value;
    char *kind;
    char *version;
    char *token;
};

int fence_kube_list_new(const struct fence_kube_list_ops *ops, void *context,
                        struct fence_kube_list **ret_list)
{
    struct fence_kube_list *list = calloc(1, sizeof(*list));

    if (!list)
        return -ENOMEM;
    list->ops = ops;
    list->context = context;
    *ret_list = list;
    return 0;
}

void fence_kube_list_free(struct fence_kube_list **list)
{
    if (!*list)
        return;
    free((*list)->value.data);
    free((*list)->kind);
    free((*list)->version);
    free((*list)->token);
    free(*list);
    *list = NULL;
}

static int bad(struct fence_err *err, const char *text)
{
    return fence_err_set(err, -EBADMSG, "no list: %s", text);
}

/* After the first byte of the name. */
static int in_name(struct fence_kube_list *list, char byte, struct fence_err *err)
{
    static const char *const names[] = {
        [MEMBER_KIND] = "kind", [MEMBER_METADATA] = "metadata", [MEMBER_ITEMS] = "items"};
    int r = fence_kube_scan_byte(&list->scan, byte, err);

    if (r < 0)
        return r;
    if (r == FENCE_KUBE_SCAN_INSIDE) {
        if (list->name_size < sizeof(list->name))
            list->name[list->name_size++] = byte;
        return 0;
    }
    list->member = MEMBER_OTHER;
    for (unsigned int i = MEMBER_KIND; i <= MEMBER_ITEMS; i++) {
        if (list->name_size == strlen(names[i]) &&
            memcmp(list->name, names[i], list->name_size) == 0)
            list->member = (enum member)i;
    }
    if (list->member && list->seen & 1u << list->member)
        return fence_err_set(err, -EBADMSG, "no list: \"%s\" twice", names[list->member]);
    list->seen |= 1u << list->member;
    list->place = AT_COLON;
    return 0;
}

static int copy_string(const cJSON *json, char **string, struct fence_err *err)
{
    const char *text = cJSON_GetStringValue(json);

    /* without its token, a page would be the last one */
    if (json && !text && !cJSON_IsNull(json))
        return bad(err, "its kind, version or token is no string");
    *string = strdup(text ? text : "");
    return *string ? 0 : fence_err_set(err, -ENOMEM, "out of memory");
}

static int keep_member(struct fence_kube_list *list, struct fence_err *err)
{
    cJSON *json;
    int r;

    if (list->member != MEMBER_KIND && list->member != MEMBER_METADATA)
        return list->member == MEMBER_ITEMS && strcmp(list->value.data, "null") != 0
                   ? bad(err, "its items are no array")
                   : 0;
    json = cJSON_ParseWithLength(list->value.data, list->value.size);
    if (!json)
        return bad(err, "its kind or metadata is no JSON");
    if (list->member == MEMBER_KIND) {
        r = copy_string(json, &list->kind, err);
    } else {
        r = copy_string(cJSON_GetObjectItemCaseSensitive(json, "resourceVersion"), &list->version,
                        err);
        if (r == 0)
            r = copy_string(cJSON_GetObjectItemCaseSensitive(json, "continue"), &list->token, err);
    }
    cJSON_Delete(json);
    return r;
}

static int keep_byte(struct fence_kube_list *list, char byte, size_t max, struct fence_err *err)
{
    return fence_kube_text_add(&list->value, &byte, 1, max, err);
}

static int past_value(struct fence_kube_list *list, char byte)
{
    if (byte != ',' && byte != '}')
        return -EBADMSG;
    list->place = byte == ',' ? AT_NAME : AT_END;
    return 0;
}

static int in_value(struct fence_kube_list *list, char byte, struct fence_err *err)
{
    int r = fence_kube_scan_byte(&list->scan, byte, err), kept = 0;

    if (r < 0)
        return r;
    if (list->member != MEMBER_OTHER && r != FENCE_KUBE_SCAN_PAST)
        kept = keep_byte(list, byte, MEMBER_MAX, err);
    if (kept < 0)
        return kept;
    if (r != FENCE_KUBE_SCAN_LAST && r != FENCE_KUBE_SCAN_PAST)
        return 0;
    kept = keep_member(list, err);
    list->place = AT_COMMA;
    if (kept < 0 || r == FENCE_KUBE_SCAN_LAST || fence_kube_is_blank(byte))
        return kept;
    return past_value(list, byte) < 0 ? bad(err, "no comma behind a member") : 0;
}

static int in_item(struct fence_kube_list *list, char byte, struct fence_err *err)
{
    int r = fence_kube_scan_byte(&list->scan, byte, err), kept;

    if (r < 0)
        return r;
    kept = keep_byte(list, byte, FENCE_KUBE_OBJECT_MAX, err);
    if (kept < 0 || r != FENCE_KUBE_SCAN_LAST)
        return kept;
    list->place = AT_ITEM_COMMA;
    return list->ops->item(list->context, list->value.data, list->value.size, err);
}

static void begin(struct fence_kube_list *list, enum place place)
{
    list->place = place;
    list->scan = (struct fence_kube_scan){0};
    list->value.size = 0;
    list->name_size = 0;
}

/* Between values: `byte` is no blank. */
static int at_item_mark(struct fence_kube_list *list, char byte, struct fence_err *err)
{
    if (list->place == AT_ITEM_COMMA && byte == ',')
        list->place = AT_ITEM;
    else if (list->place != AT_ITEM && byte == ']')
        list->place = AT_COMMA;
    else if (list->place != AT_ITEM_COMMA && byte == '{') {
        begin(list, IN_ITEM);
        return in_item(list, byte, err);
    } else
        return bad(err, "its items are no objects");
    return 0;
}

static int at_name_mark(struct fence_kube_list *list, char byte, struct fence_err *err)
{
    if (byte == '}' && list->place == AT_NAME_OR_END) {
        list->place = AT_END;
        return 0;
    }
    if (byte != '"')
        return bad(err, "a member without a name");
    begin(list, IN_NAME);
    fence_kube_scan_byte(&list->scan, byte, err);
    return 0;
}

static int at_value_mark(struct fence_kube_list *list, char byte, struct fence_err *err)
{
    if (list->member == MEMBER_ITEMS && byte == '[') {
        list->place = AT_ITEM_OR_END;
        return 0;
    }
    begin(list, IN_VALUE);
    return in_value(list, byte, err);
}

static int at_mark(struct fence_kube_list *list, char byte, struct fence_err *err)
{
    switch (list->place) {
    case AT_START:
        list->place = AT_NAME_OR_END;
        return byte == '{' ? 0 : bad(err, "the answer is no JSON object");
    case AT_NAME_OR_END:
    case AT_NAME:
        return at_name_mark(list, byte, err);
    case AT_COLON:
        list->place = AT_VALUE;
        return byte == ':' ? 0 : bad(err, "a member without a colon");
    case AT_VALUE:
        return at_value_mark(list, byte, err);
    case AT_COMMA:
        return past_value(list, byte) < 0 ? bad(err, "no comma behind a member") : 0;
    case AT_END:
        return bad(err, "more behind its end");
    default:
        return at_item_mark(list, byte, err);
    }
}

static int feed_byte(struct fence_kube_list *list, char byte, struct fence_err *err)
{
    if (list->place == IN_NAME)
        return in_name(list, byte, err);
    if (list->place == IN_VALUE)
        return in_value(list, byte, err);
    if (list->place == IN_ITEM)
        return in_item(list, byte, err);
    return fence_kube_is_blank(byte) ? 0 : at_mark(list, byte, err);
}

int fence_kube_list_feed(struct fence_kube_list *list, const char *data, size_t size,
                         struct fence_err *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < size; i++)
        r = feed_byte(list, data[i], err);
    return r;
}

static bool is_list_kind(const char *kind)
{
    size_t size = strlen(kind);

    return size > 4 && strcmp(kind + size - 4, "List") == 0;
}

int fence_kube_list_end(struct fence_kube_list *list, struct fence_err *err)
{
    if (list->place != AT_END)
        return bad(err, "the answer ends in the middle");
    if (list->kind && !is_list_kind(list->kind))
        return fence_err_set(err, -EBADMSG, "no list but of kind %.64s", list->kind);
    if (!(list->seen & 1u << MEMBER_ITEMS))
        return bad(err, "it has no items");
    return 0;
}

const char *fence_kube_list_version(const struct fence_kube_list *list)
{
    return list->version ? list->version : "";
}

const char *fence_kube_list_continue(const struct fence_kube_list *list)
{
    return list->token ? list->token : "";
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cni/chain.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/cni/env.h"

static bool is_ours(const cJSON *plugin)
{
    const cJSON *type = fence_json_get(plugin, "type");

    return cJSON_IsString(type) && strcmp(type->valuestring, FENCE_PLUGIN_TYPE) == 0;
}

/* ---- reading -------------------------------------------------------------------------------- */

/* Go takes the last of two, cJSON the first: neither is what the other reads. */
static int load_text(const cJSON *json, const char *key, const char **ret_text,
                     struct fence_err *err)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, key);

    *ret_text = NULL;
    if (fence_json_count(json, key) > 1)
        return fence_err_set(err, -EINVAL, "\"%s\" is given twice", key);
    if (value && !cJSON_IsString(value))
        return fence_err_set(err, -EINVAL, "\"%s\" is not a string", key);
    *ret_text = value ? value->valuestring : NULL;
    return 0;
}

static int load_plugin(const cJSON *plugin, size_t index, struct fence_err *err)
{
    const cJSON *type = fence_json_get(plugin, "type");

    if (!cJSON_IsObject(plugin))
        return fence_err_set(err, -EINVAL, "plugins[%zu] is not an object", index);
    if (!cJSON_IsString(type) || !type->valuestring[0])
        return fence_err_set(err, -EINVAL, "plugins[%zu] has no \"type\"", index);
    return 0;
}

static int load_plugins(struct fence_chain *chain, struct fence_err *err)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(chain->json, "plugins");
    const cJSON *plugin;

    if (fence_json_count(chain->json, "plugins") > 1)
        return fence_err_set(err, -EINVAL, "\"plugins\" is given twice");
    if (!cJSON_IsArray(list) || !cJSON_GetArraySize(list))
        return fence_err_set(err, -EINVAL, "\"plugins\" is not a list of plugins");
    cJSON_ArrayForEach(plugin, list)
    {
        int r = load_plugin(plugin, chain->plugins, err);

        if (r < 0)
            return r;
        if (is_ours(plugin) && !chain->ours++)
            chain->position = (int)chain->plugins;
        chain->plugins++;
    }
    return 0;
}

static int load_single(struct fence_chain *chain, struct fence_err *err)
{
    const char *type;
    int r = load_text(chain->json, "type", &type, err);

    if (r < 0)
        return r;
    if (!type || !*type)
        return fence_err_set(err, -EINVAL,
                             "there is no \"type\" (a list of plugins belongs into a .conflist)");
    chain->plugins = 1;
    if (is_ours(chain->json)) {
        chain->ours = 1;
        chain->position = 0;
    }
    return 0;
}

static int load_name(struct fence_chain *chain, struct fence_err *err)
{
    int r = load_text(chain->json, "name", &chain->name, err);

    if (r < 0)
        return r;
    if (!chain->name || !*chain->name)
        return fence_err_set(err, -EINVAL, "the network has no \"name\"");
    if (!fence_cni_is_name(chain->name) || strlen(chain->name) >= FENCE_CHAIN_NAME_MAX)
        return fence_err_set(err, -EINVAL, "\"name\": %.64s is no name of a network", chain->name);
    return load_text(chain->json, "cniVersion", &chain->version, err);
}

/* libcni takes the word in quotes too. */
static bool is_true(const cJSON *value)
{
    return cJSON_IsTrue(value) ||
           (cJSON_IsString(value) && strcasecmp(value->valuestring, "true") == 0);
}

int fence_chain_load(struct fence_slice text, bool single, struct fence_chain *ret_chain,
                     struct fence_err *err)
{
    struct fence_chain chain = {
        .json = fence_json_object(text.text, text.size),
        .whole = text,
        .position = -1,
        .single = single,
    };
    int r;

    if (!chain.json)
        return fence_err_set(err, -EINVAL, text.size ? "not one whole JSON object" : "empty");
    r = load_name(&chain, err);
    if (r == 0)
        r = single ? load_single(&chain, err) : load_plugins(&chain, err);
    if (r < 0) {
        fence_chain_done(&chain);
        return r;
    }
    chain.inlined_only = is_true(fence_json_get(chain.json, "loadOnlyInlinedPlugins"));
    *ret_chain = chain;
    return 0;
}

void fence_chain_done(struct fence_chain *chain)
{
    cJSON_Delete(chain->json);
    *chain = (struct fence_chain){.position = -1};
}

bool fence_chain_has(const struct fence_chain *chain, const char *entry)
{
    cJSON *wanted = cJSON_Parse(entry);
    const cJSON *plugin = chain->json;
    bool same;

    if (!chain->single)
        plugin = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(chain->json, "plugins"),
                                    chain->position < 0 ? 0 : chain->position);
    same = chain->ours == 1 && cJSON_Compare(plugin, wanted, true);
    cJSON_Delete(wanted);
    return same;
}

/* ---- cutting -------------------------------------------------------------------------------- */

static int no_memory(struct fence_err *err)
{
    return fence_err_set(err, -ENOMEM, "out of memory");
}

/* `whole` with `with` in place of what is between the two positions. */
static int replace(struct fence_slice whole, const char *from, const char *to, const char *with,
                   char **ret_text)
{
    int before = (int)(from - whole.text);
    int after = (int)(whole.text + whole.size - to);

    return asprintf(ret_text, "%.*s%s%.*s", before, whole.text, with, after, to) < 0 ? -ENOMEM : 0;
}

/* Text of the plugin at `index`; the chain was loaded, so it is there. */
static int plugin_text(const struct fence_chain *chain, size_t index, struct fence_slice *ret_item,
                       struct fence_err *err)
{
    struct fence_slice list;

    if (fence_json_slice(chain->json, chain->whole, "plugins", &list) &&
        fence_json_item(list, index, ret_item))
        return 0;
    return fence_err_set(err, -EINVAL, "plugins[%zu] is not to be found in the text", index);
}

static const char *end_of(struct fence_slice slice)
{
    return slice.text + slice.size;
}

/* Behind the last plugin, with the white space that stands before that one. */
static int append(const struct fence_chain *chain, const char *entry, char **ret_text,
                  struct fence_err *err)
{
    FENCE_FREE char *with = NULL;
    struct fence_slice last = {NULL, 0};
    int r = plugin_text(chain, chain->plugins - 1, &last, err);
    int space = 0;

    if (r < 0)
        return r;
    while (last.text - space > chain->whole.text && (unsigned char)last.text[-space - 1] <= ' ')
        space++;
    if (asprintf(&with, ",%.*s%s", space, last.text - space, entry) < 0)
        return no_memory(err);
    r = replace(chain->whole, end_of(last), end_of(last), with, ret_text);
    return r < 0 ? no_memory(err) : 0;
}

static int put_in_place(const struct fence_chain *chain, const char *entry, char **ret_text,
                        struct fence_err *err)
{
    struct fence_slice item = {NULL, 0};
    int r = plugin_text(chain, (size_t)chain->position, &item, err);

    if (r < 0)
        return r;
    r = replace(chain->whole, item.text, end_of(item), entry, ret_text);
    return r < 0 ? no_memory(err) : 0;
}

/* One comma goes along: the one before, or for the first plugin the one behind. */
static int cut_out(const struct fence_chain *chain, size_t index, char **ret_text,
                   struct fence_err *err)
{
    struct fence_slice item = {NULL, 0}, other = {NULL, 0};
    int r = plugin_text(chain, index, &item, err);

    if (chain->plugins == 1)
        return fence_err_set(err, -ENODATA, "podfence is the only plugin of this list");
    if (r == 0)
        r = plugin_text(chain, index ? index - 1 : 1, &other, err);
    if (r < 0)
        return r;
    r = index ? replace(chain->whole, end_of(other), end_of(item), "", ret_text)
              : replace(chain->whole, item.text, other.text, "", ret_text);
    return r < 0 ? no_memory(err) : 0;
}

/* A list around a single plugin, whose text stays as it is. */
static int wrap(const struct fence_chain *chain, const char *entry, char **ret_text,
                struct fence_err *err)
{
    struct fence_slice name = {NULL, 0}, version = {NULL, 0};
    const char *text = chain->whole.text;
    size_t size = chain->whole.size;

    while (size && (unsigned char)text[size - 1] <= ' ')
        size--;
    if (!fence_json_slice(chain->json, chain->whole, "name", &name))
        return fence_err_set(err, -EINVAL, "\"name\" is not to be found in the text");
    fence_json_slice(chain->json, chain->whole, "cniVersion", &version);
    if (asprintf(ret_text,
                 "{\n  \"name\": %.*s,\n%s%.*s%s  \"plugins\": [\n    %.*s,\n    %s\n  ]\n}\n",
                 (int)name.size, name.text, version.size ? "  \"cniVersion\": " : "",
                 (int)version.size, version.size ? version.text : "", version.size ? ",\n" : "",
                 (int)size, text, entry) < 0)
        return no_memory(err);
    return 0;
}

/* ---- the edits ------------------------------------------------------------------------------ */

/* Position of the last entry of ours. */
static size_t last_ours(const struct fence_chain *chain)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(chain->json, "plugins");
    size_t last = 0, index = 0;
    const cJSON *plugin;

    cJSON_ArrayForEach(plugin, list)
    {
        if (is_ours(plugin))
            last = index;
        index++;
    }
    return last;
}

/* Until only `keep` of ours are there: *text is taken and replaced. */
static int thin_out(char **text, size_t keep, struct fence_err *err)
{
    for (;;) {
        struct fence_chain chain = {.position = -1};
        char *shorter = NULL;
        int r = fence_chain_load((struct fence_slice){*text, strlen(*text)}, false, &chain, err);

        if (r < 0)
            return r;
        if (chain.ours > keep)
            r = cut_out(&chain, last_ours(&chain), &shorter, err);
        fence_chain_done(&chain);
        if (r < 0 || !shorter)
            return r;
        free(*text);
        *text = shorter;
    }
}

/* Nothing leaves here that does not say what it was made for. */
static int check_made(const char *text, const struct fence_chain *before, const char *entry,
                      struct fence_err *err)
{
    const size_t others = before->plugins - before->ours;
    struct fence_chain made = {.position = -1};
    int r = fence_chain_load((struct fence_slice){text, strlen(text)}, false, &made, err);
    bool good;

    if (r != 0)
        return fence_err_prefix(err, r, "what was made of it");
    good = made.name && strcmp(made.name, before->name) == 0 &&
           made.plugins - made.ours == others &&
           (entry ? fence_chain_has(&made, entry) : made.ours == 0);
    fence_chain_done(&made);
    return good ? 0 : fence_err_set(err, -EINVAL, "it cannot be edited without changing the rest");
}

int fence_chain_insert(const struct fence_chain *chain, const char *entry, char **ret_text,
                       struct fence_err *err)
{
    FENCE_FREE char *text = NULL;
    int r;

    if (chain->single && chain->ours)
        return fence_err_set(err, -EINVAL, "podfence is the only plugin of this network");
    if (chain->single)
        r = wrap(chain, entry, &text, err);
    else if (chain->ours)
        r = put_in_place(chain, entry, &text, err);
    else
        r = append(chain, entry, &text, err);
    if (r == 0)
        r = thin_out(&text, 1, err);
    if (r == 0)
        r = check_made(text, chain, entry, err);
    if (r == 0)
        *ret_text = TAKE_PTR(text);
    return r;
}

int fence_chain_remove(const struct fence_chain *chain, char **ret_text, struct fence_err *err)
{
    FENCE_FREE char *text = strndup(chain->whole.text, chain->whole.size);
    int r;

    if (!text)
        return no_memory(err);
    if (chain->single)
        return fence_err_set(err, -ENODATA, "podfence is the only plugin of this network");
    r = thin_out(&text, 0, err);
    if (r == 0)
        r = check_made(text, chain, NULL, err);
    if (r == 0)
        *ret_text = TAKE_PTR(text);
    return r;
}

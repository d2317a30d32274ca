/* SPDX-License-Identifier: Apache-2.0 */
/* ConfigMaps that hold policies: each is a unit of the store as a file is. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/objects/live_internal.h"

#define KIND "ConfigMap"

static int no_memory(struct fence_err *err)
{
    return fence_err_set(err, -ENOMEM, "out of memory");
}

/* ---- what they may hold --------------------------------------------------------------------- */

/* Takes `text`, NULL when out of memory. */
static int refuse(struct fence_decoded *decoded, char *text)
{
    char *id = text ? fence_object_id(decoded->object) : NULL;

    if (!id) {
        free(text);
        return -ENOMEM;
    }
    fence_decoded_done(decoded);
    *decoded = (struct fence_decoded){.refused = FENCE_REFUSED_ONE, .id = id, .error = text};
    return 0;
}

/* Who may write there may write for everywhere. */
static bool is_trusted(const struct fence_live *live, const struct fence_config_map *config_map)
{
    return live->trusted && strcmp(live->trusted, config_map->namespace_name) == 0;
}

static int check_one(const struct fence_live *live, const struct fence_config_map *config_map,
                     struct fence_decoded *decoded)
{
    const struct fence_object *object = decoded->object;
    char *text = NULL;
    int length = 0;

    if (!object)
        return 0;
    if (!fence_kind_is_policy(object->kind))
        length = asprintf(&text, "only policies are read from a ConfigMap of the API, not a %s",
                          fence_kind_name(object->kind));
    else if (!is_trusted(live, config_map) &&
             strcmp(object->namespace_name, config_map->namespace_name) != 0)
        length =
            asprintf(&text, "a ConfigMap of namespace %s holds policies of that namespace only",
                     config_map->namespace_name);
    if (length == 0)
        return 0;
    return refuse(decoded, length < 0 ? NULL : text);
}

static int check(const struct fence_live *live, const struct fence_config_map *config_map,
                 struct fence_decoded_list *list)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < list->count; i++)
        r = check_one(live, config_map, &list->items[i]);
    return r;
}

/* ---- from outside --------------------------------------------------------------------------- */

/* A new string, NULL when out of memory. */
static char *unit_of(const struct fence_live *live, const struct fence_config_map *config_map)
{
    char *unit = NULL;

    if (asprintf(&unit, "%s: " KIND "/%s/%s", live->name, config_map->namespace_name,
                 config_map->name) < 0)
        return NULL;
    return unit;
}

static int put(struct fence_live *live, const struct fence_config_map *config_map,
               struct fence_decoded_list *list, struct fence_err *err)
{
    FENCE_FREE char *unit = unit_of(live, config_map);

    if (!unit || check(live, config_map, list) < 0 ||
        fence_live_units_tell(&live->config_maps, unit) < 0)
        return no_memory(err);
    /* of equal names those of others come first, wherever they are from */
    return fence_store_put(live->store,
                           is_trusted(live, config_map) ? live->order : FENCE_STORE_LAST, unit,
                           list, err);
}

static int take_out(struct fence_live *live, const struct fence_config_map *config_map,
                    struct fence_err *err)
{
    FENCE_FREE char *unit = unit_of(live, config_map);
    int r = unit ? fence_live_units_remove(&live->config_maps, live->store, unit) : -ENOMEM;

    return r < 0 ? no_memory(err) : r;
}

/* What was not told because of it is not gone. */
static int fail(struct fence_live *live, int r, const struct fence_err *reason,
                struct fence_err *err)
{
    live->config_maps.incomplete = true;
    return r == -ENOMEM ? no_memory(err) : fence_live_unreadable(live, KIND, reason, err);
}

int fence_live_config_map(struct fence_live *live, char *json, size_t size, struct fence_err *err)
{
    FENCE_CLEANUP(fence_config_map_done) struct fence_config_map config_map = {0};
    FENCE_CLEANUP(fence_decoded_list_done) struct fence_decoded_list list = {0};
    const struct fence_json text = {json, size};
    struct fence_err reason = {""};
    int r = fence_decode_config_map(&text, &config_map, &list, &reason);

    if (r < 0)
        return fail(live, r, &reason, err);
    r = put(live, &config_map, &list, err);
    return r < 0 ? fail(live, r, &reason, err) : r;
}

int fence_live_config_map_deleted(struct fence_live *live, char *json, size_t size,
                                  struct fence_err *err)
{
    FENCE_CLEANUP(fence_config_map_done) struct fence_config_map config_map = {0};
    const struct fence_json text = {json, size};
    struct fence_err reason = {""};
    int r = fence_decode_config_map(&text, &config_map, NULL, &reason);

    return r < 0 ? fail(live, r, &reason, err) : take_out(live, &config_map, err);
}

void fence_live_config_maps_begin(struct fence_live *live)
{
    fence_live_units_begin(&live->config_maps);
}

int fence_live_config_maps_end(struct fence_live *live, struct fence_err *err)
{
    int r;

    if (!live->config_maps.begun)
        return 0;
    r = fence_live_units_end(&live->config_maps, live->store);
    if (r < 0)
        return no_memory(err);
    if (live->config_maps.incomplete)
        return 0;
    return fence_live_readable(live, KIND, err) < 0 ? -ENOMEM : r;
}

int fence_live_trust(struct fence_live *live, const char *namespace_name, struct fence_err *err)
{
    char *copy = strdup(namespace_name);

    if (!copy)
        return no_memory(err);
    free(live->trusted);
    live->trusted = copy;
    return 0;
}

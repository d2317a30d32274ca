/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "cni/ctl/names.h"
#include "cni/ctl/options.h"
#include "lib/base/addr.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"
#include "lib/datapath/read.h"
#include "lib/policy/intern.h"

/* One identity while its addresses are being collected. */
struct entry {
    __u32 number;
    cJSON *row;       /* owned by the list once it is there */
    cJSON *addresses; /* in row */
};

struct listing {
    const struct fence_pins *pins;
    struct fence_settings settings;
    struct fence_intern numbers; /* identity to the index in items */
    struct entry *items;
    size_t count;
    size_t capacity;
};

/* NULL when out of memory. The pointer holds until the next call. */
static struct entry *entry_add(struct listing *listing, __u32 number)
{
    struct entry *entry;
    uint32_t index;

    if (FENCE_GROW(listing->items, listing->capacity, listing->count) < 0 ||
        fence_intern_put(&listing->numbers, &number, sizeof(number), (uint32_t)listing->count,
                         &index) < 0)
        return NULL;
    entry = &listing->items[listing->count++];
    *entry = (struct entry){.number = number, .row = cJSON_CreateObject()};
    cJSON_AddNumberToObject(entry->row, "identity", number);
    return entry;
}

static const char *kind_name(__u32 kind)
{
    if (kind == FENCE_KIND_POD)
        return "pod";
    return kind == FENCE_KIND_NODE ? "node" : "reserved";
}

static void fill(const struct listing *listing, struct entry *entry,
                 const struct fence_identity_info *info)
{
    char text[512];

    fence_identity_show(listing->pins, entry->number, text, sizeof(text));
    cJSON_AddStringToObject(entry->row, "name", text);
    cJSON_AddStringToObject(entry->row, "kind", kind_name(info->kind));
    if (ctl_spiffe(&listing->settings, info, text, sizeof(text))) {
        cJSON_AddStringToObject(entry->row, "namespace", info->namespace_name);
        cJSON_AddStringToObject(entry->row, "app", info->app);
        cJSON_AddStringToObject(entry->row, "spiffe", text);
    }
    cJSON_AddStringToObject(entry->row, "labels", info->labels);
    entry->addresses = cJSON_AddArrayToObject(entry->row, "addresses");
}

static int visit_identity(void *context, const void *key, const void *value)
{
    struct entry *entry = entry_add(context, *(const __u32 *)key);

    if (!entry)
        return -1;
    fill(context, entry, value);
    return 0;
}

/* Reserved identities need no entry in the map to have addresses. */
static struct entry *entry_of_peer(struct listing *listing, __u32 number)
{
    static const struct fence_identity_info reserved = {.kind = FENCE_KIND_RESERVED};
    struct fence_peer peer;
    struct entry *entry;
    uint32_t index;

    if (fence_peer_read(listing->pins, number, &peer) < 0)
        return NULL;
    if (fence_intern_find(&listing->numbers, &peer.identity, sizeof(peer.identity), &index))
        return &listing->items[index];
    entry = entry_add(listing, peer.identity);
    if (entry)
        fill(listing, entry, &reserved);
    return entry;
}

static int visit_address(void *context, const void *key, const void *value)
{
    struct entry *entry = entry_of_peer(context, *(const __u32 *)value);
    char text[FENCE_ADDR_TEXT];

    if (entry)
        cJSON_AddItemToArray(entry->addresses, cJSON_CreateString(fence_addr_format(key, text)));
    return 0;
}

static int visit_prefix(void *context, const void *key, const void *value)
{
    const struct fence_prefix_key *prefix = key;
    struct fence_prefix shown = {.addr = prefix->addr, .length = prefix->length};
    struct entry *entry = entry_of_peer(context, *(const __u32 *)value);
    char text[FENCE_PREFIX_TEXT];

    if (entry)
        cJSON_AddItemToArray(entry->addresses,
                             cJSON_CreateString(fence_prefix_format(&shown, text)));
    return 0;
}

static int by_number(const void *a_item, const void *b_item)
{
    __u32 a = ((const struct entry *)a_item)->number, b = ((const struct entry *)b_item)->number;

    return (a > b) - (a < b);
}

static void print_text(const struct ctl *ctl, const cJSON *value)
{
    static const struct ctl_column columns[] = {
        {"IDENTITY", "identity", NULL, 0}, {"NAME", "name", NULL, 60},
        {"KIND", "kind", NULL, 0},         {"ADDRESSES", "addresses", NULL, 60},
        {"LABELS", "labels", NULL, 80},    {"SPIFFE", "spiffe", NULL, 0},
    };

    ctl_table_print(stdout, ctl->output.color, ctl_member(value, "identities"), columns,
                    FENCE_ARRAY_SIZE(columns));
}

/* Hands the rows over to `rows` (NULL: they are dropped) and frees the rest. */
static void listing_done(struct listing *listing, cJSON *rows)
{
    if (listing->count)
        qsort(listing->items, listing->count, sizeof(*listing->items), by_number);
    for (size_t i = 0; i < listing->count; i++)
        if (!rows || !cJSON_AddItemToArray(rows, listing->items[i].row))
            cJSON_Delete(listing->items[i].row);
    free(listing->items);
    fence_intern_done(&listing->numbers);
}

static int show(struct ctl *ctl, const struct fence_pins *pins)
{
    struct listing listing = {.pins = pins};
    struct fence_err err = {0};
    cJSON *value;
    int r;

    fence_settings_read(pins, &listing.settings);
    r = fence_map_each(pins, FENCE_MAP_IDENTITIES, visit_identity, &listing, &err);
    if (r == 0)
        r = fence_map_each(pins, FENCE_MAP_ADDRESSES, visit_address, &listing, &err);
    if (r == 0)
        r = fence_map_each(pins, FENCE_MAP_PREFIXES, visit_prefix, &listing, &err);
    if (r != 0) {
        listing_done(&listing, NULL);
        return ctl_fail(ctl, "%s", *err.text ? err.text : "out of memory");
    }
    value = cJSON_CreateObject();
    listing_done(&listing, cJSON_AddArrayToObject(value, "identities"));
    return ctl_show(ctl, value, print_text);
}

int ctl_identities(struct ctl *ctl, int argc, char **argv)
{
    const struct ctl_usage usage = {
        .verb = "identities",
        .arguments = "",
        .about = "Lists the label identities of this node's view, and the addresses and blocks "
                 "that lead to\neach. Reads the pins; needs no daemon.",
        .example = "  podfencectl identities",
    };

    return ctl_with_pins(ctl, &usage, argc, argv, show);
}

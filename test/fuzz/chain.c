/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a network configuration, a list or, when they begin with '!', a single plugin. What
 * was put in is there once, changes no other plugin's text, is not put in twice, and comes out
 * again.
 */
#include <string.h>

#include "lib/base/memory.h"
#include "lib/cni/chain.h"
#include "test/fuzz/fuzz.h"

#define ENTRY "{\"type\":\"podfence\",\"startMode\":\"hold\"}"

static void load(const char *text, struct fence_chain *chain)
{
    FUZZ_HOLDS(fence_chain_load((struct fence_slice){text, strlen(text)}, false, chain, NULL) == 0);
}

/* The next plugin from `index` on that is not podfence's. */
static int next_other(const cJSON *list, int index)
{
    const cJSON *type;

    for (; index < cJSON_GetArraySize(list); index++) {
        type = cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(list, index), "type");
        if (strcmp(cJSON_GetStringValue(type), FENCE_PLUGIN_TYPE) != 0)
            break;
    }
    return index;
}

static bool same_item(const struct fence_chain *a, int i, const struct fence_chain *b, int k)
{
    struct fence_slice list_a, list_b, text_a, text_b;

    return fence_json_slice(a->json, a->whole, "plugins", &list_a) &&
           fence_json_slice(b->json, b->whole, "plugins", &list_b) &&
           fence_json_item(list_a, (size_t)i, &text_a) &&
           fence_json_item(list_b, (size_t)k, &text_b) && text_a.size == text_b.size &&
           memcmp(text_a.text, text_b.text, text_a.size) == 0;
}

/* The other plugins of both, one by one, byte for byte. */
static bool same_others(const struct fence_chain *a, const struct fence_chain *b)
{
    const cJSON *one = cJSON_GetObjectItemCaseSensitive(a->json, "plugins");
    const cJSON *other = cJSON_GetObjectItemCaseSensitive(b->json, "plugins");
    int i = next_other(one, 0), k = next_other(other, 0);

    while (i < cJSON_GetArraySize(one) && k < cJSON_GetArraySize(other)) {
        if (!same_item(a, i, b, k))
            return false;
        i = next_other(one, i + 1);
        k = next_other(other, k + 1);
    }
    return i == cJSON_GetArraySize(one) && k == cJSON_GetArraySize(other);
}

static void check_removed(const struct fence_chain *before, const struct fence_chain *after)
{
    FENCE_FREE char *text = NULL;
    struct fence_chain bare;

    if (fence_chain_remove(after, &text, NULL) < 0)
        return;
    load(text, &bare);
    FUZZ_HOLDS(bare.ours == 0 && same_others(&bare, after));
    FUZZ_HOLDS(before->single || before->ours ||
               (strlen(text) == before->whole.size &&
                memcmp(text, before->whole.text, before->whole.size) == 0));
    fence_chain_done(&bare);
}

static void check_inserted(const struct fence_chain *before, const char *text)
{
    FENCE_FREE char *again = NULL;
    struct fence_chain after;

    load(text, &after);
    FUZZ_HOLDS(fence_chain_has(&after, ENTRY) && strcmp(after.name, before->name) == 0);
    FUZZ_HOLDS(fence_chain_insert(&after, ENTRY, &again, NULL) == 0 && strcmp(again, text) == 0);
    FUZZ_HOLDS(before->single || same_others(before, &after));
    check_removed(before, &after);
    fence_chain_done(&after);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FENCE_FREE char *text = malloc(size + 1);
    FENCE_FREE char *inserted = NULL;
    bool single = size > 0 && data[0] == '!';
    struct fence_chain chain;
    struct fence_err err = {""};
    int r;

    if (!text)
        return 0;
    memcpy(text, data + single, size - single);
    text[size - single] = '\0';
    r = fence_chain_load((struct fence_slice){text, size - single}, single, &chain, &err);
    FUZZ_HOLDS(r == 0 || *err.text);
    if (r < 0)
        return 0;
    r = fence_chain_insert(&chain, ENTRY, &inserted, &err);
    FUZZ_HOLDS(r == 0 || *err.text);
    if (r == 0)
        check_inserted(&chain, inserted);
    fence_chain_done(&chain);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "test/objects/live_lab.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/cmocka.h"

int live_lab_init(struct live_lab *lab)
{
    if (fence_store_new(&lab->store) < 0)
        return -ENOMEM;
    return fence_live_new(lab->store, 1, "kubernetes", &lab->live, NULL);
}

void live_lab_done(struct live_lab *lab)
{
    fence_live_free(&lab->live);
    fence_store_free(&lab->store);
}

static char *policy_json(const char *name, int version)
{
    char *json = NULL;

    if (version == LIVE_UNREADABLE)
        return strdup("{\"metadata\":{}}");
    if (asprintf(&json,
                 "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"x\",\"resourceVersion\":\"7\"},"
                 "\"spec\":{\"podSelector\":{},\"ingress\":[{\"ports\":[{\"port\":%s%d}]}]%s}}",
                 name, version == LIVE_BAD ? "7000" : "", version,
                 version == LIVE_WARNED ? ",\"more\":1" : "") < 0)
        return NULL;
    return json;
}

int live_tell(struct live_lab *lab, const char *name, int version)
{
    FENCE_FREE char *json = policy_json(name, version == LIVE_GONE ? 1 : version);
    struct fence_err err = {""};
    int r;

    assert_non_null(json);
    if (version == LIVE_GONE)
        r = fence_live_deleted(lab->live, LIVE_POLICY, json, strlen(json), &err);
    else
        r = fence_live_object(lab->live, LIVE_POLICY, json, strlen(json), &err);
    assert_true(r >= 0);
    return r;
}

int live_end(struct live_lab *lab)
{
    struct fence_err err = {""};
    int r = fence_live_end(lab->live, LIVE_POLICY, &err);

    assert_true(r >= 0);
    return r;
}

int live_put_file(struct live_lab *lab, const char *unit, const char *text)
{
    struct fence_decoded_list list = {0};
    struct fence_err err = {""};
    int r;

    assert_int_equal(fence_decode_stream(text, strlen(text), &list, &err), 0);
    r = fence_store_put(lab->store, 2, unit, &list, &err);
    fence_decoded_list_done(&list);
    assert_true(r >= 0);
    return r;
}

int live_version(const struct fence_object *object)
{
    return object ? object->policy.rules[FENCE_INGRESS][0].ports[0].first : 0;
}

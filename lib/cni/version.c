/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cni/version.h"

#include <cjson/cJSON.h>
#include <stddef.h>
#include <string.h>

/* In ascending order. */
#define VERSIONS(X)         X("0.3.0") X("0.3.1") X("0.4.0") X("1.0.0") X("1.1.0")
#define LISTED(version)     version,
#define QUOTED(version)     " \"" version "\""
#define WITH_COMMA(version) ", " version

static const char *const versions[] = {VERSIONS(LISTED)};
#define VERSION_COUNT (sizeof(versions) / sizeof(versions[0]))

/* The first version that knows the verb. */
static const char *const since[FENCE_CNI_VERB_COUNT] = {
    [FENCE_CNI_CHECK] = "0.4.0",
    [FENCE_CNI_GC] = "1.1.0",
    [FENCE_CNI_STATUS] = "1.1.0",
};

static size_t position(const char *version)
{
    size_t at = 0;

    while (at < VERSION_COUNT && strcmp(versions[at], version) != 0)
        at++;
    return at;
}

int fence_cni_version_check(enum fence_cni_verb verb, const char *version,
                            struct fence_cni_error *error)
{
    const char *shown = version ? version : "0.1.0";
    size_t at = position(shown);

    if (at == VERSION_COUNT) {
        fence_cni_fail(error, FENCE_CNI_INCOMPATIBLE_VERSION, "incompatible CNI versions");
        return fence_cni_details(error, "config is \"%.64s\", plugin supports [%s]", shown,
                                 &VERSIONS(QUOTED)[1]);
    }
    if (since[verb] && at < position(since[verb]))
        return fence_cni_fail(error, FENCE_CNI_INCOMPATIBLE_VERSION,
                              "config version does not allow %s", fence_cni_verb_name(verb));
    return 0;
}

char *fence_cni_version_json(void)
{
    cJSON *object = cJSON_CreateObject();
    cJSON *list = cJSON_CreateStringArray(versions, (int)VERSION_COUNT);
    char *text = NULL;

    if (!cJSON_AddStringToObject(object, "cniVersion", FENCE_CNI_VERSION_LATEST) ||
        !cJSON_AddItemToObject(object, "supportedVersions", list))
        cJSON_Delete(list);
    else
        text = cJSON_PrintUnformatted(object);
    cJSON_Delete(object);
    return text;
}

const char *fence_cni_versions_text(void)
{
    return &VERSIONS(WITH_COMMA)[2];
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines as the pods, the peer, a port and the duration of a cut. What is taken is a policy that the
 * decoder takes too, a Denylist of an end, and never one for every pod; what is refused says why.
 */
#include <string.h>

#include "lib/api/cut.h"
#include "lib/base/memory.h"
#include "lib/objects/decode.h"
#include "test/fuzz/fuzz.h"

#define END 1800000000

static const char *next_line(char **rest)
{
    const char *line = strsep(rest, "\n");

    return line ? line : "";
}

static void check(cJSON *json)
{
    FENCE_FREE char *text = cJSON_PrintUnformatted(json);
    struct fence_decoded_list list = {0};
    const struct fence_policy *policy;
    struct fence_err err = {""};

    FUZZ_HOLDS(text && fence_decode_stream(text, strlen(text), &list, &err) == 0);
    FUZZ_HOLDS(list.count == 1 && !list.items[0].error && !list.items[0].warning);
    policy = &list.items[0].object->policy;
    FUZZ_HOLDS(policy->tier == FENCE_TIER_DENYLIST && policy->expires_at == END);
    FUZZ_HOLDS(policy->pods.count || policy->namespaces.count);
    FUZZ_HOLDS(policy->applies[FENCE_INGRESS] && policy->applies[FENCE_EGRESS]);
    fence_decoded_list_done(&list);
    cJSON_Delete(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FENCE_FREE char *text = malloc(size + 1);
    struct fence_cut cut = {.seconds = 60, .origin = "user"};
    struct fence_err err = {""};
    cJSON *policy = NULL;
    char *rest = text;
    uint32_t seconds;

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    cut.pods = next_line(&rest);
    cut.peer = next_line(&rest);
    cut.ports[0] = next_line(&rest);
    cut.port_count = *cut.ports[0] != '\0';
    if (fence_cut_duration_parse(next_line(&rest), &seconds, &err) == 0)
        FUZZ_HOLDS(seconds >= 1 && seconds <= FENCE_CUT_SECONDS_MAX);
    else
        FUZZ_HOLDS(*err.text);
    err.text[0] = '\0';
    if (fence_cut_policy(&cut, "cut-x", END, &policy, &err) == 0)
        check(policy);
    else
        FUZZ_HOLDS(*err.text);
    return 0;
}

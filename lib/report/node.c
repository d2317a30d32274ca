/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/report/node.h"

static void add_owner(cJSON *metadata, const struct fence_node_report *report)
{
    cJSON *owners = cJSON_AddArrayToObject(metadata, "ownerReferences");
    cJSON *owner = cJSON_CreateObject();

    cJSON_AddStringToObject(owner, "apiVersion", "v1");
    cJSON_AddStringToObject(owner, "kind", "Node");
    cJSON_AddStringToObject(owner, "name", report->node);
    cJSON_AddStringToObject(owner, "uid", report->node_uid);
    cJSON_AddItemToArray(owners, owner);
}

static void add_failures(cJSON *json, const struct fence_node_report *report)
{
    cJSON *list = cJSON_AddArrayToObject(json, "failing");

    for (size_t i = 0; i < report->failing && i < FENCE_NODE_REPORT_FAILURES; i++) {
        cJSON *failure = cJSON_CreateObject();

        cJSON_AddStringToObject(failure, "policy", report->failures[i].policy);
        cJSON_AddStringToObject(failure, "text", report->failures[i].text);
        cJSON_AddItemToArray(list, failure);
    }
}

char *fence_node_report_format(const struct fence_node_report *report)
{
    cJSON *json = cJSON_CreateObject(), *metadata, *policies;
    char digest[FENCE_REPORT_DIGEST_TEXT], *text;

    cJSON_AddStringToObject(json, "apiVersion", "podfence.io/v1alpha1");
    cJSON_AddStringToObject(json, "kind", "NodeReport");
    metadata = cJSON_AddObjectToObject(json, "metadata");
    cJSON_AddStringToObject(metadata, "name", report->node);
    if (*report->node_uid)
        add_owner(metadata, report);
    fence_report_digest_format(&report->digest, digest);
    policies = cJSON_AddObjectToObject(json, "policies");
    cJSON_AddStringToObject(policies, "digest", digest);
    cJSON_AddNumberToObject(policies, "count", (double)report->digest.count);
    cJSON_AddNumberToObject(json, "failingCount", (double)report->failing);
    add_failures(json, report);
    text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    return text;
}

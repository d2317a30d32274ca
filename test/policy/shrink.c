/* SPDX-License-Identifier: Apache-2.0 */
#include "test/policy/shrink.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/names.h"
#include "test/policy/legs.h"

/* Do the same two still disagree? */
static bool still_fails(const cJSON *world, struct shrink *shrink)
{
    struct leg_stage stage = {0};
    struct leg_result result = {0};
    struct fence_err err = {0};
    bool fails = leg_stage_load(&stage, world, &err) == 0 &&
                 legs_compare(&stage, shrink->query, &result, &err) == 0 &&
                 result.left == shrink->result->left && result.right == shrink->result->right;

    leg_stage_done(&stage);
    if (fails)
        *shrink->how = err;
    return fails;
}

/* What makes an item what it is: without it, it would be another one or none. */
static bool is_name(const cJSON *item)
{
    return item->string && (strcmp(item->string, "ns") == 0 || strcmp(item->string, "name") == 0);
}

/* Delete the item that comes after *skip others, the outer before the inner. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the world's JSON */
static bool delete_nth(cJSON *parent, unsigned int *skip)
{
    cJSON *item;

    cJSON_ArrayForEach(item, parent)
    {
        if (is_name(item))
            continue;
        if ((*skip)-- == 0) {
            cJSON_Delete(cJSON_DetachItemViaPointer(parent, item));
            return true;
        }
        if (delete_nth(item, skip))
            return true;
    }
    return false;
}

/* One pass over all items. */
static bool shrink_once(cJSON **world, struct shrink *shrink)
{
    bool smaller = false;

    for (unsigned int n = 0;; n++) {
        cJSON *candidate = cJSON_Duplicate(*world, true);
        unsigned int skip = n;

        if (!delete_nth(candidate, &skip)) {
            cJSON_Delete(candidate);
            return smaller;
        }
        while (still_fails(candidate, shrink)) {
            cJSON_Delete(*world);
            *world = cJSON_Duplicate(candidate, true);
            smaller = true;
            skip = n;
            if (!delete_nth(candidate, &skip))
                break;
        }
        cJSON_Delete(candidate);
    }
}

void shrink_world(cJSON **world, struct shrink *shrink)
{
    while (shrink_once(world, shrink))
        ;
}

static void add_packet(cJSON *line, const struct fence_query *query)
{
    char buffer[8];

    cJSON_AddStringToObject(line, "protocol", fence_protocol_name(query->protocol, buffer));
    if (query->protocol == IPPROTO_ICMP || query->protocol == IPPROTO_ICMPV6) {
        cJSON_AddNumberToObject(line, "type", query->port >> 8);
        cJSON_AddNumberToObject(line, "code", query->port & 255);
    } else {
        cJSON_AddNumberToObject(line, "port", query->port);
    }
}

static void add_verdict(cJSON *line, const char *key, uint8_t verdict)
{
    if (verdict == FENCE_DEFER)
        cJSON_AddStringToObject(line, key, "mixed");
    else
        cJSON_AddBoolToObject(line, key, verdict == FENCE_ALLOW);
}

void shrink_describe(cJSON *world, const char *name, const struct fence_query *query)
{
    struct naive *naive = naive_new(world);
    struct naive_answer answer = {0};
    const struct naive_side *sides = answer.sides;
    cJSON *line = cJSON_CreateObject();

    if (naive)
        naive_ask(naive, query, &answer);
    cJSON_AddStringToObject(line, "from", query->from);
    cJSON_AddStringToObject(line, "to", query->to);
    add_packet(line, query);
    cJSON_AddStringToObject(line, "family", query->family == 4 ? "v4" : "v6");
    add_verdict(line, "allowed",
                leg_verdict_of_both(sides[FENCE_EGRESS].verdict, sides[FENCE_INGRESS].verdict));
    add_verdict(line, "audit",
                leg_verdict_of_both(sides[FENCE_EGRESS].shadow, sides[FENCE_INGRESS].shadow));
    cJSON_AddStringToObject(world, "name", name);
    cJSON_AddStringToObject(world, "source", "test/policy/property.c");
    cJSON_AddItemToArray(cJSON_AddArrayToObject(world, "expect"), line);
    naive_free(&naive);
}

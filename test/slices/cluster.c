/* SPDX-License-Identifier: Apache-2.0 */
#include "test/slices/cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/cmocka.h"

#define LABEL_SETS 12u

/* ---- pods and nodes -------------------------------------------------------------------------- */

unsigned int cluster_random(struct cluster *cluster, unsigned int below)
{
    cluster->seed ^= cluster->seed << 13;
    cluster->seed ^= cluster->seed >> 7;
    cluster->seed ^= cluster->seed << 17;
    return (unsigned int)(cluster->seed >> 20) % below;
}

static void draw_pod(struct cluster *cluster, struct cluster_pod *pod)
{
    pod->exists = true;
    pod->has_address = cluster_random(cluster, 8) != 0;
    pod->over = cluster_random(cluster, 16) == 0;
    pod->node = cluster_random(cluster, CLUSTER_NODES);
    pod->labels = cluster_random(cluster, LABEL_SETS);
    pod->address = cluster_random(cluster, 65536);
}

void cluster_init(struct cluster *cluster, uint64_t seed)
{
    *cluster = (struct cluster){.seed = (seed + 1) * 0x9e3779b97f4a7c15ull, .version = 100};
    cluster->slices = cJSON_CreateObject();
    for (unsigned int i = 0; i < CLUSTER_PODS; i++)
        if (cluster_random(cluster, 2))
            draw_pod(cluster, &cluster->pods[i]);
    for (unsigned int i = 0; i < CLUSTER_NODES; i++)
        cluster->nodes[i].exists = cluster_random(cluster, 2);
}

void cluster_done(struct cluster *cluster)
{
    cJSON_Delete(cluster->slices);
}

static cJSON *parse(const char *text)
{
    cJSON *json = cJSON_Parse(text);

    assert_non_null(json);
    return json;
}

cJSON *cluster_pod(const struct cluster *cluster, unsigned int index)
{
    const struct cluster_pod *pod = &cluster->pods[index];
    char text[1024], address[64] = "";

    if (pod->has_address)
        snprintf(address, sizeof(address), "\"podIP\":\"10.0.%u.%u\",", pod->address >> 8,
                 pod->address & 255);
    snprintf(text, sizeof(text),
             "{\"metadata\":{\"name\":\"p%u\",\"namespace\":\"n%u\",\"uid\":\"u-%u\",\"labels\":{"
             "\"app\":\"a%u\",\"x\":\"\\u00e9\\\"\"},\"ownerReferences\":[{\"controller\":true,"
             "\"name\":\"r%u\"}]},\"spec\":{\"nodeName\":\"node-%u\",\"containers\":[{\"ports\":[{"
             "\"name\":\"http\",\"containerPort\":8080},{\"containerPort\":1,\"hostPort\":%u}]}]},"
             "\"status\":{%s\"phase\":\"%s\"}}",
             index, index % 7, index, pod->labels, pod->labels, pod->node, index % 50 ? 0 : 8000,
             address, pod->over ? "Succeeded" : "Running");
    return parse(text);
}

cJSON *cluster_node(const struct cluster *cluster, unsigned int index)
{
    char text[512];

    snprintf(text, sizeof(text),
             "{\"metadata\":{\"name\":\"node-%u\",\"labels\":{\"zone\":\"z%u\"}},\"spec\":{"
             "\"podCIDR\":\"10.%u.0.0/24\"},\"status\":{\"addresses\":[{\"type\":\"InternalIP\","
             "\"address\":\"192.0.2.%u\"},{\"type\":\"Hostname\",\"address\":\"x\"}]}}",
             index, index % 3, index, cluster->nodes[index].address % 255);
    return parse(text);
}

static void tell(struct fence_packer *packer, enum fence_packer_kind kind, cJSON *object, bool gone)
{
    if (packer)
        assert_int_equal((gone ? fence_packer_deleted : fence_packer_object)(packer, kind, object),
                         0);
    cJSON_Delete(object);
}

static void change_node(struct cluster *cluster, struct fence_packer *packer)
{
    unsigned int index = cluster_random(cluster, CLUSTER_NODES);
    bool gone = cluster->nodes[index].exists && cluster_random(cluster, 3) == 0;

    cluster->nodes[index].exists = !gone;
    cluster->nodes[index].address += cluster_random(cluster, 2);
    tell(packer, FENCE_PACKER_NODE, cluster_node(cluster, index), gone);
}

void cluster_change(struct cluster *cluster, struct fence_packer *packer)
{
    unsigned int index = cluster_random(cluster, CLUSTER_PODS);
    struct cluster_pod *pod = &cluster->pods[index];
    bool gone = pod->exists && cluster_random(cluster, 3) == 0;

    if (cluster_random(cluster, 10) == 0) {
        change_node(cluster, packer);
        return;
    }
    if (gone)
        pod->exists = false;
    else if (cluster_random(cluster, 4)) /* else it is told again as it is */
        draw_pod(cluster, pod);
    tell(packer, FENCE_PACKER_POD, cluster_pod(cluster, index), gone || !pod->exists);
}

/* ---- the API server -------------------------------------------------------------------------- */

static void list_pods(struct cluster *cluster, struct fence_packer *packer)
{
    fence_packer_begin(packer, FENCE_PACKER_POD);
    for (unsigned int i = 0; i < CLUSTER_PODS; i++)
        if (cluster->pods[i].exists)
            tell(packer, FENCE_PACKER_POD, cluster_pod(cluster, i), false);
    fence_packer_end(packer, FENCE_PACKER_POD);
    fence_packer_begin(packer, FENCE_PACKER_NODE);
    for (unsigned int i = 0; i < CLUSTER_NODES; i++)
        if (cluster->nodes[i].exists)
            tell(packer, FENCE_PACKER_NODE, cluster_node(cluster, i), false);
    fence_packer_end(packer, FENCE_PACKER_NODE);
}

static void list_slices(struct cluster *cluster, struct fence_packer *packer)
{
    const cJSON *slice;

    fence_packer_begin(packer, FENCE_PACKER_SLICE);
    cJSON_ArrayForEach(slice, cluster->slices)
    {
        assert_int_equal(fence_packer_object(packer, FENCE_PACKER_SLICE, slice), 0);
    }
    fence_packer_end(packer, FENCE_PACKER_SLICE);
}

void cluster_list(struct cluster *cluster, struct fence_packer *packer)
{
    bool slices_first = cluster_random(cluster, 2);

    if (slices_first)
        list_slices(cluster, packer);
    list_pods(cluster, packer);
    if (!slices_first)
        list_slices(cluster, packer);
    assert_int_equal(fence_packer_start(packer), 0);
}

static const char *version_of(const cJSON *slice)
{
    const cJSON *metadata = cJSON_GetObjectItem(slice, "metadata");
    const char *version = cJSON_GetStringValue(cJSON_GetObjectItem(metadata, "resourceVersion"));

    return version ? version : "";
}

static bool is_allowed(const struct fence_packer_write *write, const cJSON *has, const cJSON *body)
{
    if (strcmp(write->method, "POST") == 0)
        return !has;
    if (strcmp(write->method, "PUT") == 0)
        return has && strcmp(version_of(has), version_of(body)) == 0;
    assert_string_equal(write->method, "DELETE");
    return has;
}

/* As the API server sorts members, and adds a version. */
static cJSON *stored(struct cluster *cluster, cJSON *body)
{
    cJSON *metadata = cJSON_GetObjectItem(body, "metadata");
    char version[16];

    snprintf(version, sizeof(version), "%u", ++cluster->version);
    cJSON_DeleteItemFromObject(metadata, "resourceVersion");
    cJSON_AddStringToObject(metadata, "resourceVersion", version);
    return body;
}

void cluster_write(struct cluster *cluster, struct fence_packer *packer,
                   struct fence_packer_write *write)
{
    const cJSON *has = cJSON_GetObjectItem(cluster->slices, write->name);
    cJSON *body = write->body ? parse(write->body) : NULL, *after = NULL, *before = NULL;
    bool allowed = is_allowed(write, has, body), first = cluster_random(cluster, 2);

    cluster->writes++;
    cluster->bytes += write->body ? strlen(write->body) : 0;
    free(write->body);
    if (!allowed) {
        cluster->conflicts++;
        cJSON_Delete(body);
        fence_packer_answered(packer, write->name, FENCE_PACKER_NOT_WRITTEN, "", 0);
        return;
    }
    before = cJSON_DetachItemFromObject(cluster->slices, write->name);
    if (body) {
        after = stored(cluster, body);
        cJSON_AddItemToObject(cluster->slices, write->name, after);
    }
    /* the answer and the watch, in either order */
    if (first)
        fence_packer_answered(packer, write->name, FENCE_PACKER_WRITTEN,
                              after ? version_of(after) : "", 0);
    if (after)
        assert_int_equal(fence_packer_object(packer, FENCE_PACKER_SLICE, after), 0);
    else
        assert_int_equal(fence_packer_deleted(packer, FENCE_PACKER_SLICE, before), 0);
    if (!first)
        fence_packer_answered(packer, write->name, FENCE_PACKER_WRITTEN,
                              after ? version_of(after) : "", 0);
    cJSON_Delete(before);
}

void cluster_settle(struct cluster *cluster, struct fence_packer *packer)
{
    struct fence_packer_write write;
    unsigned int writes = 0;

    while (fence_packer_next(packer, 1, &write)) {
        cluster_write(cluster, packer, &write);
        assert_true(writes++ < 10000);
    }
}

/* ---- what slices say ------------------------------------------------------------------------- */

static const char *text_in(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(object, name));

    return text ? text : "";
}

static unsigned int check_pod(const struct cluster *cluster, const cJSON *group, const cJSON *pod)
{
    unsigned int index = (unsigned int)atoi(text_in(pod, "name") + 1);
    const struct cluster_pod *real = &cluster->pods[index];
    char text[64];

    assert_true(index < CLUSTER_PODS && real->exists && real->has_address && !real->over);
    snprintf(text, sizeof(text), "n%u", index % 7);
    assert_string_equal(text_in(group, "namespace"), text);
    snprintf(text, sizeof(text), "a%u", real->labels);
    assert_string_equal(text_in(cJSON_GetObjectItem(group, "labels"), "app"), text);
    assert_string_equal(text_in(cJSON_GetObjectItem(group, "labels"), "x"), "\xc3\xa9\"");
    snprintf(text, sizeof(text), "r%u", real->labels);
    assert_string_equal(text_in(group, "owner"), text);
    snprintf(text, sizeof(text), "node-%u", real->node);
    assert_string_equal(text_in(pod, "node"), text);
    snprintf(text, sizeof(text), "10.0.%u.%u", real->address >> 8, real->address & 255);
    assert_string_equal(cJSON_GetArrayItem(cJSON_GetObjectItem(pod, "ips"), 0)->valuestring, text);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(group, "ports")), 1);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(pod, "hostPorts")), index % 50 == 0);
    return index;
}

static unsigned int check_node(const struct cluster *cluster, const cJSON *node)
{
    unsigned int index = (unsigned int)atoi(text_in(node, "name") + strlen("node-"));
    char text[64];

    assert_true(index < CLUSTER_NODES && cluster->nodes[index].exists);
    snprintf(text, sizeof(text), "192.0.2.%u", cluster->nodes[index].address % 255);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(node, "ips")), 1);
    assert_string_equal(cJSON_GetArrayItem(cJSON_GetObjectItem(node, "ips"), 0)->valuestring, text);
    snprintf(text, sizeof(text), "10.%u.0.0/24", index);
    assert_string_equal(cJSON_GetArrayItem(cJSON_GetObjectItem(node, "podCIDRs"), 0)->valuestring,
                        text);
    return index;
}

static void check_slice(const struct cluster *cluster, const cJSON *slice,
                        unsigned int seen[CLUSTER_PODS], unsigned int seen_nodes[CLUSTER_NODES])
{
    const cJSON *group, *pod, *node;
    unsigned int entries = 0;

    cJSON_ArrayForEach(group, cJSON_GetObjectItem(slice, "groups"))
    {
        cJSON_ArrayForEach(pod, cJSON_GetObjectItem(group, "pods"))
        {
            seen[check_pod(cluster, group, pod)]++;
            entries++;
        }
    }
    cJSON_ArrayForEach(node, cJSON_GetObjectItem(slice, "nodes"))
    {
        seen_nodes[check_node(cluster, node)]++;
        entries++;
    }
    assert_in_range(entries, 1, FENCE_SLICE_ENTRIES);
}

void cluster_check(const struct cluster *cluster)
{
    unsigned int seen[CLUSTER_PODS] = {0}, seen_nodes[CLUSTER_NODES] = {0};
    const cJSON *slice;
    bool complete = false;

    cJSON_ArrayForEach(slice, cluster->slices)
    {
        if (strcmp(slice->string, FENCE_SLICE_COMPLETE) == 0)
            complete = true;
        else
            check_slice(cluster, slice, seen, seen_nodes);
    }
    assert_true(complete);
    for (unsigned int i = 0; i < CLUSTER_PODS; i++) {
        const struct cluster_pod *pod = &cluster->pods[i];

        assert_int_equal(seen[i], pod->exists && pod->has_address && !pod->over);
    }
    for (unsigned int i = 0; i < CLUSTER_NODES; i++)
        assert_int_equal(seen_nodes[i], cluster->nodes[i].exists);
}

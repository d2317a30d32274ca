/* SPDX-License-Identifier: Apache-2.0 */
/* Pods and Nodes by an AddressSlice, be it the writer's, are what they are by themselves: those
 * that a real API server wrote, those of the policy cases, and some with everything that is read of
 * them. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/objects/decode.h"
#include "lib/slices/packer.h"
#include "test/cmocka.h"
#include "test/kube/recorded.h"
#include "test/objects/dump.h"
#include "test/objects/slice_of.h"

#define CASES FENCE_SOURCE_DIR "/../shared/cases"

/* ---- comparing ------------------------------------------------------------------------------ */

static const struct fence_object *find(const struct fence_address_slice *slice, const char *id)
{
    for (size_t i = 0; i < slice->list.count; i++) {
        FENCE_FREE char *own = fence_decoded_id(&slice->list.items[i]);

        assert_null(slice->list.items[i].error);
        if (strcmp(own, id) == 0)
            return slice->list.items[i].object;
    }
    return NULL;
}

static void assert_same(const struct fence_object *alone, const struct fence_object *in_slice)
{
    FENCE_FREE char *left = dump_object(alone);
    FENCE_FREE char *right = dump_object(in_slice);

    assert_string_equal(left, right);
    if (alone->kind != FENCE_OBJECT_POD)
        return;
    assert_true(alone->pod.uid == in_slice->pod.uid);
    /* shared: one pointer for equal content */
    assert_ptr_equal(alone->pod.labels, in_slice->pod.labels);
    assert_ptr_equal(alone->pod.ports, in_slice->pod.ports);
    assert_ptr_equal(alone->pod.owner, in_slice->pod.owner);
    assert_ptr_equal(alone->pod.node, in_slice->pod.node);
}

static enum fence_kind kind_of(const cJSON *object)
{
    return cJSON_GetObjectItem(cJSON_GetObjectItem(object, "status"), "addresses")
               ? FENCE_OBJECT_NODE
               : FENCE_OBJECT_POD;
}

/* Returns 1 when it is in the slice. */
static size_t check_one(const cJSON *object, const struct fence_address_slice *slice)
{
    FENCE_FREE char *text = cJSON_PrintUnformatted(object);
    const struct fence_json json = {text, strlen(text)};
    struct fence_decoded alone = {0};
    struct fence_err err = {""};
    const struct fence_object *in_slice;
    size_t found = kind_of(object) == FENCE_OBJECT_NODE || slice_has(object);

    assert_int_equal(fence_decode_json(kind_of(object), &json, &alone, &err), 0);
    if (!alone.object)
        fail_msg("%s", alone.error);
    FENCE_FREE char *id = fence_decoded_id(&alone);
    in_slice = find(slice, id);
    if (found) {
        assert_non_null(in_slice);
        assert_same(alone.object, in_slice);
    } else {
        assert_null(in_slice);
    }
    fence_decoded_done(&alone);
    return found;
}

/* Which of the objects are in the slice, each as it is by itself; and nothing else. */
static size_t check_slice(const cJSON *objects, struct fence_address_slice *slice)
{
    const cJSON *object;
    size_t count = 0;

    cJSON_ArrayForEach(object, objects) count += check_one(object, slice);
    assert_int_equal(slice->list.count, count);
    fence_address_slice_done(slice);
    return count;
}

/* As the format has it, word by word. Returns how many were compared. */
static size_t check_format(const cJSON *objects)
{
    FENCE_FREE char *text = slice_of("podfence-1", objects);
    const struct fence_json json = {text, strlen(text)};
    struct fence_address_slice slice = {0};
    struct fence_err err = {""};

    assert_int_equal(fence_decode_address_slice(&json, "", &slice, &err), 0);
    return check_slice(objects, &slice);
}

/* Put what one slice holds behind that of another. */
static void join(struct fence_address_slice *all, struct fence_address_slice *more)
{
    for (size_t i = 0; i < more->list.count; i++) {
        assert_int_equal(FENCE_GROW(all->list.items, all->list.capacity, all->list.count), 0);
        all->list.items[all->list.count++] = more->list.items[i];
        more->list.items[i] = (struct fence_decoded){0};
    }
    fence_address_slice_done(more);
}

/* As the writer has it: all slices that it would write. */
static size_t check_writer(const cJSON *objects)
{
    struct fence_packer *packer = fence_packer_new(1);
    struct fence_address_slice all = {0}, slice;
    struct fence_packer_write write;
    struct fence_err err = {""};
    const cJSON *object;
    bool complete = false;

    assert_non_null(packer);
    cJSON_ArrayForEach(object, objects) assert_int_equal(
        fence_packer_object(
            packer, kind_of(object) == FENCE_OBJECT_NODE ? FENCE_PACKER_NODE : FENCE_PACKER_POD,
            object),
        0);
    assert_int_equal(fence_packer_start(packer), 0);
    while (fence_packer_next(packer, 1, &write)) {
        const struct fence_json json = {write.body, strlen(write.body)};

        assert_int_equal(fence_decode_address_slice(&json, "", &slice, &err), 0);
        complete = complete || (slice.complete && !slice.list.count);
        join(&all, &slice);
        fence_packer_answered(packer, write.name, FENCE_PACKER_WRITTEN, "1", 0);
        free(write.body);
    }
    fence_packer_free(&packer);
    assert_true(complete);
    return check_slice(objects, &all);
}

static size_t check_all(const cJSON *objects)
{
    size_t count = check_format(objects);

    assert_int_equal(check_writer(objects), count);
    return count;
}

/* ---- where they are from -------------------------------------------------------------------- */

static void test_recorded(void **state)
{
    static const struct {
        const char *name;
        size_t count;
    } lists[] = {{"list-pods", 8}, {"list-pods-node-a", 4}, {"list-nodes", 2}};

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(lists); i++) {
        size_t size;
        FENCE_FREE char *body = recorded_body(lists[i].name, &size);
        cJSON *list = cJSON_Parse(body);

        assert_int_equal(check_all(cJSON_GetObjectItem(list, "items")), lists[i].count);
        cJSON_Delete(list);
    }
}

/* A life from its creation on: not in a slice before it has an address, nor when it is over. */
static void test_recorded_life(void **state)
{
    size_t size, compared = 0, left_out = 0;
    FENCE_FREE char *body = recorded_body("watch-pods-events", &size);
    char *rest = NULL;

    (void)state;
    for (char *line = strtok_r(body, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        cJSON *event = cJSON_Parse(line), *list;
        const char *type = cJSON_GetStringValue(cJSON_GetObjectItem(event, "type"));

        assert_non_null(type);
        if (strcmp(type, "BOOKMARK") != 0) {
            list = cJSON_CreateArray();
            cJSON_AddItemToArray(list, cJSON_DetachItemFromObject(event, "object"));
            if (check_all(list))
                compared++;
            else
                left_out++;
            cJSON_Delete(list);
        }
        cJSON_Delete(event);
    }
    assert_true(compared >= 3 && left_out >= 3);
}

/* {"ns", "name", "labels", "ips", "ports", "node", "hostNetwork"} as the API has it. */
static cJSON *pod_of_case(const cJSON *from)
{
    cJSON *pod = cJSON_CreateObject(), *metadata = cJSON_AddObjectToObject(pod, "metadata");
    cJSON *spec = cJSON_AddObjectToObject(pod, "spec"), *containers, *container, *ips, *port;
    const cJSON *item, *labels = cJSON_GetObjectItem(from, "labels");

    cJSON_AddStringToObject(metadata, "name", cJSON_GetObjectItem(from, "name")->valuestring);
    cJSON_AddStringToObject(metadata, "namespace", cJSON_GetObjectItem(from, "ns")->valuestring);
    if (labels)
        cJSON_AddItemToObject(metadata, "labels", cJSON_Duplicate(labels, 1));
    item = cJSON_GetObjectItem(from, "node");
    cJSON_AddStringToObject(spec, "nodeName", item ? item->valuestring : "other");
    cJSON_AddBoolToObject(spec, "hostNetwork",
                          cJSON_IsTrue(cJSON_GetObjectItem(from, "hostNetwork")));
    containers = cJSON_AddArrayToObject(spec, "containers");
    container = cJSON_CreateObject();
    cJSON_AddItemToArray(containers, container);
    containers = cJSON_AddArrayToObject(container, "ports");
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(from, "ports"))
    {
        port = cJSON_Duplicate(item, 1);
        cJSON_AddItemToObject(port, "containerPort", cJSON_DetachItemFromObject(port, "port"));
        cJSON_AddItemToArray(containers, port);
    }
    ips = cJSON_AddArrayToObject(cJSON_AddObjectToObject(pod, "status"), "podIPs");
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(from, "ips"))
    {
        container = cJSON_CreateObject();
        cJSON_AddStringToObject(container, "ip", item->valuestring);
        cJSON_AddItemToArray(ips, container);
    }
    return pod;
}

static size_t check_case(const char *path)
{
    FENCE_FREE char *text = calloc(1, 1 << 20);
    FENCE_FCLOSE FILE *file = fopen(path, "re");
    cJSON *json, *pods = cJSON_CreateArray();
    const cJSON *pod;
    size_t count;

    assert_non_null(file);
    assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
    json = cJSON_Parse(text);
    cJSON_ArrayForEach(pod, cJSON_GetObjectItem(json, "pods"))
        cJSON_AddItemToArray(pods, pod_of_case(pod));
    count = check_all(pods);
    cJSON_Delete(pods);
    cJSON_Delete(json);
    return count;
}

static void test_cases(void **state)
{
    static const char *const folders[] = {"networkpolicy", "clusternetworkpolicy"};
    size_t count = 0;

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(folders); i++) {
        char path[1024];
        struct dirent *entry;
        DIR *dir;

        snprintf(path, sizeof(path), CASES "/%s", folders[i]);
        dir = opendir(path);
        assert_non_null(dir);
        while ((entry = readdir(dir))) {
            if (!strstr(entry->d_name, ".json"))
                continue;
            snprintf(path, sizeof(path), CASES "/%s/%.255s", folders[i], entry->d_name);
            count += check_case(path);
        }
        closedir(dir);
    }
    print_message("%zu pods of cases\n", count);
    assert_true(count > 1000);
}

#define PLACE "\"spec\":{\"nodeName\":\"node-b\""

static const char *const made[] = {
    /* named and unnamed ports, of the host, of one address of it, of sidecars alone */
    "{\"metadata\":{\"name\":\"all\",\"namespace\":\"x\",\"uid\":\"6a2f\",\"labels\":{\"a\":\"b\","
    "\"example.com/c\":\"\"},\"ownerReferences\":[{\"name\":\"other\",\"controller\":false},"
    "{\"name\":\"web-6d4b9\",\"controller\":true}]}," PLACE ",\"hostNetwork\":true,\"containers\":["
    "{\"ports\":[{\"name\":\"http\",\"containerPort\":8080,\"hostPort\":80},"
    "{\"containerPort\":53,\"protocol\":\"UDP\",\"hostPort\":5353,\"hostIP\":\"192.0.2.1\"},"
    "{\"containerPort\":9,\"protocol\":\"SCTP\"}]},"
    "{\"ports\":[{\"name\":\"dns\",\"containerPort\":53,\"protocol\":\"UDP\",\"hostPort\":54,"
    "\"hostIP\":\"::\"}]}],\"initContainers\":[{\"restartPolicy\":\"Always\",\"ports\":"
    "[{\"name\":\"mesh\",\"containerPort\":15001,\"hostPort\":15}]},"
    "{\"ports\":[{\"name\":\"over\",\"containerPort\":1}]}]},\"status\":{\"phase\":\"Running\","
    "\"podIP\":\"10.1.2.3\",\"podIPs\":[{\"ip\":\"10.1.2.3\"},{\"ip\":\"FD00:0::4\"},"
    "{\"ip\":\"10.1.2.3\"}]}}",
    /* nothing that may be absent */
    "{\"metadata\":{\"name\":\"least\",\"namespace\":\"x\"}," PLACE
    "},\"status\":{\"podIPs\":[{\"ip\":\"10.1.2.4\"}]}}",
    /* of one group with the first but for the owner, and with the one before */
    "{\"metadata\":{\"name\":\"less\",\"namespace\":\"x\",\"uid\":\"0\",\"labels\":{}}," PLACE
    ",\"containers\":[{}]},\"status\":{\"phase\":\"Pending\",\"podIPs\":[{\"ip\":\"10.1.2.5\"}]}}",
    /* in no slice */
    "{\"metadata\":{\"name\":\"over\",\"namespace\":\"x\"}," PLACE
    "},\"status\":{\"phase\":\"Failed\",\"podIPs\":[{\"ip\":\"10.1.2.6\"}]}}",
    "{\"metadata\":{\"name\":\"early\",\"namespace\":\"x\"}," PLACE
    "},\"status\":{\"phase\":\"Pending\"}}",
    /* nodes: names among the addresses, no range */
    "{\"metadata\":{\"name\":\"node-b\",\"labels\":{\"zone\":\"1\"}},\"spec\":{\"podCIDRs\":"
    "[\"10.244.1.0/24\",\"fd00::/64\"]},\"status\":{\"addresses\":[{\"type\":\"InternalIP\","
    "\"address\":\"192.0.2.1\"},{\"type\":\"Hostname\",\"address\":\"192.0.2.9\"},"
    "{\"type\":\"ExternalIP\",\"address\":\"2001:DB8::1\"}]}}",
    "{\"metadata\":{\"name\":\"bare\"},\"spec\":{},\"status\":{\"addresses\":[]}}",
};

static void test_made(void **state)
{
    cJSON *list = cJSON_CreateArray();

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(made); i++) {
        cJSON *object = cJSON_Parse(made[i]);

        assert_non_null(object);
        cJSON_AddItemToArray(list, object);
    }
    assert_int_equal(check_all(list), FENCE_ARRAY_SIZE(made) - 2);
    cJSON_Delete(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded),
        cmocka_unit_test(test_recorded_life),
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_made),
    };

    if (!recorded_is_there())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

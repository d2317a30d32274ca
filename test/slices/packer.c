/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever happens to pods, writers and writes: in the end the slices say what is there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/cmocka.h"
#include "test/slices/cluster.h"

static void publishes_all(void **state)
{
    struct cluster cluster;
    struct fence_packer *packer = fence_packer_new(1);
    struct fence_packer_count count;
    struct fence_packer_write write;

    (void)state;
    cluster_init(&cluster, 1);
    assert_false(fence_packer_next(packer, 1, &write)); /* not before all is listed */
    cluster_list(&cluster, packer);
    cluster_settle(&cluster, packer);
    cluster_check(&cluster);
    fence_packer_count(packer, &count);
    assert_true(count.complete);
    assert_int_equal(count.pending, 0);
    /* that there is no slice that need not be */
    assert_in_range(count.slices, (count.pods + count.nodes) / FENCE_SLICE_ENTRIES,
                    (count.pods + count.nodes) / FENCE_SLICE_ENTRIES + 2);
    assert_int_equal(cluster.conflicts, 0);
    fence_packer_free(&packer);
    cluster_done(&cluster);
}

/* A change, perhaps a write, and what changes while that is on its way. Changes that were made. */
static unsigned int change_and_write(struct cluster *cluster, struct fence_packer *packer)
{
    struct fence_packer_write write;

    cluster_change(cluster, packer);
    if (cluster_random(cluster, 3) || !fence_packer_next(packer, 1, &write))
        return 1;
    cluster_change(cluster, packer);
    if (cluster_random(cluster, 10)) {
        cluster_write(cluster, packer, &write);
        return 2;
    }
    free(write.body);
    fence_packer_answered(packer, write.name, FENCE_PACKER_NOT_WRITTEN, "", 0);
    return 2;
}

/* Changes between writes, answers that come late, writes that fail. */
static void follows_changes(void **state)
{
    struct cluster cluster;
    unsigned int changes = 0, writes = 0;
    size_t bytes = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct fence_packer *packer = fence_packer_new(seed);

        cluster_init(&cluster, seed);
        cluster_list(&cluster, packer);
        cluster_settle(&cluster, packer);
        writes -= cluster.writes;
        bytes -= cluster.bytes;
        for (unsigned int i = 0; i < 300; i++)
            changes += change_and_write(&cluster, packer);
        cluster_settle(&cluster, packer);
        cluster_check(&cluster);
        assert_int_equal(cluster.conflicts, 0);
        writes += cluster.writes;
        bytes += cluster.bytes;
        fence_packer_free(&packer);
        cluster_done(&cluster);
    }
    print_message("%u changes: %.2f writes and %.0f bytes each\n", changes,
                  (double)writes / changes, (double)bytes / changes);
    assert_true(writes <= changes);
}

/* The writer dies in the middle; what is right is not written again. */
static void is_taken_over(void **state)
{
    struct cluster cluster;

    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct fence_packer *packer = fence_packer_new(seed);
        struct fence_packer_write write;
        unsigned int before;

        cluster_init(&cluster, seed);
        cluster_list(&cluster, packer);
        for (unsigned int i = cluster_random(&cluster, 30); i > 0; i--)
            if (fence_packer_next(packer, 1, &write))
                cluster_write(&cluster, packer, &write);
        fence_packer_free(&packer);
        for (unsigned int i = cluster_random(&cluster, 100); i > 0; i--)
            cluster_change(&cluster, NULL);
        packer = fence_packer_new(seed + 1000);
        cluster_list(&cluster, packer);
        cluster_settle(&cluster, packer);
        cluster_check(&cluster);
        fence_packer_free(&packer);

        before = cluster.writes;
        packer = fence_packer_new(seed + 2000);
        cluster_list(&cluster, packer);
        cluster_settle(&cluster, packer);
        assert_int_equal(cluster.writes, before);
        fence_packer_free(&packer);
        cluster_done(&cluster);
    }
}

static void tell_slices(struct cluster *cluster, struct fence_packer *packer)
{
    const cJSON *slice;

    /* a watch that has broken off: a list again */
    fence_packer_begin(packer, FENCE_PACKER_SLICE);
    cJSON_ArrayForEach(slice, cluster->slices)
    {
        assert_int_equal(fence_packer_object(packer, FENCE_PACKER_SLICE, slice), 0);
    }
    fence_packer_end(packer, FENCE_PACKER_SLICE);
}

/* Two writers for a moment: versions keep them from undoing each other, and one ends it. */
static void two_writers_end_clean(void **state)
{
    struct cluster cluster;

    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct fence_packer *old = fence_packer_new(seed), *new = fence_packer_new(seed + 1);
        struct fence_packer_write write;

        cluster_init(&cluster, seed);
        cluster_list(&cluster, old);
        cluster_list(&cluster, new);
        for (unsigned int i = 0; i < 60; i++) {
            struct fence_packer *either = cluster_random(&cluster, 2) ? old : new;

            if (fence_packer_next(either, 1, &write))
                cluster_write(&cluster, either, &write);
            if (cluster_random(&cluster, 10) == 0)
                tell_slices(&cluster, either);
        }
        fence_packer_free(&old);
        tell_slices(&cluster, new);
        cluster_settle(&cluster, new);
        tell_slices(&cluster, new);
        cluster_settle(&cluster, new);
        cluster_check(&cluster);
        fence_packer_free(&new);
        cluster_done(&cluster);
    }
}

static void tell(struct fence_packer *packer, enum fence_packer_kind kind, const char *text)
{
    cJSON *json = cJSON_Parse(text);

    assert_non_null(json);
    assert_int_equal(fence_packer_object(packer, kind, json), 0);
    cJSON_Delete(json);
}

/* The watch tells of another's write before our own is answered: ours is written again. */
static void who_writes_after_us_is_undone(void **state)
{
    struct fence_packer *packer = fence_packer_new(1);
    struct fence_packer_write write;
    char text[256], name[80];

    (void)state;
    assert_int_equal(fence_packer_start(packer), 0);
    tell(packer, FENCE_PACKER_POD,
         "{\"metadata\":{\"name\":\"p\",\"namespace\":\"x\"},\"spec\":{\"nodeName\":\"n\"},"
         "\"status\":{\"podIP\":\"10.0.0.1\"}}");
    assert_true(fence_packer_next(packer, 1, &write));
    assert_string_equal(write.method, "POST");
    snprintf(name, sizeof(name), "%s", write.name);
    snprintf(text, sizeof(text), "{\"metadata\":{\"name\":\"%s\",\"resourceVersion\":\"6\"}}",
             name);
    tell(packer, FENCE_PACKER_SLICE, text);
    free(write.body);
    fence_packer_answered(packer, name, FENCE_PACKER_WRITTEN, "5", 0);
    assert_true(fence_packer_next(packer, 1, &write));
    assert_string_equal(write.method, "PUT");
    assert_string_equal(write.name, name);
    assert_non_null(strstr(write.body, "\"resourceVersion\":\"6\""));
    free(write.body);
    fence_packer_free(&packer);
}

/* What others have put there is not ours, or is not right: it goes. */
static void foreign_slices_go(void **state)
{
    static const char *const slices[] = {
        ("{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"5\"},\"groups\":[{\"namespace\":"
         "\"x\","
         "\"pods\":[{\"name\":\"p\"}]}]}"),
        "{\"metadata\":{\"name\":\"b\",\"resourceVersion\":\"6\"},\"groups\":7,\"nodes\":[7]}",
        "{\"metadata\":{\"name\":\"c\",\"resourceVersion\":\"7\"}}",
        "{\"metadata\":{\"name\":\"../d\",\"resourceVersion\":\"8\"}}",
        "{\"metadata\":{\"name\":\"\"}}",
        "{\"metadata\":7}",
        "{}",
        "7",
    };
    struct fence_packer *packer = fence_packer_new(1);
    struct fence_packer_write write;
    unsigned int deleted = 0;

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(slices); i++)
        tell(packer, FENCE_PACKER_SLICE, slices[i]);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(slices); i++) {
        tell(packer, FENCE_PACKER_POD, slices[i]);
        tell(packer, FENCE_PACKER_NODE, slices[i] + 0);
    }
    fence_packer_begin(packer, FENCE_PACKER_NODE);
    fence_packer_end(packer, FENCE_PACKER_NODE);
    assert_int_equal(fence_packer_start(packer), 0);
    while (fence_packer_next(packer, 1, &write) && strcmp(write.method, "DELETE") == 0) {
        assert_null(write.body);
        fence_packer_answered(packer, write.name, FENCE_PACKER_WRITTEN, "", 0);
        deleted++;
    }
    assert_int_equal(deleted, 3);
    assert_string_equal(write.name, FENCE_SLICE_COMPLETE);
    free(write.body);
    fence_packer_free(&packer);
}

/* A pod whose labels fill a slice has one of its own; a monstrous one has none, and is counted. */
static void sizes_are_bounded(void **state)
{
    static const size_t sizes[] = {100, 60000, 60000, 100, 300000};
    struct fence_packer *packer = fence_packer_new(1);
    struct fence_packer_count count;
    struct fence_packer_write write;
    size_t written = 0;

    (void)state;
    assert_int_equal(fence_packer_start(packer), 0);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(sizes); i++) {
        FENCE_FREE char *label = malloc(sizes[i] + 1), *text = NULL;

        assert_non_null(label);
        memset(label, 'a', sizes[i]);
        label[sizes[i]] = '\0';
        assert_true(asprintf(&text,
                             "{\"metadata\":{\"name\":\"p%zu\",\"namespace\":\"x\",\"labels\":{"
                             "\"a\":\"%s\"}},\"spec\":{\"nodeName\":\"n\"},\"status\":{\"podIP\":"
                             "\"10.0.0.%zu\"}}",
                             i, label, i) > 0);
        tell(packer, FENCE_PACKER_POD, text);
    }
    fence_packer_count(packer, &count);
    assert_int_equal(count.pods, 4);
    assert_int_equal(count.too_large, 1);
    assert_int_equal(count.slices, 2);
    while (fence_packer_next(packer, 1, &write) && strcmp(write.name, FENCE_SLICE_COMPLETE) != 0) {
        assert_true(strlen(write.body) <= FENCE_SLICE_BYTES + 1024);
        free(write.body);
        fence_packer_answered(packer, write.name, FENCE_PACKER_WRITTEN, "9", 0);
        written++;
    }
    free(write.body);
    assert_int_equal(written, 2);
    fence_packer_free(&packer);
}

/* The next write is of this method; its name into `name`. */
static void expect_write(struct fence_packer *packer, uint64_t now_ns, const char *method,
                         char name[80])
{
    struct fence_packer_write write;

    assert_true(fence_packer_next(packer, now_ns, &write));
    assert_string_equal(write.method, method);
    snprintf(name, 80, "%s", write.name);
    free(write.body);
}

static size_t refused_now(const struct fence_packer *packer)
{
    struct fence_packer_count count;

    fence_packer_count(packer, &count);
    return count.refused;
}

#define POD_P(app)                                                                                 \
    "{\"metadata\":{\"name\":\"p\",\"namespace\":\"x\",\"labels\":{\"app\":\"" app                 \
    "\"}},\"spec\":{\"nodeName\":\"n\"},\"status\":{\"podIP\":\"10.0.0.1\"}}"

/* What the API server does not take as it is waits by itself, and is tried at once when it changes.
 */
static void a_refusal_holds_up_nobody(void **state)
{
    struct fence_packer *packer = fence_packer_new(1);
    struct fence_packer_write write;
    char refused[80], other[80];

    (void)state;
    tell(packer, FENCE_PACKER_POD, POD_P("a"));
    tell(packer, FENCE_PACKER_NODE, "{\"metadata\":{\"name\":\"n\"}}");
    assert_int_equal(fence_packer_start(packer), 0);
    expect_write(packer, 1, "POST", refused);
    fence_packer_answered(packer, refused, FENCE_PACKER_REFUSED, "", 100);
    assert_int_equal(refused_now(packer), 1);
    expect_write(packer, 2, "POST", other);
    assert_string_not_equal(other, refused);
    assert_false(fence_packer_next(packer, 3, &write)); /* while that is on its way */
    fence_packer_answered(packer, other, FENCE_PACKER_WRITTEN, "5", 0);
    expect_write(packer, 4, "POST", other);
    assert_string_equal(other, FENCE_SLICE_COMPLETE);
    fence_packer_answered(packer, other, FENCE_PACKER_WRITTEN, "6", 0);
    assert_false(fence_packer_next(packer, 99, &write));
    expect_write(packer, 100, "POST", other);
    assert_string_equal(other, refused);
    fence_packer_answered(packer, refused, FENCE_PACKER_REFUSED, "", 200);
    tell(packer, FENCE_PACKER_POD, POD_P("b"));
    expect_write(packer, 101, "POST", other);
    assert_string_equal(other, refused);
    /* it changes while it is on its way: what was refused is not what is there now */
    tell(packer, FENCE_PACKER_POD, POD_P("c"));
    fence_packer_answered(packer, refused, FENCE_PACKER_REFUSED, "", 300);
    expect_write(packer, 102, "POST", other);
    fence_packer_answered(packer, refused, FENCE_PACKER_WRITTEN, "7", 0);
    assert_int_equal(refused_now(packer), 0);
    assert_false(fence_packer_next(packer, 1000, &write));
    fence_packer_free(&packer);
}

/* Nothing is said of a refusal any more when what was refused has gone. */
static void a_refused_pod_goes(void **state)
{
    struct fence_packer *packer = fence_packer_new(1);
    cJSON *pod = cJSON_Parse(POD_P("a"));
    struct fence_packer_write write;
    char name[80];

    (void)state;
    tell(packer, FENCE_PACKER_POD, POD_P("a"));
    assert_int_equal(fence_packer_start(packer), 0);
    expect_write(packer, 1, "POST", name);
    fence_packer_answered(packer, name, FENCE_PACKER_REFUSED, "", 100);
    assert_int_equal(refused_now(packer), 1);
    assert_int_equal(fence_packer_deleted(packer, FENCE_PACKER_POD, pod), 0);
    assert_int_equal(refused_now(packer), 0);
    assert_true(fence_packer_next(packer, 2, &write)); /* which it has not: it needs no DELETE */
    assert_string_equal(write.name, FENCE_SLICE_COMPLETE);
    free(write.body);
    cJSON_Delete(pod);
    fence_packer_free(&packer);
}

/* Whoever makes a pod may write there what the schema of slices does not let through. */
static void what_no_slice_can_hold_is_left_out(void **state)
{
    struct fence_packer *packer = fence_packer_new(1);
    struct fence_packer_write write;
    FENCE_FREE char *text = NULL;
    char owner[301];

    (void)state;
    memset(owner, 'a', sizeof(owner) - 1);
    owner[sizeof(owner) - 1] = '\0';
    assert_true(asprintf(&text,
                         "{\"metadata\":{\"name\":\"p\",\"namespace\":\"x\",\"ownerReferences\":[{"
                         "\"name\":\"%s\",\"controller\":true}]},\"spec\":{\"nodeName\":\"n\","
                         "\"containers\":[{\"ports\":[{\"containerPort\":1,\"hostPort\":2,"
                         "\"hostIP\":\"all\"},{\"containerPort\":3,\"hostPort\":4,\"hostIP\":"
                         "\"192.0.2.1\"}]}]},\"status\":{\"podIP\":\"10.0.0.1\"}}",
                         owner) > 0);
    tell(packer, FENCE_PACKER_POD, text);
    assert_int_equal(fence_packer_start(packer), 0);
    assert_true(fence_packer_next(packer, 1, &write));
    assert_null(strstr(write.body, "owner"));
    assert_null(strstr(write.body, "all"));
    assert_non_null(strstr(write.body, "{\"hostPort\":4,\"port\":3,\"protocol\":\"TCP\","
                                       "\"hostIP\":\"192.0.2.1\"}"));
    free(write.body);
    fence_packer_free(&packer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(publishes_all),
        cmocka_unit_test(follows_changes),
        cmocka_unit_test(is_taken_over),
        cmocka_unit_test(two_writers_end_clean),
        cmocka_unit_test(who_writes_after_us_is_undone),
        cmocka_unit_test(foreign_slices_go),
        cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(a_refusal_holds_up_nobody),
        cmocka_unit_test(a_refused_pod_goes),
        cmocka_unit_test(what_no_slice_can_hold_is_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

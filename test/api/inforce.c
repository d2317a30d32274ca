/* SPDX-License-Identifier: Apache-2.0 */
/* Cuts, and waiting for policies, as users of the socket see them. No pods needed. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/api/api.h"
#include "lib/base/memory.h"
#include "test/api/process.h"

#define POLICY(space, name, port)                                                                  \
    "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"                                 \
    "metadata: { name: " name ", namespace: " space ", generation: 3 }\n"                          \
    "spec:\n  podSelector: {}\n  ingress: [ { ports: [ { port: " port " } ] } ]\n"

#define WAIT(policy, more) "{\"op\":\"wait\",\"policy\":\"" policy "\"" more "}"
#define CUT(more)          "{\"op\":\"cut\",\"selector\":\"app=x\",\"seconds\":60" more "}"

static const char *text_at(const cJSON *json, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));

    return text ? text : "";
}

/* The answer must be a refusal that says this. */
static void expect_refusal(const struct daemon_lab *lab, const char *request, const char *says)
{
    cJSON *answer = daemon_ask(lab, request);

    assert_false(cJSON_IsTrue(cJSON_GetObjectItem(answer, "ok")));
    if (!strstr(text_at(answer, "error"), says))
        fail_msg("%s: \"%s\" does not say \"%s\"", request, text_at(answer, "error"), says);
    cJSON_Delete(answer);
}

/* Takes the policy that a wait answers with; the caller deletes. */
static cJSON *expect_in_force(const struct daemon_lab *lab, const char *request)
{
    cJSON *answer = daemon_ask(lab, request), *policy;

    if (!cJSON_IsTrue(cJSON_GetObjectItem(answer, "ok")))
        fail_msg("%s: %s", request, text_at(answer, "error"));
    policy = cJSON_DetachItemFromObject(answer, "policy");
    cJSON_Delete(answer);
    assert_non_null(policy);
    return policy;
}

/* ---- waiting -------------------------------------------------------------------------------- */

static void test_wait_for_what_is_there(void **state)
{
    static const char *const names[] = {"a", "shop/a", "NetworkPolicy/shop/a"};
    struct daemon_lab *lab = *state;

    daemon_write(lab, "a.yaml", POLICY("shop", "a", "80"));
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(names); i++) {
        char request[128];
        cJSON *policy;

        snprintf(request, sizeof(request), "{\"op\":\"wait\",\"policy\":\"%s\"}", names[i]);
        policy = expect_in_force(lab, request);
        assert_string_equal(text_at(policy, "id"), "NetworkPolicy/shop/a");
        assert_int_equal(strlen(text_at(policy, "inForceSince")),
                         strlen("2026-01-01T00:00:00.000Z"));
        assert_true(strcmp(text_at(policy, "seenAt"), text_at(policy, "compiledAt")) <= 0);
        assert_true(strcmp(text_at(policy, "compiledAt"), text_at(policy, "inForceSince")) <= 0);
        assert_int_equal(json_number(policy, "generation"), 3);
        cJSON_Delete(policy);
    }
    daemon_remove(lab, "a.yaml");
}

/* Asked before the policy is written, answered when it is in force. */
static void test_wait_for_what_comes(void **state)
{
    static const char request[] = WAIT("shop/later", ",\"seconds\":20");
    struct daemon_lab *lab = *state;
    cJSON *answer = NULL;

    {
        FENCE_CLOSE int fd = daemon_connect(lab);

        assert_int_equal(fence_api_send_text(fd, request, strlen(request), NULL), 0);
        assert_int_equal(fence_api_receive(fd, 200, &answer, NULL), -ETIMEDOUT);
        daemon_write(lab, "b.yaml", POLICY("shop", "later", "81"));
        assert_int_equal(fence_api_receive(fd, 5000, &answer, NULL), 0);
    }
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(answer, "ok")));
    cJSON_Delete(answer);
    daemon_expect(lab, "inForce.waiting", 0);
    daemon_remove(lab, "b.yaml");
}

static void test_wait_refused(void **state)
{
    struct daemon_lab *lab = *state;

    daemon_write(lab, "a.yaml",
                 POLICY("shop", "a", "80") POLICY("pay", "a", "80") POLICY("shop", "bad", "70000"));
    daemon_write(lab, "b.yaml",
                 "apiVersion: podfence.io/v1alpha1\nkind: SegmentPolicy\n"
                 "metadata: { name: old, namespace: shop }\n"
                 "spec: { mode: Allowlist, enforcement: Enforce, appliesTo: {},\n"
                 "        ingress: [], expiresAt: 2001-01-01T00:00:00Z }\n");
    daemon_start(lab, NULL);
    expect_refusal(lab, WAIT("shop/bad", ""), "it was refused");
    expect_refusal(lab, WAIT("shop/bad", ""), "70000");
    expect_refusal(lab, WAIT("a", ""), "give the kind and namespace");
    expect_refusal(lab, WAIT("old", ""), "expiresAt is over");
    expect_refusal(lab, WAIT("none", ",\"seconds\":0.2"), "there is no such policy");
    expect_refusal(lab, "{\"op\":\"wait\"}", "policy must be a text");
    expect_refusal(lab, WAIT("a", ",\"seconds\":-1"), "seconds must be");
    expect_refusal(lab, WAIT("a", ",\"content\":\"12\""), "content must be");
    /* a file that was fine and is not any more: what it had is in force, but it is not what it says
     */
    daemon_write(lab, "a.yaml", POLICY("shop", "a", "700000"));
    expect_refusal(lab, WAIT("shop/a", ""), "it was refused");
}

/* By generation, and by content: as the object is in a file that is not there yet. */
static void test_wait_for_a_version(void **state)
{
    struct daemon_lab *lab = *state;
    char request[160], content[20];
    cJSON *policy;

    daemon_write(lab, "v.yaml", POLICY("shop", "v", "80"));
    cJSON_Delete(expect_in_force(lab, WAIT("v", ",\"generation\":3")));
    expect_refusal(lab, WAIT("v", ",\"generation\":4,\"seconds\":0.2"), "another version");
    policy = expect_in_force(lab, WAIT("v", ""));
    snprintf(content, sizeof(content), "%s", text_at(policy, "content"));
    cJSON_Delete(policy);
    assert_int_equal(strlen(content), 16);
    snprintf(request, sizeof(request), WAIT("v", ",\"seconds\":0.2,\"content\":\"%s\""), content);
    cJSON_Delete(expect_in_force(lab, request));
    daemon_write(lab, "v.yaml", POLICY("shop", "v", "81"));
    expect_refusal(lab, request, "another version");
    /* only the generation is another: nothing to apply, and yet it is there */
    daemon_write(lab, "v.yaml",
                 "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
                 "metadata: { name: v, namespace: shop, generation: 4 }\n"
                 "spec:\n  podSelector: {}\n  ingress: [ { ports: [ { port: 81 } ] } ]\n");
    cJSON_Delete(expect_in_force(lab, WAIT("v", ",\"generation\":4,\"seconds\":5")));
    daemon_remove(lab, "v.yaml");
}

static void test_too_many_wait(void **state)
{
    static const char request[] = WAIT("none", ",\"seconds\":60");
    struct daemon_lab *lab = *state;
    int clients[64];

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(clients); i++) {
        while ((clients[i] = fence_api_connect(lab->socket, NULL)) < 0)
            sleep_ms(5);
        assert_int_equal(fence_api_send_text(clients[i], request, strlen(request), NULL), 0);
    }
    sleep_ms(100); /* until it has read what they ask */
    expect_refusal(lab, WAIT("none", ""), "too many clients wait");
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(clients); i++)
        close(clients[i]);
    sleep_ms(100); /* until it has let them go */
    expect_refusal(lab, WAIT("none", ",\"seconds\":0"), "there is no such policy");
}

/* New, changed and removed ones count; what was there at the start does not. */
static void test_histogram(void **state)
{
    struct daemon_lab *lab = *state;
    cJSON *status;

    daemon_write(lab, "a.yaml", POLICY("shop", "a", "80") POLICY("shop", "b", "80"));
    daemon_start(lab, NULL);
    daemon_expect(lab, "inForce.count", 0);
    daemon_write(lab, "a.yaml", POLICY("shop", "a", "81") POLICY("shop", "b", "80"));
    daemon_expect(lab, "inForce.count", 1);
    daemon_write(lab, "c.yaml", POLICY("shop", "c", "81"));
    daemon_expect(lab, "inForce.count", 2);
    daemon_remove(lab, "a.yaml");
    daemon_expect(lab, "inForce.count", 4);
    status = daemon_status(lab);
    assert_true(json_number(status, "inForce.sum") > 0);
    assert_true(json_number(status, "inForce.p50") > 0);
    assert_true(json_number(status, "inForce.p99") >= json_number(status, "inForce.p50"));
    assert_int_equal(
        cJSON_GetArraySize(cJSON_GetObjectItem(cJSON_GetObjectItem(status, "inForce"), "buckets")),
        14);
    cJSON_Delete(status);
}

/* Before every folder has been read nothing is in force, and whoever waits hears why. */
static void test_pending(void **state)
{
    struct daemon_lab *lab = *state;
    char folder[160];
    const char *const extra[] = {"--objects", folder, NULL};
    cJSON *answer, *policy;

    snprintf(folder, sizeof(folder), "%s/not-mounted", lab->root);
    daemon_write(lab, "a.yaml", POLICY("shop", "a", "80"));
    daemon_start(lab, extra);
    expect_refusal(lab, WAIT("a", ",\"seconds\":0.1"), "every folder of --objects");
    answer = daemon_ask(lab, "{\"op\":\"policies\"}");
    policy = cJSON_GetArrayItem(cJSON_GetObjectItem(answer, "policies"), 0);
    assert_string_equal(text_at(policy, "state"), "pending");
    assert_non_null(strstr(text_at(policy, "why"), "every folder of --objects"));
    cJSON_Delete(answer);
    daemon_expect(lab, "inForce.waiting", 1);
    assert_int_equal(mkdir(folder, 0700), 0);
    cJSON_Delete(expect_in_force(lab, WAIT("a", ",\"seconds\":5")));
}

/* ---- cuts ----------------------------------------------------------------------------------- */

static cJSON *ask_cuts(const struct daemon_lab *lab, cJSON **ret_answer)
{
    *ret_answer = daemon_ask(lab, "{\"op\":\"cuts\"}");
    return cJSON_GetObjectItem(*ret_answer, "cuts");
}

static void expect_cuts(const struct daemon_lab *lab, int wanted)
{
    cJSON *answer;

    assert_int_equal(cJSON_GetArraySize(ask_cuts(lab, &answer)), wanted);
    cJSON_Delete(answer);
}

/* Makes one that is in force at once; its id into `id`. */
static void make_cut(const struct daemon_lab *lab, const char *request, char id[16])
{
    cJSON *answer = daemon_ask(lab, request);
    const cJSON *cut = cJSON_GetObjectItem(answer, "cut");

    if (json_number(cut, "inForce") != 1)
        fail_msg("%s: %s%s", request, text_at(answer, "error"), text_at(cut, "why"));
    snprintf(id, 16, "%s", text_at(cut, "id"));
    cJSON_Delete(answer);
}

static void test_cut_and_undo(void **state)
{
    struct daemon_lab *lab = *state;
    char id[16], request[128], wanted[64];
    cJSON *answer, *policy;

    make_cut(lab, CUT(",\"origin\":\"alarm\",\"reason\":\"why not\""), id);
    answer = daemon_ask(lab, "{\"op\":\"policies\"}");
    policy = cJSON_GetArrayItem(cJSON_GetObjectItem(answer, "policies"), 0);
    snprintf(wanted, sizeof(wanted), "ClusterSegmentPolicy/cut-%s", id);
    assert_string_equal(text_at(policy, "id"), wanted);
    assert_string_equal(text_at(policy, "state"), "in force");
    cJSON_Delete(answer);
    /* who asks by the socket is a user, whatever he says */
    policy = cJSON_GetArrayItem(ask_cuts(lab, &answer), 0);
    assert_string_equal(text_at(policy, "origin"), "user");
    assert_string_equal(text_at(policy, "reason"), "why not");
    assert_int_equal(json_number(policy, "endpointCount"), 0);
    assert_true(json_number(policy, "secondsLeft") >= 55);
    cJSON_Delete(answer);
    expect_refusal(lab, "{\"op\":\"uncut\",\"id\":\"other\"}", "there is no cut other");
    expect_refusal(lab, "{\"op\":\"uncut\"}", "id must be");
    snprintf(request, sizeof(request), "{\"op\":\"uncut\",\"id\":\"cut-%s\"}", id);
    cJSON_Delete(daemon_ask(lab, request));
    expect_cuts(lab, 0);
    daemon_expect(lab, "objects.ClusterSegmentPolicy", -1);
    daemon_expect(lab, "cuts.undone", 1);
}

static void test_cut_refused(void **state)
{
    struct daemon_lab *lab = *state;

    expect_refusal(lab, "{\"op\":\"cut\",\"selector\":\"app=x\"}", "seconds");
    expect_refusal(lab, "{\"op\":\"cut\",\"selector\":\"\",\"seconds\":9}", "every pod");
    expect_refusal(lab, "{\"op\":\"cut\",\"selector\":\"app\",\"seconds\":9}", "label selector");
    expect_refusal(lab, CUT(",\"ports\":[\"http\"]"), "not a port");
    expect_refusal(lab, CUT(",\"peer\":\"db\""), "peer");
    expect_cuts(lab, 0);
}

/* Neither the object's name nor --audit-all undoes a cut. */
static void test_cut_is_enforced(void **state)
{
    static const char *const extra[] = {"--audit-all", NULL};
    struct daemon_lab *lab = *state;
    char id[16], text[512];
    cJSON *answer, *policy;

    daemon_start(lab, extra);
    make_cut(lab, CUT(""), id);
    snprintf(text, sizeof(text),
             "apiVersion: podfence.io/v1alpha1\nkind: ClusterSegmentPolicy\n"
             "metadata: { name: cut-%s }\n"
             "spec: { mode: Denylist, appliesTo: { podSelector: { matchLabels: { app: y } } },\n"
             "        ingress: [ {} ] }\n",
             id);
    daemon_write(lab, "a.yaml", text);
    daemon_expect(lab, "problems", 1);
    answer = daemon_ask(lab, "{\"op\":\"policies\"}");
    policy = cJSON_GetArrayItem(cJSON_GetObjectItem(answer, "policies"), 0);
    snprintf(text, sizeof(text), "cut:%s", id);
    assert_string_equal(text_at(policy, "file"), text);
    assert_int_equal(json_number(policy, "audit"), 0);
    cJSON_Delete(answer);
}

static void test_cuts_are_bounded(void **state)
{
    struct daemon_lab *lab = *state;
    char id[16];

    for (int i = 0; i < 64; i++)
        make_cut(lab, CUT(""), id);
    expect_refusal(lab, CUT(""), "there are 64 cuts already");
    expect_cuts(lab, 64);
    cJSON_Delete(daemon_ask(lab, "{\"op\":\"uncut\",\"all\":true}"));
    expect_cuts(lab, 0);
}

static void test_dry_run(void **state)
{
    struct daemon_lab *lab = *state;
    cJSON *answer;

    answer = daemon_ask(lab, CUT(",\"dryRun\":true"));
    assert_int_equal(json_number(answer, "cut.dryRun"), 1);
    assert_int_equal(json_number(answer, "cut.endpointCount"), 0);
    cJSON_Delete(answer);
    expect_cuts(lab, 0);
    expect_refusal(lab, CUT(",\"dryRun\":true,\"peer\":\"db\""), "peer");
}

/* A daemon that is started again has them, with the same end, and writes nothing. */
static void test_cuts_outlive_the_daemon(void **state)
{
    struct daemon_lab *lab = *state;
    char id[16], ends[32];
    cJSON *answer, *cut;

    daemon_start(lab, NULL);
    make_cut(lab, CUT(""), id);
    make_cut(lab, "{\"op\":\"cut\",\"selector\":\"app=z\",\"seconds\":1}", ends);
    cut = cJSON_GetArrayItem(ask_cuts(lab, &answer), 0);
    snprintf(ends, sizeof(ends), "%s", text_at(cut, "endsAt"));
    cJSON_Delete(answer);
    assert_int_equal(daemon_stop(lab, SIGKILL), 128 + SIGKILL);
    sleep_ms(2100);
    daemon_start(lab, NULL);
    daemon_expect(lab, "lastApply.writes", 0);
    cut = ask_cuts(lab, &answer);
    assert_int_equal(cJSON_GetArraySize(cut), 1);
    cut = cJSON_GetArrayItem(cut, 0);
    assert_string_equal(text_at(cut, "id"), id);
    assert_string_equal(text_at(cut, "endsAt"), ends);
    cJSON_Delete(answer);
}

/* What is kept is damaged: said, and the others are kept. */
static void test_damaged_state(void **state)
{
    struct daemon_lab *lab = *state;
    char path[128];
    FILE *file;

    snprintf(path, sizeof(path), "%s/cuts.json", lab->state);
    mkdir(lab->state, 0700);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs("{\"bootId\":\"another\",\"cuts\":[{\"id\":\"1\"},"
          "{\"id\":\"2\",\"createdAt\":1,\"endsAt\":99999999999,"
          "\"cut\":{\"selector\":\"app=x\",\"seconds\":60}},"
          "{\"id\":\"3\",\"createdAt\":1,\"endsAt\":2,"
          "\"cut\":{\"selector\":\"app=x\",\"seconds\":60}}]}",
          file);
    fclose(file);
    daemon_start(lab, NULL);
    assert_true(daemon_logged(lab, "cuts.json"));
    daemon_expect(lab, "problems", 1);
    daemon_expect(lab, "cuts.active", 1);
}

static void test_ends_in_time(void **state)
{
    struct daemon_lab *lab = *state;
    char id[16];

    make_cut(lab, "{\"op\":\"cut\",\"selector\":\"app=z\",\"seconds\":1}", id);
    daemon_expect(lab, "cuts.ended", 1);
    expect_cuts(lab, 0);
    daemon_expect(lab, "objects.ClusterSegmentPolicy", -1);
}

/* Not in force before every folder has been read: the answer comes then. */
static void test_cut_waits(void **state)
{
    static const char request[] = CUT("");
    struct daemon_lab *lab = *state;
    char folder[160];
    const char *const extra[] = {"--objects", folder, NULL};
    cJSON *answer = NULL;

    snprintf(folder, sizeof(folder), "%s/not-mounted", lab->root);
    daemon_start(lab, extra);
    {
        FENCE_CLOSE int fd = daemon_connect(lab);

        assert_int_equal(fence_api_send_text(fd, request, strlen(request), NULL), 0);
        assert_int_equal(fence_api_receive(fd, 200, &answer, NULL), -ETIMEDOUT);
        assert_int_equal(mkdir(folder, 0700), 0);
        /* makes the daemon look at its folders */
        expect_refusal(lab, WAIT("none", ",\"seconds\":0"), "there is no such policy");
        assert_int_equal(fence_api_receive(fd, 15000, &answer, NULL), 0);
    }
    assert_int_equal(json_number(answer, "cut.inForce"), 1);
    cJSON_Delete(answer);
}

/* One daemon for all of those that leave nothing behind. */
static int shared_setup(void **state)
{
    int r = daemon_lab_setup(state);

    if (r == 0)
        daemon_start(*state, NULL);
    return r;
}

int main(void)
{
#define TEST(function)                                                                             \
    cmocka_unit_test_setup_teardown(function, daemon_lab_setup, daemon_lab_teardown)
    const struct CMUnitTest shared[] = {
        cmocka_unit_test(test_cut_and_undo),
        cmocka_unit_test(test_cut_refused),
        cmocka_unit_test(test_dry_run),
        cmocka_unit_test(test_cuts_are_bounded),
        cmocka_unit_test(test_ends_in_time),
        cmocka_unit_test(test_wait_for_what_is_there),
        cmocka_unit_test(test_wait_for_what_comes),
        cmocka_unit_test(test_wait_for_a_version),
        cmocka_unit_test(test_too_many_wait),
    };
    const struct CMUnitTest alone[] = {
        TEST(test_wait_refused),
        TEST(test_histogram),
        TEST(test_pending),
        TEST(test_cut_is_enforced),
        TEST(test_cuts_outlive_the_daemon),
        TEST(test_damaged_state),
        TEST(test_cut_waits),
    };
    int failed;

    if (!daemon_lab_enter())
        return 77;
    failed = cmocka_run_group_tests(shared, shared_setup, daemon_lab_teardown);
    return failed + cmocka_run_group_tests(alone, NULL, NULL);
}

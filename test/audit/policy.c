/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/audit/policy.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/objects/decode.h"
#include "test/cmocka.h"

#define POLICY(spec)                                                                               \
    "{apiVersion: podfence.io/v1alpha1, kind: SegmentPolicy, metadata: {name: db, namespace: "     \
    "shop}, spec: {appliesTo: {podSelector: {matchLabels: {app: db}}}, " spec "}}"

#define BASE "mode: Allowlist, ingress: [{from: [{podSelector: {}}], ports: [{port: 5432}]}]"

static void decode(const char *text, struct fence_decoded_list *list)
{
    struct fence_err err = {""};

    *list = (struct fence_decoded_list){0};
    if (fence_decode_stream(text, strlen(text), list, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(list->count, 1);
    if (!list->items[0].object)
        fail_msg("%s: refused", text);
}

static void add_part(void *context, const char *name)
{
    char *parts = context;
    size_t used = strlen(parts);

    snprintf(parts + used, 1024 - used, "%s%s", used ? ", " : "", name);
}

static void test_differences(void **state)
{
    static const struct {
        const char *policy, *parts;
    } cases[] = {
        {POLICY(BASE), ""},
        /* the same in other words */
        {POLICY("policyTypes: [Ingress], " BASE), ""},
        {POLICY(BASE ", enforcement: Audit"), "enforcement"},
        {POLICY(BASE ", expiresAt: 2030-01-01T00:00:00Z"), "expiresAt"},
        {POLICY("policyTypes: [Ingress, Egress], " BASE), "policyTypes"},
        {POLICY("mode: Denylist, ingress: [{from: [{podSelector: {}}], ports: [{port: 5432}]}]"),
         "mode, policyTypes, ingress[0]"},
        {POLICY("mode: Allowlist, ingress: [{from: [{podSelector: {}}], ports: [{port: 5433}]}]"),
         "ingress[0]"},
        {POLICY("mode: Allowlist, ingress: []"), "ingress: 1 to 0 rules"},
        {POLICY(BASE ", egress: [{}]"), "policyTypes, egress: 0 to 1 rules"},
    };
    struct fence_decoded_list before, after;
    char one[FENCE_AUDIT_HASH_TEXT], other[FENCE_AUDIT_HASH_TEXT];

    (void)state;
    decode(POLICY(BASE), &before);
    fence_audit_policy_hash(before.items[0].object, one);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(cases); i++) {
        char parts[1024] = "";

        decode(cases[i].policy, &after);
        fence_audit_policy_difference(before.items[0].object, after.items[0].object, add_part,
                                      parts);
        assert_string_equal(parts, cases[i].parts);
        fence_audit_policy_hash(after.items[0].object, other);
        assert_int_equal(strlen(other), 64);
        assert_int_equal(strcmp(one, other) == 0, *cases[i].parts == '\0');
        fence_decoded_list_done(&after);
    }
    fence_decoded_list_done(&before);
}

static void append(char *text, size_t size, const char *piece)
{
    size_t used = strlen(text);

    snprintf(text + used, size - used, "%s", piece);
}

/* A list of differences has an end. */
static void test_many(void **state)
{
    struct fence_decoded_list before, after;
    char one[16384] = "", other[16384] = "", parts[1024] = "";
    size_t names = 1;

    (void)state;
    append(one, sizeof(one),
           "{apiVersion: podfence.io/v1alpha1, kind: SegmentPolicy, metadata: {name: a}, "
           "spec: {mode: Allowlist, appliesTo: {}, ingress: [");
    append(other, sizeof(other), one);
    for (unsigned int i = 0; i < 100; i++) {
        append(one, sizeof(one), "{ports: [{port: 1}]},");
        append(other, sizeof(other), "{ports: [{port: 2}]},");
    }
    append(one, sizeof(one), "]}}");
    append(other, sizeof(other), "]}}");
    decode(one, &before);
    decode(other, &after);
    fence_audit_policy_difference(before.items[0].object, after.items[0].object, add_part, parts);
    for (const char *at = parts; (at = strstr(at, ", ")); at++)
        names++;
    assert_int_equal(names, FENCE_AUDIT_PARTS_MAX);
    assert_string_equal(parts + strlen(parts) - 3, "...");
    fence_decoded_list_done(&before);
    fence_decoded_list_done(&after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_differences),
        cmocka_unit_test(test_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

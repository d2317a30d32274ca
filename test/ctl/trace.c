/* SPDX-License-Identifier: Apache-2.0 */
/* trace --objects: the fixed JSON of DESIGN section 4.5, sentences, and lines of queries. */
#include <stdio.h>
#include <string.h>

#include "test/cmocka.h"

#include "lib/base/memory.h"
#include "test/ctl/run.h"

#define POD(name, app, four, six)                                                                  \
    "---\n"                                                                                        \
    "apiVersion: v1\n"                                                                             \
    "kind: Pod\n"                                                                                  \
    "metadata: { name: " name ", namespace: shop, labels: { app: " app " } }\n"                    \
    "spec: { nodeName: n1 }\n"                                                                     \
    "status: { phase: Running, podIP: " four ", podIPs: [ { ip: " four " }, { ip: \"" six          \
    "\" } ] }\n"

static const char objects[] =
    "apiVersion: v1\n"
    "kind: Namespace\n"
    "metadata: { name: shop, labels: { team: a } }\n" POD("web-1", "web", "10.1.0.1", "fd01::1")
        POD("payments-1", "payments", "10.1.0.2", "fd01::2") POD("db-0", "db", "10.1.0.3",
                                                                 "fd01::3")
            POD("open-0", "open", "10.1.0.4",
                "fd01::4") "---\n"
                           "apiVersion: networking.k8s.io/v1\n"
                           "kind: NetworkPolicy\n"
                           "metadata: { name: db-in, namespace: shop }\n"
                           "spec:\n"
                           "  podSelector: { matchLabels: { app: db } }\n"
                           "  ingress:\n"
                           "    - from: [ { podSelector: { matchLabels: { app: payments } } } ]\n"
                           "      ports: [ { protocol: TCP, port: 5432 } ]\n"
                           "---\n"
                           "apiVersion: podfence.io/v1alpha1\n"
                           "kind: SegmentPolicy\n"
                           "metadata: { name: audit-out, namespace: shop }\n"
                           "spec: { mode: Allowlist, enforcement: Audit, appliesTo: { podSelector: "
                           "{ matchLabels: { app: "
                           "web } } }, egress: [] }\n"
                           "---\n"
                           "apiVersion: networking.k8s.io/v1\n"
                           "kind: NetworkPolicy\n"
                           "metadata: { name: web-in, namespace: shop }\n"
                           "spec: { podSelector: { matchLabels: { app: web } }, ingress: [ {} ] }\n"
                           "---\n"
                           "apiVersion: networking.k8s.io/v1\n"
                           "kind: NetworkPolicy\n"
                           "metadata: { name: open-in, namespace: shop }\n"
                           "spec:\n"
                           "  podSelector: { matchLabels: { app: open } }\n"
                           "  ingress: [ { from: [ { ipBlock: { cidr: 10.0.0.0/8 } } ] } ]\n"
                           "---\n"
                           "apiVersion: v1\n"
                           "kind: Pod\n"
                           "metadata: { name: new-0, namespace: shop }\n";

#define ALLOWED_OUT                                                                                \
    "\"egress\":{\"verdict\":\"allow\",\"policy\":null,\"rule\":null,\"reason\":\"no-policy\"}"
#define OUTSIDE                                                                                    \
    "\"egress\":{\"verdict\":\"allow\",\"policy\":null,\"rule\":null,\"reason\":\"not-an-"         \
    "endpoint\"}"

static const struct {
    const char *what;
    const char *query;
    const char *answer;
} lines[] = {
    {"by a rule",
     "{\"from\":\"shop/payments-1\",\"to\":\"shop/db-0\",\"port\":5432,\"protocol\":\"TCP\"}",
     "{\"verdict\":\"allow\",\"audit\":\"allow\"," ALLOWED_OUT
     ",\"ingress\":{\"verdict\":\"allow\",\"policy\":\"NetworkPolicy/shop/db-in\",\"rule\":0,"
     "\"reason\":\"rule\"}}"},
    {"an address is resolved to its pod",
     "{\"from\":\"10.1.0.2\",\"to\":\"10.1.0.3\",\"port\":5432}",
     "{\"verdict\":\"allow\",\"audit\":\"allow\"," ALLOWED_OUT
     ",\"ingress\":{\"verdict\":\"allow\",\"policy\":\"NetworkPolicy/shop/db-in\",\"rule\":0,"
     "\"reason\":\"rule\"}}"},
    {"one family of two",
     "{\"from\":\"shop/payments-1\",\"to\":\"shop/open-0\",\"port\":1,\"family\":\"IPv4\"}",
     "{\"verdict\":\"allow\",\"audit\":\"allow\"," ALLOWED_OUT
     ",\"ingress\":{\"verdict\":\"allow\",\"policy\":\"NetworkPolicy/shop/open-in\",\"rule\":0,"
     "\"reason\":\"rule\"}}"},
    {"families that differ",
     "{\"from\":\"shop/payments-1\",\"to\":\"shop/open-0\",\"port\":1,\"protocol\":\"UDP\"}",
     "{\"verdict\":\"mixed\",\"audit\":\"mixed\"," ALLOWED_OUT
     ",\"ingress\":{\"verdict\":\"allow\",\"policy\":\"NetworkPolicy/shop/open-in\",\"rule\":0,"
     "\"reason\":\"rule\"}}"},
    {"a pod to itself", "{\"from\":\"shop/db-0\",\"to\":\"shop/db-0\",\"port\":1}",
     "{\"verdict\":\"allow\",\"audit\":\"allow\"," OUTSIDE
     ",\"ingress\":{\"verdict\":\"allow\",\"policy\":null,\"rule\":null,\"reason\":\"not-an-"
     "endpoint\"}}"},
    {"from a loopback address", "{\"from\":\"127.0.0.1\",\"to\":\"shop/web-1\",\"port\":1}",
     "{\"verdict\":\"deny\",\"audit\":\"deny\"," OUTSIDE
     ",\"ingress\":{\"verdict\":\"deny\",\"policy\":null,\"rule\":null,\"reason\":\"martian\","
     "\"nearest\":null}}"},
    {"from the world, by ICMP",
     "{\"from\":\"192.0.2.9\",\"to\":\"shop/web-1\",\"protocol\":\"ICMP\",\"type\":8,\"code\":0}",
     "{\"verdict\":\"allow\",\"audit\":\"allow\"," OUTSIDE
     ",\"ingress\":{\"verdict\":\"allow\",\"policy\":\"NetworkPolicy/shop/web-in\",\"rule\":0,"
     "\"reason\":\"rule\"}}"},
};

/* Queries that are refused, and what the error has to name. */
static const struct {
    const char *query;
    const char *part;
} bad[] = {
    {"nonsense", "no JSON"},
    {"{\"from\":\"shop/web-1\"", "no JSON"},
    {"{} {}", "no JSON"},
    {"[]", "a query is a JSON object"},
    {"{}", "from: "},
    {"{\"from\":\"shop/web-1\",\"port\":1}", "to: "},
    {"{\"from\":1,\"to\":\"shop/db-0\",\"port\":1}", "from: "},
    {"{\"from\":\"shop/web-1\",\"to\":\"shop/db-0\"}", "port: "},
    {"{\"from\":\"shop/web-1\",\"to\":\"shop/db-0\",\"port\":\"80\"}", "port: "},
    {"{\"from\":\"shop/web-1\",\"to\":\"shop/db-0\",\"port\":65536}", "port: "},
    {"{\"from\":\"shop/web-1\",\"to\":\"shop/db-0\",\"port\":-1}", "port: "},
    {"{\"from\":\"shop/web-1\",\"to\":\"shop/db-0\",\"port\":1.5}", "port: "},
    {"{\"from\":\"shop/web-1\",\"to\":\"shop/db-0\",\"port\":1e99}", "port: "},
    {"{\"from\":\"shop/web-1\",\"to\":\"shop/db-0\",\"port\":1,\"protocol\":\"TPC\"}", "TPC"},
    {"{\"from\":\"shop/web-1\",\"to\":\"shop/db-0\",\"port\":1,\"protocol\":6}", "protocol: "},
    {"{\"from\":\"shop/web-1\",\"to\":\"shop/db-0\",\"port\":1,\"family\":\"IPv5\"}", "family: "},
    {"{\"from\":\"shop/web-1\",\"to\":\"shop/db-0\",\"protocol\":\"ICMP\",\"type\":256}", "type: "},
    {"{\"from\":\"shop/web-1\",\"to\":\"shop/db-0\",\"protocol\":\"ICMP\",\"code\":1}", "code: "},
    {"{\"from\":\"shop/web-1\",\"to\":\"shop/db-0\",\"protocol\":\"ICMP\",\"family\":\"IPv6\"}",
     "family: "},
    {"{\"from\":\"shop/web-1\",\"to\":\"shop/db-0\",\"port\":1,\"prot\":\"UDP\"}",
     "prot: unknown key; there are from, to, port, protocol"},
    {"{\"from\":\"shop/web-1\",\"to\":\"shop/db-0\",\"port\":1,\"Family\":\"IPv4\"}",
     "Family: unknown key"},
    {"{\"from\":\"shop/web-1\",\"to\":\"shop/db-0\",\"port\":1,\"port\":1}",
     "port: it is given twice"},
    {"{\"from\":\"shop/web-1\",\"to\":\"shop/db-0\",\"port\":1,\"type\":8}",
     "type: it goes with protocol ICMP or ICMPv6 only"},
    {"{\"from\":\"shop/web-1\",\"to\":\"shop/db-0\",\"port\":1,\"protocol\":\"UDP\",\"code\":0}",
     "code: it goes with protocol ICMP or ICMPv6 only"},
    {"{\"from\":\"shop/web-1\\u0000x\",\"to\":\"shop/db-0\",\"port\":1}", "the character NUL"},
    {"{\"from\":\"shop/web-1\",\"to\":\"shop/db-0\",\"port\":1,\"\\u0000\":1}",
     "the character NUL"},
    {"{\"from\":\"shop/web-1\\\\u0000\",\"to\":\"shop/db-0\",\"port\":1}",
     "there is no pod shop/web-1\\\\u0000"},
    {"{\"from\":\"shop/nobody\",\"to\":\"shop/db-0\",\"port\":1}", "shop/nobody"},
    {"{\"from\":\"10.1.0.300\",\"to\":\"shop/db-0\",\"port\":1}", "10.1.0.300"},
    {"{\"from\":\"shop/web-1\",\"to\":\"shop/new-0\",\"port\":1}",
     "the pod shop/new-0 has no address (status.podIPs)"},
    {"{\"from\":\"10.9.9.9\",\"to\":\"fd01::3\",\"port\":1}", "famil"},
};

static char folder[64];

static int setup(void **state)
{
    (void)state;
    folder_make(folder);
    folder_write(folder, "all.yaml", objects);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    folder_remove(folder);
    return 0;
}

static void ask(const char *input, const char *expect, struct run *ret_run)
{
    const char *const arguments[] = {
        "trace", "--objects", folder, "--queries", "-", expect ? "--expect" : NULL, expect, NULL};

    run_ctl(arguments, input, ret_run);
}

static void query_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(lines); i++) {
        FENCE_FREE char *expect = NULL;
        struct run run;

        assert_true(asprintf(&expect, "%s\n", lines[i].answer) > 0);
        ask(lines[i].query, NULL, &run);
        print_message("%s\n%s", lines[i].what, run.err);
        assert_string_equal(run.out, expect);
        assert_string_equal(run.err, "");
        assert_int_equal(run.status, 0);
        run_done(&run);
    }
}

/* Every bad line is answered with an error of its own, and the one behind it is still answered. */
static void bad_queries(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(bad); i++) {
        FENCE_FREE char *input = NULL;
        char *second;
        struct run run;

        assert_true(asprintf(&input, "\n%s\n  \t\r\n%s\n\n", bad[i].query, lines[0].query) > 0);
        ask(input, NULL, &run);
        print_message("%s: %s", bad[i].query, run.out);
        second = strchr(run.out, '\n');
        assert_non_null(second);
        *second++ = '\0';
        assert_true(strncmp(run.out, "{\"error\":\"", 10) == 0);
        assert_non_null(strstr(run.out, bad[i].part));
        assert_true(strncmp(second, lines[0].answer, strlen(lines[0].answer)) == 0);
        assert_string_equal(second + strlen(lines[0].answer), "\n");
        assert_int_equal(run.status, 1);
        run_done(&run);
    }
}

static const struct {
    const char *query; /* NULL: both lines below */
    const char *expect;
    int status;
} expected[] = {
    {"{\"from\":\"shop/payments-1\",\"to\":\"shop/db-0\",\"port\":5432}", "allow", 0},
    {"{\"from\":\"shop/payments-1\",\"to\":\"shop/db-0\",\"port\":5432}", "deny", 3},
    {"{\"from\":\"shop/web-1\",\"to\":\"shop/db-0\",\"port\":5432}", "deny", 0},
    {"{\"from\":\"shop/web-1\",\"to\":\"shop/db-0\",\"port\":5432}", "allow", 3},
    {"{\"from\":\"shop/payments-1\",\"to\":\"shop/open-0\",\"port\":1}", "allow", 3}, /* mixed */
    {"{\"from\":\"shop/payments-1\",\"to\":\"shop/open-0\",\"port\":1}", "deny", 3},
    {"{\"from\":\"shop/payments-1\",\"to\":\"shop/db-0\",\"port\":5432}\n"
     "{\"from\":\"shop/web-1\",\"to\":\"shop/db-0\",\"port\":5432}",
     "allow", 3},
    {"x\n{\"from\":\"shop/web-1\",\"to\":\"shop/db-0\",\"port\":5432}", "allow", 1},
    {"", "allow", 0},
};

static void expectations(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(expected); i++) {
        struct run run;

        ask(expected[i].query, expected[i].expect, &run);
        print_message("%zu: %s", i, run.out);
        assert_int_equal(run.status, expected[i].status);
        run_done(&run);
    }
}

/* DESIGN's own example: the denied side says what came closest. */
static void denied(void **state)
{
    static const char start[] =
        "{\"verdict\":\"deny\",\"audit\":\"deny\",\"egress\":{\"verdict\":\"allow\",\"policy\":"
        "null,"
        "\"rule\":null,\"reason\":\"not-isolated\"},\"ingress\":{\"verdict\":\"deny\",\"policy\":"
        "\"NetworkPolicy/shop/db-in\",\"rule\":null,\"reason\":\"no-rule\",\"nearest\":{\"policy\":"
        "\"NetworkPolicy/shop/db-in\",\"rule\":0,\"failed\":\"";
    const char *const arguments[] = {"trace",     "--from", "shop/web-1", "--to",
                                     "shop/db-0", "--port", "5432",       "--objects",
                                     folder,      "-o",     "json",       NULL};
    struct run run;

    (void)state;
    run_ctl(arguments, NULL, &run);
    print_message("%s%s", run.out, run.err);
    assert_int_equal(run.status, 0);
    assert_true(strncmp(run.out, start, sizeof(start) - 1) == 0);
    assert_non_null(strstr(run.out, "payments"));
    run_done(&run);
}

static void sentences(void **state)
{
    const char *const arguments[] = {"trace",    "--from", "shop/web-1", "--to", "shop/db-0",
                                     "--port",   "80/UDP", "--objects",  folder, "--no-color",
                                     "--expect", "deny",   NULL};
    const char *const audit[] = {"trace",  "--from", "shop/web-1", "--to", "192.0.2.1",
                                 "--port", "53/UDP", "--objects",  folder, NULL};
    struct run run;

    (void)state;
    run_ctl(arguments, NULL, &run);
    print_message("%s%s", run.out, run.err);
    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.out, "shop/web-1 -> shop/db-0, 80/UDP: denied\n"));
    assert_non_null(strstr(run.out, "  into shop/db-0: denied: it is isolated, and no rule allows "
                                    "this (no-rule): NetworkPolicy/shop/db-in\n"));
    assert_non_null(strstr(run.out, "    closest to allowing it: rule 0 of "
                                    "NetworkPolicy/shop/db-in, but "));
    run_done(&run);
    run_ctl(audit, NULL, &run);
    print_message("%s%s", run.out, run.err);
    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.out, "53/UDP: allowed\n"));
    assert_non_null(strstr(run.out, "  with Audit policies counted in: denied\n"));
    run_done(&run);
}

static void yaml(void **state)
{
    const char *const arguments[] = {"trace", "--queries", "-",    "--objects",
                                     folder,  "-o",        "yaml", NULL};
    FENCE_FREE char *input = NULL;
    struct run run;

    (void)state;
    assert_true(asprintf(&input, "%s\n%s\n", lines[0].query, bad[0].query) > 0);
    run_ctl(arguments, input, &run);
    assert_string_equal(run.out, "verdict: allow\n"
                                 "audit: allow\n"
                                 "egress:\n"
                                 "  verdict: allow\n"
                                 "  policy: null\n"
                                 "  rule: null\n"
                                 "  reason: no-policy\n"
                                 "ingress:\n"
                                 "  verdict: allow\n"
                                 "  policy: NetworkPolicy/shop/db-in\n"
                                 "  rule: 0\n"
                                 "  reason: rule\n"
                                 "---\n"
                                 "error: the line is no JSON\n");
    assert_int_equal(run.status, 1);
    run_done(&run);
}

static void bad_sources(void **state)
{
    char other[64];
    const char *const missing[] = {"trace", "--queries", "-", "--objects", "/nonexistent/objects",
                                   NULL};
    const char *const broken[] = {"trace", "--queries", "-",   "--objects",
                                  folder,  "--objects", other, NULL};
    struct run run;

    (void)state;
    run_ctl(missing, "", &run);
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "/nonexistent/objects"));
    run_done(&run);

    /* what is refused is told and left out; the rest answers */
    folder_make(other);
    folder_write(other, "bad.yaml",
                 "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: { name: x, "
                 "namespace: shop }\nspec: { podSelector: 7 }\n");
    run_ctl(broken, lines[0].query, &run);
    print_message("%s", run.err);
    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.err, "left out: "));
    assert_non_null(strstr(run.err, "bad.yaml:4: NetworkPolicy/shop/x: spec.podSelector: "));
    assert_true(strncmp(run.out, lines[0].answer, strlen(lines[0].answer)) == 0);
    run_done(&run);
    folder_remove(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(query_lines),  cmocka_unit_test(bad_queries),
        cmocka_unit_test(expectations), cmocka_unit_test(denied),
        cmocka_unit_test(sentences),    cmocka_unit_test(yaml),
        cmocka_unit_test(bad_sources),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

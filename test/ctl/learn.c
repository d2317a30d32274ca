/* SPDX-License-Identifier: Apache-2.0 */
/* learn, learn --check and diff --live over saved flows: three worlds, and what is said of them. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "test/cmocka.h"

#include <cjson/cJSON.h>

#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "test/ctl/run.h"

#define DATA FENCE_SOURCE_DIR "/test/ctl/data/"

static const char shop_flows[] = DATA "learn-shop.json";
static const char mixed_flows[] = DATA "learn-mixed.json";
static const char odd_flows[] = DATA "learn-odd.json";
static const char service_flows[] = DATA "learn-services.json";
static const char nodes[] = DATA "learn-nodes.yaml";
static const char services[] = DATA "learn-services-objects.yaml";
static const char policies[] = DATA "learn-check.yaml";
static const char live_golden[] = DATA "diff-live.json";

static char *slurp(const char *path)
{
    char *data = NULL;
    size_t size = 0;
    struct fence_err err = {0};

    if (fence_file_read(AT_FDCWD, path, 1u << 20, &data, &size, &err) < 0)
        fail_msg("%s", err.text);
    return data;
}

/* It is taken as it is, by the decoder of the daemon; what the annotation for Audit counts is the
 * daemon's choice. */
static void is_valid(const char *manifests)
{
    static const char *const arguments[] = {"validate", "-", NULL};
    struct run run;

    run_ctl(arguments, manifests, &run);
    assert_int_equal(run.status, 0);
    for (const char *at = run.out; (at = strstr(at, "warning: ")); at++)
        assert_non_null(strstr(at, "without --audit-annotation"));
    if (!strstr(manifests, "enforcement: Audit"))
        assert_null(strstr(run.out, "warning: "));
    run_done(&run);
}

/* Nothing from a label or a name steers a terminal or begins a line of YAML. */
static void is_plain(const char *text)
{
    for (const char *at = text; *at; at++)
        assert_true(*at == '\n' || (*at >= 0x20 && *at <= 0x7e));
}

static const struct {
    const char *golden;
    const char *arguments[RUN_ARGUMENTS];
    const char *said; /* on standard error, a part */
} worlds[] = {
    {"learn-shop.yaml",
     {"learn", "--flows", shop_flows, NULL},
     "denied, not proposed: shop/web > data/db"},
    {"learn-shop-audit.yaml",
     {"learn", "--flows", shop_flows, "--audit", "-n", "data", "--isolate", "both", "-o", "yaml",
      NULL},
     "denied, not proposed: shop/web > data/db TCP/5432"},
    {"learn-mixed.yaml",
     {"learn", "--flows", mixed_flows, "--objects", nodes, NULL},
     "front/web: not allowed by the proposal: egress: ICMP type 8 code 0"},
    {"learn-mixed-segment.yaml",
     {"learn", "--flows", mixed_flows, "--kind", "SegmentPolicy", "--audit", NULL},
     "no policy for front/web: other nodes' addresses are not known"},
    {"learn-services.yaml",
     {"learn", "--flows", service_flows, "--objects", services, NULL},
     "no policy for svc/b: it goes to addresses of services"},
    {"learn-services-alone.yaml",
     {"learn", "--flows", service_flows, NULL},
     "no policy for svc/a: it goes to addresses of services"},
    {"learn-odd.yaml",
     {"learn", "--flows", odd_flows, NULL},
     "node \\x1b]0;x\\x07\\xe2\\x80\\xa8- evil"},
};

static void proposals(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(worlds); i++) {
        FENCE_FREE char *path = NULL;
        FENCE_FREE char *golden = NULL;
        struct run run;

        print_message("%s\n", worlds[i].golden);
        assert_true(asprintf(&path, DATA "%s", worlds[i].golden) > 0);
        golden = slurp(path);
        run_ctl(worlds[i].arguments, NULL, &run);
        assert_int_equal(run.status, 0);
        assert_string_equal(run.out, golden);
        if (!strstr(run.err, worlds[i].said))
            fail_msg("not said: %s\n%s", worlds[i].said, run.err);
        is_plain(run.out);
        is_plain(run.err);
        is_valid(run.out);
        run_done(&run);
    }
}

/* The list in JSON is the same objects, and fits what it was learned from. */
static void as_json(void **state)
{
    const char *const arguments[] = {"learn", "--flows", odd_flows, "-o", "json", NULL};
    struct run run;
    cJSON *value;

    (void)state;
    run_ctl(arguments, NULL, &run);
    assert_int_equal(run.status, 0);
    is_plain(run.out);
    is_valid(run.out);
    value = cJSON_Parse(run.out);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(value, "kind")),
                        "List");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(value, "items")), 14);
    cJSON_Delete(value);
    run_done(&run);
}

/* Of several nodes' flows: what each told. */
static void files_together(void **state)
{
    const char *const arguments[] = {"learn", "--flows", shop_flows, "--flows", mixed_flows,
                                     "-n",    "front",   "-n",       "shop",    NULL};
    struct run run;

    (void)state;
    run_ctl(arguments, NULL, &run);
    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.out, "namespace: front\n"));
    assert_non_null(strstr(run.out, "namespace: shop\n"));
    assert_null(strstr(run.out, "  namespace: data\n"));
    assert_non_null(strstr(run.err, "12 flows were lost"));
    run_done(&run);
}

/* ---- --check -------------------------------------------------------------------------------- */

static const char *text_of(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

    return text ? text : "-";
}

/* "POLICY DIRECTION RULE FINDING TEXT", rule -1 for none. */
static void check_finds(const char *flows, const char *const *wanted)
{
    const char *const arguments[] = {"learn", "--check", policies, "--flows",  flows,  "--objects",
                                     nodes,   "-o",      "json",   "--expect", "none", NULL};
    struct run run;
    cJSON *value, *finding;
    size_t count = 0;

    run_ctl(arguments, NULL, &run);
    assert_int_equal(run.status, 3);
    assert_string_equal(run.err, "");
    value = cJSON_Parse(run.out);
    cJSON_ArrayForEach(finding, cJSON_GetObjectItemCaseSensitive(value, "findings"))
    {
        const cJSON *rule = cJSON_GetObjectItemCaseSensitive(finding, "rule");
        char text[1024];

        snprintf(text, sizeof(text), "%s %s %d %s %s", text_of(finding, "policy"),
                 text_of(finding, "direction"), cJSON_IsNumber(rule) ? rule->valueint : -1,
                 text_of(finding, "finding"), text_of(finding, "text"));
        assert_non_null(wanted[count]);
        assert_string_equal(text, wanted[count++]);
    }
    assert_null(wanted[count]);
    cJSON_Delete(value);
    run_done(&run);
}

static void checks(void **state)
{
    static const char *const shop[] = {
        "NetworkPolicy/data/cache ingress 0 wider peer 0 also holds shop/web, never seen here",
        "NetworkPolicy/data/cache ingress 0 wider UDP/11000-11300 is wider than what was seen: "
        "11211",
        "NetworkPolicy/data/cache ingress 0 unused TCP/9121 was not used",
        "NetworkPolicy/data/cache ingress 1 unused peer 1 was not used",
        "NetworkPolicy/data/cache ingress 2 unused no connection used the rule",
        "NetworkPolicy/data/cache ingress 3 wider everybody may; seen were shop/cart, "
        "shop/catalog",
        "NetworkPolicy/data/cache ingress 3 wider every port of every protocol may be used",
        "NetworkPolicy/data/nobody ingress -1 unseen no connection of the pods that it selects was "
        "seen",
        "NetworkPolicy/front/front ingress -1 unseen no connection of the pods that it selects was "
        "seen",
        "SegmentPolicy/data/db ingress 1 unused no connection used the rule",
        NULL,
    };
    static const char *const mixed[] = {
        "NetworkPolicy/data/cache ingress -1 unseen no connection of the pods that it selects was "
        "seen",
        "NetworkPolicy/data/nobody ingress -1 unseen no connection of the pods that it selects was "
        "seen",
        "NetworkPolicy/front/front ingress 0 wider peer 0, block 192.0.2.0/24, is wider than what "
        "was seen: 192.0.2.7/32",
        "SegmentPolicy/data/db ingress -1 unseen no connection of the pods that it selects was "
        "seen",
        NULL,
    };

    (void)state;
    check_finds(shop_flows, shop);
    check_finds(mixed_flows, mixed);
}

/* What was learned has nothing unused and nothing too wide. */
static void own_proposal(void **state)
{
    const char *const learn[] = {"learn", "--flows", shop_flows, "--isolate", "both", NULL};
    const char *const check[] = {"learn", "--flows",  shop_flows, "--check",
                                 "-",     "--expect", "none",     NULL};
    struct run proposed, checked;

    (void)state;
    run_ctl(learn, NULL, &proposed);
    run_ctl(check, proposed.out, &checked);
    print_message("%s%s", checked.out, checked.err);
    assert_int_equal(checked.status, 0);
    assert_non_null(strstr(checked.out, "8 policies: 0 unused, 0 wider"));
    run_done(&proposed);
    run_done(&checked);
}

/* ---- diff --live ---------------------------------------------------------------------------- */

static void live(void **state)
{
    const char *const json[] = {"diff", "--live",   "--flows", mixed_flows, "-o",
                                "json", "--expect", "none",    NULL};
    const char *const text[] = {"diff", "--live", "--flows", mixed_flows, NULL};
    const char *const nothing[] = {"diff",     "--live", "--flows", shop_flows,
                                   "--expect", "none",   NULL};
    FENCE_FREE char *golden = slurp(live_golden);
    struct run run;

    (void)state;
    run_ctl(json, NULL, &run);
    assert_int_equal(run.status, 3);
    assert_string_equal(run.out, golden);
    run_done(&run);
    run_ctl(text, NULL, &run);
    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.out, "front/api  front/web  TCP       9100"));
    assert_non_null(strstr(run.out, "5 connections would have been refused"));
    assert_non_null(strstr(run.out, "12 flows were lost"));
    run_done(&run);
    run_ctl(nothing, NULL, &run);
    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.out, "0 connections would have been refused"));
    run_done(&run);
}

/* ---- misuse --------------------------------------------------------------------------------- */

static const struct {
    const char *arguments[RUN_ARGUMENTS];
    int status;
    const char *err;
} mistakes[] = {
    {{"learn", "file.yaml"}, 2, "file.yaml: files go with --check"},
    {{"learn", "--check"}, 2, "--check needs the files of the policies"},
    {{"learn", "--kind", "Pod"}, 2, "--kind Pod: there are NetworkPolicy and SegmentPolicy"},
    {{"learn", "--isolate", "all"}, 2, "--isolate all: there are seen and both"},
    {{"learn", "--expect", "none"}, 2, "--expect goes with --check"},
    {{"learn", "--check", "--expect", "all", "x"}, 2, "--expect all: with --check there is none"},
    {{"learn", "--since", "soon", "--flows", shop_flows}, 2, "--since soon"},
    {{"learn", "--flows", nodes}, 1, "is not JSON"},
    {{"learn", "--flows", "/nowhere"}, 1, "/nowhere"},
    {{"learn", "--socket", "/nowhere/s"}, 1, "no daemon answers at /nowhere/s"},
    {{"learn", "--check", "/nowhere", "--flows", shop_flows}, 1, "/nowhere"},
    {{"learn", "--check", nodes, "--flows", shop_flows}, 1, "there is no policy in it"},
    {{"diff"}, 2, "OLD is missing"},
    {{"diff", "old"}, 2, "NEW is missing"},
    {{"diff", "--live", "old"}, 2, "--live takes neither OLD and NEW nor --objects"},
    {{"diff", "--live", "--expect", "all"}, 2, "--expect all: with --live there is none"},
    {{"diff", "--live", "--since", "x", "--flows", shop_flows}, 2, "--since x"},
    {{"diff", "--live", "--socket", "/nowhere/s"}, 1, "no daemon answers at /nowhere/s"},
};

static void misuse(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(mistakes); i++) {
        struct run run;

        run_ctl(mistakes[i].arguments, NULL, &run);
        if (run.status != mistakes[i].status || !strstr(run.err, mistakes[i].err))
            fail_msg("%s %s: exit status %d\n%s", mistakes[i].arguments[0],
                     mistakes[i].arguments[1] ? mistakes[i].arguments[1] : "", run.status, run.err);
        assert_string_equal(run.out, "");
        run_done(&run);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proposals),      cmocka_unit_test(as_json),
        cmocka_unit_test(files_together), cmocka_unit_test(checks),
        cmocka_unit_test(own_proposal),   cmocka_unit_test(live),
        cmocka_unit_test(misuse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

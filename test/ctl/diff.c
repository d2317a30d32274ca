/* SPDX-License-Identifier: Apache-2.0 */
/* diff: what changes, and what is expected to hold. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "test/cmocka.h"

#include <cjson/cJSON.h>

#include "lib/base/memory.h"
#include "test/ctl/run.h"

#define POD(name, app, address, spec)                                                              \
    "---\n"                                                                                        \
    "apiVersion: v1\n"                                                                             \
    "kind: Pod\n"                                                                                  \
    "metadata: { name: " name ", namespace: shop, labels: { app: " app " } }\n"                    \
    "spec: { nodeName: n1" spec " }\n"                                                             \
    "status: { podIPs: [ { ip: " address " } ] }\n"
#define PG ", containers: [ { name: c, ports: [ { name: pg, containerPort: 5432 } ] } ]"

static const char cluster[] =
    "apiVersion: v1\n"
    "kind: Node\n"
    "metadata: { name: n1 }\n"
    "spec: { podCIDR: 10.0.0.0/24 }\n"
    "status: { addresses: [ { type: InternalIP, address: 192.168.0.1 } ] "
    "}\n" POD("web-1", "web", "10.0.0.1", "") POD("web-2", "web", "10.0.0.2", "")
        POD("db-0", "db", "10.0.0.3", PG);

#define POLICY(name, app, ingress)                                                                 \
    "---\n"                                                                                        \
    "apiVersion: networking.k8s.io/v1\n"                                                           \
    "kind: NetworkPolicy\n"                                                                        \
    "metadata: { name: " name ", namespace: shop }\n"                                              \
    "spec: { podSelector: { matchLabels: { app: " app " } }, policyTypes: [ Ingress ], ingress: "  \
    "[ " ingress " ] }\n"
#define FROM_WEB "from: [ { podSelector: { matchLabels: { app: web } } } ]"
#define CLOSED   POLICY("db-in", "db", "")
#define BY_NAME  POLICY("db-in", "db", "{ " FROM_WEB ", ports: [ { port: pg } ] }")
#define BY_NUMBER                                                                                  \
    POLICY("db-in", "db",                                                                          \
           "{ " FROM_WEB ", ports: [ { port: 5432 } ] }, { " FROM_WEB                              \
           ", ports: [ { port: 5433, endPort: 5440, protocol: UDP } ] }")
#define ADDRESSES(cidr)                                                                            \
    POLICY("db-in", "db",                                                                          \
           "{ from: [ { ipBlock: { cidr: " cidr " } } ], ports: [ { port: 5432 } ] }")
#define SERVICE(backends)                                                                          \
    "---\n"                                                                                        \
    "apiVersion: v1\n"                                                                             \
    "kind: Service\n"                                                                              \
    "metadata: { name: s, namespace: shop }\n"                                                     \
    "spec: { clusterIP: 10.96.0.1, ports: [ { port: 80 } ] }\n"                                    \
    "---\n"                                                                                        \
    "apiVersion: discovery.k8s.io/v1\n"                                                            \
    "kind: EndpointSlice\n"                                                                        \
    "metadata: { name: s-1, namespace: shop, labels: { kubernetes.io/service-name: s } }\n"        \
    "addressType: IPv4\n"                                                                          \
    "endpoints: [ " backends " ]\n"                                                                \
    "ports: [ { port: 5432 } ]\n"
#define BACKEND(address) "{ addresses: [ " address " ] }"
#define TO(name, app)                                                                              \
    "---\n"                                                                                        \
    "apiVersion: networking.k8s.io/v1\n"                                                           \
    "kind: NetworkPolicy\n"                                                                        \
    "metadata: { name: " name ", namespace: shop }\n"                                              \
    "spec: { podSelector: { matchLabels: { app: web } }, policyTypes: [ Egress ], egress: [ { "    \
    "to: [ { podSelector: { matchLabels: { app: " app " } } } ] } ] }\n"
#define NONE "---\n"

/* A change is "FROM TO PROTOCOL PORTS BEFORE AFTER POLICY". */
static const struct {
    const char *what;
    const char *old;
    const char *new;
    const char *changes[8];
} cases[] = {
    {"nothing changes", BY_NAME, BY_NAME, {NULL}},
    {"another way to say the same",
     BY_NAME,
     POLICY("other-name", "db", "{ " FROM_WEB ", ports: [ { port: 5432 } ] }"),
     {NULL}},
    {"everything is cut",
     NONE,
     CLOSED,
     {"shop/web shop/db any all allow deny NetworkPolicy/shop/db-in",
      "0.0.0.0/0 shop/db any all allow deny NetworkPolicy/shop/db-in"}},
    {"and restored",
     CLOSED,
     NONE,
     {"shop/web shop/db any all deny allow -", "0.0.0.0/0 shop/db any all deny allow -"}},
    {"a named port is opened",
     CLOSED,
     BY_NAME,
     {"shop/web shop/db TCP 5432 deny allow NetworkPolicy/shop/db-in"}},
    {"a range is opened, and what was open before is not told",
     BY_NAME,
     BY_NUMBER,
     {"shop/web shop/db UDP 5433-5440 deny allow NetworkPolicy/shop/db-in"}},
    {"a block within the old one",
     ADDRESSES("172.16.0.0/12"),
     ADDRESSES("172.20.0.0/16"),
     {"172.16.0.0/12 shop/db TCP 5432 allow deny NetworkPolicy/shop/db-in"}},
    {"a block that holds one pod of two",
     CLOSED,
     ADDRESSES("10.0.0.2/32"),
     {"shop/web{app=web} as web-2 shop/db TCP 5432 deny allow NetworkPolicy/shop/db-in"}},
    {"a workload to itself",
     NONE,
     POLICY("web-in", "web", "{ from: [ { podSelector: { matchLabels: { app: db } } } ] }"),
     {"shop/web shop/web any all allow deny NetworkPolicy/shop/web-in",
      "0.0.0.0/0 shop/web any all allow deny NetworkPolicy/shop/web-in"}},
    {"ICMP of one type",
     NONE,
     "---\n"
     "apiVersion: podfence.io/v1alpha1\n"
     "kind: SegmentPolicy\n"
     "metadata: { name: no-ping, namespace: shop }\n"
     "spec: { mode: Denylist, appliesTo: { podSelector: { matchLabels: { app: db } } }, ingress: "
     "[ { ports: [ { protocol: ICMP, type: 8 } ] } ] }\n",
     {"shop/web shop/db ICMP type 8 allow deny SegmentPolicy/shop/no-ping",
      "0.0.0.0/0 shop/db ICMP type 8 allow deny SegmentPolicy/shop/no-ping"}},
    {"a pod of another name, as Deployments make them",
     BY_NAME POD("api-5d9f-x1", "api", "10.0.0.7", ""),
     BY_NAME POD("api-77c4-q2", "api", "10.0.0.8", "")
         POLICY("db-api", "db", "{ from: [ { podSelector: { matchLabels: { app: api } } } ] }"),
     {"shop/api shop/db any all deny allow NetworkPolicy/shop/db-api"}},
    {"an address of a service follows its backends",
     SERVICE(BACKEND("10.0.0.3")) TO("out", "web"),
     SERVICE(BACKEND("10.0.0.3")) TO("out", "db"),
     {"shop/web shop/db any all deny allow NetworkPolicy/shop/out",
      "shop/web shop/web any all allow deny NetworkPolicy/shop/out",
      "shop/web service shop/s (10.96.0.1) TCP 80 deny allow NetworkPolicy/shop/out"}},
    {"a service has other backends",
     SERVICE(BACKEND("10.0.0.3")) TO("out", "db"),
     SERVICE(BACKEND("10.0.0.3") ", " BACKEND("10.0.0.1")) TO("out", "db"),
     {"shop/web service shop/s (10.96.0.1) TCP 80 allow mixed -"}},
    {"a service goes, and with it the way to its backends",
     SERVICE(BACKEND("10.0.0.3")) TO("out", "db"),
     TO("out", "db"),
     {"shop/web service shop/s (10.96.0.1) TCP 80 allow deny NetworkPolicy/shop/out"}},
    {"a pod that is relabelled",
     BY_NAME POD("job-1", "job", "10.0.0.9", ""),
     BY_NAME POD("job-1", "web", "10.0.0.9", ""),
     {"shop/web{app=web} as job-1 shop/db TCP 5432 deny allow NetworkPolicy/shop/db-in"}},
};

/* Three folders: what both have, the old and the new one. */
struct lab {
    char both[64];
    char old[64];
    char new[64];
};

static void lab_make(struct lab *lab, const char *old, const char *new)
{
    folder_make(lab->both);
    folder_make(lab->old);
    folder_make(lab->new);
    folder_write(lab->both, "cluster.yaml", cluster);
    folder_write(lab->old, "old.yaml", old);
    folder_write(lab->new, "new.yaml", new);
}

static void lab_remove(const struct lab *lab)
{
    folder_remove(lab->both);
    folder_remove(lab->old);
    folder_remove(lab->new);
}

/* `expect` NULL: no such option. */
static void ask(const struct lab *lab, const char *format, const char *expect, struct run *ret_run)
{
    const char *arguments[] = {"diff",   "--objects", lab->both,  "-o", format,
                               lab->old, lab->new,    "--expect", "-",  NULL};

    if (!expect)
        arguments[7] = NULL;
    run_ctl(arguments, expect, ret_run);
    print_message("%s%s", ret_run->out, ret_run->err);
}

static const char *text_of(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

    return text ? text : "-";
}

static bool has_change(const cJSON *changes, const char *wanted)
{
    const cJSON *change;

    cJSON_ArrayForEach(change, changes)
    {
        char text[1024];

        snprintf(text, sizeof(text), "%s %s %s %s %s %s %s", text_of(change, "from"),
                 text_of(change, "to"), text_of(change, "protocol"), text_of(change, "ports"),
                 text_of(change, "before"), text_of(change, "after"), text_of(change, "policy"));
        if (strcmp(text, wanted) == 0)
            return true;
    }
    return false;
}

/* IPv6 outside is asked too, but the pods have IPv4 only. */
static void changes(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(cases); i++) {
        struct lab lab;
        struct run run;
        cJSON *value;
        const cJSON *list;
        int count = 0;

        print_message("%s:\n", cases[i].what);
        lab_make(&lab, cases[i].old, cases[i].new);
        ask(&lab, "json", NULL, &run);
        assert_int_equal(run.status, 0);
        assert_string_equal(run.err, "");
        value = cJSON_Parse(run.out);
        list = cJSON_GetObjectItemCaseSensitive(value, "changes");
        assert_true(cJSON_IsArray(list));
        for (; cases[i].changes[count]; count++)
            assert_true(has_change(list, cases[i].changes[count]));
        assert_int_equal(cJSON_GetArraySize(list), count);
        cJSON_Delete(value);
        run_done(&run);
        lab_remove(&lab);
    }
}

static const struct {
    const char *line;
    bool holds;
    const char *why; /* a part */
} expectations[] = {
    {"allow app=web -> app=db", true, NULL},
    {"allow app=web -> app=db 5432/TCP", true, NULL},
    {"allow app=web -> app=db 80", false, "shop/web does not reach shop/db at TCP"},
    {"deny app=web -> app=db 80", true, NULL},
    {"deny app=web -> app=db", false,
     "shop/web reaches shop/db at TCP 5432: NetworkPolicy/shop/db-in rule 0"},
    {"deny app=web -> app=db 5432/TCP", false, "shop/web reaches shop/db"},
    {"deny app=web -> app=db 5432/UDP", true, NULL},
    {"allow app=db -> app=web", true, NULL},
    {"deny app=db -> app=web ICMP", false, "no policy forbids it"},
    {"allow shop:* -> shop:app=db 5432", true, NULL},
    {"allow other:* -> app=db 5432", false, "no two workloads"},
    {"deny app=nobody -> *", false, "no two workloads"},
    {"deny !app -> app=db", false, "no two workloads"},
    {"allow app,app!=db -> app=db 5432", true, NULL},
    {"deny 8.8.8.8 -> app=db", true, NULL},
    {"allow app=web -> 8.8.8.8 443", true, NULL},
    {"\t deny  app==db  ->\tapp=db  ", false, "no two workloads"},
};

static void expected(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(expectations); i++) {
        char text[256];
        struct lab lab;
        struct run run;
        cJSON *value;
        const cJSON *line;

        print_message("%s:\n", expectations[i].line);
        lab_make(&lab, CLOSED, BY_NAME);
        snprintf(text, sizeof(text), "# a remark\n\n%s\r\n", expectations[i].line);
        ask(&lab, "json", text, &run);
        assert_int_equal(run.status, expectations[i].holds ? 0 : 3);
        value = cJSON_Parse(run.out);
        line = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(value, "expectations"), 0);
        assert_int_equal(cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(line, "line")), 3);
        assert_int_equal(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(line, "holds")),
                         expectations[i].holds);
        if (expectations[i].why)
            assert_non_null(strstr(text_of(line, "why"), expectations[i].why));
        cJSON_Delete(value);
        run_done(&run);
        lab_remove(&lab);
    }
}

static void wrong_lines(void **state)
{
    static const struct {
        const char *line;
        const char *error; /* a part */
    } lines[] = {
        {"permit app=web -> app=db", "-: line 1: write 'deny FROM -> TO'"},
        {"deny app=web app=db", "line 1: write"},
        {"allow app=web -> app=db 80 81", "line 1: write"},
        {"allow app=web -> app=db http", "give a number"},
        {"allow app=web -> app=db 80/TCPX", "the protocol is"},
        {"allow app=we!b -> app=db", "label app: "},
        {"allow =x -> app=db", "label '': "},
        {"allow !app=web -> app=db", "write KEY!=VALUE"},
    };

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(lines); i++) {
        struct lab lab;
        struct run run;

        lab_make(&lab, CLOSED, BY_NAME);
        ask(&lab, "text", lines[i].line, &run);
        assert_int_equal(run.status, 1);
        assert_string_equal(run.out, "");
        assert_non_null(strstr(run.err, lines[i].error));
        run_done(&run);
        lab_remove(&lab);
    }
}

static void refused(void **state)
{
    struct lab lab;
    struct run run;

    (void)state;
    lab_make(&lab, BY_NAME,
             "kind: NetworkPolicy\napiVersion: networking.k8s.io/v1\n"
             "metadata: { name: x, namespace: shop }\nspec: { podSelector: 7 }\n");
    ask(&lab, "text", NULL, &run);
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "are refused: mend them first"));
    run_done(&run);
    lab_remove(&lab);
    /* a bad old state may be what the new one mends */
    lab_make(&lab, "kind: NetworkPolicy\napiVersion: networking.k8s.io/v1\n", BY_NAME);
    ask(&lab, "text", NULL, &run);
    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.err, "left out: "));
    run_done(&run);
    lab_remove(&lab);
}

static void for_people(void **state)
{
    struct lab lab;
    struct run run;

    (void)state;
    lab_make(&lab, CLOSED POD("gone-1", "gone", "10.0.0.8", ""),
             BY_NAME POD("new-1", "\"n\\e[2J\"", "10.0.0.9", ""));
    ask(&lab, "text", "deny app=web -> app=db\nallow app=web -> app=db\n", &run);
    /* a label with such a value is refused with its pod */
    assert_int_equal(run.status, 1);
    assert_null(strchr(run.err, '\033'));
    run_done(&run);
    lab_remove(&lab);
    lab_make(&lab, CLOSED POD("gone-1", "gone", "10.0.0.8", ""),
             BY_NAME POD("new-1", "new", "10.0.0.9", ""));
    ask(&lab, "text", "deny app=web -> app=db\nallow app=web -> app=db\n", &run);
    assert_int_equal(run.status, 3);
    assert_non_null(strstr(run.out, "1 changes: 1 to allow, 0 to deny, 0 to mixed; "));
    assert_non_null(strstr(run.out, "only in OLD, so without an answer there: shop/gone\n"));
    assert_non_null(strstr(run.out, "only in NEW, so without an answer there: shop/new\n"));
    assert_non_null(strstr(run.out, "BROKEN: line 1: deny app=web -> app=db\n"));
    assert_non_null(strstr(run.out, "holds: line 2: allow app=web -> app=db\n"));
    run_done(&run);
    lab_remove(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes), cmocka_unit_test(expected),   cmocka_unit_test(wrong_lines),
        cmocka_unit_test(refused), cmocka_unit_test(for_people),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

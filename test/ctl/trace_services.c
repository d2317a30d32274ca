/* SPDX-License-Identifier: Apache-2.0 */
/* trace --objects to addresses of services, and to ports of nodes that lead elsewhere. */
#include <stdio.h>
#include <string.h>

#include "test/cmocka.h"

#include <cjson/cJSON.h>

#include "lib/base/memory.h"
#include "test/ctl/run.h"

#define POD(name, app, node, address, ports)                                                       \
    "---\n"                                                                                        \
    "apiVersion: v1\n"                                                                             \
    "kind: Pod\n"                                                                                  \
    "metadata: { name: " name ", namespace: shop, labels: { app: " app " } }\n"                    \
    "spec: { nodeName: " node ", containers: [ { name: c, ports: [ " ports " ] } ] }\n"            \
    "status: { podIP: " address " }\n"
#define NODE(name, address)                                                                        \
    "---\n"                                                                                        \
    "apiVersion: v1\n"                                                                             \
    "kind: Node\n"                                                                                 \
    "metadata: { name: " name " }\n"                                                               \
    "status: { addresses: [ { type: InternalIP, address: " address " } ] }\n"
#define SERVICE(name, address, ports)                                                              \
    "---\n"                                                                                        \
    "apiVersion: v1\n"                                                                             \
    "kind: Service\n"                                                                              \
    "metadata: { name: " name ", namespace: shop }\n"                                              \
    "spec: { clusterIP: " address ", ports: [ " ports " ] }\n"
#define SLICE(service, endpoints, ports)                                                           \
    "---\n"                                                                                        \
    "apiVersion: discovery.k8s.io/v1\n"                                                            \
    "kind: EndpointSlice\n"                                                                        \
    "metadata: { name: " service "-1, namespace: shop, labels: { kubernetes.io/service-name: "     \
    "" service " } }\n"                                                                            \
    "addressType: IPv4\n"                                                                          \
    "endpoints: [ " endpoints " ]\n"                                                               \
    "ports: [ " ports " ]\n"

/* web may call db by its named port, and nobody else. */
static const char objects[] = NODE("n1", "192.168.0.1") NODE("n2", "192.168.0.2")
    POD("web-1", "web", "n1", "10.1.0.1",
        "") POD("db-0", "db", "n1", "10.1.0.2", "{ name: pg, containerPort: 5432, hostPort: 5555 }")
        POD("db-1", "db", "n2", "10.1.0.3", "{ name: pg, containerPort: 5432 }")
            POD("log-0", "log", "n2", "10.1.0.4", "{ containerPort: 9000 }")
                SERVICE("db", "10.96.0.1", "{ port: 80, nodePort: 30080 }")
                    SLICE("db", "{ addresses: [ 10.1.0.2, 10.1.0.3 ] }", "{ port: 5432 }")
                        SERVICE("both", "10.96.0.2", "{ name: a, port: 80, targetPort: pg }") SLICE(
                            "both",
                            "{ addresses: [ 10.1.0.3 ] }, "
                            "{ addresses: [ 10.1.0.4 ] }",
                            "{ name: a, port: 5432 }") SERVICE("log", "10.96.0.3", "{ port: 9000 }")
                            SLICE("log", "{ addresses: [ 10.1.0.4 ] }", "{ port: 9000 }") SERVICE(
                                "none", "10.96.0.4",
                                "{ port: 80 }") "---\n"
                                                "apiVersion: networking.k8s.io/v1\n"
                                                "kind: NetworkPolicy\n"
                                                "metadata: { name: out, namespace: shop }\n"
                                                "spec:\n"
                                                "  podSelector: { matchLabels: { app: web } }\n"
                                                "  policyTypes: [ Egress ]\n"
                                                "  egress:\n"
                                                "    - to: [ { podSelector: { matchLabels: { app: "
                                                "db } } } ]\n"
                                                "      ports: [ { port: pg } ]\n";

static const struct {
    const char *to;
    const char *port;
    const char *verdict;
    const char *reason;
    const char *service; /* NULL = none */
    const char *backends;
} rows[] = {
    {"10.96.0.1", "80/TCP", "allow", "rule", "shop/db", "10.1.0.2:5432 allow 10.1.0.3:5432 allow "},
    {"10.96.0.1", "81/TCP", "deny", "no-rule", "shop/db", ""},
    {"10.96.0.1", "80/UDP", "deny", "no-rule", "shop/db", ""},
    {"10.96.0.2", "80/TCP", "mixed", "service-mixed", "shop/both",
     "10.1.0.3:5432 allow 10.1.0.4:5432 deny "},
    {"10.96.0.3", "9000/TCP", "deny", "no-rule", "shop/log", "10.1.0.4:9000 deny "},
    {"10.96.0.4", "80/TCP", "deny", "no-rule", "shop/none", ""},
    {"192.168.0.1", "30080/TCP", "allow", "rule", "shop/db",
     "10.1.0.2:5432 allow 10.1.0.3:5432 allow "},
    {"192.168.0.2", "30080/TCP", "allow", "rule", "shop/db",
     "10.1.0.2:5432 allow 10.1.0.3:5432 allow "},
    {"192.168.0.1", "5555/TCP", "allow", "rule", NULL, "10.1.0.2:5432 allow "},
    {"192.168.0.2", "5555/TCP", "deny", "no-rule", NULL, NULL},
    {"192.168.0.1", "22/TCP", "allow", "own-node", NULL, NULL},
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

static void trace(const char *to, const char *port, const char *format, struct run *ret_run)
{
    const char *const arguments[] = {"trace", "--from",    "shop/web-1", "--to", to,     "--port",
                                     port,    "--objects", folder,       "-o",   format, NULL};

    run_ctl(arguments, NULL, ret_run);
    print_message("%s %s: %s%s", to, port, ret_run->out, ret_run->err);
    assert_int_equal(ret_run->status, 0);
}

static const char *text_of(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

static void check_backends(const cJSON *list, const char *wanted)
{
    char text[256] = "";
    const cJSON *item;

    assert_int_equal(!list, !wanted);
    cJSON_ArrayForEach(item, list)
    {
        size_t used = strlen(text);

        snprintf(text + used, sizeof(text) - used, "%s:%d %s ", text_of(item, "address"),
                 cJSON_GetObjectItemCaseSensitive(item, "port")->valueint,
                 text_of(item, "verdict"));
    }
    if (wanted)
        assert_string_equal(text, wanted);
}

static void answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        const cJSON *egress;
        struct run run;
        cJSON *json;

        trace(rows[i].to, rows[i].port, "json", &run);
        json = cJSON_Parse(run.out);
        egress = cJSON_GetObjectItemCaseSensitive(json, "egress");
        assert_string_equal(text_of(json, "verdict"), rows[i].verdict);
        assert_string_equal(text_of(egress, "verdict"), rows[i].verdict);
        assert_string_equal(text_of(egress, "reason"), rows[i].reason);
        assert_int_equal(!text_of(egress, "service"), !rows[i].service);
        if (rows[i].service)
            assert_string_equal(text_of(egress, "service"), rows[i].service);
        check_backends(cJSON_GetObjectItemCaseSensitive(egress, "backends"), rows[i].backends);
        cJSON_Delete(json);
        run_done(&run);
    }
}

static void sentences(void **state)
{
    struct run run;

    (void)state;
    trace("10.96.0.2", "80/TCP", "text", &run);
    assert_string_equal(
        run.out,
        "shop/web-1 -> 10.96.0.2, 80/TCP: mixed\n"
        "  out of shop/web-1: mixed: the service has backends that are allowed and others "
        "(service-mixed)\n"
        "    service shop/both, which leads to\n"
        "      10.1.0.3 port 5432: allowed\n"
        "      10.1.0.4 port 5432: denied\n"
        "  into 10.96.0.2: allowed: podfence does not enforce this end (not-an-endpoint)\n");
    run_done(&run);
    trace("10.96.0.4", "80/TCP", "text", &run);
    assert_non_null(strstr(run.out, "    service shop/none: nothing is behind this port\n"));
    run_done(&run);
}

static void expectations(void **state)
{
    static const char *const wanted[] = {"allow", "deny"};

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(wanted); i++) {
        const char *const arguments[] = {"trace",     "--from",   "shop/web-1", "--to",
                                         "10.96.0.2", "--port",   "80/TCP",     "--objects",
                                         folder,      "--expect", wanted[i],    NULL};
        struct run run;

        run_ctl(arguments, NULL, &run);
        assert_int_equal(run.status, 3);
        run_done(&run);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(sentences),
        cmocka_unit_test(expectations),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

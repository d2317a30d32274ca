/* SPDX-License-Identifier: Apache-2.0 */
/* Files of libcni's result cache as tables: what is taken, and what is refused with which reason.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/addr.h"
#include "lib/base/memory.h"
#include "lib/cni/cache.h"

#define NAME "cbr0-c1-eth0"

/* {"name":"cbr0","plugins":[{"type":"bridge"},{"type":"podfence","exemptNamespaces":["shop"],
 *  "args":{"cni":{"labels":{"app":"web"}}}}]} */
#define CHAIN_OURS                                                                                 \
    "eyJuYW1lIjoiY2JyMCIsInBsdWdpbnMiOlt7InR5cGUiOiJicmlkZ2UifSx7InR5cGUiOiJwb2RmZW5jZSIsImV4ZW1w" \
    "dE5hbWVzcGFjZXMiOlsic2hvcCJdLCJhcmdzIjp7ImNuaSI6eyJsYWJlbHMiOnsiYXBwIjoid2ViIn19fX1dfQ=="
/* {"name":"cbr0","plugins":[{"type":"bridge"}]} */
#define CHAIN_OTHER  "eyJuYW1lIjoiY2JyMCIsInBsdWdpbnMiOlt7InR5cGUiOiJicmlkZ2UifV19"
/* {"type":"podfence"} */
#define CHAIN_SINGLE "eyJ0eXBlIjoicG9kZmVuY2UifQ=="

#define RESULT                                                                                     \
    "{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"cni0\"},{\"name\":\"veth1\"},"          \
    "{\"name\":\"eth0\",\"sandbox\":\"/run/netns/a\"}],\"ips\":[{\"interface\":2,\"address\":"     \
    "\"10.0.0.2/24\"},{\"interface\":2,\"address\":\"fd00::2/64\"}]}"

#define HEAD                                                                                       \
    "{\"kind\":\"cniCacheV1\",\"containerId\":\"c1\",\"ifName\":\"eth0\",\"networkName\":"         \
    "\"cbr0\",\"netns\":\"/run/netns/a\""
#define ARGS                                                                                       \
    ",\"cniArgs\":[[\"IgnoreUnknown\",\"1\"],[\"K8S_POD_UID\",\"u1\"],[\"K8S_POD_NAMESPACE\","     \
    "\"shop\"],[\"K8S_POD_NAME\",\"web-1\"],[\"K8S_POD_INFRA_CONTAINER_ID\",\"c1\"]]"
#define TAIL           ",\"result\":" RESULT "}"
#define CONFIG(base64) ",\"config\":\"" base64 "\""
#define ANNOTATION(content)                                                                        \
    ",\"capabilityArgs\":{\"io.kubernetes.cri.pod-annotations\":" content "}"

struct wanted {
    const char *who; /* namespace/pod/uid */
    const char *addrs;
    const char *labels;
    bool chained;
    bool exempt;
};

static const struct {
    const char *title;
    const char *name;
    const char *text;
    struct wanted wanted;
} taken[] = {
    {"containerd",
     NAME,
     HEAD CONFIG(CHAIN_OTHER) ARGS TAIL,
     {"shop/web-1/u1", "10.0.0.2 fd00::2", "", false, false}},
    {"with our entry",
     NAME,
     HEAD CONFIG(CHAIN_OURS) ARGS TAIL,
     {"shop/web-1/u1", "10.0.0.2 fd00::2", "app=web", true, true}},
    {"a plugin alone",
     NAME,
     HEAD CONFIG(CHAIN_SINGLE) ARGS TAIL,
     {"shop/web-1/u1", "10.0.0.2 fd00::2", "", true, false}},
    {"podman",
     NAME,
     HEAD ",\"cniArgs\":[[\"IgnoreUnknown\",\"1\"],[\"K8S_POD_NAME\",\"box\"]]" TAIL,
     {"/box/", "10.0.0.2 fd00::2", "", false, false}},
    {"no arguments",
     NAME,
     HEAD ",\"cniArgs\":null" TAIL,
     {"//", "10.0.0.2 fd00::2", "", false, false}},
    {"the last of equal keys",
     NAME,
     HEAD ",\"cniArgs\":[[\"K8S_POD_NAME\",\"a\"],[\"K8S_POD_NAME\",\"b\"]]" TAIL,
     {"/b/", "10.0.0.2 fd00::2", "", false, false}},
    {"labels by annotation",
     NAME,
     HEAD ARGS ANNOTATION("{\"podfence.io/labels\":\"app=db\"}") TAIL,
     {"shop/web-1/u1", "10.0.0.2 fd00::2", "app=db", false, false}},
    {"labels that are none",
     NAME,
     HEAD ARGS ANNOTATION("{\"podfence.io/labels\":\"=\"}") TAIL,
     {"shop/web-1/u1", "10.0.0.2 fd00::2", "", false, false}},
    {"capabilities that are none",
     NAME,
     HEAD ARGS ",\"capabilityArgs\":[1]" TAIL,
     {"shop/web-1/u1", "10.0.0.2 fd00::2", "", false, false}},
    {"a chain that is no base64",
     NAME,
     HEAD CONFIG("%%%%") ARGS TAIL,
     {"shop/web-1/u1", "10.0.0.2 fd00::2", "", false, false}},
    {"a chain that is cut off",
     NAME,
     HEAD CONFIG("eyJuYW1lIjoiY") ARGS TAIL,
     {"shop/web-1/u1", "10.0.0.2 fd00::2", "", false, false}},
    {"a chain that is no JSON",
     NAME,
     HEAD CONFIG("AAAA") ARGS TAIL,
     {"shop/web-1/u1", "10.0.0.2 fd00::2", "", false, false}},
    {"no namespace",
     NAME,
     "{\"kind\":\"cniCacheV1\",\"containerId\":\"c1\",\"ifName\":\"eth0\",\"networkName\":"
     "\"cbr0\"" TAIL,
     {"//", "10.0.0.2 fd00::2", "", false, false}},
    {"a result of CNI 0.2.0",
     NAME,
     HEAD ARGS ",\"result\":{\"cniVersion\":\"0.2.0\",\"ip4\":{\"ip\":\"10.0.0.2/24\",\"gateway\":"
               "\"10.0.0.1\"},\"ip6\":{\"ip\":\"fd00::2/64\"},\"dns\":{}}}",
     {"shop/web-1/u1", "10.0.0.2 fd00::2", "", false, false}},
    {"a result without addresses",
     NAME,
     HEAD ARGS ",\"result\":{\"cniVersion\":\"1.0.0\"}}",
     {"shop/web-1/u1", "", "", false, false}},
    {"a bare result", NAME, RESULT, {"//", "10.0.0.2 fd00::2", "", false, false}},
};

static void join_addrs(const struct fence_cni_cached *cached, char *text, size_t size)
{
    char one[FENCE_ADDR_TEXT];

    text[0] = '\0';
    for (size_t i = 0; i < cached->addr_count; i++) {
        size_t used = strlen(text);

        snprintf(text + used, size - used, "%s%s", used ? " " : "",
                 fence_addr_format(&cached->addrs[i], one));
    }
}

static void expect(const char *title, const struct fence_cni_cached *cached,
                   const struct wanted *wanted)
{
    char who[512], addrs[512];

    snprintf(who, sizeof(who), "%s/%s/%s", cached->args.namespace_name, cached->args.pod,
             cached->args.uid);
    join_addrs(cached, addrs, sizeof(addrs));
    if (strcmp(who, wanted->who) != 0 || strcmp(addrs, wanted->addrs) != 0 ||
        strcmp(cached->labels, wanted->labels) != 0 || cached->chained != wanted->chained ||
        cached->exempt != wanted->exempt)
        fail_msg("%s: %s, %s, %s, %d, %d", title, who, addrs, cached->labels, cached->chained,
                 cached->exempt);
    assert_string_equal(cached->container_id, "c1");
    assert_string_equal(cached->ifname, "eth0");
    assert_string_equal(cached->network, "cbr0");
}

static void test_takes(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(taken); i++) {
        struct fence_cni_cached cached = {0};
        struct fence_err err = {""};

        if (fence_cni_cached_parse(taken[i].name, taken[i].text, strlen(taken[i].text), &cached,
                                   &err) < 0)
            fail_msg("%s: %s", taken[i].title, err.text);
        expect(taken[i].title, &cached, &taken[i].wanted);
        assert_int_equal(cached.bare, strcmp(taken[i].title, "a bare result") == 0);
        assert_string_equal(cached.netns,
                            strcmp(taken[i].title, "no namespace") ? "/run/netns/a" : "");
    }
}

/* Network and interface may hold a '-'; the container ID of a runtime has none. */
static void test_takes_names_of_bare_results_apart(void **state)
{
    static const char text[] =
        "{\"interfaces\":[{\"name\":\"veth\"},{\"name\":\"0\",\"sandbox\":\"/x\"},"
        "{\"name\":\"eth-0\",\"sandbox\":\"/run/netns/a\"}]}";
    struct fence_cni_cached cached = {0};
    struct fence_err err = {""};

    (void)state;
    if (fence_cni_cached_parse("my-net-c1-eth-0", text, strlen(text), &cached, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(cached.network, "my-net");
    assert_string_equal(cached.container_id, "c1");
    assert_string_equal(cached.ifname, "eth-0");
    assert_string_equal(cached.netns, "/run/netns/a");
    assert_int_equal(cached.addr_count, 0);
}

#define HUNDRED                                                                                    \
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"  \
    "123456789"

static const struct {
    const char *title;
    const char *name;
    const char *text;
    const char *message;
} refused[] = {
    {"empty", NAME, "", "no JSON object"},
    {"cut off", NAME, HEAD ARGS, "no JSON object"},
    {"a list", NAME, "[]", "no JSON object"},
    {"an empty object", NAME, "{}", "neither cniCacheV1 nor the result"},
    {"another kind", NAME, "{\"kind\":\"cniCacheV9\",\"containerId\":\"c1\"}",
     "neither cniCacheV1"},
    {"a copy", NAME ".bak", HEAD ARGS TAIL, "its content is for " NAME},
    {"another's", "cbr0-c2-eth0", HEAD ARGS TAIL, "its content is for " NAME},
    {"an escaped NUL", NAME, HEAD ",\"x\":\"\\u0000\"" TAIL, "holds a NUL"},
    {"no container", NAME, "{\"kind\":\"cniCacheV1\"}", "containerId must be a text"},
    {"container is a number", NAME, "{\"kind\":\"cniCacheV1\",\"containerId\":1}", "containerId"},
    {"no interface", NAME, "{\"kind\":\"cniCacheV1\",\"containerId\":\"c1\"}", "ifName must be"},
    {"an interface with a path", "cbr0-c1-../x",
     "{\"kind\":\"cniCacheV1\",\"containerId\":\"c1\",\"ifName\":\"../"
     "x\",\"networkName\":\"cbr0\"}",
     "interface \"../x\" is not valid"},
    {"a long interface", NAME,
     "{\"kind\":\"cniCacheV1\",\"containerId\":\"c1\",\"ifName\":\"0123456789abcdef\"}",
     "ifName must be a text of at most 15"},
    {"a long container", NAME, "{\"kind\":\"cniCacheV1\",\"containerId\":\"" HUNDRED HUNDRED "\"}",
     "at most 127"},
    {"a bad container", "cbr0-c/1-eth0",
     "{\"kind\":\"cniCacheV1\",\"containerId\":\"c/"
     "1\",\"ifName\":\"eth0\",\"networkName\":\"cbr0\"}",
     "container ID \"c/1\" is not valid"},
    {"a bad network", "-c1-eth0",
     "{\"kind\":\"cniCacheV1\",\"containerId\":\"c1\",\"ifName\":\"eth0\",\"networkName\":\"\"}",
     "network name \"\" is not valid"},
    {"a namespace without a path", NAME,
     "{\"kind\":\"cniCacheV1\",\"containerId\":\"c1\",\"ifName\":\"eth0\",\"networkName\":\"cbr0\","
     "\"netns\":\"a\"}",
     "netns \"a\" is not valid"},
    {"arguments as an object", NAME, HEAD ",\"cniArgs\":{}" TAIL, "cniArgs must be a list"},
    {"arguments of three", NAME, HEAD ",\"cniArgs\":[[\"a\",\"b\",\"c\"]]" TAIL, "pairs of texts"},
    {"arguments that are numbers", NAME, HEAD ",\"cniArgs\":[[\"a\",1]]" TAIL, "pairs of texts"},
    {"arguments that are texts", NAME, HEAD ",\"cniArgs\":[\"a=b\"]" TAIL, "pairs of texts"},
    {"a long namespace", NAME, HEAD ",\"cniArgs\":[[\"K8S_POD_NAMESPACE\",\"" HUNDRED "\"]]" TAIL,
     "K8S_POD_NAMESPACE must be a text of at most 63"},
    {"no result", NAME, HEAD ARGS "}", "result must be an object"},
    {"a result that is text", NAME, HEAD ARGS ",\"result\":\"\"}", "result must be an object"},
    {"a result with a bad address", NAME, HEAD ",\"result\":{\"ips\":[{\"address\":\"x\"}]}}",
     "ips[].address"},
    {"a bare result for nobody here", "cbr0-c1-net1", RESULT, "neither cniCacheV1 nor the result"},
    {"a bare result without names", "eth0", RESULT, "neither cniCacheV1 nor the result"},
    {"a bare result of one name", "c1-eth0", RESULT, "is not NETWORK-CONTAINER-INTERFACE"},
    {"a bare result without a sandbox", NAME, "{\"ip4\":{\"ip\":\"10.0.0.2/24\"}}",
     "neither cniCacheV1 nor the result"},
};

static void test_refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(refused); i++) {
        struct fence_cni_cached cached = {0};
        static const struct fence_cni_cached untouched;
        struct fence_err err = {""};

        if (fence_cni_cached_parse(refused[i].name, refused[i].text, strlen(refused[i].text),
                                   &cached, &err) == 0)
            fail_msg("%s is taken", refused[i].title);
        if (!strstr(err.text, refused[i].message))
            fail_msg("%s: %s", refused[i].title, err.text);
        assert_memory_equal(&cached, &untouched, sizeof(cached));
    }
}

static void test_refuses_a_nul_in_the_middle(void **state)
{
    static const char text[] = HEAD "\0" TAIL;
    struct fence_cni_cached cached = {0};
    struct fence_err err = {""};

    (void)state;
    assert_true(fence_cni_cached_parse(NAME, text, sizeof(text) - 1, &cached, &err) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes),
        cmocka_unit_test(test_takes_names_of_bare_results_apart),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_refuses_a_nul_in_the_middle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

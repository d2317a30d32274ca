/* SPDX-License-Identifier: Apache-2.0 */
/* prevResult: its addresses, and its text unharmed. */
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
#include "lib/cni/result.h"

static char *entry(const char *result)
{
    char *text = NULL;

    if (asprintf(&text,
                 "{\"cniVersion\":\"0.3.1\",\"name\":\"net\",\"prevResult\" :\n%s , \"x\":1}",
                 result) < 0)
        return NULL;
    return text;
}

static int read_entry(const char *text, struct fence_netconf *conf, struct fence_cni_error *error)
{
    int r = fence_netconf_load(text, strlen(text), conf, error);

    if (r < 0)
        return r;
    r = fence_netconf_settings(conf, error);
    if (r < 0)
        fence_netconf_done(conf);
    return r;
}

#define BRIDGE                                                                                     \
    "{\"cniVersion\":\"0.3.1\",\"interfaces\":[{\"name\":\"cni0\"},{\"name\":\"veth1\"},"          \
    "{\"name\":\"eth0\",\"sandbox\":\"/n\"},{\"name\":\"net1\",\"sandbox\":\"/n\"}],\"ips\":["

static const struct {
    const char *title;
    const char *result;
    const char *addrs; /* joined by spaces; NULL: refused */
    const char *message;
} results[] = {
    {"bridge", BRIDGE "{\"version\":\"4\",\"interface\":2,\"address\":\"10.0.0.2/24\"}]}",
     "10.0.0.2", NULL},
    {"dual stack",
     BRIDGE
     "{\"interface\":2,\"address\":\"10.0.0.2/24\"},{\"interface\":2,\"address\":\"fd00::2/64\"}]}",
     "10.0.0.2 fd00::2", NULL},
    {"no index belongs to the pod", BRIDGE "{\"address\":\"10.0.0.2/32\"}]}", "10.0.0.2", NULL},
    {"another interface's", BRIDGE "{\"interface\":3,\"address\":\"10.9.0.2/24\"}]}", "", NULL},
    {"the host's", BRIDGE "{\"interface\":0,\"address\":\"10.0.0.1/24\"}]}", "", NULL},
    {"twice", BRIDGE "{\"address\":\"10.0.0.2/32\"},{\"address\":\"10.0.0.2/24\"}]}", "10.0.0.2",
     NULL},
    {"no interfaces", "{\"ips\":[{\"address\":\"10.0.0.2/24\"}]}", "10.0.0.2", NULL},
    {"empty", "{}", "", NULL},
    {"null lists", "{\"interfaces\":null,\"ips\":null}", "", NULL},
    {"index out of range", BRIDGE "{\"interface\":4,\"address\":\"10.0.0.2/24\"}]}", NULL,
     "prevResult.ips[].interface: 4 is not an index"},
    {"negative index", BRIDGE "{\"interface\":-1,\"address\":\"10.0.0.2/24\"}]}", NULL,
     "prevResult.ips[].interface: -1"},
    {"index is text", BRIDGE "{\"interface\":\"2\",\"address\":\"10.0.0.2/24\"}]}", NULL,
     "prevResult.ips[].interface: \"2\""},
    {"huge index", BRIDGE "{\"interface\":1e300,\"address\":\"10.0.0.2/24\"}]}", NULL,
     "prevResult.ips[].interface:"},
    {"no prefix", BRIDGE "{\"address\":\"10.0.0.2\"}]}", NULL,
     "prevResult.ips[].address: \"10.0.0.2\" is not an address"},
    {"no address", BRIDGE "{\"interface\":2}]}", NULL, "prevResult.ips[].address: (nothing)"},
    {"nonsense", BRIDGE "{\"address\":\"10.0.0.256/24\"}]}", NULL, "10.0.0.256/24"},
    {"ips is an object", "{\"ips\":{}}", NULL, "prevResult.ips: {} is not a list"},
    {"ip is text", "{\"ips\":[\"10.0.0.2/24\"]}", NULL, "prevResult.ips: \"10.0.0.2/24\""},
    {"interfaces is text", "{\"interfaces\":\"eth0\"}", NULL, "prevResult.interfaces: \"eth0\""},
    {"interface is text", "{\"interfaces\":[\"eth0\"]}", NULL, "prevResult.interfaces: \"eth0\""},
    {"nine addresses",
     "{\"ips\":[{\"address\":\"10.0.0.1/32\"},{\"address\":\"10.0.0.2/"
     "32\"},{\"address\":\"10.0.0.3/32\"},"
     "{\"address\":\"10.0.0.4/32\"},{\"address\":\"10.0.0.5/32\"},{\"address\":\"10.0.0.6/32\"},"
     "{\"address\":\"10.0.0.7/32\"},{\"address\":\"10.0.0.8/32\"},{\"address\":\"10.0.0.9/32\"}]}",
     NULL, "prevResult.ips: more than 8 addresses"},
};

static void join(const struct fence_cni_result *result, char text[512])
{
    char addr[FENCE_ADDR_TEXT];
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < result->addr_count; i++)
        used += (size_t)snprintf(text + used, 512 - used, "%s%s", i ? " " : "",
                                 fence_addr_format(&result->addrs[i], addr));
}

static void reads_addresses(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(results); i++) {
        FENCE_FREE char *text = entry(results[i].result);
        struct fence_cni_result result = {0};
        struct fence_cni_error error = {0};
        struct fence_netconf conf;
        char addrs[512];
        int r;

        assert_int_equal(read_entry(text, &conf, &error), 0);
        r = fence_cni_result_read(&conf, "eth0", &result, &error);
        join(&result, addrs);
        fence_netconf_done(&conf);
        if (results[i].addrs && (r < 0 || strcmp(addrs, results[i].addrs) != 0))
            fail_msg("%s: '%s' %s", results[i].title, addrs, error.msg.text);
        if (!results[i].addrs && (r == 0 || error.code != FENCE_CNI_INVALID_CONFIG ||
                                  !strstr(error.msg.text, results[i].message)))
            fail_msg("%s: %d %s", results[i].title, r, error.msg.text);
    }
}

static void knows_what_is_listed(void **state)
{
    FENCE_FREE char *text = entry(BRIDGE "]}");
    struct fence_cni_result result = {0};
    struct fence_cni_error error = {0};
    struct fence_netconf conf;

    (void)state;
    assert_int_equal(read_entry(text, &conf, &error), 0);
    assert_int_equal(fence_cni_result_read(&conf, "eth0", &result, &error), 0);
    assert_string_equal(result.sandbox, "/n");
    assert_true(fence_cni_result_lists(&result, "veth1"));
    assert_false(fence_cni_result_lists(&result, "eth0")); /* that one is in the pod */
    assert_false(fence_cni_result_lists(&result, "veth2"));
    fence_netconf_done(&conf);
}

static void needs_a_result(void **state)
{
    static const char *const texts[] = {"{\"name\":\"net\"}",
                                        "{\"name\":\"net\",\"prevResult\":null}"};

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(texts); i++) {
        struct fence_cni_result result = {0};
        struct fence_cni_error error = {0};
        struct fence_netconf conf;

        assert_int_equal(read_entry(texts[i], &conf, &error), 0);
        assert_true(fence_cni_result_read(&conf, "eth0", &result, &error) < 0);
        assert_int_equal(error.code, FENCE_CNI_INVALID_CONFIG);
        assert_non_null(strstr(error.msg.text, "Required prevResult missing"));
        fence_netconf_done(&conf);
    }
}

/* Text in, text out; NULL = unchanged. */
static const struct {
    const char *result;
    const char *echoed;
} echoes[] = {
    {"{\"cniVersion\":\"0.3.1\"}", NULL},
    {"{ \"cniVersion\" : \"0.3.1\",\t\"big\":12345678901234567890123,\"e\":1.50e+03,\n\"dns\":{} }",
     NULL},
    {"{\"cniVersion\":\"0.3.1\",\"s\":\"\\u00e9\\\"}{][\\\\\",\"u\":\"\xc3\xa9\",\"n\":null}",
     NULL},
    {"{\"cniVersion\":\"0.3.1\",\"a\":[{\"prevResult\":{}},[],\"]\"],\"a\":2}", NULL},
    {"{\"a\":1,\"cniVersion\": \"1.0.0\" ,\"b\":9007199254740993}",
     "{\"a\":1,\"cniVersion\": \"0.3.1\" ,\"b\":9007199254740993}"},
    {"{\"cniVersion\":7}", "{\"cniVersion\":\"0.3.1\"}"},
    {"{\"cni\\u0056ersion\":\"1.0.0\"}", "{\"cni\\u0056ersion\":\"0.3.1\"}"},
    {"{\"a\":{\"cniVersion\":\"1.0.0\"}}",
     "{\"cniVersion\":\"0.3.1\",\"a\":{\"cniVersion\":\"1.0.0\"}}"},
    {"{}", "{\"cniVersion\":\"0.3.1\"}"},
    {"{ }", "{\"cniVersion\":\"0.3.1\" }"},
};

static void echoes_the_original_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(echoes); i++) {
        FENCE_FREE char *text = entry(echoes[i].result);
        FENCE_FREE char *echoed = NULL;
        struct fence_cni_error error = {0};
        struct fence_netconf conf;

        assert_int_equal(read_entry(text, &conf, &error), 0);
        echoed = fence_cni_result_text(&conf);
        assert_string_equal(echoed, echoes[i].echoed ? echoes[i].echoed : echoes[i].result);
        fence_netconf_done(&conf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_addresses),
        cmocka_unit_test(knows_what_is_listed),
        cmocka_unit_test(needs_a_result),
        cmocka_unit_test(echoes_the_original_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

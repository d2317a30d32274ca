/* SPDX-License-Identifier: Apache-2.0 */
/* CNI_ARGS as tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/memory.h"
#include "lib/cni/args.h"

#define KUBERNETES                                                                                 \
    "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-1;K8S_POD_INFRA_CONTAINER_ID=c0;"     \
    "K8S_POD_UID=u-1"

static const struct {
    const char *title;
    const char *text;
    const char *namespace_name;
    const char *pod;
    const char *uid;
} accepted[] = {
    {"empty", "", "", "", ""},
    {"Kubernetes", KUBERNETES, "shop", "web-1", "u-1"},
    {"other order", "K8S_POD_UID=u;K8S_POD_NAME=p;IgnoreUnknown=true;A=b;K8S_POD_NAMESPACE=n", "n",
     "p", "u"},
    {"the last of equal keys wins", "K8S_POD_NAME=a;K8S_POD_NAME=b", "", "b", ""},
    {"empty value", "K8S_POD_NAMESPACE=", "", "", ""},
    {"unknown before IgnoreUnknown", "FOO=1;IgnoreUnknown=True", "", "", ""},
    {"IgnoreUnknown off, nothing unknown", "IgnoreUnknown=0;K8S_POD_NAME=a", "", "a", ""},
    {"podman", "IgnoreUnknown=1;K8S_POD_NAME=box", "", "box", ""},
    {"UTF-8", "K8S_POD_NAME=\xc3\xa9t\xc3\xa9", "", "\xc3\xa9t\xc3\xa9", ""},
};

static const struct {
    const char *title;
    const char *text;
    const char *message;
} refused[] = {
    {"unknown", "FOO=bar", "ARGS: unknown args [\"FOO=bar\"] (and IgnoreUnknown is not set)"},
    {"unknown, IgnoreUnknown=0", "IgnoreUnknown=false;FOO=bar;X=y",
     "ARGS: unknown args [\"FOO=bar\"] (and IgnoreUnknown is not set)"},
    {"no value", "K8S_POD_NAME", "ARGS: invalid pair \"K8S_POD_NAME\": KEY=VALUE is expected"},
    {"= in the value", "K8S_POD_NAME=a=b",
     "ARGS: invalid pair \"K8S_POD_NAME=a=b\": KEY=VALUE is expected"},
    {"= in an unknown value", "IgnoreUnknown=1;A=b=c",
     "ARGS: invalid pair \"A=b=c\": KEY=VALUE is expected"},
    {"empty pair", "K8S_POD_NAME=a;", "ARGS: invalid pair \"\": KEY=VALUE is expected"},
    {"bad boolean", "IgnoreUnknown=yes",
     "ARGS: error parsing value of pair \"IgnoreUnknown=yes\": boolean unmarshal error: invalid "
     "input yes"},
    {"namespace too long",
     "K8S_POD_NAMESPACE=nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
     "ARGS: K8S_POD_NAMESPACE has 64 characters, at most 63 are allowed"},
};

static void accepts(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(accepted); i++) {
        struct fence_cni_error error = {0};
        struct fence_cni_args args;

        memset(&args, 'x', sizeof(args));
        if (fence_cni_args_parse(accepted[i].text, &args, &error) < 0)
            fail_msg("%s: %s", accepted[i].title, error.msg.text);
        assert_string_equal(args.namespace_name, accepted[i].namespace_name);
        assert_string_equal(args.pod, accepted[i].pod);
        assert_string_equal(args.uid, accepted[i].uid);
    }
}

static void refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(refused); i++) {
        struct fence_cni_args args = {.pod = "kept"};
        struct fence_cni_error error = {0};

        if (fence_cni_args_parse(refused[i].text, &args, &error) == 0)
            fail_msg("%s: accepted", refused[i].title);
        assert_int_equal(error.code, FENCE_CNI_BAD_ENVIRONMENT);
        assert_string_equal(error.msg.text, refused[i].message);
        assert_string_equal(args.pod, "kept");
    }
}

static void bears_a_long_text(void **state)
{
    const size_t size = 64 << 10;
    FENCE_FREE char *text = malloc(size + 1);
    struct fence_cni_error error = {0};
    struct fence_cni_args args;
    int head;

    (void)state;
    assert_non_null(text);
    head = snprintf(text, size, "IgnoreUnknown=1;K8S_POD_NAME=a;LONG=");
    memset(text + head, 'x', size - (size_t)head);
    text[size] = '\0';
    assert_int_equal(fence_cni_args_parse(text, &args, &error), 0);
    assert_string_equal(args.pod, "a");
    memset(text, ';', size);
    assert_true(fence_cni_args_parse(text, &args, &error) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts),
        cmocka_unit_test(refuses),
        cmocka_unit_test(bears_a_long_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

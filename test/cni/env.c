/* SPDX-License-Identifier: Apache-2.0 */
/* Environment and versions, as the reference library judges them; the error JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/memory.h"
#include "lib/cni/env.h"
#include "lib/cni/version.h"

#define LONG_ID                                                                                    \
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"  \
    "1234567890123456789012345678901234567"

/* The environment that `get` answers from: "NAME=value" until NULL. */
static const char *const *environment;

static char *get(const char *name)
{
    size_t length = strlen(name);

    for (size_t i = 0; environment[i]; i++)
        if (strncmp(environment[i], name, length) == 0 && environment[i][length] == '=')
            return strchr(environment[i], '=') + 1;
    return NULL;
}

static const struct {
    const char *vars[8];
    enum fence_cni_verb verb;
    const char *message; /* NULL: accepted */
} cases[] = {
    {{"CNI_CONTAINERID=c", "CNI_NETNS=/n", "CNI_IFNAME=e", "CNI_PATH=/p"}, FENCE_CNI_ADD, NULL},
    {{NULL},
     FENCE_CNI_ADD,
     "required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH] missing"},
    {{"CNI_NETNS=/n", "CNI_IFNAME=e", "CNI_PATH=/p"},
     FENCE_CNI_ADD,
     "required env variables [CNI_CONTAINERID] missing"},
    {{"CNI_CONTAINERID=c", "CNI_IFNAME=e", "CNI_PATH=/p"},
     FENCE_CNI_ADD,
     "required env variables [CNI_NETNS] missing"},
    {{"CNI_CONTAINERID=c", "CNI_NETNS=/n", "CNI_PATH=/p"},
     FENCE_CNI_ADD,
     "required env variables [CNI_IFNAME] missing"},
    {{"CNI_CONTAINERID=c", "CNI_NETNS=/n", "CNI_IFNAME=e"},
     FENCE_CNI_ADD,
     "required env variables [CNI_PATH] missing"},
    {{"CNI_CONTAINERID=", "CNI_NETNS=/n", "CNI_IFNAME=e", "CNI_PATH=/p"},
     FENCE_CNI_ADD,
     "required env variables [CNI_CONTAINERID] missing"},
    {{"CNI_CONTAINERID=c", "CNI_IFNAME=e", "CNI_PATH=/p"}, FENCE_CNI_DEL, NULL},
    {{"CNI_CONTAINERID=c", "CNI_IFNAME=e", "CNI_PATH=/p"},
     FENCE_CNI_CHECK,
     "required env variables [CNI_NETNS] missing"},
    {{"CNI_PATH=/p"}, FENCE_CNI_GC, NULL},
    {{NULL}, FENCE_CNI_GC, "required env variables [CNI_PATH] missing"},
    {{NULL}, FENCE_CNI_STATUS, "required env variables [CNI_PATH] missing"},
    {{NULL}, FENCE_CNI_VERSION, NULL},
    {{"CNI_CONTAINERID=-c", "CNI_IFNAME=e", "CNI_PATH=/p"},
     FENCE_CNI_DEL,
     "invalid characters in containerID"},
    {{"CNI_CONTAINERID=a/b", "CNI_IFNAME=e", "CNI_PATH=/p"},
     FENCE_CNI_DEL,
     "invalid characters in containerID"},
    {{"CNI_CONTAINERID=\xc3\xa9", "CNI_IFNAME=e", "CNI_PATH=/p"},
     FENCE_CNI_DEL,
     "invalid characters in containerID"},
    {{"CNI_CONTAINERID=a_B.9-", "CNI_IFNAME=e", "CNI_PATH=/p"}, FENCE_CNI_DEL, NULL},
    {{"CNI_CONTAINERID=" LONG_ID, "CNI_IFNAME=e", "CNI_PATH=/p"},
     FENCE_CNI_DEL,
     "CNI_CONTAINERID has 128 characters, podfence can keep 127"},
    {{"CNI_CONTAINERID=c", "CNI_IFNAME=sixteen-chars-xx", "CNI_PATH=/p"},
     FENCE_CNI_DEL,
     "interface name is too long"},
    {{"CNI_CONTAINERID=c", "CNI_IFNAME=fifteen-chars-x", "CNI_PATH=/p"}, FENCE_CNI_DEL, NULL},
    {{"CNI_CONTAINERID=c", "CNI_IFNAME=.", "CNI_PATH=/p"},
     FENCE_CNI_DEL,
     "interface name is . or .."},
    {{"CNI_CONTAINERID=c", "CNI_IFNAME=..", "CNI_PATH=/p"},
     FENCE_CNI_DEL,
     "interface name is . or .."},
    {{"CNI_CONTAINERID=c", "CNI_IFNAME=a/b", "CNI_PATH=/p"},
     FENCE_CNI_DEL,
     "interface name contains / or : or whitespace characters"},
    {{"CNI_CONTAINERID=c", "CNI_IFNAME=a:0", "CNI_PATH=/p"},
     FENCE_CNI_DEL,
     "interface name contains / or : or whitespace characters"},
    {{"CNI_CONTAINERID=c", "CNI_IFNAME=a b", "CNI_PATH=/p"},
     FENCE_CNI_DEL,
     "interface name contains / or : or whitespace characters"},
};

static void judges_the_environment(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(cases); i++) {
        struct fence_cni_error error = {0};
        struct fence_cni_env env = {0};
        int r;

        environment = cases[i].vars;
        r = fence_cni_env_read(get, cases[i].verb, &env, &error);
        if ((r == 0) != (cases[i].message == NULL))
            fail_msg("case %zu: %d %s", i, r, error.msg.text);
        if (cases[i].message) {
            assert_int_equal(error.code, FENCE_CNI_BAD_ENVIRONMENT);
            assert_string_equal(error.msg.text, cases[i].message);
        }
    }
}

static void reads_values(void **state)
{
    static const char *const vars[] = {"CNI_CONTAINERID=c1",
                                       "CNI_NETNS=/n",
                                       "CNI_IFNAME=eth0",
                                       "CNI_PATH=/p",
                                       "CNI_ARGS=A=b",
                                       "CNI_NETNS_OVERRIDE=TRUE",
                                       NULL};
    struct fence_cni_error error = {0};
    struct fence_cni_env env = {0};

    (void)state;
    environment = vars;
    assert_int_equal(fence_cni_env_read(get, FENCE_CNI_ADD, &env, &error), 0);
    assert_int_equal(env.verb, FENCE_CNI_ADD);
    assert_string_equal(env.container_id, "c1");
    assert_string_equal(env.netns, "/n");
    assert_string_equal(env.ifname, "eth0");
    assert_string_equal(env.args, "A=b");
    assert_true(env.netns_override);
}

static const struct {
    const char *command; /* with its name */
    int verb;            /* -1: refused */
    const char *message;
} commands[] = {
    {"CNI_COMMAND=ADD", FENCE_CNI_ADD, NULL},
    {"CNI_COMMAND=VERSION", FENCE_CNI_VERSION, NULL},
    {"CNI_COMMAND=add", -1, "unknown CNI_COMMAND: add"},
    {"CNI_COMMAND=ADD ", -1, "unknown CNI_COMMAND: ADD "},
    {"CNI_COMMAND=", -1, "required env variables [CNI_COMMAND] missing"},
    {"X=1", -1, "required env variables [CNI_COMMAND] missing"},
};

static void reads_the_command(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(commands); i++) {
        const char *vars[] = {commands[i].command, NULL};
        struct fence_cni_error error = {0};
        enum fence_cni_verb verb = FENCE_CNI_VERB_COUNT;

        environment = vars;
        if (commands[i].verb >= 0) {
            assert_int_equal(fence_cni_verb_read(get, &verb, &error), 0);
            assert_int_equal(verb, commands[i].verb);
            continue;
        }
        assert_true(fence_cni_verb_read(get, &verb, &error) < 0);
        assert_int_equal(error.code, FENCE_CNI_BAD_ENVIRONMENT);
        assert_string_equal(error.msg.text, commands[i].message);
    }
}

static const struct {
    enum fence_cni_verb verb;
    const char *version;
    const char *message; /* NULL: fine */
} versions[] = {
    {FENCE_CNI_ADD, "0.3.0", NULL},
    {FENCE_CNI_ADD, "0.3.1", NULL},
    {FENCE_CNI_ADD, "0.4.0", NULL},
    {FENCE_CNI_ADD, "1.0.0", NULL},
    {FENCE_CNI_ADD, "1.1.0", NULL},
    {FENCE_CNI_ADD, NULL, "incompatible CNI versions"},
    {FENCE_CNI_ADD, "", "incompatible CNI versions"},
    {FENCE_CNI_ADD, "0.1.0", "incompatible CNI versions"},
    {FENCE_CNI_ADD, "0.2.0", "incompatible CNI versions"},
    {FENCE_CNI_ADD, "1.2.0", "incompatible CNI versions"},
    {FENCE_CNI_ADD, "1.0", "incompatible CNI versions"},
    {FENCE_CNI_ADD, "v1.0.0", "incompatible CNI versions"},
    {FENCE_CNI_CHECK, "0.3.1", "config version does not allow CHECK"},
    {FENCE_CNI_CHECK, "0.4.0", NULL},
    {FENCE_CNI_GC, "1.0.0", "config version does not allow GC"},
    {FENCE_CNI_GC, "1.1.0", NULL},
    {FENCE_CNI_STATUS, "1.0.0", "config version does not allow STATUS"},
    {FENCE_CNI_STATUS, "1.1.0", NULL},
};

static void judges_versions(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(versions); i++) {
        struct fence_cni_error error = {0};
        int r = fence_cni_version_check(versions[i].verb, versions[i].version, &error);

        if (!versions[i].message) {
            assert_int_equal(r, 0);
            continue;
        }
        assert_true(r < 0);
        assert_int_equal(error.code, FENCE_CNI_INCOMPATIBLE_VERSION);
        assert_string_equal(error.msg.text, versions[i].message);
    }
}

static void renders_errors(void **state)
{
    struct fence_cni_error error = {0};
    FENCE_FREE char *plain = NULL;
    FENCE_FREE char *hostile = NULL;

    (void)state;
    fence_cni_fail(&error, FENCE_CNI_TRY_AGAIN, "a \"%s\"", "b");
    plain = fence_cni_error_json(&error, "1.0.0");
    assert_string_equal(plain, "{\"cniVersion\":\"1.0.0\",\"code\":11,\"msg\":\"a \\\"b\\\"\"}");
    fence_cni_details(&error, "\x1b[31m\xff");
    hostile = fence_cni_error_json(&error, "1.0.0");
    assert_string_equal(hostile, "{\"cniVersion\":\"1.0.0\",\"code\":11,\"msg\":\"a \\\"b\\\"\","
                                 "\"details\":\"\\\\x1b[31m\\\\xff\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judges_the_environment), cmocka_unit_test(reads_values),
        cmocka_unit_test(reads_the_command),      cmocka_unit_test(judges_versions),
        cmocka_unit_test(renders_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

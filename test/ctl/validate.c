/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test/cmocka.h"

#include <cjson/cJSON.h>

#include "lib/base/memory.h"
#include "test/ctl/run.h"

#define GOOD                                                                                       \
    "apiVersion: networking.k8s.io/v1\n"                                                           \
    "kind: NetworkPolicy\n"                                                                        \
    "metadata: { name: db-in, namespace: shop }\n"                                                 \
    "spec:\n"                                                                                      \
    "  podSelector: { matchLabels: { app: db } }\n"                                                \
    "  ingress: [ { ports: [ { port: 5432 } ] } ]\n"
#define BAD_PORT                                                                                   \
    "apiVersion: networking.k8s.io/v1\n"                                                           \
    "kind: NetworkPolicy\n"                                                                        \
    "metadata: { name: wide, namespace: shop }\n"                                                  \
    "spec:\n"                                                                                      \
    "  podSelector: {}\n"                                                                          \
    "  ingress:\n"                                                                                 \
    "    - ports: [ { port: 70000 } ]\n"
#define UNKNOWN_FIELD                                                                              \
    "apiVersion: networking.k8s.io/v1\n"                                                           \
    "kind: NetworkPolicy\n"                                                                        \
    "metadata: { name: typo, namespace: shop }\n"                                                  \
    "spec: { podSelector: {}, ingres: [] }\n"
#define HOSTILE                                                                                    \
    "apiVersion: networking.k8s.io/v1\n"                                                           \
    "kind: NetworkPolicy\n"                                                                        \
    "metadata: { name: \"a\\e[2Jb\\u202e\", namespace: shop }\n"                                   \
    "spec: { podSelector: {} }\n"

static const struct {
    const char *what;
    const char *input; /* standard input */
    int status;
    const char *parts[4]; /* of the text form */
} cases[] = {
    {"a good one",
     GOOD,
     0,
     {"-:1: NetworkPolicy/shop/db-in: ok\n", "1 objects: 1 ok, 0 refused, 0 with warnings\n"}},
    {"a bad port, with its line and path",
     GOOD "---\n" BAD_PORT,
     1,
     {"NetworkPolicy/shop/db-in: ok\n", "-:14: NetworkPolicy/shop/wide: refused: ", "70000",
      "2 objects: 1 ok, 1 refused, 0 with warnings\n"}},
    {"an unknown field is a warning",
     UNKNOWN_FIELD,
     0,
     {"NetworkPolicy/shop/typo: ok; warning: ", "ingres", "1 with warnings\n"}},
    {"the same twice", GOOD "---\n" GOOD, 0, {"2 objects: 2 ok, 0 refused"}},
    {"two of one name that differ",
     GOOD "---\n"
          "apiVersion: networking.k8s.io/v1\n"
          "kind: NetworkPolicy\n"
          "metadata: { name: db-in, namespace: shop }\n"
          "spec: { podSelector: {} }\n",
     1,
     {"refused: -:1 says something else of the same object", "2 objects: 1 ok, 1 refused"}},
    {"no YAML at all", "a: [1, 2\nb: }\n", 1, {"(file): refused: ", "1 objects: 0 ok, 1 refused"}},
    {"a name that would steer the terminal", HOSTILE, 1, {"\\x1b[2J", "1 refused"}},
    {"nothing", "", 0, {"0 objects: 0 ok, 0 refused"}},
};

static void from_stdin(void **state)
{
    static const char *const arguments[] = {"validate", "-", NULL};

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(cases); i++) {
        struct run run;

        run_ctl(arguments, cases[i].input, &run);
        print_message("%s:\n%s%s", cases[i].what, run.out, run.err);
        assert_int_equal(run.status, cases[i].status);
        for (size_t j = 0; j < FENCE_ARRAY_SIZE(cases[i].parts) && cases[i].parts[j]; j++)
            assert_non_null(strstr(run.out, cases[i].parts[j]));
        assert_null(strchr(run.out, '\033'));
        assert_null(strstr(run.out, "\xe2\x80\xae"));
        run_done(&run);
    }
}

static const cJSON *at(const cJSON *list, int index, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(list, index), name);
}

static void json_of_a_folder(void **state)
{
    char folder[64];
    const char *arguments[] = {"validate", "-o", "json", folder, NULL};
    struct run run;
    cJSON *value;
    const cJSON *objects;

    (void)state;
    folder_make(folder);
    folder_write(folder, "b.yaml", BAD_PORT);
    folder_write(folder, "a.yml", GOOD);
    folder_write(folder, "c.json", "{}");
    folder_write(folder, "notes.txt", "not an object file");
    folder_write(folder, ".hidden.yaml", "a: [");
    run_ctl(arguments, NULL, &run);
    print_message("%s%s", run.out, run.err);
    assert_int_equal(run.status, 1);
    value = cJSON_Parse(run.out);
    objects = cJSON_GetObjectItemCaseSensitive(value, "objects");
    assert_int_equal(cJSON_GetArraySize(objects), 3);
    assert_string_equal(cJSON_GetStringValue(at(objects, 0, "object")), "NetworkPolicy/shop/db-in");
    assert_string_equal(cJSON_GetStringValue(at(objects, 0, "state")), "ok");
    assert_null(at(objects, 0, "error"));
    assert_non_null(strstr(cJSON_GetStringValue(at(objects, 1, "file")), "/b.yaml"));
    assert_string_equal(cJSON_GetStringValue(at(objects, 1, "state")), "refused");
    assert_float_equal(cJSON_GetNumberValue(at(objects, 1, "line")), 7, 0);
    assert_non_null(strstr(cJSON_GetStringValue(at(objects, 1, "error")),
                           "spec.ingress[0].ports[0].port: 70000"));
    assert_string_equal(cJSON_GetStringValue(at(objects, 2, "state")), "refused");
    assert_float_equal(cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(value, "refused")), 2,
                       0);
    cJSON_Delete(value);
    run_done(&run);
    folder_remove(folder);
}

/* One that cannot be read is told, and keeps none of the others from being checked. */
static void odd_files(void **state)
{
    char folder[64], path[128];
    const char *text[] = {"validate", folder, NULL};
    const char *json[] = {"validate", "-o", "json", folder, NULL};
    struct run run;
    cJSON *value;
    const cJSON *objects;

    (void)state;
    folder_make(folder);
    folder_write(folder, "a.yaml", GOOD);
    snprintf(path, sizeof(path), "%s/b.yaml", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    snprintf(path, sizeof(path), "%s/c.yaml", folder);
    assert_int_equal(symlink("nowhere", path), 0);
    folder_write(folder, "d.yaml", BAD_PORT);
    run_ctl(text, NULL, &run);
    print_message("%s%s", run.out, run.err);
    assert_int_equal(run.status, 1);
    assert_string_equal(run.err, "");
    assert_non_null(strstr(run.out, "/b.yaml: (file): refused: "));
    assert_non_null(strstr(run.out, "is not a regular file: remove it or name it otherwise\n"));
    assert_non_null(strstr(run.out, "4 objects: 1 ok, 3 refused"));
    run_done(&run);
    run_ctl(json, NULL, &run);
    assert_int_equal(run.status, 1);
    value = cJSON_Parse(run.out);
    objects = cJSON_GetObjectItemCaseSensitive(value, "objects");
    assert_int_equal(cJSON_GetArraySize(objects), 4);
    assert_string_equal(cJSON_GetStringValue(at(objects, 1, "state")), "refused");
    assert_non_null(strstr(cJSON_GetStringValue(at(objects, 1, "file")), "/b.yaml"));
    assert_non_null(strstr(cJSON_GetStringValue(at(objects, 2, "error")), "No such file"));
    assert_string_equal(cJSON_GetStringValue(at(objects, 3, "object")), "NetworkPolicy/shop/wide");
    cJSON_Delete(value);
    run_done(&run);
    folder_remove(folder);
}

static void unreadable(void **state)
{
    char folder[64];
    const char *missing[] = {"validate", "/nonexistent/x.yaml", NULL};
    const char *empty[] = {"validate", folder, NULL};
    struct run run;

    (void)state;
    folder_make(folder);
    run_ctl(missing, NULL, &run);
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "/nonexistent/x.yaml: No such file"));
    run_done(&run);
    run_ctl(empty, NULL, &run);
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "there is no *.yaml, *.yml or *.json in /tmp/fence-ctl-"));
    run_done(&run);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_stdin),
        cmocka_unit_test(json_of_a_folder),
        cmocka_unit_test(odd_files),
        cmocka_unit_test(unreadable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

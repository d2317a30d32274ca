/* SPDX-License-Identifier: Apache-2.0 */
/* Which label names a workload, and that no selector holds another one's pods. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "test/cmocka.h"

#include "lib/base/memory.h"
#include "lib/learn/workloads.h"

#define LONG_VALUE "a123456789012345678901234567890123456789012345678901234567890123"

static const struct {
    const char *what;
    const char *labels[4];    /* of the pods of one namespace */
    const char *selectors[4]; /* "matchLabels !absent,..." of each */
} cases[] = {
    {"app, whatever else", {"app=web,pod-template-hash=x,tier=front"}, {"app=web"}},
    {"the next name", {"app.kubernetes.io/name=web,k8s-app=x"}, {"app.kubernetes.io/name=web"}},
    {"the last name", {"k8s-app=dns"}, {"k8s-app=dns"}},
    {"an empty value names nothing", {"app=,k8s-app=dns"}, {"k8s-app=dns"}},
    {"one workload of two label sets",
     {"app=web,version=1", "app=web,version=2"},
     {"app=web", "app=web"}},
    {"a name that another one has beside its own",
     {"k8s-app=web", "app=shop,k8s-app=web"},
     {"k8s-app=web !app", "app=shop"}},
    {"the same without need", {"k8s-app=web", "app=shop"}, {"k8s-app=web", "app=shop"}},
    {"an empty one that another one has",
     {"app=,k8s-app=web", "app=x,k8s-app=web"},
     {"app=,k8s-app=web", "app=x"}},
    {"without a name: all that does not change",
     {"role=db,helm.sh/chart=db-1,controller-revision-hash=y"},
     {"role=db !app,app.kubernetes.io/name,k8s-app"}},
    {"without a name, one with more labels",
     {"role=db", "role=db,tier=x"},
     {"role=db !app,app.kubernetes.io/name,k8s-app,tier",
      "role=db,tier=x !app,app.kubernetes.io/name,k8s-app"}},
    {"nothing at all",
     {"", "role=db"},
     {" !app,app.kubernetes.io/name,k8s-app,role", "role=db !app,app.kubernetes.io/name,k8s-app"}},
};

static char *selector_of(const struct fence_learn_workload *workload)
{
    FENCE_FREE char *match = fence_labels_format(&workload->match);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    assert_non_null(match);
    fputs(match, out);
    for (size_t i = 0; i < workload->absent.count; i++)
        fprintf(out, "%s%s", i ? "," : " !", workload->absent.items[i]);
    fclose(out);
    return text;
}

static void selectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(cases); i++) {
        struct fence_learn_workloads workloads = {0};
        struct fence_labels labels[4] = {{0}};
        uint32_t numbers[4];
        size_t count = 0;

        print_message("%s\n", cases[i].what);
        for (; count < 4 && cases[i].labels[count]; count++) {
            assert_int_equal(fence_labels_parse(cases[i].labels[count], &labels[count], NULL), 0);
            assert_int_equal(
                fence_learn_workload_of(&workloads, "shop", &labels[count], &numbers[count]), 0);
        }
        assert_int_equal(fence_learn_workloads_settle(&workloads), 0);
        for (size_t j = 0; j < count; j++) {
            FENCE_FREE char *text = selector_of(&workloads.items[numbers[j]]);

            assert_string_equal(text, cases[i].selectors[j]);
            fence_labels_done(&labels[j]);
        }
        fence_learn_workloads_done(&workloads);
    }
}

/* The name that people see is the one of the label that selects. */
static void names(void **state)
{
    static const char *const texts[] = {
        "app=a,k8s-app=b", "app=,app.kubernetes.io/name=n,k8s-app=b", "k8s-app=b,zone=z"};
    struct fence_learn_workloads workloads = {0};
    uint32_t number;

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(texts); i++) {
        struct fence_labels labels = {0};

        assert_int_equal(fence_labels_parse(texts[i], &labels, NULL), 0);
        assert_int_equal(fence_learn_workload_of(&workloads, "shop", &labels, &number), 0);
        assert_string_equal(workloads.items[number].app, fence_labels_app(&labels));
        assert_int_equal(fence_learn_workload_find(&workloads, "shop", &labels), number);
        assert_int_equal(fence_learn_workload_find(&workloads, "other", &labels),
                         FENCE_LEARN_NOBODY);
        fence_labels_done(&labels);
    }
    fence_learn_workloads_done(&workloads);
}

/* What the API server would not take cannot be selected. */
static void hostile(void **state)
{
    static const struct {
        const char *namespace_name;
        const char *key;
        const char *value;
    } ends[] = {
        {"shop", "app", "x\nkind: Pod"}, {"shop", "app", "\033[2J"}, {"shop", "a b", "x"},
        {"shop", "app", LONG_VALUE},     {"sh op", "app", "x"},      {"", "app", "x"},
        {"shop/x", "app", "x"},
    };
    struct fence_learn_workloads workloads = {0};
    uint32_t number = 7;

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(ends); i++) {
        struct fence_labels labels = {0};

        assert_int_equal(fence_labels_set(&labels, ends[i].key, ends[i].value), 0);
        assert_int_equal(
            fence_learn_workload_of(&workloads, ends[i].namespace_name, &labels, &number), -EINVAL);
        assert_int_equal(number, 7);
        fence_labels_done(&labels);
    }
    assert_int_equal(workloads.count, 0);
    fence_learn_workloads_done(&workloads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(selectors),
        cmocka_unit_test(names),
        cmocka_unit_test(hostile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A folder of 10,000 hostile files: each is refused by itself, in bounded time and memory, and what
 * is in force stays in force.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/objects/folder.h"
#include "test/cmocka.h"

#ifdef __SANITIZE_ADDRESS__
#    define FILES      1500u
#    define SECONDS    300.0
#    define PEAK_BYTES (4096.0 * (1 << 20)) /* the sanitizer's own */
#else
#    define FILES      10000u
#    define SECONDS    60.0
#    define PEAK_BYTES (1024.0 * (1 << 20))
#endif

#define LARGE_BYTES (100L << 20)

static char folder[] = "/tmp/hostile-XXXXXX";

static void write_file(const char *name, const char *data, size_t size)
{
    char path[512];
    FENCE_FCLOSE FILE *file = NULL;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
}

/* ---- what stays in force -------------------------------------------------------------------- */

static const char good[] =
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
    "metadata: { name: stays, namespace: shop }\n"
    "spec: { podSelector: {}, ingress: [ { from: [ { podSelector: {} } ] } ] }\n";

/* ---- files that are no documents ------------------------------------------------------------- */

static void write_repeated(const char *name, const char *begin, const char *item, size_t count)
{
    FENCE_FREE char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    fputs(begin, out);
    for (size_t i = 0; i < count; i++)
        fputs(item, out);
    fclose(out);
    write_file(name, text, size);
}

static void write_binary(const char *name, unsigned int seed)
{
    char data[4096];

    for (size_t i = 0; i < sizeof(data); i++) {
        seed = seed * 1664525 + 1013904223;
        data[i] = (char)(seed >> 24);
    }
    write_file(name, data, sizeof(data));
}

/* Each alias stands for nine of the one before. */
static void write_aliases(const char *name)
{
    FENCE_FREE char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    fputs("a0: &a0 [x,x,x,x,x,x,x,x,x]\n", out);
    for (int i = 1; i < 30; i++)
        fprintf(out, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1,
                i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    fclose(out);
    write_file(name, text, size);
}

static void write_broken(const char *name, unsigned int i)
{
    static const char nul[] = "apiVersion: v1\nkind: Pod\0\nmetadata: {}\n";
    static const char *const texts[] = {
        "{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\"",
        "apiVersion: v1\nkind: Pod\nmetadata: { name: a, name: b }\n",
        "apiVersion: v1\nkind: Pod\nmetadata:\n\tname: a\n",
        "\xff\xfe\x00k\x00i\x00n\x00d",
        "\xc3\x28: \xa0\xa1\n",
        "%YAML 9.9\n--- !!python/object:os.system {}\n",
        "kind: [\n",
        "- - - - {}: [}\n",
        "? [a, b]\n: c\n",
        "<<: &a { <<: *a }\n",
        "apiVersion: v1\nkind: List\nitems: { a: b }\n",
        "kind: Secret\napiVersion: v1\n",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\ndata: { x.yaml: '{', y: 1 }\n",
        "42\n",
        "\"text\"\n",
        "[null, null]\n",
        "null\n---\n...\n---\n[[]]\n",
    };

    if (i % 20 == 17)
        write_binary(name, i);
    else if (i % 20 == 18)
        write_file(name, nul, sizeof(nul) - 1);
    else if (i % 20 == 19)
        write_aliases(name);
    else
        write_file(name, texts[i % 20], strlen(texts[i % 20]));
}

/* ---- files that are large, deep or wide ------------------------------------------------------ */

static void write_large(void)
{
    static const char *const names[] = {"large-0.yaml", "large-1.json", "large-2.yaml"};

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(names); i++) {
        char path[512];
        FENCE_CLOSE int fd = -1;

        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        fd = open(path, O_CREAT | O_WRONLY, 0600);
        assert_true(fd >= 0 && ftruncate(fd, LARGE_BYTES) == 0);
    }
    write_repeated("deep-0.json", "", "[", 100000);
    write_repeated("deep-1.yaml", "", "{a: ", 100000);
    write_repeated("deep-2.yaml", "", "- ", 100000);
    write_repeated("wide-0.json", "[", "1,", 3000000);
    write_repeated("wide-1.yaml", "", "---\n", 200000);
    write_repeated("wide-2.yaml", "", "a: 1\n", 200000);
    write_repeated("long-0.yaml", "name: ", "x", 8000000);
}

static void write_specials(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    FENCE_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    char path[512];

    snprintf(path, sizeof(path), "%s/fifo.yaml", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket.yaml", folder);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    snprintf(path, sizeof(path), "%s/folder.yaml", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/loop.yaml", folder);
    assert_int_equal(symlink("loop.yaml", path), 0);
    snprintf(path, sizeof(path), "%s/nowhere.yaml", folder);
    assert_int_equal(symlink("/nowhere/at/all", path), 0);
    write_file("new\nline\033[31m.yaml", "kind: [\n", 8);
}

/* ---- each field with each wrong type --------------------------------------------------------- */

static const char *const objects[] = {
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\",\"namespace\":\"s\","
    "\"uid\":"
    "\"u\",\"labels\":{\"app\":\"x\"},\"annotations\":{\"podfence.io/container-id\":\"c1\"},"
    "\"ownerReferences\":[{\"controller\":true,\"name\":\"o\"}]},\"spec\":{\"nodeName\":\"n\","
    "\"hostNetwork\":false,\"containers\":[{\"ports\":[{\"name\":\"http\",\"containerPort\":80,"
    "\"protocol\":\"TCP\"}]}]},\"status\":{\"phase\":\"Running\",\"podIPs\":[{\"ip\":\"10.0.0.1\"}]"
    "}}",
    "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"n\",\"labels\":{\"a\":\"b\"}"
    "},"
    "\"spec\":{\"podCIDRs\":[\"10.0.0.0/24\"]},\"status\":{\"addresses\":[{\"type\":\"InternalIP\","
    "\"address\":\"192.168.0.1\"}]}}",
    "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"n\",\"labels\":{\"a\":"
    "\"b\"}}}",
    "{\"apiVersion\":\"networking.k8s.io/"
    "v1\",\"kind\":\"NetworkPolicy\",\"metadata\":{\"name\":\"p\","
    "\"namespace\":\"s\"},\"spec\":{\"podSelector\":{\"matchLabels\":{\"a\":\"b\"},"
    "\"matchExpressions\":[{\"key\":\"k\",\"operator\":\"In\",\"values\":[\"v\"]}]},"
    "\"policyTypes\":["
    "\"Ingress\"],\"ingress\":[{\"from\":[{\"ipBlock\":{\"cidr\":\"10.0.0.0/8\",\"except\":["
    "\"10.1.0.0/16\"]}},{\"namespaceSelector\":{},\"podSelector\":{}}],\"ports\":[{\"protocol\":"
    "\"TCP\",\"port\":80,\"endPort\":90}]}]}}",
    "{\"apiVersion\":\"podfence.io/"
    "v1alpha1\",\"kind\":\"SegmentPolicy\",\"metadata\":{\"name\":\"p\","
    "\"namespace\":\"s\"},\"spec\":{\"mode\":\"Allowlist\",\"enforcement\":\"Audit\",\"appliesTo\":"
    "{"
    "\"podSelector\":{}},\"ingress\":[{\"ports\":[{\"protocol\":\"ICMP\",\"type\":8,\"code\":0}]}],"
    "\"expiresAt\":\"2030-01-01T00:00:00Z\"}}",
    "{\"apiVersion\":\"policy.networking.k8s.io/v1alpha2\",\"kind\":\"ClusterNetworkPolicy\","
    "\"metadata\":{\"name\":\"c\"},\"spec\":{\"tier\":\"Admin\",\"priority\":1,\"subject\":{"
    "\"namespaces\":{}},\"ingress\":[{\"name\":\"r\",\"action\":\"Deny\",\"from\":[{\"namespaces\":"
    "{}}],"
    "\"protocols\":[{\"tcp\":{\"destinationPort\":{\"number\":80}}}]}]}}",
};

static void replace(cJSON *item, cJSON *child, const char *wrong)
{
    cJSON *made = cJSON_Parse(wrong);

    assert_non_null(made);
    if (cJSON_IsObject(item)) {
        FENCE_FREE char *key = strdup(child->string);

        assert_true(cJSON_ReplaceItemInObjectCaseSensitive(item, key, made));
    } else {
        assert_true(cJSON_ReplaceItemViaPointer(item, child, made));
    }
}

/* Every place of the object, counted down; what stands there becomes `wrong`. */
static bool replace_nth(cJSON *item, unsigned int *nth, const char *wrong)
{
    cJSON *child;

    cJSON_ArrayForEach(child, item)
    {
        if ((*nth)-- == 0) {
            replace(item, child, wrong);
            return true;
        }
        if (replace_nth(child, nth, wrong))
            return true;
    }
    return false;
}

static const char *const wrongs[] = {"null",  "true",  "-1",          "1e400",
                                     "70000", "\"\"",  "\"\\u0001\"", "\"x y\"",
                                     "[]",    "[[1]]", "{}",          "{\"a\":{\"b\":[]}}"};

/* 0 = there is no such place. */
static int write_wrong(const char *name, size_t object, unsigned int place, size_t wrong)
{
    cJSON *json = cJSON_Parse(objects[object]);
    FENCE_FREE char *text = NULL;
    bool replaced;

    assert_non_null(json);
    replaced = replace_nth(json, &place, wrongs[wrong]);
    text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    if (replaced)
        write_file(name, text, strlen(text));
    return replaced;
}

static unsigned int write_all_wrong(unsigned int from)
{
    unsigned int number = from;

    for (size_t object = 0; object < FENCE_ARRAY_SIZE(objects); object++)
        for (size_t wrong = 0; wrong < FENCE_ARRAY_SIZE(wrongs); wrong++)
            for (unsigned int place = 0; number < FILES; place++) {
                char name[64];

                snprintf(name, sizeof(name), "wrong-%05u.json", number);
                if (!write_wrong(name, object, place, wrong))
                    break;
                number++;
            }
    return number;
}

/* ---- the test -------------------------------------------------------------------------------- */

static double peak_bytes(void)
{
    struct rusage usage;

    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return (double)usage.ru_maxrss * 1024;
}

static void write_hostile(void)
{
    unsigned int number = write_all_wrong(0);

    assert_true(number > 1000);
    for (; number < FILES; number++) {
        char name[64];

        snprintf(name, sizeof(name), "broken-%05u.%s", number, number % 3 ? "yaml" : "json");
        write_broken(name, number);
    }
    write_large();
    write_specials();
}

static bool is_in_force(const struct fence_store *store)
{
    const struct fence_object *object =
        fence_store_find(store, FENCE_OBJECT_NETWORK_POLICY, "shop", "stays");

    return object && object->policy.isolates[FENCE_INGRESS] &&
           object->policy.rule_count[FENCE_INGRESS] == 1;
}

/* A refusal names its file; texts are bounded, and nobody writes to the terminal through them. */
static void check_problems(const struct fence_store *store)
{
    const struct fence_problem *problems;
    size_t count = fence_store_problems(store, &problems);
    size_t broken = 0;

    for (size_t i = 0; i < count; i++) {
        assert_true(strncmp(problems[i].unit, folder, strlen(folder)) == 0);
        assert_true(*problems[i].text && strlen(problems[i].text) < 2048);
        broken += strstr(problems[i].unit, "/broken-") != NULL;
    }
    assert_true(count > FILES / 2);
    assert_true(broken > 0);
}

static void test_hostile_folder(void **context)
{
    struct fence_store *store = NULL;
    struct fence_folder *source = NULL;
    struct fence_err err = {0};
    double seconds;

    (void)context;
    assert_non_null(mkdtemp(folder));
    write_file("good.yaml", good, strlen(good));
    assert_int_equal(fence_store_new(&store), 0);
    assert_int_equal(fence_folder_new(folder, 0, NULL, &source, &err), 0);
    assert_int_equal(fence_folder_read(source, store, &err), 1);
    assert_true(is_in_force(store));

    write_hostile();
    /* the good one breaks as well, and stays what it was */
    write_file("good.yaml", "kind: [\n", 8);
    seconds = (double)fence_clock_boot_ns() / 1e9;
    while (fence_folder_handle(source) > 0)
        usleep(10000);
    assert_true(fence_folder_read(source, store, &err) >= 0);
    seconds = (double)fence_clock_boot_ns() / 1e9 - seconds;
    printf("%u files in %.1f s, peak %.0f MB\n", FILES, seconds, peak_bytes() / (1 << 20));
    assert_true(seconds < SECONDS);
    assert_true(peak_bytes() < PEAK_BYTES);
    assert_true(is_in_force(store));
    check_problems(store);
    fence_folder_free(&source);
    fence_store_free(&store);
}

static int remove_folder(void **context)
{
    char command[128];

    (void)context;
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_hostile_folder, remove_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

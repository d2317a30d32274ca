/* SPDX-License-Identifier: Apache-2.0 */
#include "test/bench/world.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/memory.h"

#define OBJECTS_PER_FILE 500u
#define TEAMS            20u
/* 10.64.0.0/21 is node 0's, the next /21 node 1's, ...; in IPv6 each node has a /64. */
#define POD_NET          ((10u << 24) | (64u << 16))
#define NODE_ADDRESSES   2048u
#define FIRST_ADDRESS    2u

static const char *const apps[BENCH_APPS] = {
    "web",       "api",     "cart",    "checkout", "payments", "orders", "catalog",
    "search",    "auth",    "users",   "db",       "redis",    "kafka",  "worker",
    "inventory", "gateway", "billing", "mailer",   "reports",  "images"};
static const char *const tiers[] = {"frontend", "backend", "data", "batch"};
static const char *const environments[] = {"prod", "stage", "dev", "prod"};

unsigned int bench_mix(unsigned int value)
{
    uint64_t mixed = (value + 1) * 0x9e3779b97f4a7c15ull;

    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ull;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebull;
    return (unsigned int)(mixed ^ (mixed >> 31));
}

/* ---- who a pod is --------------------------------------------------------------------------- */

unsigned int bench_apps(const struct bench_world *world)
{
    unsigned int apps_in_use = world->label_sets / BENCH_NAMESPACES;

    return apps_in_use < BENCH_APPS ? apps_in_use : BENCH_APPS;
}

unsigned int bench_local_app(const struct bench_world *world, unsigned int space)
{
    return bench_mix(space) % bench_apps(world);
}

/* One in each namespace, but for the first two, as far as they go. */
static unsigned int local_label_set(const struct bench_world *world, unsigned int index)
{
    unsigned int space = 2 + index % (BENCH_NAMESPACES - 2);

    return space + BENCH_NAMESPACES * bench_local_app(world, space);
}

struct bench_pod bench_pod_at(const struct bench_world *world, unsigned int index)
{
    struct bench_pod pod = {.index = index};
    unsigned int remote = index - world->locals;

    if (index < world->locals) {
        pod.label_set = local_label_set(world, index);
        pod.slot = index;
        return pod;
    }
    /* every label set has a pod, the rest are replicas */
    if (remote < world->label_sets)
        pod.label_set = remote;
    else if (world->label_sets)
        pod.label_set = bench_mix(index) % world->label_sets;
    pod.node = 1 + remote % (BENCH_NODES - 1);
    pod.slot = remote / (BENCH_NODES - 1);
    return pod;
}

unsigned int bench_namespace_of(unsigned int label_set)
{
    return label_set % BENCH_NAMESPACES;
}

unsigned int bench_app_of(unsigned int label_set)
{
    return label_set / BENCH_NAMESPACES % BENCH_APPS;
}

unsigned int bench_local_of(const struct bench_world *world, unsigned int space, unsigned int app)
{
    for (unsigned int i = 0; i < world->locals; i++) {
        unsigned int label_set = bench_pod_at(world, i).label_set;

        if (bench_namespace_of(label_set) == space && bench_app_of(label_set) == app)
            return i;
    }
    return world->locals;
}

const char *bench_app_name(unsigned int app)
{
    return apps[app % BENCH_APPS];
}

const char *bench_namespace_name(unsigned int number, char text[32])
{
    if (number == 0)
        snprintf(text, 32, "kube-system");
    else if (number == 1)
        snprintf(text, 32, "monitoring");
    else
        snprintf(text, 32, "ns-%03u", number);
    return text;
}

/* The app label; label sets beyond the usual ones are workloads that nobody knew. */
static const char *app_label(unsigned int label_set, char text[32])
{
    if (label_set == 0)
        return "kube-dns";
    if (label_set == 1)
        return "prometheus";
    if (label_set < BENCH_LABEL_SETS)
        return bench_app_name(bench_app_of(label_set));
    snprintf(text, 32, "new-%u", label_set - BENCH_LABEL_SETS);
    return text;
}

/* The second round of a namespace's apps are their next versions. */
static unsigned int version_of(unsigned int label_set)
{
    return label_set / BENCH_NAMESPACES < BENCH_APPS ? 1 : 2;
}

void bench_pod_name(const struct bench_pod *pod, char text[64])
{
    snprintf(text, 64, "pod-%06u", pod->index);
}

void bench_pod_uid(const struct bench_pod *pod, char text[40])
{
    snprintf(text, 40, "%08x-%04x-4%03x-8%03x-%012x", bench_mix(pod->index), pod->index & 0xffffu,
             pod->index % 4096, pod->node, pod->index);
}

struct fence_addr bench_pod_addr(const struct bench_pod *pod, int family)
{
    unsigned int host = POD_NET + pod->node * NODE_ADDRESSES + FIRST_ADDRESS + pod->slot;
    const unsigned char four[4] = {(unsigned char)(host >> 24), (unsigned char)(host >> 16),
                                   (unsigned char)(host >> 8), (unsigned char)host};
    const unsigned char six[16] = {[0] = 0xfd,
                                   [3] = 0x64,
                                   [7] = (unsigned char)pod->node,
                                   [14] = (unsigned char)((FIRST_ADDRESS + pod->slot) >> 8),
                                   [15] = (unsigned char)(FIRST_ADDRESS + pod->slot)};
    struct fence_addr addr = {0};

    if (family == AF_INET)
        (void)fence_addr_from_bytes(four, sizeof(four), &addr);
    else
        (void)fence_addr_from_bytes(six, sizeof(six), &addr);
    return addr;
}

/* ---- pods, nodes, namespaces ---------------------------------------------------------------- */

static void write_labels(FILE *out, unsigned int label_set)
{
    unsigned int app = bench_app_of(label_set);
    char text[32];

    fprintf(out,
            "\"labels\":{\"app\":\"%s\",\"tier\":\"%s\",\"version\":\"v%u\","
            "\"pod-template-hash\":\"%08x\"},",
            app_label(label_set, text), tiers[app / 5], version_of(label_set),
            bench_mix(label_set));
}

static void write_ports(FILE *out, unsigned int label_set)
{
    static const char *const names[] = {"http", "grpc", "sql", NULL};
    static const unsigned int numbers[] = {8080, 9000, 5432, 0};
    unsigned int kind = bench_app_of(label_set) % 4;
    const char *separator = "";

    fprintf(out, "\"ports\":[");
    if (names[kind]) {
        fprintf(out, "{\"name\":\"%s\",\"containerPort\":%u,\"protocol\":\"TCP\"}", names[kind],
                numbers[kind] + version_of(label_set) - 1);
        separator = ",";
    }
    if (bench_app_of(label_set) % 2)
        fprintf(out, "%s{\"name\":\"metrics\",\"containerPort\":9100,\"protocol\":\"TCP\"}",
                separator);
    fprintf(out, "]");
}

static void write_status(FILE *out, const struct bench_world *world, const struct bench_pod *pod)
{
    struct fence_addr four = bench_pod_addr(pod, AF_INET);
    struct fence_addr six = bench_pod_addr(pod, AF_INET6);
    char text[FENCE_ADDR_TEXT];

    fence_addr_format(&four, text);
    fprintf(out,
            "\"status\":{\"phase\":\"Running\",\"hostIP\":\"192.168.0.%u\","
            "\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}],"
            "\"podIP\":\"%s\",\"podIPs\":[{\"ip\":\"%s\"}",
            pod->node + 1, text, text);
    if (world->dual_stack)
        fprintf(out, ",{\"ip\":\"%s\"}", fence_addr_format(&six, text));
    fprintf(out, "]}");
}

void bench_pod_write(FILE *out, const struct bench_world *world, const struct bench_pod *pod)
{
    char name[64], uid[40], space[32], text[32];
    const char *app = app_label(pod->label_set, text);

    bench_pod_name(pod, name);
    bench_pod_uid(pod, uid);
    fprintf(out,
            "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"%s\","
            "\"namespace\":\"%s\",\"uid\":\"%s\",\"resourceVersion\":\"%u\","
            "\"creationTimestamp\":\"2026-01-01T00:00:00Z\",",
            name, bench_namespace_name(bench_namespace_of(pod->label_set), space), uid,
            1000 + pod->index);
    write_labels(out, pod->label_set);
    fprintf(out,
            "\"ownerReferences\":[{\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\","
            "\"name\":\"%s-%08x\",\"uid\":\"%08x-0000-4000-8000-000000000000\","
            "\"controller\":true,\"blockOwnerDeletion\":true}]},"
            "\"spec\":{\"nodeName\":\"node-%03u\",\"serviceAccountName\":\"default\","
            "\"restartPolicy\":\"Always\",\"containers\":[{\"name\":\"main\","
            "\"image\":\"registry.example.com/%s:1.0\","
            "\"resources\":{\"requests\":{\"cpu\":\"100m\",\"memory\":\"128Mi\"}},",
            app, bench_mix(pod->label_set), bench_mix(pod->label_set), pod->node, app);
    write_ports(out, pod->label_set);
    fprintf(out, "}]},");
    write_status(out, world, pod);
    fprintf(out, "}");
}

void bench_node_write(FILE *out, const struct bench_world *world, unsigned int number)
{
    unsigned int first = POD_NET + number * NODE_ADDRESSES;

    fprintf(out,
            "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"node-%03u\","
            "\"labels\":{\"kubernetes.io/hostname\":\"node-%03u\","
            "\"topology.kubernetes.io/zone\":\"zone-%u\"}},"
            "\"spec\":{\"podCIDR\":\"%u.%u.%u.0/21\",\"podCIDRs\":[\"%u.%u.%u.0/21\"",
            number, number, number % 3, first >> 24, first >> 16 & 255, first >> 8 & 255,
            first >> 24, first >> 16 & 255, first >> 8 & 255);
    if (world->dual_stack)
        fprintf(out, ",\"fd00:64:0:%x::/64\"", number);
    fprintf(out,
            "]},\"status\":{\"addresses\":[{\"type\":\"InternalIP\","
            "\"address\":\"192.168.0.%u\"},{\"type\":\"Hostname\",\"address\":\"node-%03u\"}]}}",
            number + 1, number);
}

void bench_namespace_write(FILE *out, unsigned int number, unsigned int step)
{
    char name[32];

    bench_namespace_name(number, name);
    fprintf(out,
            "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"%s\","
            "\"labels\":{\"kubernetes.io/metadata.name\":\"%s\",\"team\":\"team-%02u\","
            "\"env\":\"%s\"}}}",
            name, name, (number + step) % TEAMS, environments[number % 4]);
}

/* ---- services ------------------------------------------------------------------------------- */

static void write_backend(FILE *out, const struct bench_world *world, unsigned int label_set)
{
    struct bench_pod pod = bench_pod_at(world, world->locals + label_set);
    struct fence_addr addr = bench_pod_addr(&pod, AF_INET);
    char text[FENCE_ADDR_TEXT];

    fprintf(out, "{\"addresses\":[\"%s\"],\"conditions\":{\"ready\":true}}",
            fence_addr_format(&addr, text));
}

void bench_service_write(FILE *out, const struct bench_world *world, unsigned int number)
{
    unsigned int label_set = number % world->label_sets;
    char space[32];

    fprintf(out,
            "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"svc-%05u\","
            "\"namespace\":\"%s\"},\"spec\":{\"type\":\"ClusterIP\",\"clusterIP\":"
            "\"10.100.%u.%u\",\"ports\":[{\"name\":\"http\",\"port\":80,"
            "\"targetPort\":\"http\"}]}}",
            number, bench_namespace_name(bench_namespace_of(label_set), space), number / 250 % 250,
            number % 250 + 1);
}

void bench_slice_write(FILE *out, const struct bench_world *world, unsigned int number)
{
    unsigned int label_set = number % world->label_sets;
    char space[32];

    fprintf(out,
            "{\"apiVersion\":\"discovery.k8s.io/v1\",\"kind\":\"EndpointSlice\","
            "\"metadata\":{\"name\":\"svc-%05u-x\",\"namespace\":\"%s\",\"labels\":"
            "{\"kubernetes.io/service-name\":\"svc-%05u\"}},\"addressType\":\"IPv4\","
            "\"ports\":[{\"name\":\"http\",\"port\":%u}],\"endpoints\":[",
            number, bench_namespace_name(bench_namespace_of(label_set), space), number,
            8080 + bench_app_of(label_set) % 3);
    write_backend(out, world, label_set);
    if (number % 20 == 0) {
        fprintf(out, ",");
        write_backend(out, world, bench_mix(number) % world->label_sets);
    }
    fprintf(out, "]}");
}

/* ---- files ---------------------------------------------------------------------------------- */

struct files {
    const struct bench_world *world;
    const char *folder;
    const char *kind;
    void (*write)(FILE *out, const struct bench_world *world, unsigned int index);
};

static void write_pod(FILE *out, const struct bench_world *world, unsigned int index)
{
    struct bench_pod pod = bench_pod_at(world, index);

    bench_pod_write(out, world, &pod);
}

static void write_policy(FILE *out, const struct bench_world *world, unsigned int index)
{
    struct bench_policy policy = {.index = index};

    bench_policy_write(out, world, &policy);
}

static bool is_loose(const struct files *files, unsigned int index)
{
    return files->write == write_policy && files->world->loose_policies &&
           files->world->loose_policies[index];
}

static int write_file(const struct files *files, unsigned int first, unsigned int end)
{
    FENCE_FCLOSE FILE *out = NULL;
    const char *separator = "";
    char path[512];

    snprintf(path, sizeof(path), "%s/%s-%04u.json", files->folder, files->kind,
             first / OBJECTS_PER_FILE);
    out = fopen(path, "w");
    if (!out)
        return -errno;
    fprintf(out, "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[\n");
    for (unsigned int i = first; i < end; i++) {
        if (is_loose(files, i))
            continue;
        fprintf(out, "%s", separator);
        files->write(out, files->world, i);
        separator = ",\n";
    }
    fprintf(out, "\n]}\n");
    return fflush(out) == 0 && !ferror(out) ? 0 : -EIO;
}

static int write_files(const struct files *files, unsigned int count)
{
    int r = 0;

    for (unsigned int first = 0; first < count && r == 0; first += OBJECTS_PER_FILE) {
        unsigned int end = first + OBJECTS_PER_FILE;

        r = write_file(files, first, end < count ? end : count);
    }
    return r;
}

int bench_world_write(const struct bench_world *world, const char *folder)
{
    const struct files pods = {world, folder, "pods", write_pod};
    const struct files nodes = {world, folder, "nodes", bench_node_write};
    const struct files policies = {world, folder, "policies", write_policy};
    const struct files services = {world, folder, "services", bench_service_write};
    const struct files slices = {world, folder, "slices", bench_slice_write};
    int r = write_files(&pods, world->pods - world->loose_pods);

    if (r == 0)
        r = write_files(&nodes, BENCH_NODES);
    if (r == 0)
        r = write_files(&policies, world->policies);
    if (r == 0)
        r = write_files(&services, world->services);
    if (r == 0)
        r = write_files(&slices, world->services);
    return r;
}

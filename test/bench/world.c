/* SPDX-License-Identifier: Apache-2.0 */
#include "test/bench/world.h"

#define WORKLOADS 25u /* of a namespace, at most that many names */

void bench_namespaces(FILE *out)
{
    for (unsigned int i = 0; i < BENCH_NAMESPACES; i++)
        fprintf(
            out,
            "%s{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"ns-%03u\","
            "\"labels\":{\"kubernetes.io/metadata.name\":\"ns-%03u\",\"team\":\"team-%u\"}}}",
            i ? "," : "", i, i, i % 20);
}

static unsigned int node_count(const struct bench_size *size)
{
    return size->pods / 1000 + 2;
}

void bench_nodes(FILE *out, const struct bench_size *size)
{
    for (unsigned int i = 0; i < node_count(size); i++)
        fprintf(out,
                "%s{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"node-%u\"},"
                "\"spec\":{\"podCIDRs\":[\"10.%u.%u.0/24\"]},\"status\":{\"addresses\":[{\"type\":"
                "\"InternalIP\",\"address\":\"192.168.%u.%u\"}]}}",
                i ? "," : "", i, 200 + i / 256, i % 256, i / 250, i % 250 + 1);
}

int bench_is_local(const struct bench_size *size, unsigned int number)
{
    unsigned int step = size->pods / size->locals;

    step = step ? step : 1;
    return number % step == 0 && number / step < size->locals;
}

struct bench_pod bench_pod_of(const struct bench_size *size, unsigned int number)
{
    return (struct bench_pod){
        .number = number, .label_set = number % size->label_sets, .address = number + 1};
}

unsigned int bench_namespace_of(const struct bench_pod *pod)
{
    return pod->label_set % BENCH_NAMESPACES;
}

static unsigned int app_of(const struct bench_pod *pod)
{
    return pod->label_set / BENCH_NAMESPACES % WORKLOADS;
}

void bench_pod_name(const struct bench_pod *pod, char *text, size_t size)
{
    snprintf(text, size, "app-%02u-7d9c5b4f6-%05x", app_of(pod), pod->number);
}

void bench_pod_write(FILE *out, const struct bench_size *size, const struct bench_pod *pod)
{
    unsigned int app = app_of(pod);
    char name[64], extra[64] = "";
    unsigned int node =
        bench_is_local(size, pod->number) ? 0 : 1 + pod->number % (node_count(size) - 1);

    bench_pod_name(pod, name, sizeof(name));
    if (pod->extra)
        snprintf(extra, sizeof(extra), ",\"build\":\"b%u\"", pod->extra);
    fprintf(out,
            "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"%s\",\"namespace\":"
            "\"ns-%03u\",\"uid\":\"%08x-1111-2222-3333-%012x\",\"labels\":{\"app\":\"app-%02u\","
            "\"tier\":\"tier-%u\",\"version\":\"v%u\",\"pod-template-hash\":\"7d%08x\"%s},"
            "\"ownerReferences\":[{\"controller\":true,\"kind\":\"ReplicaSet\",\"name\":"
            "\"app-%02u-7d9c5b4f6\"}]},",
            name, bench_namespace_of(pod), pod->number * 2654435761u, pod->number, app,
            pod->label_set % 3, pod->label_set / BENCH_NAMESPACES / WORKLOADS, pod->label_set,
            extra, app);
    fprintf(out,
            "\"spec\":{\"nodeName\":\"node-%u\",\"containers\":[{\"name\":\"c\",\"ports\":[{"
            "\"name\":\"http\",\"containerPort\":8080}]}]},\"status\":{\"phase\":\"Running\","
            "\"podIP\":\"10.%u.%u.%u\",\"podIPs\":[{\"ip\":\"10.%u.%u.%u\"}]}}",
            node, pod->address >> 16 & 255, pod->address >> 8 & 255, pod->address & 255,
            pod->address >> 16 & 255, pod->address >> 8 & 255, pod->address & 255);
}

/* ---- policies ------------------------------------------------------------------------------- */

/* What the spec goes on with behind podSelector: @A an app, @N a number, @P a port. */
static const char *const shapes[] = {
    /* five parts: another app of the namespace on a port */
    "\"policyTypes\":[\"Ingress\"],\"ingress\":[{\"from\":[{\"podSelector\":{\"matchLabels\":{"
    "\"app\":\"app-@A\"}}}],\"ports\":[{\"port\":@P}]}]",
    "\"policyTypes\":[\"Ingress\"],\"ingress\":[{\"from\":[{\"podSelector\":{\"matchLabels\":{"
    "\"app\":\"app-@A\"}}},{\"podSelector\":{\"matchLabels\":{\"tier\":\"tier-1\"}}}],"
    "\"ports\":[{\"port\":@P}]}]",
    "\"policyTypes\":[\"Ingress\"],\"ingress\":[{\"from\":[{\"podSelector\":{\"matchLabels\":{"
    "\"app\":\"app-@A\",\"tier\":\"tier-0\"}}}],\"ports\":[{\"port\":@P}]}]",
    "\"policyTypes\":[\"Egress\"],\"egress\":[{\"to\":[{\"podSelector\":{\"matchLabels\":{\"app\":"
    "\"app-@A\"}}}],\"ports\":[{\"port\":@P}]}]",
    "\"policyTypes\":[\"Ingress\"],\"ingress\":[{\"from\":[{\"podSelector\":{\"matchExpressions\":["
    "{"
    "\"key\":\"app\",\"operator\":\"In\",\"values\":[\"app-@A\",\"app-00\"]}]}}],\"ports\":[{"
    "\"port\":@P}]}]",
    /* a team's namespaces */
    "\"policyTypes\":[\"Ingress\"],\"ingress\":[{\"from\":[{\"namespaceSelector\":{\"matchLabels\":"
    "{"
    "\"team\":\"team-@N\"}}}],\"ports\":[{\"port\":@P}]}]",
    /* monitoring, one app of one namespace */
    "\"policyTypes\":[\"Ingress\"],\"ingress\":[{\"from\":[{\"namespaceSelector\":{\"matchLabels\":"
    "{"
    "\"kubernetes.io/metadata.name\":\"ns-000\"}},\"podSelector\":{\"matchLabels\":{\"app\":"
    "\"app-01\"}}}],\"ports\":[{\"port\":@P,\"endPort\":65535}]}]",
    /* names, and the world without private ranges */
    "\"policyTypes\":[\"Egress\"],\"egress\":[{\"to\":[{\"namespaceSelector\":{\"matchLabels\":{"
    "\"kubernetes.io/metadata.name\":\"ns-001\"}}}],\"ports\":[{\"port\":53,\"protocol\":\"UDP\"},{"
    "\"port\":@P}]},{\"to\":[{\"ipBlock\":{\"cidr\":\"0.0.0.0/0\",\"except\":[\"10.0.0.0/8\","
    "\"172.16.0.0/12\",\"192.168.0.0/16\"]}}]}]",
    /* an office, by a named port */
    "\"policyTypes\":[\"Ingress\"],\"ingress\":[{\"from\":[{\"ipBlock\":{\"cidr\":"
    "\"203.0.113.0/24\"}}],\"ports\":[{\"port\":\"http\"},{\"port\":@P}]}]",
    /* everybody in the cluster */
    "\"policyTypes\":[\"Ingress\"],\"ingress\":[{\"from\":[{\"namespaceSelector\":{}}],\"ports\":[{"
    "\"port\":@P}]}]",
};
#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

static void write_shape(FILE *out, const char *shape, unsigned int app, unsigned int port)
{
    for (; *shape; shape++) {
        if (*shape != '@')
            fputc(*shape, out);
        else if (*++shape == 'A')
            fprintf(out, "%02u", app);
        else
            fprintf(out, "%u", *shape == 'N' ? app : port);
    }
}

/* The first of each namespace closes it. */
void bench_policy_write(FILE *out, unsigned int number, unsigned int version)
{
    unsigned int app = number * 7 % WORKLOADS;
    unsigned int shape = number / BENCH_NAMESPACES % SHAPES;

    fprintf(out,
            "{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\",\"metadata\":{"
            "\"name\":\"policy-%05u\",\"namespace\":\"ns-%03u\"},\"spec\":{",
            number, number % BENCH_NAMESPACES);
    if (number < BENCH_NAMESPACES) {
        fprintf(out,
                "\"podSelector\":{},\"policyTypes\":[\"Ingress\"],\"ingress\":[{\"ports\":[{"
                "\"port\":%u,\"protocol\":\"SCTP\"}]}]}}",
                1000 + version);
        return;
    }
    fprintf(out, "\"podSelector\":{\"matchLabels\":{\"app\":\"app-%02u\"}},", app);
    write_shape(out, shapes[shape], number * 13 % WORKLOADS, 8080 + version);
    fprintf(out, "}}");
}

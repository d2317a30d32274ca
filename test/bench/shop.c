/* SPDX-License-Identifier: Apache-2.0 */
#include "test/bench/shop.h"

#include "test/bench/flows.h"

#define LABEL_SETS 5000u
#define NODES      100u

static const char *const pod_names[SHOP_PODS] = {
    [SHOP_CLIENT] = "client", [SHOP_SERVER] = "server"};

const char *shop_pod_name(enum shop_pod pod)
{
    return pod_names[pod];
}

struct fence_addr shop_remote(int family, unsigned int number)
{
    unsigned int host = BENCH_FIRST_REMOTE + number;
    struct fence_addr addr = {0};

    (void)fence_addr_parse(family == 4 ? "10.128.0.0" : "fd00:128::", &addr);
    addr.bytes[13] = (unsigned char)(addr.bytes[13] + (host >> 16));
    addr.bytes[14] = (unsigned char)(host >> 8);
    addr.bytes[15] = (unsigned char)host;
    return addr;
}

/* ---- pods ----------------------------------------------------------------------------------- */

static void begin_pod(FILE *out, const char *name)
{
    fprintf(out,
            "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"%s\","
            "\"namespace\":\"" SHOP_NAMESPACE "\",\"uid\":\"uid-%s\",\"labels\":{",
            name, name);
}

static void end_pod(FILE *out, const struct fence_addr *addr)
{
    char text[FENCE_ADDR_TEXT];

    fprintf(out, "\"status\":{\"phase\":\"Running\"");
    if (addr)
        fprintf(out, ",\"podIP\":\"%s\",\"podIPs\":[{\"ip\":\"%s\"}]",
                fence_addr_format(addr, text), text);
    fprintf(out, "}}");
}

static void write_local(FILE *out, enum shop_pod pod, const struct fence_addr *addr)
{
    begin_pod(out, pod_names[pod]);
    fprintf(out, "\"app\":\"%s\"}},\"spec\":{\"nodeName\":\"" SHOP_NODE "\"},", pod_names[pod]);
    end_pod(out, addr);
}

void shop_write_remote(FILE *out, int family, unsigned int number, unsigned int at)
{
    struct fence_addr addr = shop_remote(family, at);
    char name[32];

    snprintf(name, sizeof(name), "remote-%u", number);
    begin_pod(out, name);
    fprintf(out, "\"app\":\"peer-%u\",\"version\":\"v%u\"}},\"spec\":{\"nodeName\":\"node-%u\"},",
            number % SHOP_APPS, number % LABEL_SETS / SHOP_APPS, number % NODES);
    end_pod(out, &addr);
}

/* ---- policies ------------------------------------------------------------------------------- */

/* The first rule is what is used; each of the others tells one app of other nodes apart. */
static void write_policy(FILE *out, const struct shop *shop, enum shop_pod pod)
{
    const char *rules = pod == SHOP_CLIENT ? "egress" : "ingress";
    const char *side = pod == SHOP_CLIENT ? "to" : "from";

    fprintf(out,
            "{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\","
            "\"metadata\":{\"name\":\"%s\",\"namespace\":\"" SHOP_NAMESPACE "\"},"
            "\"spec\":{\"podSelector\":{\"matchLabels\":{\"app\":\"%s\"}},"
            "\"policyTypes\":[\"Ingress\",\"Egress\"],\"%s\":[{\"%s\":[{\"podSelector\":{}}],"
            "\"ports\":[{\"protocol\":\"TCP\",\"port\":%u,\"endPort\":%u},"
            "{\"protocol\":\"UDP\",\"port\":%u,\"endPort\":%u}]}",
            pod_names[pod], pod_names[pod], rules, side, SHOP_PORT, SHOP_PORT_LAST, SHOP_PORT,
            SHOP_PORT_LAST);
    for (unsigned int i = 1; i < shop->rules; i++)
        fprintf(out,
                ",\n{\"%s\":[{\"podSelector\":{\"matchLabels\":{\"app\":\"peer-%u\"}}}],"
                "\"ports\":[{\"protocol\":\"TCP\",\"port\":%u}]}",
                side, i % SHOP_APPS, 20000 + i);
    fprintf(out, "]}}");
}

void shop_write(FILE *out, const struct shop *shop, const struct fence_addr *addrs)
{
    fprintf(out, "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[\n"
                 "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\","
                 "\"metadata\":{\"name\":\"" SHOP_NAMESPACE "\"}}");
    for (unsigned int i = 0; i < SHOP_PODS; i++) {
        fprintf(out, ",\n");
        write_policy(out, shop, (enum shop_pod)i);
        fprintf(out, ",\n");
        write_local(out, (enum shop_pod)i, addrs ? &addrs[i] : NULL);
    }
    for (unsigned int i = 0; i < shop->remotes; i++) {
        fprintf(out, ",\n");
        shop_write_remote(out, shop->family, i, i);
    }
    fprintf(out, "]}\n");
}

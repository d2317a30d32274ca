/* SPDX-License-Identifier: Apache-2.0 */
#include "test/policy/questions.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"

static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

/* ---- ends ----------------------------------------------------------------------------------- */

static int add_end(struct questions *questions, const char *text, bool ipv4, bool ipv6)
{
    struct question_end *end;

    for (size_t i = 0; i < questions->end_count; i++)
        if (strcmp(questions->ends[i].text, text) == 0)
            return 0;
    if (FENCE_GROW(questions->ends, questions->end_capacity, questions->end_count) < 0)
        return -ENOMEM;
    end = &questions->ends[questions->end_count++];
    *end = (struct question_end){.has = {ipv4, ipv6}};
    snprintf(end->text, sizeof(end->text), "%s", text);
    return 0;
}

static int add_addr(struct questions *questions, const char *text)
{
    bool ipv6 = strchr(text, ':') != NULL;

    return add_end(questions, text, !ipv6, ipv6);
}

static int add_leading(struct questions *questions, const char *text)
{
    int r = add_addr(questions, text);

    for (size_t i = 0; r == 0 && i < questions->end_count; i++)
        if (strcmp(questions->ends[i].text, text) == 0)
            questions->ends[i].leads = true;
    return r;
}

static int add_addrs(struct questions *questions, const cJSON *list)
{
    const cJSON *item;
    int r = 0;

    cJSON_ArrayForEach(item, list)
    {
        r = r == 0 ? add_addr(questions, item->valuestring) : r;
    }
    return r;
}

/* A finished pod is nobody: only the addresses that it had are asked about. */
static int add_pod(struct questions *questions, struct rng *rng, const cJSON *pod)
{
    bool has[2] = {false, false};
    char text[QUESTION_TEXT];
    const cJSON *item;
    int r = 0;

    cJSON_ArrayForEach(item, member(pod, "ips"))
    {
        has[strchr(item->valuestring, ':') != NULL] = true;
    }
    snprintf(text, sizeof(text), "%s/%s", member(pod, "ns")->valuestring,
             member(pod, "name")->valuestring);
    if (!member(pod, "phase"))
        r = add_end(questions, text, has[0], has[1]);
    if (r == 0 && (member(pod, "phase") || rng_chance(rng, 15)))
        r = add_addrs(questions, member(pod, "ips"));
    return r;
}

static int add_outsiders(struct questions *questions)
{
    static const char *const texts[] = {"203.0.113.1", "2001:db8::1", "10.1.0.200", "10.1.1.200",
                                        "fd00:1:0:1::c8"};
    int r = 0;

    for (size_t i = 0; r == 0 && i < FENCE_ARRAY_SIZE(texts); i++)
        r = add_addr(questions, texts[i]);
    return r;
}

/* One that a packet of the network can have. */
static bool is_ordinary(const unsigned char *bytes, int family)
{
    static const unsigned char zeros[16];

    if (family == AF_INET)
        return bytes[0] != 0 && bytes[0] != 127 && bytes[0] < 224;
    return memcmp(bytes, zeros, 15) != 0 && bytes[0] != 0xff && memcmp(bytes, zeros, 10) != 0;
}

static void step(unsigned char *bytes, int size, int by)
{
    for (int i = size - 1; i >= 0; i--) {
        bytes[i] = (unsigned char)(bytes[i] + by);
        if (bytes[i] != (by > 0 ? 0 : 255))
            return;
    }
}

/* The first or the last address of a prefix. */
static void edge_of(const char *prefix, int family, bool last, unsigned char bytes[16])
{
    int size = family == AF_INET ? 4 : 16;
    char text[INET6_ADDRSTRLEN];
    int length;

    snprintf(text, sizeof(text), "%.*s", (int)strcspn(prefix, "/"), prefix);
    length = atoi(strchr(prefix, '/') + 1);
    inet_pton(family, text, bytes);
    for (int bit = length; bit < size * 8; bit++) {
        unsigned char mask = (unsigned char)(0x80 >> bit % 8);

        bytes[bit / 8] = (unsigned char)(last ? bytes[bit / 8] | mask : bytes[bit / 8] & ~mask);
    }
}

/* The edges of a prefix, and those beside them. */
static int add_edge(struct questions *questions, struct rng *rng, const char *prefix)
{
    int family = strchr(prefix, ':') ? AF_INET6 : AF_INET;
    bool last = rng_chance(rng, 50);
    unsigned char bytes[16] = {0};
    char text[INET6_ADDRSTRLEN];

    edge_of(prefix, family, last, bytes);
    if (rng_chance(rng, 50))
        step(bytes, family == AF_INET ? 4 : 16, last ? 1 : -1);
    inet_ntop(family, bytes, text, sizeof(text));
    return is_ordinary(bytes, family) ? add_addr(questions, text) : 0;
}

/* The addresses that a node states and those that its pods' ranges begin with. */
static int add_node(struct questions *questions, const cJSON *node)
{
    const cJSON *item;
    int r = 0;

    cJSON_ArrayForEach(item, member(node, "ips"))
    {
        r = r == 0 ? add_leading(questions, item->valuestring) : r;
    }
    cJSON_ArrayForEach(item, member(node, "podCIDRs"))
    {
        int family = strchr(item->valuestring, ':') ? AF_INET6 : AF_INET;
        unsigned char bytes[16] = {0};
        char text[INET6_ADDRSTRLEN];

        edge_of(item->valuestring, family, false, bytes);
        inet_ntop(family, bytes, text, sizeof(text));
        r = r == 0 ? add_leading(questions, text) : r;
    }
    return r;
}

/* ---- packets -------------------------------------------------------------------------------- */

static int add_packet(struct questions *questions, unsigned int protocol, unsigned int port)
{
    for (size_t i = 0; i < questions->packet_count; i++)
        if (questions->packets[i].protocol == protocol && questions->packets[i].port == port)
            return 0;
    if (FENCE_GROW(questions->packets, questions->packet_capacity, questions->packet_count) < 0)
        return -ENOMEM;
    questions->packets[questions->packet_count++] = (struct question_packet){protocol, port};
    return 0;
}

/* A number that a rule or a pod names: it and those beside it, for every protocol with ports. */
static int add_port(struct questions *questions, int number)
{
    static const unsigned int protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};
    int r = 0;

    for (int port = number - 1; port <= number + 1; port++)
        for (size_t i = 0; r == 0 && i < FENCE_ARRAY_SIZE(protocols); i++)
            if (port >= 0 && port <= 65535)
                r = add_packet(questions, protocols[i], (unsigned int)port);
    return r;
}

static int add_icmp(struct questions *questions, int type, int code)
{
    static const unsigned int protocols[] = {IPPROTO_ICMP, IPPROTO_ICMPV6};
    int r = 0;

    for (int near = type - 1; near <= type + 1; near++)
        for (size_t i = 0; r == 0 && i < FENCE_ARRAY_SIZE(protocols); i++)
            if (near >= 0 && near <= 255)
                r = add_packet(questions, protocols[i], (unsigned int)(near << 8 | code));
    return r;
}

static int add_icmp_rule(struct questions *questions, const cJSON *type, const cJSON *code)
{
    int number = code ? code->valueint : 0;
    int r = add_icmp(questions, type->valueint, number);

    if (r == 0)
        r = add_icmp(questions, type->valueint, number == 255 ? 254 : number + 1);
    return r;
}

/* ---- a walk over everything that the policies say ------------------------------------------- */

struct walk {
    struct questions *questions;
    struct rng *rng;
    unsigned int edges; /* how many more of them are wanted */
};

static int visit(struct walk *walk, const cJSON *item)
{
    static const char *const numbers[] = {"port", "endPort",  "number",  "start",
                                          "end",  "nodePort", "hostPort"};
    int r = 0;

    if (cJSON_IsString(item) && strchr(item->valuestring, '/') && walk->edges &&
        strpbrk(item->valuestring, ":.") && rng_chance(walk->rng, 50)) {
        walk->edges--;
        r = add_edge(walk->questions, walk->rng, item->valuestring);
    }
    for (size_t i = 0; r == 0 && item->string && i < FENCE_ARRAY_SIZE(numbers); i++)
        if (cJSON_IsNumber(item) && strcmp(item->string, numbers[i]) == 0)
            r = add_port(walk->questions, item->valueint);
    if (r == 0 && member(item, "type") && cJSON_IsNumber(member(item, "type")))
        r = add_icmp_rule(walk->questions, member(item, "type"), member(item, "code"));
    return r;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the world's JSON */
static int walk_json(struct walk *walk, const cJSON *json)
{
    const cJSON *item;
    int r = 0;

    cJSON_ArrayForEach(item, json)
    {
        if (r == 0)
            r = visit(walk, item);
        if (r == 0 && !(item->string && strcmp(item->string, "metadata") == 0))
            r = walk_json(walk, item);
    }
    return r;
}

static int add_policies(struct walk *walk, const cJSON *world)
{
    const cJSON *policy;
    int r = 0;

    cJSON_ArrayForEach(policy, member(world, "policies"))
    {
        r = r == 0 ? walk_json(walk, member(policy, "spec")) : r;
    }
    return r;
}

/* By which one gets elsewhere: of a service's port, or of a pod's. */
static int add_ports(struct questions *questions, const cJSON *port)
{
    static const char *const keys[] = {"port", "nodePort", "hostPort"};
    const cJSON *protocol = member(port, "protocol");
    unsigned int number = IPPROTO_TCP;

    if (protocol && strcmp(protocol->valuestring, "TCP") != 0)
        number = strcmp(protocol->valuestring, "UDP") == 0 ? IPPROTO_UDP : IPPROTO_SCTP;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(keys); i++) {
        const cJSON *item = member(port, keys[i]);

        if (!item)
            continue;
        if (FENCE_GROW(questions->leading, questions->leading_capacity, questions->leading_count) <
            0)
            return -ENOMEM;
        questions->leading[questions->leading_count++] =
            (struct question_packet){number, (unsigned int)item->valueint};
    }
    return 0;
}

static int add_hosted(struct questions *questions, const cJSON *pod)
{
    const cJSON *port;
    int r = 0;

    cJSON_ArrayForEach(port, member(pod, "ports"))
    {
        if (r == 0 && member(port, "hostPort"))
            r = add_ports(questions, port);
    }
    return r;
}

/* The addresses that a service states, its ports and those of nodes. */
static int add_service(struct walk *walk, const cJSON *service)
{
    const cJSON *spec = member(service, "spec");
    const cJSON *ingress = member(member(member(service, "status"), "loadBalancer"), "ingress");
    const cJSON *item;
    int r = 0;

    cJSON_ArrayForEach(item, member(spec, "clusterIPs"))
    {
        if (r == 0 && strcmp(item->valuestring, "None") != 0)
            r = add_leading(walk->questions, item->valuestring);
    }
    cJSON_ArrayForEach(item, member(spec, "externalIPs"))
    {
        r = r == 0 ? add_leading(walk->questions, item->valuestring) : r;
    }
    cJSON_ArrayForEach(item, ingress)
    {
        r = r == 0 ? add_leading(walk->questions, member(item, "ip")->valuestring) : r;
    }
    cJSON_ArrayForEach(item, member(spec, "ports"))
    {
        r = r == 0 ? add_ports(walk->questions, item) : r;
    }
    return r == 0 ? walk_json(walk, member(spec, "ports")) : r;
}

static int add_constants(struct questions *questions)
{
    static const struct question_packet packets[] = {
        {IPPROTO_TCP, 9999},        {IPPROTO_UDP, 9999},
        {IPPROTO_SCTP, 9999},       {IPPROTO_ICMP, 8 << 8},
        {IPPROTO_ICMPV6, 128 << 8}, {IPPROTO_GRE, 0},
        {IPPROTO_ICMP, 255 << 8},   {IPPROTO_ICMPV6, 255 << 8 | 255}};
    int r = 0;

    for (size_t i = 0; r == 0 && i < FENCE_ARRAY_SIZE(packets); i++)
        r = add_packet(questions, packets[i].protocol, packets[i].port);
    return r;
}

int questions_make(struct questions *questions, struct rng *rng, const cJSON *world,
                   unsigned int edges)
{
    struct walk walk = {.questions = questions, .rng = rng, .edges = edges};
    const cJSON *item;
    int r = add_constants(questions);

    cJSON_ArrayForEach(item, member(world, "pods"))
    {
        r = r == 0 ? add_pod(questions, rng, item) : r;
        r = r == 0 ? walk_json(&walk, member(item, "ports")) : r;
        r = r == 0 ? add_hosted(questions, item) : r;
    }
    cJSON_ArrayForEach(item, member(world, "nodes"))
    {
        r = r == 0 ? add_node(questions, item) : r;
    }
    cJSON_ArrayForEach(item, member(world, "services"))
    {
        r = r == 0 ? add_service(&walk, item) : r;
    }
    cJSON_ArrayForEach(item, member(world, "endpointSlices"))
    {
        r = r == 0 ? walk_json(&walk, member(item, "ports")) : r;
    }
    if (r == 0)
        r = add_outsiders(questions);
    return r == 0 ? add_policies(&walk, world) : r;
}

void questions_done(struct questions *questions)
{
    free(questions->ends);
    free(questions->packets);
    free(questions->leading);
    *questions = (struct questions){0};
}

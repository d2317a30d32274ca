/* SPDX-License-Identifier: Apache-2.0 */
/* Who owns an address, and what a plan is made of. */
#include "lib/policy/compile.h"

#include <netinet/in.h>

#include "lib/policy/canonical.h"
#include "test/policy/worlds.h"

/* ---- addresses ------------------------------------------------------------------------------ */

static void test_pods_that_own_no_address(void **context)
{
    struct lab lab = {0};
    struct fence_plan *plan;

    (void)context;
    load(&lab, POD_X("shop", "host", "", "10.0.0.1", "", ", hostNetwork: true", "")
                   POD_X("shop", "done", "", "10.0.0.2", "", "", ", phase: Failed")
                       POD("shop", "live", "", "10.0.0.3"));
    plan = compile(&lab);
    assert_int_equal(plan->addresses.count, 1);
    assert_int_equal(identity_at(plan, "10.0.0.1")->reserved, FENCE_IDENTITY_WORLD);
    assert_int_equal(peer_at(plan, "10.0.0.2")->flags, FENCE_PEER_IS_WORLD);
    assert_int_equal(identity_at(plan, "10.0.0.3")->reserved, 0);
    fence_plan_free(&plan);
    lab_done(&lab);
}

static void test_disputed_address(void **context)
{
    struct lab lab = {0};
    struct fence_plan *plan;

    (void)context;
    load(&lab, POD("shop", "a", "app: a", "10.0.0.1") POD("shop", "b", "app: b", "10.0.0.1")
                   POD("shop", "c", "app: c", "10.0.0.1"));
    plan = compile(&lab);
    assert_int_equal(identity_at(plan, "10.0.0.1")->reserved, FENCE_IDENTITY_PENDING);
    assert_int_equal(plan->notes_count, 1);
    assert_string_equal(plan->notes[0].subject, "10.0.0.1");
    assert_non_null(strstr(plan->notes[0].text, "shop/a and shop/b"));
    fence_plan_free(&plan);

    lab_add_local(&lab, 4, "shop", "b");
    plan = compile(&lab);
    assert_string_equal(identity_at(plan, "10.0.0.1")->app, "b");
    fence_plan_free(&plan);

    lab_add_local(&lab, 5, "shop", "c");
    plan = compile(&lab);
    assert_int_equal(identity_at(plan, "10.0.0.1")->reserved, FENCE_IDENTITY_PENDING);
    fence_plan_free(&plan);
    lab_done(&lab);
}

static const char nodes[] =
    "---\napiVersion: v1\nkind: Node\n"
    "metadata: { name: n1, labels: { role: a } }\n"
    "spec: { podCIDRs: [ 10.1.0.0/24 ] }\n"
    "status: { addresses: [ { type: InternalIP, address: 192.168.0.1 } ] }\n"
    "---\napiVersion: v1\nkind: Node\n"
    "metadata: { name: n2, labels: { role: b } }\n"
    "spec: { podCIDRs: [ 10.2.0.0/24 ] }\n"
    "status: { addresses: [ { type: InternalIP, address: 192.168.0.2 } ] }\n" SEGMENT(
        "shop", "out",
        "{ mode: Allowlist, appliesTo: {}, egress: [ { to: [ { ipBlock: { cidr: 10.2.0.0/25 } "
        "} ] } ] }") POD("shop", "web", "", "10.1.0.5");

/* Identity (reserved number, 0 = other), kind and flags of what an address leads to on n1. */
static const struct {
    const char *addr;
    uint32_t reserved, kind, flags;
} places[] = {
    {"192.168.0.1", FENCE_IDENTITY_HOST, FENCE_KIND_RESERVED, FENCE_PEER_IS_HOST},
    {"10.1.0.1", FENCE_IDENTITY_HOST, FENCE_KIND_RESERVED, FENCE_PEER_IS_HOST},
    {"192.168.0.2", 0, FENCE_KIND_NODE, 0},
    {"10.2.0.0", 0, FENCE_KIND_NODE, 0},
    {"10.1.0.0", FENCE_IDENTITY_PENDING, FENCE_KIND_RESERVED, 0},
    {"10.1.0.5", 0, FENCE_KIND_POD, 0},
    {"10.1.0.6", FENCE_IDENTITY_PENDING, FENCE_KIND_RESERVED, 0},
    {"10.2.0.6", FENCE_IDENTITY_PENDING, FENCE_KIND_RESERVED, 0},
    {"10.2.0.200", FENCE_IDENTITY_PENDING, FENCE_KIND_RESERVED, 0},
    {"10.3.0.6", FENCE_IDENTITY_WORLD, FENCE_KIND_RESERVED, FENCE_PEER_IS_WORLD},
    {"2001:db8::1", FENCE_IDENTITY_WORLD, FENCE_KIND_RESERVED, FENCE_PEER_IS_WORLD},
};

static void test_places(void **context)
{
    struct fence_addr host[2] = {addr_of("10.1.0.1"), addr_of("10.1.0.5")};
    struct lab lab = {0};
    struct fence_plan *plan;

    (void)context;
    load(&lab, nodes);
    lab.world.node_name = "n1";
    lab.world.host_addrs = host;
    lab.world.host_addr_count = 2;
    lab_add_local(&lab, 4, "shop", "web");
    plan = compile(&lab);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(places); i++) {
        const struct fence_plan_identity *identity = identity_at(plan, places[i].addr);

        if (identity->reserved != places[i].reserved || identity->kind != places[i].kind ||
            peer_at(plan, places[i].addr)->flags != places[i].flags)
            fail_msg("%s: %s", places[i].addr, identity->content);
    }
    assert_string_equal(identity_at(plan, "192.168.0.2")->app, "n2");
    assert_string_equal(identity_at(plan, "10.2.0.0")->app, "n2");
    assert_int_equal(plan->prefixes_count, 5);
    fence_plan_free(&plan);
    lab_done(&lab);
}

/* IPv4 lies inside ::/0 as far as bytes go, but blocks of the families never hold each other. */
static void test_blocks_of_both_families(void **context)
{
    static const char *const apart[] = {"10.1.2.3", "11.1.2.3", "ff::1", "2001:db8::1"};
    static const char *const same[][2] = {
        {"10.0.0.1", "10.255.0.1"}, {"ff::1", "0:1::1"}, {"2001:db8::1", "fd00::1"}};
    struct lab lab = {0};
    struct fence_plan *plan;

    (void)context;
    load(&lab, POD("shop", "web", "", "10.9.9.9")
                   SEGMENT("shop", "p",
                           "{ mode: Allowlist, appliesTo: {}, ingress: [ { from: [ { ipBlock: { "
                           "cidr: 10.0.0.0/8 } }, { ipBlock: { cidr: '::/8' } } ] } ] }"));
    lab_add_local(&lab, 1, "shop", "web");
    plan = compile(&lab);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(apart); i++)
        for (size_t j = 0; j < i; j++)
            assert_ptr_not_equal(peer_at(plan, apart[i]), peer_at(plan, apart[j]));
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(same); i++)
        assert_ptr_equal(peer_at(plan, same[i][0]), peer_at(plan, same[i][1]));
    for (size_t i = 0; i < plan->prefixes_count; i++)
        assert_true(fence_prefix_covers(&plan->peers[plan->prefixes[i].peer].view.where,
                                        &plan->prefixes[i].prefix));
    fence_plan_free(&plan);
    lab_done(&lab);
}

static void test_nodes_class_in_a_wide_block(void **context)
{
    static const char text[] =
        "---\napiVersion: v1\nkind: Node\nmetadata: { name: n1 }\n"
        "status: { addresses: [ { type: InternalIP, address: 'ff::1' } ] }\n" POD("shop", "web", "",
                                                                                  "10.9.9.9")
            SEGMENT("shop", "p",
                    "{ mode: Allowlist, appliesTo: {}, ingress: [ { from: [ { ipBlock: { cidr: "
                    "10.0.0.0/8 } }, { ipBlock: { cidr: '::/8' } } ] } ] }");
    struct plan_query query = {.ifindex = 1, .direction = FENCE_INGRESS, .protocol = IPPROTO_TCP};
    struct fence_addr addr = addr_of("ff::1");
    struct lab lab = {0};
    struct fence_plan *plan;

    (void)context;
    load(&lab, text);
    lab_add_local(&lab, 1, "shop", "web");
    plan = compile(&lab);
    assert_int_equal(plan_interval(plan, &query, plan_peer_of(plan, &addr))->verdict, FENCE_ALLOW);
    fence_plan_free(&plan);
    lab_done(&lab);
}

/* ---- identities and peers ------------------------------------------------------------------- */

static void test_system_labels(void **context)
{
    static const char pods[] =
        POD("shop", "a", "app: web, pod-template-hash: x, batch.kubernetes.io/job-name: j1",
            "10.0.0.1") POD("shop", "b", "app: web, topology.kubernetes.io/zone: z", "10.0.0.2")
            POD("shop", "c", "app: web, version: v2", "10.0.0.3");
    char selecting[sizeof(pods) + 512];
    struct lab lab = {0};
    struct fence_plan *plan;

    (void)context;
    load(&lab, pods);
    plan = compile(&lab);
    assert_ptr_equal(peer_at(plan, "10.0.0.1"), peer_at(plan, "10.0.0.2"));
    assert_ptr_not_equal(peer_at(plan, "10.0.0.1"), peer_at(plan, "10.0.0.3"));
    fence_plan_free(&plan);
    lab_done(&lab);

    snprintf(selecting, sizeof(selecting), "%s%s", pods,
             SEGMENT("shop", "p",
                     "{ mode: Allowlist, appliesTo: {}, ingress: [ { from: [ { podSelector: { "
                     "matchLabels: { pod-template-hash: x } } } ] } ] }"));
    load(&lab, selecting);
    plan = compile(&lab);
    /* nobody here is selected, so the label tells nobody apart */
    assert_ptr_equal(peer_at(plan, "10.0.0.1"), peer_at(plan, "10.0.0.2"));
    fence_plan_free(&plan);
    lab_add_local(&lab, 1, "shop", "c");
    plan = compile(&lab);
    assert_ptr_not_equal(peer_at(plan, "10.0.0.1"), peer_at(plan, "10.0.0.2"));
    fence_plan_free(&plan);
    lab_done(&lab);
}

static void test_names_are_never_glued(void **context)
{
    static const char *const texts[][2] = {
        {"a=b,c=d", "a=bc,d="}, {"ab=c", "a=bc"}, {"a=", ""}, {"a=1,b=2", "a=1"}};

    (void)context;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(texts); i++) {
        struct fence_text results[2] = {{0}, {0}};

        for (size_t j = 0; j < 2; j++) {
            struct fence_labels labels = {0};

            assert_int_equal(fence_labels_parse(texts[i][j], &labels, NULL), 0);
            fence_text_string(&results[j], j ? "shop-a" : "shop");
            fence_text_string(&results[j], j ? "b" : "a-b");
            assert_string_not_equal(results[j].data, results[!j].data ? results[!j].data : "");
            fence_text_clear(&results[j]);
            fence_text_labels(&results[j], &labels);
            fence_labels_done(&labels);
        }
        assert_string_not_equal(results[0].data, results[1].data);
        fence_text_done(&results[0]);
        fence_text_done(&results[1]);
    }
}

#define PORTED(name, port)                                                                         \
    "containers: [ { ports: [ { name: " name ", containerPort: " port " } ] } ]"

static void test_named_ports_make_peers(void **context)
{
    static const char template[] =
        "---\napiVersion: v1\nkind: Pod\nmetadata: { name: a, namespace: s }\n"
        "spec: { " PORTED(
            "http",
            "80") " }\nstatus: { podIP: 10.0.0.1 }\n"
                  "---\napiVersion: v1\nkind: Pod\nmetadata: { name: b, namespace: s }\n"
                  "spec: { " PORTED(
                      "http",
                      "81") " }\nstatus: { podIP: 10.0.0.2 }\n"
                            "---\napiVersion: v1\nkind: Pod\nmetadata: { name: c, namespace: s }\n"
                            "spec: { " PORTED(
                                "other",
                                "82") " }\nstatus: { podIP: 10.0.0.3 }\n"
                                      "---\napiVersion: v1\nkind: Pod\nmetadata: { name: d, "
                                      "namespace: s }\n"
                                      "spec: { " PORTED("other", "83") " }\nstatus: { podIP: "
                                                                       "10.0.0.4 }\n" SEGMENT(
                                                                           "s", "p",
                                                                           "{ mode: Allowlist, "
                                                                           "appliesTo: {}, egress: "
                                                                           "[ { ports: [ { port: "
                                                                           "http } ] } ], ingress: "
                                                                           "[ { ports: [ { port: "
                                                                           "other } ] } ] }");
    struct lab lab = {0};
    struct fence_plan *plan;

    (void)context;
    load(&lab, template);
    lab_add_local(&lab, 1, "s", "a");
    lab_add_local(&lab, 3, "s", "c");
    lab_add_local(&lab, 4, "s", "d");
    plan = compile(&lab);
    assert_ptr_not_equal(peer_at(plan, "10.0.0.1"), peer_at(plan, "10.0.0.2"));
    assert_int_equal(peer_at(plan, "10.0.0.1")->identity, peer_at(plan, "10.0.0.2")->identity);
    assert_ptr_equal(peer_at(plan, "10.0.0.3"), peer_at(plan, "10.0.0.4"));
    /* the name in an ingress rule is the subject's own: the sets differ */
    assert_int_not_equal(plan->endpoints[1].set, plan->endpoints[2].set);
    assert_int_not_equal(plan->endpoints[0].set, plan->endpoints[1].set);
    fence_plan_free(&plan);
    lab_done(&lab);
}

/* ---- the plan as a whole -------------------------------------------------------------------- */

static const char shop[] = NAMESPACE("shop", "team: a") POD("shop", "web-1", "app: web", "10.0.0.1")
    POD("shop", "web-2", "app: web", "10.0.0.2") POD("shop", "db", "app: db", "10.0.0.3")
        SEGMENT("shop", "db",
                "{ mode: Allowlist, appliesTo: { podSelector: { matchLabels: { app: db } } }, "
                "ingress: [ { from: [ { podSelector: { matchLabels: { app: web } } } ] } ] }");

static bool is_peer(const struct fence_plan *one, uint32_t peer, const struct fence_plan *other,
                    uint32_t like)
{
    struct fence_text a = {0}, b = {0};
    bool same;

    assert_int_equal(fence_plan_peer_content(one, peer, &a), 0);
    assert_int_equal(fence_plan_peer_content(other, like, &b), 0);
    same = strcmp(a.data, b.data) == 0;
    fence_text_done(&a);
    fence_text_done(&b);
    return same;
}

static bool has_peer(const struct fence_plan *plan, const struct fence_plan *other, uint32_t like)
{
    for (uint32_t i = 0; i < plan->peers_list.count; i++)
        if (plan->peers[i].item.live && is_peer(plan, i, other, like))
            return true;
    return false;
}

static void test_same_world_same_content(void **context)
{
    struct lab lab = {0};
    struct lab turned = {0};
    struct fence_plan *one, *other;

    (void)context;
    load(&lab, shop);
    load(&turned, shop);
    lab_add_local(&lab, 1, "shop", "web-1");
    lab_add_local(&lab, 2, "shop", "web-2");
    lab_add_local(&lab, 3, "shop", "db");
    lab_add_local(&turned, 3, "shop", "db");
    lab_add_local(&turned, 2, "shop", "web-2");
    lab_add_local(&turned, 1, "shop", "web-1");
    one = compile(&lab);
    other = compile(&turned);
    assert_int_equal(one->peers_list.count, other->peers_list.count);
    for (uint32_t i = 0; i < one->peers_list.count; i++)
        assert_true(!one->peers[i].item.live || has_peer(other, one, i));
    for (uint32_t i = 1; i <= 3; i++)
        assert_string_equal(one->sets[plan_endpoint(one, i)->set].content,
                            other->sets[plan_endpoint(other, i)->set].content);
    /* endpoints with equal rules share a set and an identity */
    assert_int_equal(plan_endpoint(one, 1)->set, plan_endpoint(one, 2)->set);
    assert_int_equal(plan_endpoint(one, 1)->identity, plan_endpoint(one, 2)->identity);
    assert_int_not_equal(plan_endpoint(one, 1)->set, plan_endpoint(one, 3)->set);
    fence_plan_free(&one);
    fence_plan_free(&other);
    lab_done(&lab);
    lab_done(&turned);
}

static void test_expiry(void **context)
{
    static const char text[] = POD("shop", "web", "", "10.0.0.1")
        SEGMENT("shop", "soon",
                "{ mode: Denylist, appliesTo: {}, ingress: [{}], expiresAt: 2030-01-01T00:00:00Z }")
            SEGMENT("shop", "late",
                    "{ mode: Allowlist, appliesTo: {}, egress: [], expiresAt: "
                    "2031-01-01T00:00:00Z }")
                SEGMENT("shop", "stays", "{ mode: Allowlist, appliesTo: {}, ingress: [] }");
    static const int64_t soon = 1893456000, late = 1924992000;
    struct lab lab = {0};
    struct fence_plan *before, *after, *last;

    (void)context;
    load(&lab, text);
    lab_add_local(&lab, 1, "shop", "web");
    lab.world.now = soon - 1;
    before = compile(&lab);
    assert_int_equal(before->next_expiry, soon);
    assert_int_equal(before->endpoints[0].end_count, 2);
    assert_int_equal(before->endpoints[0].ends[0].at, soon);
    assert_int_equal(before->endpoints[0].ends[1].at, late);
    lab.world.now = soon;
    after = compile(&lab);
    assert_int_equal(after->next_expiry, late);
    assert_string_equal(before->sets[before->endpoints[0].ends[0].set].content,
                        after->sets[after->endpoints[0].set].content);
    lab.world.now = late;
    last = compile(&lab);
    assert_int_equal(last->next_expiry, 0);
    assert_int_equal(last->endpoints[0].end_count, 0);
    assert_int_equal(last->endpoints[0].ends[0].set, FENCE_PLAN_NONE);
    assert_string_equal(after->sets[after->endpoints[0].ends[0].set].content,
                        last->sets[last->endpoints[0].set].content);
    assert_string_equal(before->sets[before->endpoints[0].ends[1].set].content,
                        last->sets[last->endpoints[0].set].content);
    fence_plan_free(&before);
    fence_plan_free(&after);
    fence_plan_free(&last);
    lab_done(&lab);
}

/* More ends than are followed, the first in 2030 and one a year: the last of them allow something
 * or not. */
static struct fence_plan *many_ends(struct lab *lab, unsigned int count, bool allows)
{
    FENCE_FREE char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    fputs(POD("shop", "web", "", "10.0.0.1"), out);
    for (unsigned int i = 0; i < count; i++)
        fprintf(out,
                "---\napiVersion: podfence.io/v1alpha1\nkind: SegmentPolicy\n"
                "metadata: { name: p%u, namespace: shop }\nspec: { mode: %s, appliesTo: {}, "
                "ingress: [ { ports: [ { protocol: TCP, port: %u } ] } ], "
                "expiresAt: %u-01-01T00:00:00Z }\n",
                i, allows && i + 1 == count ? "Allowlist" : "Denylist", 100 + i, 2030 + i);
    fclose(out);
    load(lab, text);
    lab_add_local(lab, 1, "shop", "web");
    return compile(lab);
}

static void test_more_ends_than_are_followed(void **context)
{
    static const int64_t eighth = 2114380800, ninth = 2145916800, tenth = 2177452800;
    const struct fence_plan_endpoint *endpoint;

    (void)context;
    /* Denylists stay until somebody compiles again */
    for (unsigned int count = FENCE_PLAN_ENDS; count <= FENCE_PLAN_ENDS + 2; count++) {
        struct lab lab = {0};
        struct fence_plan *plan = many_ends(&lab, count, false);

        endpoint = plan_endpoint(plan, 1);
        assert_int_equal(endpoint->end_count, FENCE_PLAN_ENDS);
        assert_int_equal(endpoint->ends[FENCE_PLAN_ENDS - 1].at, eighth);
        fence_plan_free(&plan);
        lab_done(&lab);
    }
    /* an Allowlist would let pass what it should not: closed from its end on, be there others
     * before */
    for (unsigned int count = FENCE_PLAN_ENDS; count <= FENCE_PLAN_ENDS + 2; count++) {
        struct lab lab = {0};
        struct fence_plan *plan = many_ends(&lab, count, true);

        endpoint = plan_endpoint(plan, 1);
        assert_int_equal(endpoint->end_count, FENCE_PLAN_ENDS + (count > FENCE_PLAN_ENDS));
        assert_int_equal(endpoint->ends[FENCE_PLAN_ENDS].set, FENCE_PLAN_NONE);
        if (count > FENCE_PLAN_ENDS)
            assert_int_equal(endpoint->ends[FENCE_PLAN_ENDS].at,
                             count == FENCE_PLAN_ENDS + 1 ? ninth : tenth);
        fence_plan_free(&plan);
        lab_done(&lab);
    }
}

static void test_a_set_too_large_closes(void **context)
{
    FENCE_FREE char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    struct plan_query query = {.ifindex = 1, .direction = FENCE_INGRESS, .protocol = IPPROTO_TCP};
    struct lab lab = {0};
    struct fence_plan *plan;

    (void)context;
    assert_non_null(out);
    fprintf(out, "%s%s", POD("shop", "web", "", "10.0.0.1"),
            SEGMENT("shop", "many", "{ mode: Allowlist, appliesTo: {}, ingress: [ { ports: [ "));
    /* drop the line end and the brackets that are to come */
    fseek(out, -1, SEEK_CUR);
    for (unsigned int port = 1; port < 65535; port += 2)
        fprintf(out, "{ protocol: TCP, port: %u }, { protocol: UDP, port: %u }, ", port, port);
    fprintf(out, "] } ] }\n");
    fclose(out);
    load(&lab, text);
    lab_add_local(&lab, 1, "shop", "web");
    plan = compile(&lab);
    assert_int_equal(plan->endpoints[0].flags, FENCE_EP_NOT_APPLIED);
    assert_non_null(plan->sets[plan->endpoints[0].set].problem);
    assert_int_equal(plan_interval(plan, &query, 0)->verdict, FENCE_DENY);
    assert_int_equal(plan_interval(plan, &query, 0)->reason, FENCE_REASON_NOT_APPLIED);
    fence_plan_free(&plan);
    lab_done(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pods_that_own_no_address),
        cmocka_unit_test(test_disputed_address),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_blocks_of_both_families),
        cmocka_unit_test(test_nodes_class_in_a_wide_block),
        cmocka_unit_test(test_system_labels),
        cmocka_unit_test(test_names_are_never_glued),
        cmocka_unit_test(test_named_ports_make_peers),
        cmocka_unit_test(test_same_world_same_content),
        cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_more_ends_than_are_followed),
        cmocka_unit_test(test_a_set_too_large_closes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

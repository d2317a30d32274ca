/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf/deferred.bpf.h as far as a packet that nobody tracks shows it: what the sender's hook lets
 * pass, and what may not leave untranslated. Translated ones are e2e.mixed's.
 */
#include <netinet/in.h>
#include <stdlib.h>

#include "test/bpf/lab.h"
#include "test/cmocka.h"

/* TCP 80 of the service has backends of both kinds; nothing else of it is allowed. */
static void put_service(unsigned int peer)
{
    static const struct lab_interval intervals[] = {
        {0, FENCE_DENY, FENCE_REASON_NO_RULE, 0},
        {FENCE_POSITION(IPPROTO_TCP, 80), FENCE_DEFER, FENCE_REASON_SERVICE_MIXED, 0},
        {FENCE_POSITION(IPPROTO_TCP, 81), FENCE_DENY, FENCE_REASON_NO_RULE, 0},
    };

    lab_service_add();
    lab_endpoint_is_local();
    lab_table(LAB_SET_STRICT, peer, FENCE_EGRESS, intervals, 3);
    lab_raise_epoch();
}

static struct fence_packet asks(struct fence_addr addr, unsigned int port)
{
    struct fence_packet packet = lab_packet(FENCE_EGRESS, addr, IPPROTO_TCP, 40000, port);

    packet.tcp_flags = FENCE_TCP_SYN;
    return packet;
}

static struct fence_packet goes_on(struct fence_addr addr, enum fence_direction direction)
{
    int egress = direction == FENCE_EGRESS;
    struct fence_packet packet =
        lab_packet(direction, addr, IPPROTO_TCP, egress ? 40000 : 80, egress ? 80 : 40000);

    packet.tcp_flags = FENCE_TCP_ACK;
    return packet;
}

static void test_refused_where_nobody_judges_later(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        lab_reset();
        put_service(LAB_PEER_SERVICE);
        lab_expect("a mixed service", lab_run(FENCE_EGRESS, asks(lab_service(family), 80)), false,
                   FENCE_REASON_SERVICE_MIXED);
        lab_expect("another port of it", lab_run(FENCE_EGRESS, asks(lab_service(family), 81)),
                   false, FENCE_REASON_NO_RULE);
        lab_expect("a device", lab_run_leaving(asks(lab_service(family), 80)), true,
                   FENCE_REASON_NONE);
    }
}

static void test_passes_where_somebody_does(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        lab_reset();
        put_service(LAB_PEER_SERVICE);
        lab_settings_flags(FENCE_SETTING_DEFER);
        lab_expect("SYN", lab_run(FENCE_EGRESS, asks(lab_service(family), 80)), true,
                   FENCE_REASON_SERVICE_DEFERRED);
        lab_expect("answer", lab_run(FENCE_INGRESS, goes_on(lab_service(family), FENCE_INGRESS)),
                   true, FENCE_REASON_ESTABLISHED);
        lab_expect("more", lab_run(FENCE_EGRESS, goes_on(lab_service(family), FENCE_EGRESS)), true,
                   FENCE_REASON_ESTABLISHED);
        lab_settings_flags(0);
        lab_expect("later, nobody judges",
                   lab_run(FENCE_EGRESS, goes_on(lab_service(family), FENCE_EGRESS)), false,
                   FENCE_REASON_SERVICE_MIXED);
        lab_expect("nor its answers",
                   lab_run(FENCE_INGRESS, goes_on(lab_service(family), FENCE_INGRESS)), false,
                   FENCE_REASON_SERVICE_MIXED);
    }
}

/* Another node's ports are translated there. */
static void test_only_what_is_translated_here(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        lab_reset();
        put_service(LAB_PEER_STRANGER);
        lab_settings_flags(FENCE_SETTING_DEFER);
        lab_expect("another node", lab_run(FENCE_EGRESS, asks(lab_stranger(family), 80)), false,
                   FENCE_REASON_SERVICE_MIXED);
        put_service(LAB_PEER_HOST);
        lab_expect("this node", lab_run(FENCE_EGRESS, asks(lab_host(family), 80)), true,
                   FENCE_REASON_SERVICE_DEFERRED);
    }
}

static void test_leaves_untranslated(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        struct fence_packet others = asks(lab_service(family), 80);

        lab_reset();
        put_service(LAB_PEER_SERVICE);
        lab_settings_flags(FENCE_SETTING_DEFER);
        lab_expect("to the service", lab_run_leaving(asks(lab_service(family), 80)), false,
                   FENCE_REASON_SERVICE_MIXED);
        lab_expect("the sender's hook denies it", lab_run_leaving(asks(lab_service(family), 81)),
                   true, FENCE_REASON_NONE);
        lab_expect("to the friend", lab_run_leaving(asks(lab_friend(family), 443)), true,
                   FENCE_REASON_NONE);
        others.source = lab_world(family);
        lab_expect("of nobody here", lab_run_leaving(others), true, FENCE_REASON_NONE);
    }
}

static void test_itself(void **state)
{
    (void)state;
    for (int family = 4; family <= 6; family += 2) {
        lab_reset();
        lab_endpoint_is_local();
        lab_use_set(LAB_SET_CLOSED);
        lab_expect(
            "through its own service",
            lab_run(FENCE_INGRESS, lab_packet(FENCE_INGRESS, lab_pod(family), IPPROTO_UDP, 1, 53)),
            true, FENCE_REASON_ITSELF);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_where_nobody_judges_later),
        cmocka_unit_test(test_passes_where_somebody_does),
        cmocka_unit_test(test_only_what_is_translated_here),
        cmocka_unit_test(test_leaves_untranslated),
        cmocka_unit_test(test_itself),
    };
    /* the daemon never lets the other object defer */
    size_t count = sizeof(tests) / sizeof(tests[0]);

    return _cmocka_run_group_tests("deferred", tests, getenv("LAB_PLAIN") ? 1 : count, lab_setup,
                                   lab_teardown);
}

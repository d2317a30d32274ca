/* SPDX-License-Identifier: Apache-2.0 */
/* Each rule: fires at its threshold and not below, clears, and whom it is about. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/memory.h"
#include "test/alarm/lab.h"
#include "test/cmocka.h"

static struct lab lab;

static const struct lab_packet denied = {.from = "shop/web", .to = "shop/db", .deny = true};
static const struct lab_packet allowed = {.from = "shop/web", .to = "shop/db"};

static const struct {
    const char *what;
    struct lab_packet like;
    unsigned int count, ms;
    const char *subject; /* NULL: no alarm */
} scans[] = {
    {"below the threshold", {.from = "shop/web", .to = "shop/db"}, 19, 10, NULL},
    {"at the threshold", {.from = "shop/web", .to = "shop/db"}, 20, 10, "shop/web"},
    {"refused", {.from = "shop/web", .to = "shop/db", .deny = true}, 20, 10, "shop/web"},
    {"as slow as it may be", {.from = "shop/web", .to = "shop/db"}, 20, 526, "shop/web"},
    {"slower than the window", {.from = "shop/web", .to = "shop/db"}, 40, 530, NULL},
    {"of an address", {.from = "shop/web", .to = "192.0.2.7"}, 20, 10, "shop/web"},
    {"UDP", {.from = "shop/web", .to = "shop/db", .protocol = IPPROTO_UDP}, 20, 10, "shop/web"},
    {"by another node's pod", {.from = "far/x", .to = "shop/db", .ingress = true}, 20, 10, "far/x"},
    {"from the world",
     {.from = "192.0.2.7", .to = "shop/db", .ingress = true, .deny = true},
     20,
     10,
     "world 192.0.2.7"},
    {"the node's own processes probe",
     {.from = "host", .to = "shop/db", .ingress = true},
     60,
     10,
     NULL},
    {"answers of a connection that was cut",
     {.from = "shop/db", .to = "shop/web", .deny = true, .flags_given = true, .tcp_flags = 0x18},
     60,
     10,
     NULL},
    {"resets",
     {.from = "shop/db", .to = "shop/web", .deny = true, .flags_given = true, .tcp_flags = 0x04},
     60,
     10,
     NULL},
    {"a scan without SYN",
     {.from = "shop/web", .to = "shop/db", .deny = true, .flags_given = true, .tcp_flags = 0x01},
     20,
     10,
     "shop/web"},
    {"no connection",
     {.from = "shop/web", .to = "shop/db", .deny = true, .reason = FENCE_REASON_NO_CONNECTION},
     60,
     10,
     NULL},
    {"an established connection's end",
     {.from = "shop/web", .to = "shop/db", .deny = true, .type = FENCE_EVENT_CUT},
     60,
     10,
     NULL},
    {"ports of ICMP are types", /* of which only echo counts */
     {.from = "shop/web", .to = "shop/db", .protocol = IPPROTO_ICMP},
     60,
     10,
     NULL},
};

static void test_port_scan(void **state)
{

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(scans); i++) {
        const struct fence_alarm *alarm;

        lab_init(&lab, NULL);
        lab_scan(&lab, &scans[i].like, scans[i].count, scans[i].ms);
        if ((lab_seen(&lab, FENCE_ALARM_PORT_SCAN, FENCE_ALARM_RAISED) != 0) !=
            (scans[i].subject != NULL))
            fail_msg("%s", scans[i].what);
        alarm = scans[i].subject ? lab_alarm(&lab, FENCE_ALARM_PORT_SCAN, scans[i].subject) : NULL;
        if (scans[i].subject)
            assert_non_null(alarm);
        lab_done(&lab);
    }
}

/* Datagrams from a service's port to high ones are what a cut leaves of its answers. */
static void test_answers_of_datagrams(void **state)
{
    struct lab_packet packet = {.from = "shop/dns",
                                .to = "shop/web",
                                .protocol = IPPROTO_UDP,
                                .source_port = 53,
                                .deny = true};

    (void)state;
    lab_init(&lab, NULL);
    for (unsigned int i = 0; i < 60; i++) {
        packet.port = 40000 + i;
        lab_packet(&lab, &packet);
    }
    assert_int_equal(lab.count, 0);
    lab_done(&lab);
}

static void test_port_scan_goes_on_and_clears(void **state)
{
    const struct fence_alarm *alarm;

    (void)state;
    lab_init(&lab, NULL);
    lab_scan(&lab, &denied, 300, 10);
    assert_int_equal(lab_seen(&lab, FENCE_ALARM_PORT_SCAN, FENCE_ALARM_RAISED), 1);
    alarm = lab_alarm(&lab, FENCE_ALARM_PORT_SCAN, "shop/web");
    assert_int_equal(alarm->count, 20 + 280);
    assert_string_equal(alarm->peer, "shop/db");
    assert_string_equal(alarm->who->pod, "web-0");
    assert_string_equal(alarm->who->app, "web");
    assert_int_equal(alarm->severity, FENCE_ALARM_CRITICAL);
    assert_true(alarm->first_ns < alarm->last_ns);
    assert_non_null(strstr(alarm->evidence, "ports of shop/db tried within 10 s"));
    assert_non_null(strstr(alarm->evidence, "/TCP, refused"));
    lab_pass(&lab, 59);
    assert_non_null(lab_alarm(&lab, FENCE_ALARM_PORT_SCAN, "shop/web"));
    lab_pass(&lab, 2);
    assert_null(lab_alarm(&lab, FENCE_ALARM_PORT_SCAN, "shop/web"));
    assert_int_equal(lab_seen(&lab, FENCE_ALARM_PORT_SCAN, FENCE_ALARM_CLEARED), 1);
    lab_scan(&lab, &denied, 20, 10);
    assert_int_equal(lab_seen(&lab, FENCE_ALARM_PORT_SCAN, FENCE_ALARM_RAISED), 2);
    lab_done(&lab);
}

/* Both hooks of this node tell of an allowed attempt: it counts once, for the sender. */
static void test_both_hooks(void **state)
{
    struct lab_packet packet = allowed;

    (void)state;
    lab_init(&lab, NULL);
    for (unsigned int i = 0; i < 20; i++) {
        packet.port = 1000 + i;
        packet.ingress = false;
        lab_packet(&lab, &packet);
        packet.ingress = true;
        packet.deny = true;
        lab_packet(&lab, &packet);
        packet.deny = false;
    }
    assert_int_equal(lab_seen(&lab, FENCE_ALARM_PORT_SCAN, FENCE_ALARM_RAISED), 1);
    assert_non_null(lab_alarm(&lab, FENCE_ALARM_PORT_SCAN, "shop/web"));
    lab_done(&lab);
}

/* Peers in turns: each has its own ports, and the way round them is fan-out. */
static void test_port_scan_in_turns(void **state)
{
    (void)state;
    lab_init(&lab, NULL);
    for (unsigned int port = 0; port < 20; port++)
        for (unsigned int i = 0; i < 31; i++) {
            char to[32];

            snprintf(to, sizeof(to), "10.0.0.%u", i + 1);
            lab_packet(&lab, &(struct lab_packet){.from = "shop/web", .to = to, .port = port + 1});
            lab.now_ms += 1;
        }
    assert_int_equal(lab_seen(&lab, FENCE_ALARM_PORT_SCAN, FENCE_ALARM_RAISED), FENCE_ALARM_ALIKE);
    assert_int_equal(lab_seen(&lab, FENCE_ALARM_FAN_OUT, FENCE_ALARM_RAISED), 0);
    /* the others are counted into the last */
    assert_int_equal(fence_alarm_counts(lab.engine)->crowded, 31 - FENCE_ALARM_ALIKE);
    lab_done(&lab);
}

static void test_fan_out(void **state)
{
    (void)state;
    lab_init(&lab, NULL);
    lab_fan(&lab, "shop/web", 31, 10);
    assert_int_equal(lab.count, 0);
    lab_done(&lab);

    lab_init(&lab, NULL);
    lab_fan(&lab, "shop/web", 32, 10);
    assert_int_equal(lab_seen(&lab, FENCE_ALARM_FAN_OUT, FENCE_ALARM_RAISED), 1);
    lab_done(&lab);

    lab_init(&lab, NULL);
    lab_fan(&lab, "shop/web", 100, 330); /* never more than 31 within 10 s */
    assert_int_equal(lab.count, 0);
    lab_done(&lab);
}

/* Who always has many peers is told while learning, once, and then only for twice as many. */
static void test_fan_out_learns(void **state)
{
    (void)state;
    lab_init(&lab, "learningWindow: 1h");
    for (unsigned int i = 0; i < 360; i++) {
        lab_fan(&lab, "shop/prometheus", 40, 10);
        lab_pass(&lab, 10);
    }
    assert_int_equal(lab_seen(&lab, FENCE_ALARM_FAN_OUT, FENCE_ALARM_RAISED), 1);
    assert_int_equal(lab_seen(&lab, FENCE_ALARM_FAN_OUT, FENCE_ALARM_CLEARED), 1);
    lab_fan(&lab, "shop/prometheus", 70, 10);
    lab_pass(&lab, 10);
    assert_int_equal(lab_seen(&lab, FENCE_ALARM_FAN_OUT, FENCE_ALARM_RAISED), 1);
    for (unsigned int i = 0; i < 40; i++) { /* it lasts, and is not learned: learning is over */
        lab_fan(&lab, "shop/prometheus", 150, 10);
        lab_pass(&lab, 10);
    }
    assert_int_equal(lab_seen(&lab, FENCE_ALARM_FAN_OUT, FENCE_ALARM_RAISED), 2);
    assert_non_null(lab_alarm(&lab, FENCE_ALARM_FAN_OUT, "shop/prometheus"));
    lab_done(&lab);
}

static void test_refused_burst(void **state)
{
    struct lab_packet packet = denied;

    (void)state;
    packet.port = 5432;
    lab_init(&lab, NULL);
    for (unsigned int i = 0; i < 49; i++)
        lab_packet(&lab, &packet);
    assert_int_equal(lab.count, 0);
    lab_packet(&lab, &packet);
    assert_int_equal(lab_seen(&lab, FENCE_ALARM_REFUSED_BURST, FENCE_ALARM_RAISED), 1);
    assert_non_null(strstr(lab.changes[0].evidence,
                           "50 packets refused within 10 s, the last one to shop/db, port "
                           "5432/TCP: no-rule"));
    lab_pass(&lab, 62);
    assert_int_equal(lab_seen(&lab, FENCE_ALARM_REFUSED_BURST, FENCE_ALARM_CLEARED), 1);
    /* what the kernel left out counts, by a record of its own type too */
    packet.suppressed = 48;
    lab_packet(&lab, &packet);
    assert_int_equal(lab_seen(&lab, FENCE_ALARM_REFUSED_BURST, FENCE_ALARM_RAISED), 1);
    packet.suppressed = 1;
    packet.type = 9;
    lab_packet(&lab, &packet);
    assert_int_equal(lab_seen(&lab, FENCE_ALARM_REFUSED_BURST, FENCE_ALARM_RAISED), 2);
    lab_done(&lab);
}

/* Numbers of drops that were left out: those that nobody is known to have sent are nobody's. */
static void test_refused_sums(void **state)
{
    struct lab_packet sum = {
        .from = "", .to = "shop/db", .ingress = true, .deny = true, .type = FENCE_EVENT_SUPPRESSED};

    (void)state;
    lab_init(&lab, NULL);
    sum.suppressed = 1000;
    lab_packet(&lab, &sum);
    assert_int_equal(lab.count, 0);
    sum.from = "shop/web";
    sum.to = "";
    sum.ingress = false;
    lab_packet(&lab, &sum);
    assert_non_null(lab_alarm(&lab, FENCE_ALARM_REFUSED_BURST, "shop/web"));
    assert_non_null(strstr(lab.changes[0].evidence, "1000 packets refused within 10 s: no-rule"));
    lab_done(&lab);
}

/* Refused at the receiver's hook: the sender is to blame, on whichever node he is. */
static void test_refused_at_the_receiver(void **state)
{
    struct lab_packet packet = {.from = "shop/web", .to = "shop/db", .port = 80};

    (void)state;
    lab_init(&lab, NULL);
    lab_packet(&lab, &packet);
    packet.ingress = packet.deny = true;
    for (unsigned int i = 0; i < 50; i++)
        lab_packet(&lab, &packet);
    packet.from = "far/x";
    for (unsigned int i = 0; i < 50; i++)
        lab_packet(&lab, &packet);
    assert_int_equal(lab_alarm(&lab, FENCE_ALARM_REFUSED_BURST, "shop/web")->who->kind,
                     FENCE_ALARM_OF_WORKLOAD);
    assert_int_equal(lab_alarm(&lab, FENCE_ALARM_REFUSED_BURST, "far/x")->who->kind,
                     FENCE_ALARM_OF_OUTSIDE);
    assert_null(lab_alarm(&lab, FENCE_ALARM_REFUSED_BURST, "shop/db"));
    lab_done(&lab);
}

static void connect_often(unsigned int count)
{
    for (unsigned int i = 0; i < count; i++)
        lab_packet(&lab, &(struct lab_packet){.from = "shop/web", .to = "shop/db", .port = 5432});
}

static void test_rate(void **state)
{
    const struct fence_alarm *alarm;

    (void)state;
    lab_init(&lab, NULL);
    connect_often(1000); /* not warm: nothing to compare with */
    for (unsigned int i = 0; i < 70; i++) {
        lab_pass(&lab, 10);
        connect_often(40 + i % 3);
    }
    lab_pass(&lab, 10);
    assert_int_equal(lab.count, 0);
    connect_often(99); /* less than the least that is told */
    lab_pass(&lab, 10);
    assert_int_equal(lab.count, 0);
    connect_often(400);
    assert_int_equal(lab_seen(&lab, FENCE_ALARM_RATE, FENCE_ALARM_RAISED), 1);
    alarm = lab_alarm(&lab, FENCE_ALARM_RATE, "shop/web");
    assert_non_null(strstr(alarm->evidence, "new connections from it within 10 s, where "));
    for (unsigned int i = 0; i < 12; i++) {
        lab_pass(&lab, 10);
        connect_often(40);
    }
    assert_int_equal(lab_seen(&lab, FENCE_ALARM_RATE, FENCE_ALARM_CLEARED), 1);
    assert_int_equal(lab_seen(&lab, FENCE_ALARM_RATE, FENCE_ALARM_RAISED), 1);
    lab_done(&lab);
}

/* What swings widely is not told, and what has changed for good becomes usual in the end. */
static void test_rate_learns(void **state)
{
    (void)state;
    lab_init(&lab, NULL);
    for (unsigned int i = 0; i < 200; i++) {
        lab_pass(&lab, 10);
        connect_often(i % 2 ? 50 : 150);
    }
    assert_int_equal(lab.count, 0);
    for (unsigned int i = 0; i < 1000 && lab_seen(&lab, FENCE_ALARM_RATE, FENCE_ALARM_CLEARED) == 0;
         i++) {
        lab_pass(&lab, 10);
        connect_often(800);
    }
    assert_int_equal(lab_seen(&lab, FENCE_ALARM_RATE, FENCE_ALARM_RAISED), 1);
    assert_int_equal(lab_seen(&lab, FENCE_ALARM_RATE, FENCE_ALARM_CLEARED), 1);
    lab_done(&lab);
}

static void test_new_peer(void **state)
{
    static const struct {
        struct lab_packet packet;
        bool is_new;
    } rows[] = {
        {{.from = "shop/web", .to = "shop/db", .port = 5432}, false},
        {{.from = "shop/web", .to = "shop/db", .port = 5433}, true},
        {{.from = "shop/web", .to = "shop/db", .port = 5433}, false},
        {{.from = "shop/web", .to = "shop/cache", .port = 5432}, true},
        {{.from = "shop/web", .to = "shop/mail", .port = 25, .deny = true}, false},
        {{.from = "shop/web", .to = "shop/mail", .port = 25}, true},
        {{.from = "192.0.2.7", .to = "shop/web", .port = 80, .ingress = true}, false},
        {{.from = "192.0.2.99", .to = "shop/web", .port = 80, .ingress = true}, false},
        {{.from = "node/n2", .to = "shop/web", .port = 80, .ingress = true}, true},
        {{.from = "host", .to = "shop/web", .port = 8081, .ingress = true}, false},
        {{.from = "far/x", .to = "shop/web", .port = 80, .ingress = true}, true},
    };

    (void)state;
    lab_init(&lab, "{ learningWindow: 1h, rules: { new-peer: { quiet: 1s } } }");
    lab_packet(&lab, &rows[0].packet);
    lab_packet(&lab, &rows[6].packet);
    lab_pass(&lab, 3599);
    lab_packet(&lab, &(struct lab_packet){.from = "shop/web", .to = "shop/late", .port = 1});
    assert_int_equal(lab.count, 0);
    lab_pass(&lab, 2);
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        size_t before = lab_seen(&lab, FENCE_ALARM_NEW_PEER, FENCE_ALARM_RAISED);

        lab_packet(&lab, &rows[i].packet);
        if (lab_seen(&lab, FENCE_ALARM_NEW_PEER, FENCE_ALARM_RAISED) - before != rows[i].is_new)
            fail_msg("row %zu", i);
        lab_pass(&lab, 3);
    }
    /* a workload that came later learns for itself */
    lab_packet(&lab, &(struct lab_packet){.from = "shop/young", .to = "shop/db", .port = 5432});
    assert_null(lab_alarm(&lab, FENCE_ALARM_NEW_PEER, "shop/young"));
    lab_done(&lab);
}

/* Its own hook has told it; another node's is not asked here. */
static void test_new_peer_is_told_once(void **state)
{
    struct lab_packet packet = {.from = "shop/web", .to = "shop/db", .port = 80};

    (void)state;
    lab_init(&lab, "learningWindow: 1s");
    lab_packet(&lab, &packet);
    packet.ingress = true;
    lab_packet(&lab, &packet);
    lab_pass(&lab, 2);
    packet.port = 81;
    lab_packet(&lab, &packet);
    packet.ingress = false;
    lab_packet(&lab, &packet);
    assert_int_equal(lab.count, 1);
    assert_string_equal(lab.changes[0].subject, "shop/web");
    assert_string_equal(lab.changes[0].peer, "shop/db");
    lab_done(&lab);
}

/* Who has more peers than are kept is not told at all. */
static void test_new_peer_overflow(void **state)
{
    (void)state;
    lab_init(&lab, "{ learningWindow: 1h, rules: { fan-out: { enabled: false } } }");
    lab_fan(&lab, "shop/crawler", 129, 1000);
    lab_pass(&lab, 3600);
    lab_fan(&lab, "shop/crawler", 200, 1000);
    assert_int_equal(lab.count, 0);
    lab_done(&lab);
}

static void test_spoofing(void **state)
{
    static const unsigned int reasons[] = {
        FENCE_REASON_SPOOFED_MAC, FENCE_REASON_SPOOFED_ADDRESS,      FENCE_REASON_SPOOFED_ARP,
        FENCE_REASON_SPOOFED_ND,  FENCE_REASON_ROUTER_ADVERTISEMENT, FENCE_REASON_DHCP_SERVER,
        FENCE_REASON_MARTIAN,
    };
    struct lab_packet packet = {.from = "shop/web", .to = "world", .deny = true};

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(reasons); i++) {
        packet.reason = reasons[i];
        lab_init(&lab, NULL);
        lab_packet(&lab, &packet);
        lab_packet(&lab, &packet);
        assert_int_equal(lab.count, 0);
        lab_packet(&lab, &packet);
        assert_int_equal(lab.count, 1);
        assert_int_equal(lab.changes[0].rule, FENCE_ALARM_SPOOFING);
        assert_string_equal(lab.changes[0].subject, "shop/web");
        lab_pass(&lab, 602);
        assert_int_equal(lab_seen(&lab, FENCE_ALARM_SPOOFING, FENCE_ALARM_CLEARED), 1);
        lab_done(&lab);
    }
    /* towards a pod: that pod is not to blame, nor whom they pretend to be */
    packet = (struct lab_packet){.from = "192.0.2.7",
                                 .to = "shop/web",
                                 .deny = true,
                                 .ingress = true,
                                 .reason = FENCE_REASON_MARTIAN,
                                 .suppressed = 5};
    lab_init(&lab, NULL);
    lab_packet(&lab, &packet);
    assert_string_equal(lab.changes[0].subject, "world 192.0.2.7");
    lab_done(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_port_scan),
        cmocka_unit_test(test_answers_of_datagrams),
        cmocka_unit_test(test_port_scan_goes_on_and_clears),
        cmocka_unit_test(test_both_hooks),
        cmocka_unit_test(test_port_scan_in_turns),
        cmocka_unit_test(test_fan_out),
        cmocka_unit_test(test_fan_out_learns),
        cmocka_unit_test(test_refused_burst),
        cmocka_unit_test(test_refused_sums),
        cmocka_unit_test(test_refused_at_the_receiver),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_rate_learns),
        cmocka_unit_test(test_new_peer),
        cmocka_unit_test(test_new_peer_is_told_once),
        cmocka_unit_test(test_new_peer_overflow),
        cmocka_unit_test(test_spoofing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

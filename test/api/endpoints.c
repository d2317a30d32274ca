/* SPDX-License-Identifier: Apache-2.0 */
/* podfenced and endpoints, with the test in the plugin's place. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/api/api.h"
#include "lib/base/addr.h"
#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/datapath/endpoints.h"
#include "lib/datapath/probe.h"
#include "lib/net/links.h"
#include "test/api/process.h"

#define POD                                                                                        \
    "---\napiVersion: v1\nkind: Pod\nmetadata: { name: web-1, namespace: shop,\n"                  \
    "  labels: { app: web } }\nspec: { nodeName: n1 }\n"                                           \
    "status: { podIPs: [ { ip: 10.9.0.2 } ] }\n"
#define ISOLATE                                                                                    \
    "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"                                 \
    "metadata: { name: closed, namespace: shop }\n"                                                \
    "spec: { podSelector: { matchLabels: { app: web } }, policyTypes: [ Ingress, Egress ] }\n"

static const unsigned char pod_mac[6] = {2, 0, 0, 0, 9, 2};

struct lab {
    struct daemon_lab *daemon;
    struct fence_pins pins;
    __u32 ifindex;
};

static void run(const char *command)
{
    if (system(command) != 0)
        fail_msg("%s", command);
}

static int setup(void **state)
{
    struct lab *lab = calloc(1, sizeof(*lab));
    void *daemon = NULL;

    if (!lab || daemon_lab_setup(&daemon) < 0)
        return -1;
    lab->daemon = daemon;
    fence_pins_init(&lab->pins);
    run("ip link add fx0 type veth peer name fx1 && ip link set fx0 up && ip link set fx1 up");
    if (fence_link_index("fx0", &lab->ifindex) < 0)
        return -1;
    *state = lab;
    return 0;
}

static int teardown(void **state)
{
    struct lab *lab = *state;
    void *daemon = lab->daemon;

    fence_pins_close(&lab->pins);
    daemon_lab_teardown(&daemon);
    run("ip link del fx0 2>/dev/null; true");
    free(lab);
    return 0;
}

/* Start the daemon and open what it has pinned. */
static void start(struct lab *lab, const char *const *extra)
{
    struct fence_err err = {""};

    daemon_start(lab->daemon, extra);
    fence_pins_close(&lab->pins);
    if (fence_pins_open(lab->daemon->bpffs, &lab->pins, &err) < 0)
        fail_msg("%s", err.text);
}

/* What the plugin does on ADD, up to telling the daemon. */
static void put_endpoint(struct lab *lab, const char *labels, enum fence_label_source source)
{
    FENCE_CLOSE int lock = fence_endpoints_lock(&lab->pins, NULL);
    struct fence_endpoint_record record = {.ifindex = lab->ifindex};
    struct fence_err err = {""};

    assert_true(lock >= 0);
    record.endpoint.identity = FENCE_IDENTITY_PENDING;
    record.endpoint.flags = FENCE_EP_PENDING;
    record.endpoint.addr_count = 1;
    memcpy(record.endpoint.mac, pod_mac, sizeof(pod_mac));
    assert_int_equal(fence_addr_parse("10.9.0.2", &record.endpoint.addrs[0]), 0);
    record.info.created_ns = fence_clock_boot_ns();
    record.info.label_source = source;
    snprintf(record.info.ifname, sizeof(record.info.ifname), "eth0");
    snprintf(record.info.host_ifname, sizeof(record.info.host_ifname), "fx0");
    snprintf(record.info.container_id, sizeof(record.info.container_id), "c1");
    snprintf(record.info.namespace_name, sizeof(record.info.namespace_name), "shop");
    snprintf(record.info.pod, sizeof(record.info.pod), "web-1");
    snprintf(record.info.labels, sizeof(record.info.labels), "%s", labels);
    if (fence_endpoint_put(&lab->pins, &record, &err) < 0)
        fail_msg("%s", err.text);
}

static struct fence_endpoint endpoint(const struct lab *lab)
{
    struct fence_endpoint_record record;

    assert_int_equal(fence_endpoint_get(&lab->pins, lab->ifindex, &record), 0);
    return record.endpoint;
}

/* Connected, and waiting for the endpoint. */
static int wait_for_endpoint(const struct lab *lab)
{
    int fd = daemon_connect(lab->daemon);
    char text[160];

    snprintf(text, sizeof(text),
             "{\"op\":\"added\",\"ifindex\":%u,\"containerId\":\"c1\",\"ifname\":\"eth0\","
             "\"wait\":true}",
             lab->ifindex);
    assert_int_equal(daemon_tell(fd, text), 0);
    return fd;
}

/* The answer's "ok"; -1 when none came in time. */
static int answer(int fd, int timeout_ms)
{
    cJSON *message = NULL;
    int ok;

    if (fence_api_receive(fd, timeout_ms, &message, NULL) < 0)
        return -1;
    ok = (int)json_number(message, "ok");
    cJSON_Delete(message);
    return ok;
}

static void test_hold_is_answered(void **state)
{
    struct lab *lab = *state;
    FENCE_CLOSE int fd = -1;

    daemon_write(lab->daemon, "a.yaml", POD ISOLATE);
    start(lab, NULL);
    daemon_expect(lab->daemon, "ready", 1);
    put_endpoint(lab, "", FENCE_LABELS_NONE);
    fd = wait_for_endpoint(lab);
    assert_int_equal(answer(fd, 5000), 1);
    assert_int_equal(endpoint(lab).flags & FENCE_EP_PENDING, 0);
    assert_true(endpoint(lab).set > 0);
    assert_true(endpoint(lab).identity >= FENCE_IDENTITY_FIRST);
    daemon_expect(lab->daemon, "endpoints.enforced", 1);
    daemon_expect(lab->daemon, "unresolved", 0);
}

static void test_hold_waits_for_the_pod_object(void **state)
{
    struct lab *lab = *state;
    FENCE_CLOSE int fd = -1;
    cJSON *status, *entry;

    start(lab, NULL);
    put_endpoint(lab, "", FENCE_LABELS_NONE);
    fd = wait_for_endpoint(lab);
    assert_int_equal(answer(fd, 300), -1);
    status = daemon_status(lab->daemon);
    assert_int_equal(json_number(status, "endpoints.pending"), 1);
    entry = cJSON_GetArrayItem(cJSON_GetObjectItem(status, "unresolved"), 0);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(entry, "endpoint")), "shop/web-1");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(entry, "state")), "pending");
    cJSON_Delete(status);
    daemon_write(lab->daemon, "a.yaml", POD);
    assert_int_equal(answer(fd, 5000), 1);
    assert_int_equal(endpoint(lab).flags & FENCE_EP_PENDING, 0);
}

struct labels_case {
    const char *labels;
    enum fence_label_source source;
    const char *option;
    bool resolved;
    int problems;
};

static const struct labels_case labels_cases[] = {
    {"app=web", FENCE_LABELS_ARGS, NULL, true, 0},
    {"", FENCE_LABELS_ARGS, NULL, true, 0},
    {"", FENCE_LABELS_NONE, NULL, false, 0},
    {"app=web", FENCE_LABELS_ANNOTATION, NULL, false, 0},
    {"app=web", FENCE_LABELS_ANNOTATION, "--labels-from-annotations", true, 0},
    {"nonsense", FENCE_LABELS_ARGS, NULL, false, 1},
    {"tier=db", FENCE_LABELS_ARGS, "--required-label=app", false, 0},
    {"app=web", FENCE_LABELS_ARGS, "--required-label=app", true, 0},
};

static void test_label_sources(void **state)
{
    struct lab *lab = *state;

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(labels_cases); i++) {
        const struct labels_case *row = &labels_cases[i];
        const char *const extra[] = {row->option, NULL};
        FENCE_CLOSE int fd = -1;

        print_message("row %zu\n", i);
        start(lab, extra);
        put_endpoint(lab, row->labels, row->source);
        fd = wait_for_endpoint(lab);
        assert_int_equal(answer(fd, row->resolved ? 5000 : 200), row->resolved ? 1 : -1);
        daemon_expect(lab->daemon, "endpoints.enforced", row->resolved);
        daemon_expect(lab->daemon, "problems", row->problems);
        assert_int_equal(daemon_stop(lab->daemon, SIGTERM), 0);
    }
}

/* kill -9 at rest, and a start without anything new, leave every byte as it was. */
static void test_restart_changes_nothing(void **state)
{
    struct lab *lab = *state;
    struct fence_endpoint before, after;
    FENCE_CLOSE int fd = -1;

    daemon_write(lab->daemon, "a.yaml", POD ISOLATE);
    start(lab, NULL);
    put_endpoint(lab, "", FENCE_LABELS_NONE);
    fd = wait_for_endpoint(lab);
    assert_int_equal(answer(fd, 5000), 1);
    before = endpoint(lab);
    daemon_stop(lab->daemon, SIGKILL);
    start(lab, NULL);
    daemon_expect(lab->daemon, "endpoints.enforced", 1);
    daemon_expect(lab->daemon, "lastApply.writes", 0);
    after = endpoint(lab);
    assert_memory_equal(&before, &after, sizeof(before));
}

/* Without the folder that its policy came from, the last good objects count; without those too,
 * nothing is touched. */
static void test_missing_folder_loosens_nothing(void **state)
{
    struct lab *lab = *state;
    struct fence_endpoint before, after;
    FENCE_CLOSE int fd = -1;
    char folder[128], kept[128];

    daemon_write(lab->daemon, "a.yaml", POD ISOLATE);
    start(lab, NULL);
    put_endpoint(lab, "", FENCE_LABELS_NONE);
    fd = wait_for_endpoint(lab);
    assert_int_equal(answer(fd, 5000), 1);
    before = endpoint(lab);
    daemon_stop(lab->daemon, SIGKILL);
    snprintf(folder, sizeof(folder), "%s.away", lab->daemon->objects);
    snprintf(kept, sizeof(kept), "%s.away", lab->daemon->state);
    assert_int_equal(rename(lab->daemon->objects, folder), 0);

    start(lab, NULL);
    daemon_expect(lab->daemon, "ready", 0);
    daemon_expect(lab->daemon, "objects.NetworkPolicy", 1);
    daemon_expect(lab->daemon, "applies", 1);
    daemon_expect(lab->daemon, "lastApply.writes", 0);
    daemon_stop(lab->daemon, SIGKILL);

    assert_int_equal(rename(lab->daemon->state, kept), 0);
    start(lab, NULL);
    daemon_expect(lab->daemon, "ready", 0);
    daemon_expect(lab->daemon, "applies", 0);
    after = endpoint(lab);
    assert_memory_equal(&before, &after, sizeof(before));
    assert_int_equal(rename(folder, lab->daemon->objects), 0);
    daemon_expect(lab->daemon, "ready", 1);
    daemon_expect(lab->daemon, "lastApply.writes", 0);
}

static void test_removed(void **state)
{
    struct lab *lab = *state;
    FENCE_CLOSE int fd = -1;
    int lock;

    daemon_write(lab->daemon, "a.yaml", POD);
    start(lab, NULL);
    put_endpoint(lab, "", FENCE_LABELS_NONE);
    fd = wait_for_endpoint(lab);
    assert_int_equal(answer(fd, 5000), 1);
    lock = fence_endpoints_lock(&lab->pins, NULL);
    assert_true(lock >= 0);
    assert_int_equal(fence_endpoint_remove(&lab->pins, lab->ifindex, NULL), 0);
    close(lock);
    assert_int_equal(
        daemon_tell(fd, "{\"op\":\"removed\",\"containerId\":\"c1\",\"ifname\":\"eth0\"}"), 0);
    daemon_expect(lab->daemon, "endpoints.total", 0);
}

static void test_vanished_interface(void **state)
{
    struct lab *lab = *state;
    struct fence_endpoint_record record;
    FENCE_CLOSE int fd = -1;

    daemon_write(lab->daemon, "a.yaml", POD);
    start(lab, NULL);
    put_endpoint(lab, "", FENCE_LABELS_NONE);
    fd = wait_for_endpoint(lab);
    assert_int_equal(answer(fd, 5000), 1);
    /* any change of links makes the daemon look, so it sees the interface first */
    run("ip link set fx0 down && ip link set fx0 up");
    sleep_ms(500);
    assert_int_equal(fence_endpoint_get(&lab->pins, lab->ifindex, &record), 0);
    run("ip link del fx0");
    daemon_expect(lab->daemon, "endpoints.total", 0);
    assert_int_equal(fence_endpoint_get(&lab->pins, lab->ifindex, &record), -ENOENT);
    assert_true(daemon_logged(lab->daemon, "removed the endpoint of shop/web-1"));
}

/* A daemon that never saw a pod's interface may be in the wrong network namespace. */
static void test_never_seen_interface_is_kept(void **state)
{
    struct lab *lab = *state;
    struct fence_endpoint_record record;

    daemon_write(lab->daemon, "a.yaml", POD);
    start(lab, NULL);
    daemon_stop(lab->daemon, SIGKILL);
    put_endpoint(lab, "", FENCE_LABELS_NONE);
    run("ip link del fx0");
    start(lab, NULL);
    daemon_expect(lab->daemon, "endpoints.total", 1);
    run("ip link add fx2 type veth peer name fx3 && ip link del fx2");
    sleep_ms(1000);
    assert_int_equal(fence_endpoint_get(&lab->pins, lab->ifindex, &record), 0);
}

/* The datagram was lost: found by the sweep. */
static void test_untold_endpoint_is_found(void **state)
{
    struct lab *lab = *state;

    daemon_write(lab->daemon, "a.yaml", POD);
    start(lab, NULL);
    daemon_expect(lab->daemon, "ready", 1);
    put_endpoint(lab, "", FENCE_LABELS_NONE);
    for (int i = 0; i < 150 && endpoint(lab).flags & FENCE_EP_PENDING; i++)
        sleep_ms(100);
    assert_int_equal(endpoint(lab).flags & FENCE_EP_PENDING, 0);
}

static void test_full_map_closes(void **state)
{
    struct lab *lab = *state;
    static const char *const extra[] = {"--map-size", "intervals=1", NULL};
    FENCE_CLOSE int fd = -1;
    cJSON *status;
    char *text;

    daemon_write(lab->daemon, "a.yaml", POD ISOLATE);
    start(lab, extra);
    put_endpoint(lab, "", FENCE_LABELS_NONE);
    fd = wait_for_endpoint(lab);
    assert_int_equal(answer(fd, 5000), 0);
    assert_int_equal(endpoint(lab).set, 0);
    assert_int_equal(endpoint(lab).flags & FENCE_EP_NOT_APPLIED, FENCE_EP_NOT_APPLIED);
    status = daemon_status(lab->daemon);
    assert_int_equal(json_number(status, "ready"), 0);
    assert_int_equal(json_number(status, "endpoints.closed"), 1);
    assert_true(json_number(status, "lastApply.failures") > 0);
    text = cJSON_PrintUnformatted(cJSON_GetObjectItem(status, "failures"));
    assert_non_null(strstr(text, "intervals"));
    free(text);
    cJSON_Delete(status);
}

/* A Denylist that ends by itself: the set without it takes over, and is the daemon's word too. */
static void test_expiry(void **state)
{
    struct lab *lab = *state;
    const time_t end = time(NULL) + 3;
    struct fence_endpoint before;
    FENCE_CLOSE int fd = -1;
    char text[1024], when[32];
    struct tm parts;

    assert_non_null(gmtime_r(&end, &parts));
    assert_true(strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &parts) > 0);
    snprintf(text, sizeof(text),
             POD "---\napiVersion: podfence.io/v1alpha1\nkind: SegmentPolicy\n"
                 "metadata: { name: cut, namespace: shop }\nspec: { mode: Denylist,\n"
                 "  enforcement: Enforce, appliesTo: {}, ingress: [ {} ], expiresAt: %s }\n",
             when);
    daemon_write(lab->daemon, "a.yaml", text);
    start(lab, NULL);
    put_endpoint(lab, "", FENCE_LABELS_NONE);
    fd = wait_for_endpoint(lab);
    assert_int_equal(answer(fd, 5000), 1);
    before = endpoint(lab);
    assert_true(before.next[0].at_ns > fence_clock_boot_ns());
    assert_true(before.next[0].set != 0 && before.next[0].set != before.set);
    for (int i = 0; i < 500 && endpoint(lab).next[0].at_ns; i++)
        sleep_ms(10);
    assert_int_equal(endpoint(lab).set, before.next[0].set);
    assert_int_equal(endpoint(lab).next[0].set, 0);
    assert_true(fence_clock_wall_ns() / 1000000000 >= (__u64)end);
}

/* One packet through the program that the pod's traffic goes through. */
static void send_packet(const struct lab *lab)
{
    struct fence_packet packet = {.protocol = 17, .source_port = 1000, .destination_port = 53};
    unsigned char frame[FENCE_PACKET_MAX];
    struct fence_prog_context context = {.ifindex = lab->ifindex, .action = -1};
    struct fence_err err = {""};
    size_t size;

    memcpy(packet.source_mac, pod_mac, sizeof(pod_mac));
    packet.destination_mac[0] = 2;
    assert_int_equal(fence_addr_parse("10.9.0.2", &packet.source), 0);
    assert_int_equal(fence_addr_parse("10.9.0.3", &packet.destination), 0);
    size = fence_packet_build(&packet, frame);
    if (fence_prog_run(lab->pins.progs[FENCE_PROG_FROM_POD], &context, frame, size, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(context.action, 2); /* TC_ACT_SHOT */
}

static void test_events_reach_observers(void **state)
{
    struct lab *lab = *state;
    FENCE_CLOSE int fd = -1;
    cJSON *event = NULL;
    int observer;
    char *text;

    daemon_write(lab->daemon, "a.yaml", POD ISOLATE);
    start(lab, NULL);
    put_endpoint(lab, "", FENCE_LABELS_NONE);
    fd = wait_for_endpoint(lab);
    assert_int_equal(answer(fd, 5000), 1);
    observer = daemon_connect(lab->daemon);
    assert_int_equal(daemon_tell(observer, "{\"op\":\"observe\"}"), 0);
    assert_int_equal(answer(observer, 5000), 1);
    daemon_expect(lab->daemon, "events.observers", 1);
    send_packet(lab);
    assert_int_equal(fence_api_receive(observer, 5000, &event, NULL), 0);
    text = cJSON_PrintUnformatted(event);
    print_message("%s\n", text);
    assert_non_null(strstr(text, "DROPPED"));
    assert_non_null(strstr(text, "\"pod_name\":\"web-1\""));
    assert_non_null(strstr(text, "10.9.0.3"));
    assert_non_null(strstr(text, "NetworkPolicy/shop/closed"));
    free(text);
    cJSON_Delete(event);
    close(observer);
    daemon_expect(lab->daemon, "events.observers", 0);
    daemon_expect(lab->daemon, "events.seen", 1);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_hold_is_answered),
        TEST(test_hold_waits_for_the_pod_object),
        TEST(test_label_sources),
        TEST(test_restart_changes_nothing),
        TEST(test_missing_folder_loosens_nothing),
        TEST(test_removed),
        TEST(test_vanished_interface),
        TEST(test_never_seen_interface_is_kept),
        TEST(test_untold_endpoint_is_found),
        TEST(test_full_map_closes),
        TEST(test_expiry),
        TEST(test_events_reach_observers),
    };

    if (!daemon_lab_enter())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

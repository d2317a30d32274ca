/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin and the daemon take turns: flock works on bpffs, across processes. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "test/cmocka.h"
#include "test/datapath/node.h"

#define MS 1000000ull

/* A process that holds the lock for this long, or until it is killed. Returns when it has it. */
static pid_t hold(const struct fence_pins *pins, unsigned int milliseconds)
{
    int ready[2];
    char byte;
    pid_t child;

    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int lock = fence_endpoints_lock(pins, NULL);

        if (lock < 0 || write(ready[1], "", 1) != 1)
            _exit(1);
        usleep(milliseconds * 1000);
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return child;
}

static void test_waits(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_err err = {{0}};
    __u64 began = fence_clock_boot_ns();
    pid_t child = hold(&pins, 200);
    int lock = fence_endpoints_lock(&pins, &err);

    (void)state;
    node_check(lock, &err);
    assert_true(fence_clock_boot_ns() - began >= 190 * MS);
    close(lock);
    waitpid(child, NULL, 0);
    fence_pins_close(&pins);
}

static void test_gives_up(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    pid_t child = hold(&pins, 30000);
    __u64 began = fence_clock_boot_ns();
    struct fence_err err = {{0}};
    __u64 took;

    (void)state;
    assert_int_equal(fence_endpoints_lock(&pins, &err), -ETIMEDOUT);
    took = fence_clock_boot_ns() - began;
    assert_in_range(took, MS * FENCE_LOCK_WAIT_MS, MS * FENCE_LOCK_WAIT_MS * 3);
    assert_non_null(strstr(err.text, pins.root));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    fence_pins_close(&pins);
}

/* Killed while it had the lock: the kernel gives it back. */
static void test_killed_holder(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    pid_t child = hold(&pins, 30000);
    struct fence_err err = {{0}};
    int lock;

    (void)state;
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    lock = fence_endpoints_lock(&pins, &err);
    node_check(lock, &err);
    close(lock);
    fence_pins_close(&pins);
}

/* Many processes, each a put with a slot of its own: no slot is given twice. */
static void test_contended(void **state)
{
    struct fence_pins pins = node_load(NULL, 0);
    struct fence_endpoint_list list = {0};
    unsigned int seen = 0;
    pid_t children[8];

    (void)state;
    for (unsigned int i = 0; i < FENCE_ARRAY_SIZE(children); i++) {
        children[i] = fork();
        if (children[i] == 0) {
            struct fence_endpoint_record record = {.ifindex = 100 + i};
            int lock = fence_endpoints_lock(&pins, NULL);

            _exit(lock < 0 || fence_endpoint_put(&pins, &record, NULL) < 0);
        }
    }
    for (unsigned int i = 0; i < FENCE_ARRAY_SIZE(children); i++) {
        int status = -1;

        waitpid(children[i], &status, 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(fence_endpoints_list(&pins, &list, NULL), 0);
    for (size_t i = 0; i < list.count; i++)
        seen |= 1u << list.items[i].endpoint.slot;
    assert_int_equal(seen, 0x1fe);
    fence_endpoint_list_done(&list);
    fence_pins_close(&pins);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits),
        cmocka_unit_test(test_gives_up),
        cmocka_unit_test(test_killed_holder),
        cmocka_unit_test(test_contended),
    };

    return cmocka_run_group_tests(tests, node_setup, node_teardown);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf/pair.bpf.h: what is kept of two addresses is never older than its epoch, whenever it was
 * looked up. A writer changes maps while packets are judged, at any moment of their way; what it
 * has written is in force at the next packet and stays so, though nothing is written any more.
 */
#include <bpf/bpf.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "test/bpf/lab.h"
#include "test/cmocka.h"

#define ROUNDS 20000
#define ASKED  3 /* packets after each change */

enum { CHANGING = -1, REFUSED = 0, PASSES = 1 };

struct race {
    void (*disturb)(void); /* before each change */
    void (*write)(struct race *race, bool passes);
    struct fence_endpoint endpoint;
    unsigned char frame[FENCE_PACKET_MAX];
    size_t size;
    atomic_int expected; /* of any packet that starts now */
    atomic_uint asked;   /* packets since `expected` was set */
    atomic_bool over;
    unsigned int wrong;
};

/* So that the packet may be anywhere on its way when the write comes. */
static void wait_a_bit(unsigned int round)
{
    for (volatile unsigned int i = 0; i < round * 2654435761u % 2000; i++)
        ;
}

static void *change(void *context)
{
    struct race *race = context;

    for (unsigned int round = 0; round < ROUNDS; round++) {
        bool passes = round % 2;

        atomic_store(&race->expected, CHANGING);
        race->disturb();
        wait_a_bit(round);
        race->write(race, passes);
        atomic_store(&race->asked, 0);
        atomic_store(&race->expected, passes ? PASSES : REFUSED);
        while (atomic_load(&race->asked) < ASKED)
            ;
    }
    atomic_store(&race->over, true);
    return NULL;
}

static void run(struct race *race, struct fence_packet packet)
{
    pthread_t writer;

    race->size = fence_packet_build(&packet, race->frame);
    atomic_store(&race->expected, CHANGING);
    assert_int_equal(pthread_create(&writer, NULL, change, race), 0);
    while (!atomic_load(&race->over)) {
        int expected = atomic_load(&race->expected);
        bool passed = lab_run_quietly(FENCE_EGRESS, race->frame, race->size);

        if (expected == CHANGING || atomic_load(&race->expected) != expected)
            continue;
        race->wrong += passed != (expected == PASSES);
        atomic_fetch_add(&race->asked, 1);
    }
    pthread_join(writer, NULL);
    assert_int_equal(race->wrong, 0);
}

static void write_set(struct race *race, bool passes)
{
    race->endpoint.set = passes ? LAB_SET_STRICT : LAB_SET_CLOSED;
    lab_endpoint_write(&race->endpoint);
}

static void test_endpoint(void **state)
{
    struct race race = {.disturb = lab_raise_epoch, .write = write_set};

    (void)state;
    lab_reset();
    race.endpoint = lab_endpoint();
    run(&race, lab_packet(FENCE_EGRESS, lab_friend(4), IPPROTO_UDP, 40000, 443));
}

static void write_settings(struct race *race, bool passes)
{
    (void)race;
    lab_settings_flags(passes ? 0 : FENCE_SETTING_ADDRESSES_INCOMPLETE);
}

static void test_settings(void **state)
{
    struct race race = {.disturb = lab_raise_epoch, .write = write_settings};

    (void)state;
    lab_reset();
    lab_table_plain(LAB_SET_STRICT, LAB_PEER_WORLD, FENCE_EGRESS, FENCE_ALLOW);
    run(&race, lab_packet(FENCE_EGRESS, lab_world(6), IPPROTO_UDP, 1, 2));
}

/* Packets find that what they know is still good. */
static void raise_anothers(void)
{
    lab_raise_epoch_of(lab_stranger(4));
}

static void write_address(struct race *race, bool passes)
{
    struct fence_addr peer = lab_friend(4);
    __u32 number = passes ? LAB_PEER_FRIEND : LAB_PEER_STRANGER;

    (void)race;
    assert_int_equal(bpf_map_update_elem(lab_map(FENCE_MAP_ADDRESSES), &peer, &number, 0), 0);
    lab_raise_epoch_of(peer);
}

static void test_address(void **state)
{
    struct race race = {.disturb = raise_anothers, .write = write_address};

    (void)state;
    lab_reset();
    run(&race, lab_packet(FENCE_EGRESS, lab_friend(4), IPPROTO_UDP, 40000, 443));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_endpoint),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_address),
    };

    return cmocka_run_group_tests_name("bpf.epoch", tests, lab_setup, lab_teardown);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/slots.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "test/cmocka.h"

#define COUNT 1000

struct item {
    struct fence_slot_entry slot;
    char text[16];
};

static struct item items[COUNT];

static struct fence_slot_key key_of(const char *text)
{
    return (struct fence_slot_key){text, strlen(text), offsetof(struct item, text)};
}

static void add(struct fence_slots *slots, unsigned int number)
{
    struct fence_slot_key key;

    snprintf(items[number].text, sizeof(items[number].text), "item %u", number);
    key = key_of(items[number].text);
    assert_null(fence_slots_find(slots, &key));
    assert_int_equal(fence_slots_add(slots, &items[number].slot, &key), 0);
}

static void expect(const struct fence_slots *slots, unsigned int number, bool there)
{
    char text[16];
    struct fence_slot_key key;

    snprintf(text, sizeof(text), "item %u", number);
    key = key_of(text);
    assert_ptr_equal(fence_slots_find(slots, &key), there ? &items[number].slot : NULL);
}

static size_t walk(const struct fence_slots *slots)
{
    size_t position = 0, seen = 0;

    while (fence_slots_next(slots, &position))
        seen++;
    return seen;
}

/* Two thirds go and come again, so that searches go on behind those that went. */
static void test_come_and_go(void **state)
{
    struct fence_slots slots = {0};

    (void)state;
    expect(&slots, 1, false);
    for (unsigned int i = 0; i < COUNT; i++)
        add(&slots, i);
    for (unsigned int round = 0; round < 20; round++) {
        for (unsigned int i = 0; i < COUNT; i++)
            if (i % 3)
                fence_slots_remove(&slots, &items[i].slot);
        for (unsigned int i = 0; i < COUNT; i++)
            expect(&slots, i, i % 3 == 0);
        assert_int_equal(walk(&slots), slots.count);
        for (unsigned int i = 0; i < COUNT; i++)
            if (i % 3)
                add(&slots, i);
        assert_int_equal(walk(&slots), COUNT);
        assert_true(slots.size <= 4096);
    }
    for (unsigned int i = 0; i < COUNT; i++)
        fence_slots_remove(&slots, &items[i].slot);
    assert_int_equal(slots.size, 0);
    expect(&slots, 1, false);
}

static void test_no_bytes(void **state)
{
    static const struct fence_slot_key key = {"", 0, offsetof(struct item, text)};
    struct fence_slots slots = {0};

    (void)state;
    assert_int_equal(fence_slots_add(&slots, &items[0].slot, &key), 0);
    assert_ptr_equal(fence_slots_find(&slots, &key), &items[0].slot);
    fence_slots_done(&slots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_come_and_go),
        cmocka_unit_test(test_no_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

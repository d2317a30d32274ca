/* SPDX-License-Identifier: Apache-2.0 */
/* The book over a restart. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/addr.h"
#include "lib/base/memory.h"
#include "test/flows/world.h"

#define BOOT "boot-1 /sys/fs/bpf/podfence"

/* The daemon ends and begins again. */
static void restart(struct world *world, const char *boot)
{
    size_t size = 0;
    FENCE_FREE char *text = fence_flow_book_save(world->book, BOOT, &size);
    struct fence_err err = {""};

    assert_non_null(text);
    assert_int_equal(strlen(text), size);
    fence_flow_book_free(&world->book);
    if (fence_flow_book_load(text, boot, &world->book, &err) < 0)
        fail_msg("%s", err.text);
}

static void test_goes_on(void **state)
{
    struct world *world = *state;
    const struct fence_flow_key key = world_key(300, 301, 80);
    struct fence_flow_seen seen;

    world_count(world, &key)->flow.rule = 7;
    world_count(world, &key);
    world_look(world, 1);
    restart(world, BOOT);
    seen = world_flow(world, "web", 80);
    assert_int_equal(seen.count, 2);
    assert_string_equal(seen.rule.policy, "NetworkPolicy/shop/api-in");
    assert_int_equal(seen.rule.index, 2);
    assert_string_equal(seen.destination.labels, "app=api,tier=back");
    assert_true(seen.first_ns == (WALL + 10) * SECOND);
    assert_true(fence_flow_book_since(world->book) == WALL * SECOND);
    world_look(world, 1); /* the same entries are there: nothing is counted twice */
    assert_int_equal(world_flow(world, "web", 80).count, 2);
    world_count(world, &key); /* while the daemon was dead, say */
    world_look(world, 1);
    assert_int_equal(world_flow(world, "web", 80).count, 3);
    assert_int_equal(fence_flow_book_losses(world->book).vanished, 0);
}

/* The number went to somebody else while there was no daemon. */
static void test_a_number_is_somebody_else(void **state)
{
    struct world *world = *state;
    const struct fence_flow_key key = world_key(300, 301, 80);
    const struct fence_flow_end job = world_workload("job", "app=job");

    world_count(world, &key);
    world_look(world, 1);
    restart(world, BOOT);
    world_name(world, 300, &job);
    world_count(world, &key);
    world_look(world, 1);
    assert_int_equal(world_flow(world, "web", 80).count, 1);
    assert_int_equal(world_flows(world), 1);
    assert_int_equal(fence_flow_book_losses(world->book).unnamed, 1);
}

/* After a boot the map begins at nothing, and numbers mean something else. */
static void test_another_boot(void **state)
{
    struct world *world = *state;
    const struct fence_flow_key key = world_key(300, 301, 80);

    world_count(world, &key);
    world_count(world, &key);
    world_look(world, 1);
    restart(world, "boot-2 /sys/fs/bpf/podfence");
    world_evict(world, &key);
    world->jiffies = 0;
    world_count(world, &key);
    world_look(world, 1);
    assert_int_equal(world_flow(world, "web", 80).count, 3);
    assert_int_equal(fence_flow_book_losses(world->book).vanished, 0);
}

/* What names may hold comes back byte for byte, and the file stays lines of JSON. */
static void test_hostile_names(void **state)
{
    static const char *const names[] = {
        "a\"b\\c",      "</script>", "line\nbreak",    "\033[31mred",
        "\u202egnirts", "日本語",    "{\"end\":true}", ""};
    struct world *world = *state;
    char longest[254];

    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    for (unsigned int i = 0; i <= FENCE_ARRAY_SIZE(names); i++) {
        const char *name = i < FENCE_ARRAY_SIZE(names) ? names[i] : longest;
        struct fence_flow_end end = {FENCE_FLOW_WORKLOAD, name, name, "app=x"};
        struct fence_flow_key key = world_key(500 + i, 301, (uint16_t)(100 + i));

        world_name(world, 500 + i, &end);
        world_count(world, &key);
    }
    world_look(world, 1);
    restart(world, BOOT);
    for (unsigned int i = 0; i <= FENCE_ARRAY_SIZE(names); i++) {
        const char *name = i < FENCE_ARRAY_SIZE(names) ? names[i] : longest;

        assert_string_equal(world_flow(world, name, (uint16_t)(100 + i)).source.namespace_name,
                            name);
    }
}

static void test_remotes_and_icmp(void **state)
{
    struct world *world = *state;
    const struct fence_flow_names names = world_names(world);
    struct fence_flow_key key = world_key(FENCE_IDENTITY_WORLD, 300, 8 << 8 | 3);
    struct fence_event event = {.type = FENCE_EVENT_VERDICT,
                                .identity = 300,
                                .peer_identity = FENCE_IDENTITY_WORLD,
                                .protocol = 1,
                                .direction = FENCE_INGRESS,
                                .destination_port = 8 << 8 | 3,
                                .verdict = FENCE_ALLOW,
                                .shadow = FENCE_DENY};
    struct fence_flow_seen seen;
    char text[FENCE_ADDR_TEXT];

    key.protocol = 1;
    key.shadow = FENCE_DENY;
    world_count(world, &key)->flow.shadow_rule = 8;
    world_look(world, 1);
    assert_int_equal(fence_addr_parse("198.51.100.9", &event.source), 0);
    assert_int_equal(fence_flow_book_remote(world->book, &event, &names), 0);
    restart(world, BOOT);
    seen = world_flow(world, "world", 8 << 8 | 3);
    assert_int_equal(seen.verdict, FENCE_FLOW_AUDIT);
    assert_int_equal(seen.audit_reason, FENCE_REASON_NO_RULE);
    assert_string_equal(seen.audit_rule.policy, "SegmentPolicy/shop/db");
    assert_int_equal(seen.remote_count, 1);
    assert_string_equal(fence_addr_format(&seen.remotes[0], text), "198.51.100.9");
    world_look(world, 1);
    assert_int_equal(world_flow(world, "world", 8 << 8 | 3).count, 1);
}

/* A file that was cut or damaged anywhere is refused as a whole, and says where. */
static void test_broken_files(void **state)
{
    struct world *world = *state;
    const struct fence_flow_key key = world_key(300, 301, 80);
    struct fence_flow_book *book = NULL;
    struct fence_err err = {""};
    size_t size = 0;

    world_count(world, &key);
    world_look(world, 1);
    FENCE_FREE char *text = fence_flow_book_save(world->book, BOOT, &size);
    assert_non_null(text);
    for (size_t i = 0; i < size - 14; i++) { /* up to the line that ends it */
        FENCE_FREE char *cut = strndup(text, i);

        assert_non_null(cut);
        if (fence_flow_book_load(cut, BOOT, &book, &err) == 0)
            fail_msg("cut at %zu it is read", i);
        assert_non_null(strstr(err.text, "line "));
    }
    for (size_t i = 0; i < size; i++) {
        char kept = text[i];

        text[i] = '\001'; /* no JSON has it; must not crash, and not leak */
        if (fence_flow_book_load(text, BOOT, &book, &err) == 0)
            fence_flow_book_free(&book);
        text[i] = kept;
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *text;
        const char *says;
    } rows[] = {
        {"", "line 1"},
        {"[]\n", "line 1"},
        {"{\"podfenceFlows\":2}\n", "format 1"},
        {"{\"podfenceFlows\":1,\"boot\":\"b\",\"since\":\"yesterday\",\"flows\":0}\n", "since"},
        {"{\"podfenceFlows\":1,\"boot\":\"b\",\"since\":\"2026-01-01T00:00:00Z\","
         "\"flows\":99999999}\n",
         "flows"},
        {"{\"podfenceFlows\":1,\"boot\":\"b\",\"since\":\"2026-01-01T00:00:00Z\",\"flows\":1}\n"
         "{\"source\":{\"kind\":\"ghost\"}}\n{\"end\":true}\n",
         "line 2: source"},
        {"{\"podfenceFlows\":1,\"boot\":\"b\",\"since\":\"2026-01-01T00:00:00Z\",\"flows\":0}\n"
         "[0,256,256,1,1,5]\n{\"end\":true}\n",
         "line 2"},
        {"{\"podfenceFlows\":1,\"boot\":\"b\",\"since\":\"2026-01-01T00:00:00Z\",\"flows\":0}\n",
         "end is missing"},
    };

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(rows); i++) {
        struct fence_flow_book *book = NULL;
        struct fence_err err = {""};

        assert_int_equal(fence_flow_book_load(rows[i].text, BOOT, &book, &err), -EINVAL);
        if (!strstr(err.text, rows[i].says))
            fail_msg("row %zu: %s", i, err.text);
        assert_null(book);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_goes_on, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_a_number_is_somebody_else, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_another_boot, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_hostile_names, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_remotes_and_icmp, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_broken_files, world_setup, world_teardown),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

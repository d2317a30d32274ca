/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/flows/book.h"

#include <netinet/in.h>
#include <stdio.h>

#include "lib/base/addr.h"
#include "test/flows/world.h"

static struct fence_flow_losses losses_of(const struct world *world)
{
    return fence_flow_book_losses(world->book);
}

static void expect_no_losses(const struct world *world)
{
    struct fence_flow_losses losses = losses_of(world);

    assert_int_equal(losses.pushed_out, 0);
    assert_int_equal(losses.unnamed, 0);
    assert_int_equal(losses.vanished, 0);
}

static void test_counts_what_is_new(void **state)
{
    struct world *world = *state;
    const struct fence_flow_key key = world_key(300, 301, 80);
    struct fence_flow_seen seen;

    world_count(world, &key)->flow.rule = 7;
    world_look(world, 1);
    world_look(world, 2);
    world_count(world, &key);
    world_count(world, &key);
    world_look(world, 2);
    seen = world_flow(world, "web", 80);
    assert_int_equal(seen.count, 3);
    assert_string_equal(seen.source.namespace_name, "shop");
    assert_string_equal(seen.destination.name, "api");
    assert_string_equal(seen.destination.labels, "app=api,tier=back");
    assert_int_equal(seen.verdict, FENCE_FLOW_FORWARDED);
    assert_int_equal(seen.reason, FENCE_REASON_RULE);
    assert_string_equal(seen.rule.policy, "NetworkPolicy/shop/api-in");
    assert_int_equal(seen.rule.index, 2);
    assert_string_equal(seen.audit_rule.policy, "");
    assert_true(seen.first_ns == (WALL + 10) * SECOND);
    assert_true(seen.last_ns == (WALL + 13) * SECOND);
    expect_no_losses(world);
}

static void test_verdicts_are_flows_of_their_own(void **state)
{
    struct world *world = *state;
    struct fence_flow_key dropped = world_key(300, 302, 5432), audit = world_key(301, 302, 5432);
    struct fence_flow_seen seen;

    dropped.verdict = dropped.shadow = FENCE_DENY;
    audit.shadow = FENCE_DENY;
    world_count(world, &dropped)->flow.rule = 8;
    world_count(world, &audit)->flow.shadow_rule = 8;
    world_look(world, 1);
    seen = world_flow(world, "web", 5432);
    assert_int_equal(seen.verdict, FENCE_FLOW_DROPPED);
    assert_string_equal(seen.rule.policy, "SegmentPolicy/shop/db");
    assert_int_equal(seen.rule.index, FENCE_RULE_NONE);
    seen = world_flow(world, "api", 5432);
    assert_int_equal(seen.verdict, FENCE_FLOW_AUDIT);
    assert_string_equal(seen.rule.policy, "");
    assert_string_equal(seen.audit_rule.policy, "SegmentPolicy/shop/db");
    assert_int_equal(seen.audit_reason, FENCE_REASON_NO_RULE);
}

/* Two identities of one name and the same labels, as after a change of the namespace's. */
static void test_adds_up_by_name(void **state)
{
    struct world *world = *state;
    const struct fence_flow_end web = world_workload("web", "app=web");
    const struct fence_flow_end other = world_workload("web", "app=web,version=2");
    const struct fence_flow_key a = world_key(300, 301, 80), b = world_key(310, 301, 80),
                                c = world_key(311, 301, 81);

    world_name(world, 310, &web);
    world_name(world, 311, &other);
    world_count(world, &a);
    world_count(world, &b);
    world_count(world, &c);
    world_look(world, 1);
    assert_int_equal(world_flow(world, "web", 80).count, 2);
    assert_string_equal(world_flow(world, "web", 81).source.labels, "app=web,version=2");
}

static void test_begins_anew(void **state)
{
    struct world *world = *state;
    const struct fence_flow_key key = world_key(300, 301, 80);

    for (unsigned int i = 0; i < 5; i++)
        world_count(world, &key);
    world_look(world, 1);
    /* less than before */
    world_evict(world, &key);
    world->jiffies += HZ;
    world_count(world, &key);
    world_look(world, 1);
    assert_int_equal(world_flow(world, "web", 80).count, 6);
    assert_int_equal(losses_of(world).vanished, 1);
    /* as many as before, and more, but begun after the last look */
    world_evict(world, &key);
    world->jiffies += HZ;
    for (unsigned int i = 0; i < 7; i++)
        world_count(world, &key);
    world_look(world, 1);
    assert_int_equal(world_flow(world, "web", 80).count, 13);
    assert_int_equal(losses_of(world).vanished, 2);
}

static void test_vanished(void **state)
{
    struct world *world = *state;
    const struct fence_flow_key key = world_key(300, 301, 80);
    struct world_entry entry;

    entry = *world_count(world, &key);
    world_look(world, 1);
    /* a walk that misses an entry once means nothing: it is not counted twice */
    world_evict(world, &key);
    world_look(world, 1);
    assert_int_equal(losses_of(world).vanished, 0);
    world->entries[world->entry_count++] = entry;
    world_look(world, 1);
    assert_int_equal(world_flow(world, "web", 80).count, 1);
    world_evict(world, &key);
    world_look(world, 1);
    world_look(world, 1);
    world_look(world, 1);
    assert_int_equal(losses_of(world).vanished, 1);
    assert_int_equal(world_flow(world, "web", 80).count, 1);
}

static void test_a_number_is_somebody_else(void **state)
{
    struct world *world = *state;
    const struct fence_flow_key key = world_key(300, 301, 80), fresh = world_key(300, 301, 81);
    const struct fence_flow_end job = world_workload("job", "app=job");

    world_count(world, &key);
    world_look(world, 1);
    world_count(world, &key); /* web's or job's: who knows */
    world_name(world, 300, &job);
    world_count(world, &fresh);
    world_look(world, 1);
    assert_int_equal(world_flow(world, "web", 80).count, 1);
    assert_int_equal(world_flows(world), 1);
    assert_int_equal(losses_of(world).unnamed, 2);
    world_count(world, &key);
    world_count(world, &fresh);
    world_look(world, 1);
    assert_int_equal(world_flow(world, "web", 80).count, 1);
    assert_int_equal(world_flow(world, "job", 80).count, 1);
    assert_int_equal(world_flow(world, "job", 81).count, 1);
}

static void test_a_number_is_nobody_any_more(void **state)
{
    struct world *world = *state;
    const struct fence_flow_key key = world_key(300, 301, 80), other = world_key(300, 301, 81),
                                unknown = world_key(999, 301, 82);

    world_count(world, &key);
    world_look(world, 1);
    world_count(world, &key);
    world_count(world, &other);
    world_unname(world, 300);
    world_count(world, &unknown);
    world_look(world, 1);
    assert_int_equal(world_flow(world, "web", 80).count, 2);
    assert_int_equal(world_flow(world, "web", 81).count, 1);
    assert_int_equal(losses_of(world).unnamed, 1);
    assert_int_equal(world_flows(world), 2);
}

/* A rule that has gone is not asked for again, and one that is unknown names nobody. */
static void test_rules(void **state)
{
    struct world *world = *state;
    const struct fence_flow_key key = world_key(300, 301, 80);

    world_count(world, &key)->flow.rule = 7;
    world_look(world, 1);
    world_count(world, &key)->flow.rule = 99;
    world_look(world, 1);
    assert_string_equal(world_flow(world, "web", 80).rule.policy, "NetworkPolicy/shop/api-in");
    world_count(world, &key)->flow.rule = 0;
    world_look(world, 1);
    assert_string_equal(world_flow(world, "web", 80).rule.policy, "");
}

static void look_at_ports(struct world *world, uint32_t source, unsigned int first,
                          unsigned int count)
{
    for (unsigned int i = first; i < first + count; i += WORLD_MAX) {
        world->entry_count = 0;
        for (unsigned int port = i; port < i + WORLD_MAX && port < first + count; port++) {
            const struct fence_flow_key key = world_key(source, 301, (uint16_t)port);

            world->entries[world->entry_count++] = (struct world_entry){
                .key = key,
                .flow = {.count = 1, .first_seen = world->jiffies, .last_seen = world->jiffies}};
        }
        world_look(world, 1);
    }
}

/* Who tries every port pushes out his own flows, not those of others. */
static void test_a_share_for_each_source(void **state)
{
    struct world *world = *state;

    look_at_ports(world, 302, 80, 1);
    look_at_ports(world, 300, 1, 60000);
    assert_int_equal(fence_flow_book_size(world->book), FENCE_FLOWS_SHARE + 1);
    assert_int_equal(losses_of(world).pushed_out, 60000 - FENCE_FLOWS_SHARE);
    assert_int_equal(world_flow(world, "db", 80).count, 1);
    assert_int_equal(world_flow(world, "web", 60000).count, 1);
}

static void test_the_longest_unseen_goes(void **state)
{
    struct world *world = *state;
    static char names[5][8];

    look_at_ports(world, 302, 80, 2);
    for (unsigned int i = 0; i < 4; i++) {
        struct fence_flow_end end;

        snprintf(names[i], sizeof(names[i]), "w%u", i);
        end = world_workload(names[i], "");
        world_name(world, 500 + i, &end);
        look_at_ports(world, 500 + i, 1, FENCE_FLOWS_SHARE - (i == 3 ? 2 : 0));
    }
    assert_int_equal(fence_flow_book_size(world->book), FENCE_FLOWS_MAX);
    assert_int_equal(losses_of(world).pushed_out, 0);
    look_at_ports(world, 300, 7, 1);
    assert_int_equal(fence_flow_book_size(world->book), FENCE_FLOWS_MAX);
    assert_int_equal(losses_of(world).pushed_out, 1);
    assert_int_equal(world_flow(world, "db", 81).count, 1); /* 80 went */
}

static void tell_from_world(struct world *world, const char *addr, uint32_t verdict)
{
    const struct fence_flow_names names = world_names(world);
    struct fence_event event = {
        .type = verdict == FENCE_DENY ? FENCE_EVENT_DROP : FENCE_EVENT_VERDICT,
        .identity = 300,
        .peer_identity = FENCE_IDENTITY_WORLD,
        .direction = FENCE_INGRESS,
        .protocol = IPPROTO_TCP,
        .destination_port = 443,
        .verdict = (uint8_t)verdict,
        .shadow = (uint8_t)verdict,
    };

    assert_int_equal(fence_addr_parse(addr, &event.source), 0);
    assert_int_equal(fence_flow_book_remote(world->book, &event, &names), 0);
}

static void test_addresses_of_the_world(void **state)
{
    struct world *world = *state;
    const struct fence_flow_key key = world_key(FENCE_IDENTITY_WORLD, 300, 443);
    struct fence_flow_key dropped = world_key(FENCE_IDENTITY_WORLD, 300, 80);
    struct fence_flow_seen seen;
    char text[FENCE_ADDR_TEXT];

    /* what is dropped is told, whoever listens */
    dropped.verdict = dropped.shadow = FENCE_DENY;
    world_count(world, &dropped);
    world_look(world, 1);
    assert_int_equal(world_flows(world), 1);
    assert_false(fence_flow_book_wants_remotes(world->book));
    tell_from_world(world, "192.0.2.7", FENCE_ALLOW); /* before the map was looked at */
    assert_int_equal(world_flows(world), 1);
    world_count(world, &key);
    world_look(world, 1);
    assert_true(fence_flow_book_wants_remotes(world->book));
    for (unsigned int i = 0; i < 20; i++) {
        snprintf(text, sizeof(text), "2001:db8::%x", i + 1);
        tell_from_world(world, text, FENCE_ALLOW);
        tell_from_world(world, text, FENCE_DENY);
    }
    seen = world_flow(world, "world", 443);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.remote_count, FENCE_FLOW_REMOTES);
    assert_string_equal(fence_addr_format(&seen.remotes[0], text), "192.0.2.7");
    assert_int_equal(seen.remotes_heard, 21);
    assert_int_equal(seen.remotes_omitted, 5);
    /* enough is known of it, or nobody comes any more: nothing to listen for */
    for (unsigned int i = 0; i < 300; i++)
        tell_from_world(world, "192.0.2.7", FENCE_ALLOW);
    world_count(world, &key);
    for (unsigned int i = 0; i < 20; i++)
        world_look(world, 1);
    assert_false(fence_flow_book_wants_remotes(world->book));
}

static int take_one(void *context, const struct fence_flow_seen *seen)
{
    uint16_t *port = context;

    assert_int_equal(*port, 0);
    *port = seen->port;
    return 0;
}

static void test_only_those_since(void **state)
{
    struct world *world = *state;
    const struct fence_flow_key old = world_key(300, 301, 80), fresh = world_key(300, 301, 81);
    uint16_t port = 0;

    world_count(world, &old);
    world->jiffies += 10 * HZ;
    world_count(world, &fresh);
    world_look(world, 1);
    assert_true(fence_flow_book_since(world->book) == WALL * SECOND);
    fence_flow_book_each(world->book, (WALL + 15) * SECOND, take_one, &port);
    assert_int_equal(port, 81);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_counts_what_is_new, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_verdicts_are_flows_of_their_own, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_adds_up_by_name, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_begins_anew, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_vanished, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_a_number_is_somebody_else, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_a_number_is_nobody_any_more, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_rules, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_a_share_for_each_source, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_the_longest_unseen_goes, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_addresses_of_the_world, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_only_those_since, world_setup, world_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

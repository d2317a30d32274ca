/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/watch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/memory.h"
#include "lib/kube/list.h"
#include "test/cmocka.h"
#include "test/kube/recorded.h"

/* What a reader was told. */
struct told {
    unsigned int types[FENCE_KUBE_ERROR + 1];
    unsigned int initial_ends;
    struct fence_hash all; /* of all objects, in order */
    char version[64];      /* of the last event */
    char message[256];
    long status;
    long retry_after_ms;
    bool cut;
};

static int on_event(void *context, struct fence_kube_event *event, struct fence_err *err)
{
    struct told *told = context;
    struct fence_hash hash = fence_hash_own(event->object, event->size);
    __u64 both[] = {told->all.words[0], told->all.words[1], hash.words[0], hash.words[1]};

    (void)err;
    assert_int_equal(strlen(event->object), event->size);
    told->all = fence_hash_own(both, sizeof(both));
    told->types[event->type]++;
    told->initial_ends += event->initial_end;
    snprintf(told->version, sizeof(told->version), "%s", event->version);
    snprintf(told->message, sizeof(told->message), "%s", event->message);
    told->status = event->status;
    told->retry_after_ms = event->retry_after_ms;
    return 0;
}

static const struct fence_kube_watch_ops ops = {.event = on_event};

static int read_pieces(const char *body, size_t size, const struct recorded_pieces *pieces,
                       struct told *told, struct fence_err *err)
{
    struct fence_kube_watch *watch;
    size_t at = 0, piece;
    int r = 0;

    memset(told, 0, sizeof(*told));
    assert_int_equal(fence_kube_watch_new(&ops, told, &watch), 0);
    for (size_t i = 0; r == 0 && at < size; i++) {
        piece = i < pieces->count && pieces->sizes[i] < size - at ? pieces->sizes[i] : size - at;
        r = fence_kube_watch_feed(watch, body + at, piece, err);
        at += piece;
    }
    told->cut = fence_kube_watch_is_cut(watch);
    fence_kube_watch_free(&watch);
    return r;
}

static const struct recorded_pieces whole = {.count = 0};

static const struct {
    const char *name;
    unsigned int types[FENCE_KUBE_ERROR + 1]; /* as in enum fence_kube_event_type */
    unsigned int initial_ends;
    bool cut;
} watches[] = {
    {"watch-pods-events", {1, 7, 1, 2, 0}, 0, false},
    {"watch-pods-quiet", {0}, 0, false},
    {"watch-pods-rv0", {4, 0, 0, 0, 0}, 0, false},
    {"watchlist-pods", {4, 1, 0, 3, 0}, 1, false},
    {"crd-watch-crd-deleted", {1, 0, 1, 1, 0}, 1, false},
    {"watch-server-killed", {1, 0, 0, 0, 0}, 0, true},
    {"watchlist-empty", {0, 0, 0, 1, 0}, 1, false},
    {"410-watch-after-restart", {0, 0, 0, 0, 1}, 0, false},
    {"watchlist-unsupported", {0, 0, 0, 0, 1}, 0, false},
};

static void check_pieces(const char *name, const char *body, size_t size)
{
    struct recorded_pieces pieces;
    struct told expected, told;

    assert_int_equal(read_pieces(body, size, &whole, &expected, NULL), 0);
    /* each split of the smaller ones, every fifth of the others: they take the time */
    for (size_t split = 0; split <= size; split += size < 6000 ? 1 : 5) {
        assert_int_equal(
            read_pieces(body, size, &(struct recorded_pieces){{split}, 1}, &told, NULL), 0);
        assert_memory_equal(&told, &expected, sizeof(told));
    }
    recorded_pieces(name, &pieces);
    assert_int_equal(read_pieces(body, size, &pieces, &told, NULL), 0);
    assert_memory_equal(&told, &expected, sizeof(told));
}

static void expect_types(size_t i, const struct told *told)
{
    for (unsigned int type = 0; type <= FENCE_KUBE_ERROR; type++)
        if (told->types[type] != watches[i].types[type])
            fail_msg("%s: %u events of type %u", watches[i].name, told->types[type], type);
}

static void counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(watches); i++) {
        size_t size;
        FENCE_FREE char *body = recorded_body(watches[i].name, &size);
        struct told told;

        assert_int_equal(read_pieces(body, size, &whole, &told, NULL), 0);
        expect_types(i, &told);
        assert_int_equal(told.initial_ends, watches[i].initial_ends);
        assert_int_equal(told.cut, watches[i].cut);
    }
}

static void every_split(void **state)
{
    static const char *const names[] = {
        "watch-pods-events",
        "watch-pods-node-a",
        "watch-pods-label",
        "watch-namespaces",
        "watch-networkpolicies",
        "watch-services",
        "watch-endpointslices",
        "watch-nodes",
        "watch-pods-norv",
        "watchlist-pods",
        "watchlist-pods-rv0",
        "watchlist-empty",
        "crd-watch",
        "crd-watch-crd-deleted",
        "watch-server-sigterm",
        "watch-server-killed",
        "watch-gzip",
        "410-watch-after-restart",
    };

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(names); i++) {
        size_t size;
        FENCE_FREE char *body = recorded_body(names[i], &size);

        check_pieces(names[i], body, size);
    }
}

static void byte_by_byte(void **state)
{
    size_t size;
    FENCE_FREE char *body = recorded_body("watch-pods-events", &size);
    struct fence_kube_watch *watch;
    struct told told = {0}, expected;

    (void)state;
    assert_int_equal(read_pieces(body, size, &whole, &expected, NULL), 0);
    assert_int_equal(fence_kube_watch_new(&ops, &told, &watch), 0);
    for (size_t at = 0; at < size; at++)
        assert_int_equal(fence_kube_watch_feed(watch, body + at, 1, NULL), 0);
    assert_memory_equal(&told, &expected, sizeof(told));
    fence_kube_watch_free(&watch);
}

/* A cut line is no event, at any byte. */
static void cut_anywhere(void **state)
{
    size_t size, lines = 0;
    FENCE_FREE char *body = recorded_body("watch-namespaces", &size);

    (void)state;
    for (size_t cut = 0; cut <= size; cut++) {
        struct told told;
        size_t events = 0;

        assert_int_equal(read_pieces(body, cut, &whole, &told, NULL), 0);
        lines += cut && body[cut - 1] == '\n';
        for (unsigned int type = 0; type <= FENCE_KUBE_ERROR; type++)
            events += told.types[type];
        assert_int_equal(events, lines);
        assert_int_equal(told.cut, cut && body[cut - 1] != '\n');
    }
}

static void errors(void **state)
{
    size_t size;
    FENCE_FREE char *body = recorded_body("410-watch-after-restart", &size);
    static const char retry[] =
        "\n{\"type\":\"ERROR\",\"object\":{\"code\":429,\"message\":\"slow\","
        "\"details\":{\"retryAfterSeconds\":7}}}\n\r\n";
    struct told told;

    (void)state;
    assert_int_equal(read_pieces(body, size, &whole, &told, NULL), 0);
    assert_int_equal(told.status, 410);
    assert_int_equal(told.retry_after_ms, -1);
    assert_non_null(strstr(told.message, "too old resource version"));
    assert_int_equal(read_pieces(retry, strlen(retry), &whole, &told, NULL), 0);
    assert_int_equal(told.status, 429);
    assert_int_equal(told.retry_after_ms, 7000);
    assert_string_equal(told.message, "slow");
    assert_false(told.cut);
}

static void refused(void **state)
{
    static const char *const texts[] = {
        "x\n",
        "[]\n",
        "{}\n",
        "{\"type\":\"ADDED\"}\n",
        "{\"type\":\"ADDED\",\"object\":1}\n",
        "{\"type\":\"NONE\",\"object\":{}}\n",
        "{\"type\":ADDED,\"object\":{}}\n",
        "{\"type\":\"ADDED\",\"object\":{}\n",
        "{\"type\":\"ADDED\",\"object\":{}}}\n",
        "{\"type\":\"ADDED\",\"object\":{},\"object\":{}}\n",
        "{\"type\":\"ADDED\",\"type\":\"DELETED\",\"object\":{}}\n",
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{x}}}\n",
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{},\"metadata\":{}}}\n",
        "{\"type\":\"ADDED\" \"object\":{}}\n",
        "{\"type\":\"ADDED\",\"object\":{]}\n",
    };
    static const char nul[] = "{\"type\":\"ADDED\",\"object\":{\"a\":\"\0\"}}\n";
    struct told told;

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(texts); i++) {
        struct fence_err err = {""};

        if (read_pieces(texts[i], strlen(texts[i]), &whole, &told, &err) != -EBADMSG)
            fail_msg("taken: %s", texts[i]);
        assert_true(*err.text);
    }
    assert_int_equal(read_pieces(nul, sizeof(nul) - 1, &whole, &told, NULL), -EBADMSG);
}

static void huge_line(void **state)
{
    static const char letters[4096] = {[0 ... 4095] = 'x'};
    struct told told = {0};
    struct fence_kube_watch *watch;
    int r = 0;

    (void)state;
    assert_int_equal(fence_kube_watch_new(&ops, &told, &watch), 0);
    for (size_t fed = 0; r == 0 && fed < (size_t)2 * FENCE_KUBE_OBJECT_MAX; fed += sizeof(letters))
        r = fence_kube_watch_feed(watch, letters, sizeof(letters), NULL);
    assert_int_equal(r, -EMSGSIZE);
    fence_kube_watch_free(&watch);
    fence_kube_watch_free(&watch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts),       cmocka_unit_test(every_split),
        cmocka_unit_test(byte_by_byte), cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(errors),       cmocka_unit_test(refused),
        cmocka_unit_test(huge_line),
    };

    if (!recorded_is_there())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

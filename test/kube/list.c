/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/list.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/memory.h"
#include "test/cmocka.h"
#include "test/kube/recorded.h"

/* What a reader was told. */
struct told {
    unsigned int items;
    struct fence_hash all; /* of all items, in order */
    char version[64];
    char token[256];
    int refuse; /* what the callback returns */
};

static int on_item(void *context, char *json, size_t size, struct fence_err *err)
{
    struct told *told = context;
    struct fence_hash hash = fence_hash_own(json, size);
    __u64 both[] = {told->all.words[0], told->all.words[1], hash.words[0], hash.words[1]};

    (void)err;
    assert_int_equal(strlen(json), size);
    told->all = fence_hash_own(both, sizeof(both));
    told->items++;
    return told->refuse;
}

static const struct fence_kube_list_ops ops = {.item = on_item};

/* In pieces of the sizes given, the last one as large as the rest. */
static int read_pieces(const char *body, size_t size, const struct recorded_pieces *pieces,
                       struct told *told, struct fence_err *err)
{
    struct fence_kube_list *list;
    size_t at = 0, piece;
    int r = 0;

    assert_int_equal(fence_kube_list_new(&ops, told, &list), 0);
    for (size_t i = 0; r == 0 && at < size; i++) {
        piece = i < pieces->count && pieces->sizes[i] < size - at ? pieces->sizes[i] : size - at;
        r = fence_kube_list_feed(list, body + at, piece, err);
        at += piece;
    }
    if (r == 0)
        r = fence_kube_list_end(list, err);
    snprintf(told->version, sizeof(told->version), "%s", fence_kube_list_version(list));
    snprintf(told->token, sizeof(told->token), "%s", fence_kube_list_continue(list));
    fence_kube_list_free(&list);
    return r;
}

static void read_equally(const char *body, size_t size, const struct recorded_pieces *pieces,
                         const struct told *expected)
{
    struct told told = {0};
    struct fence_err err = {""};

    assert_int_equal(read_pieces(body, size, pieces, &told, &err), 0);
    assert_memory_equal(&told, expected, sizeof(told));
}

static const struct {
    const char *name;
    unsigned int items;
    const char *version;
    bool more;
} lists[] = {
    {"list-pods", 8, "258", false},
    {"list-pods-page1", 2, "258", true},
    {"list-pods-page4", 2, "258", false},
    {"list-pods-empty", 0, "258", false},
    {"crd-list", 1, "302", false},
    {"crd-list-empty", 0, "296", false},
    {"list-networkpolicies", 7, NULL, false},
    {"list-endpointslices", 4, "258", false},
    {"list-services", 5, NULL, false},
    {"list-namespaces", 7, NULL, false},
    {"list-nodes", 2, NULL, false},
};

static void recordings(void **state)
{
    struct recorded_pieces pieces;
    struct fence_err err;

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(lists); i++) {
        size_t size;
        FENCE_FREE char *body = recorded_body(lists[i].name, &size);
        struct told told = {0};

        assert_int_equal(
            read_pieces(body, size, &(struct recorded_pieces){.count = 0}, &told, &err), 0);
        if (told.items != lists[i].items)
            fail_msg("%s: %u items", lists[i].name, told.items);
        assert_true(*told.version);
        if (lists[i].version)
            assert_string_equal(told.version, lists[i].version);
        assert_int_equal(*told.token != '\0', lists[i].more);
        for (size_t split = 0; split <= size; split++)
            read_equally(body, size, &(struct recorded_pieces){{split}, 1}, &told);
        recorded_pieces(lists[i].name, &pieces);
        read_equally(body, size, &pieces, &told);
    }
}

static void byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(lists); i++) {
        size_t size;
        FENCE_FREE char *body = recorded_body(lists[i].name, &size);
        struct told whole = {0}, told = {0};
        struct fence_kube_list *list;

        assert_int_equal(
            read_pieces(body, size, &(struct recorded_pieces){.count = 0}, &whole, NULL), 0);
        assert_int_equal(fence_kube_list_new(&ops, &told, &list), 0);
        for (size_t at = 0; at < size; at++)
            assert_int_equal(fence_kube_list_feed(list, body + at, 1, NULL), 0);
        assert_int_equal(fence_kube_list_end(list, NULL), 0);
        assert_int_equal(told.items, whole.items);
        assert_memory_equal(&told.all, &whole.all, sizeof(whole.all));
        fence_kube_list_free(&list);
    }
}

/* What ends in the middle is never a list: the newline at the end is no part of it. */
static void cut_anywhere(void **state)
{
    size_t size;
    FENCE_FREE char *body = recorded_body("crd-list", &size);

    (void)state;
    for (size_t cut = 0; cut + 1 < size; cut++) {
        struct told told = {0};

        assert_int_equal(read_pieces(body, cut, &(struct recorded_pieces){.count = 0}, &told, NULL),
                         -EBADMSG);
    }
}

static int read_text(const char *text, struct told *told)
{
    struct fence_err err = {""};
    int r = read_pieces(text, strlen(text), &(struct recorded_pieces){.count = 0}, told, &err);

    if (r == -EBADMSG)
        assert_true(*err.text);
    return r;
}

static void refused(void **state)
{
    static const char *const texts[] = {
        "",
        "404 page not found\n",
        "[]",
        "{",
        "{}",
        "{\"kind\":\"PodList\"}",
        "{\"kind\":\"Status\",\"items\":[]}",
        "{\"items\":{}}",
        "{\"items\":3}",
        "{\"items\":[1]}",
        "{\"items\":[{}{}]}",
        "{\"items\":[{},]}",
        "{\"items\":[,]}",
        "{\"items\":[]]}",
        "{\"items\":[{]]}",
        "{\"items\":[]}{}",
        "{\"items\":[],\"items\":[]}",
        "{\"items\":[],}",
        "{\"items\" []}",
        "{\"metadata\":{},\"items\":[],\"metadata\":{}}",
        "{\"kind\":\"\\x\",\"items\":[]}",
        "{\"a\":nope!,\"items\":[]}",
        "{\"items\":[] 1}",
        "{items:[]}",
    };

    (void)state;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(texts); i++) {
        struct told told = {0};

        if (read_text(texts[i], &told) != -EBADMSG)
            fail_msg("taken: %s", texts[i]);
    }
    for (size_t i = 0; i < 3; i++) {
        static const char *const names[] = {"410-continue", "403-list", "crd-table"};
        size_t size;
        FENCE_FREE char *body = recorded_body(names[i], &size);

        assert_int_equal(read_text(body, &(struct told){0}), -EBADMSG);
    }
}

static void taken(void **state)
{
    struct told told = {0};

    (void)state;
    assert_int_equal(read_text("{\"items\":null,\"metadata\":{\"continue\":\"a\\\"b\"}}", &told),
                     0);
    assert_int_equal(told.items, 0);
    assert_string_equal(told.token, "a\"b");
    told = (struct told){0};
    assert_int_equal(
        read_text(" { \"a\" : 1 , \"b\":[{\"items\":[{}]}], \"items\" : [ {\"s\":\"}]\\\"{\\\\\"} ,"
                  " {\"x\xff\":[]} ] } \r\n",
                  &told),
        0);
    assert_int_equal(told.items, 2);
    assert_string_equal(told.version, "");
}

static void nul_byte(void **state)
{
    static const char text[] = "{\"items\":[{\"a\":\"\0\"}]}";

    (void)state;
    assert_int_equal(read_pieces(text, sizeof(text) - 1, &(struct recorded_pieces){.count = 0},
                                 &(struct told){0}, NULL),
                     -EBADMSG);
}

static void depth(void **state)
{
    char text[512];

    (void)state;
    for (unsigned int levels = 63; levels <= 64; levels++) {
        size_t at = (size_t)sprintf(text, "{\"items\":[{\"a\":");

        memset(text + at, '[', levels);
        memset(text + at + levels, ']', levels);
        strcpy(text + at + (size_t)2 * levels, "}]}");
        assert_int_equal(read_text(text, &(struct told){0}), levels == 63 ? 0 : -EBADMSG);
    }
}

static int feed_letters(struct fence_kube_list *list, size_t count)
{
    static const char letters[4096] = {[0 ... 4095] = 'x'};
    int r = 0;

    for (size_t fed = 0; r == 0 && fed < count; fed += sizeof(letters))
        r = fence_kube_list_feed(list, letters, sizeof(letters), NULL);
    return r;
}

static void huge_object(void **state)
{
    struct told told = {0};
    struct fence_kube_list *list;

    (void)state;
    assert_int_equal(fence_kube_list_new(&ops, &told, &list), 0);
    assert_int_equal(fence_kube_list_feed(list, "{\"x\":\"", 6, NULL), 0);
    assert_int_equal(feed_letters(list, (size_t)2 * FENCE_KUBE_OBJECT_MAX), 0); /* not kept */
    assert_int_equal(fence_kube_list_feed(list, "\",\"items\":[{\"x\":\"", 17, NULL), 0);
    assert_int_equal(feed_letters(list, (size_t)2 * FENCE_KUBE_OBJECT_MAX), -EMSGSIZE);
    fence_kube_list_free(&list);
    fence_kube_list_free(&list);
}

static void code_of_item(void **state)
{
    struct told told = {.refuse = -ENOMEM};

    (void)state;
    assert_int_equal(read_text("{\"items\":[{},{}]}", &told), -ENOMEM);
    assert_int_equal(told.items, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recordings),   cmocka_unit_test(byte_by_byte),
        cmocka_unit_test(cut_anywhere), cmocka_unit_test(refused),
        cmocka_unit_test(taken),        cmocka_unit_test(nul_byte),
        cmocka_unit_test(depth),        cmocka_unit_test(huge_object),
        cmocka_unit_test(code_of_item),
    };

    if (!recorded_is_there())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

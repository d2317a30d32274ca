/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every place of every object of valid.yaml, one at a time, with every value that is not of its
 * type. What is read is refused by its path, as the object that it is, so that its last good
 * version stays; what is not read changes nothing; and null means absent where the API server takes
 * it so.
 */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "lib/objects/decode.h"
#include "test/cmocka.h"
#include "test/objects/dump.h"
#include "test/objects/same.h"

#define FILE_MAX_BYTES (1u << 20)
#define DEPTH_MAX      32

/* What the decoders do not look at: in which object, and where; what is in it neither. */
static const struct {
    const char *id;
    const char *path;
} unread[] = {
    {"Pod/shop/web-1", "metadata.resourceVersion"},
    {"Pod/shop/web-1", "metadata.ownerReferences[0].kind"},
    {"Pod/shop/web-1", "spec.containers[0].name"},
    {"Pod/shop/web-1", "spec.containers[0].image"},
    {"Pod/shop/web-1", "spec.initContainers[0].name"},
    {"Pod/shop/web-1", "spec.containers[0].ports[1].containerPort"}, /* a port without a name */
    {"Pod/shop/web-1", "status.podIP"},                              /* beside podIPs */
    {"Namespace/shop", "spec"},
    {"Node/n1", "spec.podCIDR"},            /* beside podCIDRs */
    {"Service/shop/web", "spec.clusterIP"}, /* beside clusterIPs */
    {"Service/shop/web", "spec.selector.app"},
    {"Service/shop/web", "spec.sessionAffinity"},
    {"Service/shop/web", "status.loadBalancer.ingress[1].hostname"},
    {"EndpointSlice/shop/web-x", "endpoints[0].nodeName"},
    {"EndpointSlice/shop/web-x", "endpoints[0].targetRef"},
    {"ClusterNetworkPolicy/admin", "status"},
};

static const struct wrong {
    enum fence_doc_type type;
    const char *json;
} wrongs[] = {
    {FENCE_DOC_STRING, "\"x y\""},
    {FENCE_DOC_STRING, "\"\""},
    {FENCE_DOC_NUMBER, "7"},
    {FENCE_DOC_NUMBER, "-1"},
    {FENCE_DOC_NUMBER, "1.5"},
    {FENCE_DOC_NUMBER, "1e400"},
    {FENCE_DOC_NUMBER, "99999999999999999999999999"},
    {FENCE_DOC_NUMBER, "-99999999999999999999999999"},
    {FENCE_DOC_BOOL, "true"},
    {FENCE_DOC_BOOL, "false"},
    {FENCE_DOC_NULL, "null"},
    {FENCE_DOC_LIST, "[]"},
    {FENCE_DOC_LIST, "[\"x\"]"},
    {FENCE_DOC_LIST, "[[{\"a\":[1]}]]"},
    {FENCE_DOC_MAP, "{}"},
    {FENCE_DOC_MAP, "{\"a\":{\"b\":[]}}"},
};

/* ---- what an object is read as --------------------------------------------------------------- */

struct outcome {
    char *shown; /* NULL when refused */
    char *error;
    char *id;
    enum fence_refused refused;
};

static void outcome_done(struct outcome *outcome)
{
    free(outcome->shown);
    free(outcome->error);
    free(outcome->id);
}

/* And by the API the same. */
static void read_as(const struct fence_doc *object, struct outcome *ret_outcome)
{
    FENCE_FREE char *json = fence_doc_to_json(object);
    FENCE_FREE char *differs = NULL;
    bool read;
    struct fence_decoded_list list = {0};
    struct fence_err err;

    assert_non_null(json);
    differs = same_decoding(json, &read);
    if (differs)
        fail_msg("%s\n%s", json, differs);
    if (fence_decode_stream(json, strlen(json), &list, &err) < 0)
        fail_msg("%s\ndoes not parse: %s", json, err.text);
    assert_int_equal(list.count, 1);
    *ret_outcome = (struct outcome){
        .shown = list.items[0].object ? dump_object(list.items[0].object) : NULL,
        .error = list.items[0].error ? strdup(list.items[0].error) : NULL,
        .id = fence_decoded_id(&list.items[0]),
        .refused = list.items[0].refused,
    };
    assert_true(!ret_outcome->shown != !ret_outcome->error);
    fence_decoded_list_done(&list);
}

/* ---- one place --------------------------------------------------------------------------------
 */

struct place {
    struct fence_doc *object;
    const char *path;
    const char *parent;
    struct fence_doc **slot;
    struct fence_doc *map; /* that the slot is a member of; NULL in a list */
    bool custom;           /* null is a value */
    const struct outcome *valid;
    unsigned int *cases;
    unsigned int *failures;
};

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* The place, or one within it? */
static bool is_within(const char *path, const char *outer)
{
    size_t length = strlen(outer);

    return begins_with(path, outer) && strchr(".[", path[length]) != NULL;
}

static bool is_unread(const struct place *place)
{
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(unread); i++)
        if (strcmp(unread[i].id, place->valid->id) == 0 && is_within(place->path, unread[i].path))
            return true;
    return false;
}

static void fail_place(const struct place *place, const struct wrong *wrong, const char *what,
                       const char *got)
{
    ++*place->failures;
    print_error("%s %s: %s: %s: %s\n", place->valid->id, place->path, wrong->json, what,
                got ? got : "(nothing)");
}

/* A value that belongs there, or might. */
static bool is_right(const struct place *place, const struct wrong *wrong)
{
    const struct fence_doc *now = *place->slot;
    const char *dot = strrchr(place->path, '.');
    bool number_or_name = dot && (strcmp(dot, ".port") == 0 || strcmp(dot, ".targetPort") == 0);

    if (number_or_name && strcmp(wrong->json, "7") == 0)
        return true;
    if (number_or_name && wrong->type == FENCE_DOC_STRING)
        return false;
    /* every number of these objects is whole and not negative */
    return wrong->type == now->type &&
           (wrong->type != FENCE_DOC_NUMBER || strcmp(wrong->json, "7") == 0);
}

/* The names by which it is known may be what is wrong. */
static bool is_name(const struct place *place)
{
    return strcmp(place->path, "apiVersion") == 0 || strcmp(place->path, "kind") == 0 ||
           strcmp(place->path, "metadata") == 0 || strcmp(place->path, "metadata.name") == 0 ||
           strcmp(place->path, "metadata.namespace") == 0;
}

/* ": path: " as in "line 3: spec.ingress[0]: ..." */
static bool names_path(const char *error, const char *path)
{
    char wanted[512];

    snprintf(wanted, sizeof(wanted), ": %s: ", path);
    return begins_with(error, "line ") && strstr(error, wanted);
}

static void check_refused(const struct place *place, const struct wrong *wrong,
                          const struct outcome *outcome)
{
    if (!outcome->error)
        fail_place(place, wrong, "is accepted as", outcome->shown);
    else if (!names_path(outcome->error, place->path))
        fail_place(place, wrong, "the refusal does not name it", outcome->error);
    else if (is_name(place) ? outcome->refused == FENCE_REFUSED_NOT
                            : outcome->refused != FENCE_REFUSED_ONE ||
                                  strcmp(outcome->id, place->valid->id) != 0)
        fail_place(place, wrong, "is refused as another object", outcome->id);
}

static void check_same(const struct place *place, const struct wrong *wrong,
                       const struct outcome *outcome, const struct outcome *wanted)
{
    if (!outcome->shown != !wanted->shown)
        fail_place(place, wrong, wanted->shown ? "should be accepted" : "should be refused",
                   wanted->shown ? outcome->error : outcome->shown);
    else if (outcome->shown && strcmp(outcome->shown, wanted->shown) != 0)
        fail_place(place, wrong, "is read as", outcome->shown);
}

/* Read the object without this member. */
static void read_without(const struct place *place, struct outcome *ret_outcome)
{
    struct fence_doc *map = place->map, *gone = *place->slot;

    *place->slot = map->items[--map->count];
    map->items[map->count] = gone;
    read_as(place->object, ret_outcome);
    map->items[map->count++] = *place->slot;
    *place->slot = gone;
}

/* The built-in kinds take null for absent, and metadata of whatever kind. In a list, and among
 * labels, it is a value like any other. */
static bool null_is_absent(const struct place *place)
{
    bool label = strcmp(place->parent, "metadata.labels") == 0 ||
                 (strlen(place->parent) > 12 &&
                  strcmp(place->parent + strlen(place->parent) - 12, ".matchLabels") == 0);

    return place->map && !label && (!place->custom || begins_with(place->path, "metadata."));
}

static void check_wrong(const struct place *place, const struct wrong *wrong)
{
    FENCE_CLEANUP(outcome_done) struct outcome outcome = {0};
    FENCE_CLEANUP(outcome_done) struct outcome absent = {0};
    struct fence_doc *right = *place->slot;
    struct fence_docs docs = {0};
    struct fence_err err;
    char *key = right->key;

    if (is_right(place, wrong) && !is_unread(place))
        return;
    ++*place->cases;
    if (wrong->type == FENCE_DOC_NULL) {
        struct fence_doc null = {.type = FENCE_DOC_NULL, .text = right->text, .key = key};

        *place->slot = &null;
        read_as(place->object, &outcome);
        *place->slot = right;
    } else {
        assert_int_equal(fence_docs_parse(wrong->json, strlen(wrong->json), &docs, &err), 0);
        docs.items[0]->key = key;
        *place->slot = docs.items[0];
        read_as(place->object, &outcome);
        *place->slot = right;
        docs.items[0]->key = NULL;
        fence_docs_done(&docs);
    }
    if (is_unread(place)) {
        check_same(place, wrong, &outcome, place->valid);
    } else if (wrong->type == FENCE_DOC_NULL && null_is_absent(place)) {
        read_without(place, &absent);
        check_same(place, wrong, &outcome, &absent);
    } else {
        check_refused(place, wrong, &outcome);
    }
}

/* ---- every place ------------------------------------------------------------------------------
 */

static bool is_plain(const char *key)
{
    for (; *key; key++)
        if (!isalnum((unsigned char)*key))
            return false;
    return true;
}

static void walk(struct place place, struct fence_doc *doc, int depth)
{
    const char *above = place.path;

    assert_true(depth < DEPTH_MAX);
    for (size_t i = 0; i < doc->count; i++) {
        const char *key = doc->items[i]->key;
        char path[512];

        if (!key)
            snprintf(path, sizeof(path), "%s[%zu]", above, i);
        else if (is_plain(key))
            snprintf(path, sizeof(path), "%s%s%s", above, *above ? "." : "", key);
        else
            snprintf(path, sizeof(path), "%s[\"%s\"]", above, key);
        place.path = path;
        place.parent = above;
        place.slot = &doc->items[i];
        place.map = key ? doc : NULL;
        for (size_t j = 0; j < FENCE_ARRAY_SIZE(wrongs); j++)
            check_wrong(&place, &wrongs[j]);
        walk(place, doc->items[i], depth + 1);
    }
}

/* Custom resources: what is not of Kubernetes' own groups. */
static bool is_custom(const struct fence_doc *object)
{
    const char *version = fence_doc_get(object, "apiVersion")->text;

    return begins_with(version, "podfence.io/") ||
           begins_with(version, "policy.networking.k8s.io/");
}

static void test_every_place(void **context)
{
    FENCE_FREE char *text = NULL;
    struct fence_docs docs = {0};
    struct fence_err err = {0};
    unsigned int cases = 0, failures = 0;
    size_t size;

    (void)context;
    assert_int_equal(fence_file_read(AT_FDCWD, FENCE_SOURCE_DIR "/test/objects/valid.yaml",
                                     FILE_MAX_BYTES, &text, &size, &err),
                     0);
    assert_int_equal(fence_docs_parse(text, size, &docs, &err), 0);
    for (size_t i = 0; i < docs.count; i++) {
        FENCE_CLEANUP(outcome_done) struct outcome valid = {0};
        const struct place place = {
            .object = docs.items[i],
            .path = "",
            .parent = "",
            .custom = is_custom(docs.items[i]),
            .valid = &valid,
            .cases = &cases,
            .failures = &failures,
        };

        read_as(docs.items[i], &valid);
        if (!valid.shown)
            fail_msg("%s: %s", valid.id, valid.error);
        walk(place, docs.items[i], 0);
    }
    print_message("%u wrong values\n", cases);
    assert_true(cases > 4000);
    assert_int_equal(failures, 0);
    fence_docs_done(&docs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_place)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/report/event.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* uthash ends the process when memory does, unless told otherwise. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "lib/base/clock.h"
#include "lib/base/hash.h"
#include "lib/base/memory.h"
#include "lib/report/text.h"

#define NS_PER_S       1000000000ull
#define US_PER_S       1000000
/* Of the API server: a note has 1,024 bytes at most, a name 253. */
#define NOTE_MAX       1024u
#define NAME_MAX_BYTES 200

struct refusal {
    UT_hash_handle hh;
    char *id, *text;
    bool named, told;
    uint64_t again_ns;
};

struct fence_event_book {
    struct refusal *refusals; /* by id */
    uint64_t filled_ns;       /* of the bucket */
    unsigned int tokens;
};

/* ---- the book -------------------------------------------------------------------------------- */

/* NOLINTBEGIN(readability-function-size,readability-function-cognitive-complexity,bugprone-*):
 * uthash's macros */
static struct refusal *find(const struct fence_event_book *book, const char *id)
{
    struct refusal *refusal;

    HASH_FIND_STR(book->refusals, id, refusal);
    return refusal;
}

static int link_refusal(struct fence_event_book *book, struct refusal *refusal)
{
    HASH_ADD_KEYPTR(hh, book->refusals, refusal->id, strlen(refusal->id), refusal);
    return refusal->hh.tbl ? 0 : -ENOMEM;
}

static void unlink_refusal(struct fence_event_book *book, struct refusal *refusal)
{
    HASH_DELETE(hh, book->refusals, refusal);
}
/* NOLINTEND(readability-function-size,readability-function-cognitive-complexity,bugprone-*) */

static void refusal_free(struct refusal *refusal)
{
    free(refusal->id);
    free(refusal->text);
    free(refusal);
}

struct fence_event_book *fence_event_book_new(void)
{
    struct fence_event_book *book = calloc(1, sizeof(*book));

    if (book)
        book->tokens = FENCE_EVENT_BURST;
    return book;
}

void fence_event_book_begin(struct fence_event_book *book)
{
    for (struct refusal *refusal = book->refusals; refusal; refusal = refusal->hh.next)
        refusal->named = false;
}

void fence_event_book_end(struct fence_event_book *book)
{
    struct refusal *refusal, *next;

    for (refusal = book->refusals; refusal; refusal = next) {
        next = refusal->hh.next;
        if (refusal->named)
            continue;
        unlink_refusal(book, refusal);
        refusal_free(refusal);
    }
}

void fence_event_book_free(struct fence_event_book **book)
{
    if (!*book)
        return;
    fence_event_book_begin(*book);
    fence_event_book_end(*book);
    free(*book);
    *book = NULL;
}

int fence_event_book_refused(struct fence_event_book *book, const char *id, const char *text)
{
    struct refusal *refusal = find(book, id);

    if (refusal && strcmp(refusal->text, text) == 0) {
        refusal->named = true;
        return 0;
    }
    if (refusal) {
        unlink_refusal(book, refusal);
        refusal_free(refusal);
    }
    refusal = calloc(1, sizeof(*refusal));
    if (!refusal)
        return -ENOMEM;
    refusal->named = true;
    refusal->id = strdup(id);
    refusal->text = strdup(text);
    if (refusal->id && refusal->text && link_refusal(book, refusal) == 0)
        return 0;
    refusal_free(refusal);
    return -ENOMEM;
}

static bool take_token(struct fence_event_book *book, uint64_t now_ns)
{
    uint64_t more = (now_ns - book->filled_ns) / NS_PER_S;

    if (more) {
        book->tokens = more < FENCE_EVENT_BURST - book->tokens ? book->tokens + (unsigned int)more
                                                               : FENCE_EVENT_BURST;
        book->filled_ns = now_ns;
    }
    if (!book->tokens)
        return false;
    book->tokens--;
    return true;
}

bool fence_event_book_next(struct fence_event_book *book, uint64_t now_ns,
                           struct fence_event_refusal *ret_refusal)
{
    struct refusal *refusal = book->refusals;

    while (refusal && (refusal->told || now_ns < refusal->again_ns))
        refusal = refusal->hh.next;
    if (!refusal || !take_token(book, now_ns))
        return false;
    refusal->told = true;
    fence_report_copy(ret_refusal->id, sizeof(ret_refusal->id), refusal->id);
    fence_report_copy(ret_refusal->text, sizeof(ret_refusal->text), refusal->text);
    return true;
}

void fence_event_book_failed(struct fence_event_book *book, const char *id, uint64_t again_ns)
{
    struct refusal *refusal = find(book, id);

    if (!refusal)
        return;
    refusal->told = false;
    refusal->again_ns = again_ns;
}

/* ---- an event -------------------------------------------------------------------------------- */

static const struct {
    const char *kind, *version, *plural;
    bool is_wide;
} kinds[] = {
    {"NetworkPolicy", "networking.k8s.io/v1", "networkpolicies", false},
    {"ClusterNetworkPolicy", "policy.networking.k8s.io/v1alpha2", "clusternetworkpolicies", true},
    {"SegmentPolicy", "podfence.io/v1alpha1", "segmentpolicies", false},
    {"ClusterSegmentPolicy", "podfence.io/v1alpha1", "clustersegmentpolicies", true},
};

/* Its place in `kinds`; the number of those: none. */
static size_t kind_of(const char *id)
{
    size_t i;

    for (i = 0; i < FENCE_ARRAY_SIZE(kinds); i++) {
        size_t length = strlen(kinds[i].kind);

        if (strncmp(id, kinds[i].kind, length) == 0 && id[length] == '/')
            break;
    }
    return i;
}

/* A part of a path as the API server has names: nothing to encode. */
static bool is_name(const char *text, size_t length)
{
    return length > 0 && length <= 253 &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789.-") >= length && text[0] != '.';
}

bool fence_event_object_path(const char *id, char *path, size_t size)
{
    size_t kind = kind_of(id), space_length;
    const char *name, *space;

    if (kind == FENCE_ARRAY_SIZE(kinds))
        return false;
    space = id + strlen(kinds[kind].kind) + 1;
    name = strrchr(id, '/') + 1;
    space_length = name > space ? (size_t)(name - space - 1) : 0;
    if (!is_name(name, strlen(name)) || kinds[kind].is_wide != (name == space) ||
        (!kinds[kind].is_wide && !is_name(space, space_length)))
        return false;
    if (kinds[kind].is_wide)
        snprintf(path, size, "/apis/%s/%s/%s", kinds[kind].version, kinds[kind].plural, name);
    else
        snprintf(path, size, "/apis/%s/namespaces/%.*s/%s/%s", kinds[kind].version,
                 (int)space_length, space, kinds[kind].plural, name);
    return true;
}

static const char *text_in(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

    return text ? text : "";
}

static void add_regarding(cJSON *json, size_t kind, const cJSON *metadata)
{
    cJSON *regarding = cJSON_AddObjectToObject(json, "regarding");

    cJSON_AddStringToObject(regarding, "apiVersion", kinds[kind].version);
    cJSON_AddStringToObject(regarding, "kind", kinds[kind].kind);
    cJSON_AddStringToObject(regarding, "name", text_in(metadata, "name"));
    if (!kinds[kind].is_wide)
        cJSON_AddStringToObject(regarding, "namespace", text_in(metadata, "namespace"));
    cJSON_AddStringToObject(regarding, "uid", text_in(metadata, "uid"));
    cJSON_AddStringToObject(regarding, "resourceVersion", text_in(metadata, "resourceVersion"));
}

static void put_name(const struct fence_event_refusal *refusal, const cJSON *metadata, char *text,
                     size_t size)
{
    const cJSON *generation = cJSON_GetObjectItemCaseSensitive(metadata, "generation");
    const char *name = text_in(metadata, "name");
    /* the same in every process */
    const __u64 key[2] = {cJSON_IsNumber(generation) ? (__u64)generation->valuedouble : 0,
                          fence_hash_bytes((const __u64[2]){0}, text_in(metadata, "uid"),
                                           strlen(text_in(metadata, "uid")))
                              .words[0]};
    int length = NAME_MAX_BYTES;

    /* a part of a name ends with a letter or a digit */
    if (strlen(name) <= NAME_MAX_BYTES)
        length = (int)strlen(name);
    while (length > 1 && strchr(".-", name[length - 1]))
        length--;
    snprintf(text, size, "%.*s.%016" PRIx64, length, name,
             (uint64_t)fence_hash_bytes(key, refusal->text, strlen(refusal->text)).words[0]);
}

static char *format_body(const struct fence_event_refusal *refusal, const cJSON *metadata,
                         const char *instance, uint64_t now_ns)
{
    size_t kind = kind_of(refusal->id);
    cJSON *json = cJSON_CreateObject(), *own;
    char text[NOTE_MAX], *body;

    cJSON_AddStringToObject(json, "apiVersion", "events.k8s.io/v1");
    cJSON_AddStringToObject(json, "kind", "Event");
    own = cJSON_AddObjectToObject(json, "metadata");
    put_name(refusal, metadata, text, sizeof(text));
    cJSON_AddStringToObject(own, "name", text);
    cJSON_AddStringToObject(own, "namespace",
                            kinds[kind].is_wide ? "default" : text_in(metadata, "namespace"));
    fence_clock_format(now_ns, text);
    cJSON_AddStringToObject(json, "eventTime", text);
    cJSON_AddStringToObject(json, "type", "Warning");
    cJSON_AddStringToObject(json, "reason", "Refused");
    cJSON_AddStringToObject(json, "action", "Validate");
    cJSON_AddStringToObject(json, "reportingController", "podfence.io/podfenced");
    cJSON_AddStringToObject(json, "reportingInstance", instance);
    fence_report_copy(text, sizeof(text), refusal->text);
    cJSON_AddStringToObject(json, "note", text);
    add_regarding(json, kind, metadata);
    body = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    return body;
}

int fence_event_format(const struct fence_event_refusal *refusal, const cJSON *object,
                       const char *instance, uint64_t now_ns, struct fence_event_texts *ret_texts)
{
    const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(object, "metadata");
    size_t kind = kind_of(refusal->id);

    if (kind == FENCE_ARRAY_SIZE(kinds) || !*text_in(metadata, "uid") ||
        !*text_in(metadata, "name"))
        return -EINVAL;
    snprintf(ret_texts->path, sizeof(ret_texts->path),
             "/apis/events.k8s.io/v1/namespaces/%s/events",
             kinds[kind].is_wide ? "default" : text_in(metadata, "namespace"));
    ret_texts->body = format_body(refusal, metadata, instance, now_ns);
    return ret_texts->body ? 0 : -ENOMEM;
}

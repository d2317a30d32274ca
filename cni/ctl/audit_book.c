/* SPDX-License-Identifier: Apache-2.0 */
/* The report of an audit log: equal connections added up, everything else kept as it is. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "cni/ctl/audit.h"
#include "lib/base/memory.h"

struct ctl_audit_pair {
    UT_hash_handle hh; /* by key */
    uint64_t allowed, blocked, audited, cut;
    char first[FENCE_AUDIT_TIME_TEXT], last[FENCE_AUDIT_TIME_TEXT];
    char *source, *destination; /* in `key` */
    char *service;              /* protocol and port, in `key` */
    char key[];
};

/* ---- times ---------------------------------------------------------------------------------- */

static int format_time(int64_t seconds, char ret_time[20])
{
    const time_t when = (time_t)seconds;
    struct tm parts;

    if (!gmtime_r(&when, &parts) || !strftime(ret_time, 20, "%Y-%m-%dT%H:%M:%S", &parts))
        return -EINVAL;
    return 0;
}

static int parse_ago(const char *text, int64_t now, char ret_time[20])
{
    static const struct {
        char letter;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    long count;
    char *end;

    errno = 0;
    count = strtol(text, &end, 10);
    if (errno || end == text || count < 0 || count > 1000000 || !end[0] || end[1])
        return -EINVAL;
    for (size_t i = 0; i < FENCE_ARRAY_SIZE(units); i++)
        if (*end == units[i].letter)
            return format_time(now - count * units[i].seconds, ret_time);
    return -EINVAL;
}

int ctl_audit_time_parse(const char *text, int64_t now, char ret_time[20])
{
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", "%Y-%m-%d"};

    for (size_t i = 0; i < FENCE_ARRAY_SIZE(forms); i++) {
        struct tm parts = {0};
        const char *end = strptime(text, forms[i], &parts);

        if (end && !*end)
            return format_time(timegm(&parts), ret_time);
    }
    return parse_ago(text, now, ret_time);
}

static bool is_in_time(const struct ctl_audit_book *book, const char *time)
{
    return (!book->from[0] || strncmp(time, book->from, sizeof(book->from) - 1) >= 0) &&
           (!book->to[0] || strncmp(time, book->to, sizeof(book->to) - 1) < 0);
}

/* ---- connections ---------------------------------------------------------------------------- */

/* The workload, as everywhere: shop/db; a node, a reserved name, else its address. */
static void name_end(const cJSON *end, char *name, size_t size)
{
    const char *space = ctl_member_text(end, "namespace"), *app = ctl_member_text(end, "app");
    const char *pod = ctl_member_text(end, "pod"), *node = ctl_member_text(end, "node");
    const char *reserved = ctl_member_text(end, "reserved");
    const char *service = ctl_member_text(end, "service");

    if (*space && (*app || *pod || *service))
        snprintf(name, size, "%s/%s", space, *app ? app : *pod ? pod : service);
    else if (*node)
        snprintf(name, size, "node/%s", node);
    else if (*reserved && strcmp(reserved, "world") != 0)
        snprintf(name, size, "%s", reserved);
    else
        snprintf(name, size, "%s%s%s", reserved, *reserved ? " " : "",
                 ctl_member_text(end, "address"));
}

static void name_service(const cJSON *record, char *name, size_t size)
{
    const cJSON *port = ctl_member(record, "port"), *icmp = ctl_member(record, "icmpType");
    const char *protocol = ctl_member_text(record, "protocol");

    if (cJSON_IsNumber(port))
        snprintf(name, size, "%.0f/%s", port->valuedouble, protocol);
    else if (cJSON_IsNumber(icmp))
        snprintf(name, size, "%s type %.0f", protocol, icmp->valuedouble);
    else if (*protocol)
        snprintf(name, size, "%s", protocol);
    else
        snprintf(name, size, "ethertype %.0f", ctl_member_number(record, "ethertype"));
}

static struct ctl_audit_pair *make_pair(const char *const names[3])
{
    size_t sizes[3], total = 0;
    struct ctl_audit_pair *pair;
    char *at;

    for (size_t i = 0; i < 3; i++) {
        sizes[i] = strlen(names[i]) + 1;
        total += sizes[i];
    }
    pair = calloc(1, sizeof(*pair) + total);
    if (!pair)
        return NULL;
    at = pair->key;
    for (size_t i = 0; i < 3; at += sizes[i++])
        memcpy(at, names[i], sizes[i]);
    pair->source = pair->key;
    pair->destination = pair->source + sizes[0];
    pair->service = pair->destination + sizes[1];
    return pair;
}

/* NOLINTBEGIN(readability-function-size,bugprone-*): uthash's macros */
/* NULL: there are too many, or no memory. */
static struct ctl_audit_pair *find_pair(struct ctl_audit_book *book, const char *const names[3])
{
    struct ctl_audit_pair *made = make_pair(names), *known = NULL;
    size_t size;

    if (!made)
        return NULL;
    size = (size_t)(made->service - made->key) + strlen(made->service) + 1;
    HASH_FIND(hh, book->pairs, made->key, size, known);
    if (known || HASH_COUNT(book->pairs) >= CTL_AUDIT_PAIRS_MAX) {
        free(made);
        return known;
    }
    HASH_ADD_KEYPTR(hh, book->pairs, made->key, size, made);
    if (made->hh.tbl)
        return made;
    free(made);
    return NULL;
}

static int compare_pairs(struct ctl_audit_pair *a, struct ctl_audit_pair *b)
{
    int r = strcmp(a->source, b->source);

    if (r == 0)
        r = strcmp(a->destination, b->destination);
    return r ? r : strcmp(a->service, b->service);
}

void ctl_audit_book_done(struct ctl_audit_book *book)
{
    struct ctl_audit_pair *pair, *next;

    HASH_ITER (hh, book->pairs, pair, next) {
        HASH_DEL(book->pairs, pair);
        free(pair);
    }
    cJSON_Delete(TAKE_PTR(book->changes));
}

static void sort_pairs(struct ctl_audit_book *book)
{
    HASH_SORT(book->pairs, compare_pairs);
}
/* NOLINTEND(readability-function-size,bugprone-*) */

static void count_pair(struct ctl_audit_pair *pair, const struct fence_audit_line *line,
                       const cJSON *record)
{
    const char *verdict = ctl_member_text(record, "verdict");
    const uint64_t count = 1 + (uint64_t)ctl_member_number(record, "suppressed");

    if (!pair->first[0])
        memcpy(pair->first, line->time, sizeof(pair->first));
    memcpy(pair->last, line->time, sizeof(pair->last));
    if (!strcmp(line->type, "connection-cut"))
        pair->cut += count;
    else if (!strcmp(verdict, "DROPPED"))
        pair->blocked += count;
    else if (!strcmp(verdict, "AUDIT"))
        pair->audited += count;
    else
        pair->allowed += count;
}

static void add_connection(struct ctl_audit_book *book, const struct fence_audit_line *line,
                           const cJSON *record)
{
    char source[640], destination[640], service[64];
    const char *const names[3] = {source, destination, service};
    struct ctl_audit_pair *pair;

    name_end(ctl_member(record, "source"), source, sizeof(source));
    name_end(ctl_member(record, "destination"), destination, sizeof(destination));
    name_service(record, service, sizeof(service));
    if (book->app && strcmp(book->app, source) != 0 && strcmp(book->app, destination) != 0)
        return;
    book->records++;
    pair = find_pair(book, names);
    if (pair)
        count_pair(pair, line, record);
    else
        book->omitted++;
}

/* ---- changes -------------------------------------------------------------------------------- */

static bool is_connection(const struct fence_audit_line *line)
{
    return !strcmp(line->type, "connection") || !strcmp(line->type, "connection-cut");
}

/* The chain's own members say nothing to who reads the report. */
static void add_change(struct ctl_audit_book *book, cJSON *record)
{
    book->records++;
    if (!book->changes)
        book->changes = cJSON_CreateArray();
    if (book->change_count >= CTL_AUDIT_CHANGES_MAX || !book->changes) {
        book->omitted++;
        cJSON_Delete(record);
        return;
    }
    cJSON_DeleteItemFromObjectCaseSensitive(record, "prev");
    cJSON_DeleteItemFromObjectCaseSensitive(record, "hash");
    cJSON_AddItemToArray(book->changes, record);
    book->change_count++;
}

void ctl_audit_book_add(struct ctl_audit_book *book, const struct fence_audit_line *line)
{
    cJSON *record;

    if (!is_in_time(book, line->time) || !strcmp(line->type, "file"))
        return;
    record = cJSON_ParseWithLength(line->text, line->size);
    if (!record) {
        book->omitted++;
        return;
    }
    if (!is_connection(line)) {
        add_change(book, record);
        return;
    }
    add_connection(book, line, record);
    cJSON_Delete(record);
}

static void add_pair(cJSON *list, const struct ctl_audit_pair *pair)
{
    cJSON *object = cJSON_CreateObject();

    cJSON_AddStringToObject(object, "source", pair->source);
    cJSON_AddStringToObject(object, "destination", pair->destination);
    cJSON_AddStringToObject(object, "service", pair->service);
    cJSON_AddNumberToObject(object, "allowed", (double)pair->allowed);
    cJSON_AddNumberToObject(object, "blocked", (double)pair->blocked);
    cJSON_AddNumberToObject(object, "audited", (double)pair->audited);
    cJSON_AddNumberToObject(object, "cut", (double)pair->cut);
    cJSON_AddStringToObject(object, "first", pair->first);
    cJSON_AddStringToObject(object, "last", pair->last);
    cJSON_AddItemToArray(list, object);
}

cJSON *ctl_audit_book_json(struct ctl_audit_book *book)
{
    cJSON *json = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(json, "connections");

    if (!list) {
        cJSON_Delete(json);
        return NULL;
    }
    sort_pairs(book);
    for (const struct ctl_audit_pair *pair = book->pairs; pair; pair = pair->hh.next)
        add_pair(list, pair);
    if (book->changes)
        cJSON_AddItemToObject(json, "changes", TAKE_PTR(book->changes));
    else
        cJSON_AddArrayToObject(json, "changes");
    cJSON_AddNumberToObject(json, "records", (double)book->records);
    cJSON_AddNumberToObject(json, "omitted", (double)book->omitted);
    return json;
}

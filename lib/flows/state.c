/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The book as lines of JSON:
 *
 *   {"podfenceFlows":1,"boot":"...","since":"...","pushedOut":0,"unnamed":0,"vanished":0,
 *    "jiffies":0,"flows":2,"cursors":1}
 *   a flow, as in the daemon's answer                 (the one unseen for longest first)
 *   [flow, source, destination, verdict, shadow, count]  (a cursor; the numbers of its key)
 *
 * Of a cursor the rest of the key is the flow's. One whose flow has been pushed out is left out.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/flows/book_internal.h"

#define FORMAT 1

enum cursor_member {
    CURSOR_FLOW,
    CURSOR_SOURCE,
    CURSOR_DESTINATION,
    CURSOR_VERDICT,
    CURSOR_SHADOW,
    CURSOR_COUNT,
    CURSOR_MEMBERS
};

/* ---- writing -------------------------------------------------------------------------------- */

/* Flows with the number of their line. */
struct numbered {
    const struct book_flow *flow;
    size_t number;
};

static int by_flow(const void *a_item, const void *b_item)
{
    uintptr_t a = (uintptr_t)((const struct numbered *)a_item)->flow;
    uintptr_t b = (uintptr_t)((const struct numbered *)b_item)->flow;

    return (a > b) - (a < b);
}

static struct numbered *number_flows(const struct fence_flow_book *book)
{
    struct numbered *numbered = calloc(book->flows.count + 1, sizeof(*numbered));
    const struct book_flow *flow;
    size_t count = 0;

    if (!numbered)
        return NULL;
    TAILQ_FOREACH(flow, &book->all, all)
    {
        numbered[count] = (struct numbered){flow, count};
        count++;
    }
    qsort(numbered, count, sizeof(*numbered), by_flow);
    return numbered;
}

static void print_head(FILE *out, const struct fence_flow_book *book, const char *boot)
{
    char since[FENCE_FLOW_TIME];

    fprintf(out, "{\"podfenceFlows\":%d,\"boot\":", FORMAT);
    fence_flow_print_text(out, boot);
    fprintf(out,
            ",\"since\":\"%s\",\"pushedOut\":%llu,\"unnamed\":%llu,\"vanished\":%llu,"
            "\"jiffies\":%llu,\"flows\":%zu}\n",
            fence_flow_time_format(book->since_ns, since),
            (unsigned long long)book->losses.pushed_out, (unsigned long long)book->losses.unnamed,
            (unsigned long long)book->losses.vanished, (unsigned long long)book->moment.jiffies,
            book->flows.count);
}

static void print_flows(FILE *out, const struct fence_flow_book *book)
{
    const struct book_flow *flow;

    TAILQ_FOREACH(flow, &book->all, all)
    {
        struct fence_flow_seen seen;

        book_flow_show(flow, &seen);
        fence_flow_print(out, &seen);
        fputc('\n', out);
    }
}

static void print_cursors(FILE *out, const struct fence_flow_book *book,
                          const struct numbered *numbered)
{
    const struct fence_slot_entry *entry;
    size_t position = 0;

    while ((entry = fence_slots_next(&book->cursors, &position))) {
        const struct book_cursor *cursor = (const struct book_cursor *)entry;
        struct book_key key = book_key_make(cursor->source, cursor->destination, &cursor->key);
        struct numbered wanted = {.flow = book_flow_find(book, &key)};
        const struct numbered *found = NULL;

        if (wanted.flow && cursor->looked)
            found = bsearch(&wanted, numbered, book->flows.count, sizeof(wanted), by_flow);
        if (found)
            fprintf(out, "[%zu,%u,%u,%u,%u,%llu]\n", found->number, cursor->key.source,
                    cursor->key.destination, cursor->key.verdict, cursor->key.shadow,
                    (unsigned long long)cursor->count);
    }
    fputs("{\"end\":true}\n", out);
}

char *fence_flow_book_save(const struct fence_flow_book *book, const char *boot, size_t *ret_size)
{
    FENCE_FREE struct numbered *numbered = number_flows(book);
    char *text = NULL;
    size_t size = 0;
    FILE *out = numbered ? open_memstream(&text, &size) : NULL;

    if (!out)
        return NULL;
    print_head(out, book, boot);
    print_flows(out, book);
    print_cursors(out, book, numbered);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    *ret_size = size;
    return text;
}

/* ---- reading -------------------------------------------------------------------------------- */

struct loading {
    const char *at;
    unsigned int line;
    const char *boot;
    bool cursors; /* are of this boot */
    size_t flow_count;
    struct book_flow **flows; /* by number of line */
    struct fence_flow_book *book;
};

static void delete_json(cJSON **json)
{
    cJSON_Delete(*json);
    *json = NULL;
}

/* The next line; NULL at the end, or when it is no JSON. */
static cJSON *next_line(struct loading *loading)
{
    size_t size = strcspn(loading->at, "\n");
    cJSON *json = size ? cJSON_ParseWithLength(loading->at, size) : NULL;

    loading->line++;
    loading->at += size + (loading->at[size] == '\n');
    return json;
}

static uint64_t number_of(const cJSON *object, const char *name)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);

    return cJSON_IsNumber(member) && member->valuedouble >= 0 && member->valuedouble <= 1e18
               ? (uint64_t)member->valuedouble
               : 0;
}

static int load_head(struct loading *loading, struct fence_err *err)
{
    FENCE_CLEANUP(delete_json) cJSON *head = next_line(loading);
    const cJSON *boot = cJSON_GetObjectItemCaseSensitive(head, "boot");
    const cJSON *since = cJSON_GetObjectItemCaseSensitive(head, "since");
    uint64_t since_ns;
    int r;

    if (number_of(head, "podfenceFlows") != FORMAT)
        return fence_err_set(err, -EINVAL, "line 1: not a flow book of format %d", FORMAT);
    if (!cJSON_IsString(boot) || !cJSON_IsString(since) ||
        fence_flow_time_parse(since->valuestring, &since_ns) < 0 ||
        number_of(head, "flows") > FENCE_FLOWS_MAX)
        return fence_err_set(err, -EINVAL, "line 1: boot, since or flows is not valid");
    r = fence_flow_book_new(since_ns, &loading->book);
    if (r < 0)
        return fence_err_set(err, r, "out of memory");
    loading->book->losses = (struct fence_flow_losses){
        number_of(head, "pushedOut"), number_of(head, "unnamed"), number_of(head, "vanished")};
    loading->cursors = strcmp(boot->valuestring, loading->boot) == 0;
    loading->book->moment.jiffies = number_of(head, "jiffies");
    loading->flow_count = (size_t)number_of(head, "flows");
    loading->flows = calloc(loading->flow_count + 1, sizeof(struct book_flow *));
    return loading->flows ? 0 : fence_err_set(err, -ENOMEM, "out of memory");
}

static int fill_flow(struct fence_flow_book *book, struct book_flow *flow,
                     const struct fence_flow_seen *seen)
{
    struct book_remotes *remotes;

    flow->reason = seen->reason;
    flow->audit_reason = seen->audit_reason;
    flow->count = seen->count;
    flow->first_ns = seen->first_ns;
    flow->last_ns = seen->last_ns;
    if (book_flow_set_rule(book, &flow->policy, &flow->rule, &seen->rule) < 0 ||
        book_flow_set_rule(book, &flow->audit_policy, &flow->audit_rule, &seen->audit_rule) < 0)
        return -ENOMEM;
    if (!seen->remote_count)
        return 0;
    remotes = book_flow_remotes(flow);
    if (!remotes)
        return -ENOMEM;
    memcpy(remotes->addrs, seen->remotes, seen->remote_count * sizeof(*seen->remotes));
    remotes->count = (uint32_t)seen->remote_count;
    remotes->heard = seen->remotes_heard;
    remotes->omitted = seen->remotes_omitted;
    return 0;
}

static int add_flow(struct fence_flow_book *book, const struct fence_flow_seen *seen,
                    struct book_flow **ret_flow)
{
    const struct fence_flow_key rest = {
        .port = seen->port,
        .protocol = seen->protocol,
        .direction = seen->direction,
        .verdict = seen->verdict == FENCE_FLOW_DROPPED ? FENCE_DENY : FENCE_ALLOW,
        .shadow = seen->verdict == FENCE_FLOW_FORWARDED ? FENCE_ALLOW : FENCE_DENY,
    };
    struct book_end *source = book_end_ref(book, &seen->source);
    struct book_end *destination = book_end_ref(book, &seen->destination);
    struct book_flow *flow = NULL;
    int r = -ENOMEM;

    if (source && destination) {
        const struct book_key key = book_key_make(source, destination, &rest);

        r = book_flow_find(book, &key) ? -EEXIST : 0;
        flow = r == 0 ? book_flow_get(book, &key) : NULL;
    }
    if (flow)
        r = fill_flow(book, flow, seen);
    book_end_unref(book, &source);
    book_end_unref(book, &destination);
    if (r < 0 || !flow)
        return r < 0 ? r : -ENOMEM;
    *ret_flow = flow;
    return 0;
}

static int load_flow(struct loading *loading, size_t number, struct fence_err *err)
{
    FENCE_CLEANUP(delete_json) cJSON *json = next_line(loading);
    FENCE_CLEANUP(fence_flow_parsed_done) struct fence_flow_parsed parsed = {0};
    int r = fence_flow_parse(json, &parsed, err);

    if (r < 0)
        return fence_err_prefix(err, r, "line %u", loading->line);
    r = add_flow(loading->book, &parsed.seen, &loading->flows[number]);
    if (r == -EEXIST)
        return fence_err_set(err, -EINVAL, "line %u: a flow is there twice", loading->line);
    return r < 0 ? fence_err_set(err, r, "out of memory") : 0;
}

/* Its flow; NULL when it is no cursor. */
static const struct book_flow *read_cursor(const struct loading *loading, const cJSON *json,
                                           uint64_t ret_members[CURSOR_MEMBERS])
{
    static const double most[CURSOR_MEMBERS] = {FENCE_FLOWS_MAX, UINT32_MAX, UINT32_MAX,
                                                UINT8_MAX,       UINT8_MAX,  1e18};
    const cJSON *item;
    size_t count = 0;

    if (!cJSON_IsArray(json) || cJSON_GetArraySize(json) != CURSOR_MEMBERS)
        return NULL;
    cJSON_ArrayForEach(item, json)
    {
        if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= most[count]))
            return NULL;
        ret_members[count++] = (uint64_t)item->valuedouble;
    }
    return ret_members[CURSOR_FLOW] < loading->flow_count ? loading->flows[ret_members[CURSOR_FLOW]]
                                                          : NULL;
}

static int add_cursor(struct loading *loading, const struct book_flow *flow,
                      const uint64_t members[CURSOR_MEMBERS])
{
    const struct fence_flow_key key = {
        .source = (uint32_t)members[CURSOR_SOURCE],
        .destination = (uint32_t)members[CURSOR_DESTINATION],
        .port = flow->key.port,
        .protocol = flow->key.protocol,
        .direction = flow->key.direction,
        .verdict = (uint8_t)members[CURSOR_VERDICT],
        .shadow = (uint8_t)members[CURSOR_SHADOW],
    };
    struct book_cursor *cursor;

    if (!loading->cursors)
        return 0;
    cursor = book_cursor_add(loading->book, &key);
    if (!cursor)
        return -ENOMEM;
    cursor->source = flow->key.source;
    cursor->source->references++;
    cursor->destination = flow->key.destination;
    cursor->destination->references++;
    cursor->count = members[CURSOR_COUNT];
    cursor->last = loading->book->moment.jiffies;
    cursor->looked = loading->book->look;
    return 0;
}

/* Up to the line that ends them. */
static int load_cursors(struct loading *loading, struct fence_err *err)
{
    for (;;) {
        FENCE_CLEANUP(delete_json) cJSON *json = next_line(loading);
        uint64_t members[CURSOR_MEMBERS] = {0};
        const struct book_flow *flow;

        if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "end")))
            return 0;
        flow = read_cursor(loading, json, members);
        if (!flow)
            return fence_err_set(err, -EINVAL, "line %u: no cursor, or the end is missing",
                                 loading->line);
        if (add_cursor(loading, flow, members) < 0)
            return fence_err_set(err, -ENOMEM, "out of memory");
    }
}

int fence_flow_book_load(const char *text, const char *boot, struct fence_flow_book **ret_book,
                         struct fence_err *err)
{
    struct loading loading = {.at = text, .boot = boot};
    int r = load_head(&loading, err);

    for (size_t i = 0; i < loading.flow_count && r == 0; i++)
        r = load_flow(&loading, i, err);
    if (r == 0)
        r = load_cursors(&loading, err);
    free(loading.flows);
    if (r < 0) {
        fence_flow_book_free(&loading.book);
        return r;
    }
    *ret_book = loading.book;
    return 0;
}

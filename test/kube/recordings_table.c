/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "lib/base/memory.h"
#include "test/cmocka.h"
#include "test/kube/recordings.h"

/* Lists, or pages of some. */
static const struct {
    const char *name;
    unsigned int told;
    const char *version;
    bool goes_on; /* with another page */
} lists[] = {
    {"list-pods", 8, "258", false},
    {"list-pods-rv0", 8, "258", false},
    {"list-pods-rv0-limit2", 8, "258", false},
    {"list-pods-page1", 2, "258", true},
    {"list-pods-page2", 2, "258", true},
    {"list-pods-page3", 2, "258", true},
    {"list-pods-page4", 2, "258", false},
    {"list-pods-node-a", 4, "258", false},
    {"list-pods-label", 3, "258", false},
    {"list-pods-empty", 0, "258", false},
    {"list-pods-bulk-gzip", 68, "381", false},
    {"list-nodes", 2, "258", false},
    {"list-namespaces", 7, "258", false},
    {"list-namespaces-meta", 7, "258", false},
    {"list-namespaces-meta-fallback", 7, "258", false},
    {"list-services", 5, "258", false},
    {"list-services-gzip-small", 5, "383", false},
    {"list-endpointslices", 4, "258", false},
    {"list-networkpolicies", 7, "258", false},
    {"list-continue-after-compaction", 2, "515", true},
    {"list-inconsistent-continue", 2, "535", true},
    {"crd-list-empty", 0, "296", false},
    {"crd-list", 1, "302", false},
    {"http2-list.txt", 1, "383", true},
};

/* Streams, to the end that the server made. */
static const struct {
    const char *name;
    unsigned int told, gone;
    const char *version; /* the last one; NULL: none */
    bool closes;         /* with the bookmark that ends a streaming list */
} streams[] = {
    {"watch-pods-events", 8, 1, "285", false},
    {"watch-pods-node-a", 7, 1, "285", false},
    {"watch-pods-label", 7, 2, "267", false},
    {"watch-pods-quiet", 0, 0, NULL, false},
    {"watch-namespaces", 3, 1, "271", false},
    {"watch-namespaces-meta", 3, 1, "271", false},
    {"watch-networkpolicies", 2, 1, "274", false},
    {"watch-services", 2, 1, "278", false},
    {"watch-endpointslices", 2, 0, "281", false},
    {"watch-nodes", 1, 0, "282", false},
    {"watch-pods-norv", 4, 0, "227", false},
    {"watch-pods-rv0", 4, 0, "227", false},
    {"watch-gzip", 4, 0, "227", false},
    {"watchlist-pods", 5, 0, "289", true},
    {"watchlist-pods-rv0", 4, 0, "289", true},
    {"watchlist-empty", 0, 0, "289", true},
    {"watchlist-namespaces-meta", 7, 0, "289", true},
    {"crd-watch", 5, 1, "302", false},
    {"crd-watch-crd-deleted", 1, 1, "305", true},
    {"watch-rv-too-large", 0, 0, NULL, false},
    {"watch-server-sigterm", 4, 0, "528", true},
    {"watch-server-sigterm-idle", 0, 0, NULL, false},
    {"http2-watch.txt", 1, 0, "289", false},
};

/* Streams that go wrong. */
static const struct {
    const char *name;
    unsigned int told;
    const char *version;
    const char *problem;
    enum step after_stream, after_watch;
} broken[] = {
    {"watch-server-killed", 1, "239", "the network", STEP_STREAM, STEP_WATCH},
    {"410-watch-after-restart", 0, NULL, "the watch ended with 410: too old resource version: 515",
     STEP_STREAM, STEP_STREAM},
    {"watchlist-unsupported", 0, NULL, "storage feature RequestWatchProgress is disabled",
     STEP_PAGE, STEP_WATCH},
    {"watchlist-unsupported-rv0", 0, NULL, "storage feature RequestWatchProgress is disabled",
     STEP_PAGE, STEP_WATCH},
};

/* Statuses that are no success. */
static const struct {
    const char *name;
    enum fence_kube_phase phase;
    enum wait wait;
    bool resumes; /* a watch from the same version */
    bool pages;   /* a streaming list is asked for in pages, at once */
    const char *problem;
} errors[] = {
    {"400-bad-rv", FENCE_KUBE_WAITING, WAIT_SHORT, false, true,
     "HTTP 400: invalid resource version"},
    {"400-bad-continue", FENCE_KUBE_WAITING, WAIT_SHORT, false, true,
     "HTTP 400: invalid continue token"},
    {"400-bad-selector", FENCE_KUBE_WAITING, WAIT_SHORT, false, true,
     "HTTP 400: field label not supported: spec.nope"},
    {"401-bad-token", FENCE_KUBE_REFUSED, WAIT_LONG, true, false, "HTTP 401: Unauthorized"},
    {"401-bad-signature", FENCE_KUBE_REFUSED, WAIT_LONG, true, false, "HTTP 401: Unauthorized"},
    {"401-account-deleted", FENCE_KUBE_REFUSED, WAIT_LONG, true, false, "HTTP 401: Unauthorized"},
    {"401-watch", FENCE_KUBE_REFUSED, WAIT_LONG, true, false, "HTTP 401: Unauthorized"},
    {"403-anonymous", FENCE_KUBE_REFUSED, WAIT_LONG, true, false,
     "HTTP 403: pods is forbidden: User \"system:anonymous\" cannot list"},
    {"403-list", FENCE_KUBE_REFUSED, WAIT_LONG, true, false, "HTTP 403: secrets is forbidden"},
    {"403-watch", FENCE_KUBE_REFUSED, WAIT_LONG, true, false, "HTTP 403: configmaps is forbidden"},
    {"403-no-role", FENCE_KUBE_REFUSED, WAIT_LONG, true, false, "HTTP 403: networkpolicies.netw"},
    {"403-startup", FENCE_KUBE_REFUSED, WAIT_LONG, true, false, "HTTP 403: networkpolicies.netw"},
    {"crd-spec-403", FENCE_KUBE_REFUSED, WAIT_LONG, true, false, "HTTP 403: gadgets.test.example"},
    {"crd-404-before", FENCE_KUBE_ABSENT, WAIT_LONG, false, false, "HTTP 404: 404 page not found"},
    {"crd-404-watch", FENCE_KUBE_ABSENT, WAIT_LONG, false, false, "HTTP 404: 404 page not found"},
    {"crd-404-group", FENCE_KUBE_ABSENT, WAIT_LONG, false, false, "HTTP 404: 404 page not found"},
    {"crd-404-other-kind", FENCE_KUBE_ABSENT, WAIT_LONG, false, false,
     "HTTP 404: 404 page not found"},
    {"crd-404-after", FENCE_KUBE_ABSENT, WAIT_LONG, false, false, "HTTP 404: 404 page not found"},
    {"get-pod-404", FENCE_KUBE_ABSENT, WAIT_LONG, false, false,
     "HTTP 404: pods \"none\" not found"},
    {"crd-status-404", FENCE_KUBE_ABSENT, WAIT_LONG, false, false,
     "HTTP 404: gadgets.test.example.org \"gone\" not found"},
    {"406-accept", FENCE_KUBE_WAITING, WAIT_SHORT, false, false,
     "HTTP 406: 406: Not Acceptable  Available representations: application/json"},
    {"crd-status-conflict", FENCE_KUBE_WAITING, WAIT_SHORT, false, false,
     "HTTP 409: Operation cannot be fulfilled"},
    {"410-exact-old", FENCE_KUBE_WAITING, WAIT_SHORT, false, false,
     "HTTP 410: The resourceVersion for the provided list is too old."},
    {"410-continue", FENCE_KUBE_WAITING, WAIT_SHORT, false, false,
     "HTTP 410: The provided continue parameter is too old"},
    {"watchlist-422", FENCE_KUBE_WAITING, WAIT_SHORT, false, true,
     "sendInitialEvents requires setting resourceVersionMatch"},
    {"crd-status-invalid", FENCE_KUBE_WAITING, WAIT_SHORT, false, true,
     "HTTP 422: Gadget.test.example.org \"g1\" is invalid"},
    {"429-overload", FENCE_KUBE_WAITING, WAIT_ASKED, true, false, "HTTP 429: Too many requests"},
    {"429-apf", FENCE_KUBE_WAITING, WAIT_ASKED, true, false, "HTTP 429: Too many requests"},
    {"429-apf-watch", FENCE_KUBE_WAITING, WAIT_ASKED, true, false, "HTTP 429: Too many requests"},
    {"watch-bad-rv", FENCE_KUBE_WAITING, WAIT_SHORT, false, false,
     "HTTP 500: resourceVersion: Invalid value"},
    {"504-rv-too-large", FENCE_KUBE_WAITING, WAIT_ASKED, false, false,
     "HTTP 504: Timeout: Too large resource version: 99999999, current: 314"},
    {"token-request", FENCE_KUBE_WAITING, WAIT_SHORT, false, false, "HTTP 201: "},
};

/* Answers to what a reflector never asks. */
static const struct {
    const char *name;
    const char *of_list, *of_watch; /* problems */
} foreign[] = {
    {"version", "it has no items", "a member without a name"},
    {"get-pod", "no list but of kind Pod", "no known type"},
    {"crd-get", "no list but of kind Gadget", "no known type"},
    {"crd-discovery", "it has no items", "no known type"},
    {"crd-table", "no list but of kind Table", "no known type"},
    {"crd-status-patch", "no list but of kind Gadget", "no known type"},
    {"crd-status-apply", "no list but of kind Gadget", "no known type"},
};

/* What is no answer: recordings.c has a test of its own for each. */
static const char *const notes[] = {"restart-timeline.txt", "curl-exit-codes.txt"};

/* ---- what is to happen ------------------------------------------------------------------------
 */

static bool is_stream(enum step step)
{
    return step == STEP_STREAM || step == STEP_WATCH;
}

/* Nothing told, the same kind of list again later; after a watch a list, after a stream pages. */
static struct expected refused(enum step step, const char *problem)
{
    static const enum step next[] = {[STEP_STREAM] = STEP_PAGE,
                                     [STEP_PAGE] = STEP_PAGE,
                                     [STEP_NEXT] = STEP_PAGE,
                                     [STEP_WATCH] = STEP_STREAM};

    return (struct expected){
        .next = next[step], .wait = WAIT_SHORT, .phase = FENCE_KUBE_WAITING, .problem = problem};
}

static struct expected of_list(size_t i, enum step step)
{
    struct expected expected = refused(step, "");

    if (is_stream(step)) {
        expected.problem =
            strstr(lists[i].name, ".txt") ? "a member without a name" : "no known type";
        return expected;
    }
    expected.told = lists[i].told;
    expected.ends = !lists[i].goes_on;
    expected.next = lists[i].goes_on ? STEP_NEXT : STEP_WATCH;
    /* that of the first page counts */
    expected.version = step == STEP_NEXT ? "258" : lists[i].version;
    expected.wait = WAIT_NOT;
    expected.phase = lists[i].goes_on ? FENCE_KUBE_LISTING : FENCE_KUBE_WATCHING;
    return expected;
}

static struct expected of_stream(size_t i, enum step step)
{
    struct expected expected = refused(step, "no list: ");

    if (!is_stream(step))
        return expected;
    expected.told = streams[i].told;
    expected.gone = streams[i].gone;
    expected.ends = step == STEP_STREAM && streams[i].closes;
    expected.problem = "a streaming list that did not end";
    if (step == STEP_STREAM && !streams[i].closes)
        return expected;
    expected.problem = "";
    expected.next = STEP_WATCH;
    expected.version = streams[i].version ? streams[i].version : STEPS_VERSION;
    expected.wait = WAIT_NOT;
    expected.phase = FENCE_KUBE_WATCHING;
    return expected;
}

static struct expected of_broken(size_t i, enum step step)
{
    struct expected expected = refused(step, "");

    if (!is_stream(step)) {
        /* of a killed server, all that counts is that it is gone */
        expected.problem = broken[i].told ? "more behind its end" : "it has no items";
        return expected;
    }
    expected.told = broken[i].told;
    expected.next = step == STEP_STREAM ? broken[i].after_stream : broken[i].after_watch;
    expected.version = broken[i].version ? broken[i].version : STEPS_VERSION;
    expected.problem = broken[i].problem;
    return expected;
}

static struct expected of_error(size_t i, enum step step)
{
    struct expected expected = refused(step, errors[i].problem);

    expected.wait = errors[i].wait;
    expected.phase = errors[i].phase;
    expected.renewals = strncmp(errors[i].name, "401", 3) == 0;
    if (step == STEP_STREAM && errors[i].pages) {
        expected.wait = WAIT_NOT;
        expected.phase = FENCE_KUBE_LISTING;
        expected.problem = "";
    } else if (step == STEP_STREAM) {
        expected.next = STEP_STREAM;
    } else if (step == STEP_WATCH && errors[i].resumes) {
        expected.next = STEP_WATCH;
        expected.version = STEPS_VERSION;
    }
    return expected;
}

/* ---- which rows there are ---------------------------------------------------------------------
 */

#define FIND(table, found, name)                                                                   \
    do {                                                                                           \
        for ((found) = 0; (found) < FENCE_ARRAY_SIZE(table); (found)++)                            \
            if (strcmp((table)[found].name, name) == 0)                                            \
                break;                                                                             \
    } while (0)

const char *recordings_row(size_t at)
{
#define ROW_OF(table)                                                                              \
    if (at < FENCE_ARRAY_SIZE(table))                                                              \
        return (table)[at].name;                                                                   \
    at -= FENCE_ARRAY_SIZE(table)
    ROW_OF(lists);
    ROW_OF(streams);
    ROW_OF(broken);
    ROW_OF(errors);
    ROW_OF(foreign);
    return at < FENCE_ARRAY_SIZE(notes) ? notes[at] : NULL;
}

unsigned int recordings_tables(const char *name)
{
    unsigned int count = 0;
    const char *row;

    for (size_t i = 0; (row = recordings_row(i)); i++)
        count += strcmp(row, name) == 0;
    return count;
}

struct expected recordings_expect(const char *name, enum step step)
{
    size_t i;

    FIND(lists, i, name);
    if (i < FENCE_ARRAY_SIZE(lists))
        return of_list(i, step);
    FIND(streams, i, name);
    if (i < FENCE_ARRAY_SIZE(streams))
        return of_stream(i, step);
    FIND(broken, i, name);
    if (i < FENCE_ARRAY_SIZE(broken))
        return of_broken(i, step);
    FIND(errors, i, name);
    if (i < FENCE_ARRAY_SIZE(errors))
        return of_error(i, step);
    FIND(foreign, i, name);
    if (i == FENCE_ARRAY_SIZE(foreign))
        fail_msg("%s: no table speaks of it", name);
    return refused(step, is_stream(step) ? foreign[i].of_watch : foreign[i].of_list);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steps: look (GET), and if it is to be had, take (POST where there is none, else PUT with the
 * version that was seen); then renew (PUT) until that is refused, and look again. Give: a PUT that
 * names nobody.
 */
#include "lib/kube/lease.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/kube/backoff.h"
#include "lib/kube/call.h"

#define NS_PER_S   1000000000ull
#define DURATION_S 30u
#define LOOK_MAX_S 3600u
#define IDENTITY   256u
#define VERSION    128u

enum step { STEP_LOOK, STEP_TAKE, STEP_RENEW, STEP_GIVE };

/* As last seen, or written. */
struct record {
    char holder[IDENTITY];
    char version[VERSION]; /* "" = there is no Lease */
    char acquired[40];
    double transitions;
    double duration_s;
    uint64_t since_ns; /* boot time at which it was first seen so */
};

struct fence_lease {
    struct fence_lease_options options;
    enum step step; /* that runs, or is due */
    unsigned int rank;
    unsigned int failures;
    uint64_t due_ns;
    uint64_t sent_ns;    /* of the request that runs */
    uint64_t renewed_ns; /* when the request was sent that last made it ours; 0 = it is not */
    struct record record;
    struct fence_kube_call *call;
    struct fence_err problem;
};

static uint64_t now(const struct fence_lease *lease)
{
    return lease->options.world->now_ns(lease->options.world->context);
}

static uint32_t draw(const struct fence_lease *lease)
{
    return lease->options.world->random(lease->options.world->context);
}

int fence_lease_new(const struct fence_lease_options *options, struct fence_lease **ret_lease)
{
    struct fence_lease *lease = calloc(1, sizeof(*lease));

    if (!lease)
        return -ENOMEM;
    lease->options = *options;
    if (!lease->options.duration_s)
        lease->options.duration_s = DURATION_S;
    *ret_lease = lease;
    return 0;
}

void fence_lease_free(struct fence_lease **lease)
{
    if (!*lease)
        return;
    fence_kube_call_cancel(&(*lease)->call);
    free(*lease);
    *lease = NULL;
}

void fence_lease_set_rank(struct fence_lease *lease, unsigned int rank)
{
    lease->rank = rank;
}

/* ---- when ------------------------------------------------------------------------------------ */

static uint64_t third_s(const struct fence_lease *lease)
{
    return lease->options.duration_s >= 3 ? lease->options.duration_s / 3 : 1;
}

/* Somewhat spread, so that nodes that start together do not stay so. */
static void after(struct fence_lease *lease, enum step step, uint64_t seconds)
{
    uint64_t ns = seconds * NS_PER_S;

    lease->step = step;
    lease->due_ns = now(lease) + ns - draw(lease) % (ns / 8 + 1);
}

static void look_later(struct fence_lease *lease)
{
    uint64_t seconds = third_s(lease) * (lease->rank + 1);

    after(lease, STEP_LOOK, seconds < LOOK_MAX_S ? seconds : LOOK_MAX_S);
}

static void at_once(struct fence_lease *lease, enum step step)
{
    lease->step = step;
    lease->due_ns = now(lease);
}

/* Who holds it tries more often than others: it would lose it else. */
static void again_later(struct fence_lease *lease, const struct fence_kube_answer *answer)
{
    uint64_t wait;

    fence_err_set(&lease->problem, 0, "%s",
                  *answer->problem ? answer->problem : "the answer is no Lease");
    wait = fence_backoff_ms(&fence_backoff_missing, lease->failures++, draw(lease),
                            answer->retry_after_ms);
    if (!fence_lease_is_held(lease)) {
        look_later(lease);
        lease->due_ns += wait * (NS_PER_S / 1000);
        return;
    }
    lease->due_ns = now(lease) + wait * (NS_PER_S / 1000);
}

/* ---- what it says ---------------------------------------------------------------------------- */

static void copy_text(const cJSON *from, const char *name, char *text, size_t size)
{
    const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(from, name));

    snprintf(text, size, "%s", value && strlen(value) < size ? value : "");
}

static double number_of(const cJSON *from, const char *name, double otherwise)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(from, name);

    return cJSON_IsNumber(value) && value->valuedouble >= 0 ? value->valuedouble : otherwise;
}

/* False: it is no Lease. */
static bool read_record(struct fence_lease *lease, const cJSON *json)
{
    const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(json, "metadata");
    const cJSON *spec = cJSON_GetObjectItemCaseSensitive(json, "spec");
    struct record record = {.since_ns = now(lease)};

    copy_text(metadata, "resourceVersion", record.version, sizeof(record.version));
    if (!*record.version)
        return false;
    copy_text(spec, "holderIdentity", record.holder, sizeof(record.holder));
    copy_text(spec, "acquireTime", record.acquired, sizeof(record.acquired));
    record.transitions = number_of(spec, "leaseTransitions", 0);
    record.duration_s = number_of(spec, "leaseDurationSeconds", lease->options.duration_s);
    if (record.duration_s > LOOK_MAX_S)
        record.duration_s = LOOK_MAX_S;
    if (strcmp(record.version, lease->record.version) == 0)
        record.since_ns = lease->record.since_ns;
    lease->record = record;
    return true;
}

static bool is_own(const struct fence_lease *lease)
{
    return strcmp(lease->record.holder, lease->options.identity) == 0;
}

static uint64_t runs_out_ns(const struct fence_lease *lease)
{
    return lease->record.since_ns + (uint64_t)(lease->record.duration_s * (double)NS_PER_S);
}

static bool is_free(const struct fence_lease *lease)
{
    return !*lease->record.holder || is_own(lease) || now(lease) >= runs_out_ns(lease);
}

/* New string, NULL without memory. */
static char *format_body(const struct fence_lease *lease)
{
    cJSON *json = cJSON_CreateObject();
    cJSON *metadata = cJSON_AddObjectToObject(json, "metadata");
    cJSON *spec = cJSON_AddObjectToObject(json, "spec");
    bool own = is_own(lease), given = lease->step == STEP_GIVE;
    char time[FENCE_CLOCK_TEXT], *text;

    fence_clock_format(fence_clock_wall_ns(), time);
    cJSON_AddStringToObject(json, "apiVersion", "coordination.k8s.io/v1");
    cJSON_AddStringToObject(json, "kind", "Lease");
    cJSON_AddStringToObject(metadata, "name", lease->options.name);
    cJSON_AddStringToObject(metadata, "namespace", lease->options.namespace_name);
    if (*lease->record.version)
        cJSON_AddStringToObject(metadata, "resourceVersion", lease->record.version);
    cJSON_AddStringToObject(spec, "holderIdentity", given ? "" : lease->options.identity);
    cJSON_AddNumberToObject(spec, "leaseDurationSeconds", lease->options.duration_s);
    cJSON_AddStringToObject(spec, "acquireTime",
                            own && *lease->record.acquired ? lease->record.acquired : time);
    cJSON_AddStringToObject(spec, "renewTime", time);
    cJSON_AddNumberToObject(spec, "leaseTransitions",
                            lease->record.transitions + (!own && *lease->record.version ? 1 : 0));
    text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    return text;
}

/* ---- answers --------------------------------------------------------------------------------- */

static void looked(struct fence_lease *lease, const struct fence_kube_answer *answer)
{
    if (answer->code == 0 && answer->status == 404) {
        lease->record = (struct record){0};
        at_once(lease, STEP_TAKE);
        return;
    }
    if (!answer->json || !read_record(lease, answer->json)) {
        again_later(lease, answer);
        return;
    }
    lease->failures = 0;
    lease->problem.text[0] = '\0';
    if (is_free(lease))
        at_once(lease, STEP_TAKE);
    else
        look_later(lease);
}

/* Taken or renewed, or not. */
static void written(struct fence_lease *lease, const struct fence_kube_answer *answer)
{
    if (answer->json && read_record(lease, answer->json) && is_own(lease)) {
        lease->failures = 0;
        lease->problem.text[0] = '\0';
        lease->renewed_ns = lease->sent_ns;
        after(lease, STEP_RENEW, third_s(lease));
        return;
    }
    /* somebody was faster, or has deleted it; without its namespace it cannot be made */
    if (answer->code == 0 &&
        (answer->status == 409 || (answer->status == 404 && *lease->record.version))) {
        lease->renewed_ns = 0;
        if (answer->status == 409 && lease->step == STEP_TAKE)
            look_later(lease);
        else
            at_once(lease, STEP_LOOK);
        return;
    }
    again_later(lease, answer);
}

static void answered(void *context, const struct fence_kube_answer *answer)
{
    struct fence_lease *lease = context;

    lease->call = NULL;
    if (lease->step == STEP_LOOK)
        looked(lease, answer);
    else if (lease->step == STEP_GIVE)
        look_later(lease);
    else
        written(lease, answer);
}

/* ---- requests -------------------------------------------------------------------------------- */

uint64_t fence_lease_due_ns(const struct fence_lease *lease)
{
    return lease->call ? UINT64_MAX : lease->due_ns;
}

static int start(struct fence_lease *lease)
{
    struct fence_kube_request request = {.method = "GET"};
    bool is_new = !*lease->record.version;
    FENCE_FREE char *body = NULL;
    char path[1024];

    snprintf(path, sizeof(path), "/apis/coordination.k8s.io/v1/namespaces/%s/leases%s%s",
             lease->options.namespace_name, lease->step != STEP_LOOK && is_new ? "" : "/",
             lease->step != STEP_LOOK && is_new ? "" : lease->options.name);
    request.path = path;
    if (lease->step != STEP_LOOK) {
        body = format_body(lease);
        if (!body)
            return -ENOMEM;
        request.method = is_new ? "POST" : "PUT";
        request.content_type = "application/json";
        request.body = body;
    }
    lease->sent_ns = now(lease);
    return fence_kube_call(lease->options.world, &request, answered, lease, &lease->call);
}

void fence_lease_tick(struct fence_lease *lease)
{
    const struct fence_err *why = lease->options.world->start_err;
    struct fence_err problem;
    struct fence_kube_answer failed = {.retry_after_ms = -1, .problem = problem.text};
    int r;

    if (now(lease) < fence_lease_due_ns(lease))
        return;
    /* it may be another's by now */
    if (lease->step != STEP_LOOK && lease->step != STEP_GIVE && !fence_lease_is_held(lease) &&
        !is_free(lease))
        lease->step = STEP_LOOK;
    r = start(lease);
    if (r == 0)
        return;
    lease->call = NULL;
    fence_err_set(&problem, r, "the request could not be begun: %.800s",
                  why && r != -ENOMEM ? why->text : strerror(-r));
    again_later(lease, &failed);
}

bool fence_lease_give(struct fence_lease *lease)
{
    if (lease->step == STEP_GIVE)
        return lease->call;
    if (!fence_lease_is_held(lease))
        return false;
    fence_kube_call_cancel(&lease->call);
    lease->renewed_ns = 0;
    at_once(lease, STEP_GIVE);
    fence_lease_tick(lease);
    return lease->call;
}

bool fence_lease_is_held(const struct fence_lease *lease)
{
    return lease->renewed_ns && now(lease) < lease->renewed_ns + 2 * third_s(lease) * NS_PER_S;
}

const char *fence_lease_holder(const struct fence_lease *lease)
{
    return lease->record.holder;
}

const char *fence_lease_problem(const struct fence_lease *lease)
{
    return lease->problem.text;
}

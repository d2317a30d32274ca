/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/kubernetes.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/memory.h"
#include "lib/objects/live.h"

#define NAME           FENCE_KUBERNETES_SOURCE
#define CONFIG_MAPS    ((unsigned int)FENCE_OBJECT_KINDS)
#define ADDRESS_SLICES (CONFIG_MAPS + 1)
/* Below so many objects in a list, giving memory back costs more than it is worth. */
#define LARGE_LIST     2000
#define IN_SLICE       16
/* One may be of a server that has just begun, and has not read its roles or its CRDs yet. */
#define REFUSALS       2
#define ABSENCES       2

#define REASON_MAX   1024
#define SELECTOR_MAX (253 + 32) /* a node's name and what it is of */

/* The kinds of lib/objects in their order, then ConfigMaps, then what not all ask for. */
static const struct fence_kube_resource resources[] = {
    {"Pod", "v1", "pods", ""},
    {"Namespace", "v1", "namespaces", ""},
    {"Node", "v1", "nodes", ""},
    {"Service", "v1", "services", ""},
    {"EndpointSlice", "discovery.k8s.io/v1", "endpointslices", ""},
    {"NetworkPolicy", "networking.k8s.io/v1", "networkpolicies", ""},
    {"ClusterNetworkPolicy", "policy.networking.k8s.io/v1alpha2", "clusternetworkpolicies", ""},
    {"SegmentPolicy", "podfence.io/v1alpha1", "segmentpolicies", ""},
    {"ClusterSegmentPolicy", "podfence.io/v1alpha1", "clustersegmentpolicies", ""},
    {"ConfigMap", "v1", "configmaps", "labelSelector=podfence.io%2Fpolicies%3Dtrue"},
    {"AddressSlice", "podfence.io/v1alpha1", "addressslices", ""},
};
static_assert(sizeof(resources) / sizeof(*resources) == FENCE_KUBERNETES_RESOURCES, "count");
static_assert(ADDRESS_SLICES == FENCE_KUBERNETES_RESOURCES - 1, "every kind is asked for");

/* Those that podfence or its user installs: a cluster may be without them. */
static bool is_optional(unsigned int resource)
{
    return resource == FENCE_OBJECT_CLUSTER_NETWORK_POLICY ||
           resource == FENCE_OBJECT_SEGMENT_POLICY ||
           resource == FENCE_OBJECT_CLUSTER_SEGMENT_POLICY;
}

struct each_resource {
    size_t listed; /* objects of the list that is being told */
    size_t had;    /* of the last one that ended */
    bool listing;
    bool complete;         /* a whole list has come since the start */
    bool seen;             /* and no more is wanted, or it may be absent */
    bool without;          /* done without: it has no right to list them */
    unsigned int refusals; /* in a row, since all others are seen */
    unsigned int absences; /* in a row: answers that the kind is not installed */
    uint64_t failures;     /* as last looked at */
    enum fence_kube_phase phase;
};

struct fence_kubernetes {
    struct fence_live *live;
    struct fence_kube *kube;
    struct fence_kube_resource resources[FENCE_KUBERNETES_RESOURCES];
    unsigned int count; /* of them */
    char pods_of_node[SELECTOR_MAX];
    char this_node[SELECTOR_MAX];
    struct each_resource each[FENCE_KUBERNETES_RESOURCES];
    struct fence_kubernetes_changes changes; /* of this call of handle */
};

unsigned int fence_kubernetes_count(const struct fence_kubernetes *kubernetes)
{
    return kubernetes->count;
}

const struct fence_kube_resource *
fence_kubernetes_resource(const struct fence_kubernetes *kubernetes, unsigned int resource)
{
    return &kubernetes->resources[resource];
}

/* What the live source answers, as the client wants it. */
static int note(struct fence_kubernetes *kubernetes, int result)
{
    /* an object that is refused is a problem, and changes nothing that is in force */
    kubernetes->changes.problems = true;
    if (result > 0)
        kubernetes->changes.objects = true;
    return result < 0 ? result : 0;
}

static int object(void *context, unsigned int resource, char *json, size_t size,
                  struct fence_err *err)
{
    struct fence_kubernetes *kubernetes = context;

    if (kubernetes->each[resource].listing)
        kubernetes->each[resource].listed++;
    if (resource == CONFIG_MAPS)
        return note(kubernetes, fence_live_config_map(kubernetes->live, json, size, err));
    if (resource == ADDRESS_SLICES)
        return note(kubernetes, fence_live_address_slice(kubernetes->live, json, size, err));
    return note(kubernetes,
                fence_live_object(kubernetes->live, (enum fence_kind)resource, json, size, err));
}

static int deleted(void *context, unsigned int resource, char *json, size_t size,
                   struct fence_err *err)
{
    struct fence_kubernetes *kubernetes = context;

    if (resource == CONFIG_MAPS)
        return note(kubernetes, fence_live_config_map_deleted(kubernetes->live, json, size, err));
    if (resource == ADDRESS_SLICES)
        return note(kubernetes,
                    fence_live_address_slice_deleted(kubernetes->live, json, size, err));
    return note(kubernetes,
                fence_live_deleted(kubernetes->live, (enum fence_kind)resource, json, size, err));
}

static void begun(void *context, unsigned int resource)
{
    struct fence_kubernetes *kubernetes = context;

    kubernetes->each[resource].listing = true;
    kubernetes->each[resource].listed = 0;
    if (resource == CONFIG_MAPS)
        fence_live_config_maps_begin(kubernetes->live);
    else if (resource == ADDRESS_SLICES)
        fence_live_address_slices_begin(kubernetes->live);
    else
        fence_live_begin(kubernetes->live, (enum fence_kind)resource);
}

static int end_of(struct fence_kubernetes *kubernetes, unsigned int resource, struct fence_err *err)
{
    if (resource == CONFIG_MAPS)
        return fence_live_config_maps_end(kubernetes->live, err);
    if (resource == ADDRESS_SLICES)
        return fence_live_address_slices_end(kubernetes->live, err);
    return fence_live_end(kubernetes->live, (enum fence_kind)resource, err);
}

static int ended(void *context, unsigned int resource, struct fence_err *err)
{
    struct fence_kubernetes *kubernetes = context;
    struct each_resource *each = &kubernetes->each[resource];
    int result = note(kubernetes, end_of(kubernetes, resource, err));

    each->listing = false;
    each->had = each->listed;
    if (each->listed >= (resource == ADDRESS_SLICES ? LARGE_LIST / IN_SLICE : LARGE_LIST))
        kubernetes->changes.large = true;
    if (result == 0)
        each->complete = true;
    return result;
}

/* All is noted as it is told. */
static void settled(void *context)
{
    (void)context;
}

static const struct fence_kube_ops ops = {
    .object = object, .deleted = deleted, .begun = begun, .ended = ended, .settled = settled};

/* What is asked for. */
static int choose(struct fence_kubernetes *kubernetes, const char *own_node, struct fence_err *err)
{
    memcpy(kubernetes->resources, resources, sizeof(resources));
    kubernetes->count = ADDRESS_SLICES;
    if (!own_node)
        return 0;
    kubernetes->count = ADDRESS_SLICES + 1;
    snprintf(kubernetes->pods_of_node, SELECTOR_MAX, "fieldSelector=spec.nodeName%%3D%s", own_node);
    snprintf(kubernetes->this_node, SELECTOR_MAX, "fieldSelector=metadata.name%%3D%s", own_node);
    kubernetes->resources[FENCE_OBJECT_POD].selector = kubernetes->pods_of_node;
    kubernetes->resources[FENCE_OBJECT_NODE].selector = kubernetes->this_node;
    return fence_live_own_node(kubernetes->live, own_node, err);
}

int fence_kubernetes_new(const struct fence_kubernetes_options *wanted, struct fence_store *store,
                         struct fence_kubernetes **ret_kubernetes, struct fence_err *err)
{
    FENCE_CLEANUP(fence_kubernetes_free)
    struct fence_kubernetes *kubernetes = calloc(1, sizeof(*kubernetes));
    struct fence_kube_options options = {.user_agent = "podfenced", .ops = &ops};
    const char *trusted = wanted->config->namespace_name;
    int result;

    if (!kubernetes)
        return fence_err_set(err, -ENOMEM, "out of memory");
    result = fence_live_new(store, wanted->order, NAME, &kubernetes->live, err);
    if (result == 0 && trusted)
        result = fence_live_trust(kubernetes->live, trusted, err);
    if (result == 0)
        result = choose(kubernetes, wanted->own_node, err);
    if (result < 0)
        return result;
    options.resources = kubernetes->resources;
    options.count = kubernetes->count;
    options.context = kubernetes;
    result = fence_kube_new(wanted->config, &options, &kubernetes->kube, err);
    if (result < 0)
        return result;
    *ret_kubernetes = TAKE_PTR(kubernetes);
    return 0;
}

void fence_kubernetes_free(struct fence_kubernetes **kubernetes)
{
    if (!*kubernetes)
        return;
    fence_kube_free(&(*kubernetes)->kube);
    fence_live_free(&(*kubernetes)->live);
    free(*kubernetes);
    *kubernetes = NULL;
}

int fence_kubernetes_fd(const struct fence_kubernetes *kubernetes)
{
    return fence_kube_fd(kubernetes->kube);
}

static bool are_seen(const struct fence_kubernetes *kubernetes, unsigned int count)
{
    for (unsigned int i = 0; i < count; i++)
        if (!kubernetes->each[i].seen && !kubernetes->each[i].without)
            return false;
    return true;
}

/* The same role lets all other kinds be listed, so that one that is refused was left out of it. */
static void look_at_refusal(struct fence_kubernetes *kubernetes,
                            const struct fence_kube_state *state)
{
    struct each_resource *each = &kubernetes->each[CONFIG_MAPS];

    if (each->seen)
        each->without = false;
    if (each->seen || state->failures == each->failures)
        return;
    if (state->status == 403 && are_seen(kubernetes, CONFIG_MAPS))
        each->refusals++;
    else
        each->refusals = 0;
    if (each->refusals >= REFUSALS)
        each->without = true;
}

/* Has all been heard that is to be known before anything changes? */
static bool is_known(const struct fence_kubernetes *kubernetes, unsigned int resource)
{
    if (!kubernetes->each[resource].complete)
        return kubernetes->each[resource].absences >= ABSENCES && is_optional(resource);
    return resource != ADDRESS_SLICES || fence_live_address_slices_complete(kubernetes->live);
}

static void look_at_absence(struct each_resource *each, const struct fence_kube_state *state)
{
    if (state->phase != FENCE_KUBE_ABSENT && state->phase != FENCE_KUBE_LISTING)
        each->absences = 0;
    else if (state->phase == FENCE_KUBE_ABSENT &&
             (each->phase != FENCE_KUBE_ABSENT || state->failures != each->failures))
        each->absences++;
}

static void look_at(struct fence_kubernetes *kubernetes, unsigned int resource)
{
    struct each_resource *each = &kubernetes->each[resource];
    struct fence_kube_state state;

    fence_kube_state(kubernetes->kube, resource, &state);
    look_at_absence(each, &state);
    if (!each->seen)
        each->seen = is_known(kubernetes, resource);
    if (resource == CONFIG_MAPS)
        look_at_refusal(kubernetes, &state);
    if (state.phase != each->phase || state.failures != each->failures)
        kubernetes->changes.problems = true;
    each->phase = state.phase;
    each->failures = state.failures;
}

void fence_kubernetes_handle(struct fence_kubernetes *kubernetes,
                             struct fence_kubernetes_changes *ret_changes)
{
    bool before = fence_kubernetes_all_seen(kubernetes);

    kubernetes->changes = (struct fence_kubernetes_changes){0};
    fence_kube_handle(kubernetes->kube);
    for (unsigned int i = 0; i < kubernetes->count; i++)
        look_at(kubernetes, i);
    kubernetes->changes.seen = !before && fence_kubernetes_all_seen(kubernetes);
    *ret_changes = kubernetes->changes;
}

bool fence_kubernetes_all_seen(const struct fence_kubernetes *kubernetes)
{
    return are_seen(kubernetes, kubernetes->count);
}

/* Its list is there, but not the one that says that all addresses are. */
static bool is_unpublished(const struct fence_kubernetes *kubernetes, unsigned int resource)
{
    return resource == ADDRESS_SLICES && kubernetes->each[resource].complete &&
           !fence_live_address_slices_complete(kubernetes->live);
}

/* Where a kind is not installed that may be so, nothing is wrong. */
static bool is_well(const struct fence_kubernetes *kubernetes, unsigned int resource,
                    const struct fence_kube_state *state)
{
    if (state->phase == FENCE_KUBE_ABSENT)
        return is_optional(resource) && kubernetes->each[resource].seen;
    return kubernetes->each[resource].seen && !*state->problem &&
           !is_unpublished(kubernetes, resource);
}

/* What is wrong, with a remedy where there is one; "" when nothing is, or just not yet known. */
static void put_reason(const struct fence_kubernetes *kubernetes, unsigned int resource,
                       const struct fence_kube_state *state, char *ret_text, size_t size)
{
    const char *text = state->problem, *remedy = "";

    if (resource == ADDRESS_SLICES && state->phase == FENCE_KUBE_ABSENT) {
        remedy = ": install the CRD (conf/base/crds/addressslices.yaml), or leave out "
                 "--address-slices";
    } else if (state->phase == FENCE_KUBE_ABSENT && is_optional(resource)) {
        text = ""; /* it may be so: the second answer tells */
    } else if (!*text && is_unpublished(kubernetes, resource)) {
        text = kubernetes->each[resource].seen
                   ? "podfence-complete is gone: addresses may be missing"
                   : "no daemon has published the addresses yet";
        remedy = ": all daemons need --address-slices, and their role the right to write "
                 "addressslices";
    }
    snprintf(ret_text, size, "%s%s", text, remedy);
}

enum fence_kubernetes_wellness fence_kubernetes_problem(const struct fence_kubernetes *kubernetes,
                                                        unsigned int resource, char *ret_text,
                                                        size_t size)
{
    const struct each_resource *each = &kubernetes->each[resource];
    struct fence_kube_state state;
    char text[REASON_MAX];

    fence_kube_state(kubernetes->kube, resource, &state);
    if (is_well(kubernetes, resource, &state))
        return FENCE_KUBERNETES_WELL;
    put_reason(kubernetes, resource, &state, text, sizeof(text));
    snprintf(ret_text, size, NAME ": %s: %s: %s", resources[resource].kind,
             *text ? text : "its first list has not come yet",
             each->seen      ? "what is known of it stays in force"
             : each->without ? "done without: no policies are read from ConfigMaps of the API"
                             : "nothing is changed until it has been listed once");
    if (each->without)
        return FENCE_KUBERNETES_WITHOUT;
    return *text ? FENCE_KUBERNETES_ILL : FENCE_KUBERNETES_BEGINS;
}

void fence_kubernetes_kind(const struct fence_kubernetes *kubernetes, unsigned int resource,
                           struct fence_kubernetes_kind *ret_kind)
{
    const struct each_resource *each = &kubernetes->each[resource];

    ret_kind->name = resources[resource].kind;
    ret_kind->listed = each->seen;
    fence_kube_state(kubernetes->kube, resource, &ret_kind->state);
    ret_kind->up = is_well(kubernetes, resource, &ret_kind->state) || each->without;
}

void fence_kubernetes_amounts(const struct fence_kubernetes *kubernetes, char *ret_text,
                              size_t size)
{
    size_t used = 0;

    snprintf(ret_text, size, "no objects");
    for (unsigned int i = 0; i < kubernetes->count && used < size; i++)
        if (kubernetes->each[i].had)
            used += (size_t)snprintf(ret_text + used, size - used, "%s%zu %s", used ? ", " : "",
                                     kubernetes->each[i].had, resources[i].plural);
}

unsigned int fence_kubernetes_connections(const struct fence_kubernetes *kubernetes)
{
    return fence_kube_connections(kubernetes->kube);
}

const struct fence_reflector_world *
fence_kubernetes_world(const struct fence_kubernetes *kubernetes)
{
    return fence_kube_world(kubernetes->kube);
}

/* `ns` 0: null. */
static void add_seconds(cJSON *object, const char *name, uint64_t ns, uint64_t since_ns)
{
    double seconds = ns > since_ns ? (double)(ns - since_ns) / 1e9 : 0;

    if (ns == 0 || since_ns == 0)
        cJSON_AddNullToObject(object, name);
    else
        cJSON_AddNumberToObject(object, name, seconds);
}

static cJSON *kind_json(const struct fence_kubernetes *kubernetes, unsigned int resource)
{
    cJSON *json = cJSON_CreateObject();
    uint64_t now = fence_clock_boot_ns();
    struct fence_kubernetes_kind kind;
    char text[REASON_MAX];

    fence_kubernetes_kind(kubernetes, resource, &kind);
    put_reason(kubernetes, resource, &kind.state, text, sizeof(text));
    cJSON_AddStringToObject(json, "kind", kind.name);
    cJSON_AddBoolToObject(json, "up", kind.up);
    cJSON_AddStringToObject(json, "phase", fence_kube_phase_name(kind.state.phase));
    cJSON_AddBoolToObject(json, "listed", kind.listed);
    cJSON_AddBoolToObject(json, "without", kubernetes->each[resource].without);
    cJSON_AddStringToObject(json, "problem", text);
    add_seconds(json, "lastHeardSeconds", now, kind.state.heard_ns);
    add_seconds(json, "retryInSeconds", kind.state.retry_at_ns, now);
    cJSON_AddNumberToObject(json, "lists", (double)kind.state.lists);
    cJSON_AddNumberToObject(json, "watches", (double)kind.state.watches);
    cJSON_AddNumberToObject(json, "events", (double)kind.state.events);
    cJSON_AddNumberToObject(json, "bytes", (double)kind.state.bytes);
    cJSON_AddNumberToObject(json, "failures", (double)kind.state.failures);
    return json;
}

cJSON *fence_kubernetes_json(const struct fence_kubernetes *kubernetes)
{
    cJSON *json, *kinds;

    if (!kubernetes)
        return cJSON_CreateNull();
    json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "connections", fence_kube_connections(kubernetes->kube));
    kinds = cJSON_AddArrayToObject(json, "kinds");
    for (unsigned int i = 0; i < kubernetes->count; i++)
        cJSON_AddItemToArray(kinds, kind_json(kubernetes, i));
    return json;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/report/desk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/memory.h"
#include "lib/report/desk_internal.h"
#include "lib/report/digest.h"
#include "lib/report/text.h"

#define ID_MAX   640u
#define TEXT_MAX 512u

static const char *const kind_names[] = {
    [FENCE_DESK_SEGMENT_POLICY] = "SegmentPolicy",
    [FENCE_DESK_CLUSTER_SEGMENT_POLICY] = "ClusterSegmentPolicy",
};

/* ---- tables ---------------------------------------------------------------------------------- */

/* NOLINTBEGIN(readability-function-size,readability-function-cognitive-complexity,bugprone-*):
 * uthash's macros */
struct desk_policy *desk_policy_find(const struct fence_desk *desk, const char *id)
{
    struct desk_policy *policy;

    HASH_FIND_STR(desk->policies, id, policy);
    return policy;
}

static int link_policy(struct fence_desk *desk, struct desk_policy *policy)
{
    HASH_ADD_KEYPTR(hh, desk->policies, policy->id, strlen(policy->id), policy);
    return policy->hh.tbl ? 0 : -ENOMEM;
}

static void unlink_policy(struct fence_desk *desk, struct desk_policy *policy)
{
    HASH_DELETE(hh, desk->policies, policy);
}

static struct desk_node *find_node(const struct fence_desk *desk, const char *name)
{
    struct desk_node *node;

    HASH_FIND_STR(desk->nodes, name, node);
    return node;
}

static int link_node(struct fence_desk *desk, struct desk_node *node)
{
    HASH_ADD_KEYPTR(hh, desk->nodes, node->name, strlen(node->name), node);
    return node->hh.tbl ? 0 : -ENOMEM;
}

static void unlink_node(struct fence_desk *desk, struct desk_node *node)
{
    HASH_DELETE(hh, desk->nodes, node);
}
/* NOLINTEND(readability-function-size,readability-function-cognitive-complexity,bugprone-*) */

static void policy_free(struct desk_policy *policy)
{
    free(policy->refused);
    free(policy->id);
    free(policy);
}

static void forget_failures(struct desk_node *node)
{
    for (size_t i = 0; i < node->failure_count; i++) {
        free(node->failures[i].policy);
        free(node->failures[i].text);
    }
    node->failure_count = 0;
}

static void node_free(struct desk_node *node)
{
    forget_failures(node);
    free(node->name);
    free(node);
}

static struct desk_policy *obtain_policy(struct fence_desk *desk, const char *id)
{
    struct desk_policy *policy = desk_policy_find(desk, id);

    if (policy)
        return policy;
    policy = calloc(1, sizeof(*policy));
    if (!policy)
        return NULL;
    policy->id = strdup(id);
    if (!policy->id || link_policy(desk, policy) < 0) {
        policy_free(policy);
        return NULL;
    }
    desk->version++; /* nodes may have told of it already */
    return policy;
}

static struct desk_node *obtain_node(struct fence_desk *desk, const char *name)
{
    struct desk_node *node = find_node(desk, name);

    if (node)
        return node;
    node = calloc(1, sizeof(*node));
    if (!node)
        return NULL;
    node->name = strdup(name);
    if (!node->name || link_node(desk, node) < 0) {
        node_free(node);
        return NULL;
    }
    return node;
}

/* A policy that neither the API server nor the store has. */
static void drop_unknown(struct fence_desk *desk, struct desk_policy *policy)
{
    if (policy->present || policy->viewed)
        return;
    if (desk->cursor == policy)
        desk->cursor = policy->hh.next;
    unlink_policy(desk, policy);
    policy_free(policy);
}

static void drop_node(struct fence_desk *desk, struct desk_node *node)
{
    unlink_node(desk, node);
    node_free(node);
    desk->version++;
}

struct fence_desk *fence_desk_new(void)
{
    struct fence_desk *desk = calloc(1, sizeof(*desk));

    if (desk)
        desk->version = 1;
    return desk;
}

void fence_desk_free(struct fence_desk **desk)
{
    struct fence_desk *gone = *desk;
    struct desk_policy *policy, *next_policy;
    struct desk_node *node, *next_node;

    if (!gone)
        return;
    for (policy = gone->policies; policy; policy = next_policy) {
        next_policy = policy->hh.next;
        unlink_policy(gone, policy);
        policy_free(policy);
    }
    for (node = gone->nodes; node; node = next_node) {
        next_node = node->hh.next;
        unlink_node(gone, node);
        node_free(node);
    }
    free(gone->order);
    free(gone);
    *desk = NULL;
}

/* ---- policies of the API --------------------------------------------------------------------- */

static const char *text_in(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

    return text ? text : "";
}

static const cJSON *metadata_of(const cJSON *object)
{
    return cJSON_GetObjectItemCaseSensitive(object, "metadata");
}

enum fence_desk_kind fence_desk_kind_of(const char *id)
{
    for (unsigned int kind = 0; kind < FENCE_ARRAY_SIZE(kind_names); kind++) {
        size_t length = strlen(kind_names[kind]);

        if (strncmp(id, kind_names[kind], length) == 0 && id[length] == '/')
            return (enum fence_desk_kind)kind;
    }
    return FENCE_DESK_KINDS;
}

/* False: it has no name, or one that cannot be. */
static bool id_of(enum fence_desk_kind kind, const cJSON *object, char id[ID_MAX])
{
    const char *name = text_in(metadata_of(object), "name");
    const char *space = text_in(metadata_of(object), "namespace");
    bool is_wide = kind == FENCE_DESK_CLUSTER_SEGMENT_POLICY;
    int length = snprintf(id, ID_MAX, "%s/%s%s%s", kind_names[kind], is_wide ? "" : space,
                          is_wide ? "" : "/", name);

    return *name && (is_wide || *space) && !strchr(name, '/') && !strchr(space, '/') &&
           length < (int)ID_MAX;
}

static int take_policy(struct fence_desk *desk, enum fence_desk_kind kind, const cJSON *object)
{
    const cJSON *generation = cJSON_GetObjectItemCaseSensitive(metadata_of(object), "generation");
    struct desk_policy *policy;
    char id[ID_MAX];

    if (!id_of(kind, object, id))
        return 0;
    policy = obtain_policy(desk, id);
    if (!policy)
        return -ENOMEM;
    policy->present = policy->marked = true;
    policy->kind = kind;
    policy->generation = cJSON_IsNumber(generation) ? (int64_t)generation->valuedouble : 0;
    policy->checked = 0;
    fence_report_status_read(object, &policy->has);
    return 0;
}

/* ---- reports of nodes ------------------------------------------------------------------------ */

static void take_failures(struct desk_node *node, const cJSON *list)
{
    const cJSON *item;
    char text[TEXT_MAX];

    forget_failures(node);
    cJSON_ArrayForEach(item, list)
    {
        struct desk_failure *failure = &node->failures[node->failure_count];

        if (node->failure_count >= DESK_FAILING)
            break;
        fence_report_copy(text, sizeof(text), text_in(item, "text"));
        failure->policy = strdup(text_in(item, "policy"));
        failure->text = strdup(text);
        node->failure_count++;
        if (failure->policy && failure->text)
            continue;
        /* without memory it is not told */
        free(failure->policy);
        free(failure->text);
        node->failure_count--;
        break;
    }
}

static int take_node(struct fence_desk *desk, const cJSON *object)
{
    const cJSON *policies = cJSON_GetObjectItemCaseSensitive(object, "policies");
    const cJSON *count = cJSON_GetObjectItemCaseSensitive(policies, "count");
    const char *name = text_in(metadata_of(object), "name");
    struct desk_node *node;

    if (!*name || strlen(name) >= 256)
        return 0;
    node = obtain_node(desk, name);
    if (!node)
        return -ENOMEM;
    node->marked = true;
    node->count =
        cJSON_IsNumber(count) && count->valuedouble >= 0 ? (uint64_t)count->valuedouble : 0;
    if (fence_report_digest_parse(text_in(policies, "digest"), &node->sum) < 0) {
        node->sum = 0;
        node->count = UINT64_MAX; /* as no digest of ours */
    }
    take_failures(node, cJSON_GetObjectItemCaseSensitive(object, "failing"));
    desk->version++;
    return 0;
}

int fence_desk_object(struct fence_desk *desk, enum fence_desk_kind kind, const cJSON *object)
{
    return kind == FENCE_DESK_NODE_REPORT ? take_node(desk, object)
                                          : take_policy(desk, kind, object);
}

int fence_desk_deleted(struct fence_desk *desk, enum fence_desk_kind kind, const cJSON *object)
{
    struct desk_policy *policy;
    struct desk_node *node;
    char id[ID_MAX];

    if (kind == FENCE_DESK_NODE_REPORT) {
        node = find_node(desk, text_in(metadata_of(object), "name"));
        if (node)
            drop_node(desk, node);
        return 0;
    }
    policy = id_of(kind, object, id) ? desk_policy_find(desk, id) : NULL;
    if (policy) {
        policy->present = false;
        drop_unknown(desk, policy);
    }
    return 0;
}

void fence_desk_begin(struct fence_desk *desk, enum fence_desk_kind kind)
{
    for (struct desk_node *node = desk->nodes; node && kind == FENCE_DESK_NODE_REPORT;
         node = node->hh.next)
        node->marked = false;
    for (struct desk_policy *policy = desk->policies; policy; policy = policy->hh.next)
        if (policy->kind == kind)
            policy->marked = false;
}

void fence_desk_end(struct fence_desk *desk, enum fence_desk_kind kind)
{
    struct desk_policy *policy, *next_policy;
    struct desk_node *node, *next_node;

    for (node = desk->nodes; node && kind == FENCE_DESK_NODE_REPORT; node = next_node) {
        next_node = node->hh.next;
        if (!node->marked)
            drop_node(desk, node);
    }
    for (policy = desk->policies; policy; policy = next_policy) {
        next_policy = policy->hh.next;
        if (policy->kind != kind || policy->marked)
            continue;
        policy->present = false;
        drop_unknown(desk, policy);
    }
}

/* ---- the store ------------------------------------------------------------------------------- */

static bool is_as_before(const struct desk_policy *policy, const struct fence_desk_view *view)
{
    if (!policy->viewed || !policy->refused != !view->refused || policy->over != view->over)
        return false;
    if (view->refused)
        return strcmp(policy->refused, view->refused) == 0 && policy->kept == view->kept;
    return policy->view_generation == view->generation && policy->content == view->content;
}

/* `sequence` is that of the digest that has it. */
static int take_view(struct fence_desk *desk, const struct fence_desk_view *view, uint64_t sequence)
{
    struct desk_policy *policy = obtain_policy(desk, view->id);
    bool is_same, is_other_version;

    if (!policy)
        return -ENOMEM;
    policy->viewed_now = true;
    is_same = is_as_before(policy, view);
    is_other_version = !policy->viewed || policy->refused || policy->content != view->content ||
                       policy->view_generation != view->generation;
    if (is_same)
        return 0;
    free(policy->refused);
    policy->refused = view->refused ? strdup(view->refused) : NULL;
    if (view->refused && !policy->refused)
        return -ENOMEM;
    if (!view->refused && is_other_version) {
        policy->sequence = sequence;
        policy->fresh = true;
    }
    policy->viewed = true;
    policy->over = view->over;
    policy->kept = view->kept;
    policy->view_generation = view->generation;
    policy->content = view->content;
    policy->checked = 0;
    return 0;
}

static uint64_t number_digest(struct fence_desk *desk, const struct fence_report_digest *digest)
{
    uint64_t last = desk->sequence % DESK_DIGESTS;

    if (desk->sequence && desk->digests[last].sum == digest->sum &&
        desk->digests[last].count == digest->count)
        return desk->sequence;
    desk->sequence++;
    desk->version++;
    desk->digests[desk->sequence % DESK_DIGESTS].sum = digest->sum;
    desk->digests[desk->sequence % DESK_DIGESTS].count = digest->count;
    return desk->sequence;
}

int fence_desk_see(struct fence_desk *desk, const struct fence_desk_view *views, size_t count)
{
    struct fence_report_digest digest = {0};
    struct desk_policy *policy, *next;
    uint64_t sequence;
    int r = 0;

    for (size_t i = 0; i < count; i++)
        if (!views[i].refused)
            fence_report_digest_add(&digest, views[i].id, views[i].generation, views[i].content);
    sequence = number_digest(desk, &digest);
    for (policy = desk->policies; policy; policy = policy->hh.next)
        policy->viewed_now = false;
    for (size_t i = 0; i < count && r == 0; i++)
        r = take_view(desk, &views[i], sequence);
    for (policy = desk->policies; policy && r == 0; policy = next) {
        next = policy->hh.next;
        if (policy->viewed_now)
            continue;
        policy->viewed = false;
        drop_unknown(desk, policy);
    }
    return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* `status --wait`: the daemon answers when the policy is in force, was refused, or it is too late.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cni/ctl/daemon.h"
#include "cni/ctl/files.h"
#include "cni/ctl/options.h"
#include "cni/ctl/status.h"
#include "lib/api/cut.h"
#include "lib/base/memory.h"
#include "lib/base/names.h"
#include "lib/objects/decode.h"

#define DEFAULT_SECONDS 30u
#define MOST_SECONDS    3600u
#define ANSWER_MS       5000 /* beyond the time that the daemon waits */

/* The policy in a file. */
struct search {
    const char *policy;
    uint64_t content; /* 0 = not found yet */
    char *id;
};

/* As the daemon does it: the id, or the end of it behind a '/'. */
static bool is_meant(const char *id, const char *policy)
{
    size_t length = strlen(id), tail = strlen(policy);

    if (tail >= length)
        return strcmp(id, policy) == 0;
    return id[length - tail - 1] == '/' && strcmp(id + length - tail, policy) == 0;
}

static int look_at(struct search *search, const struct fence_decoded *decoded,
                   struct fence_err *err)
{
    FENCE_FREE char *id = fence_decoded_id(decoded);

    if (!id)
        return fence_err_set(err, -ENOMEM, "out of memory");
    if (!is_meant(id, search->policy))
        return 0;
    if (decoded->error)
        return fence_err_set(err, -EINVAL, "%s is refused: %s", id, decoded->error);
    if (!fence_kind_is_policy(decoded->object->kind))
        return 0;
    if (search->id && strcmp(search->id, id) != 0)
        return fence_err_set(err, -EINVAL, "%s and %s: give the kind and namespace, too",
                             search->id, id);
    free(search->id);
    search->id = TAKE_PTR(id);
    search->content = decoded->object->policy.content;
    return 0;
}

static int read_file(void *context, const char *path, const char *data, size_t size,
                     struct fence_err *err)
{
    struct fence_decoded_list list = {0};
    int r = fence_decode_stream(data, size, &list, err);

    for (size_t i = 0; r == 0 && i < list.count; i++)
        r = look_at(context, &list.items[i], err);
    fence_decoded_list_done(&list);
    return r < 0 ? fence_err_prefix(err, r, "%s", path) : 0;
}

static int add_content(cJSON *message, const struct ctl_status_wait *wait, struct fence_err *err)
{
    struct search search = {.policy = wait->policy};
    const struct ctl_file_visitor visitor = {.visit = read_file, .context = &search};
    char text[20];
    int r = ctl_files_visit(wait->file, &visitor, err);

    if (r == 0 && !search.id)
        r = fence_err_set(err, -ENOENT, "there is no policy %s in %s", wait->policy, wait->file);
    if (r == 0) {
        snprintf(text, sizeof(text), "%016llx", (unsigned long long)search.content);
        cJSON_AddStringToObject(message, "content", text);
        /* with the kind and namespace that the file gives it */
        cJSON_AddStringToObject(message, "policy", search.id);
    }
    free(search.id);
    return r;
}

/* CTL_GO_ON, or the exit status. */
static int fill(const struct ctl *ctl, const struct ctl_status_wait *wait, cJSON *message,
                uint32_t *ret_seconds)
{
    struct fence_err err = {""};
    char *end = NULL;
    unsigned long long version = 0;
    uint32_t seconds = DEFAULT_SECONDS;

    if (wait->timeout &&
        (fence_cut_duration_parse(wait->timeout, &seconds, NULL) < 0 || seconds > MOST_SECONDS))
        return ctl_misuse(ctl, "status", "--timeout %s: it is a time from 1s to 1h, such as 30s",
                          wait->timeout);
    if (wait->version) {
        errno = 0;
        version = strtoull(wait->version, &end, 10);
        if (*wait->version < '0' || *wait->version > '9' || *end || errno || version >= 1ull << 53)
            return ctl_misuse(ctl, "status", "--version %s: it is metadata.generation, a number",
                              wait->version);
        cJSON_AddNumberToObject(message, "generation", (double)version);
    }
    cJSON_AddStringToObject(message, "op", "wait");
    cJSON_AddNumberToObject(message, "seconds", seconds);
    *ret_seconds = seconds;
    if (!wait->file)
        cJSON_AddStringToObject(message, "policy", wait->policy);
    else if (add_content(message, wait, &err) < 0)
        return ctl_fail(ctl, "--file: %s", err.text);
    return CTL_GO_ON;
}

static void print_text(const struct ctl *ctl, const cJSON *policy)
{
    (void)ctl;
    fence_print_safe(stdout, ctl_member_text(policy, "id"));
    fputs(" is in force since ", stdout);
    fence_print_safe(stdout, ctl_member_text(policy, "inForceSince"));
    putchar('\n');
}

int ctl_status_wait(struct ctl *ctl, const struct ctl_status_wait *wait)
{
    cJSON *message = cJSON_CreateObject(), *answer = NULL, *policy;
    struct fence_err err = {""};
    uint32_t seconds = 0;
    int r = fill(ctl, wait, message, &seconds);

    if (r == CTL_GO_ON)
        r = ctl_daemon_request_within(ctl, message, (int)(seconds * 1000) + ANSWER_MS, &answer,
                                      &err);
    else
        seconds = 0;
    cJSON_Delete(message);
    if (!seconds)
        return r;
    if (r == -ENOENT)
        return ctl_fail(ctl, "the daemon is not running: nobody serves %s", ctl->socket);
    if (r < 0)
        return ctl_fail(ctl, "%s", err.text);
    policy = cJSON_DetachItemFromObjectCaseSensitive(answer, "policy");
    cJSON_Delete(answer);
    return ctl_show(ctl, policy, print_text);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of a list ('l' in front) or of a watch, whole and then in two pieces: the same objects
 * and the same code. What is handed over ends with NUL and has no other; what is refused says why.
 */
#include <errno.h>
#include <string.h>

#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/kube/list.h"
#include "lib/kube/watch.h"
#include "test/fuzz/fuzz.h"

struct told {
    struct fence_hash all;
    unsigned int count;
    int code;
};

static int tell(struct told *told, const char *json, size_t size)
{
    struct fence_hash hash = fence_hash_own(json, size);
    __u64 both[] = {told->all.words[0], told->all.words[1], hash.words[0], hash.words[1]};

    FUZZ_HOLDS(strlen(json) == size && *json == '{');
    told->all = fence_hash_own(both, sizeof(both));
    told->count++;
    return 0;
}

static int on_item(void *context, char *json, size_t size, struct fence_err *err)
{
    (void)err;
    return tell(context, json, size);
}

static int on_event(void *context, struct fence_kube_event *event, struct fence_err *err)
{
    (void)err;
    FUZZ_HOLDS(event->version && event->message);
    return tell(context, event->object, event->size);
}

static const struct fence_kube_list_ops list_ops = {.item = on_item};
static const struct fence_kube_watch_ops watch_ops = {.event = on_event};

static void read_list(const char *text, size_t size, size_t split, struct told *told)
{
    struct fence_err err = {""};
    struct fence_kube_list *list;

    FUZZ_HOLDS(fence_kube_list_new(&list_ops, told, &list) == 0);
    told->code = fence_kube_list_feed(list, text, split, &err);
    if (told->code == 0)
        told->code = fence_kube_list_feed(list, text + split, size - split, &err);
    if (told->code == 0)
        told->code = fence_kube_list_end(list, &err);
    FUZZ_HOLDS(told->code == 0 || *err.text);
    fence_kube_list_free(&list);
}

static void read_watch(const char *text, size_t size, size_t split, struct told *told)
{
    struct fence_err err = {""};
    struct fence_kube_watch *watch;

    FUZZ_HOLDS(fence_kube_watch_new(&watch_ops, told, &watch) == 0);
    told->code = fence_kube_watch_feed(watch, text, split, &err);
    if (told->code == 0)
        told->code = fence_kube_watch_feed(watch, text + split, size - split, &err);
    FUZZ_HOLDS(told->code == 0 || *err.text);
    fence_kube_watch_free(&watch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct told whole = {.count = 0}, pieces = {.count = 0};
    const char *text = (const char *)data + 2;
    size_t split;

    if (size < 2)
        return 0;
    size -= 2;
    split = size * data[1] / 256;
    (*data == 'l' ? read_list : read_watch)(text, size, size, &whole);
    (*data == 'l' ? read_list : read_watch)(text, size, split, &pieces);
    FUZZ_HOLDS(whole.code == pieces.code && whole.count == pieces.count);
    FUZZ_HOLDS(memcmp(&whole.all, &pieces.all, sizeof(whole.all)) == 0);
    return 0;
}

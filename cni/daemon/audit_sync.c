/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/audit_sync.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#define STACK_SIZE ((size_t)65536)

static void *serve(void *context)
{
    struct fence_audit_sync *sync = context;
    int fd;

    while (read(sync->ends[0], &fd, sizeof(fd)) == (ssize_t)sizeof(fd)) {
        if (fdatasync(fd) < 0)
            atomic_fetch_add(&sync->errors, 1);
        close(fd);
        atomic_fetch_sub(&sync->waiting, 1);
    }
    return NULL;
}

static int start_thread(struct fence_audit_sync *sync)
{
    pthread_attr_t attributes;
    int result = pthread_attr_init(&attributes);

    if (result)
        return result;
    result = pthread_attr_setstacksize(&attributes, STACK_SIZE);
    if (!result)
        result = pthread_create(&sync->thread, &attributes, serve, sync);
    pthread_attr_destroy(&attributes);
    return result;
}

int fence_audit_sync_start(struct fence_audit_sync *sync, struct fence_err *err)
{
    int result;

    if (pipe2(sync->ends, O_CLOEXEC) < 0)
        return fence_err_set(err, -errno, "cannot make a pipe: %s", strerror(errno));
    result = start_thread(sync);
    if (!result)
        return 0;
    close(sync->ends[0]);
    close(sync->ends[1]);
    sync->ends[0] = sync->ends[1] = -1;
    return fence_err_set(err, -result, "cannot start a thread: %s", strerror(result));
}

void fence_audit_sync_stop(struct fence_audit_sync *sync)
{
    if (sync->ends[1] < 0)
        return;
    close(sync->ends[1]);
    pthread_join(sync->thread, NULL);
    close(sync->ends[0]);
    sync->ends[0] = sync->ends[1] = -1;
}

void fence_audit_sync_ask(void *context, int fd)
{
    struct fence_audit_sync *sync = context;
    int own;

    if (sync->ends[1] < 0 || atomic_load(&sync->waiting) >= FENCE_AUDIT_SYNCS)
        return;
    own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0)
        return;
    atomic_fetch_add(&sync->waiting, 1);
    /* room for thousands: it cannot wait */
    if (write(sync->ends[1], &own, sizeof(own)) == (ssize_t)sizeof(own))
        return;
    close(own);
    atomic_fetch_sub(&sync->waiting, 1);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon/flowbook_file.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cni/daemon/daemon.h"
#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "lib/objects/state.h"

/* A full book with the longest names. */
#define FILE_MAX (256ul << 20)

static void path_of(const struct fence_daemon *daemon, const char *ending, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/" FENCE_STATE_FLOWS "%s", daemon->options.state, ending);
}

/* Counts of another boot, or of other pins, are not what the map counts now. */
static void name_boot(struct fence_daemon *daemon)
{
    struct fence_flowbook *flowbook = &daemon->flowbook;
    FENCE_FREE char *id = NULL;
    size_t size = 0;

    if (fence_file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &id, &size, NULL) < 0)
        return;
    id[strcspn(id, "\n")] = '\0';
    snprintf(flowbook->boot, sizeof(flowbook->boot), "%s %s", id, daemon->options.bpffs);
}

/* Left by a writer that was killed. */
static void remove_unfinished(const struct fence_daemon *daemon)
{
    char pattern[PATH_MAX];
    glob_t found;

    path_of(daemon, ".tmp.*", pattern);
    if (glob(pattern, GLOB_NOSORT, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++)
        unlink(found.gl_pathv[i]);
    globfree(&found);
}

static void set_aside(const struct fence_daemon *daemon, const char *path, const char *why)
{
    char aside[PATH_MAX];

    path_of(daemon, FENCE_STATE_BROKEN, aside);
    if (rename(path, aside) < 0)
        aside[0] = '\0';
    fence_log(FENCE_LOG_WARNING, "flows: %s cannot be used (%s); %s%s; the book begins anew", path,
              why, aside[0] ? "it is kept as " : "it stays until the next is written", aside);
}

static int load(const struct fence_daemon *daemon, const char *path,
                struct fence_flow_book **ret_book, struct fence_err *err)
{
    FENCE_FREE char *text = NULL;
    size_t size = 0;
    int r = fence_file_read(AT_FDCWD, path, FILE_MAX, &text, &size, err);

    if (r < 0)
        return r;
    if (strlen(text) != size)
        return fence_err_set(err, -EINVAL, "it has a NUL byte");
    return fence_flow_book_load(text, daemon->flowbook.boot, ret_book, err);
}

void fence_flowbook_read(struct fence_daemon *daemon)
{
    struct fence_flowbook *flowbook = &daemon->flowbook;
    struct fence_err err = {""};
    char path[PATH_MAX];

    name_boot(daemon);
    remove_unfinished(daemon);
    path_of(daemon, "", path);
    if (access(path, F_OK) == 0) {
        if (load(daemon, path, &flowbook->book, &err) == 0)
            flowbook->saved_version = fence_flow_book_version(flowbook->book);
        else
            set_aside(daemon, path, err.text);
    }
    if (!flowbook->book && fence_flow_book_new(fence_clock_wall_ns(), &flowbook->book) < 0)
        fence_log(FENCE_LOG_WARNING, "flows: out of memory; there is no flow book");
}

int fence_flowbook_write(const struct fence_daemon *daemon)
{
    const struct fence_flowbook *flowbook = &daemon->flowbook;
    size_t size = 0;
    FENCE_FREE char *text = fence_flow_book_save(flowbook->book, flowbook->boot, &size);
    char path[PATH_MAX];

    if (!text)
        return -ENOMEM;
    path_of(daemon, "", path);
    return fence_file_write(path, text, size, 0600, NULL);
}

void fence_flowbook_write_and_exit(const struct fence_daemon *daemon)
{
    /* the lock that says that a daemon runs, sockets, pins */
    (void)close_range(STDERR_FILENO + 1, ~0u, 0);
    _exit(fence_flowbook_write(daemon) == 0 ? 0 : 1);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cni/daemon/alarms_internal.h"
#include "cni/daemon/daemon.h"
#include "lib/base/file.h"
#include "lib/base/memory.h"
#include "lib/objects/state.h"

/* ---- the configuration ---------------------------------------------------------------------- */

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void set_problem(struct fence_alarms *alarms, const char *path, const char *why)
{
    char problem[FENCE_ERR_MAX];

    snprintf(problem, sizeof(problem), "%s: %s", path, why);
    if (strcmp(problem, alarms->config_problem) == 0)
        return;
    memcpy(alarms->config_problem, problem, sizeof(problem));
    fence_log(FENCE_LOG_WARNING, "alarms: %s; the last good configuration stays in force", problem);
}

static int read_config(const char *path, struct fence_alarm_config *ret_config,
                       struct fence_err *err)
{
    FENCE_FREE char *text = NULL;
    size_t size = 0;
    int r = fence_file_read(AT_FDCWD, path, FENCE_ALARM_CONFIG_MAX, &text, &size, err);

    return r < 0 ? r : fence_alarm_config_parse(text, size, ret_config, err);
}

void alarms_reread(struct fence_daemon *daemon)
{
    struct fence_alarms *alarms = &daemon->alarms;
    const char *path = daemon->options.alarms.config;
    struct fence_alarm_config config;
    struct fence_err err = {""};
    struct stat now;

    if (!path)
        return;
    if (stat(path, &now) < 0) {
        alarms->config_seen = (struct stat){0};
        set_problem(alarms, path, strerror(errno));
        return;
    }
    if (is_same(&now, &alarms->config_seen))
        return;
    alarms->config_seen = now;
    if (read_config(path, &config, &err) < 0) {
        set_problem(alarms, path, err.text);
        return;
    }
    fence_alarm_config_done(&alarms->config);
    alarms->config = config;
    alarms->config_problem[0] = '\0';
    fence_log(FENCE_LOG_INFO, "alarms: configuration taken from %s", path);
}

/* ---- the baseline --------------------------------------------------------------------------- */

static void path_of(const struct fence_daemon *daemon, const char *ending, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/" FENCE_STATE_ALARMS "%s", daemon->options.state, ending);
}

void alarms_load(struct fence_daemon *daemon)
{
    FENCE_FREE char *text = NULL;
    struct fence_err err = {""};
    char path[PATH_MAX], aside[PATH_MAX];
    size_t size = 0;
    int r;

    path_of(daemon, "", path);
    if (access(path, F_OK) < 0)
        return;
    r = fence_file_read(AT_FDCWD, path, FENCE_ALARM_STATE_MAX, &text, &size, &err);
    if (r == 0)
        r = fence_alarm_restore(daemon->alarms.engine, text, size, &err);
    if (r == 0)
        return;
    path_of(daemon, FENCE_STATE_BROKEN, aside);
    (void)rename(path, aside);
    fence_log(FENCE_LOG_WARNING,
              "alarms: %s cannot be used (%s) and is kept as %s; workloads are learned anew", path,
              err.text, aside);
}

/*
 * Renamed when it is whole, but not synced: what a crash of the machine takes is learned again, and
 * the loop waits for no disk.
 */
static int write_whole(const char *path, const char *temporary, const char *text)
{
    FENCE_CLOSE int fd =
        open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    int r = fd < 0 ? -errno : fence_fd_write(fd, text, strlen(text));

    if (r >= 0 && rename(temporary, path) < 0)
        r = -errno;
    if (r < 0 && fd >= 0)
        (void)unlink(temporary);
    return r < 0 ? r : 0;
}

void alarms_save(struct fence_daemon *daemon)
{
    struct fence_alarms *alarms = &daemon->alarms;
    FENCE_FREE char *text = fence_alarm_save(alarms->engine);
    char path[PATH_MAX], temporary[PATH_MAX];
    int r = -ENOMEM;

    path_of(daemon, "", path);
    path_of(daemon, ".tmp", temporary);
    if (text)
        r = write_whole(path, temporary, text);
    if (r < 0 && !alarms->cannot_save)
        fence_log(FENCE_LOG_WARNING,
                  "alarms: cannot write %s: %s; what is learned ends with the daemon", path,
                  strerror(-r));
    alarms->cannot_save = r < 0;
}

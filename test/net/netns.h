/* SPDX-License-Identifier: Apache-2.0 */
/* A node of the test's own: fresh network and mount namespaces, with a private /run for ip-netns.
 */
#pragma once

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#define TEST_SKIPPED 77

/* Exits with 77 when not root. */
static inline void test_enter_own_node(void)
{
    if (geteuid() != 0) {
        fprintf(stderr, "skipped: needs root\n");
        exit(TEST_SKIPPED);
    }
    if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0) {
        perror("own namespaces");
        exit(1);
    }
}

static inline bool test_shell(const char *commands)
{
    int status = system(commands);

    if (status != 0)
        fprintf(stderr, "status %d from: %s\n", status, commands);
    return status == 0;
}

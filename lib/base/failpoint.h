/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places at which a test has a process killed, to see what it leaves behind. They exist in the test
 * programs alone (test/programs): in the programs that are installed a fail point is
 * nothing.
 *
 * The environment variable FENCE_FAILPOINT says where: "attach.pinned", or "attach.pinned:3" for
 * the third time that the process comes by. "list" prints all names that the program has; a name
 * that it has not ends it at once, so that a test cannot wait for nothing.
 */
#pragma once

#ifdef FENCE_FAILPOINTS
/* `name` is a literal; each is put into a section of its own, which is the list. */
#    define FENCE_FAILPOINT(name)                                                                  \
        do {                                                                                       \
            static const char *const failpoint_name                                                \
                __attribute__((used, section("fence_failpoints"))) = name;                         \
                                                                                                   \
            fence_failpoint_passed(failpoint_name);                                                \
        } while (0)

/* Kills the process with SIGKILL when the environment asks for it. */
void fence_failpoint_passed(const char *name);
#else
#    define FENCE_FAILPOINT(name) ((void)0)
#endif

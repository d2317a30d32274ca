/* SPDX-License-Identifier: Apache-2.0 */
/* LD_PRELOAD: a program that is killed between writing a temporary file and renaming it to the name
 * that DIES_AT_RENAME ends in. */
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    int (*real)(int, const char *, int, const char *);
    const char *name = getenv("DIES_AT_RENAME");

    if (name && strcmp(to, name) == 0)
        kill(getpid(), SIGKILL);
    *(void **)&real = dlsym(RTLD_NEXT, "renameat");
    return real(from_folder, from, to_folder, to);
}

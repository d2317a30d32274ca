/* SPDX-License-Identifier: Apache-2.0 */
/* Part of the test programs only: see failpoint.h. */
#include "lib/base/failpoint.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_UNKNOWN 125

/* The linker's names for the ends of the section. */
extern const char *const __start_fence_failpoints[];
extern const char *const __stop_fence_failpoints[];

static char wanted[64]; /* empty = none */
static unsigned long left;

static void list_all(void)
{
    for (const char *const *name = __start_fence_failpoints; name < __stop_fence_failpoints; name++)
        puts(*name);
    fflush(stdout);
}

static bool is_known(void)
{
    for (const char *const *name = __start_fence_failpoints; name < __stop_fence_failpoints; name++)
        if (strcmp(*name, wanted) == 0)
            return true;
    return false;
}

/* Before main: whatever the program does, it does it with the point set. */
__attribute__((constructor)) static void read_environment(void)
{
    const char *text = getenv("FENCE_FAILPOINT");
    const char *colon = text ? strchr(text, ':') : NULL;

    if (!text || !*text)
        return;
    snprintf(wanted, sizeof(wanted), "%.*s", colon ? (int)(colon - text) : (int)strlen(text), text);
    left = colon ? strtoul(colon + 1, NULL, 10) : 1;
    if (strcmp(wanted, "list") == 0) {
        list_all();
        _exit(EXIT_SUCCESS);
    }
    if (is_known())
        return;
    fprintf(stderr, "FENCE_FAILPOINT: this program has no fail point \"%s\"\n", wanted);
    _exit(EXIT_UNKNOWN);
}

void fence_failpoint_passed(const char *name)
{
    if (wanted[0] && strcmp(name, wanted) == 0 && left > 0 && --left == 0)
        kill(getpid(), SIGKILL);
}

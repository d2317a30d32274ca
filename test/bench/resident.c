/* SPDX-License-Identifier: Apache-2.0 */
#include "test/bench/resident.h"

#include <malloc.h>
#include <string.h>

#include "lib/base/memory.h"

double bench_resident_mb(const char *what)
{
    FENCE_FCLOSE FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    unsigned long kilobytes = 0;

    while (status && fgets(line, sizeof(line), status))
        if (strncmp(line, what, strlen(what)) == 0)
            kilobytes = strtoul(line + strlen(what), NULL, 10);
    return (double)kilobytes / 1024;
}

void bench_resident_forget_peak(void)
{
    FENCE_FCLOSE FILE *refs = NULL;

    malloc_trim(0);
    refs = fopen("/proc/self/clear_refs", "w");
    if (refs)
        fputs("5", refs);
}

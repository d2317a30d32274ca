/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "cni/daemon/daemon.h"
#include "cni/daemon/metrics_internal.h"
#include "lib/base/memory.h"

static double cpu_seconds(void)
{
    struct timespec used;

    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) < 0)
        return 0;
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* Bytes of address space, and of it resident. */
static void read_memory(double *ret_virtual, double *ret_resident)
{
    FENCE_FCLOSE FILE *file = fopen("/proc/self/statm", "re");
    const double page = (double)sysconf(_SC_PAGESIZE);
    char line[128], *end;

    *ret_virtual = *ret_resident = 0;
    if (!file || !fgets(line, sizeof(line), file))
        return;
    *ret_virtual = (double)strtoull(line, &end, 10) * page;
    *ret_resident = (double)strtoull(end, NULL, 10) * page;
}

static unsigned int open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    unsigned int count = 0;

    if (!folder)
        return 0;
    while (readdir(folder))
        count++;
    closedir(folder);
    return count > 3 ? count - 3 : 0; /* ".", ".." and the folder itself */
}

void metrics_process(FILE *out, const struct fence_daemon *daemon)
{
    struct rlimit limit = {0};
    double size, resident;

    read_memory(&size, &resident);
    metric_begin(out, "process_cpu_seconds_total", "counter", "CPU time of podfenced.");
    fprintf(out, "process_cpu_seconds_total %.3f\n", cpu_seconds());
    metric_gauge(out, "process_virtual_memory_bytes", "Address space of podfenced.", size);
    metric_gauge(out, "process_resident_memory_bytes", "Resident memory of podfenced.", resident);
    metric_gauge(out, "process_open_fds", "Open file descriptors of podfenced.",
                 open_descriptors());
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        metric_gauge(out, "process_max_fds", "File descriptors that podfenced may open.",
                     (double)limit.rlim_cur);
    metric_gauge(out, "process_start_time_seconds", "When podfenced started, seconds since 1970.",
                 (double)daemon->started_at);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "test/bench/machine.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "lib/base/memory.h"

static void read_model(char *text, size_t size)
{
    FENCE_FCLOSE FILE *info = fopen("/proc/cpuinfo", "r");
    char line[256];

    snprintf(text, size, "unknown processor");
    while (info && fgets(line, sizeof(line), info)) {
        char *value = strchr(line, ':');

        if (strncmp(line, "model name", 10) != 0 || !value)
            continue;
        value[strcspn(value, "\n")] = '\0';
        snprintf(text, size, "%s", value + 2);
        return;
    }
}

const char *bench_machine(char text[BENCH_MACHINE_TEXT])
{
    struct utsname kernel;
    double load = 0;
    char model[96];

    read_model(model, sizeof(model));
    memset(&kernel, 0, sizeof(kernel));
    (void)uname(&kernel);
    (void)getloadavg(&load, 1);
    snprintf(text, BENCH_MACHINE_TEXT, "%s, %ld cores, Linux %s, load %.2f", model,
             sysconf(_SC_NPROCESSORS_ONLN), kernel.release, load);
    return text;
}

void bench_pin_to(int core)
{
    cpu_set_t cores;

    CPU_ZERO(&cores);
    CPU_SET(core, &cores);
    (void)sched_setaffinity(0, sizeof(cores), &cores);
}

int bench_last_core(void)
{
    return (int)sysconf(_SC_NPROCESSORS_ONLN) - 1;
}

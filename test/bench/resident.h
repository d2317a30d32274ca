/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of this process. */
#pragma once

/* Megabytes of a line of /proc/self/status: "VmRSS:", "VmHWM:". */
double bench_resident_mb(const char *what);
/* Gives back what is free, and the peak begins anew. */
void bench_resident_forget_peak(void);

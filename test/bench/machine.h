/* SPDX-License-Identifier: Apache-2.0 */
/* What a figure was measured on. */
#pragma once

#define BENCH_MACHINE_TEXT 256

/* "AMD EPYC, 2 cores, Linux 6.18.0, load 0.12"; the text is returned. */
const char *bench_machine(char text[BENCH_MACHINE_TEXT]);
/* This process stays on one core, as far as it may. */
void bench_pin_to(int core);
/* The last one: the first has most of a machine's interrupts. */
int bench_last_core(void);

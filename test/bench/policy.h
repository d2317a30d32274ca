/* SPDX-License-Identifier: Apache-2.0 */
/* One run of the policy bench: what was asked, what came out, and showing it. */
#pragma once

#include "test/bench/changes.h"
#include "test/bench/verify.h"

struct bench_phase {
    double ms;
    double user_ms; /* of the process, by getrusage */
};

struct bench_run {
    struct bench_world world;
    unsigned int rounds;
    double seconds;  /* for the changes */
    const char *csv; /* append a line to this file; NULL = none */
    bool check;

    size_t objects;
    struct bench_phase read;    /* files and decoding */
    struct bench_phase compile; /* its user time has apply's in it */
    struct bench_phase apply;
    size_t writes;
    double resident_mb; /* once all is in force */
    double trimmed_mb;  /* the same after another malloc_trim */
    double peak_mb;
    double changed_mb; /* resident after all changes */
    struct bench_maps maps;
    struct bench_changes changes;
    struct bench_verdict verdict;
};

/* All of it on stdout; returns how many targets were missed. */
unsigned int bench_report(struct bench_run *run);
/* One line for the table of growth; the first one of a file has a heading before it. */
int bench_report_csv(struct bench_run *run);

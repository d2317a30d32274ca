/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the client makes of every recording: as the first or another page of a list, as a streaming
 * list, as a watch. Each is in one of the tables.
 */
#pragma once

#include "test/kube/recorded.h"
#include "test/kube/steps.h"

/* When the next request is due. */
enum wait {
    WAIT_NOT,
    WAIT_SHORT, /* 0.5 to 1 s: the first of failures */
    WAIT_ASKED, /* exactly: by Retry-After */
    WAIT_LONG,  /* 1 to 2 s: what may be missing for long */
};

struct expected {
    unsigned int told; /* objects */
    unsigned int gone;
    bool ends; /* a whole list */
    enum step next;
    const char *version; /* of a watch that is next */
    enum wait wait;
    enum fence_kube_phase phase;
    const char *problem;   /* a part of it; "": none */
    unsigned int renewals; /* of the token */
};

/* How many tables speak of it: 1, or the test lacks something. */
unsigned int recordings_tables(const char *name);
/* One that no table speaks of fails the test. */
struct expected recordings_expect(const char *name, enum step step);
/* Names of all rows, one after the other; NULL at the end. */
const char *recordings_row(size_t at);

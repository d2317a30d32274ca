/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes wrong on demand. A fault waits for requests that it matches and is then taken, as often
 * as it says; the first that matches wins. Under the server's lock.
 */
#pragma once

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>

#include <cjson/cJSON.h>

#include "lib/base/err.h"

struct effect {
    unsigned int status; /* 0: answered as usual */
    long retry_after;    /* seconds, -1 = not said */
    char *text;          /* body of that status, NULL = as an API server has it */
    bool reset;          /* the connection is closed without an answer */
    bool silent;         /* header fields, then nothing */
    long delay_ms;       /* before the answer; below 0: for ever */
    long cut_after;      /* bytes of the body, then the connection is closed; -1 = not */
    long length;         /* added to Content-Length */
    long piece;          /* bytes of the body in a chunk, 0 = as usual */
    char *replay;        /* name of a recording */
    double scale;        /* of its times */
};

struct fault {
    regex_t match; /* of "METHOD URI" */
    char *exact;   /* or the whole of it, NULL = match is to be used */
    char *text;    /* as it was given */
    long times;    /* left; below 0 = always */
    struct effect effect;
};

struct faults {
    struct fault **items;
    size_t count, capacity;
};

/* {"match": REGEX, "times": 1, "status": 429, ...}; for a replay without "match": the request of
 * its recording in `fixtures`. -EINVAL. */
int faults_add(struct faults *faults, const cJSON *definition, const char *fixtures,
               struct fence_err *err);
/* A copy of the effect. False: none, and *ret_effect does nothing. */
bool faults_take(struct faults *faults, const char *method, const char *uri,
                 struct effect *ret_effect);
void faults_clear(struct faults *faults);
/* How many are left, and of what. */
cJSON *faults_json(const struct faults *faults);

void effect_init(struct effect *effect);
void effect_done(struct effect *effect);

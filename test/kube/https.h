/* SPDX-License-Identifier: Apache-2.0 */
/* The server of https.py, and an exchange that remembers what came. */
#pragma once

#include <stdbool.h>

#include "lib/kube/http.h"

/* Group setup and teardown: the server, with its certificates in a folder. */
int https_start(void **state);
int https_stop(void **state);

/* Port of "tls", "six", "named", "client", "old", "plain", "http2", and of "free", where nobody
 * listens. */
int https_port(const char *name);
/* A file of the folder. Valid until the fourth call from now. */
const char *https_path(const char *name);
/* A file's text, the caller's. */
char *https_text(const char *name);
void https_write(const char *name, const char *text);
/* https://HOST:PORT, with the authority that has signed the server's certificate. `host` NULL:
 * 127.0.0.1. Valid until the next call. */
struct fence_kube_config *https_config(const char *host, const char *port);

struct fence_http *https_open(const struct fence_kube_config *config);

struct https_answer {
    struct fence_http *http;
    struct fence_http_exchange *exchange;
    unsigned int heads, pieces, ends;
    struct fence_http_head head;
    char content_type[128];
    char body[4096]; /* as much as fits, ended by NUL */
    size_t size;
    size_t largest; /* piece */
    struct fence_http_end end;
    char message[1024];
    /* What its handlers do. */
    bool refuse_head, refuse_body, cancel_in_head, cancel_in_body, cancel_in_end;
    struct https_answer *start_in_body, *start_in_end, *cancel_other;
};

extern const struct fence_http_ops https_ops;
/* Starts a GET; fails the test when it cannot. */
void https_get(struct fence_http *http, const char *path, struct https_answer *answer);
void https_begin(struct fence_http *http, const struct fence_http_request *request,
                 struct https_answer *answer);
/* Until `answer` has ended, or 10 s, which fails the test. */
void https_wait(struct fence_http *http, const struct https_answer *answer);
void https_run_for(struct fence_http *http, unsigned int ms);
/* All of it with a server of its own. */
void https_ask(const struct fence_kube_config *config, const char *path,
               struct https_answer *answer);
/* Members of a JSON text of /echo: contains it? */
void https_expect(const char *text, const char *part);

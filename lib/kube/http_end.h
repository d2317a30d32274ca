/* SPDX-License-Identifier: Apache-2.0 */
/* How an exchange ended: libcurl's code and message as ours. */
#pragma once

#include <curl/curl.h>

#include "lib/base/err.h"

struct fence_http_failure {
    CURLcode code;
    int os_error;       /* errno of the connection, 0 = none */
    const char *detail; /* what libcurl says, "" when nothing */
    const char *where;  /* "10.96.0.1 port 443" */
};

/* A code of struct fence_http_end, and the message for people. */
int fence_http_describe(const struct fence_http_failure *failure, struct fence_err *ret_message);
